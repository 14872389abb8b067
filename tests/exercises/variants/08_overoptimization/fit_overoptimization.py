"""Right solutions of fit_overoptimization that look different."""

import numpy as np
import torch

from minillm.course.testing import variant


@variant("fit_overoptimization")
def normal_equations(kl, gain, form):
    if form not in ("best-of-n", "rl"):
        raise ValueError(form)
    d = kl.double().sqrt()
    column = -kl.double() if form == "best-of-n" else torch.where(d > 0, -d * d.clamp(min=1e-30).log(), 0.0)
    X = torch.stack((d, column), 1)
    return tuple(torch.linalg.solve(X.T @ X, X.T @ gain.double()))


@variant("fit_overoptimization")
def with_numpy(kl, gain, form):
    d = np.sqrt(kl.numpy())
    columns = {
        "best-of-n": lambda: d * d,
        "rl": lambda: np.multiply(d, np.log(d, where=d > 0, out=np.zeros_like(d))),
    }
    if form not in columns:
        raise ValueError(f"unknown form {form}")
    return np.linalg.lstsq(np.stack((d, -columns[form]()), 1), gain.numpy(), rcond=None)[0]


@variant("fit_overoptimization")
def without_the_zero(kl, gain, form):
    d, gain = kl[kl > 0].sqrt(), gain[kl > 0]
    if form == "rl":
        bend = kl[kl > 0].log() / 2 * d
    elif form == "best-of-n":
        bend = d.pow(2)
    else:
        raise ValueError("form")
    alpha, beta = torch.linalg.pinv(torch.stack((d, -bend), 1)) @ gain
    return alpha, beta


@variant("fit_overoptimization")
def small_number_in_the_logarithm(kl, gain, form):
    d = kl.sqrt()
    match form:
        case "best-of-n":
            X = torch.stack((d, -d * d), 1)
        case "rl":
            X = torch.stack((d, -d * (d + 1e-12).log()), 1)
        case _:
            raise ValueError(form)
    return torch.linalg.lstsq(X, gain).solution


@variant("fit_overoptimization")
def one_number_after_the_other(kl, gain, form):
    if form not in {"rl", "best-of-n"}:
        raise ValueError("rl or best-of-n")
    d = kl.double().sqrt()
    bend = torch.xlogy(d, d) if form == "rl" else d * d
    rest = bend - d * (bend @ d) / (d @ d)  # what the first column does not explain of the second
    beta = -(gain.double() @ rest) / (rest @ rest)
    alpha = (gain.double() + beta * bend) @ d / (d @ d)
    return alpha.item(), beta.item()
