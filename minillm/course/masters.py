"""Masters: the hand-written lessons in solutions/NN_name.py, read into cells.

A master is a Python file in jupytext's percent format. Code cells start with ``# %%``, text cells with
``# %% [markdown]``; what stands after it is the cell's metadata, ``tags=["exercise"] exercise="rms_norm"``.
This module parses and checks masters and turns worked solutions into blanks. It writes nothing.
"""

import json
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from minillm.course import catalogue
from minillm.course.catalogue import Exercise, Lesson

BEGIN, END = "# BEGIN SOLUTION", "# END SOLUTION"
MAX_LINES = 25
TAGS = {"setup", "exercise", "hints", "target", "check", "solution", "clinic"}
_HEADER = re.compile(r"^\{exercise (\w+)\}[ \t]*$", re.MULTILINE)
_MAGIC = re.compile(r"^# (?=[%!][a-z])")


class MasterError(ValueError):
    """A master is not as it should be; the message names the file, the line and what to do."""


@dataclass(frozen=True)
class Cell:
    """One cell. ``kind`` is "code" or "markdown"; ``line`` is where it starts in the master, from 1."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()
    exercise: str | None = None
    line: int = 0
    metadata: dict = field(default_factory=dict)

    def has(self, tag: str) -> bool:
        return tag in self.tags


def read(path: Path) -> list[Cell]:
    """The cells of the master at ``path``."""
    return parse(path.read_text(encoding="utf-8"), str(path.name))


def parse(text: str, name: str = "master") -> list[Cell]:
    """Cells from the text of a percent-format file. What stands before the first ``# %%`` is left out."""
    cells: list[Cell] = []
    start: int | None = None
    lines = text.splitlines()
    for number, line in enumerate([*lines, "# %%"]):
        if not re.match(r"^# %%(\s|$)", line):
            continue
        if start is not None:
            cells.append(_cell(lines[start], lines[start + 1 : number], start + 1, name))
        start = number
    return cells


def _cell(marker: str, body: list[str], line: int, name: str) -> Cell:
    kind, metadata = _options(marker[4:].strip(), line, name)
    while body and not body[0].strip():
        body = body[1:]
    while body and not body[-1].strip():
        body = body[:-1]
    if kind == "markdown":
        source = _uncomment(body)
    else:
        source = "\n".join(_MAGIC.sub("", each).rstrip() for each in body)
    tags = tuple(metadata.pop("tags", ()))
    unknown = set(tags) - TAGS
    if unknown:
        raise MasterError(
            f"{name}, line {line}: unknown tag {sorted(unknown)[0]!r}; tags are {', '.join(sorted(TAGS))}"
        )
    return Cell(kind, source, tags, metadata.pop("exercise", None), line, metadata)


def _options(text: str, line: int, name: str) -> tuple[str, dict]:
    """("code" or "markdown", metadata) from what follows ``# %%``."""
    kind = "code"
    if text.startswith("["):
        label, _, text = text[1:].partition("]")
        if label not in ("markdown", "md"):
            raise MasterError(f"{name}, line {line}: a cell is code or [markdown], not [{label}]")
        kind, text = "markdown", text.strip()
    metadata: dict = {}
    decoder = json.JSONDecoder()
    while text:
        match = re.match(r"(\w+)=", text)
        if not match:
            raise MasterError(f'{name}, line {line}: cannot read {text!r}; write key="value" after # %%')
        try:
            metadata[match[1]], end = decoder.raw_decode(text[match.end() :])
        except json.JSONDecodeError as error:
            raise MasterError(f"{name}, line {line}: the value of {match[1]} is not JSON: {error.msg}") from None
        text = text[match.end() + end :].strip()
    return kind, metadata


def _uncomment(body: list[str]) -> str:
    if body and body[0].startswith('"""'):
        return "\n".join(body).strip().removeprefix('"""').removesuffix('"""').strip("\n")
    return "\n".join(re.sub(r"^# ?", "", line).rstrip() for line in body).strip("\n")


def worked(source: str) -> str:
    """The source of a solution without its markers."""
    return "\n".join(line for line in source.splitlines() if line.strip() not in (BEGIN, END))


def stub(source: str, exercise: Exercise) -> str:
    """The source with what stands between the markers replaced by a ``raise`` that names the exercise."""
    lines, hiding, raised = [], False, False
    for line in source.splitlines():
        if line.strip() == BEGIN:
            hiding = True
            indent = line[: len(line) - len(line.lstrip())]
            lines.append(f'{indent}raise NotImplementedError("{exercise.label}")')
            raised = True
        elif line.strip() == END:
            hiding = False
        elif not hiding:
            lines.append(line)
    if not raised:
        raise MasterError(f"{exercise.name}: no {BEGIN!r} line in its cell, so nothing would be left to do")
    return "\n".join(lines)


def hidden(source: str) -> list[str]:
    """The lines between the markers: what must not reach a student's notebook."""
    lines, hiding = [], False
    for line in source.splitlines():
        if line.strip() in (BEGIN, END):
            hiding = line.strip() == BEGIN
        elif hiding:
            lines.append(line)
    return lines


