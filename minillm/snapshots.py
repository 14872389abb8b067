"""What a training run leaves on the disk so that it can be continued, even after kill -9.

A snapshot is a checkpoint file with the weights, the best weights, the optimizer's state, torch's CPU random state and
the history. It also carries the run's identity, a digest of its settings, data, start and code, so that it is never
taken for that of another run.
"""

import hashlib
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minillm import checkpoints


class RunState:
    """Where a run is: updates made, weights, the best weights so far (none before the first validation)."""

    def __init__(self, model: nn.Module, optimizer: Optimizer):
        self.model, self.optimizer = model, optimizer
        self.step = 0
        self.best: dict[str, Tensor] = {}
        self.best_loss, self.best_step = math.inf, 0

    def offer_best(self, loss: float) -> None:
        """Remember the present weights if this loss is the lowest yet."""
        if loss < self.best_loss:
            self.best = {name: value.clone() for name, value in self.model.state_dict().items()}
            self.best_loss, self.best_step = loss, self.step

    def restore_best(self) -> None:
        """Give the model the best weights, if any were remembered."""
        if self.best:
            self.model.load_state_dict(self.best)


class Snapshots:
    """The snapshot file of one run."""

    def __init__(self, path: Path, identity: dict[str, str], name: str):
        self.path, self.identity, self.name = path, identity, name

    def save(self, run: RunState, history: dict[str, Any]) -> None:
        """Write the state in one step: a kill at any moment leaves the old file or the new one."""
        optimizer = run.optimizer.state_dict()["state"]
        tensors = {f"model.{name}": value for name, value in run.model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in run.best.items()}
        tensors |= {
            f"optimizer.{number}.{name}": value
            for number, entries in optimizer.items()
            for name, value in entries.items()
            if isinstance(value, Tensor)
        }
        tensors["random"] = torch.get_rng_state()
        header = {
            "step": run.step,
            "best_loss": run.best_loss,
            "best_step": run.best_step,
            "history": history,
            "identity": self.identity | {"left": digest(run.best or run.model.state_dict())},
        }
        checkpoints.write(self.path, tensors, header)

    def restore(self, run: RunState) -> dict[str, Any] | None:
        """Bring ``run`` to where the snapshot is and return its history; None where there is nothing to continue."""
        if not self.path.exists():
            return None
        try:
            tensors, header = checkpoints.read(self.path)
            theirs = dict(header["identity"])
        except (checkpoints.CheckpointError, KeyError, TypeError) as error:
            print(f"{self.name}: starts anew, for its snapshot cannot be used: {error}")
            return None
        left, start = theirs.pop("left"), theirs["start"]
        differences = [part for part in theirs if part != "start" and theirs[part] != self.identity.get(part)]
        if self.identity["start"] not in (start, left):
            differences.append("starting weights")
        if differences:
            print(f"{self.name}: starts anew, for {self.path.name} is of a run with other {', '.join(differences)}")
            return None
        self.identity["start"] = start
        run.step, run.best_loss, run.best_step = header["step"], header["best_loss"], header["best_step"]
        run.model.load_state_dict(_under("model.", tensors))
        run.best = {name: value.to(_device(run.model)) for name, value in _under("best.", tensors).items()}
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimizer.", tensors).items():
            number, key = name.split(".", 1)
            state.setdefault(int(number), {})[key] = value
        run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(tensors["random"])
        print(
            f"{self.name}: continues after update {run.step:,}, from {self.path.name}; delete that file to start anew"
        )
        return header["history"]

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def identity(run: RunState, settings: Sequence[Any], functions: Sequence[Any]) -> dict[str, str]:
    """A digest of each thing that a continued run must share with the run that it continues."""
    optimizer = [{k: v for k, v in group.items() if k not in ("params", "lr")} for group in run.optimizer.param_groups]
    return {
        "start": digest(run.model.state_dict()),
        "settings or data": digest([settings, type(run.optimizer).__name__, optimizer]),
        "code": digest([_source(function) for function in functions]),
    }


def digest(thing: Any) -> str:
    """A hash of tensors and plain data, the same in every process."""
    result = hashlib.sha256()

    def feed(part: Any) -> None:
        if isinstance(part, Tensor):
            result.update(f"{part.dtype}{tuple(part.shape)}".encode())
            result.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        elif isinstance(part, Mapping):
            feed([[key, part[key]] for key in part])
        elif isinstance(part, list | tuple):
            result.update(f"[{len(part)}".encode())
            for item in part:
                feed(item)
        elif isinstance(part, str | bytes | int | float | bool | None):
            result.update(repr(part).encode())
        else:
            feed([type(part).__name__, vars(part) if hasattr(part, "__dict__") else None])

    feed(thing)
    return result.hexdigest()


def _source(function: Any) -> Any:
    """What a function does, as far as it can be told: its source, and what is bound to it."""
    if isinstance(function, nn.Module):  # a reference or a reward model counts by its weights
        return [type(function).__name__, digest(function.state_dict())]
    if isinstance(function, partial):
        bound = [*function.args, *function.keywords.items()]
        return [_source(function.func), [_source(value) for value in bound]]
    if is_dataclass(function):
        return [type(function).__name__, [_source(getattr(function, part.name)) for part in fields(function)]]
    if not callable(function):
        return [_source(part) for part in function] if isinstance(function, tuple) else function
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__name__)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device
