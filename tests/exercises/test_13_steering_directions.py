"""What a right solution of lesson 13 is, continued: finding a direction, and taking it away."""

from math import sqrt

import torch
from torch import Tensor

from minillm.course.expect import (
    CheckFailure,
    expect_close,
    expect_gradient,
    expect_results,
    expect_shape,
    expect_true,
    fail,
)
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def refuses(handle, what: str, *args) -> None:
    """The call ends with a ValueError."""
    try:
        handle(*args)
    except CheckFailure as failure:
        if "ValueError" not in str(failure):
            fail(f"{what}: a ValueError was expected. {failure}")
    else:
        fail(f"{what}: a ValueError was expected, and nothing was raised.")


# --- difference_in_means ----------------------------------------------------------------------------------------


def clouds(seed: int, N: int = 7, M: int = 4, D: int = 5) -> tuple[Tensor, Tensor]:
    """Two sets of rows away from 0, of different sizes and lengths; not contiguous."""
    g = generator(seed)
    positive = 2.0 + 1.5 * torch.randn(D, N, generator=g)
    negative = -1.0 + 2.5 * torch.randn(D, M, generator=g) + torch.arange(D)[:, None]
    return positive.T, negative.T


def column_means(x: list[list[float]]) -> list[float]:
    return [sum(column) / len(x) for column in zip(*x)]


def norm(v: list[float]) -> float:
    return sqrt(sum(a * a for a in v))


def unit(v: list[float]) -> list[float]:
    return [a / norm(v) for a in v]


def minus(a: list[float], b: list[float]) -> list[float]:
    return [x - y for x, y in zip(a, b)]


