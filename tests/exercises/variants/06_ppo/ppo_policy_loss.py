"""Right solutions of ppo_policy_loss that look different."""

import torch

from minillm.course.testing import variant


@variant("ppo_policy_loss")
def minus_the_smaller_gain(logprobs, old_logprobs, advantages, mask, clip=0.2):
    old, a, m = old_logprobs.detach(), advantages.detach(), mask.to(logprobs.dtype)
    ratio = torch.exp(logprobs - old)
    gain = torch.min(ratio * a, torch.clamp(ratio, 1 - clip, 1 + clip) * a)
    return -(gain * m).sum() / m.sum()


@variant("ppo_policy_loss")
def by_the_sign_of_the_advantage(logprobs, old_logprobs, advantages, mask, clip=0.2):
    with torch.no_grad():
        a = advantages.double()
        limit = torch.where(a >= 0, 1 + clip, 1 - clip)
    ratio = (logprobs.double() - old_logprobs.detach().double()).exp()
    kept = torch.where(a >= 0, torch.minimum(ratio, limit), torch.maximum(ratio, limit))
    return (-a * kept * mask).sum().div(mask.sum())


@variant("ppo_policy_loss")
def token_by_token(logprobs, old_logprobs, advantages, mask, clip=0.2):
    losses = []
    for b, t in mask.nonzero().tolist():
        ratio = (logprobs[b, t] - old_logprobs[b, t].item()).exp()
        a = advantages[b, t].item()
        losses.append(torch.stack((-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))).max())
    return torch.stack(losses).mean()


@variant("ppo_policy_loss")
def as_a_weighted_sum(logprobs, old_logprobs, advantages, mask, clip=0.2):
    weights = mask.float() / mask.float().sum()
    ratio = (logprobs - old_logprobs.clone().detach()).exp()
    a = advantages.clone().detach()
    stacked = torch.stack((a * ratio, a * ratio.clip(1.0 - clip, 1.0 + clip)))
    return torch.einsum("bt,bt->", -stacked.amin(0).float(), weights)
