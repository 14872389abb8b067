"""Every exercise test runs twice: on the reference solution and on the student's own notebook.

An untouched blank is skipped as "not attempted". The scoreboard at the end counts whole exercises, so that an empty
notebook never looks like work done.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from minillm import paths
from minillm.course import catalogue, exercises, testing
from minillm.course.expect import CheckFailure, NotAttempted
from minillm.course.handle import LocalHandle

OUTCOMES = pytest.StashKey[dict]()
KILLS = pytest.StashKey[dict]()
WHO = {"reference": "reference", "work": "your work"}


def pytest_configure(config: pytest.Config) -> None:
    config.stash[OUTCOMES] = defaultdict(lambda: defaultdict(list))
    config.stash[KILLS] = defaultdict(list)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if hasattr(metafunc.function, "exercise"):
        metafunc.parametrize("handle", list(WHO), indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of an exercise, gates included, can be picked with -m or -k and the name of the exercise."""
    for item in items:
        if (name := exercise_of(item)) is not None:
            item.add_marker(getattr(pytest.mark, name))
            item.extra_keyword_matches.add(name)


def exercise_of(item: pytest.Item) -> str | None:
    """The exercise that a test is about, or None."""
    if hasattr(getattr(item, "function", None), "exercise"):
        return item.function.exercise
    if Path(__file__).parent not in item.path.parents:
        return None
    values = getattr(getattr(item, "callspec", None), "params", {})
    return values.get("name") or getattr(values.get("sample"), "exercise", None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an exercise test as ``check`` does: quietly, for so long at most, and with words for an odd result."""
    if not hasattr(pyfuncitem.function, "exercise"):
        return None
    handle, seed = pyfuncitem.funcargs["handle"], pyfuncitem.funcargs["seed"]
    with testing.quiet(), testing.time_limit(testing.LIMIT, handle.name, handle):
        testing.run_property(pyfuncitem.function, handle, seed)
    return True


@pytest.fixture
def seed() -> int:
    """The seed from which an exercise test draws its data; the gates try many more."""
    return 0


@pytest.fixture
def handle(request: pytest.FixtureRequest) -> LocalHandle:
    """A handle on the reference, or on the student's own function."""
    name = request.function.exercise
    return LocalHandle(exercises.reference(name) if request.param == "reference" else _own(request.config, name), name)


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> dict[str, list]:
    """What the tests said to each mutant, by exercise, for the table at the end."""
    return request.config.stash[KILLS]


_loaded: dict[tuple[Path, str], object] = {}


def _own(config: pytest.Config, name: str) -> object:
    """The student's function; the test is skipped where the blank is untouched."""
    path = notebook_of(Path(config.getoption("--work") or paths.WORK), name)
    if path is None:
        pytest.skip(f"another notebook: {name}")
    if (path, name) not in _loaded:
        try:
            with testing.quiet(), testing.time_limit(testing.LIMIT, name):
                _loaded[path, name] = exercises.load(name, path)
        except (CheckFailure, exercises.NotebookError) as problem:
            _loaded[path, name] = problem
    found = _loaded[path, name]
    if isinstance(found, NotAttempted) and found.blank:
        pytest.skip(f"not attempted: {name}")
    if isinstance(found, Exception):
        raise found
    return found


def notebook_of(work: Path, name: str) -> Path | None:
    """The notebook that an exercise is looked for in: its lesson's in a folder; a file only if it is of that lesson."""
    lesson = catalogue.lesson_of(name)
    if not work.is_file():
        return work / f"{lesson.name}.ipynb"
    return work if work.stem == lesson.name or exercises.holds_any(work, lesson) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = yield
    if not hasattr(getattr(item, "function", None), "exercise"):
        return report
    name = item.function.exercise
    if call.excinfo is not None and call.excinfo.errisinstance((CheckFailure, exercises.NotebookError)):
        number = catalogue.exercise(name).number
        report.longrepr = f"{number} {name} - {item.function.words}:\n{call.excinfo.value}"
        if isinstance(call.excinfo.value, testing.TooLong) and item.callspec.params["handle"] == "work":
            _loaded.update({key: call.excinfo.value for key in _loaded if key[1] == name})  # waiting once is enough
    if report.when == "call" or report.outcome != "passed":
        item.config.stash[OUTCOMES][item.callspec.params["handle"]][name].append(report.outcome)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    _kill_table(terminalreporter, config.stash[KILLS])
    if outcomes := config.stash[OUTCOMES]:
        _scoreboard(terminalreporter, outcomes)


def _kill_table(terminalreporter: pytest.TerminalReporter, kills: dict[str, list]) -> None:
    """How many wrong solutions were caught, and how many by name; one line, or with -v one for each exercise."""
    if not kills:
        return
    terminalreporter.section("wrong solutions")
    rows = list(kills.items()) if config_is_verbose(terminalreporter) else []
    for words, seen in [*rows, ("all", [each for part in kills.values() for each in part])]:
        caught = sum(status == testing.FAIL for _, status, _, _ in seen)
        named = sum(by_name for _, _, by_name, _ in seen)
        terminalreporter.line(f"{words:<24} {caught:>3}/{len(seen)} caught, {named}/{len(seen)} by name")


def config_is_verbose(terminalreporter: pytest.TerminalReporter) -> bool:
    return terminalreporter.config.get_verbosity() >= 0  # pyproject.toml asks for -q


def _scoreboard(terminalreporter: pytest.TerminalReporter, outcomes: dict) -> None:
    """Whole exercises that pass, on both sides."""
    scores = []
    for who, words in WHO.items():
        done = [name for name, seen in outcomes[who].items() if set(seen) == {"passed"}]
        scores.append(f"{words} {len(done)}/{len(outcomes[who])}")
    terminalreporter.section("scoreboard")
    for lesson in catalogue.lessons():
        names = [exercise.name for exercise in lesson.exercises if exercise.name in outcomes["work"]]
        if names:
            words = ", ".join(f"{name} {_word(outcomes['work'][name])}" for name in names)
            terminalreporter.line(f"{lesson.id} {lesson.title}: {words}")
    terminalreporter.line(", ".join(reversed(scores)), bold=True)


def _word(seen: list[str]) -> str:
    if "failed" in seen:
        return "fails"
    return "passes" if set(seen) == {"passed"} else "not attempted"
