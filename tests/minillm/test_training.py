"""Properties of the training loop: what it hands on, what it measures, and that a stop costs nothing."""

import json
import os
import runpy
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm import checkpoints
from minillm.model import Config, ScalarHead, Transformer
from minillm.training import History, adamw, fit, shuffled_batches

CONFIG = Config(vocab_size=11, context_length=16, dim=8, layers=1, heads=2)
ROWS = torch.randint(0, 11, (40, 9), generator=torch.Generator().manual_seed(0))


def make_model(seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(CONFIG)


def loss_of(model: nn.Module, batch: Tensor) -> Tensor:
    return F.cross_entropy(model(batch)[:, :-1].flatten(0, 1), batch[:, 1:].flatten())


def noisy_loss(model: nn.Module, batch: Tensor) -> Tensor:
    """A loss that needs torch's random state to be put back as it was."""
    return loss_of(model, batch) * (0.5 + torch.rand(()))


def simple_step(model, optimizer, batches, loss_fn, max_norm):
    optimizer.zero_grad()
    loss = sum(loss_fn(model, batch) for batch in batches) / len(batches)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item(), norm.item()


def run(model: nn.Module, step_fn=simple_step, loss_fn=loss_of, **changes) -> History:
    settings = {"steps": 12, "schedule": lambda step: 0.01, "progress": False}
    return fit(model, shuffled_batches(ROWS, 4, seed=3), step_fn, loss_fn, **settings | changes)


def same_weights(one: nn.Module, other: nn.Module) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return all(torch.equal(a[name], b[name]) for name in a)


def interrupting_at(update: int, count: int = 1):
    """A step that presses Ctrl-C ``count`` times during one update."""
    made = []

    def step(*args):
        made.append(1)
        if len(made) == update:
            for _ in range(count):
                signal.raise_signal(signal.SIGINT)
        return simple_step(*args)

    return step


# -- what it hands on ---------------------------------------------------------------------------------------------


def test_fit_is_the_plain_loop():
    model, plain = make_model(), make_model()
    run(model, accumulate=2, schedule=lambda step: 0.01 / (1 + step), max_norm=0.5)
    optimizer, batch_at = adamw(plain), shuffled_batches(ROWS, 4, seed=3)
    for step in range(12):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / (1 + step)
        simple_step(plain, optimizer, [batch_at(2 * step), batch_at(2 * step + 1)], loss_of, 0.5)
    assert same_weights(model, plain)


def test_the_step_is_handed_what_was_given():
    seen = []

    def step(*args):
        seen.append(args)
        return 1.0

    optimizer, model, loss = torch.optim.SGD(make_model().parameters(), lr=1.0), make_model(), object()
    fit(model, lambda i: i, step, loss, steps=3, schedule=lambda s: s, accumulate=2, max_norm=0.7, optimizer=optimizer)
    assert [args[2] for args in seen] == [[0, 1], [2, 3], [4, 5]]
    assert all(args[0] is model and args[1] is optimizer and args[3:] == (loss, 0.7) for args in seen)
    assert optimizer.param_groups[0]["lr"] == 2.0


@pytest.mark.parametrize("result", [1.5, torch.tensor(1.5), torch.tensor([1.5]), (1.5, torch.tensor(0.25))])
def test_a_step_may_return_its_loss_in_several_ways(result):
    history = run(make_model(), step_fn=lambda *args: result, steps=2)
    assert history.losses == [1.5, 1.5]
    assert (
        history.grad_norms[0] == 0.25 if isinstance(result, tuple) else history.grad_norms[0] != history.grad_norms[0]
    )


@pytest.mark.parametrize("result", [None, "low", (1.0, 2.0, 3.0)])
def test_a_step_that_returns_no_loss_is_told_in_words(result):
    with pytest.raises(TypeError, match="step_fn must return the loss"):
        run(make_model(), step_fn=lambda *args: result)


def test_the_model_trains_in_training_mode_and_is_validated_and_left_in_evaluation_mode():
    model, modes = make_model(), []

    def step(*args):
        modes.append(("step", model.training))
        return 1.0

    def validate():
        modes.append(("validate", model.training))
        return 1.0

    run(model, step_fn=step, steps=2, validate=validate, validate_every=1)
    assert modes == [("step", True), ("validate", False)] * 2
    assert not model.training


# -- what it measures ---------------------------------------------------------------------------------------------


def test_history_has_an_entry_for_each_update():
    history = run(make_model(), accumulate=3, schedule=lambda step: step / 100)
    assert history.steps == list(range(1, 13))
    assert history.lrs == [step / 100 for step in range(12)]
    assert history.tokens == [3 * 4 * 9 * n for n in range(1, 13)]
    assert history.seconds == sorted(history.seconds) and len(history.seconds) == 12
    assert not history.interrupted and not history.diverged and history.best_step == 12


def test_history_survives_json():
    model = make_model()
    history = run(model, validate=lambda: loss_of(model, ROWS).item(), validate_every=5)
    assert History.from_dict(json.loads(json.dumps(history.to_dict()))) == history
    assert list(history.validation) == [5, 10, 12]


def test_the_model_ends_with_the_best_weights_that_were_validated():
    model, losses, seen = make_model(), iter([3.0, 1.0, 2.0, 4.0]), []

    def validate():
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(losses)

    history = run(model, validate=validate, validate_every=3)
    assert history.best_step == 6
    assert history.validation == {3: 3.0, 6: 1.0, 9: 2.0, 12: 4.0}
    assert all(torch.equal(value, seen[1][name]) for name, value in model.state_dict().items())


def test_a_loss_that_is_not_finite_ends_the_run_with_the_best_weights(capsys):
    model, best = make_model(), {}

    def step(model, *args):
        result = simple_step(model, *args)
        return (float("nan"), 1.0) if len(best) and len(history_length) > 7 else history_length.append(1) or result

    def validate():
        best.setdefault("weights", {name: value.clone() for name, value in model.state_dict().items()})
        return 1.0

    history_length: list[int] = []
    history = run(model, step_fn=step, validate=validate, validate_every=5)
    assert history.diverged and not history.interrupted and len(history.losses) == 9
    assert all(torch.equal(value, best["weights"][name]) for name, value in model.state_dict().items())
    assert "the loss became nan at update 9" in capsys.readouterr().out


def test_the_bar_shows_loss_and_speed(capsys):
    run(make_model(), progress=True, name="base", validate=lambda: 1.25, validate_every=4)
    shown = capsys.readouterr().out
    assert "base: 100%" in shown and "loss 2." in shown and "held-out 1.250" in shown and "tok/s" in shown


# -- stopping and continuing --------------------------------------------------------------------------------------


def test_ctrl_c_ends_after_the_update_at_hand_and_keeps_the_best(capsys):
    model, losses = make_model(), iter([1.0, 5.0])
    history = run(model, step_fn=interrupting_at(7), validate=lambda: next(losses), validate_every=4)
    assert history.interrupted and len(history.losses) == 7
    assert history.validation == {4: 1.0, 7: 5.0}
    assert history.best_step == 4
    four = make_model()
    run(four, steps=4)
    assert same_weights(model, four)
    assert "stopped after 7 of 12 updates, with the weights of update 4" in capsys.readouterr().out


def test_ctrl_c_without_validation_keeps_the_last_weights():
    model, seven = make_model(), make_model()
    assert run(model, step_fn=interrupting_at(7)).best_step == 7
    run(seven, steps=7)
    assert same_weights(model, seven)


def test_a_second_ctrl_c_does_not_wait():
    history = run(make_model(), step_fn=interrupting_at(7, count=2))
    assert history.interrupted and len(history.losses) == 6


def test_ctrl_c_in_the_last_update_is_no_interruption():
    assert not run(make_model(), step_fn=interrupting_at(12)).interrupted


def test_the_handler_of_ctrl_c_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    run(make_model(), step_fn=interrupting_at(3, count=2))
    assert signal.getsignal(signal.SIGINT) is before


def stopped_run(path: Path, loss_fn=loss_of) -> None:
    """A run that an error ends in update 8 of 12, when its last snapshot is of update 6."""
    rates = iter([0.01] * 12 + [0.01] * 7)  # `fit` asks for all rates once, to know the run by them

    def schedule(step):
        try:
            return next(rates)
        except StopIteration:
            raise InterruptedError("the power went") from None

    with pytest.raises(InterruptedError):
        run(make_model(), loss_fn=loss_fn, schedule=schedule, snapshot=path, snapshot_every=3)


def test_a_stopped_run_continues_to_the_weights_of_a_run_that_was_not_stopped(tmp_path, capsys):
    path = tmp_path / "run.snapshot"
    whole = make_model()
    whole_history = run(whole, loss_fn=noisy_loss)
    stopped_run(path, loss_fn=noisy_loss)
    assert path.exists()
    continued = make_model()
    torch.manual_seed(77)
    history = run(continued, snapshot=path, loss_fn=noisy_loss)
    assert "continues after update 6" in capsys.readouterr().out
    assert same_weights(continued, whole)
    assert history.losses == whole_history.losses and history.tokens == whole_history.tokens
    assert not path.exists()


def test_an_interrupted_run_continues_from_a_new_model_and_from_the_one_that_it_left(tmp_path):
    whole = make_model()
    losses = [3.0, 1.0, 2.0]
    run(whole, validate=lambda: 1.0, validate_every=12)
    for again in (True, False):
        path, model = tmp_path / f"{again}.snapshot", make_model()
        measured = iter(losses)
        history = run(model, interrupting_at(7), snapshot=path, validate=lambda m=measured: next(m), validate_every=3)
        assert history.interrupted and history.best_step == 6
        step = interrupting_at(99)
        history = run(make_model() if again else model, step, snapshot=path, validate=lambda: 0.5, validate_every=12)
        assert len(history.losses) == 12 and history.best_step == 12 and not history.interrupted
    assert same_weights(model, whole)


def test_a_run_that_was_stopped_twice_continues_from_a_new_model(tmp_path, capsys):
    path, model, whole = tmp_path / "run.snapshot", make_model(), make_model()
    run(whole)
    assert run(model, interrupting_at(5), snapshot=path).interrupted
    step = interrupting_at(3)
    assert run(model, step, snapshot=path).interrupted
    last = make_model()
    assert len(run(last, interrupting_at(99), snapshot=path).losses) == 12
    assert "continues after update 8" in capsys.readouterr().out
    assert same_weights(last, whole)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"steps": 13}, "settings or data"),
        ({"schedule": lambda step: 0.02}, "settings or data"),
        ({"accumulate": 2}, "settings or data"),
        ({"max_norm": 2.0}, "settings or data"),
        ({"loss_fn": noisy_loss}, "code"),
        ({"step_fn": partial(simple_step)}, "code"),
        ({"model": make_model(1)}, "starting weights"),
    ],
)
def test_a_snapshot_of_another_run_is_not_continued(tmp_path, capsys, changes, reason):
    path = tmp_path / "run.snapshot"
    stopped_run(path)
    history = run(**{"model": make_model()} | changes, snapshot=path)
    assert len(history.losses) == changes.get("steps", 12)
    assert f"starts anew, for run.snapshot is of a run with other {reason}\n" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"not a snapshot", None])
