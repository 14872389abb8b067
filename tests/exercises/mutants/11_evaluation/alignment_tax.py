"""Wrong solutions of alignment_tax."""

import math

import torch

from minillm.course.testing import mutant


def refuse(skills_before, skills_after):
    if set(skills_before) != set(skills_after) or "loss" in skills_before:
        raise ValueError("skills that cannot be compared")


def loss_of(before, after, tokens):
    return ((after.double() - before.double()).sum() / tokens.sum()).item()


def share(right):
    return right.double().mean().item()


def skills_of(before, after, cost=lambda b, a: share(b) - share(a)):
    refuse(before, after)
    return {name: float(cost(before[name], after[name])) for name in before}


@mutant("alignment_tax", names="own rate is averaged")
def mean_of_rates(nats_before, nats_after, tokens, before, after):
    loss = (nats_after / tokens).mean() - (nats_before / tokens).mean()
    return {"loss": loss.item(), **skills_of(before, after)}


@mutant("alignment_tax", names="not divided")
def nats_in_all(nats_before, nats_after, tokens, before, after):
    return {"loss": (nats_after - nats_before).sum().item(), **skills_of(before, after)}


@mutant("alignment_tax", names="averaged over documents")
def nats_a_document(nats_before, nats_after, tokens, before, after):
    return {"loss": (nats_after - nats_before).mean().item(), **skills_of(before, after)}


@mutant("alignment_tax", names="the sign is turned")
def loss_turned(nats_before, nats_after, tokens, before, after):
    return {"loss": -loss_of(nats_before, nats_after, tokens), **skills_of(before, after)}


@mutant("alignment_tax", names="fewer right answers are a cost")
def skills_turned(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: share(a) - share(b))
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="a gain is cut off")
def clipped(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: max(0.0, share(b) - share(a)))
    return {"loss": max(0.0, loss_of(nats_before, nats_after, tokens)), **skills}


@mutant("alignment_tax", names="a gain is cut off")
def only_loss_clipped(nats_before, nats_after, tokens, before, after):
    return {"loss": max(0.0, loss_of(nats_before, nats_after, tokens)), **skills_of(before, after)}


@mutant("alignment_tax", names="absolute value")
def absolute(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: abs(share(b) - share(a)))
    return {"loss": abs(loss_of(nats_before, nats_after, tokens)), **skills}


@mutant("alignment_tax", names="relative to the loss")
def relative_loss(nats_before, nats_after, tokens, before, after):
    return {"loss": (nats_after.sum() / nats_before.sum() - 1).item(), **skills_of(before, after)}


@mutant("alignment_tax", names="relative to the share")
def relative_skills(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: 1 - share(a) / share(b))
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="ratio of perplexities")
def perplexity_ratio(nats_before, nats_after, tokens, before, after):
    return {"loss": math.exp(loss_of(nats_before, nats_after, tokens)), **skills_of(before, after)}


@mutant("alignment_tax", names="difference of perplexities")
def perplexity_difference(nats_before, nats_after, tokens, before, after):
    a, b = ((nats.sum() / tokens.sum()).exp().item() for nats in (nats_after, nats_before))
    return {"loss": a - b, **skills_of(before, after)}


@mutant("alignment_tax", names="bits")
def bits(nats_before, nats_after, tokens, before, after):
    return {"loss": loss_of(nats_before, nats_after, tokens) / math.log(2), **skills_of(before, after)}


@mutant("alignment_tax", names="loss after alignment")
def loss_after(nats_before, nats_after, tokens, before, after):
    return {"loss": (nats_after.sum() / tokens.sum()).item(), **skills_of(before, after)}


