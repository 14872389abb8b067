"""Right solutions of token_logprobs that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("token_logprobs")
def with_cross_entropy(logits, tokens):
    return -F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


@variant("token_logprobs")
def logit_minus_logsumexp(logits, tokens):
    B, T, _ = logits.shape
    x, following = logits[:, : T - 1], tokens[:, 1:]
    said = x[torch.arange(B)[:, None], torch.arange(T - 1), following]
    return said - torch.logsumexp(x, dim=2)


@variant("token_logprobs")
def by_loops(logits, tokens):
    rows = []
    for row, ids in zip(logits, tokens):
        rows.append(torch.stack([row[t].log_softmax(0)[ids[t + 1]] for t in range(len(ids) - 1)]))
    return torch.stack(rows)


@variant("token_logprobs")
def one_hot_einsum_in_float64(logits, tokens):
    one_hot = F.one_hot(tokens[:, 1:], logits.shape[-1]).double()
    return torch.einsum("btv,btv->bt", logits.double().log_softmax(-1)[:, :-1], one_hot)


@variant("token_logprobs")
def categorical(logits, tokens):
    return torch.distributions.Categorical(logits=logits[:, :-1]).log_prob(tokens[:, 1:])


@variant("token_logprobs")
def subtract_the_maximum(logits, tokens):
    x = logits - logits.max(-1, keepdim=True).values.detach()
    nats = x - x.exp().sum(-1, keepdim=True).log()
    return torch.take_along_dim(nats[:, :-1], tokens[:, 1:, None], dim=2)[..., 0]
