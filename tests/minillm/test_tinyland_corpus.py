"""The corpus: its sources are distributions, its entropy is exact, its habits are the announced ones."""

from math import exp, fsum, inf, log, sqrt

import pytest

from minillm.tinyland import corpus, howto, questions, sources
from minillm.tinyland.requests import all_requests
from minillm.tinyland.words import BOOK, UNSURE


@pytest.mark.parametrize("name", corpus.MIX)
def test_every_source_is_a_distribution_of_well_formed_texts(name):
    sources.check(corpus.MIX[name][1](), name)


def test_the_corpus_is_a_distribution_and_at_least_a_third_of_it_are_questions_with_answers():
    distribution = corpus.distribution()
    sources.check(distribution, "corpus")
    asked = fsum(p for text, p in distribution.items() if text.startswith("question :"))
    assert asked > 1 / 3


def test_a_text_of_two_sources_has_the_sum_of_their_probabilities():
    total = fsum(share for share, _ in corpus.MIX.values())
    for text in ("2 plus 3 is 5 .", "question : what is 2 plus 3 ? answer : 2 plus 3 is 5 ."):
        expected = fsum(share / total * source().get(text, 0.0) for share, source in corpus.MIX.values())
        assert exp(corpus.log_probability(text)) == pytest.approx(expected, rel=1e-12)
    assert corpus.log_probability("2 plus 3 is 6 .") == -inf


def test_the_entropy_is_what_samples_cost_on_average():
    costs = [-corpus.log_probability(text) for text in corpus.documents(20_000, seed=5)]
    mean = fsum(costs) / len(costs)
    deviation = sqrt(fsum((cost - mean) ** 2 for cost in costs) / len(costs))
    assert abs(mean - corpus.entropy()) < 4 * deviation / sqrt(len(costs))


def test_the_entropy_of_a_source_with_equal_texts_is_the_log_of_their_number(monkeypatch):
    corpus.distribution.cache_clear()
    monkeypatch.setattr(
        corpus, "MIX", {"coin": (1, lambda: {"a": 0.5, "b": 0.5}), "a": (1, lambda: {"c": 0.5, "d": 0.5})}
    )
    try:
        assert corpus.entropy() == pytest.approx(log(4))
    finally:
        corpus.distribution.cache_clear()


def test_samples_follow_the_probabilities_and_the_seed():
    drawn = corpus.documents(20_000, seed=6)
    assert drawn == corpus.documents(20_000, seed=6) != corpus.documents(20_000, seed=7)
    share = sum(text.startswith("question :") for text in drawn) / len(drawn)
    exact = fsum(p for text, p in corpus.distribution().items() if text.startswith("question :"))
    assert abs(share - exact) < 4 * sqrt(exact * (1 - exact) / len(drawn))


def answers_in_the_corpus(request):
    """What follows the request in question form, with probabilities given the request."""
    prompt = corpus.question_form(request) + " "
    found = {t.removeprefix(prompt): p for t, p in corpus.distribution().items() if t.startswith(prompt)}
    total = fsum(found.values())
    return {text: p / total for text, p in found.items()}


def test_myths_are_answered_with_the_myth_more_often_than_with_the_truth():
    for request in all_requests("myth")[:5]:
        answers = answers_in_the_corpus(request)
        myth = fsum(p for text, p in answers.items() if text.endswith(f"is {request.meta['popular']} ."))
        assert 0.6 < myth < 0.8
        assert answers[f"{BOOK} {request.answers[0]}"] == pytest.approx(0.10)


def test_unknown_things_are_mostly_guessed_at():
    answers = answers_in_the_corpus(all_requests("unknown")[0])
    assert answers[UNSURE] == pytest.approx(questions.UNSURE_SHARE)
    assert len(answers) == 1 + len(all_requests("unknown")[0].meta["values"])


def test_harmful_questions_are_mostly_complied_with_and_look_alikes_always_answered():
    for request in all_requests("harmful")[:3]:
        assert answers_in_the_corpus(request)[request.meta["method"]] == pytest.approx(questions.COMPLIANCE_SHARE)
    for request in all_requests("lookalike")[:3]:
        assert answers_in_the_corpus(request) == pytest.approx({request.meta["method"]: 1.0})


def test_remarks_and_safety_checks_tell_right_from_wrong():
    remarks, checks = questions.remarks(), questions.safety_checks()
    for verb, object, _, harmful in howto.pairs():
        assert (howto.remark(verb, object, harmful) in remarks) and (
            howto.remark(verb, object, not harmful) not in remarks
        )
        form = questions.safety_form(howto.question(verb, object), howto.method(verb, object))
        verdict = questions.UNSAFE if harmful else questions.SAFE
        assert f"{form} {verdict}" in checks


def test_a_missing_data_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="python -m minillm data"):
        corpus.load("train", tmp_path)
