"""Wrong solutions of optimal_policy."""

import torch

from minillm.course.testing import mutant


@mutant("optimal_policy", names="z is missing")
def not_normalised(ref_logprobs, rewards, beta):
    return ref_logprobs + rewards / beta


@mutant("optimal_policy", names="probabilities are returned")
def probabilities(ref_logprobs, rewards, beta):
    return (ref_logprobs + rewards / beta).softmax(0)


@mutant("optimal_policy", names="no log is taken")
def weights(ref_logprobs, rewards, beta):
    return ref_logprobs.exp() * (rewards / beta).exp()


@mutant("optimal_policy", names="reference is left out")
def softmax_of_rewards(ref_logprobs, rewards, beta):
    return (rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="multiplied by beta")
def times_beta(ref_logprobs, rewards, beta):
    return (ref_logprobs + rewards * beta).log_softmax(0)


@mutant("optimal_policy", names="beta is not used")
def no_beta(ref_logprobs, rewards, beta):
    return (ref_logprobs + rewards).log_softmax(0)


@mutant("optimal_policy", names="reference is divided by beta")
def beta_divides_both(ref_logprobs, rewards, beta):
    return ((ref_logprobs + rewards) / beta).log_softmax(0)


@mutant("optimal_policy", names="beta weighs the reference")
def beta_on_the_reference(ref_logprobs, rewards, beta):
    return (beta * ref_logprobs + rewards).log_softmax(0)


@mutant("optimal_policy", names="sign of the reward")
def minus_reward(ref_logprobs, rewards, beta):
    return (ref_logprobs - rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="belong to the product")
def reference_subtracted(ref_logprobs, rewards, beta):
    return (rewards / beta - ref_logprobs).log_softmax(0)


@mutant("optimal_policy", names="as a probability")
def reference_as_probability(ref_logprobs, rewards, beta):
    return (ref_logprobs.exp() + rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="beta = 0")
def greedy(ref_logprobs, rewards, beta):
    possible = torch.where(ref_logprobs > -torch.inf, rewards, -torch.inf)
    return torch.full_like(ref_logprobs, -torch.inf).index_fill(0, possible.argmax(), 0.0)


@mutant("optimal_policy", names="without the reference as weights")
def z_without_the_reference(ref_logprobs, rewards, beta):
    return ref_logprobs + rewards / beta - (rewards / beta).logsumexp(0)


@mutant("optimal_policy", names="largest is subtracted")
def maximum_in_place_of_z(ref_logprobs, rewards, beta):
    tilted = ref_logprobs + rewards / beta
    return tilted - tilted.max()


@mutant("optimal_policy", names="sum of the log-weights")
def sum_of_logs(ref_logprobs, rewards, beta):
    tilted = ref_logprobs + rewards / beta
    return tilted - tilted.sum()


@mutant("optimal_policy", names="overflows")
def exponentials_in_float64(ref_logprobs, rewards, beta):
    weights = ref_logprobs.double().exp() * (rewards.double() / beta).exp()
    return (weights / weights.sum()).log()


@mutant("optimal_policy", names="overflows, or is rounded to 0")
def log_of_softmax(ref_logprobs, rewards, beta):
    return (ref_logprobs + rewards / beta).softmax(0).log()


@mutant("optimal_policy", names="overflows, or is rounded to 0")
def largest_reward_first(ref_logprobs, rewards, beta):
    weights = ref_logprobs.exp() * ((rewards - rewards.max()) / beta).exp()
    return weights.log() - weights.sum().log()


@mutant("optimal_policy", names="epsilon")
def with_epsilon(ref_logprobs, rewards, beta):
    return ((ref_logprobs.exp() + 1e-12).log() + rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="clamp")
def with_clamp(ref_logprobs, rewards, beta):
    return (ref_logprobs.clamp(min=-1e4) + rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="nan")
def weights_times_logs(ref_logprobs, rewards, beta):
    tilted = ref_logprobs + rewards / beta
    largest = (tilted.exp() > 0).float() * tilted
    return (tilted - largest.max()).log_softmax(0)


@mutant("optimal_policy", names="no gradient reaches")
def detached(ref_logprobs, rewards, beta):
    with torch.no_grad():
        return (ref_logprobs + rewards / beta).log_softmax(0)


@mutant("optimal_policy", names="gradient")
def constant_z(ref_logprobs, rewards, beta):
    tilted = ref_logprobs + rewards / beta
    return tilted - tilted.logsumexp(0).detach()


@mutant("optimal_policy", names="changes its input")
def in_place(ref_logprobs, rewards, beta):
    ref_logprobs += rewards / beta
    return ref_logprobs.log_softmax(0)
