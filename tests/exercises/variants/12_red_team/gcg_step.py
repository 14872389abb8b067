"""Right solutions of gcg_step that look different."""

import torch

from minillm.course.testing import variant


def sample(gradients, suffix, count, topk, generator, forbidden=()):
    S = len(suffix)
    keep = torch.ones_like(gradients, dtype=torch.bool)
    keep[:, list(forbidden)] = False
    keep[torch.arange(S), suffix] = False
    best = gradients.masked_fill(~keep, float("inf")).topk(topk, dim=1, largest=False).indices
    places = torch.randint(S, (count,), generator=generator)
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, torch.randint(topk, (count,), generator=generator)]
    return rows


@variant("gcg_step")
def present_suffix_last(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = torch.vstack([sample(gradients, suffix, count, topk, generator, forbidden), suffix])
    found = losses(rows)
    best = found[:-1].argmin()
    if found[best] < found[-1]:
        return rows[best].clone(), float(found[best])
    return suffix, float(found[-1])


@variant("gcg_step")
def in_python(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = [suffix, *sample(gradients, suffix, count, topk, generator, forbidden)]
    found = losses(torch.stack(rows)).tolist()
    loss = min(found)
    return rows[found.index(loss)].clone(), loss


@variant("gcg_step")
def kept_best(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    candidates = sample(gradients, suffix, count, topk, generator, forbidden=forbidden)
    with torch.no_grad():
        own, *others = losses(torch.cat([suffix.unsqueeze(0), candidates])).unbind()
    best, loss = suffix, own
    for row, other in zip(candidates, others):
        if other < loss:
            best, loss = row, other
    return best.detach(), loss.item()


@variant("gcg_step")
def sorted_rows(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = torch.cat((suffix[None, :], sample(gradients, suffix, count, topk, generator, tuple(forbidden))), dim=0)
    values, order = losses(rows).double().sort(stable=True)
    return (rows[order[0]], values[0])
