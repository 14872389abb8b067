"""Wrong solutions of implicit_rewards."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


@mutant("implicit_rewards", names="sign is flipped")
def reference_minus_policy(logprobs, ref_logprobs, beta=0.1):
    return beta * (ref_logprobs - logprobs).detach()


@mutant("implicit_rewards", names="beta is missing")
def without_beta(logprobs, ref_logprobs, beta=0.1):
    return (logprobs - ref_logprobs).detach()


@mutant("implicit_rewards", names="beta divides")
def divided(logprobs, ref_logprobs, beta=0.1):
    return (logprobs - ref_logprobs).detach() / beta


@mutant("implicit_rewards", names="beta is applied twice")
def twice(logprobs, ref_logprobs, beta=0.1):
    return beta * beta * (logprobs - ref_logprobs).detach()


@mutant("implicit_rewards", names="brackets")
def without_brackets(logprobs, ref_logprobs, beta=0.1):
    return (beta * logprobs - ref_logprobs).detach()


@mutant("implicit_rewards", names="beta is 0.1, whatever")
def built_in_beta(logprobs, ref_logprobs, beta=0.1):
    return 0.1 * (logprobs - ref_logprobs).detach()


@mutant("implicit_rewards", names="beta left out")
def other_default(logprobs, ref_logprobs, beta=1.0):
    return beta * (logprobs - ref_logprobs).detach()


@mutant("implicit_rewards", names="reference is added")
def reference_added(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs + ref_logprobs).detach()


@mutant("implicit_rewards", names="reference is left out")
def without_the_reference(logprobs, ref_logprobs, beta=0.1):
    return beta * logprobs.detach()


@mutant("implicit_rewards", names="log-probabilities are divided")
def quotient_of_logs(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs / ref_logprobs).detach()


@mutant("implicit_rewards", names="the log is missing")
def ratio(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs - ref_logprobs).exp().detach()


@mutant("implicit_rewards", names="not finite")
def by_way_of_probabilities(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs.exp() / ref_logprobs.exp()).log().detach()


@mutant("implicit_rewards", names="probabilities are subtracted")
def probabilities(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs.exp() - ref_logprobs.exp()).detach()


@mutant("implicit_rewards", names="a sigmoid")
def squeezed(logprobs, ref_logprobs, beta=0.1):
    return torch.sigmoid(beta * (logprobs - ref_logprobs)).detach()


@mutant("implicit_rewards", names="logsigmoid")
def half_of_the_loss(logprobs, ref_logprobs, beta=0.1):
    return F.logsigmoid(beta * (logprobs - ref_logprobs)).detach()


@mutant("implicit_rewards", names="mean is subtracted")
def centred(logprobs, ref_logprobs, beta=0.1):
    rewards = beta * (logprobs - ref_logprobs).detach()
    return rewards - rewards.mean()


@mutant("implicit_rewards", names="mean of all rewards")
def averaged(logprobs, ref_logprobs, beta=0.1):
    return (beta * (logprobs - ref_logprobs)).detach().mean()


@mutant("implicit_rewards", names="absolute value")
def absolute(logprobs, ref_logprobs, beta=0.1):
    return (beta * (logprobs - ref_logprobs)).detach().abs()


@mutant("implicit_rewards", names="a gradient flows into logprobs")
def with_a_gradient(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs - ref_logprobs)


@mutant("implicit_rewards", names="a gradient flows into logprobs")
def only_the_reference_detached(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs - ref_logprobs.detach())


@mutant("implicit_rewards", names="a gradient flows into ref_logprobs")
def only_the_policy_detached(logprobs, ref_logprobs, beta=0.1):
    return beta * (logprobs.detach() - ref_logprobs)


@mutant("implicit_rewards", names="changes its input")
def in_place(logprobs, ref_logprobs, beta=0.1):
    logprobs -= ref_logprobs
    return beta * logprobs.detach()
