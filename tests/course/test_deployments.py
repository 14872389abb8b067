"""The measured numbers of lesson 14: what is in the file."""

import pytest

from minillm.course import deployments
from minillm.deployment import SEEN, UNSEEN


def test_the_file_holds_every_seed_with_both_assistants_the_gate_and_the_dial():
    runs = deployments.load()
    assert [run["seed"] for run in runs] == list(range(len(runs)))
    for run in runs:
        for name in ("assistant", "drilled"):
            assert set(run[name]["injections"]) == {*SEEN, *UNSEEN}
            for line in run[name]["domains"].values():
                assert all(low <= value <= high for value, low, high in line.values())
        assert all(hits <= n for found in run["gate"].values() for hits, n in found.values())


def test_no_numbers_where_there_is_no_file(tmp_path):
    assert deployments.load(tmp_path / "none.json") == []


@pytest.mark.parametrize("argument", ["0", "-1"])
def test_a_number_of_seeds_below_one_is_refused(argument, capsys):
    with pytest.raises(SystemExit):
        deployments.main(["--seeds", argument])
    assert "at least 1" in capsys.readouterr().err
