"""Cheap answers, made from any right solution: all zeros, the wrong sign, twice too much, cut off from its inputs."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from minillm.course import testing
from minillm.course.expect import CheckFailure
from minillm.course.handle import LocalHandle


def changed(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """``value`` with ``change`` made to every float in it."""
    if isinstance(value, Tensor):
        return change(value) if value.is_floating_point() else value
    if isinstance(value, float):
        return float(change(torch.tensor(value, dtype=torch.float64)))
    if isinstance(value, (list, tuple)):
        return type(value)(changed(item, change) for item in value)
    if isinstance(value, dict):
        return {key: changed(item, change) for key, item in value.items()}
    return value


def wrapped(target: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """A function, or a module class, whose answers are those of ``target``, changed."""
    if isinstance(target, type):

        class Wrapped(target):
            def forward(self, *args: Any, **kwargs: Any) -> Any:
                return changed(super().forward(*args, **kwargs), change)

        return Wrapped
    return lambda *args, **kwargs: changed(target(*args, **kwargs), change)


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": torch.zeros_like,
    "negated": torch.neg,
    "doubled": lambda value: 2 * value,
    "detached": torch.detach,
}
ADVERSARIES = {name: lambda target, change=change: wrapped(target, change) for name, change in CHANGES.items()}


def applies(adversary: str, name: str, target: Any) -> bool:
    """Does the change alter the right answer? Detaching does where a gradient flows from an input to the result."""
    seen = {"floats": False, "gradient": False}

    def watch(value: Tensor) -> Tensor:
        seen["floats"] |= bool((value != 0).any())
        seen["gradient"] |= value.requires_grad
        return value

    for test in testing.tests_of(name):
        try:
            test(_Leaves(wrapped(target, watch), name), 0)
        except CheckFailure:
            continue
    return seen["gradient"] if adversary == "detached" else seen["floats"]


class _Leaves(LocalHandle):
    """A handle that asks for gradients with respect to every float tensor that is passed."""

    def _run(self, target: Any, live: tuple, named: dict, *rest: Any) -> Any:
        for value in [*live, *named.values()]:
            if isinstance(value, Tensor) and value.is_floating_point():
                value.requires_grad_()
        return super()._run(target, live, named, *rest)
