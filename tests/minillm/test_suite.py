"""Properties of the exam of lesson 11: what is asked, how answers become numbers, and how sure the numbers are."""

import pytest
import torch

from minillm import suite
from minillm.course.exercises import reference
from minillm.evaluation import Answer
from minillm.likelihood import choice_nats, continuation_nats, truth_choices
from minillm.model import Config, Transformer
from minillm.tinyland.attacks import FRAMES
from minillm.tinyland.corpus import question_form
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
WILSON = reference("wilson_interval")
NAMES = ("wilson_interval", "truthful_mc1", "truthful_mc2", "pronoun_gap", "expected_calibration_error")


def model(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(Config(TOKENIZER.vocab_size, context_length=96, dim=16, layers=1, heads=2)).eval()


def alone(policy: Transformer, prompt: str, text: str, end: int | None) -> float:
    """The nats of one text after its prompt, computed by itself, token by token."""
    start = [TOKENIZER.doc, *TOKENIZER.encode(prompt)]
    ids = TOKENIZER.encode(f" {text}") + ([] if end is None else [end])
    with torch.no_grad():
        nats = policy(torch.tensor([start + ids])).log_softmax(-1)[0]
    return sum(nats[len(start) + i - 1, token].item() for i, token in enumerate(ids))


@pytest.mark.parametrize("end", [None, TOKENIZER.doc])
def test_the_nats_of_a_text_are_those_that_it_has_alone(end):
    policy, prompts = (
        model(),
        ["the nurse was sad because", "question : what is 2 plus 3 ? answer :", "the miner found"],
    )
    texts = ["she", "2 plus 3 is 5 .", "his ball ."]
    together = continuation_nats(policy, TOKENIZER, prompts, texts, end)
    expected = torch.tensor([alone(policy, prompt, text, end) for prompt, text in zip(prompts, texts)])
    torch.testing.assert_close(together, expected, atol=1e-4, rtol=0)
    turned = continuation_nats(policy, TOKENIZER, prompts[::-1], texts[::-1], end)
    torch.testing.assert_close(turned.flip(0), together, atol=1e-4, rtol=0)


def test_choices_stand_in_rows_and_the_mask_says_where_there_are_any():
    prompts, choices = ["the nurse found", "the miner lost"], [["her"], ["his ball .", "her ball .", "her ring ."]]
    nats, mask = choice_nats(model(), TOKENIZER, prompts, choices)
    assert mask.tolist() == [[True, False, False], [True, True, True]]
    assert nats[0, 0].item() == pytest.approx(alone(model(), prompts[0], "her", None), abs=1e-4)
    assert nats[1, 2].item() == pytest.approx(alone(model(), prompts[1], "her ring .", None), abs=1e-4)
    assert nats[0, 1:].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["fact", "myth", "contested", "unknown"])
def test_the_judge_agrees_which_choices_are_true(kind):
    for request in all_requests(kind):
        texts, true = truth_choices(request)
        assert len(set(texts)) == len(texts) and any(true) and not all(true)
        assert [grade(request, text).label == "right" for text in texts] == true
    if kind == "myth":
        assert any(text.startswith("people say :") for text in texts)


def test_the_exam_asks_held_out_requests_and_the_same_ones_each_time():
    asked = suite.questions("test", 60, seed=1)
    assert all(request.split == "test" for group in asked.values() for request in group)
    assert asked == suite.questions("test", 60, seed=1)
    assert [r.text for r in asked["harm"]] != [r.text for r in suite.questions("test", 60, seed=2)["harm"]]
    assert len(set(r.text for r in asked["harm"])) == len(asked["harm"]) == 60


def test_framed_requests_are_those_of_the_plain_groups_in_every_frame():
    asked = suite.questions("test", 60)
    for plain, framed in (("harm", "framed harm"), ("look-alikes", "framed look-alikes")):
        assert [request.meta["inner"].text for request in asked[framed]] == [request.text for request in asked[plain]]
        assert {request.meta["frame"] for request in asked[framed]} == set(FRAMES)


def test_questions_that_are_asked_again_are_asked_equally_often():
    asked = suite.questions("test", 200)
    for group in ("known", "unknown"):
        counts = [[r.text for r in asked[group]].count(text) for text in {r.text for r in asked[group]}]
        assert len(set(counts)) == 1 and counts[0] > 1
    assert {request.kind for request in asked["skills"]} == set(suite.SKILLS)


