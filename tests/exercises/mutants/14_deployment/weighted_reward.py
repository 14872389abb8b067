"""Wrong solutions of weighted_reward."""

import torch

from minillm.course.testing import mutant


def checked(weights, std):
    if (weights < 0).any() or (weights == 0).all() or not (std > 0).all():
        raise ValueError("weights must be at least 0 and not all 0, std above 0")


def heard(scores, weights, mean, std):
    """What counts: the columns of positive weight."""
    checked(weights, std)
    on = weights > 0
    return scores[:, on], weights[on].to(scores.dtype), mean[on], std[on]


@mutant("weighted_reward", names="raw scores are added up")
def raw(scores, weights, mean, std):
    x, w, _, _ = heard(scores, weights, mean, std)
    return x @ (w / w.sum())


@mutant("weighted_reward", names="not divided by their sum")
def raw_sum(scores, weights, mean, std):
    x, w, _, _ = heard(scores, weights, mean, std)
    return x @ w


@mutant("weighted_reward", names="see trap 1")
def of_the_batch(scores, weights, mean, std):
    x, w, _, _ = heard(scores, weights, mean, std)
    return ((x - x.mean(0)) / x.std(0)) @ (w / w.sum())


@mutant("weighted_reward", names="population standard deviation of these answers")
def of_the_batch_population(scores, weights, mean, std):
    x, w, _, _ = heard(scores, weights, mean, std)
    return ((x - x.mean(0)) / (x.std(0, correction=0) + 1e-8)) @ (w / w.sum())


@mutant("weighted_reward", names="mean of these answers is taken off")
def centred_in_the_batch(scores, weights, mean, std):
    x, w, _, s = heard(scores, weights, mean, std)
    return ((x - x.mean(0)) / s) @ (w / w.sum())


@mutant("weighted_reward", names="not divided by their sum")
def weighted_sum(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s) @ w


@mutant("weighted_reward", names="divided by the number of models")
def divided_by_the_number(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s * w).mean(1)


@mutant("weighted_reward", names="softmax")
def softmax_of_weights(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s) @ w.softmax(0)


@mutant("weighted_reward", names="weights are not used")
def equal_weights(scores, weights, mean, std):
    x, _, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s).mean(1)


@mutant("weighted_reward", names="largest of them")
def divided_by_the_largest(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s) @ (w / w.max())


@mutant("weighted_reward", names="mean is not taken off")
def not_centred(scores, weights, mean, std):
    x, w, _, s = heard(scores, weights, mean, std)
    return (x / s) @ (w / w.sum())


@mutant("weighted_reward", names="mean is added")
def mean_added(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x + m) / s) @ (w / w.sum())


@mutant("weighted_reward", names="after the division")
def brackets_forgotten(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return (x / s - m) @ (w / w.sum())


@mutant("weighted_reward", names="no division by std")
def only_centred(scores, weights, mean, std):
    x, w, m, _ = heard(scores, weights, mean, std)
    return (x - m) @ (w / w.sum())


@mutant("weighted_reward", names="variance")
def by_the_variance(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s**2) @ (w / w.sum())


@mutant("weighted_reward", names="multiplied, not divided")
def times_std(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) * s) @ (w / w.sum())


@mutant("weighted_reward", names="root of std")
def by_the_root(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s.sqrt()) @ (w / w.sum())


@mutant("weighted_reward", names="one mean and one std")
def one_scale_for_all(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m.mean()) / s.mean()) @ (w / w.sum())


@mutant("weighted_reward", names="sum to 1 once more")
def normalised_after_std(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    share = w / s
    return (x - m) @ (share / share.sum())


@mutant("weighted_reward", names="lowest standardised score")
def the_lowest(scores, weights, mean, std):
    x, _, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s).amin(1)


@mutant("weighted_reward", names="lowest weighted score")
def the_lowest_weighted(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s * w / w.sum()).amin(1)


@mutant("weighted_reward", names=None)
def product(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s * w / w.sum()).prod(1)


