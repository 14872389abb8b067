"""Wrong solutions of grpo_loss."""

import torch

from minillm.course.testing import mutant


def parts(logprobs, old, ref, advantages, clip):
    """(clipped loss, k3) of each token, (B, T)."""
    advantages, old, ref = advantages.detach()[:, None], old.detach(), ref.detach()
    ratio = (logprobs - old).exp()
    surrogate = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    return surrogate, (ref - logprobs).exp() - 1 - (ref - logprobs)


def over_answers(each, mask):
    mask = mask.to(each.dtype)
    return ((each * mask).sum(1) / mask.sum(1)).mean()


@mutant("grpo_loss", names="as in dapo")
def mean_over_all_tokens(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3) * mask).sum() / mask.sum()


@mutant("grpo_loss", names="as in dapo")
def boolean_mean(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return (surrogate + beta * k3)[mask.bool()].mean()


@mutant("grpo_loss", names="dr. grpo")
def mean_with_padding_below_the_line(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3) * mask).mean()


@mutant("grpo_loss", names="added, not averaged")
def sum_over_tokens(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3) * mask).sum(1).mean()


@mutant("grpo_loss", names="added")
def sum_of_everything(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3) * mask).sum()


@mutant("grpo_loss", names="shape")
def one_loss_an_answer(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3) * mask).sum(1) / mask.sum(1)


@mutant("grpo_loss", names="mask is ignored")
def without_the_mask(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return (surrogate + beta * k3).mean(1).mean()


@mutant("grpo_loss", names="mask is ignored in the sum")
def unmasked_sum(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return ((surrogate + beta * k3).sum(1) / mask.sum(1)).mean()


@mutant("grpo_loss", names="ignored in the kl")
def unmasked_kl(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate, mask) + beta * k3.mean(1).mean()


@mutant("grpo_loss", names="kl term is averaged over all tokens")
def two_reductions(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate, mask) + beta * (k3 * mask).sum() / mask.sum()


@mutant("grpo_loss", names="smaller loss")
def minimum(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    advantages = advantages.detach()[:, None]
    ratio = (logprobs - old.detach()).exp()
    surrogate = torch.minimum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages[:, 0], clip)[1], mask)


@mutant("grpo_loss", names="smaller loss")
def minus_maximum(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a = advantages.detach()[:, None]
    ratio = (logprobs - old.detach()).exp()
    surrogate = -torch.max(ratio * a, ratio.clamp(1 - clip, 1 + clip) * a)
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="nothing is clipped")
def without_the_clip(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, 1e6)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="always used")
def always_clipped(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    ratio = (logprobs - old.detach()).exp().clamp(1 - clip, 1 + clip)
    return over_answers(
        -advantages.detach()[:, None] * ratio + beta * parts(logprobs, old, ref, advantages, 1)[1], mask
    )


@mutant("grpo_loss", names="only from above")
def clipped_from_above(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, ratio = advantages.detach()[:, None], (logprobs - old.detach()).exp()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(max=1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, 1)[1], mask)


@mutant("grpo_loss", names="log of the ratio is clipped")
def clipped_log_ratio(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, log_ratio = advantages.detach()[:, None], logprobs - old.detach()
    surrogate = torch.maximum(-a * log_ratio.exp(), -a * log_ratio.clamp(-clip, clip).exp())
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, 1)[1], mask)


@mutant("grpo_loss", names="old over new")
def ratio_turned_round(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, ratio = advantages.detach()[:, None], (old.detach() - logprobs).exp()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, 1)[1], mask)


@mutant("grpo_loss", names="exp is missing")
def log_of_the_ratio(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, ratio = advantages.detach()[:, None], logprobs - old.detach()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, 1)[1], mask)


