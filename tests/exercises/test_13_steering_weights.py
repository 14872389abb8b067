"""What a right solution of lesson 13 is, continued: weights that cannot write along a direction."""

from collections.abc import Callable
from math import sqrt

import torch
from torch import Tensor

from minillm.course.expect import describe, expect_close, expect_equal, expect_true, fail
from minillm.course.props import Network
from minillm.course.testing import exercise

Rows = list[list[float]]
Change = Callable[[Rows, list[float]], Rows]  # (matrix, direction) -> matrix


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def state_dict(seed: int, V: int = 11, D: int = 8, hidden: int = 12, layers: int = 2, untied: bool = False) -> dict:
    """Random weights of a Transformer, with the names that they have there; some are not contiguous."""
    g = generator(seed)

    def made(*shape: int) -> Tensor:
        return torch.randn(*shape[::-1], generator=g).T if len(shape) == 2 else 1 + torch.rand(*shape, generator=g)

    weights = {"embed.weight": made(V, D)}
    for i in range(layers):
        weights |= {
            f"blocks.{i}.norm1.weight": made(D),
            f"blocks.{i}.attention.qkv.weight": made(3 * D, D),
            f"blocks.{i}.attention.out.weight": made(D, D),
            f"blocks.{i}.norm2.weight": made(D),
            f"blocks.{i}.mlp.up.weight": made(hidden, D),
            f"blocks.{i}.mlp.down.weight": made(D, hidden),
        }
    weights["norm.weight"] = made(D)
    return {**weights, "output.weight": made(V, D)} if untied else weights


def direction_of(seed: int, D: int = 8) -> Tensor:
    """(D,), of a length that is not 1, with no number near 0."""
    g = generator(seed + 30)
    return (0.4 + torch.rand(D, generator=g)) * torch.where(torch.rand(D, generator=g) < 0.5, -1.0, 1.0)


def kind(name: str) -> str:
    """The name without the block's number: "attention.out.weight", "mlp.down.weight", "embed.weight"."""
    return name.split(".", 2)[2] if name.startswith("blocks.") else name


# --- what becomes of a matrix, in plain floats --------------------------------------------------------------------


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b))


def unit(d: list[float]) -> list[float]:
    return [x / sqrt(dot(d, d)) for x in d]


def turned(m: Rows) -> Rows:
    return [list(column) for column in zip(*m)]


def rows_without(m: Rows, d: list[float], factor: float = 1.0) -> Rows:
    """Each row without its part along d: m - (m r) r^T."""
    r = unit(d)
    return [[x - factor * dot(row, r) * y for x, y in zip(row, r)] for row in m]


def columns_without(m: Rows, d: list[float], factor: float = 1.0) -> Rows:
    """Each column without its part along d: m - r (r^T m)."""
    return turned(rows_without(turned(m), d, factor))


def raw_rows(m: Rows, d: list[float]) -> Rows:
    return rows_without(m, d, dot(d, d))


def raw_columns(m: Rows, d: list[float]) -> Rows:
    return columns_without(m, d, dot(d, d))


def half_rows(m: Rows, d: list[float]) -> Rows:
    return rows_without(m, d, sqrt(dot(d, d)))


def half_columns(m: Rows, d: list[float]) -> Rows:
    return columns_without(m, d, sqrt(dot(d, d)))


def same(m: Rows, d: list[float]) -> Rows:
    return m


def only_rows(m: Rows, d: list[float]) -> Rows:
    return [[x - y for x, y in zip(a, b)] for a, b in zip(m, rows_without(m, d))]


def only_columns(m: Rows, d: list[float]) -> Rows:
    return turned(only_rows(turned(m), d))


def both_sides(m: Rows, d: list[float]) -> Rows:
    return rows_without(columns_without(m, d), d)


RIGHT: dict[str, Change] = {
    "embed.weight": rows_without,
    "attention.out.weight": columns_without,
    "mlp.down.weight": columns_without,
}


def expected_of(name: str, weight: Tensor, direction: Tensor) -> Tensor:
    if (change := RIGHT.get(kind(name))) is None:
        return weight
    return torch.tensor(change(weight.double().tolist(), direction.double().tolist()), dtype=torch.float64)


def fits(change: Change, weight: Tensor, D: int) -> bool:
    """Can the change be made, or are the sides of the matrix the wrong way round for it?"""
    by_rows, by_columns = weight.shape[-1] == D, weight.shape[0] == D
    if weight.ndim != 2 or (change is both_sides and not (by_rows and by_columns)):
        return False
    return by_columns if change in (columns_without, raw_columns, half_columns, only_columns) else by_rows


def mistakes_of(name: str, weight: Tensor, direction: Tensor) -> dict:
    """message -> what the weight would be with this mistake."""
    part, d = kind(name), direction.double().tolist()
    embedding = part == "embed.weight"
    sided: dict[str, Change]
    if part in RIGHT:
        wrong = columns_without if embedding else rows_without
        raw, half = (raw_rows, half_rows) if embedding else (raw_columns, half_columns)
        gone = only_rows if embedding else only_columns
        right: Change = RIGHT[part]
        flip: Change = lambda m, d: (rows_without if embedding else columns_without)(m, d, -1.0)  # noqa: E731
        mirror: Change = lambda m, d: (rows_without if embedding else columns_without)(m, d, 2.0)  # noqa: E731
        sided = {
            "it is returned unchanged, and it writes into the stream. See trap 3.": same,
            "the direction is taken from the wrong side: see which dimension is the stream's. See trap 1.": wrong,
            "the direction is taken from both sides. See trap 1.": both_sides,
            "the direction is not scaled to length 1. See trap 4.": raw,
            "the direction is scaled by its length once; it stands in the formula twice. See trap 4.": half,
            "the part along the direction is added, not taken away.": flip,
            "the part along the direction is taken away twice.": mirror,
            "the part that should go is returned, not the rest.": gone,
            "it is transposed.": lambda m, d: turned(right(m, d)),
            "all of it is 0.": lambda m, d: [[0.0] * len(m[0]) for _ in m],
        }
    else:
        sided = {
            "it is changed too, and it does not write into the stream. See trap 2.": rows_without,
            "it is changed too (from the side of its outputs), and does not write into the stream. See trap 2.": (
                columns_without
            ),
            "it is changed too, with a direction that is not scaled to length 1. See traps 2 and 4.": raw_rows,
        }
    D, m = len(d), weight.double().tolist()
    known = {words: (lambda c=change: c(m, d)) for words, change in sided.items() if fits(change, weight, D)}
    if weight.ndim == 1:
        row = "it is changed too, and it only scales what is read. See trap 2."
        known[row] = lambda: rows_without([m], d)[0]
    return known


