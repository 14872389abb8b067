"""What a right solution of lesson 14 is, continued: the gate before a release."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, describe, expect_close, expect_equal, expect_true, fail
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def refused(handle, args: tuple, what: str) -> None:
    """This call raises ValueError."""
    try:
        handle(*args)
    except CheckFailure as failure:
        if "stopped with ValueError" not in str(failure):
            fail(f"{what} should raise a ValueError; instead\n{failure}")
        return
    fail(f"{what} should raise a ValueError, and nothing was raised.")


Scores = dict[str, Tensor]
NORMAL = NormalDist()


def metric(p: float, N: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Scores of N items by both models whose paired test gives this p. Items differ far more than the models do."""
    noise = torch.randn(N, generator=g, dtype=torch.float64)
    noise = (noise - noise.mean()) / noise.std(correction=1)
    change = 0.3 * (noise + NORMAL.inv_cdf(p) / N**0.5)
    before = 5 * torch.randn(N, generator=g, dtype=torch.float64)
    return before, before + change


def models(ps: dict[str, float], seed: int) -> tuple[Scores, Scores]:
    g = generator(seed)
    both = {
        name: metric(p, 12 + 5 * i + int(torch.randint(5, (), generator=g)), g)
        for i, (name, p) in enumerate(ps.items())
    }
    backwards = list(both)[::-1]
    return {name: both[name][0] for name in both}, {name: both[name][1] for name in backwards}


def p_value(before: Tensor, after: Tensor, correction: int = 1) -> float:
    """In plain floats, item by item."""
    d = [b - a for a, b in zip(before.double().tolist(), after.double().tolist())]
    N = len(d)
    mean = math.fsum(d) / N
    error = math.sqrt(math.fsum((x - mean) ** 2 for x in d) / (N - correction) / N)
    return NORMAL.cdf(mean / error) if error > 1e-12 else float(mean >= 0)


def p_of(service: Scores, candidate: Scores) -> dict[str, float]:
    return {name: p_value(service[name], candidate[name]) for name in service}


def holm(p: dict[str, float], alpha: float) -> list[str]:
    """By adjusted p: the largest (M - j + 1) p_(j) up to a metric's own place is at most alpha."""
    order = sorted(p, key=lambda name: p[name])
    adjusted = {
        name: max((len(p) - j) * p[other] for j, other in enumerate(order[: i + 1])) for i, name in enumerate(order)
    }
    return [name for name in p if adjusted[name] <= alpha + 1e-15]


