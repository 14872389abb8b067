"""Wrong solutions of simpo_loss."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def gap(chosen, rejected, m, n):
    """The difference of the mean log-probabilities, (N,)."""
    return chosen / m - rejected / n


@mutant("simpo_loss", names="multiplied by beta")
def gamma_in_the_bracket(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (gap(chosen, rejected, m, n) - gamma))


@mutant("simpo_loss", names="divided by beta")
def gamma_over_beta(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma / beta)


@mutant("simpo_loss", names="gamma is added")
def gamma_added(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) + gamma)


@mutant("simpo_loss", names="inside beta's bracket")
def gamma_added_in_the_bracket(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (gap(chosen, rejected, m, n) + gamma))


@mutant("simpo_loss", names="gamma is left out")
def without_gamma(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n))


@mutant("simpo_loss", names="outside the logsigmoid")
def gamma_outside(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n)) - gamma


@mutant("simpo_loss", names="outside the logsigmoid")
def gamma_added_outside(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return gamma - F.logsigmoid(beta * gap(chosen, rejected, m, n))


@mutant("simpo_loss", names="not divided by the lengths")
def sums(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen - rejected) - gamma)


@mutant("simpo_loss", names="length of the other answer")
def lengths_swapped(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, n, m) - gamma)


@mutant("simpo_loss", names="length of the chosen answer")
def length_of_the_chosen(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, m) - gamma)


@mutant("simpo_loss", names="length of the rejected answer")
def length_of_the_rejected(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, n, n) - gamma)


@mutant("simpo_loss", names="two lengths together")
def common_length(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen - rejected) / (m + n) - gamma)


@mutant("simpo_loss", names="larger length")
def padded_length(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen - rejected) / torch.maximum(m, n) - gamma)


@mutant("simpo_loss", names="multiplied by the lengths")
def times_the_lengths(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen * m - rejected * n) - gamma)


@mutant("simpo_loss", names="one too small")
def without_the_end_token(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m - 1, n - 1) - gamma)


@mutant("simpo_loss", names="one too large")
def guarded_against_0(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m + 1, n + 1) - gamma)


@mutant("simpo_loss", names="rounds down")
def whole_division(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen // m - rejected // n) - gamma)


@mutant("simpo_loss", names="mean over the batch")
def mean_lengths(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m.double().mean(), n.double().mean()) - gamma)


@mutant("simpo_loss", names="beta is missing")
def without_beta(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="beta divides")
def beta_divides(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(gap(chosen, rejected, m, n) / beta - gamma)


@mutant("simpo_loss", names="beta stands outside")
def beta_outside(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -beta * F.logsigmoid(gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="only the chosen answer's reward")
def beta_on_the_chosen_only(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * chosen / m - rejected / n - gamma)


@mutant("simpo_loss", names="beta is 2, whatever")
def built_in_beta(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(2 * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="gamma is 0.5, whatever")
def built_in_gamma(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - 0.5)


@mutant("simpo_loss", names="beta and gamma left out")
def other_defaults(chosen, rejected, m, n, beta=2.5, gamma=1.4):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="changed places")
def beta_and_gamma_swapped(chosen, rejected, m, n, gamma=0.5, beta=2.0):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="difference has the wrong sign")
def chosen_and_rejected_swapped(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(rejected, chosen, n, m) - gamma)


@mutant("simpo_loss", names="whole margin has the wrong sign")
def softplus_without_the_minus(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return F.softplus(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="rewards are added")
def rewards_added(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * (chosen / m + rejected / n) - gamma)


@mutant("simpo_loss", names="probabilities of a token")
def probabilities(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * ((chosen / m).exp() - (rejected / n).exp()) - gamma)


@mutant("simpo_loss", names="the mean over the pairs")
def mean(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma).mean()


@mutant("simpo_loss", names="the sum over the pairs")
def total(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma).sum()


@mutant("simpo_loss", names="averaged over the pairs first")
def loss_of_the_mean(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid((beta * gap(chosen, rejected, m, n) - gamma).mean())


@mutant("simpo_loss", names="minus in front is missing")
def maximised(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="this is minus a probability")
def without_the_log(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -torch.sigmoid(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="a hinge")
def hinge(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return F.relu(gamma - beta * gap(chosen, rejected, m, n))


@mutant("simpo_loss", names="as in ipo")
def squared(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return (beta * gap(chosen, rejected, m, n) - gamma) ** 2


@mutant("simpo_loss", names="f.logsigmoid")
def log_of_sigmoid(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -torch.log(torch.sigmoid(beta * gap(chosen, rejected, m, n) - gamma))


@mutant("simpo_loss", names="float64 only moves the place")
def log_of_sigmoid_in_float64(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -torch.log(torch.sigmoid(beta * gap(chosen.double(), rejected, m, n) - gamma))


@mutant("simpo_loss", names="cuts it short")
def log_of_sigmoid_plus_epsilon(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -torch.log(torch.sigmoid(beta * gap(chosen, rejected, m, n) - gamma) + 1e-8)


@mutant("simpo_loss", names="an exp overflowed")
def log1p_of_exp(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return torch.log1p((gamma - beta * gap(chosen, rejected, m, n)).exp())


@mutant("simpo_loss", names="no gradient reaches")
def without_gradient(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    with torch.no_grad():
        return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma)


@mutant("simpo_loss", names="no gradient reaches rejected_logprobs")
def rejected_detached(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    return -F.logsigmoid(beta * gap(chosen, rejected.detach(), m, n) - gamma)


@mutant("simpo_loss", names="changes its input")
def in_place(chosen, rejected, m, n, beta=2.0, gamma=0.5):
    m.clamp_(min=3)
    return -F.logsigmoid(beta * gap(chosen, rejected, m, n) - gamma)
