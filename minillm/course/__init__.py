"""The course machinery: lessons are built from masters, exercises are loaded, checked and reported.

What a notebook imports: ``check`` an exercise, ``carry`` an earlier one forward, ``record`` a number for the
report, ``diagnose`` a broken run.
Importing this package is cheap; torch is loaded at the first use.
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