def decisions(p: dict[str, float], alpha: float) -> dict[str, list[str]]:
    """What is found to have regressed, by mistake."""
    M, order = len(p), sorted(p, key=lambda name: p[name])

    def kept(names: Sequence[str]) -> list[str]:
        return [name for name in p if name in names]

    def down(bound: Callable[[int], float], strict: bool = False) -> list[str]:
        """Step down while p_(i) is at most bound(i), i from 1."""
        for i, name in enumerate(order):
            if p[name] > bound(i + 1) or (strict and p[name] == bound(i + 1)):
                return kept(order[:i])
        return kept(order)

    def up(bound: Callable[[int], float]) -> list[str]:
        passed = [i for i, name in enumerate(order) if p[name] <= bound(i + 1)]
        return kept(order[: passed[-1] + 1] if passed else [])

    def each(bound: Callable[[int], float]) -> list[str]:
        return kept([name for i, name in enumerate(order) if p[name] <= bound(i + 1)])

    right = holm(p, alpha)
    return {
        "each p is compared with alpha: with many metrics, some fall by chance. See the formula of Holm.": (
            each(lambda i: alpha)
        ),
        "every p is compared with alpha / M (Bonferroni): after one that counts, fewer are left. See trap 4.": (
            each(lambda i: alpha / M)
        ),
        "it does not stop at the first p that is above its bound. See trap 3.": each(lambda i: alpha / (M - i + 1)),
        "the largest p below its bound takes all smaller ones with it (Hochberg, step-up): stop at the first that is "
        "above. See trap 3.": up(lambda i: alpha / (M - i + 1)),
        "the bounds are those of Benjamini and Hochberg, alpha i / M: they bound the share of false alarms, not their "
        "probability.": up(lambda i: alpha * i / M),
        "the bounds are alpha i / M; Holm's are alpha / (M - i + 1).": down(lambda i: alpha * i / M),
        "the bounds are one place off: alpha / (M - i), where alpha / (M - i + 1) is asked. See trap 4.": (
            down(lambda i: alpha / (M - i) if i < M else math.inf)
        ),
        "the last bound is missing, and the others one place off. See trap 4.": (
            down(lambda i: alpha / (M - i) if i < M else alpha)
        ),
        "the bounds are one place off: alpha / (M - i + 2), where alpha / (M - i + 1) is asked. See trap 4.": (
            down(lambda i: alpha / (M - i + 2))
        ),
        "the bounds begin at alpha and get smaller, alpha / i; they begin at alpha / M. See trap 4.": (
            down(lambda i: alpha / i)
        ),
        "Sidak's bounds are used, 1 - (1 - alpha)^(1 / (M - i + 1)); they need independent metrics.": (
            down(lambda i: 1 - (1 - alpha) ** (1 / (M - i + 1)))
        ),
        "the metrics are gone through in the order of service, not of their p.": _in_order(p, alpha),
        "the metrics are gone through from the largest p down.": _in_order(
            dict(sorted(p.items(), key=_minus)), alpha, p
        ),
        "regressed is in the order of p, not of service. See trap 5.": [name for name in order if name in right],
        "regressed is in alphabetical order, not that of service. See trap 5.": sorted(right),
        "only the smallest p is looked at.": down(lambda i: alpha / M if i == 1 else -1.0),
        "the first metric whose p is above its bound is counted, too. See trap 3.": kept(order[: len(right) + 1]),
        "the metrics that did not regress are listed.": [name for name in p if name not in right],
        "metrics that rise count as regressed, those that fall do not. See trap 1.": (
            holm({name: 1 - value for name, value in p.items()}, alpha)
        ),
        "the p are multiplied by what is left, and alpha is divided by it as well: one of both is enough.": (
            kept(holm({name: min(1.0, (M - i) * p[name]) for i, name in enumerate(order)}, alpha))
        ),
        "nothing ever counts as regressed.": [],
        "alpha is 0.05, whatever is passed.": holm(p, 0.05),
        "alpha is halved, as for a two-sided test. See trap 1.": holm(p, alpha / 2),
        "the bounds are exclusive: a p that equals its bound counts.": down(lambda i: alpha / (M - i + 1), strict=True),
        "any metric with a lower mean counts as regressed, by chance or not.": kept([n for n in p if p[n] < 0.5]),
        "every metric has to be better for certain: that is not what is asked.": kept(
            [n for n in p if p[n] < 1 - alpha]
        ),
    }


def _minus(item: tuple[str, float]) -> float:
    return -item[1]


def _in_order(p: dict[str, float], alpha: float, listed: dict[str, float] | None = None) -> list[str]:
    rejected: list[str] = []
    for i, name in enumerate(p):
        if p[name] > alpha / (len(p) - i):
            break
        rejected.append(name)
    return [name for name in listed or p if name in rejected]


