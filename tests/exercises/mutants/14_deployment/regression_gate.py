"""Wrong solutions of regression_gate."""

import math
from statistics import NormalDist

import torch

from minillm.course.testing import mutant

PHI = NormalDist().cdf


def checked(service, candidate):
    if set(service) != set(candidate):
        raise ValueError("other metrics")
    for name in service:
        if len(service[name]) != len(candidate[name]) or len(service[name]) < 2:
            raise ValueError(f"{name}: other items, or too few")


def p_of(service, candidate, p=None):
    """The p of each metric; ``p`` of (mean, std, N, before, after) replaces the right one."""
    checked(service, candidate)
    found = {}
    for name in service:
        before, after = service[name].double(), candidate[name].double()
        d = after - before
        mean, std, N = d.mean().item(), d.std().item(), len(d)
        if std == 0:
            found[name] = 1.0 if mean >= 0 else 0.0
        else:
            found[name] = PHI(mean / (std / N**0.5)) if p is None else p(mean, std, N, before, after)
    return found


def rejected(p, alpha, bound=lambda alpha, M, i: alpha / (M - i + 1)):
    """Step down, with Holm's bounds or others; i counts from 1."""
    names = []
    for i, name in enumerate(sorted(p, key=p.get), start=1):
        if p[name] > bound(alpha, len(p), i):
            break
        names.append(name)
    return names


def verdict(p, names):
    regressed = [name for name in p if name in names]
    return {"ship": not regressed, "regressed": regressed, "p": p}


def gate(service, candidate, alpha, p=None):
    found = p_of(service, candidate, p)
    return verdict(found, rejected(found, alpha))


@mutant("regression_gate", names="two-sided")
def two_sided(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: 2 * PHI(-abs(mean / (std / N**0.5))))


@mutant("regression_gate", names="not paired")
def unpaired(service, candidate, alpha=0.05):
    def p(mean, std, N, a, b):
        return PHI(mean / ((a.var() + b.var()) / N).sqrt().item())

    return gate(service, candidate, alpha, p)


@mutant("regression_gate", names="spread of the scores in service")
def spread_of_one_model(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(mean / (a.std().item() / N**0.5)))


@mutant("regression_gate", names="sign is turned")
def service_minus_candidate(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(-mean / (std / N**0.5)))


@mutant("regression_gate", names="not by n - 1")
def population_std(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(mean / std * N**0.5 * (N / (N - 1)) ** 0.5))


@mutant("regression_gate", names="square root of n is missing")
def no_root(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(mean / std))


@mutant("regression_gate", names="divided by n, not by its square root")
def by_n(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(mean / (std / N)))


@mutant("regression_gate", names="variance")
def variance(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: PHI(mean / (std**2 / N**0.5)))


@mutant("regression_gate", names="square root of 2")
def erf_of_z(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: 0.5 * (1 + math.erf(mean / std * N**0.5)))


@mutant("regression_gate", names="share of items that fell")
def share_that_fell(service, candidate, alpha=0.05):
    return gate(service, candidate, alpha, lambda mean, std, N, a, b: (b < a).double().mean().item())


