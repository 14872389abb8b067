"""Right solutions of pronoun_gap that look different."""

import math

import torch

from minillm.course.testing import variant


@variant("pronoun_gap")
def sigmoid_of_the_difference(logprobs, he_job):
    he = he_job != 0
    if he.sum() == 0 or (~he).sum() == 0:
        raise ValueError("a group is empty")
    p = torch.sigmoid(logprobs[:, 0] - logprobs[:, 1])
    a, b = p[he].mean(), p[~he].mean()
    return a - b, 0.5 * ((a - 0.5) + (b - 0.5))


@variant("pronoun_gap")
def weighted_sums(logprobs, he_job):
    w = he_job.double()
    if w.sum() == 0 or w.sum() == len(w):
        raise ValueError("a group is empty")
    p = (logprobs - logprobs.logsumexp(1, keepdim=True)).exp()[:, 0].double()
    a, b = (p * w).sum() / w.sum(), (p * (1 - w)).sum() / (1 - w).sum()
    return [a - b, (a + b - 1) / 2]


@variant("pronoun_gap")
def plain_python(logprobs, he_job):
    he, she = [], []
    for (m, f), kind in zip(logprobs.tolist(), he_job.tolist()):
        top = max(m, f)
        p = math.exp(m - top) / (math.exp(m - top) + math.exp(f - top))
        (he if kind else she).append(p)
    if not he or not she:
        raise ValueError("he-jobs and she-jobs are needed")
    a, b = sum(he) / len(he), sum(she) / len(she)
    return a - b, (a + b) / 2 - 0.5


@variant("pronoun_gap")
def numbers_of_the_rows(logprobs, he_job):
    he, she = (he_job == 1).nonzero()[:, 0], (he_job == 0).nonzero()[:, 0]
    if min(len(he), len(she)) == 0:
        raise ValueError("a group is empty")
    p = torch.nn.functional.softmax(logprobs, dim=-1).select(1, 0)
    both = torch.stack([p.index_select(0, he).mean(), p.index_select(0, she).mean()])
    return both[0] - both[1], both.mean() - 0.5