def p_mistakes(service: Scores, candidate: Scores, alpha: float) -> dict[str, list[float]]:
    """The p of every metric, by mistake, in the order of service."""
    right = p_of(service, candidate)
    M, order = len(right), sorted(right, key=lambda name: right[name])

    def each(p: Callable[[Tensor, Tensor], float]) -> list[float]:
        return [p(service[name].double(), candidate[name].double()) for name in service]

    def spread(a: Tensor, b: Tensor) -> tuple[float, float, int]:
        return (b - a).mean().item(), max((b - a).std(correction=1).item(), 1e-9), len(a)

    def z(a: Tensor, b: Tensor) -> float:
        mean, std, N = spread(a, b)
        return mean / (std / N**0.5)

    def unpaired(a: Tensor, b: Tensor) -> float:
        return NORMAL.cdf((b - a).mean().item() / ((a.var() + b.var()) / len(a)).sqrt().item())

    steps = {name: max((M - j) * right[n] for j, n in enumerate(order[: i + 1])) for i, name in enumerate(order)}
    return {
        "the sign is turned: this is the probability of a rise by chance. See trap 1.": each(
            lambda a, b: NORMAL.cdf(-z(a, b))
        ),
        "the test is two-sided: a rise is as suspicious as a fall. See trap 1.": (
            each(lambda a, b: 2 * NORMAL.cdf(-abs(z(a, b))))
        ),
        "the size of z is used, not its sign: a rise looks like a fall. See trap 1.": (
            each(lambda a, b: NORMAL.cdf(-abs(z(a, b))))
        ),
        "the test is not paired: it uses the spread of both models' scores. See trap 2.": each(unpaired),
        "the spread of the scores in service is used, not that of the differences. See trap 2.": (
            each(lambda a, b: NORMAL.cdf(spread(a, b)[0] / (a.std().item() / len(a) ** 0.5)))
        ),
        "the standard deviation is divided by N, not by N - 1.": each(lambda a, b: p_value(a, b, correction=0)),
        "the square root of N is missing: this is mean over std.": (
            each(lambda a, b: NORMAL.cdf(spread(a, b)[0] / spread(a, b)[1]))
        ),
        "std is divided by N, not by its square root.": (
            each(lambda a, b: NORMAL.cdf(spread(a, b)[0] / spread(a, b)[1] * len(a)))
        ),
        "the variance is used, not the standard deviation.": (
            each(lambda a, b: NORMAL.cdf(spread(a, b)[0] / (spread(a, b)[1] ** 2 / len(a) ** 0.5)))
        ),
        "z is returned, not its p.": each(z),
        "the square root of 2 is missing in erf(z / sqrt(2)).": each(lambda a, b: NORMAL.cdf(z(a, b) * 2**0.5)),
        "the mean differences are returned, not their p.": each(lambda a, b: spread(a, b)[0]),
        "p is the share of items that fell.": each(lambda a, b: (b < a).double().mean().item()),
        "p is the share of items that did not fall.": each(lambda a, b: (b >= a).double().mean().item()),
        "the p are multiplied by the number of metrics: return them raw. See trap 6.": [
            min(1.0, M * v) for v in right.values()
        ],
        "the p are adjusted by Holm: return them raw. See trap 6.": [min(1.0, steps[name]) for name in right],
        "one test is made of the items of all metrics: each has a test of its own.": (
            [p_value(*(torch.cat([each[name] for name in service]) for each in (service, candidate)))] * M
        ),
        "the p are in ascending order, not in that of service.": sorted(right.values()),
        "the p are in the order of candidate, not of service.": [right[name] for name in candidate],
    }


Case = tuple[dict[str, float], float]
CASES: list[Case] = [
    ({"truth": 0.02, "kind": 0.008, "brief": 0.99, "safe": 0.0115, "calm": 0.024}, 0.05),
    ({"truth": 0.04, "safe": 0.02}, 0.05),
    ({"truth": 0.03, "safe": 0.04}, 0.05),
    ({"truth": 0.042}, 0.05),
    ({"truth": 0.4, "safe": 0.042, "kind": 0.6}, 0.05),
    ({"truth": 0.09, "brief": 0.5, "safe": 0.04, "kind": 0.06}, 0.2),
    ({"truth": 0.6, "safe": 0.3, "kind": 0.45, "calm": 0.95}, 0.05),
    ({"truth": 0.9999, "safe": 0.97, "kind": 0.9}, 0.05),
    ({"truth": 0.012, "safe": 0.028, "kind": 0.09}, 0.05),
    ({"truth": 0.3, "safe": 0.004, "kind": 0.6}, 0.05),
    ({"truth": 0.0001, "safe": 0.001, "kind": 0.00001}, 0.01),
    ({"truth": 0.2, "safe": 0.004, "kind": 0.011, "calm": 0.3, "brief": 0.012, "just": 0.8}, 0.05),
    ({"truth": 0.0127, "safe": 0.3, "kind": 0.5, "calm": 0.6}, 0.05),
]


