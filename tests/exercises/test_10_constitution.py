"""What a right solution of lesson 10 is: principles drawn, and labels from two orders.

Prompts and rounds follow in test_10_constitution_rounds.py, examples in test_10_constitution_revisions.py."""

from math import exp, sqrt

import torch

from minillm.course.expect import CheckFailure, expect_close, expect_no_gradient, expect_true, fail
from minillm.course.props import Generator
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- sample_principle -------------------------------------------------------------------------------------------


def drawn(handle, principles, weights, seed: int, count: int) -> list:
    """``count`` draws in a row from one generator."""
    extra = () if weights is None else (weights,)
    rounds = [((principles, source, *extra), {}) for source in [Generator(seed)] for _ in range(count)]
    results = [outcome.result for outcome in handle.calls(rounds)]
    for result in results:
        if result not in principles:
            fail(f"a principle was expected, one of {principles}; got {result!r}. See trap 4.")
    return results


@exercise("sample_principle", "each is drawn as often as its weight says")
def test_sample_principle_shares(handle, seed):
    principles, n = ["safe", "true", "kind", "plain"], 600
    for weights in (None, [3, 1, 0, 2], [0.5, 0.0, 0.25, 0.25]):
        found = drawn(handle, principles, weights, seed, n)
        total = sum(weights or [1.0] * 4)
        for principle, weight in zip(principles, weights or [1.0] * 4):
            p, share = weight / total, found.count(principle) / n
            if weight == 0 and share:
                fail(f"{principle!r} has weight 0 and was drawn all the same. See trap 3.")
            margin = 5.5 * sqrt(p * (1 - p) / n) + 1e-9
            said = "all alike" if weights is None else f"weights {weights}"
            advice = "the weights are not used, or not as weights." if weights else "without weights all are alike."
            if len(set(found)) == 1:
                advice = "it is the same one every time: every call draws anew, from the generator. See traps 1 and 2."
            expect_true(
                abs(share - p) <= margin, f"{said}: {principle!r} came up in {share:.1%}, expected {p:.1%}: {advice}"
            )


@exercise("sample_principle", "all randomness comes from the generator, and every call draws anew")
def test_sample_principle_generator(handle, seed):
    principles = [f"rule {i}" for i in range(40)]
    first, again, other = (drawn(handle, principles, None, s, 12) for s in (seed, seed, seed + 1))
    expect_true(
        first == again,
        "the same seed gives other principles: all randomness must come from the generator. See trap 2.",
    )
    expect_true(
        first != other,
        "different seeds give the same principles: do not seed the generator, or make a new one, inside. See trap 2.",
    )
    expect_true(
        len(set(first)) > 3,
        f"12 draws of 40 gave {len(set(first))} different principles: every call is to draw anew. See traps 1 and 2.",
    )


@exercise("sample_principle", "nothing to draw from, and weights that do not fit, are refused")
def test_sample_principle_refuses(handle, seed):
    for principles, weights, what in (
        ([], None, "no principles"),
        (["safe", "true"], [1.0], "1 weight for 2 principles"),
        (["safe", "true"], [1.0, 2.0, 3.0], "3 weights for 2 principles"),
    ):
        extra = () if weights is None else (weights,)
        try:
            handle(principles, Generator(seed), *extra)
        except CheckFailure as failure:
            if "ValueError" not in str(failure):
                fail(f"{what}: a ValueError was expected. {failure}")
        else:
            fail(f"{what}: a ValueError was expected, and nothing was raised.")


# --- ai_preference ----------------------------------------------------------------------------------------------


