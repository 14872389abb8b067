"""A small course for the tests of the course machinery: one lesson with two functions and a module class."""

from pathlib import Path

import pytest

from minillm import paths
from minillm.course import catalogue, exercises, testing

CATALOGUE = """
[[lesson]]
id = "01"
name = "01_toy"
title = "A toy"
graded = true
[[lesson.exercise]]
name = "scale"
points = 2
difficulty = 1
minutes = 4
needs = []
[[lesson.exercise]]
name = "total"
points = 3
difficulty = 2
minutes = 5
needs = ["scale"]
[[lesson.exercise]]
name = "Gate"
points = 1
difficulty = 1
minutes = 2
needs = []
"""

MASTER = '''# %% [markdown]
# # 01 · A toy

# %% tags=["setup"]
import torch
from torch import nn

from minillm.course import check

# %% [markdown]
# {exercise scale}
#
# **Why.** Because.

# %% tags=["exercise"] exercise="scale"
def scale(x, factor=2.0):
    """x (B, T) times factor."""
    # BEGIN SOLUTION
    result = x * factor
    assert result.shape == x.shape
    return result
    # END SOLUTION

# %% [markdown] tags=["hints"] exercise="scale"
# where to start
#
# Think of times.
# ---
# the last step
#
# Return it.

# %% tags=["check"]
check("scale")

# %% tags=["target"]
print("scaled:", scale(torch.ones(2)).tolist())

# %% tags=["solution"]
print("only in the solution")

# %% [markdown]
# {exercise total}

# %% tags=["exercise"] exercise="total"
def total(x):
    """Sum over the last dimension of scale(x): (B,)."""
    # BEGIN SOLUTION
    scaled = scale(x)
    result = scaled.sum(-1)
    return result
    # END SOLUTION

# %% [markdown] tags=["hints"] exercise="total"
# one
#
# First.
# ---
# two
#
# Second.

# %% tags=["check"]
check("total")

# %% [markdown]
# {exercise Gate}

# %% tags=["exercise"] exercise="Gate"
class Gate(nn.Module):
    """relu of a projection, (B, D) -> (B, D)."""

    def __init__(self, dim):
        super().__init__()
        # BEGIN SOLUTION
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        # END SOLUTION

    def forward(self, x):
        # BEGIN SOLUTION
        q, k, v = self.qkv(x).chunk(3, -1)
        return (q * k).relu() + v
        # END SOLUTION

# %% [markdown] tags=["hints"] exercise="Gate"
# one
#
# First.
# ---
# two
#
# Second.

# %% tags=["check"]
check("Gate")
'''

TESTS = """
import torch
from minillm.course.expect import expect_close, expect_gradient
from minillm.course.testing import exercise


def data(seed):
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))


@exercise("scale", "values")
def test_scale_values(handle, seed):
    x = data(seed)
    wrong = {"the factor is added instead of multiplied. See trap 1.": x + 2.0}
    expect_close(handle(x), [[2 * v for v in row] for row in x.tolist()], "scaled", mistakes=wrong)


@exercise("scale", "another factor")
def test_scale_factor(handle, seed):
    expect_close(handle(data(seed), factor=-3.0), -3 * data(seed), "scaled")


@exercise("scale", "gradient")
def test_scale_gradient(handle, seed):
    expect_gradient(handle.gradients(data(seed), wrt=[0])[1][0], torch.full((3, 4), 2.0), "x")


@exercise("total", "values")
def test_total(handle, seed):
    expect_close(handle(data(seed)), [sum(2 * v for v in row) for row in data(seed).tolist()], "total")


@exercise("Gate", "values and gradients")
def test_gate(handle, seed):
    weight = torch.randn(12, 4, generator=torch.Generator().manual_seed(seed + 1))
    gate = handle.build(4, weights={"qkv.weight": weight})
    q, k, v = (data(seed) @ weight.T).chunk(3, -1)
    expect_close(gate(data(seed)), (q * k).clamp(min=0) + v, "gate")
    grads = gate.gradients(data(seed), wrt=["qkv.weight"])[1]
    assert grads["qkv.weight"].shape == weight.shape
"""


def install(root: Path, monkeypatch: pytest.MonkeyPatch) -> catalogue.Lesson:
    """Put the toy course in place of the real one until the test ends; returns its lesson."""
    for name in ("SOLUTIONS", "LESSONS", "WORK"):
        (root / name.lower()).mkdir()
        monkeypatch.setattr(paths, name, root / name.lower())
    (root / "tests" / "exercises").mkdir(parents=True)
    monkeypatch.setattr(paths, "ROOT", root)
    monkeypatch.setattr(paths, "EXERCISES", root / "tests" / "exercises")
    monkeypatch.setattr(catalogue, "lessons", lambda: catalogue.parse(CATALOGUE))
    monkeypatch.setattr(exercises, "_references", {})
    testing._module.cache_clear()
    (paths.EXERCISES / "test_01_toy.py").write_text(TESTS, encoding="utf-8")
    lesson = catalogue.lesson("01")
    lesson.master.write_text(MASTER, encoding="utf-8")
    return lesson
