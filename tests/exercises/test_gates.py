"""The tests of the tests: every wrong solution fails with a message that names the mistake, every right one passes.

Run ``pytest tests/exercises/test_gates.py -v`` for a table of the wrong solutions by exercise.
"""

import json
import re
from functools import cache
from pathlib import Path

import pytest
from adversaries import ADVERSARIES, applies

from minillm.course import build, catalogue, exercises, masters, testing
from minillm.course.check import check_notebook

NAMES = [exercise.name for exercise in catalogue.exercises()]
LESSONS = list(catalogue.lessons())
MUTANTS = [sample for name in NAMES for sample in testing.mutants_of(name)]
VARIANTS = [sample for name in NAMES for sample in testing.variants_of(name)]
SEEDS = 200
LIMIT = 10.0

each_exercise = pytest.mark.parametrize("name", NAMES)
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)


@cache
def verdict(sample: testing.Sample, seed: int = 0) -> testing.Result:
    """What the tests say to a mutant or a variant."""
    return testing.run_exercise(sample.exercise, sample.target, seed, LIMIT)


def is_named(sample: testing.Sample) -> bool:
    """Does the message that catches a mutant hold the words it is to hold?"""
    return sample.names is not None and sample.names in verdict(sample).message.lower()


@each_exercise
def test_has_enough_of_everything(name: str) -> None:
    assert len(testing.tests_of(name)) >= 3, f"{name}: write at least three properties"
    assert len(testing.mutants_of(name)) >= 8, f"{name}: write at least eight mutants"
    assert len(testing.variants_of(name)) >= 3, f"{name}: write at least three variants"


@pytest.mark.parametrize("sample", MUTANTS, ids=lambda sample: sample.id)
def test_mutant_fails(sample: testing.Sample, kills: dict) -> None:
    result = verdict(sample)
    kills[sample.exercise].append((sample.target.__name__, result.status, is_named(sample), result.message))
    assert result.status == testing.FAIL, f"{sample.id} is {result.status}. {result.message}"
    for seed in (1, 2):
        assert verdict(sample, seed).status == testing.FAIL, f"{sample.id} gets through with seed {seed}"


@pytest.mark.parametrize("sample", [each for each in MUTANTS if each.names], ids=lambda sample: sample.id)
def test_message_names_the_mistake(sample: testing.Sample) -> None:
    assert sample.names == sample.names.lower(), "write `names` in lower case"
    assert is_named(sample), f"{sample.names!r} is not in the message:\n{verdict(sample).message}"


@each_exercise
def test_four_messages_in_five_name_the_mistake(name: str) -> None:
    named = [is_named(sample) for sample in MUTANTS if sample.exercise == name]
    assert sum(named) >= 0.8 * len(named), f"{name}: {sum(named)} of {len(named)} messages name the mistake"


@pytest.mark.parametrize("sample", VARIANTS, ids=lambda sample: sample.id)
def test_variant_passes(sample: testing.Sample) -> None:
    for seed in range(5):
        result = verdict(sample, seed)
        assert result.passed, f"{sample.id}, seed {seed}, fails at: {result.failed}\n{result.message}"


@each_exercise
def test_reference_passes_with_many_seeds(name: str) -> None:
    target = exercises.reference(name)
    for seed in range(SEEDS):
        result = testing.run_exercise(name, target, seed)
        assert result.passed, f"{name}, seed {seed}, fails at: {result.failed}\n{result.message}"


@pytest.mark.parametrize("adversary", ADVERSARIES)
@each_exercise
def test_cheap_answer_fails(name: str, adversary: str) -> None:
    target = exercises.reference(name)
    if not applies(adversary, name, target):
        pytest.skip(f"{name} has no answer that could be {adversary}")
    result = testing.run_exercise(name, ADVERSARIES[adversary](target))
    assert result.status == testing.FAIL, f"{name} passes although its answer is {adversary}"


@each_lesson
def test_master_is_complete(lesson: catalogue.Lesson) -> None:
    assert masters.problems(masters.read(lesson.master), lesson) == []


@each_lesson
def test_untouched_notebook_is_not_attempted(lesson: catalogue.Lesson, tmp_path: Path) -> None:
    path = tmp_path / f"{lesson.name}.ipynb"
    path.write_text(build.dumps(build.student_notebook(lesson)), encoding="utf-8")
    results = check_notebook(path)
    assert [result.exercise for result in results] == [exercise.name for exercise in lesson.exercises]
    assert {result.status for result in results} <= {testing.NOT_ATTEMPTED}
    assert sum(result.points for result in results) == 0


@each_lesson
def test_no_solution_line_leaks_into_a_student_notebook(lesson: catalogue.Lesson) -> None:
    notebook = build.student_notebook(lesson)
    sources = ["".join(cell["source"]) for cell in notebook["cells"]]
    public = {squeezed(line) for source in sources for line in source.splitlines()}
    leaked = [
        f"{cell.exercise}: {line.strip()}"
        for other in LESSONS
        for cell in masters.read(other.master)
        if cell.has("exercise")
        for line in masters.hidden(cell.source)
        if len(squeezed(line)) >= 24 and squeezed(line) in public
    ]
    assert leaked == []
    assert masters.BEGIN not in json.dumps(notebook)


def squeezed(line: str) -> str:
    """A line of code without its comment and its spaces."""
    return re.sub(r"\s+", "", re.sub(r"\s#\s.*$", "", line))
