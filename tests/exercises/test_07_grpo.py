"""What a right solution of lesson 07 is: the advantages of a group of answers."""

from collections.abc import Callable
from math import nan, sqrt

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_shape, expect_true
from minillm.course.testing import exercise

EPS = 1e-4
Rows = list[list[float]]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def spread(values: list[float], less: int = 1) -> float:
    """The standard deviation, over n - less."""
    m = mean(values)
    return sqrt(sum((v - m) ** 2 for v in values) / (len(values) - less))


def others(row: list[float], i: int) -> list[float]:
    return row[:i] + row[i + 1 :]


def by_row(rule: Callable[[list[float]], list[float]], rewards: Tensor) -> Rows:
    return [rule(row) for row in rewards.double().tolist()]


def groups(seed: int, P: int = 3, G: int = 5) -> Tensor:
    """Rewards (P, G) of groups with different levels and spreads, in no order."""
    g = torch.Generator().manual_seed(seed)
    level = torch.tensor([7.0, -16.0, 24.0, 2.0])[:P, None]
    scale = torch.tensor([10.0, 4.0, 22.0, 7.0])[:P, None]
    return level + scale * torch.randn(P, G, generator=g)


# --- group_advantages -------------------------------------------------------------------------------------------


def standard(row: list[float]) -> list[float]:
    return [(v - mean(row)) / (spread(row) + EPS) for v in row]


def over(a: float, b: float) -> float:
    return a / b if b else nan


