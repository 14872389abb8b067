"""Wrong solutions of dpo_loss."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def difference(chosen, rejected, ref_chosen, ref_rejected):
    """h, (N,), with no gradient to the reference."""
    return (chosen - ref_chosen.detach()) - (rejected - ref_rejected.detach())


@mutant("dpo_loss", names="wrong sign")
def chosen_and_rejected_swapped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(rejected, chosen, ref_rejected, ref_chosen))


@mutant("dpo_loss", names="wrong sign")
def reference_minus_policy(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((ref_chosen.detach() - chosen) - (ref_rejected.detach() - rejected)))


@mutant("dpo_loss", names="wrong sign")
def softplus_without_the_minus(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.softplus(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="beta stands outside")
def beta_outside(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -beta * F.logsigmoid(difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="as well as inside")
def beta_inside_and_outside(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -beta * F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="beta is missing")
def without_beta(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="beta divides")
def beta_divides(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(difference(chosen, rejected, ref_chosen, ref_rejected) / beta)


@mutant("dpo_loss", names="beta is applied twice")
def beta_squared(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    rewards = beta * (chosen - ref_chosen.detach()), beta * (rejected - ref_rejected.detach())
    return -F.logsigmoid(beta * (rewards[0] - rewards[1]))


@mutant("dpo_loss", names="beta is 0.1, whatever")
def built_in_beta(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(0.1 * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="beta left out")
def other_default(chosen, rejected, ref_chosen, ref_rejected, beta=0.5):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="only the policy's part")
def beta_on_the_policy_only(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - rejected) - (ref_chosen - ref_rejected).detach())


@mutant("dpo_loss", names="only the chosen answer's part")
def beta_on_the_chosen_only(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - ref_chosen.detach()) - (rejected - ref_rejected.detach()))


@mutant("dpo_loss", names="reference is added")
def reference_added(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((chosen + ref_chosen.detach()) - (rejected + ref_rejected.detach())))


@mutant("dpo_loss", names="reference is left out")
def without_the_reference(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - rejected))


@mutant("dpo_loss", names="brackets are missing")
def without_brackets(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - ref_chosen.detach() - rejected - ref_rejected.detach()))


@mutant("dpo_loss", names="only the chosen answer's reference")
def one_reference(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - ref_chosen.detach() - rejected))


@mutant("dpo_loss", names="changed places")
def references_swapped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_rejected, ref_chosen))


@mutant("dpo_loss", names="log-ratios are added")
def log_ratios_added(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((chosen - ref_chosen.detach()) + (rejected - ref_rejected.detach())))


@mutant("dpo_loss", names="rejected answer is left out")
def only_the_chosen(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - ref_chosen.detach()))


@mutant("dpo_loss", names="log-probabilities are divided")
def quotient_of_logs(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen / ref_chosen.detach() - rejected / ref_rejected.detach()))


@mutant("dpo_loss", names="ratios of probabilities")
def ratios(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((chosen - ref_chosen.detach()).exp() - (rejected - ref_rejected.detach()).exp()))


@mutant("dpo_loss", names="not finite")
def by_way_of_probabilities(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    won = chosen.exp() / ref_chosen.detach().exp()
    lost = rejected.exp() / ref_rejected.detach().exp()
    return -F.logsigmoid(beta * (won / lost).log())


@mutant("dpo_loss", names="absolute difference")
def absolute(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected).abs())


@mutant("dpo_loss", names="cut off at 0")
def never_negative(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected).relu())


@mutant("dpo_loss", names="the mean over the pairs")
def mean(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected)).mean()


@mutant("dpo_loss", names="the sum over the pairs")
def total(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected)).sum()


@mutant("dpo_loss", names="averaged over the pairs first")
def loss_of_the_mean(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected).mean())


@mutant("dpo_loss", names="minus is missing")
def maximised(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="this is minus a probability")
def without_the_log(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -torch.sigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="slic")
def hinge(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return F.relu(1 - beta * difference(chosen, rejected, ref_chosen, ref_rejected))


@mutant("dpo_loss", names="minus the margin")
def straight_line(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -beta * difference(chosen, rejected, ref_chosen, ref_rejected)


@mutant("dpo_loss", names="ipo")
def squared(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return (difference(chosen, rejected, ref_chosen, ref_rejected) - 1 / (2 * beta)) ** 2


@mutant("dpo_loss", names="of each log-ratio")
def difference_of_logsigmoids(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    won, lost = beta * (chosen - ref_chosen.detach()), beta * (rejected - ref_rejected.detach())
    return F.logsigmoid(lost) - F.logsigmoid(won)


@mutant("dpo_loss", names="taken alone")
def each_answer_alone(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    won, lost = beta * (chosen - ref_chosen.detach()), beta * (rejected - ref_rejected.detach())
    return -F.logsigmoid(won) - F.logsigmoid(-lost)


@mutant("dpo_loss", names="labels are smoothed")
def smoothed(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    margin = beta * difference(chosen, rejected, ref_chosen, ref_rejected)
    return -0.9 * F.logsigmoid(margin) - 0.1 * F.logsigmoid(-margin)


@mutant("dpo_loss", names="every chosen answer is compared")
def crossed(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    won, lost = chosen - ref_chosen.detach(), rejected - ref_rejected.detach()
    return -F.logsigmoid(beta * (won[:, None] - lost))


@mutant("dpo_loss", names="averaged over the batch")
def mean_references(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * (chosen - rejected - (ref_chosen - ref_rejected).detach().mean()))


@mutant("dpo_loss", names="f.logsigmoid")
def log_of_sigmoid(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -torch.log(torch.sigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected)))


@mutant("dpo_loss", names="float64 only moves the place")
def log_of_sigmoid_in_float64(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -torch.log(torch.sigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected).double()))


@mutant("dpo_loss", names="cuts it short")
def log_of_sigmoid_plus_epsilon(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -torch.log(torch.sigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected)) + 1e-8)


@mutant("dpo_loss", names="cuts it short")
def clamped(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid((beta * difference(chosen, rejected, ref_chosen, ref_rejected)).clamp(-20, 20))


@mutant("dpo_loss", names="an exp overflowed")
def log1p_of_exp(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return torch.log1p(torch.exp(-beta * difference(chosen, rejected, ref_chosen, ref_rejected)))


@mutant("dpo_loss", names="an exp overflowed")
def softmax_by_hand(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    won, lost = beta * (chosen - ref_chosen.detach()), beta * (rejected - ref_rejected.detach())
    return -(won.exp() / (won.exp() + lost.exp())).log()


@mutant("dpo_loss", names="a gradient flows into ref_chosen_logprobs")
def reference_learns(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((chosen - ref_chosen) - (rejected - ref_rejected)))


@mutant("dpo_loss", names="a gradient flows into ref_rejected_logprobs")
def half_of_the_reference_learns(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * ((chosen - ref_chosen.detach()) - (rejected - ref_rejected)))


@mutant("dpo_loss", names="no gradient reaches")
def without_gradient(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected, ref_chosen, ref_rejected)).detach()


@mutant("dpo_loss", names="no gradient reaches rejected_logprobs")
def rejected_detached(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    return -F.logsigmoid(beta * difference(chosen, rejected.detach(), ref_chosen, ref_rejected))


@mutant("dpo_loss", names="gradient")
def relu_trick(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    """The right value, with a gradient that is not its own."""
    margin = beta * difference(chosen, rejected, ref_chosen, ref_rejected)
    return -margin + (margin - F.logsigmoid(margin)).detach()


@mutant("dpo_loss", names="changes its input")
def in_place(chosen, rejected, ref_chosen, ref_rejected, beta=0.1):
    ref_chosen -= ref_rejected
    return -F.logsigmoid(beta * (chosen - rejected - ref_chosen.detach()))
