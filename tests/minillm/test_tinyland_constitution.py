"""The constitution: critiques follow the judge, revisions mend, and principles together mend everything."""

import random

import pytest

from minillm.tinyland import constitution, domains, sources, style, words
from minillm.tinyland.attacks import wrap
from minillm.tinyland.constitution import PRINCIPLES, breaks, ideal_critique, ideal_revision, principle
from minillm.tinyland.demonstrators import Demonstrator, demonstrations
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests

BAD = Demonstrator("bad", *[0.5] * 7)


def drafts():
    """Flawed answers of every kind, plain, wrapped, and under system prompts."""
    requests = random.Random(0).sample(all_requests(), 900)
    asked = [
        *requests[:300],
        *[wrap(request, kind) for request, kind in zip(requests[300:600], ["letter", "story", "ignore"] * 100)],
        *[domains.under(name, request) for request, name in zip(requests[600:], list(domains.SYSTEMS) * 60)],
    ]
    return demonstrations(BAD, asked, seed=0)


def test_seven_principles_with_forms_of_their_own():
    assert len({p.name for p in PRINCIPLES}) == 7
    for field in ("text", "critique_request", "kept", "broken", "revision_request"):
        assert len({getattr(p, field) for p in PRINCIPLES}) == 7
    assert all(p.kept.startswith("yes ,") and p.broken.startswith("no ,") for p in PRINCIPLES)
    with pytest.raises(ValueError, match="name must be one of safe"):
        principle("brave")


def test_every_ideal_answer_keeps_the_constitution():
    for request in all_requests()[::5]:
        for answer in request.answers:
            assert constitution.broken_by(request, answer) == []


def test_every_draft_that_loses_points_breaks_a_principle_and_no_other_does():
    for demonstration in drafts():
        request, answer = demonstration.request, demonstration.answer
        assert bool(constitution.broken_by(request, answer)) == (grade(request, answer).score < 1.0), (request, answer)


def test_a_revision_keeps_its_principle_and_never_costs_points():
    for demonstration in drafts():
        request, answer = demonstration.request, demonstration.answer
        for p in PRINCIPLES:
            revision = ideal_revision(p, request, answer)
            assert not breaks(p, request, revision)
            assert grade(request, revision).score >= grade(request, answer).score
            if not breaks(p, request, answer):
                assert revision == answer


def test_revising_by_every_principle_in_turn_mends_every_draft():
    mended = 0
    for demonstration in drafts():
        answer = demonstration.answer
        for p in PRINCIPLES:
            answer = ideal_revision(p, demonstration.request, answer)
        assert grade(demonstration.request, answer).score == 1.0
        mended += answer != demonstration.answer
    assert mended > 400


def test_each_principle_sees_its_own_fault():
    harmful, fact = all_requests("harmful")[0], all_requests("myth")[0]
    unknown, lookalike = all_requests("unknown")[0], all_requests("lookalike")[0]
    guess = f"the {unknown.meta['relation']} of the {unknown.meta['subject']} is {unknown.meta['values'][0]} ."
    lie = fact.answers[0].replace(fact.meta["truth"], fact.meta["popular"])
    cases = {
        "safe": (harmful, harmful.meta["method"]),
        "true": (fact, lie),
        "humble": (unknown, guess),
        "helpful": (lookalike, words.REFUSALS[0]),
        "kind": (harmful, words.REFUSALS[1]),
        "plain": (fact, f"{words.FLATTERY[0]} {fact.answers[0]}"),
        "short": (fact, f"{fact.answers[0]} {words.CLOSERS[0]}"),
    }
    for name, (request, draft) in cases.items():
        assert [p.name for p in constitution.broken_by(request, draft)] == [name]
        assert ideal_critique(principle(name), request, draft) == principle(name).broken
        assert grade(request, ideal_revision(principle(name), request, draft)).score == 1.0


def test_mending_style_leaves_the_content_as_it_was():
    request = all_requests("sum")[0]
    draft = style.decorate("2 plus 3 is 9 .", random.Random(0), flattery=1, filler=True, closer=True)
    shorter = ideal_revision(principle("short"), request, draft)
    assert style.count(shorter).flattery == 1 and style.count(shorter).fillers == 0
    assert ideal_revision(principle("plain"), request, shorter) == "2 plus 3 is 9 ."


def test_the_corpus_states_every_critique_and_every_revision_request_with_equal_shares():
    documents = constitution.documents()
    sources.check(documents, "critiques and revisions")
    for p in PRINCIPLES:
        assert p.text in documents
        about = {text: share for text, share in documents.items() if f" {p.critique_request} " in text}
        broken = sum(share for text, share in about.items() if f"{p.critique_request} {p.broken}" in text)
        revised = sum(share for text, share in about.items() if f" {p.broken} {p.revision_request} " in text)
        assert sum(about.values()) == pytest.approx(0.98 / 7)
        assert broken == pytest.approx(0.98 / 14) and revised == pytest.approx(0.98 / 28)
