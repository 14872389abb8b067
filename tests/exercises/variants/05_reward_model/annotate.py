"""Right solutions of annotate that look different."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import variant


@variant("annotate")
def with_bernoulli(utility_a, utility_b, temperature, flip, generator):
    p = reference("preference_probability")(utility_a, utility_b, temperature)
    labels = torch.bernoulli(p, generator=generator).bool()
    slips = torch.bernoulli(torch.full_like(p, flip), generator=generator).bool()
    return torch.where(slips, ~labels, labels)


@variant("annotate")
def one_draw_from_the_mixture(utility_a, utility_b, temperature, flip, generator):
    p = torch.sigmoid((utility_a - utility_b) / temperature)
    mixed = p * (1 - flip) + (1 - p) * flip
    return torch.rand(len(p), generator=generator, dtype=torch.float64) < mixed


@variant("annotate")
def perceived_with_noise(utility_a, utility_b, temperature, flip, generator):
    noise = -torch.log(torch.empty(2, len(utility_a)).exponential_(generator=generator))
    labels = utility_a + temperature * noise[0] > utility_b + temperature * noise[1]
    return labels != (torch.rand(len(labels), generator=generator) < flip)


@variant("annotate")
def as_numbers(utility_a, utility_b, temperature, flip, generator):
    p = torch.sigmoid((utility_a - utility_b) / temperature)
    labels = (torch.rand(len(p), generator=generator) <= p).int()
    slips = (torch.rand(len(p), generator=generator) < flip).int()
    return (labels + slips) % 2


@variant("annotate")
def utilities_swapped_for_a_slip(utility_a, utility_b, temperature, flip, generator):
    slip = torch.rand(utility_a.shape, generator=generator) < flip
    gap = torch.where(slip, utility_b - utility_a, utility_a - utility_b) / temperature
    return torch.rand(gap.shape, generator=generator).logit() < gap
