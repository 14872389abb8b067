"""`python -m minillm measure WHAT`: every measure has a module with options of its own, and a file that it wrote."""

import importlib

import pytest

from minillm.course import measure
from minillm.course.cli import main


@pytest.mark.parametrize("what", measure.MEASURES)
def test_every_measure_tells_its_options_and_has_left_its_file(what: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["measure", what, "--help"])
    assert stopped.value.code == 0
    assert f"python -m minillm measure {what}" in capsys.readouterr().out
    assert importlib.import_module(measure.MEASURES[what][0]).TARGET.exists()


def test_a_measure_that_is_not_there_is_told_with_those_that_are(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["measure", "everything"])
    assert stopped.value.code == 2
    assert "red-team" in capsys.readouterr().err
