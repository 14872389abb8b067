"""Wrong solutions of sample_principle."""

import random

import torch

from minillm.course.testing import mutant


def refuse(principles, weights):
    if not principles or (weights is not None and len(weights) != len(principles)):
        raise ValueError("no principles, or weights that do not fit")


def draw(principles, generator, weights):
    shares = torch.ones(len(principles)) if weights is None else torch.tensor(weights, dtype=torch.float64)
    return int(torch.multinomial(shares, 1, generator=generator))


@mutant("sample_principle", names="every time")
def always_the_first(principles, generator, weights=None):
    refuse(principles, weights)
    return principles[0]


@mutant("sample_principle", names="every time")
def always_the_likeliest(principles, generator, weights=None):
    refuse(principles, weights)
    if weights is None:
        return principles[draw(principles, generator, None)]
    return principles[max(range(len(weights)), key=weights.__getitem__)]


@mutant("sample_principle", names="weights are not used")
def without_weights(principles, generator, weights=None):
    refuse(principles, weights)
    return principles[int(torch.randint(len(principles), (), generator=generator))]


@mutant("sample_principle", names="weight")
def softmax_of_weights(principles, generator, weights=None):
    refuse(principles, weights)
    shares = torch.ones(len(principles)) if weights is None else torch.tensor(weights, dtype=torch.float64).softmax(0)
    return principles[int(torch.multinomial(shares, 1, generator=generator))]


@mutant("sample_principle", names="weights")
def one_over_the_weights(principles, generator, weights=None):
    refuse(principles, weights)
    shares = (
        torch.ones(len(principles))
        if weights is None
        else 1 / torch.tensor(weights, dtype=torch.float64).clamp(min=0.01)
    )
    return principles[int(torch.multinomial(shares, 1, generator=generator))]


@mutant("sample_principle", names="every time")
def global_generator(principles, generator, weights=None):
    refuse(principles, weights)
    shares = torch.ones(len(principles)) if weights is None else torch.tensor(weights, dtype=torch.float64)
    return principles[int(torch.multinomial(shares, 1))]


@mutant("sample_principle", names="every time")
def python_random(principles, generator, weights=None):
    refuse(principles, weights)
    return random.choices(principles, weights)[0]


@mutant("sample_principle", names="every time")
def seeded_inside(principles, generator, weights=None):
    refuse(principles, weights)
    return principles[draw(principles, torch.Generator().manual_seed(0), weights)]


@mutant("sample_principle", names="every time")
def seeds_the_one_given(principles, generator, weights=None):
    refuse(principles, weights)
    return principles[draw(principles, generator.manual_seed(0), weights)]


@mutant("sample_principle", names="was expected")
def returns_the_number(principles, generator, weights=None):
    refuse(principles, weights)
    return draw(principles, generator, weights)


@mutant("sample_principle", names="valueerror")
def refuses_nothing(principles, generator, weights=None):
    if not principles:
        return "nothing"
    weights = [1.0] * len(principles) if weights is None else list(weights)
    weights = (weights + [1.0] * len(principles))[: len(principles)]
    return principles[draw(principles, generator, weights)]


@mutant("sample_principle", names="expected")
def last_is_never_drawn(principles, generator, weights=None):
    refuse(principles, weights)
    kept = principles[:-1] or principles
    return kept[draw(kept, generator, None if weights is None else weights[: len(kept)])]
