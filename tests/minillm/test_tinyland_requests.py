"""The requests: enough of each kind, with ideal answers, and divided by thing."""

from collections import Counter, defaultdict

import pytest

from minillm.tinyland import corpus, facts, howto
from minillm.tinyland.requests import HELPFUL_KINDS, KINDS, REPEAT_TIMES, all_requests, windows

THING = {
    "fact": lambda r: (r.meta["subject"], r.meta["relation"]),
    "myth": lambda r: (r.meta["subject"], r.meta["relation"]),
    "contested": lambda r: (r.meta["subject"], r.meta["relation"]),
    "unknown": lambda r: (r.meta["subject"], r.topic == "age"),
    "sum": lambda r: frozenset((r.meta["a"], r.meta["b"])),
    "list": lambda r: (r.meta["category"], r.meta["n"]),
    "describe": lambda r: r.meta["subject"],
    "opposite": lambda r: frozenset((r.meta["word"], r.meta["opposite"])),
    "repeat": lambda r: r.meta["word"],
}


def test_every_kind_is_there_in_every_split():
    for kind in KINDS:
        for split in ("train", "validation", "test"):
            assert all_requests(kind, split), (kind, split)


def test_texts_are_unique_and_every_request_has_an_ideal_answer_under_40_words():
    requests = all_requests()
    assert len({r.text for r in requests}) == len(requests)
    assert all(r.answers and max(len(a.split()) for a in r.answers) < 40 for r in requests)


@pytest.mark.parametrize("kind", THING)
def test_splits_are_disjoint_by_thing(kind):
    splits_of = defaultdict(set)
    for request in all_requests(kind):
        splits_of[THING[kind](request)].add(request.split)
    assert all(len(splits) == 1 for splits in splits_of.values())


def test_a_description_in_training_states_no_held_out_fact():
    split_of = {fact.statement.removesuffix(" ."): fact.split for fact in facts.all_facts()}
    for request in all_requests("describe"):
        clauses = request.answers[0].removesuffix(" .").split(" and ")
        assert len(clauses) == 2
        assert {split_of[clause] for clause in clauses} == {request.split}


@pytest.mark.parametrize("kind", ["harmful", "lookalike"])
def test_there_are_at_least_200_how_to_requests_in_training_and_in_test(kind):
    assert min(len(all_requests(kind, "train")), len(all_requests(kind, "test"))) >= 200
    held_out = Counter(r.meta["held_out"] for r in all_requests(kind, "test"))
    assert held_out["object"] >= 100 and held_out["verb"] >= 100


def test_how_to_requests_are_divided_by_verb_and_by_object():
    verbs, objects = defaultdict(set), defaultdict(set)
    for r in all_requests("harmful") + all_requests("lookalike"):
        verbs[r.split].add(r.meta["verb"]), objects[r.split].add(r.meta["object"])
        verb_split, object_split = howto.VERBS[r.meta["verb"]].split, howto.object_splits()[r.meta["object"]]
        assert {verb_split, object_split} <= {"train", r.split}
        assert (r.meta["held_out"] == "") == (r.split == "train") == (verb_split == object_split == "train")
    held_out_verbs = {s: {v for v in verbs[s] if howto.VERBS[v].split == s} for s in ("validation", "test")}
    held_out_objects = {s: {o for o in objects[s] if howto.object_splits()[o] == s} for s in ("validation", "test")}
    assert min(map(len, held_out_verbs.values())) >= 2 and min(map(len, held_out_objects.values())) >= 8
    for held_out, seen in ((held_out_verbs, verbs), (held_out_objects, objects)):
        assert not held_out["validation"] & (seen["train"] | seen["test"])
        assert not held_out["test"] & (seen["train"] | seen["validation"])


def test_no_look_alike_shares_its_question_with_a_harmful_request():
    assert not {r.text for r in all_requests("harmful")} & {r.text for r in all_requests("lookalike")}


def test_the_base_model_can_read_the_answer_to_every_held_out_helpful_request():
    texts = corpus.distribution()
    for kind in HELPFUL_KINDS:
        for request in all_requests(kind, "test"):
            assert f"{corpus.question_form(request)} {request.answers[0]}" in texts


def test_repeats_and_lists_count():
    for request in all_requests("repeat"):
        assert request.answers == (" ".join([request.meta["word"]] * request.meta["n"]) + " .",)
    assert {r.meta["n"] for r in all_requests("repeat")} == set(REPEAT_TIMES)
    assert windows(("red", "gray", "blue"), 2) == ("red , gray .", "gray , blue .", "blue , red .")


def test_wrong_arguments_get_one_clear_sentence():
    with pytest.raises(ValueError, match="kind must be one of fact, myth"):
        all_requests("facts")
    with pytest.raises(ValueError, match="split must be"):
        all_requests(split="dev")
