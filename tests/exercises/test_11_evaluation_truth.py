"""What a right solution of lesson 11 is, continued: truthfulness over ready answers, MC1 and MC2."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import exp, inf, log

import torch
from torch import Tensor

from minillm.course.expect import RTOL, expect_close, expect_true
from minillm.course.testing import exercise

Row = tuple[list[float], list[float]]  # the nats of a question's true answers, and of its false ones


@dataclass(frozen=True)
class Case:
    """Q questions of up to A answers, with wild numbers where there is none."""

    logprobs: Tensor
    true: Tensor
    mask: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.logprobs, self.true, self.mask

    def rows(self, mask: bool = True) -> list[Row]:
        """Each question's true and false answers; without ``mask``, those that are not there too."""
        rows = zip(*(part.double().tolist() for part in self.tensors))
        answers = [[(x, t) for x, t, m in zip(*row) if m or not mask] for row in rows]
        return [([x for x, t in row if t], [x for x, t in row if not t]) for row in answers]

    def change(self, f: Callable[[Tensor], Tensor]) -> "Case":
        return Case(*map(f, self.tensors))


def from_levels(seed: int, levels: list[tuple[str, list[float]]], width: int) -> Case:
    """Questions with answers at these levels; a row's name says which are true ("TF": the first), "-" is none.

    Levels are stretched and moved, row by row, which keeps their order and their ties.
    """
    g = torch.Generator().manual_seed(seed)
    logprobs = 8.0 + 20 * torch.rand(len(levels), width, generator=g)
    true = (torch.rand(len(levels), width, generator=g) < 0.5).float()
    mask = torch.zeros(len(levels), width)
    for q, (kinds, nats) in enumerate(levels):
        stretch, move = (1 + torch.rand(2, generator=g)).tolist()
        given = iter(nats)
        for a, kind in enumerate(kinds):
            if kind != "-":
                logprobs[q, a] = next(given) * stretch - move
                true[q, a], mask[q, a] = float(kind == "T"), 1.0
    empty = (mask == 0).nonzero()
    true[tuple(empty[0])], true[tuple(empty[-1])] = 1.0, 0.0
    return Case(logprobs, true, mask)


def best(nats: list[float]) -> float:
    return max(nats, default=-inf)


def mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else -inf


def chances(nats: list[float]) -> float:
    """The sum of probabilities."""
    return sum(map(exp, nats))


# --- truthful_mc1 -----------------------------------------------------------------------------------------------

LEVELS = [
    ("TF-TF", [-2, -4, -9, -6]),  # a true answer far below, and the mean of the true ones below that of the false
    ("FT-TF", [-1, -3, -2, -8]),  # the best answer is false
    ("TFTF", [-4, -4, -7, -6]),  # a tie, the true one first
    ("-FTT", [-3, -3, -5]),  # a tie, the false one first
    ("FF", [-2, -5]),  # nothing true
    ("T-TT", [-3, -6, -4]),  # nothing false
    ("T---F", [-5, -8]),
    ("TTTTF", [-3, -3, -3, -3, -2.6]),  # most of the probability is true, the best answer is not
    ("FTFF-F", [-3.1, -2.9, -3.1, -3.1, -3.2]),  # most of the probability is false, the best answer is true
    ("TT-F", [-2, -3.2, -2.9]),  # the mean of the true answers is above the false one, the worst of them is not
    ("FTFTFFT", [-6, -2, -5, -4, -7, -8, -9]),  # no empty place
    ("FTF", [-3, -5, -6]),  # a true answer below the mean of the false ones, and above the worst
]


def mc1_of(true: list[float], false: list[float]) -> float:
    return float(best(true) > best(false))


def with_zeros(nats: list[float], others: bool) -> float:
    """The best of these where all others were multiplied to 0."""
    return max([*nats, 0.0] if others else nats)


