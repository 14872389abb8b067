"""Wrong solutions of truthful_mc1."""

import torch

from minillm.course.testing import mutant

INF = float("inf")


def kinds(logprobs, true, mask, fill=-INF):
    """Log-probs of the true answers, and of the false ones, with ``fill`` elsewhere."""
    there, right = mask.bool(), true.bool()
    return logprobs.masked_fill(~(there & right), fill), logprobs.masked_fill(~(there & ~right), fill)


def means(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask, 0.0)
    there, right = mask.bool(), true.bool()
    nt, nf = (there & right).sum(1), (there & ~right).sum(1)
    return (
        torch.where(nt > 0, t.sum(1) / nt.clamp(min=1), -INF),
        torch.where(nf > 0, f.sum(1) / nf.clamp(min=1), -INF),
    )


@mutant("truthful_mc1", names="a tie counts as won")
def ties_count(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (t.amax(1) >= f.amax(1)).float()


@mutant("truthful_mc1", names="as with argmax")
def argmax_is_true(logprobs, true, mask):
    top = logprobs.masked_fill(~mask.bool(), -INF).argmax(1)
    return true.gather(1, top[:, None])[:, 0].float()


@mutant("truthful_mc1", names="worst true answer")
def worst_true_answer(logprobs, true, mask):
    t, _ = kinds(logprobs, true, mask, INF)
    _, f = kinds(logprobs, true, mask)
    worst = t.amin(1)
    return ((worst > f.amax(1)) & (worst < INF)).float()


@mutant("truthful_mc1", names="mean of the true answers is compared with the best")
def mean_true_against_best_false(logprobs, true, mask):
    return (means(logprobs, true, mask)[0] > kinds(logprobs, true, mask)[1].amax(1)).float()


@mutant("truthful_mc1", names="with the mean of the false ones")
def mean_against_mean(logprobs, true, mask):
    t, f = means(logprobs, true, mask)
    return (t > f).float()


@mutant("truthful_mc1", names="above the mean")
def best_true_against_mean_false(logprobs, true, mask):
    return (kinds(logprobs, true, mask)[0].amax(1) > means(logprobs, true, mask)[1]).float()


@mutant("truthful_mc1", names="above the worst false one")
def above_the_worst_false(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)[0].amax(1), kinds(logprobs, true, mask, INF)[1].amin(1)
    return (t > torch.where(f == INF, -INF, f)).float()


@mutant("truthful_mc1", names="nearer to mc2")
def more_than_half(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (t.exp().sum(1) > f.exp().sum(1)).float()


@mutant("truthful_mc1", names="log-probabilities are added up")
def sums_of_logs(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask, 0.0)
    return (t.sum(1) > f.sum(1)).float()


@mutant("truthful_mc1", names="mask is ignored.")
def without_the_mask(logprobs, true, mask):
    t, f = kinds(logprobs, true, torch.ones_like(mask))
    return (t.amax(1) > f.amax(1)).float()


@mutant("truthful_mc1", names="ignored for the true")
def without_the_mask_for_true(logprobs, true, mask):
    t, f = kinds(logprobs, true, torch.ones_like(mask))[0], kinds(logprobs, true, mask)[1]
    return (t.amax(1) > f.amax(1)).float()


@mutant("truthful_mc1", names="ignored for the false")
def without_the_mask_for_false(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)[0], kinds(logprobs, true, torch.ones_like(mask))[1]
    return (t.amax(1) > f.amax(1)).float()


@mutant("truthful_mc1", names="multiplied by 0")
def multiplied_by_masks(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask, 0.0)
    return (t.amax(1) > f.amax(1)).float()


@mutant("truthful_mc1", names="best answer is false")
def turned_round(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (f.amax(1) > t.amax(1)).float()


@mutant("truthful_mc1", names="without any false answer")
def no_false_answer_is_lost(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return ((t.amax(1) > f.amax(1)) & (f.amax(1) > -INF)).float()


@mutant("truthful_mc1", names="mean over questions")
def mean_over_questions(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (t.amax(1) > f.amax(1)).float().mean()


@mutant("truthful_mc1", names="margin")
def the_margin(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return t.amax(1) - f.amax(1)


@mutant("truthful_mc1", names="exp of -1000 is 0")
def probabilities_compared(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (t.exp().amax(1) > f.exp().amax(1)).float()


@mutant("truthful_mc1", names="shape")
def over_the_wrong_dimension(logprobs, true, mask):
    t, f = kinds(logprobs, true, mask)
    return (t.amax(0) > f.amax(0)).float()


@mutant("truthful_mc1", names="changes its input")
def in_place(logprobs, true, mask):
    logprobs[~mask.bool()] = -INF
    t, f = kinds(logprobs, true, mask)
    return (t.amax(1) > f.amax(1)).float()


@mutant("truthful_mc1", names=None)
def first_column_is_the_true_one(logprobs, true, mask):
    rest = logprobs.masked_fill(~mask.bool(), -INF)[:, 1:]
    return (logprobs[:, 0] > rest.amax(1)).float()