@mutant("regression_gate", names="z is returned")
def z_not_p(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    z = p_of(service, candidate, lambda mean, std, N, a, b: mean / (std / N**0.5))
    return {**verdict(p, rejected(p, alpha)), "p": z}


@mutant("regression_gate", names=None)
def student_t(service, candidate, alpha=0.05):
    """The same, by Student's t with N - 1 degrees of freedom."""

    def p(mean, std, N, a, b):
        t, grid = mean / (std / N**0.5), torch.linspace(-60, 0, 60001, dtype=torch.float64)
        density = (1 + grid**2 / (N - 1)) ** (-N / 2)
        half = torch.trapezoid(density, grid)
        below = torch.trapezoid(density[grid <= -abs(t)], grid[grid <= -abs(t)])
        tail = (below / (2 * half)).item()
        return tail if t < 0 else 1 - tail

    return gate(service, candidate, alpha, p)


@mutant("regression_gate", names="see trap 7")
def nan_without_spread(service, candidate, alpha=0.05):
    checked(service, candidate)
    p = {}
    for name in service:
        d = candidate[name].double() - service[name].double()
        p[name] = torch.special.ndtr(d.mean() / (d.std() / len(d) ** 0.5)).item()
    return verdict(p, rejected(p, alpha))


@mutant("regression_gate", names="expected 1.0000   got 0.5")
def half_without_spread(service, candidate, alpha=0.05):
    checked(service, candidate)
    p = {}
    for name in service:
        d = candidate[name].double() - service[name].double()
        p[name] = PHI(d.mean().item() / (d.std().item() / len(d) ** 0.5 + 1e-8))
    return verdict(p, rejected(p, alpha))


@mutant("regression_gate", names="stopped with zerodivisionerror")
def division_by_zero(service, candidate, alpha=0.05):
    checked(service, candidate)
    p = {}
    for name in service:
        d = candidate[name].double() - service[name].double()
        p[name] = PHI(d.mean().item() / (d.std().item() / len(d) ** 0.5))
    return verdict(p, rejected(p, alpha))


@mutant("regression_gate", names="bonferroni")
def bonferroni(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, [name for name in p if p[name] <= alpha / len(p)])


@mutant("regression_gate", names="each p is compared with alpha")
def uncorrected(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, [name for name in p if p[name] <= alpha])


@mutant("regression_gate", names="does not stop")
def no_stop(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, [name for i, name in enumerate(sorted(p, key=p.get)) if p[name] <= alpha / (len(p) - i)])


@mutant("regression_gate", names="hochberg, step-up")
def hochberg(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    order = sorted(p, key=p.get)
    passed = [i for i, name in enumerate(order) if p[name] <= alpha / (len(p) - i)]
    return verdict(p, order[: max(passed, default=-1) + 1])


@mutant("regression_gate", names="benjamini and hochberg")
def benjamini_hochberg(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    order = sorted(p, key=p.get)
    passed = [i for i, name in enumerate(order) if p[name] <= alpha * (i + 1) / len(p)]
    return verdict(p, order[: max(passed, default=-1) + 1])


@mutant("regression_gate", names="holm's are alpha / (m - i + 1)")
def benjamini_hochberg_down(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: alpha * i / M))


@mutant("regression_gate", names="one place off")
def one_place_early(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: alpha / max(M - i, 1)))


@mutant("regression_gate", names="alpha / (m - i + 2)")
def one_place_late(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: alpha / (M - i + 2)))


@mutant("regression_gate", names="stopped with zerodivisionerror")
def divides_by_zero_at_the_end(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: alpha / (M - i)))


@mutant("regression_gate", names="begin at alpha and get smaller")
def bounds_turned_round(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: alpha / i))


@mutant("regression_gate", names="sidak")
def sidak(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha, lambda alpha, M, i: 1 - (1 - alpha) ** (1 / (M - i + 1))))


