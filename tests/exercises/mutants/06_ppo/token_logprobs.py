"""Wrong solutions of token_logprobs."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def picked(table, tokens):
    return table.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


@mutant("token_logprobs", names="against its own token")
def not_shifted(logits, tokens):
    return picked(logits.log_softmax(-1)[:, :-1], tokens[:, :-1])


@mutant("token_logprobs", names="against its own token")
def first_one_dropped(logits, tokens):
    return picked(logits.log_softmax(-1), tokens)[:, 1:]


@mutant("token_logprobs", names="against its own token")
def all_positions(logits, tokens):
    return picked(logits.log_softmax(-1), tokens)


@mutant("token_logprobs", names="wrong way")
def shifted_the_wrong_way(logits, tokens):
    return picked(logits.log_softmax(-1)[:, 1:], tokens[:, :-1])


@mutant("token_logprobs", names="rolled")
def rolled(logits, tokens):
    return picked(logits.log_softmax(-1), tokens.roll(-1, 1))


@mutant("token_logprobs", names="zero stands in front")
def padded_in_front(logits, tokens):
    return F.pad(picked(logits.log_softmax(-1)[:, :-1], tokens[:, 1:]), (1, 0))


@mutant("token_logprobs", names="sign is flipped")
def a_loss(logits, tokens):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")


@mutant("token_logprobs", names="the loss is averaged")
def mean_loss(logits, tokens):
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


@mutant("token_logprobs", names="token 0 is skipped")
def token_0_ignored(logits, tokens):
    return -F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none", ignore_index=0)


@mutant("token_logprobs", names="log is missing")
def probabilities(logits, tokens):
    return picked(logits[:, :-1].softmax(-1), tokens[:, 1:])


@mutant("token_logprobs", names="normalisation is missing")
def raw_logits(logits, tokens):
    return picked(logits[:, :-1], tokens[:, 1:])


@mutant("token_logprobs", names="over the positions")
def softmax_over_positions(logits, tokens):
    return picked(logits[:, :-1].log_softmax(1), tokens[:, 1:])


@mutant("token_logprobs", names="over the batch")
def softmax_over_the_batch(logits, tokens):
    return picked(logits.log_softmax(0)[:, :-1], tokens[:, 1:])


@mutant("token_logprobs", names="before its logarithm was taken")
def log_of_softmax(logits, tokens):
    return picked(logits[:, :-1].softmax(-1).log(), tokens[:, 1:])


@mutant("token_logprobs", names="before its logarithm was taken")
def log_of_softmax_in_float64(logits, tokens):
    return picked(logits[:, :-1].double().softmax(-1).log(), tokens[:, 1:])


@mutant("token_logprobs", names="cuts it short")
def log_of_softmax_plus_epsilon(logits, tokens):
    return picked((logits[:, :-1].softmax(-1) + 1e-10).log(), tokens[:, 1:])


@mutant("token_logprobs", names="cuts it short")
def clamped(logits, tokens):
    return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:]).clamp(min=-100)


@mutant("token_logprobs", names="an exp overflowed")
def exp_without_maximum(logits, tokens):
    return picked(logits[:, :-1], tokens[:, 1:]) - logits[:, :-1].exp().sum(-1).log()


@mutant("token_logprobs", names="likeliest token")
def of_the_likeliest(logits, tokens):
    return logits[:, :-1].log_softmax(-1).max(-1).values


@mutant("token_logprobs", names="added up over the row")
def summed(logits, tokens):
    return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:]).sum(1)


@mutant("token_logprobs", names="averaged over all")
def averaged(logits, tokens):
    return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:]).mean()


@mutant("token_logprobs", names="pick that of the one that came")
def not_picked(logits, tokens):
    return logits[:, :-1].log_softmax(-1)


@mutant("token_logprobs", names="tokens of the first row")
def tokens_of_the_first_row(logits, tokens):
    nats = logits[:, :-1].log_softmax(-1)
    return nats[:, torch.arange(nats.shape[1]), tokens[0, 1:]]


@mutant("token_logprobs", names="base 2")
def in_bits(logits, tokens):
    return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:]) / torch.log(torch.tensor(2.0))


@mutant("token_logprobs", names="no gradient reaches")
def without_gradient(logits, tokens):
    with torch.no_grad():
        return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:])


@mutant("token_logprobs", names="no gradient reaches")
def result_made_of_numbers(logits, tokens):
    nats = picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:])
    return torch.tensor(nats.tolist(), requires_grad=True)


@mutant("token_logprobs", names="gradient of logits")
def normaliser_detached(logits, tokens):
    x = logits[:, :-1]
    return picked(x, tokens[:, 1:]) - x.detach().logsumexp(-1)