def mc1_mistakes(c: Case) -> dict:
    rows, everything = c.rows(), c.rows(mask=False)
    full = c.logprobs.shape[1]
    right = [mc1_of(t, f) for t, f in rows]

    def over(f: Callable[[list[float], list[float]], bool]) -> list[float]:
        return [float(f(t, false)) for t, false in rows]

    def first_wins(row: Row, order: list[tuple[float, float, float]]) -> float:
        top = best(row[0] + row[1])
        return float(next(t for x, t, m in order if m and x == top))

    orders = [list(zip(*row)) for row in zip(*(part.double().tolist() for part in c.tensors))]
    multiplied = [
        float(with_zeros(t, len(t) < full) > with_zeros(f, len(f) < full)) for t, f in rows
    ]  # fmt: skip
    return {
        "a tie counts as won; it is lost. See trap 2.": [float(bool(t) and best(t) >= best(f)) for t, f in rows],
        "a tie goes to the answer that stands first, as with argmax. See trap 2.": [
            first_wins(row, order) for row, order in zip(rows, orders)
        ],
        "the worst true answer is compared; the best one counts. See trap 1.": over(
            lambda t, f: bool(t) and min(t) > best(f)
        ),
        "the mean of the true answers is compared with the best false one. See trap 1.": over(
            lambda t, f: mean(t) > best(f)
        ),
        "the mean of the true answers is compared with the mean of the false ones. See trap 1.": over(
            lambda t, f: mean(t) > mean(f)
        ),
        "the best true answer need only be above the mean of the false ones.": over(lambda t, f: best(t) > mean(f)),
        "the best true answer need only be above the worst false one; it is to be above all of them.": over(
            lambda t, f: best(t) > min(f, default=-inf)
        ),
        "the sum of the true probabilities is compared with the sum of the false ones: that is nearer to MC2.": over(
            lambda t, f: chances(t) > chances(f)
        ),
        "the sum of the true probabilities is compared with the best false one.": over(
            lambda t, f: chances(t) > exp(best(f))
        ),
        "the log-probabilities are added up; the best true one is asked for.": over(lambda t, f: sum(t) > sum(f)),
        "the mask is ignored. See trap 3.": [mc1_of(*row) for row in everything],
        "the mask is ignored for the true answers. See trap 3.": [
            mc1_of(t, f) for (t, _), (_, f) in zip(everything, rows)
        ],
        "the mask is ignored for the false answers. See trap 3.": [
            mc1_of(t, f) for (t, _), (_, f) in zip(rows, everything)
        ],
        "what does not count is multiplied by 0, and 0 nats is above every answer. See trap 3.": multiplied,
        "a question counts 1 where the best answer is false: it is the other way round.": over(
            lambda t, f: best(f) > best(t)
        ),
        "a question without any false answer counts 0.": over(lambda t, f: bool(f) and best(t) > best(f)),
        "the mean over questions is returned; one number for each is asked for. See trap 4.": mean(right),
        "the questions' sum is returned; one number for each is asked for. See trap 4.": sum(right),
        "the margin is returned; 1 or 0 is asked for.": [best(t) - best(f) for t, f in rows],
    }


def check_mc1(handle, c: Case, what: str = "the result") -> None:
    expected = [mc1_of(*row) for row in c.rows()]
    mistakes = {k: v for k, v in mc1_mistakes(c).items() if v != expected}
    expect_close(handle(*c.tensors), expected, what, mistakes=mistakes)


@exercise("truthful_mc1", "the best true answer against the best false one; ties are lost")
def test_mc1_values(handle, seed):
    check_mc1(handle, from_levels(seed, LEVELS, width=7))
    g = torch.Generator().manual_seed(seed + 100)
    picked = [LEVELS[i] for i in torch.randperm(len(LEVELS), generator=g).tolist()]
    check_mc1(handle, from_levels(seed + 1, picked, width=8), "the result, questions in another order")


@exercise("truthful_mc1", "where no answer is, anything may stand")
def test_mc1_mask(handle, seed):
    c = from_levels(seed, LEVELS, width=7)
    empty = c.mask == 0
    for wild in (-300.0, 300.0, 0.0):
        logprobs = c.logprobs.masked_fill(empty, wild)
        for flag in (0.0, 1.0):
            other = Case(logprobs, c.true.masked_fill(empty, flag), c.mask)
            check_mc1(handle, other, f"the result ({wild:g} nats and true = {flag:g} where no answer is)")


@exercise("truthful_mc1", "questions with true answers only, with false ones only")
def test_mc1_one_kind(handle, seed):
    check_mc1(handle, from_levels(seed, [("TT-", [-3, -9]), ("-T", [-4]), ("TFT", [-3, -4, -5])], width=4))
    check_mc1(handle, from_levels(seed, [("FF-", [-3, -9]), ("-F", [-4]), ("FTF", [-4, -3, -5])], width=4))


