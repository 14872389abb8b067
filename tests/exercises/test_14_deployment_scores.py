"""What a right solution of lesson 14 is, continued: many scores as one, and the front of many points."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.course.expect import (
    CheckFailure,
    describe,
    expect_close,
    expect_equal,
    expect_gradient,
    expect_shape,
    fail,
    plain,
)
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


# --- weighted_reward --------------------------------------------------------------------------------------------

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def opinions(seed: int, N: int = 5, weights: Sequence[float] = (2.0, 0.5, 3.0, 1.2)) -> Parts:
    """Scores, weights, mean and std of reward models in very different units; the batch is not like the reference."""
    g = generator(seed)
    K = len(weights)
    std = torch.tensor([0.05, 20.0, 1.7, 4.0, 0.4])[:K] * (1 + torch.rand(K, generator=g))
    mean = torch.tensor([0.3, -60.0, 2.0, 9.0, -1.0])[:K] * (1 + torch.rand(K, generator=g))
    shift = torch.tensor([0.8, -0.6, 1.1, -1.2, 0.5])[:K]
    scores = mean + std * (1.5 * torch.randn(N, K, generator=g) + shift)
    return scores, torch.tensor(weights), mean, std


def combined(scores: Tensor, weights: Tensor, mean: Tensor, std: Tensor) -> list[float]:
    """Answer by answer, model by model; models of weight 0 are passed over."""
    w, m, s = weights.double().tolist(), mean.double().tolist(), std.double().tolist()
    heard = [k for k in range(len(w)) if w[k] > 0]
    total = math.fsum(w[k] for k in heard)
    return [sum(w[k] * (row[k] - m[k]) / s[k] for k in heard) / total for row in scores.double().tolist()]


def reward_mistakes(scores: Tensor, weights: Tensor, mean: Tensor, std: Tensor) -> dict[str, Tensor]:
    x, w, m, s = (part.double() for part in (scores, weights, mean, std))
    N, K = x.shape
    share = w / w.sum()
    z = (x - m) / s

    def own(correction: int) -> Tensor:
        return (x - x.mean(0)) / x.std(0, correction=correction)

    total = z @ share
    return {
        "the raw scores are added up: the model with the widest spread rules. See the formula.": x @ share,
        "raw scores are added up, and the weights not divided by their sum.": x @ w,
        "the mean and standard deviation of these answers are used, not those of the reference. See trap 1.": (
            own(1) @ share
        ),
        "the mean and population standard deviation of these answers are used, not the reference's. See trap 1.": (
            own(0) @ share
        ),
        "the mean of these answers is taken off, not that of the reference. See trap 1.": ((x - x.mean(0)) / s) @ share,
        "the weights are not divided by their sum. See trap 2.": z @ w,
        "the weighted sum is divided by the number of models, not by the sum of the weights. See trap 2.": z @ w / K,
        "the weights are divided by the largest of them, not by their sum. See trap 2.": z @ (w / w.max()),
        "the weights go through a softmax: 2 and 4 would not mean the same as 1 and 2. See trap 2.": z @ w.softmax(0),
        "the weights are not used.": z.mean(1),
        "the weights are squared.": z @ (w * w / (w * w).sum()),
        "the mean is not taken off.": (x / s) @ share,
        "the mean is added, not taken off.": ((x + m) / s) @ share,
        "the mean is taken off after the division.": (x / s - m) @ share,
        "there is no division by std: the model with the widest spread rules.": (x - m) @ share,
        "this is a division by the variance, not by std. See trap 3.": ((x - m) / s**2) @ share,
        "std is multiplied, not divided by.": ((x - m) * s) @ share,
        "this is a division by the root of std: std is a standard deviation already.": ((x - m) / s.sqrt()) @ share,
        "one mean and one std are used for all models: each has its own.": ((x - m.mean()) / s.mean()) @ share,
        "the weights over std are made to sum to 1 once more: only the weights are.": (
            ((x - m) / s) @ w / (w / s).sum()
        ),
        "the lowest standardised score is taken, not the weighted mean.": z.amin(1),
        "the lowest weighted score is taken, not the sum.": (z * share).amin(1),
        "the standardised scores are multiplied with each other, not added.": (z**share).prod(1).nan_to_num(),
        "ranks among these answers are added up, not scores.": x.argsort(0).argsort(0).double() @ share,
        "the rewards are whitened over the answers afterwards.": (total - total.mean()) / total.std(),
        "scores are squeezed into 0 to 1 by a sigmoid.": z.sigmoid() @ share,
        "scores are cut off at plus and minus 1.": z.clamp(-1, 1) @ share,
        "the models are added over the wrong dimension.": z.T @ share if N == K else torch.zeros(0),
    }


def check_reward(handle, parts: Parts, what: str, named: bool = False, extra: dict | None = None) -> None:
    scores, weights, mean, std = parts
    got = handle(std=std, mean=mean, weights=weights, scores=scores) if named else handle(*parts)
    expect_shape(got, (len(scores),), what)
    expected = combined(*parts)
    try:
        expect_close(got, expected, what)
    except CheckFailure:
        expect_close(got, expected, what, mistakes={**(extra or {}), **reward_mistakes(*parts)})


@exercise("weighted_reward", "each model in units of its own spread, the weights as shares")
def test_weighted_reward_values(handle, seed):
    for weights in ((2.0, 0.5, 3.0, 1.2), (0.2, 0.1, 0.05), (6.0, 2.0, 1.0, 4.0, 3.0)):
        check_reward(handle, opinions(seed, N=6 if len(weights) == 5 else 5, weights=weights), "the rewards")


@exercise("weighted_reward", "the worked example, and one answer alone")
def test_weighted_reward_worked_example(handle, seed):
    own = (torch.tensor([1.0, 3.0]), torch.tensor([10.0, 0.0]), torch.tensor([5.0, 0.5]))
    check_reward(handle, (torch.tensor([[15.0, -0.5], [5.0, 0.5], [10.0, 0.0]]), *own), "the rewards of three answers")
    check_reward(handle, (torch.tensor([[15.0, -0.5]]), *own), "the reward of one answer")
    check_reward(handle, opinions(seed, N=4), "the rewards of as many answers as models")


@exercise("weighted_reward", "a model of weight 0 is not heard, whatever it says")
def test_weighted_reward_switched_off(handle, seed):
    scores, weights, mean, std = opinions(seed, weights=(2.0, 0.0, 3.0, 0.0, 1.2))
    check_reward(handle, (scores, weights, mean, std), "the rewards (two weights are 0)")
    broken = scores.clone()
    broken[0, 1], broken[2, 1], broken[3, 3] = math.nan, math.inf, -math.inf
    naive = ((broken - mean) / std) @ (weights / weights.sum())
    extra = {"a model of weight 0 is multiplied by it: 0 * nan and 0 * inf are nan. See trap 4.": naive}
    extra["answers with a broken score get 0; only the broken model is to be left out. See trap 4."] = (
        naive.nan_to_num()
    )
    check_reward(handle, (broken, weights, mean, std), "the rewards (a model of weight 0 says nan or inf)", extra=extra)


@exercise("weighted_reward", "nan from a model that counts is seen")
def test_weighted_reward_nan(handle, seed):
    parts = opinions(seed)
    scores = parts[0].clone()
    scores[1, 2] = math.nan
    z = ((scores - parts[2]) / parts[3]).nan_to_num() @ (parts[1] / parts[1].sum())
    raw = combined(scores.nan_to_num(), *parts[1:])
    message = "nan of a model that counts is turned into a number: nobody would see that it is broken. See trap 5."
    expected = torch.tensor(combined(scores, *parts[1:]))
    got = handle(scores, *parts[1:])
    expect_shape(got, (len(scores),), "the rewards")
    hidden = {message: z, message + " ": raw, message + "  ": z.where(expected.isfinite(), 0.0)}
    expect_close(got, expected, "the rewards (one score is nan)", mistakes=hidden)


@exercise("weighted_reward", "the gradient of each score is its share over its spread")
def test_weighted_reward_gradient(handle, seed):
    scores, weights, mean, std = opinions(seed, weights=(2.0, 0.5, 0.0, 1.2))
    broken = scores.clone()
    broken[1, 2] = math.nan
    upstream = torch.randn(len(scores), generator=generator(seed + 9))
    w, s, up = weights.tolist(), std.double().tolist(), upstream.double().tolist()
    expected = [[u * w[k] / sum(w) / s[k] for k in range(len(w))] for u in up]
    unscaled = [[u * w[k] / sum(w) for k in range(len(w))] for u in up]
    for each, what in ((scores, "scores"), (broken, "scores (nan where the weight is 0)")):
        _, grads = handle.gradients(each, weights, mean, std, wrt=[0], upstream=upstream)
        expect_gradient(grads[0], expected, what, mistakes={"there is no division by std.": unscaled})


@exercise("weighted_reward", "weights below 0, weights all 0 and a std of 0 or less are refused")
def test_weighted_reward_refuses(handle, seed):
    scores, weights, mean, std = opinions(seed)
    refused(handle, (scores, torch.tensor([2.0, -0.5, 3.0, 1.2]), mean, std), "a negative weight")
    refused(handle, (scores, -weights, mean, std), "weights that are all negative")
    refused(handle, (scores, torch.zeros(4), mean, std), "weights that are all 0")
    for bad in (0.0, -1.0):
        refused(handle, (scores, weights, mean, std.clone().index_fill_(0, torch.tensor(2), bad)), f"a std of {bad}")


@exercise("weighted_reward", "whole-number weights, float64, strides, names for arguments")
def test_weighted_reward_forms(handle, seed):
    scores, _, mean, std = opinions(seed)
    weights = torch.tensor([2, 1, 0, 5])
    check_reward(handle, (scores, weights, mean, std), "the rewards (weights of type int64)")
    check_reward(handle, (scores.double(), weights.double(), mean.double(), std.double()), "the rewards (float64)")
    turned = scores.T.contiguous().T
    check_reward(handle, (turned, weights.float(), mean, std), "the rewards of transposed scores", named=True)
    one = (scores[:, 1:2], torch.tensor([0.3]), mean[1:2], std[1:2])
    check_reward(handle, one, "the rewards of one model")


# --- pareto_front -----------------------------------------------------------------------------------------------

Rows = list[list[float]]


def as_good(q: Sequence[float], p: Sequence[float]) -> bool:
    return all(a >= b for a, b in zip(q, p))


def front_of(rows: Rows) -> list[bool]:
    """Pair by pair: is there another that is as good everywhere, and not the same?"""
    return [not any(as_good(q, p) and q != p for q in rows) for p in rows]


def against(rows: Rows, beats: Callable[[int, int], bool]) -> list[bool]:
    """Points that no other beats; beats(j, i) of two numbers of points."""
    return [not any(beats(j, i) for j in range(len(rows)) if j != i) for i in range(len(rows))]


def hull(rows: Rows) -> list[bool]:
    """Points in two columns that are best by some weighted sum, on a grid of weights."""
    points = torch.tensor(rows, dtype=torch.float64)[:, :2]
    weights = torch.linspace(0.001, 0.999, 999, dtype=torch.float64)
    sums = points @ torch.stack((weights, 1 - weights))  # (N, 999)
    return (sums >= sums.amax(0) - 1e-9).any(1).tolist()


def front_mistakes(rows: Rows) -> dict:
    right, columns = front_of(rows), list(zip(*rows))
    top = [max(column) for column in columns]
    first = [row not in rows[:i] for i, row in enumerate(rows)]
    sums = [sum(row) for row in rows]
    scaled = [sum((x - min(c)) / ((max(c) - min(c)) or 1) for x, c in zip(row, columns)) for row in rows]
    order = [i for i, on in enumerate(right) if on]
    rounded = torch.tensor(rows, dtype=torch.float64).float().tolist()
    return {
        "only points are dropped that another beats in every column; as good in some and better in one is enough. "
        "See trap 1.": against(rows, lambda j, i: all(a > b for a, b in zip(rows[j], rows[i]))),
        "equal points drop each other: one has to be better somewhere. See trap 2.": (
            against(rows, lambda j, i: as_good(rows[j], rows[i]))
        ),
        "one column in which another is better is enough to drop a point: it has to be as good everywhere.": (
            against(rows, lambda j, i: any(a > b for a, b in zip(rows[j], rows[i])))
        ),
        "a point is compared with itself, too, and dropped for being as good. See trap 2.": [False] * len(rows),
        "of equal points only the first is kept. See trap 2.": [a and b for a, b in zip(right, first)],
        "of equal points only the last is kept. See trap 2.": (
            [on and row not in rows[i + 1 :] for i, (on, row) in enumerate(zip(right, rows))]
        ),
        "lower is better: here higher is.": front_of([[-x for x in row] for row in rows]),
        "a point is kept only if it is the best in some column. See trap 3.": (
            [any(x == t for x, t in zip(row, top)) for row in rows]
        ),
        "only the best of each column is kept, if no point dominates it. See trap 3.": (
            [on and any(x == t for x, t in zip(row, top)) for on, row in zip(right, rows)]
        ),
        "only the points that are best in the sum of all columns are kept.": [s == max(sums) for s in sums],
        "only the points that are best in the sum of all scaled columns are kept.": [s == max(scaled) for s in scaled],
        "only points are kept that are best by some weighted sum (the convex hull): the front may bend in.": (
            [a and b for a, b in zip(right, hull(rows))] if len(top) == 2 else []
        ),
        "only the first two columns are compared. See trap 4.": front_of([row[:2] for row in rows]),
        "only the first column is compared.": front_of([row[:1] for row in rows]),
        "only the last column is compared.": front_of([row[-1:] for row in rows]),
        "True stands for points that are dominated: turn it round.": [not on for on in right],
        "points are only compared with those before them.": (
            against(rows, lambda j, i: j < i and as_good(rows[j], rows[i]) and rows[j] != rows[i])
        ),
        "points are only compared with those after them.": (
            against(rows, lambda j, i: j > i and as_good(rows[j], rows[i]) and rows[j] != rows[i])
        ),
        "the numbers of the points are returned, not True and False for each. See trap 5.": order,
        "the points themselves are returned, not True and False for each. See trap 5.": [rows[i] for i in order],
        "the numbers are cast to float32 first, in which some become equal. See trap 4.": front_of(rounded),
        "points in the middle, with no worst column, are kept only.": (
            [on and all(x > min(c) for x, c in zip(row, columns)) for on, row in zip(right, rows)]
        ),
    }


def check_front(handle, points: Tensor, what: str) -> None:
    rows = points.tolist()
    expected = front_of(rows)
    got = handle(points)
    wrong = {} if plain(got) == expected else {k: v for k, v in front_mistakes(rows).items() if v != expected}
    expect_equal(got, expected, what, mistakes=wrong)
    kind = got.dtype is torch.bool if isinstance(got, Tensor) else all(type(each) is bool for each in got)
    if not kind:
        fail(f"{what} should be True and False (dtype bool), so that points[front] picks rows; it is {describe(got)}.")


# On the front: two equal points, both ends, one between them, and one that bends in.
# Dropped: points that one column tells from a better one, one that is lower in all, and two equal ones.
CORNERS = [[0.9, 2.0], [0.5, 6.0], [0.5, 4.0], [0.9, 2.0], [0.7, 5.0], [0.8, 3.0]]
CORNERS += [[0.3, 1.0], [0.9, 1.0], [0.3, 1.0], [0.2, 6.0]]


def shuffled(rows: Rows, g: torch.Generator) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)[torch.randperm(len(rows), generator=g)]


@exercise("pareto_front", "as good everywhere and better somewhere drops a point; equal points stay")
def test_pareto_front_corners(handle, seed):
    g = generator(seed)
    check_front(handle, torch.tensor([*CORNERS[:4], [0.95, 7.0]]), "the front of points of which one beats all")
    check_front(handle, torch.tensor(CORNERS), "the front")
    for _ in range(3):
        check_front(handle, shuffled(CORNERS, g).float(), "the front")
    check_front(handle, -shuffled(CORNERS, g).flip(1), "the front of points below 0")


@exercise("pareto_front", "any number of columns")
def test_pareto_front_columns(handle, seed):
    g = generator(seed)
    for K in (3, 4, 1, 5):
        check_front(handle, torch.randint(-2, 3, (13, K), generator=g).float(), f"the front of points with {K} columns")
    smooth = torch.rand(11, 3, generator=g)
    check_front(handle, smooth, "the front")
    check_front(handle, torch.cat((smooth, smooth[:4], smooth[:4] - 0.1)), "the front, with equal points")


@exercise("pareto_front", "one point, points all equal, inf")
def test_pareto_front_edges(handle, seed):
    check_front(handle, torch.tensor([[0.3, -2.0, 1.0]]), "the front of one point")
    check_front(handle, torch.tensor([[0.3, -2.0]]).repeat(4, 1), "the front of equal points")
    inf = math.inf
    rows = [[inf, 0.0], [inf, -1.0], [-inf, 5.0], [-inf, 6.0], [0.0, -inf], [0.0, inf], [inf, 0.0]]
    check_front(handle, torch.tensor(rows), "the front of points with inf and -inf")


@exercise("pareto_front", "whole numbers, float64, strides; nothing is rounded")
def test_pareto_front_forms(handle, seed):
    g = generator(seed)
    points = torch.randint(0, 4, (9, 3), generator=g)
    check_front(handle, points, "the front of whole numbers")
    check_front(handle, points.T.contiguous().T, "the front of transposed points")
    big = 2**24 + torch.tensor([[1, 1], [0, 0], [0, 1], [1, 1], [-8, -8]])
    check_front(handle, big, "the front of large whole numbers")
    check_front(handle, 1 + 1e-12 * shuffled(CORNERS, g), "the front of float64 points that are nearly equal")


@exercise("pareto_front", "nan is refused")
def test_pareto_front_nan(handle, seed):
    for i, k in ((0, 0), (2, 1), (4, 1)):
        points = torch.tensor(CORNERS)
        points[i, k] = math.nan
        refused(handle, (points,), "a point with nan")
