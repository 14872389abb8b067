"""check(): what a student sees in the notebook, in the terminal and from pytest, for right work and for slips."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from toy_lesson import CATALOGUE, install

import minillm
from minillm.course import build, catalogue, check, exercises
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError
from minillm.course.testing import ERROR, FAIL, NOT_ATTEMPTED, run_exercise

checks = sys.modules["minillm.course.check"]
RIGHT = {
    "scale": "def scale(x, factor=2.0):\n    return x * factor",
    "total": "def total(x):\n    return scale(x).sum(-1)",
}


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    lesson = install(tmp_path, monkeypatch)
    monkeypatch.setattr(checks, "_runs", [])
    build.build(lesson)
    return lesson


class Notebook:
    """A stand-in for a live notebook: run cells, save the file, check, and read what is shown."""

    def __init__(self, lesson: Lesson, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self.namespace = {"check": check, "__name__": "__main__"}
        self.path, self.capsys = lesson.work_notebook, capsys
        self.content = json.loads(lesson.student_notebook.read_text())
        self.save()
        monkeypatch.setenv("JPY_SESSION_NAME", str(self.path))
        self.run("import torch\nfrom torch import nn")

    def run(self, source: str) -> None:
        early = late = None
        filename = f"/tmp/ipykernel_1/{abs(hash(source))}.py"
        exercises._remember(filename, source)
        try:
            code = compile(source, filename, "exec")
            try:
                exec(code, self.namespace)
            except Exception as error:
                late = error
        except SyntaxError as error:
            early = error
        info = SimpleNamespace(raw_cell=source)
        checks._note(SimpleNamespace(info=info, error_before_exec=early, error_in_exec=late))

    def save(self, **sources: str) -> None:
        for cell in self.content["cells"]:
            if cell["cell_type"] == "code" and cell["metadata"].get("exercise") in sources:
                cell["source"] = sources[cell["metadata"]["exercise"]]
        self.path.write_text(json.dumps(self.content))

    def check(self, *names: str) -> str:
        self.capsys.readouterr()
        exec(f"check{names!r}", self.namespace)
        return self.capsys.readouterr().out.rstrip("\n")


@pytest.fixture
def notebook(lesson: Lesson, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Notebook:
    return Notebook(lesson, monkeypatch, capsys)


def test_right_work_gets_its_points_and_the_next_name(notebook: Notebook) -> None:
    notebook.run(RIGHT["scale"])
    first, second = notebook.check("scale").splitlines()
    assert first.startswith("scale   2/2   3 properties hold   (0.") and second == "  Next: 1.2 total."


def test_wrong_work_is_told_where_and_why(notebook: Notebook) -> None:
    notebook.run("def scale(x, factor=2.0):\n    print('look:', factor)\n    return x + factor")
    said = notebook.check("scale").splitlines()
    assert said[0] == "scale   0/2   fails at: values" and said[1].startswith("  scaled[0, 0]: expected")
    assert "the factor is added instead of multiplied. See trap 1." in said[2]
    assert said[3:] == ["  Your code printed:", "    look: 2.0"]


def test_a_name_that_is_not_there_yet(notebook: Notebook) -> None:
    assert "there is no scale yet. Run the cell of exercise 1.1 first" in notebook.check("scale")


def test_a_blank_is_not_attempted(notebook: Notebook, lesson: Lesson) -> None:
    for cell in notebook.content["cells"]:
        if cell["id"] == "exercise-scale":
            notebook.run("".join(cell["source"]))
    assert notebook.check("scale").startswith("scale   0/2   not attempted: write it where")


def test_an_unfinished_cell_says_which_line_is_left(notebook: Notebook) -> None:
    notebook.run('def scale(x, factor=2.0):\n    y = x\n    raise NotImplementedError("Exercise 1.1: scale")')
    assert "not finished: `raise NotImplementedError` is still reached" in notebook.check("scale")


def test_an_edited_cell_is_to_be_run_first(notebook: Notebook) -> None:
    notebook.run(RIGHT["scale"])
    notebook.save(scale=RIGHT["scale"])
    assert "2/2" in notebook.check("scale")
    time.sleep(0.02)
    notebook.save(scale=RIGHT["scale"] + " + 1")
    assert notebook.check("scale").endswith("the cell has changed since it was last run. Run it, then check again.")
    notebook.run(RIGHT["scale"] + " + 1")
    assert "off by the same amount" in notebook.check("scale")


def test_work_that_is_not_saved_yet_is_checked_as_it_was_run(notebook: Notebook) -> None:
    notebook.save(scale="def scale(x): half written")
    time.sleep(0.02)
    notebook.run(RIGHT["scale"])
    assert "2/2" in notebook.check("scale")


def test_a_cell_that_stopped_leaves_the_older_function(notebook: Notebook) -> None:
    notebook.run("def scale(x)\n    return x")
    assert "its cell is not valid Python yet (line 1: expected ':'). Correct that" in notebook.check("scale")
    notebook.run(RIGHT["scale"])
    notebook.run("1 / 0\n" + RIGHT["scale"])
    said = notebook.check("scale")
    assert "its cell stopped with ZeroDivisionError (division by zero), so scale is still the one from before" in said


def test_a_name_that_holds_something_else(notebook: Notebook) -> None:
    notebook.run("scale = 3.0")
    assert "scale is of type float" in notebook.check("scale")


def test_a_right_answer_on_a_wrong_one_keeps_its_points(notebook: Notebook) -> None:
    notebook.run("def scale(x, factor=2.0):\n    return x + factor")
    wrong = notebook.namespace["scale"]
    notebook.run(RIGHT["total"])
    said = notebook.check("total")
    assert said.startswith("total   3/3") and "scale is not right yet" in said
    assert notebook.namespace["scale"] is wrong


def test_the_one_at_fault_is_named_and_not_one_that_stands_on_it(
    notebook: Notebook, lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = '\n[[lesson.exercise]]\nname = "mean"\npoints = 1\ndifficulty = 1\nminutes = 1\nneeds = ["total"]\n'
    monkeypatch.setattr(catalogue, "lessons", lambda: catalogue.parse(CATALOGUE + third))
    right = "def mean(x):\n    return total(x) / x.shape[-1]"
    master = lesson.master.read_text()
    lesson.master.write_text(f'{master}\n# %% tags=["exercise"] exercise="mean"\n{right}\n')
    values = "expect_close(handle(data(seed)), 2 * data(seed).mean(-1), 'mean')"
    test = lesson.tests[0]
    test.write_text(f"{test.read_text()}\n\n@exercise('mean', 'values')\ndef test_mean(handle, seed):\n    {values}\n")
    notebook.run("def scale(x, factor=2.0):\n    return x + factor")
    notebook.run(RIGHT["total"])
    notebook.run(right)
    said = notebook.check("mean")
    assert said.startswith("mean   1/1") and "  scale is not right yet; this one is" in said


def test_a_misspelt_or_missing_name(notebook: Notebook) -> None:
    assert "Did you mean 'scale'?" in notebook.check("scael")
    assert "Say which exercise" in notebook.check()


def test_stopping_a_loop_by_hand(notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook.run("def scale(x, factor=2.0):\n    raise KeyboardInterrupt")
    said = notebook.check("scale")
    assert "scale   stopped after 0 s" in said and "Your code: scale, line 2:  raise KeyboardInterrupt" in said


@pytest.mark.skipif(not hasattr(__import__("signal"), "SIGALRM"), reason="no alarms on this platform")
def test_a_loop_that_never_ends_is_stopped(lesson: Lesson) -> None:
    space: dict = {}
    exec("def scale(x, factor=2.0):\n    while True:\n        pass", space)
    result = run_exercise("scale", space["scale"], limit=0.3)
    assert result.status == FAIL and "still running after 0.3 seconds" in result.message


def test_a_result_of_an_odd_form_is_the_students_failure_and_a_broken_test_is_not(lesson: Lesson) -> None:
    test = checks.__dict__.get("nothing") or lesson.tests[0]
    text = test.read_text()
    odd = "\n@exercise('total', 'form')\ndef test_form(handle, seed):\n    handle(data(seed)).tolist().index\n"
    test.write_text(text + odd)
    assert "returned a list of 3" in run_exercise("total", lambda x: (2 * x).sum(-1).tolist()).message
    test.write_text(text.replace('"total")', '"total").missing'))
    from minillm.course import testing

    testing._module.cache_clear()
    result = run_exercise("total", lambda x: (2 * x).sum(-1))
    assert result.status == ERROR and "This is not your mistake" in result.message


def test_the_terminal_shows_every_exercise_and_a_total(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    assert checks.main([]) == 0 and "0/3 exercises, 0/6 points" in capsys.readouterr().out
    notebook.save(**RIGHT)
    assert checks.main(["01"]) == 0
    out = capsys.readouterr().out
    assert "total   3/3" in out and "Gate   0/1   not attempted" in out and "2/3 exercises, 5/6 points" in out
    notebook.save(scale="def scale(x):\n    return x")
    assert checks.main(["scale", "total"]) == 1 and "1/2 exercises, 3/5 points" in capsys.readouterr().out


def test_a_file_that_is_named_is_itself_checked(
    notebook: Notebook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blank = notebook.path.read_text()
    notebook.save(**RIGHT)
    for name in ("01_toy.ipynb", "mine.ipynb"):
        elsewhere = tmp_path / name
        elsewhere.write_text(notebook.path.read_text())
        notebook.path.write_text(blank)
        assert checks.main([str(elsewhere)]) == 0
        out = capsys.readouterr().out
        assert str(elsewhere) in out and "2/3 exercises, 5/6 points" in out
        notebook.save(**RIGHT)


def test_a_file_that_cannot_be_checked_is_one_sentence(lesson: Lesson, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no notebook .*01_toy\.ipynb"):
        checks.main([str(tmp_path / "01_toy.ipynb")])
    other = tmp_path / "other.ipynb"
    other.write_text('{"cells": []}')
    with pytest.raises(UserError, match="holds no exercise of the course"):
        checks.main([str(other)])


def test_a_damaged_copy_is_told_with_the_way_on(notebook: Notebook, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.path.write_text('{"cells": [')
    assert checks.main([]) == 1
    said = capsys.readouterr().out
    assert "is damaged: it is not valid JSON (line 1). `python -m minillm reset 01` starts the lesson anew" in said
    assert "0/0 exercises" in said


def test_a_notebook_with_a_broken_cell_fails_there_only(notebook: Notebook) -> None:
    notebook.save(scale="def scale(x:", total=RIGHT["total"])
    scale, total, gate = checks.check_notebook(notebook.path)
    assert (scale.status, total.status, gate.status) == (FAIL, "pass", NOT_ATTEMPTED)
    assert scale.failed == "running its cell"


def test_html_is_escaped_and_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []
    monkeypatch.setattr(checks, "_in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    checks._show("scale   0/2   <b>\n  x < 3 & y", "fail")
    assert "&lt;b&gt;" in shown[0]["text/html"] and "x &lt; 3 &amp; y" in shown[0]["text/html"]
    assert checks.COLOURS["fail"] in shown[0]["text/html"] and shown[0]["text/plain"].endswith("x < 3 & y")


def pytest_on(folder: Path, *options: str) -> tuple[int, str]:
    """What pytest prints for a folder of work, on one lesson of the real course."""
    root = Path(minillm.__file__).parent.parent
    arguments = ["-q", "-p", "no:cacheprovider", "--work", str(folder), *options, "tests/exercises"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "150"}
    command = [sys.executable, "-m", "pytest", *arguments]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)
    return run.returncode, run.stdout + run.stderr


def notebook_with(path: Path, source: str) -> Path:
    """The first lesson's blank notebook with one answer in it."""
    content = build.student_notebook(catalogue.lesson("00"))
    for cell in content["cells"]:
        if cell["id"] == "exercise-masked_mean":
            cell["source"] = source
    path.write_text(build.dumps(content), encoding="utf-8")
    return path


