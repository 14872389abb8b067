"""Wrong solutions of next_token_loss: what students write, and the word that the message must hold."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def nats_of(logits, targets):
    return -logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)


def averaged(nats, mask):
    return nats.mean() if mask is None else (nats * mask).sum() / mask.sum()


@mutant("next_token_loss", names="not shifted")
def no_shift(logits, tokens, mask=None):
    return averaged(nats_of(logits, tokens), mask)


@mutant("next_token_loss", names="not shifted")
def no_shift_but_cut(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, :-1], tokens[:, :-1]), None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="wrong way")
def predicts_the_past(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, 1:], tokens[:, :-1]), None if mask is None else mask[:, :-1])


@mutant("next_token_loss", names="wrong way")
def predicts_the_past_with_the_readers_mask(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, 1:], tokens[:, :-1]), None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="two")
def shifted_twice(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, :-2], tokens[:, 2:]), None if mask is None else mask[:, 2:])


@mutant("next_token_loss", names="rolled")
def rolled_targets(logits, tokens, mask=None):
    return averaged(nats_of(logits, tokens.roll(-1, 1)), None if mask is None else mask.roll(-1, 1))


@mutant("next_token_loss", names="mask is ignored")
def ignores_the_mask(logits, tokens, mask=None):
    return nats_of(logits[:, :-1], tokens[:, 1:]).mean()


@mutant("next_token_loss", names="position that reads")
def mask_not_shifted(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, :-1], tokens[:, 1:]), None if mask is None else mask[:, :-1])


@mutant("next_token_loss", names="each row is averaged first")
def mean_of_row_means(logits, tokens, mask=None):
    nats = nats_of(logits[:, :-1], tokens[:, 1:])
    mask = torch.ones_like(nats) if mask is None else mask[:, 1:].to(nats.dtype)
    has = mask.sum(1) > 0
    return ((nats * mask).sum(1)[has] / mask.sum(1)[has]).mean()


@mutant("next_token_loss", names="ignore_index=0")
def ignore_index_zero(logits, tokens, mask=None):
    targets = tokens[:, 1:] if mask is None else tokens[:, 1:] * mask[:, 1:].long()
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), ignore_index=0)


@mutant("next_token_loss", names="all positions")
def divides_by_all_positions(logits, tokens, mask=None):
    nats = nats_of(logits[:, :-1], tokens[:, 1:])
    return nats.mean() if mask is None else (nats * mask[:, 1:]).mean()


@mutant("next_token_loss", names="whole mask")
def divides_by_the_whole_mask(logits, tokens, mask=None):
    nats = nats_of(logits[:, :-1], tokens[:, 1:])
    return nats.mean() if mask is None else (nats * mask[:, 1:]).sum() / mask.sum()


@mutant("next_token_loss", names="not divided")
def sums(logits, tokens, mask=None):
    nats = nats_of(logits[:, :-1], tokens[:, 1:])
    return (nats if mask is None else nats * mask[:, 1:]).sum()


@mutant("next_token_loss", names="sign is flipped")
def negated(logits, tokens, mask=None):
    return -averaged(nats_of(logits[:, :-1], tokens[:, 1:]), None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="bits")
def in_bits(logits, tokens, mask=None):
    mask = None if mask is None else mask[:, 1:]
    return averaged(nats_of(logits[:, :-1], tokens[:, 1:]), mask) / torch.tensor(2.0).log()


@mutant("next_token_loss", names="log_softmax")
def log_of_softmax(logits, tokens, mask=None):
    probabilities = logits[:, :-1].softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return averaged(-probabilities.log(), None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="taken twice")
def softmax_before_cross_entropy(logits, tokens, mask=None):
    return averaged(nats_of(logits[:, :-1].softmax(-1), tokens[:, 1:]), None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="over positions")
def softmax_over_positions(logits, tokens, mask=None):
    nats = -logits[:, :-1].log_softmax(1).gather(-1, tokens[:, 1:, None]).squeeze(-1)
    return averaged(nats, None if mask is None else mask[:, 1:])


@mutant("next_token_loss", names="no gradient")
def detached(logits, tokens, mask=None):
    return averaged(nats_of(logits.detach()[:, :-1], tokens[:, 1:]), None if mask is None else mask[:, 1:])
