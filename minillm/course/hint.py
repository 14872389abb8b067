"""``python -m minillm hint EXERCISE``: one more hint each time, never all at once unless asked for."""

import argparse
import re
from collections.abc import Sequence

from minillm.course import copies, notebooks
from minillm.course.catalogue import Exercise, lesson_of
from minillm.course.names import UserError, exercise_named

_SUMMARY = re.compile(r"<details>\s*<summary>(.*?)</summary>", re.DOTALL)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m minillm hint",
        description="Show the next hint of an exercise. Ask again for the one after it.",
    )
    parser.add_argument("exercise", help="name or number, such as rms_norm or 2.1")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--level", type=int, metavar="N", help="show hint number N")
    which.add_argument("--all", action="store_true", help="show every hint")
    options = parser.parse_args(argv)
    exercise = exercise_named(options.exercise)
    hints = hints_for(exercise)
    if not hints:
        raise UserError(f"There are no hints for {exercise.name}.")
    seen = copies.remembered("hints")
    already = min(int(seen.get(exercise.name, 0)), len(hints))
    if options.level is not None and not 1 <= options.level <= len(hints):
        raise UserError(f"{exercise.name} has hints 1 to {len(hints)}, not {options.level}.")
    last = len(hints) if options.all else options.level or min(already + 1, len(hints))
    for number in range(1, last + 1) if options.all else [last]:
        title, text = hints[number - 1]
        print(f"{exercise.name} ({exercise.number}), hint {number} of {len(hints)}: {title}\n\n{text}\n")
    copies.remember("hints", {**seen, exercise.name: max(last, already)})
    if last < len(hints):
        print(f"One more: python -m minillm hint {exercise.name}")
    else:
        print("That is the last hint. The worked solution, with its plots, is in solutions/.")
    return 0


def hints_for(exercise: Exercise) -> list[tuple[str, str]]:
    """(title, text) of each hint, in order, from the shipped lesson: the student's copy may have lost them."""
    for cell in copies.shipped(lesson_of(exercise.name))["cells"]:
        if cell["cell_type"] != "code" and "hints" in notebooks.tags(cell):
            if cell["metadata"].get("exercise") == exercise.name:
                return unfold(notebooks.source(cell))
    return []


def unfold(text: str) -> list[tuple[str, str]]:
    """(title, text) of hints that are folded inside one another as <details>."""
    pieces = _SUMMARY.split(text.replace("</details>", ""))
    titles = [re.sub(r"^Hint \d+:\s*", "", title.strip()) for title in pieces[1::2]]
    return [(title, body.strip()) for title, body in zip(titles, pieces[2::2])]
