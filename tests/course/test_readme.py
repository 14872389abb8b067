"""What the README promises is there."""

import re

from minillm import paths
from minillm.course import catalogue, cli

README = (paths.ROOT / "README.md").read_text(encoding="utf-8")


def marked(name: str) -> str:
    """The one command between the markers ``name``."""
    (body,) = re.findall(rf"<!-- {name}: begin -->\n```bash\n(.+)\n```\n<!-- {name}: end -->", README)
    return body


def test_each_command_does_its_own_set_up():
    setup = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python -m "
    assert marked("run") == setup + "minillm run"
    assert marked("tests") == setup + "pytest"


def test_commands_that_are_named_exist():
    named = set(re.findall(r"python -m minillm (\w+)", README)) | set(re.findall(r"^\| `(\w+)", README, re.MULTILINE))
    assert named <= set(cli.COMMANDS) and {"learn", "hint", "run", "build"} <= named


def test_the_syllabus_says_ready_of_just_the_lessons_that_are_there():
    rows = re.findall(r"^\| (\d\d) \| .*\| (ready|to come) \|$", README, re.MULTILINE)
    ready = [number for number, state in rows if state == "ready"]
    assert len(rows) == 15
    assert ready == [lesson.id for lesson in catalogue.lessons()]


def test_pictures_and_files_that_are_named_exist():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)|(?:src|srcset)=\"(?!https?:)([^\"]+)\"", README):
        assert (paths.ROOT / (target[0] or target[1])).exists(), target
