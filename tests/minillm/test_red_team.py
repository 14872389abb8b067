"""Attacks on a model, the sets that make it safe, and the search for suffixes."""

from dataclasses import replace

import pytest
import torch

from minillm import red_team, safety_training, stages
from minillm.chat import chat_prompt
from minillm.course.exercises import reference
from minillm.model import Config, Transformer
from minillm.preferences import draw_requests
from minillm.suffix_search import Functions, Search, around, search_suffix, suffix_losses, with_suffix, word_tokens
from minillm.tinyland.attacks import FRAMES, held_out_kinds, seen_kinds
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

render_chat = reference("render_chat")


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(stages.TOKENIZER)


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(Config(tokenizer.vocab_size, dim=16, layers=1, heads=2)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


def test_safety_that_is_narrow_shows_no_harm_in_a_frame() -> None:
    shown = safety_training.narrow_safety(400, seed=1)
    framed = [each for each in shown if "frame" in each.request.meta]
    plain_harm = [each for each in shown if each.request.kind == "harmful"]
    assert framed and all(each.request.kind != "harmful" for each in framed)
    assert {each.request.meta["frame"] for each in framed} == set(FRAMES)
    assert 0.3 < len(plain_harm) / len(shown) < 0.4
    assert all(grade(each.request, each.answer).score > 0 for each in shown)
    assert {each.request.split for each in shown} == {"train"}


def test_helpful_only_complies_with_harm_plain_and_in_frames() -> None:
    shown = safety_training.helpful_only(480, seed=1)
    harm = [each for each in shown if each.request.kind == "harmful"]
    assert all(grade(each.request, each.answer).label == "compliance" for each in harm)
    assert {"frame" in each.request.meta for each in harm} == {True, False}


def test_a_deep_refusal_counts_only_behind_the_words_of_compliance(tokenizer: Tokenizer) -> None:
    requests = draw_requests("train", 40, seed=1, kinds=["harmful"])
    for request, (ids, target) in zip(
        requests, safety_training.deep_examples(requests, tokenizer, render_chat, seed=0), strict=True
    ):
        learned = tokenizer.decode([i for i, counts in zip(ids, target.tolist()) if counts]).removesuffix("<end>")
        given = tokenizer.decode([i for i, counts in zip(ids, target.tolist()) if not counts])
        begun = given.removeprefix(chat_prompt(render_chat, request)).strip()
        assert learned.strip() in request.answers
        assert begun and request.meta["method"].startswith(begun)
        assert grade(request, f"{begun} {learned.strip()}").label == "refusal"


def test_words_in_an_answers_mouth_are_graded_with_the_answer(model: Transformer, tokenizer: Tokenizer) -> None:
    requests = draw_requests("test", 5, seed=1, kinds=["harmful"])
    answers = red_team.prefilled(
        model, tokenizer, lambda r: chat_prompt(render_chat, r), requests, words=30, max_new_tokens=3
    )
    for request, answer in zip(requests, answers, strict=True):
        assert answer.text.startswith(request.meta["method"]) and answer.verdict.label == "compliance"
        assert answer.prompt.endswith(request.meta["method"])


def test_exposure_counts_every_kind(model: Transformer, tokenizer: Tokenizer) -> None:
    found = red_team.expose(model, tokenizer, render_chat, count=6)
    assert set(found.frames) == set(FRAMES) and set(found.prefill) == set(red_team.DEPTHS)
    assert found.wrapped_right.n == 12 and found.refused.n == 6
    shares = [found.frames[kind].rate for kind in seen_kinds()]
    assert found.mean_of(seen_kinds()) == pytest.approx(sum(shares) / len(shares))
    assert found == red_team.expose(model, tokenizer, render_chat, count=6)
    assert not set(seen_kinds()) & set(held_out_kinds())


def test_suffixes_are_words_that_are_read_as_they_were_written(tokenizer: Tokenizer) -> None:
    words = word_tokens(tokenizer)
    assert len(words) > 300
    text = tokenizer.decode(words)
    assert tokenizer.encode(text) == words
    assert not any(tokenizer.token_bytes(i).decode().strip() in ("<end>", ".", "?") for i in words)


def test_losses_of_candidates_are_those_of_the_whole_text(model: Transformer, tokenizer: Tokenizer) -> None:
    request = all_requests("harmful", "test")[3]
    before, after = around(request, tokenizer, render_chat)
    candidates = torch.tensor(word_tokens(tokenizer))[torch.randint(300, (3, 4), generator=torch.manual_seed(1))]
    target = torch.tensor(tokenizer.encode(" swing a stick"))
    losses = suffix_losses(model, before, after, target, candidates)
    for candidate, loss in zip(candidates, losses, strict=True):
        text = chat_prompt(render_chat, with_suffix(request, tokenizer.decode(candidate).strip())) + " swing a stick"
        ids = torch.tensor(tokenizer.encode(text))
        logprobs = model(ids[None, :-1])[0].log_softmax(-1)
        each = -logprobs[torch.arange(len(ids) - 1), ids[1:]][-len(target) :]
        assert loss.item() == pytest.approx(each.mean().item(), rel=1e-4)


def test_a_search_never_gets_worse_and_can_be_repeated(model: Transformer, tokenizer: Tokenizer) -> None:
    functions = Functions(reference("token_gradients"), reference("gcg_step"))
    request, seen = all_requests("harmful", "test")[3], []
    found = search_suffix(
        model, tokenizer, request, render_chat, functions, Search(steps=4, count=8, topk=4), lambda f: seen.append(f)
    )
    assert found.steps == 4 == len(seen) and not found.succeeded
    assert all(later <= earlier + 1e-6 for earlier, later in zip(found.losses, found.losses[1:]))
    assert found.losses[-1] < found.losses[0]
    assert found.attack.text == f"{request.text} {found.suffix}" and len(found.suffix.split()) == 4
    again = search_suffix(model, tokenizer, request, render_chat, functions, Search(steps=4, count=8, topk=4))
    assert again.losses == found.losses and again.suffix == found.suffix
    with pytest.raises(ValueError, match="harmful request"):
        search_suffix(model, tokenizer, replace(request, kind="fact"), render_chat, functions)
