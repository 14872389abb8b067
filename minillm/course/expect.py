"""What the exercise tests say: a comparison, and a sentence for a person when it fails.

Comparisons are by value, after a cast: float64 answers, 0-d tensors, lists and other dtypes are right answers.
A failure shows the first place that differs, the largest error, and the name of the mistake where one of the known
ones, or one of a few that turn up everywhere (a flipped sign, a factor), reproduces the numbers exactly.
"""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor

RTOL = 1e-4


class CheckFailure(Exception):
    """A property does not hold. The message is for the student."""


class NotAttempted(CheckFailure):
    """There is no answer yet. ``blank``: the cell is as it was handed out, not merely unfinished."""

    def __init__(self, message: str, blank: bool = False):
        super().__init__(message)
        self.blank = blank


def fail(message: str) -> NoReturn:
    """The property does not hold, and this is why."""
    raise CheckFailure(message)


def expect_true(condition: object, message: str) -> None:
    """Fail with ``message`` unless ``condition`` holds."""
    if not bool(condition):
        fail(message)


def expect_close(
    got: Any,
    expected: Any,
    what: str = "the result",
    *,
    mistakes: Mapping[str, Any] | None = None,
    rtol: float = RTOL,
    where: Tensor | None = None,
) -> None:
    """``got`` and ``expected`` agree: same shape, same numbers.

    An element may be off by ``rtol`` of its own size plus a tenth of that of the largest expected number.
    mistakes: message -> value that the mistake produces, or a function of no arguments that gives it.
    where: True at the positions that count; anything is right elsewhere.
    """
    target = _number(expected)
    if target is None:
        raise TypeError(f"the test's expected value of {what} is no number: {type(expected).__name__}")
    answer = _number(got)
    if answer is None:
        fail(f"{what} should be {_kind(target)}, but it is {describe(got)}.")
    if where is not None:
        where = torch.as_tensor(where).bool().expand(target.shape)
    if answer.shape != target.shape:
        lines = [f"{what} has shape {shape(answer)}, expected {shape(target)}."]
    elif bool((wrong := _differs(answer, target, rtol, where)).any()):
        lines = [_first_difference(answer, target, wrong, what)]
    else:
        return
    named = _named(answer, mistakes, rtol, where) or _familiar(answer, target, rtol, where)
    fail("\n".join([*lines, named] if named else lines))


def expect_gradient(
    got: Tensor | None, expected: Any, what: str = "x", *, mistakes: Mapping[str, Any] | None = None, rtol: float = 1e-3
) -> None:
    """The gradient with respect to ``what`` exists and is ``expected``."""
    if got is None:
        fail(
            f"no gradient reaches {what}: the result is cut off from it. "
            "Look for .detach(), .item(), .data, torch.no_grad(), or a new tensor made from numbers."
        )
    expect_close(got, expected, f"the gradient of {what}", mistakes=mistakes, rtol=rtol)


def expect_no_gradient(got: Tensor | None, what: str = "x", why: str = "") -> None:
    """No gradient flows into ``what`` (None or all zeros)."""
    if got is not None and bool((got != 0).any()):
        fail(f"a gradient flows into {what}, and none should. {why}".strip())


def expect_shape(got: Any, expected: tuple[int, ...], what: str = "the result") -> None:
    """``got`` is a tensor, or nested numbers, of the given shape."""
    answer = _number(got)
    if answer is None:
        fail(f"{what} should be a tensor of shape {tuple(expected)}, but it is {describe(got)}.")
    if tuple(answer.shape) != tuple(expected):
        fail(f"{what} has shape {shape(answer)}, expected {tuple(expected)}.")


def expect_results(got: Any, count: int, names: str) -> Any:
    """``got`` holds ``count`` results (a tuple or list of them), which are returned."""
    if not isinstance(got, (tuple, list)) or len(got) != count:
        fail(f"the function should return {count} results ({names}), but it returned {describe(got)}.")
    return got


