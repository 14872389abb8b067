"""The one training loop, which every stage uses: it steps, measures, shows, and can be stopped and continued.

It holds no loss, no schedule and no step: these come as arguments. The seam:

    history = fit(
        model,
        batch_at,                       # batch_at(i) -> micro-batch number i; the same i gives the same batch
        step_fn,                        # step_fn(model, optimizer, batches, loss_fn, max_norm)
                                        #     makes one update; returns the loss, or (loss, grad_norm), or a
                                        #     dict with "loss" and whatever else it measured, by name;
                                        #     "tokens" in it replaces the count of the batch's positions
        loss_fn,                        # handed through to step_fn, usually loss_fn(model, batch) -> scalar
        steps=1200,
        schedule=lambda step: 3e-3,     # step from 0 -> learning rate of that update
        accumulate=1,                   # micro-batches per update: step_fn gets a list of so many
        max_norm=1.0,                   # handed through to step_fn
        validate=lambda: loss,          # () -> nats; called every validate_every updates, and at the end
        snapshot="work/base.snapshot",  # where to leave what is needed to continue after a stop, even kill -9
    )

Because a batch depends on its number alone, a run that was killed continues from its snapshot to the very weights
that it would have reached. Snapshots hold the weights, the optimizer, torch's CPU random state and the history;
a loss that draws from another generator is not covered.
"""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from tqdm import tqdm

from minillm.snapshots import RunState, Snapshots, identity


@dataclass
class History:
    """What a run measured. One entry per update: ``losses``, ``lrs``, ``grad_norms`` (nan if the step does not say),
    ``tokens`` and ``seconds`` (both since the start). ``metrics``: what else the step measured, by name.
    ``validation`` maps a number of updates to a loss.
    ``best_step`` is the number of updates after which the weights that the model now has were reached.
    """

    losses: list[float] = field(default_factory=list)
    lrs: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    metrics: dict[str, list[float]] = field(default_factory=dict)
    validation: dict[int, float] = field(default_factory=dict)
    best_step: int = 0
    interrupted: bool = False
    diverged: bool = False

    @property
    def steps(self) -> list[int]:
        return list(range(1, len(self.losses) + 1))

    @property
    def tokens_per_second(self) -> float:
        return self.tokens[-1] / max(self.seconds[-1], 1e-9) if self.tokens else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "History":
        return cls(**data | {"validation": {int(step): loss for step, loss in data["validation"].items()}})


