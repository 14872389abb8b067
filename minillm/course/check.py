"""check("rms_norm"): the tests of an exercise, on the function as it lives in the notebook, in under a second.

    check("rms_norm")                 in a notebook
    python -m minillm check           in a terminal: all notebooks in work/; or one lesson (02), exercise or file

Importing this module is cheap. Inside Jupyter it notes which cells run, so that it can tell a function whose cell was
edited, or stopped with an error, after it was last defined.
"""

import argparse
import builtins
import html
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.course import catalogue
from minillm.course.catalogue import Exercise, Lesson

if TYPE_CHECKING:
    from minillm.course.testing import Result

# In Jupyter's own colours where it has them, else in tones that can be read on white and on black.
COLOURS = {
    "pass": "var(--jp-success-color1, #2e9e4f)",
    "fail": "var(--jp-error-color1, #d9534f)",
    "other": "var(--jp-warn-color1, #c98a00)",
}


def check(*names: str) -> None:
    """Check exercises by name and show, for each, points and what to do next. Nothing is returned or raised."""
    namespace = sys._getframe(1).f_globals
    if not names:
        _show('Say which exercise to check, by its name: check("rms_norm")', "other")
    for name in names:
        try:
            exercise = catalogue.exercise(name)
        except catalogue.UnknownName as problem:
            _show(f"not checked: {problem}", "other")
            continue
        started = time.perf_counter()
        try:
            if (reason := _not_ready(exercise, namespace)) is not None:
                _show(f"{name}   {reason}", "other")
            else:
                result = _checked(exercise, namespace)
                _show(text_of(result), result.status)
        except KeyboardInterrupt as stop:
            _show(_stopped(name, namespace.get(name), stop, time.perf_counter() - started), "other")


def _checked(exercise: Exercise, namespace: dict[str, Any]) -> "Result":
    """Run the tests; where they fail and an earlier exercise is to blame, run them again with the reference's."""
    from minillm.course.exercises import is_blank, reference
    from minillm.course.testing import FAIL, NOT_ATTEMPTED, run_exercise

    target = namespace[exercise.name]
    result = run_exercise(exercise.name, target)
    if result.status == NOT_ATTEMPTED and (source := _source(target)) is not None and is_blank(source, exercise):
        return replace(result, message="")
    if result.status != FAIL:
        return result
    lesson = catalogue.lesson_of(exercise.name)
    below = catalogue.foundations(exercise.name)
    earlier = [each.name for each in lesson.exercises if each.name in below and each.name in namespace]
    own = {name: namespace[name] for name in earlier}
    try:
        namespace.update({name: reference(name) for name in earlier})
        again = run_exercise(exercise.name, target) if earlier else result
    except LookupError:
        again = result
    finally:
        namespace.update(own)
    if not again.passed:
        return result
    wrong = _wrong(earlier, own, namespace)
    return replace(
        again, message=f"{' and '.join(wrong or earlier)} is not right yet; this one is, with the reference's."
    )


def _wrong(names: list[str], own: dict[str, Any], namespace: dict[str, Any]) -> list[str]:
    """Which of the student's functions fail by themselves: each one is run on the reference's in place of the others.

    So a right one that stands on a wrong one is not blamed for it.
    """
    from minillm.course.exercises import reference
    from minillm.course.testing import run_exercise

    try:
        namespace.update({name: reference(name) for name in names})
        return [name for name in names if not run_exercise(name, own[name]).passed]
    finally:
        namespace.update(own)


def _not_ready(exercise: Exercise, namespace: dict[str, Any]) -> str | None:
    """Why the function in the notebook is not what the student thinks it is; None where it is."""
    name, target = exercise.name, namespace.get(exercise.name)
    run = next((run for run in reversed(_runs) if _defines(run.source, name)), None)
    if run is not None and run.error is not None and (target is None or _source(target) != run.source.strip()):
        old = "" if target is None else f", so {name} is still the one from before"
        return f"not checked: its cell {run.error}{old}. Correct that and run it again."
    if target is None:
        return (
            f"not checked: there is no {name} yet. Run the cell of exercise {exercise.number} first, then check again."
        )
    path = _notebook_path(namespace)
    if run is not None and path is not None and _edited(exercise, run, path):
        return "not checked: the cell has changed since it was last run. Run it, then check again."
    if not callable(target):
        kind = type(target).__name__
        return f"not checked: {name} is of type {kind}, because some cell uses its name. Run its own cell again."
    return None


