"""Wrong solutions of bradley_terry_loss."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


@mutant("bradley_terry_loss", names="swapped")
def swapped(chosen, rejected):
    return -F.logsigmoid(rejected - chosen).mean()


@mutant("bradley_terry_loss", names="rounded to 0")
def log_of_sigmoid(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected)).mean()


@mutant("bradley_terry_loss", names="float64 only moves the place")
def log_of_sigmoid_in_float64(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen.double() - rejected.double())).mean()


@mutant("bradley_terry_loss", names="epsilon")
def log_of_sigmoid_plus_epsilon(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected) + 1e-8).mean()


@mutant("bradley_terry_loss", names="epsilon")
def clamped_sigmoid(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected).clamp(min=1e-12)).mean()


@mutant("bradley_terry_loss", names="clamp")
def clamped_margin(chosen, rejected):
    return -F.logsigmoid((chosen - rejected).clamp(-50, 50)).mean()


@mutant("bradley_terry_loss", names="overflow")
def log_of_one_plus_exp(chosen, rejected):
    return torch.log(1 + torch.exp(rejected - chosen)).mean()


@mutant("bradley_terry_loss", names="the sum over the pairs")
def sums(chosen, rejected):
    return -F.logsigmoid(chosen - rejected).sum()


@mutant("bradley_terry_loss", names="loss of each pair")
def not_reduced(chosen, rejected):
    return -F.logsigmoid(chosen - rejected)


@mutant("bradley_terry_loss", names="minus is missing")
def without_the_minus(chosen, rejected):
    return F.logsigmoid(chosen - rejected).mean()


@mutant("bradley_terry_loss", names="log is missing")
def without_the_log(chosen, rejected):
    return -torch.sigmoid(chosen - rejected).mean()


@mutant("bradley_terry_loss", names="log is missing")
def one_minus_the_probability(chosen, rejected):
    return (1 - torch.sigmoid(chosen - rejected)).mean()


@mutant("bradley_terry_loss", names="before they are compared")
def sigmoid_head(chosen, rejected):
    return -F.logsigmoid(torch.sigmoid(chosen) - torch.sigmoid(rejected)).mean()


@mutant("bradley_terry_loss", names="each score is taken alone")
def binary_cross_entropy_of_each(chosen, rejected):
    good = F.binary_cross_entropy_with_logits(chosen, torch.ones_like(chosen))
    bad = F.binary_cross_entropy_with_logits(rejected, torch.zeros_like(rejected))
    return good + bad


@mutant("bradley_terry_loss", names="logsigmoid of each score")
def difference_of_logsigmoids(chosen, rejected):
    return -(F.logsigmoid(chosen) - F.logsigmoid(rejected)).mean()


@mutant("bradley_terry_loss", names="averaged first")
def margin_of_means(chosen, rejected):
    return -F.logsigmoid(chosen.mean() - rejected.mean())


@mutant("bradley_terry_loss", names="log is taken of the mean probability")
def log_of_the_mean(chosen, rejected):
    return -torch.log(torch.sigmoid(chosen - rejected).mean())


@mutant("bradley_terry_loss", names="every chosen answer is compared with every rejected one")
def all_against_all(chosen, rejected):
    return -F.logsigmoid(chosen[:, None] - rejected[None, :]).mean()


@mutant("bradley_terry_loss", names="over the batch")
def softmax_over_the_batch(chosen, rejected):
    return -chosen.log_softmax(0).mean()


@mutant("bradley_terry_loss", names="hinge")
def hinge(chosen, rejected):
    return (1 - (chosen - rejected)).clamp(min=0).mean()


@mutant("bradley_terry_loss", names="bits")
def in_bits(chosen, rejected):
    return -(F.logsigmoid(chosen - rejected) / torch.log(torch.tensor(2.0))).mean()


@mutant("bradley_terry_loss", names="no gradient reaches")
def item_of_the_loss(chosen, rejected):
    return -F.logsigmoid(chosen - rejected).mean().item()


@mutant("bradley_terry_loss", names="rejected")
def rejected_detached(chosen, rejected):
    return -F.logsigmoid(chosen - rejected.detach()).mean()
