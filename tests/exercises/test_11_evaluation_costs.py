"""What a right solution of lesson 11 is, continued: what alignment costs, and whether a difference is one."""

from math import exp, log, sqrt
from statistics import NormalDist, median

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, describe, expect_close, expect_equal, expect_results, expect_true, fail
from minillm.course.props import Generator
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


# --- alignment_tax ----------------------------------------------------------------------------------------------

Skills = dict[str, Tensor]


def documents(seed: int, worse: float) -> tuple[Tensor, Tensor, Tensor]:
    """(nats before, nats after, tokens) of six documents; short ones become ``worse`` by more a token than long."""
    g = torch.Generator().manual_seed(seed)
    tokens = torch.tensor([90, 5, 40, 12, 7, 61])
    before = tokens * (2 + 2 * torch.rand(6, generator=g))
    change = worse * (0.5 + 6 / tokens) * (0.7 + 0.6 * torch.rand(6, generator=g))
    return before, before + tokens * change, tokens


def answered(seed: int, counts: dict[str, tuple[int, int]]) -> Skills:
    """1 where an answer was right: (right, asked) of each skill, in some order."""
    g = torch.Generator().manual_seed(seed)
    skills = {}
    for name, (right, asked) in counts.items():
        skills[name] = (torch.arange(asked) < right).float()[torch.randperm(asked, generator=g)]
    return skills


BEFORE = {"sums": (15, 20), "facts": (4, 13), "lists": (7, 9), "jobs": (3, 8)}
AFTER = {"lists": (14, 25), "jobs": (3, 4), "sums": (12, 30), "facts": (9, 11)}  # costs, and gains


def loss_mistakes(before: list[float], after: list[float], tokens: list[float]) -> dict:
    more, total = sum(after) - sum(before), sum(tokens)
    rates = [(a - b) / t for a, b, t in zip(after, before, tokens)]
    level_before, level_after = sum(before) / total, sum(after) / total
    return {
        "every document's own rate is averaged: short documents count as much as long ones. See trap 1.": mean(rates),
        "the median of the documents' rates is taken. See trap 1.": median(rates),
        "nats are added up and not divided by the tokens.": more,
        "nats are averaged over documents; nats a token are asked for. See trap 1.": more / len(tokens),
        "the sign is turned: more nats after than before are a cost, so after minus before. See trap 2.": -more / total,
        "the sign is turned, and documents' own rates are averaged. See traps 1 and 2.": -mean(rates),
        "a gain is cut off at 0. See trap 3.": max(0.0, more / total),
        "a gain counts as a cost (an absolute value). See trap 3.": abs(more) / total,
        "it is measured relative to the loss before; nats a token are asked for.": more / sum(before),
        "this is the ratio of perplexities.": exp(more / total),
        "this is the difference of perplexities.": exp(level_after) - exp(level_before),
        "these are bits; nats are asked for.": more / total / log(2),
        "this is the loss after alignment, not the difference.": level_after,
        "this is the loss before alignment, not the difference.": level_before,
    }


def right_of(skills: Skills, name: str) -> list[float]:
    return skills[name].double().tolist()


