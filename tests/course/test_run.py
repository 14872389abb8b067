"""The main job on a toy course: it runs, reports, resumes, and leaves nothing half done."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from toy_course import code, notebook, text

from minillm import paths
from minillm.course import catalogue, job, run
from minillm.course.names import UserError

PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2, 3])\nplt.show()\nprint('The line rises.')"
RECORD = "from minillm.course import record\nrecord('answer', 42, unit='points', seeds=[0])\nprint('executed')"


def cells(*sources: str) -> dict:
    return notebook([text("## See it", "head"), *(code(source, f"c{i}") for i, source in enumerate(sources))])


def job_of(*ids: str) -> job.Job:
    return job.Job(
        "reference", paths.RUNS / "latest", False, tuple(catalogue.lesson(each) for each in ids or ("01", "02"))
    )


def test_a_run_leaves_notebooks_numbers_and_a_report(toy, capsys):
    work = job_of()
    results = run.run(work, lambda job, lesson: cells(RECORD, "", PLOT))
    assert [result.status for result in results.values()] == ["done", "done"]
    report = run.write_report(work).read_text()
    assert "The line rises." in report and "data:image/png;base64," in report and "<strong>42 points</strong>" in report
    executed = json.loads(work.executed(toy.lesson()).read_text())
    assert "executed" in json.dumps(executed["cells"][1]["outputs"])
    table = run.table(work)
    assert "01 A toy" in table and "answer 42 points" in table
    assert results["01"].peak_bytes > 0


def test_a_failing_cell_is_named_and_what_ran_is_kept(toy, capsys):
    work = job_of()
    failing = "def f():\n    return 1 / 0\nf()"
    results = run.run(work, lambda job, lesson: cells("print('before')", failing, "print('after')"))
    said = capsys.readouterr().out
    assert results["02"].status == "failed"
    assert "FAILED: cell 2 failed (def f():)" in said and "ZeroDivisionError: division by zero" in said
    kept = work.executed(toy.lesson()).read_text()
    assert "before" in kept and "ZeroDivisionError" in kept
    assert "ZeroDivisionError" in run.write_report(work).read_text()


def test_finished_lessons_are_skipped_until_their_inputs_change(toy):
    started = []

    def source(job, lesson):
        started.append(lesson.id)
        return cells("1")

    def again() -> list[str]:
        started.clear()
        run.run(job_of(), source)
        return list(started)

    assert again() == ["01", "02"]
    assert again() == []
    second = toy.lesson("02").master
    second.write_text(second.read_text() + "\n# changed\n")
    assert again() == ["02"]
    first = toy.lesson("01").master
    first.write_text(first.read_text() + "\n# changed\n")
    assert again() == ["01", "02"]
    job_of().executed(toy.lesson()).unlink()
    assert again() == ["01"]
    run.forget(job_of("02"))
    assert again() == ["02"]


def test_a_shipped_checkpoint_counts_until_the_run_has_its_own(toy):
    started = []

    def again() -> list[str]:
        started.clear()
        run.run(job_of(), lambda job, lesson: started.append(lesson.id) or cells("1"))
        return list(started)

    second = toy.lesson("02").master
    second.write_text(second.read_text() + "\nstage = load_stage('base')\n")
    shipped = paths.CHECKPOINTS / "base.safetensors"
    shipped.parent.mkdir(parents=True)
    shipped.write_bytes(b"one")
    assert again() == ["01", "02"]
    shipped.write_bytes(b"two")
    assert again() == ["02"]  # the only one that loads a stage
    own = job_of().folder / "checkpoints" / "base.safetensors"
    own.parent.mkdir()
    own.write_bytes(b"three")
    assert again() == []  # made by the run itself, after lesson 02
    shipped.write_bytes(b"three, shipped")
    assert again() == []
    own.unlink()
    assert again() == ["02"]


def test_a_failed_lesson_is_run_again(toy):
    run.run(job_of("01"), lambda job, lesson: cells("1 / 0"))
    assert run.run(job_of("01"), lambda job, lesson: cells("1"))["01"].status == "done"


def test_the_lesson_is_told_whose_work_it_is(toy):
    names = ["SOURCE", "LESSON", "SMOKE", "RUN_DIR"]
    ask = f"import os\nprint([os.environ['MINILLM_' + name] for name in {names}])"
    work = job_of("01")
    run.run(work, lambda job, lesson: cells(ask))
    assert str(["reference", "01", "0", str(work.folder)]) in work.executed(toy.lesson()).read_text()


def test_the_students_own_notebooks_run_from_work(toy, capsys):
    toy.write(toy.lesson().work_notebook, cells(RECORD)["cells"])
    before = toy.lesson().work_notebook.read_bytes()
    assert run.main(["--work", "mine", "--lesson", "01"]) == 0
    assert toy.lesson().work_notebook.read_bytes() == before
    assert (paths.RUNS / "mine" / "report.html").exists()
    assert "answer 42 points" in capsys.readouterr().out


def test_a_notebook_that_cannot_be_read_stops_no_other(toy, capsys):
    toy.lesson("01").work_notebook.parent.mkdir()
    toy.lesson("01").work_notebook.write_text("")
    toy.write(toy.lesson("02").work_notebook, cells("1")["cells"])
    assert run.main(["--work", "mine"]) == 1
    said = capsys.readouterr().out
    assert "01_toy.ipynb is empty" in said and "1 of 2 lessons failed" in said


def test_a_damaged_state_file_counts_as_none(toy):
    work = job_of("01")
    work.folder.mkdir(parents=True)
    (work.folder / "state.json").write_text("{")
    assert run.run(work, lambda job, lesson: cells("1"))["01"].status == "done"


def test_two_runs_in_one_folder_are_refused(toy):
    folder = paths.RUNS / "mine"
    folder.mkdir(parents=True)
    toy.write(toy.lesson().work_notebook, cells("1")["cells"])
    (folder / "running.pid").write_text(str(os.getppid()))
    with pytest.raises(UserError, match="Another run"):
        run.main(["--work", "mine", "--lesson", "01"])


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_run_leaves_no_process_and_no_half_notebook_and_goes_on(toy, stop):
    flag = toy.root / "flag"
    wait = f"import os, time\nopen({str(flag)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    toy.write(toy.lesson().work_notebook, cells(wait)["cells"])
    start = f"""
