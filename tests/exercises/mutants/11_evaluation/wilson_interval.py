"""Wrong solutions of wilson_interval."""

from math import sqrt
from statistics import NormalDist

from minillm.course.testing import mutant


def refuse(hits, n):
    if not 0 <= hits <= n:
        raise ValueError("hits lie between 0 and n")


def two_sided(confidence):
    return NormalDist().inv_cdf((1 + confidence) / 2)


def parts(hits, n, z):
    p, below = hits / n, 1 + z * z / n
    return (p + z * z / (2 * n)) / below, z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / below


def bounds(centre, half):
    return max(0.0, centre - half), min(1.0, centre + half)


@mutant("wilson_interval", names="wald")
def wald(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    p = hits / n
    return bounds(p, two_sided(confidence) * sqrt(p * (1 - p) / n))


@mutant("wilson_interval", names="wald")
def wald_outside(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    p, half = hits / n, two_sided(confidence) * sqrt(hits / n * (1 - hits / n) / n)
    return p - half, p + half


@mutant("wilson_interval", names="one-sided")
def one_sided(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(*parts(hits, n, NormalDist().inv_cdf(confidence)))


@mutant("wilson_interval", names="high stands before low")
def quantile_below_zero(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    centre, half = parts(hits, n, NormalDist().inv_cdf((1 - confidence) / 2))
    return centre - half, centre + half


@mutant("wilson_interval", names="the confidence itself")
def confidence_as_z(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(*parts(hits, n, confidence))


@mutant("wilson_interval", names="z is 1.96, whatever")
def hard_coded(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(*parts(hits, n, 1.96))


@mutant("wilson_interval", names="agresti")
def agresti_coull(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z = two_sided(confidence)
    more = n + z * z
    p = (hits + z * z / 2) / more
    return bounds(p, z * sqrt(p * (1 - p) / more))


@mutant("wilson_interval", names="continuity")
def continuity_correction(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z, p = two_sided(confidence), hits / n
    below, middle = 2 * (n + z * z), 2 * n * p + z * z
    left = z * sqrt(max(z * z - 1 / n + 4 * n * p * (1 - p) + (4 * p - 2), 0)) + 1
    right = z * sqrt(max(z * z - 1 / n + 4 * n * p * (1 - p) - (4 * p - 2), 0)) + 1
    low, high = max(0.0, (middle - left) / below), min(1.0, (middle + right) / below)
    return (0.0 if hits == 0 else low), (1.0 if hits == n else high)


@mutant("wilson_interval", names="under the root is missing")
def without_the_second_term(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z, p = two_sided(confidence), hits / n
    centre, _ = parts(hits, n, z)
    return bounds(centre, z * sqrt(p * (1 - p) / n) / (1 + z * z / n))


@mutant("wilson_interval", names="z^2 / 4n, not")
def n_not_squared(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z, p = two_sided(confidence), hits / n
    centre, _ = parts(hits, n, z)
    return bounds(centre, z * sqrt(p * (1 - p) / n + z * z / (4 * n)) / (1 + z * z / n))


@mutant("wilson_interval", names="nothing is divided")
def without_the_denominator(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z = two_sided(confidence)
    centre, half = parts(hits, n, z)
    return bounds(centre * (1 + z * z / n), half * (1 + z * z / n))


@mutant("wilson_interval", names="half is not divided")
def half_not_divided(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z = two_sided(confidence)
    centre, half = parts(hits, n, z)
    return bounds(centre, half * (1 + z * z / n))


@mutant("wilson_interval", names="centre is not divided")
def centre_not_divided(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    z = two_sided(confidence)
    centre, half = parts(hits, n, z)
    return bounds(centre * (1 + z * z / n), half)


@mutant("wilson_interval", names="around the share itself")
def around_the_share(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(hits / n, parts(hits, n, two_sided(confidence))[1])


@mutant("wilson_interval", names="high stands before low")
def high_before_low(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(*parts(hits, n, two_sided(confidence)))[::-1]


@mutant("wilson_interval", names="percent")
def percent(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    low, high = bounds(*parts(hits, n, two_sided(confidence)))
    return 100 * low, 100 * high


@mutant("wilson_interval", names="centre and half")
def centre_and_half(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else parts(hits, n, two_sided(confidence))


@mutant("wilson_interval", names="see trap 4")
def not_clamped(hits, n, confidence=0.95):
    refuse(hits, n)
    if n == 0:
        return 0.0, 1.0
    centre, half = parts(hits, n, two_sided(confidence))
    return centre - half, centre + half


@mutant("wilson_interval", names="see trap 5")
def crashes_at_nothing(hits, n, confidence=0.95):
    refuse(hits, n)
    return bounds(*parts(hits, n, two_sided(confidence)))


@mutant("wilson_interval", names="see trap 5")
def nothing_is_zero(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 0.0) if n == 0 else bounds(*parts(hits, n, two_sided(confidence)))


@mutant("wilson_interval", names="valueerror was expected")
def accepts_anything(hits, n, confidence=0.95):
    if n == 0:
        return 0.0, 1.0
    hits = min(max(hits, 0), n)
    return bounds(*parts(hits, n, two_sided(confidence))) if n > 0 else (0.0, 1.0)


@mutant("wilson_interval", names="2 results")
def half_of_the_width(hits, n, confidence=0.95):
    refuse(hits, n)
    return 1.0 if n == 0 else parts(hits, n, two_sided(confidence))[1]


@mutant("wilson_interval", names=None)
def confidence_left_out_on_each_side(hits, n, confidence=0.95):
    refuse(hits, n)
    return (0.0, 1.0) if n == 0 else bounds(*parts(hits, n, NormalDist().inv_cdf(1 - (1 - confidence) / 4)))