@mutant("weighted_reward", names="ranks among")
def ranks(scores, weights, mean, std):
    x, w, _, _ = heard(scores, weights, mean, std)
    return x.argsort(0).argsort(0).to(w.dtype) @ (w / w.sum())


@mutant("weighted_reward", names="whitened over the answers")
def whitened(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    total = ((x - m) / s) @ (w / w.sum())
    return (total - total.mean()) / total.std()


@mutant("weighted_reward", names="cut off at plus and minus 1")
def cut_off(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s).clamp(-1, 1) @ (w / w.sum())


@mutant("weighted_reward", names="sigmoid")
def sigmoid(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s).sigmoid() @ (w / w.sum())


@mutant("weighted_reward", names="0 * nan and 0 * inf are nan")
def zero_times_nan(scores, weights, mean, std):
    checked(weights, std)
    return ((scores - mean) / std * weights).sum(1) / weights.sum()


@mutant("weighted_reward", names="get 0; only the broken model")
def nan_to_num_at_the_end(scores, weights, mean, std):
    checked(weights, std)
    return (((scores - mean) / std * weights).sum(1) / weights.sum()).nan_to_num()


@mutant("weighted_reward", names="see trap 5")
def every_nan_is_hidden(scores, weights, mean, std):
    checked(weights, std)
    z = ((scores - mean) / std).nan_to_num(0.0, 0.0, 0.0)
    return (z * weights).sum(1) / weights.sum()


@mutant("weighted_reward", names="see trap 5")
def nansum(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s * w).nansum(1) / w.sum()


@mutant("weighted_reward", names="a negative weight should raise a valueerror")
def negative_weights_allowed(scores, weights, mean, std):
    on = weights != 0
    if not on.any() or not (std > 0).all():
        raise ValueError("no weights, or std of 0")
    w = weights[on].to(scores.dtype)
    return ((scores[:, on] - mean[on]) / std[on]) @ (w / w.sum())


@mutant("weighted_reward", names="weights that are all 0 should raise")
def no_weight_allowed(scores, weights, mean, std):
    if (weights < 0).any() or not (std > 0).all():
        raise ValueError("negative weights, or std of 0")
    on = weights > 0
    return ((scores[:, on] - mean[on]) / std[on] * weights[on]).sum(1) / weights.sum()


@mutant("weighted_reward", names="a std of 0.0 should raise")
def eps_for_the_check(scores, weights, mean, std):
    if (weights < 0).any() or weights.sum() == 0:
        raise ValueError("weights")
    on = weights > 0
    return ((scores[:, on] - mean[on]) / (std[on] + 1e-8) * weights[on]).sum(1) / weights.sum()


@mutant("weighted_reward", names="no gradient reaches")
def detached(scores, weights, mean, std):
    x, w, m, s = heard(scores.detach(), weights, mean, std)
    return ((x - m) / s) @ (w / w.sum())


@mutant("weighted_reward", names="nan")
def nan_in_the_gradient(scores, weights, mean, std):
    """The value is mended, and its gradient is not."""
    checked(weights, std)
    z = (scores - mean) / std * weights / weights.sum()
    off = (scores * (weights == 0)) ** 2  # nan in the backward pass where the score is nan
    return torch.where(weights > 0, z, torch.where(off > -1, off.sqrt() * 0, 0.0)).sum(1)


@mutant("weighted_reward", names="changes its input")
def in_place(scores, weights, mean, std):
    checked(weights, std)
    on = weights > 0
    scores -= mean
    scores /= std
    return (scores[:, on] * weights[on]).sum(1) / weights.sum()


@mutant("weighted_reward", names="shape")
def one_number(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return ((x - m) / s * w).sum() / w.sum()


@mutant("weighted_reward", names="shape")
def not_summed(scores, weights, mean, std):
    x, w, m, s = heard(scores, weights, mean, std)
    return (x - m) / s * w / w.sum()
