"""Right solutions of learning_rate_at that look different."""

import math

import numpy as np
import torch

from minillm.course.testing import variant


@variant("learning_rate_at")
def as_a_mixture(step, steps, peak, warmup, floor=0.0):
    if step < warmup:
        return (step + 1) / warmup * peak
    if step >= steps:
        return floor
    share = (1 + math.cos(math.pi * (step + 1 - warmup) / (steps - warmup))) / 2
    return share * peak + (1 - share) * floor


@variant("learning_rate_at")
def with_numpy(step, steps, peak, warmup, floor=0.0):
    done = np.clip((step + 1 - warmup) / (steps - warmup), 0, 1)
    cosine = floor + (peak - floor) * np.cos(np.pi / 2 * done) ** 2
    return cosine if step >= warmup else np.float64(peak) * (step + 1) / warmup


@variant("learning_rate_at")
def with_tensors(step, steps, peak, warmup, floor=0.0):
    update = torch.tensor(step + 1.0, dtype=torch.float64)
    if update <= warmup:
        return peak * update / warmup
    angle = torch.pi * torch.minimum((update - warmup) / (steps - warmup), torch.ones(()))
    return floor + (peak - floor) * (1 + torch.cos(angle)) / 2


@variant("learning_rate_at")
def with_a_sine(step, steps, peak, warmup, floor=0.0):
    if warmup and step + 1 <= warmup:
        return peak * (step + 1) / warmup
    x = 0.5 - max(0.0, min(1.0, (step + 1 - warmup) / (steps - warmup)))
    return floor + (peak - floor) * (0.5 + 0.5 * math.sin(math.pi * x))
