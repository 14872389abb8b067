"""Wrong solutions of rms_norm."""

import torch

from minillm.course.testing import mutant


def rms(x, eps=1e-5):
    return (x.square().mean(-1, keepdim=True) + eps).sqrt()


@mutant("rms_norm", names="the mean is subtracted")
def layer_norm(x, weight, eps=1e-5):
    x = x - x.mean(-1, keepdim=True)
    return x / rms(x, eps) * weight


@mutant("rms_norm", names="torch.std")
def divides_by_std(x, weight, eps=1e-5):
    return x / (x.std(-1, keepdim=True) + eps) * weight


@mutant("rms_norm", names="root of the variance")
def divides_by_root_of_variance(x, weight, eps=1e-5):
    return x * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight


@mutant("rms_norm", names="added up, not averaged")
def sum_for_mean(x, weight, eps=1e-5):
    return x / (x.square().sum(-1, keepdim=True) + eps).sqrt() * weight


@mutant("rms_norm", names="root is missing")
def no_root(x, weight, eps=1e-5):
    return x / (x.square().mean(-1, keepdim=True) + eps) * weight


@mutant("rms_norm", names="whole tensor")
def mean_over_everything(x, weight, eps=1e-5):
    return x / (x.square().mean() + eps).sqrt() * weight


@mutant("rms_norm", names="over the positions")
def mean_over_positions(x, weight, eps=1e-5):
    return x / (x.square().mean(max(-2, -x.ndim), keepdim=True) + eps).sqrt() * weight


@mutant("rms_norm", names="weight is missing")
def no_weight(x, weight, eps=1e-5):
    return x / rms(x, eps)


@mutant("rms_norm", names="1 + weight")
def weight_plus_one(x, weight, eps=1e-5):
    return x / rms(x, eps) * (1 + weight)


@mutant("rms_norm", names="outside the root")
def eps_outside(x, weight, eps=1e-5):
    return x / (x.square().mean(-1, keepdim=True).sqrt() + eps) * weight


@mutant("rms_norm", names="eps is left out")
def no_eps(x, weight, eps=1e-5):
    return x / x.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-30) * weight


@mutant("rms_norm", names="eps is 1e-5 whatever was passed")
def fixed_eps(x, weight, eps=1e-5):
    return x / rms(x) * weight


@mutant("rms_norm", names="must match the size")
def no_keepdim(x, weight, eps=1e-5):
    return x / (x.square().mean(-1) + eps).sqrt() * weight


@mutant("rms_norm", names="the root is cut off")
def root_without_gradient(x, weight, eps=1e-5):
    return x / rms(x, eps).detach() * weight


@mutant("rms_norm", names="no gradient reaches")
def rebuilt_from_data(x, weight, eps=1e-5):
    return x.data / rms(x.data, eps) * weight


@mutant("rms_norm", names="changes its input")
def in_place(x, weight, eps=1e-5):
    x /= rms(x, eps)
    return x * weight


@mutant("rms_norm", names="absolute values")
def mean_of_absolute_values(x, weight, eps=1e-5):
    return x / (x.abs().mean(-1, keepdim=True) + eps) * weight
