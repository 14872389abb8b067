"""Right solutions of simpo_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("simpo_loss")
def gap_over_beta_inside(chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    means = chosen_logprobs / chosen_lengths - rejected_logprobs / rejected_lengths
    return F.softplus(-beta * (means - gamma / beta))


@variant("simpo_loss")
def pair_by_pair(chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    losses = []
    for c, r, m, n in zip(chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths):
        losses.append(-F.logsigmoid(beta * c / m.item() - beta * r / n.item() - gamma))
    return torch.stack(losses)


@variant("simpo_loss")
def common_denominator_in_float64(
    chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5
):
    m, n = chosen_lengths.double(), rejected_lengths.double()
    margin = beta * (chosen_logprobs * n - rejected_logprobs * m) / (m * n) - gamma
    return torch.logaddexp(torch.zeros_like(margin), -margin)


@variant("simpo_loss")
def cross_entropy_of_two(chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    won = beta * chosen_logprobs * chosen_lengths.float().reciprocal() - gamma
    lost = beta * rejected_logprobs * rejected_lengths.float().reciprocal()
    rewards = torch.stack((won, lost.to(won.dtype)), dim=1)
    return F.cross_entropy(rewards, torch.zeros(len(won), dtype=torch.long), reduction="none")


@variant("simpo_loss")
def lengths_clamped(chosen_logprobs, rejected_logprobs, chosen_lengths, rejected_lengths, beta=2.0, gamma=0.5):
    chosen = torch.div(chosen_logprobs, chosen_lengths.clamp(min=1))
    rejected = torch.div(rejected_logprobs, rejected_lengths.clamp(min=1))
    margin = torch.add(beta * (chosen - rejected), -gamma)
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin), reduction="none")
