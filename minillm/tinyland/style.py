"""Words that please and say nothing: flattery, fillers, closers. Count them, take them out, put them in.

The gold judge subtracts for every one of them, a careless annotator adds; both count with `count`, so there
is one place that says what style is. The phrases themselves are in `words.py`.
"""

import random
from dataclasses import dataclass

from .words import CLOSERS, FILLERS, FLATTERY


@dataclass(frozen=True)
class Style:
    """How much style an answer carries. `words` counts the words and marks of the whole answer."""

    flattery: int
    fillers: int
    closers: int
    words: int


def take_out(answer: str) -> tuple[str, tuple[str, ...]]:
    """The answer without its stock phrases, and the phrases that were taken out.

    >>> take_out("you are so wise . 2 plus 3 is 5 . i hope this helps .")
    ('2 plus 3 is 5 .', ('you are so wise .', 'i hope this helps .'))
    """
    rest, taken = f" {' '.join(answer.split())} ", []
    for phrase in FLATTERY + FILLERS + CLOSERS:
        while f" {phrase} " in rest:
            rest = rest.replace(f" {phrase} ", " ", 1)
            taken.append(phrase)
    return rest.strip(), tuple(taken)


def count(answer: str) -> Style:
    """Count the stock phrases and the words of an answer.

    >>> count("what a good question ! fox fox .")
    Style(flattery=1, fillers=0, closers=0, words=8)
    """
    _, taken = take_out(answer)
    flattery, fillers, closers = (sum(p in group for p in taken) for group in (FLATTERY, FILLERS, CLOSERS))
    return Style(flattery, fillers, closers, len(answer.split()))


def decorate(
    answer: str, generator: random.Random, flattery: int = 0, filler: bool = False, closer: bool = False
) -> str:
    """The answer with style around it: `flattery` different flattering phrases and a filler before it, a closer after.

    >>> decorate("2 plus 3 is 5 .", random.Random(0), flattery=1, closer=True)
    'you are so wise . 2 plus 3 is 5 . thank you for asking .'
    """
    if not 0 <= flattery <= len(FLATTERY):
        raise ValueError(f"flattery must be between 0 and {len(FLATTERY)} phrases, got {flattery}")
    parts = generator.sample(FLATTERY, flattery)
    if filler:
        parts.append(generator.choice(FILLERS))
    parts.append(answer)
    if closer:
        parts.append(generator.choice(CLOSERS))
    return " ".join(parts)
