"""Right solutions of masked_whiten that look different."""

import torch

from minillm.course.testing import variant


@variant("masked_whiten")
def with_sums(values, mask):
    m = mask.to(values.dtype)
    mean = (values * m).sum() / m.sum()
    var = (((values - mean) * m) ** 2).sum() / m.sum()
    return (values - mean) * torch.rsqrt(var + 1e-8) * m


@variant("masked_whiten")
def number_by_number(values, mask):
    counted = [x for row, keep in zip(values.tolist(), mask.tolist()) for x, k in zip(row, keep) if k]
    mean = sum(counted) / len(counted)
    scale = (sum((x - mean) ** 2 for x in counted) / len(counted) + 1e-8) ** 0.5
    return [[(x - mean) / scale if k else 0.0 for x, k in zip(*rows)] for rows in zip(values.tolist(), mask.tolist())]


@variant("masked_whiten")
def scattered_in_float64(values, mask):
    keep = mask.bool()
    x = values[keep].double()
    x = x - x.mean()
    result = torch.zeros(values.shape, dtype=torch.float64)
    result[keep] = x / torch.sqrt(x.square().mean() + 1e-8)
    return result


@variant("masked_whiten")
def std_mean_and_where(values, mask):
    var, mean = torch.var_mean(values[mask != 0], unbiased=False)
    return torch.where(mask != 0, (values - mean) / (var + 1e-8) ** 0.5, 0.0)
