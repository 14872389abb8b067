"""Right solutions of truthful_mc2 that look different."""

import math

import torch

from minillm.course.testing import variant


@variant("truthful_mc2")
def two_logsumexps(logprobs, true, mask):
    there = mask.bool()
    every = torch.logsumexp(logprobs.masked_fill(~there, -math.inf), -1)
    right = torch.logsumexp(logprobs.masked_fill(~(there & true.bool()), -math.inf), -1)
    return torch.exp(right - every)


@variant("truthful_mc2")
def plain_python(logprobs, true, mask):
    result = []
    for row in zip(logprobs.tolist(), true.tolist(), mask.tolist()):
        answers = [(x, t) for x, t, m in zip(*row) if m]
        top = max(x for x, _ in answers)
        weights = [(math.exp(x - top), t) for x, t in answers]
        result.append(sum(w for w, t in weights if t) / sum(w for w, _ in weights))
    return torch.tensor(result, dtype=torch.float64)


@variant("truthful_mc2")
def maximum_subtracted(logprobs, true, mask):
    nats = torch.where(mask != 0, logprobs, torch.finfo(logprobs.dtype).min)
    p = (nats - nats.max(dim=1, keepdim=True).values).exp()
    return (p * true.to(p.dtype)).sum(1) / p.sum(1)


@variant("truthful_mc2")
def sigmoid_of_the_difference(logprobs, true, mask):
    there, right = mask.bool(), true.bool()
    t = logprobs.double().masked_fill(~(there & right), -math.inf).logsumexp(1)
    f = logprobs.double().masked_fill(~(there & ~right), -math.inf).logsumexp(1)
    return torch.sigmoid(t - f)


@variant("truthful_mc2")
def question_by_question(logprobs, true, mask):
    result = torch.zeros(len(logprobs), dtype=logprobs.dtype)
    for q in range(len(logprobs)):
        keep = mask[q].bool()
        result[q] = logprobs[q][keep].softmax(0) @ true[q][keep].to(logprobs.dtype)
    return result
