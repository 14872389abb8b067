"""What a right solution of lesson 02 is, continued: drawing a token.

Distributions are judged from 3,000 rows drawn in one call. A count is refused where its probability under the right
distribution is below 2 exp(-25) (Chernoff's bound), so a right answer is never refused by chance.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from math import exp, inf, log

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, describe, expect_equal, expect_shape, expect_true, fail
from minillm.course.props import Generator
from minillm.course.testing import exercise

V, KINDS, EACH = 7, 3, 1000
FEW = 150  # draws where a single wrong one, or an error, gives the mistake away
BASE = [0.40, 0.24, 0.14, 0.09, 0.06, 0.04, 0.03]
SURE = 25.0


def cases(seed: int) -> Tensor:
    """Logits (KINDS, V): the same falling probabilities, a little changed and in another order in each row."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.tensor(BASE).log()[torch.randperm(V, generator=generator)] for _ in range(KINDS)]
    return torch.stack(rows) + 0.05 * torch.rand(KINDS, V, generator=generator) + 2.0


def kept_after(probs: list[float], ranked: list[int], top_p: float, rule: str = "cross") -> list[int]:
    """The tokens that top-p keeps, likeliest first. rule: what happens to the token that crosses p."""
    total, kept = 0.0, []
    for token in ranked:
        after = total + probs[token]
        if (rule != "drop" and total >= top_p) or (rule == "drop" and after > top_p):
            break
        kept.append(token)
        total = after
    return [*kept, *ranked[len(kept) : len(kept) + 1]] if rule == "more" else kept


def normalised(probs: list[float]) -> list[float]:
    return [p / sum(probs) for p in probs] if sum(probs) else probs


def softmax(logits: list[float]) -> list[float]:
    return normalised([exp(x - max(logits)) if x > -inf else 0.0 for x in logits])


def exact(logits: list[float], temperature: float = 1.0, top_k=None, top_p=None, **wrong) -> list[float]:
    """The probability of each token, by the rules; ``wrong`` names what is done otherwise."""
    scaled = [x * temperature if wrong.get("multiply") else x / temperature for x in logits]
    probs = softmax(scaled)
    ranked = sorted(range(V), key=lambda token: -probs[token])
    if top_k is not None:
        ranked = ranked[V - top_k :] if wrong.get("smallest") else ranked[: top_k + wrong.get("more_k", 0)]
    if top_p is not None:
        ruler = softmax(logits) if wrong.get("early") else probs
        inside = [p if token in ranked or wrong.get("full") else 0.0 for token, p in enumerate(ruler)]
        ranked = kept_after(normalised(inside), ranked, top_p, wrong.get("rule", "cross"))
    if wrong.get("zeros"):
        return softmax([x if token in ranked else 0.0 for token, x in enumerate(scaled)])
    if wrong.get("twice"):
        return softmax([p if token in ranked else -inf for token, p in enumerate(probs)])
    result = normalised([p if token in ranked else 0.0 for token, p in enumerate(probs)])
    return sorted(result, reverse=True) if wrong.get("rank") else result


def counts(handle, logits: Tensor, seed: int, each: int = EACH, **settings) -> list[list[int]]:
    """How often each token is drawn for each kind of row; rows of all kinds stand mixed in one batch."""
    drawn = handle(logits.repeat(each, 1), **settings, generator=Generator(seed))
    expect_shape(drawn, (each * KINDS,), "the result")
    tokens = torch.as_tensor(drawn)
    if tokens.is_floating_point() or bool((tokens < 0).any()) or bool((tokens >= V).any()):
        fail(f"the result should be ids of tokens, whole numbers from 0 to {V - 1}, but it is {describe(drawn)}.")
    if any(len(set(tokens[kind::KINDS].tolist())) == 1 for kind in range(KINDS)) and settings.get("top_k") != 1:
        fail(
            f"{each} rows with the same logits all drew the same token. Each row is a draw of its own: "
            "is there an argmax, or one draw for all rows?"
        )
    return [torch.bincount(tokens[kind::KINDS].long(), minlength=V).tolist() for kind in range(KINDS)]


def surprise(count: int, p: float, draws: int) -> float:
    """n KL(count / n || p): how unlikely so extreme a count is, in nats."""
    share = count / draws
    parts = ((share, p), (1 - share, 1 - p))
    return draws * sum(a * log(a / b) if b > 1e-15 else inf for a, b in parts if a > 0)


def fits(table: list[list[int]], probs: list[list[float]]) -> bool:
    return all(surprise(n, min(p, 1.0), sum(row)) < SURE for row, q in zip(table, probs) for n, p in zip(row, q))


