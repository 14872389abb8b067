"""The command line: help at once, one clear sentence for what is wrong."""

import subprocess
import sys

import pytest

from minillm import paths
from minillm.course import cli


def test_help_lists_every_command_and_loads_no_torch():
    code = "import sys; from minillm.course.cli import main; main(['--help'])"
    heavy = "torch", "numpy", "matplotlib", "nbclient", "jupyterlab"
    code = f"import sys, atexit; atexit.register(lambda: print([m for m in {heavy} if m in sys.modules])); {code}"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT).stdout
    assert all(f"  {name} " in shown for name in cli.COMMANDS)
    assert shown.strip().endswith("[]")


def test_no_command_shows_the_help(capsys):
    assert cli.main([]) == 0
    assert "for students" in capsys.readouterr().out


def test_an_unknown_command_gets_a_suggestion(capsys):
    assert cli.main(["lern"]) == 2
    assert "Did you mean `learn`?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["hint", "dubble"], "Did you mean `double`?"),
        (["reset", "01_toi"], "Did you mean `01_toy`?"),
        (["update", "99"], "There is no lesson '99'"),
        (["run", "--lesson", "toi"], "There is no lesson 'toi'"),
        (["learn", "--lesson", "7"], "There is no lesson '7'"),
        (["learn", "7"], "There is no lesson '7'"),
        (["run", "--ship", "--smoke"], "--ship"),
        (["run", "--work", "mine"], "python -m minillm learn"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(toy, capsys, words, said):
    assert cli.main(words) == 1
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS])
def test_every_command_has_its_own_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([command, "--help"])
    assert end.value.code == 0
    assert f"usage: python -m minillm {command}" in capsys.readouterr().out
