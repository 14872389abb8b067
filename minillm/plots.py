"""The pictures of the lessons: one colour per stage, curves with a floor, rates with intervals, answers side by side.

The colours can be told apart with every common kind of colour blindness and have a contrast of about 3 or more on a
white and on a dark page; a test computes both. Figures are transparent, so that they sit on either theme.
Nothing here trains or measures: numbers come in, pictures and HTML go out.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure

STAGE_COLOURS = {
    "base": "#6e6e6e",
    "sft": "#0d6594",
    "ppo": "#dc7c00",
    "grpo": "#0ca65f",
    "dpo": "#9e09fa",
    "cai": "#c02e1f",
}
STAGE_NAMES = {"base": "base", "sft": "SFT", "ppo": "PPO", "grpo": "GRPO", "dpo": "DPO", "cai": "CAI"}
INK = "#7a7a7a"  # text and axes: contrast 4 on white and on near-black
GOOD, BAD = STAGE_COLOURS["grpo"], STAGE_COLOURS["cai"]


class HasInterval(Protocol):
    """A measured share with its interval, as `minillm.evaluation.Rate`."""

    @property
    def label(self) -> str: ...
    @property
    def rate(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...


def use_style() -> None:
    """Set matplotlib's defaults for the lessons: transparent figures, grey ink, the stage colours in order."""
    clear = (1.0, 1.0, 1.0, 0.0)
    plt.rcParams.update(
        {
            "figure.figsize": (7.0, 3.4),
            "figure.dpi": 100,
            "figure.facecolor": clear,
            "figure.constrained_layout.use": True,
            "savefig.facecolor": clear,
            "axes.facecolor": clear,
            "axes.edgecolor": INK,
            "axes.labelcolor": INK,
            "axes.titlecolor": INK,
            "axes.titlesize": 11,
            "axes.titlelocation": "left",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.prop_cycle": cycler(color=[c for name, c in STAGE_COLOURS.items() if name != "base"]),
            "grid.color": INK,
            "grid.alpha": 0.2,
            "text.color": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "legend.frameon": False,
            "legend.labelcolor": INK,
            "lines.linewidth": 1.8,
        }
    )


def stage_colour(stage: str) -> str:
    """The colour of a stage; names such as "ppo beta 0" count by their first word."""
    key = stage.lower().split()[0] if stage.strip() else stage
    if key not in STAGE_COLOURS:
        raise ValueError(f"no colour for stage {stage!r}; the stages are {', '.join(STAGE_COLOURS)}")
    return STAGE_COLOURS[key]


def smooth(values: Sequence[float], window: int) -> np.ndarray:
    """Running mean over the last ``window`` values; the first ones average what is there. Same length as ``values``."""
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    sums = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=float)]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    return (sums[end] - sums[start]) / (end - start)