def group_mistakes(rewards: Tensor) -> dict:
    rows = rewards.double().tolist()
    flat, columns = rewards.double().flatten().tolist(), list(map(list, zip(*rows)))

    def made(rule: Callable[[list[float]], list[float]]) -> Callable[[], Rows]:
        return lambda: [rule(row) for row in rows]

    def whole(rule: Callable[[float, list[float]], float]) -> Callable[[], Rows]:
        return lambda: [[rule(v, row) for v in row] for row in rows]

    def mean_absolute(row: list[float]) -> float:
        return mean([abs(v - mean(row)) for v in row])

    return {
        "the small term 1e-4 is missing: in a group of equal rewards this is 0/0. See trap 1.": (
            whole(lambda v, row: over(v - mean(row), spread(row)))
        ),
        "the standard deviation is divided by G, not by G - 1. See trap 3.": (
            whole(lambda v, row: (v - mean(row)) / (spread(row, 0) + EPS))
        ),
        "the standard deviation is divided by G, not by G - 1, and 1e-4 is missing. See traps 1 and 3.": (
            whole(lambda v, row: over(v - mean(row), spread(row, 0)))
        ),
        "1e-4 stands under the root; it belongs beside it. See trap 2.": (
            whole(lambda v, row: (v - mean(row)) / sqrt(spread(row) ** 2 + EPS))
        ),
        "1e-8 stands under the root, as in whitening; here 1e-4 is added to the root. See trap 2.": (
            whole(lambda v, row: (v - mean(row)) / sqrt(spread(row) ** 2 + 1e-8))
        ),
        "the small term is 1e-8; here it is 1e-4.": whole(lambda v, row: (v - mean(row)) / (spread(row) + 1e-8)),
        "the small term is 1e-6; here it is 1e-4.": whole(lambda v, row: (v - mean(row)) / (spread(row) + 1e-6)),
        "the small term is 1e-5; here it is 1e-4.": whole(lambda v, row: (v - mean(row)) / (spread(row) + 1e-5)),
        "the small term is 1e-3; here it is 1e-4.": whole(lambda v, row: (v - mean(row)) / (spread(row) + 1e-3)),
        "the spread is kept above 1e-4 (clamp or max) instead of having 1e-4 added.": (
            whole(lambda v, row: (v - mean(row)) / max(spread(row), EPS))
        ),
        "the rewards are divided by the variance, not by the standard deviation. See trap 5.": (
            whole(lambda v, row: (v - mean(row)) / (spread(row) ** 2 + EPS))
        ),
        "the mean is subtracted, but nothing is divided: that is Dr. GRPO.": whole(lambda v, row: v - mean(row)),
        "the mean is not subtracted.": whole(lambda v, row: v / (spread(row) + EPS)),
        "the mean of the others is subtracted, as in RLOO; GRPO takes the mean of the whole group.": (
            made(lambda row: [(v - mean(others(row, i))) / (spread(row) + EPS) for i, v in enumerate(row)])
        ),
        "mean and spread are those of the whole batch, not of each group. See trap 4.": (
            whole(lambda v, row: (v - mean(flat)) / (spread(flat) + EPS))
        ),
        "the mean is that of each group, but the spread that of the whole batch. See trap 4.": (
            whole(lambda v, row: (v - mean(row)) / (spread(flat) + EPS))
        ),
        "the mean is that of the whole batch, the spread that of each group. See trap 4.": (
            whole(lambda v, row: (v - mean(flat)) / (spread(row) + EPS))
        ),
        "the groups run down the columns (dim=0): rows are prompts. See trap 4.": (
            lambda: (
                [[(v - mean(column)) / (spread(column) + EPS) for v, column in zip(row, columns)] for row in rows]
                if len(rows) > 1
                else None
            )
        ),
        "the brackets are missing: only the mean is divided by the spread.": (
            whole(lambda v, row: v - mean(row) / (spread(row) + EPS))
        ),
        "the median is subtracted, not the mean.": (
            whole(lambda v, row: (v - sorted(row)[(len(row) - 1) // 2]) / (spread(row) + EPS))
        ),
        "the sign is flipped: this is the mean minus the reward, which teaches the worst answers.": (
            whole(lambda v, row: (mean(row) - v) / (spread(row) + EPS))
        ),
        "the spread is the mean distance from the mean; the root of the mean square is asked for.": (
            whole(lambda v, row: (v - mean(row)) / (mean_absolute(row) + EPS))
        ),
        "the rewards are scaled to run from 0 to 1 within the group.": (
            whole(lambda v, row: over(v - min(row), max(row) - min(row)))
        ),
        "the distance from the mean is divided by the range of the group.": (
            whole(lambda v, row: (v - mean(row)) / (max(row) - min(row) + EPS))
        ),
    }


def check_group(handle, rewards: Tensor, what: str = "the advantages") -> None:
    expect_close(handle(rewards), by_row(standard, rewards), what, mistakes=group_mistakes(rewards))


@exercise("group_advantages", "the worked example")
def test_group_advantages_worked_example(handle, seed):
    check_group(handle, torch.tensor([[100.0, 100.0, 100.0, 0.0], [70.0, 10.0, 50.0, 0.0]]))


@exercise("group_advantages", "groups of different level and spread, each by itself")
def test_group_advantages_values(handle, seed):
    check_group(handle, groups(seed))
    check_group(handle, groups(seed + 1, P=4, G=7), "the advantages of four groups of seven")
    lonely = torch.zeros(2, 40)
    lonely[0, seed % 40], lonely[1, (seed + 7) % 40] = 3000.0, -500.0
    check_group(handle, lonely, "the advantages of one answer against 39")


@exercise("group_advantages", "a group of equal rewards gives 0, not NaN")
def test_group_advantages_equal_rewards(handle, seed):
    rewards = groups(seed, P=4)
    rewards[1], rewards[3] = 0.75, 0.0  # numbers whose mean is exact in float32
    got = handle(rewards)
    expect_shape(got, (4, 5), "the advantages")
    finite = bool(torch.as_tensor(got).isfinite().all())
    expect_true(
        finite,
        f"a group of five rewards of 0.75 gives {torch.as_tensor(got)[1].tolist()}: its spread is 0, and you divide "
        "by it. The small term 1e-4 is missing. See trap 1.",
    )
    check_group(handle, rewards, "the advantages (groups 1 and 3 have equal rewards)")


@exercise("group_advantages", "what is added to the spread is 1e-4, and it stands beside the root")
def test_group_advantages_small_spread(handle, seed):
    g = torch.Generator().manual_seed(seed)
    rewards = torch.tensor([2e-6, 2e-4, 1e-3])[:, None] * torch.randn(3, 5, generator=g)
    check_group(handle, rewards, "the advantages (rewards that hardly differ)")


@exercise("group_advantages", "a constant added to a group, and a factor, change nothing")
def test_group_advantages_invariance(handle, seed):
    rewards = groups(seed).double() * 10
    shift, factor = torch.tensor([[50.0], [-7.0], [300.0]]), torch.tensor([[1.0], [30.0], [4.0]])
    check_group(handle, rewards * factor + shift, "the advantages of rewards with another zero and another unit")


@exercise("group_advantages", "two answers, one prompt, float64, strides, the order of prompts")
def test_group_advantages_forms(handle, seed):
    rewards = groups(seed, P=4, G=6)
    check_group(handle, rewards.double()[:, :2], "the advantages of two answers a prompt")
    check_group(handle, rewards[:1], "the advantages of one prompt")
    check_group(handle, rewards.double()[[2, 0, 3, 1]], "the advantages, prompts in another order")
    check_group(handle, rewards.T.contiguous().T, "the advantages of a transposed tensor")


# --- rloo_advantages --------------------------------------------------------------------------------------------


def leave_one_out(row: list[float]) -> list[float]:
    return [v - mean(others(row, i)) for i, v in enumerate(row)]


def rloo_mistakes(rewards: Tensor) -> dict:
    rows = rewards.double().tolist()
    flat, columns = rewards.double().flatten().tolist(), list(map(list, zip(*rows)))
    P, G = len(rows), len(rows[0])

    def made(rule: Callable[[list[float], int], float]) -> Callable[[], Rows]:
        return lambda: [[rule(row, i) for i in range(G)] for row in rows]

    known: dict = {
        "the answer is in its own baseline: this is the mean of the whole group. See trap 1.": (
            made(lambda row, i: row[i] - mean(row))
        ),
        "the baseline is the mean reward of the whole batch. See trap 3.": made(lambda row, i: row[i] - mean(flat)),
        "the baseline is the mean of all other answers of the batch, not of the prompt. See trap 3.": (
            made(lambda row, i: row[i] - (sum(flat) - row[i]) / max(P * G - 1, 1))
        ),
        "the sum of the others is divided by G; there are G - 1 of them. See trap 2.": (
            made(lambda row, i: row[i] - sum(others(row, i)) / G)
        ),
        "the sum of the others is not divided.": made(lambda row, i: row[i] - sum(others(row, i))),
        "the sum of the whole group is divided by G - 1: the answer's own reward is still in it. See trap 1.": (
            made(lambda row, i: row[i] - sum(row) / (G - 1))
        ),
        "the baseline minus the reward is returned: it teaches the worst answers. See trap 4.": (
            made(lambda row, i: mean(others(row, i)) - row[i])
        ),
        "the baseline itself is returned.": made(lambda row, i: mean(others(row, i))),
        "the mean of the whole group is subtracted, and scaled the wrong way, by (G - 1) / G.": (
            made(lambda row, i: (row[i] - mean(row)) * (G - 1) / G)
        ),
        "the factor G / (G - 1) comes in twice.": made(lambda row, i: (row[i] - mean(row)) * (G / (G - 1)) ** 2),
        "the advantages are divided by the group's spread: that is GRPO. See trap 5.": (
            made(lambda row, i: (row[i] - mean(others(row, i))) / (spread(row) + EPS))
        ),
        "this is the normalised advantage of GRPO. See trap 5.": (
            made(lambda row, i: (row[i] - mean(row)) / (spread(row) + EPS))
        ),
        "each answer is compared with the best of the others, not with their mean.": (
            made(lambda row, i: row[i] - max(others(row, i)))
        ),
        "each answer is compared with the worst of the others, not with their mean.": (
            made(lambda row, i: row[i] - min(others(row, i)))
        ),
        "each answer is compared with the one before it.": made(lambda row, i: row[i] - row[i - 1]),
        "each answer is compared with the one after it.": made(lambda row, i: row[i] - row[(i + 1) % G]),
        "each answer is compared with the first: what of the other ones?": made(lambda row, i: row[i] - row[0]),
        "each answer is compared with the median of the others, not with their mean.": (
            made(lambda row, i: row[i] - sorted(others(row, i))[(G - 2) // 2])
        ),
        "only the answers before it are averaged.": (made(lambda row, i: row[i] - (mean(row[:i]) if i else 0.0))),
    }
    if P > 1:
        known["the others are sought down the column (dim=0): they are answers to other prompts. See trap 3."] = (
            lambda: [[v - mean(others(column, p)) for v, column in zip(row, columns)] for p, row in enumerate(rows)]
        )
        known["the mean of the column is subtracted (dim=0): rows are prompts. See traps 1 and 3."] = lambda: [
            [v - mean(column) for v, column in zip(row, columns)] for row in rows
        ]
    return known


def check_rloo(handle, rewards: Tensor, what: str = "the advantages") -> None:
    expect_close(handle(rewards), by_row(leave_one_out, rewards), what, mistakes=rloo_mistakes(rewards))


@exercise("rloo_advantages", "the worked example")
def test_rloo_advantages_worked_example(handle, seed):
    check_rloo(handle, torch.tensor([[5.0, 1.0, 3.0], [2.0, 0.0, 9.0]]))


@exercise("rloo_advantages", "groups of different level and spread, each by itself")
def test_rloo_advantages_values(handle, seed):
    check_rloo(handle, groups(seed))
    check_rloo(handle, groups(seed + 1, P=4, G=7), "the advantages of four groups of seven")


@exercise("rloo_advantages", "an answer's baseline does not depend on its own reward")
def test_rloo_advantages_own_reward(handle, seed):
    rewards = groups(seed)
    before = torch.as_tensor(handle(rewards)).double()
    expect_shape(before, (3, 5), "the advantages")
    rewards[1, 2] += 10.0
    after = torch.as_tensor(handle(rewards)).double()
    moved = (after - before)[1, 2].item()
    expect_true(
        abs(moved - 10) < 1e-3,
        f"a reward that grows by 10 moves its own advantage by {moved:.4f}: its baseline must not move with it. "
        "See trap 1.",
    )
    check_rloo(handle, rewards, "the advantages after one reward grew by 10")


@exercise("rloo_advantages", "equal rewards give 0; a constant changes nothing, a factor comes through")
def test_rloo_advantages_invariance(handle, seed):
    rewards = groups(seed).double()
    rewards[1] = 0.75
    shift, factor = torch.tensor([[50.0], [-7.0], [300.0]]), torch.tensor([[1.0], [30.0], [4.0]])
    check_rloo(handle, rewards * factor + shift, "the advantages of rewards with another zero and another unit")


@exercise("rloo_advantages", "two answers, one prompt, float64, strides, the order of prompts")
def test_rloo_advantages_forms(handle, seed):
    rewards = groups(seed, P=4, G=6)
    check_rloo(handle, rewards.double()[:, :2], "the advantages of two answers a prompt")
    check_rloo(handle, rewards[:1], "the advantages of one prompt")
    check_rloo(handle, rewards.double()[[2, 0, 3, 1]], "the advantages, prompts in another order")
    check_rloo(handle, rewards.T.contiguous().T, "the advantages of a transposed tensor")
