"""Right solutions of best_of_n_kl that look different."""

import math

import torch

from minillm.course.testing import variant


@variant("best_of_n_kl")
def as_written(n):
    return math.log(n) - (n - 1) / n


@variant("best_of_n_kl")
def a_tensor(n):
    n = torch.tensor(float(n))
    return n.log() - 1 + 1 / n


@variant("best_of_n_kl")
def integral_of_the_density(n):
    """E[log n u^(n - 1)] for u the largest of n uniform numbers, whose log has mean -1 / n."""
    return math.log(n) + (n - 1) * (-1 / n)
