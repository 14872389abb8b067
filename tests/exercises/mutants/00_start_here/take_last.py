"""Wrong solutions of take_last."""

import torch

from minillm.course.testing import mutant


def columns(mask):
    positions = torch.arange(mask.shape[1]).expand(mask.shape)
    return torch.where(mask.bool(), positions, -1).amax(1)


def pick(x, last):
    return x[torch.arange(len(x)), last]


@mutant("take_last", names="last column")
def last_column(x, mask):
    return x[:, -1]


@mutant("take_last", names="ones are counted")
def count_minus_one(x, mask):
    return pick(x, mask.bool().sum(1) - 1)


@mutant("take_last", names="first counted position")
def first_one(x, mask):
    return pick(x, mask.long().argmax(1))


@mutant("take_last", names="before the first 0")
def before_the_first_zero(x, mask):
    return pick(x, mask.long().argmin(1) - 1)


@mutant("take_last", names="columns of all rows")
def all_columns_of_all_rows(x, mask):
    return x[:, columns(mask)]


@mutant("take_last", names="too far to the left")
def one_to_the_left(x, mask):
    return pick(x, columns(mask) - 1)


@mutant("take_last", names="same column")
def rightmost_of_the_batch(x, mask):
    return x[:, columns(mask).max()]


@mutant("take_last", names="0 times inf is nan")
def one_hot_product(x, mask):
    chosen = torch.nn.functional.one_hot(columns(mask), mask.shape[1]).to(x.dtype)
    return torch.einsum("bt,bt...->b...", chosen, x)


@mutant("take_last", names="averaged")
def mean_of_the_row(x, mask):
    kept = mask.bool()[(...,) + (None,) * (x.ndim - 2)]
    return torch.where(kept, x, 0.0).sum(1) / kept.sum(1)


@mutant("take_last", names="largest counted entry")
def largest_of_the_row(x, mask):
    kept = mask.bool()[(...,) + (None,) * (x.ndim - 2)]
    return torch.where(kept, x, -torch.inf).amax(1)


@mutant("take_last", names="no gradient reaches")
def cut_off(x, mask):
    return pick(x, columns(mask)).detach()


@mutant("take_last", names="too far to the right")
def padding_behind_the_end(x, mask):
    return pick(x, (columns(mask) + 1).clamp(max=mask.shape[1] - 1))


@mutant("take_last", names="ones are counted")
def last_step_of_the_running_count(x, mask):
    return torch.stack([row[int(counts.sum()) - 1] for row, counts in zip(x, mask)])
