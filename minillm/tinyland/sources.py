"""How the parts of the corpus are written down, so that its entropy is exact.

A *source* is one kind of text (facts, sums, stories, ...). It is a module with a function

    documents() -> dict[str, float]

that lists every document the source can produce with its probability; the values sum to one. Nothing is
sampled inside a source and nothing is left implicit, so mixing sources, merging a text that two of them
share, sampling, and the entropy floor are all plain sums over one dictionary (see `corpus.py`). Keep a
source below about 50,000 texts: its product of choices is enumerated.

The helpers below build such dictionaries:

>>> mix((0.75, uniform(["a", "b"])), (0.25, {"a": 1.0}))
{'a': 0.625, 'b': 0.375}
"""

from collections.abc import Callable, Iterable, Mapping
from math import fsum

Distribution = dict[str, float]


def uniform(texts: Iterable[str]) -> Distribution:
    """Every listed text with the same probability; a text listed twice counts twice."""
    texts = list(texts)
    distribution: Distribution = {}
    for text in texts:
        distribution[text] = distribution.get(text, 0.0) + 1.0 / len(texts)
    return distribution


def mix(*parts: tuple[float, Mapping[str, float]]) -> Distribution:
    """The mixture sum_k w_k p_k(text), with the weights scaled to sum to one."""
    total = fsum(weight for weight, _ in parts)
    mixture: Distribution = {}
    for weight, part in parts:
        for text, probability in part.items():
            mixture[text] = mixture.get(text, 0.0) + weight / total * probability
    return mixture


def rewrite(distribution: Mapping[str, float], change: Callable[[str], str]) -> Distribution:
    """The distribution of change(text); texts that become equal are merged."""
    changed: Distribution = {}
    for text, probability in distribution.items():
        new = change(text)
        changed[new] = changed.get(new, 0.0) + probability
    return changed


def check(distribution: Mapping[str, float], name: str) -> None:
    """Raise ValueError unless the probabilities are positive and sum to one and the texts are well formed."""
    total = fsum(distribution.values())
    if abs(total - 1.0) > 1e-9:
        raise ValueError(f"the probabilities of source {name!r} sum to {total}, expected 1")
    for text, probability in distribution.items():
        if probability <= 0:
            raise ValueError(f"source {name!r} gives {text!r} the probability {probability}, expected more than 0")
        if text != " ".join(text.lower().split()) or "<" in text or not text:
            raise ValueError(f"source {name!r} has {text!r}: expected lower case, single spaces and no <special> token")
