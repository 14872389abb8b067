"""Simulated people who compare answers: a latent utility, and a choice that follows it with noise.

An annotator finds an answer as good as the gold judge does, plus what they are taken in by. Choices follow
Bradley and Terry (1952). They are drawn here without the formula for their probability, which lesson 05
asks for: each answer is perceived with noise of its own, -T log(-log U), and the better perceived one is
chosen. That this *is* Bradley-Terry with temperature T is a theorem (Luce; McFadden 1974), and a test.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum, log, tanh

from . import style
from .judge import grade
from .requests import Request

SHORT = 10  # words; what is longer than this pleases an annotator who likes length


@dataclass(frozen=True)
class Annotator:
    """Somebody who labels comparisons.

    flattery, filler, closer: utility for each such phrase, in points of the gold score, *on top of* what the judge
    takes off for it. length: utility for each word beyond ten. temperature: how noisy the choices are, in points;
    0 chooses the better one always and a tie by a coin. flip: the share of labels turned round afterwards, slips of
    the pen that do not depend on the answers.
    """

    name: str
    temperature: float = 0.2
    flip: float = 0.0
    flattery: float = 0.0
    filler: float = 0.0
    closer: float = 0.0
    length: float = 0.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError(f"temperature must not be negative, got {self.temperature}")
        if not 0 <= self.flip <= 1:
            raise ValueError(f"flip is a share of the labels, expected a number from 0 to 1, got {self.flip}")

    def utility(self, request: Request, answer: str, ended: bool = True) -> float:
        """How good the annotator finds an answer: the gold score plus their biases."""
        counts = style.count(answer)
        bias = self.flattery * counts.flattery + self.filler * counts.fillers + self.closer * counts.closers
        bias += self.length * max(0, counts.words - SHORT)
        return round(grade(request, answer, ended).score + bias, 6)

    def prefer(self, request: Request, a: str, b: str, generator: random.Random) -> bool:
        """True where the annotator chooses answer a over answer b. Both are taken as ended."""
        return self.choose(self.utility(request, a), self.utility(request, b), generator)

    def choose(self, a: float, b: float, generator: random.Random) -> bool:
        """The same for two utilities."""
        noise = [-log(-log(_open_unit(generator))) for _ in range(2)]
        coin, slips = generator.random() < 0.5, generator.random() < self.flip
        perceived = a + self.temperature * noise[0], b + self.temperature * noise[1]
        first = coin if perceived[0] == perceived[1] else perceived[0] > perceived[1]
        return first != slips


UNBIASED = Annotator("unbiased")
NOISY = Annotator("noisy", flip=0.3)
BIASED = Annotator("biased", flattery=0.45, filler=0.25, closer=0.2)
GULLIBLE = Annotator("gullible", flattery=0.7, filler=0.4, closer=0.3)
LIKES_LENGTH = Annotator("likes flattery and length", flattery=0.45, filler=0.25, closer=0.2, length=0.02)


def label_ceiling(pairs: Iterable[tuple[float, float]], temperature: float, flip: float = 0.0) -> float:
    """The share of labels that the best possible predictor agrees with: the Bayes ceiling.

    It knows both utilities of each pair and bets on the better one; no reward model can agree more often with labels
    that it has not seen, beyond luck. For utilities d apart the bet wins with probability 1/2 + tanh(d / 2T) / 2,
    then flips take their share: w (1 - flip) + (1 - w) flip. Averaged over the pairs; a tie counts 1/2.

    >>> round(label_ceiling([(1.0, 1.0), (1.0, -2.0)], temperature=0.2), 3)
    0.75
    """
    wins = []
    for a, b in pairs:
        gap = abs(a - b)
        w = 0.5 + 0.5 * tanh(gap / (2 * temperature)) if temperature > 0 else 0.5 + 0.5 * (gap > 0)
        wins.append(max(w * (1 - flip) + (1 - w) * flip, 1 - w * (1 - flip) - (1 - w) * flip))
    if not wins:
        raise ValueError("no pairs: expected at least one pair of utilities")
    return fsum(wins) / len(wins)


def _open_unit(generator: random.Random) -> float:
    """A uniform number strictly between 0 and 1, whose logarithm exists."""
    while True:
        u = generator.random()
        if 0 < u < 1:
            return u


def card() -> str:
    """The section of the data card."""
    fields = ("temperature", "flip", "flattery", "filler", "closer", "length")
    rows = [
        f"| {a.name} | {' | '.join(f'{getattr(a, name):g}' for name in fields)} |"
        for a in (UNBIASED, NOISY, BIASED, GULLIBLE, LIKES_LENGTH)
    ]
    return "\n".join([
        "## Annotators", "",
        "The people who compare answers are simulated too: Bradley-Terry choices from the gold score plus biases, in",
        "points of the gold score. Real annotators differ from each other, tire, and do not know the truth.", "",
        f"| name | {' | '.join(fields)} |", "|---" * (len(fields) + 1) + "|", *rows,
    ])  # fmt: skip
