"""Right solutions of sequence_logprobs that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("sequence_logprobs")
def with_cross_entropy(logits, tokens, mask):
    losses = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return -(losses * mask[:, 1:].float()).sum(dim=-1)


@variant("sequence_logprobs")
def ignored_targets(logits, tokens, mask):
    targets = tokens[:, 1:].masked_fill(~mask[:, 1:].bool(), -100)
    return -F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, reduction="none", ignore_index=-100).sum(1)


@variant("sequence_logprobs")
def logit_minus_logsumexp(logits, tokens, mask):
    B, T, _ = logits.shape
    x = logits[:, : T - 1]
    said = x[torch.arange(B)[:, None], torch.arange(T - 1), tokens[:, 1:]] - torch.logsumexp(x, dim=2)
    return torch.where(mask[:, 1:] != 0, said, 0.0).sum(1)


@variant("sequence_logprobs")
def by_loops(logits, tokens, mask):
    sums = []
    for row, ids, marks in zip(logits, tokens, mask):
        total = row.sum() * 0
        for t in range(1, len(ids)):
            if marks[t]:
                total = total + row[t - 1].log_softmax(0)[ids[t]]
        sums.append(total)
    return torch.stack(sums)


@variant("sequence_logprobs")
def one_hot_einsum_in_float64(logits, tokens, mask):
    one_hot = F.one_hot(tokens, logits.shape[-1]).double()[:, 1:]
    return torch.einsum("btv,btv,bt->b", logits.double().log_softmax(-1)[:, :-1], one_hot, mask.double()[:, 1:])


@variant("sequence_logprobs")
def zero_in_front(logits, tokens, mask):
    said = torch.distributions.Categorical(logits=logits[:, :-1]).log_prob(tokens[:, 1:])
    return (F.pad(said, (1, 0)) * mask).sum(1)


@variant("sequence_logprobs")
def difference_of_running_sums(logits, tokens, mask):
    said = torch.take_along_dim(logits.log_softmax(-1)[:, :-1], tokens[:, 1:, None], dim=2)[..., 0]
    return said.masked_fill(mask[:, 1:] == 0, 0).cumsum(1)[:, -1]
