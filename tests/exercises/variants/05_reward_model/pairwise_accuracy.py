"""Right solutions of pairwise_accuracy that look different."""

import torch

from minillm.course.testing import variant


@variant("pairwise_accuracy")
def pair_by_pair(chosen, rejected):
    points = 0.0
    for w, l in zip(chosen.tolist(), rejected.tolist()):
        points += 1.0 if w > l else 0.5 if w == l else 0.0
    return points / len(chosen)


@variant("pairwise_accuracy")
def sign_moved_to_zero_and_one(chosen, rejected):
    return (torch.sign(chosen - rejected).double().mean() + 1) / 2


@variant("pairwise_accuracy")
def mean_of_both_comparisons(chosen, rejected):
    return ((chosen > rejected).sum().item() + (chosen >= rejected).sum().item()) / (2 * chosen.numel())


@variant("pairwise_accuracy")
def heaviside_in_float32(chosen, rejected):
    return torch.heaviside((chosen - rejected).float(), torch.tensor(0.5)).mean()
