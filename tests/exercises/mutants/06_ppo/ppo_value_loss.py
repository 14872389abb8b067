"""Wrong solutions of ppo_value_loss."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant


def mean_over(each, mask):
    return each[mask.bool()].mean()


def errors(values, near, returns):
    target = returns.detach()
    return (values - target) ** 2, (near - target) ** 2


def near_old(values, old_values, clip):
    old = old_values.detach()
    return old + (values - old).clamp(-clip, clip)


@mutant("ppo_value_loss", names="smaller of both errors")
def smaller_error(values, old_values, returns, mask, clip=0.2):
    return 0.5 * mean_over(torch.minimum(*errors(values, near_old(values, old_values, clip), returns)), mask)


@mutant("ppo_value_loss", names="nothing is clipped")
def no_clip(values, old_values, returns, mask, clip=0.2):
    return 0.5 * mean_over((values - returns.detach()) ** 2, mask)


@mutant("ppo_value_loss", names="nothing is clipped, and the half")
def mean_squared_error(values, old_values, returns, mask, clip=0.2):
    return mean_over((values - returns.detach()) ** 2, mask)


@mutant("ppo_value_loss", names="always used")
def always_clipped(values, old_values, returns, mask, clip=0.2):
    return 0.5 * mean_over(errors(values, near_old(values, old_values, clip), returns)[1], mask)


@mutant("ppo_value_loss", names="half is missing")
def without_the_half(values, old_values, returns, mask, clip=0.2):
    return mean_over(torch.maximum(*errors(values, near_old(values, old_values, clip), returns)), mask)


@mutant("ppo_value_loss", names="not its change")
def value_clipped_about_zero(values, old_values, returns, mask, clip=0.2):
    return 0.5 * mean_over(torch.maximum(*errors(values, values.clamp(-clip, clip), returns)), mask)


@mutant("ppo_value_loss", names="as if it were a ratio")
def value_clipped_about_one(values, old_values, returns, mask, clip=0.2):
    return 0.5 * mean_over(torch.maximum(*errors(values, values.clamp(1 - clip, 1 + clip), returns)), mask)


@mutant("ppo_value_loss", names="ratio of new to old value")
def ratio_clipped(values, old_values, returns, mask, clip=0.2):
    old = old_values.detach()
    near = old * (values / old).clamp(1 - clip, 1 + clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)


@mutant("ppo_value_loss", names="nothing is clipped")
def clipped_about_the_return(values, old_values, returns, mask, clip=0.2):
    near = near_old(values, returns, clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)


@mutant("ppo_value_loss", names="only the change is held")
def old_value_forgotten(values, old_values, returns, mask, clip=0.2):
    near = (values - old_values.detach()).clamp(-clip, clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)


@mutant("ppo_value_loss", names="change has the wrong sign")
def change_turned_round(values, old_values, returns, mask, clip=0.2):
    old = old_values.detach()
    near = old + (old - values).clamp(-clip, clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)


@mutant("ppo_value_loss", names="only clipped above")
def clipped_above_only(values, old_values, returns, mask, clip=0.2):
    old = old_values.detach()
    near = old + (values - old).clamp(max=clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)


@mutant("ppo_value_loss", names="nothing is clipped")
def error_clipped(values, old_values, returns, mask, clip=0.2):
    target = returns.detach()
    near = near_old(values, old_values, clip) - target
    worse = torch.maximum((values - target) ** 2, near.clamp(-clip, clip) ** 2)
    return 0.5 * mean_over(worse, mask)


@mutant("ppo_value_loss", names="error is not squared")
def absolute_error(values, old_values, returns, mask, clip=0.2):
    plain, clipped = errors(values, near_old(values, old_values, clip), returns)
    return 0.5 * mean_over(torch.maximum(plain.sqrt(), clipped.sqrt()), mask)


@mutant("ppo_value_loss", names="square first")
def maximum_before_the_square(values, old_values, returns, mask, clip=0.2):
    target, near = returns.detach(), near_old(values, old_values, clip)
    return 0.5 * mean_over(torch.maximum(values - target, near - target) ** 2, mask)


@mutant("ppo_value_loss", names="both errors are averaged")
def mean_of_both(values, old_values, returns, mask, clip=0.2):
    plain, clipped = errors(values, near_old(values, old_values, clip), returns)
    return 0.5 * mean_over((plain + clipped) / 2, mask)


@mutant("ppo_value_loss", names="0.2 whatever is asked for")
def fixed_clip(values, old_values, returns, mask, clip=0.2):
    return reference("ppo_value_loss")(values, old_values, returns, mask, 0.2)


@mutant("ppo_value_loss", names="not 0.2 when it is not given")
def other_default(values, old_values, returns, mask, clip=0.1):
    return reference("ppo_value_loss")(values, old_values, returns, mask, clip)


@mutant("ppo_value_loss", names="mean over each row is taken first")
def mean_of_each_row_first(values, old_values, returns, mask, clip=0.2):
    each = torch.maximum(*errors(values, near_old(values, old_values, clip), returns)) / 2 * mask
    return (each.sum(1) / mask.sum(1)).mean()


@mutant("ppo_value_loss", names="with a loss of 0")
def mean_over_all_columns(values, old_values, returns, mask, clip=0.2):
    return (torch.maximum(*errors(values, near_old(values, old_values, clip), returns)) / 2 * mask).mean()


@mutant("ppo_value_loss", names="mask is ignored")
def without_the_mask(values, old_values, returns, mask, clip=0.2):
    return 0.5 * torch.maximum(*errors(values, near_old(values, old_values, clip), returns)).mean()


@mutant("ppo_value_loss", names="sum over tokens")
def summed(values, old_values, returns, mask, clip=0.2):
    return 0.5 * (torch.maximum(*errors(values, near_old(values, old_values, clip), returns)) * mask).sum()


@mutant("ppo_value_loss", names="loss of each token")
def not_reduced(values, old_values, returns, mask, clip=0.2):
    return 0.5 * torch.maximum(*errors(values, near_old(values, old_values, clip), returns)) * mask


@mutant("ppo_value_loss", names="no gradient reaches")
def values_detached(values, old_values, returns, mask, clip=0.2):
    return reference("ppo_value_loss")(values.detach(), old_values, returns, mask, clip)


@mutant("ppo_value_loss", names="goes on where the error is clipped")
def gradient_through_the_clip(values, old_values, returns, mask, clip=0.2):
    plain, clipped = errors(values, near_old(values, old_values, clip), returns)
    worse = torch.maximum(plain, clipped)
    return 0.5 * mean_over(plain + (worse - plain).detach(), mask)


@mutant("ppo_value_loss", names="a gradient flows into returns")
def gradient_to_the_returns(values, old_values, returns, mask, clip=0.2):
    near = near_old(values, old_values, clip)
    return 0.5 * mean_over(torch.maximum((values - returns) ** 2, (near - returns) ** 2), mask)


@mutant("ppo_value_loss", names="a gradient flows into old_values")
def gradient_to_the_old_values(values, old_values, returns, mask, clip=0.2):
    near = old_values + (values - old_values).clamp(-clip, clip)
    return 0.5 * mean_over(torch.maximum(*errors(values, near, returns)), mask)
