"""Lessons from masters: the student's notebook with its blanks, and the solution notebook with its outputs.

    python -m minillm build              rewrite lessons/*.ipynb and solutions/*.ipynb from solutions/*.py
    python -m minillm build --execute 02 run the solution notebook of lesson 02 first, and keep what it shows
    python -m minillm build --check      only say which notebooks a build would change

A build is a function of the masters, and, for the target pictures, of the outputs that stand in the solution
notebooks: the same input gives the same bytes. Outputs are kept where the cell that made them has not changed.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minillm import paths
from minillm.course import catalogue, masters, notebooks
from minillm.course.catalogue import Lesson
from minillm.course.masters import Cell, MasterError
from minillm.course.names import UserError, lesson_named
from minillm.files import atomic_write

Notebook = dict[str, Any]
KERNEL = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}
_WIDGET = "application/vnd.jupyter.widget-view+json"
_MACHINE = re.compile(r"/tmp/ipykernel_\d+/\d+\.py|0x[0-9a-f]{8,}")


def main(argv: Sequence[str] | None = None) -> int:
    """Build, or check, the lessons that are named (all that have a master by default)."""
    parser = argparse.ArgumentParser(
        prog="python -m minillm build", description="Build the notebooks from the masters."
    )
    parser.add_argument("lessons", nargs="*", metavar="NN", help="lessons to build; default: all")
    parser.add_argument("--execute", action="store_true", help="run the solution notebooks and keep their outputs")
    parser.add_argument("--check", action="store_true", help="write nothing; say what a build would change")
    options = parser.parse_args(argv)
    chosen = [lesson_named(name) for name in options.lessons] or list(catalogue.lessons())
    chosen = [lesson for lesson in chosen if lesson.master.is_file() or options.lessons]
    if options.check:
        return _check(chosen)
    for lesson in chosen:
        for path in build(lesson, execute=options.execute):
            print(f"wrote {path.relative_to(paths.ROOT)}")
    return 0


def build(lesson: Lesson, execute: bool = False) -> list[Path]:
    """Write both notebooks of a lesson, where they change; returns what was written."""
    solution = solution_notebook(lesson)
    _keep_outputs(solution, _existing(lesson.solution_notebook))
    if execute:
        _execute(solution, lesson)
    written = [
        _write(lesson.solution_notebook, solution),
        _write(lesson.student_notebook, student_notebook(lesson, solution)),
    ]
    return [path for path in written if path is not None]


def stale(lesson: Lesson) -> list[Path]:
    """The notebooks of a lesson that a build would change: any byte of the student's, any source of the solution's."""
    solution, existing = solution_notebook(lesson), _existing(lesson.solution_notebook)
    found = []
    if existing is None or _sources(existing) != _sources(solution):
        found.append(lesson.solution_notebook)
    _keep_outputs(solution, existing)
    path = lesson.student_notebook
    if not path.is_file() or path.read_text(encoding="utf-8") != dumps(student_notebook(lesson, solution)):
        found.append(path)
    return found


def solution_notebook(lesson: Lesson) -> Notebook:
    """The solution notebook of a lesson, without outputs."""
    cells = []
    for cell in _master(lesson):
        source = masters.worked(cell.source) if cell.has("exercise") else _text(cell)
        cells.append(_cell(cell, source))
    return _notebook(lesson, cells)


def student_notebook(lesson: Lesson, solution: Notebook | None = None) -> Notebook:
    """The student's notebook: stubs for solutions, hints folded, the targets of ``solution`` after their cells."""
    shown = {cell["id"]: cell.get("outputs", []) for cell in (solution or {"cells": []})["cells"]}
    solutions = iter(solution_notebook(lesson)["cells"])
    cells = []
    for cell in _master(lesson):
        identity = next(solutions)["id"]
        if cell.has("clinic") and (pictures := _pictures(shown.get(identity, []))) is not None:
            cells.append(pictures)
        if cell.has("solution") or cell.has("clinic"):
            continue
        cells.append(_cell(cell, _stub(cell) if cell.has("exercise") else _text(cell)))
        if cell.has("target") and (target := _target(shown.get(identity, []))) is not None:
            cells.append(target)
    return _notebook(lesson, cells)


