"""The student's copies of the lessons: made once, never overwritten, backed up before anything changes them.

work/03_pretraining.ipynb               the student's copy
work/backups/                           what was there before a reset or an update
work/.minillm/handed_out/               each lesson as it was when the copy was made
work/.minillm/*.json                    small things to remember, such as the hints that were asked for
"""

import hashlib
import json
import time
from pathlib import Path
from typing import Any

from minillm import paths
from minillm.course import notebooks
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError
from minillm.course.notebooks import Notebook
from minillm.files import atomic_write


def hand_out(lesson: Lesson) -> str | None:
    """Copy the shipped lesson into work/ unless a copy is there. Returns a sentence about it, or None."""
    if lesson.work_notebook.exists():
        return None
    shipped = lesson.student_notebook.read_bytes()
    atomic_write(lesson.work_notebook, shipped)
    if not edited(lesson):
        atomic_write(handed_out(lesson), shipped)
    return f"{shown(lesson.work_notebook)} is your copy of lesson {lesson.id}"


def rescue(lesson: Lesson) -> str | None:
    """If somebody wrote into lessons/ itself, bring that into work/ too. Returns a sentence about it, or None."""
    if not edited(lesson):
        return None
    content = lesson.student_notebook.read_bytes()
    digest, seen = hashlib.sha256(content).hexdigest(), remembered("rescued")
    if seen.get(lesson.name) == digest:
        return None
    target = lesson.work_notebook
    if target.exists():
        target = _free(target.with_name(f"{lesson.name} (from lessons).ipynb"))
    atomic_write(target, content)
    remember("rescued", {**seen, lesson.name: digest})
    return (
        f"You wrote in {shown(lesson.student_notebook)}, which the next update of the course replaces. "
        f"What you wrote is now in {shown(target)}: work there from now on. "
        f"`git checkout -- {shown(lesson.student_notebook)}` puts the original back."
    )


def edited(lesson: Lesson) -> bool:
    """Has somebody written answers into the shipped notebook in lessons/ itself?"""
    from minillm.course.exercises import fingerprint

    try:
        cells = notebooks.exercise_cells(notebooks.read(lesson.student_notebook)).values()
    except UserError:
        return True
    stubs = [(cell["metadata"].get("stub"), notebooks.source(cell)) for cell in cells]
    return any(stub is not None and fingerprint(text) != stub for stub, text in stubs)


def update_is_there(lesson: Lesson) -> bool:
    """Has the shipped lesson changed since the student's copy was made?"""
    before = handed_out(lesson)
    if not (before.exists() and lesson.student_notebook.exists() and lesson.work_notebook.exists()):
        return False
    return not edited(lesson) and content(notebooks.read(before)) != content(notebooks.read(lesson.student_notebook))


def content(notebook: Notebook) -> list[tuple[str, str]]:
    """What a reader would notice: kinds and texts of the cells, without outputs and embedded pictures."""
    return [(cell["cell_type"], notebooks.source(cell)) for cell in notebook["cells"]]


def handed_out(lesson: Lesson) -> Path:
    return paths.WORK / ".minillm" / "handed_out" / f"{lesson.name}.ipynb"


def working_copy(lesson: Lesson) -> Notebook:
    """The student's notebook. UserError where there is none yet or where it cannot be read."""
    if not lesson.work_notebook.exists():
        raise UserError(f"You have no copy of lesson {lesson.id} yet: `python -m minillm learn` makes it.")
    return notebooks.read(lesson.work_notebook)


def shipped(lesson: Lesson) -> Notebook:
    """The lesson as the course ships it. UserError where it is not there."""
    if not lesson.student_notebook.exists():
        raise UserError(f"Lesson {lesson.id} is not there yet: {shown(lesson.student_notebook)} does not exist.")
    return notebooks.read(lesson.student_notebook)


def back_up(path: Path, why: str) -> Path:
    """Keep a copy of ``path`` in work/backups/, its name telling why and when. Returns the backup's path."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S")
    target = _free(paths.WORK / "backups" / f"{path.stem}-before-{why}-{stamp}{path.suffix}")
    return atomic_write(target, path.read_bytes())


def remembered(name: str) -> dict[str, Any]:
    """What `remember` kept under ``name``; {} where there is nothing, or nothing readable."""
    try:
        kept = json.loads((paths.WORK / ".minillm" / f"{name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def remember(name: str, values: dict[str, Any]) -> None:
    atomic_write(paths.WORK / ".minillm" / f"{name}.json", json.dumps(values, indent=1, sort_keys=True) + "\n")


def shown(path: Path) -> str:
    """A path as people write it: from the course's folder, with forward slashes."""
    try:
        return path.resolve().relative_to(paths.ROOT).as_posix()
    except ValueError:
        return str(path)


def _free(path: Path) -> Path:
    """``path``, or the first of "name 2", "name 3", ... that is not taken."""
    number, free = 2, path
    while free.exists():
        free, number = path.with_name(f"{path.stem} {number}{path.suffix}"), number + 1
    return free
