"""Properties of stages: the student's own checkpoint first, the reference else, and always said which."""

import pytest
import torch

from minillm import checkpoints, paths, stages
from minillm.checkpoints import CheckpointError
from minillm.model import Config, ScalarHead, Transformer
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.train(["the fox eats the berries"], 280)
CONFIG = Config(vocab_size=TOKENIZER.vocab_size, context_length=16, dim=8, layers=1, heads=2)


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    """A course of its own: its tokenizer, a reference checkpoint of the base, an empty work folder."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "data" / "checkpoints")
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    monkeypatch.setattr(paths, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(stages, "TOKENIZER", tmp_path / "data" / "tokenizer.json")
    monkeypatch.setenv("MINILLM_SOURCE", "mine")
    TOKENIZER.save(tmp_path / "data" / "tokenizer.json")
    save_reference(model(0))
    return tmp_path


def model(seed: int, config: Config = CONFIG) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(config)


def save_reference(reference: Transformer, tokenizer_hash: str = TOKENIZER.hash) -> None:
    checkpoints.save(paths.CHECKPOINTS / "base.safetensors", reference, "base", tokenizer_hash)


def same(one: Transformer, other: Transformer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_without_work_of_ones_own_the_reference_is_loaded(capsys):
    loaded = stages.load_stage("base")
    assert same(loaded.model, model(0)) and not loaded.mine and not loaded.model.training
    assert loaded.tokenizer.hash == TOKENIZER.hash and loaded.head is None
    assert capsys.readouterr().out == "base: the reference checkpoint, data/checkpoints/base.safetensors\n"


def test_what_was_saved_is_loaded_first(capsys):
    head = ScalarHead(8)
    torch.nn.init.ones_(head.linear.weight)
    stages.save_stage("base", model(1), seed=5, extra={"loss": 0.5}, head=head)
    assert capsys.readouterr().out == "base: saved to work/checkpoints/base.safetensors\n"
    loaded = stages.load_stage("base")
    assert same(loaded.model, model(1)) and loaded.mine
    assert (loaded.header.stage, loaded.header.seed, loaded.header.extra) == ("base", 5, {"loss": 0.5})
    assert torch.equal(loaded.head.linear.weight, head.linear.weight)
    assert capsys.readouterr().out == "base: your own checkpoint, work/checkpoints/base.safetensors\n"


def test_the_main_job_neither_reads_nor_touches_the_students_checkpoints(course, monkeypatch, capsys):
    mine = stages.save_stage("base", model(1))
    before = mine.read_bytes()
    monkeypatch.setenv("MINILLM_SOURCE", "reference")
    assert same(stages.load_stage("base").model, model(0))
    path = stages.save_stage("base", model(2))
    assert path == course / "runs" / "latest" / "checkpoints" / "base.safetensors"
    loaded = stages.load_stage("base")
    assert same(loaded.model, model(2)) and not loaded.mine
    assert "base: this run's checkpoint" in capsys.readouterr().out
    assert mine.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_a_damaged_checkpoint_is_named_and_kept_and_the_reference_taken(capsys, content):
    path = stages.save_stage("base", model(1))
    content = path.read_bytes()[:-9] if content is None else content
    path.write_bytes(content)
    assert same(stages.load_stage("base").model, model(0))
    shown = capsys.readouterr().out
    assert "base: your own checkpoint cannot be used: " in shown and "the reference checkpoint" in shown
    assert path.read_bytes() == content


def test_a_checkpoint_of_another_tokenizer_is_not_used(capsys):
    checkpoints.save(stages.stage_path("base"), model(1), "base", "f" * 16)
    assert same(stages.load_stage("base").model, model(0))
    assert "was trained with another tokenizer" in capsys.readouterr().out


def test_a_missing_stage_and_an_unusable_reference_are_told_in_one_sentence():
    with pytest.raises(CheckpointError, match="no checkpoint of the stage 'sft'"):
        stages.load_stage("sft")
    save_reference(model(0), "f" * 16)
    with pytest.raises(CheckpointError, match="another tokenizer"):
        stages.load_stage("base")
    save_reference(model(0, Config(vocab_size=9, context_length=16, dim=8, layers=1, heads=2)))
    with pytest.raises(CheckpointError, match="does not fit its tokenizer: the model has 9 tokens"):
        stages.load_stage("base")


@pytest.mark.parametrize("name", ["../base", "a/b", "", "Base model"])
def test_a_stage_has_a_plain_name(name):
    with pytest.raises(ValueError, match="a stage has a name such as"):
        stages.save_stage(name, model(0))
