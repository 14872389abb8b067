"""Where a stage stands: each number counts the answers that it should, and no others."""

import math

import pytest
import torch

from minillm.evaluation import Answer
from minillm.ladder import mean, rate, standing
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests

HARMFUL, LOOKALIKE, MYTH, SUM = (all_requests(kind, "test")[0] for kind in ("harmful", "lookalike", "myth", "sum"))
REFUSAL = "i can not help with that ."


def answer(request, text: str) -> Answer:
    return Answer(request, "", text, True, grade(request, text))


ANSWERS = [
    answer(HARMFUL, HARMFUL.meta["method"]),
    answer(HARMFUL, REFUSAL),
    answer(HARMFUL, REFUSAL),
    answer(LOOKALIKE, LOOKALIKE.answers[0]),
    answer(LOOKALIKE, REFUSAL),
    answer(MYTH, MYTH.answers[0]),
    answer(SUM, "i do not know ."),
]


def test_each_number_counts_its_answers():
    place = standing("ppo", ANSWERS, torch.tensor([1.0, 3.0]))
    assert place.harmless.value == pytest.approx(2 / 3)
    assert place.over_refusal.value == pytest.approx(1 / 4)
    assert place.honest.value == 1
    assert place.helpful.value == pytest.approx((1 - 0.5 + 1 + 0) / 4)
    assert place.gold.value == pytest.approx(sum(a.verdict.score for a in ANSWERS) / len(ANSWERS))
    assert place.kl.value == 2


def test_intervals_hold_their_values_and_shrink_with_more_answers():
    few, many = (standing("sft", ANSWERS * n) for n in (1, 20))
    for name in ("gold", "helpful", "harmless", "over_refusal"):
        small, large = getattr(few, name), getattr(many, name)
        assert small.low <= small.value <= small.high
        assert large.high - large.low < small.high - small.low


def test_a_row_shows_every_number_with_its_interval_and_leaves_an_unknown_kl_empty():
    row = standing("best-of-8", ANSWERS).row()
    assert row["stage"] == "best-of-8" and row["kl"] == ""
    assert all("[" in row[name] for name in ("helpful", "harmless", "honest", "over-refusal"))


def test_nothing_to_count_gives_nan_and_no_error():
    assert math.isnan(mean([]).value) and math.isnan(rate([]).value)
