"""The corpus: a mixture of sources that is listed in full, so its entropy is exact.

`distribution()` is the probability of every document there is; two sources that can say the same text are
merged in it. A language model that knew it would lose, on average, exactly `entropy()` nats a document: the
floor under every pretraining curve. Training text is sampled from it; validation text is a second,
independent sample, so it holds no new facts, only new draws.
"""

from bisect import bisect
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from math import fsum, inf, log
from pathlib import Path

from minillm.paths import DATA
from minillm.tokenizer import Tokenizer

from . import attacks, constitution, domains, facts, jobs, questions, stories
from .questions import question_form, safety_form
from .sources import Distribution, mix
from .splits import generator

__all__ = [
    "MIX", "distribution", "documents", "encode_document", "entropy", "load", "log_probability", "mean_length",
    "question_form", "safety_form",
]  # fmt: skip

# name of the source: (its weight, the source); shares are weights over their sum
MIX: dict[str, tuple[float, Callable[[], Distribution]]] = {
    "statements of facts": (15, facts.documents),
    "questions about facts": (19, questions.fact_questions),
    "questions about unknown things": (3, questions.unknown_questions),
    "sums": (3, stories.sums),
    "questions about sums": (7, lambda: questions.skill_questions("sum")),
    "opposites": (1, stories.opposites),
    "questions about opposites": (3, lambda: questions.skill_questions("opposite")),
    "lists": (4, lambda: questions.skill_questions("list")),
    "descriptions": (4, questions.descriptions),
    "repeating": (4, lambda: questions.skill_questions("repeat")),
    "how-to questions": (15, questions.howto_questions),
    "moral remarks": (4, questions.remarks),
    "safety checks": (4, questions.safety_checks),
    "stories": (3, stories.stories),
    "jobs": (4, jobs.documents),
    "frames": (7, attacks.documents),
    "health": (4, domains.documents),
    "critiques and revisions": (4, constitution.documents),
}


@cache
def distribution() -> Distribution:
    """The exact probability of every document, in sorted order of the texts."""
    mixture = mix(*[(weight, source()) for weight, source in MIX.values()])
    return dict(sorted(mixture.items()))


def log_probability(document: str) -> float:
    """The log of the document's probability in nats; -inf for a text the corpus never states."""
    probability = distribution().get(document, 0.0)
    return log(probability) if probability > 0 else -inf


def entropy() -> float:
    """The entropy of a document, H = -sum p log p, in nats; exact."""
    return -fsum(p * log(p) for p in distribution().values())


def encode_document(tokenizer: Tokenizer, text: str) -> list[int]:
    """`<doc>` and the ids of the text, which has no space before its first word.

    The `<doc>` of the next document tells that this one has ended, so a document costs a model as many predictions
    as it has ids here.
    """
    return [tokenizer.doc, *tokenizer.encode(text)]


def encode_prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """The ids of a text to be continued: one that begins with no special token is the beginning of a document."""
    return tokenizer.encode(text) if text.startswith(tokenizer.specials) else encode_document(tokenizer, text)


def mean_length(tokenizer: Tokenizer) -> float:
    """The expected number of tokens that a model has to predict in a document: its text and the closing `<doc>`.

    Exact, as `entropy()` is: `entropy() / mean_length(tokenizer)` is the floor in nats per token.
    """
    return fsum(p * len(encode_document(tokenizer, text)) for text, p in distribution().items())


@cache
def _cumulative() -> tuple[list[str], list[float]]:
    return list(distribution()), list(accumulate(distribution().values()))


def documents(n: int, seed: int) -> list[str]:
    """n independent documents."""
    texts, cumulative = _cumulative()
    rng = generator(f"documents/{seed}")
    return [texts[min(bisect(cumulative, rng.random() * cumulative[-1]), len(texts) - 1)] for _ in range(n)]


def load(split: str, folder: Path = DATA) -> list[str]:
    """The documents in data/: "train" or "validation", one string each."""
    files = sorted((folder / "corpus").glob(f"{split}*.txt"))
    if not files:
        raise FileNotFoundError(f"no corpus for split {split!r} in {folder / 'corpus'}: run `python -m minillm data`")
    return [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
