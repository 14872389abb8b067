"""Seeded choices of the world, and the division of things into train, validation and test.

What is divided are *things* (facts, animals, verbs, objects), never rows, so that a held-out thing is
held out in every form in which it could be asked.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

SEED = 20
SPLITS = ("train", "validation", "test")

Thing = TypeVar("Thing")


def generator(name: str) -> random.Random:
    """A generator of its own for each named choice, so that adding one choice never moves another."""
    return random.Random(f"tinyland/{SEED}/{name}")


def shuffled(things: Sequence[Thing], name: str) -> list[Thing]:
    """The things in a seeded order."""
    return generator(name).sample(list(things), len(things))


def divide(things: Sequence[Thing], name: str, train: float = 0.5, validation: float = 0.15) -> dict[Thing, str]:
    """Give each thing a split: a share `train`, a share `validation`, the rest test, in a seeded order."""
    order = shuffled(things, name)
    first = round(train * len(order))
    second = first + round(validation * len(order))
    return {thing: "train" if i < first else "validation" if i < second else "test" for i, thing in enumerate(order)}
