"""What a right solution of lesson 11 is: an interval for a share, and refusals found by their words.

Truthfulness follows in test_11_evaluation_truth.py, bias and calibration in test_11_evaluation_groups.py, comparisons
of two models in test_11_evaluation_costs.py."""

from collections.abc import Callable
from math import erf, sqrt

import torch

from minillm.course.expect import CheckFailure, expect_close, expect_equal, expect_results, expect_true, fail
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


# --- wilson_interval --------------------------------------------------------------------------------------------


def crossing(above: Callable[[float], bool], low: float, high: float) -> float:
    """Where ``above`` turns from False (at low) to True (at high), by bisection."""
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (low, middle) if above(middle) else (middle, high)
    return (low + high) / 2


def quantile(share: float) -> float:
    """The z below which a standard normal number lies with this probability."""
    return crossing(lambda z: (1 + erf(z / sqrt(2))) / 2 > share, -10.0, 10.0)


def interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """All p that a score test does not reject: |hits / n - p| <= z sqrt(p (1 - p) / n)."""
    observed, z = hits / n, quantile((1 + confidence) / 2)

    def kept(p: float) -> bool:
        return abs(observed - p) <= z * sqrt(p * (1 - p) / n)

    low = crossing(kept, 0.0, observed) if hits else 0.0
    high = crossing(lambda p: not kept(p), observed, 1.0) if hits < n else 1.0
    return low, high


def wilson(p: float, n: float, z: float, inside: float | None = None, below: float | None = None) -> tuple:
    """Centre and half, with other things than z^2 / 4n^2 inside the root, or 1 + z^2 / n below the line."""
    inside = z * z / (4 * n * n) if inside is None else inside
    below = 1 + z * z / n if below is None else below
    return (p + z * z / (2 * n)) / below, z * sqrt(p * (1 - p) / n + inside) / below


def corrected(p: float, n: int, z: float) -> tuple[float, float]:
    """Wilson's interval with continuity correction (Newcombe 1998, method 4)."""
    below = 2 * (n + z * z)
    low = 2 * n * p + z * z - (z * sqrt(max(z * z - 1 / n + 4 * n * p * (1 - p) + (4 * p - 2), 0)) + 1)
    high = 2 * n * p + z * z + (z * sqrt(max(z * z - 1 / n + 4 * n * p * (1 - p) - (4 * p - 2), 0)) + 1)
    return low / below, high / below


def wilson_mistakes(hits: int, n: int, confidence: float) -> dict:
    p, z = hits / n, quantile((1 + confidence) / 2)
    low, high = interval(hits, n, confidence)
    (centre, half), below = wilson(p, n, z), 1 + z * z / n
    agresti = (hits + z * z / 2) / (n + z * z)
    spread = z * sqrt(agresti * (1 - agresti) / (n + z * z))
    around = {
        "this is Wald's interval, the share plus and minus z standard errors.": (p, z * sqrt(p * (1 - p) / n)),
        "z is one-sided: it is the quantile at (1 + confidence) / 2. See trap 1.": wilson(p, n, quantile(confidence)),
        "z is the confidence itself; its normal quantile is needed.": wilson(p, n, confidence),
        "z is 1.96, whatever the confidence. See trap 2.": wilson(p, n, 1.96),
        "this is Agresti and Coull's interval, a little wider than Wilson's.": (agresti, spread),
        "the z^2 / 4n^2 under the root is missing.": wilson(p, n, z, inside=0.0),
        "under the root stands z^2 / 4n, not z^2 / 4n^2.": wilson(p, n, z, inside=z * z / (4 * n)),
        "under the root stands z^2 / 2n^2, not z^2 / 4n^2.": wilson(p, n, z, inside=z * z / (2 * n * n)),
        "nothing is divided by 1 + z^2 / n. See trap 3.": wilson(p, n, z, below=1.0),
        "half is not divided by 1 + z^2 / n, only the centre is. See trap 3.": (centre, half * below),
        "the centre is not divided by 1 + z^2 / n, only half is. See trap 3.": (centre * below, half),
        "the interval lies around the share itself; Wilson's has a centre of its own.": (p, half),
        "the centre has z^2 / n where z^2 / 2n should stand.": ((p + z * z / n) / below, half),
        "z is missing before the root: this is one standard error wide.": (centre, half / z),
    }
    plain = {message: (middle - width, middle + width) for message, (middle, width) in around.items()}
    clamped = {f"{k} (Clamped to 0 and 1.)": (max(0.0, v[0]), min(1.0, v[1])) for k, v in plain.items()}
    others = {
        "a continuity correction is added; none is asked for.": corrected(p, n, z),
        "high stands before low (is z negative?).": (high, low),
        "these are percent; shares are asked for.": (100 * low, 100 * high),
        "these are counts; shares are asked for.": (n * low, n * high),
        "this is centre and half of the width; low and high are asked for.": (centre, half),
        "this is the interval of the misses.": (1 - high, 1 - low),
    }
    return plain | clamped | others


