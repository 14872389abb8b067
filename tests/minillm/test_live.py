"""A live picture shows what was measured so far, as often as it is told, and the last iteration always."""

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pytest

from minillm import live
from minillm.training import History


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def history(done: int) -> History:
    return History(losses=[0.0] * done, metrics={"score": [float(i) for i in range(done)], "kl": [2.0] * done})


def test_it_draws_every_few_iterations_and_the_last(monkeypatch):
    drawn = []

    class Handle:
        def update(self, figure):
            drawn.append(figure)

    def display(figure, display_id):
        drawn.append(figure)
        return Handle()

    monkeypatch.setattr(live, "display", display)
    watch = live.live_plot({"score": ["score"]}, iterations=10, every=4)
    for done in range(1, 11):
        watch(history(done))
    assert len(drawn) == 3 and plt.get_fignums() == []


def test_panels_hold_the_metrics_and_leave_out_what_is_not_there():
    figure = live.draw({"score (deviations)": ["score", "nothing"], "KL (nats an answer)": ["kl"]}, history(6), 10)
    score, kl = figure.axes
    assert score.get_ylabel() == "score (deviations)" and score.get_xlim() == (0, 10)
    assert list(score.lines[1].get_ydata()) == [0, 1, 2, 3, 4, 5] and score.lines[0].get_ydata()[-1] == 3
    assert list(kl.lines[1].get_ydata()) == [2.0] * 6


def test_a_picture_every_zero_iterations_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        live.live_plot({"score": ["score"]}, 5, every=0)
