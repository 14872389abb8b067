"""What a run is to do and what it has done: the lessons, their inputs as a hash, the results on the disk."""

import hashlib
import json
import platform
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path

from minillm import paths
from minillm.course import notebooks
from minillm.course.catalogue import Lesson
from minillm.course.names import UserError
from minillm.files import atomic_write

# Modules that only present or start things: a change in them leaves every result as it is.
PRESENTATION = set(
    "cli copies execute hint job learn names notebooks progress report reset run screen ship style update".split()
)


@dataclass(frozen=True)
class Job:
    """What to run. source: "reference" (the worked solutions) or "mine" (the notebooks in work/)."""

    source: str
    folder: Path
    smoke: bool
    lessons: tuple[Lesson, ...]

    def origin(self, lesson: Lesson) -> Path:
        """The file that the lesson is executed from."""
        return lesson.master if self.source == "reference" else lesson.work_notebook

    def executed(self, lesson: Lesson) -> Path:
        return self.folder / "notebooks" / f"{lesson.name}.ipynb"

    def records(self, lesson: Lesson) -> Path:
        return self.folder / "records" / f"{lesson.id}.jsonl"

    def environment(self, lesson: Lesson) -> dict[str, str]:
        """What the lesson's kernel is told (see `minillm.paths`)."""
        return {
            "MINILLM_SOURCE": self.source,
            "MINILLM_RUN_DIR": str(self.folder),
            "MINILLM_RECORD_DIR": str(self.folder / "records"),
            "MINILLM_LESSON": lesson.id,
            "MINILLM_SMOKE": "1" if self.smoke else "0",
            "MINILLM_WORK_DIR": str(paths.WORK),
        }

    def key(self, lesson: Lesson, before: list[Lesson]) -> str:
        """A hash of all that the lesson's results depend on; the lessons ``before`` it leave checkpoints for it.

        Shipped checkpoints are compared one by one instead, by `same_shipped`.
        """
        versions = f"{platform.python_version()} {metadata.version('torch')}"
        parts = [self.source, str(self.smoke), versions, library(), _data()]
        parts += [self._content(each) for each in [*before, lesson]]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def shipped(self, lesson: Lesson) -> dict[str, str]:
        """Stage -> hash of each shipped checkpoint that the lesson would load, had it to be run now.

        A stage of the run's own is loaded in place of the shipped one, so that shipping what a run made changes
        nothing for it. A lesson that loads no stage has none.
        """
        origin = self.origin(lesson)
        if not origin.exists() or b"load_stage" not in origin.read_bytes():
            return {}
        own = self._own_stages()
        found = [path for path in sorted(paths.CHECKPOINTS.glob("*.safetensors")) if path.stem not in own]
        return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in found}

    def same_shipped(self, lesson: Lesson, before: "Result") -> bool:
        """Are the shipped checkpoints that count what they were? A stage that the run has made since does not count."""
        own = self._own_stages()
        return self.shipped(lesson) == {stage: each for stage, each in before.shipped.items() if stage not in own}

    def _own_stages(self) -> set[str]:
        """The stages that the run's lessons find before they look among the shipped ones (see `minillm.stages`)."""
        folder = paths.WORK if self.source == "mine" and not self.smoke else self.folder
        return {path.stem for path in (folder / "checkpoints").glob("*.safetensors")}

    def _content(self, lesson: Lesson) -> str:
        path = self.origin(lesson)
        if not path.exists():
            return "-"
        content = path.read_bytes()
        if path.suffix == ".ipynb":
            with suppress(UserError):  # one that cannot be read counts by its bytes
                content = notebooks.code_of(notebooks.read(path)).encode()
        return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Result:
    """How one lesson went. status: "done" or "failed"; key: the hash of its inputs, but for the shipped checkpoints."""

    status: str
    key: str
    seconds: float
    peak_bytes: int
    finished: str
    error: str | None = None
    shipped: dict[str, str] = field(default_factory=dict)


def load_results(folder: Path) -> dict[str, Result]:
    """Lesson id -> Result of earlier runs in ``folder``; an unreadable file counts as none."""
    try:
        saved = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {lesson: Result(**entry) for lesson, entry in saved.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def save_results(folder: Path, results: dict[str, Result]) -> None:
    atomic_write(folder / "state.json", json.dumps({k: asdict(v) for k, v in results.items()}, indent=1) + "\n")


@cache
def library() -> str:
    """A hash of the package, but for the modules that only present things."""
    package = Path(__file__).resolve().parents[1]
    modules = sorted(package.rglob("*.py"))
    presenting = {package / "course" / f"{name}.py" for name in PRESENTATION}
    return _hash(package, [path for path in modules if path not in presenting])


@cache
def _data() -> str:
    """The toy data and the tokenizer, not the checkpoints (see `Job.shipped`)."""
    found = [path for path in paths.DATA.rglob("*") if path.is_file() and path.suffix in (".txt", ".json", ".jsonl")]
    return _hash(paths.DATA, sorted(found))


def _hash(folder: Path, files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()
