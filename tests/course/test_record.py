"""What a lesson leaves for the report."""

import json

import pytest
import torch

from minillm.course import record as course_record
from minillm.course.record import load, record, record_answers, record_table


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINILLM_RECORD_DIR", str(tmp_path / "records"))
    monkeypatch.setenv("MINILLM_LESSON", "03")
    return tmp_path / "records"


def test_nothing_is_written_outside_a_run(tmp_path, monkeypatch):
    monkeypatch.delenv("MINILLM_RECORD_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    record("loss", 1.0)
    assert list(tmp_path.iterdir()) == []


def test_numbers_tables_and_answers_come_back(folder):
    record("loss", torch.tensor(1.5), unit="nats/token", low=1, high=2, seeds=range(3))
    record_table("rates", [{"kind": "fact", "share": 0.5}], note="greedy")
    record_answers("samples", [{"prompt": "hello", "base": ("no", False), "sft": ("yes", True)}])
    number, table, answers = load(folder / "03.jsonl")
    expected = {"name": "loss", "value": 1.5, "unit": "nats/token", "low": 1.0, "high": 2.0, "seeds": [0, 1, 2]}
    assert number == {"kind": "number", **expected}
    assert table["rows"] == [{"kind": "fact", "share": 0.5}] and table["note"] == "greedy"
    assert answers["rows"][0]["sft"] == ["yes", True]


def test_a_later_number_of_the_same_name_replaces_the_earlier(folder):
    record("loss", 2.0)
    record("loss", 1.0)
    assert [entry["value"] for entry in load(folder / "03.jsonl")] == [1.0]


@pytest.mark.parametrize(("value", "kept"), [(float("nan"), "nan"), (float("inf"), "inf")])
def test_what_json_cannot_hold_is_kept_as_its_name(folder, value, kept):
    record("loss", value)
    assert load(folder / "03.jsonl")[0]["value"] == kept


def test_a_line_that_a_kill_cut_short_is_left_out(folder):
    record("loss", 1.0)
    path = folder / "03.jsonl"
    path.write_text(path.read_text() + json.dumps({"kind": "number"})[:-3])
    assert len(load(path)) == 1
    assert load(folder / "04.jsonl") == []


def test_lessons_import_the_function_not_the_module():
    assert callable(course_record)