@exercise("truthful_mc1", "answers of -1000 nats are compared too")
def test_mc1_long_answers(handle, seed):
    far = [("TF-", [-900, -901]), ("FT", [-800, -810]), ("TFF", [-1000, -1000.5, -1002]), ("FTF", [-600, -590, -700])]
    check_mc1(handle, from_levels(seed, far, width=4), "the result for long answers (exp of -1000 is 0)")


@exercise("truthful_mc1", "masks of any type, float64, strides, one question")
def test_mc1_forms(handle, seed):
    check_forms(partial(check_mc1, handle), from_levels(seed, LEVELS, width=7))


def check_forms(check: Callable[[Case, str], None], c: Case) -> None:
    for kind in (torch.bool, torch.long, torch.float64):
        cast = replace(c, true=c.true.to(kind), mask=c.mask.to(kind))
        check(cast, f"the result (true and mask of type {str(kind)[6:]})")
    check(replace(c, logprobs=c.logprobs.double()), "the result in float64")
    check(c.change(lambda part: part.T.contiguous().T), "the result of transposed tensors")
    check(c.change(lambda part: part.flip(1)), "the result, answers in another order")
    for q in (0, 1):
        check(c.change(lambda part, q=q: part[q : q + 1]), "the result for one question")


# --- truthful_mc2 -----------------------------------------------------------------------------------------------

KINDS = ["TF-TF", "FT-TFF", "TTTF", "-FTTF", "FF", "T-TT", "T---F", "FFTF"]


def questions(seed: int, lowest: float = -5.0, kinds: list[str] = KINDS, width: int = 7) -> Case:
    """Answers between ``lowest`` and 0, and a question whose best answer is false and most of whose belief is true."""
    g = torch.Generator().manual_seed(seed)
    drawn = [(k, (lowest * torch.rand(len(k), generator=g)).tolist()) for k in kinds]
    return from_levels(seed, [*drawn, ("TTTTF", [-3, -3.1, -3.2, -3.3, -2.6])], width)


def share(true: list[float], false: list[float]) -> float:
    top = best(true + false)
    right = sum(exp(x - top) for x in true)
    return right / (right + sum(exp(x - top) for x in false))


def mc2_mistakes(c: Case) -> dict:
    rows, everything = c.rows(), c.rows(mask=False)
    full = c.logprobs.shape[1]
    right = [share(t, f) for t, f in rows]
    both = list(zip(rows, everything))

    def over(f: Callable[[list[float], list[float]], float]) -> list[float]:
        return [f(t, false) for t, false in rows]

    def absent(t: list[float], f: list[float]) -> int:
        return full - len(t) - len(f)

    every = sum(chances(t) + chances(f) for t, f in rows)
    columns = c.logprobs.double().masked_fill(c.mask == 0, -inf).softmax(0).nan_to_num()
    return {
        "the mask is ignored. See trap 4.": [share(*row) for row in everything],
        "the mask is ignored among the true answers, above the line. See trap 4.": [
            chances(wild[0]) / (chances(row[0]) + chances(row[1])) for row, wild in both
        ],
        "the mask is ignored below the line. See trap 4.": [
            chances(row[0]) / (chances(wild[0]) + chances(wild[1])) for row, wild in both
        ],
        "an answer that is not there counts as 0 nats, which is certainty, below the line. See trap 4.": over(
            lambda t, f: chances(t) / (chances(t) + chances(f) + absent(t, f))
        ),
        "whatever is not true, or not there, counts as 0 nats above the line. See trap 4.": over(
            lambda t, f: (chances(t) + full - len(t)) / (chances(t) + chances(f) + absent(t, f))
        ),
        "the probabilities are not normalised over the question's answers. See trap 2.": over(lambda t, f: chances(t)),
        "log-probabilities are added and divided; probabilities are to be. See trap 1.": over(
            lambda t, f: sum(t) / sum(t + f)
        ),
        "the log-probabilities of the true answers are added. See trap 1.": over(lambda t, f: sum(t)),
        "the log-probabilities of each kind are added before the exp: a product. See trap 1.": over(
            lambda t, f: exp(sum(t)) / (exp(sum(t)) + exp(sum(f)))
        ),
        "this is the probability of the false answers.": [1 - each for each in right],
        "the mean over the true answers is taken, not their sum.": over(
            lambda t, f: share(t, f) / len(t) if t else 0.0
        ),
        "means are compared, not sums: the more true answers, the more belief is due.": over(
            lambda t, f: (
                chances(t) / max(len(t), 1) / (chances(t) / max(len(t), 1) + chances(f) / max(len(f), 1))
            )
        ),
        "the sum is divided by the number of answers.": over(lambda t, f: share(t, f) / (len(t) + len(f))),
        "true over false is taken; true over all is asked for.": over(
            lambda t, f: chances(t) / chances(f) if f else inf
        ),
        "the difference of true and false is taken.": over(lambda t, f: 2 * share(t, f) - 1),
        "this is its logarithm.": [log(each) if each > 0 else -inf for each in right],
        "it is rounded to 0 or 1.": [float(each > 0.5) for each in right],
        "this is MC1.": [mc1_of(t, f) for t, f in rows],
        "only the best true answer is counted, over all answers.": over(
            lambda t, f: exp(best(t)) / (chances(t) + chances(f))
        ),
        "only the best of each kind is counted.": over(lambda t, f: share(t and [best(t)], f and [best(f)])),
        "the largest is subtracted from true and from false answers apart; it must be the same for both.": over(apart),
        "everything is normalised over all questions together, not over each one's answers.": over(
            lambda t, f: chances(t) / every
        ),
        "the softmax runs over the questions, not over a question's answers.": (
            (columns * c.true * c.mask).sum(1).tolist()
        ),
        "the mean over questions is returned; one number for each is asked for. See trap 5.": mean(right),
        "the probability of each answer is returned; the sum over true ones is asked for.": (
            c.logprobs.double().masked_fill(c.mask == 0, -inf).softmax(1)
        ),
    }  # fmt: skip


