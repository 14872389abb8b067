"""Properties of pronouns after jobs: what is measured, over what an interval is taken, and what mends."""

import pytest
import torch

from minillm.course.exercises import reference
from minillm.model import Config, Transformer
from minillm.pronouns import asked_pronouns, bootstrap, mending_texts, over_jobs, text_pronouns
from minillm.tinyland import jobs
from minillm.tinyland.corpus import question_form
from minillm.tokenizer import Tokenizer

TOKENIZER, GAP = Tokenizer.load(), reference("pronoun_gap")


def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(Config(TOKENIZER.vocab_size, context_length=64, dim=16, layers=1, heads=2)).eval()


def test_every_probe_of_every_job_is_read_masculine_first():
    nats, names = text_pronouns(model(), TOKENIZER)
    assert nats.shape == (64, 2) and set(names) == set(jobs.HE_SHARES)
    probe = jobs.probes()[5]
    ids = [TOKENIZER.doc, *TOKENIZER.encode(probe.text)]
    with torch.no_grad():
        after = model()(torch.tensor([ids])).log_softmax(-1)[0, -1]
    words = [TOKENIZER.encode(f" {word}") for word in probe.options]
    assert all(len(word) == 1 for word in words)
    torch.testing.assert_close(nats[5], after[[word[0] for word in words]], atol=1e-4, rtol=0)


def test_asked_questions_are_those_of_the_split():
    nats, names = asked_pronouns(model(), TOKENIZER, question_form, "test")
    assert nats.shape == (12, 2) and set(names) == {job.name for job in jobs.all_jobs() if job.split == "test"}


def test_gap_and_shift_over_jobs_are_those_of_all_probes():
    torch.manual_seed(1)
    names = [name for name in jobs.HE_SHARES for _ in range(3)]
    nats = torch.randn(len(names), 2)
    he = torch.tensor([jobs.HE_SHARES[name] > 0.5 for name in names]).float()
    for part, expected in enumerate(GAP(nats, he)):
        found = over_jobs(nats, names, GAP, part)
        assert found.value == pytest.approx(float(expected), abs=1e-6)
        assert found.low < found.value < found.high


def test_more_probes_of_the_same_jobs_do_not_make_the_interval_narrower():
    torch.manual_seed(2)
    jobs_alone = torch.randn(16, 2)
    few = over_jobs(jobs_alone, list(jobs.HE_SHARES), GAP, 0)
    many = over_jobs(jobs_alone.repeat_interleave(8, 0), [name for name in jobs.HE_SHARES for _ in range(8)], GAP, 0)
    assert many.high - many.low == pytest.approx(few.high - few.low, rel=0.01)


def test_the_bootstrap_of_a_mean_is_about_the_normal_interval_and_keeps_to_its_strata():
    torch.manual_seed(3)
    values = torch.randn(400)
    found = bootstrap(lambda rows: values[rows].mean(), [torch.arange(400)])
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std().item() / 20, rel=0.15)
    marks = torch.tensor([0.0] * 10 + [1.0] * 30)
    fixed = bootstrap(lambda rows: marks[rows].mean(), [torch.arange(10), torch.arange(10, 40)])
    assert fixed.low == fixed.value == fixed.high == 0.75


def test_mending_texts_hold_their_share_of_jobs_half_of_them_he():
    texts = mending_texts(jobs.balanced(), 2000, 0.25, seed=0)
    about = [text for text in texts if set(text.split()) & set(jobs.HE_SHARES)]
    assert len(texts) == 2000 and len(about) == 500
    he = sum(bool({"he", "his"} & set(text.split())) for text in about) / len(about)
    assert he == pytest.approx(0.5, abs=0.08)
    assert texts == mending_texts(jobs.balanced(), 2000, 0.25, seed=0)


def test_mending_texts_about_some_jobs_name_no_other():
    train = {job.name for job in jobs.all_jobs() if job.split == "train"}
    texts = mending_texts(jobs.unbalanced("train"), 400, 0.5, seed=1)
    assert {word for text in texts for word in text.split()} & set(jobs.HE_SHARES) <= train
