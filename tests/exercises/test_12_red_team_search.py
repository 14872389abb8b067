"""What a right solution of lesson 12 is, continued: candidates for a suffix, and one step of the search."""

from collections import Counter
from math import sqrt

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, describe, expect_close, expect_results, expect_true, fail
from minillm.course.props import Generator, TokenLoss
from minillm.course.testing import exercise

S, V, TOPK = 5, 17, 4
FORBIDDEN = (0, 3, 16)


def landscape(seed: int) -> tuple[Tensor, Tensor]:
    """(gradients (S, V), suffix (S,)), where wrong short lists show.

    At place 1 all gradients are positive, at place 2 all are far below the rest; forbidden tokens and the present ones
    have the most negative gradients; the largest in size are positive.
    """
    g = torch.Generator().manual_seed(seed)
    gradients = torch.stack([torch.randperm(V, generator=g) for _ in range(S)]) - 9.0 + torch.rand(S, V, generator=g)
    gradients[1] += 15.0
    gradients[2] -= 40.0
    gradients = torch.where(gradients > 3, 5 * gradients, gradients)
    suffix = torch.tensor([5, 12, 7, 5, 9])
    gradients[:, list(FORBIDDEN)] -= 60.0
    gradients[torch.arange(S), suffix] -= 80.0
    return gradients, suffix


def allowed(suffix: list[int], forbidden: tuple) -> list[list[int]]:
    return [[v for v in range(V) if v not in forbidden and v != now] for now in suffix]


def short_lists(gradients: Tensor, suffix: Tensor, topk: int = TOPK, forbidden: tuple = FORBIDDEN) -> list[list[int]]:
    """The topk allowed tokens of each place, best first."""
    rows, tokens = gradients.tolist(), allowed(suffix.tolist(), forbidden)
    return [sorted(some, key=row.__getitem__)[:topk] for row, some in zip(rows, tokens)]


def wrong_lists(gradients: Tensor, suffix: Tensor, topk: int = TOPK, forbidden: tuple = FORBIDDEN) -> dict:
    """What else the tokens that come up may be: message -> token sets by place."""
    rows, now = gradients.tolist(), suffix.tolist()
    some = allowed(now, forbidden)
    every = [(row[v], s, v) for s, row in enumerate(rows) for v in some[s]]
    flat = [{v for _, s, v in sorted(every)[: topk * len(rows)] if s == place} for place in range(len(rows))]
    few = [{v for _, s, v in sorted(every)[:topk] if s == place} for place in range(len(rows))]
    return {
        "the tokens with the largest gradients are taken: those raise the loss. See trap 1.": (
            [set(sorted(t, key=row.__getitem__)[-topk:]) for t, row in zip(some, rows)]
        ),
        "the tokens with the gradients largest in size are taken, whatever their sign. See trap 1.": (
            [set(sorted(t, key=lambda v, row=row: -abs(row[v]))[:topk]) for t, row in zip(some, rows)]
        ),
        "the gradient is not used: any allowed token comes up.": [set(t) for t in some],
        "only the single best token of each place comes up; all topk should.": (
            [{min(t, key=row.__getitem__)} for t, row in zip(some, rows)]
        ),
        "the short list is one for the whole matrix, not one for each place. See trap 2.": flat,
        "the short list is one of topk tokens for the whole matrix, not one for each place. See trap 2.": few,
        "the short lists are one token too long.": (
            [set(sorted(t, key=row.__getitem__)[: topk + 1]) for t, row in zip(some, rows)]
        ),
        "the short lists are one token too short.": (
            [set(sorted(t, key=row.__getitem__)[: topk - 1]) for t, row in zip(some, rows)]
        ),
        "only tokens with a negative gradient are taken; topk is topk.": (
            [{v for v in sorted(t, key=row.__getitem__)[:topk] if row[v] < 0} for t, row in zip(some, rows)]
        ),
    }


def draw(handle, gradients: Tensor, suffix: Tensor, count: int, seed: int) -> list[tuple[int, int]]:
    """(place, new token) of each candidate; a CheckFailure where one is no candidate."""
    got = handle(gradients, suffix, count, TOPK, Generator(seed), FORBIDDEN)
    return changes(got, suffix, count, FORBIDDEN, "the candidates")


