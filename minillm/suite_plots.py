"""The pictures of lesson 11: every measure with its interval, differences of two stages, leanings, and calibration.

Numbers come in and are drawn in the colours of the stages; nothing is measured here.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from minillm.calibration import Belief, decided
from minillm.ladder import Estimate
from minillm.plots import INK, STAGE_COLOURS, STAGE_NAMES, new_figure
from minillm.suite import MEASURES, Report

GOOD = {1: "more is better", -1: "less is better", 0: "nearer to 0 is better"}
PAPER, ACCENT = STAGE_COLOURS["dpo"], STAGE_COLOURS["ppo"]
Test = tuple[float, float, float]  # a difference and its interval, as `paired_bootstrap` gives it


def every_measure(reports: Mapping[str, Report], columns: int = 6) -> Figure:
    """One small picture a measure, one row and one colour a stage, with 95% intervals; ``reports`` is by stage."""
    rows = -(-len(MEASURES) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(1.9 * columns, 2.0 * rows), sharey=True)
    for ax, (key, (text, sign)) in zip(grid.flat, MEASURES.items()):
        for place, (stage, report) in enumerate(reports.items()):
            found, colour = report.estimates[key], STAGE_COLOURS[stage]
            ax.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
            ax.plot(found.value, place, "o", color=colour, markersize=5)
        _label(ax, key, text, sign)
    for ax in grid.flat[len(MEASURES) :]:
        ax.axis("off")
    grid.flat[0].set_yticks(range(len(reports)), [STAGE_NAMES[stage] for stage in reports])
    grid.flat[0].invert_yaxis()
    return figure


def _label(ax: Axes, key: str, text: str, sign: int) -> None:
    ax.set_title(text.replace(": ", ":\n"), fontsize=8.5)
    ax.set_xlabel(GOOD[sign], fontsize=7.5)
    ax.tick_params(labelsize=7.5)
    if sign == 0:
        ax.axvline(0, color=INK, linewidth=0.9, linestyle=":")
        ax.set_xlim(-1, 1)
    elif key == "loss":
        ax.set_xlim(left=0)
    elif key in ("abstains", "ece"):
        ax.set_xlim(-0.01, 0.3)
    else:
        ax.set_xlim(-0.02, 1.02)


def differences(tests: Mapping[str, tuple[Test, Test]], xlabel: str) -> Axes:
    """Differences by measure: with the pairs kept, and, in grey, with the pairs broken up."""
    _, (ax,) = new_figure(width=8.0, height=0.9 + 0.32 * len(tests))
    for place, (together, apart) in enumerate(tests.values()):
        first = place == 0
        ax.plot(apart[1:], [place + 0.2] * 2, color=INK, linewidth=2, label="pairs broken up" if first else None)
        ax.plot(together[1:], [place] * 2, color=PAPER, linewidth=2.5, label="the same questions" if first else None)
        ax.plot(together[0], place, "o", color=PAPER, markersize=5)
    ax.axvline(0, color=INK, linestyle=":")
    ax.set_yticks(range(len(tests)), [MEASURES[key][0] for key in tests])
    ax.set_xlabel(xlabel)
    ax.invert_yaxis()
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def leanings(runs: Mapping[str, Sequence[Mapping[str, Sequence[Estimate]]]]) -> Figure:
    """Gap with its interval over jobs, and shift, of every run: {corpus: [{split: (gap, shift)}, ...]}."""
    splits = list(next(iter(runs.values()))[0])
    figure, axes = new_figure(len(splits), width=10.0, height=3.0)
    for ax, split in zip(axes, splits):
        for place, some in enumerate(runs.values()):
            for number, run in enumerate(some):
                (gap, shift), y = run[split], place + 0.2 * (number - (len(some) - 1) / 2)
                first = place == number == 0
                ax.plot([gap.low, gap.high], [y, y], color=PAPER, linewidth=2)
                ax.plot(gap.value, y, "o", color=PAPER, markersize=5, label="gap" if first else None)
                ax.plot(shift.value, y, "x", color=ACCENT, markersize=6, label="shift" if first else None)
        ax.axvline(0, color=INK, linestyle=":")
        ax.set_yticks(range(len(runs)), list(runs) if split == splits[0] else [""] * len(runs))
        ax.set(xlabel="difference of p(masculine)", title=f"{split} jobs", xlim=(-0.3, 1))
        ax.invert_yaxis()
    axes[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def reliability(
    panels: Mapping[str, Belief], bins: int, error: Callable[[Tensor, Tensor], Tensor], interval: Callable
) -> Figure:
    """Share right against confidence, bin by bin, with intervals; a dot is as large as its bin. Titles tell the error.

    error: error(confidence, correct). interval: interval(hits, n) -> (low, high).
    """
    figure, axes = new_figure(len(panels), width=3.3 * len(panels), height=3.2)
    for ax, (title, belief) in zip(axes, panels.items()):
        confidence, correct = decided(*belief)
        place = (confidence * bins).ceil().long() - 1  # (N,)
        for each in place.unique():
            here = place == each
            hits, n = int(correct[here].sum()), int(here.sum())
            x = confidence[here].mean().item()
            ax.plot([x, x], interval(hits, n), color=PAPER, linewidth=2)
            ax.plot(x, hits / n, "o", color=PAPER, markersize=4 + n / 4)
        ax.plot([0.5, 1], [0.5, 1], ":", color=INK)
        ax.set(xlim=(0.48, 1.03), ylim=(0, 1.05), xlabel="confidence")
        ax.set_title(f"{title}: error {float(error(confidence, correct)):.2f}", fontsize=10)
    axes[0].set_ylabel("share right")
    return figure


def admission(reports: Mapping[str, Report]) -> Axes:
    """Saying "i do not know" of unknown things against saying so of known ones, by stage, with intervals."""
    _, (ax,) = new_figure(width=6.5, height=3.4)
    for stage, report in reports.items():
        x, y = report.estimates["abstains"], report.estimates["admits"]
        ax.plot([x.low, x.high], [y.value] * 2, color=STAGE_COLOURS[stage], linewidth=1.5)
        ax.plot([x.value] * 2, [y.low, y.high], color=STAGE_COLOURS[stage], linewidth=1.5)
        ax.plot(x.value, y.value, "o", color=STAGE_COLOURS[stage], label=STAGE_NAMES[stage])
    ax.set(xlim=(-0.005, 0.15), ylim=(0, 1.03), xlabel='known things: says "i do not know"')
    ax.set(ylabel="unknown things: says so", title="Up is honest, right is timid")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax
