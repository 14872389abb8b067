"""Right solutions of ipo_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("ipo_loss")
def policy_gap_minus_reference_gap(
    chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1
):
    with torch.no_grad():
        wanted = ref_chosen_logprobs - ref_rejected_logprobs + 0.5 / beta
    return torch.square(chosen_logprobs - rejected_logprobs - wanted)


@variant("ipo_loss")
def mean_squared_error(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    h = chosen_logprobs - ref_chosen_logprobs.detach() - rejected_logprobs + ref_rejected_logprobs.detach()
    return F.mse_loss(h, torch.full_like(h, 1 / (2 * beta)), reduction="none")


@variant("ipo_loss")
def pair_by_pair(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    losses = []
    for c, r, rc, rr in zip(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs):
        losses.append(((c - rc.item()) - (r - rr.item()) - 1 / (2 * beta)).pow(2))
    return torch.stack(losses)


@variant("ipo_loss")
def scaled_in_float64(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    won = chosen_logprobs.double() - ref_chosen_logprobs.detach()
    lost = rejected_logprobs.double() - ref_rejected_logprobs.detach()
    return (2 * beta * (won - lost) - 1) ** 2 / (4 * beta**2)


@variant("ipo_loss")
def goal_minus_h(chosen_logprobs, rejected_logprobs, ref_chosen_logprobs, ref_rejected_logprobs, beta=0.1):
    goal = (2 * beta) ** -1
    short = goal - chosen_logprobs + ref_chosen_logprobs.data + rejected_logprobs - ref_rejected_logprobs.data
    return short * short
