"""Reading, revising and labelling: what the loop does, whatever the exercises' functions are."""

import pytest
import torch

from minillm.constitutional import Reader, prefer, reading_examples, revise
from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.preferences import Pair
from minillm.tinyland import howto
from minillm.tinyland.constitution import HARMLESSNESS, breaks, comparisons, ideal_critique, principle, readings
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import READING
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()


def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config(TOKENIZER.vocab_size, context_length=128, dim=8, layers=1, heads=2)).eval()


def test_readings_speak_of_training_verbs_and_objects_alone():
    held_out = {name for name, verb in howto.VERBS.items() if verb.split != "train"}
    objects = {name for name, split in howto.object_splits().items() if split != "train"}
    for given, _ in readings(600, 0) + comparisons(600, 0):
        question = given.split("question : how do i ")[1].split(" ?")[0].split()
        assert question[0] not in held_out
        assert question[2] not in objects


def test_a_reading_is_what_the_judge_would_say_and_is_mended():
    requests = {r.text: r for r in all_requests()}
    seen = {True: 0, False: 0}
    for given, follows in readings(400, 1):
        question, draft = given.removeprefix("read : question : ").split(" answer : ", 1)
        rule = next(p for p in HARMLESSNESS if draft.endswith(p.critique_request))
        draft = draft.removesuffix(rule.critique_request).strip()
        request = requests[question]
        broken = breaks(rule, request, draft)
        assert follows.startswith(ideal_critique(rule, request, draft))
        assert broken == (rule.revision_request in follows)
        seen[broken] += 1
    assert min(seen.values()) > 60


def test_comparisons_name_the_better_side_and_toss_a_coin_where_both_keep_the_principle():
    requests, letters = {r.text: r for r in all_requests()}, []
    for given, letter in comparisons(900, 2):
        rule = next(p for p in HARMLESSNESS if f" {p.text} which is best ?" in given)
        question, rest = given.removeprefix("read : question : ").split(" answer a : ", 1)
        a, b = rest.removesuffix(f" {rule.text} which is best ?").split(" answer b : ", 1)
        worse = [breaks(rule, requests[question], draft) for draft in (a, b)]
        if worse[0] != worse[1]:
            assert letter == ("b" if worse[0] else "a")
        else:
            letters.append(letter)
    assert 0.4 < letters.count("a") / len(letters) < 0.6 and len(letters) > 100


def test_readings_depend_on_their_seed_alone():
    assert readings(50, 3) == readings(50, 3) != readings(50, 4)


def test_targets_of_a_reading_are_what_follows():
    ids, mask = reading_examples(TOKENIZER, READING)[0]
    given, follows = readings(READING.demonstrations, READING.seed)[0]
    learned = [token for token, counts in zip(ids, mask.tolist()) if counts]
    assert TOKENIZER.decode(learned).strip() == f"{follows}<doc>"
    assert ids[0] == TOKENIZER.doc and TOKENIZER.decode(ids[1:]).startswith(given)


def test_a_reader_answers_a_question_with_one_sentence_and_keeps_the_order():
    reader = Reader(model(), TOKENIZER, max_new_tokens=12)
    prompts = ["read : is it safe ?", "write a safe answer :", "read : the fox is it kind ?"]
    together = reader(prompts)
    assert together == [reader([prompt])[0] for prompt in prompts]
    assert all(text.count(" .") <= 1 for text in (together[0], together[2]))
    assert reader([]) == []


def test_choices_are_log_probabilities_of_the_next_word_whatever_stands_beside():
    reader = Reader(model(), TOKENIZER)
    prompts = ["which is best ?", "read : the fox is red . which is best ?"]
    nats = reader.choices(prompts)
    for row, prompt in zip(nats, prompts):
        ids = [TOKENIZER.doc, *TOKENIZER.encode(prompt)]
        with torch.no_grad():
            expected = reader.model(torch.tensor([ids]))[0, -1].log_softmax(-1)
        for value, word in zip(row, (" a", " b")):
            assert value.item() == pytest.approx(expected[TOKENIZER.encode(word)[0]].item(), rel=1e-4)
    with pytest.raises(ValueError, match="one token"):
        reader.choices(prompts, (" a better answer", " b"))


def draw(principles, generator, weights=None):
    return principles[int(torch.randint(len(principles), (), generator=generator))]


def test_revise_keeps_every_round_and_reads_what_the_last_one_left():
    asked = []

    def rule(questions, drafts, principles, generate):
        asked.append(list(drafts))
        return ["no ."] * len(drafts), [f"{draft} !" for draft in drafts]

    records = revise(["q", "r"], ["a", "b"], 3, lambda prompts: prompts, draw, rule, seed=5)
    assert asked == [["a", "b"], ["a !", "b !"], ["a ! !", "b ! !"]]
    assert records[1].revisions == ["b !", "b ! !", "b ! ! !"] and records[1].text == "b ! ! !"
    assert [len(record.critiques) for record in records] == [3, 3]
    again = revise(["q", "r"], ["a", "b"], 3, lambda prompts: prompts, draw, rule, seed=5)
    assert [record.principles for record in again] == [record.principles for record in records]


def test_prefer_asks_in_both_orders():
    request = all_requests("harmful", "train")[0]
    texts = ("i can not help with that .", request.meta["method"])
    first, second = (Answer(request, "", text, True, grade(request, text)) for text in texts)
    shown = []

    class Watched(Reader):
        def choices(self, prompts, words=(" a", " b")):
            shown.extend(prompts)
            return torch.zeros(len(prompts), 2)

    def label(logprobs, swapped):
        return torch.full((len(logprobs),), 0.5)

    p, _, _ = prefer(Watched(model(), TOKENIZER), [Pair(request, "", first, second, 0, 0)], draw, label,
                     principles=[principle("safe")], weights=None)  # fmt: skip
    assert p.tolist() == [0.5]
    assert f"answer a : {texts[0]} answer b : {texts[1]}" in shown[0]
    assert f"answer a : {texts[1]} answer b : {texts[0]}" in shown[1]
