"""Wrong solutions of log_softmax."""

import torch

from minillm.course.testing import mutant


@mutant("log_softmax", names="exp is taken of a large number")
def plain_formula(logits):
    return logits - logits.exp().sum(-1, keepdim=True).log()


@mutant("log_softmax", names="too small for a float")
def log_of_softmax(logits):
    return torch.softmax(logits, -1).log()


@mutant("log_softmax", names="large")
def log_of_own_softmax(logits):
    return (logits.exp() / logits.exp().sum(-1, keepdim=True)).log()


@mutant("log_softmax", names="first dimension")
def along_the_first_dimension(logits):
    return logits - torch.logsumexp(logits, 0, keepdim=True)


@mutant("log_softmax", names="second dimension")
def along_the_second_dimension(logits):
    return (
        logits - torch.logsumexp(logits, min(1, logits.ndim - 1), keepdim=True)
        if logits.ndim > 2
        else torch.log_softmax(logits, -1)
    )


@mutant("log_softmax", names="whole tensor")
def over_everything(logits):
    return logits - logits.flatten().logsumexp(0)


@mutant("log_softmax", names="one largest logit")
def one_maximum_for_all(logits):
    shifted = logits - logits.max()
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


@mutant("log_softmax", names="not from the logits themselves")
def maximum_not_added_back(logits):
    top = logits.amax(-1, keepdim=True)
    return logits - (logits - top).exp().sum(-1, keepdim=True).log()


@mutant("log_softmax", names="probabilities")
def forgets_the_log(logits):
    return torch.softmax(logits, -1)


@mutant("log_softmax", names="base 2")
def in_bits(logits):
    return torch.log_softmax(logits, -1) / torch.tensor(2.0).log()


@mutant("log_softmax", names="small number is added inside the log")
def with_epsilon(logits):
    return (torch.softmax(logits, -1) + 1e-8).log()


@mutant("log_softmax", names="nothing flows through the sum")
def detaches_the_sum(logits):
    return logits - torch.logsumexp(logits, -1, keepdim=True).detach()


@mutant("log_softmax", names="changes its input")
def in_place(logits):
    logits -= logits.amax(-1, keepdim=True)
    return logits - logits.exp().sum(-1, keepdim=True).log()


@mutant("log_softmax", names="no gradient reaches")
def through_numbers(logits):
    return torch.tensor(torch.log_softmax(logits, -1).tolist())


@mutant("log_softmax", names="sign is flipped")
def surprise(logits):
    return -torch.log_softmax(logits, -1)


@mutant("log_softmax", names=None)
def clamps_the_logits(logits):
    return torch.log_softmax(logits.clamp(-80.0, 80.0), -1)
