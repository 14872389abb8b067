"""Right solutions of adapt_kl_coefficient that look different."""

import numpy as np
import torch

from minillm.course.testing import variant


@variant("adapt_kl_coefficient")
def with_tensors(beta, kl, target, n, horizon):
    error = torch.clamp(torch.tensor(kl / target - 1, dtype=torch.float64), -0.2, 0.2)
    return beta * (1 + error * n / horizon)


@variant("adapt_kl_coefficient")
def with_numpy(beta, kl, target, n, horizon):
    share = n / horizon
    return beta + beta * np.clip((kl - target) / target, -0.2, 0.2) * share


@variant("adapt_kl_coefficient")
def case_by_case(beta, kl, target, n, horizon):
    if kl > 1.2 * target:
        error = 0.2
    elif kl < 0.8 * target:
        error = -0.2
    else:
        error = (kl - target) / target
    beta *= 1 + error * (n / horizon)
    return beta