def adamw(model: nn.Module, weight_decay: float = 0.1, betas: tuple[float, float] = (0.9, 0.95)) -> AdamW:
    """AdamW (Loshchilov & Hutter 2019) that decays matrices, but neither norms and biases nor embeddings."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    parameters = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in parameters if p.ndim >= 2 and id(p) not in embeddings]
    others = [p for p in parameters if p.ndim < 2 or id(p) in embeddings]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return AdamW([group for group in groups if group["params"]], lr=0.0, betas=betas, fused=True)


def shuffled_batches(
    examples: Tensor | Sequence[Any], size: int, seed: int, collate: Callable[[list[Any]], Any] | None = None
) -> Callable[[int], Any]:
    """batch_at for `fit`: each epoch runs through the examples in a new order that depends on seed and epoch alone.

    examples: a tensor of rows, (N, ...), which gives tensor batches (size, ...); or a list, whose batches ``collate``
    makes. What does not fill the last batch of an epoch is left out of that epoch.
    """
    n = len(examples)
    if n < size:
        raise ValueError(f"{n} examples do not fill a batch of {size}")
    orders: dict[int, Tensor] = {}

    def batch_at(index: int) -> Any:
        epoch, place = divmod(index, n // size)
        if epoch not in orders:
            orders.clear()
            orders[epoch] = torch.randperm(n, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch))
        rows = orders[epoch][place * size : (place + 1) * size]
        if isinstance(examples, Tensor):
            return examples[rows.to(examples.device)]
        chosen = [examples[i] for i in rows.tolist()]
        return collate(chosen) if collate else chosen

    return batch_at


def fit(
    model: nn.Module,
    batch_at: Callable[[int], Any],
    step_fn: Callable[..., Any],
    loss_fn: Any = None,
    *,
    steps: int,
    schedule: Callable[[int], float],
    accumulate: int = 1,
    max_norm: float = 1.0,
    optimizer: Optimizer | None = None,
    validate: Callable[[], float] | None = None,
    validate_every: int = 100,
    snapshot: Path | str | None = None,
    snapshot_every: int = 100,
    watch: Callable[[History], Any] | None = None,
    shown: Sequence[str] = (),
    name: str = "training",
    progress: bool = True,
) -> History:
    """Train ``model`` in place for ``steps`` updates; the arguments are explained at the top of this file.

    With ``validate``, the model ends with the best weights that were validated; without, with the last. Ctrl-C (or
    Jupyter's stop button) ends the run after the update at hand, keeps the best so far and returns with
    ``history.interrupted`` set; a second one does not wait for the update. A loss that is not finite ends the run with
    ``history.diverged`` set. With ``snapshot``, the same call made again after a stop continues where the run was; once
    the run is over the file is removed. A snapshot of other settings, other data, another start or an edited loss is
    put aside, and the run starts anew. watch: called after each update, to draw or to measure; it must not change the
    model. shown: names of metrics that the progress bar shows instead of the loss.
    """
    if min(steps, accumulate, validate_every, snapshot_every) < 1:
        raise ValueError("steps, accumulate, validate_every and snapshot_every must be at least 1")
    optimizer = optimizer or adamw(model)
    run = RunState(model, optimizer)
    history = History()
    snapshots = None
    if snapshot is not None:
        settings = [steps, accumulate, max_norm, [schedule(step) for step in range(steps)], batch_at(0)]
        snapshots = Snapshots(Path(snapshot), identity(run, settings, [step_fn, loss_fn]), name)
        history = History.from_dict(snapshots.restore(run) or history.to_dict())
        history.interrupted = False
    spent = history.seconds[-1] if history.seconds else 0.0
    began = time.perf_counter()

    def update() -> None:
        rate = float(schedule(run.step))
        for group in optimizer.param_groups:
            group["lr"] = rate
        batches = [batch_at(run.step * accumulate + i) for i in range(accumulate)]
        loss, norm, measured = _measured(step_fn(model, optimizer, batches, loss_fn, max_norm))
        run.step += 1
        history.losses.append(loss)
        history.lrs.append(rate)
        history.grad_norms.append(norm)
        tokens = int(measured.pop("tokens", 0)) or sum(map(_count_tokens, batches))
        history.tokens.append((history.tokens[-1] if history.tokens else 0) + tokens)
        for key, value in measured.items():
            history.metrics.setdefault(key, []).append(value)
        history.seconds.append(spent + time.perf_counter() - began)
        history.diverged = not math.isfinite(loss)

    def measure() -> None:
        if validate is not None and run.step not in history.validation:
            model.eval()
            history.validation[run.step] = float(validate())
            model.train()
            run.offer_best(history.validation[run.step])

    model.train()
    style = {"file": sys.stdout, "mininterval": 0.5, "dynamic_ncols": True, "disable": not progress}
    with tqdm(total=steps, initial=run.step, desc=name, **style) as bar, _stop_on_interrupt() as stop:
        try:
            while run.step < steps and not stop.asked and not history.diverged:
                update()
                if not history.diverged and (run.step % validate_every == 0 or run.step == steps):
                    measure()
                if snapshots and run.step % snapshot_every == 0 and run.step < steps and not history.diverged:
                    snapshots.save(run, history.to_dict())
                bar.set_postfix_str(_live(history, shown), refresh=False)
                bar.update()
                if watch is not None:
                    watch(history)
            history.interrupted = stop.asked and run.step < steps
            if history.interrupted:
                measure()
        except KeyboardInterrupt:
            history.interrupted = True
    if snapshots and history.interrupted and len(history.losses) == run.step:
        snapshots.save(run, history.to_dict())
    run.restore_best()
    history.best_step = run.best_step or run.step
    model.eval()
    if snapshots and not history.interrupted:
        snapshots.remove()
    _tell_how_it_ended(history, steps, name)
    return history


def _measured(result: Any) -> tuple[float, float, dict[str, float]]:
    """What a step returned, as floats: loss, gradient norm (nan if it does not say), and the rest by name."""
    if isinstance(result, dict):
        measured = dict(result)
    else:
        loss, norm = result if isinstance(result, tuple) and len(result) == 2 else (result, math.nan)
        measured = {"loss": loss, "grad_norm": norm}
    try:
        measured = {key: float(value) for key, value in measured.items()}
        return measured.pop("loss"), measured.pop("grad_norm", math.nan), measured
    except (KeyError, TypeError, ValueError):
        wanted = "the loss, or (loss, grad_norm), or a dict with a loss, as numbers"
        raise TypeError(f"step_fn must return {wanted}; got {result!r}") from None


def _count_tokens(batch: Any) -> int:
    """Positions in a batch: the size of its first tensor."""
    if isinstance(batch, Tensor):
        return batch.numel()
    parts = batch.values() if isinstance(batch, dict) else batch if isinstance(batch, list | tuple) else []
    return next((part.numel() for part in parts if isinstance(part, Tensor)), 0)


def _live(history: History, shown: Sequence[str] = ()) -> str:
    """The end of the progress bar: a loss smoothed over 20 updates, or the last values of the metrics to be shown; the
    last validation loss, tokens a second."""
    recent = history.losses[-20:]
    text = ", ".join(f"{name} {history.metrics[name][-1]:.3f}" for name in shown if name in history.metrics)
    text = text or f"loss {sum(recent) / len(recent):.3f}"
    if history.validation:
        text += f", held-out {list(history.validation.values())[-1]:.3f}"
    return text + f", {history.tokens_per_second / 1000:.1f}k tok/s"


def _tell_how_it_ended(history: History, steps: int, name: str) -> None:
    """One sentence where a run did not simply reach its end."""
    done = len(history.losses)
    if history.diverged:
        print(f"{name}: ended, for the loss became {history.losses[-1]} at update {done:,}; a smaller rate may help")
    elif history.interrupted:
        print(f"{name}: stopped after {done:,} of {steps:,} updates, with the weights of update {history.best_step:,}")


@contextmanager
def _stop_on_interrupt() -> Iterator[SimpleNamespace]:
    """Within it the first Ctrl-C only sets ``asked``, so that no update is left half made; the second raises."""
    stop = SimpleNamespace(asked=False)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: Any) -> None:
        if stop.asked:
            raise KeyboardInterrupt
        stop.asked = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)
