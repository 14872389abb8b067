"""Right solutions of grpo_loss that look different."""

import torch

from minillm.course.testing import variant


@variant("grpo_loss")
def minus_the_minimum(logprobs, old_logprobs, ref_logprobs, advantages, mask, clip=0.2, beta=0.04):
    a = advantages.detach().unsqueeze(1)
    ratio = torch.exp(logprobs - old_logprobs.detach())
    gain = torch.min(ratio * a, torch.clamp(ratio, 1 - clip, 1 + clip) * a)
    gap = ref_logprobs.detach() - logprobs
    gain = gain - beta * (torch.expm1(gap) - gap)
    gain = torch.where(mask.bool(), gain, 0.0)
    return -(gain.sum(-1) / mask.bool().sum(-1)).mean()


@variant("grpo_loss")
def answer_by_answer(logprobs, old_logprobs, ref_logprobs, advantages, mask, clip=0.2, beta=0.04):
    losses = []
    for b in range(len(logprobs)):
        keep = mask[b].bool()
        new, old, ref = logprobs[b][keep], old_logprobs[b][keep].detach(), ref_logprobs[b][keep].detach()
        a, ratio = advantages[b].item(), (new - old).exp()
        policy = torch.stack((-a * ratio, -a * ratio.clamp(1 - clip, 1 + clip))).amax(0)
        losses.append((policy + beta * ((ref - new).exp() + (new - ref) - 1)).mean())
    return torch.stack(losses).mean()


@variant("grpo_loss")
def weights_first(logprobs, old_logprobs, ref_logprobs, advantages, mask, clip=0.2, beta=0.04):
    with torch.no_grad():
        weight = mask.double() / mask.double().sum(1, keepdim=True) / len(mask)
    ratio = (logprobs.double() - old_logprobs.detach()).exp()
    a = advantages.detach().double()[:, None].expand_as(ratio)
    bound = torch.where(a > 0, ratio.clamp(max=1 + clip), ratio.clamp(min=1 - clip))
    gap = ref_logprobs.detach().double() - logprobs
    return (weight * (-a * bound + beta * (gap.exp() - gap - 1))).sum()


@variant("grpo_loss")
def two_means(logprobs, old_logprobs, ref_logprobs, advantages, mask, clip=0.2, beta=0.04):
    m = mask.float()
    n = m.sum(1).clamp(min=1)

    def mean(values):
        return ((values * m).sum(1) / n).mean()

    a, log_ratio = advantages.detach().reshape(-1, 1), logprobs - old_logprobs.detach()
    ratio = log_ratio.exp()
    policy = mean(torch.maximum(-a * ratio, -a * torch.clip(ratio, 1.0 - clip, 1.0 + clip)))
    gap = ref_logprobs.detach() - logprobs
    return policy + beta * mean(gap.exp() - 1 - gap)


@variant("grpo_loss")
def relu_of_the_excess(logprobs, old_logprobs, ref_logprobs, advantages, mask, clip=0.2, beta=0.04):
    a, keep = advantages.detach()[:, None], mask != 0
    new = torch.where(keep, logprobs, logprobs.detach())
    ratio = (new - old_logprobs.detach()).exp()
    surrogate = -a * ratio + (a * ratio - a * ratio.clamp(1 - clip, 1 + clip)).relu()
    gap = ref_logprobs.detach() - new
    each = (surrogate + beta * (gap.exp() - 1 - gap)).masked_fill(~keep, 0.0)
    return torch.einsum("bt,b->", each, (1 / keep.sum(1)).to(each.dtype)) / len(each)
