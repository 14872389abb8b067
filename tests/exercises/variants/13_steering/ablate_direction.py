"""Right solutions of ablate_direction that look different."""

import torch
from torch.nn.functional import normalize

from minillm.course.testing import variant


@variant("ablate_direction")
def one_division(hidden, direction):
    along = (hidden * direction).sum(-1, keepdim=True) / (direction * direction).sum()
    return hidden - along * direction


@variant("ablate_direction")
def a_projection_matrix(hidden, direction):
    r = normalize(direction, dim=0)
    keep = torch.eye(len(r), dtype=r.dtype) - torch.outer(r, r)
    return hidden @ keep


@variant("ablate_direction")
def einsum_in_double(hidden, direction):
    r = direction.double() / torch.linalg.norm(direction.double())
    along = torch.einsum("...d,d->...", hidden.double(), r)
    return hidden - torch.einsum("...,d->...d", along, r)


@variant("ablate_direction")
def flat_and_back(hidden, direction):
    r = (direction / direction.pow(2).sum().sqrt()).detach()
    flat = hidden.reshape(-1, hidden.shape[-1])
    rest = torch.addmm(flat, (flat @ r)[:, None], r[None], alpha=-1)
    return rest.view(hidden.shape)
