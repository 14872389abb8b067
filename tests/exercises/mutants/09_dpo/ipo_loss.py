"""Wrong solutions of ipo_loss."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def difference(chosen, rejected, ref_chosen, ref_rejected):
    """h, (N,), with no gradient to the reference."""
    return (chosen - ref_chosen.detach()) - (rejected - ref_rejected.detach())


@mutant("ipo_loss", names="1 / beta; the 2 is missing")
def goal_without_the_2(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / beta) ** 2


@mutant("ipo_loss", names="needs brackets")
def goal_without_brackets(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / 2 * beta) ** 2


@mutant("ipo_loss", names="the goal is beta")
def goal_is_beta(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - beta) ** 2


@mutant("ipo_loss", names="1 / 2, whatever")
def goal_of_a_half(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 0.5) ** 2


@mutant("ipo_loss", names="goal is missing")
def without_a_goal(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return difference(chosen, rejected, ref_chosen, ref_rejected) ** 2


@mutant("ipo_loss", names="goal is added")
def goal_added(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) + 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="wrong sign")
def chosen_and_rejected_swapped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(rejected, chosen, ref_rejected, ref_chosen) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="wrong sign")
def reference_minus_policy(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    h = (ref_chosen.detach() - chosen) - (ref_rejected.detach() - rejected)
    return (h - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="beta multiplies h, and the goal")
def beta_inside(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (beta * difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="beta multiplies h, and 1 / 2")
def beta_inside_and_a_half(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (beta * difference(chosen, rejected, ref_chosen, ref_rejected) - 0.5) ** 2


@mutant("ipo_loss", names="the whole loss")
def beta_outside(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return beta * (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="h is divided by the goal")
def in_units_of_the_goal(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (2 * beta * difference(chosen, rejected, ref_chosen, ref_rejected) - 1) ** 2


@mutant("ipo_loss", names="beta is 0.1, whatever")
def built_in_beta(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 5) ** 2


@mutant("ipo_loss", names="beta left out")
def other_default(chosen, rejected, ref_chosen, ref_rejected, beta=0.5):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="reference is added")
def reference_added(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    h = (chosen + ref_chosen.detach()) - (rejected + ref_rejected.detach())
    return (h - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="reference is left out")
def without_the_reference(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (chosen - rejected - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="brackets are missing")
def without_brackets(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (chosen - ref_chosen.detach() - rejected - ref_rejected.detach() - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="log-ratios are added")
def log_ratios_added(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    h = (chosen - ref_chosen.detach()) + (rejected - ref_rejected.detach())
    return (h - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="absolute difference")
def absolute_difference(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected).abs() - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="a half in front")
def half_the_square(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return 0.5 * (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="minus stands in front")
def maximised(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -((difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2)


@mutant("ipo_loss", names="absolute distance")
def absolute_distance(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)).abs()


@mutant("ipo_loss", names="square is missing")
def without_the_square(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)


@mutant("ipo_loss", names="squared hinge")
def squared_hinge(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.relu(1 / (2 * beta) - difference(chosen, rejected, ref_chosen, ref_rejected)) ** 2


@mutant("ipo_loss", names="a hinge")
def hinge(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.relu(1 / (2 * beta) - difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("ipo_loss", names="each term is squared")
def squared_separately(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return difference(chosen, rejected, ref_chosen, ref_rejected) ** 2 - (1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="dpo's loss")
def dpo(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("ipo_loss", names="through a logsigmoid")
def logsigmoid_of_the_distance(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta))


@mutant("ipo_loss", names="the mean over the pairs")
def mean(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return ((difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2).mean()


@mutant("ipo_loss", names="the sum over the pairs")
def total(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return ((difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2).sum()


@mutant("ipo_loss", names="averaged over the pairs first")
def loss_of_the_mean(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected).mean() - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="not finite")
def by_way_of_probabilities(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    ratio = chosen.exp() * ref_rejected.detach().exp() / (rejected.exp() * ref_chosen.detach().exp())
    return (ratio.log() - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="a gradient flows into ref_chosen_logprobs")
def reference_learns(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return ((chosen - ref_chosen) - (rejected - ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="no gradient reaches")
def without_gradient(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    h = difference(chosen.detach(), rejected.detach(), ref_chosen, ref_rejected)
    return (h - 1 / (2 * beta)) ** 2


@mutant("ipo_loss", names="times what it should be")
def half_of_the_gradient(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    distance = difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)
    return distance * distance.detach()


@mutant("ipo_loss", names=None)
def divided_by_the_spread(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    h = difference(chosen, rejected, ref_chosen, ref_rejected)
    return (h / torch.clamp(h.std(), min=1e-6) - 1 / (2 * beta)) ** 2
