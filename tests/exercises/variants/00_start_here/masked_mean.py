"""Right solutions of masked_mean, written differently."""

import torch

from minillm.course.testing import variant


@variant("masked_mean")
def row_by_row(x, mask, dim=None):
    kept = mask.bool()
    if dim is None:
        return x[kept].mean()
    rows = zip(x, kept) if dim == 1 else zip(x.T, kept.T)
    return torch.stack([row[keep].mean() for row, keep in rows])


@variant("masked_mean")
def masked_fill_in_float64(x, mask, dim=None):
    kept = mask.to(torch.float64)
    return x.double().masked_fill(kept == 0, 0.0).sum(dim) / kept.sum(dim)


@variant("masked_mean")
def nan_mean(x, mask, dim=None):
    marked = x.masked_fill(mask == 0, float("nan"))
    return marked.nanmean() if dim is None else marked.nanmean(dim)


@variant("masked_mean")
def einsum_over_a_clean_copy(x, mask, dim=None):
    weights = (mask != 0).to(x.dtype)
    clean = torch.where(weights > 0, x, 0.0)
    letters = {None: "", 1: "b", 0: "t"}[dim]
    return torch.einsum(f"bt,bt->{letters}", clean, weights) / torch.einsum(f"bt->{letters}", weights)