def skill_mistakes(before: Skills, after: Skills) -> dict:
    pairs = [(right_of(before, name), right_of(after, name)) for name in before]
    costs = [mean(b) - mean(a) for b, a in pairs]
    by_place = [(b.double().tolist(), a.double().tolist()) for b, a in zip(before.values(), after.values())]
    return {
        "the sign is turned: fewer right answers are a cost, so before minus after. See trap 2.": [-c for c in costs],
        "a gain is cut off at 0. See trap 3.": [max(0.0, c) for c in costs],
        "a gain counts as a cost (an absolute value). See trap 3.": [abs(c) for c in costs],
        "a cost is cut off at 0: only gains are left.": [min(0.0, c) for c in costs],
        "it is measured relative to the share before.": [(mean(b) - mean(a)) / mean(b) for b, a in pairs],
        "counts are compared; shares are asked for. See trap 4.": [sum(b) - sum(a) for b, a in pairs],
        "both counts are divided by the number asked before. See trap 4.": [
            (sum(b) - sum(a)) / len(b) for b, a in pairs
        ],
        "both counts are divided by the number asked after. See trap 4.": [
            (sum(b) - sum(a)) / len(a) for b, a in pairs
        ],
        "skills are matched by their place; after, they may stand in another order.": (
            [mean(b) - mean(a) for b, a in by_place]
        ),
        "skills are matched by their place, and the sign is turned.": [mean(a) - mean(b) for b, a in by_place],
        "every skill has the mean of all skills.": [mean(costs)] * len(costs),
        "these are percent; shares are asked for.": [100 * c for c in costs],
        "this is the share right after alignment.": [mean(a) for _, a in pairs],
        "this is the share right before alignment.": [mean(b) for b, _ in pairs],
        "only the first answers are compared, as many as there are of both. See trap 4.": (
            [mean(b[: len(a)]) - mean(a[: len(b)]) for b, a in pairs]
        ),
    }


def check_tax(handle, texts: tuple[Tensor, ...], before: Skills, after: Skills, what: str = "the result") -> None:
    got = handle(*texts, before, after)
    if not isinstance(got, dict):
        fail(f"{what} should be a dict with the keys {['loss', *before]}, but it is {describe(got)}.")
    expect_equal(sorted(map(str, got)), sorted(["loss", *before]), f"the keys of {what}, sorted")
    expect_equal(list(got), ["loss", *before], f"the keys of {what}, in order: loss first, then as in skills_before")
    for key, value in got.items():
        if isinstance(value, Tensor):
            fail(f"{what}[{key!r}] is {describe(value)}; a plain float is asked for: `.item()`. See trap 5.")
    numbers = [part.double().tolist() for part in texts]
    loss = (sum(numbers[1]) - sum(numbers[0])) / sum(numbers[2])
    known = {k: v for k, v in loss_mistakes(*numbers).items() if abs(v - loss) > 1e-4}
    expect_close(got["loss"], loss, f"{what}['loss']", mistakes=known)
    if before:
        costs = [mean(right_of(before, name)) - mean(right_of(after, name)) for name in before]
        known = {k: v for k, v in skill_mistakes(before, after).items() if v != costs}
        expect_close([got[name] for name in before], costs, f"{what} for {list(before)}", mistakes=known)


@exercise("alignment_tax", "costs are positive, gains are negative")
def test_tax_values(handle, seed):
    check_tax(handle, documents(seed, 0.4), answered(seed, BEFORE), answered(seed + 1, AFTER))
    what = "the result (a model that became better at prose)"
    check_tax(handle, documents(seed, -0.3), answered(seed, AFTER), answered(seed + 1, BEFORE), what)


@exercise("alignment_tax", "a single skill, none at all, nothing changed")
def test_tax_few(handle, seed):
    texts = documents(seed, 0.4)
    check_tax(
        handle, texts, answered(seed, {"sums": (3, 4)}), answered(seed, {"sums": (1, 2)}), "the result, one skill"
    )
    check_tax(handle, texts, {}, {}, "the result without skills")
    same = answered(seed, BEFORE)
    unchanged = handle(texts[0], texts[0], texts[2], same, same)
    expect_close([unchanged[key] for key in ("loss", *same)], [0.0] * 5, "the tax of a model that did not change")


@exercise("alignment_tax", "before and after must have the same skills, and none is called loss")
def test_tax_refuses(handle, seed):
    texts, skills = documents(seed, 0.4), answered(seed, BEFORE)
    fewer = {name: right for name, right in skills.items() if name != "facts"}
    refuses(handle, (*texts, skills, fewer), "a skill that is missing after")
    refuses(handle, (*texts, fewer, skills), "a skill that is missing before")
    refuses(handle, (*texts, {**fewer, "facts": skills["facts"]}, {**fewer, "myths": skills["facts"]}), "other skills")
    refuses(handle, (*texts, {"loss": skills["sums"]}, {"loss": skills["sums"]}), 'a skill that is called "loss"')


