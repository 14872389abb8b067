"""A toy course in a temporary folder: two lessons, three exercises, everything that the desk works on."""

import json
from pathlib import Path

import pytest

from minillm import paths
from minillm.course import catalogue, job
from minillm.course.masters import stub

CATALOGUE = """
[[lesson]]
id = "01"
name = "01_toy"
title = "A toy"
graded = true
[[lesson.exercise]]
name = "double"
points = 2
difficulty = 1
minutes = 1
needs = []
[[lesson.exercise]]
name = "halve"
points = 3
difficulty = 1
minutes = 1
needs = []
[[lesson]]
id = "02"
name = "02_second"
title = "The second"
graded = true
[[lesson.exercise]]
name = "triple"
points = 1
difficulty = 1
minutes = 1
needs = []
"""
FACTORS = {"double": 2, "halve": 0.5, "triple": 3}
HINTS = """<details><summary>Hint 1: where to start</summary>

Think of {0}.

<details><summary>Hint 2: the last step</summary>

Multiply by {0}.

</details></details>"""


class Toy:
    """The toy course: where it is, and its notebooks as a student or a maintainer would change them."""

    def __init__(self, root: Path):
        self.root = root

    def cells(self, lesson: catalogue.Lesson) -> list[dict]:
        cells = [text(f"# {lesson.title}", "intro"), code("import math", "setup", tags=["setup"])]
        for exercise in lesson.exercises:
            cells.append(text(f"About {exercise.name}.", f"why-{exercise.name}"))
            cells.append(blank(exercise))
            hints = text(HINTS.format(FACTORS[exercise.name]), f"hints-{exercise.name}")
            hints["metadata"] = {"tags": ["hints"], "exercise": exercise.name}
            cells.append(hints)
        return cells

    def write(self, path: Path, cells: list[dict]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook(cells), indent=1) + "\n", encoding="utf-8")

    def lesson(self, name: str = "01_toy") -> catalogue.Lesson:
        return catalogue.lesson(name)

    def answer(self, exercise: str, body: str | None = None, path: Path | None = None) -> None:
        """Write an answer into the student's copy (or into another notebook), as somebody at the keyboard does."""
        path = path or catalogue.lesson_of(exercise).work_notebook
        book = json.loads(path.read_text(encoding="utf-8"))
        cell = next(each for each in book["cells"] if each["id"] == f"exercise-{exercise}")
        cell["source"] = f"def {exercise}(x):\n    {body or f'return x * {FACTORS[exercise]}'}\n"
        path.write_text(json.dumps(book), encoding="utf-8")


def text(source: str, name: str) -> dict:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}


def code(source: str, name: str, **metadata: object) -> dict:
    cell = {"cell_type": "code", "id": name, "metadata": metadata, "source": source}
    return {**cell, "outputs": [], "execution_count": None}


def worked(exercise: catalogue.Exercise) -> str:
    body = f"    # BEGIN SOLUTION\n    factor = {FACTORS[exercise.name]}\n    return x * factor\n    # END SOLUTION"
    return f'def {exercise.name}(x):\n    """x times {FACTORS[exercise.name]}."""\n{body}'


def blank(exercise: catalogue.Exercise) -> dict:
    from minillm.course.exercises import fingerprint

    source = stub(worked(exercise), exercise)
    name = exercise.name
    return code(source, f"exercise-{name}", tags=["exercise"], exercise=name, stub=fingerprint(source))


def notebook(cells: list[dict]) -> dict:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Point every path of the course to a toy course in ``tmp_path``."""
    places = {"ROOT": ".", "DATA": "data", "CHECKPOINTS": "data/checkpoints", "LESSONS": "lessons"}
    places |= {
        "SOLUTIONS": "solutions",
        "TESTS": "tests",
        "EXERCISES": "tests/exercises",
        "WORK": "work",
        "RUNS": "runs",
    }
    for name, place in places.items():
        monkeypatch.setattr(paths, name, tmp_path / place)
    (tmp_path / "tests" / "exercises").mkdir(parents=True)
    (tmp_path / "tests" / "exercises" / "catalogue.toml").write_text(CATALOGUE, encoding="utf-8")
    _forget()
    toy = Toy(tmp_path)
    for lesson in catalogue.lessons():
        toy.write(lesson.student_notebook, toy.cells(lesson))
        (tmp_path / "solutions").mkdir(exist_ok=True)
        master = ["# %% [markdown]\n# " + lesson.title, '# %% tags=["setup"]\nimport math']
        tests = ["from minillm.course.expect import expect_equal", "from minillm.course.testing import exercise"]
        for each in lesson.exercises:
            master.append(f'# %% tags=["exercise"] exercise="{each.name}"\n{worked(each)}')
            head = f'\n\n@exercise("{each.name}", "a number")\ndef test_{each.name}(handle, seed):'
            tests.append(f'{head}\n    expect_equal(handle(4), {4 * FACTORS[each.name]}, "result")')
        lesson.master.write_text("\n\n".join(master) + "\n", encoding="utf-8")
        (paths.EXERCISES / f"test_{lesson.name}.py").write_text("\n".join(tests) + "\n", encoding="utf-8")
    yield toy
    _forget()


def _forget() -> None:
    catalogue.lessons.cache_clear()
    job.library.cache_clear()
    job._data.cache_clear()
