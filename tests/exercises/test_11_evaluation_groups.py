"""What a right solution of lesson 11 is, continued: pronouns that follow jobs, and confidence that is deserved."""

from collections.abc import Callable
from itertools import pairwise
from math import ceil, exp, log, sqrt

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, expect_close, expect_results, fail
from minillm.course.testing import exercise


def refuses(handle, args: tuple, what: str) -> None:
    """The call raises a ValueError."""
    try:
        handle(*args)
    except CheckFailure as failure:
        if "ValueError" not in str(failure):
            fail(f"{what}: a ValueError was expected. {failure}")
    else:
        fail(f"{what}: a ValueError was expected, and nothing was raised.")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# --- pronoun_gap ------------------------------------------------------------------------------------------------


def probes(seed: int, he_jobs: int = 7, she_jobs: int = 4, follow: float = 1.5, lean: float = 0.6) -> tuple:
    """(logprobs, he_job): "he" is likelier by ``lean`` nats everywhere, and by ``follow`` more or less by the job.

    The two pronouns have not all of the probability.
    """
    g = torch.Generator().manual_seed(seed)
    he_job = torch.tensor([1.0] * he_jobs + [0.0] * she_jobs)
    order = torch.randperm(len(he_job), generator=g)
    he_job = he_job[order]
    odds = lean + follow * (2 * he_job - 1) + 1.2 * torch.randn(len(he_job), generator=g)
    level = -2 - 2 * torch.rand(len(he_job), generator=g)
    return torch.stack([level + odds / 2, level - odds / 2], dim=1), he_job