def expect_equal(
    got: Any, expected: Any, what: str = "the result", *, mistakes: Mapping[str, Any] | None = None
) -> None:
    """``got`` equals ``expected``: integers, strings, booleans, and lists and dicts of them."""
    answer, target = plain(got), plain(expected)
    difference = _difference(answer, target, what)
    if difference is None:
        return
    for message, value in (mistakes or {}).items():
        if plain(value() if callable(value) else value) == answer:
            difference += f"\n{_sentence(message)}"
            break
    fail(difference)


def plain(value: Any) -> Any:
    """Tensors as lists, tuples as lists: what two answers have in common however they are held."""
    if isinstance(value, Tensor):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return value


def _difference(got: Any, expected: Any, what: str) -> str | None:
    """The first place where two plain values differ, in words; None where they do not."""
    if isinstance(expected, dict):
        if not isinstance(got, dict):
            return f"{what} should be a dict, but it is {describe(got)}."
        for key, value in expected.items():
            if key not in got:
                return f"{what}: the key {key!r} is missing (expected {value!r})."
            if (inner := _difference(got[key], value, f"{what}[{key!r}]")) is not None:
                return inner
        extra = [key for key in got if key not in expected]
        return f"{what}: there should be no key {extra[0]!r} (it has {got[extra[0]]!r})." if extra else None
    if isinstance(expected, list):
        if not isinstance(got, list):
            return f"{what} should be a list, but it is {describe(got)}."
        for index, (mine, theirs) in enumerate(zip(got, expected, strict=False)):
            if (inner := _difference(mine, theirs, f"{what}[{index}]")) is not None:
                return inner + (
                    f" (lengths: expected {len(expected)}, got {len(got)})" if len(got) != len(expected) else ""
                )
        if len(got) != len(expected):
            end = f"expected {clip(expected)}, got {clip(got)}"
            return f"{what} has {len(got)} item{'s' * (len(got) != 1)}, expected {len(expected)}: {end}."
        return None
    if type(got) in (list, dict) or got is None or got != expected:
        return f"{what}: expected {clip(expected)}   got {clip(got)}"
    return None


def _number(value: Any) -> Tensor | None:
    """``value`` as a float64 tensor, or None where it is none."""
    try:
        if isinstance(value, Tensor):
            return value.detach().to("cpu", torch.float64)
        if isinstance(value, (bool, int, float)):
            return torch.tensor(float(value), dtype=torch.float64)
        if isinstance(value, (list, tuple)) and value:
            parts = [part for item in value if (part := _number(item)) is not None]
            return torch.stack(parts) if len(parts) == len(value) else None
    except (RuntimeError, ValueError, TypeError, OverflowError):
        return None
    return None


def _differs(got: Tensor, expected: Tensor, rtol: float, where: Tensor | None = None) -> Tensor:
    """True where two tensors of one shape differ by more than the tolerance."""
    counted = expected if where is None else expected[where]
    finite = counted[counted.isfinite()]
    scale = finite.abs().max().item() if finite.numel() else 0.0
    tolerance = rtol * expected.abs() + 0.1 * rtol * (scale or 0.01)
    same = (got == expected) | (got.isnan() & expected.isnan())
    wrong = ~(same | ((got - expected).abs() <= tolerance) & got.isfinite() & expected.isfinite())
    return wrong if where is None else wrong & where


def _first_difference(got: Tensor, expected: Tensor, wrong: Tensor, what: str) -> str:
    first = tuple(wrong.nonzero()[0].tolist())
    text = f"{what}{list(first) if first else ''}: expected {number(expected[first])}   got {number(got[first])}"
    if not first:
        return text
    error = torch.where(wrong, (got - expected).abs().nan_to_num(nan=math.inf, posinf=math.inf), 0.0)
    flat = int(error.argmax())
    worst = [int(index) for index in torch.unravel_index(torch.tensor(flat), error.shape)]
    largest = number(error.flatten()[flat])
    return f"{text}   (largest error {largest} at {worst}; {int(wrong.sum())} of {wrong.numel()} numbers differ)"


