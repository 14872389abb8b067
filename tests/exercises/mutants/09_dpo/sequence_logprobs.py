"""Wrong solutions of sequence_logprobs."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def picked(table, tokens):
    return table.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def each_token(logits, tokens):
    """(B, T - 1) nats of tokens[:, 1:]."""
    return picked(logits[:, :-1].log_softmax(-1), tokens[:, 1:])


@mutant("sequence_logprobs", names="mask is not shifted")
def mask_of_the_predicting_position(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, :-1]).sum(1)


@mutant("sequence_logprobs", names="mask is not shifted")
def zero_behind(logits, tokens, mask):
    return (F.pad(each_token(logits, tokens), (0, 1)) * mask).sum(1)


@mutant("sequence_logprobs", names="against its own token")
def not_shifted(logits, tokens, mask):
    return (picked(logits.log_softmax(-1), tokens) * mask).sum(1)


@mutant("sequence_logprobs", names="against its own token")
def first_one_dropped(logits, tokens, mask):
    return (picked(logits[:, 1:].log_softmax(-1), tokens[:, 1:]) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="wrong way")
def shifted_the_wrong_way(logits, tokens, mask):
    return (picked(logits[:, 1:].log_softmax(-1), tokens[:, :-1]) * mask[:, :-1]).sum(1)


@mutant("sequence_logprobs", names="are rolled")
def rolled(logits, tokens, mask):
    return (picked(logits.log_softmax(-1), tokens.roll(-1, 1)) * mask.roll(-1, 1)).sum(1)


@mutant("sequence_logprobs", names="tokens are rolled and the mask is not")
def only_the_tokens_rolled(logits, tokens, mask):
    return (picked(logits.log_softmax(-1), tokens.roll(-1, 1)) * mask).sum(1)


@mutant("sequence_logprobs", names="mask is ignored")
def without_the_mask(logits, tokens, mask):
    return each_token(logits, tokens).sum(1)


@mutant("sequence_logprobs", names="a mean over the answer's tokens")
def mean(logits, tokens, mask):
    mask = mask[:, 1:].float()
    return (each_token(logits, tokens) * mask).sum(1) / mask.sum(1).clamp(min=1)


@mutant("sequence_logprobs", names="nothing to divide by")
def mean_that_divides_by_0(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum(1) / mask[:, 1:].sum(1)


@mutant("sequence_logprobs", names="over all positions")
def mean_with_padding(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).mean(1)


@mutant("sequence_logprobs", names="sign is flipped")
def a_loss(logits, tokens, mask):
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none")
    return (nats * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="token 0 is skipped")
def token_0_ignored(logits, tokens, mask):
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none", ignore_index=0)
    return -(nats * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="token 0 is skipped")
def masked_tokens_become_0(logits, tokens, mask):
    targets = (tokens * mask).long()[:, 1:]
    return -F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, reduction="none", ignore_index=0).sum(1)


@mutant("sequence_logprobs", names="perplexity")
def perplexity(logits, tokens, mask):
    mask = mask[:, 1:].float()
    return (-(each_token(logits, tokens) * mask).sum(1) / mask.sum(1).clamp(min=1)).exp()


@mutant("sequence_logprobs", names="the log is missing")
def probability(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum(1).exp()


@mutant("sequence_logprobs", names="probabilities of the tokens are added")
def probabilities_added(logits, tokens, mask):
    return (each_token(logits, tokens).exp() * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="not all are finite")
def log_of_added_probabilities(logits, tokens, mask):
    return (each_token(logits, tokens).exp() * mask[:, 1:]).sum(1).log()


@mutant("sequence_logprobs", names="normalisation is missing")
def raw_logits(logits, tokens, mask):
    return (picked(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="over the positions")
def softmax_over_positions(logits, tokens, mask):
    return (picked(logits.log_softmax(1)[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="over the batch")
def softmax_over_the_batch(logits, tokens, mask):
    return (picked(logits.log_softmax(0)[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="before its logarithm was taken")
def log_of_softmax(logits, tokens, mask):
    nats = torch.where(mask[:, 1:].bool(), picked(logits[:, :-1].softmax(-1), tokens[:, 1:]), 1.0).log()
    return nats.sum(1)


@mutant("sequence_logprobs", names="cuts it short")
def log_of_softmax_plus_epsilon(logits, tokens, mask):
    nats = (picked(logits[:, :-1].softmax(-1), tokens[:, 1:]) + 1e-10).log()
    return (nats * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="cuts it short")
def clamped(logits, tokens, mask):
    return (each_token(logits, tokens).clamp(min=-100) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="not all are finite")
def exp_without_maximum(logits, tokens, mask):
    x = logits[:, :-1]
    nats = picked(x, tokens[:, 1:]) - x.exp().sum(-1).log()
    return (nats * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="all answers are added up")
def one_sum(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum()


@mutant("sequence_logprobs", names="averaged over the batch")
def batch_mean(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum(1).mean()


@mutant("sequence_logprobs", names="all tokens are averaged")
def boolean_mean(logits, tokens, mask):
    return each_token(logits, tokens)[mask[:, 1:].bool()].mean()


@mutant("sequence_logprobs", names="not added up")
def token_by_token(logits, tokens, mask):
    return each_token(logits, tokens) * mask[:, 1:]


@mutant("sequence_logprobs", names="over the rows")
def summed_over_rows(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum(0)


@mutant("sequence_logprobs", names="base 2")
def in_bits(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:]).sum(1) / torch.log(torch.tensor(2.0))


@mutant("sequence_logprobs", names="likeliest token")
def of_the_likeliest(logits, tokens, mask):
    return (logits[:, :-1].log_softmax(-1).max(-1).values * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="first row's mask")
def mask_of_the_first_row(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[0, 1:]).sum(1)


@mutant("sequence_logprobs", names="turned round")
def everything_but_the_answer(logits, tokens, mask):
    return (each_token(logits, tokens) * (1 - mask[:, 1:].float())).sum(1)


@mutant("sequence_logprobs", names="last token of each answer is left out")
def without_the_end_token(logits, tokens, mask):
    return (each_token(logits, tokens)[:, :-1] * mask[:, 1:-1] * mask[:, 2:]).sum(1)


@mutant("sequence_logprobs", names="first token of each answer is left out")
def without_the_first_token(logits, tokens, mask):
    return (each_token(logits, tokens) * mask[:, 1:] * mask[:, :-1]).sum(1)


@mutant("sequence_logprobs", names="gap between included")
def from_first_to_last(logits, tokens, mask):
    nats, keep = each_token(logits, tokens), mask[:, 1:].bool()
    rows = []
    for row, marks in zip(nats, keep):
        places = marks.nonzero()[:, 0].tolist()
        rows.append(row[places[0] : places[-1] + 1].sum() if places else row.sum() * 0)
    return torch.stack(rows)


@mutant("sequence_logprobs", names="no gradient reaches")
def without_gradient(logits, tokens, mask):
    with torch.no_grad():
        return (each_token(logits, tokens) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="no gradient reaches")
def result_made_of_numbers(logits, tokens, mask):
    return torch.tensor((each_token(logits, tokens) * mask[:, 1:]).sum(1).tolist(), requires_grad=True)


@mutant("sequence_logprobs", names="gradient of logits")
def normaliser_detached(logits, tokens, mask):
    x = logits[:, :-1]
    return ((picked(x, tokens[:, 1:]) - x.detach().logsumexp(-1)) * mask[:, 1:]).sum(1)


@mutant("sequence_logprobs", names="changes its input")
def in_place(logits, tokens, mask):
    tokens[mask == 0] = 0
    return (each_token(logits, tokens) * mask[:, 1:]).sum(1)
