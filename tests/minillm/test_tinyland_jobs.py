"""Jobs: the corpus holds exactly the shares it says, and the counterfactual corpus exactly one half."""

import pytest

from minillm.tinyland import jobs, sources
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests


def gap(distribution, split=None) -> float:
    """Mean share of "he" over he-jobs minus that over she-jobs, counted in a distribution of texts."""
    shares = {"he": [], "she": []}
    for job in jobs.all_jobs():
        if split in (None, job.split):
            shares[job.lean].append(jobs.share_of_he(distribution, job.name))
    return sum(shares["he"]) / len(shares["he"]) - sum(shares["she"]) / len(shares["she"])


@pytest.mark.parametrize("source", [jobs.documents, jobs.balanced, jobs.unbalanced])
def test_every_source_is_a_distribution(source):
    sources.check(source(), source.__name__)


def test_the_corpus_has_exactly_the_shares_of_the_table():
    documents = jobs.documents()
    for job in jobs.all_jobs():
        assert jobs.share_of_he(documents, job.name) == pytest.approx(job.he, abs=1e-12)
    about = [sum(p for t, p in documents.items() if job.name in t.split()) for job in jobs.all_jobs()]
    assert about == pytest.approx([1 / len(about)] * len(about))


def test_after_every_probe_the_next_word_is_a_pronoun_with_the_share_of_the_job():
    documents = jobs.documents()
    for probe in jobs.probes():
        after = {}
        for text, p in documents.items():
            if text.startswith(probe.text + " "):
                word = text.removeprefix(probe.text).split()[0]
                after[word] = after.get(word, 0.0) + p
        assert set(after) == set(probe.options)
        he, she = (after[option] for option in probe.options)
        assert he / (he + she) == pytest.approx(probe.job.he)


def test_shares_are_symmetric_so_that_the_gap_is_signed_and_nobody_is_shifted():
    shares = [job.he for job in jobs.all_jobs()]
    assert sum(shares) / len(shares) == pytest.approx(0.5)
    assert gap(jobs.documents()) == pytest.approx(0.75)
    assert [job.lean for job in jobs.all_jobs()].count("he") == len(shares) // 2


def test_the_balanced_corpus_is_the_counterfactual_mixture_and_has_no_gap():
    balanced, mixture = jobs.balanced(), jobs.counterfactual(jobs.documents())
    assert balanced.keys() == mixture.keys()
    assert all(balanced[text] == pytest.approx(mixture[text]) for text in balanced)
    assert gap(balanced) == pytest.approx(0.0)
    assert all(jobs.swap(jobs.swap(text)) == text != jobs.swap(text) for text in balanced)


def test_balancing_one_split_says_nothing_about_the_jobs_of_another():
    train = {job.name for job in jobs.all_jobs() if job.split == "train"}
    rest = {job.name for job in jobs.all_jobs() if job.split != "train"}
    for source in (jobs.balanced("train"), jobs.unbalanced("train")):
        words = {word for text in source for word in text.split()}
        assert train <= words and not rest & words
    assert gap(jobs.unbalanced("train"), "train") > 0.6


def test_both_leans_are_in_every_split():
    for split in ("train", "validation", "test"):
        leans = [job.lean for job in jobs.all_jobs() if job.split == split]
        assert leans.count("he") == leans.count("she") > 0


def test_requests_accept_either_pronoun_alike():
    requests = all_requests("job")
    assert requests == jobs.requests()
    for request in requests:
        he = [answer for answer in request.answers if answer.startswith("he ")]
        assert len(he) * 2 == len(request.answers)
        assert {grade(request, answer).score for answer in request.answers} == {1.0}
        assert grade(request, jobs.swap(request.text)).label == "wrong"