def changes(got, suffix: Tensor, count: int, forbidden: tuple, what: str) -> list[tuple[int, int]]:
    if not isinstance(got, Tensor) or tuple(got.shape) != (count, len(suffix)):
        size = f"shape {tuple(got.shape)}" if isinstance(got, Tensor) else f"type {type(got).__name__}"
        fail(f"{what} should be a tensor of shape (count, S) = {(count, len(suffix))}, got {size}.")
    expect_true(not got.is_floating_point(), f"{what} should be tokens, whole numbers (long), got {got.dtype}.")
    places = []
    for row in got.tolist():
        moved = [s for s, (new, old) in enumerate(zip(row, suffix.tolist())) if new != old]
        if not moved:
            fail(f"{what}: {row} is the suffix itself: the token that stands there now is not allowed.")
        if len(moved) > 1:
            fail(f"{what}: {row} differs from the suffix at {len(moved)} places; one should change.")
        if row[moved[0]] in forbidden:
            fail(f"{what}: {row} holds the forbidden token {row[moved[0]]}: out with them before you rank.")
        if not 0 <= row[moved[0]] < V:
            fail(f"{what}: {row[moved[0]]} is no token.")
        places.append((moved[0], row[moved[0]]))
    return places


def expect_share(found: int, n: int, p: float, what: str, advice: str) -> None:
    """``found`` of n is what chance gives, within 5.5 standard deviations."""
    margin = 5.5 * sqrt(p * (1 - p) / n)
    expect_true(abs(found / n - p) <= margin, f"{what} in {found / n:.1%} of candidates, expected {p:.1%}: {advice}")


def expect_lists(drawn: list[tuple[int, int]], gradients: Tensor, suffix: Tensor) -> None:
    """Every token that came up is on the short list of its place, and all of them came up."""
    right = [set(each) for each in short_lists(gradients, suffix)]
    came = [{v for place, v in drawn if place == s} for s in range(len(right))]
    if came == right:
        return
    s = next(i for i in range(len(right)) if came[i] != right[i])
    text = f"tokens drawn at place {s}: {sorted(came[s])}, expected {sorted(right[s])}, the {TOPK} most negative."
    names = [name for name, lists in wrong_lists(gradients, suffix).items() if lists == came]
    fail("\n".join([text, *(f"This is what comes out when {name}" for name in names[:1])]))


@exercise("sample_candidates", "one place changed, to a token of that place's short list")
def test_candidates_come_from_the_short_lists(handle, seed):
    gradients, suffix = landscape(seed)
    drawn = draw(handle, gradients, suffix, 1500, seed)
    places = Counter(place for place, _ in drawn)
    expect_true(len(places) > 1, f"all candidates change place {drawn[0][0]}: each draws its own place. See trap 4.")
    expect_lists(drawn, gradients, suffix)


@exercise("sample_candidates", "places and tokens are uniform, and independent")
def test_candidates_are_uniform(handle, seed):
    gradients, suffix = landscape(seed + 1)
    n = 3000
    drawn = draw(handle, gradients, suffix, n, seed)
    places, pairs = Counter(place for place, _ in drawn), Counter(drawn)
    for s, listed in enumerate(short_lists(gradients, suffix)):
        expect_share(places[s], n, 1 / S, f"place {s} is changed", "the place is uniform. See trap 4.")
        for v in listed:
            advice = "each of the topk tokens is as likely as the others, at every place."
            expect_share(pairs[s, v], n, 1 / S / TOPK, f"place {s} becomes token {v}", advice)


@exercise("sample_candidates", "all randomness comes from the generator")
def test_candidates_generator(handle, seed):
    gradients, suffix = landscape(seed)
    source = Generator(seed)
    args = (gradients, suffix, 40, TOPK)
    first, second = (o.result for o in handle.calls([((*args, source, FORBIDDEN), {})] * 2))
    again, other = (handle(*args, Generator(s), FORBIDDEN) for s in (seed, seed + 1))
    for name, tensor in (("same seed", again), ("another seed", other)):
        changes(tensor, suffix, 40, FORBIDDEN, f"the candidates ({name})")
    expect_true(
        torch.equal(first, again),
        "the same seed gives other candidates: all randomness comes from the generator. See trap 5.",
    )
    places = [[place for place, _ in changes(t, suffix, 40, FORBIDDEN, "the candidates")] for t in (first, other)]
    expect_true(
        not torch.equal(first, other) and not torch.equal(first, second),
        "two draws give the same candidates: draw from the generator, and do not seed it, or make a new one. Trap 5.",
    )
    expect_true(places[0] != places[1], "the places come in the same order whatever the seed: draw them. See trap 4.")


