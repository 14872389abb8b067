"""What a right solution of lesson 12 is, continued: matched requests for retraining."""

from collections import Counter
from collections.abc import Sequence

from minillm.course.attack_props import Wrap
from minillm.course.expect import CheckFailure, expect_true, fail
from minillm.course.props import Generator
from minillm.course.testing import exercise

KINDS = ["song", "story", "test", "letter"]
Row = tuple[bool, int, str]  # (is it harmful, number in its pool, kind)


def pools(harmful: int, harmless: int) -> tuple[list[dict], list[dict]]:
    """Requests that cannot stand in a set."""
    return (
        [{"text": f"harm {i}", "harmful": True, "number": i} for i in range(harmful)],
        [{"text": f"help {i}", "harmful": False, "number": i} for i in range(harmless)],
    )


def mixed(handle, harmful: list, harmless: list, kinds: Sequence[str], count: int, seed: int) -> list[Row]:
    return rows_of(handle(harmful, harmless, kinds, Wrap(), count, Generator(seed)), kinds, count)


def rows_of(got, kinds: Sequence[str], count: int) -> list[Row]:
    """Each request of a list, taken apart; a CheckFailure where the list cannot be what was asked for."""
    if not isinstance(got, list):
        fail(f"a list of {count} wrapped requests was expected, got {type(got).__name__}.")
    rows = []
    for item in got:
        if isinstance(item, dict) and "number" in item:
            fail(f"the request {item['text']!r} is not wrapped: harmful and harmless ones all are. See trap 1.")
        if not isinstance(item, dict) or set(item) != {"request", "kind"}:
            fail(f"an item is {item!r}; expected what wrap(request, kind) gives.")
        request, kind = item["request"], item["kind"]
        if isinstance(kind, dict) or not isinstance(request, dict):
            fail(
                "wrap got kind and request in the wrong order, or something else than one request: wrap(request, kind)."
            )
        if "number" not in request:
            fail("a request is wrapped more than once.")
        if kind not in kinds:
            fail(f"the kind {kind!r} is not one of {list(kinds)}.")
        rows.append((request["harmful"], request["number"], kind))
    harm = sum(row[0] for row in rows)
    if len(rows) == 2 * count:
        fail(f"the list has {len(rows)} requests: count = {count} is the length of the whole list. See trap 4.")
    if len(rows) != count:
        fail(f"the list has {len(rows)} requests, expected {count}.")
    if harm in (0, count):
        fail(f"all {count} requests are {'harmful' if harm else 'harmless'}; half of each are asked for.")
    expect_true(harm == count // 2, f"{harm} of {count} requests are harmful, expected half of them.")
    return rows


def of_half(rows: list[Row], harmful: bool) -> list[Row]:
    return [row for row in rows if row[0] == harmful]


def kind_counts(rows: list[Row], harmful: bool) -> Counter:
    return Counter(kind for _, _, kind in of_half(rows, harmful))


def expect_matched(rows: list[Row], kinds: Sequence[str]) -> None:
    """Kinds are balanced in both halves, and alike."""
    bad, good = (kind_counts(rows, harmful) for harmful in (True, False))
    for name, found in (("harmful", bad), ("harmless", good)):
        text = ", ".join(f"{kind} {found[kind]}" for kind in kinds)
        if max(found.values()) == len(of_half(rows, name == "harmful")) and len(kinds) > 1:
            fail(f"all {name} requests are of one kind ({text}); every kind comes equally often.")
        few, many = min(found[kind] for kind in kinds), max(found[kind] for kind in kinds)
        expect_true(
            many - few <= 1,
            f"kinds among {name} requests: {text}. Equally often, give or take one: deal them out in turn. See trap 2.",
        )
    for kind in kinds:
        expect_true(
            bad[kind] == good[kind],
            f"the kind {kind!r} comes {bad[kind]} times among harmful requests, {good[kind]} among harmless ones: as "
            "often in one half as in the other.",
        )


def expect_even(rows: list[Row], sizes: tuple[int, int]) -> None:
    """No request comes again before all others came."""
    for harmful, size in ((True, sizes[0]), (False, sizes[1])):
        half = of_half(rows, harmful)
        found = Counter(number for _, number, _ in half)
        few, many = len(half) // size, -(-len(half) // size)
        name = "harmful" if harmful else "harmless"
        for number in range(size):
            expect_true(
                few <= found[number] <= many,
                f"{len(half)} {name} requests from a pool of {size}: one comes {found[number]} times, expected "
                f"{few if few == many else f'{few} or {many}'}. None comes again before all others came. See trap 3.",
            )


SIZES = ((7, 5, 4, 32), (30, 40, 3, 20), (4, 9, 4, 22), (3, 3, 2, 6))  # harmful, harmless, kinds, count


@exercise("adversarial_mix", "half harmful, half harmless, the same kinds in both")
def test_mix_is_matched(handle, seed):
    for harmful, harmless, k, count in SIZES:
        rows = mixed(handle, *pools(harmful, harmless), KINDS[:k], count, seed)
        expect_matched(rows, KINDS[:k])
    expect_matched(mixed(handle, *pools(5, 6), KINDS[3:], 8, seed), KINDS[3:])


@exercise("adversarial_mix", "no request comes again before all others came")
def test_mix_uses_up_its_pools(handle, seed):
    for harmful, harmless, k, count in SIZES:
        expect_even(mixed(handle, *pools(harmful, harmless), KINDS[:k], count, seed), (harmful, harmless))


@exercise("adversarial_mix", "requests are drawn at random, from the generator")
def test_mix_is_drawn(handle, seed):
    harmful, harmless = pools(30, 40)
    args = (harmful, harmless, KINDS, Wrap(), 16)
    source = Generator(seed)
    first, second = (rows_of(o.result, KINDS, 16) for o in handle.calls([((*args, source), {})] * 2))
    again, other = (mixed(handle, harmful, harmless, KINDS, 16, s) for s in (seed, seed + 1))
    expect_true(first == again, "the same seed gives another list: all randomness comes from the generator. Trap 6.")
    expect_true(
        first not in (other, second),
        "two draws give the same list: draw from the generator, and do not seed it or make a new one. See trap 6.",
    )
    for side, name in ((True, "harmful"), (False, "harmless")):
        drawn = [sorted(row[1] for row in of_half(rows, side)) for rows in (first, other, second)]
        expect_true(
            not drawn[0] == drawn[1] == drawn[2],
            f"the same {name} requests come whatever the seed: they come in random order.",
        )
        pairs = [sorted(row[1:] for row in of_half(mixed(handle, *pools(8, 8), KINDS, 16, s), side)) for s in range(3)]
        expect_true(
            not pairs[0] == pairs[1] == pairs[2], f"each of the {name} requests always comes in the same kind of frame."
        )


@exercise("adversarial_mix", "the whole list is shuffled")
def test_mix_is_shuffled(handle, seed):
    first, other = (mixed(handle, *pools(30, 40), KINDS, 48, s) for s in (seed, seed + 1))
    sides = [[row[0] for row in rows] for rows in (first, other)]
    for side in sides:
        expect_true(
            sorted(side) != side and sorted(side, reverse=True) != side,
            "one half stands behind the other: shuffle the whole list. See trap 5.",
        )
        expect_true(
            any(a == b for a, b in zip(side[::2], side[1::2])),
            "harmful and harmless requests stand in pairs: shuffle the whole list. See trap 5.",
        )
    expect_true(sides[0] != sides[1], "harmful and harmless ones stand in the same places whatever the seed. Trap 5.")
    kinds = [[row[2] for row in rows] for rows in (first, other)]
    expect_true(kinds[0] != kinds[1], "the kinds stand in the same places whatever the seed: shuffle. See trap 5.")


@exercise("adversarial_mix", "an odd count, an empty pool, no kinds are refused")
def test_mix_refuses(handle, seed):
    bad, good = pools(4, 5)
    for what, args in (
        ("count=7", (bad, good, KINDS, Wrap(), 7)),
        ("no harmful requests", ([], good, KINDS, Wrap(), 6)),
        ("no harmless requests", (bad, [], KINDS, Wrap(), 6)),
        ("no kinds", (bad, good, [], Wrap(), 6)),
    ):
        try:
            handle(*args, Generator(seed))
        except CheckFailure as failure:
            if "stopped with ValueError" not in str(failure):
                fail(f"{what}: a ValueError was expected (trap 8); instead\n{failure}")
        else:
            fail(f"{what} should raise a ValueError. See trap 8.")
