"""Wrong solutions of sample_candidates."""

import torch

from minillm.course.testing import mutant


def allowed(gradients, suffix, forbidden):
    keep = torch.ones_like(gradients, dtype=torch.bool)
    keep[:, list(forbidden)] = False
    keep[torch.arange(len(suffix)), suffix] = False
    return keep


def lists(gradients, suffix, topk, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    refuse(keep, topk)
    return gradients.masked_fill(~keep, float("inf")).topk(topk, dim=1, largest=False).indices


def refuse(keep, topk):
    if keep.sum(1).min() < topk:
        raise ValueError("not enough tokens are allowed")


def fill(best, suffix, count, generator):
    """Candidates from short lists of the same length."""
    places = torch.randint(len(suffix), (count,), generator=generator)
    picks = torch.randint(best.shape[1], (count,), generator=generator)
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, picks]
    return rows


@mutant("sample_candidates", names="raise the loss")
def largest_gradients(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(-gradients, suffix, topk, forbidden), suffix, count, generator)


@mutant("sample_candidates", names="largest in size")
def largest_in_size(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(-gradients.abs(), suffix, topk, forbidden), suffix, count, generator)


@mutant("sample_candidates", names="the gradient is not used")
def gradient_not_used(gradients, suffix, count, topk, generator, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    refuse(keep, topk)
    places = torch.randint(len(suffix), (count,), generator=generator)
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = torch.multinomial(keep[places].float(), 1, generator=generator)[:, 0]
    return rows


@mutant("sample_candidates", names="single best token")
def best_token_only(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk, forbidden)[:, :1], suffix, count, generator)


@mutant("sample_candidates", names="whole matrix")
def flat_list(gradients, suffix, count, topk, generator, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    refuse(keep, topk)
    flat = gradients.masked_fill(~keep, float("inf")).flatten().topk(topk * len(suffix), largest=False).indices
    chosen = flat[torch.randint(len(flat), (count,), generator=generator)]
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), chosen // gradients.shape[1]] = chosen % gradients.shape[1]
    return rows


@mutant("sample_candidates", names="one token too long")
def list_too_long(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk + 1, forbidden), suffix, count, generator)


@mutant("sample_candidates", names="topk is topk")
def negative_only(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    pairs = [(s, v) for s, row in enumerate(best.tolist()) for v in row if gradients[s, v] < 0]
    rows = suffix.repeat(count, 1)
    for row, pick in zip(rows, torch.randint(len(pairs), (count,), generator=generator).tolist()):
        row[pairs[pick][0]] = pairs[pick][1]
    return rows


@mutant("sample_candidates", names="forbidden token")
def forbidden_allowed(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk), suffix, count, generator)


@mutant("sample_candidates", names="not allowed")
def present_token_allowed(gradients, suffix, count, topk, generator, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    refuse(keep, topk)
    keep[torch.arange(len(suffix)), suffix] = True
    best = gradients.masked_fill(~keep, float("inf")).topk(topk, dim=1, largest=False).indices
    return fill(best, suffix, count, generator)


@mutant("sample_candidates", names="forbidden")
def forbidden_set_to_zero(gradients, suffix, count, topk, generator, forbidden=()):
    refuse(allowed(gradients, suffix, forbidden), topk)
    changed = gradients.clone()
    changed[:, list(forbidden)] = 0.0
    changed[torch.arange(len(suffix)), suffix] = float("inf")
    return fill(changed.topk(topk, dim=1, largest=False).indices, suffix, count, generator)


@mutant("sample_candidates", names="one should change")
def every_place(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    picks = torch.randint(topk, (count, len(suffix)), generator=generator)
    return best[torch.arange(len(suffix)), picks]


@mutant("sample_candidates", names="one should change")
def changes_pile_up(gradients, suffix, count, topk, generator, forbidden=()):
    rows, now = [], suffix.clone()
    best = lists(gradients, suffix, topk, forbidden)
    for _ in range(count):
        place = int(torch.randint(len(suffix), (), generator=generator))
        now[place] = best[place, torch.randint(topk, (), generator=generator)]
        rows.append(now.clone())
    return torch.stack(rows)


@mutant("sample_candidates", names="all candidates change place")
def one_place_for_all(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    place = int(torch.randint(len(suffix), (), generator=generator))
    rows = suffix.repeat(count, 1)
    rows[:, place] = best[place, torch.randint(topk, (count,), generator=generator)]
    return rows


@mutant("sample_candidates", names="all candidates change place")
def always_the_last_place(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    rows = suffix.repeat(count, 1)
    rows[:, -1] = best[-1, torch.randint(topk, (count,), generator=generator)]
    return rows


@mutant("sample_candidates", names="whatever the seed")
def places_in_turn(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    places = torch.arange(count) % len(suffix)
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, torch.randint(topk, (count,), generator=generator)]
    return rows


@mutant("sample_candidates", names="as likely as the others")
def better_ones_more_often(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    places = torch.randint(len(suffix), (count,), generator=generator)
    picks = (topk * torch.rand(count, generator=generator) ** 2).long()
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, picks]
    return rows


@mutant("sample_candidates", names="the place is uniform")
def first_places_more_often(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    places = (len(suffix) * torch.rand(count, generator=generator) ** 2).long()
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, torch.randint(topk, (count,), generator=generator)]
    return rows


@mutant("sample_candidates", names=None)
def one_number_for_both(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    number = torch.randint(len(suffix) * 1000, (count,), generator=generator)
    places = number % len(suffix)
    rows = suffix.repeat(count, 1)
    rows[torch.arange(count), places] = best[places, (places + number // 2500) % topk]
    return rows


@mutant("sample_candidates", names="two draws give the same")
def generator_ignored(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk, forbidden), suffix, count, None)


@mutant("sample_candidates", names="two draws give the same")
def generator_seeded(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk, forbidden), suffix, count, generator.manual_seed(0))


@mutant("sample_candidates", names="changes its input")
def suffix_in_place(gradients, suffix, count, topk, generator, forbidden=()):
    best = lists(gradients, suffix, topk, forbidden)
    rows, before = [], suffix.clone()
    for _ in range(count):
        place = int(torch.randint(len(suffix), (), generator=generator))
        suffix[place] = best[place, torch.randint(topk, (), generator=generator)]
        rows.append(suffix.clone())
        suffix[:] = before
    suffix[0] = best[0, 0]
    return torch.stack(rows)


@mutant("sample_candidates", names="changes its input")
def gradients_in_place(gradients, suffix, count, topk, generator, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    refuse(keep, topk)
    gradients[~keep] = float("inf")
    return fill(gradients.topk(topk, dim=1, largest=False).indices, suffix, count, generator)


@mutant("sample_candidates", names="should raise a valueerror")
def never_refuses(gradients, suffix, count, topk, generator, forbidden=()):
    keep = allowed(gradients, suffix, forbidden)
    return fill(lists(gradients, suffix, min(topk, int(keep.sum(1).min())), forbidden), suffix, count, generator)


@mutant("sample_candidates", names="shape")
def one_candidate(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk, forbidden), suffix, 1, generator)[0]


@mutant("sample_candidates", names="whole numbers")
def float_tokens(gradients, suffix, count, topk, generator, forbidden=()):
    return fill(lists(gradients, suffix, topk, forbidden), suffix, count, generator).float()
