"""Wrong solutions of score_at_last_token."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant


def at(scores, place):
    return scores[torch.arange(len(scores)), place]


@mutant("score_at_last_token", names="the last column is read")
def last_column(scores, mask):
    return scores[:, -1]


@mutant("score_at_last_token", names="last column of scores * mask")
def last_column_masked(scores, mask):
    return (scores * mask)[:, -1]


@mutant("score_at_last_token", names="mask.sum(1) - 1")
def count_minus_one(scores, mask):
    return at(scores, mask.long().sum(1) - 1)


@mutant("score_at_last_token", names="one too far")
def count(scores, mask):
    return at(scores, mask.long().sum(1).clamp(max=scores.shape[1] - 1))


@mutant("score_at_last_token", names="*first* real token")
def argmax_of_the_mask(scores, mask):
    return at(scores, mask.long().argmax(1))


@mutant("score_at_last_token", names="first padding")
def before_the_first_padding(scores, mask):
    return at(scores, (~mask.bool()).long().argmax(1) - 1)


@mutant("score_at_last_token", names="averaged")
def mean_over_tokens(scores, mask):
    return (scores * mask).sum(1) / mask.sum(1)


@mutant("score_at_last_token", names="added")
def sum_over_tokens(scores, mask):
    return (scores * mask).sum(1)


@mutant("score_at_last_token", names="largest score")
def largest(scores, mask):
    return scores.masked_fill(~mask.bool(), -torch.inf).amax(1)


@mutant("score_at_last_token", names="sigmoid")
def through_a_sigmoid(scores, mask):
    return torch.sigmoid(reference("score_at_last_token")(scores, mask))


@mutant("score_at_last_token", names="every row is read where the first row ends")
def one_place_for_all(scores, mask):
    return scores[:, int(mask[0].nonzero().max())]


@mutant("score_at_last_token", names="token before the last")
def one_too_early(scores, mask):
    place = (mask.long() * torch.arange(scores.shape[1])).amax(1)
    return at(scores, (place - 1).clamp(min=0))


@mutant("score_at_last_token", names="where it is 0")
def last_score_that_is_not_zero(scores, mask):
    kept = scores * mask
    return at(scores, ((kept != 0).long() * torch.arange(scores.shape[1])).amax(1))


@mutant("score_at_last_token", names="no gradient reaches")
def through_numbers(scores, mask):
    return torch.tensor([row[keep.bool()][-1].item() for row, keep in zip(scores, mask)])


@mutant("score_at_last_token", names="right, only the shape")
def keeps_the_column(scores, mask):
    return reference("score_at_last_token")(scores, mask)[:, None]


@mutant("score_at_last_token", names=None)
def needs_a_float_mask(scores, mask):
    place = (mask * torch.arange(scores.shape[1])).argmax(1)
    return at(scores, place) * (1 - mask[:, -1] * 0) if mask.dtype != torch.bool else at(scores, (1 - mask).argmin(1))


@mutant("score_at_last_token", names="gradient")
def spreads_the_gradient(scores, mask):
    value = reference("score_at_last_token")(scores, mask)
    mean = (scores * mask).sum(1) / mask.sum(1)
    return mean + (value - mean).detach()