def why(handle, got: list[str], p: dict[str, float], alpha: float, right: list[str]) -> dict[str, list[str]]:
    """The mistakes that give this list; where there are several, those that explain other lists as well."""
    found = [message for message, value in decisions(p, alpha).items() if value == got and value != right]
    for ps, level in CASES:
        if len(found) < 2:
            break
        service, candidate = models(ps, 0)
        try:
            answer = handle(service, candidate, level)["regressed"]
        except (CheckFailure, TypeError, KeyError):
            continue
        made = decisions(p_of(service, candidate), level)
        found = [message for message in found if made[message] == answer] or found
    return {message: got for message in found[:1]}


def check_gate(handle, service: Scores, candidate: Scores, alpha: float | None, what: str) -> None:
    got = handle(service, candidate) if alpha is None else handle(service, candidate, alpha)
    level = 0.05 if alpha is None else alpha
    if not isinstance(got, dict) or set(got) != {"ship", "regressed", "p"}:
        keys = f"the keys {list(got)}" if isinstance(got, dict) else describe(got)
        fail(f'{what} should be a dict with the keys "ship", "regressed" and "p"; it is {keys}.')
    expected = p_of(service, candidate)
    p = got["p"]
    if not isinstance(p, dict) or set(p) != set(expected):
        fail(f"p of {what} should be a dict with a p for each of {list(expected)}; it is {p!r}.")
    values = [p[name] for name in service]
    if any(isinstance(value, float) and math.isnan(value) for value in values):
        name = next(name for name in p if math.isnan(p[name]))
        fail(f"p of {what}: that of {name!r} is nan. Where all differences are equal, s is 0. See trap 7.")
    words = f"p of {what} (in the order {', '.join(service)})"
    try:
        expect_close(values, list(expected.values()), words)
    except CheckFailure:
        mistakes = p_mistakes(service, candidate, level)
        expect_close(values, list(expected.values()), words, mistakes=mistakes)
    for name in p:
        expect_true(type(p[name]) in (int, float), f"p[{name!r}] should be a plain float: it is {describe(p[name])}.")
    expect_equal(list(p), list(expected), f"the order of p of {what}")
    right = holm(expected, level)
    regressed = got["regressed"]
    words = f"regressed of {what}, alpha = {level}, p = { {name: round(v, 4) for name, v in expected.items()} }"
    if regressed != right:
        expect_true(isinstance(regressed, list), f"{words}: expected the list {right}   got {regressed!r}")
        named = "".join(
            f"\nThis is exactly what comes out when {m}" for m in why(handle, regressed, expected, level, right)
        )
        fail(f"{words}: expected {right}   got {regressed}{named}")
    check_ship(got["ship"], right, list(service), what)


def check_ship(ship: object, right: list[str], names: list[str], what: str) -> None:
    expect_true(type(ship) is bool, f"ship of {what} should be True or False; it is {describe(ship)}.")
    if ship and right:
        some = "one metric that has regressed is enough" if len(right) < len(names) else "every metric has regressed"
        fail(f"ship of {what} is True, but {right} regressed: {some} to block a release.")
    if not ship and not right:
        fail(f"ship of {what} is False, but nothing has regressed: it ships. It need not be better, nor equal.")


@exercise("regression_gate", "the p of each metric: one-sided, paired")
def test_regression_gate_p(handle, seed):
    service, candidate = models({"truth": 0.3, "safe": 0.93, "kind": 0.0004, "calm": 0.62}, seed)
    check_gate(handle, service, candidate, 0.05, "four metrics")
    d = torch.tensor([-1.0, 0.0, -1.0, 0.0])
    before = torch.tensor([3.0, 1.0, 7.0, 2.0])
    check_gate(handle, {"safe": before}, {"safe": before + d}, 0.05, "the worked example")
    check_gate(handle, {"safe": before}, {"safe": before - d}, 0.05, "the worked example, turned round")


