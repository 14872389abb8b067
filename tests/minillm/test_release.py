"""Trials of a release gate: two draws of one model, and a regression that is planted."""

import pytest
import torch

from minillm import release
from minillm.tinyland.requests import Request


def sittings(n=3, items=200, share=0.8):
    generator = torch.Generator().manual_seed(0)
    return {name: (torch.rand(items, n, generator=generator) < share).float() for name in ("a", "b", "c")}


def test_an_exam_has_a_metric_for_everything_to_be_done_and_as_many_requests_of_each():
    sets = release.exams(20)
    assert list(sets)[2:4] == ["clinic: answer", "clinic: doctor"] and len(sets) == len(release.EXAMS)
    for (system, what), asked in zip(release.EXAMS, sets.values()):
        assert len(asked) == 20 and all(isinstance(r, Request) for r in asked)
        assert {(r.meta["system"], r.meta["mode"], r.split) for r in asked} == {(system, what, "test")}


def test_a_draw_takes_two_different_answers_to_each_item():
    numbers = {"a": torch.arange(30.0).view(10, 3)}  # every answer can be told apart
    first, second = release.draw(numbers, torch.Generator().manual_seed(1))
    for item in range(10):
        pair = {first["a"][item].item(), second["a"][item].item()}
        assert len(pair) == 2 and pair <= set(numbers["a"][item].tolist())


def test_both_sides_of_a_draw_are_alike_on_average():
    found, generator = sittings(), torch.Generator().manual_seed(2)
    gaps = [(second["a"] - first["a"]).mean() for first, second in (release.draw(found, generator) for _ in range(300))]
    assert abs(torch.stack(gaps).mean().item()) < 0.01


def test_a_planted_regression_takes_that_many_points_of_one_metric_and_leaves_the_others():
    scores = {name: marks[:, 0] for name, marks in sittings().items()}
    kept = {name: marks.clone() for name, marks in scores.items()}
    worse = release.plant(scores, "b", 0.1, torch.Generator().manual_seed(3))
    assert (scores["b"].mean() - worse["b"].mean()).item() == pytest.approx(0.1, abs=1e-6)
    assert bool((worse["b"] <= scores["b"]).all())
    for name in "abc":
        assert torch.equal(scores[name], kept[name])
        assert name == "b" or torch.equal(worse[name], scores[name])


def test_trials_of_gates_that_never_and_always_stop():
    ships = release.trials(sittings(), lambda service, candidate: {"ship": True, "regressed": []}, 30)
    assert (ships.passed.hits, ships.caught.hits) == (30, 0)
    stops = release.trials(sittings(), lambda service, candidate: {"ship": False, "regressed": list(service)}, 30)
    assert (stops.passed.hits, stops.caught.hits) == (0, 30)


def test_a_gate_that_blames_the_wrong_metric_has_not_caught_it():
    found = release.trials(sittings(), lambda service, candidate: {"ship": False, "regressed": ["a"]}, 30)
    assert found.caught.hits == 10  # a third of the regressions are planted there


def test_any_fall_stops_most_equal_models_and_a_wide_limit_none():
    assert release.trials(sittings(), release.threshold_gate(0.0), 100).passed.rate < 0.35
    wide = release.trials(sittings(), release.threshold_gate(0.5), 100)
    assert (wide.passed.rate, wide.caught.rate) == (1.0, 0.0)
