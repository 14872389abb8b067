"""Exercises as live functions: the reference from a master, the student's own from a notebook.

Only what an exercise needs is run: the lesson's setup cells, helper definitions of the student's that the cell uses,
and the cell itself. Training cells never are. Earlier exercises come from the reference, so that one mistake is not
counted twice. The source of every cell is known to ``linecache``, so that a traceback can show its lines.
"""

import ast
import hashlib
import json
import linecache
import re
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from minillm import paths
from minillm.course import catalogue, masters
from minillm.course.catalogue import Exercise, Lesson
from minillm.course.expect import CheckFailure, NotAttempted
from minillm.course.masters import Cell
from minillm.course.names import UserError

_carrying: ContextVar[str | None] = ContextVar("carrying", default=None)
_references: dict[str, tuple[ModuleType, list[Cell]]] = {}


class NotebookError(UserError):
    """A notebook cannot be read; the message is one sentence that names it and says why."""


@dataclass(frozen=True)
class Found:
    """An exercise found in a notebook. ``blank``: the cell is as it was handed out."""

    exercise: Exercise
    source: str
    blank: bool


def reference(name: str) -> Any:
    """The worked solution of an exercise, loaded from its master. LookupError where this copy has no solutions."""
    lesson = catalogue.lesson_of(name)
    if name not in _loaded(lesson):
        module, waiting = _references[lesson.name]
        if not any(cell.exercise == name for cell in waiting):
            raise LookupError(f"{lesson.master.name} holds no solution of {name}")
        while name not in vars(module):
            cell = waiting.pop(0)
            _execute(cell.source, f"<cell {lesson.master.name}: {cell.exercise or 'setup'}>", module, cell.line)
    return vars(_references[lesson.name][0])[name]


def references(bundle: Any, **names: str) -> Any:
    """A dataclass filled with worked solutions, by the names of its fields or by those given instead:
    ``references(sft.Functions)``."""
    return bundle(**{field.name: reference(names.get(field.name, field.name)) for field in fields(bundle)})


def _loaded(lesson: Lesson) -> set[str]:
    """Names of the exercises of a lesson whose reference is loaded; its module is made at the first call."""
    if lesson.name not in _references:
        if not lesson.master.is_file():
            raise LookupError(f"the solutions of lesson {lesson.id} are not part of this copy of the course")
        cells = [cell for cell in masters.read(lesson.master) if cell.kind == "code"]
        cells = [cell for cell in cells if cell.has("setup") or cell.has("exercise")]
        _references[lesson.name] = (ModuleType(f"reference_{lesson.name}"), cells)
    module = _references[lesson.name][0]
    return {exercise.name for exercise in lesson.exercises} & set(vars(module))


def carry(*names: str) -> Any:
    """Functions of earlier lessons: the student's own where they pass their checks, else the reference.

    Prints one line that says which. One name gives one function, several give a tuple.
    """
    got = [_carried(name) for name in names]
    if _carrying.get() is None:
        yours = [name for name, (_, why) in zip(names, got) if why is None]
        other = [f"{name} ({why})" if why else name for name, (_, why) in zip(names, got) if why is not None]
        parts = [f"yours: {', '.join(yours)}"] if yours else []
        parts += [f"reference: {', '.join(other)}"] if other else []
        print("carried forward - " + "; ".join(parts))
    return got[0][0] if len(got) == 1 else tuple(target for target, _ in got)


def _carried(name: str) -> tuple[Any, str | None]:
    """(the function, None) where the student's own passes, else (the reference, why)."""
    if (_carrying.get() or paths.source()) == "reference":
        return reference(name), ""
    try:
        own = load(name, needs=lambda need: _carried(need)[0])
        verdict = _verdict(name, own)
    except (NotebookError, CheckFailure) as problem:
        return reference(name), "not attempted" if isinstance(problem, NotAttempted) else "yours does not load"
    return (own, None) if verdict == "pass" else (reference(name), f"yours: {verdict}")


_verdicts: dict[str, str] = {}


def _verdict(name: str, own: Any) -> str:
    """The status of the student's function, remembered by the content of its lesson's notebook and tests."""
    from minillm.course.testing import run_exercise

    lesson = catalogue.lesson_of(name)
    text = b"".join(path.read_bytes() for path in (lesson.work_notebook, *lesson.tests))
    key = f"{name}:{hashlib.sha256(text).hexdigest()}"
    if key not in _verdicts:
        _verdicts[key] = run_exercise(name, own).status
    return _verdicts[key]


