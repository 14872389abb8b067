"""Loading exercises: from masters, from whatever a student's notebook has become, and carrying them forward."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from toy_lesson import MASTER, install

from minillm.course import build, catalogue, exercises
from minillm.course.catalogue import Lesson
from minillm.course.expect import CheckFailure, NotAttempted

X = torch.ones(2, 3)
SCALE = "def scale(x, factor=2.0):\n    return x * factor"


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    return install(tmp_path, monkeypatch)


@pytest.fixture
def work(lesson: Lesson) -> Callable[..., list[dict]]:
    """Change the cells of the student's notebook: work(scale=source, ...) or work(edit=function of the cells)."""
    cells = build.student_notebook(lesson)["cells"]

    def save(edit: Callable[[list[dict]], list[dict] | None] = lambda cells: None, **sources: str) -> list[dict]:
        nonlocal cells
        for cell in cells:
            name = cell["metadata"].get("exercise")
            if cell["cell_type"] == "code" and name in sources:
                cell["source"] = sources[name]
        cells = edit(cells) or cells
        lesson.work_notebook.write_text(
            json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
        )
        return cells

    save()
    return save


def code(source: str, **metadata: object) -> dict:
    return {
        "cell_type": "code",
        "id": "x",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def failure(name: str) -> str:
    with pytest.raises(CheckFailure) as raised:
        exercises.load(name)
    return str(raised.value)


def test_a_reference_runs_and_knows_its_earlier_exercises(lesson: Lesson) -> None:
    assert exercises.reference("total")(X).tolist() == [6.0, 6.0]
    assert exercises.reference("scale") is exercises.reference("scale")


def test_a_reference_needs_nothing_that_stands_after_it(lesson: Lesson) -> None:
    lesson.master.write_text(MASTER.replace("class Gate(nn.Module):", "1 / 0\nclass Gate(nn.Module):"))
    assert exercises.reference("total")(X).tolist() == [6.0, 6.0]


def test_without_masters_one_sentence(lesson: Lesson) -> None:
    lesson.master.unlink()
    with pytest.raises(LookupError, match="are not part of this copy"):
        exercises.reference("scale")


@pytest.mark.parametrize(
    "change", [lambda s: s, lambda s: s + "\n\n\n", lambda s: s.replace("    raise", "    # todo\n    raise")]
)
def test_an_untouched_blank_is_not_attempted(work, change) -> None:
    source = "".join(next(c["source"] for c in work() if c["id"] == "exercise-scale"))
    work(scale=change(source))
    with pytest.raises(NotAttempted) as raised:
        exercises.load("scale")
    assert raised.value.blank


def test_a_blank_is_known_without_its_metadata(work) -> None:
    def strip(cells):
        for cell in cells:
            cell["metadata"] = {}

    work(strip)
    with pytest.raises(NotAttempted):
        exercises.load("scale")


def test_no_notebook_yet_is_not_attempted(lesson: Lesson) -> None:
    with pytest.raises(NotAttempted, match=r"there is no work/01_toy\.ipynb yet"):
        exercises.load("scale")


def test_a_written_exercise_is_loaded_with_the_reference_before_it(work) -> None:
    work(total="def total(x):\n    return scale(x).sum(-1) + 1")
    assert exercises.load("total")(X).tolist() == [7.0, 7.0]


def test_an_earlier_mistake_is_not_counted_twice(work) -> None:
    work(scale="def scale(x):\n    return x * 5", total="def total(x):\n    return scale(x).sum(-1)")
    assert exercises.load("total")(X).tolist() == [6.0, 6.0]


@pytest.mark.parametrize(
    "edit",
    [
        lambda cells: [c for c in cells if c["metadata"].get("exercise") != "scale"] + [code(SCALE)],
        lambda cells: [*cells, code(SCALE, exercise="scale", tags=["exercise"])],
        lambda cells: [*reversed(cells), code(SCALE)],
        lambda cells: [code(SCALE), *cells],
    ],
    ids=["without metadata", "copied cell", "other order", "above the setup"],
)
def test_a_moved_or_copied_cell_is_found(work, edit) -> None:
    work(edit)
    assert exercises.load("scale")(X).tolist() == (2 * X).tolist()


def test_the_last_of_several_answers_counts(work) -> None:
    later = code("def scale(x, factor=2.0):\n    return x - 1", exercise="scale", tags=["exercise"])
    work(lambda cells: [*cells, later], scale=SCALE)
    assert exercises.load("scale")(X).tolist() == (X - 1).tolist()


def test_helpers_in_other_cells_are_found_and_training_cells_are_not_run(work) -> None:
    helper = "from math import pi\nHALF = 0.5\nprint('training'); 1 / 0\n\ndef by(x, y):\n    return half(x) * y\n"
    more = "%matplotlib inline\ndef half(x):\n    return x * HALF * pi / pi\n!ls\n"
    work(
        lambda cells: [*cells, code(helper), code(more), code("broken = (")],
        scale="def scale(x, factor=2.0):\n    return by(x, 2 * factor)",
    )
    assert exercises.load("scale")(X).tolist() == (2 * X).tolist()


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "def scale(x)\n    return x",
            "is not valid Python yet (expected ':').\nYour code: scale, line 1: def scale(x)",
        ),
        (
            "def scale(x):\n    return x\n\nscale(undefined)",
            "NameError: name 'undefined' is not defined\nYour code: scale, line 4",
        ),
        ("def scale(x):\nreturn x", "is not valid Python yet"),
        ("scale = 3", "defines no function or class scale"),
    ],
)
def test_a_cell_that_does_not_run_is_told_with_its_line(work, source: str, words: str) -> None:
    work(scale=source)
    assert words in failure("scale")


