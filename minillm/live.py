"""A picture that is redrawn in the notebook while a run goes on: pass it to a training function as ``watch``.

    train_ppo(policy, collector, functions, watch=live_plot({"score": ["score"], "KL (nats an answer)": ["kl"]}, 40))

It reads the metrics of a `training.History` and changes nothing.
"""

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
from IPython.display import display
from matplotlib.figure import Figure

from minillm.plots import new_figure, smooth
from minillm.training import History

WINDOW = 5  # iterations that the smoothed line averages


def live_plot(panels: Mapping[str, Sequence[str]], iterations: int, every: int = 4) -> Callable[[History], None]:
    """A ``watch`` that draws one panel a label, {label: names of metrics}, every few iterations and at the last.

    Faint: each iteration; strong: the mean of the last five. Metrics that the run does not have are left out. Make a
    new one for each run: it goes on redrawing the picture that it began.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    shown = None

    def watch(history: History) -> None:
        nonlocal shown
        done = len(history.losses)
        if done % every and done != iterations:
            return
        figure = draw(panels, history, iterations)
        if shown is None:
            shown = display(figure, display_id=True)
        else:
            shown.update(figure)
        plt.close(figure)

    return watch


def draw(panels: Mapping[str, Sequence[str]], history: History, iterations: int) -> Figure:
    """The picture of a run as far as it has come."""
    figure, axes = new_figure(len(panels), width=3.3 * len(panels), height=2.6)
    for ax, (label, names) in zip(axes, panels.items()):
        for name in names:
            if name not in history.metrics:
                continue
            values = history.metrics[name]
            (line,) = ax.plot(range(1, len(values) + 1), smooth(values, WINDOW), label=name.replace("_", " "))
            ax.plot(range(1, len(values) + 1), values, color=line.get_color(), alpha=0.25, linewidth=0.8)
        ax.set(xlim=(0, iterations), xlabel="iteration", ylabel=label)
        if len(names) > 1:
            ax.legend(fontsize=7)
    return figure
