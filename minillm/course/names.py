"""Names that people type: finding the lesson or the exercise that was meant."""

import difflib
from collections.abc import Iterable

from minillm.course import catalogue
from minillm.course.catalogue import Exercise, Lesson


class UserError(Exception):
    """Something that the person at the keyboard can put right; shown as its sentence, without a traceback."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`` Did you mean `x`?`` for the nearest of ``choices``, or an empty string where none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f" Did you mean `{by_lower[near[0]]}`?" if near else ""


def find_lesson(text: str) -> Lesson | None:
    """The lesson meant by "02", "2", "02_transformer", "transformer" or the path of its notebook; None if none is."""
    word = text.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".ipynb").removesuffix(".py").lower()
    for lesson in catalogue.lessons():
        bare = lesson.name.split("_", 1)[1]
        if word in (lesson.id, str(int(lesson.id)), lesson.name, bare):
            return lesson
    return None


def find_exercise(text: str) -> Exercise | None:
    """The exercise meant by "rms_norm", whatever its capitals, or by its number "2.1"; None if none is."""
    for exercise in catalogue.exercises():
        if text in (exercise.name, exercise.number):
            return exercise
    same = [exercise for exercise in catalogue.exercises() if exercise.name.lower() == text.lower()]
    return same[0] if len(same) == 1 else None


def lesson_named(text: str) -> Lesson:
    """As `find_lesson`; UserError where there is none."""
    found = find_lesson(text)
    if found is None:
        names = [lesson.name for lesson in catalogue.lessons()]
        hint = did_you_mean(text, names) or f" There are {', '.join(names)}."
        raise UserError(f"There is no lesson {text!r}.{hint}")
    return found


def exercise_named(text: str) -> Exercise:
    """As `find_exercise`; UserError where there is none."""
    found = find_exercise(text)
    if found is None:
        names = [exercise.name for exercise in catalogue.exercises()]
        hint = did_you_mean(text, names) or " `python -m minillm progress` lists them."
        raise UserError(f"There is no exercise {text!r}.{hint}")
    return found


def named(text: str) -> Lesson | Exercise:
    """The lesson or the exercise that ``text`` names; UserError where it names neither."""
    found = find_lesson(text) or find_exercise(text)
    if found is None:
        choices = [lesson.name for lesson in catalogue.lessons()]
        choices += [exercise.name for exercise in catalogue.exercises()]
        hint = did_you_mean(text, choices) or " `python -m minillm progress` lists both."
        raise UserError(f"There is no lesson or exercise {text!r}.{hint}")
    return found