def distance(table: list[list[int]], probs: list[list[float]]) -> float:
    return sum(surprise(n, min(p, 1.0), sum(row)) for row, q in zip(table, probs) for n, p in zip(row, q))


def expect_distribution(
    table: list[list[int]], logits: Tensor, settings: dict, mistakes: dict[str, dict | list]
) -> None:
    """The counts fit the right distribution. mistakes: message -> what is done otherwise, or the probabilities."""
    rows = logits.tolist()
    probs = [exact(row, **settings) for row in rows]
    if fits(table, probs):
        return
    kind, token = next(
        (kind, token)
        for kind in range(KINDS)
        for token in range(V)
        if surprise(table[kind][token], probs[kind][token], sum(table[kind])) >= SURE
    )
    count, p, draws = table[kind][token], probs[kind][token], sum(table[kind])
    told = ", ".join(f"{name}={value:.3g}" for name, value in settings.items())
    lines = [
        f"row {kind}, {told or 'no settings'}: token {token} has probability {p:.3f}, "
        f"so about {round(p * draws)} of {draws} draws. It was drawn {count} times."
    ]
    if p == 0:
        lines.append("A token that was filtered out must never be drawn.")
    known = {
        message: wrong if isinstance(wrong, list) else [exact(row, **{**settings, **wrong}) for row in rows]
        for message, wrong in mistakes.items()
    }
    fitting = [message for message, each in known.items() if fits(table, each)]
    if fitting:
        nearest = min(fitting, key=lambda message: distance(table, known[message]))
        lines.append(f"These are the counts that come out when {nearest}")
    fail("\n".join(lines))


@contextmanager
def remark(text: str, applies: bool = True) -> Iterator[None]:
    """Add ``text`` to the message of a call that stopped with an error."""
    try:
        yield
    except CheckFailure as problem:
        if applies and "stopped with" in str(problem):
            fail(f"{problem}\n{text}")
        raise


def middle_p(logits: list[float], keep: int, inside: float = 0.5, **settings) -> float:
    """A top_p that lies inside the token with which ``keep`` tokens are kept, at this share of it."""
    probs = sorted(exact(logits, **settings), reverse=True)
    return sum(probs[: keep - 1]) + probs[keep - 1] * inside


def alike(seed: int) -> Tensor:
    """Logits (KINDS, V), the same numbers in another order in each row, so that one top_p cuts all alike."""
    logits, generator = cases(seed)[0], torch.Generator().manual_seed(seed + 1)
    return torch.stack([logits[torch.randperm(V, generator=generator)] for _ in range(KINDS)])


OFF = {"temperature": 1.0, "top_k": None, "top_p": None}
GENERAL = {
    "the softmax is taken twice, so that the probabilities are used as logits.": {"twice": True},
    "filtered logits are set to 0, not to -inf: exp(0) is 1. See trap 3.": {"zeros": True},
    "what is returned is the place in the sorted order, not the token that stands there.": {"rank": True},
    "every token is equally likely.": [[1 / V] * V] * KINDS,
}


@exercise("sample_token", "temperature 0 takes the likeliest token")
def test_sample_token_greedy(handle, seed):
    logits = torch.randn(5, V, generator=torch.Generator().manual_seed(seed))
    with remark("This is a call with temperature 0, the greedy choice. Is something divided by it? See trap 2."):
        got = [handle(logits, temperature=0.0), handle(logits, temperature=0, top_k=3, top_p=0.9)]
    for each in got:
        expect_shape(each, (5,), "the result")
        expect_equal(torch.as_tensor(each).long(), logits.argmax(-1), "the result with temperature=0")


@exercise("sample_token", "the softmax of the logits, row by row")
def test_sample_token_plain(handle, seed):
    logits = cases(seed)
    expect_distribution(counts(handle, logits, seed), logits, {}, GENERAL)
    wide = torch.zeros(KINDS, 2 * V).double()
    wide[:, ::2] = logits + 300.0
    with remark("These logits lie near 300, where exp overflows. softmax subtracts the maximum first."):
        table = counts(handle, wide[:, ::2], seed, each=FEW)
    expect_distribution(table, logits, {}, GENERAL)


@exercise("sample_token", "temperature divides the logits")
def test_sample_token_temperature(handle, seed):
    logits = cases(seed)
    for temperature in (0.5, 2.5):
        settings = {"temperature": temperature}
        mistakes = {
            "the logits are multiplied by the temperature. See trap 1.": {"multiply": True},
            "the temperature is not used, or divides the probabilities, not the logits. See trap 1.": OFF,
            **GENERAL,
        }
        expect_distribution(counts(handle, logits, seed, **settings), logits, settings, mistakes)


