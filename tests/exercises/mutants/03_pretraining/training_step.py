"""Wrong solutions of training_step: what students write, and the word that the message must hold."""

import torch
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from minillm.course.testing import mutant


def accumulate(model, batches, loss_fn, divide=True):
    total = 0.0
    for batch in batches:
        loss = loss_fn(model, batch) / (len(batches) if divide else 1)
        loss.backward()
        total += loss.item()
    return total if divide else total / len(batches)


@mutant("training_step", names="not zeroed")
def never_zeroes(model, optimizer, batches, loss_fn, max_norm=1.0):
    total = accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="never stepped")
def never_steps(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    return total


@mutant("training_step", names="zeroed between backward and step")
def zeroes_before_the_step(model, optimizer, batches, loss_fn, max_norm=1.0):
    total = accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.zero_grad()
    optimizer.step()
    return total


@mutant("training_step", names="averaged")
def sums_micro_batches(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn, divide=False)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="between micro-batches")
def zeroes_between_micro_batches(model, optimizer, batches, loss_fn, max_norm=1.0):
    total = 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_fn(model, batch) / len(batches)
        loss.backward()
        total += loss.item()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="one step a call")
def steps_for_every_micro_batch(model, optimizer, batches, loss_fn, max_norm=1.0):
    total = 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_fn(model, batch)
        loss.backward()
        clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        total += loss.item() / len(batches)
    return total


@mutant("training_step", names="nothing is clipped")
def never_clips(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    optimizer.step()
    return total


@mutant("training_step", names="after the optimiser")
def clips_after_the_step(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    optimizer.step()
    clip_grad_norm_(model.parameters(), max_norm)
    return total


@mutant("training_step", names="clip")
def clips_before_the_gradients_are_there(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    clip_grad_norm_(model.parameters(), max_norm)
    total = accumulate(model, batches, loss_fn)
    optimizer.step()
    return total


@mutant("training_step", names="on its own")
def clips_every_micro_batch(model, optimizer, batches, loss_fn, max_norm=1.0):
    parameters = list(model.parameters())
    gathered, total = [torch.zeros_like(p) for p in parameters], 0.0
    for batch in batches:
        optimizer.zero_grad()
        loss = loss_fn(model, batch) / len(batches)
        loss.backward()
        clip_grad_norm_(parameters, max_norm / len(batches))
        gathered = [sum_ + p.grad for sum_, p in zip(gathered, parameters)]
        total += loss.item()
    for parameter, grad in zip(parameters, gathered):
        parameter.grad = grad
    optimizer.step()
    return total


@mutant("training_step", names="clip_grad_value_")
def clips_every_number(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    clip_grad_value_(model.parameters(), max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="each parameter")
def clips_each_tensor(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    for parameter in model.parameters():
        clip_grad_norm_([parameter], max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="stretched")
def always_scales_to_max_norm(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    norm = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    for parameter in model.parameters():
        parameter.grad *= max_norm / norm
    optimizer.step()
    return total


@mutant("training_step", names="max_norm is not used")
def clips_to_one_whatever_was_asked(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total


@mutant("training_step", names="summed")
def returns_the_sum(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total * len(batches)


@mutant("training_step", names="last micro-batch")
def returns_the_last_loss(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    for batch in batches:
        loss = loss_fn(model, batch)
        (loss / len(batches)).backward()
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


@mutant("training_step", names="after the step")
def returns_the_loss_after_the_step(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    with torch.no_grad():
        return sum(loss_fn(model, batch).item() for batch in batches) / len(batches)


@mutant("training_step", names="first micro-batch")
def uses_only_the_first_micro_batch(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    total = accumulate(model, batches[:1], loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total


@mutant("training_step", names="is there a `return` line")
def returns_nothing(model, optimizer, batches, loss_fn, max_norm=1.0):
    optimizer.zero_grad()
    accumulate(model, batches, loss_fn)
    clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
