"""The pictures of lesson 14: every series is drawn, and named once."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest

from minillm.deployment_plots import dial_plot, gate_plot, injection_plot
from minillm.evaluation import share
from minillm.ladder import Estimate, Standing
from minillm.release import Trials


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def standing(name, harmless, helpful):
    at = [Estimate(value, value - 0.1, value + 0.1) for value in (helpful, harmless)]
    return Standing(name, at[0], at[0], at[1], at[0], at[0], None)


def names(ax):
    return ax.get_legend_handles_labels()[1]


def test_a_dial_names_its_stages_once_and_rings_the_front():
    dialled = {weight: standing("", weight, 1 - weight) for weight in (0.0, 0.5, 1.0)}
    others = [standing("ppo", 0.9, 0.9), standing("careful", 1.0, 0.0)]
    measured = [{"0.0": {"harmless": [0.1], "helpful": [0.9]}, "1.0": {"harmless": [1.0], "helpful": [0.0]}}] * 3
    ax = dial_plot(dialled, others, others[:1], measured).axes[0]
    assert sorted(names(ax)) == sorted(
        ["the dial, other runs", "on the Pareto front", "best of 16, by weight", "PPO", 'assistant, "careful"']
    )
    assert [text.get_text() for text in ax.texts] == ["0", "0.5", "1"]


def test_injection_tells_unseen_kinds_by_name():
    found = {kind: (share(3, 10), share(8, 10)) for kind in ("boss", "just")}
    left, right = injection_plot(found, found, seen=("boss",)).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["boss", "just (unseen)"]
    assert names(right) == ["before", "after the drill"]


def test_gates_are_drawn_over_their_items():
    tried = {(gate, n): Trials(share(9, 10), share(5, 10)) for gate in ("any fall", "yours") for n in (60, 120)}
    for ax in gate_plot(tried).axes:
        assert names(ax) == ["any fall", "yours"] and ax.get_xlabel() == "items a metric"
