"""Wrong solutions of domain_score."""

import math
import statistics

from minillm.course.testing import mutant

MODES = ("answer", "doctor", "grown up", "refuse")


def checked(right, modes):
    if len(right) != len(modes) or not modes:
        raise ValueError("right and modes must be as long as each other, and not empty")
    if "balanced" in modes or "worst" in modes:
        raise ValueError("balanced and worst are no modes")


def marks_of(right, modes):
    checked(right, modes)
    marks = {name: [] for name in sorted(set(modes))}
    for mark, name in zip(right.double().tolist(), modes):
        marks[name].append(mark)
    return marks


def shares_of(right, modes):
    return {name: sum(marks) / len(marks) for name, marks in marks_of(right, modes).items()}


def with_both(shares, balanced=None, worst=None):
    values = list(shares.values())
    balanced = sum(values) / len(values) if balanced is None else balanced
    return {**shares, "balanced": balanced, "worst": min(values) if worst is None else worst}


@mutant("domain_score", names="see trap 1")
def overall_accuracy(right, modes):
    return with_both(shares_of(right, modes), balanced=right.double().mean().item())


@mutant("domain_score", names="share right of all requests")
def weighted_by_counts(right, modes):
    marks = marks_of(right, modes)
    shares = {name: sum(each) / len(each) for name, each in marks.items()}
    total = sum(shares[name] * len(each) for name, each in marks.items())
    return with_both(shares, balanced=total / len(modes))


@mutant("domain_score", names="how rare a mode is")
def weighted_by_rarity(right, modes):
    marks = marks_of(right, modes)
    weights = {name: 1 / len(each) for name, each in marks.items()}
    total = sum(weights[name] * sum(each) / len(each) for name, each in marks.items())
    return with_both(shares_of(right, modes), balanced=total / sum(weights.values()))


@mutant("domain_score", names="product")
def product(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, balanced=math.prod(shares.values()))


@mutant("domain_score", names="geometric mean")
def geometric_mean(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, balanced=math.prod(shares.values()) ** (1 / len(shares)))


@mutant("domain_score", names="sum of the shares")
def sum_of_shares(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, balanced=sum(shares.values()))


@mutant("domain_score", names="median")
def median(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, balanced=statistics.median(shares.values()))


@mutant("domain_score", names='all modes but "answer"')
def special_modes_only(right, modes):
    shares = shares_of(right, modes)
    special = [share for name, share in shares.items() if name != "answer"] or [0.0]
    return with_both(shares, balanced=sum(special) / len(special))


@mutant("domain_score", names="worst included")
def mean_with_the_worst(right, modes):
    shares = shares_of(right, modes)
    shares["worst"] = min(shares.values())
    balanced = sum(shares.values()) / len(shares)
    worst = shares.pop("worst")
    return {**shares, "balanced": balanced, "worst": worst}


@mutant("domain_score", names="divided by four")
def always_four_modes(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, balanced=sum(shares.values()) / 4)


@mutant("domain_score", names="name of a mode")
def worst_is_a_name(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, worst=min(shares, key=shares.get))


@mutant("domain_score", names="highest share")
def best(right, modes):
    shares = shares_of(right, modes)
    return with_both(shares, worst=max(shares.values()))


@mutant("domain_score", names="rarest mode")
def of_the_rarest(right, modes):
    shares, marks = shares_of(right, modes), marks_of(right, modes)
    return with_both(shares, worst=shares[min(marks, key=lambda name: len(marks[name]))])


@mutant("domain_score", names="see trap 3")
def missing_modes_count(right, modes):
    shares = shares_of(right, modes)
    return with_both(dict(sorted({**dict.fromkeys(MODES, 0.0), **shares}.items())))


@mutant("domain_score", names="counted nowhere else")
def missing_modes_listed(right, modes):
    shares = shares_of(right, modes)
    listed = {name: shares.get(name, 0.0) for name in sorted({*MODES, *shares})}
    return {**listed, "balanced": sum(shares.values()) / len(shares), "worst": min(shares.values())}


@mutant("domain_score", names="count as all right")
def missing_modes_are_right(right, modes):
    shares = shares_of(right, modes)
    return with_both(dict(sorted({**dict.fromkeys(MODES, 1.0), **shares}.items())))


@mutant("domain_score", names="not the share")
def counts(right, modes):
    marks = marks_of(right, modes)
    both = with_both(shares_of(right, modes))
    return {**both, **{name: sum(each) for name, each in marks.items()}}


@mutant("domain_score", names="number of all requests")
def share_of_all(right, modes):
    return with_both({name: sum(each) / len(modes) for name, each in marks_of(right, modes).items()})


@mutant("domain_score", names="wrong answers")
def share_wrong(right, modes):
    return with_both({name: 1 - share for name, share in shares_of(right, modes).items()})


@mutant("domain_score", names="percent")
def percent(right, modes):
    return {name: 100 * value for name, value in with_both(shares_of(right, modes)).items()}


@mutant("domain_score", names="first occur")
def order_of_occurrence(right, modes):
    shares = shares_of(right, modes)
    return with_both({name: shares[name] for name in dict.fromkeys(modes)})


@mutant("domain_score", names="stand first")
def summary_first(right, modes):
    both = with_both(shares_of(right, modes))
    return {"balanced": both.pop("balanced"), "worst": both.pop("worst"), **both}


@mutant("domain_score", names="all keys are sorted")
def everything_sorted(right, modes):
    return dict(sorted(with_both(shares_of(right, modes)).items()))


@mutant("domain_score", names="plain float")
def tensors(right, modes):
    checked(right, modes)
    right = right.double()
    shares = {name: right[[i for i, each in enumerate(modes) if each == name]].mean() for name in sorted(set(modes))}
    return with_both(shares)


@mutant("domain_score", names="keys")
def without_worst(right, modes):
    both = with_both(shares_of(right, modes))
    del both["worst"]
    return both


@mutant("domain_score", names="one mode too few should raise")
def shorter_of_both(right, modes):
    size = min(len(right), len(modes))
    return with_both(shares_of(right[:size], modes[:size]))


@mutant("domain_score", names="of no requests should raise")
def nothing_is_zero(right, modes):
    if not modes:
        return {"balanced": 0.0, "worst": 0.0}
    return with_both(shares_of(right, modes))


@mutant("domain_score", names='a mode called "balanced" should raise')
def overwritten(right, modes):
    if len(right) != len(modes) or not modes:
        raise ValueError("lengths")
    marks = {name: [] for name in sorted(set(modes))}
    for mark, name in zip(right.tolist(), modes):
        marks[name].append(float(mark))
    return with_both({name: sum(each) / len(each) for name, each in marks.items()})


@mutant("domain_score", names="stopped with")
def mean_of_integers(right, modes):
    """Fails where right is no float."""
    checked(right, modes)
    picks = {name: [i for i, each in enumerate(modes) if each == name] for name in sorted(set(modes))}
    return with_both({name: right[pick].mean().item() for name, pick in picks.items()})
