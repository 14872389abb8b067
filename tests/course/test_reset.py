"""Reset and hint: a blank comes back, nothing is lost, hints come one at a time."""

import json

import pytest

from minillm import paths
from minillm.course import catalogue, hint, learn, reset
from minillm.course.names import UserError


def test_reset_puts_the_blank_back_and_keeps_the_answer(toy, capsys):
    learn.prepare()
    toy.answer("double")
    toy.answer("halve")
    before = toy.lesson().work_notebook.read_bytes()
    assert reset.main(["double"]) == 0
    text = toy.lesson().work_notebook.read_text()
    assert "Exercise 1.1: double" in text and "x * 0.5" in text
    (backup,) = (paths.WORK / "backups").iterdir()
    assert backup.read_bytes() == before and "reset-double" in backup.name
    assert "is a blank again" in capsys.readouterr().out


def test_reset_of_a_blank_changes_nothing(toy):
    learn.prepare()
    assert reset.reset_exercise(catalogue.exercise("double")) is None
    assert not (paths.WORK / "backups").exists()


def test_reset_brings_a_deleted_cell_back_to_its_place(toy):
    learn.prepare()
    path = toy.lesson().work_notebook
    book = json.loads(path.read_text())
    before = [cell["id"] for cell in book["cells"]]
    book["cells"] = [cell for cell in book["cells"] if cell["id"] != "exercise-halve"]
    path.write_text(json.dumps(book))
    reset.reset_exercise(catalogue.exercise("halve"))
    assert [cell["id"] for cell in json.loads(path.read_text())["cells"]] == before


@pytest.mark.parametrize("content", [None, "not a notebook"])
def test_reset_of_a_lesson_keeps_what_was_there_even_if_it_is_broken(toy, content):
    learn.prepare()
    toy.answer("double")
    path = toy.lesson().work_notebook
    if content:
        path.write_text(content)
    before = path.read_bytes()
    backup = reset.reset_lesson(toy.lesson())
    assert backup.read_bytes() == before
    assert path.read_bytes() == toy.lesson().student_notebook.read_bytes()


def test_reset_without_a_copy_says_how_to_get_one(toy):
    with pytest.raises(UserError, match="learn"):
        reset.main(["double"])


def test_reset_suggests_what_was_meant(toy):
    with pytest.raises(UserError, match="Did you mean `double`"):
        reset.main(["duoble"])


def test_hints_come_one_at_a_time(toy, capsys):
    def asked(*arguments: str) -> str:
        hint.main(["double", *arguments])
        return capsys.readouterr().out

    assert "hint 1 of 2: where to start" in (first := asked()) and "Multiply" not in first
    assert "hint 2 of 2: the last step" in (second := asked()) and "Multiply by 2." in second
    assert "hint 2 of 2" in asked()
    assert "hint 1 of 2" in asked("--level", "1")
    assert "hint 1 of 2" in (both := asked("--all")) and "hint 2 of 2" in both
    with pytest.raises(UserError, match="hints 1 to 2"):
        asked("--level", "3")


def test_hints_are_there_without_a_copy_and_by_number(toy, capsys):
    hint.main(["1.2"])
    assert "halve (1.2), hint 1 of 2" in capsys.readouterr().out