def loss_curve(
    losses: Sequence[float],
    steps: Sequence[int] | None = None,
    validation: Mapping[int, float] | None = None,
    floor: float | None = None,
    stage: str = "base",
    ax: Axes | None = None,
) -> Axes:
    """Training loss over steps, faint and smoothed, with held-out points and the floor that no model can beat.

    losses: nats per token, one a step. validation: {step: loss}. floor: nats per token. Returns the axes.
    """
    ax = ax or plt.subplots()[1]
    places = np.arange(1, len(losses) + 1) if steps is None else np.asarray(steps)
    colour = stage_colour(stage)
    ax.plot(places, losses, color=colour, alpha=0.25, linewidth=0.8)
    ax.plot(places, smooth(losses, max(1, len(losses) // 100)), color=colour, label="training")
    if validation:
        ax.plot(
            list(validation), list(validation.values()), "o", color=STAGE_COLOURS["ppo"], markersize=5, label="held-out"
        )
    if floor is not None:
        ax.axhline(floor, color=BAD, linestyle="--", linewidth=1.4, label="entropy floor")
    ax.set_xlabel("optimiser step")
    ax.set_ylabel("loss (nats per token)")
    ax.legend()
    return ax


def rate_bars(rates: Mapping[str, Sequence[HasInterval]], ax: Axes | None = None, xlabel: str = "share") -> Axes:
    """Horizontal bars of shares with their intervals, one group a label, one bar a stage.

    rates: {stage: rates}; a stage may lack a label. Stages are told apart by colour and by the legend.
    """
    if not rates:
        raise ValueError("rate_bars needs at least one stage")
    labels = list(dict.fromkeys(rate.label for group in rates.values() for rate in group))
    if ax is None:
        height = 0.8 + len(labels) * (0.16 + 0.2 * len(rates))
        ax = plt.subplots(figsize=(7.0, max(1.8, height)))[1]
    thickness = 0.8 / len(rates)
    for offset, (stage, group) in enumerate(rates.items()):
        centre = np.array([labels.index(rate.label) for rate in group]) + (offset - (len(rates) - 1) / 2) * thickness
        share = np.array([rate.rate for rate in group])
        errors = np.array([[rate.rate - rate.low, rate.high - rate.rate] for rate in group]).T.reshape(2, -1).clip(0)
        name = STAGE_NAMES.get(stage, stage)
        ax.barh(centre, share, height=thickness * 0.9, color=stage_colour(stage), alpha=0.45, label=name)
        ax.errorbar(share, centre, xerr=errors, fmt="none", ecolor=stage_colour(stage), elinewidth=1.6, capsize=2.5)
    ax.set_yticks(range(len(labels)), labels)
    ax.invert_yaxis()
    ax.set_xlim(0, 1)
    ax.set_xlabel(xlabel)
    ax.grid(axis="y", visible=False)
    if len(rates) > 1:
        ax.legend()
    return ax


def calibration_curve(
    stated: Sequence[float], true: Sequence[float], stage: str = "base", ax: Axes | None = None
) -> Axes:
    """What the model says (a probability) against what holds (a share), with the diagonal of perfect calibration."""
    ax = ax or plt.subplots(figsize=(3.8, 3.6))[1]
    ax.plot([0, 1], [0, 1], linestyle=":", color=INK, linewidth=1.2)
    ax.plot(stated, true, "o", color=stage_colour(stage), markersize=4, alpha=0.7)
    ax.set_xlim(-0.02, 1.02)
    ax.set_ylim(-0.02, 1.02)
    ax.set_xlabel("probability that the model gives")
    ax.set_ylabel("probability in the world")
    return ax


def answer_table(rows: Sequence[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    """An HTML table of answers side by side, readable on light and dark pages.

    rows: one mapping a line. A cell that is a pair ``(text, good)`` gets a tick or a cross beside its text, or
    nothing where ``good`` is None: marks are drawn as signs, not by colour alone. All text is escaped.
    """
    columns = list(columns or dict.fromkeys(key for row in rows for key in row))
    head = "".join(f'<th style="{_CELL}font-weight:600">{escape(column)}</th>' for column in columns)
    body = []
    for row in rows:
        cells = "".join(f'<td style="{_CELL}">{_mark(row.get(column, ""))}</td>' for column in columns)
        body.append(f"<tr>{cells}</tr>")
    lines = "\n".join(body)
    return f'<table style="border-collapse:collapse;width:100%"><tr>{head}</tr>\n{lines}\n</table>'


def token_strip(pieces: Sequence[str], values: Sequence[float], top: float, unit: str = "nats") -> str:
    """A text as HTML, each piece tinted by its value: nothing at 0, full at ``top``. Hovering shows the value."""
    if len(pieces) != len(values):
        raise ValueError(f"one value a piece is needed: {len(pieces)} pieces, {len(values)} values")
    spans = []
    for piece, value in zip(pieces, values):
        strength = min(max(value / top, 0.0), 1.0) * 0.6
        tint = f"background:rgba(220,124,0,{strength:.2f});padding:1px 2px;border-radius:3px;white-space:pre-wrap"
        spans.append(f'<span title="{value:.2f} {escape(unit)}" style="{tint}">{escape(piece)}</span>')
    return '<div style="font-family:monospace;line-height:1.9">' + "".join(spans) + "</div>"


def new_figure(columns: int = 1, width: float = 7.0, height: float = 3.2) -> tuple[Figure, list[Axes]]:
    """A figure with one row of axes; the axes always come as a list."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes[0])


_CELL = "text-align:left;vertical-align:top;padding:4px 10px;border-bottom:1px solid rgba(128,128,128,.35);"


def _mark(cell: object) -> str:
    if not isinstance(cell, tuple):
        return escape(str(cell))
    text, good = cell
    if good is None:
        return escape(str(text))
    sign, colour = ("✓", GOOD) if good else ("✗", BAD)
    return f'<span style="color:{colour};font-weight:700">{sign}</span> {escape(str(text))}'