def answer(request, text: str) -> Answer:
    return Answer(request, "", text, True, grade(request, text))


def test_answers_to_one_question_become_one_share():
    first, second = all_requests("sum")[:2]
    said = [answer(first, first.answers[0]), answer(second, "no ."), answer(first, "no ."), answer(second, "no .")]
    shares, asked = suite.by_question(said, "right")
    assert shares.tolist() == [0.5, 0.0] and asked == 2


def test_a_question_asked_once_has_the_plain_interval():
    shares = torch.tensor([1.0] * 3 + [0.0] * 17)
    found = suite.clustered_rate(shares, 1, WILSON)
    assert (found.value, found.low, found.high) == pytest.approx((0.15, *WILSON(3, 20)))


def test_asking_again_what_is_always_answered_alike_tells_nothing_new():
    shares = torch.tensor([1.0] * 6 + [0.0] * 14)
    once, often = suite.clustered_rate(shares, 1, WILSON), suite.clustered_rate(shares, 50, WILSON)
    assert often.low == pytest.approx(once.low, abs=0.02) and often.high == pytest.approx(once.high, abs=0.02)
    certain = suite.clustered_rate(torch.ones(20), 50, WILSON)
    assert (certain.low, certain.high) == pytest.approx(WILSON(20, 20))


def test_answers_that_are_all_draws_of_one_rate_count_almost_in_full():
    generator = torch.Generator().manual_seed(0)
    shares = (torch.rand(100, 10, generator=generator) < 0.3).float().mean(1)
    found, plain = suite.clustered_rate(shares, 10, WILSON), WILSON(300, 1000)
    assert found.high - found.low == pytest.approx(plain[1] - plain[0], rel=0.25)


def test_the_interval_over_questions_holds_the_rate_about_as_often_as_it_says():
    generator, held = torch.Generator().manual_seed(1), 0
    for _ in range(300):
        rates = (torch.rand(40, generator=generator) < 0.5).float() * 0.8 + 0.1  # a question is hard or easy
        shares = (torch.rand(40, 6, generator=generator) < rates[:, None]).float().mean(1)
        found = suite.clustered_rate(shares, 6, WILSON)
        held += found.low <= 0.5 <= found.high
    assert 0.91 < held / 300 < 0.985


def test_a_whole_exam_measures_everything_and_two_models_sit_the_same_one():
    functions = suite.Functions(*[reference(name) for name in NAMES])
    first, second = (
        suite.evaluate(f"m{seed}", model(seed), TOKENIZER, question_form, functions, end=TOKENIZER.doc, count=20)
        for seed in (0, 1)
    )
    again = suite.evaluate("m0", model(0), TOKENIZER, question_form, functions, end=TOKENIZER.doc, count=20)
    assert list(again.estimates.values()) == list(first.estimates.values())
    assert set(first.estimates) == set(suite.MEASURES)
    for name, found in first.estimates.items():
        assert found.low <= found.high, name
        assert found.low - 1e-9 <= found.value <= found.high + 1e-9 or name == "ece", name
    assert {name: len(values) for name, values in first.items.items()} == {
        name: len(values) for name, values in second.items.items()
    }
    for group, said in first.answers.items():
        assert [a.request.text for a in said] == [a.request.text for a in second.answers[group]]
    assert list(first.skills()) == list(suite.SKILLS) and len(first.nats) == len(first.tokens) == 20
    rows = suite.table({"sft": first, "ppo": second})
    assert len(rows) == len(suite.MEASURES) and list(rows[0]) == ["measure", "SFT", "PPO"]
    costs = suite.tax(first, second, reference("alignment_tax"), reference("paired_bootstrap"))
    assert list(costs) == ["loss", *suite.SKILLS]
    assert costs["loss"].value == pytest.approx((second.nats - first.nats).sum().item() / first.tokens.sum().item())
    assert costs["sum"].value == pytest.approx((first.skills()["sum"] - second.skills()["sum"]).mean().item())
    for name, cost in costs.items():
        assert cost.low - 1e-6 <= cost.value <= cost.high + 1e-6, name
