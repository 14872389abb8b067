"""Right solutions of dpo_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("dpo_loss")
def policy_gap_minus_reference_gap(
    chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1
):
    policy = chosen_logprobs - rejected_logprobs
    with torch.no_grad():
        reference = ref_chosen_logprobs - ref_rejected_logprobs
    return F.softplus(-beta * (policy - reference))


@variant("dpo_loss")
def cross_entropy_of_two(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    won = beta * (chosen_logprobs - ref_chosen_logprobs.detach())
    lost = beta * (rejected_logprobs - ref_rejected_logprobs.detach())
    rewards = torch.stack((won, lost), dim=1)
    return F.cross_entropy(rewards, torch.zeros(len(won), dtype=torch.long), reduction="none")


@variant("dpo_loss")
def pair_by_pair(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    losses = []
    for c, r, rc, rr in zip(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs):
        margin = beta * (c - rc.item() - r + rr.item())
        losses.append(-F.logsigmoid(margin))
    return torch.stack(losses)


@variant("dpo_loss")
def binary_cross_entropy_in_float64(
    chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1
):
    h = chosen_logprobs.double() - ref_chosen_logprobs.detach() - rejected_logprobs + ref_rejected_logprobs.detach()
    return F.binary_cross_entropy_with_logits(beta * h, torch.ones_like(h), reduction="none")


@variant("dpo_loss")
def logaddexp(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    won = (chosen_logprobs - ref_chosen_logprobs.data) * beta
    lost = (rejected_logprobs - ref_rejected_logprobs.data) * beta
    return torch.logaddexp(won, lost) - won


@variant("dpo_loss")
def maximum_taken_out(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    moved = torch.sub(chosen_logprobs, ref_chosen_logprobs.detach())
    x = -beta * (moved - torch.sub(rejected_logprobs, ref_rejected_logprobs.detach()))
    return torch.where(x > 0, x, 0.0) + torch.log1p(torch.exp(-torch.abs(x)))
