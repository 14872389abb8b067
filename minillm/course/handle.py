"""The handle: how an exercise test reaches a student's function.

Tests never touch the function itself. They call the handle with tensors, plain data and props, and get plain data and
detached tensors back. So the same test can run on a live function in a notebook, in pytest, or on a function in
another process. Whatever goes wrong inside the function becomes one CheckFailure, written for the student, with the
traceback folded to the student's own line.
"""

import inspect
import linecache
import random
import re
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from minillm.course.expect import CheckFailure, NotAttempted, clip, describe, shape
from minillm.course.props import Prop

Key = int | str | tuple
MISMATCH = "must match the size of tensor"  # how torch says that two shapes do not broadcast
FUSED = {"qkv": ("q", "k", "v"), "kv": ("k", "v")}


@dataclass
class Outcome:
    """What one call gave: its result, and the raw state of each prop by position or keyword."""

    result: Any
    states: dict[int | str, dict[str, Any]] = field(default_factory=dict)


class Stage:
    """Live objects for one call or a row of calls: copies of the inputs, and props made once each."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Prop, Any]] = {}

    def live(self, value: Any) -> Any:
        """A copy of a raw value, with props replaced by live objects."""
        if isinstance(value, Prop):
            if id(value) not in self._made:
                self._made[id(value)] = (value, value.make(self.live))
            return self._made[id(value)][1]
        if isinstance(value, Tensor):
            return _copy(value)
        if isinstance(value, (list, tuple, set, frozenset)):
            return type(value)(self.live(item) for item in value)
        if isinstance(value, dict):
            return {key: self.live(item) for key, item in value.items()}
        return value

    def states(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
        """The raw state of each prop among the arguments."""
        named: list[tuple[int | str, Any]] = [*enumerate(args), *kwargs.items()]
        return {key: freeze(prop.state(self.live(prop))) for key, prop in named if isinstance(prop, Prop)}


class LocalHandle:
    """A handle on a function or class that lives in this process."""

    def __init__(self, target: Callable[..., Any], name: str):
        self.target = target
        self.name = name
        self.files = files_of(target)
        self.last: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call with copies of the inputs; the result as plain data. Returning None is a failure."""
        result = self.call(*args, **kwargs).result
        if result is None:
            raise CheckFailure(f"your {self.name} returned None: is there a `return` line, and is it reached?")
        return result

    def call(self, *args: Any, **kwargs: Any) -> Outcome:
        """Call once; the result, which may be None, and the states of the props afterwards."""
        return self.calls([(args, kwargs)])[0]

    def calls(self, rounds: Iterable[tuple[Sequence[Any], dict[str, Any]]]) -> list[Outcome]:
        """Call several times with the same live props: a model that is trained for three steps, say."""
        stage, outcomes = Stage(), []
        for args, kwargs in rounds:
            live, named = stage.live(tuple(args)), stage.live(dict(kwargs))
            result = freeze(self._run(self.target, live, named, args, kwargs), self.name)
            self._unchanged(live, named, args, kwargs)
            self.last = result
            outcomes.append(Outcome(result, stage.states(args, kwargs)))
        return outcomes

    def gradients(
        self,
        *args: Any,
        wrt: Sequence[Key],
        upstream: Tensor | None = None,
        output: int | str | None = None,
        **kwargs: Any,
    ) -> tuple[Any, dict[Key, Tensor | None]]:
        """(result, {key: gradient of sum(upstream * result) or None where none flows}).

        wrt: positions or keywords of inputs; (key, "embed") is a parameter of the model prop at that key.
        output: which of several results to differentiate.
        """
        stage = Stage()
        live, named = stage.live(tuple(args)), stage.live(dict(kwargs))
        leaves = {key: _leaf(key, live, named) for key in wrt}
        result = self._run(self.target, live, named, args, kwargs)
        self._unchanged(live, named, args, kwargs)
        self.last = freeze(result, self.name)
        return self.last, self._gradients(result, leaves, upstream, output)

    def build(self, *args: Any, weights: dict[str, Tensor] | None = None, **kwargs: Any) -> "ModuleHandle":
        """An instance of the class, with the given weights loaded."""
        if not (isinstance(self.target, type) and issubclass(self.target, nn.Module)):
            raise CheckFailure(f"{self.name} should be a class made from nn.Module: class {self.name}(nn.Module).")
        module = self._run(self.target, Stage().live(args), dict(kwargs), args, kwargs)
        if not hasattr(module, "_parameters"):
            raise CheckFailure(f"{self.name}.__init__ must begin with super().__init__().")
        if type(module).forward is nn.Module.forward:
            raise CheckFailure(f"{self.name} has no `forward` method.")
        return ModuleHandle(module, self.name, self.files, weights or {})

    def _gradients(
        self, result: Any, leaves: dict[Key, list[Tensor]], upstream: Tensor | None, output: int | str | None
    ) -> dict[Key, Tensor | None]:
        try:
            result = result if output is None else result[output]
        except (TypeError, IndexError, KeyError):
            raise CheckFailure(
                f"your {self.name} returned {describe(freeze(result))}; result {output!r} is missing."
            ) from None
        if not isinstance(result, Tensor) or not result.requires_grad:
            return dict.fromkeys(leaves)
        if upstream is None:
            upstream = torch.ones_like(result)
        if upstream.shape != result.shape:
            raise CheckFailure(f"your {self.name} returned shape {shape(result)}, expected {shape(upstream)}.")
        flat = [leaf for group in leaves.values() for leaf in group]
        try:
            found = torch.autograd.grad((result * upstream).sum(), flat, allow_unused=True)
        except RuntimeError as error:
            text = _first_line(error)
            raise CheckFailure(f"no gradient can be taken through your {self.name}: {text}") from None
        grads, taken = {}, iter(found)
        for key, group in leaves.items():
            parts = [next(taken) for _ in group]
            missing = all(part is None for part in parts)
            filled = [torch.zeros_like(leaf) if part is None else part for part, leaf in zip(parts, group)]
            grads[key] = None if missing else torch.cat(filled).detach()
        return grads

    def _run(self, target: Callable[..., Any], live: tuple, named: dict[str, Any], args: Sequence, kwargs: dict) -> Any:
        """Call the student's code; anything that it raises becomes a CheckFailure."""
        try:
            with _untouched_randomness():
                return target(*live, **named)
        except CheckFailure:
            raise
        except NotImplementedError as error:
            if "Exercise" in str(error):
                raise NotAttempted("not finished: `raise NotImplementedError` is still reached.") from None
            raise CheckFailure(self._explain(error, args, kwargs)) from None
        except Exception as error:
            raise CheckFailure(self._explain(error, args, kwargs)) from None
        except SystemExit as error:
            raise CheckFailure(self._explain(error, args, kwargs)) from None

    def _explain(self, error: BaseException, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        text = _first_line(error)
        kind = type(error).__name__
        if "leaf Variable that requires grad" in text:
            return (
                f"your {self.name} changes its inputs in place (+=, *=, or a method that ends in _). Make a new tensor."
            )
        lines = [f"your {self.name} stopped with {kind}: {text}" if text else f"your {self.name} stopped with {kind}"]
        if MISMATCH in text:
            lines.append("Print the shapes of both. Where a sum or mean took a dimension away, keepdim=True keeps it.")
        if (place := self.place(error.__traceback__)) is not None:
            lines.append(place)
        if args or kwargs:
            lines.append(f"It was called with: {_arguments(args, kwargs)}")
        return "\n".join(lines)

    def place(self, trace: TracebackType | FrameType | None) -> str | None:
        """The last line of the student's own code in a traceback or a stack: "Your code: gae, line 9:  ..."."""
        stack = traceback.extract_stack(trace) if isinstance(trace, FrameType) else traceback.extract_tb(trace)
        for frame in reversed(stack):
            if frame.filename in self.files or _is_cell(frame.filename):
                line = linecache.getline(frame.filename, frame.lineno or 0).strip() or frame.line or ""
                return f"Your code: {_function(frame.name, self.name)}, line {frame.lineno}:  {line}"
        return None

    def _unchanged(self, live: tuple, named: dict[str, Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        keys: list[int | str] = [*range(len(args)), *kwargs]
        for key, after, before in zip(keys, [*live, *named.values()], [*args, *kwargs.values()]):
            if not _same(after, before):
                label = self._parameter(key) if isinstance(key, int) else key
                raise CheckFailure(
                    f"your {self.name} changes its input {label}. A caller may still need it: "
                    "work on a copy, and keep away from +=, [...] = and methods that end in _ on inputs."
                )

    def _parameter(self, position: int) -> str:
        try:
            names = [name for name in inspect.signature(self.target).parameters if name != "self"]
            return f"`{names[position]}`"
        except (TypeError, ValueError, IndexError):
            return f"number {position + 1}"


class ModuleHandle(LocalHandle):
    """A handle on an instance of a student's nn.Module, called like a function."""

    def __init__(self, module: nn.Module, name: str, files: frozenset[str], weights: dict[str, Tensor]):
        super().__init__(module, name)
        self.files = files
        self.module = module
        self._parts = {key: _parts(module, key, value, name) for key, value in weights.items()}
        if weights:
            self._load(weights)

    def gradients(self, *args: Any, wrt: Sequence[Key], upstream=None, output=None, **kwargs: Any):
        """As for a function; a string in ``wrt`` may also name a parameter: "qkv.weight"."""
        stage = Stage()
        live, named = stage.live(tuple(args)), stage.live(dict(kwargs))
        leaves: dict[Key, list[Tensor]] = {}
        for key in wrt:
            if isinstance(key, str) and key not in kwargs:
                leaves[key] = self._parts.get(key) or [self._own(key)]
            else:
                leaves[key] = _leaf(key, live, named)
        result = self._run(self.target, live, named, args, kwargs)
        self._unchanged(live, named, args, kwargs)
        self.last = freeze(result, self.name)
        return self.last, self._gradients(result, leaves, upstream, output)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter by name."""
        return {name: tuple(parameter.shape) for name, parameter in self.module.named_parameters()}

    def _own(self, name: str) -> Tensor:
        for key, parameter in self.module.named_parameters():
            if key == name:
                return parameter
        raise CheckFailure(f"your {self.name} has no parameter `{name}`; it has {_listed(self.shapes())}.")

    def _load(self, weights: dict[str, Tensor]) -> None:
        covered = {id(part) for parts in self._parts.values() for part in parts}
        extra = [name for name, parameter in self.module.named_parameters() if id(parameter) not in covered]
        if extra:
            advice = " Use bias=False." if extra[0].endswith("bias") else ""
            raise CheckFailure(f"your {self.name} has a parameter that was not asked for: `{extra[0]}`.{advice}")
        with torch.no_grad():
            for key, parts in self._parts.items():
                for part, piece in zip(parts, weights[key].chunk(len(parts))):
                    part.copy_(piece)

    def _parameter(self, position: int) -> str:
        names = [name for name in inspect.signature(type(self.module).forward).parameters if name != "self"]
        return f"`{names[position]}`" if position < len(names) else f"number {position + 1}"


def freeze(value: Any, name: str = "function") -> Any:
    """A result as plain data: detached copies of tensors, numbers, strings, lists, tuples, dicts, sets, None."""
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Tensor).clone()
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if isinstance(value, tuple):
        return tuple(freeze(item, name) for item in value)
    if isinstance(value, list):
        return [freeze(item, name) for item in value]
    if isinstance(value, (set, frozenset)):
        return {freeze(item, name) for item in value}
    if isinstance(value, dict):
        return {freeze(key, name): freeze(item, name) for key, item in value.items()}
    if type(value).__module__ == "numpy":
        return torch.as_tensor(value) if getattr(value, "shape", ()) else value.item()
    if isinstance(value, range) or inspect.isgenerator(value) or isinstance(value, type({}.keys())):
        return [freeze(item, name) for item in value]
    raise CheckFailure(
        f"your {name} returned {clip(value, 60)} (type {type(value).__name__}); expected a tensor or plain data."
    )


def _copy(tensor: Tensor) -> Tensor:
    """A detached copy with the same strides, so that a non-contiguous input stays so."""
    if tensor.is_contiguous() or 0 in tensor.stride():
        return tensor.detach().clone()
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype).copy_(tensor.detach())


def _same(after: Any, before: Any) -> bool:
    """Is an input still what it was?"""
    if isinstance(before, Prop) or callable(before):
        return True
    if isinstance(before, Tensor):
        if not isinstance(after, Tensor) or after.shape != before.shape or after.dtype != before.dtype:
            return False
        return torch.equal(after, before) or bool(((after == before) | (after.isnan() & before.isnan())).all())
    if isinstance(before, (list, tuple)):
        return len(after) == len(before) and all(map(_same, after, before))
    if isinstance(before, dict):
        return list(after) == list(before) and all(_same(after[key], before[key]) for key in before)
    return after == before


def _leaf(key: Key, live: tuple, named: dict[str, Any]) -> list[Tensor]:
    """The live tensor that ``key`` names, made ready for gradients."""
    path = key if isinstance(key, tuple) else (key,)
    value: Any = live[path[0]] if isinstance(path[0], int) else named[path[0]]
    for step in path[1:]:
        value = value.get_parameter(step) if isinstance(value, nn.Module) else value[step]
    return [value if isinstance(value, nn.Parameter) else value.requires_grad_()]


def _parts(module: nn.Module, key: str, weight: Tensor, name: str) -> list[Tensor]:
    """The parameter called ``key``, or the separate projections that together hold a fused one."""
    parameters: dict[str, Tensor] = dict(module.named_parameters())
    shapes = {each: tuple(parameter.shape) for each, parameter in parameters.items()}
    if key in parameters:
        if parameters[key].shape != weight.shape:
            raise CheckFailure(f"your {name}: `{key}` has shape {shape(parameters[key])}, expected {shape(weight)}.")
        return [parameters[key]]
    *prefix, fused, kind = ["", *key.split(".")][-3:] if key.count(".") < 2 else key.rsplit(".", 2)
    start = ".".join(part for part in prefix if part)
    start = f"{start}." if start else ""
    letters = FUSED.get(fused, ())
    parts = [part for letter in letters if (part := _letter(parameters, start, letter, kind)) is not None]
    if letters and len(parts) == len(letters) and sum(part.shape[0] for part in parts) == weight.shape[0]:
        return parts
    raise CheckFailure(f"your {name} has no parameter `{key}`. It has {_listed(shapes)}; names matter here.")


def _letter(parameters: Mapping[str, Tensor], start: str, letter: str, kind: str) -> Tensor | None:
    """A projection that is called q, q_proj, query, wq, to_q, W_q, q_linear and so on."""
    word = {"q": "query", "k": "key", "v": "value"}[letter]
    pattern = (
        rf"{re.escape(start)}(w_?|to_?|proj_?|linear_?)?({letter}|{word}s?)(_?(proj|projection|linear|layer))?\.{kind}"
    )
    return next((parameters[name] for name in parameters if re.fullmatch(pattern, name, re.IGNORECASE)), None)


def _listed(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {size}" for name, size in shapes.items()) or "none"


def _arguments(args: Sequence[Any], kwargs: dict[str, Any]) -> str:
    def brief(value: Any) -> str:
        if isinstance(value, Prop):
            return type(value).__name__
        if isinstance(value, Tensor):
            return f"tensor {shape(value)}"
        if isinstance(value, (list, tuple, dict)) and ("tensor(" in repr(value) or len(repr(value)) > 60):
            return describe(value)
        return clip(value, 60)

    return ", ".join([*map(brief, args), *(f"{key}={brief(value)}" for key, value in kwargs.items())])


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else ""


def files_of(target: Any) -> frozenset[str]:
    """The file, or cell, that a function or the methods of a class were written in."""
    target = getattr(target, "__func__", target)
    codes = [getattr(target, "__code__", None)]
    if isinstance(target, type):
        codes += [getattr(member, "__code__", None) for member in vars(target).values()]
    return frozenset(code.co_filename for code in codes if code is not None)


def _is_cell(filename: str) -> bool:
    """Is this the name under which a notebook's cell is compiled?"""
    return "ipykernel_" in filename or filename.startswith(("<cell ", "<ipython-input"))


def _function(frame_name: str, name: str) -> str:
    return name if frame_name in (name, "<module>", "<lambda>", "<listcomp>", "<genexpr>") else f"{name} ({frame_name})"


@contextmanager
def _untouched_randomness():
    """Fixed global seeds inside, the caller's random state and settings back afterwards."""
    state, python, dtype = torch.get_rng_state(), random.getstate(), torch.get_default_dtype()
    try:
        torch.default_generator.manual_seed(0)  # torch.manual_seed also queues a call for each absent device
        random.seed(0)
        with torch.enable_grad():
            yield
    finally:
        torch.set_rng_state(state)
        random.setstate(python)
        torch.set_default_dtype(dtype)
