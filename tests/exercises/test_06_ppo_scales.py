"""What a right solution of lesson 06 is, continued: what sets the scales, whitening and the controller of beta."""

from collections.abc import Callable
from math import exp, isclose

import torch
from torch import Tensor

from minillm.course.expect import expect_close, fail
from minillm.course.testing import exercise

# --- masked_whiten ----------------------------------------------------------------------------------------------


def tokens_of(seed: int) -> tuple[Tensor, Tensor]:
    """Values (4, 5) with a mean of about 2, wild at padding, and their mask."""
    g = torch.Generator().manual_seed(seed)
    values = 2 + 1.5 * torch.randn(4, 5, generator=g) + torch.arange(4.0)[:, None]
    mask = (torch.arange(5) < torch.tensor([3, 5, 1, 4])[:, None]).float()
    return torch.where(mask.bool(), values, 30 + 20 * torch.rand(4, 5, generator=g)), mask


def whitened(values: Tensor, mask: Tensor) -> list[list[float]]:
    rows, keeps = values.double().tolist(), mask.bool().tolist()
    counted = [x for row, keep in zip(rows, keeps) for x, k in zip(row, keep) if k]
    mean = sum(counted) / len(counted)
    scale = (sum((x - mean) ** 2 for x in counted) / len(counted) + 1e-8) ** 0.5
    return [[(x - mean) / scale if k else 0.0 for x, k in zip(row, keep)] for row, keep in zip(rows, keeps)]


def whiten_mistakes(values: Tensor, mask: Tensor) -> dict:
    x, m = values.double(), mask.double()
    n, eps = m.sum(), 1e-8
    mean = (x * m).sum() / n
    var = ((x - mean) ** 2 * m).sum() / n
    scale, zeroed = (var + eps).sqrt(), x * m

    def by(mu: Tensor, v: Tensor, keep: Tensor = m) -> Tensor:
        return (x - mu) / (v + eps).sqrt() * keep

    def rows(dim: int) -> Tensor:
        mu = zeroed.sum(dim, keepdim=True) / m.sum(dim, keepdim=True)
        return by(mu, ((x - mu) ** 2 * m).sum(dim, keepdim=True) / m.sum(dim, keepdim=True))

    ones, low = torch.ones_like(m), x[m.bool()].min()
    return {
        "padding counts, in the mean and in the variance. See trap 1.": by(x.mean(), x.var(correction=0)),
        "padding counts, and is not 0 in the end. See traps 1 and 5.": by(x.mean(), x.var(correction=0), ones),
        "padding counts as zeros in the mean and in the variance. See trap 1.": (
            by(zeroed.mean(), zeroed.var(correction=0))
        ),
        "padding counts as zeros, and is not 0 in the end. See traps 1 and 5.": (
            (zeroed - zeroed.mean()) / (zeroed.var(correction=0) + eps).sqrt()
        ),
        "padding counts in the variance, though not in the mean. See trap 1.": by(mean, ((x - mean) ** 2).mean()),
        "padding counts in the variance, as zeros. See trap 1.": by(mean, ((zeroed - mean) ** 2).mean()),
        "the squares are added up over counted tokens, but divided by the number of all. See trap 1.": (
            by(mean, ((x - mean) ** 2 * m).mean())
        ),
        "padding counts as zeros (and with the sample variance). See traps 1 and 3.": by(zeroed.mean(), zeroed.var()),
        "padding counts (and with the sample variance). See traps 1 and 3.": by(x.mean(), x.var()),
        "padding counts (with the sample variance), and is not 0. See traps 1, 3 and 5.": by(x.mean(), x.var(), ones),
        "each row is whitened by itself: use all tokens of the batch. See trap 2.": rows(1),
        "each column is whitened by itself: use all tokens of the batch. See trap 2.": lambda: rows(0),
        "the variance is divided by n - 1, as torch.var does by itself: correction=0. See trap 3.": (
            by(mean, var * n / (n - 1))
        ),
        "the variance is divided by n - 1, and padding is not 0. See traps 3 and 5.": by(mean, var * n / (n - 1), ones),
        "padding is not 0 in the end. See trap 5.": by(mean, var, ones),
        "the epsilon is added to the standard deviation; it stands under the root. See trap 4.": (
            (x - mean) / (var.sqrt() + eps) * m
        ),
        "there is no epsilon. See trap 4.": (x - mean) / var.sqrt() * m,
        "the epsilon is too large: 1e-8 is asked for.": (x - mean) / (var + 1e-5).sqrt() * m,
        "the epsilon is too large: 1e-8 is asked for. (It is added to the deviation.)": (
            (x - mean) / (var.sqrt() + 1e-5) * m
        ),
        "the mean is not subtracted.": x / scale * m,
        "the mean is subtracted, but nothing is divided: the variance is not 1.": (x - mean) * m,
        "the division is by the variance; it is by its square root.": (x - mean) / (var + eps) * m,
        "the mean is added again at the end.": ((x - mean) / scale + mean) * m,
        "values are multiplied by the deviation, not divided.": (x - mean) * scale * m,
        "the values are squeezed between 0 and 1 by their smallest and largest.": (
            lambda: (x - low) / (x[m.bool()].max() - low) * m
        ),
        "the scale is the mean absolute distance.": (x - mean) / (((x - mean).abs() * m).sum() / n + eps) * m,
        "the scale is the root of the mean square, without taking off the mean.": by(mean, (x**2 * m).sum() / n),
    }