@exercise("sample_candidates", "nothing forbidden, other types of numbers, a suffix of one token")
def test_candidates_other_sizes(handle, seed):
    gradients, suffix = landscape(seed)
    got = handle(gradients, suffix, 200, 3, Generator(seed))
    lists = short_lists(gradients, suffix, 3, ())
    for s, v in changes(got, suffix, 200, (), "the candidates (nothing forbidden)"):
        expect_true(v in lists[s], f"token {v} at place {s} is not one of the 3 most negative, {lists[s]}.")
    wide = gradients.double().T.contiguous().T
    got = handle(wide[3:4], suffix[3:4], 60, 2, Generator(seed), list(FORBIDDEN))
    lists = short_lists(gradients[3:4], suffix[3:4], 2)
    for s, v in changes(got, suffix[3:4], 60, FORBIDDEN, "the candidates (one place, float64)"):
        expect_true(v in lists[s], f"token {v} is not one of the 2 most negative, {lists[s]}.")


@exercise("sample_candidates", "a short list that cannot be filled is refused")
def test_candidates_refuse(handle, seed):
    gradients, suffix = landscape(seed)
    room = V - len(FORBIDDEN) - 1
    got = handle(gradients, suffix, 50, room, Generator(seed), FORBIDDEN)
    changes(got, suffix, 50, FORBIDDEN, f"the candidates (topk={room}, all that are allowed)")
    for topk in (room + 1, V):
        try:
            handle(gradients, suffix, 50, topk, Generator(seed), FORBIDDEN)
        except CheckFailure as failure:
            if "stopped with ValueError" not in str(failure):
                fail(f"topk={topk} with {room} tokens allowed: a ValueError was expected; instead\n{failure}")
        else:
            fail(f"topk={topk}, but only {room} tokens are allowed at each place: that should raise a ValueError.")


# --- gcg_step ---------------------------------------------------------------------------------------------------


def prices(table: Tensor, rows: Tensor) -> list[float]:
    """The loss of each row, in plain numbers."""
    numbers = table.double().tolist()
    return [sum(numbers[s][v] for s, v in enumerate(row)) for row in rows.tolist()]


def step_mistakes(calls: list[Tensor], table: Tensor, suffix: Tensor, gradients: Tensor) -> dict:
    """message -> (suffix, loss) of every mistake that the priced rows explain."""
    rows = calls[0]
    costs, own = prices(table, rows), prices(table, suffix[None])[0]
    new = [i for i, row in enumerate(rows.tolist()) if row != suffix.tolist()]
    worst, first = max(range(len(costs)), key=costs.__getitem__), new[0]
    best, best_new = min(range(len(costs)), key=costs.__getitem__), min(new, key=costs.__getitem__)
    slopes = prices(gradients, rows)
    promised = min(new, key=slopes.__getitem__)
    return {
        "the row with the largest loss is taken. See trap 1.": (rows[worst], costs[worst]),
        "the best candidate is taken though the present suffix is no worse. See trap 3.": (
            rows[best_new], costs[best_new]
        ),
        "the candidate that the gradient promises most of is taken; what is measured decides. See trap 1.": (
            rows[promised], costs[promised]
        ),
        "the first candidate is taken.": (rows[first], costs[first]),
        "the suffix is never changed.": (suffix, own),
        "the mean of all losses is returned, not the loss of the row. See trap 2.": (
            rows[best], sum(costs) / len(costs)
        ),
        "the loss of the present suffix is returned, not that of the row. See trap 2.": (rows[best], own),
        "the best loss is returned, with the present suffix. See trap 2.": (suffix, costs[best]),
        "the improvement is returned, not the loss. See trap 2.": (rows[best], costs[best] - own),
    }  # fmt: skip