def test_a_damaged_snapshot_is_named_and_the_run_starts_anew(tmp_path, capsys, content):
    path = tmp_path / "run.snapshot"
    stopped_run(path)
    path.write_bytes(path.read_bytes()[:-50] if content is None else content)
    model, whole = make_model(), make_model()
    run(model, snapshot=path)
    run(whole)
    assert same_weights(model, whole)
    assert "starts anew, for its snapshot cannot be used" in capsys.readouterr().out


SCRIPT = """
import os, signal, sys
import torch
import torch.nn.functional as F
from torch import nn
from minillm import checkpoints
from minillm.model import Config, Transformer
from minillm.training import fit, shuffled_batches

torch.set_num_threads(1)
torch.manual_seed(0)
model = Transformer(Config(vocab_size=11, context_length=16, dim=8, layers=2, heads=2))
rows = torch.randint(0, 11, (40, 9))
killed_at, out, snapshot = int(os.environ["KILLED_AT"]), os.environ["OUT"], os.environ["SNAPSHOT"]

def loss_fn(model, batch):
    keep = torch.rand(batch.shape[0], 1, 1) > 0.3
    return F.cross_entropy((model(batch) * keep)[:, :-1].flatten(0, 1), batch[:, 1:].flatten())

def step_fn(model, optimizer, batches, loss_fn, max_norm):
    optimizer.zero_grad()
    loss = loss_fn(model, batches[0])
    loss.backward()
    step_fn.calls += 1
    if step_fn.calls == killed_at:
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    optimizer.step()
    return loss.item()

step_fn.calls = 0
with torch.no_grad():
    held_out = lambda: loss_fn(model, rows).item()
history = fit(model, shuffled_batches(rows, 8, seed=1), step_fn, loss_fn, steps=40, schedule=lambda s: 0.02 - s / 4000,
              validate=held_out, validate_every=8, snapshot=snapshot, snapshot_every=7, progress=False)
checkpoints.write(out, model.state_dict(), {"losses": history.losses, "validation": list(history.validation.items()),
                                            "best_step": history.best_step, "made": step_fn.calls})
"""


