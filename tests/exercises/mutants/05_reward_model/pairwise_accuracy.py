"""Wrong solutions of pairwise_accuracy."""

import torch

from minillm.course.testing import mutant


@mutant("pairwise_accuracy", names="*wrong* order")
def counts_the_wrong_ones(chosen, rejected):
    return ((chosen < rejected).float() + 0.5 * (chosen == rejected)).mean()


@mutant("pairwise_accuracy", names="ties count as wrong")
def ties_are_wrong(chosen, rejected):
    return (chosen > rejected).float().mean()


@mutant("pairwise_accuracy", names="ties count as right")
def ties_are_right(chosen, rejected):
    return (chosen >= rejected).float().mean()


@mutant("pairwise_accuracy", names="ties are left out")
def ties_are_dropped(chosen, rejected):
    keep = chosen != rejected
    return (chosen > rejected)[keep].float().sum() / keep.sum().clamp(min=1)


@mutant("pairwise_accuracy", names="the number of pairs")
def counts_without_a_mean(chosen, rejected):
    return ((chosen > rejected).float() + 0.5 * (chosen == rejected)).sum()


@mutant("pairwise_accuracy", names="right minus wrong")
def mean_of_signs(chosen, rejected):
    return torch.sign((chosen - rejected).float()).mean()


@mutant("pairwise_accuracy", names="percent")
def in_percent(chosen, rejected):
    return 100 * ((chosen > rejected).float() + 0.5 * (chosen == rejected)).mean()


@mutant("pairwise_accuracy", names="held against 0")
def border_at_zero(chosen, rejected):
    return ((chosen > 0) & (rejected < 0)).float().mean()


@mutant("pairwise_accuracy", names="sign of the chosen score")
def sign_of_chosen(chosen, rejected):
    return (chosen > 0).float().mean()


@mutant("pairwise_accuracy", names="every chosen score is compared with every rejected one")
def all_against_all(chosen, rejected):
    wins = (chosen[:, None] > rejected[None, :]).float()
    return (wins + 0.5 * (chosen[:, None] == rejected[None, :])).mean()


@mutant("pairwise_accuracy", names="mean probability")
def mean_probability(chosen, rejected):
    return torch.sigmoid((chosen - rejected).float()).mean()


@mutant("pairwise_accuracy", names="small margins count as")
def ties_within_a_tolerance(chosen, rejected):
    gap = (chosen - rejected).float()
    tie = gap.abs() < 1e-3
    return ((gap > 0) & ~tie).float().mean() + 0.5 * tie.float().mean()


@mutant("pairwise_accuracy", names="ties count as wrong")
def rounds_the_sigmoid(chosen, rejected):
    return torch.sigmoid((chosen - rejected).double()).round().mean()


@mutant("pairwise_accuracy", names="verdict of each pair")
def not_reduced(chosen, rejected):
    return (chosen > rejected).float() + 0.5 * (chosen == rejected)


@mutant("pairwise_accuracy", names="means of all scores")
def compares_the_means(chosen, rejected):
    return float(chosen.double().mean() > rejected.double().mean())


@mutant("pairwise_accuracy", names="bool")
def mean_of_bools(chosen, rejected):
    return (chosen > rejected).mean()
