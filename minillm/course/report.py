"""The report of a run: one HTML page that needs nothing but itself.

It holds what the executed lessons left behind: headline numbers, tables and sampled answers (`record`), the
plots with their captions, seeds, versions and seconds. Whatever comes from a notebook is escaped.
"""

import base64
import re
from dataclasses import dataclass, field
from html import escape
from typing import Any

from minillm.course.style import STYLE

_NUMBER = ' class="number"'


@dataclass
class Section:
    """One lesson in the report. status: "done", "failed" or "not run"; records: as `record.load` gives them."""

    id: str
    name: str
    title: str
    status: str = "done"
    seconds: float | None = None
    peak_bytes: int | None = None
    records: list[dict[str, Any]] = field(default_factory=list)
    notebook: dict[str, Any] | None = None
    error: str | None = None


@dataclass
class Report:
    """What the page shows. facts: label -> text, such as versions and the machine."""

    heading: str
    intro: str
    sections: list[Section]
    facts: dict[str, str]


@dataclass
class Figure:
    """One plot of an executed notebook. data: a data URI; heading: the heading it stands under."""

    data: str
    caption: str
    heading: str

    @property
    def alt(self) -> str:
        return f"Plot. {_ended(self.heading)} {self.caption}".strip()


def render(report: Report) -> str:
    """The whole page as text."""
    shown = [section for section in report.sections if section.status != "not run"]
    links = "".join(f'<li><a href="#lesson-{s.id}">{s.id} {escape(s.title)}</a></li>' for s in shown)
    body = "\n".join(_section(section) for section in shown)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(report.heading)}</title>