def check_whiten(handle, values: Tensor, mask: Tensor, words: str = "") -> None:
    expect_close(
        handle(values, mask), whitened(values, mask), f"the result{words}", mistakes=whiten_mistakes(values, mask)
    )


@exercise("masked_whiten", "mean 0 and variance 1 over the counted tokens of the batch")
def test_masked_whiten_values(handle, seed):
    check_whiten(handle, *tokens_of(seed))


@exercise("masked_whiten", "the worked example")
def test_masked_whiten_worked_example(handle, seed):
    check_whiten(handle, torch.tensor([[1.0, 3.0, 5.0]]), torch.tensor([[1, 1, 0]]), " (worked example)")


@exercise("masked_whiten", "all tokens alike, or only one: zeros, not NaN")
def test_masked_whiten_constant(handle, seed):
    values, mask = tokens_of(seed)
    level = torch.where(mask.bool(), 0.75, values)
    only = torch.zeros(4, 5)
    only[1, 2] = 1
    for rows, keep, what in ((level, mask, "where all counted values are equal"), (values, only, "for a single token")):
        got = torch.as_tensor(handle(rows, keep))
        if not bool(got.isfinite().all()):
            fail(
                f"{what} some results are NaN or infinite: 0 is divided by 0, or n - 1 = 0 counted values are left to "
                "divide by. Add 1e-8 under the root, and use correction=0. See traps 3 and 4."
            )
        expect_close(got, torch.zeros(4, 5), f"the result {what}")


@exercise("masked_whiten", "the epsilon is 1e-8, and stands under the root")
def test_masked_whiten_epsilon(handle, seed):
    values, mask = tokens_of(seed)
    check_whiten(handle, values.double() * 5e-5, mask, " (values of a very small variance)")


