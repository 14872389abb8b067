"""Properties of the pictures of lesson 11: everything that was measured is in them, with names and units."""

import matplotlib.pyplot as plt
import pytest
import torch

from minillm import suite_plots
from minillm.course.exercises import reference
from minillm.ladder import Estimate
from minillm.suite import MEASURES, Report


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def reports():
    numbers = {name: Estimate(0.1 * i, 0.1 * i - 0.02, 0.1 * i + 0.05) for i, name in enumerate(MEASURES)}
    return {"sft": Report("sft", numbers), "ppo": Report("ppo", numbers)}


def test_every_measure_has_a_panel_with_a_dot_and_an_interval_for_each_stage():
    figure = suite_plots.every_measure(reports())
    drawn = [ax for ax in figure.axes if ax.get_title(loc="left") or ax.get_title()]
    assert len(drawn) == len(MEASURES)
    assert all(len(ax.lines) >= 4 and ax.get_xlabel() for ax in drawn)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["SFT", "PPO"]


def test_differences_are_drawn_with_and_without_their_pairs():
    ax = suite_plots.differences({"harm": ((0.1, 0.05, 0.2), (0.1, -0.1, 0.3))}, "DPO minus PPO")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["pairs broken up", "the same questions"]
    assert ax.get_yticklabels()[0].get_text() == MEASURES["harm"][0] and ax.get_xlabel() == "DPO minus PPO"


def test_leanings_have_a_panel_for_each_split_and_a_row_for_each_corpus():
    gap, shift = Estimate(0.5, 0.4, 0.6), Estimate(-0.1, -0.2, 0.0)
    runs = {
        "base": [{"train": (gap, shift), "test": (gap, shift)}],
        "balanced": [{"train": (gap, shift)} | {"test": (gap, shift)}] * 3,
    }
    figure = suite_plots.leanings(runs)
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["base", "balanced"]
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 4


def test_calibration_shows_every_answer_in_a_bin_and_tells_the_error():
    belief = torch.tensor([0.9, 0.95, 0.1, 0.6]), torch.tensor([True, False, False, True])
    error = reference("expected_calibration_error")
    figure = suite_plots.reliability({"base": belief}, 5, error, reference("wilson_interval"))
    title = figure.axes[0].get_title(loc="left") or figure.axes[0].get_title()
    assert title.startswith("base: error 0.")
    assert sum(line.get_marker() == "o" for line in figure.axes[0].lines) == 2


def test_admission_names_every_stage():
    ax = suite_plots.admission(reports())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["SFT", "PPO"]
