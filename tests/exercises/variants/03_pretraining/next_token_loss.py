"""Right solutions of next_token_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("next_token_loss")
def with_gather(logits, tokens, mask=None):
    logprobs = torch.log_softmax(logits[:, :-1], dim=-1)
    nats = -logprobs.gather(2, tokens[:, 1:].unsqueeze(2))[..., 0]
    weights = torch.ones_like(nats) if mask is None else mask[:, 1:].type_as(nats)
    return torch.sum(weights * nats) / weights.sum()


@variant("next_token_loss")
def with_logsumexp_in_float64(logits, tokens, mask=None):
    logits = logits.double()[:, :-1]
    nats = logits.logsumexp(-1) - logits.gather(-1, tokens[:, 1:, None])[..., 0]
    return nats[mask[:, 1:].bool()].mean() if mask is not None else nats.mean()


@variant("next_token_loss")
def with_ignore_index(logits, tokens, mask=None):
    targets = tokens[:, 1:].clone()
    if mask is not None:
        targets[mask[:, 1:] == 0] = -100
    return F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-100)


@variant("next_token_loss")
def with_loops(logits, tokens, mask=None):
    total, count = 0.0, 0
    for b in range(tokens.shape[0]):
        for t in range(tokens.shape[1] - 1):
            if mask is None or mask[b, t + 1]:
                total = total - F.log_softmax(logits[b, t], dim=0)[tokens[b, t + 1]]
                count += 1
    return total / count


@variant("next_token_loss")
def with_one_hot(logits, tokens, mask=None):
    hot = F.one_hot(tokens[:, 1:], logits.shape[-1]).to(logits.dtype)
    weight = hot if mask is None else hot * mask[:, 1:, None].to(logits.dtype)
    return -torch.einsum("btv,btv->", weight, logits[:, :-1].log_softmax(-1)) / weight.sum()
