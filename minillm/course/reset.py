"""``python -m minillm reset EXERCISE`` or ``LESSON``: the blank comes back, what was there goes into a backup."""

import argparse
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

from minillm.course import copies, notebooks
from minillm.course.catalogue import Exercise, Lesson, lesson_of
from minillm.course.names import UserError, named
from minillm.course.notebooks import Cell, Notebook


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minillm reset",
        description="Put a blank back into your copy, or start a whole lesson anew. "
        "The notebook as it was is kept in work/backups/.",
    )
    parser.add_argument("what", metavar="EXERCISE|LESSON", help="such as rms_norm, 2.1 or 02")
    what = named(parser.parse_args(argv).what)
    lesson = what if isinstance(what, Lesson) else lesson_of(what.name)
    backup = reset_lesson(lesson) if isinstance(what, Lesson) else reset_exercise(what)
    if backup is None:
        print(f"{what.name} is as it was handed out; there was nothing to do.")
        return 0
    print(f"{what.name} in {copies.shown(lesson.work_notebook)} is a blank again.")
    print(f"As it was before: {copies.shown(backup)}")
    print("If the notebook is open in Jupyter, reload it there: File > Reload Notebook from Disk.")
    return 0


def reset_exercise(exercise: Exercise) -> Path | None:
    """Put the blank of one exercise back. Returns the backup, or None where the cell was a blank already.

    A cell that was deleted comes back in its place; copies of the cell that define the exercise a second time stay.
    """
    lesson = lesson_of(exercise.name)
    mine, fresh = copies.working_copy(lesson), copies.shipped(lesson)
    blank = notebooks.exercise_cells(fresh).get(exercise.name)
    if blank is None:
        raise UserError(f"{copies.shown(lesson.student_notebook)} has no cell for {exercise.name}.")
    present = notebooks.exercise_cells(mine).get(exercise.name)
    if present is not None and notebooks.source(present) == notebooks.source(blank):
        return None
    backup = copies.back_up(lesson.work_notebook, f"reset-{exercise.name}")
    if present is None:
        mine["cells"].insert(place_of(blank, fresh, mine), deepcopy(blank))
    else:
        notebooks.set_source(present, notebooks.source(blank))
        present["metadata"] = deepcopy(blank["metadata"])
    notebooks.write(lesson.work_notebook, mine)
    return backup


def reset_lesson(lesson: Lesson) -> Path | None:
    """Start a lesson anew. Returns the backup, or None where there was no copy. An unreadable copy is kept too."""
    fresh = lesson.student_notebook
    copies.shipped(lesson)
    before = lesson.work_notebook
    if before.exists() and before.read_bytes() == fresh.read_bytes():
        return None
    backup = copies.back_up(before, "reset") if before.exists() else None
    before.unlink(missing_ok=True)
    copies.hand_out(lesson)
    return backup


def place_of(cell: Cell, of: Notebook, into: Notebook) -> int:
    """Where ``cell`` of one notebook belongs in another: after the nearest cell before it that both have."""
    here = {_identity(each): position for position, each in enumerate(into["cells"])}
    for before in reversed(of["cells"][: of["cells"].index(cell)]):
        if _identity(before) in here:
            return here[_identity(before)] + 1
    return 0


def _identity(cell: Cell) -> str:
    """What stays the same when a cell is edited: its id, or, where it has none, its text."""
    return cell.get("id") or notebooks.source(cell)