@mutant("alignment_tax", names="counts are compared")
def counts(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: b.sum() - a.sum())
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="asked before")
def divided_by_the_same_number(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: (b.sum() - a.sum()) / len(b))
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="must match the size of tensor")
def answer_by_answer(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: (b.double() - a.double()).mean())
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="only the first answers")
def first_answers(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: share(b[: len(a)]) - share(a[: len(b)]))
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="matched by their place")
def matched_by_place(nats_before, nats_after, tokens, before, after):
    refuse(before, after)
    costs = [share(b) - share(a) for b, a in zip(before.values(), after.values())]
    return {"loss": loss_of(nats_before, nats_after, tokens), **dict(zip(before, costs))}


@mutant("alignment_tax", names="the keys of the result")
def mean_over_skills(nats_before, nats_after, tokens, before, after):
    costs = list(skills_of(before, after).values())
    return {"loss": loss_of(nats_before, nats_after, tokens), "skills": sum(costs) / max(1, len(costs))}


@mutant("alignment_tax", names="in order")
def order_of_after(nats_before, nats_after, tokens, before, after):
    costs = skills_of(before, after)
    return {"loss": loss_of(nats_before, nats_after, tokens), **{name: costs[name] for name in after}}


@mutant("alignment_tax", names="in order")
def loss_last(nats_before, nats_after, tokens, before, after):
    return {**skills_of(before, after), "loss": loss_of(nats_before, nats_after, tokens)}


@mutant("alignment_tax", names="plain float")
def tensors(nats_before, nats_after, tokens, before, after):
    refuse(before, after)
    tax = {"loss": (nats_after - nats_before).sum() / tokens.sum()}
    return tax | {name: before[name].float().mean() - after[name].float().mean() for name in before}


@mutant("alignment_tax", names="percent")
def percent(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: 100 * (share(b) - share(a)))
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names="other skills")
def only_numbers_of_skills_compared(nats_before, nats_after, tokens, before, after):
    if len(before) != len(after) or "loss" in before:
        raise ValueError("other skills")
    costs = {name: share(before[name]) - share(after.get(name, torch.zeros(1))) for name in before}
    return {"loss": loss_of(nats_before, nats_after, tokens), **costs}


@mutant("alignment_tax", names="missing after")
def skills_missing_after_are_skipped(nats_before, nats_after, tokens, before, after):
    if "loss" in before:
        raise ValueError("a skill is called loss")
    costs = {name: share(before[name]) - share(after[name]) for name in before if name in after}
    return {"loss": loss_of(nats_before, nats_after, tokens), **costs}


@mutant("alignment_tax", names="missing after")
def key_error(nats_before, nats_after, tokens, before, after):
    if "loss" in before:
        raise ValueError("a skill is called loss")
    costs = {name: share(before[name]) - share(after[name]) for name in before}
    return {"loss": loss_of(nats_before, nats_after, tokens), **costs}


@mutant("alignment_tax", names="missing before")
def new_skills_are_skipped(nats_before, nats_after, tokens, before, after):
    if not set(before) <= set(after) or "loss" in before:
        raise ValueError("a skill is missing")
    costs = {name: share(before[name]) - share(after[name]) for name in before}
    return {"loss": loss_of(nats_before, nats_after, tokens), **costs}


@mutant("alignment_tax", names='called "loss"')
def a_skill_called_loss(nats_before, nats_after, tokens, before, after):
    if set(before) != set(after):
        raise ValueError("other skills")
    costs = {name: share(before[name]) - share(after[name]) for name in before}
    return {"loss": loss_of(nats_before, nats_after, tokens), **costs}


@mutant("alignment_tax", names="mean(): could not infer")
def mean_of_whole_numbers(nats_before, nats_after, tokens, before, after):
    skills = skills_of(before, after, lambda b, a: b.mean() - a.mean())
    return {"loss": loss_of(nats_before, nats_after, tokens), **skills}


@mutant("alignment_tax", names=None)
def weighted_twice(nats_before, nats_after, tokens, before, after):
    loss = ((nats_after - nats_before) * tokens).sum() / (tokens**2).sum()
    return {"loss": loss.item(), **skills_of(before, after)}
