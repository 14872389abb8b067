"""The list of exercises: what it promises, and what it says to a wrong name or a wrong entry."""

import pytest
from toy_lesson import CATALOGUE

from minillm.course import catalogue


def test_names_and_numbers_are_unique() -> None:
    names = [exercise.name for exercise in catalogue.exercises()]
    numbers = [exercise.number for exercise in catalogue.exercises()]
    assert len(set(names)) == len(names) and len(set(numbers)) == len(numbers)


def test_the_first_slice_of_the_course_is_listed() -> None:
    assert [lesson.id for lesson in catalogue.lessons()][:4] == ["00", "01", "02", "03"]
    assert not catalogue.lesson("00").graded and catalogue.lesson("01").graded
    assert catalogue.exercise("rms_norm").number == "2.1"
    assert catalogue.exercise("rms_norm").label == "Exercise 2.1: rms_norm"


def test_lessons_are_found_by_id_and_name() -> None:
    assert catalogue.lesson("2") == catalogue.lesson("02") == catalogue.lesson("02_transformer")
    assert catalogue.lesson_of("rms_norm").id == "02"


def test_the_next_exercise_may_be_in_the_next_lesson() -> None:
    last = catalogue.lesson("01").exercises[-1].name
    assert catalogue.following(last) == catalogue.lesson("02").exercises[0]
    assert catalogue.following(catalogue.exercises()[-1].name) is None


def test_an_exercise_stands_on_what_its_needs_stand_on() -> None:
    block = {"rms_norm", "CausalSelfAttention", "apply_rope", "causal_attention"}
    assert catalogue.foundations("TransformerBlock") == block
    assert catalogue.foundations("rms_norm") == set()


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(catalogue.UnknownName, match="Did you mean 'rms_norm'"):
        catalogue.exercise("rms_nrom")
    with pytest.raises(catalogue.UnknownName, match="There are: 00_start_here"):
        catalogue.lesson("zzzz")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('needs = ["scale"]', 'needs = ["Gate"]', "does not come before"),
        ('name = "total"', 'name = "scale"', "twice"),
        ("difficulty = 2", "difficulty = 6", "1 to 5"),
    ],
)
def test_a_wrong_entry_is_named(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        catalogue.parse(CATALOGUE.replace(old, new))