@mutant("regression_gate", names="in the order of service, not of their p")
def not_sorted(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = []
    for i, name in enumerate(p):
        if p[name] > alpha / (len(p) - i):
            break
        names.append(name)
    return verdict(p, names)


@mutant("regression_gate", names="from the largest p down")
def sorted_downwards(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = []
    for i, name in enumerate(sorted(p, key=p.get, reverse=True)):
        if p[name] > alpha / (len(p) - i):
            break
        names.append(name)
    return verdict(p, names)


@mutant("regression_gate", names="see trap 5")
def in_the_order_of_p(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = rejected(p, alpha)
    return {"ship": not names, "regressed": names, "p": p}


@mutant("regression_gate", names="alphabetical")
def alphabetical(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = sorted(rejected(p, alpha))
    return {"ship": not names, "regressed": names, "p": p}


@mutant("regression_gate", names="only the smallest p")
def only_the_smallest(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    worst = min(p, key=p.get)
    return verdict(p, [worst] if p[worst] <= alpha / len(p) else [])


@mutant("regression_gate", names="counted, too")
def one_too_many(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, sorted(p, key=p.get)[: len(rejected(p, alpha)) + 1])


@mutant("regression_gate", names="alpha is 0.05, whatever")
def built_in_alpha(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, 0.05))


@mutant("regression_gate", names="alpha left out")
def another_alpha(service, candidate, alpha=0.01):
    return gate(service, candidate, alpha)


@mutant("regression_gate", names="halved")
def half_of_alpha(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, rejected(p, alpha / 2))


@mutant("regression_gate", names="equals its bound counts")
def strictly_below(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = []
    for i, name in enumerate(sorted(p, key=p.get)):
        if p[name] >= alpha / (len(p) - i):
            break
        names.append(name)
    return verdict(p, names)


@mutant("regression_gate", names="lower mean counts")
def any_fall(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    names = [name for name in p if candidate[name].double().mean() < service[name].double().mean()]
    return verdict(p, names)


@mutant("regression_gate", names="better for certain")
def has_to_be_better(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return verdict(p, [name for name in p if p[name] < 1 - alpha])


@mutant("regression_gate", names="need not be better")
def ships_only_if_better(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "ship": result["ship"] and max(result["p"].values()) > 1 - alpha}


@mutant("regression_gate", names="one metric that has regressed is enough")
def ships_if_any_is_fine(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "ship": len(result["regressed"]) < len(service)}


@mutant("regression_gate", names="one metric that has regressed is enough")
def ships_if_better_on_the_whole(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    rises = sum((candidate[name].double() - service[name].double()).mean().item() for name in service)
    return {**result, "ship": not result["regressed"] or rises >= 0}


@mutant("regression_gate", names="to block a release")
def ship_turned_round(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "ship": bool(result["regressed"])}


@mutant("regression_gate", names="should be true or false")
def ship_is_a_list(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "ship": result["regressed"]}


@mutant("regression_gate", names="did not regress are listed")
def lists_the_others(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "regressed": [name for name in service if name not in result["regressed"]]}


@mutant("regression_gate", names="adjusted by holm")
def adjusted_p(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    adjusted, largest = {}, 0.0
    for i, name in enumerate(sorted(p, key=p.get)):
        largest = max(largest, min(1.0, (len(p) - i) * p[name]))
        adjusted[name] = largest
    return {**verdict(p, rejected(p, alpha)), "p": {name: adjusted[name] for name in p}}


@mutant("regression_gate", names="multiplied by the number of metrics")
def bonferroni_p(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    return {**verdict(p, rejected(p, alpha)), "p": {name: min(1.0, len(p) * value) for name, value in p.items()}}


@mutant("regression_gate", names="one of both is enough")
def corrected_twice(service, candidate, alpha=0.05):
    """The p are multiplied, and then compared with bounds that are divided."""
    p = p_of(service, candidate)
    adjusted = {name: min(1.0, (len(p) - i) * p[name]) for i, name in enumerate(sorted(p, key=p.get))}
    return verdict(p, rejected(adjusted, alpha))


@mutant("regression_gate", names="order of p")
def p_sorted(service, candidate, alpha=0.05):
    p = p_of(service, candidate)
    result = verdict(p, rejected(p, alpha))
    return {**result, "p": {name: p[name] for name in sorted(p, key=p.get)}}


@mutant("regression_gate", names="plain float")
def p_as_tensors(service, candidate, alpha=0.05):
    result = gate(service, candidate, alpha)
    return {**result, "p": {name: torch.tensor(value) for name, value in result["p"].items()}}


@mutant("regression_gate", names="one test is made")
def one_test_for_all(service, candidate, alpha=0.05):
    """The items of all metrics in one test."""
    checked(service, candidate)
    d = torch.cat([candidate[name].double() - service[name].double() for name in service])
    p = PHI(d.mean().item() / max(d.std().item() / len(d) ** 0.5, 1e-9))
    return {"ship": p > alpha, "regressed": [] if p > alpha else list(service), "p": dict.fromkeys(service, p)}


@mutant("regression_gate", names="only the candidate has should raise")
def candidate_may_have_more(service, candidate, alpha=0.05):
    if set(service) - set(candidate):
        raise ValueError("a metric is missing")
    return gate(service, {name: candidate[name] for name in service}, alpha)


@mutant("regression_gate", names="only the service has should raise")
def common_metrics(service, candidate, alpha=0.05):
    both = [name for name in service if name in candidate]
    if set(candidate) - set(service):
        raise ValueError("unknown metric")
    return gate({name: service[name] for name in both}, {name: candidate[name] for name in both}, alpha)


@mutant("regression_gate", names="number of items should raise")
def shorter_of_both(service, candidate, alpha=0.05):
    if set(service) != set(candidate):
        raise ValueError("metrics")
    sizes = {name: min(len(service[name]), len(candidate[name])) for name in service}
    cut = [{name: each[name][:size] for name, size in sizes.items()} for each in (service, candidate)]
    return gate(*cut, alpha)


@mutant("regression_gate", names="one item only should raise")
def one_item_allowed(service, candidate, alpha=0.05):
    if set(service) != set(candidate) or any(len(service[name]) != len(candidate[name]) for name in service):
        raise ValueError("metrics or items")
    if any(len(each) == 1 for each in service.values()):
        return {"ship": True, "regressed": [], "p": dict.fromkeys(service, 1.0)}
    return gate(service, candidate, alpha)


@mutant("regression_gate", names="another number of items should raise")
def one_n_for_all(service, candidate, alpha=0.05):
    """Only the total number of items is compared."""
    if set(service) != set(candidate) or any(len(each) < 2 for each in service.values()):
        raise ValueError("metrics or items")
    means = {name: candidate[name].double().mean() - service[name].double().mean() for name in service}
    if all(len(service[name]) == len(candidate[name]) for name in service):
        return gate(service, candidate, alpha)
    return verdict({name: PHI(mean.item()) for name, mean in means.items()}, [])


@mutant("regression_gate", names="stopped with")
def no_bools(service, candidate, alpha=0.05):
    checked(service, candidate)
    p = {}
    for name in service:
        d = candidate[name] - service[name]
        mean, std = d.double().mean().item(), d.double().std().item()
        p[name] = PHI(mean / (std / len(d) ** 0.5)) if std > 0 else float(mean >= 0)
    return verdict(p, rejected(p, alpha))
