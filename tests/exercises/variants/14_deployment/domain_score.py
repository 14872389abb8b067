"""Right solutions of domain_score that look different."""

from collections import Counter
from itertools import groupby
from statistics import fmean

import torch

from minillm.course.testing import variant


@variant("domain_score")
def two_counters(right, modes):
    if len(modes) == 0 or len(modes) != right.shape[0]:
        raise ValueError("lengths")
    for name in ("balanced", "worst"):
        if name in modes:
            raise ValueError(f"{name} is no mode")
    asked = Counter(modes)
    done = Counter(name for name, mark in zip(modes, right) if mark)
    result = {name: done[name] / asked[name] for name in sorted(asked)}
    values = [*result.values()]
    result["balanced"] = sum(values) / len(values)
    result["worst"] = min(values)
    return result


@variant("domain_score")
def masks(right, modes):
    names = sorted(set(modes))
    if len(right) != len(modes) or not names or {"balanced", "worst"}.intersection(names):
        raise ValueError("right and modes do not fit, or there are none, or a mode has a name that is taken")
    shares = torch.stack([right.float()[torch.tensor([each == name for each in modes])].mean() for name in names])
    return dict(zip([*names, "balanced", "worst"], torch.stack([*shares, shares.mean(), shares.min()]).tolist()))


@variant("domain_score")
def groups_of_sorted_pairs(right, modes):
    pairs = sorted(zip(modes, map(float, right), strict=True))
    shares = {name: fmean(mark for _, mark in group) for name, group in groupby(pairs, key=lambda pair: pair[0])}
    if shares.keys() & {"balanced", "worst"} or not shares:
        raise ValueError("no modes, or one that is called balanced or worst")
    return {**shares, "balanced": fmean(shares.values()), "worst": sorted(shares.values())[0]}


@variant("domain_score")
def scatter(right, modes):
    names, taken = sorted(set(modes)), ("balanced", "worst")
    if not names or len(right) != len(modes):
        raise ValueError("lengths")
    if any(name in taken for name in names):
        raise ValueError("this name is taken")
    place = torch.tensor([names.index(each) for each in modes])
    total = torch.zeros(len(names), dtype=torch.float64).index_add_(0, place, right.detach().double())
    share = total / place.bincount()
    return dict(zip(names, share.tolist())) | {"balanced": share.mean().item(), "worst": share.amin().item()}
