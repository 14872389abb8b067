"""Right solutions of exact_policy_gradient that look different."""

import torch

from minillm.course.testing import variant


@variant("exact_policy_gradient")
def autograd_of_j(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    p = (leaf.log_softmax(-1)[rows, sequences] * mask).sum(1).exp()
    (p * rewards).sum().backward()
    return leaf.grad


@variant("exact_policy_gradient")
def autograd_of_the_input_itself(table, rows, sequences, mask, rewards):
    table = table.requires_grad_()
    p = torch.where(mask.bool(), table.softmax(1)[rows, sequences], 1.0).prod(1)
    return torch.autograd.grad((p * rewards).sum(), table)[0]


@variant("exact_policy_gradient")
def token_by_token(table, rows, sequences, mask, rewards):
    ps, gradient = table.detach().softmax(-1).double(), torch.zeros(table.shape, dtype=torch.float64)
    for s in range(len(rewards)):
        real = [(rows[s, t].item(), sequences[s, t].item()) for t in range(mask.shape[1]) if mask[s, t]]
        p = 1.0
        for row, token in real:
            p = p * ps[row, token]
        for row, token in real:
            gradient[row] -= p * rewards[s] * ps[row]
            gradient[row, token] += p * rewards[s]
    return gradient


@variant("exact_policy_gradient")
def accumulating_index_put(table, rows, sequences, mask, rewards):
    table, keep = table.detach(), mask.bool()
    logprobs = table.log_softmax(-1)
    weight = (logprobs[rows, sequences].masked_fill(~keep, 0.0).sum(1).exp() * rewards).to(table.dtype)
    weight = weight[:, None].expand(rows.shape)[keep]
    gradient = torch.zeros_like(table)
    gradient.index_put_((rows[keep], sequences[keep]), weight, accumulate=True)
    met = torch.zeros(len(table), dtype=table.dtype).scatter_add(0, rows[keep], weight)
    return gradient - met[:, None] * logprobs.exp()


@variant("exact_policy_gradient")
def with_a_baseline(table, rows, sequences, mask, rewards):
    table = table.detach().double()
    p = (table.log_softmax(-1)[rows, sequences] * mask).sum(1).exp()
    advantages = rewards - (p * rewards).sum()
    onehot = torch.eye(table.shape[1], dtype=table.dtype)[sequences]
    each = (onehot - table.softmax(-1)[rows]) * mask[..., None]
    place = torch.nn.functional.one_hot(rows, len(table)).double()
    return torch.einsum("s,slv,slr->rv", p * advantages, each, place)


@variant("exact_policy_gradient")
def by_prefix_values(table, rows, sequences, mask, rewards):
    """d J / d logit = P(row met) pi(v) (Q(v) - V), from sums over the sequences that meet a row."""
    table, keep = table.detach().double(), mask.bool()
    pi = table.softmax(-1)
    worth = (table.log_softmax(-1)[rows, sequences] * mask).sum(1).exp() * rewards
    worth = worth[:, None].expand(rows.shape)[keep].double()
    flat = rows[keep] * table.shape[1] + sequences[keep]
    taken = torch.bincount(flat, worth, table.numel()).view(table.shape)
    return taken - pi * taken.sum(1, keepdim=True)
