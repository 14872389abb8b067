"""Right solutions of shape_rewards that look different."""

import torch
import torch.nn.functional as F

from minillm.course.exercises import reference
from minillm.course.testing import variant


@variant("shape_rewards")
def row_by_row(logprobs, ref_logprobs, scores, mask, beta):
    rewards = torch.zeros_like(logprobs)
    for b, n in enumerate(mask.int().sum(1).tolist()):
        for t in range(n):
            rewards[b, t] = beta * (ref_logprobs[b, t] - logprobs[b, t])
        rewards[b, n - 1] += scores[b]
    return rewards.detach()


@variant("shape_rewards")
def where_the_next_is_padding(logprobs, ref_logprobs, scores, mask, beta):
    with torch.no_grad():
        mask = mask.bool()
        last = mask & ~F.pad(mask[:, 1:], (0, 1), value=False)
        return torch.where(mask, beta * (ref_logprobs - logprobs), 0.0) + scores[:, None] * last


@variant("shape_rewards")
def with_the_first_estimate(logprobs, ref_logprobs, scores, mask, beta):
    k1, _, _ = reference("kl_estimates")(logprobs.detach().double(), ref_logprobs.detach().double())
    rewards = -beta * k1 * mask
    rewards[range(len(mask)), mask.sum(1).long() - 1] += scores.detach().double()
    return rewards


@variant("shape_rewards")
@torch.no_grad()
def one_hot(logprobs, ref_logprobs, scores, mask, beta):
    end = F.one_hot(mask.long().sum(-1) - 1, mask.shape[-1]).to(scores)
    paid = (beta * (logprobs - ref_logprobs)).masked_fill(mask == 0, 0)
    return torch.einsum("b,bt->bt", scores, end) - paid
