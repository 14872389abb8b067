"""Right solutions of difference_in_means that look different."""

import torch
from torch.nn.functional import normalize

from minillm.course.testing import variant


@variant("difference_in_means")
def with_normalize(positive, negative):
    if positive.shape[0] == 0 or negative.shape[0] == 0:
        raise ValueError("an empty set")
    gap = torch.mean(positive, 0) - torch.mean(negative, 0)
    if torch.allclose(gap, torch.zeros_like(gap), atol=1e-12):
        raise ValueError("no difference")
    return normalize(gap, dim=0), torch.linalg.vector_norm(gap)


@variant("difference_in_means")
def sums_in_double(positive, negative):
    if min(len(positive), len(negative)) < 1:
        raise ValueError("an empty set")
    gap = positive.double().sum(0) / len(positive) - negative.double().sum(0) / len(negative)
    distance = gap.square().sum().sqrt().item()
    if distance == 0.0:
        raise ValueError("no difference")
    return [gap / distance, distance]


@variant("difference_in_means")
def number_by_number(positive, negative):
    if not positive.numel() or not negative.numel():
        raise ValueError("an empty set")
    gap = []
    for k in range(positive.shape[1]):
        up = sum(row[k].item() for row in positive) / len(positive)
        down = sum(row[k].item() for row in negative) / len(negative)
        gap.append(up - down)
    squares = sum(each**2 for each in gap)
    if not squares > 0:
        raise ValueError("no difference")
    return torch.tensor(gap) * squares**-0.5, torch.tensor(squares**0.5)


@variant("difference_in_means")
def one_product(positive, negative):
    N, M = len(positive), len(negative)
    if N == 0 or M == 0:
        raise ValueError("an empty set")
    weight = torch.cat([torch.full((N,), 1 / N), torch.full((M,), -1 / M)]).to(positive.dtype)
    gap = weight @ torch.cat([positive, negative])
    if bool((gap.abs() < 1e-12).all()):
        raise ValueError("no difference")
    return gap.div(gap.norm(p=2)), gap.norm(p=2)
