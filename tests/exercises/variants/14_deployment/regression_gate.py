"""Right solutions of regression_gate that look different."""

from math import erfc, fsum, sqrt
from statistics import NormalDist, fmean, stdev

import torch

from minillm.course.testing import variant


@variant("regression_gate")
def standard_library(service, candidate, alpha=0.05):
    if service.keys() != candidate.keys():
        raise ValueError("the metrics differ")
    p = {}
    for name in service:
        pairs = list(zip(map(float, service[name]), map(float, candidate[name]), strict=True))
        if len(pairs) == 1:
            raise ValueError("one item only")
        d = [new - old for old, new in pairs]
        spread = stdev(d)
        if spread == 0:
            p[name] = 1.0 if fmean(d) >= 0 else 0.0
        else:
            p[name] = NormalDist().cdf(fmean(d) * sqrt(len(d)) / spread)
    left, regressed = sorted(p, key=p.__getitem__), set()
    while left and p[left[0]] <= alpha / len(left):
        regressed.add(left.pop(0))
    return {"ship": len(regressed) == 0, "regressed": [name for name in service if name in regressed], "p": p}


@variant("regression_gate")
def by_adjusted_p(service, candidate, alpha=0.05):
    """Holm's adjusted p: a running maximum of (M - i + 1) p_(i), compared with alpha."""
    names = list(service)
    if sorted(names) != sorted(candidate):
        raise ValueError("the metrics differ")
    values = []
    for name in names:
        if service[name].shape != candidate[name].shape or service[name].shape[0] < 2:
            raise ValueError("items")
        d = candidate[name].to(torch.float64) - service[name].to(torch.float64)
        z = d.mean() / (d.var(correction=1) / d.numel()).sqrt()
        values.append(torch.where(d.std() == 0, (d.mean() >= 0).double(), torch.special.ndtr(z)))
    p = torch.stack(values)
    ordered, place = p.sort()
    adjusted = (ordered * torch.arange(len(p), 0, -1)).cummax(0).values
    hit = set(place[adjusted <= alpha * (1 + 1e-12)].tolist())
    regressed = [name for i, name in enumerate(names) if i in hit]
    return {"p": dict(zip(names, p.tolist())), "regressed": regressed, "ship": regressed == []}


@variant("regression_gate")
def population_std_and_n_minus_one(service, candidate, alpha=0.05):
    """The population standard deviation over sqrt(N - 1) is the same standard error."""
    p = {}
    for name, before in service.items():
        if name not in candidate or len(candidate) != len(service):
            raise ValueError(name)
        after = candidate[name]
        if len(after) != len(before):
            raise ValueError(f"{name}: {len(before)} and {len(after)} items")
        if len(before) < 2:
            raise ValueError(f"{name}: at least two items")
        d = after.double() - before.double()
        error = d.std(correction=0) / sqrt(len(d) - 1)
        p[name] = float(erfc(-float(d.mean() / error) / sqrt(2)) / 2) if error else float(d.mean() >= 0)
    order = sorted(p.items(), key=lambda item: item[1])
    count = 0
    for i, (_, value) in enumerate(order, start=1):
        if value > alpha / (len(order) - i + 1):
            break
        count = i
    bad = [name for name, _ in order[:count]]
    return {"ship": not bad, "regressed": sorted(bad, key=list(service).index), "p": p}


@variant("regression_gate")
def calls_itself(service, candidate, alpha=0.05):
    """The most significant metric is tested, then the gate is asked about the others."""
    if set(service) ^ set(candidate):
        raise ValueError("the metrics differ")
    p = {}
    for name in service:
        old, new = service[name].tolist(), candidate[name].tolist()
        if len(old) != len(new) or len(old) < 2:
            raise ValueError("items")
        d = [float(b) - float(a) for a, b in zip(old, new)]
        mean = fsum(d) / len(d)
        square = fsum((x - mean) ** 2 for x in d) / (len(d) - 1)
        p[name] = NormalDist(0, sqrt(square / len(d))).cdf(mean) if square > 0 else (1.0 if mean >= 0 else 0.0)
    if not p:
        return {"ship": True, "regressed": [], "p": {}}
    worst = min(p, key=lambda name: p[name])
    if p[worst] > alpha / len(p):
        return {"ship": True, "regressed": [], "p": p}
    others = [{name: each[name] for name in each if name != worst} for each in (service, candidate)]
    bad = {worst, *calls_itself(*others, alpha)["regressed"]}
    return {"ship": False, "regressed": [name for name in p if name in bad], "p": p}