@exercise("alignment_tax", "right answers of any type, float64, strides, documents in any order")
def test_tax_forms(handle, seed):
    texts, before, after = documents(seed, 0.4), answered(seed, BEFORE), answered(seed + 1, AFTER)
    for kind in (torch.bool, torch.long, torch.float64):
        cast = [{name: right.to(kind) for name, right in skills.items()} for skills in (before, after)]
        check_tax(handle, texts, *cast, f"the result (answers of type {str(kind)[6:]})")
    check_tax(handle, tuple(part.double().flip(0) for part in texts), before, after, "the result in float64")
    wide = torch.stack([part.float() for part in texts], dim=1)
    check_tax(handle, wide.unbind(1), before, after, "the result for columns of a larger tensor")


# --- paired_bootstrap -------------------------------------------------------------------------------------------


def scores(seed: int, gain: float = 0.25, count: int = 150) -> tuple[Tensor, Tensor]:
    """(before, after): items differ far more than models do."""
    g = torch.Generator().manual_seed(seed)
    before = 1.0 + 3 * torch.randn(count, generator=g)
    return before, before + gain + 0.6 * torch.randn(count, generator=g)


def spread(values: list[float]) -> float:
    """The standard deviation of the numbers that there are."""
    middle = mean(values)
    return sqrt(mean([(value - middle) ** 2 for value in values]))


def wrong_intervals(before: list[float], after: list[float], resamples: int, confidence: float) -> dict:
    """Message -> (centre, half of the width) of intervals that known mistakes come near to."""
    gains = [a - b for a, b in zip(after, before)]
    root, z = sqrt(len(gains)), NormalDist().inv_cdf((1 + confidence) / 2)
    d, error = mean(gains), spread(gains) / root
    sizes = [abs(gain) for gain in gains]
    return {
        "the two models are resampled apart: their items no longer match, and the items' own differences come in, "
        "which makes the interval several times too wide. See trap 1.": (
            d, z * sqrt(spread(before) ** 2 + spread(after) ** 2) / root
        ),
        "(1 - confidence) is left out on each side; half of it is to be. See trap 4.": (
            d, NormalDist().inv_cdf(confidence) * error
        ),
        "a quarter of what is to be left out is left out on each side. See trap 4.": (
            d, NormalDist().inv_cdf(1 - (1 - confidence) / 4) * error
        ),
        "only `before` is resampled: the gains count. See trap 1.": (mean(before), z * spread(before) / root),
        "only `after` is resampled; it is the gains that count. See trap 1.": (mean(after), z * spread(after) / root),
        "the interval is that of before minus after; after minus before is asked for.": (-d, z * error),
        "the sizes of the gains are resampled, without their signs.": (mean(sizes), z * spread(sizes) / root),
        "single items are drawn, not N of them: these are quantiles of the gains. See trap 3.": (d, z * error * root),
        "means are taken over the resamples, not over the items. See trap 3.": (d, z * error * root / sqrt(resamples)),
        "the interval lies around 0; it should lie around the difference.": (0.0, z * error),
        "the interval is one standard error wide on each side, whatever the confidence.": (d, error),
        "sums are resampled; means are asked for.": (sum(gains), z * error * len(gains)),
    }  # fmt: skip


