"""Shared by all tests: marks for every exercise, where the student's work lies, the scoreboard at the end."""

from pathlib import Path

import pytest

from minillm.course import catalogue


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--work",
        metavar="FILE_OR_FOLDER",
        help="the notebook, or the folder of notebooks, to test (default: work/)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for exercise in catalogue.exercises():
        config.addinivalue_line("markers", f"{exercise.name}: the tests of exercise {exercise.number}")
    work = config.getoption("--work")
    if work is not None and not Path(work).exists():
        raise pytest.UsageError(f"--work {work}: there is no such file or folder")