def load(name: str, path: Path | None = None, needs: Callable[[str], Any] | None = None) -> Any:
    """The student's function ``name`` from a notebook (default: their own copy of its lesson).

    needs: gives the earlier exercises of the lesson; the reference by default. NotAttempted where the blank is
    untouched, CheckFailure where the cell is missing or does not run, NotebookError where the notebook is unreadable.
    """
    exercise, lesson = catalogue.exercise(name), catalogue.lesson_of(name)
    path = path or lesson.work_notebook
    if not path.is_file():
        raise NotAttempted(f"{name}: there is no {shown(path)} yet", blank=True)
    cells = read_notebook(path)
    found = find(cells, exercise)
    if found.blank:
        raise NotAttempted(f"{name} is not attempted yet", blank=True)
    module = ModuleType(f"work_{lesson.name}")
    give = needs or reference
    with _carries("reference" if needs is None else "mine"):
        _setup(cells, lesson, exercise, found.source, module, give)
        _run_cell(found.source, f"<cell {name}>", module, name)
    target = vars(module).get(name)
    if not callable(target):
        raise CheckFailure(f"the cell of {name} defines no function or class {name}.")
    return target


def _setup(
    cells: list[Cell], lesson: Lesson, exercise: Exercise, source: str, module: ModuleType, give: Callable[[str], Any]
) -> None:
    """Run what the cell of ``exercise`` stands on: setup cells, earlier exercises, helpers that it names."""
    for position, cell in enumerate(cell for cell in cells if cell.kind == "code" and cell.has("setup")):
        _run_cell(cell.source, f"<cell setup {position + 1}>", module, "the setup")
    for earlier in lesson.exercises[: lesson.exercises.index(exercise)]:
        if re.search(rf"\b{earlier.name}\b", source):
            vars(module)[earlier.name] = give(earlier.name)
    for number, node in _helpers(cells, lesson, source, set(vars(module)) | {exercise.name}):
        code = compile(ast.Module([node], []), f"<cell helper {number}>", "exec")
        _remember(f"<cell helper {number}>", cells[number].source)
        try:
            exec(code, vars(module))
        except Exception as error:
            raise CheckFailure(f"a helper of {exercise.name} stopped with {type(error).__name__}: {error}") from None


def _helpers(cells: list[Cell], lesson: Lesson, source: str, known: set[str]) -> list[tuple[int, ast.stmt]]:
    """(cell number, definition) of what ``source`` names and nothing so far defines, and what those name in turn.

    Only imports, functions, classes and constants count as definitions.
    """
    taken = {exercise.name for exercise in lesson.exercises}
    definitions: dict[str, tuple[int, int, ast.stmt]] = {}
    for number, cell in enumerate(cells):
        if cell.kind != "code" or cell.has("setup") or (tree := _tree(cell.source)) is None:
            continue
        for order, node in enumerate(tree.body):
            for name in _defined(node):
                if name not in taken:
                    definitions[name] = (number, order, node)
    wanted, needed = _named(_tree(source)), {}
    while wanted:
        name = wanted.pop()
        if name in definitions and name not in known and name not in needed:
            needed[name] = definitions[name]
            wanted |= _named(definitions[name][2])
    unique = {(number, order): node for number, order, node in needed.values()}
    return [(number, unique[number, order]) for number, order in sorted(unique)]


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).split(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign) and not any(isinstance(part, ast.Call) for part in ast.walk(node.value)):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return []


def _named(tree: ast.AST | None) -> set[str]:
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} if tree is not None else set()


def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(without_magics(source))
    except (SyntaxError, ValueError):
        return None


def find(cells: Iterable[Cell], exercise: Exercise) -> Found:
    """The cell of an exercise: by its metadata, else by the name that it defines; of several, the last that counts."""
    code = [cell for cell in cells if cell.kind == "code"]
    marked = [cell for cell in code if cell.exercise == exercise.name and cell.has("exercise")]
    defining = [cell for cell in code if defines(cell.source, exercise.name)]
    chosen = [cell for cell in marked if cell in defining] or defining or marked
    if not chosen:
        raise CheckFailure(
            f"there is no cell that defines {exercise.name} in the notebook. "
            f"`python -m minillm reset {exercise.name}` puts its cell back."
        )
    for candidates in (chosen, defining):
        attempted = [each for each in candidates if not is_blank(each.source, exercise, each.metadata.get("stub"))]
        if attempted:
            return Found(exercise, attempted[-1].source, False)
    return Found(exercise, chosen[-1].source, True)


def holds_any(path: Path, lesson: Lesson) -> bool:
    """Does a notebook hold an exercise of this lesson? True also where it cannot be read, so that this is said."""
    try:
        cells = read_notebook(path)
    except NotebookError:
        return True
    names = {exercise.name for exercise in lesson.exercises}
    written = re.compile(rf"^(def|class) ({'|'.join(names)})\b", re.MULTILINE)
    return any(cell.exercise in names or (cell.kind == "code" and written.search(cell.source)) for cell in cells)


def defines(source: str, name: str) -> bool:
    """Does a cell define ``name`` at its top level? Read from the text where the cell is no valid Python."""
    tree = _tree(source)
    if tree is None:
        return (
            re.search(rf"^(async )?(def|class) {re.escape(name)}\b|^{re.escape(name)}\s*=", source, re.MULTILINE)
            is not None
        )
    return any(name in _defined(node) or _assigns(node, name) for node in tree.body)


