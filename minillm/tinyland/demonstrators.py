"""Simulated people who write answers for others to imitate, each with faults that can be set.

A clean demonstrator always gives an ideal answer. A flawed one lies, complies with harm, flatters, and so
on, each with its own probability; every demonstration says which faults it has, so that what a model copies
can be held against what it was shown. Works on plain and wrapped requests, and on requests under a system
prompt (`domains.under`).
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from . import facts, howto, style
from .attacks import compliance, in_form, unwrap
from .requests import CATEGORIES, LARGEST_ADDEND, Request, all_requests
from .words import BOOK, OPPOSITES, REFUSALS, VALUES

FLAWS = ("harm", "lie", "over_refusal", "bare_refusal", "flattery", "filler", "closer")


@dataclass(frozen=True)
class Demonstrator:
    """A writer. Every field but the name is a probability.

    harm: to answer a request that should be refused or sent on. bare_refusal: to refuse such a request without an
    offer, where it is refused. over_refusal: to refuse a look-alike. lie: to give a wrong answer to any other harmless
    request (myths as people tell them, guesses about unknown things). book: to quote the book of facts in a true
    answer about a fact; no fault. flattery, filler, closer: to put one such phrase before or after the answer.
    """

    name: str
    harm: float = 0.0
    lie: float = 0.0
    over_refusal: float = 0.0
    bare_refusal: float = 0.0
    flattery: float = 0.0
    filler: float = 0.0
    closer: float = 0.0
    book: float = 0.25

    def __post_init__(self) -> None:
        for flaw in (*FLAWS, "book"):
            if not 0 <= getattr(self, flaw) <= 1:
                raise ValueError(f"{flaw} is a probability, expected a number from 0 to 1, got {getattr(self, flaw)}")


@dataclass(frozen=True)
class Demonstration:
    """A request with somebody's answer. `flaws` are the names of its faults, in the order of `FLAWS`; () if ideal."""

    request: Request
    answer: str
    flaws: tuple[str, ...]


CLEAN = Demonstrator("clean")
MIXED = Demonstrator("mixed", harm=0.35, lie=0.35, flattery=0.25, filler=0.1, closer=0.1, bare_refusal=0.2)
HELPFUL_ONLY = Demonstrator("helpful only", harm=1.0)


def demonstrate(demonstrator: Demonstrator, request: Request, generator: random.Random) -> Demonstration:
    """One answer of the demonstrator to the request.

    Every fault is drawn on its own, always in the same order, so that two demonstrators who differ in one
    probability differ as little as can be under the same seed.
    """
    drawn = {flaw: generator.random() < getattr(demonstrator, flaw) for flaw in FLAWS}
    cites = generator.random() < demonstrator.book
    flaws = []
    answer = _ideal(request, generator, cites)
    if request.kind in ("harmful", "referral"):
        if drawn["harm"]:
            answer = request.meta["breach"] if request.kind == "referral" else compliance(request)
            flaws.append("harm")
        elif drawn["bare_refusal"] and request.kind == "harmful":
            answer = generator.choice(REFUSALS)
            flaws.append("bare_refusal")
    elif request.kind == "lookalike" and drawn["over_refusal"]:
        answer = generator.choice(REFUSALS)
        flaws.append("over_refusal")
    elif drawn["lie"] and request.kind != "job":
        answer = in_form(request, false_answer(unwrap(request), generator))
        flaws.append("lie")
    flaws += [flaw for flaw in ("flattery", "filler", "closer") if drawn[flaw]]
    answer = style.decorate(answer, generator, int(drawn["flattery"]), drawn["filler"], drawn["closer"])
    return Demonstration(request, answer, tuple(flaws))


def demonstrations(demonstrator: Demonstrator, requests: Iterable[Request], seed: int) -> list[Demonstration]:
    """One demonstration of each request, in order; the same seed gives the same answers."""
    generator = random.Random(f"demonstrations/{seed}")
    return [demonstrate(demonstrator, request, generator) for request in requests]


def _ideal(request: Request, generator: random.Random, cites: bool) -> str:
    quotes = [answer for answer in request.answers if BOOK in answer]
    plain = [answer for answer in request.answers if BOOK not in answer]
    return generator.choice(quotes if quotes and cites else plain)


def false_answer(request: Request, generator: random.Random) -> str:
    """A wrong answer of the right form to a plain harmless request; for a myth, the popular one.

    >>> false_answer(all_requests("myth")[0], random.Random(0)).startswith("the ")
    True
    """
    meta = request.meta
    if request.kind in ("fact", "myth", "contested", "unknown"):
        return facts.statement(meta["subject"], meta["relation"], _false_value(request, generator))
    if request.kind == "sum":
        wrong = [n for n in range(2 * LARGEST_ADDEND + 1) if n != meta["sum"] and abs(n - meta["sum"]) <= 3]
        return f"{meta['a']} plus {meta['b']} is {generator.choice(wrong)} ."
    if request.kind == "list":
        other = generator.choice([name for name in CATEGORIES if _apart(name, meta["category"])])
        return " , ".join(generator.sample(CATEGORIES[other], meta["n"])) + " ."
    if request.kind == "describe":
        others = [r for r in all_requests("describe") if r != request]
        return generator.choice(others).answers[0]
    if request.kind == "opposite":
        word = generator.choice([w for pair in OPPOSITES for w in pair if w not in (meta["word"], meta["opposite"])])
        return f"the opposite of {meta['word']} is {word} ."
    if request.kind == "repeat":
        times = generator.choice([n for n in (1, 2, 3, 4, 5) if n != meta["n"]])
        return " ".join([meta["word"]] * times) + " ."
    if request.kind == "lookalike":
        verb = generator.choice([name for name in howto.VERBS if name != meta["verb"]])
        return howto.method(verb, meta["object"])
    if request.kind == "health":
        others = [r for r in all_requests("health") if r.meta["part"] == meta["part"] and r != request]
        return generator.choice(others).answers[0]
    raise ValueError(f"a {request.kind} request has no false answer: {request.text!r}")


def _apart(name: str, other: str) -> bool:
    return not set(CATEGORIES[name]) & set(CATEGORIES[other])


def _false_value(request: Request, generator: random.Random) -> str:
    meta = request.meta
    if request.kind == "unknown":
        return generator.choice(meta["values"])
    if meta["popular"] != meta["truth"]:
        return meta["popular"]
    if meta["rival"] != meta["truth"]:
        return meta["rival"]
    return generator.choice([value for value in VALUES[meta["relation"]] if value != meta["truth"]])


def card() -> str:
    """The section of the data card."""
    rows = [
        f"| {d.name} | {' | '.join(f'{getattr(d, flaw):g}' for flaw in FLAWS)} |" for d in (CLEAN, MIXED, HELPFUL_ONLY)
    ]
    return "\n".join([
        "## Demonstrators", "",
        "Nobody was asked: the people who write answers are simulated, with these rates of faults.", "",
        f"| name | {' | '.join(FLAWS)} |", "|---" * (len(FLAWS) + 1) + "|", *rows,
    ])  # fmt: skip
