"""Right solutions of preference_probability that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("preference_probability")
def softmax_over_the_pair(utility_a, utility_b, temperature=1.0):
    return torch.stack((utility_a, utility_b)).div(temperature).softmax(0)[0]


@variant("preference_probability")
def in_float64_by_way_of_the_log(utility_a, utility_b, temperature=1.0):
    return torch.exp(-F.softplus((utility_b.double() - utility_a.double()) / temperature))


@variant("preference_probability")
def written_out(utility_a, utility_b, temperature=1.0):
    return 1 / (1 + torch.exp((utility_b - utility_a) / temperature))


@variant("preference_probability")
def one_minus_the_other(utility_a, utility_b, temperature=1.0):
    return 1 - (utility_b - utility_a).div(temperature).sigmoid()


@variant("preference_probability")
def pair_by_pair(utility_a, utility_b, temperature=1.0):
    pairs = zip(utility_a.flatten(), utility_b.flatten())
    return torch.stack([((a - b) / temperature).sigmoid() for a, b in pairs]).view(utility_a.shape)
