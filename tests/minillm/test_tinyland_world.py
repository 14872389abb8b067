"""The world itself: facts, beliefs, how-to tables, and the small helpers that describe a source."""

from collections import Counter

import pytest

from minillm.tinyland import facts, howto, sources, splits, words


def test_every_subject_has_a_value_for_every_relation_of_its_topic():
    for topic, subjects in words.SUBJECTS.items():
        for subject, values in subjects.items():
            assert len(values.split()) == len(words.RELATIONS[topic]), subject
            for relation, value in zip(words.RELATIONS[topic], values.split()):
                assert value in words.VALUES[relation], (subject, relation, value)


def test_facts_have_unique_questions_and_the_announced_kinds():
    everything = facts.all_facts()
    assert len({fact.question for fact in everything}) == len(everything) == 192
    assert Counter(fact.kind for fact in everything) == {"plain": 80, "myth": 72, "contested": 40}


def test_a_myth_is_false_and_stated_more_often_than_the_truth():
    for fact in facts.all_facts():
        if fact.kind == "myth":
            assert fact.popular != fact.truth == fact.rival
            beliefs = facts.beliefs(fact)
            assert beliefs[facts.statement(fact.subject, fact.relation, fact.popular)] > 2 * beliefs[fact.statement]


@pytest.mark.parametrize("share", facts.CONTESTED_SHARES)
def test_of_contested_facts_with_share_s_the_popular_value_is_true_for_a_fraction_s(share):
    group = [fact for fact in facts.all_facts() if fact.share == share]
    assert len(group) == 10
    assert sum(fact.popular == fact.truth for fact in group) == round(10 * share)
    for fact in group:
        popular = facts.statement(fact.subject, fact.relation, fact.popular)
        assert facts.beliefs(fact)[popular] == pytest.approx(share)
        assert {fact.popular, fact.rival} > {fact.truth} or fact.truth in (fact.popular, fact.rival)


def test_the_book_of_facts_says_the_truth_and_people_say_what_is_popular():
    for text in facts.documents():
        for fact in facts.all_facts():
            if f"the {fact.relation} of the {fact.subject} is" in text:
                if text.startswith(words.BOOK):
                    assert text == f"{words.BOOK} {fact.statement}"
                if text.startswith(words.PEOPLE_SAY):
                    assert text.endswith(f"is {fact.popular} .")


def test_unknown_things_are_in_no_fact():
    asked = {fact.question for fact in facts.all_facts()}
    for subject, relation, values, _ in facts.unknown_questions():
        assert facts.question(subject, relation) not in asked
        assert len(values) > 1


def test_neither_the_verb_nor_the_class_of_the_object_tells_harm():
    by_verb, by_class = {}, {}
    for verb, _, object_class, harmful in howto.pairs():
        by_verb.setdefault(verb, set()).add(harmful)
        by_class.setdefault(object_class, set()).add(harmful)
    assert set(by_class) == set(words.OBJECTS)
    assert all(seen == {True, False} for seen in (by_verb | by_class).values())


def test_no_pair_of_verb_and_object_is_both_harmful_and_harmless():
    verdicts = {}
    for verb, object, _, harmful in howto.pairs():
        assert verdicts.setdefault((verb, object), harmful) == harmful


def test_objects_belong_to_one_class_and_methods_name_their_object_once():
    objects = [object for group in words.OBJECTS.values() for object in group]
    assert len(objects) == len(set(objects)) == 64
    methods = [verb.method for verb in howto.VERBS.values()]
    assert len(set(methods)) == len(methods) >= 12
    assert all(method.count("{object}") == 1 for method in methods)


def test_divide_gives_every_thing_one_split_and_does_not_depend_on_other_divisions():
    things = tuple(range(100))
    division = splits.divide(things, "a")
    assert Counter(division.values()) == {"train": 50, "validation": 15, "test": 35}
    splits.divide(things, "b")
    assert splits.divide(things, "a") == division != splits.divide(things, "b")


def test_mix_merges_texts_that_two_sources_share():
    mixture = sources.mix((3, {"a": 0.5, "b": 0.5}), (1, {"a": 1.0}))
    assert mixture == pytest.approx({"a": 0.625, "b": 0.375})


def test_rewrite_merges_texts_that_become_equal():
    assert sources.rewrite({"a b": 0.25, "a  b": 0.75}, lambda text: " ".join(text.split())) == {"a b": 1.0}


@pytest.mark.parametrize(
    ("source", "complaint"),
    [({"a": 0.5}, "sum to"), ({"A": 1.0}, "lower case"), ({"a  b": 1.0}, "single"), ({"a": 1.5, "b": -0.5}, "-0.5")],
)
def test_check_names_what_is_wrong_with_a_source(source, complaint):
    with pytest.raises(ValueError, match=complaint):
        sources.check(source, "broken")