def _matches(got: Tensor, value: Tensor | None, rtol: float, where: Tensor | None) -> bool:
    if value is None or value.shape != got.shape:
        return False
    where = where if where is not None and where.shape == got.shape else None
    return not bool(_differs(got, value, rtol, where).any())


def _named(got: Tensor, mistakes: Mapping[str, Any] | None, rtol: float, where: Tensor | None) -> str | None:
    """The first known mistake that gives the student's numbers."""
    for message, value in (mistakes or {}).items():
        if _matches(got, _number(value() if callable(value) else value), rtol, where):
            return _sentence(message)
    return None


def _sentence(message: str) -> str:
    return f"These are exactly the numbers that come out when {message}"


def _familiar(got: Tensor, expected: Tensor, rtol: float, where: Tensor | None) -> str | None:
    """A mistake that can happen in any exercise, where it explains all numbers."""
    if got.shape != expected.shape:
        if got.ndim >= 2 and any(
            _matches(got.transpose(i, j), expected, rtol, None) for i in range(got.ndim) for j in range(i)
        ):
            return "The numbers are right, but two dimensions are swapped."
        if got.numel() == expected.numel() and _matches(got.reshape(expected.shape), expected, rtol, None):
            return "The numbers are right, only the shape is not."
        return None
    mine, right = (got, expected) if where is None else (got[where], expected[where])
    if mine.numel() == 0 or not bool(right.isfinite().all()) or not bool(right.any()):
        return None
    if not bool(mine.isfinite().all()):
        return _not_finite(mine)
    if not bool(mine.any()):
        return "Everything you returned is zero." if mine.numel() > 1 else "You returned zero."
    if _matches(mine, -right, rtol, None):
        return "The sign is flipped: these are the right numbers times -1."
    largest = right.abs().argmax()
    factor = (mine.flatten()[largest] / right.flatten()[largest]).item()
    if mine.numel() > 1 and _matches(mine, factor * right, rtol, None):
        return f"Every number is {factor:.4g} times what it should be: a factor is missing or one too many."
    shift = (mine - right).flatten()[0].item()
    if mine.numel() > 2 and _matches(mine, right + shift, rtol, None):
        return f"Every number is off by the same amount, {shift:.4g}."
    if mine.numel() == 1 and abs(factor) in (0.5, 2.0):
        return f"This is {factor:g} times the right number."
    return None


def _not_finite(values: Tensor) -> str:
    name = "nan (0/0, inf - inf, or the log of a negative number)" if bool(values.isnan().any()) else "infinite"
    return f"Some of your numbers are {name}."


def _kind(expected: Tensor) -> str:
    return f"a tensor of shape {shape(expected)}" if expected.ndim else "one number (a 0-d tensor or a float)"


def shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))


def number(value: Any) -> str:
    """A number in about seven characters: 0.0000, 2.7183, 1.2e+06."""
    value = float(value)
    if value == 0 or 1e-2 <= abs(value) < 1e5:
        return f"{value:.4f}"
    return f"{value:.4g}"


def clip(value: Any, limit: int = 120) -> str:
    """``repr`` of a value, cut where it is long."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]} ..."


def describe(value: Any) -> str:
    """What a value is, in words: "a tensor of shape (3, 4)", "None (is there a `return` line?)"."""
    if value is None:
        return "None (is there a `return` line?)"
    if isinstance(value, Tensor):
        return f"a tensor of shape {shape(value)}, {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, (tuple, list)):
        kinds = ", ".join(describe(item) for item in value[:3])
        name = "tuple" if isinstance(value, tuple) else "list"
        return f"a {name} of {len(value)}" + (f" ({kinds}{', ...' if len(value) > 3 else ''})" if value else "")
    if isinstance(value, dict):
        return f"a dict with {len(value)} keys"
    return f"{clip(value, 60)} (a value of type {type(value).__name__})"
