"""Wrong solutions of preference_probability."""

import torch

from minillm.course.testing import mutant


@mutant("preference_probability", names="swapped")
def swaps_a_and_b(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid((utility_b - utility_a) / temperature)


@mutant("preference_probability", names="temperature is not used")
def ignores_the_temperature(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid(utility_a - utility_b)


@mutant("preference_probability", names="multiplied by the temperature")
def multiplies(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid((utility_a - utility_b) * temperature)


@mutant("preference_probability", names="the probability is divided by the temperature")
def divides_the_probability(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid(utility_a - utility_b) / temperature


@mutant("preference_probability", names="only utility_b is divided")
def forgets_the_brackets(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid(utility_a - utility_b / temperature)


@mutant("preference_probability", names="hard")
def hard_choice(utility_a, utility_b, temperature=1.0):
    return (utility_a > utility_b).float()


@mutant("preference_probability", names="hard")
def hard_choice_with_ties(utility_a, utility_b, temperature=1.0):
    return 0.5 + 0.5 * torch.sign(utility_a - utility_b)


@mutant("preference_probability", names="overflows")
def exponentials_overflow(utility_a, utility_b, temperature=1.0):
    a, b = torch.exp(utility_a / temperature), torch.exp(utility_b / temperature)
    return a / (a + b)


@mutant("preference_probability", names="before they are compared")
def compares_sigmoids(utility_a, utility_b, temperature=1.0):
    a, b = torch.sigmoid(utility_a / temperature), torch.sigmoid(utility_b / temperature)
    return a / (a + b)


@mutant("preference_probability", names="sigmoids are subtracted")
def subtracts_sigmoids(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid(utility_a / temperature) - torch.sigmoid(utility_b / temperature)


@mutant("preference_probability", names="over the pairs of the batch")
def softmax_over_the_batch(utility_a, utility_b, temperature=1.0):
    return torch.softmax(utility_a / temperature, 0)


@mutant("preference_probability", names="exp of each utility is missing")
def strengths_without_exp(utility_a, utility_b, temperature=1.0):
    return utility_a / (utility_a + utility_b)


@mutant("preference_probability", names="thurstone")
def normal_curve(utility_a, utility_b, temperature=1.0):
    return torch.distributions.Normal(0.0, 1.0).cdf((utility_a - utility_b) / temperature)


@mutant("preference_probability", names="log of the probability")
def log_probability(utility_a, utility_b, temperature=1.0):
    return torch.nn.functional.logsigmoid((utility_a - utility_b) / temperature)


@mutant("preference_probability", names="tanh")
def tanh_for_sigmoid(utility_a, utility_b, temperature=1.0):
    return torch.tanh((utility_a - utility_b) / temperature)


@mutant("preference_probability", names="no gradient reaches")
def detached(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid((utility_a - utility_b).detach() / temperature)


@mutant("preference_probability", names="added, not subtracted")
def adds(utility_a, utility_b, temperature=1.0):
    return torch.sigmoid((utility_a + utility_b) / temperature)
