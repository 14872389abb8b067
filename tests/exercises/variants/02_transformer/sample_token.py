"""Right solutions of sample_token that look different."""

import torch

from minillm.course.testing import variant


@variant("sample_token")
def in_sorted_order(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return torch.argmax(logits, dim=-1)
    probs, order = torch.softmax(logits / temperature, dim=-1).sort(dim=-1, descending=True)
    if top_k is not None:
        probs = probs * (torch.arange(probs.shape[1]) < top_k)
        probs = probs / probs.sum(-1, keepdim=True)
    if top_p is not None:
        probs = probs * (probs.cumsum(-1) - probs < top_p)
        probs = probs / probs.sum(-1, keepdim=True)
    return order.gather(1, torch.multinomial(probs, 1, generator=generator)).view(-1)


@variant("sample_token")
def row_by_row(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return torch.stack([row.argmax() for row in logits])
    drawn = []
    for row in logits.div(temperature).softmax(-1).tolist():
        ranked = sorted(range(len(row)), key=lambda token: -row[token])[:top_k]
        total, held, kept = sum(row[token] for token in ranked), 0.0, []
        for token in ranked:
            if top_p is None or held < top_p * total:
                kept.append(token)
                held += row[token]
        place = torch.rand((), generator=generator).item() * held
        while len(kept) > 1 and place > row[kept[0]]:
            place -= row[kept.pop(0)]
        drawn.append(kept[0])
    return torch.tensor(drawn)


@variant("sample_token")
def gumbel_maximum(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.max(dim=1).indices
    logprobs = torch.log_softmax(logits.double() / temperature, -1)
    if top_k is not None:
        edge = logprobs.kthvalue(max(1, logprobs.shape[1] - top_k + 1)).values[:, None]
        logprobs = logprobs.where(logprobs >= edge, torch.tensor(-torch.inf).double()).log_softmax(-1)
    if top_p is not None:
        ahead = logprobs[:, None, :] > logprobs[:, :, None]  # is the second likelier than the first?
        before = (ahead * logprobs.exp()[:, None, :]).sum(-1)
        logprobs = logprobs.masked_fill(before >= top_p, -torch.inf)
    noise = torch.rand(logprobs.shape, generator=generator, dtype=torch.float64).clamp(min=1e-30)
    return (logprobs - (-noise.log()).log()).argmax(-1)


@variant("sample_token")
def shifted_mask(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 1e-8:
        return logits.argmax(-1)
    logits = logits.clone() / temperature
    if top_k and top_k < logits.size(-1):
        keep = torch.zeros_like(logits).scatter(1, logits.topk(top_k, dim=-1).indices, 1.0)
        logits[keep == 0] = torch.finfo(logits.dtype).min
    if top_p is not None and top_p < 1.0:
        ranked, order = torch.sort(logits, descending=True)
        remove = ranked.softmax(-1).cumsum(-1) > top_p
        remove[:, 1:] = remove[:, :-1].clone()
        remove[:, 0] = False
        logits[remove.scatter(1, order, remove)] = float("-inf")
    return (
        torch.distributions.Categorical(logits=logits).sample()
        if generator is None
        else torch.multinomial(
            torch.exp(logits - logits.logsumexp(-1, keepdim=True)), num_samples=1, generator=generator
        ).flatten()
    )