@exercise("regression_gate", "Holm: as many bounds as metrics, up to the first p above its own")
def test_regression_gate_holm(handle, seed):
    for ps, alpha in CASES:
        check_gate(handle, *models(ps, seed), alpha, f"{len(ps)} metric{'s' * (len(ps) > 1)}")


@exercise("regression_gate", "a rise never blocks, and makes up for no fall")
def test_regression_gate_rises(handle, seed):
    check_gate(handle, *models({"truth": 0.99999, "safe": 0.5, "kind": 1 - 1e-7}, seed), 0.05, "metrics that rise")
    ps = {"truth": 1 - 1e-7, "safe": 0.002, "kind": 0.9999, "calm": 0.999}
    check_gate(handle, *models(ps, seed), 0.05, "three metrics that rise and one that falls")


@exercise("regression_gate", "differences that are all equal")
def test_regression_gate_no_spread(handle, seed):
    g = generator(seed)
    before = torch.randint(-8, 9, (6,), generator=g) / 4
    check_gate(handle, {"safe": before}, {"safe": before.clone()}, 0.05, "the same model twice")
    check_gate(handle, {"safe": before}, {"safe": before + 0.5}, 0.05, "a model that is better by 0.5 everywhere")
    check_gate(handle, {"safe": before}, {"safe": before - 0.5}, 0.05, "a model that is worse by 0.5 everywhere")
    service, candidate = models({"truth": 0.03, "kind": 0.02}, seed)
    service, candidate = {"calm": before, **service}, {**candidate, "calm": before}
    check_gate(handle, service, candidate, 0.05, "three metrics, one without any change")


@exercise("regression_gate", "a p that equals its bound counts; 0.05 if alpha is not given")
def test_regression_gate_bound(handle, seed):
    before = torch.randint(-8, 9, (6,), generator=generator(seed)) / 4
    after = before + torch.tensor([0.25, -0.25, 0.5, -0.5, 0.0, 0.0])
    check_gate(handle, {"safe": before}, {"safe": after}, 0.5, "one metric with p = 0.5")
    for ps in ({"truth": 0.02, "safe": 0.04}, {"truth": 0.03, "safe": 0.04}, {"truth": 0.052}):
        check_gate(handle, *models(ps, seed), None, "metrics, alpha left out")


@exercise("regression_gate", "right or wrong as bool, whole numbers, float32; names for arguments")
def test_regression_gate_forms(handle, seed):
    before = torch.rand(40, generator=generator(seed)) < 0.7
    after = before.clone()
    after[before.nonzero().flatten()[:5]] = False
    for kind in (torch.bool, torch.long, torch.uint8, torch.float32):
        what = f"right or wrong (type {str(kind)[6:]})"
        check_gate(handle, {"safe": before.to(kind)}, {"safe": after.to(kind)}, 0.05, what)
    service, candidate = models({"truth": 0.02, "safe": 0.04}, seed)
    single = [{name: value.float() for name, value in each.items()} for each in (service, candidate)]
    check_gate(handle, *single, 0.05, "scores of type float32")
    got = handle(alpha=0.05, candidate=candidate, service=service)
    expect_equal(got["regressed"], ["truth", "safe"], "regressed, with named arguments")


@exercise("regression_gate", "other metrics, another N, or a single item are refused")
def test_regression_gate_refuses(handle, seed):
    service, candidate = models({"truth": 0.3, "safe": 0.6}, seed)
    more = {**candidate, "kind": candidate["safe"]}
    refused(handle, (service, more), "a metric that only the candidate has")
    refused(handle, (more, candidate), "a metric that only the service has")
    refused(handle, (service, {"truth": candidate["truth"], "kind": candidate["safe"]}), "a metric with another name")
    refused(handle, (service, {**candidate, "safe": candidate["safe"][:-1]}), "another number of items")
    refused(handle, (service, {**candidate, "safe": candidate["safe"][:1]}), "one item against many")
    refused(handle, ({"safe": torch.tensor([0.5])}, {"safe": torch.tensor([0.7])}), "one item only")
