"""What a right solution of lesson 07 is, continued: the exact policy gradient of a table of logits."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from math import exp, log

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_shape, expect_true
from minillm.course.testing import exercise

END = 0


@dataclass(frozen=True)
class World:
    """A table of logits and every sequence that can be drawn from it."""

    table: Tensor
    rows: Tensor
    sequences: Tensor
    mask: Tensor
    rewards: Tensor

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.table, self.rows, self.sequences, self.mask, self.rewards

    def probabilities(self) -> list[list[float]]:
        """The softmax of each row of the table."""
        return [[exp(v - max(r)) / sum(exp(w - max(r)) for w in r) for v in r] for r in self.table.double().tolist()]

    def steps(self) -> list[list[tuple[int, int]]]:
        """(row, token) of each real token of each sequence."""
        triples = zip(self.rows.tolist(), self.sequences.tolist(), self.mask.tolist())
        return [[(row, token) for row, token, keep in zip(*triple) if keep] for triple in triples]


def every_sequence(V: int, L: int) -> list[tuple[int, ...]]:
    """Words over 1 .. V-1 with the end token 0 behind them, and words of L tokens without it."""
    ended = [(*word, END) for n in range(L) for word in product(range(1, V), repeat=n)]
    return ended + list(product(range(1, V), repeat=L))


def world(seed: int, V: int = 4, L: int = 3, row_of: Callable[[tuple], int] | None = None, spare: int = 0) -> World:
    """40 sequences in no order, with valid but meaningless numbers at padding.

    row_of: the row that follows a prefix; by default each of the 13 prefixes has its own, in no order.
    spare: rows of the table that no sequence meets.
    """
    g = torch.Generator().manual_seed(seed)
    listed = every_sequence(V, L)
    listed = [listed[i] for i in torch.randperm(len(listed), generator=g).tolist()]
    prefixes = sorted({s[:t] for s in listed for t in range(len(s))})
    if row_of is None:
        order = torch.randperm(len(prefixes), generator=g).tolist()
        number = dict(zip(prefixes, order))
    else:
        number = {prefix: row_of(prefix) for prefix in prefixes}
    R = max(number.values()) + 1 + spare
    rows = torch.randint(R, (len(listed), L), generator=g)
    sequences = torch.randint(V, (len(listed), L), generator=g)
    mask = torch.zeros(len(listed), L)
    for i, s in enumerate(listed):
        for t, token in enumerate(s):
            rows[i, t], sequences[i, t], mask[i, t] = number[s[:t]], token, 1
    table = 0.8 * torch.randn(R, V, generator=g) + 1.5 * torch.randn(R, 1, generator=g)
    rewards = 0.6 + 1.2 * torch.randn(len(listed), generator=g)
    return World(table, rows, sequences, mask, rewards)


def last_token(prefix: tuple) -> int:
    """A policy that looks at the last token only: one row serves many prefixes."""
    return prefix[-1] if prefix else 0


def chance(w: World, steps: list[tuple[int, int]]) -> float:
    p, all_rows = 1.0, w.probabilities()
    for row, token in steps:
        p *= all_rows[row][token]
    return p


@dataclass(frozen=True)
class Term:
    """One token: probability, reward and number of tokens of its sequence, and its own probability."""

    p: float
    reward: float
    count: int
    own: float


def right(term: Term) -> float:
    return term.p * term.reward


def added_up(
    w: World,
    amount: Callable[[Term], float] = right,
    entry: Callable[[bool, float], float] = lambda hit, q: hit - q,
    credited: str = "real",
    counted: str = "real",
    by_position: bool = False,
    keep_last: bool = False,
    logits: bool = False,
) -> Tensor:
    """sum over s, t and tokens v of amount * entry(is v the token?, softmax of v), in float64; else the named mistakes.

    credited, counted: the tokens that the score, and p(s), run over: "real", "all" with padding, or the "first".
    """
    ps, result = w.probabilities(), torch.zeros(w.table.shape, dtype=torch.float64)
    steps = {"real": w.steps(), "all": replace(w, mask=torch.ones_like(w.mask)).steps()}
    steps["first"] = [each[:1] for each in steps["real"]]
    table = w.table.double().tolist()
    for told, seen, reward in zip(steps[credited], steps[counted], w.rewards.double().tolist()):
        p = exp(sum(table[x][v] for x, v in seen)) if logits else chance(w, seen)
        for t, (row, token) in enumerate(told):
            scale = amount(Term(p, reward, len(told), ps[row][token]))
            line = torch.tensor([scale * entry(other == token, q) for other, q in enumerate(ps[row])])
            place = t if by_position else row
            result[place] = line if keep_last else result[place] + line
    return result


def gradient_mistakes(w: World) -> dict:
    S = len(w.rewards)
    J = sum(chance(w, steps) * r for steps, r in zip(w.steps(), w.rewards.double().tolist()))
    rows_suffice = len(w.table) >= w.mask.sum(1).max().item()

    def made(amount: Callable[[Term], float] = right, **knobs) -> Callable[[], Tensor]:
        return lambda: added_up(w, amount, **knobs)

    return {
        "a row that comes more than once keeps only its last term: add up, with index_add. See trap 2.": (
            made(keep_last=True)
        ),
        "the sequences are not weighed by their probability: each counts the same. See trap 1.": (
            made(lambda term: term.reward)
        ),
        "each sequence counts 1/S, instead of its probability. See trap 1.": made(lambda term: term.reward / S),
        "the sum is divided by the number of sequences: p(s) is the weight already.": (
            made(lambda term: term.p * term.reward / S)
        ),
        "the weight is the log of the probability, not the probability. See trap 1.": (
            made(lambda term: log(term.p) * term.reward)
        ),
        "the probability comes in twice.": made(lambda term: term.p**2 * term.reward),
        "each token is weighed by its own probability, not by that of its sequence. See trap 1.": (
            made(lambda term: term.own * term.reward)
        ),
        "the rewards are not used.": made(lambda term: term.p),
        "the absolute values of the rewards are used.": made(lambda term: term.p * abs(term.reward)),
        "the sign is that of a loss: this points to *less* reward. See trap 5.": (
            made(lambda term: -term.p * term.reward)
        ),
        "the softmax is not subtracted from the onehot. See trap 3.": made(entry=lambda hit, q: float(hit)),
        "the onehot is missing: only the softmax is left. See trap 3.": made(entry=lambda hit, q: -q),
        "the softmax is added to the onehot, not subtracted. See trap 3.": made(entry=lambda hit, q: hit + q),
        "this is the gradient with respect to the probabilities; differentiate the softmax too. See trap 6.": (
            made(lambda term: term.p * term.reward / term.own, entry=lambda hit, q: float(hit))
        ),
        "the logits are taken for log-probabilities: the log-softmax is missing. See trap 6.": made(logits=True),
        "only the first token of each sequence is credited.": made(credited="first"),
        "the mask is used neither in p(s) nor in the score. See trap 4.": made(credited="all", counted="all"),
        "padding is credited: the mask is not used in the score. See trap 4.": made(credited="all"),
        "padding counts in p(s): the mask is not used there. See trap 4.": made(counted="all"),
        "token t is credited to row t; the row is in `rows`.": made(by_position=True) if rows_suffice else None,
        "this is the gradient of log J.": made(lambda term: term.p * term.reward / J),
        "the score is averaged over a sequence's tokens; it is their sum.": (
            made(lambda term: term.p * term.reward / term.count)
        ),
    }


def check_gradient(handle, w: World, what: str = "the gradient", expected: Tensor | None = None) -> None:
    right = added_up(w) if expected is None else expected
    expect_close(handle(*w.tensors), right, what, mistakes=gradient_mistakes(w))


def by_hand() -> World:
    """The worked example: "end", "a end", "a a"; equal logits in a row are as good as 0."""
    return World(
        torch.tensor([[0.5, 0.5], [-1.0, -1.0]]),
        torch.tensor([[0, 0], [0, 1], [0, 1]]),
        torch.tensor([[0, 0], [1, 0], [1, 1]]),
        torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 1.0]]),
        torch.tensor([0.0, 1.0, 3.0]),
    )


@exercise("exact_policy_gradient", "the worked example")
def test_exact_policy_gradient_worked_example(handle, seed):
    expected = torch.tensor([[-0.5, 0.5], [-0.25, 0.25]])
    check_gradient(handle, by_hand(), "the gradient of the worked example", expected)


@exercise("exact_policy_gradient", "a row for every prefix")
def test_exact_policy_gradient_values(handle, seed):
    check_gradient(handle, world(seed))
    check_gradient(handle, world(seed + 1, V=3, L=4), "the gradient (V=3, L=4)")


@exercise("exact_policy_gradient", "a row that one sequence meets twice, and rows that none meets")
def test_exact_policy_gradient_shared_rows(handle, seed):
    w = world(seed, row_of=last_token, spare=2)
    check_gradient(handle, w, "the gradient (the row is the last token)")
    single = world(seed, row_of=lambda prefix: 0, spare=1)
    check_gradient(handle, single, "the gradient (one row for all tokens)")


@exercise("exact_policy_gradient", "it is the slope of the mean reward: finite differences")
def test_exact_policy_gradient_finite_differences(handle, seed):
    w = world(seed, V=3, L=3)
    w = replace(w, table=w.table.double(), rewards=w.rewards.double())
    slope, h = torch.zeros_like(w.table), 1e-5

    def J(table: Tensor) -> float:
        moved = replace(w, table=table)
        return sum(chance(moved, steps) * r for steps, r in zip(moved.steps(), w.rewards.tolist()))

    for row in range(len(w.table)):
        for token in range(w.table.shape[1]):
            bump = torch.zeros_like(w.table)
            bump[row, token] = h
            slope[row, token] = (J(w.table + bump) - J(w.table - bump)) / (2 * h)
    check_gradient(handle, w, "the gradient, against finite differences", slope)


@exercise("exact_policy_gradient", "a constant added to a row of logits, or to all rewards, changes nothing")
def test_exact_policy_gradient_invariance(handle, seed):
    w = world(seed)
    big = replace(w, table=w.table + torch.where(torch.arange(len(w.table))[:, None] % 2 == 0, 200.0, -200.0))
    got = handle(*big.tensors)
    expect_shape(got, tuple(w.table.shape), "the gradient")
    expect_true(
        torch.as_tensor(got).isfinite().all(),
        "with logits near 200 and -200 the gradient is not finite: an exp overflows or underflows. Use log_softmax and "
        "softmax. See trap 6.",
    )
    expect_close(got, added_up(big), "the gradient (logits near 200 and -200)", mistakes=gradient_mistakes(big))
    raised = replace(w, rewards=w.rewards + 5.0)
    check_gradient(handle, raised, "the gradient (5 added to all rewards)", added_up(w))


@exercise("exact_policy_gradient", "what stands at padding, the order of sequences, types and strides do not matter")
def test_exact_policy_gradient_forms(handle, seed):
    w = world(seed)
    g = torch.Generator().manual_seed(seed + 50)
    empty, (S, _) = w.mask == 0, w.mask.shape
    R, V = w.table.shape
    other = replace(
        w,
        rows=torch.where(empty, torch.randint(R, w.rows.shape, generator=g), w.rows),
        sequences=torch.where(empty, torch.randint(V, w.rows.shape, generator=g), w.sequences),
    )
    check_gradient(handle, other, "the gradient (other numbers at padding)")
    order = torch.randperm(S, generator=g)
    mixed = World(w.table.double(), w.rows[order], w.sequences[order], w.mask[order].bool(), w.rewards[order].double())
    check_gradient(handle, mixed, "the gradient (sequences in another order, float64, bool mask)")
    turned = [part.T.contiguous().T for part in (w.table, w.rows, w.sequences)]
    check_gradient(handle, World(*turned, w.mask.long(), w.rewards), "the gradient (transposed tensors, int mask)")
