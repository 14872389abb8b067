"""``python -m minillm run``: every lesson in order, then one table and one report.

A lesson that ran to its end is skipped the next time as long as nothing it depends on has changed: its
notebook and those before it, the library, the data, the shipped checkpoints that it loads, the settings, the
versions of Python and torch. So a run that was stopped, by Ctrl-C or by a power cut, goes on where it was;
within a lesson the training loop resumes from its own snapshots.

    runs/latest/            the worked solutions (runs/mine: the student's notebooks; runs/smoke: --smoke)
      report.html           what to look at
      notebooks/            the executed notebooks, up to the cell that failed if one did
      records/              headline numbers as JSON lines
      checkpoints/          what the lessons trained
      state.json            which lesson is done, and for which inputs
"""

import argparse
import os
import platform
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from minillm import __version__, paths
from minillm.course import catalogue, climb, notebooks
from minillm.course.catalogue import Lesson
from minillm.course.job import Job, Result, load_results, save_results
from minillm.course.names import UserError, lesson_named
from minillm.course.record import load as load_records
from minillm.course.report import Report, Section, headline, render
from minillm.course.ship import ship, ship_pictures
from minillm.files import atomic_write


def main(argv: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(argv)
    job = _job(options)
    with _sigterm_as_ctrl_c(), _alone_in(job.folder):
        if options.fresh:
            forget(job)
        try:
            ran = run(job)
            reached = _reached(job, ran)
            rows = climb.ladder(job) if reached else []
        except KeyboardInterrupt:
            print("\nStopped. The same command goes on where it was.")
            return 130
        report = write_report(job, rows)
    print(f"\n{table(job)}\n")
    if rows:
        print(f"{climb.text(rows)}\n")
    print(f"Report: {report}")
    failed = [lesson for lesson in job.lessons if ran[lesson.id].status == "failed"]
    if failed:
        print(f"{len(failed)} of {len(job.lessons)} lessons failed; what they showed is in {job.folder / 'notebooks'}")
        return 1
    if reached and not rows:
        return 1  # the ladder has said why
    if options.ship:
        ship(job.folder / "checkpoints")
        ship_pictures(job.folder / "notebooks")
    return 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m minillm run",
        description="Execute every lesson in order and write runs/latest/report.html. Stop it when you like: "
        "the same command goes on where it was.",
    )
    parser.add_argument("--lesson", action="append", metavar="NN", help="only this lesson; may be given several times")
    parser.add_argument(
        "--work",
        choices=["mine", "reference"],
        default="reference",
        help="mine: your own notebooks in work/, with your answers (default: the worked solutions)",
    )
    parser.add_argument("--smoke", action="store_true", help="cut every training run short, only to see that all runs")
    parser.add_argument("--ship", action="store_true", help="afterwards copy the checkpoints to data/checkpoints/")
    parser.add_argument("--fresh", action="store_true", help="forget what earlier runs have done and start over")
    return parser


def _job(options: argparse.Namespace) -> Job:
    if options.ship and (options.smoke or options.work == "mine"):
        raise UserError("--ship is for the worked solutions, trained in full: leave --smoke and --work away.")
    folder = {"reference": "latest", "mine": "mine"}[options.work]
    if options.smoke:
        folder = {"reference": "smoke", "mine": "mine-smoke"}[options.work]
    job = Job(options.work, paths.RUNS / folder, options.smoke, ())
    wanted = {lesson_named(text).id for text in options.lesson or ()}
    there = [lesson for lesson in catalogue.lessons() if job.origin(lesson).exists()]
    missing = wanted - {lesson.id for lesson in there}
    if missing:
        first = lesson_named(min(missing))
        raise UserError(f"Lesson {first.id} is not there yet: {job.origin(first)} does not exist.")
    if not there:
        hint = " `python -m minillm learn` makes your copies." if options.work == "mine" else ""
        raise UserError(f"There is no lesson to run in {job.origin(catalogue.lessons()[0]).parent}.{hint}")
    chosen = tuple(lesson for lesson in there if not wanted or lesson.id in wanted)
    return Job(job.source, job.folder, job.smoke, chosen)


def run(job: Job, notebook_of: Callable[[Job, Lesson], notebooks.Notebook] | None = None) -> dict[str, Result]:
    """Execute the lessons of ``job`` that need it. Returns lesson id -> Result, also of those done before."""
    from minillm.course.screen import Screen  # brings the Jupyter client, which is slow to import

    notebook_of = notebook_of or _notebook
    screen, results = Screen(), load_results(job.folder)
    for lesson in job.lessons:
        everything = catalogue.lessons()
        key = job.key(lesson, [each for each in everything if each.id < lesson.id])
        before, shipped = results.get(lesson.id), job.shipped(lesson)
        same = before is not None and before.key == key and job.same_shipped(lesson, before)
        if before and same and before.status == "done" and job.executed(lesson).exists():
            screen.say(f"{title(lesson):<22} kept from {before.finished}: nothing it depends on has changed")
            continue
        try:
            result = _execute(job, lesson, key, screen, notebook_of(job, lesson))
        except UserError as problem:
            result = Result("failed", key, 0.0, 0, time.strftime("%Y-%m-%d %H:%M"), str(problem))
        results[lesson.id] = replace(result, shipped=shipped)
        save_results(job.folder, results)
        if result.status == "failed":
            screen.say(f"{title(lesson):<22} FAILED: {result.error}")
        else:
            screen.say(f"{title(lesson):<22} done in {result.seconds:.0f} s")
    return {lesson.id: results[lesson.id] for lesson in job.lessons}