def said(seed: int, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Nats of a and b in two orders, (7, 2) each; the two letters have not all the probability."""
    g = generator(seed)
    first, second = (-3.0 + scale * torch.randn(7, 2, generator=g) for _ in range(2))
    return first, second


def shares(row: list[float]) -> tuple[float, float]:
    """The two probabilities, normalised."""
    top = max(row)
    a, b = exp(row[0] - top), exp(row[1] - top)
    return a / (a + b), b / (a + b)


def preference(first: list[float], second: list[float]) -> float:
    return (shares(first)[0] + shares(second)[1]) / 2


def sigmoid(x: float) -> float:
    return 1 / (1 + exp(-x)) if x > -500 else 0.0


def preference_mistakes(first: list, second: list) -> dict:
    rows = list(zip(first, second))

    def over(f) -> list[float]:
        return [f(a, b) for a, b in rows]

    return {
        "only the first order is used: a judge that likes the letter a is believed.": over(lambda a, b: shares(a)[0]),
        "only the second order is used.": over(lambda a, b: shares(b)[1]),
        "the second order is read like the first; there answer 1 is b, column 1. See trap 1.": (
            over(lambda a, b: (shares(a)[0] + shares(b)[0]) / 2)
        ),
        "this is the probability that answer 2 is better.": over(lambda a, b: 1 - preference(a, b)),
        "the probabilities are not normalised: the two letters do not have all of it. See trap 2.": (
            over(lambda a, b: (exp(a[0]) + exp(b[1])) / 2)
        ),
        "log-probabilities are averaged before the softmax. See trap 3.": (
            over(lambda a, b: sigmoid((a[0] + b[1] - a[1] - b[0]) / 2))
        ),
        "log-probabilities are added before the softmax. See trap 3.": (
            over(lambda a, b: sigmoid(a[0] + b[1] - a[1] - b[0]))
        ),
        "the two probabilities are multiplied; their mean is asked for.": (
            over(lambda a, b: shares(a)[0] * shares(b)[1])
        ),
        "the geometric mean of the two is taken. See trap 3.": over(lambda a, b: sqrt(shares(a)[0] * shares(b)[1])),
        "the two probabilities are added; their mean is asked for.": over(lambda a, b: 2 * preference(a, b)),
        "the labels are hard, 0 or 1. See trap 5.": over(lambda a, b: float(preference(a, b) > 0.5)),
        "each order is rounded to 0 or 1 first: a vote. See trap 5.": (
            over(lambda a, b: ((a[0] > a[1]) + (b[1] > b[0])) / 2)
        ),
        "this is a log-probability; the probability is asked for.": over(lambda a, b: (a[0] + b[1]) / 2),
        "this is the difference of log-probabilities.": over(lambda a, b: (a[0] - a[1] + b[1] - b[0]) / 2),
        "the probabilities of the letters are pooled over both orders before they are normalised.": (
            over(lambda a, b: (exp(a[0]) + exp(b[1])) / (exp(a[0]) + exp(b[1]) + exp(a[1]) + exp(b[0])))
        ),
        "the softmax runs over the answers, not over the two letters.": columns(first, second),
    }


def columns(first: list, second: list) -> list[float]:
    a, b = torch.tensor(first).softmax(0)[:, 0], torch.tensor(second).softmax(0)[:, 1]
    return ((a + b) / 2).tolist()


def check_preference(handle, first: torch.Tensor, second: torch.Tensor) -> None:
    rows = first.double().tolist(), second.double().tolist()
    expected = torch.tensor([preference(a, b) for a, b in zip(*rows)], dtype=torch.float64)
    expect_close(handle(first, second), expected, "the preferences", mistakes=preference_mistakes(*rows))


@exercise("ai_preference", "the mean of two normalised probabilities")
def test_ai_preference(handle, seed):
    first, second = said(seed)
    check_preference(handle, first, second)
    check_preference(handle, first.double(), second.double())
    check_preference(handle, first[2:3], second[2:3])


@exercise("ai_preference", "exchanging the answers gives 1 - p, and a judge of letters alone 0.5")
def test_ai_preference_symmetric(handle, seed):
    first, second = said(seed)
    there, back = (torch.as_tensor(handle(*pair)).double() for pair in ((first, second), (second, first)))
    expect_close(back, 1 - there, "the preferences with the answers exchanged")
    expect_close(
        handle(first, first), torch.full((7,), 0.5), "the preferences of a judge that says the same in both orders",
        mistakes={"only one order counts.": [shares(row)[0] for row in first.double().tolist()]},
    )  # fmt: skip


@exercise("ai_preference", "finite for letters that are very unlikely")
def test_ai_preference_stable(handle, seed):
    first, second = said(seed)
    check_preference(handle, first - 200.0, second - 300.0)
    check_preference(handle, 40 * first, 40 * second)


@exercise("ai_preference", "a label carries no gradient, and inputs may be views")
def test_ai_preference_detached(handle, seed):
    first, second = said(seed)
    _, gradients = handle.gradients(first, second, wrt=[0, 1])
    for key, name in ((0, "logprobs"), (1, "swapped_logprobs")):
        expect_no_gradient(gradients[key], name, "a label is data. See trap 6.")
    check_preference(handle, first.T.contiguous().T, second.T.contiguous().T)
