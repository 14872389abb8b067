"""Wrong solutions of expected_calibration_error."""

from itertools import pairwise

import torch

from minillm.course.testing import mutant


def refuse(confidence):
    if len(confidence) == 0:
        raise ValueError("no answers")


def numbers(confidence, bins):
    return (confidence * bins).ceil().clamp(min=1)


def groups(confidence, correct, number, bins):
    """(m, answers, share right, mean confidence) of each bin that is not empty."""
    refuse(confidence)
    right = correct.to(confidence.dtype)
    found = []
    for m in range(1, bins + 1):
        inside = number == m
        if inside.any():
            found.append((m, int(inside.sum()), right[inside].mean(), confidence[inside].mean()))
    return found


def filled(confidence, correct, bins):
    return groups(confidence, correct, numbers(confidence, bins), bins)


@mutant("expected_calibration_error", names="empty ones as 0")
def mean_over_all_bins(confidence, correct, bins=10):
    return sum((a - c).abs() for _, _, a, c in filled(confidence, correct, bins)) / bins


@mutant("expected_calibration_error", names="not empty are averaged")
def mean_over_filled_bins(confidence, correct, bins=10):
    found = filled(confidence, correct, bins)
    return sum((a - c).abs() for _, _, a, c in found) / len(found)


@mutant("expected_calibration_error", names="added up")
def sum_over_bins(confidence, correct, bins=10):
    return sum((a - c).abs() for _, _, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="nothing is divided")
def not_divided(confidence, correct, bins=10):
    return sum(n * (a - c).abs() for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="maximum calibration error")
def maximum(confidence, correct, bins=10):
    return max((a - c).abs() for _, _, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="equally many")
def equal_mass(confidence, correct, bins=10):
    refuse(confidence)
    N = len(confidence)
    order = confidence.argsort()
    cuts = [round(k * N / bins) for k in range(bins + 1)]
    error = torch.zeros(())
    for a, b in pairwise(cuts):
        rows = order[a:b]
        if len(rows):
            error += len(rows) / N * (correct[rows].float().mean() - confidence[rows].mean()).abs()
    return error


@mutant("expected_calibration_error", names="cancel")
def signed(confidence, correct, bins=10):
    return sum(n / len(confidence) * (a - c) for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="cancel")
def absolute_of_the_whole(confidence, correct, bins=10):
    refuse(confidence)
    return (correct.to(confidence.dtype).mean() - confidence.mean()).abs()


@mutant("expected_calibration_error", names="middle of the bin")
def bin_middle(confidence, correct, bins=10):
    found = filled(confidence, correct, bins)
    return sum(n / len(confidence) * (a - (m - 0.5) / bins).abs() for m, n, a, _ in found)


@mutant("expected_calibration_error", names="upper edge")
def upper_edge(confidence, correct, bins=10):
    found = filled(confidence, correct, bins)
    return sum(n / len(confidence) * (a - m / bins).abs() for m, n, a, _ in found)


@mutant("expected_calibration_error", names="distances are squared")
def squared(confidence, correct, bins=10):
    return sum(n / len(confidence) * (a - c) ** 2 for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="root of the mean square")
def root_mean_square(confidence, correct, bins=10):
    return squared(confidence, correct, bins).sqrt()


@mutant("expected_calibration_error", names="brier")
def brier(confidence, correct, bins=10):
    refuse(confidence)
    return ((confidence - correct.to(confidence.dtype)) ** 2).mean()


@mutant("expected_calibration_error", names="bin of its own")
def answer_by_answer(confidence, correct, bins=10):
    refuse(confidence)
    return (confidence - correct.to(confidence.dtype)).abs().mean()


@mutant("expected_calibration_error", names="10 bins, whatever")
def always_ten_bins(confidence, correct, bins=10):
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in filled(confidence, correct, 10))


@mutant("expected_calibration_error", names="bins left out")
def fifteen_bins(confidence, correct, bins=15):
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="one bin too few")
def linspace_of_bins(confidence, correct, bins=10):
    refuse(confidence)
    edges = torch.linspace(0, 1, max(bins, 2), dtype=confidence.dtype)
    number = torch.bucketize(confidence, edges).clamp(min=1)
    found = groups(confidence, correct, number, bins)
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in found)


@mutant("expected_calibration_error", names="not 0 to 1")
def between_least_and_most(confidence, correct, bins=10):
    refuse(confidence)
    low, high = confidence.min(), confidence.max()
    number = numbers((confidence - low) / (high - low).clamp(min=1e-9) - 1e-7, bins)
    found = groups(confidence, correct, number, bins)
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in found)


@mutant("expected_calibration_error", names="belongs to the bin above it.")
def left_closed(confidence, correct, bins=10):
    number = ((confidence * bins).floor() + 1).clamp(max=bins)
    found = groups(confidence, correct, number, bins)
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in found)


@mutant("expected_calibration_error", names="confidence 1 to none")
def left_closed_without_one(confidence, correct, bins=10):
    found = groups(confidence, correct, (confidence * bins).floor() + 1, bins)
    return sum((n / len(confidence) * (a - c).abs() for _, n, a, c in found), torch.zeros(()))


@mutant("expected_calibration_error", names="confidence 0 falls into no bin")
def zero_in_no_bin(confidence, correct, bins=10):
    found = groups(confidence, correct, (confidence * bins).ceil(), bins)
    return sum((n / len(confidence) * (a - c).abs() for _, n, a, c in found), torch.zeros(()))


@mutant("expected_calibration_error", names="edges belong to no bin")
def edges_in_no_bin(confidence, correct, bins=10):
    refuse(confidence)
    right, error = correct.to(confidence.dtype), torch.zeros(())
    for m in range(bins):
        inside = (confidence > m / bins) & (confidence < (m + 1) / bins)
        if inside.any():
            error += inside.float().mean() * (right[inside].mean() - confidence[inside].mean()).abs()
    return error


@mutant("expected_calibration_error", names="both its bins")
def edges_in_both_bins(confidence, correct, bins=10):
    refuse(confidence)
    right, error = correct.to(confidence.dtype), torch.zeros(())
    for m in range(bins):
        inside = (confidence >= m / bins) & (confidence <= (m + 1) / bins)
        if inside.any():
            error += inside.float().mean() * (right[inside].mean() - confidence[inside].mean()).abs()
    return error


@mutant("expected_calibration_error", names="rounding to the nearest")
def rounded(confidence, correct, bins=10):
    number = (confidence * bins).round().clamp(min=1)
    found = groups(confidence, correct, number, bins)
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in found)


@mutant("expected_calibration_error", names="nan")
def empty_bins_are_nan(confidence, correct, bins=10):
    refuse(confidence)
    number, right, error = numbers(confidence, bins), correct.to(confidence.dtype), torch.zeros(())
    for m in range(1, bins + 1):
        inside = number == m
        error += inside.float().mean() * (right[inside].mean() - confidence[inside].mean()).abs()
    return error


@mutant("expected_calibration_error", names="percent")
def percent(confidence, correct, bins=10):
    return 100 * sum(n / len(confidence) * (a - c).abs() for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names="valueerror was expected")
def nothing_is_zero(confidence, correct, bins=10):
    if len(confidence) == 0:
        return torch.zeros(())
    return sum(n / len(confidence) * (a - c).abs() for _, n, a, c in filled(confidence, correct, bins))


@mutant("expected_calibration_error", names=None)
def only_too_sure(confidence, correct, bins=10):
    return sum(n / len(confidence) * (c - a).clamp(min=0) for _, n, a, c in filled(confidence, correct, bins))
