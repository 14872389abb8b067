"""Right solutions of weighted_reward that look different."""

import torch

from minillm.course.testing import variant


@variant("weighted_reward")
def model_by_model(scores, weights, mean, std):
    if min(weights.tolist()) < 0 or max(weights.tolist()) == 0:
        raise ValueError("weights must be at least 0, and one of them above")
    if min(std.tolist()) <= 0:
        raise ValueError("std must be above 0")
    total = torch.zeros(len(scores), dtype=scores.dtype)
    for k, weight in enumerate(weights.tolist()):
        if weight:
            total = total + weight * (scores[:, k] - mean[k]) / std[k]
    return total / float(weights.sum())


@variant("weighted_reward")
def masked_einsum(scores, weights, mean, std):
    if torch.any(weights < 0) or weights.sum() <= 0 or torch.any(std <= 0):
        raise ValueError("weights below 0 or all 0, or std not above 0")
    x = torch.where(weights > 0, scores, mean).double()
    shares = (weights / weights.sum()).double()
    return torch.einsum("nk,k->n", (x - mean) / std, shares)


@variant("weighted_reward")
def linear_function(scores, weights, mean, std):
    """slope @ x - constant, the same for every answer."""
    if (weights.double() < 0).any() or not weights.any() or not (std > 0).all():
        raise ValueError(f"cannot use weights {weights} and std {std}")
    slope = weights.double() / weights.double().sum() / std.double()
    constant = (slope * mean.double()).sum()
    return scores.double().masked_fill(weights == 0, 0.0) @ slope - constant


@variant("weighted_reward")
def indices_of_the_heard(scores, weights, mean, std):
    if (weights < 0).sum() > 0:
        raise ValueError("negative weight")
    heard = weights.nonzero().flatten()
    if heard.numel() == 0:
        raise ValueError("no weight")
    if (std <= 0).sum() > 0:
        raise ValueError("std")
    w = weights.index_select(0, heard).to(scores.dtype)
    z = (scores.index_select(1, heard) - mean.index_select(0, heard)).div(std.index_select(0, heard))
    return torch.nn.functional.linear(z, w[None] / w.sum()).squeeze(-1)


@variant("weighted_reward")
def answer_by_answer(scores, weights, mean, std):
    if bool((weights < 0).any() | (weights == 0).all() | (std <= 0).any()):
        raise ValueError("weights or std")
    on = weights > 0
    return torch.stack([((x[on] - mean[on]) / std[on] * weights[on]).sum() / weights[on].sum() for x in scores])
