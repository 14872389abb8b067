"""Masters: reading cells, blanking solutions, folding hints, and what is said about a master that is wrong."""

from pathlib import Path

import pytest
from toy_lesson import MASTER, install

from minillm.course import catalogue, masters
from minillm.course.catalogue import Lesson


@pytest.fixture
def lesson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lesson:
    return install(tmp_path, monkeypatch)


def cell_of(name: str) -> masters.Cell:
    return next(cell for cell in masters.parse(MASTER) if cell.has("exercise") and cell.exercise == name)


def test_cells_have_kind_tags_and_the_line_they_start_at(lesson: Lesson) -> None:
    cells = masters.parse(MASTER)
    assert cells[0].kind == "markdown" and cells[0].source == "# 01 · A toy" and cells[0].line == 1
    assert cells[1].has("setup") and cells[1].source.startswith("import torch")
    assert cell_of("scale").source.startswith("def scale")


def test_magics_come_back_as_magics() -> None:
    (cell,) = masters.parse("# %%\n# %matplotlib inline\n# !ls\n# % of what\n")
    assert cell.source == "%matplotlib inline\n!ls\n# % of what"


def test_markdown_may_stand_in_triple_quotes() -> None:
    (cell,) = masters.parse('# %% [markdown]\n"""\n# Title\n\ntext\n"""\n')
    assert cell.source == "# Title\n\ntext"


def test_a_stub_raises_and_keeps_the_docstring(lesson: Lesson) -> None:
    stub = masters.stub(cell_of("scale").source, catalogue.exercise("scale"))
    assert stub.splitlines() == [
        "def scale(x, factor=2.0):",
        '    """x (B, T) times factor."""',
        '    raise NotImplementedError("Exercise 1.1: scale")',
    ]


def test_each_blank_of_a_class_raises(lesson: Lesson) -> None:
    stub = masters.stub(cell_of("Gate").source, catalogue.exercise("Gate"))
    assert stub.count("raise NotImplementedError") == 2 and "Linear" not in stub and "def forward" in stub


def test_a_worked_solution_has_no_markers(lesson: Lesson) -> None:
    worked = masters.worked(cell_of("Gate").source)
    assert masters.BEGIN not in worked and masters.END not in worked and "chunk(3, -1)" in worked
    assert masters.hidden(cell_of("total").source)[0].strip() == "scaled = scale(x)"


def test_a_header_line_comes_from_the_catalogue(lesson: Lesson) -> None:
    text = masters.with_headers("{exercise total}\n\n**Why.** {exercise of} power")
    first, *rest = text.splitlines()
    assert first.startswith("**Exercise 1.2 · `total`** — 3 points · difficulty 2/5 · about 5 minutes")
    assert first.endswith("*you need: `scale` (1.1)*") and rest[-1] == "**Why.** {exercise of} power"


def test_hints_are_folded_inside_one_another() -> None:
    folded = masters.folded("where to start\n\nText one.\n---\n**Hint 2: the end**\n\nText two.")
    assert folded.index("Hint 1: where to start") < folded.index("Text one.") < folded.index("Hint 2: the end")
    assert folded.endswith("</details></details>") and folded.count("<details>") == 2


def test_a_good_master_has_no_problems(lesson: Lesson) -> None:
    assert masters.problems(masters.parse(MASTER), lesson) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('# %% tags=["exercise"] exercise="total"', "# %%", "total: 0 exercise cells"),
        (
            '# %% tags=["exercise"] exercise="total"',
            '# %% tags=["exercise"] exercise="totl"',
            "is not in the catalogue",
        ),
        ('    # END SOLUTION\n\n# %% [markdown] tags=["hints"] exercise="total"', "\n# %% [markdown]", "needs lines"),
        ('check("total")', "pass", 'no cell check("total")'),
        ("{exercise total}", "total", "no line {exercise total}"),
        ("def total(", "def summe(", "defines no function or class of that name"),
        ("# First.\n# ---\n", "# First.\n", "two or three hints"),
        ('tags=["setup"]', "", 'must be tagged "setup"'),
        ('print("only', "x = 1\n" * 25 + 'print("only', "at most 25"),
        ("    scaled = scale(x)\n    result = scaled.sum(-1)\n", "", "a blank is 3 to 25 lines"),
    ],
)
def test_each_problem_is_one_sentence(lesson: Lesson, old: str, new: str, problem: str) -> None:
    text = MASTER.replace(old, new)
    assert text != MASTER
    assert any(problem in found for found in masters.problems(masters.parse(text), lesson))


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('# %% tags=["exercize"]', "unknown tag 'exercize'"),
        ("# %% tags=[exercise]", "is not JSON"),
        ("# %% [raw]", "code or"),
        ("# %% what is this", "cannot read"),
    ],
)
def test_a_marker_that_cannot_be_read_is_named_with_its_line(marker: str, message: str) -> None:
    with pytest.raises(masters.MasterError, match=f"line 2.*{message}"):
        masters.parse(f"\n{marker}\nx = 1\n")


def test_validate_lists_everything(lesson: Lesson) -> None:
    lesson.master.write_text(MASTER.replace('check("total")', "").replace('check("Gate")', ""), encoding="utf-8")
    with pytest.raises(masters.MasterError, match=r'01_toy.py:\n.*check\("total"\)\n.*check\("Gate"\)'):
        masters.validate(lesson.master, lesson)
