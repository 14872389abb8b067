"""``python -m minillm progress``: what is solved, what fails, what is still a blank.

Each exercise of the student's notebooks goes through its tests, the same ones as everywhere. What they said is
remembered for as long as the notebook, the tests and the library stay as they are, so asking again costs nothing.
"""

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from minillm.course import catalogue, copies, job, notebooks
from minillm.course.catalogue import Exercise, Lesson
from minillm.course.check import check_notebook
from minillm.course.names import UserError, lesson_named

PASS, NOT_ATTEMPTED, NO_COPY = "pass", "not attempted", "no copy yet"
_WORDS = {"pass": "passes", "fail": "fails", "error": "test error"}


@dataclass(frozen=True)
class Standing:
    """Where one exercise is. status: as the tests say ("pass", "fail", "not attempted", "error"), or "no copy yet".

    failed: the property that does not hold, in words.
    """

    exercise: Exercise
    status: str
    failed: str = ""

    @property
    def points(self) -> int:
        return self.exercise.points if self.status == PASS else 0

    @property
    def words(self) -> str:
        return _WORDS.get(self.status, self.status)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minillm progress", description="What you have solved so far, lesson by lesson."
    )
    parser.add_argument("lesson", nargs="*", metavar="NN", help="only these lessons, exercise by exercise")
    options = parser.parse_args(argv)
    chosen = [lesson_named(text) for text in options.lesson]
    there = [lesson for lesson in catalogue.lessons() if lesson.student_notebook.exists()]
    got = total = 0
    for lesson in chosen or there:
        try:
            found = standings(lesson)
        except UserError as problem:
            print(f"{lesson.id} {lesson.title}: {problem}\n")
            continue
        print("\n".join(lines(lesson, found)) + "\n")
        if lesson.graded:
            got, total = got + sum(each.points for each in found), total + lesson.points
    if not chosen:
        print(f"{got} of {total} points. Lesson 00 is a warm-up and counts for nothing.")
    return 0


def lines(lesson: Lesson, found: list[Standing]) -> list[str]:
    """What the terminal shows of one lesson."""
    solved = sum(each.status == PASS for each in found)
    bar = "#" * solved + "." * (len(found) - solved)
    points = f"{sum(each.points for each in found)}/{lesson.points} points" if lesson.graded else "no points"
    shown = [f"{lesson.id} {lesson.title:<18} [{bar}]  {solved}/{len(found)} exercises, {points}"]
    if all(each.status == NO_COPY for each in found):
        return [*shown, f"   no copy yet: python -m minillm learn --lesson {lesson.id}"]
    for each in found:
        reason = f"  at: {each.failed}" if each.failed else ""
        shown.append(f"   {each.exercise.number:<5}{each.exercise.name:<24}{each.words}{reason}")
    return shown


def finished(lesson: Lesson) -> bool:
    """Do all exercises of the lesson pass? Blanks are told without running anything."""
    if not lesson.work_notebook.exists():
        return False
    before = copies.handed_out(lesson)
    if before.exists() and before.read_bytes() == lesson.work_notebook.read_bytes():
        return False
    try:
        return all(each.status == PASS for each in standings(lesson))
    except UserError:
        return False


def standings(lesson: Lesson) -> list[Standing]:
    """Where each exercise of a lesson is. UserError where the student's notebook cannot be read."""
    if not lesson.work_notebook.exists():
        return [Standing(exercise, NO_COPY) for exercise in lesson.exercises]
    key, known = _key(lesson), copies.remembered("standings")
    kept = known.get(lesson.name, {})
    if kept.get("key") != key:
        found = {each.exercise: [each.status, each.failed] for each in check_notebook(lesson.work_notebook)}
        kept = {"key": key, "found": found}
        copies.remember("standings", {**known, lesson.name: kept})
    return [Standing(exercise, *kept["found"][exercise.name]) for exercise in lesson.exercises]


def _key(lesson: Lesson) -> str:
    """A hash of what the verdicts depend on."""
    parts = [notebooks.code_of(notebooks.read(lesson.work_notebook)), job.library()]
    parts += [*(tests.read_text(encoding="utf-8") for tests in lesson.tests), repr(lesson)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
