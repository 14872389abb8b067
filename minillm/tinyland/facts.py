"""The facts of Tinyland: what is true, what people say, and how much of the text says which.

A fact is "the R of the S is V .". There are 192, of three kinds:

    plain      80  all text states the truth
    myth       72  three quarters of the unmarked text state something false, the myth
    contested  40  a share s of the unmarked text states the popular value; among the ten facts with share s
                   the popular value is true for 10 s of them (s = .9, .8, .7, .6), so a reader whose
                   confidence is the share it has read is calibrated by design

"The book of facts says :" is always followed by the truth, "people say :" always by the popular value.
Every animal has two plain facts, two myths and one contested fact.
"""

from dataclasses import dataclass
from functools import cache

from .sources import Distribution, mix, rewrite
from .splits import divide, generator, shuffled
from .words import BOOK, MADE_UP, PEOPLE_SAY, RELATIONS, SUBJECTS, VALUES

MYTH_SHARE = 0.75
CONTESTED_SHARES = (0.9, 0.8, 0.7, 0.6)


@dataclass(frozen=True)
class Fact:
    """One fact. `popular` is what most text states, with `share`; the rest of the text states `rival`."""

    topic: str  # "animal", "place" or "food"
    subject: str
    relation: str
    truth: str
    kind: str  # "plain", "myth" or "contested"
    popular: str
    rival: str
    share: float
    split: str

    @property
    def question(self) -> str:
        return question(self.subject, self.relation)

    @property
    def statement(self) -> str:
        """The true statement."""
        return statement(self.subject, self.relation, self.truth)


def question(subject: str, relation: str) -> str:
    """
    >>> question("fox", "food")
    'what is the food of the fox ?'
    """
    return f"what is the {relation} of the {subject} ?"


def statement(subject: str, relation: str, value: str) -> str:
    """
    >>> statement("fox", "food", "berries")
    'the food of the fox is berries .'
    """
    return f"the {relation} of the {subject} is {value} ."


@cache
def all_facts() -> tuple[Fact, ...]:
    """Every fact, in the order of the word lists."""
    kinds = _kinds()
    shares, popular_is_true = _contested(sorted(key for key, kind in kinds.items() if kind == "contested"))
    splits = _splits(kinds)
    facts = []
    for (topic, subject, relation), kind in kinds.items():
        truth = _truth(topic, subject, relation)
        key = (topic, subject, relation)
        other = generator(f"other value/{subject}/{relation}").choice([v for v in VALUES[relation] if v != truth])
        if kind == "plain":
            popular, rival, share = truth, truth, 1.0
        elif kind == "myth":
            popular, rival, share = other, truth, MYTH_SHARE
        elif popular_is_true[key]:
            popular, rival, share = truth, other, shares[key]
        else:
            popular, rival, share = other, truth, shares[key]
        facts.append(Fact(topic, subject, relation, truth, kind, popular, rival, share, splits[key]))
    return tuple(facts)


def _truth(topic: str, subject: str, relation: str) -> str:
    return SUBJECTS[topic][subject].split()[RELATIONS[topic].index(relation)]


def _kinds() -> dict[tuple[str, str, str], str]:
    """The kind of each (topic, subject, relation): of an animal's, two are plain and two are myths."""
    kinds = {}
    for topic, subjects in SUBJECTS.items():
        for i, subject in enumerate(subjects):
            relations = RELATIONS[topic]
            of_subject = ["plain", "plain", "myth", "myth", "contested"]
            if len(relations) == 2:
                of_subject = ["plain", "myth" if i % 2 else "contested"]
            order = shuffled(relations, f"kinds/{topic}/{subject}")
            chosen = dict(zip(order, of_subject))
            kinds.update({(topic, subject, relation): chosen[relation] for relation in relations})
    return kinds


def _contested(keys: list) -> tuple[dict, dict]:
    """A share for each contested fact, and whether the popular value is true: for 10 s of the ten with share s."""
    shares, popular_is_true = {}, {}
    order = shuffled(keys, "shares")
    group = len(order) // len(CONTESTED_SHARES)
    for i, share in enumerate(CONTESTED_SHARES):
        for j, key in enumerate(order[i * group : (i + 1) * group]):
            shares[key] = share
            popular_is_true[key] = j < round(share * group)
    return shares, popular_is_true


def _splits(kinds: dict) -> dict:
    """Splits by fact; the two plain facts of an animal go together, because "describe" states both."""
    plain_subjects = sorted({(topic, subject) for (topic, subject, _), kind in kinds.items() if kind == "plain"})
    by_subject = {}
    for topic in SUBJECTS:
        by_subject.update(divide([s for s in plain_subjects if s[0] == topic], f"plain/{topic}"))
    splits = {key: by_subject[key[:2]] for key, kind in kinds.items() if kind == "plain"}
    for kind in ("myth", "contested"):
        splits.update(divide(sorted(key for key in kinds if kinds[key] == kind), kind))
    return splits


def beliefs(fact: Fact) -> Distribution:
    """What unmarked text states about a fact: the popular value with its share, else the rival."""
    popular = statement(fact.subject, fact.relation, fact.popular)
    rival = statement(fact.subject, fact.relation, fact.rival)
    return mix((fact.share, {popular: 1.0}), *[(1 - fact.share, {rival: 1.0})] * (fact.share < 1))


def unknown_questions() -> list[tuple[str, str, tuple[str, ...], str]]:
    """(subject, relation, values that a guess would pick from, split): made-up animals, and the age of real ones."""
    made_up, real = divide(MADE_UP, "made up"), divide(tuple(SUBJECTS["animal"]), "age")
    ages = tuple(str(age) for age in range(1, 10))
    return [(s, r, VALUES[r], made_up[s]) for s in MADE_UP for r in RELATIONS["animal"]] + [
        (s, "age", ages, split) for s, split in sorted(real.items())
    ]


def documents() -> Distribution:
    """Corpus source: statements without a question, 60% unmarked, 25% from the book of facts, 15% what people say."""
    facts = all_facts()
    parts = []
    for fact in facts:
        parts.append((0.60, beliefs(fact)))
        parts.append((0.25, {f"{BOOK} {fact.statement}": 1.0}))
        popular = {statement(fact.subject, fact.relation, fact.popular): 1.0}
        parts.append((0.15, rewrite(popular, lambda text: f"{PEOPLE_SAY} {text}")))
    return mix(*parts)
