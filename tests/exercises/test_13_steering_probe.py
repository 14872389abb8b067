"""What a right solution of lesson 13 is, continued: a linear probe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, expect_close, expect_shape, fail
from minillm.course.testing import exercise

Rows = list[list[float]]
MARGIN = 0.004  # no score lies nearer to the threshold, where rounding decides


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True, eq=False)
class Case:
    """Training and test rows with their labels."""

    train_x: Tensor
    train_y: Tensor
    test_x: Tensor
    test_y: Tensor
    penalty: float

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.train_x, self.train_y, self.test_x, self.test_y

    @property
    def plain(self) -> tuple[Rows, list[float], Rows, list[float]]:
        """Training rows, targets +1 and -1, test rows, test targets: plain floats."""
        ys = [[1.0 if each else -1.0 for each in y.tolist()] for y in (self.train_y, self.test_y)]
        return self.train_x.double().tolist(), ys[0], self.test_x.double().tolist(), ys[1]


# --- ridge regression in plain floats -----------------------------------------------------------------------------


def solve(a: Rows, c: list[float]) -> list[float]:
    """w with a w = c, by elimination. ZeroDivisionError where there is none."""
    m = [[*row, value] for row, value in zip(a, c)]
    for k in range(len(m)):
        top = max(range(k, len(m)), key=lambda i: abs(m[i][k]))
        if abs(m[top][k]) < 1e-9:
            raise ZeroDivisionError
        m[k], m[top] = m[top], m[k]
        for i in range(len(m)):
            if i != k:
                factor = m[i][k] / m[k][k]
                m[i] = [x - factor * y for x, y in zip(m[i], m[k])]
    return [row[-1] / row[k] for k, row in enumerate(m)]


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def mean(x: Rows) -> list[float]:
    return [sum(column) / len(x) for column in zip(*x)]


def shifted(x: Rows, m: list[float]) -> Rows:
    return [[a - b for a, b in zip(row, m)] for row in x]


def scaled(x: Rows, like: Rows) -> Rows:
    """Each column divided by the standard deviation that it has in ``like``."""
    m = mean(like)
    std = [max((sum((row[k] - m[k]) ** 2 for row in like) / max(len(like) - 1, 1)) ** 0.5, 1e-9) for k in range(len(m))]
    return [[a / s for a, s in zip(row, std)] for row in x]


def fit(x: Rows, t: list[float], diagonal: float, elsewhere: float = 0.0, size: float = 1.0) -> list[float]:
    """(x^T x / size + penalty)^-1 x^T t / size; the penalty is ``diagonal`` and ``elsewhere``."""
    columns = [list(column) for column in zip(*x)]
    a = [
        [dot(p, q) / size + (diagonal if i == j else elsewhere) for j, q in enumerate(columns)]
        for i, p in enumerate(columns)
    ]
    return solve(a, [dot(p, t) / size for p in columns])


def scores(c: Case) -> list[float]:
    """What the right probe says of each test row."""
    x, t, test, _ = c.plain
    w, m = fit(shifted(x, mean(x)), t, c.penalty), mean(x)
    return [dot(row, w) + sum(t) / len(t) for row in shifted(test, m)]


def share(guesses: list[bool], targets: list[float]) -> float:
    return sum(guess == (target > 0) for guess, target in zip(guesses, targets)) / len(targets)


def accuracy(c: Case) -> float:
    return share([score > 0 for score in scores(c)], c.plain[3])


@cache
def mistakes_of(c: Case) -> dict[str, float]:
    """message -> the accuracy that comes out. What cannot be computed is left out."""
    x, t, test, target = c.plain
    N, lam, m, b = len(x), c.penalty, mean(x), sum(t) / len(t)
    X, Z, right = shifted(x, m), shifted(test, m), accuracy(c)
    zero_one = [(each + 1) / 2 for each in t]

    def read(w: list[float], rows: Rows = Z, shift: float = b, threshold: float = 0.0) -> list[bool]:
        return [dot(row, w) + shift > threshold for row in rows]

    def scored(*args, **kwargs) -> float:
        return share(read(*args, **kwargs), target)

    def by_class() -> float:
        guesses = read(fit(X, t, lam))
        parts = [[g == (s > 0) for g, y in zip(guesses, target) if y == s] for s in (1.0, -1.0)]
        return sum(sum(part) / len(part) for part in parts) / 2

    def nearest() -> float:
        one, two = (mean([row for row, y in zip(X, t) if y == s]) for s in (1.0, -1.0))
        gap = [p - q for p, q in zip(one, two)]
        return scored(gap, shift=-dot(gap, [(p + q) / 2 for p, q in zip(one, two)]))

    def middle() -> float:
        said = [dot(row, fit(X, t, lam)) for row in Z]
        return share([s > sorted(said)[(len(said) - 1) // 2] for s in said], target)

    def together() -> float:
        rows, both = x + test, t + target
        return scored(fit(shifted(rows, mean(rows)), both, lam), shifted(test, mean(rows)), sum(both) / len(both))

    def exchanged() -> float:
        w = fit(shifted(test, mean(test)), target, lam)
        return share(read(w, shifted(x, mean(test)), sum(target) / len(target)), t)

    made: dict[str, Callable[[], float]] = {
        "every row gets the label of the larger training class: nothing is left of w. (Is the penalty multiplied by "
        "the number of rows? See trap 5.)": lambda: scored([0.0] * len(m)),
        "label 1 is guessed always.": lambda: scored([0.0] * len(m), shift=1.0),
        "the probe is scored on the rows it was fitted on. See trap 1.": lambda: share(read(fit(X, t, lam), X), t),
        "the test rows are fitted too. See trap 1.": together,
        "the probe is fitted on the test rows and scored on the training rows. See trap 1.": exchanged,
        "nothing is centred. See trap 2.": lambda: scored(fit(x, t, lam), test),
        "nothing is centred, and there is no b. See traps 2 and 4.": lambda: scored(fit(x, t, lam), test, 0.0),
        "the test rows are centred with their own mean. See trap 2.": (
            lambda: scored(fit(X, t, lam), shifted(test, mean(test)))
        ),
        "the test rows are not centred. See trap 2.": lambda: scored(fit(X, t, lam), test),
        "the mean of all rows, test rows too, is subtracted. See trap 2.": (
            lambda: scored(fit(shifted(x, mean(x + test)), t, lam), shifted(test, mean(x + test)))
        ),
        "each set is divided by its own standard deviation too. See trap 2.": (
            lambda: scored(fit(scaled(X, x), t, lam), scaled(shifted(test, mean(test)), test))
        ),
        "the columns are divided by their standard deviation; they are only centred here.": (
            lambda: scored(fit(scaled(X, x), t, lam), scaled(Z, x))
        ),
        "there is no penalty. See trap 5.": lambda: scored(fit(X, t, 0.0)),
        "the penalty is 1, whatever is passed. See trap 5.": lambda: scored(fit(X, t, 1.0)),
        "the penalty is added to every number of X^T X, not to its diagonal. See trap 5.": (
            lambda: scored(fit(X, t, lam, lam))
        ),
        "the penalty is multiplied by the number of rows. See trap 5.": lambda: scored(fit(X, t, lam * N)),
        "the penalty is subtracted.": lambda: scored(fit(X, t, -lam)),
        "the penalty is squared.": lambda: scored(fit(X, t, lam**2)),
        "the targets are 0 and 1, and the threshold is 0. See trap 3.": (
            lambda: scored(fit(X, zero_one, lam), shift=sum(zero_one) / N)
        ),
        "the targets are 0 and 1, the threshold is a half, and b is missing. See traps 3 and 4.": (
            lambda: scored(fit(X, zero_one, lam), shift=0.0, threshold=0.5)
        ),
        "the threshold is a half, and the targets are +1 and -1. See trap 3.": lambda: scored(
            fit(X, t, lam), threshold=0.5
        ),
        "b is missing. See trap 4.": lambda: scored(fit(X, t, lam), shift=0.0),
        "b is subtracted, not added. See trap 4.": lambda: scored(fit(X, t, lam), shift=-b),
        "b is penalised too. See trap 4.": lambda: scored(fit(X, t, lam), shift=sum(t) / (N + lam)),
        "the threshold is the median of the scores: half of the rows are labelled 1.": middle,
        "a row gets the label of the nearer class mean; ridge regression is asked for.": nearest,
        "w is X^T t, without the inverse.": lambda: scored([dot(list(column), t) for column in zip(*X)]),
        "both classes count the same: the mean of the accuracies of each class.": by_class,
        "this is the share of errors, or the labels are turned round.": lambda: 1 - right,
        "right answers are counted, and not divided by the number of test rows.": lambda: right * len(target),
        "this is the share in per cent.": lambda: 100 * right,
        "right answers are divided by the number of training rows.": lambda: right * len(target) / N,
    }
    found = {}
    for words, value in made.items():
        try:
            found[words] = value()
        except ZeroDivisionError:
            continue
    return found


def draw(seed: int, train: tuple[int, int], test: tuple[int, int], D: int, penalty: float) -> Case:
    """Overlapping clouds far from 0, with columns of different spread; train, test: rows of label 0 and of label 1."""
    g = generator(seed)
    gap, spread = torch.randn(D, generator=g) * 0.9, torch.logspace(-0.4, 0.4, D)[torch.randperm(D, generator=g)]
    centre = 6.0 * torch.randn(D, generator=g)
    moved = 0.8 * spread * torch.randn(D, generator=g)

    def rows(zeros: int, ones: int, shift: Tensor) -> tuple[Tensor, Tensor]:
        y = (torch.arange(zeros + ones) >= zeros)[torch.randperm(zeros + ones, generator=g)]
        wide = (
            centre[:, None] + shift[:, None] + gap[:, None] * y + spread[:, None] * torch.randn(D, len(y), generator=g)
        )
        return wide.T, y.long()  # not contiguous

    return Case(*rows(*train, torch.zeros(D)), *rows(*test, moved), penalty)


@cache
def case(
    seed: int,
    train: tuple[int, int] = (15, 6),
    test: tuple[int, int] = (19, 34),
    D: int = 4,
    penalty: float = 8.0,
) -> Case:
    """A case in which no score is near the threshold."""
    cases = (draw(1000 * seed + attempt, train, test, D, penalty) for attempt in range(1000))
    return next(c for c in cases if min(map(abs, scores(c))) > MARGIN)


@cache
def three(seed: int, but: str = "none", **settings) -> list[Case]:
    """Three cases; every mistake gives a wrong accuracy in one of them at least, but those that name ``but``."""
    for attempt in range(100):
        cases = [case(300 * seed + 3 * attempt + k, **settings) for k in range(3)]
        right = [accuracy(c) for c in cases]
        if all(but in words or numbers != right for words, numbers in joint(cases).items()):
            return cases
    raise AssertionError(f"no cases with seed {seed} tell all mistakes apart")


def joint(cases: list[Case]) -> dict[str, list[float]]:
    """What each mistake makes of several cases."""
    names = [words for words in mistakes_of(cases[0]) if all(words in mistakes_of(c) for c in cases)]
    return {words: [mistakes_of(c)[words] for c in cases] for words in names}


def check_probe(handle, cases: list[Case], what: str, given: bool = True) -> None:
    """The accuracies of several cases at once: so many numbers tell one mistake from another."""
    got = [handle(*c.tensors, c.penalty) if given else handle(*c.tensors) for c in cases]
    for each in got:
        expect_shape(each, (), what)
    expected = [accuracy(c) for c in cases]
    expect_close(got, expected, f"{what}, for {len(cases)} sets of rows,", mistakes=joint(cases))


@exercise("probe_accuracy", "overlapping clouds far from 0, classes of different size")
def test_probe_values(handle, seed):
    check_probe(handle, three(seed), "the accuracy")


@exercise("probe_accuracy", "the numbers of the worked example, for three penalties")
def test_probe_worked_example(handle, seed):
    train_x, train_y = torch.tensor([[1.0], [3.0], [8.0]]), torch.tensor([0, 0, 1])
    c = Case(train_x, train_y, torch.tensor([[5.0], [6.0]]), torch.tensor([1, 1]), 6.0)
    check_probe(handle, [c, replace(c, penalty=38.0), replace(c, penalty=1.0)], "the accuracy")


@exercise("probe_accuracy", "more numbers than rows, and the larger class the other one")
def test_probe_few_rows(handle, seed):
    cases = three(seed, train=(3, 5), test=(30, 21), D=9, penalty=6.0)
    check_probe(handle, cases, "the accuracy (8 rows of 9 numbers)")


@exercise("probe_accuracy", "the penalty is 1 if it is not given")
def test_probe_default_penalty(handle, seed):
    cases = three(seed, train=(5, 3), test=(17, 20), penalty=1.0, but="penalty is")
    check_probe(handle, cases, "the accuracy (penalty left out)", given=False)
    stronger = three(seed)
    got = [handle(*c.tensors, penalty=c.penalty) for c in stronger]
    expect_close(got, [accuracy(c) for c in stronger], "the accuracies with penalty=8.0")


@exercise("probe_accuracy", "each test row by itself: what the others are does not matter")
def test_probe_one_row_at_a_time(handle, seed):
    c = case(seed)
    alone = [replace(c, test_x=c.test_x[i : i + 1], test_y=c.test_y[i : i + 1]) for i in range(len(c.test_x))]
    got = [handle(*each.tensors, c.penalty) for each in alone[:24]]
    said = [score > 0 for score in scores(c)][:24]
    own = "the test rows are centred with their own mean: a single one becomes 0. See trap 2."
    always = sum(c.plain[1]) > 0
    mistakes = {own: [float((y > 0) == always) for y in c.plain[3][:24]]}
    expected = [float(guess == (y > 0)) for guess, y in zip(said, c.plain[3])]
    expect_close(got, expected, "the accuracies of single test rows", mistakes=mistakes)


@exercise("probe_accuracy", "labels may be bool, int or float, and rows double; the order of rows does not matter")
def test_probe_forms(handle, seed):
    c = case(seed)
    for kind in (torch.bool, torch.float32, torch.int32):
        other = replace(c, train_y=c.train_y.to(kind), test_y=c.test_y.to(kind))
        expect_close(handle(*other.tensors, c.penalty), accuracy(c), f"the accuracy ({kind} labels)")
    exact = replace(c, train_x=c.train_x.double(), test_x=c.test_x.double())
    expect_close(handle(*exact.tensors, c.penalty), accuracy(c), "the accuracy (float64 rows)")
    g = generator(seed)
    first, second = (torch.randperm(len(y), generator=g) for y in (c.train_y, c.test_y))
    mixed = Case(c.train_x[first], c.train_y[first], c.test_x[second], c.test_y[second], c.penalty)
    expect_close(handle(*mixed.tensors, c.penalty), accuracy(c), "the accuracy after rows have changed places")
    moved = replace(c, train_x=c.train_x + 5.0, test_x=c.test_x + 5.0)
    expect_close(handle(*moved.tensors, c.penalty), accuracy(c), "the accuracy after all rows have moved")


@exercise("probe_accuracy", "labels of one kind only, and rows without labels, are refused")
def test_probe_refuses(handle, seed):
    c = case(seed)
    for words, wrong in (
        ("only label 0 in the training rows", replace(c, train_y=torch.zeros_like(c.train_y))),
        ("only label 1 in the training rows", replace(c, train_y=torch.ones_like(c.train_y))),
        ("a training row without a label", replace(c, train_y=c.train_y[:-1])),
        ("a test row without a label", replace(c, test_y=c.test_y[:-1])),
        ("a test label without a row", replace(c, test_x=c.test_x[1:])),
        ("one test label for all rows", replace(c, test_y=c.test_y[:1])),
    ):
        try:
            handle(*wrong.tensors, c.penalty)
        except CheckFailure as failure:
            if "ValueError" not in str(failure):
                fail(f"{words}: a ValueError was expected. {failure}")
        else:
            fail(f"{words}: a ValueError was expected, and nothing was raised.")


@exercise("probe_accuracy", "test rows of one kind are fine")
def test_probe_test_rows_of_one_kind(handle, seed):
    for c, label in zip(three(seed), (0, 1, 0)):
        keep = c.test_y == label
        part = replace(c, test_x=c.test_x[keep], test_y=c.test_y[keep])
        expect_close(handle(*part.tensors, c.penalty), accuracy(part), f"the accuracy (test rows of label {label})")
