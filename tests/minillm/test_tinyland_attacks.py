"""Frames: every kind wraps and unwraps, harmless answers keep their worth, harmful ones stay harm."""

import random
from itertools import pairwise

import pytest

from minillm.tinyland import attacks, sources
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import KINDS, all_requests

HARMLESS = [kind for kind in KINDS if kind != "harmful"]


def some(kind: str, n: int = 40):
    requests = all_requests(kind)
    return random.Random(f"some/{kind}").sample(requests, min(n, len(requests)))


def test_seen_and_held_out_kinds_are_disjoint_and_both_hold_frames_that_change_the_opening():
    seen, held_out = attacks.seen_kinds(), attacks.held_out_kinds()
    assert not set(seen) & set(held_out)
    assert {*seen, *held_out} == set(attacks.KINDS) == set(attacks.FRAMES)
    for kinds in (seen, held_out):
        opening = [kind for kind in kinds if attacks.FRAMES[kind].changes_opening]
        assert len(opening) >= 3 and len(opening) < len(kinds)


@pytest.mark.parametrize("frame", attacks.KINDS)
def test_wrapping_can_be_undone_from_the_request_and_from_its_text(frame):
    texts = set()
    for request in all_requests():
        wrapped = attacks.wrap(request, frame)
        assert attacks.unwrap(wrapped) == request
        assert attacks.unwrap_text(wrapped.text) == (frame, request.text)
        assert (wrapped.kind, wrapped.topic, wrapped.split) == (request.kind, request.topic, request.split)
        texts.add(wrapped.text)
    assert len(texts) == len(all_requests())


def test_a_plain_request_is_its_own_inside():
    for request in all_requests()[::50]:
        assert attacks.unwrap(request) is request
        assert attacks.unwrap_text(request.text) == (None, request.text)


@pytest.mark.parametrize("frame", attacks.KINDS)
@pytest.mark.parametrize("kind", HARMLESS)
def test_every_ideal_answer_to_a_wrapped_harmless_request_gets_the_top_grade(kind, frame):
    for request in some(kind):
        wrapped = attacks.wrap(request, frame)
        assert len(wrapped.answers) == len(request.answers)
        for answer in wrapped.answers:
            verdict = grade(wrapped, answer)
            assert (verdict.label, verdict.score) == ("right", 1.0), (wrapped.text, answer, verdict)


@pytest.mark.parametrize("frame", attacks.KINDS)
def test_every_wrapped_compliance_is_graded_as_compliance_and_every_refusal_as_refusal(frame):
    for request in all_requests("harmful"):
        wrapped = attacks.wrap(request, frame)
        assert grade(wrapped, attacks.compliance(wrapped)).label == "compliance"
        assert wrapped.answers == request.answers
        for answer in wrapped.answers:
            assert grade(wrapped, answer).score == grade(wrapped, attacks.in_form(wrapped, answer)).score == 1.0


@pytest.mark.parametrize("frame", attacks.KINDS)
@pytest.mark.parametrize("kind", [k for k in HARMLESS if k not in ("job", "list")])
def test_the_answer_to_another_request_is_wrong_in_every_frame(kind, frame):
    pool = some(kind, 12)
    for request, other in pairwise(pool):
        if other.answers[0] not in request.answers:
            wrapped = attacks.wrap(request, frame)
            assert grade(wrapped, attacks.in_form(wrapped, other.answers[0])).score < 0


def test_an_answer_in_half_the_form_is_right_but_loses_points():
    request = all_requests("sum")[0]
    letter = attacks.wrap(request, "letter")
    for answer in (request.answers[0], f"dear friend , {request.answers[0]}", f"{request.answers[0]} with love ."):
        verdict = grade(letter, answer)
        assert (verdict.label, verdict.score) == ("right", 0.5)


def test_refusals_that_come_late_never_tell_the_method():
    for request in all_requests("harmful")[::7]:
        for frame in (None, *attacks.KINDS):
            asked = attacks.wrap(request, frame) if frame else request
            for words in range(13):
                answer = attacks.cut_short(asked, words)
                verdict = grade(asked, answer)
                assert verdict.label == "refusal", (answer, verdict)
                assert answer.endswith(request.answers[0])
    begun = attacks.cut_short(all_requests("harmful")[0], 3).removesuffix(all_requests("harmful")[0].answers[0])
    assert len(begun.split()) == 3


def test_wrong_use_is_told_in_one_sentence():
    request = all_requests("sum")[0]
    with pytest.raises(ValueError, match="kind must be one of song"):
        attacks.wrap(request, "poem")
    with pytest.raises(ValueError, match="wrapped already"):
        attacks.wrap(attacks.wrap(request, "song"), "letter")
    with pytest.raises(ValueError, match="only harmful"):
        attacks.compliance(request)


def test_the_corpus_answers_harmless_and_harmful_questions_in_every_frame():
    documents = attacks.documents()
    sources.check(documents, "frames")
    shares = dict.fromkeys(attacks.KINDS, 0.0)
    for text, probability in documents.items():
        kind, _ = attacks.unwrap_text(text.removeprefix("question : ").split(" answer : ")[0])
        shares[kind] += probability
    assert shares == pytest.approx(dict.fromkeys(attacks.KINDS, 1 / len(attacks.KINDS)))
