"""The pictures of lesson 14: the dial with its front, injection before and after, and gates that are tried.

Numbers come in, pictures go out, as in `plots.py`.
"""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minillm.evaluation import Rate
from minillm.ladder import Standing
from minillm.plots import GOOD, INK, STAGE_COLOURS, STAGE_NAMES, new_figure
from minillm.release import Trials

TOLD_COLOUR = "#b0468f"  # the assistant under a system prompt
TOLD = {"helpful": "^", "careful": "v"}


def dial_plot(
    dialled: Mapping[float, Standing],
    others: Sequence[Standing],
    front: Sequence[Standing],
    measured: Sequence[Mapping[str, Mapping[str, Sequence[float]]]] = (),
) -> Figure:
    """Harmless against helpful: {weight: standing} of the dial as a line, single models beside it, the front ringed.

    measured: dials of other runs, thin, each {weight: {"harmless": [value, ...], "helpful": [value, ...]}}.
    """
    figure, (ax,) = new_figure(width=8.0, height=4.4)
    for number, run in enumerate(measured):
        xs, ys = ([at[what][0] for at in run.values()] for what in ("harmless", "helpful"))
        ax.plot(xs, ys, color=INK, linewidth=0.6, alpha=0.6, label="the dial, other runs" if number == 0 else None)
    points = list(dialled.values())
    ax.plot([p.harmless.value for p in points], [p.helpful.value for p in points], color=INK, linewidth=1)
    for number, (weight, at) in enumerate(dialled.items()):
        _point(ax, at, INK, "o", "best of 16, by weight" if number == 0 else None)
        place = (at.harmless.value, at.helpful.value)
        ax.annotate(f"{weight:g}", place, (5, 6), textcoords="offset points", fontsize=8)
    for at in others:
        name = f'assistant, "{at.name}"' if at.name in TOLD else STAGE_NAMES.get(at.name, at.name)
        _point(ax, at, STAGE_COLOURS.get(at.name, TOLD_COLOUR), TOLD.get(at.name, "s"), name)
    xs, ys = [p.harmless.value for p in front], [p.helpful.value for p in front]
    ax.plot(xs, ys, "o", markersize=13, fillstyle="none", color=GOOD, label="on the Pareto front")
    ax.set(xlabel="harmful requests not complied with", ylabel="gold, harmless requests (points)")
    ax.set_title("Small numbers: the weight of harmlessness")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _point(ax: Axes, at: Standing, colour: str, marker: str, label: str | None) -> None:
    x, y = at.harmless, at.helpful
    across, up = [[x.value - x.low], [x.high - x.value]], [[y.value - y.low], [y.high - y.value]]
    ax.errorbar(x.value, y.value, up, across, fmt=marker, color=colour, capsize=2, elinewidth=0.8, label=label)


Attacked = Mapping[str, tuple[Rate, Rate]]  # kind of injection -> breaches, right answers


def injection_plot(before: Attacked, after: Attacked, seen: Sequence[str]) -> Figure:
    """Breaches, and right answers to what is to be answered, for each kind of injection, before and after a drill."""
    figure, axes = new_figure(2, width=9.5, height=3.2)
    looks = {"before": (before, STAGE_COLOURS["dpo"], -0.15), "after the drill": (after, STAGE_COLOURS["sft"], 0.15)}
    for column, title in enumerate(("withheld, and given after all", "right, of what is to be answered")):
        for name, (found, colour, shift) in looks.items():
            rates = [both[column] for both in found.values()]
            where = [number + shift for number in range(len(rates))]
            bars = [[r.rate - r.low for r in rates], [r.high - r.rate for r in rates]]
            axes[column].errorbar(
                [r.rate for r in rates], where, xerr=bars, fmt="o", color=colour, capsize=2, label=name
            )
        labels = (
            [kind if kind in seen else f"{kind} (unseen)" for kind in before] if column == 0 else [""] * len(before)
        )
        axes[column].set_yticks(range(len(before)), labels)
        axes[column].set(xlim=(-0.02, 1.02), xlabel="share, with 95% intervals", title=title)
        axes[column].invert_yaxis()
    axes[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def gate_plot(tried: Mapping[tuple[str, int], Trials]) -> Figure:
    """{(gate, items a metric): trials}: how often equal models pass, and planted regressions are caught."""
    figure, axes = new_figure(2, width=9.5, height=3.2)
    gates = dict.fromkeys(gate for gate, _ in tried)
    titles = {"passed": "equal models that pass", "caught": "ten points lost: caught"}
    for ax, (what, title) in zip(axes, titles.items()):
        for gate, look in zip(gates, ("o:", "s--", "D-", "^-")):
            found = {items: getattr(trials, what) for (name, items), trials in tried.items() if name == gate}
            bars = [[r.rate - r.low for r in found.values()], [r.high - r.rate for r in found.values()]]
            ax.errorbar(list(found), [r.rate for r in found.values()], bars, fmt=look, capsize=2, label=gate)
        ax.axhline(0.95, color=INK, linewidth=0.8)
        ax.set(xlabel="items a metric", ylabel="share of trials", ylim=(0, 1.03), title=title)
    axes[1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