<style>{STYLE}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<header>
<h1>{escape(report.heading)}</h1>
<p class="intro">{escape(report.intro)}</p>
<nav aria-label="Lessons"><ul>{links}</ul></nav>
</header>
<main id="main">
{_overview(report.sections)}
{body}
</main>
<footer>
<h2>How this was made</h2>
{_facts(report.facts)}
</footer>
</body>
</html>
"""


def headline(records: list[dict[str, Any]], most: int = 6) -> list[str]:
    """The first numbers of a lesson as short texts: ``validation loss 1.23 nats/token``."""
    numbers = [f"{entry['name']} {value_text(entry)}" for entry in records if entry["kind"] == "number"]
    more = len(numbers) - most
    return numbers if more <= 1 else [*numbers[:most], f"and {more} more in the report"]


def value_text(entry: dict[str, Any]) -> str:
    """A recorded number with its unit and, in brackets, its interval."""
    unit = entry.get("unit") or ""
    gap = "" if unit in ("", "%", "x") else " "
    text = f"{_short(entry['value'])}{gap}{unit}"
    if entry.get("low") is not None and entry.get("high") is not None:
        text += f" [{_short(entry['low'])}, {_short(entry['high'])}]"
    return text


def figures(notebook: dict[str, Any]) -> list[Figure]:
    """The plots of an executed notebook, in order.

    A caption is the code cell's metadata ``caption`` where there is one, else the last sentence that the same
    cell printed.
    """
    found, heading = [], "Plot"
    for cell in notebook["cells"]:
        source = _text(cell["source"])
        if cell["cell_type"] == "markdown":
            titles = re.findall(r"^#{1,6}\s+(.+?)\s*$", source, flags=re.MULTILINE)
            heading = _plain(titles[-1]) if titles else heading
            continue
        outputs = cell.get("outputs", [])
        caption = cell["metadata"].get("caption") or _sentence(outputs)
        for output in outputs:
            data = _image(output.get("data", {}))
            if data:
                found.append(Figure(data, caption, heading))
    return found


def _overview(sections: list[Section]) -> str:
    rows = []
    for section in sections:
        numbers = "".join(f"<li>{item}</li>" for item in _first_numbers(section))
        seconds = "" if section.seconds is None else f"{section.seconds:.0f} s"
        title = f"{section.id} {escape(section.title)}"
        link = title if section.status == "not run" else f'<a href="#lesson-{section.id}">{title}</a>'
        rows.append(
            f'<tr><th scope="row">{link}</th><td>{_badge(section.status)}</td>'
            f'<td{_NUMBER}>{seconds}</td><td><ul class="plain">{numbers}</ul></td></tr>'
        )
    total = sum(section.seconds or 0 for section in sections)
    return (
        '<section aria-labelledby="overview"><h2 id="overview">At a glance</h2><div class="wide overview"><table>'
        '<thead><tr><th scope="col">Lesson</th><th scope="col">Status</th><th scope="col" class="number">Time</th>'
        f'<th scope="col">Headline numbers</th></tr></thead><tbody>{"".join(rows)}</tbody>'
        f'<tfoot><tr><th scope="row">All</th><td></td><td class="number">{total:.0f} s</td><td></td></tr></tfoot>'
        "</table></div></section>"
    )


def _first_numbers(section: Section, most: int = 6) -> list[str]:
    numbers = [entry for entry in section.records if entry["kind"] == "number"]
    items = [f"{escape(entry['name'])} <strong>{escape(value_text(entry))}</strong>" for entry in numbers]
    more = len(items) - most
    return items if more <= 1 else [*items[:most], f'<a href="#lesson-{section.id}">and {more} more</a>']


def _section(section: Section) -> str:
    parts = [f'<section id="lesson-{section.id}"><h2>{section.id} {escape(section.title)}</h2>']
    details = [f"{section.seconds:.0f} seconds" if section.seconds is not None else ""]
    details.append(f"at most {section.peak_bytes / 2**20:.0f} MB of memory" if section.peak_bytes else "")
    parts.append(f'<p class="quiet">{", ".join(text for text in details if text)}</p>')
    if section.error:
        parts.append(f'<div class="error" role="alert"><pre>{escape(section.error)}</pre></div>')
    numbers = [entry for entry in section.records if entry["kind"] == "number"]
    if numbers:
        parts.append(_numbers(numbers))
    parts += [_figure(figure) for figure in figures(section.notebook or {"cells": []})]
    parts += [_table(entry) for entry in section.records if entry["kind"] != "number"]
    parts.append("</section>")
    return "\n".join(parts)


def _numbers(entries: list[dict[str, Any]]) -> str:
    rows = []
    for entry in entries:
        seeds = entry.get("seeds")
        seeds = ", ".join(map(str, seeds)) if isinstance(seeds, list) else "" if seeds is None else str(seeds)
        rows.append({"what": entry["name"], "value": value_text(entry), "seeds": seeds})
    if not any(row["seeds"] for row in rows):
        rows = [{key: row[key] for key in ("what", "value")} for row in rows]
    return _table({"kind": "table", "name": "Numbers", "rows": rows})


def _table(entry: dict[str, Any]) -> str:
    rows = entry["rows"]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numeric = {column for column in columns if all(_is_number(row.get(column)) for row in rows)}
    head = "".join(f'<th scope="col"{_NUMBER if column in numeric else ""}>{escape(column)}</th>' for column in columns)
    body = "".join("<tr>" + "".join(_cell(row.get(column)) for column in columns) + "</tr>" for row in rows)
    note = f'<p class="quiet">{escape(entry["note"])}</p>' if entry.get("note") else ""
    return (
        f'<div class="wide {entry["kind"]}"><table><caption>{escape(entry["name"])}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    """A table cell; a pair of a text and a judgement gets a tick or a cross beside the text."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[1], bool | None):
        mark = {True: '<span class="good" aria-label="right">✓</span> ', None: ""}.get(
            value[1], '<span class="bad" aria-label="wrong">✗</span> '
        )
        return f"<td>{mark}{escape(str(value[0]))}</td>"
    if _is_number(value):
        return f"<td{_NUMBER}>{_short(value)}</td>"
    return f"<td>{escape('' if value is None else str(value))}</td>"


def _figure(figure: Figure) -> str:
    caption = f"<strong>{escape(_ended(figure.heading))}</strong> {escape(figure.caption)}"
    return (
        f'<figure><img src="{figure.data}" alt="{escape(figure.alt, quote=True)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _facts(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items()) + "</dl>"


def _badge(status: str) -> str:
    return f'<span class="badge {status.replace(" ", "-")}">{escape(status)}</span>'


def _image(data: dict[str, Any]) -> str | None:
    if "image/png" in data:
        return "data:image/png;base64," + "".join(_text(data["image/png"]).split())
    if "image/svg+xml" in data:
        return "data:image/svg+xml;base64," + base64.b64encode(_text(data["image/svg+xml"]).encode()).decode()
    return None


def _sentence(outputs: list[dict[str, Any]]) -> str:
    printed = [_text(out["text"]) for out in outputs if out["output_type"] == "stream" and out["name"] == "stdout"]
    lines = [line.strip() for text in printed for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _short(value: float | int | str) -> str:
    """Four figures are enough to read; whole numbers stay whole."""
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) < 100 else f"{value:.1f}"


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _ended(heading: str) -> str:
    return heading if heading.endswith((".", "?", "!", ":")) else f"{heading}."


def _plain(markdown: str) -> str:
    return re.sub(r"[`*_$]", "", markdown)
