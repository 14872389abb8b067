"""From requests to batches: conversations in order, demonstrations that differ only in who writes, no leaks."""

from collections import Counter

import pytest
import torch

from minillm import chat
from minillm.course.exercises import reference
from minillm.tinyland import corpus, domains
from minillm.tinyland.demonstrators import CLEAN, MIXED
from minillm.tinyland.requests import KINDS, all_requests
from minillm.tokenizer import Tokenizer

render_chat, response_mask, collate = map(reference, ("render_chat", "response_mask", "collate"))


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load()


def test_messages_put_the_system_prompt_first_and_the_answer_last():
    request = all_requests("sum")[0]
    assert [m["role"] for m in chat.messages(request)] == ["user"]
    assert [m["role"] for m in chat.messages(request, "no .")] == ["user", "assistant"]
    under = domains.under("clinic", all_requests("health")[0])
    turns = chat.messages(under, "see a doctor .")
    assert [m["role"] for m in turns] == ["system", "user", "assistant"]
    assert turns[0]["content"] == under.meta["system_text"] and turns[1]["content"] == under.text


def test_the_prompt_ends_where_the_answer_begins_in_tokens_too(tokenizer):
    for request in all_requests(split="validation")[::25]:
        prompt = tokenizer.encode(chat.chat_prompt(render_chat, request))
        whole = tokenizer.encode(render_chat(chat.messages(request, request.answers[0])))
        assert prompt[-1] == tokenizer.bot
        assert whole[: len(prompt)] == prompt


def test_the_same_seed_draws_the_same_requests_for_every_demonstrator():
    mixed, clean = (chat.draw_demonstrations(who, 300, seed=4) for who in (MIXED, CLEAN))
    assert [d.request for d in mixed] == [d.request for d in clean]
    assert not any(d.flaws for d in clean) and any(d.flaws for d in mixed)
    assert [d.request for d in chat.draw_demonstrations(CLEAN, 300, seed=5)] != [d.request for d in clean]


def test_demonstrations_come_from_their_split_and_show_every_kind():
    for split in ("train", "validation"):
        drawn = chat.draw_demonstrations(CLEAN, 501, seed=0, split=split)
        assert len(drawn) == 501 and {d.request.split for d in drawn} == {split}
        counts = Counter(d.request.kind for d in drawn)
        assert set(counts) == set(KINDS) and min(counts.values()) >= 501 // 2 // len(KINDS)


def test_examples_count_the_answer_and_its_end_alone(tokenizer):
    shown = chat.draw_demonstrations(CLEAN, 20, seed=0)
    for demonstration, (ids, mask) in zip(shown, chat.chat_examples(shown, tokenizer, render_chat, response_mask)):
        answer = [token for token, counted in zip(ids, mask.tolist()) if counted]
        assert answer[-1] == tokenizer.end
        assert tokenizer.decode(answer[:-1]).strip() == demonstration.answer


def test_replayed_documents_are_training_text_and_never_close_with_doc(tokenizer):
    texts = set(corpus.load("train"))
    for ids, mask in chat.replay_examples(30, tokenizer, seed=1):
        assert ids[0] == tokenizer.doc and tokenizer.doc not in ids[1:]
        assert tokenizer.decode(ids[1:]) in texts
        assert bool(mask.all()) and len(mask) == len(ids)


def test_batches_hold_the_examples_and_depend_on_their_number_alone(tokenizer):
    shown = chat.draw_demonstrations(CLEAN, 24, seed=0)
    examples = chat.chat_examples(shown, tokenizer, render_chat, response_mask)
    batch_at = chat.batches(examples, collate, tokenizer.pad, size=8, seed=0)
    tokens, mask = batch_at(1)
    assert tokens.shape == mask.shape and len(tokens) == 8
    assert torch.equal(batch_at(1)[0], tokens)
    counted = sum(batch_at(i)[1].sum().item() for i in range(3))
    assert counted == sum(mask.sum().item() for _, mask in examples)
