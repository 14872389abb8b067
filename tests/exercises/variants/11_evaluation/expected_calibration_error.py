"""Right solutions of expected_calibration_error that look different."""

import torch

from minillm.course.testing import variant


@variant("expected_calibration_error")
def by_comparison(confidence, correct, bins=10):
    if confidence.numel() == 0:
        raise ValueError("no answers")
    right, total = correct.float(), 0.0
    for m in range(bins):
        low, high = m / bins, (m + 1) / bins
        inside = (confidence > low) & (confidence <= high)
        if m == 0:
            inside |= confidence == 0
        if inside.sum() > 0:
            total += abs(right[inside].mean() - confidence[inside].mean()) * inside.float().mean()
    return total


@variant("expected_calibration_error")
def sums_by_bin(confidence, correct, bins=10):
    N = len(confidence)
    if not N:
        raise ValueError("no answers")
    number = ((confidence.double() * bins).ceil().long() - 1).clamp(0, bins - 1)
    excess = torch.zeros(bins, dtype=torch.float64).index_add(0, number, correct.double() - confidence.double())
    return excess.abs().sum() / N


@variant("expected_calibration_error")
def bucketize(confidence, correct, bins=10):
    if len(confidence) == 0:
        raise ValueError("no answers")
    inner = torch.arange(1, bins, dtype=confidence.dtype) / bins
    number = torch.bucketize(confidence.contiguous(), inner)
    inside = torch.nn.functional.one_hot(number, bins).to(confidence.dtype)  # (N, bins)
    n = inside.sum(0)
    accuracy, sure = correct.to(inside.dtype) @ inside / n.clamp(min=1), confidence @ inside / n.clamp(min=1)
    return (n / n.sum()) @ (accuracy - sure).abs()


@variant("expected_calibration_error")
def plain_python(confidence, correct, bins=10):
    pairs = sorted(zip(confidence.tolist(), correct.tolist()))
    if not pairs:
        raise ValueError("there must be answers")
    groups = {}
    for c, right in pairs:
        m = next((m for m in range(1, bins + 1) if c <= m / bins), bins)
        groups.setdefault(m, []).append(float(right) - c)
    return sum(abs(sum(group)) for group in groups.values()) / len(pairs)


@variant("expected_calibration_error")
def with_keywords_and_nan(confidence, correct, bins=10):
    if confidence.shape[0] == 0:
        raise ValueError("empty")
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    c, r = confidence.double(), correct.double()
    inside = (c > edges[:-1, None]) & (c <= edges[1:, None])  # (bins, N)
    inside[0] |= c <= 0
    n = inside.sum(1)
    gaps = ((inside * r).sum(1) / n - (inside * c).sum(1) / n).abs().nan_to_num()
    return (gaps * n).sum() / len(c)