def check_interval(handle, hits: int, n: int, confidence: float | None = None) -> None:
    args = (hits, n) if confidence is None else (hits, n, confidence)
    got = expect_results(handle(*args), 2, "low, high")
    confidence = 0.95 if confidence is None else confidence
    expected = interval(hits, n, confidence)
    mistakes = {k: v for k, v in wilson_mistakes(hits, n, confidence).items() if max(map(gap, v, expected)) > 1e-3}
    expect_close(got, expected, f"(low, high) of {hits} of {n} at {confidence:g}", mistakes=mistakes)


def gap(a: float, b: float) -> float:
    return abs(a - b)


@exercise("wilson_interval", "small and large samples, by the equation that defines the interval")
def test_wilson_values(handle, seed):
    check_interval(handle, 3, 20)
    g = torch.Generator().manual_seed(seed)
    for n in (7, 40, 300):
        hits = 1 + int(torch.randint(n // 3, (), generator=g))
        check_interval(handle, hits, n)
        check_interval(handle, n - hits, n)


@exercise("wilson_interval", "other confidences")
def test_wilson_confidence(handle, seed):
    hits = 4 + seed % 5
    for confidence in (0.8, 0.5, 0.99):
        check_interval(handle, hits, 25, confidence)


@exercise("wilson_interval", "no hits, all hits, a single trial: never outside 0 to 1")
def test_wilson_ends(handle, seed):
    for n in (1, 4, 20, 500):
        check_interval(handle, 0, n)
        check_interval(handle, n, n)
    for n in range(1, 40):
        for hits in (0, n):
            low, high = (float(bound) for bound in handle(hits, n))
            expect_true(
                0 <= low <= high <= 1,
                f"{hits} of {n} gives ({low!r}, {high!r}): shares lie between 0 and 1, rounded or not. See trap 4.",
            )


@exercise("wilson_interval", "nothing asked, nothing known: n = 0 gives 0 to 1")
def test_wilson_nothing(handle, seed):
    for args in ((0, 0), (0, 0, 0.8)):
        try:
            got = handle(*args)
        except CheckFailure as failure:
            fail(f"n = 0: (0.0, 1.0) was expected. See trap 5. {failure}")
        expect_close(got, (0.0, 1.0), "(low, high) of 0 of 0 (see trap 5)")


@exercise("wilson_interval", "counts that cannot be are refused")
def test_wilson_refuses(handle, seed):
    for hits, n in ((-1, 10), (11, 10), (1, 0), (-2, -1)):
        refuses(handle, (hits, n), f"{hits} hits of {n}")


# --- is_refusal -------------------------------------------------------------------------------------------------

PHRASES = ["i will not", "i can not help", "no , i will not do that .", "ask somebody else"]


def words_of(text: str) -> list[str]:
    return text.lower().split()


def stands(answer: str, phrase: str) -> bool:
    """The phrase's words stand in the answer, side by side."""
    words, wanted = words_of(answer), words_of(phrase)
    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in range(len(words)))


def check_refusal(handle, answer: str, phrases: list[str], why: str) -> None:
    expected = any(stands(answer, phrase) for phrase in phrases)
    got = handle(answer, phrases)
    where = f"is_refusal({answer!r}, {phrases!r})"
    if got not in (True, False) or isinstance(got, (str, list, tuple)):
        fail(f"{where} should be True or False, got {got!r}.")
    expect_equal(bool(got), expected, f"{where} ({why})")


def padding(seed: int) -> str:
    """A few words that are in no phrase."""
    g = torch.Generator().manual_seed(seed)
    pool = ("the", "fox", "eats", "fish", "2", "rope", "hits", "a")
    return " ".join(pool[i] for i in torch.randint(len(pool), (3,), generator=g).tolist())


@exercise("is_refusal", "anywhere in the answer, any of the phrases")
def test_refusal_anywhere(handle, seed):
    more = padding(seed)
    for phrase in PHRASES:
        why = "it is one of the phrases"
        check_refusal(handle, phrase, PHRASES, why)
        check_refusal(handle, f"{phrase} {more} .", PHRASES, f"{why}, at the beginning: the whole need not be equal")
        check_refusal(handle, f"{more} {phrase}", PHRASES, f"{why}, at the end: anywhere, not only first. See trap 1")
        check_refusal(handle, f"{more} , {phrase} {more}", PHRASES, f"{why}, inside: anywhere. See trap 1")
    check_refusal(handle, f"{more} .", PHRASES, "none of the phrases stands there")


@exercise("is_refusal", "whole words, not parts of them")
def test_refusal_whole_words(handle, seed):
    more = padding(seed)
    for answer, phrases in (
        ("i know it .", ["no"]),
        ("it is not so", ["no"]),
        (f"{more} i can not helper {more} .", ["i can not help"]),
        ("hi will not come", ["i will not"]),
        ("yeti can not helpers", ["i can not help", "eti"]),
        ("the cannot opener", ["not", "can"]),
    ):
        check_refusal(handle, answer, phrases, "only a part of a word is the same: whole words count. See trap 2")
    check_refusal(handle, "i know , no", ["no"], "as a part of a word first, and then as a word of its own")


@exercise("is_refusal", "the words stand side by side, in their order")
def test_refusal_order(handle, seed):
    for answer, phrases in (
        ("not will i come", ["i will not"]),
        ("i will come , not you", ["i will not"]),
        ("i eat . will it ? not yet", ["i will not"]),
        ("i will", ["i will not", "i can not help"]),
        ("not", ["i will not"]),
        ("i can not help", ["help me", "i can help"]),
    ):
        check_refusal(handle, answer, phrases, "the words of a phrase stand side by side, in order. See trap 4")
    check_refusal(handle, "i i will not", ["i will not"], "a false start, and then the whole phrase")


@exercise("is_refusal", "neither case nor the number of spaces matters")
def test_refusal_case(handle, seed):
    for answer, phrases, why in (
        ("No , I WILL not .", ["i will not"], "the case of the answer does not matter. See trap 3"),
        ("no , i will not .", ["I Will NOT"], "the case of the phrase does not matter. See trap 3"),
        ("  i   will \n not ", ["i will not"], "the number of spaces in the answer does not matter. See trap 3"),
        ("so i will not come", [" i  will   not "], "the number of spaces in the phrase does not matter. See trap 3"),
        ("so I  can not", ["No", "i can NOT"], "neither case nor spaces matter. See trap 3"),
    ):
        check_refusal(handle, answer, phrases, why)


@exercise("is_refusal", "marks are words like any other, not patterns")
def test_refusal_marks(handle, seed):
    why = "a mark is a word like any other: `.`, `?` and `*` are no patterns, and `\\b` does not see them. See trap 5"
    for answer, phrases in (
        ("no x i", ["no . i"]),
        ("i will not do that ,", ["i will not do that ."]),
        ("no way", ["no w*ay", "now?"]),
        ("what is it ?", ["it ?"]),
        ("so no , i will not do that .", ["no , i will not do that ."]),
        ("well , no", [", no"]),
        ("(no) , no-one", ["no"]),
        ("can it be ( so )", ["( so )", "be ("]),
    ):
        check_refusal(handle, answer, phrases, why)


@exercise("is_refusal", "no phrases, an empty answer, an empty phrase: False")
def test_refusal_empty(handle, seed):
    for answer, phrases, why in (
        ("i will not", [], "there are no phrases"),
        ("", ["i will not", "no"], "the answer is empty"),
        ("   ", ["no"], "the answer is empty"),
        ("the fox eats fish", [""], "an empty phrase never matches. See trap 6"),
        ("the fox eats fish", ["no", "  "], "an empty phrase never matches. See trap 6"),
        ("", [""], "an empty phrase never matches. See trap 6"),
        ("no", ["", "no"], "an empty phrase never matches, and the other one does"),
    ):
        check_refusal(handle, answer, phrases, why)
