"""Wrong solutions of ai_preference."""

import torch

from minillm.course.testing import mutant


def both(logprobs, swapped):
    return logprobs.detach().softmax(-1)[:, 0], swapped.detach().softmax(-1)[:, 1]


@mutant("ai_preference", names="only the first order")
def one_order(logprobs, swapped_logprobs):
    return both(logprobs, swapped_logprobs)[0]


@mutant("ai_preference", names="only the second order")
def other_order(logprobs, swapped_logprobs):
    return both(logprobs, swapped_logprobs)[1]


@mutant("ai_preference", names="read like the first")
def swapped_not_swapped(logprobs, swapped_logprobs):
    return (both(logprobs, swapped_logprobs)[0] + swapped_logprobs.detach().softmax(-1)[:, 0]) / 2


@mutant("ai_preference", names="answer 2")
def of_answer_two(logprobs, swapped_logprobs):
    return 1 - sum(both(logprobs, swapped_logprobs)) / 2


@mutant("ai_preference", names="not normalised")
def not_normalised(logprobs, swapped_logprobs):
    return (logprobs.detach()[:, 0].exp() + swapped_logprobs.detach()[:, 1].exp()) / 2


@mutant("ai_preference", names="averaged before the softmax")
def mean_before_softmax(logprobs, swapped_logprobs):
    mean = (logprobs.detach() + swapped_logprobs.detach().flip(-1)) / 2
    return mean.softmax(-1)[:, 0]


@mutant("ai_preference", names="added before the softmax")
def sum_before_softmax(logprobs, swapped_logprobs):
    return (logprobs.detach() + swapped_logprobs.detach().flip(-1)).softmax(-1)[:, 0]


@mutant("ai_preference", names="multiplied")
def product(logprobs, swapped_logprobs):
    first, second = both(logprobs, swapped_logprobs)
    return first * second


@mutant("ai_preference", names="geometric mean")
def geometric_mean(logprobs, swapped_logprobs):
    first, second = both(logprobs, swapped_logprobs)
    return (first * second).sqrt()


@mutant("ai_preference", names="added; their mean")
def added(logprobs, swapped_logprobs):
    return sum(both(logprobs, swapped_logprobs))


@mutant("ai_preference", names="hard, 0 or 1")
def hard(logprobs, swapped_logprobs):
    return (sum(both(logprobs, swapped_logprobs)) / 2 > 0.5).float()


@mutant("ai_preference", names="a vote")
def vote(logprobs, swapped_logprobs):
    first, second = both(logprobs, swapped_logprobs)
    return ((first > 0.5).float() + (second > 0.5).float()) / 2


@mutant("ai_preference", names="log-probability")
def nats(logprobs, swapped_logprobs):
    return (logprobs.detach()[:, 0] + swapped_logprobs.detach()[:, 1]) / 2


@mutant("ai_preference", names="difference of log-probabilities")
def differences(logprobs, swapped_logprobs):
    first, second = logprobs.detach(), swapped_logprobs.detach()
    return (first[:, 0] - first[:, 1] + second[:, 1] - second[:, 0]) / 2


@mutant("ai_preference", names="pooled")
def pooled(logprobs, swapped_logprobs):
    p = logprobs.detach().exp() + swapped_logprobs.detach().exp().flip(-1)
    return p[:, 0] / p.sum(-1)


@mutant("ai_preference", names="runs over the answers")
def softmax_over_answers(logprobs, swapped_logprobs):
    return (logprobs.detach().softmax(0)[:, 0] + swapped_logprobs.detach().softmax(0)[:, 1]) / 2


@mutant("ai_preference", names="nan")
def exp_and_divide(logprobs, swapped_logprobs):
    first, second = logprobs.detach().exp(), swapped_logprobs.detach().exp()
    return (first[:, 0] / first.sum(-1) + second[:, 1] / second.sum(-1)) / 2


@mutant("ai_preference", names="a label is data")
def with_a_gradient(logprobs, swapped_logprobs):
    return (logprobs.softmax(-1)[:, 0] + swapped_logprobs.softmax(-1)[:, 1]) / 2


@mutant("ai_preference", names="shape")
def mean_over_pairs(logprobs, swapped_logprobs):
    return torch.stack(both(logprobs, swapped_logprobs)).mean()