def median(values: list[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]


def pronoun_mistakes(logprobs: Tensor, he_job: Tensor) -> dict:
    rows, he = logprobs.double().tolist(), [bool(x) for x in he_job.tolist()]

    def p(row: list[float]) -> float:
        return 1 / (1 + exp(row[1] - row[0]))

    def groups(f: Callable[[list[float]], float], middle: Callable = mean) -> tuple[float, float]:
        values = [f(row) for row in rows]
        return middle([v for v, h in zip(values, he) if h]), middle([v for v, h in zip(values, he) if not h])

    def made(f: Callable[[list[float]], float], middle: Callable = mean) -> tuple[float, float]:
        a, b = groups(f, middle)
        return a - b, (a + b) / 2 - 0.5

    a, b = groups(p)
    gap, shift, over_all = a - b, (a + b) / 2 - 0.5, mean([p(row) for row in rows])
    every = sum(exp(row[0]) for row in rows)
    return {
        "the gap is absolute; its sign is asked for. See trap 3.": (abs(gap), shift),
        "the shift is absolute; its sign is asked for.": (gap, abs(shift)),
        "gap and shift are absolute; their signs are asked for. See trap 3.": (abs(gap), abs(shift)),
        "the gap is turned round: it is he-jobs minus she-jobs.": (-gap, shift),
        "this is the probability of the feminine pronoun; column 0 is the masculine one.": made(lambda r: 1 - p(r)),
        "the shift is measured for the feminine pronoun.": (gap, -shift),
        "gap and shift stand in the wrong order.": (shift, gap),
        "it is counted how often `he` is the likelier one; probabilities are asked for. See trap 2.": made(
            lambda r: float(r[0] > r[1])
        ),
        "the probabilities are not normalised over the two pronouns. See trap 1.": made(lambda r: exp(r[0])),
        "log-probabilities are compared; probabilities are asked for. See trap 2.": made(lambda r: r[0]),
        "normalised log-probabilities are averaged; probabilities are to be. See trap 2.": made(lambda r: log(p(r))),
        "the difference of the two log-probabilities is averaged. See trap 2.": made(lambda r: r[0] - r[1]),
        "log-probabilities are normalised by their sum, without exp. See trap 2.": made(lambda r: r[0] / (r[0] + r[1])),
        "the log-probabilities are averaged before the softmax; average probabilities.": averaged_first(rows, he),
        "the unnormalised probabilities of the two are subtracted.": made(lambda r: exp(r[0]) - exp(r[1])),
        "the difference of the two probabilities is averaged, not that of the masculine one.": made(
            lambda r: 2 * p(r) - 1
        ),
        "the shift is the mean over all probes: the larger group weighs more. See trap 4.": (gap, over_all - 0.5),
        "the gap is that between he-jobs and all probes.": (a - over_all, shift),
        "the 0.5 is not taken off the shift.": (gap, (a + b) / 2),
        "the shift is not halved before 0.5 is taken off.": (gap, a + b - 0.5),
        "the shift is twice what it should be.": (gap, a + b - 1),
        "only he-jobs are in the shift.": (gap, a - 0.5),
        "sums are taken over each group; means are asked for.": made(p, sum),
        "both sums are divided by the number of all probes. See trap 4.": made(p, lambda v: sum(v) / len(rows)),
        "medians are taken; means are asked for.": made(p, median),
        "every probe's distance from 0.5 is taken without its sign. See trap 3.": made(lambda r: abs(p(r) - 0.5)),
        "the ratio of both means is returned; their difference is asked for.": (a / b, shift),
        "the softmax runs over the probes, not over the two pronouns.": made(lambda r: exp(r[0]) / every),
    }


def averaged_first(rows: list[list[float]], he: list[bool]) -> tuple[float, float]:
    parts = []
    for kind in (True, False):
        odds = mean([row[0] - row[1] for row, h in zip(rows, he) if h == kind])
        parts.append(1 / (1 + exp(-odds)))
    return parts[0] - parts[1], sum(parts) / 2 - 0.5


def check_pronouns(handle, logprobs: Tensor, he_job: Tensor, what: str = "(gap, shift)", named: bool = True) -> None:
    a, b = (
        mean(
            [1 / (1 + exp(min(f - m, 700))) for (m, f), h in zip(logprobs.tolist(), he_job.tolist()) if bool(h) == kind]
        )
        for kind in (True, False)
    )
    got = expect_results(handle(logprobs, he_job), 2, "gap, shift")
    mistakes = pronoun_mistakes(logprobs, he_job) if named else None
    expect_close(got, (a - b, (a + b) / 2 - 0.5), what, mistakes=mistakes)


@exercise("pronoun_gap", "a stereotype, with more he-jobs than she-jobs")
def test_pronouns_values(handle, seed):
    check_pronouns(handle, *probes(seed))
    check_pronouns(handle, *probes(seed + 1, he_jobs=3, she_jobs=9, lean=-0.9), "(gap, shift), fewer he-jobs")


@exercise("pronoun_gap", "a stereotype turned round: the sign is kept")
def test_pronouns_sign(handle, seed):
    check_pronouns(handle, *probes(seed, follow=-1.5), "(gap, shift) where the stereotype is turned round")
    check_pronouns(handle, *probes(seed, he_jobs=5, she_jobs=5, follow=-1.5, lean=-1.0), "(gap, shift), both below 0")


@exercise("pronoun_gap", "it does not matter how likely the two pronouns are together, nor how sure the model is")
def test_pronouns_level(handle, seed):
    logprobs, he_job = probes(seed)
    lower = logprobs - torch.linspace(0, 6, len(he_job))[:, None]
    check_pronouns(handle, lower, he_job, "(gap, shift) where other words are likelier (see trap 1)")
    far = logprobs - 300.0
    check_pronouns(handle, far, he_job, "(gap, shift) at -300 nats (exp gives 0: use softmax)", named=False)
    sure = torch.stack([logprobs[:, 0], logprobs[:, 0] + torch.where(he_job > 0, -150.0, 150.0)], dim=1)
    check_pronouns(handle, sure, he_job, "(gap, shift) of a model that is sure", named=False)


@exercise("pronoun_gap", "groups that are empty are refused")
def test_pronouns_refuses(handle, seed):
    logprobs, he_job = probes(seed)
    refuses(handle, (logprobs, torch.ones_like(he_job)), "he-jobs only")
    refuses(handle, (logprobs, torch.zeros_like(he_job)), "she-jobs only")
    refuses(handle, (logprobs[:0], he_job[:0]), "no probes at all")


@exercise("pronoun_gap", "he_job of any type, float64, strides, any order, two probes")
def test_pronouns_forms(handle, seed):
    logprobs, he_job = probes(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_pronouns(handle, logprobs, he_job.to(kind), f"(gap, shift) (he_job of type {str(kind)[6:]})")
    check_pronouns(handle, logprobs.double(), he_job, "(gap, shift) in float64")
    check_pronouns(handle, logprobs.T.contiguous().T, he_job, "(gap, shift) of a transposed tensor")
    check_pronouns(handle, logprobs.flip(0), he_job.flip(0), "(gap, shift), probes in another order")
    check_pronouns(handle, *probes(seed, he_jobs=1, she_jobs=1), "(gap, shift) of two probes", named=False)


# --- expected_calibration_error ---------------------------------------------------------------------------------


def answers(seed: int, bins: int, count: int = 60) -> tuple[Tensor, Tensor]:
    """(confidence, correct): too sure in every other bin, too modest in those between; some bins empty.

    No confidence lies near the edge of a bin.
    """
    g = torch.Generator().manual_seed(seed)
    weights = torch.rand(bins, generator=g) + 0.1
    if bins > 3:
        weights[torch.randperm(bins, generator=g)[: bins // 4]] = 0.0
    number = torch.multinomial(weights, count, replacement=True, generator=g)
    confidence = (number + 0.1 + 0.8 * torch.rand(count, generator=g)) / bins
    chance = confidence + torch.where(number % 2 == 0, 0.4, -0.35)
    return confidence, (torch.rand(count, generator=g) < chance).float()


Pair = tuple[float, float]  # confidence, and 1 if right


def in_bins(pairs: list[Pair], place: Callable[[float], int | None], bins: int) -> list[list[Pair]]:
    """The answers of each bin; an answer whose place is None falls out."""
    groups: list[list[Pair]] = [[] for _ in range(bins)]
    for pair in pairs:
        if (m := place(pair[0])) is not None:
            groups[m - 1].append(pair)
    return groups


def below(bins: int) -> Callable[[float], int]:
    """An edge belongs to the bin below it."""
    return lambda c: max(1, ceil(c * bins))


def distance(group: list[Pair]) -> float:
    """Share right minus mean confidence."""
    return mean([right for _, right in group]) - mean([c for c, _ in group])


def ece(groups: list[list[Pair]], total: int, f: Callable[[list[Pair]], float] = distance) -> float:
    return sum(len(group) / total * abs(f(group)) for group in groups if group)


def calibration_mistakes(pairs: list[Pair], bins: int) -> dict:
    groups, total = in_bins(pairs, below(bins), bins), len(pairs)
    filled = [group for group in groups if group]
    numbered = {id(group): m for m, group in enumerate(groups, start=1)}
    ordered = sorted(pairs)
    cuts = [round(k * total / bins) for k in range(bins + 1)]
    lows, highs = [c for c, _ in pairs], [r for _, r in pairs]

    def against(at: float) -> Callable[[list[Pair]], float]:
        """The distance to a fixed place in the bin: 0.5 is its middle."""
        return lambda group: mean([r for _, r in group]) - (numbered[id(group)] - 1 + at) / bins

    def over(other: int) -> list[list[Pair]]:
        return in_bins(pairs, below(other), other)

    right = ece(groups, total)
    return {
        "the bins are averaged, each counting the same, the empty ones as 0. See trap 1.": (
            sum(abs(distance(group)) for group in filled) / bins
        ),
        "the bins that are not empty are averaged, each counting the same. See trap 1.": (
            mean([abs(distance(group)) for group in filled])
        ),
        "the bins are added up, each counting the same. See trap 1.": sum(abs(distance(group)) for group in filled),
        "every bin counts by its number of answers, and nothing is divided by N.": right * total,
        "this is the largest distance of all bins, the maximum calibration error.": (
            max(abs(distance(group)) for group in filled)
        ),
        "the bins hold equally many answers each; they are to have equal width.": (
            ece([ordered[a:b] for a, b in pairwise(cuts)], total)
        ),
        "the absolute value is taken once, of the whole: too sure and too modest cancel. See trap 3.": (
            abs(distance(pairs))
        ),
        "there is no absolute value: too sure and too modest cancel. See trap 3.": distance(pairs),
        "there is no absolute value, and confidence stands first. See trap 3.": -distance(pairs),
        "the middle of the bin stands for its mean confidence. See trap 2.": ece(groups, total, against(0.5)),
        "the upper edge of the bin stands for its mean confidence. See trap 2.": ece(groups, total, against(1.0)),
        "the lower edge of the bin stands for its mean confidence. See trap 2.": ece(groups, total, against(0.0)),
        "distances are squared; absolute values are asked for.": (
            sum(len(group) / total * distance(group) ** 2 for group in filled)
        ),
        "the root of the mean square is taken; absolute values are asked for.": (
            sqrt(sum(len(group) / total * distance(group) ** 2 for group in filled))
        ),
        "this is the Brier score, the mean square of each answer's own distance.": (
            mean([(c - r) ** 2 for c, r in pairs])
        ),
        "every answer is a bin of its own: the mean of |right - confidence|.": mean([abs(c - r) for c, r in pairs]),
        "there are 10 bins, whatever is passed.": ece(over(10), total),
        "there is one bin too many.": ece(over(bins + 1), total),
        "there is one bin too few.": ece(over(max(1, bins - 1)), total),
        "the bins span the confidences that there are, not 0 to 1.": spanned(pairs, bins, min(lows), max(lows)),
        "these are percent; a number from 0 to 1 is asked for.": 100 * right,
        "wrong answers are counted as right.": ece(
            [[(c, 1 - r) for c, r in group] for group in groups], total
        ),
        "only right answers are averaged into a bin's confidence.": ece(
            groups, total, lambda g: mean([r for _, r in g]) - mean([c * r for c, r in g])
        ),
        "the share of wrong answers is returned.": 1 - mean(highs),
        "the bin is found by rounding to the nearest; it should be rounded up.": (
            ece(in_bins(pairs, lambda c: max(1, round(c * bins)), bins), total)
        ),
    }  # fmt: skip


def edge_mistakes(pairs: list[Pair], bins: int) -> dict:
    total = len(pairs)
    dropped = in_bins(pairs, lambda c: int(c * bins) + 1 if c < 1 else None, bins)
    open_low = in_bins([pair for pair in pairs if pair[0] > 0], below(bins), bins)
    return {
        "an edge belongs to the bin above it. See trap 4.": (
            ece(in_bins(pairs, lambda c: min(int(c * bins) + 1, bins), bins), total)
        ),
        "an edge belongs to the bin above it, and confidence 1 to none. See trap 4.": ece(dropped, total),
        "an edge belongs to the bin above it, and answers of confidence 1 are left out of N too. See trap 4.": (
            ece(dropped, max(1, sum(map(len, dropped))))
        ),
        "confidence 0 falls into no bin. See trap 4.": ece(open_low, total),
        "confidence 0 falls into no bin, and is left out of N too. See trap 4.": ece(
            open_low, max(1, sum(map(len, open_low)))
        ),
        "edges belong to no bin. See trap 4.": (
            ece(in_bins(pairs, lambda c: None if (c * bins) % 1 == 0 else int(c * bins) + 1, bins), total)
        ),
        "an edge belongs to both its bins. See trap 4.": ece(
            [[p for p in pairs if (m - 1) / bins <= p[0] <= m / bins] for m in range(1, bins + 1)], total
        ),
    }


def spanned(pairs: list[Pair], bins: int, low: float, high: float) -> float:
    if low == high:
        return ece([pairs], len(pairs))
    return ece(in_bins(pairs, lambda c: max(1, ceil((c - low) / (high - low) * bins - 1e-9)), bins), len(pairs))


def check_calibration(
    handle, confidence: Tensor, correct: Tensor, bins: int | None, what: str = "the result", edges: bool = False
) -> None:
    pairs = list(zip(confidence.double().tolist(), correct.double().tolist()))
    got = handle(confidence, correct) if bins is None else handle(confidence, correct, bins)
    bins = bins or 10
    expected = ece(in_bins(pairs, below(bins), bins), len(pairs))
    mistakes = edge_mistakes(pairs, bins) if edges else calibration_mistakes(pairs, bins)
    expect_close(got, expected, what, mistakes={k: v for k, v in mistakes.items() if abs(v - expected) > 1e-4})


@exercise("expected_calibration_error", "bins weigh by their answers, and each has its own distance")
def test_calibration_values(handle, seed):
    for bins in (5, 7, 12):
        check_calibration(handle, *answers(seed, bins), bins, f"the result with {bins} bins")
    by_hand = torch.tensor([0.2, 0.4, 0.9]), torch.tensor([0.0, 1.0, 1.0])
    check_calibration(handle, *by_hand, 2, "the result for 0.2, 0.4, 0.9 in two bins")


@exercise("expected_calibration_error", "10 bins if they are not given; one bin; more bins than answers")
def test_calibration_bins(handle, seed):
    check_calibration(handle, *answers(seed, 10), None, "the result (bins left out)")
    check_calibration(handle, *answers(seed, 1), 1, "the result with one bin")
    check_calibration(handle, *answers(seed, 40, count=9), 40, "the result for 9 answers in 40 bins")


@exercise("expected_calibration_error", "an edge belongs to the bin below it, 1 to the last bin, 0 to the first")
def test_calibration_edges(handle, seed):
    g = torch.Generator().manual_seed(seed)
    for bins in (4, 8):
        edges = torch.arange(bins + 1) / bins
        inside = (torch.arange(bins) + 0.2 + 0.6 * torch.rand(bins, generator=g)) / bins
        confidence = torch.cat([edges, edges, inside])
        correct = (torch.rand(len(confidence), generator=g) < 0.5).float()
        correct[0], correct[bins], correct[2 * bins + 1] = 1.0, 0.0, 0.0
        what = f"the result with confidences at the edges of {bins} bins"
        check_calibration(handle, confidence, correct, bins, what, edges=True)
    always = torch.ones(6), torch.tensor([1.0, 0, 0, 1, 0, 1])
    check_calibration(handle, *always, 4, "the result where confidence is always 1 (see trap 4)", edges=True)
    check_calibration(
        handle, torch.zeros(6), always[1], 4, "the result where confidence is always 0 (see trap 4)", edges=True
    )


@exercise("expected_calibration_error", "no answers are refused")
def test_calibration_refuses(handle, seed):
    refuses(handle, (torch.zeros(0), torch.zeros(0)), "no answers")


@exercise("expected_calibration_error", "correct of any type, float64, strides, any order, one answer")
def test_calibration_forms(handle, seed):
    confidence, correct = answers(seed, 6)
    for kind in (torch.bool, torch.long, torch.float64):
        check_calibration(handle, confidence, correct.to(kind), 6, f"the result (correct of type {str(kind)[6:]})")
    check_calibration(handle, confidence.double(), correct, 6, "the result in float64")
    check_calibration(handle, confidence.flip(0), correct.flip(0), 6, "the result, answers in another order")
    wide = torch.stack([confidence, correct], dim=1)
    check_calibration(handle, wide[:, 0], wide[:, 1], 6, "the result for columns of a larger tensor")
    check_calibration(handle, confidence[:1], correct[:1], 6, "the result for one answer")
