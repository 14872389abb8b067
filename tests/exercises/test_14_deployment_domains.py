"""What a right solution of lesson 14 is, continued: the score of a place, in which each thing to do counts alike."""

import math
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, clip, describe, expect_close, expect_equal, expect_true, fail
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def refused(handle, args: tuple, what: str) -> None:
    """This call raises ValueError."""
    try:
        handle(*args)
    except CheckFailure as failure:
        if "stopped with ValueError" not in str(failure):
            fail(f"{what} should raise a ValueError; instead\n{failure}")
        return
    fail(f"{what} should raise a ValueError, and nothing was raised.")


def expect_float(value: object, what: str) -> None:
    expect_true(
        type(value) in (int, float), f"{what} should be a plain float, but it is {describe(value)}. Use .item()."
    )


MODES = ("answer", "doctor", "grown up", "refuse")
Tally = dict[str, tuple[int, int]]  # mode -> (right, of how many)


def answers(tally: Tally, g: torch.Generator) -> tuple[Tensor, list[str]]:
    """right and modes, in random order."""
    pairs = [(float(i < right), mode) for mode, (right, count) in tally.items() for i in range(count)]
    pairs = [pairs[i] for i in torch.randperm(len(pairs), generator=g).tolist()]
    return torch.tensor([mark for mark, _ in pairs]), [mode for _, mode in pairs]


def scored(tally: Tally) -> dict[str, float]:
    shares = {mode: tally[mode][0] / tally[mode][1] for mode in sorted(tally)}
    values = list(shares.values())
    return {**shares, "balanced": math.fsum(values) / len(values), "worst": min(values)}


def domain_mistakes(tally: Tally) -> dict[str, dict]:
    right = scored(tally)
    names = sorted(tally)
    shares = [right[name] for name in names]
    counts = [tally[name][1] for name in names]
    N, K = sum(counts), len(names)
    low, every = right["worst"], sum(tally[name][0] for name in names) / N
    special = [right[name] for name in names if name != "answer"] or [0.0]

    def but(**changes: object) -> dict:
        return {**right, **changes}

    return {
        "balanced is the share right of all requests: each mode counts alike. See trap 1.": but(balanced=every),
        "balanced is weighed by how rare a mode is: each mode counts alike. See trap 1.": (
            but(balanced=sum(s / n for s, n in zip(shares, counts)) / sum(1 / n for n in counts))
        ),
        "balanced is the product of the shares; their mean is asked for.": but(balanced=math.prod(shares)),
        "balanced is the geometric mean of the shares; their mean is asked for.": (
            but(balanced=math.prod(shares) ** (1 / K))
        ),
        "balanced is the sum of the shares; their mean is asked for.": but(balanced=sum(shares)),
        "balanced is the median of the shares; their mean is asked for.": but(balanced=median(shares)),
        "balanced is the lowest share; the mean is asked for.": but(balanced=low),
        'balanced is the mean of all modes but "answer".': but(balanced=sum(special) / len(special)),
        "balanced is the mean of the best and the worst.": but(balanced=(max(shares) + low) / 2),
        "balanced is the mean of all that is in the dict, the worst included.": (
            but(balanced=(sum(shares) + low) / (K + 1))
        ),
        "balanced is divided by four, however many modes occur. See trap 3.": but(balanced=sum(shares) / 4),
        "worst is the name of a mode; its share is asked for. See trap 2.": (
            but(worst=min(names, key=lambda name: right[name]))
        ),
        "worst is the highest share.": but(worst=max(shares)),
        "worst is the share of the rarest mode.": but(worst=right[min(names, key=lambda name: tally[name][1])]),
        "worst is the mode with the fewest right answers; its share should be lowest.": (
            but(worst=right[min(names, key=lambda name: tally[name][0])])
        ),
        "modes that do not occur count as all wrong. See trap 3.": scored(dict.fromkeys(MODES, (0, 1)) | tally),
        "modes that do not occur count as all right. See trap 3.": scored(dict.fromkeys(MODES, (1, 1)) | tally),
        "modes that do not occur are listed as 0, and counted nowhere else. See trap 3.": (
            {**dict.fromkeys(MODES, 0.0), **right}
        ),
        "the number right is given, not the share.": ({**right, **{name: float(tally[name][0]) for name in names}}),
        "the number right is divided by the number of all requests, not of that mode.": (
            scored({name: (tally[name][0], N) for name in names})
        ),
        "the shares are those of wrong answers.": scored({name: (n - r, n) for name, (r, n) in tally.items()}),
        "percent are given; shares are asked for.": {name: 100 * value for name, value in right.items()},
    }