def dumps(notebook: Notebook) -> str:
    """A notebook as the text of its file, in the form in which Jupyter itself would write it."""
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _master(lesson: Lesson) -> list[Cell]:
    try:
        return masters.validate(lesson.master, lesson)
    except FileNotFoundError:
        raise UserError(
            f"There is no master {lesson.master.name} in solutions/, so lesson {lesson.id} cannot be built."
        ) from None
    except MasterError as error:
        raise UserError(f"A master is not as it should be. {error}") from None


def _stub(cell: Cell) -> str:
    return masters.stub(cell.source, catalogue.exercise(cell.exercise or ""))


def _text(cell: Cell) -> str:
    if cell.has("hints"):
        return masters.folded(cell.source)
    return masters.with_headers(cell.source) if cell.kind == "markdown" else cell.source


def _cell(cell: Cell, source: str) -> dict[str, Any]:
    """A notebook cell from a master's; an exercise also carries the fingerprint of its blank."""
    from minillm.course.exercises import fingerprint

    metadata: dict[str, Any] = {**cell.metadata, **({"tags": list(cell.tags)} if cell.tags else {})}
    if cell.exercise is not None:
        metadata["exercise"] = cell.exercise
    if cell.has("exercise"):
        metadata["stub"] = fingerprint(_stub(cell))
    built = {"cell_type": cell.kind, "metadata": metadata, "source": source.splitlines(keepends=True)}
    return {**built, "execution_count": None, "outputs": []} if cell.kind == "code" else built


