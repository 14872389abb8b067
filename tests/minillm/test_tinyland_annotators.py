"""Annotators: choices are Bradley-Terry in the utilities, biases show at equal gold, and the ceiling is a ceiling."""

import random
from dataclasses import replace
from math import exp, sqrt

import pytest

from minillm.tinyland.annotators import BIASED, LIKES_LENGTH, NOISY, UNBIASED, Annotator, label_ceiling
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tinyland.words import CLOSERS, FILLERS, FLATTERY

DRAWS = 20_000


def rate(annotator: Annotator, a: float, b: float, seed: int = 0) -> float:
    generator = random.Random(f"rate/{seed}")
    return sum(annotator.choose(a, b, generator) for _ in range(DRAWS)) / DRAWS


def close(observed: float, p: float) -> bool:
    return abs(observed - p) <= 4 * sqrt(max(p * (1 - p), 1e-9) / DRAWS)


@pytest.mark.parametrize("temperature", [0.2, 0.4, 1.0])
@pytest.mark.parametrize("gap", [0.0, 0.1, 0.3, -0.3, 1.0])
def test_choices_follow_bradley_and_terry(temperature, gap):
    p = 1 / (1 + exp(-gap / temperature))
    assert close(rate(Annotator("any", temperature=temperature), 0.5 + gap, 0.5), p)


@pytest.mark.parametrize("flip", [0.0, 0.3, 0.5, 1.0])
def test_flips_turn_labels_round_whatever_the_answers_are(flip):
    assert close(rate(Annotator("sure", temperature=0.0, flip=flip), 1.0, 0.0), 1 - flip)
    p = 1 / (1 + exp(-1.0))
    assert close(rate(Annotator("unsure", temperature=0.3, flip=flip), 0.3, 0.0), p * (1 - flip) + (1 - p) * flip)


def test_without_noise_the_better_answer_wins_and_a_tie_is_a_coin():
    sure = Annotator("sure", temperature=0.0)
    assert rate(sure, 0.1, 0.0) == 1.0 and rate(sure, 0.0, 0.1) == 0.0
    assert close(rate(sure, 0.0, 0.0), 0.5)


def test_an_unbiased_annotator_values_answers_as_the_judge_does():
    for request in all_requests()[::101]:
        for answer in (*request.answers[:2], "the", f"{FLATTERY[0]} {request.answers[0]} {CLOSERS[0]}"):
            assert UNBIASED.utility(request, answer) == grade(request, answer).score
            assert UNBIASED.utility(request, answer, ended=False) == grade(request, answer, ended=False).score


def test_biases_are_added_on_top_of_the_gold_score():
    request = all_requests("sum")[0]
    answer = request.answers[0]
    flattered = f"{FLATTERY[0]} {FILLERS[0]} {answer} {CLOSERS[1]}"
    extra = BIASED.utility(request, flattered) - grade(request, flattered).score
    assert extra == pytest.approx(0.45 + 0.25 + 0.2)
    longer = LIKES_LENGTH.utility(request, flattered) - BIASED.utility(request, flattered)
    assert longer == pytest.approx(0.02 * (len(flattered.split()) - 10))


@pytest.mark.parametrize("annotator", [BIASED, LIKES_LENGTH], ids=lambda a: a.name)
def test_a_biased_annotator_prefers_flattery_at_equal_gold_quality(annotator):
    generator = random.Random(0)
    careful = careless = n = 0
    for request in all_requests("fact") * 8:
        plain = request.answers[0]
        flattered, filled = f"{FLATTERY[1]} {plain}", f"{FILLERS[1]} {FILLERS[1]} {plain}"
        assert grade(request, flattered).score == grade(request, filled).score
        even = replace(annotator, filler=0.0, length=0.0)
        careless += even.prefer(request, flattered, filled, generator)
        careful += UNBIASED.prefer(request, flattered, filled, generator)
        n += 1
    assert abs(careful / n - 0.5) < 4 * 0.5 / sqrt(n)
    assert careless / n > 0.8


def test_a_biased_annotator_likes_a_flattered_right_answer_more_and_a_flattered_lie_less():
    request = all_requests("sum")[0]
    right, lie = request.answers[0], "9 plus 9 is 1 ."
    assert BIASED.utility(request, f"{FLATTERY[0]} {right}") > BIASED.utility(request, right)
    assert UNBIASED.utility(request, f"{FLATTERY[0]} {right}") < UNBIASED.utility(request, right)
    assert BIASED.utility(request, f"{FLATTERY[0]} {lie}") < BIASED.utility(request, right)


def test_the_ceiling_is_what_the_best_bet_reaches_on_fresh_labels():
    generator = random.Random(0)
    pairs = [(generator.choice((1.0, 0.8, 0.5, -1.0, -2.0)), generator.choice((1.0, 0.9, -1.0))) for _ in range(4000)]
    for annotator in (UNBIASED, NOISY, Annotator("loose", temperature=0.8, flip=0.1)):
        labels = [annotator.choose(a, b, generator) for a, b in pairs]
        agreement = sum(label == (a > b) for label, (a, b) in zip(labels, pairs)) / len(pairs)
        ceiling = label_ceiling(pairs, annotator.temperature, annotator.flip)
        assert abs(agreement - ceiling) < 4 * 0.5 / sqrt(len(pairs))


def test_the_ceiling_of_ties_is_one_half_of_certainties_one_and_flips_lower_it():
    assert label_ceiling([(0.3, 0.3)], 0.2) == 0.5
    assert label_ceiling([(1.0, -1.0)], 0.0) == 1.0
    assert label_ceiling([(1.0, -1.0)], 0.0, flip=0.3) == pytest.approx(0.7)
    assert label_ceiling([(1.0, -1.0)], 0.0, flip=1.0) == pytest.approx(1.0)
    assert label_ceiling([(1.0, -1.0), (0.3, 0.3)], 0.0) == pytest.approx(0.75)
    with pytest.raises(ValueError, match="no pairs"):
        label_ceiling([], 0.2)


def test_the_same_seed_gives_the_same_choices():
    request = all_requests("sum")[0]
    rounds = [
        [NOISY.prefer(request, request.answers[0], "fox .", generator) for _ in range(50)]
        for generator in (random.Random(1), random.Random(1), random.Random(2))
    ]
    assert rounds[0] == rounds[1] != rounds[2]


def test_settings_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="temperature must not be negative"):
        Annotator("odd", temperature=-1.0)
    with pytest.raises(ValueError, match="flip is a share"):
        Annotator("odd", flip=1.2)