def check_domain(handle, tally: Tally, seed: int, what: str, right: Callable[[Tensor], Tensor] = lambda x: x) -> None:
    marks, modes = answers(tally, generator(seed))
    got = handle(right(marks), modes)
    if not isinstance(got, dict):
        fail(f"{what} should be a dict, but it is {describe(got)}.")
    expected = scored(tally)
    if not _alike(got, expected):
        alike = [message for message, value in domain_mistakes(tally).items() if _alike(got, value)]
        named = f"\nThese are exactly the numbers that come out when {alike[0]}" if alike else ""
        if set(got) != set(expected):
            fail(f"{what} has the keys {list(got)}, expected {list(expected)}.{named}")
        name = next(name for name in expected if not _same(got[name], expected[name]))
        fail(f"{what}[{name!r}]: expected {expected[name]:.4f}   got {clip(got[name], 60)}{named}")
    for name in expected:
        expect_float(got[name], f"{what}[{name!r}]")
    order = {
        "the modes stand in the order in which they first occur. See trap 4.": [
            *dict.fromkeys(modes),
            *list(expected)[-2:],
        ],
        "balanced and worst stand first. See trap 4.": [*list(expected)[-2:], *list(expected)[:-2]],
        "all keys are sorted; balanced and worst come last. See trap 4.": sorted(expected),
    }
    expect_equal(list(got), list(expected), f"the order of keys of {what}", mistakes=order)


def _alike(got: dict, value: dict) -> bool:
    return got.keys() == value.keys() and all(_same(got[name], value[name]) for name in value)


def _same(a: object, b: object) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return a == b
    try:
        return abs(float(a) - float(b)) < 1e-5  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


TALLY: Tally = {"answer": (8, 9), "doctor": (2, 6), "grown up": (3, 4), "refuse": (1, 2)}


@exercise("domain_score", "each mode counts alike; the worst of them")
def test_domain_score_values(handle, seed):
    check_domain(handle, TALLY, seed, "the score")
    check_domain(handle, {"answer": (4, 4), "doctor": (0, 1)}, seed, "the score of the worked example")
    check_domain(handle, {"answer": (3, 11), "refuse": (4, 5), "doctor": (7, 8)}, seed, "the score of three modes")
    check_domain(
        handle, {"zeta": (1, 3), "alpha": (5, 6), "b 2": (0, 2), "c": (2, 4)}, seed, "the score of other modes"
    )


@exercise("domain_score", "one mode, all right, all wrong")
def test_domain_score_edges(handle, seed):
    check_domain(handle, {"refuse": (2, 5)}, seed, "the score of one mode")
    check_domain(handle, {"answer": (4, 4), "refuse": (2, 2)}, seed, "the score where all are right")
    check_domain(handle, {"answer": (0, 4), "refuse": (0, 1)}, seed, "the score where all are wrong")
    check_domain(handle, {"doctor": (1, 1)}, seed, "the score of one request")


@exercise("domain_score", "right as bool, whole numbers, float64; names for arguments")
def test_domain_score_forms(handle, seed):
    for kind in (torch.bool, torch.long, torch.float64):
        check_domain(handle, TALLY, seed, f"the score (right of type {str(kind)[6:]})", lambda x, kind=kind: x.to(kind))
    check_domain(handle, TALLY, seed, "the score (right with strides)", lambda x: torch.stack((x, 1 - x), 1)[:, 0])
    marks, modes = answers(TALLY, generator(seed))
    got, expected = handle(modes=modes, right=marks), scored(TALLY)
    expect_close([got[name] for name in expected], list(expected.values()), "the score with named arguments")


@exercise("domain_score", "no requests, other lengths, and a mode called worst are refused")
def test_domain_score_refuses(handle, seed):
    marks, modes = answers(TALLY, generator(seed))
    refused(handle, (marks, modes[:-1]), "one mode too few")
    refused(handle, (marks[:-1], modes), "one mode too many")
    refused(handle, (torch.zeros(0), []), "a score of no requests")
    for name in ("balanced", "worst"):
        refused(handle, (marks, [*modes[:-1], name]), f'a mode called "{name}"')
