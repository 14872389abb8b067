"""Right solutions of token_gradients that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("token_gradients")
def chain_rule_by_hand(model, tokens, suffix, target):
    x = model.embed(torch.cat((tokens, target))[None]).detach().requires_grad_()
    logits = model.logits(model.from_embeddings(x))[:, len(tokens) - 1 : len(tokens) + len(target) - 1]
    loss = F.cross_entropy(logits[0], target)
    (found,) = torch.autograd.grad(loss, x)
    return found[0, suffix] @ model.embed.weight.detach().T


@variant("token_gradients")
def only_the_suffix_is_one_hot(model, tokens, suffix, target):
    weight = model.embed.weight
    rows = torch.zeros(suffix.stop - suffix.start, weight.shape[0], dtype=weight.dtype)
    rows.scatter_(1, tokens[suffix].unsqueeze(1), 1.0)
    rows.requires_grad_()
    fixed = model.embed(torch.cat([tokens, target])).detach()
    x = torch.cat([fixed[: suffix.start], rows @ weight, fixed[suffix.stop :]]).unsqueeze(0)
    logits = model.logits(model.from_embeddings(x)).squeeze(0)
    first = tokens.numel() - 1
    loss = torch.stack([torch.logsumexp(logits[first + j], 0) - logits[first + j, y] for j, y in enumerate(target)])
    return torch.autograd.grad(loss.mean(), [rows])[0].clone()


@variant("token_gradients")
def last_target_token_not_read(model, tokens, suffix, target):
    E = model.embed.weight.detach()
    read = torch.cat((tokens, target[:-1]))
    one_hot = torch.eye(len(E))[read].requires_grad_(True)
    logits = model.logits(model.from_embeddings(one_hot.matmul(E).unsqueeze(0)))
    loss = F.cross_entropy(logits[0, -len(target) :], target, reduction="sum") / len(target)
    return torch.autograd.grad(loss, one_hot)[0][suffix]


@variant("token_gradients")
def backward_and_cleaned(model, tokens, suffix, target):
    E, T = model.embed.weight, len(tokens)
    one_hot = F.one_hot(torch.cat((tokens, target)), len(E)).to(E)
    one_hot.requires_grad = True
    logprobs = F.log_softmax(model.logits(model.from_embeddings((one_hot @ E)[None])), dim=-1)
    loss = -logprobs[0, torch.arange(T - 1, T - 1 + len(target)), target].mean()
    loss.backward()
    model.zero_grad()
    return one_hot.grad[:T][suffix].detach().clone()


@variant("token_gradients")
def in_double_precision(model, tokens, suffix, target):
    from copy import deepcopy

    model = deepcopy(model).double()
    E = model.embed.weight.detach()
    x = E[torch.cat((tokens, target))].requires_grad_()
    logits = model.logits(model.from_embeddings(x[None]))[0, len(tokens) - 1 : -1]
    loss = F.nll_loss(logits.log_softmax(-1), target)
    return torch.einsum("sd,vd->sv", torch.autograd.grad(loss, x)[0][suffix], E)