def apart(true: list[float], false: list[float]) -> float:
    a, b = (sum(exp(x - best(nats)) for x in nats) for nats in (true, false))
    return a / (a + b)


def check_mc2(handle, c: Case, what: str = "the result", rtol: float = RTOL) -> None:
    expected = [share(*row) for row in c.rows()]
    tame = c.logprobs.abs().max() < 100  # wrong formulas overflow elsewhere
    expect_close(handle(*c.tensors), expected, what, mistakes=mc2_mistakes(c) if tame else None, rtol=rtol)


@exercise("truthful_mc2", "the true answers' share of the probability")
def test_mc2_values(handle, seed):
    check_mc2(handle, questions(seed))
    check_mc2(handle, questions(seed + 1, lowest=-2.0, width=6), "the result (answers that are about as likely)")


@exercise("truthful_mc2", "where no answer is, anything may stand")
def test_mc2_mask(handle, seed):
    c = questions(seed)
    empty = c.mask == 0
    for wild in (-900.0, 3.0, 0.0, 900.0):
        logprobs = c.logprobs.masked_fill(empty, wild)
        for flag in (0.0, 1.0):
            other = Case(logprobs, c.true.masked_fill(empty, flag), c.mask)
            check_mc2(handle, other, f"the result ({wild:g} nats and true = {flag:g} where no answer is; see trap 4)")


@exercise("truthful_mc2", "questions with true answers only, with false ones only")
def test_mc2_one_kind(handle, seed):
    check_mc2(handle, questions(seed, kinds=["TT-", "-T", "TFT"]))
    check_mc2(handle, questions(seed, kinds=["FF-", "-F", "FTF"]))


@exercise("truthful_mc2", "answers of -1000 nats: the largest is subtracted first")
def test_mc2_long_answers(handle, seed):
    c = questions(seed)
    far = replace(c, logprobs=torch.where(c.mask > 0, c.logprobs - 1000, c.logprobs))
    what = "the result for answers of -1000 nats (where exp gives 0; see trap 3)"
    check_mc2(handle, far, what, rtol=1e-3)
    mixed = c.logprobs - 120 * torch.arange(len(c.mask))[:, None]
    check_mc2(handle, replace(c, logprobs=mixed), "the result for short and long answers (see trap 3)", rtol=1e-3)


@exercise("truthful_mc2", "it does not matter how likely all answers are together")
def test_mc2_shift(handle, seed):
    c = questions(seed)
    shifted = replace(c, logprobs=c.logprobs - torch.linspace(0, 12, len(c.mask))[:, None])
    first, second = (torch.as_tensor(handle(*each.tensors)).double() for each in (c, shifted))
    expect_true(
        first.shape == second.shape and bool(((first - second).abs() < 1e-4).all()),
        "the result changes when all answers of a question lose as many nats: it is not normalised. See trap 2.",
    )


@exercise("truthful_mc2", "masks of any type, float64, strides, one question")
def test_mc2_forms(handle, seed):
    check_forms(partial(check_mc2, handle), questions(seed))