@exercise("sample_token", "top_k keeps the k likeliest tokens")
def test_sample_token_top_k(handle, seed):
    logits = cases(seed)
    for top_k in (3, 1, V + 5):
        settings = {"top_k": top_k}
        with remark(
            "This is a call with a top_k above V, which keeps every token: min(top_k, V). See trap 4.", top_k > V
        ):
            table = counts(handle, logits, seed, each=FEW if top_k == 1 else EACH, **settings)
        mistakes = {
            "top_k is not used.": OFF,
            "top_k keeps one token too many.": {"more_k": 1},
            "top_k keeps one token too few.": {"more_k": -1},
            "top_k keeps the k *least* likely tokens.": {"smallest": True},
            **GENERAL,
        }
        expect_distribution(table, logits, settings, mistakes)


@exercise("sample_token", "top_p keeps the token that crosses p, and no more")
def test_sample_token_top_p(handle, seed):
    logits = alike(seed)
    mistakes = {
        "top_p is not used.": OFF,
        "top_p drops the token that crosses p: what is left holds less than p. See trap 5.": {"rule": "drop"},
        "top_p keeps one token too many.": {"rule": "more"},
        **GENERAL,
    }
    for keep in (3, 5):
        settings = {"top_p": middle_p(logits[0].tolist(), keep)}
        expect_distribution(counts(handle, logits, seed, **settings), logits, settings, mistakes)
    expect_distribution(counts(handle, logits, seed, top_p=1.0), logits, {"top_p": 1.0}, mistakes)
    with remark("This is a call with top_p=0.01: the likeliest token crosses p, and is kept. See trap 5."):
        got = handle(logits, top_p=0.01)
    expect_equal(torch.as_tensor(got).long(), logits.argmax(-1), "the result with top_p=0.01, which keeps one token")


@exercise("sample_token", "every row has a top_p cut of its own")
def test_sample_token_top_p_by_row(handle, seed):
    logits = cases(seed) * torch.tensor([[0.6], [1.0], [2.0]])
    p = next(p / 100 for p in range(70, 90) if all(_clear(row, p / 100) for row in logits.tolist()))
    first = sum(q > 0 for q in exact(logits[0].tolist(), top_p=p))
    mistakes = {
        "every row is cut like the first: as many tokens stay, whatever its own probabilities are.": {
            "top_k": first,
            "top_p": None,
        },
        "top_p is not used.": OFF,
        **GENERAL,
    }
    expect_distribution(counts(handle, logits, seed, top_p=p), logits, {"top_p": p}, mistakes)


def _clear(logits: list[float], top_p: float) -> bool:
    """No cumulative probability lies so near to p that rounding could decide."""
    probs, total = sorted(softmax(logits), reverse=True), 0.0
    for p in probs:
        total += p
        if abs(total - top_p) < 1e-3:
            return False
    return True


@exercise("sample_token", "temperature first, then top_k, then top_p")
def test_sample_token_order(handle, seed):
    logits = alike(seed)
    row = logits[0].tolist()
    hot = {"temperature": 2.5}
    hot["top_p"] = middle_p(row, 5, **hot)
    early = {"top_p is cut from the probabilities before the temperature. See trap 6.": {"early": True}}
    expect_distribution(counts(handle, logits, seed, **hot), logits, hot, {**early, **GENERAL})
    both = {"temperature": 1.5, "top_k": 5}
    both["top_p"] = middle_p(row, 3, 0.75, **both)
    full = {
        "top_p is measured on all tokens, not on what top_k has left. See trap 6.": {"full": True},
        "top_k is not used.": {"top_k": None},
        "top_p is not used.": {"top_p": None},
    }
    expect_distribution(counts(handle, logits, seed, **both), logits, both, {**early, **full, **GENERAL})


@exercise("sample_token", "the generator decides")
def test_sample_token_generator(handle, seed):
    logits = cases(seed).repeat(40, 1)
    first = handle.call(logits, generator=Generator(seed))
    expect_true(first.states["generator"]["used"], "the generator that is passed is not used: hand it to the draw.")
    again, other = handle(logits, generator=Generator(seed)), handle(logits, generator=Generator(seed + 1))
    expect_equal(again, first.result, "the result with a generator of the same seed")
    same = torch.equal(torch.as_tensor(other), torch.as_tensor(first.result))
    expect_true(not same, "generators with different seeds give the same draws: the generator passed does not decide.")
