"""Wrong solutions of difference_in_means."""

import torch
from torch.nn.functional import normalize

from minillm.course.testing import mutant


def refuse(positive, negative, gap=None):
    if not len(positive) or not len(negative):
        raise ValueError("each set needs a row")
    if gap is not None and not gap.any():
        raise ValueError("the means are equal")


def result(positive, negative, gap):
    refuse(positive, negative, gap)
    return gap / gap.norm(), gap.norm()


@mutant("difference_in_means", names="from positive to negative")
def turned_round(positive, negative):
    return result(positive, negative, negative.mean(0) - positive.mean(0))


@mutant("difference_in_means", names="not scaled to length 1")
def not_normalised(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap, gap.norm()


@mutant("difference_in_means", names="square of its length")
def divided_by_the_square(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap / gap.dot(gap), gap.norm()


@mutant("difference_in_means", names="rows are scaled")
def rows_normalised_first(positive, negative):
    return result(positive, negative, normalize(positive, dim=1).mean(0) - normalize(negative, dim=1).mean(0))


@mutant("difference_in_means", names="rows are scaled")
def rows_normalised_and_no_more(positive, negative):
    gap = normalize(positive, dim=1).mean(0) - normalize(negative, dim=1).mean(0)
    refuse(positive, negative, gap)
    return gap, gap.norm()


@mutant("difference_in_means", names="means are scaled")
def means_normalised_first(positive, negative):
    return result(positive, negative, normalize(positive.mean(0), dim=0) - normalize(negative.mean(0), dim=0))


@mutant("difference_in_means", names="added, not averaged")
def sums(positive, negative):
    return result(positive, negative, positive.sum(0) - negative.sum(0))


@mutant("difference_in_means", names="medians")
def medians(positive, negative):
    refuse(positive, negative)
    return result(positive, negative, positive.median(0).values - negative.median(0).values)


@mutant("difference_in_means", names="in pairs")
def pairs(positive, negative):
    n = min(len(positive), len(negative))
    refuse(positive, negative)
    return result(positive, negative, (positive[:n] - negative[:n]).mean(0))


@mutant("difference_in_means", names="must match the size")
def pairs_of_all(positive, negative):
    return result(positive, negative, (positive - negative).mean(0))


@mutant("difference_in_means", names="mean of all rows")
def from_the_pooled_mean(positive, negative):
    return result(positive, negative, positive.mean(0) - torch.cat([positive, negative]).mean(0))


@mutant("difference_in_means", names="only the positive")
def positive_only(positive, negative):
    return result(positive, negative, positive.mean(0))


@mutant("difference_in_means", names="means are added")
def means_added(positive, negative):
    return result(positive, negative, positive.mean(0) + negative.mean(0))


@mutant("difference_in_means", names="distance is squared")
def squared_distance(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap / gap.norm(), gap.square().sum()


@mutant("difference_in_means", names="always 1")
def distance_of_the_unit_vector(positive, negative):
    direction, _ = result(positive, negative, positive.mean(0) - negative.mean(0))
    return direction, direction.norm()


@mutant("difference_in_means", names="sum of its absolute numbers")
def l1_norm(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap / gap.abs().sum(), gap.abs().sum()


@mutant("difference_in_means", names="square root of d")
def root_mean_square(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap / gap.norm(), gap.square().mean().sqrt()


@mutant("difference_in_means", names="lengths of both means")
def difference_of_lengths(positive, negative):
    direction, _ = result(positive, negative, positive.mean(0) - negative.mean(0))
    return direction, positive.mean(0).norm() - negative.mean(0).norm()


@mutant("difference_in_means", names="mean distance of all rows")
def mean_of_distances(positive, negative):
    direction, _ = result(positive, negative, positive.mean(0) - negative.mean(0))
    return direction, torch.cdist(positive, negative).mean()


@mutant("difference_in_means", names="swapped")
def distance_first(positive, negative):
    return result(positive, negative, positive.mean(0) - negative.mean(0))[::-1]


@mutant("difference_in_means", names="2 results")
def direction_only(positive, negative):
    return result(positive, negative, positive.mean(0) - negative.mean(0))[0]


@mutant("difference_in_means", names="shape")
def means_of_each_row(positive, negative):
    refuse(positive, negative)
    gap = positive.mean(1)[:1] - negative.mean(1)
    return gap / gap.norm(), gap.norm()


@mutant("difference_in_means", names="two equal means")
def equal_means_accepted(positive, negative):
    refuse(positive, negative)
    gap = positive.mean(0) - negative.mean(0)
    return gap / gap.norm(), gap.norm()


@mutant("difference_in_means", names="two equal means")
def equal_means_give_zeros(positive, negative):
    refuse(positive, negative)
    gap = positive.mean(0) - negative.mean(0)
    return normalize(gap, dim=0), gap.norm()


@mutant("difference_in_means", names="no positive rows")
def empty_sets_accepted(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    if gap.norm() == 0:
        raise ValueError("the means are equal")
    return gap / gap.norm(), gap.norm()


@mutant("difference_in_means", names="all numbers times 0.0001")
def with_a_large_epsilon(positive, negative):
    gap = positive.mean(0) - negative.mean(0)
    refuse(positive, negative, gap)
    return gap / (gap.norm() + 1e-5), gap.norm()


@mutant("difference_in_means", names="changes its input")
def in_place(positive, negative):
    refuse(positive, negative)
    positive -= negative.mean(0)
    return result(positive, negative, positive.mean(0))
