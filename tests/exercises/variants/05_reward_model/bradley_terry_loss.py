"""Right solutions of bradley_terry_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("bradley_terry_loss")
def softplus_of_minus(chosen, rejected):
    return F.softplus(rejected - chosen).sum() / chosen.shape[0]


@variant("bradley_terry_loss")
def binary_cross_entropy_of_the_margin(chosen, rejected):
    margin = chosen - rejected
    return F.binary_cross_entropy_with_logits(margin, torch.ones_like(margin))


@variant("bradley_terry_loss")
def cross_entropy_of_the_pair(chosen, rejected):
    return F.cross_entropy(torch.stack((chosen, rejected), 1), torch.zeros(len(chosen), dtype=torch.long))


@variant("bradley_terry_loss")
def logaddexp_in_float64(chosen, rejected):
    chosen, rejected = chosen.double(), rejected.double()
    return (torch.logaddexp(chosen, rejected) - chosen).mean()


@variant("bradley_terry_loss")
def pair_by_pair(chosen, rejected):
    losses = [-F.logsigmoid(w - l) for w, l in zip(chosen, rejected)]
    return sum(losses) / len(losses)


@variant("bradley_terry_loss")
def keeps_a_dimension_inside(chosen, rejected):
    return -torch.stack((chosen, rejected)).log_softmax(dim=0)[0].mean()
