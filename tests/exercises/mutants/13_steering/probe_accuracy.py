"""Wrong solutions of probe_accuracy."""

import torch

from minillm.course.testing import mutant


def refuse(train_x, train_y, test_x, test_y):
    if len(train_x) != len(train_y) or len(test_x) != len(test_y):
        raise ValueError("a label for each row")
    if len(train_y.unique()) < 2:
        raise ValueError("both labels are needed")


def fit(x, t, penalty):
    return torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1], dtype=x.dtype), x.T @ t)


def plus_minus(y, x):
    return 2 * y.to(x.dtype) - 1


def share(guess, y):
    return (guess == y.bool()).float().mean()


def ready(train_x, train_y, test_x, test_y):
    """Centred training rows, targets, test rows less the same mean."""
    refuse(train_x, train_y, test_x, test_y)
    return train_x - train_x.mean(0), plus_minus(train_y, train_x), test_x - train_x.mean(0)


@mutant("probe_accuracy", names="scored on the rows it was fitted on")
def on_the_training_rows(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, _ = ready(train_x, train_y, test_x, test_y)
    return share(X @ fit(X, t, penalty) + t.mean() > 0, train_y)


@mutant("probe_accuracy", names="test rows are fitted too")
def fitted_on_all(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    x, y = torch.cat([train_x, test_x]), torch.cat([train_y, test_y])
    t = plus_minus(y, x)
    w = fit(x - x.mean(0), t, penalty)
    return share((test_x - x.mean(0)) @ w + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="fitted on the test rows")
def sets_exchanged(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    Z, t = test_x - test_x.mean(0), plus_minus(test_y, test_x)
    return share((train_x - test_x.mean(0)) @ fit(Z, t, penalty) + t.mean() > 0, train_y)


@mutant("probe_accuracy", names="nothing is centred")
def not_centred(train_x, train_y, test_x, test_y, penalty=1.0):
    _, t, _ = ready(train_x, train_y, test_x, test_y)
    return share(test_x @ fit(train_x, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="there is no b")
def not_centred_and_no_bias(train_x, train_y, test_x, test_y, penalty=1.0):
    _, t, _ = ready(train_x, train_y, test_x, test_y)
    return share(test_x @ fit(train_x, t, penalty) > 0, test_y)


@mutant("probe_accuracy", names="their own mean")
def test_rows_centred_by_themselves(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, _ = ready(train_x, train_y, test_x, test_y)
    return share((test_x - test_x.mean(0)) @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="test rows are not centred")
def test_rows_not_centred(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, _ = ready(train_x, train_y, test_x, test_y)
    return share(test_x @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="mean of all rows")
def centred_with_all_rows(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    mean, t = torch.cat([train_x, test_x]).mean(0), plus_minus(train_y, train_x)
    return share((test_x - mean) @ fit(train_x - mean, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="only centred here")
def standardised(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    std = train_x.std(0)
    return share(Z / std @ fit(X / std, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="standard deviation")
def standardised_each_by_itself(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, _ = ready(train_x, train_y, test_x, test_y)
    Z = (test_x - test_x.mean(0)) / test_x.std(0)
    return share(Z @ fit(X / train_x.std(0), t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="no penalty")
def without_a_penalty(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ (torch.linalg.pinv(X) @ t) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="whatever is passed")
def always_one(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, 1.0) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="not to its diagonal")
def penalty_everywhere(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ torch.linalg.lstsq(X.T @ X + penalty, X.T @ t).solution + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="multiplied by the number of rows")
def mean_loss(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X / len(X) ** 0.5, t / len(X) ** 0.5, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="penalty is subtracted")
def penalty_subtracted(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, -penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="penalty is squared")
def penalty_squared(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, penalty**2) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="threshold is 0")
def targets_zero_and_one(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    t = (t + 1) / 2
    return share(Z @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="threshold is a half")
def threshold_of_a_half(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, penalty) + t.mean() > 0.5, test_y)


@mutant("probe_accuracy", names="b is missing")
def no_bias(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, penalty) > 0, test_y)


@mutant("probe_accuracy", names="b is subtracted")
def bias_subtracted(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, t, penalty) - t.mean() > 0, test_y)


@mutant("probe_accuracy", names="b is penalised")
def bias_penalised(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    w = fit(torch.cat([X, torch.ones(len(X), 1, dtype=X.dtype)], 1), t, penalty)
    return share(Z @ w[:-1] + w[-1] > 0, test_y)


@mutant("probe_accuracy", names="nearer class mean")
def nearest_class_mean(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    zero, one = (train_x[train_y.bool() == label].mean(0) for label in (False, True))
    return share((test_x - one).norm(dim=1) < (test_x - zero).norm(dim=1), test_y)


@mutant("probe_accuracy", names="without the inverse")
def correlation(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ (X.T @ t) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="larger training class")
def majority(train_x, train_y, test_x, test_y, penalty=1.0):
    refuse(train_x, train_y, test_x, test_y)
    return share((train_y.float().mean() > 0.5).expand(len(test_y)), test_y)


@mutant("probe_accuracy", names="accuracies of each class")
def balanced_accuracy(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    right = (Z @ fit(X, t, penalty) + t.mean() > 0) == test_y.bool()
    return (right[test_y.bool()].float().mean() + right[~test_y.bool()].float().mean()) / 2


@mutant("probe_accuracy", names="share of errors")
def error_rate(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return 1 - share(Z @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="share of errors")
def targets_turned_round(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return share(Z @ fit(X, -t, penalty) - t.mean() > 0, test_y)


@mutant("probe_accuracy", names="not divided by the number of test rows")
def count(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return ((Z @ fit(X, t, penalty) + t.mean() > 0) == test_y.bool()).sum()


@mutant("probe_accuracy", names="per cent")
def per_cent(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return 100 * share(Z @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="shape")
def row_by_row(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return ((Z @ fit(X, t, penalty) + t.mean() > 0) == test_y.bool()).float()


@mutant("probe_accuracy", names="only label 0")
def one_label_accepted(train_x, train_y, test_x, test_y, penalty=1.0):
    if len(train_x) != len(train_y) or len(test_x) != len(test_y):
        raise ValueError("a label for each row")
    X, t = train_x - train_x.mean(0), plus_minus(train_y, train_x)
    return share((test_x - train_x.mean(0)) @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="valueerror was expected")
def lengths_not_compared(train_x, train_y, test_x, test_y, penalty=1.0):
    if len(train_y.unique()) < 2:
        raise ValueError("both labels are needed")
    X, t = train_x - train_x.mean(0), plus_minus(train_y, train_x)
    return share((test_x - train_x.mean(0)) @ fit(X, t, penalty) + t.mean() > 0, test_y)


@mutant("probe_accuracy", names="labels")
def whole_numbers_only(train_x, train_y, test_x, test_y, penalty=1.0):
    X, t, Z = ready(train_x, train_y, test_x, test_y)
    return ((Z @ fit(X, t, penalty) + t.mean() > 0).int() == test_y).float().mean() * (test_y.dtype == torch.int64)
