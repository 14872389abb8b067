"""Wrong solutions of masked_mean."""

import torch

from minillm.course.testing import mutant


def cleared(x, mask):
    return torch.where(mask.bool(), x, torch.zeros_like(x))


@mutant("masked_mean", names="padding is averaged in")
def ignores_the_mask(x, mask, dim=None):
    return x.mean() if dim is None else x.mean(dim)


@mutant("masked_mean", names="number of places")
def divides_by_all_places(x, mask, dim=None):
    return cleared(x, mask).mean() if dim is None else cleared(x, mask).mean(dim)


@mutant("masked_mean", names="0 times inf is nan")
def multiplies_by_the_mask(x, mask, dim=None):
    return (x * mask).sum(dim) / mask.sum(dim)


@mutant("masked_mean", names="means of the rows are averaged")
def mean_of_row_means(x, mask, dim=None):
    along = 1 if dim is None else dim
    means = cleared(x, mask).sum(along) / mask.bool().sum(along)
    return means.mean() if dim is None else means


@mutant("masked_mean", names="turned round")
def keeps_the_padding(x, mask, dim=None):
    dropped = ~mask.bool()
    return (x * dropped).sum(dim) / dropped.sum(dim)


@mutant("masked_mean", names="not divided")
def sums(x, mask, dim=None):
    return cleared(x, mask).sum(dim)


@mutant("masked_mean", names="`dim` is ignored")
def always_over_everything(x, mask, dim=None):
    return x[mask.bool()].mean()


@mutant("masked_mean", names="other dimension")
def along_the_other_dimension(x, mask, dim=None):
    along = None if dim is None else 1 - dim
    return cleared(x, mask).sum(along) / mask.bool().sum(along)


@mutant("masked_mean", names="no gradient reaches")
def gives_a_plain_number(x, mask, dim=None):
    return (cleared(x, mask).sum(dim) / mask.bool().sum(dim)).detach()


@mutant("masked_mean", names="changes its input")
def clears_in_place(x, mask, dim=None):
    x[~mask.bool()] = 0.0
    return x.sum(dim) / mask.bool().sum(dim)


@mutant("masked_mean", names="numbers that are 0 are left out")
def counts_what_is_not_zero(x, mask, dim=None):
    kept = cleared(x, mask)
    return kept.sum(dim) / (kept != 0).sum(dim)


@mutant("masked_mean", names="only the shape is not")
def keeps_the_dimension(x, mask, dim=None):
    if dim is None:
        return x[mask.bool()].mean()
    return cleared(x, mask).sum(dim, keepdim=True) / mask.bool().sum(dim, keepdim=True)