@exercise("masked_whiten", "masks of any type and form, strides, what stands at padding")
def test_masked_whiten_forms(handle, seed):
    values, mask = tokens_of(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_whiten(handle, values, mask.to(kind), f" (mask of type {str(kind)[6:]})")
    check_whiten(handle, torch.where(mask.bool(), values, -1e4), mask, " (padding of -10,000)")
    columns = values.double().T.contiguous().T, mask.T.contiguous().T
    check_whiten(handle, columns[0], columns[1].flip(1), " (float64, strides, mask 0s first)")
    check_whiten(handle, values, torch.ones(4, 5), " (no padding)")


# --- adapt_kl_coefficient ---------------------------------------------------------------------------------------


def next_beta(beta: float, kl: float, target: float, n: int, horizon: int) -> float:
    return beta * (1 + min(max(kl / target - 1, -0.2), 0.2) * n / horizon)


def bounded(x: float, size: float = 0.2) -> float:
    return min(max(x, -size), size)


def controller_mistakes(beta: float, kl: float, target: float, n: int, horizon: int) -> dict[str, float]:
    error, share = kl / target - 1, n / horizon
    step = bounded(error) * share
    formulas: dict[str, Callable[[], float]] = {
        "the sign of the error is flipped: too far means more penalty. See trap 1.": lambda: beta * (1 - step),
        "the error is target / kl - 1, upside down. See traps 1 and 2.": (
            lambda: beta * (1 + bounded(target / kl - 1) * share)
        ),
        "the error is not clipped. See trap 3.": lambda: beta * (1 + error * share),
        "the new beta is clipped, not the error. See trap 3.": lambda: bounded(beta * (1 + error * share)),
        "the whole step is clipped, not the error. See trap 3.": lambda: beta * (1 + bounded(error * share)),
        "the ratio is clipped before 1 is taken off. See trap 3.": (
            lambda: beta * (1 + (bounded(kl / target) - 1) * share)
        ),
        "n / horizon is not used: the factor is 1 + error.": lambda: beta * (1 + bounded(error)),
        "the error is only clipped above. See trap 3.": lambda: beta * (1 + min(error, 0.2) * share),
        "the error is only clipped below. See trap 3.": lambda: beta * (1 + max(error, -0.2) * share),
        "the error is clipped to [-1, 1]. See trap 3.": lambda: beta * (1 + bounded(error, 1.0) * share),
        "the error is not divided by the target. See trap 2.": lambda: beta * (1 + bounded(kl - target) * share),
        "the - 1 is missing: on target, beta stays. See trap 2.": lambda: beta * (1 + bounded(kl / target) * share),
        "horizon / n stands where n / horizon should. See trap 4.": lambda: beta * (1 + bounded(error) / share),
        "n is not used.": lambda: beta * (1 + bounded(error) / horizon),
        "the horizon is not used.": lambda: beta * (1 + bounded(error) * n),
        "the step is added to beta instead of multiplying it. See trap 5.": lambda: beta + step,
        "the change is returned, not the new beta.": lambda: beta * step,
        "the factor is returned, not the new beta.": lambda: 1 + step,
        "beta is divided by the factor. See trap 1.": lambda: beta / (1 + step),
        "beta is returned as it was.": lambda: beta,
        "this is the rule that doubles and halves beta (Schulman et al. 2017, sec. 4).": (
            lambda: beta * (2 if kl > 1.5 * target else 0.5 if kl < target / 1.5 else 1)
        ),
        "beta grows by exp of the step.": lambda: beta * exp(step),
        "the difference is divided by kl, not by the target. See trap 2.": (
            lambda: beta * (1 + bounded((kl - target) / kl) * share)
        ),
        "the absolute error is used: below the target, beta should fall. See trap 1.": (
            lambda: beta * (1 + bounded(abs(error)) * share)
        ),
    }
    return {message: formula() for message, formula in formulas.items()}


CASES = {
    "a little too far": (0.3, 2.3, 2.0, 128, 2000),
    "a little too near": (0.3, 3.5, 4.0, 96, 1000),
    "much too far": (0.1, 6.0, 2.0, 128, 2000),
    "much too near": (0.7, 0.4, 2.0, 64, 500),
    "below 0, as an estimate can be": (0.5, -0.3, 0.5, 32, 320),
    "far beyond, in one batch as large as the horizon": (0.4, 9.0, 1.5, 400, 400),
}


@exercise("adapt_kl_coefficient", "too far, too near, and both by much")
def test_adapt_kl_coefficient_values(handle, seed):
    got = [handle(*case) for case in CASES.values()]
    mistakes = [controller_mistakes(*case) for case in CASES.values()]
    explains = [m for m in mistakes[0] if all(isclose(x, each[m], rel_tol=1e-5) for x, each in zip(got, mistakes))]
    for (words, case), mine, each in zip(CASES.items(), got, mistakes):
        what = f"beta (the KL is {words}: {case[1]:g}, target {case[2]:g})"
        expect_close(mine, next_beta(*case), what, mistakes={m: each[m] for m in explains}, rtol=1e-5)


@exercise("adapt_kl_coefficient", "the worked example, and names for arguments")
def test_adapt_kl_coefficient_worked_example(handle, seed):
    for kl, expected in ((6.0, 0.10128), (1.8, 0.09936), (2.0, 0.1)):
        known = controller_mistakes(0.1, kl, 2.0, 128, 2000)
        got = handle(beta=0.1, kl=kl, target=2.0, n=128, horizon=2000)
        expect_close(got, expected, f"beta (KL {kl:g}, target 2)", mistakes=known, rtol=1e-5)


@exercise("adapt_kl_coefficient", "again and again: it finds its way to the target")
def test_adapt_kl_coefficient_loop(handle, seed):
    beta, mine = 0.05, 0.05
    for step in range(30):
        kl = 1.2 / (beta + 0.1) + 0.3 * (-1) ** (step + seed)
        beta = next_beta(beta, kl, 3.0, 256, 800)
        mine = float(torch.as_tensor(handle(mine, kl, 3.0, 256, 800)))
        expect_close(mine, beta, f"beta after {step + 1} rollouts", rtol=1e-4)
