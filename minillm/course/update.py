"""``python -m minillm update NN``: a new version of a lesson, with the student's answers in it.

The new lesson is taken as it is shipped. Into it go the student's exercise cells (found by name, wherever they
stand) and the cells that the student added. The notebook as it was is kept in work/backups/. Changes that
the student made to other cells of the course stay only there.
"""

import argparse
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

from minillm.course import catalogue, copies, notebooks
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError, lesson_named
from minillm.course.notebooks import Cell, Notebook
from minillm.course.reset import place_of
from minillm.files import atomic_write


@dataclass(frozen=True)
class Merge:
    """A merged notebook, and what went into it: names of exercises, and how many cells were the student's own."""

    notebook: Notebook
    answers: list[str]
    added: int


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minillm update",
        description="Bring the new version of a lesson into your copy. Your answers and the cells that you added move "
        "with you; your notebook as it was is kept in work/backups/.",
    )
    parser.add_argument("lesson", nargs="*", metavar="NN", help="which lessons (default: all that have changed)")
    options = parser.parse_args(argv)
    lessons = [lesson_named(text) for text in options.lesson]
    lessons = lessons or [lesson for lesson in catalogue.lessons() if copies.update_is_there(lesson)]
    if not lessons:
        print("Your copies are up to date.")
    for lesson in lessons:
        update(lesson)
    return 0


def update(lesson: Lesson) -> Path | None:
    """Update one lesson and say what was done. Returns the backup, or None where nothing had changed."""
    mine, fresh = copies.working_copy(lesson), copies.shipped(lesson)
    if copies.edited(lesson):
        edited = copies.shown(lesson.student_notebook)
        raise UserError(f"{edited} itself has been edited; `python -m minillm learn` brings that into work/ first.")
    before = copies.handed_out(lesson)
    base = notebooks.read(before) if before.exists() else None
    if base is not None and copies.content(base) == copies.content(fresh):
        print(f"Your copy of lesson {lesson.id} is up to date.")
        return None
    merged = merge(mine, fresh, base, answers_in(lesson))
    backup = copies.back_up(lesson.work_notebook, "update")
    notebooks.write(lesson.work_notebook, merged.notebook)
    atomic_write(before, lesson.student_notebook.read_bytes())
    moved = ", ".join(merged.answers) or "none yet"
    cells = f", and {merged.added} cell{'s' if merged.added != 1 else ''} that you added" if merged.added else ""
    print(f"{copies.shown(lesson.work_notebook)} is now the new version of lesson {lesson.id}.")
    print(f"Your answers moved with you: {moved}{cells}.")
    print(f"As it was before: {copies.shown(backup)}")
    print("If the notebook is open in Jupyter, reload it there: File > Reload Notebook from Disk.")
    return backup


def answers_in(lesson: Lesson) -> dict[str, str]:
    """Exercise name -> what the student wrote, for every exercise of the lesson that is no longer a blank."""
    from minillm.course.exercises import find, read_notebook
    from minillm.course.expect import CheckFailure

    cells, answers = read_notebook(lesson.work_notebook), {}
    for exercise in lesson.exercises:
        try:
            found = find(cells, exercise)
        except CheckFailure:  # the cell was deleted
            continue
        if not found.blank:
            answers[exercise.name] = found.source
    return answers


def merge(mine: Notebook, fresh: Notebook, base: Notebook | None, answers: dict[str, str]) -> Merge:
    """The notebook ``fresh`` with the ``answers`` and added cells of ``mine``; ``base`` is what mine started from."""
    merged = deepcopy(fresh)
    slots, written = notebooks.exercise_cells(merged), notebooks.exercise_cells(mine)
    for name in answers.keys() & slots.keys():
        notebooks.set_source(slots[name], answers[name])
    gone = [written[name] for name in written if name in answers and name not in slots]
    added = gone + _added(mine, fresh, base)
    for cell in added:
        merged["cells"].insert(place_of(cell, mine, merged), deepcopy(cell))
    return Merge(merged, [name for name in answers if name in slots], len(added))


def _added(mine: Notebook, fresh: Notebook, base: Notebook | None) -> list[Cell]:
    """Cells that were never part of the lesson. Without the version that the copy was made from: none can be told."""
    if base is None:
        return []
    known = {cell.get("id") for cell in (*base["cells"], *fresh["cells"])}
    texts = {notebooks.source(cell).strip() for cell in (*base["cells"], *fresh["cells"])} | {""}
    return [
        cell
        for cell in mine["cells"]
        if cell.get("id") not in known
        and notebooks.source(cell).strip() not in texts
        and "exercise" not in notebooks.tags(cell)
    ]
