"""Building notebooks: the same bytes every time, no solution in a blank, outputs kept and cleaned."""

import json
from pathlib import Path

import nbformat
import pytest
from toy_lesson import MASTER, install

from minillm.course import build
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    return install(tmp_path, monkeypatch)


def source(cell: dict) -> str:
    return "".join(cell["source"])


def with_output(notebook: dict, text: str, output: dict) -> dict:
    """Give one output to the cell that holds ``text``."""
    next(cell for cell in notebook["cells"] if text in source(cell))["outputs"] = [output]
    return notebook


def test_both_notebooks_are_valid_and_the_same_every_time(lesson: Lesson) -> None:
    for make in (build.solution_notebook, build.student_notebook):
        text = build.dumps(make(lesson))
        nbformat.validate(nbformat.reads(text, as_version=4))
        assert text == build.dumps(make(lesson))
        assert json.loads(text)["metadata"]["kernelspec"]["name"] == "python3"


def test_a_student_notebook_has_blanks_and_no_solutions(lesson: Lesson) -> None:
    cells = build.student_notebook(lesson)["cells"]
    everything = "\n".join(map(source, cells))
    assert 'raise NotImplementedError("Exercise 1.2: total")' in everything
    assert "scaled.sum" not in everything and "only in the solution" not in everything
    blank = next(cell for cell in cells if cell["metadata"].get("exercise") == "total" and cell["cell_type"] == "code")
    assert blank["id"] == "exercise-total" and len(blank["metadata"]["stub"]) == 16


def test_cell_ids_stay_when_a_cell_is_inserted(lesson: Lesson) -> None:
    before = [cell["id"] for cell in build.student_notebook(lesson)["cells"]]
    lesson.master.write_text(
        MASTER.replace("# %% [markdown]\n# {exercise total}", "# %%\n1 + 1\n\n# %% [markdown]\n# {exercise total}")
    )
    after = [cell["id"] for cell in build.student_notebook(lesson)["cells"]]
    assert len(after) == len(before) + 1 and [each for each in after if each in before] == before


def test_a_target_is_embedded_after_its_cell_and_folded(lesson: Lesson) -> None:
    output = {"output_type": "display_data", "data": {"image/png": PICTURE}, "metadata": {}}
    solution = with_output(build.solution_notebook(lesson), "scaled:", output)
    student = build.student_notebook(lesson, solution)
    nbformat.validate(nbformat.reads(build.dumps(student), as_version=4))
    position = next(i for i, cell in enumerate(student["cells"]) if "target" in cell["metadata"].get("tags", []))
    target = student["cells"][position + 1]
    assert target["attachments"]["target-1.png"]["image/png"] == PICTURE
    assert source(target).startswith("<details>") and "attachment:target-1.png" in source(target)


def test_what_a_target_prints_stands_in_for_a_picture(lesson: Lesson) -> None:
    output = {"output_type": "stream", "name": "stdout", "text": ["scaled: [2.0, 2.0]\n"]}
    student = build.student_notebook(lesson, with_output(build.solution_notebook(lesson), "scaled:", output))
    assert any("```text\nscaled: [2.0, 2.0]\n```" in source(cell) for cell in student["cells"])


def test_build_writes_once_and_check_agrees(lesson: Lesson, capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 1 and "01_toy.ipynb is not what its master gives" in capsys.readouterr().out
    assert build.build(lesson) == [lesson.solution_notebook, lesson.student_notebook]
    assert build.build(lesson) == [] and build.main(["--check"]) == 0


def test_a_changed_master_or_lesson_is_noticed_but_not_a_new_output(lesson: Lesson) -> None:
    build.build(lesson)
    solution = json.loads(lesson.solution_notebook.read_text())
    output = {"output_type": "stream", "name": "stdout", "text": ["other\n"]}
    lesson.solution_notebook.write_text(json.dumps(with_output(solution, "only in", output)))
    assert build.stale(lesson) == []
    lesson.student_notebook.write_text(lesson.student_notebook.read_text() + " ")
    assert build.stale(lesson) == [lesson.student_notebook]
    lesson.master.write_text(MASTER.replace("Think of times", "Think hard"))
    assert build.stale(lesson) == [lesson.solution_notebook, lesson.student_notebook]


def test_outputs_stay_with_cells_that_have_not_changed(lesson: Lesson) -> None:
    build.build(lesson)
    output = {"output_type": "stream", "name": "stdout", "text": ["kept\n"]}
    solution = with_output(json.loads(lesson.solution_notebook.read_text()), "only in", output)
    lesson.solution_notebook.write_text(build.dumps(with_output(solution, "scaled:", output)))
    lesson.master.write_text(MASTER.replace('"scaled:"', '"changed:"'))
    build.build(lesson)
    cells = json.loads(lesson.solution_notebook.read_text())["cells"]
    assert next(cell for cell in cells if "only in" in source(cell))["outputs"] == [output]
    assert next(cell for cell in cells if "changed:" in source(cell))["outputs"] == []


def test_executing_keeps_what_the_cells_show(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson.master.write_text("\n".join(line for line in MASTER.splitlines() if "check" not in line or "if" in line))
    monkeypatch.setattr(build.masters, "problems", lambda cells, lesson: [])
    build.build(lesson, execute=True)
    solution, student = (path.read_text() for path in (lesson.solution_notebook, lesson.student_notebook))
    assert "scaled: [2.0, 2.0]" in solution and "scaled: [2.0, 2.0]" in student and "iopub" not in solution


def test_a_failing_cell_stops_the_build_and_leaves_the_files(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    build.build(lesson)
    before = lesson.solution_notebook.read_bytes()
    lesson.master.write_text(MASTER.replace("from minillm.course import check", "check = 1 / 0"))
    with pytest.raises(UserError, match="ZeroDivisionError"):
        build.build(lesson, execute=True)
    assert lesson.solution_notebook.read_bytes() == before


def test_outputs_lose_what_belongs_to_one_machine(lesson: Lesson) -> None:
    here = str(build.paths.ROOT)
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": "  0%|   |\r 50%|#  |\r100%|###| done\n"},
        {"output_type": "stream", "name": "stdout", "text": f"wrote {here}/data/x at 0x7f00deadbeef\n"},
        {"output_type": "display_data", "data": {build._WIDGET: {}, "text/plain": "bar"}, "metadata": {}},
        {"output_type": "execute_result", "data": {"text/plain": f"{here}/x"}, "metadata": {}, "execution_count": 3},
    ]
    bar, wrote, result = build.scrubbed(outputs)
    assert bar["text"] == ["100%|###| done\n"]
    assert wrote["text"] == ["wrote ./data/x at ...\n"]
    assert result["data"]["text/plain"] == ["./x"]


def test_a_lesson_without_a_master_is_one_sentence(lesson: Lesson) -> None:
    lesson.master.unlink()
    with pytest.raises(UserError, match=r"There is no master 01_toy\.py"):
        build.main(["01"])


def test_every_notebook_in_the_repository_is_what_its_master_gives() -> None:
    from minillm.course import catalogue

    stale = [path.name for lesson in catalogue.lessons() if lesson.master.is_file() for path in build.stale(lesson)]
    assert stale == [], "run: python -m minillm build"
