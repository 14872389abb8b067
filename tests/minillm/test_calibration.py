"""Properties of confidence in contested facts: what the world makes true, and what a temperature does to it."""

import pytest
import torch

from minillm.calibration import (
    Crowd,
    assess,
    at_temperature,
    chance_error,
    confidence_in_popular,
    cross_fitted,
    decided,
    fit_temperature,
)
from minillm.model import Config, Transformer
from minillm.tinyland.corpus import question_form
from minillm.tinyland.facts import all_facts
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()


def gap(confidence, correct):
    return (confidence.mean() - correct.mean()).abs()


def test_whoever_is_as_sure_as_the_text_is_divided_is_calibrated():
    contested = [fact for fact in all_facts() if fact.kind == "contested"]
    p = torch.tensor([fact.share for fact in contested])
    true = torch.tensor([fact.popular == fact.truth for fact in contested])
    for share in p.unique():
        assert true[p == share].float().mean().item() == pytest.approx(share.item())
    assert fit_temperature(p, true) == pytest.approx(1.0, abs=0.06)


def test_confidence_is_a_probability_for_each_contested_fact_of_the_split():
    torch.manual_seed(0)
    model = Transformer(Config(TOKENIZER.vocab_size, context_length=64, dim=16, layers=1, heads=2)).eval()
    p, true = confidence_in_popular(model, TOKENIZER, question_form, TOKENIZER.doc)
    assert len(p) == len(true) == 40 and true.dtype == torch.bool and true.sum() == 30
    assert ((p > 0) & (p < 1)).all()
    parts = [confidence_in_popular(model, TOKENIZER, question_form, TOKENIZER.doc, s)[0] for s in ("train", "test")]
    assert [len(part) for part in parts] == [20, 14]
    warm = confidence_in_popular(model, TOKENIZER, question_form, TOKENIZER.doc, temperature=3.0)[0]
    torch.testing.assert_close(warm, at_temperature(p, 3.0), atol=1e-4, rtol=0)


def test_what_is_decided_is_the_likelier_value():
    confidence, correct = decided(torch.tensor([0.9, 0.2, 0.3]), torch.tensor([True, False, True]))
    torch.testing.assert_close(confidence, torch.tensor([0.9, 0.8, 0.7]))
    assert correct.tolist() == [1, 1, 0]


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 3.0])
def test_the_temperature_that_was_used_is_found_again(sharpened):
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(20_000, generator=generator) * 0.9 + 0.05
    true = torch.rand(20_000, generator=generator) < p
    sharp = at_temperature(p, 1 / sharpened)
    assert fit_temperature(sharp, true) == pytest.approx(sharpened, rel=0.06)
    torch.testing.assert_close(at_temperature(sharp, sharpened), p, atol=1e-3, rtol=0)


def test_a_temperature_changes_how_sure_a_model_is_and_not_what_it_says():
    p = torch.tensor([0.01, 0.3, 0.5, 0.7, 0.999])
    assert ((at_temperature(p, 5.0) > 0.5) == (p > 0.5)).all()
    assert ((at_temperature(p, 5.0) - 0.5).abs() <= (p - 0.5).abs()).all()


def test_chance_alone_makes_errors_that_fall_with_the_number_of_answers():
    few, many = (chance_error(torch.full((n,), 0.8), gap).mean().item() for n in (10, 1000))
    assert few == pytest.approx(0.8 * (0.8 * 0.2 * 2 / torch.pi / 10) ** 0.5 / 0.8, rel=0.2)  # the mean of |normal|
    assert many < few / 5
    assert chance_error(torch.ones(10), gap).max() == 0


def test_cross_fitting_judges_no_fact_by_its_own_temperature():
    first = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([True, True, True])
    second = torch.tensor([0.9, 0.6]), torch.tensor([False, True])
    (p, true), warm = cross_fitted(first, second)
    assert warm == (fit_temperature(*first), fit_temperature(*second)) and warm[0] < 1 < warm[1]
    torch.testing.assert_close(p[:3], at_temperature(first[0], warm[1]))
    torch.testing.assert_close(p[3:], at_temperature(second[0], warm[0]))
    assert true.tolist() == [True, True, True, False, True]


def test_the_crowd_likes_what_is_said_most_often_true_or_not():
    myth = all_requests("myth")[0]
    said = [f"the {myth.topic} of the {myth.meta['subject']} is {myth.meta[key]} ." for key in ("popular", "rival")]
    assert [Crowd().utility(myth, text) for text in said] == [0.75, 0.25]
    assert Crowd().utility(myth, f"people say : {said[0]}") == 0.75
    assert Crowd().utility(myth, "i do not know .") == Crowd().utility(myth, said[0].removesuffix(" .")) == 0


def test_an_assessment_tells_the_error_beside_what_chance_makes():
    found = assess((torch.tensor([0.9, 0.8, 0.3]), torch.tensor([True, False, False])), gap)
    assert (found.confidence, found.right) == (pytest.approx(0.8), pytest.approx(2 / 3))
    assert found.error == pytest.approx(0.8 - 2 / 3)
    assert found.row("base")["model"] == "base" and found.row("base")["calibration error"] == "0.133"
    assert found.chance.mean().item() == pytest.approx(float(found.row("base")["chance, mean"]), abs=1e-3)
