"""The student's copy is safe: made once, never overwritten; what was written anywhere is found again."""

import json

import pytest

from minillm import paths
from minillm.course import catalogue, copies, learn, update
from minillm.course.names import UserError


def test_copies_are_made_where_there_are_none(toy, capsys):
    assert learn.main(["--no-jupyter"]) == 0
    for lesson in catalogue.lessons():
        assert lesson.work_notebook.read_bytes() == lesson.student_notebook.read_bytes()
    assert "Lesson 01, A toy: work/01_toy.ipynb" in capsys.readouterr().out


def test_a_copy_is_never_overwritten(toy):
    learn.prepare()
    toy.answer("double")
    before = toy.lesson().work_notebook.read_bytes()
    toy.write(toy.lesson().student_notebook, toy.cells(toy.lesson())[:-1])
    learn.prepare()
    assert toy.lesson().work_notebook.read_bytes() == before


def test_the_first_unfinished_lesson_is_opened(toy):
    there = learn.prepare()
    assert learn.next_lesson(there).id == "01"
    toy.answer("double")
    assert learn.next_lesson(there).id == "01"
    toy.answer("halve")
    assert learn.next_lesson(there).id == "02"
    toy.answer("triple")
    assert learn.next_lesson(there).id == "02"


def test_what_was_written_into_lessons_itself_is_brought_into_work(toy, capsys):
    lesson = toy.lesson()
    toy.answer("double", path=lesson.student_notebook)
    learn.prepare()
    assert "x * 2" in lesson.work_notebook.read_text()
    assert "You wrote in lessons/01_toy.ipynb" in capsys.readouterr().out
    learn.prepare()
    assert "You wrote" not in capsys.readouterr().out


def test_what_was_written_into_lessons_does_not_replace_a_copy(toy):
    lesson = toy.lesson()
    learn.prepare()
    toy.answer("halve")
    before = lesson.work_notebook.read_bytes()
    toy.answer("double", path=lesson.student_notebook)
    learn.prepare()
    assert lesson.work_notebook.read_bytes() == before
    assert "x * 2" in (paths.WORK / "01_toy (from lessons).ipynb").read_text()


def test_a_new_version_is_told_and_taken_with_the_answers(toy, capsys):
    lesson = toy.lesson()
    learn.prepare()
    toy.answer("double")
    own = json.loads(lesson.work_notebook.read_text())
    note = {"cell_type": "markdown", "id": "my-own", "metadata": {}, "source": "my note"}
    own["cells"].insert(4, note)
    lesson.work_notebook.write_text(json.dumps(own))
    cells = toy.cells(lesson)
    cells[0]["source"] = "# A better toy"
    toy.write(lesson.student_notebook, cells)
    capsys.readouterr()
    learn.prepare()
    assert "`python -m minillm update 01`" in capsys.readouterr().out

    backup = update.update(lesson)
    new = json.loads(lesson.work_notebook.read_text())
    sources = ["".join(cell["source"]) for cell in new["cells"]]
    assert sources[0] == "# A better toy"
    assert any("x * 2" in source for source in sources) and sources[4] == "my note"
    assert any("Exercise 1.2: halve" in source for source in sources)
    assert json.loads(backup.read_text()) == own
    assert not copies.update_is_there(lesson)
    assert update.update(lesson) is None


def test_an_answer_survives_an_update_that_drops_its_exercise(toy):
    lesson = toy.lesson()
    learn.prepare()
    toy.answer("double")
    toy.write(lesson.student_notebook, [cell for cell in toy.cells(lesson) if "double" not in cell["id"]])
    update.update(lesson)
    assert "x * 2" in lesson.work_notebook.read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "is empty"), ("{", "not valid JSON"), ("<<<<<<< HEAD", "git merge"), ('{"a": 1}', "no list of cells")],
)
def test_a_broken_copy_is_named_in_one_sentence_and_left_alone(toy, capsys, content, words):
    learn.prepare()
    broken = toy.lesson().work_notebook
    broken.write_text(content)
    learn.prepare()
    assert words in capsys.readouterr().out
    with pytest.raises(UserError, match=words):
        update.update(toy.lesson())
    assert broken.read_text() == content


def test_an_unknown_lesson_gets_a_suggestion(toy):
    with pytest.raises(UserError, match="Did you mean `02_second`"):
        learn.main(["--lesson", "02_secnd", "--no-jupyter"])


def test_jupyterlab_neither_asks_for_news_nor_uses_another_kernel(toy):
    environment = learn.environment()
    home = paths.WORK / ".minillm" / "jupyter"
    assert environment["JUPYTER_PATH"].startswith(str(home))
    settings = json.loads((home / "labconfig" / "default_setting_overrides.json").read_text())
    assert settings["@jupyterlab/apputils-extension:notification"]["fetchNews"] == "false"
    assert json.loads((home / "kernels" / "python3" / "kernel.json").read_text())["argv"][1:3] == [
        "-m",
        "ipykernel_launcher",
    ]
