"""Every lesson runs from top to bottom with the worked solutions, training cut short; `-m "not slow"` skips it."""

import pytest

from minillm.course import catalogue, run
from minillm.course.job import Job

LESSONS = [lesson for lesson in catalogue.lessons() if lesson.master.exists()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory):
    return tmp_path_factory.mktemp("smoke")


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_the_lesson_runs_from_top_to_bottom(folder, lesson):
    (result,) = run.run(Job("reference", folder, True, (lesson,))).values()
    assert result.status == "done", result.error
