"""The measured frontier, and the ladder: what is in the file, and how a ladder is printed and kept."""

import json

import pytest

from minillm.course import climb, frontier
from minillm.course.frontier import SETTINGS


def test_the_file_holds_three_seeds_of_every_setting_with_the_recipes_of_today():
    runs = frontier.load()
    for method, settings in SETTINGS.items():
        for setting in settings:
            found = [run for run in runs if (run["method"], run["setting"]) == (method, setting)]
            assert sorted(run["seed"] for run in found) == [0, 1, 2], (method, setting)
            for run in found:
                assert run["recipe"] == frontier._recipe(method), f"{method} has another recipe: measure it anew"
                assert run["requests"] == frontier.REQUESTS
                assert run["gold"][1] < run["gold"][0] < run["gold"][2]


def test_no_runs_where_there_is_no_file(tmp_path):
    assert frontier.load(tmp_path / "none.json") == []


@pytest.mark.parametrize("argument", ["0", "-1"])
def test_a_number_of_seeds_below_one_is_refused(argument, capsys):
    with pytest.raises(SystemExit):
        frontier.main(["--seeds", argument])
    assert "at least 1" in capsys.readouterr().err


def test_a_ladder_is_printed_in_columns():
    rows = [{"stage": "base", "kl": ""}, {"stage": "best-of-8", "kl": "1.20"}]
    assert climb.text(rows) == "stage      kl\nbase\nbest-of-8  1.20"


def test_a_ladder_that_was_measured_is_kept_while_its_checkpoints_are_the_same(tmp_path):
    class Folder:
        folder = tmp_path
        smoke = False

    rows = [{"stage": "base"}]
    (tmp_path / "ladder.json").write_text(json.dumps({"key": climb._key(Folder), "rows": rows}))
    assert climb.ladder(Folder) == rows
    (tmp_path / "checkpoints").mkdir()
    before = climb._key(Folder)
    (tmp_path / "checkpoints" / "dpo.safetensors").write_bytes(b"other weights")
    assert climb._key(Folder) != before