def test_a_deleted_cell_can_be_put_back(work) -> None:
    work(lambda cells: [c for c in cells if c["metadata"].get("exercise") != "scale"])
    assert "there is no cell that defines scale" in failure("scale") and "reset scale" in failure("scale")


def test_a_broken_setup_is_called_the_setup(work) -> None:
    def spoil(cells):
        next(cell for cell in cells if "setup" in cell["metadata"].get("tags", []))["source"] = (
            "import nothing_like_this"
        )

    work(spoil, scale=SCALE)
    assert "the cell of the setup stopped with ModuleNotFoundError" in failure("scale")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"   ", "is empty"),
        (b"{", "is damaged: it is not valid JSON (line 1)"),
        (b"<<<<<<< HEAD\n{}", "marks of a git merge conflict"),
        (b"[1, 2]", "is JSON, but not a notebook"),
        (b'{"cells": [{"source": 3}]}', "is JSON, but not a notebook"),
        (b'{"cells": 3}', "is JSON, but not a notebook"),
        (b"\x89PNG\r\n\xff", "it is not text"),
        (b"[" * 100_000, "is damaged"),
    ],
)
def test_an_unreadable_notebook_is_one_sentence(lesson: Lesson, content: bytes, words: str) -> None:
    lesson.work_notebook.write_bytes(content)
    with pytest.raises(exercises.NotebookError) as raised:
        exercises.load("scale")
    assert words in str(raised.value) and "01_toy.ipynb" in str(raised.value) and "\n" not in str(raised.value)


def test_carry_takes_what_passes_and_says_so(work, capsys: pytest.CaptureFixture[str]) -> None:
    work(scale=SCALE, total="def total(x):\n    return x")
    scale, total, gate = exercises.carry("scale", "total", "Gate")
    assert scale is not exercises.reference("scale") and total is exercises.reference("total")
    assert gate is exercises.reference("Gate")
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "yours: scale" in said
    assert "total (yours: fail)" in said and "Gate (not attempted)" in said


def test_carry_gives_the_reference_to_a_reference_run(work, monkeypatch: pytest.MonkeyPatch) -> None:
    work(scale=SCALE)
    monkeypatch.setenv("MINILLM_SOURCE", "reference")
    assert exercises.carry("scale") is exercises.reference("scale")


def test_carry_survives_a_broken_notebook(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    lesson.work_notebook.write_text("{")
    assert exercises.carry("scale") is exercises.reference("scale")
    assert "yours does not load" in capsys.readouterr().out


def test_a_carried_function_stands_on_the_students_own(work) -> None:
    work(
        scale="def scale(x, factor=2.0):\n    return factor * x + 0", total="def total(x):\n    return scale(x).sum(-1)"
    )
    total = exercises.carry("total")
    assert total.__globals__["scale"] is not exercises.reference("scale")


def test_every_exercise_has_a_reference() -> None:
    for exercise in catalogue.exercises():
        assert callable(exercises.reference(exercise.name))
