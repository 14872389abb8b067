"""Reading and writing notebook files as plain data, with one clear sentence for each thing that can be wrong."""

import json
from pathlib import Path
from typing import Any

from minillm import paths
from minillm.course.names import UserError
from minillm.files import atomic_write

Notebook = dict[str, Any]
Cell = dict[str, Any]


def read(path: Path) -> Notebook:
    """The notebook at ``path``. UserError says in one sentence why it cannot be read; the file is never touched."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"There is no notebook {path}.") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a text file, so it is no notebook.{_untouched(path)}") from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}.") from None
    if not text.strip():
        raise UserError(f"{path} is empty.{_untouched(path)}")
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError):
        marks = " It holds the marks of an unfinished git merge." if "<<<<<<<" in text else ""
        raise UserError(f"{path} is not a notebook: it is not valid JSON.{marks}{_untouched(path)}") from None
    if not _is_notebook(notebook):
        raise UserError(f"{path} is JSON, but not a notebook of format 4: it has no list of cells.{_untouched(path)}")
    return notebook


def write(path: Path, notebook: Notebook) -> Path:
    """Write in one step, as Jupyter does: indented by one space, a newline at the end."""
    return atomic_write(path, json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def source(cell: Cell) -> str:
    """The text of a cell: files hold it as one string or as a list of lines."""
    text = cell.get("source", "")
    return text if isinstance(text, str) else "".join(text)


def set_source(cell: Cell, text: str) -> None:
    """Replace the text of a code cell; outputs of the old text go."""
    cell["source"] = text.splitlines(keepends=True)
    if cell["cell_type"] == "code":
        cell["outputs"], cell["execution_count"] = [], None


def tags(cell: Cell) -> list[str]:
    return cell.get("metadata", {}).get("tags", [])


def exercise_cells(notebook: Notebook) -> dict[str, Cell]:
    """Exercise name -> the code cell in which it is to be written; the first where a cell was copied."""
    found: dict[str, Cell] = {}
    for cell in notebook["cells"]:
        name = cell.get("metadata", {}).get("exercise")
        if cell["cell_type"] == "code" and name and "exercise" in tags(cell):
            found.setdefault(name, cell)
    return found


def code_of(notebook: Notebook) -> str:
    """The code of all cells, to see whether anything that matters has changed."""
    return "\n\n".join(source(cell) for cell in notebook["cells"] if cell["cell_type"] == "code")


def _is_notebook(notebook: Any) -> bool:
    return (
        isinstance(notebook, dict)
        and isinstance(notebook.get("cells"), list)
        and all(isinstance(cell, dict) and "cell_type" in cell for cell in notebook["cells"])
    )


def _untouched(path: Path) -> str:
    """What has become of a file that cannot be read, and, for a student's copy, the way on."""
    if path.parent != paths.WORK:
        return " It was left as it is."
    start = f"`python -m minillm reset {path.stem}` starts the lesson anew and keeps this file as a backup"
    return f" It was left as it is. Jupyter may have an older state in .ipynb_checkpoints beside it; {start}."
