"""Wrong solutions of sample_token."""

from math import inf

import torch

from minillm.course.testing import mutant


def draw(probs, generator):
    return torch.multinomial(probs, 1, generator=generator)[:, 0]


def keep_k(logits, top_k, fill=-inf, more=0):
    if top_k is None:
        return logits
    kth = logits.topk(min(top_k + more, logits.shape[-1])).values[:, -1:]
    return logits.masked_fill(logits < kth, fill)


def keep_p(logits, top_p, fill=-inf, ruler=None, shift=0):
    """shift: 0 as it should be; 1 keeps one more."""
    if top_p is None:
        return logits
    probs, order = (logits if ruler is None else ruler).softmax(-1).sort(-1, descending=True)
    before = probs.cumsum(-1) - probs
    if shift:
        before = torch.cat((before[:, :1], before[:, :-1]), -1)
    dropped = torch.zeros_like(order).bool().scatter(1, order, before >= top_p)
    return logits.masked_fill(dropped, fill)


def right(logits, temperature, top_k, top_p, generator):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits / temperature, top_k), top_p).softmax(-1), generator)


@mutant("sample_token", names="multiplied by the temperature")
def multiplies(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, 1 / temperature if temperature else 0, top_k, top_p, generator)


@mutant("sample_token", names="temperature is not used")
def ignores_temperature(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, float(temperature > 0), top_k, top_p, generator)


@mutant("sample_token", names="divides the probabilities")
def divides_probabilities(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits, top_k), top_p).softmax(-1) / temperature, generator)


@mutant("sample_token", names="temperature 0, the greedy choice")
def divides_by_zero(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return draw(keep_p(keep_k(logits / temperature, top_k), top_p).softmax(-1), generator)


@mutant("sample_token", names="top_k is not used")
def ignores_top_k(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, temperature, None, top_p, generator)


@mutant("sample_token", names="top_p is not used")
def ignores_top_p(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, temperature, top_k, None, generator)


@mutant("sample_token", names="top_p is not used")
def either_top_k_or_top_p(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, temperature, top_k, None if top_k else top_p, generator)


@mutant("sample_token", names="one token too many")
def keeps_k_plus_one(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits / temperature, top_k, more=1), top_p).softmax(-1), generator)


@mutant("sample_token", names="one token too few")
def keeps_only_what_is_above_the_kth(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None and 1 < top_k < logits.shape[-1]:
        logits = logits.masked_fill(logits <= logits.topk(top_k).values[:, -1:], -inf)
    return draw(keep_p(logits, top_p).softmax(-1), generator)


@mutant("sample_token", names="*least* likely")
def keeps_the_smallest(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None:
        edge = logits.sort(-1).values[:, [min(top_k, logits.shape[-1]) - 1]]
        logits = logits.masked_fill(logits > edge, -inf)
    return draw(keep_p(logits, top_p).softmax(-1), generator)


@mutant("sample_token", names="min(top_k, v)")
def stops_at_a_large_k(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None:
        logits = logits.masked_fill(logits < logits.topk(top_k).values[:, -1:], -inf)
    return draw(keep_p(logits, top_p).softmax(-1), generator)


@mutant("sample_token", names="drops the token that crosses p")
def drops_the_crossing_token(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = keep_k(logits / temperature, top_k)
    if top_p is not None:
        probs, order = logits.softmax(-1).sort(-1, descending=True)
        dropped = probs.cumsum(-1) > top_p + 1e-5
        dropped[:, 0] = False
        logits = logits.masked_fill(torch.zeros_like(dropped).scatter(1, order, dropped), -inf)
    return draw(logits.softmax(-1), generator)


@mutant("sample_token", names="top_p=0.01")
def may_drop_everything(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = keep_k(logits / temperature, top_k)
    if top_p is not None and top_p > 0.5:
        return right(logits, 1.0, None, top_p, generator)
    if top_p is not None:
        probs, order = logits.softmax(-1).sort(-1, descending=True)
        dropped = torch.zeros_like(order).bool().scatter(1, order, probs.cumsum(-1) > top_p)
        logits = logits.masked_fill(dropped, -inf)
    return draw(logits.softmax(-1), generator)


@mutant("sample_token", names="one token too many")
def keeps_one_after_the_crossing(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits / temperature, top_k), top_p, shift=1).softmax(-1), generator)


@mutant("sample_token", names="cut like the first")
def cuts_all_rows_like_the_first(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = keep_k(logits / temperature, top_k)
    if top_p is not None:
        ranked, _ = logits.sort(-1, descending=True)
        probs = ranked.softmax(-1)
        keep = int((probs[0].cumsum(-1) - probs[0] < top_p).sum())
        logits = logits.masked_fill(logits < ranked[:, keep - 1 : keep], -inf)
    return draw(logits.softmax(-1), generator)


@mutant("sample_token", names="set to 0, not to -inf")
def filters_with_zero(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits / temperature, top_k, 0.0), top_p, 0.0).softmax(-1), generator)


@mutant("sample_token", names="before the temperature")
def top_p_before_temperature(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw((keep_p(keep_k(logits, top_k), top_p) / temperature).softmax(-1), generator)


@mutant("sample_token", names="measured on all tokens")
def top_p_of_all_tokens(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    return draw(keep_p(keep_k(logits, top_k), top_p, ruler=logits).softmax(-1), generator)


@mutant("sample_token", names="argmax")
def always_greedy(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return logits.argmax(-1)


@mutant("sample_token", names="softmax is taken twice")
def two_softmaxes(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    return draw(keep_p(keep_k(logits / temperature, top_k), top_p).softmax(-1).softmax(-1), generator)


@mutant("sample_token", names="equally likely")
def uniform(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    kept = keep_p(keep_k(logits / temperature, top_k), top_p)
    return draw((kept > -inf).float(), generator)


@mutant("sample_token", names="one draw for all rows")
def draws_once(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    probs = keep_p(keep_k(logits / temperature, top_k), top_p).softmax(-1)
    place = torch.rand(1, generator=generator)
    return (probs.cumsum(-1) < place).sum(-1).clamp(max=logits.shape[-1] - 1)


@mutant("sample_token", names="(3000, 1)")
def keeps_the_column(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return logits.argmax(-1) if temperature == 0 else right(logits, temperature, top_k, top_p, generator)[:, None]


@mutant("sample_token", names="place in the sorted order")
def returns_the_rank(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    logits = keep_p(keep_k(logits / temperature, top_k), top_p)
    return draw(logits.sort(-1, descending=True).values.softmax(-1), generator)


@mutant("sample_token", names="generator that is passed is not used")
def ignores_the_generator(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    return right(logits, temperature, top_k, top_p, None)


@mutant("sample_token", names="different seeds give the same")
def seeds_the_generator_itself(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if generator is not None:
        torch.rand(1, generator=generator)
    return right(logits, temperature, top_k, top_p, torch.Generator().manual_seed(0))


@mutant("sample_token", names="overflow")
def plain_exp(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(-1)
    raised = keep_p(keep_k(logits / temperature, top_k), top_p).float().exp()
    return draw(raised / raised.sum(-1, keepdim=True), generator)


@mutant("sample_token", names="changes its input")
def filters_in_place(logits, temperature=1.0, top_k=None, top_p=None, generator=None):
    if top_k is not None:
        logits[logits < logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]] = -inf
    return right(logits, temperature, None, top_p, generator)