def check_interval(handle, before: Tensor, after: Tensor, seed: int, resamples: int, confidence: float) -> None:
    """low and high are near those of the normal approximation, which for this many items is a good one."""
    got = handle(before, after, Generator(seed), resamples, confidence)
    _, low, high = (float(number) for number in expect_results(got, 3, "difference, low, high"))
    before, after = before.double().tolist(), after.double().tolist()
    gains = [a - b for a, b in zip(after, before)]
    error = spread(gains) / sqrt(len(gains))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    right = mean(gains) - z * error, mean(gains) + z * error
    if max(abs(low - right[0]), abs(high - right[1])) < 0.2 * error:
        return
    lines = [
        f"(low, high) at {confidence:g}: expected about ({right[0]:.3f}, {right[1]:.3f})   got ({low:.3f}, {high:.3f})"
    ]
    if high < low:
        lines.append("high stands before low.")
    elif high - low < 1e-3 * error:
        lines.append("The interval has no width: draw with replacement, anew for each resample. See trap 2.")
    else:
        lines.append(named(low, high, wrong_intervals(before, after, resamples, confidence)))
        if high - low < 0.5 * (2 * z * error):
            lines.append(
                "Far too narrow: so it is where means are taken over the resamples, not the items. See trap 3."
            )
        lines.append(f"Its width is {(high - low) / (2 * z * error):.2f} times what it should be.")
    fail("\n".join(line for line in lines if line))


def named(low: float, high: float, known: dict) -> str:
    for message, (centre, half) in known.items():
        if max(abs(low - centre + half), abs(high - centre - half)) < 0.12 * half:
            return f"This is about what comes out when {message}"
    return ""


def difference_mistakes(before: list[float], after: list[float]) -> dict:
    gains = [a - b for a, b in zip(after, before)]
    return {
        "it is before minus after; after minus before is asked for.": -mean(gains),
        "the median gain is taken; the mean is asked for.": median(gains),
        "the median gain is taken, the lower one of the two in the middle; the mean is asked for.": (
            sorted(gains)[(len(gains) - 1) // 2]
        ),
        "the gains' sizes are averaged, without their signs.": mean([abs(gain) for gain in gains]),
        "the absolute value of the mean gain is taken.": abs(mean(gains)),
        "this is the mean of `after`.": mean(after),
        "this is the mean of `before`.": mean(before),
        "the gains are added up; their mean is asked for.": sum(gains),
        "it is measured relative to the mean before.": mean(gains) / mean(before),
        "these are percent.": 100 * mean(gains),
    }


@exercise("paired_bootstrap", "the difference is that of the data, with its sign")
def test_bootstrap_difference(handle, seed):
    for gain in (0.25, -0.4):
        before, after = scores(seed, gain)
        results = [handle(before, after, Generator(s), 20) for s in (seed, seed + 1)]
        first, second = (float(expect_results(result, 3, "difference, low, high")[0]) for result in results)
        expect_true(
            abs(first - second) < 1e-9,
            "the difference changes with the generator: it is the mean gain of the data, not of the resamples. "
            "See trap 5.",
        )
        numbers = before.double().tolist(), after.double().tolist()
        right = mean(numbers[1]) - mean(numbers[0])
        expect_close(first, right, "difference", mistakes=difference_mistakes(*numbers))


@exercise("paired_bootstrap", "the interval of many items: as wide as the gains make it, not the items")
def test_bootstrap_many(handle, seed):
    for gain, confidence in ((0.25, 0.95), (-0.4, 0.8)):
        check_interval(handle, *scores(seed, gain), seed, 10_000, confidence)


def lone(place: int, sign: int, kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Twelve items of which one alone changes, by 1."""
    before = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0])
    before[place] = int(sign < 0)
    after = before.clone()
    after[place] += sign
    return before.to(kind), after.to(kind)


def check_lone(handle, seed: int, place: int, sign: int, kind: torch.dtype = torch.float32) -> None:
    """A resample's mean is binomial: 0 in 35 percent, above 2/12 in 7 percent, above 3/12 in 1.4 percent."""
    got = expect_results(handle(*lone(place, sign, kind), Generator(seed), 8000), 3, "difference, low, high")
    right = sorted([0.0, sign / 4])
    d, error = sign / 12, sqrt(11) / 12 / sqrt(12)
    what = f"one gain of {sign} among 12 items ({str(kind)[6:]}): "
    low, high = (float(number) for number in got[1:])
    expect_close(got[0], d, f"{what}difference")
    if abs(low - right[0]) < 1e-5 and abs(high - right[1]) < 1e-5:
        return
    near = named(
        low,
        high,
        {
            "standard deviations are used in place of quantiles: nothing says that means are normal.": (
                d,
                1.96 * error,
            ),
            "the quantiles are mirrored at the difference (the basic bootstrap); plain quantiles are asked for.": (
                2 * d - sign / 8,
                1 / 8,
            ),
            "the two models are resampled apart. See trap 1.": (d, 1.96 * sqrt(2) * 0.5 / sqrt(12)),
        },
    )
    if abs(12 * max(abs(low), abs(high)) - round(12 * max(abs(low), abs(high)))) > 1e-3:
        near = near or "A mean of 12 items is a number of twelfths: each resample has N items. See trap 3."
    if low == high:
        near = "The interval has no width: are all items drawn, each time anew, with replacement? See trap 2."
    fail(f"{what}(low, high): expected ({right[0]:g}, {right[1]:g})   got ({low:.4f}, {high:.4f})\n{near}".strip())


@exercise("paired_bootstrap", "quantiles of the resampled means, however skewed; scores of any type")
def test_bootstrap_lone(handle, seed):
    for place, sign, kind in (
        (0, 1, torch.float32),
        (11, -1, torch.float32),
        (11, 1, torch.bool),
        (5, -1, torch.long),
        (0, 1, torch.float64),
    ):
        check_lone(handle, seed, place, sign, kind)


@exercise("paired_bootstrap", "each resample has N items: one item, two items")
def test_bootstrap_few(handle, seed):
    one = handle(torch.tensor([0.25]), torch.tensor([0.75]), Generator(seed), 50)
    expect_close(one, (0.5, 0.5, 0.5), "(difference, low, high) of one item")
    two = handle(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0]), Generator(seed), 4000, 0.4)
    what = "(difference, low, high) of gains 1 and 0 at 0.4 (resamples of two: half of them have mean 0.5; see trap 3)"
    expect_close(two, (0.5, 0.5, 0.5), what)