def _edited(exercise: Exercise, run: "_Run", path: Path) -> bool:
    """Was the notebook saved, with another text in the cell, after the cell was last run?"""
    from minillm.course.exercises import NotebookError, find, read_notebook
    from minillm.course.expect import CheckFailure

    try:
        if path.stat().st_mtime <= run.time:
            return False
        return find(read_notebook(path), exercise).source.strip() != run.source.strip()
    except (OSError, NotebookError, CheckFailure):
        return False


def _defines(source: str, name: str) -> bool:
    from minillm.course.exercises import defines

    return name in source and defines(source, name)


def _source(target: Any) -> str | None:
    """The text of the cell that defined a live function or class, or None."""
    import linecache

    from minillm.course.handle import files_of

    for filename in sorted(files_of(target)):
        if lines := linecache.getlines(filename):
            return "".join(lines).strip()
    return None


def _notebook_path(namespace: dict[str, Any]) -> Path | None:
    """The file of the notebook that is being worked on, as Jupyter or VS Code tells it."""
    named = namespace.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return Path(named) if named and str(named).endswith(".ipynb") and Path(named).is_file() else None


def _stopped(name: str, target: Any, stop: KeyboardInterrupt, seconds: float) -> str:
    from minillm.course.handle import LocalHandle

    place = LocalHandle(target, name).place(stop.__traceback__) if callable(target) else None
    text = f"{name}   stopped after {seconds:.0f} s. Is there a loop that never ends?"
    return f"{text}\n  It was here. {place}" if place else text


def text_of(result: "Result") -> str:
    """What the student reads: the line with the points, and below it what to do."""
    head = f"{result.exercise}   {result.points}/{result.out_of}   "
    if result.status == "pass":
        hold = "1 property holds" if result.properties == 1 else f"{result.properties} properties hold"
        lines = [f"{head}{hold}   ({result.seconds:.1f} s)"]
        return "\n".join([*lines, *([f"  {result.message}"] if result.message else []), f"  {_next(result.exercise)}"])
    if result.status == "not attempted":
        todo = "not attempted: write it where `raise NotImplementedError` stands, run the cell, then check again."
        return head + (result.message or todo)
    where = f"fails at: {result.failed}" if result.failed else result.status
    lines = [f"{head}{where}", *(f"  {line}" for line in result.message.splitlines())]
    if result.printed.strip():
        last = result.printed.strip().splitlines()[-8:]
        lines += ["  Your code printed:", *(f"    {line[:150]}" for line in last)]
    return "\n".join(lines)


def _next(name: str) -> str:
    after = catalogue.following(name)
    if after is None or after.lesson_id != catalogue.exercise(name).lesson_id:
        return "That was the last exercise of this lesson. Read on: now it is put to use."
    return f"Next: {after.number} {after.name}."


def _show(text: str, status: str) -> None:
    """Print, or in a notebook show in colour."""
    if not _in_notebook():
        print(text)
        return
    from IPython.display import display

    colour = COLOURS.get(status, COLOURS["other"])
    first, _, rest = html.escape(text).partition("\n")
    block = (
        '<div style="white-space: pre-wrap; word-break: normal; font-family: var(--jp-code-font-family, monospace); '
        f'padding-left: 0.8em; border-left: 4px solid {colour}">'
        f'<b style="color: {colour}">{first}</b>\n{rest}</div>'
    )
    display({"text/plain": text, "text/html": block}, raw=True)


def _in_notebook() -> bool:
    shell = _shell()
    return shell is not None and hasattr(shell, "kernel")


def _shell() -> Any:
    """IPython's shell where this runs in one. ``get_ipython`` is a builtin there, and only there."""
    get = getattr(builtins, "get_ipython", None)
    return get() if get is not None else None


@dataclass(frozen=True)
class _Run:
    """One run of one cell: its text, when it ended, and how it failed, in words that follow "its cell"."""

    source: str
    time: float
    error: str | None


_runs: list[_Run] = []


def _note(result: Any) -> None:
    """Called by IPython after each cell."""
    problem = result.error_before_exec or result.error_in_exec
    error = None
    if problem is not None:
        if isinstance(problem, SyntaxError):
            error = f"is not valid Python yet (line {problem.lineno}: {problem.msg})"
        else:
            message = str(problem).splitlines()
            error = f"stopped with {type(problem).__name__}" + (f" ({message[0]})" if message else "")
    _runs.append(_Run(result.info.raw_cell or "", time.time(), error))


