"""What a right solution of lesson 08 is, continued: the curve of gold reward, and rewards from several models."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, expect_close, expect_gradient, expect_results, expect_shape, fail
from minillm.course.testing import exercise

# --- fit_overoptimization ---------------------------------------------------------------------------------------

FORMS = ("best-of-n", "rl")


def bend(d: float, form: str) -> float:
    """What beta multiplies, without its minus."""
    if form == "best-of-n":
        return d * d
    return d * math.log(d) if d > 0 else 0.0


def curve(d: float, alpha: float, beta: float, form: str) -> float:
    return alpha * d - beta * bend(d, form)


def least_squares(first: Sequence[float], second: Sequence[float], target: Sequence[float]) -> tuple[float, float]:
    """The numbers a, b with the smallest sum of (target - a first - b second)^2, by the normal equations."""
    s11, s12, s22 = (
        math.fsum(x * y for x, y in zip(*pair)) for pair in ((first, first), (first, second), (second,) * 2)
    )
    t1, t2 = (math.fsum(x * y for x, y in zip(column, target)) for column in (first, second))
    determinant = s11 * s22 - s12 * s12
    return (t1 * s22 - t2 * s12) / determinant, (t2 * s11 - t1 * s12) / determinant


def fit_of(kl: Tensor, gain: Tensor, form: str) -> tuple[float, float]:
    ds, gains = [math.sqrt(x) for x in kl.double().tolist()], gain.double().tolist()
    return least_squares(ds, [-bend(d, form) for d in ds], gains)


def with_constant(columns: Sequence[Sequence[float]], target: Sequence[float]) -> tuple[float, float]:
    """Least squares with a constant term, which is then dropped."""
    X = torch.tensor([*columns, [1.0] * len(target)], dtype=torch.float64).T
    solution = torch.linalg.lstsq(X, torch.tensor(target, dtype=torch.float64)[:, None]).solution
    return solution[0].item(), solution[1].item()


def fit_mistakes(kl: Tensor, gain: Tensor, form: str) -> dict:
    x, gains = kl.double().tolist(), gain.double().tolist()
    ds = [math.sqrt(value) for value in x]
    bends = [-bend(d, form) for d in ds]
    a, b = fit_of(kl, gain, form)
    other = FORMS[form == FORMS[0]]

    def fit(first: Sequence[float], second: Sequence[float], rows: Callable[[int], bool] = lambda i: True):
        kept = [i for i in range(len(ds)) if rows(i)]
        return least_squares(*([column[i] for i in kept] for column in (first, second, gains)))

    def of_ratio() -> tuple[float, float]:
        """gain / d = alpha - beta d, or alpha - beta log d, where d > 0."""
        kept = [i for i, d in enumerate(ds) if d > 0]
        line = [ds[i] if form == FORMS[0] else math.log(ds[i]) for i in kept]
        return least_squares([1.0] * len(kept), [-value for value in line], [gains[i] / ds[i] for i in kept])

    halved = [-d * d * math.log(d) if d > 0 else 0.0 for d in ds]  # log d, but d^2 in front
    squared = [-d * math.log(d * d) if d > 0 else 0.0 for d in ds]  # log of the KL, but d in front
    bare = [-math.log(d) if d > 0 else 0.0 for d in ds]
    known: dict[str, Callable[[], tuple[float, float]]] = {
        "the KL stands in the place of its square root. See trap 1.": (
            lambda: fit(x, [-bend(value, form) for value in x])
        ),
        "the sign of beta is flipped: the formula has a minus before it. See trap 2.": lambda: (a, -b),
        "alpha and beta are returned in the wrong order.": lambda: (b, a),
        "the two forms are exchanged.": lambda: fit_of(kl, gain, other),
        "a constant term was fitted as well. See trap 4.": lambda: with_constant((ds, bends), gains),
        "a constant term was fitted as well, and the minus before beta forgotten. See traps 2 and 4.": (
            lambda: (lambda pair: (pair[0], -pair[1]))(with_constant((ds, bends), gains))
        ),
        "the gains are divided by d before the fit: that weighs the points near 0 too much. See trap 5.": of_ratio,
        "the points with the lowest KL are left out.": lambda: fit(ds, bends, lambda i: x[i] > 1),
        "beta is twice what it should be.": lambda: (a, 2 * b),
        "the gain is not used, only its largest value and where it is.": lambda: _from_peak(ds, gains, form),
        "only the first and the last point are used.": lambda: fit(ds, bends, lambda i: i in (0, len(ds) - 1)),
    }
    if form == "rl":
        known |= {
            "the logarithm is taken of the KL, not of its square root. See trap 1.": lambda: fit(ds, squared),
            "the KL stands in front of the logarithm, not its square root. See trap 1.": lambda: fit(ds, halved),
            "d is missing in front of the logarithm: the whole bracket is multiplied by d.": lambda: fit(ds, bare),
            "the logarithm is in base 2.": lambda: (a, b * math.log(2)),
            "the logarithm is in base 10.": lambda: (a, b * math.log(10)),
            "log(1 + d) stands in the place of log d. See trap 3.": (lambda: fit(ds, [-d * math.log1p(d) for d in ds])),
            "points with d below 1 are treated as d = 1: only d = 0 needs care. See trap 3.": (
                lambda: fit(ds, [-d * math.log(max(d, 1.0)) for d in ds])
            ),
        }
    else:
        known |= {
            "d is missing in front of the bracket: gain = d (alpha - beta d).": (
                lambda: fit([1.0] * len(ds), [-d for d in ds])
            ),
            "beta is half of what it should be.": lambda: (a, b / 2),
        }
    return {message: _unless_singular(value) for message, value in known.items()}


def _from_peak(ds: Sequence[float], gains: Sequence[float], form: str) -> tuple[float, float]:
    top = max(range(len(ds)), key=gains.__getitem__)
    d, gain = ds[top], gains[top]
    if form == FORMS[0]:
        return 2 * gain / d, gain / d**2
    return gain / d * (1 + math.log(d)), gain / d


def _unless_singular(value: Callable[[], tuple[float, float]]) -> Callable[[], list[float]]:
    def safe() -> list[float]:
        try:
            return list(value())
        except (ZeroDivisionError, ValueError):
            return [math.nan, math.nan]

    return safe


def check_fit(handle, kl: Tensor, gain: Tensor, form: str, what: str, expected: Sequence[float] | None = None) -> None:
    got = handle(kl, gain, form)
    got = got.flatten().tolist() if isinstance(got, Tensor) else got
    numbers = [torch.as_tensor(each).double() for each in expect_results(got, 2, "alpha, beta")]
    expect_shape(numbers[0], (), "alpha")
    expect_shape(numbers[1], (), "beta")
    numbers = [each.item() for each in numbers]
    if any(map(math.isnan, numbers)):
        zero = " There is a point with KL 0: d log d is nan there. See trap 3." if bool((kl == 0).any()) else ""
        fail(f"{what}, form={form!r}: alpha and beta are {numbers}.{zero}")
    expected = list(fit_of(kl, gain, form) if expected is None else expected)
    words = f"(alpha, beta) of {what}, form={form!r}"
    expect_close(numbers, expected, words, mistakes=fit_mistakes(kl, gain, form), rtol=1e-3)


def points(seed: int, form: str, alpha: float, beta: float, noise: float = 0.0, N: int = 9) -> tuple[Tensor, Tensor]:
    """N points (kl, gain) of a curve in no order, d from 0.3 to 3 or so, with normal noise on the gains."""
    g = torch.Generator().manual_seed(seed)
    d = (torch.linspace(0.3, 3.0, N) + 0.1 * torch.rand(N, generator=g))[torch.randperm(N, generator=g)]
    kl = d**2
    exact = torch.tensor([curve(math.sqrt(x), alpha, beta, form) for x in kl.double().tolist()])
    return kl, exact + noise * torch.randn(N, generator=g)


@exercise("fit_overoptimization", "points on a curve give its alpha and beta back")
def test_fit_overoptimization_exact_points(handle, seed):
    for form, alpha, beta in (("best-of-n", 1.3, 0.35), ("rl", 0.8, 0.6), ("rl", -0.4, -0.7)):
        kl, gain = points(seed, form, alpha, beta)
        check_fit(handle, kl, gain, form, "points on a curve", (alpha, beta))


@exercise("fit_overoptimization", "least squares where the points scatter")
def test_fit_overoptimization_noise(handle, seed):
    for form in FORMS:
        kl, gain = points(seed, form, 0.9, 0.4, noise=0.25)
        check_fit(handle, kl, gain, form, "scattered points")


@exercise("fit_overoptimization", "a point with KL 0 spoils nothing")
def test_fit_overoptimization_zero(handle, seed):
    for form in FORMS:
        kl, gain = points(seed, form, 0.9, 0.4, noise=0.2)
        kl, gain = torch.cat((torch.zeros(1), kl)), torch.cat((torch.zeros(1), gain))
        check_fit(handle, kl, gain, form, "points of which one has KL 0")


@exercise("fit_overoptimization", "the worked example")
def test_fit_overoptimization_worked_example(handle, seed):
    kl, gain = torch.tensor([1.0, 4.0]), torch.tensor([1.0, 0.0])
    check_fit(handle, kl, gain, "best-of-n", "two points", (2.0, 1.0))
    check_fit(handle, kl, gain, "rl", "two points", (1.0, 1 / math.log(2)))


@exercise("fit_overoptimization", "any other form is refused with a ValueError")
def test_fit_overoptimization_unknown_form(handle, seed):
    kl, gain = points(seed, "rl", 0.9, 0.4)
    refused(handle, (kl, gain), "ppo", FORMS)


@exercise("fit_overoptimization", "names for arguments, float64")
def test_fit_overoptimization_forms(handle, seed):
    kl, gain = (values.double() for values in points(seed, "rl", 0.9, 0.4, noise=0.2))
    got = handle(form="rl", gain=gain, kl=kl)
    got = got.flatten().tolist() if isinstance(got, Tensor) else got
    numbers = [float(torch.as_tensor(each)) for each in expect_results(got, 2, "alpha, beta")]
    expect_close(numbers, list(fit_of(kl, gain, "rl")), "(alpha, beta) with named arguments", rtol=1e-3)


def refused(handle, args: tuple, form: str, known: Sequence[str]) -> None:
    """A form that does not exist raises ValueError."""
    try:
        got = handle(*args, form)
    except CheckFailure as failure:
        if "stopped with ValueError" not in str(failure):
            fail(f"an unknown form should raise a ValueError; instead\n{failure}")
        return
    listed = " and ".join(f'"{each}"' for each in known)
    fail(
        f"the unknown form {form!r} is not refused: there are {listed}, raise ValueError for others. You gave {got!r}."
    )


# --- ensemble_reward --------------------------------------------------------------------------------------------


def opinions(seed: int, M: int = 3, N: int = 5, K: int = 4) -> tuple[Tensor, Tensor]:
    """Scores (M, N) and anchors (M, K) of models that agree in part, and whose zeros lie far apart.

    The model with the lowest zero thinks best of the answers, so that it is never the right one to listen to.
    """
    g = torch.Generator().manual_seed(seed)
    shared, spread = torch.randn(N, generator=g), 0.6 + torch.rand(M, 1, generator=g)
    scores = spread * (shared + 0.8 * torch.randn(M, N, generator=g))
    anchors = spread * torch.randn(M, K, generator=g) + 0.5
    hope = (scores.mean(1) - anchors.mean(1)).argsort().argsort()  # (M,) the rank of each model, 0 thinks worst of them
    zero = (3.0 * torch.randn(M, generator=g) + 4.0 * torch.arange(M)).sort(descending=True).values[hope, None]
    return scores + zero, anchors + zero


def ensemble_of(scores: Tensor, anchors: Tensor, form: str) -> list[float]:
    """Answer by answer."""
    zeros = [math.fsum(row) / len(row) for row in anchors.double().tolist()]
    columns = zip(*([score - zero for score in row] for row, zero in zip(scores.double().tolist(), zeros)))
    return [math.fsum(column) / len(column) if form == "mean" else min(column) for column in columns]


def ensemble_mistakes(scores: Tensor, anchors: Tensor, form: str) -> dict:
    s, a = scores.double(), anchors.double()
    M, N = s.shape

    def over_models(x: Tensor) -> Tensor:
        return x.mean(0) if form == "mean" else x.amin(0)

    zero = a.mean(1, keepdim=True)
    right = s - zero
    other = right.amin(0) if form == "mean" else right.mean(0)
    known = {
        "the anchors are not used: every model has a zero of its own. See the formula.": over_models(s),
        "one anchor mean is taken over all models: each has its own. See trap 1.": over_models(s - a.mean()),
        "the mean of the model's own scores is subtracted, not that of the anchors. See trap 2.": (
            over_models(s - s.mean(1, keepdim=True))
        ),
        "the anchor mean is added instead of subtracted.": over_models(s + zero),
        "the two forms are exchanged.": other,
        "the largest opinion is taken, not the smallest.": right.amax(0),
        "the median of the models is taken.": right.median(0).values,
        "the scores are divided by the standard deviation of the anchors. See trap 5.": (
            lambda: over_models(right / _deviation(a, 1))
        ),
        "the scores are divided by the (population) standard deviation of the anchors. See trap 5.": (
            lambda: over_models(right / a.std(1, keepdim=True, correction=0))
        ),
        "the smallest anchor is the zero, not the mean of the anchors.": over_models(s - a.amin(1, keepdim=True)),
        "the largest anchor is the zero, not the mean of the anchors.": over_models(s - a.amax(1, keepdim=True)),
        "the first anchor is the zero, not the mean of all.": over_models(s - a[:, :1]),
        "the median of the anchors is the zero, not their mean.": over_models(s - a.median(1, keepdim=True).values),
        "the sum of the anchors is subtracted, not their mean.": over_models(s - a.sum(1, keepdim=True)),
        "the sum over the models is taken, not the mean.": right.sum(0),
        "the reduction is over the answers: it should be over the models. See trap 3.": (
            right.mean(1) if form == "mean" else right.amin(1)
        ),
        "the minimum is taken before the shift. See trap 4.": s.amin(0) - a.amin(0).mean(),
        "the minimum is taken before the shift, which is then one for all. See trap 4.": s.amin(0) - a.mean(),
        "the model with the lowest scores in all decides every answer: the minimum is for each answer.": (
            right[right.mean(1).argmin()]
        ),
        "one model decides every answer, the first: all should be asked.": right[0],
        "one number is returned for all answers: reduce over the models only. See trap 3.": (
            right.mean() if form == "mean" else right.min()
        ),
        "the spread of the models is subtracted from their mean (that is a third form, UWO).": (
            lambda: right.mean(0) - _deviation(right, 0)[0]
        ),
        "nothing is reduced: one reward for each answer is asked for.": right,
        "the dimension of the models is kept: (1, N) instead of (N,).": over_models(right)[None],
    }
    if M != a.shape[1] and N == a.shape[1]:
        known["the anchors are averaged over the models. See trap 1."] = over_models(s - a.mean(0))
    return known


def _deviation(values: Tensor, dim: int) -> Tensor:
    """Sample standard deviation over a dimension, which is kept; nan where there is one value."""
    n = values.shape[dim]
    return (values.var(dim, correction=0, keepdim=True) * n / (n - 1)).sqrt() if n > 1 else values * torch.nan


def check_ensemble(handle, scores: Tensor, anchors: Tensor, form: str, what: str = "the rewards") -> None:
    expected, mistakes = ensemble_of(scores, anchors, form), ensemble_mistakes(scores, anchors, form)
    got = handle(scores, anchors, form)
    if isinstance(got, tuple) and len(got) == 2:
        fail("two results are returned, values and places: `x.min(dim=0)` gives both. Take `.values`, or use amin.")
    expect_close(got, expected, f"{what}, form={form!r}", mistakes=mistakes)


@exercise("ensemble_reward", "models whose zeros lie far apart")
def test_ensemble_reward_values(handle, seed):
    for M, N, K in ((3, 5, 4), (4, 6, 2), (2, 4, 4)):
        scores, anchors = opinions(seed, M, N, K)
        for form in ("worst", "mean"):
            check_ensemble(handle, scores, anchors, form, f"the rewards of {N} answers by {M} models")


@exercise("ensemble_reward", "a constant added to one model, answers and anchors alike, changes nothing")
def test_ensemble_reward_gauge(handle, seed):
    scores, anchors = opinions(seed)
    shift = torch.tensor([[40.0], [0.0], [-25.0]])
    for form in ("worst", "mean"):
        check_ensemble(handle, scores + shift, anchors + shift, form, "the rewards after two models were shifted")


@exercise("ensemble_reward", "an answer's reward does not depend on the answers beside it")
def test_ensemble_reward_alone(handle, seed):
    scores, anchors = opinions(seed)
    for form in ("worst", "mean"):
        check_ensemble(handle, scores[:, 2:3], anchors, form, "the reward of one answer alone")


@exercise("ensemble_reward", "mean if no form is given; one model, one anchor")
def test_ensemble_reward_default(handle, seed):
    scores, anchors = opinions(seed)
    expected, mistakes = ensemble_of(scores, anchors, "mean"), ensemble_mistakes(scores, anchors, "mean")
    expect_close(handle(scores, anchors), expected, "the rewards without a form", mistakes=mistakes)
    check_ensemble(handle, scores[:1], anchors[:1], "worst", "the rewards of one model")
    check_ensemble(handle, scores, anchors[:, :1], "mean", "the rewards with one anchor")


@exercise("ensemble_reward", "the worked example")
def test_ensemble_reward_worked_example(handle, seed):
    scores, anchors = torch.tensor([[2.0, 5.0], [10.0, 9.0]]), torch.tensor([[1.0, 3.0], [8.0, 8.0]])
    check_ensemble(handle, scores, anchors, "mean")
    check_ensemble(handle, scores, anchors, "worst")


@exercise("ensemble_reward", "any other form is refused with a ValueError")
def test_ensemble_reward_unknown_form(handle, seed):
    refused(handle, opinions(seed), "best", ("mean", "worst"))


@exercise("ensemble_reward", "gradients reach every score that decides, and the anchors")
def test_ensemble_reward_gradient(handle, seed):
    scores, anchors = opinions(seed)
    M, K = anchors.shape
    upstream = torch.tensor([1.0, -2.0, 3.0, 0.5, -1.5])
    worst = (scores.double() - anchors.double().mean(1, keepdim=True)).argmin(0)
    shares = {"mean": torch.full(scores.shape, 1 / M), "worst": torch.nn.functional.one_hot(worst, M).T.float()}
    for form, share in shares.items():
        _, grads = handle.gradients(scores, anchors, form, wrt=[0, 1], upstream=upstream)
        expect_gradient(grads[0], share * upstream, f"scores (form={form!r})")
        each = -(share * upstream).sum(1, keepdim=True).expand(M, K) / K
        expect_gradient(grads[1], each, f"anchors (form={form!r})")


@exercise("ensemble_reward", "float64, strides, names for arguments")
def test_ensemble_reward_forms(handle, seed):
    scores, anchors = opinions(seed)
    got = handle(form="worst", anchors=anchors.T.contiguous().T, scores=scores.T.contiguous().T)
    expect_close(got, ensemble_of(scores, anchors, "worst"), "the rewards with named arguments")
    check_ensemble(handle, scores.double(), anchors.double(), "mean", "the rewards in float64")
