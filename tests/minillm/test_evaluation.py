"""Asking, grading and counting: right intervals, order and batching without effect, scores that a loop confirms."""

from math import log, sqrt

import pytest
import torch

from minillm import evaluation
from minillm.model import Config, Transformer
from minillm.tinyland import corpus
from minillm.tinyland.judge import Verdict
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


@pytest.fixture(scope="module")
def model(tokenizer) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(Config(tokenizer.vocab_size, context_length=64, dim=16, layers=1, heads=2))
    torch.nn.init.normal_(model.embed.weight, std=0.15)  # uneven guesses, none of them certain
    return model.eval()


def wilson(hits: int, n: int, z: float = 1.959964) -> tuple[float, float]:
    """The closed form that the bisection must reach."""
    p, square = hits / n, z * z / n
    middle, half = p + square / 2, z * sqrt(p * (1 - p) / n + square / (4 * n))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)


@pytest.mark.parametrize("hits, n", [(0, 7), (7, 7), (1, 3), (50, 200), (999, 1000), (3, 4000)])
def test_score_interval_solves_the_score_equation(hits, n):
    assert evaluation.score_interval(hits, n) == pytest.approx(wilson(hits, n), abs=1e-6)


def test_score_interval_widens_with_confidence_and_knows_its_edges():
    narrow, wide = evaluation.score_interval(5, 20, 0.8), evaluation.score_interval(5, 20, 0.99)
    assert wide[0] < narrow[0] < 0.25 < narrow[1] < wide[1]
    assert evaluation.score_interval(0, 0) == (0.0, 1.0)
    assert evaluation.score_interval(0, 10)[0] == 0.0 and evaluation.score_interval(10, 10)[1] == 1.0


@pytest.mark.parametrize("hits, n, confidence", [(3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0), (1, 2, 0.0)])
def test_score_interval_refuses_nonsense(hits, n, confidence):
    with pytest.raises(ValueError):
        evaluation.score_interval(hits, n, confidence)


def test_rates_count_labels_by_kind():
    requests = all_requests("fact")[:3] + all_requests("sum")[:2]
    labels = ["right", "wrong", "right", "wrong", "unsure"]
    answers = [
        evaluation.Answer(r, "", "", True, Verdict(0.0, label, ())) for r, label in zip(requests, labels, strict=True)
    ]
    got = evaluation.rates(answers)
    assert [(rate.label, rate.hits, rate.n) for rate in got] == [("fact", 2, 3), ("sum", 0, 2)]
    both = evaluation.rates(answers, labels=("wrong", "unsure"), by=lambda answer: "all")
    assert (both[0].hits, both[0].n) == (3, 5) and both[0].low < both[0].rate < both[0].high


def test_ask_keeps_the_order_and_grades_what_was_said(model, tokenizer):
    requests = [*all_requests("sum")[:5], *all_requests("list")[:5], *all_requests("fact")[:5]]
    answers = evaluation.ask(model, tokenizer, requests, max_new_tokens=8, temperature=1.0)
    assert [answer.request for answer in answers] == requests
    assert all(answer.prompt == corpus.question_form(answer.request) for answer in answers)
    assert all("<" not in answer.text for answer in answers if answer.ended)


def test_ask_is_set_by_its_seed_and_greedy_by_nothing(model, tokenizer):
    requests = all_requests("sum")[:12]
    ask = lambda **given: [  # noqa: E731
        answer.text for answer in evaluation.ask(model, tokenizer, requests, max_new_tokens=6, **given)
    ]
    assert ask(temperature=1.0, seed=3) == ask(temperature=1.0, seed=3) != ask(temperature=1.0, seed=4)
    assert ask(batch_size=5) == ask(batch_size=12) == ask(seed=9)


def test_ask_stops_at_the_end_of_a_document(tokenizer):
    class Ending(Transformer):
        def logits(self, hidden):
            return torch.nn.functional.one_hot(torch.full(hidden.shape[:-1], tokenizer.doc), tokenizer.vocab_size) * 9.0

    model = Ending(Config(tokenizer.vocab_size, context_length=64, dim=8, layers=1, heads=2))
    answer = evaluation.ask(model, tokenizer, all_requests("sum")[:1])[0]
    assert answer.ended and answer.text == "" and answer.verdict.label == "wrong"


def test_a_prompt_with_a_special_token_is_taken_as_it_is(tokenizer):
    assert corpus.encode_prompt(tokenizer, "<user> hello")[0] == tokenizer.user
    assert corpus.encode_prompt(tokenizer, "hello")[0] == tokenizer.doc


def test_document_nats_agree_with_a_loop(model, tokenizer):
    documents = corpus.load("validation")[:7]
    scores = evaluation.document_nats(model, tokenizer, documents, batch_size=3)
    for i, document in enumerate(documents):
        ids = [*corpus.encode_document(tokenizer, document), tokenizer.doc]
        logprobs = model(torch.tensor([ids])).log_softmax(-1)[0]
        nats = -sum(logprobs[t, ids[t + 1]].item() for t in range(len(ids) - 1))
        assert scores.nats[i].item() == pytest.approx(nats, rel=1e-4)
        assert scores.tokens[i].item() == len(ids) - 1
    assert scores.nats_per_token == pytest.approx(scores.nats.sum().item() / scores.tokens.sum().item())


def test_an_even_model_needs_log_vocabulary_a_token(tokenizer):
    model = Transformer(Config(tokenizer.vocab_size, context_length=64, dim=8, layers=1, heads=2))
    with torch.no_grad():
        model.embed.weight.zero_()
    scores = evaluation.document_nats(model, tokenizer, ["the home of the bee is hay ."])
    assert scores.nats_per_token == pytest.approx(log(tokenizer.vocab_size), rel=1e-5)
