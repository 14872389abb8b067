"""Comparisons: what counts as right, and what is said when it is not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.course.expect import (
    CheckFailure,
    expect_close,
    expect_equal,
    expect_gradient,
    expect_no_gradient,
    expect_results,
    expect_shape,
    number,
)

X = torch.tensor([[1.0, 2.0, -3.0], [4.0, 5.0, 6.5]])


def message(expect, *args, **kwargs) -> str:
    with pytest.raises(CheckFailure) as failure:
        expect(*args, **kwargs)
    return str(failure.value)


@pytest.mark.parametrize("got", [X, X.double(), X.tolist(), X * (1 + 1e-6), X.t().contiguous().t(), tuple(X)])
def test_the_same_numbers_are_right_however_they_are_held(got) -> None:
    expect_close(got, X)


@pytest.mark.parametrize("got", [2.5, torch.tensor(2.5), torch.tensor(2.5, dtype=torch.float64)])
def test_one_number_may_be_a_float_or_a_tensor(got) -> None:
    expect_close(got, 2.5)


def test_a_failure_shows_the_first_place_and_the_largest_error() -> None:
    got = X.clone()
    got[0, 2], got[1, 1] = -3.5, 15.0
    said = message(expect_close, got, X, "advantages")
    assert "advantages[0, 2]: expected -3.0000   got -3.5000" in said
    assert "largest error 10.0000 at [1, 1]; 2 of 6 numbers differ" in said


def test_tolerance_grows_with_the_numbers_and_not_beyond() -> None:
    expect_close(X * 1e6 + 10, X * 1e6)
    message(expect_close, X * 1e-6 + 1e-8, X * 1e-6)
    message(expect_close, torch.zeros(3), torch.full((3,), 1e-7))


def test_only_positions_that_count_are_compared() -> None:
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    got = torch.where(mask.bool(), X, 1e9)
    expect_close(got, X, where=mask)
    assert "[1, 0]" in message(expect_close, got + torch.tensor([[0.0], [1.0]]), X, where=mask)


def test_a_known_mistake_is_named() -> None:
    mistakes = {"you forgot the mask.": lambda: X + 1, "nobody does this.": None}
    said = message(expect_close, X + 1, X, mistakes=mistakes)
    assert said.endswith("These are exactly the numbers that come out when you forgot the mask.")
    assert "forgot the mask" not in message(expect_close, X + 2, X, mistakes=mistakes)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (-X, "sign is flipped"),
        (X / 3, "Every number is 0.3333 times"),
        (X + 2, "off by the same amount, 2"),
        (X * 0, "Everything you returned is zero"),
        (X.log(), "nan"),
        (X.t(), "two dimensions are swapped"),
        (X.reshape(6), "only the shape is not"),
        (X / 0, "infinite"),
    ],
)
def test_a_familiar_slip_is_named_without_being_asked_for(got, words: str) -> None:
    assert words in message(expect_close, got, X)


@pytest.mark.parametrize(
    ("got", "words"),
    [
        (None, "None (is there a `return` line?)"),
        ("3", "type str"),
        ((X, X[0]), "a tuple of 2 (a tensor of shape (2, 3)"),
        ([], "a list of 0"),
    ],
)
def test_a_result_of_the_wrong_kind_is_described(got, words: str) -> None:
    said = message(expect_close, got, X, "logits")
    assert said.startswith("logits should be a tensor of shape (2, 3), but it is") and words in said


def test_infinite_and_missing_numbers_agree_with_themselves() -> None:
    odd = torch.tensor([float("inf"), float("-inf"), float("nan"), 1.0])
    expect_close(odd, odd.double())
    message(expect_close, odd.nan_to_num(), odd)
    message(expect_close, -odd, odd)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=2, max_size=8), st.integers(0, 7), st.floats(0.01, 1e3))
def test_any_change_that_matters_is_caught(values: list[float], place: int, change: float) -> None:
    right = torch.tensor(values)
    expect_close(right.double(), right)
    wrong = right.double()
    wrong[place % len(values)] += change * (1 + right.abs().max().item())
    message(expect_close, wrong, right)


@pytest.mark.parametrize(
    ("got", "expected", "words"),
    [
        ([1, 2, 3], [1, 5, 3], "ids[1]: expected 5   got 2"),
        ([1, 2], [1, 2, 3], "has 2 items, expected 3"),
        ({"a": 1}, {"a": 1, "b": 2}, "the key 'b' is missing"),
        ({"a": 1, "b": 2}, {"a": 1}, "there should be no key 'b'"),
        ({"a": [1]}, {"a": [2]}, "ids['a'][0]: expected 2   got 1"),
        (3, [3], "should be a list"),
        ("a", "b", "expected 'b'   got 'a'"),
        (None, 0, "got None"),
    ],
)
def test_plain_data_differs_somewhere(got, expected, words: str) -> None:
    assert words in message(expect_equal, got, expected, "ids")


def test_plain_data_is_right_as_tensor_tuple_or_float() -> None:
    expect_equal(torch.tensor([1, 2]), [1, 2])
    expect_equal(((1, 2), 3.0), [[1, 2], 3])
    expect_equal({(1, 2): torch.tensor(3)}, {(1, 2): 3})
    assert "counted twice" in message(expect_equal, [2], [1], mistakes={"it is counted twice.": [2]})


def test_gradients_and_shapes() -> None:
    expect_gradient(X, X)
    assert "no gradient reaches weight" in message(expect_gradient, None, X, "weight")
    assert "the gradient of x[0, 0]" in message(expect_gradient, X + torch.eye(2, 3), X, "x")
    expect_no_gradient(None)
    expect_no_gradient(X * 0)
    assert "a gradient flows into values" in message(expect_no_gradient, X, "values")
    expect_shape(X, (2, 3))
    assert "has shape (2, 3), expected (3, 2)" in message(expect_shape, X, (3, 2))
    assert expect_results((1, 2), 2, "a, b") == (1, 2)
    assert "should return 2 results (a, b), but it returned a tensor" in message(expect_results, X, 2, "a, b")


def test_numbers_are_short() -> None:
    assert [number(x) for x in (0, 2.71828, 41.2, 1234567.0, 1e-5, float("nan"))] == [
        "0.0000",
        "2.7183",
        "41.2000",
        "1.235e+06",
        "1e-05",
        "nan",
    ]