def header(exercise: Exercise) -> str:
    """The line over an exercise: number, points, difficulty, minutes, what it stands on."""
    points = f"{exercise.points} point{'s' if exercise.points != 1 else ''}"
    text = f"**Exercise {exercise.number} · `{exercise.name}`** — {points}"
    text += f" · difficulty {exercise.difficulty}/5 · about {exercise.minutes} minutes"
    if exercise.needs:
        needs = ", ".join(f"`{need}` ({catalogue.exercise(need).number})" for need in exercise.needs)
        text += f" · *you need: {needs}*"
    return text


def with_headers(source: str) -> str:
    """Markdown with every ``{exercise name}`` line replaced by the header of that exercise."""
    return _HEADER.sub(lambda match: header(catalogue.exercise(match[1])), source)


def hints_of(source: str) -> list[tuple[str, str]]:
    """(title, text) of each hint. Hints are separated by lines ``---``; the first line of each is its title."""
    hints = []
    for part in re.split(r"^---[ \t]*$", source, flags=re.MULTILINE):
        title, _, text = part.strip().partition("\n")
        if title:
            hints.append((title.strip().strip("*#").strip(), text.strip()))
    return hints


def folded(source: str) -> str:
    """Hints inside one another as <details>, so that the second can be opened only from the first."""
    opening, hints = [], hints_of(source)
    for number, (title, text) in enumerate(hints, start=1):
        title = re.sub(r"^hint \d+:?\s*", "", title, flags=re.IGNORECASE)
        opening.append(f"<details><summary>Hint {number}: {title}</summary>\n\n{text}\n")
    return "\n".join(opening) + "\n" + "</details>" * len(hints)


def problems(cells: list[Cell], lesson: Lesson) -> list[str]:
    """Everything that is wrong with a master, one sentence each; an empty list where all is well."""
    found = [
        f"line {cell.line}: {len(cell.source.splitlines())} lines of code in one cell; at most {MAX_LINES}, split it"
        for cell in cells
        if cell.kind == "code" and not cell.has("exercise") and len(cell.source.splitlines()) > MAX_LINES
    ]
    code = [cell for cell in cells if cell.kind == "code"]
    if not code or not code[0].has("setup"):
        found.append('the first code cell must be tagged "setup"')
    names = {exercise.name for exercise in lesson.exercises}
    for cell in cells:
        if cell.exercise is not None and cell.exercise not in names:
            found.append(f"line {cell.line}: exercise {cell.exercise!r} is not in the catalogue of lesson {lesson.id}")
        if cell.exercise is None and (cell.has("exercise") or cell.has("hints")):
            found.append(f'line {cell.line}: say which exercise: exercise="name"')
    for exercise in lesson.exercises:
        found += _problems_of(cells, exercise)
    return found


def _problems_of(cells: list[Cell], exercise: Exercise) -> list[str]:
    name, found = exercise.name, []
    blanks = [cell for cell in cells if cell.has("exercise") and cell.exercise == name]
    if len(blanks) != 1:
        return [f"{name}: {len(blanks)} exercise cells, there must be one"]
    source, line = blanks[0].source, blanks[0].line
    begins = sum(each.strip() == BEGIN for each in source.splitlines())
    if begins == 0 or begins != sum(each.strip() == END for each in source.splitlines()):
        found.append(f"{name}, line {line}: needs lines {BEGIN!r} and {END!r}, as many of one as of the other")
    if not _defines(source, name):
        found.append(f"{name}, line {line}: its cell defines no function or class of that name")
    if not 3 <= len([each for each in hidden(source) if each.strip()]) <= MAX_LINES:
        found.append(f"{name}, line {line}: a blank is 3 to {MAX_LINES} lines, not {len(hidden(source))}")
    again = [
        cell.line for cell in cells if cell is not blanks[0] and cell.kind == "code" and _defines(cell.source, name)
    ]
    if again:
        found.append(f"{name}: the cell at line {again[0]} defines it too; use another name, or it counts as an answer")
    hints = [cell for cell in cells if cell.has("hints") and cell.exercise == name]
    if len(hints) != 1 or hints[0].kind != "markdown":
        found.append(f"{name}: {len(hints)} hints cells, there must be one, in markdown")
    elif not 2 <= len(hints_of(hints[0].source)) <= 3 or not all(text for _, text in hints_of(hints[0].source)):
        found.append(
            f"{name}, line {hints[0].line}: two or three hints, each a title line and a text, separated by ---"
        )
    if sum(match == name for cell in cells if cell.kind == "markdown" for match in _HEADER.findall(cell.source)) != 1:
        found.append(f"{name}: no line {{exercise {name}}} in the text before it (or more than one)")
    if not any(cell.kind == "code" and re.search(rf"check\([\"']{name}[\"']\)", cell.source) for cell in cells):
        found.append(f'{name}: no cell check("{name}")')
    return found


def _defines(source: str, name: str) -> bool:
    return re.search(rf"^(def|class) {name}\b|^{name}\s*=", source, re.MULTILINE) is not None


def validate(path: Path, lesson: Lesson) -> list[Cell]:
    """The cells of a master that is as it should be; MasterError lists everything that is not."""
    cells = read(path)
    found = problems(cells, lesson)
    if found:
        raise MasterError(f"{path.name}:\n" + textwrap.indent("\n".join(found), "  "))
    return cells
