"""Progress: the tests' own verdicts, remembered as long as nothing has changed."""

import pytest

from minillm.course import copies, learn, progress
from minillm.course.names import UserError


def words(toy) -> dict[str, str]:
    return {each.exercise.name: each.words for each in progress.standings(toy.lesson())}


def test_statuses_follow_the_work(toy, capsys):
    assert words(toy) == {"double": "no copy yet", "halve": "no copy yet"}
    learn.prepare()
    assert words(toy) == {"double": "not attempted", "halve": "not attempted"}
    toy.answer("double")
    toy.answer("halve", "return x")
    assert words(toy) == {"double": "passes", "halve": "fails"}
    capsys.readouterr()
    progress.main([])
    shown = capsys.readouterr().out
    assert "1/2 exercises, 2/5 points" in shown and "2 of 6 points" in shown and "at: a number" in shown


def test_verdicts_are_remembered_until_the_notebook_changes(toy, monkeypatch):
    learn.prepare()
    toy.answer("double")
    first = words(toy)
    monkeypatch.setattr(progress, "check_notebook", lambda path: pytest.fail("ran again"))
    assert words(toy) == first
    monkeypatch.undo()


def test_a_syntax_error_fails_that_exercise_only(toy):
    learn.prepare()
    toy.answer("double", "return (")
    toy.answer("halve")
    assert words(toy) == {"double": "fails", "halve": "passes"}


def test_an_unreadable_notebook_is_one_sentence(toy, capsys):
    learn.prepare()
    toy.lesson().work_notebook.write_text("")
    with pytest.raises(UserError, match="is empty"):
        progress.standings(toy.lesson())
    progress.main([])
    assert "is empty" in capsys.readouterr().out


def test_nothing_is_finished_before_anything_is_written(toy):
    assert not progress.finished(toy.lesson())
    learn.prepare()
    assert not progress.finished(toy.lesson())
    assert copies.remembered("standings") == {}
