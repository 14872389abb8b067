"""``python -m minillm learn``: from a clone to an open notebook.

Copies the lessons into work/ where they are not there yet, and opens the next one in JupyterLab. Nothing is ever
overwritten; news and update notices of a later version of the course are told, never forced.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from minillm import paths
from minillm.course import catalogue, copies
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError, lesson_named
from minillm.files import atomic_write

# JupyterLab asks on its first start whether it may fetch news. Neither that nor a check for updates belongs here.
# A cell that was edited and not run again is noticed in the saved file only, so save more often than every two minutes.
_SETTINGS = {
    "@jupyterlab/docmanager-extension:plugin": {"autosaveInterval": 12},
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
}
_PAGE = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minillm learn",
        description="Open your copy of the next lesson in JupyterLab. Copies are made in work/ and never overwritten.",
    )
    default = "the lesson to open (default: the first that is not finished)"
    parser.add_argument("lesson", nargs="?", metavar="NN", help=default)
    parser.add_argument("--lesson", dest="named", metavar="NN", help="the same")
    parser.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    parser.add_argument(
        "--port", type=int, metavar="N", help="where JupyterLab listens (default: a free port from 8888)"
    )
    parser.add_argument("--no-jupyter", action="store_true", help="only make the copies, for use with another editor")
    options = parser.parse_args(argv)
    word = options.named or options.lesson
    chosen = lesson_named(word) if word else None
    there = prepare()
    lesson = chosen or next_lesson(there)
    if lesson not in there:
        raise UserError(f"Lesson {lesson.id} is not there yet: {copies.shown(lesson.student_notebook)} does not exist.")
    print(f"Lesson {lesson.id}, {lesson.title}: {copies.shown(lesson.work_notebook)}")
    if lesson.id == "01" and any(each.id == "00" for each in there):
        print("New to notebooks or tensors? Fifteen minutes of warming up: python -m minillm learn --lesson 00")
    if options.no_jupyter:
        return 0
    print("Ctrl-C here ends JupyterLab; what you saved stays.")
    return start(lesson, options.port, not options.no_browser)


def prepare() -> list[Lesson]:
    """Make the copies that are not there yet, and say what is new. Returns the lessons that there are."""
    there = [lesson for lesson in catalogue.lessons() if lesson.student_notebook.exists()]
    if not there:
        where = copies.shown(paths.LESSONS)
        raise UserError(f"There are no lessons in {where}/. `python -m minillm build` makes them from solutions/.")
    for lesson in there:
        for sentence in (copies.rescue(lesson), copies.hand_out(lesson)):
            if sentence:
                print(sentence)
        try:
            copies.working_copy(lesson)
            if copies.update_is_there(lesson):
                print(f"Lesson {lesson.id} has a new version: `python -m minillm update {lesson.id}` brings it in.")
        except UserError as problem:
            print(f"Lesson {lesson.id}: {problem}")
    return there


def next_lesson(there: list[Lesson]) -> Lesson:
    """The first graded lesson that is not finished; after the last, the last. The on-ramp 00 is only offered."""
    from minillm.course.progress import finished

    graded = [lesson for lesson in there if lesson.graded] or there
    return next((lesson for lesson in graded if not finished(lesson)), graded[-1])


def start(lesson: Lesson, port: int | None, browser: bool) -> int:
    """Run JupyterLab on the lesson until it is ended. Returns its exit status."""
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={paths.WORK}", "--ServerApp.answer_yes=True"]
    command += [f"--LabApp.default_url=/lab/tree/{lesson.work_notebook.name}", "--log-level=ERROR"]
    # The usual extension manager asks the network what there is.
    command += ["--LabApp.log_level=ERROR", "--LabApp.extension_manager=readonly"]
    command += ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # as in most containers
    command += [f"--port={port}"] if port else []
    command += [] if browser else ["--no-browser"]
    try:
        server = subprocess.Popen(command, cwd=paths.WORK, env=environment())
    except OSError as error:
        raise UserError(f"JupyterLab did not start: {error.strerror}.") from None
    while True:
        try:
            return server.wait()
        except KeyboardInterrupt:  # from a terminal JupyterLab got it too; asked twice, it ends once
            server.terminate()


def environment() -> dict[str, str]:
    """What JupyterLab is told: this interpreter is the kernel, this course can be imported, no news, no prompts."""
    home = _settings(paths.WORK / ".minillm" / "jupyter")
    package = str(Path(__file__).resolve().parents[2])
    return {
        **os.environ,
        "PYTHONPATH": _joined(package, "PYTHONPATH"),
        "JUPYTER_PATH": _joined(str(home), "JUPYTER_PATH"),
        "JUPYTER_CONFIG_PATH": _joined(str(home), "JUPYTER_CONFIG_PATH"),
        "MINILLM_WORK_DIR": str(paths.WORK),
    }


def _settings(home: Path) -> Path:
    """Write the kernel and the settings that JupyterLab reads from ``home``."""
    kernel = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"],
        "display_name": "Python 3 (minillm)",
        "language": "python",
    }
    files = {
        home / "kernels" / "python3" / "kernel.json": kernel,
        home / "labconfig" / "default_setting_overrides.json": _SETTINGS,
        home / "labconfig" / "page_config.json": _PAGE,
    }
    for path, content in files.items():
        atomic_write(path, json.dumps(content, indent=1) + "\n")
    return home


def _joined(first: str, variable: str) -> str:
    return os.pathsep.join(part for part in (first, os.environ.get(variable, "")) if part)