if (_here := _shell()) is not None:
    _here.events.register("post_run_cell", _note)


def check_notebook(path: Path, names: Sequence[str] | None = None) -> "list[Result]":
    """Check the exercises of a notebook file, as pytest does: earlier exercises are the reference's.

    names: which; by default all of the lesson that the file is called after. NotebookError where it is unreadable.
    """
    from minillm.course.exercises import load, read_notebook
    from minillm.course.expect import CheckFailure, NotAttempted
    from minillm.course.testing import FAIL, LIMIT, NOT_ATTEMPTED, Result, quiet, run_exercise, time_limit

    if names is None:
        names = [exercise.name for exercise in catalogue.lesson(path.stem).exercises]
    if path.is_file():
        read_notebook(path)
    results = []
    for name in names:
        points = catalogue.exercise(name).points
        try:
            with quiet(), time_limit(LIMIT, name):
                target = load(name, path)
        except NotAttempted as problem:
            results.append(Result(name, NOT_ATTEMPTED, 0, points, "" if problem.blank else str(problem)))
        except CheckFailure as problem:
            results.append(Result(name, FAIL, 0, points, str(problem), "running its cell"))
        else:
            results.append(run_exercise(name, target))
    return results


def main(argv: Sequence[str] | None = None) -> int:
    """Check notebooks from the terminal. 0 where all can be read and nothing that was attempted fails."""
    from minillm.course.exercises import NotebookError

    parser = argparse.ArgumentParser(prog="python -m minillm check", description="Check your answers in work/.")
    what = "lessons (02), exercises (rms_norm) or notebook files (PATH.ipynb); default: all"
    parser.add_argument("names", nargs="*", metavar="NAME", help=what)
    texts = parser.parse_args(argv).names
    wanted = [each for text in texts for each in _meant(text)] or [_whole(lesson) for lesson in catalogue.lessons()]
    results: list[Result] = []
    unreadable = False
    for lesson, path, names in wanted:
        try:
            found = check_notebook(path, names or [exercise.name for exercise in lesson.exercises])
        except NotebookError as problem:
            print(_way_on(str(problem), lesson, path))
            unreadable = True
            continue
        results += found
        if names is None:
            print(f"{lesson.id} {lesson.title}" + ("" if path == lesson.work_notebook else f"   ({path})"))
        for result in found:
            print("\n".join(f"  {line}" for line in text_of(result).splitlines()))
    passed = sum(result.passed for result in results)
    points, out_of = sum(result.points for result in results), sum(result.out_of for result in results)
    print(f"{passed}/{len(results)} exercises, {points}/{out_of} points")
    return 1 if unreadable or any(result.status in ("fail", "error") for result in results) else 0


def _way_on(problem: str, lesson: Lesson, path: Path) -> str:
    """What is wrong with a notebook, and for the student's copy how to start it anew."""
    sentence = problem if problem.endswith(".") else f"{problem}."
    if path != lesson.work_notebook:
        return sentence
    return f"{sentence} `python -m minillm reset {lesson.id}` starts the lesson anew and keeps this file as a backup."


Wanted = tuple[Lesson, Path, list[str] | None]  # a lesson, the file to look in, some of its exercises or None for all


def _whole(lesson: Lesson, path: Path | None = None) -> Wanted:
    return lesson, path or lesson.work_notebook, None


def _meant(text: str) -> list[Wanted]:
    """What to check for one word of the command line: a file is checked itself, a name in the student's copy."""
    from minillm.course.exercises import NotebookError, holds_any, read_notebook
    from minillm.course.names import find_lesson, named

    path = Path(text)
    is_path = path.suffix == ".ipynb" and (path.exists() or path.name != text)
    if not is_path:
        found = named(text)
        if isinstance(found, Lesson):
            return [_whole(found)]
        lesson = catalogue.lesson_of(found.name)
        return [(lesson, lesson.work_notebook, [found.name])]
    if not path.is_file():
        raise NotebookError(f"There is no notebook {text}.")
    if (lesson := find_lesson(text)) is not None:
        return [_whole(lesson, path)]
    read_notebook(path)
    lessons = [lesson for lesson in catalogue.lessons() if lesson.exercises and holds_any(path, lesson)]
    if not lessons:
        raise NotebookError(f"{text} holds no exercise of the course.")
    return [_whole(lesson, path) for lesson in lessons]
