"""Headline numbers, tables and sampled answers that a lesson leaves behind for the report.

A lesson calls ``record("validation loss", 1.23, unit="nats/token")`` where it prints the number. Outside a
run of ``python -m minillm run`` nothing happens, so that the same cells serve a student. Within one, each
call appends one line of JSON to ``$MINILLM_RECORD_DIR/NN.jsonl``; the report reads them back with `load`.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from minillm import paths


def record(
    name: str,
    value: float,
    unit: str | None = None,
    low: float | None = None,
    high: float | None = None,
    seeds: int | Sequence[int] | None = None,
) -> None:
    """Keep one number for the headline table: ``record("compliance", 0.35, low=0.31, high=0.39, seeds=[0])``.

    value, low, high: anything that ``float`` takes, a 0-d tensor among them; low and high bound an interval.
    unit: as it is to be printed, "%" and "nats/token" alike (a share with the unit "%" is 0 to 1 times 100:
    pass what is to be shown). seeds: the seeds, or how many. A later call with the same name replaces the earlier.
    """
    _append(
        {
            "kind": "number",
            "name": str(name),
            "value": _number(value),
            "unit": unit,
            "low": _number(low),
            "high": _number(high),
            "seeds": _plain(seeds),
        }
    )


def record_answers(title: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Keep sampled answers: each row maps a column to its text, such as ``{"prompt": ..., "base": ..., "sft": ...}``.

    A text may be a pair ``(text, good)``, which the report marks with a tick or a cross (nothing where good is None).
    """
    _append({"kind": "answers", "name": str(title), "rows": _rows(rows)})


def record_table(title: str, rows: Iterable[Mapping[str, Any]], note: str | None = None) -> None:
    """Keep a small table for the report; the columns are the keys of the rows, in the order they first appear."""
    _append({"kind": "table", "name": str(title), "rows": _rows(rows), "note": note})


def load(path: Path | str) -> list[dict[str, Any]]:
    """What one lesson recorded, in order, of entries with the same kind and name the last; [] without a file."""
    entries: dict[tuple[str, str], dict[str, Any]] = {}
    path = Path(path)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # the last line of a run that was killed while it wrote
            continue
        entries[entry["kind"], entry["name"]] = entry
    return list(entries.values())


def _append(entry: dict[str, Any]) -> None:
    folder = paths.record_dir()
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    line = json.dumps(entry, ensure_ascii=False, allow_nan=False) + "\n"
    lesson = os.environ.get("MINILLM_LESSON", "other")
    with open(folder / f"{lesson}.jsonl", "a", encoding="utf-8", newline="\n") as file:
        file.write(line)  # one short write: a line is there or not


def _rows(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{str(key): _plain(value) for key, value in row.items()} for row in rows]


def _number(value: Any) -> float | str | None:
    """A float, or its name where JSON has none for it ("nan", "inf")."""
    if value is None:
        return None
    number = float(value)
    return number if math.isfinite(number) else str(number)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, list | tuple | range):
        return [_plain(item) for item in value]
    try:
        return _number(value)
    except (TypeError, ValueError):
        return str(value)