@exercise("paired_bootstrap", "all randomness comes from the generator")
def test_bootstrap_generator(handle, seed):
    pair = scores(seed)
    first, again, other = (tuple(map(float, handle(*pair, Generator(s), 100))) for s in (seed, seed, seed + 1))
    expect_true(
        first == again, "the same seed gives another interval: all randomness is from the generator. See trap 6."
    )
    advice = "do not seed the generator, or make a new one, inside. See trap 6."
    expect_true(first != other, f"different seeds give the same interval: {advice}")
    source = Generator(seed)
    rounds = [outcome.result for outcome in handle.calls([((*pair, source, 100), {})] * 2)]
    expect_true(rounds[0] != rounds[1], f"two calls with one generator give the same interval: {advice}")


@exercise("paired_bootstrap", "resamples and confidence are used, and are 2000 and 0.95 if not given")
def test_bootstrap_settings(handle, seed):
    pair = scores(seed)
    _, low, high = map(float, handle(*pair, Generator(seed), 1))
    expect_true(abs(high - low) < 1e-9, "with one resample low and high are the same: `resamples` is not used.")
    named_all = handle(*pair, generator=Generator(seed), resamples=2000, confidence=0.95)
    expect_close(
        handle(*pair, Generator(seed)), named_all, "(difference, low, high), defaults of 2000 and 0.95", rtol=1e-7
    )


@exercise("paired_bootstrap", "scores that are no pairs are refused")
def test_bootstrap_refuses(handle, seed):
    before, after = scores(seed, count=6)
    refuses(handle, (before, after[:4], Generator(seed)), "6 scores before and 4 after")
    refuses(handle, (before, after[:1], Generator(seed)), "6 scores before and 1 after")
    refuses(handle, (before[:0], after[:0], Generator(seed)), "no scores at all")
