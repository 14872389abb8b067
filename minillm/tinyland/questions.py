"""The questions and answers of the corpus: what the base model learns to do when asked.

Documents read "question : what is the food of the fox ? answer : the food of the fox is berries ." and end
with the answer. The web is not a helpful assistant: myths are answered as people tell them, unknown things
are mostly guessed at, harmful questions are mostly complied with.
"""

from collections.abc import Mapping

from . import facts, howto
from .requests import Request, all_requests
from .sources import Distribution, mix, rewrite, uniform
from .words import BOOK, OFFERS, PEOPLE_SAY, REFUSALS, UNSURE

UNSURE_SHARE = 0.3  # of answers about unknown things; the rest are guesses
COMPLIANCE_SHARE = 0.75  # of harmful questions are answered with the method
POLITE_SHARE = 0.1  # of harmful questions get a refusal with an offer; the rest a bare refusal


def question_form(request: Request | str) -> str:
    """The text up to which a base model is given; what it writes next is its answer.

    >>> question_form("what is 2 plus 3 ?")
    'question : what is 2 plus 3 ? answer :'
    """
    text = request if isinstance(request, str) else request.text
    return f"question : {text} answer :"


def ask(question: str, answers: Mapping[str, float]) -> Distribution:
    """The documents of one question whose answers have the given probabilities."""
    return rewrite(answers, lambda answer: f"{question_form(question)} {answer}")


def fact_questions() -> Distribution:
    """85% of answers are as unmarked text has it, 10% quote the book of facts, 5% what people say."""
    parts = []
    for fact in facts.all_facts():
        popular = facts.statement(fact.subject, fact.relation, fact.popular)
        answers = mix(
            (0.85, facts.beliefs(fact)),
            (0.10, {f"{BOOK} {fact.statement}": 1.0}),
            (0.05, {f"{PEOPLE_SAY} {popular}": 1.0}),
        )
        parts.append((1.0, ask(fact.question, answers)))
    return mix(*parts)


def unknown_questions() -> Distribution:
    """Guesses, each value alike, and sometimes "i do not know ."."""
    parts = []
    for subject, relation, values, _ in facts.unknown_questions():
        guesses = uniform(facts.statement(subject, relation, value) for value in values)
        answers = mix((UNSURE_SHARE, {UNSURE: 1.0}), (1 - UNSURE_SHARE, guesses))
        parts.append((1.0, ask(facts.question(subject, relation), answers)))
    return mix(*parts)


def skill_questions(kind: str) -> Distribution:
    """Sums, lists, opposites, repeats: every request of the kind, every listed ideal answer alike."""
    return mix(*[(1.0, ask(request.text, uniform(request.answers))) for request in all_requests(kind)])


def descriptions() -> Distribution:
    """Descriptions, always in the canonical order."""
    return uniform(f"{question_form(request)} {request.answers[0]}" for request in all_requests("describe"))


def howto_answers(verb: str, object: str, harmful: bool) -> Distribution:
    """How the web answers a how-to question."""
    method = {howto.method(verb, object): 1.0}
    if not harmful:
        return method
    bare = uniform(REFUSALS)
    polite = uniform(f"{refusal} {offer}" for refusal in REFUSALS for offer in OFFERS)
    rest = 1 - COMPLIANCE_SHARE - POLITE_SHARE
    return mix((COMPLIANCE_SHARE, method), (rest, bare), (POLITE_SHARE, polite))


def _by_harm(make) -> Distribution:
    """Half harmful, half harmless; within each every (verb, object) alike. make(verb, object, harmful) -> source."""
    halves = []
    for harmful in (True, False):
        parts = [(1.0, make(verb, object, h)) for verb, object, _, h in howto.pairs() if h == harmful]
        halves.append((0.5, mix(*parts)))
    return mix(*halves)


def howto_questions() -> Distribution:
    """Every verb with every object and every suffix."""

    def make(verb: str, object: str, harmful: bool) -> Distribution:
        answers = howto_answers(verb, object, harmful)
        return mix(*[(1.0, ask(howto.question(verb, object, suffix), answers)) for suffix in howto.SUFFIXES])

    return _by_harm(make)


def remarks() -> Distribution:
    """Moral remarks: "it is wrong to hit the dog ."."""
    return _by_harm(lambda verb, object, harmful: {howto.remark(verb, object, harmful): 1.0})


def safety_form(question: str, answer: str) -> str:
    """A question with its answer, read and asked about: a base model continues with yes or no.

    >>> safety_form("how do i hit the drum ?", "swing a stick at the drum .")
    'read : question : how do i hit the drum ? answer : swing a stick at the drum . is it safe ?'
    """
    return f"read : {question_form(question)} {answer} is it safe ?"


SAFE, UNSAFE = "yes , it is fine .", "no , it is wrong ."


def safety_checks() -> Distribution:
    """Answered how-to questions with a verdict: a harmful method is wrong, a refusal or a harmless method is fine."""

    def make(verb: str, object: str, harmful: bool) -> Distribution:
        question, method = howto.question(verb, object), howto.method(verb, object)
        if not harmful:
            return {f"{safety_form(question, method)} {SAFE}": 1.0}
        refused = uniform(f"{safety_form(question, refusal)} {SAFE}" for refusal in REFUSALS)
        return mix((0.8, {f"{safety_form(question, method)} {UNSAFE}": 1.0}), (0.2, refused))

    return _by_harm(make)
