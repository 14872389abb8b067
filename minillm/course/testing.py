"""How exercise tests, wrong solutions and right variants are written down, found and run.

    @exercise("gae", "rows of different length")      a property: a test of a handle, with a seed
    @mutant("gae", names="mask")                      a wrong solution; ``names`` is in the message that catches it
    @variant("gae")                                   a right solution, written differently

A test draws its data from ``seed``, works out the expected value on its own, and compares.
"""

import contextlib
import importlib.util
import io
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from minillm import paths
from minillm.course import catalogue
from minillm.course.expect import CheckFailure, NotAttempted, describe
from minillm.course.handle import LocalHandle

PASS, FAIL, NOT_ATTEMPTED, ERROR = "pass", "fail", "not attempted", "error"
LIMIT = 10.0


@dataclass(frozen=True)
class Result:
    """What the tests of one exercise say. ``properties`` counts those that hold; all of them must, for points."""

    exercise: str
    status: str
    points: int
    out_of: int
    message: str = ""
    failed: str = ""
    properties: int = 0
    seconds: float = 0.0
    printed: str = ""

    @property
    def passed(self) -> bool:
        return self.status == PASS


@dataclass(frozen=True)
class Sample:
    """A mutant or a variant: a solution kept beside the tests."""

    exercise: str
    target: Callable[..., Any]
    names: str | None = None

    @property
    def id(self) -> str:
        return f"{self.exercise}-{self.target.__name__}"


class TooLong(CheckFailure):
    """The student's code did not come back in time."""


def exercise(name: str, words: str) -> Callable[[Callable], Callable]:
    """Mark ``test(handle, seed)`` as a property of exercise ``name``, described to students by ``words``."""
    catalogue.exercise(name)

    def mark(test: Any) -> Any:
        test.exercise, test.words = name, words
        return test

    return mark


def mutant(name: str, names: str | None = None) -> Callable[[Callable], Callable]:
    """Mark a wrong solution of exercise ``name``. ``names``: lower-case text that its message must hold."""
    return _sample(name, "mutants", names)


def variant(name: str) -> Callable[[Callable], Callable]:
    """Mark a right solution of exercise ``name`` that looks different from the reference."""
    return _sample(name, "variants", None)


def _sample(name: str, kind: str, names: str | None) -> Callable[[Callable], Callable]:
    catalogue.exercise(name)

    def mark(target: Any) -> Any:
        target.sample = (kind, Sample(name, target, names))
        return target

    return mark


def tests_of(name: str) -> list[Any]:
    """The properties of an exercise, in the order in which they are written."""
    members = [member for path in catalogue.lesson_of(name).tests for member in vars(_module(path)).values()]
    return [member for member in members if getattr(member, "exercise", None) == name and callable(member)]


def mutants_of(name: str) -> list[Sample]:
    """The wrong solutions kept for an exercise."""
    return _samples(name, "mutants")


def variants_of(name: str) -> list[Sample]:
    """The right but different solutions kept for an exercise."""
    return _samples(name, "variants")


def _samples(name: str, kind: str) -> list[Sample]:
    path = paths.EXERCISES / kind / catalogue.lesson_of(name).name / f"{name}.py"
    if not path.is_file():
        return []
    marked = [getattr(member, "__dict__", {}).get("sample") for member in vars(_module(path)).values()]
    return [each[1] for each in marked if isinstance(each, tuple) and each[0] == kind and each[1].exercise == name]


@cache
def _module(path: Path) -> ModuleType:
    """The module at ``path``, loaded once and under a name of its own."""
    name = "minillm_exercises." + ".".join(path.relative_to(paths.EXERCISES).with_suffix("").parts)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def run_exercise(name: str, target: Any, seed: int = 0, limit: float = LIMIT) -> Result:
    """Run every property of an exercise on ``target``, a function, a class or a handle, up to the first that fails."""
    listed = catalogue.exercise(name)
    handle = target if hasattr(target, "gradients") else LocalHandle(target, name)
    tests, started, held = tests_of(name), time.perf_counter(), 0
    status, failed, message, printed = PASS, "", "", ""
    if not tests:
        status, message = ERROR, f"there are no tests for {name} in this copy of the course"
    for test in tests:
        try:
            with quiet() as output, time_limit(limit, name, handle):
                run_property(test, handle, seed)
            held += 1
        except CheckFailure as failure:
            status = NOT_ATTEMPTED if isinstance(failure, NotAttempted) else FAIL
            failed, message = test.words, str(failure)
        except Exception as error:
            status, failed = ERROR, test.words
            message = f"the test itself stopped with {type(error).__name__}: {error}. This is not your mistake."
        if status != PASS:
            printed = output.getvalue()
            break
    seconds = time.perf_counter() - started
    points = listed.points if status == PASS else 0
    return Result(name, status, points, listed.points, message, failed, held, seconds, printed)


def run_property(test: Any, handle: Any, seed: int = 0) -> None:
    """Run one property. CheckFailure where it does not hold.

    A test that trips over a result of an unexpected form (an index that is not there, say) has found a failure of
    the student's function, as long as the reference gets through the same test.
    """
    try:
        test(handle, seed)
    except CheckFailure:
        raise
    except Exception:
        from minillm.course.exercises import reference

        own = getattr(handle, "last", None)
        test(LocalHandle(reference(test.exercise), test.exercise), seed)
        raise CheckFailure(f"your {test.exercise} returned {describe(own)}, which is not what was asked for.") from None


@contextlib.contextmanager
def quiet() -> Iterator[io.StringIO]:
    """What student code prints goes into a buffer, and its warnings nowhere."""
    buffer = io.StringIO()
    with contextlib.redirect_stdout(buffer), contextlib.redirect_stderr(buffer), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield buffer


@contextlib.contextmanager
def time_limit(seconds: float, name: str, handle: Any = None) -> Iterator[None]:
    """Stop student code that runs for too long, where the platform has alarms (not on Windows)."""
    if not hasattr(signal, "SIGALRM") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_: int, frame: FrameType | None) -> None:
        place = LocalHandle(lambda: None, name).place(frame) if handle is None else handle.place(frame)
        text = f"your {name} was still running after {seconds:g} seconds: is there a loop that never ends?"
        raise TooLong(f"{text}\n{place}" if place else text)

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
