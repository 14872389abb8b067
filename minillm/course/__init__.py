"""The course machinery: lessons are built from masters, exercises are loaded, checked and reported.

What a notebook imports: ``check`` an exercise, ``carry`` an earlier one forward, ``record`` a number for the
report, ``diagnose`` a broken run.
Importing this package is cheap; torch is loaded at the first use.

Which file holds what:

    names of things      catalogue (lessons and exercises), names (what people type)
    from master to page  masters (read), build (written as notebooks), notebooks (their files)
    an exercise          exercises (load a function), testing (find and run its tests), handle and props (how a test
                         calls it), expect (what a test says), check (what the student sees)
    used in a lesson     record (numbers for the report), clinic (broken runs to diagnose)
    the student's copy   learn, copies, update, reset, hint, progress
    running the course   run (the command), job (what is to be done), execute (one notebook), screen (the terminal),
                         report and style (the page at the end), ship (what becomes part of data/)
    the command line     cli
"""

from typing import Any

from minillm.course.check import check
from minillm.course.clinic import diagnose
from minillm.course.record import record, record_answers, record_table

__all__ = ["carry", "check", "diagnose", "record", "record_answers", "record_table"]


def carry(*names: str) -> Any:
    """Functions of earlier lessons: the student's own where they pass their checks, else the reference."""
    from minillm.course.exercises import carry

    return carry(*names)