def _execute(job: Job, lesson: Lesson, key: str, screen, notebook: notebooks.Notebook) -> Result:
    import nbformat

    from minillm.course.execute import CellFailed, Progress, execute

    job.records(lesson).unlink(missing_ok=True)
    job.folder.mkdir(parents=True, exist_ok=True)
    screen.start(title(lesson))
    live, progress, error = nbformat.from_dict(notebook), Progress(), None
    try:
        execute(live, progress, cwd=job.folder, environment=job.environment(lesson), on_change=screen.update)
    except CellFailed as failure:
        error = failure.message()
    finally:
        screen.clear()
    notebooks.write(job.executed(lesson), live)
    finished = time.strftime("%Y-%m-%d %H:%M")
    status = "failed" if error else "done"
    return Result(status, key, round(progress.seconds, 1), progress.peak_bytes, finished, error)


def _notebook(job: Job, lesson: Lesson) -> notebooks.Notebook:
    """What is to be executed: a fresh solution notebook from the master, or the student's own as it is."""
    if job.source == "mine":
        return notebooks.read(job.origin(lesson))
    from minillm.course.build import solution_notebook

    return solution_notebook(lesson)


def forget(job: Job) -> None:
    """Drop what earlier runs left of these lessons, half-finished training included."""
    results = load_results(job.folder)
    for lesson in job.lessons:
        results.pop(lesson.id, None)
        job.executed(lesson).unlink(missing_ok=True)
        job.records(lesson).unlink(missing_ok=True)
    save_results(job.folder, results)
    for snapshot in job.folder.rglob("*.snapshot"):
        snapshot.unlink()


def _reached(job: Job, ran: dict[str, Result]) -> bool:
    """Is there a ladder to climb: are all its stages made, by the worked solutions?"""
    return job.source == "reference" and climb.LAST in ran and ran[climb.LAST].status == "done"


def write_report(job: Job, ladder: Sequence[dict[str, Any]] = ()) -> Path:
    """Write report.html from everything in the run's folder, lessons of earlier runs included.

    ladder: the rows of `climb.ladder`, shown with the lesson that it follows.
    """
    results, sections = load_results(job.folder), []
    for lesson in catalogue.lessons():
        section = Section(lesson.id, lesson.name, lesson.title, "not run")
        if result := results.get(lesson.id):
            section.status, section.seconds, section.error = result.status, result.seconds, result.error
            section.peak_bytes, section.records = result.peak_bytes, load_records(job.records(lesson))
            executed = job.executed(lesson)
            section.notebook = notebooks.read(executed) if executed.exists() else None
        if ladder and lesson.id == climb.LAST:
            section.records.append({"kind": "table", "name": "The ladder", "rows": list(ladder)})
        sections.append(section)
    whose = "the worked solutions" if job.source == "reference" else "your own answers"
    intro = f"Every lesson, executed from top to bottom with {whose}. Each number and each plot comes from this run."
    if job.smoke:
        intro = "A short pass, only to see that everything runs: training was cut to a few steps, so no number counts."
    report = Report("What the course built", intro, sections, facts())
    return atomic_write(job.folder / "report.html", render(report))


def table(job: Job) -> str:
    """The closing table: a line a lesson, with its seconds, its memory and its headline numbers."""
    results = load_results(job.folder)
    lines = [f"{'lesson':<26}{'status':<9}{'seconds':>7}{'memory':>10}   headline numbers"]
    for lesson in job.lessons:
        result = results[lesson.id]
        memory = f"{result.peak_bytes / 2**20:.0f} MB" if result.peak_bytes else ""
        numbers = headline(load_records(job.records(lesson))) or [""]
        lines.append(f"{title(lesson):<26}{result.status:<9}{result.seconds:>7.0f}{memory:>10}   {numbers[0]}")
        lines += [" " * 55 + number for number in numbers[1:]]
    total = sum(results[lesson.id].seconds for lesson in job.lessons)
    lines.append(f"{'all':<35}{total:>7.0f}")
    return "\n".join(line.rstrip() for line in lines)


def facts() -> dict[str, str]:
    """Versions and the machine, for the foot of the report."""
    names = ("torch", "numpy", "matplotlib", "jupyterlab")
    return {
        "Written": time.strftime("%Y-%m-%d %H:%M"),
        "minillm": __version__,
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in names},
        "System": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processor cores",
    }


def title(lesson: Lesson) -> str:
    return f"{lesson.id} {lesson.title}"


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Two runs in one folder would write over one another: the second is refused while the first is alive."""
    import psutil

    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / "running.pid"
    other = mark.read_text() if mark.exists() else ""
    if other.isdigit() and int(other) != os.getpid() and psutil.pid_exists(int(other)):
        raise UserError(f"Another run is at work in {folder} (process {other}). If there is none, delete {mark}.")
    atomic_write(mark, str(os.getpid()))
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Being asked to end is like Ctrl-C: the kernel is ended too."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
