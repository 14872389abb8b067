"""Wrong solutions of masked_whiten."""

import torch

from minillm.course.testing import mutant


def moments(values, mask):
    counted = values[mask.bool()]
    return counted.mean(), counted.var(correction=0)


@mutant("masked_whiten", names="padding counts, in the mean")
def padding_counts(values, mask):
    return (values - values.mean()) / (values.var(correction=0) + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="padding counts, and is not 0")
def without_the_mask(values, mask):
    return (values - values.mean()) / (values.var(correction=0) + 1e-8).sqrt()


@mutant("masked_whiten", names="padding counts as zeros")
def padding_counts_as_zeros(values, mask):
    values = values * mask
    return (values - values.mean()) / (values.var(correction=0) + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="in the variance, though not in the mean")
def padding_counts_in_the_variance(values, mask):
    mean = values[mask.bool()].mean()
    return (values - mean) / (((values - mean) ** 2).mean() + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="divided by the number of all")
def variance_over_all_columns(values, mask):
    mean = (values * mask).sum() / mask.sum()
    var = ((values - mean) ** 2 * mask).mean()
    return (values - mean) / (var + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="each row is whitened by itself")
def row_by_row(values, mask):
    n = mask.sum(1, keepdim=True)
    mean = (values * mask).sum(1, keepdim=True) / n
    var = ((values - mean) ** 2 * mask).sum(1, keepdim=True) / n
    return (values - mean) / (var + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="each column is whitened by itself")
def column_by_column(values, mask):
    n = mask.sum(0)
    mean = (values * mask).sum(0) / n
    var = ((values - mean) ** 2 * mask).sum(0) / n
    return (values - mean) / (var + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="divided by n - 1")
def sample_variance(values, mask):
    counted = values[mask.bool()]
    return (values - counted.mean()) / (counted.var() + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="padding is not 0")
def padding_left(values, mask):
    mean, var = moments(values, mask)
    return (values - mean) / (var + 1e-8).sqrt()


@mutant("masked_whiten", names="under the root")
def epsilon_beside_the_deviation(values, mask):
    mean, var = moments(values, mask)
    return (values - mean) / (var.sqrt() + 1e-8) * mask


@mutant("masked_whiten", names="add 1e-8 under the root")
def no_epsilon(values, mask):
    mean, var = moments(values, mask)
    return (values - mean) / var.sqrt() * mask


@mutant("masked_whiten", names="epsilon is too large")
def large_epsilon(values, mask):
    mean, var = moments(values, mask)
    return (values - mean) / (var + 1e-5).sqrt() * mask


@mutant("masked_whiten", names="mean is not subtracted")
def not_centred(values, mask):
    _, var = moments(values, mask)
    return values / (var + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="nothing is divided")
def only_centred(values, mask):
    mean, _ = moments(values, mask)
    return (values - mean) * mask


@mutant("masked_whiten", names="division is by the variance")
def divided_by_the_variance(values, mask):
    mean, var = moments(values, mask)
    return (values - mean) / (var + 1e-8) * mask


@mutant("masked_whiten", names="mean is added again")
def shifted_back(values, mask):
    mean, var = moments(values, mask)
    return ((values - mean) / (var + 1e-8).sqrt() + mean) * mask


@mutant("masked_whiten", names="smallest and largest")
def squeezed(values, mask):
    counted = values[mask.bool()]
    return (values - counted.min()) / (counted.max() - counted.min() + 1e-8) * mask


@mutant("masked_whiten", names="root of the mean square")
def root_mean_square(values, mask):
    counted = values[mask.bool()]
    return (values - counted.mean()) / ((counted**2).mean() + 1e-8).sqrt() * mask


@mutant("masked_whiten", names="the result has shape")
def counted_tokens_alone(values, mask):
    counted = values[mask.bool()]
    return (counted - counted.mean()) / (counted.var(correction=0) + 1e-8).sqrt()


@mutant("masked_whiten", names="stopped with")
def bool_mask_only(values, mask):
    return torch.where(mask, (values - values[mask].mean()) / values[mask].std(correction=0), 0.0)


@mutant("masked_whiten", names="changes its input")
def in_place(values, mask):
    mean, var = moments(values, mask)
    return values.sub_(mean).div_((var + 1e-8).sqrt()).mul_(mask)
