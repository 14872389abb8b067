"""Colours that everybody can tell apart, on both themes, and pictures that hold the numbers they were given."""

from dataclasses import dataclass
from itertools import combinations

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest

from minillm import plots

# Machado, Oliveira and Fernandes 2009: full protanopia, deuteranopia and tritanopia, on linear RGB.
COLOUR_BLINDNESS = {
    "none": np.eye(3),
    "protan": np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    "deutan": np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
    "tritan": np.array([[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]]),
}


@dataclass
class Share:
    label: str
    rate: float
    low: float
    high: float
    n: int = 10


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def linear(colour: str) -> np.ndarray:
    channels = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted([linear(one) @ weights, linear(other) @ weights])
    return (high + 0.05) / (low + 0.05)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ rgb.clip(0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_stage_colours_and_ink_read_on_light_and_dark_pages(page):
    for stage, colour in plots.STAGE_COLOURS.items():
        assert contrast(colour, page) > 2.9, f"{stage} is too close to {page}"
    assert contrast(plots.INK, page) > 4


@pytest.mark.parametrize("kind", COLOUR_BLINDNESS)
def test_stage_colours_differ_for_every_eye(kind):
    seen = {stage: lab(COLOUR_BLINDNESS[kind] @ linear(colour)) for stage, colour in plots.STAGE_COLOURS.items()}
    for one, other in combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 20, f"{one} and {other} look alike ({kind})"


def test_every_stage_has_a_colour_and_a_name():
    assert list(plots.STAGE_COLOURS) == list(plots.STAGE_NAMES) == ["base", "sft", "ppo", "grpo", "dpo", "cai"]
    assert plots.stage_colour("ppo beta 0") == plots.STAGE_COLOURS["ppo"]


def test_an_unknown_stage_is_named():
    with pytest.raises(ValueError, match="no colour for stage 'rlhf'"):
        plots.stage_colour("rlhf")


def test_smooth_averages_what_is_there():
    assert plots.smooth([4.0, 2.0, 0.0, 2.0], 2) == pytest.approx([4.0, 3.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="at least 1"):
        plots.smooth([1.0], 0)


def test_loss_curve_shows_training_held_out_and_floor():
    ax = plots.loss_curve([3.0, 2.0, 1.0], validation={3: 1.2}, floor=0.5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "held-out", "entropy floor"]
    assert "nats" in ax.get_ylabel()


def test_rate_bars_draw_one_bar_a_stage_and_label():
    group = [Share("fact", 0.9, 0.8, 0.95), Share("myth", 0.3, 0.2, 0.4)]
    ax = plots.rate_bars({"base": group, "sft": group[:1]})
    assert [patch.get_width() for patch in ax.patches] == [0.9, 0.3, 0.9]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["fact", "myth"]
    with pytest.raises(ValueError, match="at least one stage"):
        plots.rate_bars({})


def test_answer_table_escapes_text_and_marks_with_signs():
    html = plots.answer_table([{"asked": "<b>&", "base": ("a lie", False), "sft": ("the truth", True)}, {"asked": "x"}])
    assert "&lt;b&gt;&amp;" in html and "<b>" not in html
    assert "✗</span> a lie" in html and "✓</span> the truth" in html
    assert html.count("<tr>") == 3 and html.count("<td") == 6


def test_token_strip_needs_one_value_a_piece():
    assert 'title="1.50 nats"' in plots.token_strip(["the", " <x>"], [0.0, 1.5], top=3)
    with pytest.raises(ValueError, match="2 pieces, 1 values"):
        plots.token_strip(["a", "b"], [1.0], top=1)


def test_style_makes_transparent_figures():
    with matplotlib.rc_context():
        plots.use_style()
        figure, axes = plots.new_figure(columns=2)
        assert figure.get_facecolor()[3] == 0 and len(axes) == 2