def check_step(handle, table: Tensor, gradients: Tensor, suffix: Tensor, seed: int, what: str, **settings) -> Tensor:
    """One step; the rows that were priced."""
    outcome = handle.call(suffix, gradients, TokenLoss(table), Generator(seed), **settings)
    calls, count = outcome.states[2]["calls"], settings.get("count", 64)
    forbidden, topk = settings.get("forbidden", ()), settings.get("topk", 16)
    expect_true(calls, "losses is never called: the loss itself decides, not the gradient. See trap 1.")
    expect_true(len(calls) == 1, f"losses is called {len(calls)} times; all rows belong into one call. See trap 4.")
    rows, own = calls[0], suffix.tolist()
    new = torch.stack([row for row in rows if row.tolist() != own] or [suffix])
    expect_true(
        any(row.tolist() == own for row in rows), f"{what}: the present suffix is not priced along. See trap 3."
    )
    expect_true(len(rows) == count + 1, f"{what}: {len(rows)} rows are priced, expected {count} candidates and it.")
    lists = short_lists(gradients, suffix, topk, tuple(forbidden))
    for s, v in changes(new, suffix, count, tuple(forbidden), f"{what}: the rows that are priced"):
        expect_true(v in lists[s], f"{what}: {v} at place {s} is not among the {topk} best allowed: pass topk on.")
    check_choice(outcome.result, calls, table, gradients, suffix, what)
    return rows


def check_choice(result, calls: list[Tensor], table: Tensor, gradients: Tensor, suffix: Tensor, what: str) -> None:
    row, loss = expect_results(result, 2, "the suffix, its loss")
    expect_true(isinstance(row, Tensor) and row.shape == suffix.shape, f"{what}: the suffix should be a tensor (S,).")
    costs, own = prices(table, calls[0]), prices(table, suffix[None])[0]
    best = min(costs)
    known = step_mistakes(calls, table, suffix, gradients)
    numbers = isinstance(loss, float) or (isinstance(loss, Tensor) and loss.ndim == 0)
    expect_true(numbers, f"{what}: the loss should be one number, got {describe(loss)}.")
    right = abs(prices(table, row[None])[0] - best) < 1e-5 if 0 <= int(row.min()) and int(row.max()) < V else False
    stays = own > best + 1e-9 or torch.equal(row, suffix)
    if not (right and stays and abs(float(loss) - best) < 1e-4):
        named = [k for k, (r, x) in known.items() if torch.equal(r, row) and abs(x - float(loss)) < 1e-4]
        text = f"{what}: you returned {row.tolist()} with loss {float(loss):.4f}; the smallest loss is {best:.4f}"
        text += f", that of the present suffix {own:.4f}."
        fail("\n".join([text, *(f"This is what comes out when {name}" for name in named[:1])]))
    expect_close(float(loss), best, "the loss")


def surface(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """(table, gradients, suffix): gradients that promise something else than the losses keep."""
    g = torch.Generator().manual_seed(seed)
    table, suffix = torch.randn(S, V, generator=g), torch.randint(0, V, (S,), generator=g)
    table[torch.arange(S), suffix] = 0.5
    return table, table + 2.0 * torch.randn(S, V, generator=g), suffix


@exercise("gcg_step", "the best of all rows, priced in one call")
def test_gcg_step(handle, seed):
    table, gradients, suffix = surface(seed)
    settings = {"count": 30, "topk": 6}
    check_step(handle, table, gradients, suffix, seed, "the step", **settings)
    suffix[suffix == 16], suffix[suffix == 0] = 5, 4
    table[torch.arange(S), suffix] = 0.5
    table[:, [0, 16]] = gradients[:, [0, 16]] = -9.0
    check_step(handle, table, gradients, suffix, seed, "the step (0 and 16 forbidden)", **settings, forbidden=(0, 16))


@exercise("gcg_step", "the present suffix stays unless a candidate is strictly better")
def test_gcg_step_stays(handle, seed):
    table, gradients, suffix = surface(seed)
    table[torch.arange(S), suffix] = -9.0
    check_step(handle, table, gradients, suffix, seed, "the step (nothing is better)", count=16, topk=5)
    level = torch.full((S, V), 0.25)
    check_step(handle, level, gradients, suffix, seed, "the step (all losses are equal)", count=16, topk=5)


@exercise("gcg_step", "64 candidates of 16 tokens each if nothing else is said; a new draw each time")
def test_gcg_step_defaults(handle, seed):
    table, gradients, suffix = surface(seed)
    first, again, other = (
        check_step(handle, table, gradients, suffix, s, "the step (count and topk left out)")
        for s in (seed, seed, seed + 1)
    )
    expect_true(torch.equal(first, again), "the same seed prices other rows: pass the generator on.")
    expect_true(not torch.equal(first, other), "another seed prices the same rows: pass the generator on.")
    best = short_lists(gradients, suffix, 10, ())
    far = [v for s, v in changes(first[(first != suffix).any(1)], suffix, 64, (), "the rows") if v not in best[s]]
    expect_true(far, "topk is smaller than 16 if it is left out: only the best tokens of each place come up.")
