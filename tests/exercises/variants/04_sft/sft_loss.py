"""Right solutions of sft_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("sft_loss")
def picking_counted_positions(logits, tokens, mask):
    counted = mask[:, 1:].bool()
    return F.cross_entropy(logits[:, :-1][counted], tokens[:, 1:][counted])


@variant("sft_loss")
def with_minus_100(logits, tokens, mask):
    targets = tokens[:, 1:].masked_fill(mask[:, 1:] == 0, -100)
    return F.cross_entropy(logits[:, :-1].reshape(-1, logits.shape[-1]), targets.reshape(-1), ignore_index=-100)


@variant("sft_loss")
def with_logsumexp_in_float64(logits, tokens, mask):
    logits, targets = logits[:, :-1].double(), tokens[:, 1:]
    nats = logits.logsumexp(-1) - logits.gather(2, targets.unsqueeze(2)).squeeze(2)
    weights = mask[:, 1:].double()
    return torch.einsum("bt,bt->", nats, weights) / weights.sum()


@variant("sft_loss")
def row_by_row(logits, tokens, mask):
    total, count = 0.0, 0
    for row, ids, keep in zip(logits.log_softmax(-1), tokens, mask.bool()):
        for t in range(1, len(ids)):
            if keep[t]:
                total, count = total - row[t - 1, ids[t]], count + 1
    return total / count