def test_pytest_counts_work_not_done_as_not_attempted(tmp_path: Path) -> None:
    status, out = pytest_on(tmp_path, "-k", "masked_mean and not gates", "-rs")
    assert status == 0 and "your work 0/1, reference 1/1" in out and "not attempted: masked_mean" in out


def test_pytest_shows_the_message_and_not_the_test(tmp_path: Path) -> None:
    path = notebook_with(tmp_path / "mine.ipynb", "def masked_mean(x, mask):\n    return x.mean(1)")
    status, out = pytest_on(path, "-m", "masked_mean", "-k", "not gates")
    assert status == 1 and "your work 0/1, reference 1/1" in out
    assert "0.1 masked_mean - " in out and "def test_" not in out and "expect_close(" not in out


def test_pytest_on_a_broken_notebook_is_one_sentence_a_test(tmp_path: Path) -> None:
    (tmp_path / "00_start_here.ipynb").write_text("{")
    status, out = pytest_on(tmp_path, "-k", "masked_mean and not gates")
    assert status == 1 and "is damaged: it is not valid JSON" in out and "Traceback" not in out


def test_pytest_names_a_missing_folder(tmp_path: Path) -> None:
    status, out = pytest_on(tmp_path / "nowhere")
    assert status == 4 and "there is no such file or folder" in out
