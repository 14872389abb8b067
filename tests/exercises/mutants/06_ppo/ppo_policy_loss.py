"""Wrong solutions of ppo_policy_loss."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant


def mean_over(each, mask):
    return each[mask.bool()].mean()


def both(ratio, advantages, clip):
    a = advantages.detach()
    return -a * ratio, -a * ratio.clamp(1 - clip, 1 + clip)


def ratio_of(logprobs, old_logprobs):
    return (logprobs - old_logprobs.detach()).exp()


@mutant("ppo_policy_loss", names="optimistic branch")
def smaller_loss(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(torch.minimum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)), mask)


@mutant("ppo_policy_loss", names="optimistic branch")
def larger_gain(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    return -mean_over(torch.maximum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a), mask)


@mutant("ppo_policy_loss", names="nothing is clipped")
def no_clip(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(-advantages.detach() * ratio_of(logprobs, old_logprobs), mask)


@mutant("ppo_policy_loss", names="always used")
def always_clipped(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(both(ratio_of(logprobs, old_logprobs), advantages, clip)[1], mask)


@mutant("ppo_policy_loss", names="upside down")
def old_over_new(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio = (old_logprobs.detach() - logprobs).exp()
    return mean_over(torch.maximum(*both(ratio, advantages, clip)), mask)


@mutant("ppo_policy_loss", names="exp is missing")
def log_ratio(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(torch.maximum(*both(logprobs - old_logprobs.detach(), advantages, clip)), mask)


@mutant("ppo_policy_loss", names="ratio is one of log-probabilities")
def ratio_of_logs(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(torch.maximum(*both(logprobs / old_logprobs.detach(), advantages, clip)), mask)


@mutant("ppo_policy_loss", names="minus is missing")
def gain_not_loss(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    return mean_over(torch.minimum(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a), mask)


@mutant("ppo_policy_loss", names="minus is missing, and so")
def advantages_turned_round(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(torch.maximum(*both(ratio_of(logprobs, old_logprobs), -advantages, clip)), mask)


@mutant("ppo_policy_loss", names="log-ratio is clipped")
def log_ratio_clipped(logprobs, old_logprobs, advantages, mask, clip=0.2):
    lr, a = logprobs - old_logprobs.detach(), advantages.detach()
    return mean_over(torch.maximum(-a * lr.exp(), -a * lr.clamp(-clip, clip).exp()), mask)


@mutant("ppo_policy_loss", names="product of ratio and advantage")
def product_clipped(logprobs, old_logprobs, advantages, mask, clip=0.2):
    gain = advantages.detach() * ratio_of(logprobs, old_logprobs)
    return mean_over(torch.maximum(-gain, -gain.clamp(1 - clip, 1 + clip)), mask)


@mutant("ppo_policy_loss", names="[-clip, clip]")
def clipped_about_zero(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    return mean_over(torch.maximum(-a * ratio, -a * ratio.clamp(-clip, clip)), mask)


@mutant("ppo_policy_loss", names="only clipped above")
def clipped_above_only(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    return mean_over(torch.maximum(-a * ratio, -a * ratio.clamp(max=1 + clip)), mask)


@mutant("ppo_policy_loss", names="only clipped below")
def clipped_below_only(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    return mean_over(torch.maximum(-a * ratio, -a * ratio.clamp(min=1 - clip)), mask)


@mutant("ppo_policy_loss", names="0.2 whatever is asked for")
def fixed_clip(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return reference("ppo_policy_loss")(logprobs, old_logprobs, advantages, mask, 0.2)


@mutant("ppo_policy_loss", names="not 0.2 when it is not given")
def other_default(logprobs, old_logprobs, advantages, mask, clip=0.1):
    return reference("ppo_policy_loss")(logprobs, old_logprobs, advantages, mask, clip)


@mutant("ppo_policy_loss", names="of whole answers")
def ratio_of_the_answer(logprobs, old_logprobs, advantages, mask, clip=0.2):
    lr = ((logprobs - old_logprobs.detach()) * mask).sum(1, keepdim=True)
    return mean_over(torch.maximum(*both(lr.exp().expand_as(logprobs), advantages, clip)), mask)


@mutant("ppo_policy_loss", names="whitened here")
def whitened_again(logprobs, old_logprobs, advantages, mask, clip=0.2):
    white = reference("masked_whiten")(advantages, mask)
    return reference("ppo_policy_loss")(logprobs, old_logprobs, white, mask, clip)


@mutant("ppo_policy_loss", names="plain policy gradient")
def reinforce(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(-advantages.detach() * logprobs, mask)


@mutant("ppo_policy_loss", names="not its sign")
def size_of_the_advantage(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return reference("ppo_policy_loss")(logprobs, old_logprobs, advantages.abs(), mask, clip)


@mutant("ppo_policy_loss", names="mean over each row is taken first")
def mean_of_each_row_first(logprobs, old_logprobs, advantages, mask, clip=0.2):
    each = torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)) * mask
    return (each.sum(1) / mask.sum(1)).mean()


@mutant("ppo_policy_loss", names="with a loss of 0")
def mean_over_all_columns(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return (torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)) * mask).mean()


@mutant("ppo_policy_loss", names="mask is ignored")
def without_the_mask(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)).mean()


@mutant("ppo_policy_loss", names="sum over tokens")
def summed(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return (torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)) * mask).sum()


@mutant("ppo_policy_loss", names="sums of the rows")
def sums_of_rows(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return (torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)) * mask).sum(1).mean()


@mutant("ppo_policy_loss", names="loss of each token")
def not_reduced(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return torch.maximum(*both(ratio_of(logprobs, old_logprobs), advantages, clip)) * mask


@mutant("ppo_policy_loss", names="no gradient reaches")
def ratio_detached(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return mean_over(torch.maximum(*both(ratio_of(logprobs, old_logprobs).detach(), advantages, clip)), mask)


@mutant("ppo_policy_loss", names="no gradient reaches")
def old_is_the_new_one(logprobs, old_logprobs, advantages, mask, clip=0.2):
    loss = reference("ppo_policy_loss")(logprobs, old_logprobs, advantages, mask, clip)
    return loss.detach().item()


@mutant("ppo_policy_loss", names="goes on where the loss is clipped")
def gradient_through_the_clip(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio, a = ratio_of(logprobs, old_logprobs), advantages.detach()
    plain, clipped = both(ratio, a, clip)
    value = torch.maximum(plain, clipped)
    return mean_over(plain + (value - plain).detach(), mask)


@mutant("ppo_policy_loss", names="a gradient flows into old_logprobs")
def gradient_to_the_old_policy(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio = (logprobs - old_logprobs).exp()
    return mean_over(torch.maximum(*both(ratio, advantages, clip)), mask)


@mutant("ppo_policy_loss", names="a gradient flows into advantages")
def gradient_to_the_advantages(logprobs, old_logprobs, advantages, mask, clip=0.2):
    ratio = ratio_of(logprobs, old_logprobs)
    return mean_over(-torch.minimum(advantages * ratio, advantages * ratio.clamp(1 - clip, 1 + clip)), mask)


@mutant("ppo_policy_loss", names="averaged before they are multiplied")
def product_of_means(logprobs, old_logprobs, advantages, mask, clip=0.2):
    return -mean_over(ratio_of(logprobs, old_logprobs), mask) * mean_over(advantages.detach(), mask)