@mutant("grpo_loss", names="to the reference, not to the old policy")
def ratio_to_the_reference(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate = parts(logprobs, ref, ref, advantages, clip)[0]
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="the ratio is 1 everywhere")
def on_policy_only(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, logprobs, ref, advantages, clip)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="there is no ratio")
def reinforce(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate = -advantages.detach()[:, None] * logprobs
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="minus is missing")
def maximised(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, -advantages, clip)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="a loss is minus that")
def objective(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return -over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="gspo")
def sequence_ratio(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    mask = mask.to(logprobs.dtype)
    log_ratio = ((logprobs - old.detach()) * mask).sum(1) / mask.sum(1)
    a, ratio = advantages.detach(), log_ratio.exp()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip)).mean()
    return surrogate + beta * over_answers(parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="turned round")
def k3_turned_round(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    lr = logprobs - ref.detach()
    return over_answers(parts(logprobs, old, ref, advantages, clip)[0] + beta * (lr.exp() - 1 - lr), mask)


@mutant("grpo_loss", names="k1")
def k1(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    return over_answers(parts(logprobs, old, ref, advantages, clip)[0] + beta * (logprobs - ref.detach()), mask)


@mutant("grpo_loss", names="k2")
def k2(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    square = (logprobs - ref.detach()) ** 2 / 2
    return over_answers(parts(logprobs, old, ref, advantages, clip)[0] + beta * square, mask)


@mutant("grpo_loss", names="- 1 of k3 is missing")
def k3_without_the_one(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * (k3 + 1), mask)


@mutant("grpo_loss", names="to the old policy, not to the reference")
def leash_to_the_old_policy(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, old, advantages, clip)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="kl term is subtracted")
def leash_subtracted(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate - beta * k3, mask)


@mutant("grpo_loss", names="kl term is missing")
def without_the_leash(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    return over_answers(parts(logprobs, old, ref, advantages, clip)[0], mask)


@mutant("grpo_loss", names="beta is not used")
def without_beta(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + k3, mask)


@mutant("grpo_loss", names="taken off the advantage")
def leash_in_the_advantage(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    k3 = parts(logprobs, old, ref, advantages, clip)[1]
    a, ratio = advantages.detach()[:, None] - beta * k3, (logprobs - old.detach()).exp()
    return over_answers(torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip)), mask)


@mutant("grpo_loss", names="weighted by the ratio")
def leash_times_ratio(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * k3 * (logprobs - old.detach()).exp(), mask)


@mutant("grpo_loss", names="clip is 0.2, whatever")
def built_in_clip(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, 0.2)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="beta is 0.04, whatever")
def built_in_beta(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + 0.04 * k3, mask)


@mutant("grpo_loss", names="clip and beta left out")
def other_defaults(logprobs, old, ref, advantages, mask, clip=0.1, beta=0.1):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names="old_logprobs.detach()")
def old_policy_learns(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, ratio = advantages.detach()[:, None], (logprobs - old).exp()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="ref_logprobs.detach()")
def reference_learns(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    k3 = (ref - logprobs).exp() - 1 - (ref - logprobs)
    return over_answers(parts(logprobs, old, ref, advantages, clip)[0] + beta * k3, mask)


@mutant("grpo_loss", names="advantages.detach()")
def advantages_learn(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    a, ratio = advantages[:, None], (logprobs - old.detach()).exp()
    surrogate = torch.maximum(-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))
    return over_answers(surrogate + beta * parts(logprobs, old, ref, advantages, clip)[1], mask)


@mutant("grpo_loss", names="through the kl term")
def leash_without_a_gradient(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * k3.detach(), mask)


@mutant("grpo_loss", names="through the ratio")
def ratio_without_a_gradient(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate.detach() + beta * k3, mask)


@mutant("grpo_loss", names="no gradient reaches")
def a_number(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * k3, mask).item()


@mutant("grpo_loss", names="size of tensor")
def advantages_not_lifted(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    ratio = (logprobs - old.detach()).exp()
    return (-advantages * ratio * mask).mean()


@mutant("grpo_loss", names=None)
def whitened_again(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers(surrogate + beta * k3, mask)


@mutant("grpo_loss", names=None)
def first_token_skipped(logprobs, old, ref, advantages, mask, clip=0.2, beta=0.04):
    surrogate, k3 = parts(logprobs, old, ref, advantages, clip)
    return over_answers((surrogate + beta * k3)[:, 1:], mask[:, 1:].clamp(min=0))
