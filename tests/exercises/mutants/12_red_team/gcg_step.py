"""Wrong solutions of gcg_step."""

import torch

from minillm.course.testing import mutant


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


def priced(suffix, gradients, losses, generator, count, topk, forbidden):
    """All rows, the present suffix first, and their losses."""
    rows = torch.cat((suffix[None], sample(gradients, suffix, count, topk, generator, forbidden)))
    return rows, losses(rows)


@mutant("gcg_step", names="present suffix is not priced along")
def present_suffix_forgotten(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = sample(gradients, suffix, count, topk, generator, forbidden)
    found = losses(rows)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="no worse")
def best_candidate_whatever(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    best = 1 + int(found[1:].argmin())
    return rows[best], found[best].item()


@mutant("gcg_step", names="no worse")
def moves_on_ties(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    best = 1 + int(found[1:].argmin())
    best = best if found[best] <= found[0] else 0
    return rows[best], found[best].item()


@mutant("gcg_step", names="largest loss")
def largest_loss(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmax()], found.max().item()


@mutant("gcg_step", names="the first candidate is taken")
def first_candidate(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[1], found[1].item()


@mutant("gcg_step", names="never changed")
def stays_always(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[0], found[0].item()


@mutant("gcg_step", names="mean of all losses")
def mean_loss(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], found.mean().item()


@mutant("gcg_step", names="loss of the present suffix is returned")
def loss_of_the_present_suffix(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], found[0].item()


@mutant("gcg_step", names="with the present suffix")
def best_loss_with_the_present_suffix(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    found = priced(suffix, gradients, losses, generator, count, topk, forbidden)[1]
    return suffix, found.min().item()


@mutant("gcg_step", names="improvement")
def improvement(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], (found.min() - found[0]).item()


@mutant("gcg_step", names="gradient promises most")
def what_the_gradient_promises(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    promised = gradients[torch.arange(len(suffix)), rows].sum(1)
    best = 1 + int(promised[1:].argmin())
    return rows[best], found[best].item()


@mutant("gcg_step", names="losses is never called")
def never_measured(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = sample(gradients, suffix, count, topk, generator, forbidden)
    promised = gradients[torch.arange(len(suffix)), rows].sum(1)
    return rows[promised.argmin()], promised.min().item()


@mutant("gcg_step", names="all rows belong into one call")
def one_call_a_row(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = torch.cat((suffix[None], sample(gradients, suffix, count, topk, generator, forbidden)))
    found = torch.cat([losses(row[None]) for row in rows])
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="losses is called 2 times")
def two_calls(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows = sample(gradients, suffix, count, topk, generator, forbidden)
    found, own = losses(rows), losses(suffix[None])
    if found.min() < own[0]:
        return rows[found.argmin()], found.min().item()
    return suffix, own.item()


@mutant("gcg_step", names="rows are priced")
def one_candidate_too_few(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count - 1, topk, forbidden)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="rows are priced")
def built_in_count(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, 64, topk, forbidden)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="pass topk on")
def built_in_topk(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, 12, forbidden)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="forbidden token")
def forbidden_not_passed_on(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, ())
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="pass the generator on")
def another_generator(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, torch.Generator().manual_seed(0), count, topk, forbidden)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="pass topk on")
def gradient_turned_round(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, -gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], found.min().item()


@mutant("gcg_step", names="changes its input")
def suffix_in_place(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    suffix.copy_(rows[found.argmin()])
    return suffix, found.min().item()


@mutant("gcg_step", names="2 results")
def suffix_only(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()]


@mutant("gcg_step", names="one number")
def all_losses(suffix, gradients, losses, generator, count=64, topk=16, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], found


@mutant("gcg_step", names="if it is left out")
def smaller_topk(suffix, gradients, losses, generator, count=64, topk=8, forbidden=()):
    rows, found = priced(suffix, gradients, losses, generator, count, topk, forbidden)
    return rows[found.argmin()], found.min().item()