def test_a_run_killed_with_kill_9_continues_to_the_very_same_result(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)

    def environment(killed_at: int, name: str) -> dict[str, str]:
        return {
            "KILLED_AT": str(killed_at),
            "OUT": str(tmp_path / name),
            "SNAPSHOT": str(tmp_path / f"{name}.snapshot"),
        }

    threads = torch.get_num_threads()
    root = str(Path(checkpoints.__file__).parent.parent)
    killed = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": root, **environment(24, "stopped")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert killed.returncode not in (0, 1), killed.stderr
    assert not (tmp_path / "stopped").exists() and (tmp_path / "stopped.snapshot").exists()
    try:
        for name in ("whole", "stopped"):
            for key, value in environment(0, name).items():
                monkeypatch.setenv(key, value)
            runpy.run_path(str(script))
    finally:
        torch.set_num_threads(threads)
    whole, stopped = checkpoints.read(tmp_path / "whole"), checkpoints.read(tmp_path / "stopped")
    assert (whole[1].pop("made"), stopped[1].pop("made")) == (40, 19)
    assert whole[1] == stopped[1]
    assert all(torch.equal(whole[0][name], stopped[0][name]) for name in whole[0])


# -- its tools ----------------------------------------------------------------------------------------------------


def test_only_matrices_decay():
    model = nn.ModuleDict({"model": make_model(), "head": ScalarHead(8)})
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    decayed, others = adamw(model, weight_decay=0.3).param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.3, 0.0)
    assert {names[id(p)] for p in others["params"]} == {
        "model.embed.weight",
        "model.blocks.0.norm1.weight",
        "model.blocks.0.norm2.weight",
        "model.norm.weight",
        "head.linear.bias",
    }
    assert len(decayed["params"]) + len(others["params"]) == len(names)


