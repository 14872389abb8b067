"""Right solutions of optimal_policy that look different."""

import math

import torch
from torch.distributions import Categorical

from minillm.course.testing import variant


@variant("optimal_policy")
def log_softmax(ref_logprobs, rewards, beta):
    return torch.log_softmax(ref_logprobs + rewards / beta, dim=-1)


@variant("optimal_policy")
def advantages_in_float64(ref_logprobs, rewards, beta):
    q, r = ref_logprobs.double(), rewards.double()
    advantage = r - q.exp() @ r
    return (q + advantage / beta).log_softmax(0)


@variant("optimal_policy")
def categorical(ref_logprobs, rewards, beta):
    return Categorical(logits=ref_logprobs + (rewards - rewards.max()) / beta).logits


@variant("optimal_policy")
def largest_subtracted_by_hand(ref_logprobs, rewards, beta):
    tilted = rewards / beta + ref_logprobs
    top = tilted.max()
    return tilted - top - (tilted - top).exp().sum().log()


@variant("optimal_policy")
def sequence_by_sequence(ref_logprobs, rewards, beta):
    tilted = [q + r / beta for q, r in zip(ref_logprobs, rewards)]
    log_z = torch.tensor(-math.inf)
    for each in tilted:
        if each > -math.inf:
            log_z = torch.logaddexp(log_z, each) if log_z > -math.inf else each
    return torch.stack([each - log_z for each in tilted])