def middle(x: list[list[float]], high: bool = False) -> list[float]:
    """The median of each column; of an even number the lower of both (torch's), or their mean."""
    ordered = [sorted(column) for column in zip(*x)]
    return [(c[(len(c) - 1) // 2] + c[len(c) // 2 if high else (len(c) - 1) // 2]) / 2 for c in ordered]


def direction_mistakes(p: list[list[float]], n: list[list[float]]) -> tuple[dict, dict]:
    """What mistakes give for the direction and for the distance."""
    mu, nu = column_means(p), column_means(n)
    gap, pairs = minus(mu, nu), min(len(p), len(n))
    total = minus([a * len(p) for a in mu], [a * len(n) for a in nu])
    scaled = minus(column_means([unit(row) for row in p]), column_means([unit(row) for row in n]))
    other = {
        "the rows are scaled to length 1 before they are averaged. See trap 3.": scaled,
        "the means are scaled to length 1 before they are subtracted. See trap 3.": minus(unit(mu), unit(nu)),
        "rows are added, not averaged: the larger set counts more. See trap 2.": total,
        "the medians are taken, not the means.": minus(middle(p), middle(n)),
        "the medians (halfway between two in the middle) are taken.": minus(middle(p, True), middle(n, True)),
        "the rows are taken in pairs, and what has no partner is left out. See trap 2.": (
            minus(column_means(p[:pairs]), column_means(n[:pairs]))
        ),
        "the mean of all rows, of both sets, is subtracted from that of the positive ones.": (
            minus(mu, column_means(p + n))
        ),
        "only the positive rows are used.": mu,
        "only the negative rows are used.": nu,
        "the means are added, not subtracted.": [a + b for a, b in zip(mu, nu)],
        "only the first row of each set is used.": minus(p[0], n[0]),
        "only the last row of each set is used.": minus(p[-1], n[-1]),
    }
    directions = {words: unit(v) for words, v in other.items()}
    directions |= {
        "the direction is from positive to negative. See trap 1.": minus([0.0] * len(gap), unit(gap)),
        "the direction is not scaled to length 1.": gap,
        "the direction is divided by the square of its length.": [a / norm(gap) ** 2 for a in gap],
        "the direction is divided by the sum of its absolute numbers, not by its length.": (
            [a / sum(map(abs, gap)) for a in gap]
        ),
        "the direction is divided by its largest number, not by its length.": [a / max(map(abs, gap)) for a in gap],
        "rows are averaged over their numbers (dim 1); average over rows (dim 0).": column_means(list(zip(*p))),
        "the direction is multiplied by its length, not divided by it.": [a * norm(gap) for a in gap],
        "rows are scaled to length 1 before they are averaged, and the difference is not. See trap 3.": scaled,
    }
    distances = {
        "the distance is squared.": norm(gap) ** 2,
        "the distance is that of the direction after it was scaled: always 1. See trap 4.": 1.0,
        "the distance is the sum of absolute differences, not the square root of the sum of squares.": (
            sum(map(abs, gap))
        ),
        "the distance is divided by the square root of D.": norm(gap) / sqrt(len(gap)),
        "the distance is the difference of the lengths of both means.": norm(mu) - norm(nu),
        "the distance is the largest difference of all numbers.": max(map(abs, gap)),
        "the distance is the mean distance of all rows from each other, not that of the means.": (
            sum(norm(minus(a, b)) for a in p for b in n) / (len(p) * len(n))
        ),
        "the distance is the length of the positive mean.": norm(mu),
    }
    return directions, distances | {words: norm(v) for words, v in other.items()}


def check_means(handle, positive: Tensor, negative: Tensor, what: str = "") -> None:
    p, n = positive.double().tolist(), negative.double().tolist()
    gap = minus(column_means(p), column_means(n))
    got = expect_results(handle(positive, negative), 2, "direction, distance")
    directions, distances = direction_mistakes(p, n)
    if getattr(got[0], "ndim", 0) == 0 and getattr(got[1], "ndim", 0) == 1:
        fail("the two results are swapped: the direction comes first, then the distance.")
    expect_close(got[0], unit(gap), f"the direction{what}", mistakes=directions)
    expect_close(got[1], norm(gap), f"the distance{what}", mistakes=distances)


@exercise("difference_in_means", "the numbers of the worked example")
def test_means_worked_example(handle, seed):
    check_means(handle, torch.tensor([[3.0, 1.0], [5.0, 3.0]]), torch.tensor([[1.0, 0.0], [1.0, -4.0], [1.0, -2.0]]))


@exercise("difference_in_means", "two sets of different sizes")
def test_means_values(handle, seed):
    check_means(handle, *clouds(seed))
    check_means(handle, *clouds(seed + 1, N=3, M=8, D=4), " (3 and 8 rows)")
    check_means(handle, *clouds(seed + 2, N=6, M=6), " (6 and 6 rows)")


@exercise("difference_in_means", "one row is a set, and double precision stays right")
def test_means_small_and_exact(handle, seed):
    check_means(handle, *clouds(seed, N=1, M=5), " (1 and 5 rows)")
    check_means(handle, *(x.double() for x in clouds(seed)), " (float64)")


@exercise("difference_in_means", "means that are very close, or very far, have a direction of length 1 too")
def test_means_scale(handle, seed):
    positive, negative = clouds(seed)
    for scale in (1e-4, 1e4):
        check_means(handle, scale * positive, scale * negative, f" (all numbers times {scale:g})")


@exercise("difference_in_means", "exchanging the sets turns the direction round, and moving both changes nothing")
def test_means_symmetry(handle, seed):
    positive, negative = clouds(seed)
    first, size = expect_results(handle(positive, negative), 2, "direction, distance")
    second, same = expect_results(handle(negative, positive), 2, "direction, distance")
    expect_close(second, -first, "the direction after the sets have changed places")
    expect_close(same, size, "the distance after the sets have changed places")
    moved = handle(positive + 3.0, negative + 3.0)
    expect_close(moved[0], first, "the direction after both sets have moved", rtol=1e-3)


@exercise("difference_in_means", "an empty set, or equal means, are refused")
def test_means_refused(handle, seed):
    positive, negative = clouds(seed)
    refuses(handle, "no positive rows", positive[:0], negative)
    refuses(handle, "no negative rows", positive, negative[:0])
    rows = torch.tensor([[1.0, 2.0], [3.0, -4.0]])
    refuses(handle, "two equal means", rows, rows.flip(0))


# --- ablate_direction -------------------------------------------------------------------------------------------


def states(seed: int, *shape: int) -> tuple[Tensor, Tensor]:
    """Hidden states of the given shape, not contiguous, and a direction (D,) whose length is not 1."""
    g = generator(seed)
    D = shape[-1]
    hidden = 1.0 + 2.0 * torch.randn(D, *shape[:-1], generator=g)
    return hidden.movedim(0, -1), 0.8 * torch.randn(D, generator=g) + 0.5


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def each_row(hidden: Tensor, change) -> Tensor:
    """``change`` made to every state of D numbers, in plain floats."""
    flat = hidden.double().reshape(-1, hidden.shape[-1]).tolist()
    return torch.tensor([change(row) for row in flat], dtype=torch.float64).reshape(hidden.shape)


def without(h: list[float], along: float, d: list[float]) -> list[float]:
    """h minus ``along`` times d."""
    return [x - along * y for x, y in zip(h, d)]


def ablated(hidden: Tensor, direction: Tensor) -> Tensor:
    d = direction.double().tolist()
    return each_row(hidden, lambda h: without(h, dot(h, d) / dot(d, d), d))


def ablate_mistakes(hidden: Tensor, direction: Tensor) -> dict:
    d, D = direction.double().tolist(), hidden.shape[-1]
    r, size = unit(d), norm(d)
    flat = hidden.double().reshape(-1, D).tolist()
    middle_along = sum(dot(h, r) for h in flat) / len(flat)

    def made(along, v: list[float] = r):
        return lambda: each_row(hidden, lambda h: without(h, along(h), v))

    def at_last_place() -> Tensor:
        right = ablated(hidden, direction)
        result = hidden.double().clone()
        result[..., -1, :] = right[..., -1, :]
        return result

    def averaged(dim: int) -> Tensor:
        along = (hidden.double() @ torch.tensor(r, dtype=torch.float64)).mean(dim, keepdim=True)
        return hidden.double() - along[..., None] * torch.tensor(r, dtype=torch.float64)

    batched = hidden.ndim > 1
    every = {
        "the direction is not scaled to length 1. See trap 1.": made(lambda h: dot(h, d), d),
        "the product is divided by the direction's length once; it holds the direction twice. See trap 1.": (
            made(lambda h: dot(h, d) / size, d)
        ),
        "the direction is scaled by the square of its length. See trap 1.": (made(lambda h: dot(h, d) / size**4, d)),
        "the direction is divided by the sum of its absolute numbers, not by its length. See trap 1.": (
            made(lambda h: dot(h, d) / sum(map(abs, d)) ** 2, d)
        ),
        "the part along the direction is added, not taken away. See trap 3.": made(lambda h: -dot(h, r)),
        "the part along the direction is taken away twice: this is a mirror.": made(lambda h: 2 * dot(h, r)),
        "the part that should go is returned, not the rest. See trap 3.": (
            lambda: each_row(hidden, lambda h: [dot(h, r) * x for x in r])
        ),
        "the direction itself is subtracted from every state, however much of it is there.": made(lambda h: 1.0),
        "the direction is subtracted as it is, however much of it is there.": made(lambda h: 1.0, d),
        "the states are scaled to length 1 first.": (
            lambda: each_row(hidden, lambda h: without(unit(h), dot(unit(h), r), r))
        ),
        "the amount is the cosine, not the product: the states are scaled to length 1 in it.": (
            made(lambda h: dot(h, r) / norm(h))
        ),
        "the states keep their length: they are stretched again afterwards.": (
            lambda: each_row(hidden, lambda h: [x * norm(h) for x in unit(without(h, dot(h, r), r))])
        ),
        "only a positive part is taken away.": made(lambda h: max(dot(h, r), 0.0)),
        "the absolute value of the product is used.": made(lambda h: abs(dot(h, r))),
        "the numbers are multiplied one by one, and not added up to a product.": (
            lambda: each_row(hidden, lambda h: [x - x * y * y for x, y in zip(h, r)])
        ),
        "nothing is taken away.": hidden,
    }
    if batched:
        every |= {
            "one amount, averaged over all states, is taken from each. See trap 2.": made(lambda h: middle_along),
            "the amount is averaged over the dimension before the last. See trap 2.": lambda: averaged(-1),
            "the amount is averaged over the first dimension. See trap 2.": lambda: averaged(0),
            "only the last place is changed; every state is asked for. See trap 2.": at_last_place,
        }
    return every


def check_ablation(handle, hidden: Tensor, direction: Tensor, what: str = "the result") -> None:
    mistakes = ablate_mistakes(hidden, direction)
    expect_close(handle(hidden, direction), ablated(hidden, direction), what, mistakes=mistakes)


@exercise("ablate_direction", "the numbers of the worked example")
def test_ablate_worked_example(handle, seed):
    hidden = torch.tensor([[2.0, 5.0], [-1.0, 4.0], [3.0, -2.0]])
    check_ablation(handle, hidden, torch.tensor([0.0, 3.0]))


@exercise("ablate_direction", "a state of its own for each row and place")
def test_ablate_values(handle, seed):
    check_ablation(handle, *states(seed, 4, 6))
    check_ablation(handle, *states(seed + 1, 3, 5, 4), "the result (3, 5, 4)")


@exercise("ablate_direction", "any number of dimensions: none before the last, or three")
def test_ablate_dimensions(handle, seed):
    for shape in ((7,), (2, 3, 4, 5), (5, 5), (4, 4, 4), (1, 3), (0, 3)):
        hidden, direction = states(seed, *shape)
        if hidden.numel():
            check_ablation(handle, hidden, direction, f"the result {shape}")
        else:
            expect_shape(handle(hidden, direction), shape, f"the result for states of shape {shape}")


@exercise("ablate_direction", "long and short directions, either sign, give the same; large states too; float64")
def test_ablate_scale(handle, seed):
    hidden, direction = states(seed, 3, 4, 6)
    for factor in (-1.0, 1e-4, 1e3):
        check_ablation(handle, hidden, factor * direction, f"the result (the direction times {factor:g})")
    check_ablation(handle, 1e4 * hidden, direction, "the result (the states times 10000)")
    check_ablation(handle, hidden.double(), direction.double(), "the result (float64)")


@exercise("ablate_direction", "nothing along the direction is left, and doing it again changes nothing")
def test_ablate_twice(handle, seed):
    hidden, direction = states(seed, 4, 3, 6)
    once = handle(hidden, direction)
    expect_shape(once, (4, 3, 6))
    left = (once.double() @ direction.double()).abs().max() / direction.norm()
    expect_true(left < 1e-4 * hidden.abs().max(), f"along the direction {left:.4f} is left; 0 is asked for.")
    expect_close(handle(once, direction), once, "the result of doing it twice")


@exercise("ablate_direction", "the gradient of hidden: what flows back loses its part along the direction")
def test_ablate_gradient(handle, seed):
    for shape in ((4, 6), (3, 5, 4)):
        hidden, direction = states(seed, *shape)
        upstream = torch.randn(*shape, generator=generator(seed + 9)) + 0.5
        _, grads = handle.gradients(hidden, direction, wrt=[0], upstream=upstream)
        mistakes = {
            "no gradient flows through the part that is taken away (a .detach() or a .item() there).": upstream,
            "a gradient flows only through the part that is taken away.": ablated(upstream, direction) - upstream,
        }
        expect_gradient(grads[0], ablated(upstream, direction), f"hidden {shape}", mistakes=mistakes)