def _notebook(lesson: Lesson, cells: list[dict[str, Any]]) -> Notebook:
    """Cells as a notebook, each with an id that depends on nothing but itself and its equals before it."""
    seen: Counter[str] = Counter()
    for cell in cells:
        name = cell["metadata"].get("exercise") if "exercise" in cell["metadata"].get("tags", ()) else None
        base = f"exercise-{name}" if name else _digest(cell)
        seen[base] += 1
        cell["id"] = base if seen[base] == 1 else f"{base}-{seen[base]}"
    return {
        "cells": cells,
        "metadata": {**KERNEL, "minillm": {"lesson": lesson.name}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _digest(cell: dict[str, Any]) -> str:
    return hashlib.sha256(f"{cell['cell_type']}:{''.join(cell['source'])}".encode()).hexdigest()[:12]


def _target(outputs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A folded cell with what the worked solution drew, or printed where it drew nothing."""
    pictures = [each["data"]["image/png"] for each in outputs if "image/png" in each.get("data", {})]
    printed = "".join("".join(each["text"]) for each in outputs if each.get("name") == "stdout").strip()
    if not pictures and not printed:
        return None
    names = [f"target-{number}.png" for number in range(1, len(pictures) + 1)]
    body = "\n\n".join(f"![what the worked solution draws](attachment:{name})" for name in names)
    body = body or f"```text\n{printed}\n```"
    source = f"<details><summary>What right looks like</summary>\n\n{body}\n\n</details>"
    attachments = {name: {"image/png": "".join(picture).strip()} for name, picture in zip(names, pictures)}
    cell = {"cell_type": "markdown", "metadata": {"tags": ["shown"]}, "source": source.splitlines(keepends=True)}
    return {**cell, "attachments": attachments} if attachments else cell


def _pictures(outputs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """A cell with what a broken run drew, and nothing of how it was broken."""
    drawn = [each["data"]["image/png"] for each in outputs if "image/png" in each.get("data", {})]
    if not drawn:
        return None
    names = [f"clinic-{number}.png" for number in range(1, len(drawn) + 1)]
    source = "\n\n".join(f"![what the broken code draws](attachment:{name})" for name in names)
    attachments = {name: {"image/png": "".join(picture).strip()} for name, picture in zip(names, drawn)}
    cell = {"cell_type": "markdown", "metadata": {"tags": ["shown"]}, "source": source.splitlines(keepends=True)}
    return {**cell, "attachments": attachments}


def _existing(path: Path) -> Notebook | None:
    return notebooks.read(path) if path.is_file() else None


def _sources(notebook: Notebook) -> list[tuple[str, str, str]]:
    """What of a notebook comes from its master: type, metadata and source of each cell."""
    return [
        (cell["cell_type"], json.dumps(cell.get("metadata", {}), sort_keys=True), notebooks.source(cell))
        for cell in notebook["cells"]
    ]


def _keep_outputs(notebook: Notebook, existing: Notebook | None) -> None:
    """Give each code cell the outputs of the cell with the same id and source in ``existing``."""
    before = {cell.get("id"): cell for cell in (existing or {"cells": []})["cells"]}
    for cell in notebook["cells"]:
        old = before.get(cell["id"])
        if cell["cell_type"] == "code" and old is not None and notebooks.source(old) == notebooks.source(cell):
            cell["outputs"], cell["execution_count"] = old.get("outputs", []), old.get("execution_count")


def _execute(notebook: Notebook, lesson: Lesson) -> None:
    """Run every cell with the reference's functions and checkpoints, and keep what it shows."""
    import nbformat
    from tqdm import tqdm

    from minillm.course.execute import CellFailed, Progress, execute

    node = nbformat.reads(dumps(notebook), as_version=4)
    environment = {"MINILLM_SOURCE": "reference", "MINILLM_LESSON": lesson.id}
    with tqdm(total=0, desc=lesson.name, unit="cell", file=sys.stderr) as bar:

        def show(progress: Progress) -> None:
            bar.total, bar.n = progress.total, progress.done
            bar.set_postfix_str(progress.line[:60])

        try:
            execute(node, Progress(), cwd=paths.ROOT, environment=environment, on_change=show)
        except CellFailed as failure:
            raise UserError(f"{lesson.master.name}: {failure.message()}") from None
    for cell, executed in zip(notebook["cells"], node.cells):
        if cell["cell_type"] == "code":
            outputs = json.loads(json.dumps(executed.outputs))
            cell["outputs"], cell["execution_count"] = scrubbed(outputs), executed.execution_count


def scrubbed(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Outputs without what belongs to one machine or one moment: widgets, overwritten bars, paths, addresses."""
    kept: list[dict[str, Any]] = []
    for output in outputs:
        output = {key: value for key, value in output.items() if key != "transient"}
        if output["output_type"] == "stream":
            text = _cleaned("".join(output["text"]))
            if text.strip():
                kept.append({**output, "text": text.splitlines(keepends=True)})
            continue
        data = {kind: value for kind, value in output.get("data", {}).items() if kind != _WIDGET}
        if "data" in output:
            if _WIDGET in output["data"] or not data:
                continue
            texts = {kind: _lines(value) for kind, value in data.items() if kind.startswith("text/")}
            output = {**output, "data": {**data, **texts}}
            output.get("metadata", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if output["output_type"] == "execute_result":
            output["execution_count"] = output.get("execution_count")
        kept.append(output)
    return kept


def _lines(value: str | list[str]) -> list[str]:
    return _MACHINE.sub("...", "".join(value).replace(str(paths.ROOT), ".")).splitlines(keepends=True)


def _cleaned(text: str) -> str:
    """Text as a terminal would show it in the end: of a line that was overwritten, the last state."""
    lines = [re.split(r"\r(?!\n)", line.removesuffix("\r"))[-1] for line in text.split("\n")]
    return _MACHINE.sub("...", "\n".join(lines).replace(str(paths.ROOT), "."))


def _write(path: Path, notebook: Notebook) -> Path | None:
    text = dumps(notebook)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return None
    return atomic_write(path, text)


def _check(lessons: Sequence[Lesson]) -> int:
    found = [path for lesson in lessons for path in stale(lesson)]
    for path in found:
        print(f"{path.relative_to(paths.ROOT)} is not what its master gives; run: python -m minillm build")
    if not found:
        print(f"{2 * len(lessons)} notebooks are what their masters give")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