def check_weights(handle, weights: dict[str, Tensor], direction: Tensor, what: str = "") -> dict[str, Tensor]:
    got = handle(weights, direction)
    if not isinstance(got, dict):
        fail(f"a dictionary of weights is asked for, but it is {describe(got)}.")
    missing = [name for name in weights if name not in got]
    if missing:
        kept = {kind(name) for name in missing}
        only = " Weights that do not write belong to it too, unchanged." if not kept & set(RIGHT) else ""
        fail(f"the weights `{missing[0]}` are missing from the result.{only} See trap 5.")
    extra = [name for name in got if name not in weights]
    expect_true(not extra, f"the result has weights {extra[:1]}, which were not there before. See trap 5.")
    for name, weight in weights.items():
        expected = expected_of(name, weight, direction)
        expect_close(got[name], expected, f"`{name}`{what}", mistakes=mistakes_of(name, weight, direction))
        dtype = getattr(got[name], "dtype", None)
        expect_true(dtype == weight.dtype, f"`{name}` is {dtype}{what}; it was {weight.dtype}.")
    expect_equal(list(got), list(weights), "the order of the names (trap 5)")
    return got


# --- orthogonalize_weights ----------------------------------------------------------------------------------------


@exercise("orthogonalize_weights", "square matrices: the right side of each")
def test_weights_square(handle, seed):
    check_weights(handle, state_dict(seed, V=8, hidden=8), direction_of(seed))


@exercise("orthogonalize_weights", "matrices of all shapes, in every block")
def test_weights_values(handle, seed):
    check_weights(handle, state_dict(seed), direction_of(seed))
    check_weights(handle, state_dict(seed, V=5, D=4, hidden=7, layers=12), direction_of(seed, 4), " (12 blocks)")
    check_weights(handle, state_dict(seed, V=5, D=4, hidden=3, layers=1), direction_of(seed, 4), " (1 block)")


@exercise("orthogonalize_weights", "the read-out of a model that has one of its own stays as it is")
def test_weights_untied(handle, seed):
    check_weights(handle, state_dict(seed, untied=True), direction_of(seed), " (untied)")


@exercise("orthogonalize_weights", "long and short directions, either sign, give the same; double precision stays")
def test_weights_direction(handle, seed):
    weights, direction = state_dict(seed), direction_of(seed)
    for factor in (-1.0, 1e-4, 1e3):
        check_weights(handle, weights, factor * direction, f" (the direction times {factor:g})")
    exact = {name: weight.double() for name, weight in weights.items()}
    check_weights(handle, exact, direction.double(), " (float64)")


@exercise("orthogonalize_weights", "doing it again changes nothing, and two directions can go one after the other")
def test_weights_twice(handle, seed):
    weights, direction = state_dict(seed), direction_of(seed)
    once = check_weights(handle, weights, direction)
    again = handle(once, direction)
    for name in weights:
        expect_close(again[name], once[name], f"`{name}` after doing it twice")


def stream(weights: dict[str, Tensor], tokens: list[int], erased: Tensor | None = None) -> list[Tensor]:
    """The residual stream (T, D) of one row: the embeddings, and behind each attention and each MLP.

    erased: what is written along this direction is taken out of each part before it is added.
    """
    model = Network().make(lambda other: other)
    model.load_state_dict(weights)
    cos, sin = model.cos[: len(tokens)], model.sin[: len(tokens)]

    def written(x: Tensor) -> Tensor:
        if erased is None:
            return x
        r = erased / erased.norm()
        return torch.stack([each - sum(a * b for a, b in zip(each, r)) * r for each in x])

    with torch.no_grad():
        x = written(model.embed(torch.tensor(tokens)))  # (T, D)
        states = [x]
        for block in model.blocks:
            x = x + written(block.attention(block.norm1(x)[None], cos, sin)[0])
            states.append(x)
            x = x + written(block.mlp(block.norm2(x)))
            states.append(x)
    return states


@exercise("orthogonalize_weights", "a model with these weights never has the direction in its stream")
def test_weights_keep_the_stream_clean(handle, seed):
    model = Network(seed=seed).make(lambda other: other)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    direction, tokens = direction_of(seed), [3, 0, 7, 12, 1]
    new = check_weights(handle, weights, direction)
    right = stream(weights, tokens, direction)
    names = ["the embedding", *(f"{part} of block {i}" for i in range(3) for part in ("the attention", "the MLP"))]
    for name, got, expected in zip(names, stream(new, tokens), right):
        along = float((got @ direction / direction.norm()).abs().max() / got.abs().max())
        expect_true(along < 1e-3, f"behind {name} there is still something along the direction in the stream.")
        expect_close(got, expected, f"the stream behind {name}", rtol=1e-3)
