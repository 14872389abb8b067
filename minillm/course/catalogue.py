"""The list of lessons and exercises: names, points and order, from tests/exercises/catalogue.toml.

The list belongs to the tests. Notebooks hold none of it, so that nobody's copy can change what counts.
"""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from minillm import paths


@dataclass(frozen=True)
class Exercise:
    """One blank. ``number`` is "2.1": lesson 02, first exercise; ``needs`` names earlier exercises."""

    name: str
    number: str
    points: int
    difficulty: int
    minutes: int
    needs: tuple[str, ...]
    lesson_id: str

    @property
    def label(self) -> str:
        """What the stub says: ``Exercise 2.1: rms_norm``."""
        return f"Exercise {self.number}: {self.name}"


@dataclass(frozen=True)
class Lesson:
    """One lesson. ``id`` is "02", ``name`` is "02_transformer"; its points count where ``graded``."""

    id: str
    name: str
    title: str
    graded: bool
    exercises: tuple[Exercise, ...]

    @property
    def points(self) -> int:
        return sum(exercise.points for exercise in self.exercises)

    @property
    def master(self) -> Path:
        return paths.SOLUTIONS / f"{self.name}.py"

    @property
    def tests(self) -> list[Path]:
        """The files with the properties of its exercises: test_NN_name.py, and test_NN_name_*.py where it is long."""
        return sorted([*paths.EXERCISES.glob(f"test_{self.name}.py"), *paths.EXERCISES.glob(f"test_{self.name}_*.py")])

    @property
    def solution_notebook(self) -> Path:
        return paths.SOLUTIONS / f"{self.name}.ipynb"

    @property
    def student_notebook(self) -> Path:
        """The blank notebook that the repository ships."""
        return paths.LESSONS / f"{self.name}.ipynb"

    @property
    def work_notebook(self) -> Path:
        """The student's own copy."""
        return paths.WORK / f"{self.name}.ipynb"


class UnknownName(KeyError):
    """There is no such lesson or exercise; the message suggests the nearest one."""

    def __str__(self) -> str:
        return self.args[0]


@cache
def lessons() -> tuple[Lesson, ...]:
    """Every lesson in order."""
    return parse((paths.EXERCISES / "catalogue.toml").read_text(encoding="utf-8"))


def parse(text: str) -> tuple[Lesson, ...]:
    """Lessons from the text of a catalogue. ValueError says which entry is wrong."""
    found: list[Lesson] = []
    known: set[str] = set()
    for entry in tomllib.loads(text).get("lesson", []):
        exercises = []
        for position, item in enumerate(entry.get("exercise", []), start=1):
            name = item["name"]
            if name in known:
                raise ValueError(f"the catalogue lists {name!r} twice")
            unknown = [need for need in item["needs"] if need not in known]
            if unknown:
                raise ValueError(f"{name} needs {unknown[0]!r}, which does not come before it in the catalogue")
            if item["points"] < 1 or not 1 <= item["difficulty"] <= 5 or item["minutes"] < 1:
                raise ValueError(f"{name}: points and minutes are 1 or more, difficulty is 1 to 5")
            known.add(name)
            number = f"{int(entry['id'])}.{position}"
            exercises.append(
                Exercise(
                    name, number, item["points"], item["difficulty"], item["minutes"], tuple(item["needs"]), entry["id"]
                )
            )
        found.append(Lesson(entry["id"], entry["name"], entry["title"], entry["graded"], tuple(exercises)))
    return tuple(found)


def exercises() -> tuple[Exercise, ...]:
    """Every exercise of every lesson, in order."""
    return tuple(exercise for lesson in lessons() for exercise in lesson.exercises)


def exercise(name: str) -> Exercise:
    """The exercise called ``name``. UnknownName suggests the nearest one."""
    for candidate in exercises():
        if candidate.name == name:
            return candidate
    raise UnknownName(_unknown("exercise", name, [candidate.name for candidate in exercises()]))


def lesson(key: str) -> Lesson:
    """The lesson with the id or name ``key``: "02", "2" or "02_transformer"."""
    for candidate in lessons():
        if key in (candidate.id, candidate.name, str(int(candidate.id))):
            return candidate
    raise UnknownName(_unknown("lesson", key, [candidate.name for candidate in lessons()]))


def lesson_of(name: str) -> Lesson:
    """The lesson in which the exercise called ``name`` stands."""
    return lesson(exercise(name).lesson_id)


def foundations(name: str) -> set[str]:
    """Names of all exercises that ``name`` stands on: those that it needs, those that they need, and so on."""
    needs = exercise(name).needs
    return set(needs).union(*map(foundations, needs))


def following(name: str) -> Exercise | None:
    """The exercise after ``name``, or None after the last."""
    everything = exercises()
    position = everything.index(exercise(name)) + 1
    return everything[position] if position < len(everything) else None


def _unknown(kind: str, name: str, names: list[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else f" There are: {', '.join(names)}."
    return f"there is no {kind} {name!r}.{hint}"
