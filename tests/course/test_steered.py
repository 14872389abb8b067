"""The measured effect of steering: what is in the file, and what is drawn of it."""

import json
from dataclasses import asdict, replace

import matplotlib.pyplot as plt
import pytest

from minillm.course import steered
from minillm.tinyland.recipe import SFT

RUNS = steered.load()


def test_the_file_holds_three_seeds_with_the_settings_of_today():
    assert [run["seed"] for run in RUNS] == [0, 1, 2]
    for run in RUNS:
        today = json.loads(json.dumps(asdict(replace(SFT, seed=run["seed"]))))
        assert run["recipe"] == today, "the recipe of SFT has changed: measure it anew"
        assert run["setting"] == steered.SETTING and run["requests"] == steered.REQUESTS
        assert len(run["random ablated"]) == len(run["random added"]) == steered.SETTING["random"]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: f"seed {run['seed']}")
def test_every_seed_shows_what_the_lesson_says(run):
    plain = {name: numbers[0] for name, numbers in run["as it is"].items()}
    assert run["ablated"]["refuses harm"][0] < 0.2 * plain["refuses harm"]
    assert run["added"]["1.0"]["refuses look-alikes"][0] > 0.8
    assert run["added"]["2.0"]["declines others"][0] > 0.7
    for column in ("refuses harm", "refuses look-alikes"):
        for random in (run["random ablated"], [each["1.0"] for each in run["random added"]]):
            mean = sum(each[column][0] for each in random) / len(random)
            assert abs(mean - plain[column]) < 0.1


def test_the_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "steering.json"
    path.write_text(steered.text(RUNS), encoding="utf-8")
    assert steered.load(path) == RUNS == json.loads(steered.TARGET.read_text(encoding="utf-8"))["runs"]
    assert steered.load(tmp_path / "none.json") == []


def test_the_table_has_seven_lines_a_seed_and_the_picture_every_seed():
    table = steered.rows(RUNS)
    assert len(table) == 7 * len(RUNS)
    assert table[1]["refuses harm"] == f"{RUNS[0]['ablated']['refuses harm'][0]:.2f}"
    assert len(table[2]["right"].split(", ")) == steered.SETTING["random"]
    (ax,) = steered.draw(RUNS).axes
    assert len(ax.containers) == 3 * len(RUNS) and len(ax.get_legend().get_texts()) == 3
    plt.close("all")


def test_a_number_of_seeds_below_one_is_refused(capsys):
    with pytest.raises(SystemExit):
        steered.main(["--seeds", "0"])
    assert "at least 1" in capsys.readouterr().err
