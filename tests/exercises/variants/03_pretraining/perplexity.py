"""Right solutions of perplexity that look different."""

import math

import torch
import torch.nn.functional as F

from minillm.course.exercises import reference
from minillm.course.testing import variant


@variant("perplexity")
@torch.no_grad()
def decorated_and_with_the_loss(model, batches):
    next_token_loss = reference("next_token_loss")
    total = count = 0
    for tokens, mask in batches:
        mask = torch.ones_like(tokens) if mask is None else mask
        n = mask[:, 1:].sum()
        total = total + n * next_token_loss(model(tokens), tokens, mask)
        count = count + n
    return torch.exp(total / count)


@variant("perplexity")
def token_by_token(model, batches):
    nats = []
    with torch.inference_mode():
        for tokens, mask in batches:
            logprobs = model(tokens).double().log_softmax(-1)
            for b in range(tokens.shape[0]):
                for t in range(1, tokens.shape[1]):
                    if mask is None or mask[b, t]:
                        nats.append(-logprobs[b, t - 1, tokens[b, t]].item())
    return math.exp(sum(nats) / len(nats))


@variant("perplexity")
def with_cross_entropy_sums_in_bits(model, batches):
    was_training = model.training
    model.eval()
    bits, count = 0.0, 0
    for tokens, mask in batches:
        with torch.no_grad():
            logits = model(tokens)[:, :-1]
        targets = tokens[:, 1:].clone()
        if mask is not None:
            targets[~mask[:, 1:].bool()] = -1
        bits += F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1, reduction="sum") / math.log(2)
        count += (targets != -1).sum()
    model.train(was_training)
    return 2 ** (bits / count).item()


@variant("perplexity")
def as_a_geometric_mean(model, batches):
    next_token_loss = reference("next_token_loss")
    torch.set_grad_enabled(False)
    counts = [tokens.shape[0] * (tokens.shape[1] - 1) if m is None else int(m[:, 1:].sum()) for tokens, m in batches]
    means = [math.exp(next_token_loss(model(tokens), tokens, mask)) for tokens, mask in batches]
    torch.set_grad_enabled(True)
    return math.prod(mean ** (n / sum(counts)) for mean, n in zip(means, counts))
