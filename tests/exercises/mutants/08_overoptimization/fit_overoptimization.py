"""Wrong solutions of fit_overoptimization."""

import torch

from minillm.course.testing import mutant


def bends(d, form):
    """The column that beta multiplies, without its minus."""
    if form == "best-of-n":
        return d * d
    if form == "rl":
        return torch.xlogy(d, d)
    raise ValueError(f"no form {form!r}")


def solve(columns, gain):
    """Least squares, as a list of coefficients."""
    X = torch.stack(columns, 1).double()
    return torch.linalg.lstsq(X, gain.double()[:, None]).solution.flatten().tolist()


@mutant("fit_overoptimization", names="kl stands in the place of its square root")
def no_square_root(kl, gain, form):
    return tuple(solve((kl, -bends(kl, form)), gain))


@mutant("fit_overoptimization", names="sign of beta")
def minus_forgotten(kl, gain, form):
    d = kl.sqrt()
    return tuple(solve((d, bends(d, form)), gain))


@mutant("fit_overoptimization", names="wrong order")
def beta_first(kl, gain, form):
    d = kl.sqrt()
    alpha, beta = solve((d, -bends(d, form)), gain)
    return beta, alpha


@mutant("fit_overoptimization", names="exchanged")
def forms_exchanged(kl, gain, form):
    d = kl.sqrt()
    other = {"best-of-n": "rl", "rl": "best-of-n"}.get(form, form)
    return tuple(solve((d, -bends(d, other)), gain))


@mutant("fit_overoptimization", names="constant term")
def with_an_intercept(kl, gain, form):
    d = kl.sqrt()
    alpha, beta, _ = solve((d, -bends(d, form), torch.ones_like(d)), gain)
    return alpha, beta


@mutant("fit_overoptimization", names="divided by d before the fit")
def divided_by_d(kl, gain, form):
    bends(kl, form)
    d, gain = kl.sqrt()[kl > 0], gain[kl > 0]
    line = d if form == "best-of-n" else d.log()
    return tuple(solve((torch.ones_like(d), -line), gain / d))


@mutant("fit_overoptimization", names="logarithm is taken of the kl")
def log_of_the_kl(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else torch.xlogy(d, kl)
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="in front of the logarithm")
def kl_before_the_log(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else torch.xlogy(kl, d)
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="d is missing in front of the logarithm")
def bare_logarithm(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else torch.where(d > 0, d.log(), 0.0)
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="d is missing in front of the bracket")
def bracket_alone(kl, gain, form):
    d = kl.sqrt()
    if form == "best-of-n":
        return tuple(solve((torch.ones_like(d), -d), gain))
    return tuple(solve((d, -bends(d, form)), gain))


@mutant("fit_overoptimization", names="base 2")
def binary_logarithm(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else torch.where(d > 0, d * d.log2(), 0.0)
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="log(1 + d)")
def log1p(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else d * d.log1p()
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="d below 1")
def clamped_at_one(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else d * d.clamp(min=1).log()
    return tuple(solve((d, -bend), gain))


@mutant("fit_overoptimization", names="kl 0")
def nan_at_zero(kl, gain, form):
    d = kl.sqrt()
    bend = bends(d, form) if form != "rl" else d * d.log()
    X = torch.stack((d, -bend), 1).double()
    return tuple((torch.linalg.inv(X.T @ X) @ X.T @ gain.double()).tolist())


@mutant("fit_overoptimization", names="lowest kl")
def small_kl_left_out(kl, gain, form):
    d, gain = kl.sqrt()[kl > 1], gain[kl > 1]
    if len(d) < 2:
        d, gain = kl.sqrt(), gain.new_tensor([1.0, 0.0])
    return tuple(solve((d, -bends(d, form)), gain))


@mutant("fit_overoptimization", names="its largest value")
def from_the_peak(kl, gain, form):
    bends(kl, form)
    top = gain.argmax()
    d, height = kl[top].sqrt(), gain[top]
    if form == "best-of-n":
        return (2 * height / d).item(), (height / d**2).item()
    return (height / d * (1 + d.log())).item(), (height / d).item()


@mutant("fit_overoptimization", names="first and the last point")
def first_and_last(kl, gain, form):
    d = kl.sqrt()[[0, -1]]
    return tuple(solve((d, -bends(d, form)), gain[[0, -1]]))


@mutant("fit_overoptimization", names="2 results")
def coefficients_of_a_parabola(kl, gain, form):
    d = kl.sqrt()
    return solve((d, -bends(d, form), torch.ones_like(d)), gain)


@mutant("fit_overoptimization", names="not refused")
def anything_else_is_rl(kl, gain, form):
    d = kl.sqrt()
    return tuple(solve((d, -(d * d if form == "best-of-n" else torch.xlogy(d, d))), gain))


@mutant("fit_overoptimization", names="not refused")
def anything_else_is_best_of_n(kl, gain, form):
    d = kl.sqrt()
    return tuple(solve((d, -(torch.xlogy(d, d) if form == "rl" else d * d)), gain))


@mutant("fit_overoptimization", names="exchanged")
def always_the_same_form(kl, gain, form):
    d = kl.sqrt()
    bends(d, form)
    return tuple(solve((d, -d * d), gain))
