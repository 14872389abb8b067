"""Right solutions of training_step that look different."""

import torch

from minillm.course.testing import variant


@variant("training_step")
def one_backward_for_all(model, optimizer, batches, loss_fn, max_norm=1.0):
    losses = [loss_fn(model, batch) for batch in batches]
    loss = torch.stack(losses).mean()
    optimizer.zero_grad(set_to_none=False)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


@variant("training_step")
def clips_by_hand_and_zeroes_twice(model, optimizer, batches, loss_fn, max_norm=1.0):
    model.zero_grad()
    total = 0
    for batch in batches:
        loss = loss_fn(model, batch)
        (loss / len(batches)).backward()
        total += loss.detach()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.sqrt(sum((grad**2).sum() for grad in grads))
    if norm > max_norm:
        for grad in grads:
            grad.mul_(max_norm / norm)
    optimizer.step()
    optimizer.zero_grad()
    return total / len(batches)


@variant("training_step")
def sums_and_divides_the_gradients(model, optimizer, batches, loss_fn, max_norm=1.0):
    model.train()
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = None
    losses = []
    for batch in batches:
        loss = loss_fn(model, batch)
        loss.backward()
        losses.append(float(loss))
    for parameter in parameters:
        parameter.grad /= len(batches)
    torch.nn.utils.clip_grad_norm_(parameters, max_norm, error_if_nonfinite=True)
    optimizer.step()
    return sum(losses) / len(losses)


@variant("training_step")
def with_autograd_grad(model, optimizer, batches, loss_fn, max_norm=1.0):
    parameters = list(model.parameters())
    total = sum(loss_fn(model, batch) for batch in batches) / len(batches)
    grads = torch.autograd.grad(total, parameters)
    norm = torch.cat([grad.flatten() for grad in grads]).norm()
    scale = torch.clamp(max_norm / (norm + 1e-6), max=1.0)
    for parameter, grad in zip(parameters, grads):
        parameter.grad = grad * scale
    optimizer.step()
    return total.detach()