def _assigns(node: ast.stmt, name: str) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == name for target in targets)


def is_blank(source: str, exercise: Exercise, stub: str | None = None) -> bool:
    """Is this cell as it was handed out? Comments and blank lines do not count as work."""
    marked = fingerprint(source)
    if stub is not None and marked == stub:
        return True
    if not source.strip():
        return True
    try:
        cells = masters.read(catalogue.lesson_of(exercise.name).master)
    except OSError:
        return False
    handed = [
        masters.stub(cell.source, exercise) for cell in cells if cell.has("exercise") and cell.exercise == exercise.name
    ]
    return any(marked == fingerprint(each) for each in handed)


def fingerprint(source: str) -> str:
    """A short hash of code that does not change with blank lines, comment lines and trailing spaces."""
    lines = [line.rstrip() for line in source.splitlines()]
    kept = "\n".join(line for line in lines if line and not line.lstrip().startswith("#"))
    return hashlib.sha256(kept.encode()).hexdigest()[:16]


def read_notebook(path: Path) -> list[Cell]:
    """The cells of a notebook. NotebookError, one sentence, where it is no notebook."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise NotebookError(f"there is no notebook {shown(path)}") from None
    except UnicodeDecodeError:
        raise NotebookError(f"{shown(path)} is not a notebook: it is not text") from None
    except OSError as error:
        raise NotebookError(f"{shown(path)} cannot be read: {error.strerror}") from None
    if not text.strip():
        raise NotebookError(f"{shown(path)} is empty; Jupyter keeps older states in .ipynb_checkpoints beside it")
    try:
        return [_notebook_cell(cell) for cell in json.loads(text)["cells"]]
    except (json.JSONDecodeError, RecursionError) as error:
        place = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        conflict = " It holds the marks of a git merge conflict." if "<<<<<<<" in text else ""
        raise NotebookError(f"{shown(path)} is damaged: it is not valid JSON{place}.{conflict}") from None
    except (KeyError, TypeError, AttributeError):
        raise NotebookError(f"{shown(path)} is JSON, but not a notebook") from None


def _notebook_cell(cell: dict) -> Cell:
    source = cell["source"]
    metadata = dict(cell.get("metadata", {}))
    tags = metadata.pop("tags", ())
    text = source if isinstance(source, str) else "".join(source)
    exercise = metadata.pop("exercise", None)
    return Cell(
        str(cell["cell_type"]),
        text,
        tuple(tag for tag in tags if isinstance(tag, str)),
        exercise if isinstance(exercise, str) else None,
        metadata=metadata,
    )


def without_magics(source: str) -> str:
    """Code with Jupyter's % and ! lines blanked out, line numbers kept."""
    lines = source.splitlines()
    if lines and lines[0].startswith("%%"):
        return ""
    return "\n".join(re.sub(r"^(\s*)[%!?].*$", r"\1pass", line) for line in lines)


def shown(path: Path) -> str:
    """A path as a student knows it: from the course's folder where it lies there."""
    try:
        return str(path.resolve().relative_to(paths.ROOT))
    except ValueError:
        return str(path)


def _run_cell(source: str, filename: str, module: ModuleType, name: str) -> None:
    """Run a cell of the student's; whatever goes wrong becomes one CheckFailure."""
    from minillm.course.handle import LocalHandle

    try:
        _execute(without_magics(source), filename, module)
    except SyntaxError as error:
        where = f"line {error.lineno}: {(error.text or '').strip()}"
        raise CheckFailure(
            f"the cell of {name} is not valid Python yet ({error.msg}).\nYour code: {name}, {where}"
        ) from None
    except CheckFailure:
        raise
    except NotImplementedError as error:
        raise NotAttempted(f"{name}: {error}") from None
    except (Exception, SystemExit) as error:
        place = LocalHandle(lambda: None, name).place(error.__traceback__)
        lines = [f"the cell of {name} stopped with {type(error).__name__}: {error}", *([place] if place else [])]
        raise CheckFailure("\n".join(lines)) from None


def _execute(source: str, filename: str, module: ModuleType, line: int = 0) -> None:
    """Run code in a module. ``line``: the lines of the file above it, so that line numbers are those of the file."""
    text = "\n" * line + source
    _remember(filename, text)
    code = compile(text, filename, "exec", dont_inherit=True)
    with _carries(_carrying.get() or "reference"):
        exec(code, vars(module))


def _remember(filename: str, source: str) -> None:
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


@contextmanager
def _carries(which: str):
    """Inside, ``carry`` is silent and gives the reference, or what the student has."""
    token = _carrying.set(which)
    try:
        yield
    finally:
        _carrying.reset(token)
