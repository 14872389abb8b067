"""Wrong solutions of best_of_n_kl."""

import math

from minillm.course.testing import mutant


@mutant("best_of_n_kl", names="still random")
def log_n_alone(n):
    return math.log(n)


@mutant("best_of_n_kl", names="added")
def plus_for_minus(n):
    return math.log(n) + (n - 1) / n


@mutant("best_of_n_kl", names="base 2")
def in_bits(n):
    return math.log2(n) - (n - 1) / n


@mutant("best_of_n_kl", names="base 10")
def decimal(n):
    return math.log10(n) - (n - 1) / n


@mutant("best_of_n_kl", names="brackets")
def brackets(n):
    return (math.log(n) - (n - 1)) / n


@mutant("best_of_n_kl", names="still random")
def whole_division(n):
    return math.log(n) - (n - 1) // n


@mutant("best_of_n_kl", names="very large n")
def for_large_n(n):
    return math.log(n) - 1


@mutant("best_of_n_kl", names="1 / n is subtracted")
def minus_one_over_n(n):
    return math.log(n) - 1 / n


@mutant("best_of_n_kl", names="upside down")
def upside_down(n):
    return math.log(n) - n / (n - 1)


@mutant("best_of_n_kl", names="divided by n")
def minus_n_minus_one(n):
    return math.log(n) - (n - 1)


@mutant("best_of_n_kl", names="sign is flipped")
def negated(n):
    return (n - 1) / n - math.log(n)


@mutant("best_of_n_kl", names="square root")
def its_square_root(n):
    return math.sqrt(math.log(n) - (n - 1) / n)


@mutant("best_of_n_kl", names="other way round")
def reversed_kl(n):
    return n - 1 - math.log(n)


@mutant("best_of_n_kl", names="multiplied")
def product(n):
    return math.log(n) * (n - 1) / n


@mutant("best_of_n_kl", names="1 + 1/2 + ... + 1/n")
def harmonic_number(n):
    return sum(1 / k for k in range(1, min(n, 2000) + 1)) - (n - 1) / n


@mutant("best_of_n_kl", names="zerodivisionerror")
def fails_at_one(n):
    return math.log(n) - 1 / (n / (n - 1))


@mutant("best_of_n_kl", names="none")
def prints_it(n):
    print(math.log(n) - (n - 1) / n)
