"""Right solutions of wilson_interval that look different."""

import math
from statistics import NormalDist

import torch

from minillm.course.testing import variant


@variant("wilson_interval")
def with_counts(hits, n, confidence=0.95):
    if hits < 0 or hits > n:
        raise ValueError("hits must be between 0 and n")
    if not n:
        return (0.0, 1.0)
    z = -NormalDist().inv_cdf((1 - confidence) / 2)
    more = n + z**2
    centre = (hits + z**2 / 2) / more
    half = z / more * math.sqrt(hits * (n - hits) / n + z**2 / 4)
    return (centre - half if hits else 0.0), (centre + half if hits < n else 1.0)


@variant("wilson_interval")
def as_roots_of_a_quadratic(hits, n, confidence=0.95):
    if not 0 <= hits <= n:
        raise ValueError
    if n == 0:
        return 0.0, 1.0
    z2 = NormalDist().inv_cdf(0.5 + confidence / 2) ** 2
    a, b, c = 1 + z2 / n, -(2 * hits / n + z2 / n), (hits / n) ** 2
    root = math.sqrt(max(b * b - 4 * a * c, 0.0))
    return max((-b - root) / (2 * a), 0), min((-b + root) / (2 * a), 1)


@variant("wilson_interval")
def in_torch(hits, n, confidence=0.95):
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} of {n}")
    if n == 0:
        return torch.tensor(0.0), torch.tensor(1.0)
    share = torch.tensor((1 + confidence) / 2, dtype=torch.float64)
    z = math.sqrt(2) * torch.erfinv(2 * share - 1)
    p = torch.tensor(hits / n, dtype=torch.float64)
    centre, half = p + z**2 / (2 * n), z * (p * (1 - p) / n + (z / (2 * n)) ** 2).sqrt()
    return tuple((torch.stack([centre - half, centre + half]) / (1 + z**2 / n)).clamp(0, 1))


@variant("wilson_interval")
def by_bisection(hits, n, confidence=0.95):
    if not 0 <= hits <= n:
        raise ValueError("no such share")
    if n == 0:
        return [0.0, 1.0]
    z, p = NormalDist().inv_cdf((1 + confidence) / 2), hits / n

    def boundary(outside, inside):
        for _ in range(80):
            middle = (outside + inside) / 2
            rejected = abs(p - middle) > z * math.sqrt(middle * (1 - middle) / n)
            outside, inside = (middle, inside) if rejected else (outside, middle)
        return inside

    return [boundary(0.0, p) if hits > 0 else 0.0, boundary(1.0, p) if hits < n else 1.0]
