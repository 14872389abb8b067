"""Wrong solutions of truthful_mc2."""

import torch

from minillm.course.testing import mutant

INF = float("inf")


def split(true, mask):
    """Where true answers stand, and where false ones do."""
    return mask.bool() & true.bool(), mask.bool() & ~true.bool()


def beliefs(logprobs, mask):
    return logprobs.masked_fill(~mask.bool(), -INF).softmax(1)


def right(logprobs, true, mask):
    return beliefs(logprobs, mask).masked_fill(~true.bool(), 0).sum(1)


def total(values, keep):
    return values.masked_fill(~keep, 0).sum(1)


@mutant("truthful_mc2", names="mask is ignored.")
def without_the_mask(logprobs, true, mask):
    return logprobs.softmax(1).masked_fill(~true.bool(), 0).sum(1)


@mutant("truthful_mc2", names="above the line")
def without_the_mask_above(logprobs, true, mask):
    every = logprobs.masked_fill(~mask.bool(), -INF).logsumexp(1)
    return (logprobs.masked_fill(~true.bool(), -INF).logsumexp(1) - every).exp()


@mutant("truthful_mc2", names="ignored below the line")
def softmax_before_the_mask(logprobs, true, mask):
    return total(logprobs.softmax(1), split(true, mask)[0])


@mutant("truthful_mc2", names="0 nats")
def multiplied_by_the_mask(logprobs, true, mask):
    nats = torch.where(mask.bool(), logprobs, 0.0)
    return total(nats.softmax(1), split(true, mask)[0])


@mutant("truthful_mc2", names="0 nats above")
def multiplied_by_true(logprobs, true, mask):
    nats = torch.where(mask.bool(), logprobs, 0.0)
    return (torch.where(split(true, mask)[0], logprobs, 0.0).logsumexp(1) - nats.logsumexp(1)).exp()


@mutant("truthful_mc2", names="not normalised")
def unnormalised(logprobs, true, mask):
    return total(logprobs.exp(), split(true, mask)[0])


@mutant("truthful_mc2", names="added and divided")
def ratio_of_logs(logprobs, true, mask):
    return total(logprobs, split(true, mask)[0]) / total(logprobs, mask.bool())


@mutant("truthful_mc2", names="log-probabilities of the true answers are added")
def sum_of_logs(logprobs, true, mask):
    return total(logprobs, split(true, mask)[0])


@mutant("truthful_mc2", names="a product")
def softmax_of_sums(logprobs, true, mask):
    t, f = split(true, mask)
    return torch.stack((total(logprobs, t), total(logprobs, f)), 1).softmax(1)[:, 0]


@mutant("truthful_mc2", names="false answers")
def probability_of_false(logprobs, true, mask):
    return 1 - right(logprobs, true, mask)


@mutant("truthful_mc2", names="mean over the true answers")
def mean_over_true(logprobs, true, mask):
    return right(logprobs, true, mask) / split(true, mask)[0].sum(1).clamp(min=1)


@mutant("truthful_mc2", names="means are compared")
def means_compared(logprobs, true, mask):
    t, f = (total(logprobs.exp(), kind) / kind.sum(1).clamp(min=1) for kind in split(true, mask))
    return t / (t + f)


@mutant("truthful_mc2", names="number of answers")
def mean_over_answers(logprobs, true, mask):
    return right(logprobs, true, mask) / mask.bool().sum(1)


@mutant("truthful_mc2", names="true over false")
def odds(logprobs, true, mask):
    p = beliefs(logprobs, mask)
    return total(p, split(true, mask)[0]) / total(p, split(true, mask)[1])


@mutant("truthful_mc2", names="logarithm")
def its_logarithm(logprobs, true, mask):
    return right(logprobs, true, mask).log()


@mutant("truthful_mc2", names="this is mc1")
def mc1(logprobs, true, mask):
    t, f = split(true, mask)
    return (logprobs.masked_fill(~t, -INF).amax(1) > logprobs.masked_fill(~f, -INF).amax(1)).float()


@mutant("truthful_mc2", names="rounded")
def rounded(logprobs, true, mask):
    return (right(logprobs, true, mask) > 0.5).float()


@mutant("truthful_mc2", names="best true answer")
def best_true_only(logprobs, true, mask):
    return beliefs(logprobs, mask).masked_fill(~true.bool(), 0).amax(1)


@mutant("truthful_mc2", names="apart")
def maxima_apart(logprobs, true, mask):
    def mass(kind):
        nats = logprobs.masked_fill(~kind, -INF)
        return total((nats - nats.amax(1, keepdim=True)).exp(), kind)

    t, f = map(mass, split(true, mask))
    return t / (t + f)


@mutant("truthful_mc2", names="all questions together")
def over_all_questions(logprobs, true, mask):
    nats = logprobs.masked_fill(~mask.bool(), -INF)
    return total((nats - nats.flatten().logsumexp(0)).exp(), true.bool())


@mutant("truthful_mc2", names="runs over the questions")
def over_the_wrong_dimension(logprobs, true, mask):
    nats = logprobs.masked_fill(~mask.bool(), -INF)
    return total(nats.softmax(0).nan_to_num(), true.bool())


@mutant("truthful_mc2", names="mean over questions")
def mean_over_questions(logprobs, true, mask):
    return right(logprobs, true, mask).mean()


@mutant("truthful_mc2", names="each answer")
def every_answer(logprobs, true, mask):
    return beliefs(logprobs, mask)


@mutant("truthful_mc2", names="see trap 3")
def exp_and_divide(logprobs, true, mask):
    t, f = (total(logprobs.exp(), kind) for kind in split(true, mask))
    return t / (t + f)


@mutant("truthful_mc2", names="see trap 3")
def with_an_epsilon(logprobs, true, mask):
    t, f = (total(logprobs.exp(), kind) for kind in split(true, mask))
    return t / (t + f + 1e-12)


@mutant("truthful_mc2", names="see trap 3")
def one_maximum_for_all(logprobs, true, mask):
    nats = logprobs.masked_fill(~mask.bool(), -INF)
    p = (nats - nats.max()).exp()
    return total(p, true.bool()) / p.sum(1)


@mutant("truthful_mc2", names="see trap 4")
def maximum_over_padding(logprobs, true, mask):
    p = (logprobs - logprobs.amax(1, keepdim=True)).exp()
    return total(p, split(true, mask)[0]) / total(p, mask.bool())


@mutant("truthful_mc2", names="see trap 4")
def mask_as_minus_nine(logprobs, true, mask):
    nats = logprobs - 900.0 * (1 - mask.to(logprobs.dtype))
    return total(nats.softmax(1), true.bool())


@mutant("truthful_mc2", names="changes its input")
def in_place(logprobs, true, mask):
    logprobs.masked_fill_(~mask.bool(), -INF)
    return right(logprobs, true, mask)
