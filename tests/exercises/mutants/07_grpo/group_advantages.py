"""Wrong solutions of group_advantages."""

import torch

from minillm.course.testing import mutant


def centred(rewards):
    return rewards - rewards.mean(1, keepdim=True)


@mutant("group_advantages", names="small term 1e-4 is missing")
def without_the_small_term(rewards):
    return centred(rewards) / rewards.std(1, keepdim=True)


@mutant("group_advantages", names="1e-4 is missing")
def nan_to_zero(rewards):
    return (centred(rewards) / rewards.std(1, keepdim=True)).nan_to_num(0.0)


@mutant("group_advantages", names="1e-4 is missing")
def zero_where_all_are_equal(rewards):
    spread = rewards.std(1, keepdim=True)
    return torch.where(spread > 0, centred(rewards) / spread.clamp(min=1e-12), 0.0)


@mutant("group_advantages", names="divided by g, not by g - 1")
def population_deviation(rewards):
    return centred(rewards) / (rewards.std(1, correction=0, keepdim=True) + 1e-4)


@mutant("group_advantages", names="under the root")
def small_term_under_the_root(rewards):
    return centred(rewards) / (rewards.var(1, keepdim=True) + 1e-4).sqrt()


@mutant("group_advantages", names="as in whitening")
def whitened(rewards):
    return centred(rewards) / (rewards.var(1, keepdim=True) + 1e-8).sqrt()


@mutant("group_advantages", names="small term is 1e-8")
def tiny_term(rewards):
    return centred(rewards) / (rewards.std(1, keepdim=True) + 1e-8)


@mutant("group_advantages", names="small term is 1e-6")
def smaller_term(rewards):
    return centred(rewards) / (rewards.std(1, keepdim=True) + 1e-6)


@mutant("group_advantages", names="kept above 1e-4")
def clamped_deviation(rewards):
    return centred(rewards) / rewards.std(1, keepdim=True).clamp(min=1e-4)


@mutant("group_advantages", names="variance")
def by_the_variance(rewards):
    return centred(rewards) / (rewards.var(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="dr. grpo")
def not_divided(rewards):
    return centred(rewards)


@mutant("group_advantages", names="mean is not subtracted")
def not_centred(rewards):
    return rewards / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="mean of the others")
def leave_one_out(rewards):
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    return (rewards - others) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="whole batch")
def over_the_batch(rewards):
    return (rewards - rewards.mean()) / (rewards.std() + 1e-4)


@mutant("group_advantages", names="the spread that of the whole batch")
def spread_of_the_batch(rewards):
    return centred(rewards) / (rewards.std() + 1e-4)


@mutant("group_advantages", names="the mean is that of the whole batch")
def mean_of_the_batch(rewards):
    return (rewards - rewards.mean()) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="down the columns")
def across_prompts(rewards):
    return (rewards - rewards.mean(0)) / (rewards.std(0) + 1e-4)


@mutant("group_advantages", names="brackets")
def without_brackets(rewards):
    return rewards - rewards.mean(1, keepdim=True) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="median")
def median_for_the_mean(rewards):
    return (rewards - rewards.median(1, keepdim=True).values) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="sign is flipped")
def mean_minus_reward(rewards):
    return -centred(rewards) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="mean distance")
def mean_absolute_deviation(rewards):
    return centred(rewards) / (centred(rewards).abs().mean(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="from 0 to 1")
def min_max(rewards):
    low, high = rewards.amin(1, keepdim=True), rewards.amax(1, keepdim=True)
    return (rewards - low) / (high - low)


@mutant("group_advantages", names="keepdim=true")
def dimension_lost(rewards):
    return (rewards - rewards.mean(1)) / (rewards.std(1) + 1e-4)


@mutant("group_advantages", names="changes its input")
def in_place(rewards):
    rewards -= rewards.mean(1, keepdim=True)
    return rewards / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("group_advantages", names="shape")
def flattened(rewards):
    return (centred(rewards) / (rewards.std(1, keepdim=True) + 1e-4)).flatten()


@mutant("group_advantages", names="shape")
def one_number_a_group(rewards):
    return (centred(rewards) / (rewards.std(1, keepdim=True) + 1e-4)).mean(1)


@mutant("group_advantages", names="against 39")
def clamped(rewards):
    return (centred(rewards) / (rewards.std(1, keepdim=True) + 1e-4)).clamp(-3, 3)


@mutant("group_advantages", names=None)
def layer_norm(rewards):
    return torch.nn.functional.layer_norm(rewards, rewards.shape[1:])
