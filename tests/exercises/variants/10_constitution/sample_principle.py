"""Right solutions of sample_principle that look different."""

import torch

from minillm.course.testing import variant


@variant("sample_principle")
def cumulative(principles, generator, weights=None):
    weights = weights if weights is not None else [1.0] * len(principles)
    if len(principles) == 0 or len(weights) != len(principles):
        raise ValueError("nothing to draw from, or weights that do not fit")
    point = torch.rand((), generator=generator, dtype=torch.float64).item() * sum(weights)
    for principle, weight in zip(principles, weights):
        point -= weight
        if point < 0:
            return principle
    return [p for p, w in zip(principles, weights) if w > 0][-1]


@variant("sample_principle")
def searchsorted(principles, generator, weights=None):
    if not len(principles) or len(weights or principles) != len(principles):
        raise ValueError("they do not fit")
    edges = torch.tensor(weights or [1.0] * len(principles), dtype=torch.float64).cumsum(0)
    point = torch.rand(1, generator=generator, dtype=torch.float64) * edges[-1]
    return principles[int(torch.searchsorted(edges, point, right=True))]


@variant("sample_principle")
def two_ways(principles, generator, weights=None):
    if not principles:
        raise ValueError("there are none")
    if weights is None:
        return principles[torch.randint(0, len(principles), (1,), generator=generator).item()]
    if len(weights) != len(principles):
        raise ValueError("weights and principles differ in number")
    normalised = torch.tensor(weights) / sum(weights)
    return principles[torch.multinomial(normalised, 1, generator=generator)]


@variant("sample_principle")
def gumbel(principles, generator, weights=None):
    weights = [1.0] * len(principles) if weights is None else weights
    if not principles or len(weights) != len(principles):
        raise ValueError("weights do not fit")
    noise = -(-torch.rand(len(weights), generator=generator, dtype=torch.float64).log()).log()
    return principles[int((torch.tensor(weights, dtype=torch.float64).log() + noise).argmax())]
