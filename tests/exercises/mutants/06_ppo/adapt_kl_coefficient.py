"""Wrong solutions of adapt_kl_coefficient."""

import math

from minillm.course.testing import mutant


def clip(x, size=0.2):
    return max(-size, min(size, x))


@mutant("adapt_kl_coefficient", names="sign of the error is flipped")
def turned_round(beta, kl, target, n, horizon):
    return beta * (1 - clip(kl / target - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="target / kl - 1")
def upside_down(beta, kl, target, n, horizon):
    return beta * (1 + clip(target / kl - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="error is not clipped")
def not_clipped(beta, kl, target, n, horizon):
    return beta * (1 + (kl / target - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="whole step is clipped")
def step_clipped(beta, kl, target, n, horizon):
    return beta * (1 + clip((kl / target - 1) * n / horizon))


@mutant("adapt_kl_coefficient", names="ratio is clipped before")
def ratio_clipped(beta, kl, target, n, horizon):
    return beta * (1 + (clip(kl / target) - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="only clipped above")
def clipped_above_only(beta, kl, target, n, horizon):
    return beta * (1 + min(kl / target - 1, 0.2) * n / horizon)


@mutant("adapt_kl_coefficient", names="only clipped below")
def clipped_below_only(beta, kl, target, n, horizon):
    return beta * (1 + max(kl / target - 1, -0.2) * n / horizon)


@mutant("adapt_kl_coefficient", names="clipped to [-1, 1]")
def clipped_to_one(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl / target - 1, 1.0) * n / horizon)


@mutant("adapt_kl_coefficient", names="not divided by the target")
def absolute_difference(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl - target) * n / horizon)


@mutant("adapt_kl_coefficient", names="- 1 is missing")
def without_one(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl / target) * n / horizon)


@mutant("adapt_kl_coefficient", names="horizon / n")
def horizon_over_n(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl / target - 1) * horizon / n)


@mutant("adapt_kl_coefficient", names="n / horizon is not used")
def without_the_horizon(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl / target - 1))


@mutant("adapt_kl_coefficient", names="n is not used")
def without_n(beta, kl, target, n, horizon):
    return beta * (1 + clip(kl / target - 1) / horizon)


@mutant("adapt_kl_coefficient", names="added to beta")
def added(beta, kl, target, n, horizon):
    return beta + clip(kl / target - 1) * n / horizon


@mutant("adapt_kl_coefficient", names="factor is returned")
def factor_alone(beta, kl, target, n, horizon):
    return 1 + clip(kl / target - 1) * n / horizon


@mutant("adapt_kl_coefficient", names="change is returned")
def change_alone(beta, kl, target, n, horizon):
    return beta * clip(kl / target - 1) * n / horizon


@mutant("adapt_kl_coefficient", names="beta is divided")
def divided(beta, kl, target, n, horizon):
    return beta / (1 + clip(kl / target - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="doubles and halves")
def double_or_half(beta, kl, target, n, horizon):
    if kl > 1.5 * target:
        return beta * 2
    return beta / 2 if kl < target / 1.5 else beta


@mutant("adapt_kl_coefficient", names="exp of the step")
def exponential(beta, kl, target, n, horizon):
    return beta * math.exp(clip(kl / target - 1) * n / horizon)


@mutant("adapt_kl_coefficient", names="divided by kl")
def relative_to_kl(beta, kl, target, n, horizon):
    return beta * (1 + clip((kl - target) / kl) * n / horizon)


@mutant("adapt_kl_coefficient", names="absolute error")
def only_ever_up(beta, kl, target, n, horizon):
    return beta * (1 + clip(abs(kl / target - 1)) * n / horizon)


@mutant("adapt_kl_coefficient", names="returned as it was")
def left_alone(beta, kl, target, n, horizon):
    return beta
