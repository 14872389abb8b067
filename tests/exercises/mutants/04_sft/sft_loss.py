"""Wrong solutions of sft_loss: what students write, and the word that the message must hold."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def nats_of(logits, targets):
    return -logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)


def averaged(nats, mask):
    mask = mask.to(nats.dtype)
    return (nats * mask).sum() / mask.sum()


@mutant("sft_loss", names="mask is ignored")
def trains_on_prompts(logits, tokens, mask):
    return nats_of(logits[:, :-1], tokens[:, 1:]).mean()


@mutant("sft_loss", names="position that reads")
def mask_not_shifted(logits, tokens, mask):
    return averaged(nats_of(logits[:, :-1], tokens[:, 1:]), mask[:, :-1])


@mutant("sft_loss", names="targets are not shifted")
def nothing_shifted(logits, tokens, mask):
    return averaged(nats_of(logits, tokens), mask)


@mutant("sft_loss", names="only the mask is")
def only_the_mask_shifted(logits, tokens, mask):
    return averaged(nats_of(logits[:, :-1], tokens[:, :-1]), mask[:, 1:])


@mutant("sft_loss", names="wrong way")
def predicts_the_past(logits, tokens, mask):
    return averaged(nats_of(logits[:, 1:], tokens[:, :-1]), mask[:, :-1])


@mutant("sft_loss", names="each answer is averaged first")
def mean_of_row_means(logits, tokens, mask):
    nats, mask = nats_of(logits[:, :-1], tokens[:, 1:]), mask[:, 1:].to(logits.dtype)
    has = mask.sum(1) > 0
    return ((nats * mask).sum(1)[has] / mask.sum(1)[has]).mean()


@mutant("sft_loss", names="number of rows")
def sum_over_rows(logits, tokens, mask):
    return (nats_of(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum() / len(tokens)


@mutant("sft_loss", names="ignore_index=0")
def ignore_index_zero(logits, tokens, mask):
    targets = tokens[:, 1:] * mask[:, 1:].long()
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=0)


@mutant("sft_loss", names="all positions")
def divides_by_all_positions(logits, tokens, mask):
    return (nats_of(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).mean()


@mutant("sft_loss", names="whole mask")
def divides_by_the_whole_mask(logits, tokens, mask):
    return (nats_of(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum() / mask.sum()


@mutant("sft_loss", names="turned round")
def trains_on_prompts_alone(logits, tokens, mask):
    return averaged(nats_of(logits[:, :-1], tokens[:, 1:]), 1 - mask[:, 1:].to(logits.dtype))


@mutant("sft_loss", names="log v")
def zeroes_the_logits(logits, tokens, mask):
    logits = logits[:, :-1] * mask[:, 1:, None]
    return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


@mutant("sft_loss", names="softmax is taken twice")
def two_softmaxes(logits, tokens, mask):
    return averaged(nats_of(logits[:, :-1].softmax(-1), tokens[:, 1:]), mask[:, 1:])


@mutant("sft_loss", names="rounded to 0")
def log_of_softmax(logits, tokens, mask):
    probs = logits[:, :-1].softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return averaged(-probs.log(), mask[:, 1:])


@mutant("sft_loss", names="no gradient reaches")
def as_a_number(logits, tokens, mask):
    return torch.tensor(averaged(nats_of(logits[:, :-1], tokens[:, 1:]), mask[:, 1:]).item())
