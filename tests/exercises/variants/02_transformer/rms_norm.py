"""Right solutions of rms_norm that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("rms_norm")
def with_the_library(x, weight, eps=1e-5):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


@variant("rms_norm")
def with_einsum(x, weight, eps=1e-5):
    square = torch.einsum("...d,...d->...", x, x) / x.shape[-1]
    return torch.einsum("...d,...,d->...d", x, (square + eps) ** -0.5, weight)


@variant("rms_norm")
def row_by_row(x, weight, eps=1e-5):
    rows = [row / torch.sqrt((row**2).mean() + eps) * weight for row in x.reshape(-1, x.shape[-1])]
    return torch.stack(rows).view(x.shape)


@variant("rms_norm")
def in_float64(x, weight, eps=1e-5):
    x, weight = x.double(), weight.double()
    return weight * x / torch.sqrt(x.pow(2).sum(-1, keepdim=True) / x.size(-1) + eps)


@variant("rms_norm")
def with_vector_norm(x, weight, eps=1e-5):
    length = torch.linalg.vector_norm(x + 1e-20, dim=-1, keepdim=True)
    return x / (length**2 / x.shape[-1] + eps).sqrt() * weight
