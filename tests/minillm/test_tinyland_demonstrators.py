"""Demonstrators: faults come at the rates that were set, and are told as they are."""

import random
from dataclasses import replace
from math import sqrt

import pytest

from minillm.tinyland import domains, style
from minillm.tinyland.attacks import KINDS as FRAME_KINDS
from minillm.tinyland.attacks import wrap
from minillm.tinyland.demonstrators import CLEAN, FLAWS, HELPFUL_ONLY, MIXED, Demonstrator, demonstrations, false_answer
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import KINDS, all_requests

REQUESTS = random.Random("requests").sample(all_requests(), len(all_requests()))


def within_binomial_bounds(hits: int, n: int, p: float) -> bool:
    """Within four standard deviations of the binomial; exact for p of 0 and 1."""
    return abs(hits - n * p) <= 4 * sqrt(n * p * (1 - p))


def test_a_clean_demonstrator_is_always_ideal():
    for request in REQUESTS[::3]:
        for asked in (request, wrap(request, "letter"), domains.under("clinic", request)):
            (demonstration,) = demonstrations(CLEAN, [asked], seed=3)
            assert demonstration.flaws == () and demonstration.answer in asked.answers
            assert grade(asked, demonstration.answer).score == 1.0


@pytest.mark.parametrize("demonstrator", [CLEAN, MIXED, HELPFUL_ONLY], ids=lambda d: d.name)
@pytest.mark.parametrize("frame", [None, "story"])
def test_flaws_come_at_the_rates_that_were_set(demonstrator, frame):
    asked = [wrap(r, frame) if frame else r for r in REQUESTS]
    rows = demonstrations(demonstrator, asked, seed=1)
    harmful = [row for row in rows if row.request.kind == "harmful"]
    lookalike = [row for row in rows if row.request.kind == "lookalike"]
    answered = [row for row in rows if row.request.kind not in ("harmful", "job")]
    groups = {"harm": harmful, "lie": answered, "over_refusal": lookalike,
              "bare_refusal": [row for row in harmful if "harm" not in row.flaws],
              "flattery": rows, "filler": rows, "closer": rows}  # fmt: skip
    for flaw in FLAWS:
        hits = sum(flaw in row.flaws for row in groups[flaw])
        assert within_binomial_bounds(hits, len(groups[flaw]), getattr(demonstrator, flaw)), flaw
        assert hits == sum(flaw in row.flaws for row in rows)


def test_every_fault_costs_points_and_is_what_it_is_called():
    rows = demonstrations(Demonstrator("all", *[0.4] * 7), REQUESTS, seed=2)
    labels = {"harm": {"compliance"}, "lie": {"wrong", "myth", "guess"}, "over_refusal": {"over_refusal"}}
    for row in rows:
        verdict, counts = grade(row.request, row.answer), style.count(row.answer)
        assert (verdict.score < 1.0) == bool(row.flaws)
        expected = [labels[flaw] for flaw in row.flaws if flaw in labels]
        assert verdict.label in (expected[0] if expected else {"right", "refusal"}), row
        assert (counts.flattery, counts.fillers, counts.closers) == tuple(
            int(flaw in row.flaws) for flaw in ("flattery", "filler", "closer")
        )


@pytest.mark.parametrize("frame", [None, *FRAME_KINDS])
def test_harm_and_lies_are_told_in_the_form_of_the_frame(frame):
    bad = Demonstrator("bad", harm=1.0, lie=1.0)
    for request in REQUESTS[:200]:
        asked = wrap(request, frame) if frame else request
        (row,) = demonstrations(bad, [asked], seed=0)
        if request.kind != "job":
            assert row.flaws in (("harm",), ("lie",))
            assert grade(asked, row.answer).score <= -1.0
            assert row.answer.startswith(asked.meta.get("opening", ""))


def test_harm_under_a_system_prompt_is_the_advice_it_forbids():
    requests = [domains.under("clinic", request) for request in all_requests("health")]
    rows = demonstrations(MIXED, requests, seed=0)
    harm = [row for row in rows if "harm" in row.flaws]
    assert 0 < len(harm) < len(rows)
    assert {grade(row.request, row.answer).label for row in harm} == {"breach"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("harmful", "job")])
def test_a_false_answer_is_never_right(kind):
    generator = random.Random(5)
    for request in all_requests(kind):
        for _ in range(5):
            verdict = grade(request, false_answer(request, generator))
            assert verdict.score == -1.0, (request.text, verdict)


def test_the_same_seed_gives_the_same_rows_and_another_seed_others():
    rows = demonstrations(MIXED, REQUESTS[:300], seed=4)
    assert rows == demonstrations(MIXED, REQUESTS[:300], seed=4)
    assert rows != demonstrations(MIXED, REQUESTS[:300], seed=5)


def test_the_book_is_quoted_at_the_rate_that_was_set():
    facts = all_requests("fact") * 5
    rows = demonstrations(replace(CLEAN, book=0.4), facts, seed=0)
    assert within_binomial_bounds(sum("book" in row.answer for row in rows), len(rows), 0.4)


def test_a_rate_outside_0_and_1_is_refused():
    with pytest.raises(ValueError, match="lie is a probability"):
        Demonstrator("odd", lie=1.5)
