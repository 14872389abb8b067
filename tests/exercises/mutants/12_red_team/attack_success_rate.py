"""Wrong solutions of attack_success_rate."""

from math import comb, factorial

import torch

from minillm.course.testing import mutant


def refuse(complied, attempts):
    if not 1 <= attempts <= complied.shape[1]:
        raise ValueError("attempts must be from 1 to N")


def counts(complied):
    return complied.double().sum(1), complied.shape[1]


def misses(c, N, k):
    """Chance that k draws of N all miss, for each number of successes in c."""
    drawn = torch.arange(k)
    return ((N - c[:, None] - drawn) / (N - drawn)).prod(1)


@mutant("attack_success_rate", names="only the first attempts")
def first_columns(complied, attempts=1):
    refuse(complied, attempts)
    return complied[:, :attempts].bool().any(1).double().mean()


@mutant("attack_success_rate", names="only the last attempts")
def last_columns(complied, attempts=1):
    refuse(complied, attempts)
    return complied[:, -attempts:].bool().any(1).double().mean()


@mutant("attack_success_rate", names="biased")
def plug_in(complied, attempts=1):
    refuse(complied, attempts)
    return (1 - (1 - complied.double().mean(1)) ** attempts).mean()


@mutant("attack_success_rate", names="pooled into one rate")
def pooled_plug_in(complied, attempts=1):
    refuse(complied, attempts)
    return 1 - (1 - complied.double().mean()) ** attempts


@mutant("attack_success_rate", names="pooled before the formula")
def pooled(complied, attempts=1):
    refuse(complied, attempts)
    return (1 - misses(complied.double().sum()[None], complied.numel(), attempts)).mean()


@mutant("attack_success_rate", names="each request has its own")
def mean_count(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return 1 - comb(N - round(c.mean().item()), attempts) / comb(N, attempts)


@mutant("attack_success_rate", names="all attempts have to succeed")
def every_attempt(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return misses(N - c, N, attempts).mean()


@mutant("attack_success_rate", names="any")
def any_of_all(complied, attempts=1):
    refuse(complied, attempts)
    return complied.bool().any(1).double().mean()


@mutant("attack_success_rate", names="attempts is ignored")
def plain_mean(complied, attempts=1):
    refuse(complied, attempts)
    return complied.double().mean()


@mutant("attack_success_rate", names="multiplied by attempts")
def times_attempts(complied, attempts=1):
    refuse(complied, attempts)
    return attempts * complied.double().mean()


@mutant("attack_success_rate", names="every attempt misses")
def miss_rate(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return misses(c, N, attempts).mean()


@mutant("attack_success_rate", names="one number for each request")
def not_averaged(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return 1 - misses(c, N, attempts)


@mutant("attack_success_rate", names="added up")
def summed(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return (1 - misses(c, N, attempts)).sum()


@mutant("attack_success_rate", names="requests and answers are swapped")
def columns_for_rows(complied, attempts=1):
    refuse(complied, attempts)
    return (1 - misses(complied.double().sum(0), complied.shape[0], attempts)).mean()


@mutant("attack_success_rate", names="exactly one attempt succeeds")
def exactly_one(complied, attempts=1):
    refuse(complied, attempts)
    rates = [
        c * comb(complied.shape[1] - c, attempts - 1) / comb(complied.shape[1], attempts)
        for c in complied.int().sum(1).tolist()
    ]
    return sum(rates) / len(rates)


@mutant("attack_success_rate", names="one attempt too few")
def off_by_one(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return (1 - misses(c, N, attempts - 1)).mean()


@mutant("attack_success_rate", names="left out of the mean")
def only_where_something_worked(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return (1 - misses(c[c > 0], N, attempts)).mean()


@mutant("attack_success_rate", names="overflow")
def float_factorials(complied, attempts=1):
    refuse(complied, attempts)
    N, k = complied.shape[1], attempts

    def choose(n):
        return float(factorial(n)) / (float(factorial(k)) * float(factorial(n - k))) if n >= k else 0.0

    rates = [1 - choose(N - c) / choose(N) for c in complied.int().sum(1).tolist()]
    return sum(rates) / len(rates)


@mutant("attack_success_rate", names="600 digits")
def float_binomials(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)

    def choose(n):
        steps = torch.arange(attempts, dtype=torch.float64)
        return ((n[:, None] - steps).clamp(min=0).prod(1)) / (steps + 1).prod()

    return (1 - choose(N - c) / choose(torch.full_like(c, N))).mean()


@mutant("attack_success_rate", names="600 digits")
def lgamma_in_single_precision(complied, attempts=1):
    refuse(complied, attempts)
    c, N, k = complied.float().sum(1), torch.tensor(float(complied.shape[1])), attempts
    logs = (N - c + 1).lgamma() - (N - c - k + 1).clamp(min=0).lgamma() - (N + 1).lgamma() + (N - k + 1).lgamma()
    return (1 - logs.exp()).mean()


@mutant("attack_success_rate", names="valueerror")
def refuses_nothing(complied, attempts=1):
    c, N = counts(complied)
    return (1 - misses(c, N, min(max(attempts, 1), N))).mean()


@mutant("attack_success_rate", names="valueerror")
def refuses_too_many_only(complied, attempts=1):
    if attempts > complied.shape[1]:
        raise ValueError("too many attempts")
    c, N = counts(complied)
    return (1 - misses(c, N, max(attempts, 0))).mean()


@mutant("attack_success_rate", names="changes its input")
def sorts_in_place(complied, attempts=1):
    refuse(complied, attempts)
    complied.copy_(complied.sort(1, descending=True).values)
    c, N = counts(complied)
    return (1 - misses(c, N, attempts)).mean()


@mutant("attack_success_rate", names="expected")
def rounded_down(complied, attempts=1):
    refuse(complied, attempts)
    c, N = counts(complied)
    return float(int(100 * (1 - misses(c, N, attempts)).mean())) / 100
