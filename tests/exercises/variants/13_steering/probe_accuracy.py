"""Right solutions of probe_accuracy that look different."""

import torch

from minillm.course.testing import variant


def refuse(train_x, train_y, test_x, test_y):
    if train_x.shape[0] != train_y.shape[0] or test_x.shape[0] != test_y.shape[0]:
        raise ValueError("rows and labels differ in number")
    if bool(train_y.bool().all()) or not bool(train_y.bool().any()):
        raise ValueError("one class only")


@variant("probe_accuracy")
def an_inverse_in_double(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    x, z = train_x.double(), test_x.double()
    t = torch.where(train_y.bool(), 1.0, -1.0).double()
    m = x.mean(0, keepdim=True)
    a = torch.inverse((x - m).mT @ (x - m) + penalty * torch.eye(x.shape[1], dtype=torch.float64))
    w = a @ (x - m).mT @ t
    return torch.eq((z - m) @ w + t.mean() > 0, test_y.bool()).double().mean()


@variant("probe_accuracy")
def dual(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    t = train_y.to(train_x.dtype) * 2 - 1
    mean = train_x.mean(dim=0)
    X = train_x - mean
    alpha = torch.linalg.solve(X @ X.T + penalty * torch.eye(len(X), dtype=X.dtype), t)
    said = (test_x - mean) @ X.T @ alpha + t.mean()
    hits = sum(int((score > 0) == bool(label)) for score, label in zip(said.tolist(), test_y.tolist()))
    return hits / len(test_y)


@variant("probe_accuracy")
def longer_least_squares(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    D = train_x.shape[1]
    x, t = train_x.double(), train_y.double() * 2 - 1
    mean = x.mean(0)
    longer = torch.cat([x - mean, penalty**0.5 * torch.eye(D, dtype=torch.float64)])
    targets = torch.cat([t - t.mean(), torch.zeros(D, dtype=torch.float64)])
    w = torch.linalg.lstsq(longer, targets[:, None]).solution[:, 0]
    guess = torch.sign((test_x.double() - mean) @ w + t.mean()).clamp(min=0)
    return 1 - (guess - test_y.double()).abs().mean()


@variant("probe_accuracy")
def zero_and_one_with_a_half(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    y = train_y.double()
    x = torch.cat([train_x.double() - train_x.double().mean(0), torch.ones(len(y), 1).double()], dim=1)
    leash = torch.full((x.shape[1],), float(penalty), dtype=torch.float64)
    leash[-1] = 0.0  # the last column is the constant
    w = torch.linalg.solve(x.T @ x + torch.diag(leash), x.T @ y)
    said = (test_x.double() - train_x.double().mean(0)) @ w[:-1] + w[-1]
    return ((said > 0.5) == (test_y > 0)).sum() / test_y.numel()