import sys
from pathlib import Path
from minillm import paths
places = {{"ROOT": ".", "WORK": "work", "RUNS": "runs", "EXERCISES": "tests/exercises"}}
for name, place in places.items():
    setattr(paths, name, Path({str(toy.root)!r}) / place)
from minillm.course.run import main
sys.exit(main(["--work", "mine", "--lesson", "01"]))
"""
    process = subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (flag.exists() and flag.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    kernel = int(flag.read_text())
    process.send_signal(stop)
    process.communicate(timeout=20)
    assert process.returncode == (-9 if stop == signal.SIGKILL else 130)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(kernel) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not psutil.pid_exists(kernel)
    assert not list((paths.RUNS / "mine").rglob("*.ipynb")) and not list(paths.RUNS.rglob("*.part"))
    toy.write(toy.lesson().work_notebook, cells("print('went on')")["cells"])
    assert run.main(["--work", "mine", "--lesson", "01"]) == 0


def test_a_ladder_that_cannot_be_measured_makes_the_run_fail(toy, monkeypatch):
    done = job.Result("done", "key", 1.0, 1, "today")
    monkeypatch.setattr(run, "run", lambda work: {lesson.id: done for lesson in work.lessons})
    monkeypatch.setattr(run, "_reached", lambda work, ran: True)
    monkeypatch.setattr(run, "table", lambda work: "")
    monkeypatch.setattr(run, "write_report", lambda work, rows: work.folder / "report.html")
    for rows, status in (([], 1), ([{"stage": "base"}], 0)):
        monkeypatch.setattr(run.climb, "ladder", lambda work, rows=rows: rows)
        assert run.main(["--lesson", "01"]) == status