def test_batches_run_through_all_examples_once_an_epoch_in_a_new_order():
    batch_at = shuffled_batches(torch.arange(12), 4, seed=0)
    epochs = [torch.cat([batch_at(3 * epoch + i) for i in range(3)]).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] and epochs[0] != list(range(12))


def test_a_batch_depends_on_its_number_and_the_seed_alone():
    numbers = [7, 0, 11, 7, 3]
    first = [shuffled_batches(torch.arange(12), 4, seed=0)(i).tolist() for i in numbers]
    batch_at = shuffled_batches(torch.arange(12), 4, seed=0)
    assert [batch_at(i).tolist() for i in numbers] == first
    assert [shuffled_batches(torch.arange(12), 4, seed=1)(i).tolist() for i in numbers] != first


def test_batches_of_a_list_are_collated():
    batch_at = shuffled_batches(["a", "bb", "ccc", "dddd"], 2, seed=0, collate=lambda words: "+".join(sorted(words)))
    assert sorted("+".join([batch_at(0), batch_at(1)]).split("+")) == ["a", "bb", "ccc", "dddd"]
    assert isinstance(shuffled_batches(["a", "b"], 1, seed=0)(0), list)


def test_too_few_examples_for_a_batch_are_told_in_words():
    with pytest.raises(ValueError, match="3 examples do not fill a batch of 4"):
        shuffled_batches(torch.arange(3), 4, seed=0)


def test_settings_below_1_are_told_in_words():
    with pytest.raises(ValueError, match="must be at least 1"):
        run(make_model(), steps=0)


def test_a_snapshot_knows_a_model_that_a_loss_holds_by_its_weights():
    from functools import partial

    from minillm.snapshots import _source

    def loss(model, batch, reference):
        return reference

    first, same, other = (torch.nn.Linear(2, 2) for _ in range(3))
    same.load_state_dict(first.state_dict())
    sources = [_source(partial(loss, reference=each)) for each in (first, same, other)]
    assert sources[0] == sources[1] != sources[2]
