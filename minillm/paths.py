"""Where things live, and the few settings that come from the environment.

Settings:
    MINILLM_WORK_DIR     the student's folder (default: work/ beside this package)
    MINILLM_SOURCE       whose functions and checkpoints the lessons use: "mine" or "reference"
    MINILLM_SMOKE        "1" shortens every training run to a few steps, to test that lessons run
    MINILLM_RECORD_DIR   folder in which a lesson leaves its headline numbers for the report
    MINILLM_RUN_DIR      folder of the run at hand, for the reference's checkpoints (default: runs/latest or runs/smoke)
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CHECKPOINTS = DATA / "checkpoints"
LESSONS = ROOT / "lessons"
SOLUTIONS = ROOT / "solutions"
TESTS = ROOT / "tests"
EXERCISES = TESTS / "exercises"
RUNS = ROOT / "runs"
WORK = Path(os.environ.get("MINILLM_WORK_DIR", ROOT / "work")).resolve()


def smoke() -> bool:
    """True where every long run is to be cut short."""
    return os.environ.get("MINILLM_SMOKE", "") == "1"


def source() -> str:
    """Whose functions and checkpoints to use: "mine" (the student's, where they pass) or "reference"."""
    value = os.environ.get("MINILLM_SOURCE", "mine")
    if value not in ("mine", "reference"):
        raise ValueError(f'MINILLM_SOURCE must be "mine" or "reference", got {value!r}')
    return value


def record_dir() -> Path | None:
    """The folder for headline numbers, or None where nobody collects them."""
    value = os.environ.get("MINILLM_RECORD_DIR")
    return Path(value) if value else None


def run_dir() -> Path:
    """The folder of the run at hand."""
    return Path(os.environ.get("MINILLM_RUN_DIR") or RUNS / ("smoke" if smoke() else "latest"))
