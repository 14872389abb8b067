"""What a right solution of lesson 00 is: the masked mean, the last counted entry, log-probabilities."""

from math import exp, inf, log, nan

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient
from minillm.course.testing import exercise

B, T, D, V = 4, 6, 3, 5


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ragged_mask(seed: int) -> Tensor:
    """(B, T): a row padded right, one padded left, one full, one with a hole; every row and column counts somewhere."""
    g = generator(seed)
    right, left = torch.randint(1, T, (2,), generator=g).tolist()
    rows = [[1] * right + [0] * (T - right), [0] * (T - left) + [1] * left, [1] * T, [1, 0, 1, 1, 0, 0]]
    return torch.tensor(rows)


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator(seed + 1000)) + 0.7


def with_garbage(x: Tensor, mask: Tensor, *garbage: float) -> Tensor:
    """x with the garbage, in turns and each time a little larger, at the places where the mask is 0."""
    x = x.clone()
    for i, (b, t) in enumerate((mask == 0).nonzero().tolist()):
        x[b, t] = garbage[i % len(garbage)] + i
    return x


# --- masked_mean ------------------------------------------------------------------------------------------------


def mean_by_loop(x: Tensor, mask: Tensor, dim: int | None = None) -> float | list[float]:
    if dim is None:
        kept = [float(x[b, t]) for b in range(x.shape[0]) for t in range(x.shape[1]) if mask[b, t]]
        return sum(kept) / len(kept)
    if dim == 0:
        return mean_by_loop(x.T, mask.T, 1)
    return [mean_by_loop(x[b : b + 1], mask[b : b + 1]) for b in range(x.shape[0])]


def mean_mistakes(x: Tensor, mask: Tensor, dim: int | None) -> dict:
    mask = mask.float()
    clean, other = torch.where(mask.bool(), x, 0.0), 1 - mask

    def places() -> Tensor:
        return clean.mean() if dim is None else clean.mean(dim)

    def crosswise() -> Tensor | None:
        return None if dim is None else clean.sum(1 - dim) / mask.sum(1 - dim)

    nan_lives = {
        "`x * mask` keeps inf and nan alive: 0 times inf is nan. See trap 3.": (x * mask).sum(dim) / mask.sum(dim)
    }
    if not x.isfinite().all():
        return nan_lives
    return {
        "padding is averaged in: every number counts, also where the mask is 0. See trap 1.": (
            lambda: x.mean() if dim is None else x.mean(dim)
        ),
        "you divide by the number of places, not by the number of those that count. See trap 2.": places,
        "the means of the rows are averaged: a short row then weighs as much as a long one. See trap 4.": (
            lambda: (clean.sum(1) / mask.sum(1)).mean() if dim is None else None
        ),
        "the mask is turned round: 1 means that a number counts.": lambda: (x * other).sum(dim) / other.sum(dim),
        "the sum is not divided by the count.": lambda: clean.sum(dim),
        "`dim` is ignored: there is one mean over everything.": lambda: clean.sum() / mask.sum(),
        "the mean is taken along the other dimension.": crosswise,
        "numbers that are 0 are left out, whatever the mask says.": lambda: clean.sum(dim) / (clean != 0).sum(dim),
    }


def check_mean(handle, x: Tensor, mask: Tensor, dim: int | None = None) -> None:
    got = handle(x, mask) if dim is None else handle(x, mask, dim=dim)
    what = "the mean" if dim is None else f"the means (dim={dim})"
    expect_close(got, mean_by_loop(x, mask, dim), what, mistakes=mean_mistakes(x, mask, dim))


@exercise("masked_mean", "the worked example")
def test_masked_mean_worked_example(handle, seed):
    x, mask = torch.tensor([[2.0, 1.0, 3.0], [4.0, 9.0, 9.0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    for dim in (None, 1, 0):
        check_mean(handle, x, mask, dim)


@exercise("masked_mean", "rows of different length, garbage behind them")
def test_masked_mean_over_everything(handle, seed):
    mask = ragged_mask(seed)
    x = numbers(seed, B, T)
    x[2, 3] = 0.0
    check_mean(handle, with_garbage(x, mask, 1000.0), mask)


@exercise("masked_mean", "one mean for each row, and for each column")
def test_masked_mean_along_a_dimension(handle, seed):
    mask = ragged_mask(seed)
    x = with_garbage(numbers(seed, B, T), mask, 1000.0, -77.0)
    check_mean(handle, x, mask, 1)
    check_mean(handle, x, mask, 0)


@exercise("masked_mean", "inf and nan where nothing counts")
def test_masked_mean_ignores_whatever_stands_at_masked_places(handle, seed):
    mask = ragged_mask(seed)
    x = with_garbage(numbers(seed, B, T), mask, inf, nan, -inf)
    check_mean(handle, x, mask)
    check_mean(handle, x, mask, 1)


@exercise("masked_mean", "masks of every kind")
def test_masked_mean_takes_masks_of_every_kind(handle, seed):
    mask = ragged_mask(seed)
    x = with_garbage(numbers(seed, B, T), mask, 50.0)
    for kind in (torch.bool, torch.long, torch.float64):
        check_mean(handle, x.T.contiguous().T, mask.to(kind), 1)


@exercise("masked_mean", "the gradient reaches the numbers that count, and no others")
def test_masked_mean_gradient(handle, seed):
    mask = ragged_mask(seed)
    for garbage in (5.0, nan):
        x = with_garbage(numbers(seed, B, T), mask, garbage)
        _, grads = handle.gradients(x, mask, wrt=[0])
        expect_gradient(grads[0], mask / mask.sum(), "x")
        upstream = numbers(seed + 1, B)
        _, grads = handle.gradients(x, mask, dim=1, wrt=[0], upstream=upstream)
        expect_gradient(grads[0], upstream[:, None] * mask / mask.sum(1, keepdim=True), "x")


# --- take_last --------------------------------------------------------------------------------------------------


def last_columns(mask: Tensor) -> list[int]:
    return [max(t for t in range(mask.shape[1]) if mask[b, t]) for b in range(mask.shape[0])]


def at(x: Tensor, columns: list[int]) -> Tensor:
    return torch.stack([x[b, t] for b, t in enumerate(columns)])


def last_mistakes(x: Tensor, mask: Tensor) -> dict:
    width, kept = mask.shape[1], mask.bool()
    count = [int(n) for n in kept.sum(1)]
    last = last_columns(mask)
    first = [min(t for t in range(width) if kept[b, t]) for b in range(len(mask))]
    hole = [next((t for t in range(width) if not kept[b, t]), 0) - 1 for b in range(len(mask))]
    spread = (...,) + (None,) * (x.ndim - 2)
    chosen = torch.tensor([[float(t == last[b]) for t in range(width)] for b in range(len(mask))])[spread]
    return {
        "the last column is taken, padding or not. See trap 1.": lambda: x[:, -1],
        "the ones are counted: with padding on the left, the count minus 1 is not the last position. See trap 2.": (
            lambda: at(x, [n - 1 for n in count])
        ),
        "the first counted position is taken, not the last. See trap 3.": lambda: at(x, first),
        "the place before the first 0 is taken: padding may stand on the left, too. See trap 2.": lambda: at(x, hole),
        "every row is read at the columns of all rows: `x[:, last]`. See trap 4.": lambda: x[:, last],
        "it is one place too far to the left.": lambda: at(x, [t - 1 for t in last]),
        "it is one place too far to the right.": lambda: at(x, [min(t + 1, width - 1) for t in last]),
        "all rows are read at the same column.": lambda: x[:, max(last)],
        "all rows are read at the column that is right for the first one.": lambda: x[:, last[0]],
        "a product with 0 is to clear the garbage: 0 times inf is nan. See trap 5.": lambda: (x * chosen).sum(1),
        "the counted entries are summed up.": lambda: (torch.where(kept[spread], x, 0.0)).sum(1),
        "the counted entries are averaged: one of them is wanted, the last.": lambda: (
            torch.where(kept[spread], x, 0.0).sum(1) / kept[spread].sum(1)
        ),
        "the largest counted entry is taken, not the last.": lambda: torch.where(kept[spread], x, -inf).amax(1),
    }


def check_last(handle, x: Tensor, mask: Tensor) -> None:
    expect_close(handle(x, mask), at(x, last_columns(mask)), "the last entry", mistakes=last_mistakes(x, mask))


@exercise("take_last", "padding on the right")
def test_take_last_with_padding_on_the_right(handle, seed):
    lengths = [4, 1, T - 1, 2 + seed % 3]
    mask = torch.tensor([[1] * n + [0] * (T - n) for n in lengths])
    check_last(handle, with_garbage(numbers(seed, B, T), mask, 1000.0), mask)


@exercise("take_last", "padding on the left, on the right, and in between")
def test_take_last_with_padding_anywhere(handle, seed):
    mask = ragged_mask(seed)
    mask[1, T - 1 - seed % 2] = 1
    check_last(handle, with_garbage(numbers(seed, B, T), mask, 1000.0), mask)
    scattered = (torch.rand(B + 1, T, generator=generator(seed)) < 0.5).long()
    scattered[:, 1] = 1
    scattered[0, T - 1] = 0
    check_last(handle, with_garbage(numbers(seed, B + 1, T), scattered, -1000.0), scattered)


@exercise("take_last", "a vector, or a matrix, at every position")
def test_take_last_of_vectors(handle, seed):
    mask = ragged_mask(seed)
    check_last(handle, with_garbage(numbers(seed, B, T, D), mask, 1000.0), mask)
    check_last(handle, with_garbage(numbers(seed, B, T, D, 2), mask, 1000.0), mask)


@exercise("take_last", "inf and nan at the padding")
def test_take_last_ignores_whatever_stands_at_masked_places(handle, seed):
    mask = ragged_mask(seed)
    check_last(handle, with_garbage(numbers(seed, B, T), mask, inf, nan), mask)
    check_last(handle, with_garbage(numbers(seed, B, T, D), mask, nan), mask)


@exercise("take_last", "masks of every kind, and inputs with any memory layout")
def test_take_last_takes_masks_of_every_kind(handle, seed):
    mask = ragged_mask(seed)
    x = with_garbage(numbers(seed, B, T), mask, 50.0).T.contiguous().T
    for kind in (torch.bool, torch.long, torch.float64):
        check_last(handle, x, mask.to(kind))


@exercise("take_last", "the gradient reaches the last entries, and no others")
def test_take_last_gradient(handle, seed):
    mask = ragged_mask(seed)
    last = last_columns(mask)
    for x, upstream in ((numbers(seed, B, T), numbers(seed + 1, B)), (numbers(seed, B, T, D), numbers(seed + 1, B, D))):
        _, grads = handle.gradients(with_garbage(x, mask, 9.0), mask, wrt=[0], upstream=upstream)
        expected = torch.zeros_like(x)
        for b, t in enumerate(last):
            expected[b, t] = upstream[b]
        expect_gradient(grads[0], expected, "x")


# --- log_softmax ------------------------------------------------------------------------------------------------


def row_by_loop(row: list[float]) -> list[float]:
    """Log-probabilities of one row, in 64 bits."""
    top = max(row)
    total = sum(exp(value - top) for value in row)
    return [value - top - log(total) for value in row]


def logprobs_by_loop(logits: Tensor) -> Tensor:
    rows = [row_by_loop(row) for row in logits.reshape(-1, logits.shape[-1]).tolist()]
    return torch.tensor(rows, dtype=torch.float64).reshape(logits.shape)


def softmax_mistakes(z: Tensor) -> dict:
    top = z.amax(-1, keepdim=True)
    total = (z - top).exp().sum(-1, keepdim=True)

    def overall() -> Tensor:
        shifted = z - z.max()
        return shifted - shifted.exp().sum(-1, keepdim=True).log()

    def along(dim: int) -> Tensor:
        return z - torch.logsumexp(z, dim, keepdim=True)

    def with_offset(places: int) -> Tensor:
        return ((z - top).exp() / total + 10.0**-places).log()

    return {
        "exp is taken of a large number: it is inf in 32 bits. Subtract each row's largest logit first. See trap 1.": (
            lambda: z - z.exp().sum(-1, keepdim=True).log()
        ),
        "exp is taken of large numbers and the quotient's log: inf / inf. Subtract the largest first. See trap 1.": (
            lambda: (z.exp() / z.exp().sum(-1, keepdim=True)).log()
        ),
        "the log is taken of a probability that is too small for a float, and so is 0. See trap 2.": (
            lambda: ((z - top).exp() / total).log()
        ),
        "exp runs over the whole tensor: the sum belongs to each row by itself. See trap 3.": (
            lambda: z - z.flatten().logsumexp(0)
        ),
        "the sum runs along the first dimension, not the last. See trap 3.": lambda: along(0),
        "the sum runs along the second dimension, not the last. See trap 3.": lambda: along(1) if z.ndim > 2 else None,
        "one largest logit is subtracted from the whole tensor: rows far below it vanish. See trap 4.": overall,
        "the maximum is subtracted in the sum, not from the logits themselves. See trap 5.": lambda: z - total.log(),
        "the maximum is subtracted from the logits, but not in the sum. See trap 5.": (
            lambda: (z - top) - z.exp().sum(-1, keepdim=True).log()
        ),
        "the logarithm is missing: these are probabilities.": lambda: (z - top).exp() / total,
        "logarithms to base 2 are taken: log means the natural one, nats.": lambda: logprobs_by_loop(z) / log(2),
        "the log of the sum is missing: only the maximum is subtracted.": lambda: z - top,
        "a small number is added inside the log: it cuts off what is below it. See trap 2.": lambda: with_offset(8),
        "a tiny number is added inside the log: it cuts off what is far below it. See trap 2.": lambda: with_offset(12),
        "the sum itself is subtracted, not its logarithm.": lambda: z - top - total,
        "the mean of the exponentials is taken, not their sum.": lambda: logprobs_by_loop(z) + log(z.shape[-1]),
    }


def check_logprobs(handle, logits: Tensor, rtol: float = 1e-4) -> None:
    mistakes = softmax_mistakes(logits)
    expect_close(handle(logits), logprobs_by_loop(logits), "the log-probabilities", mistakes=mistakes, rtol=rtol)


@exercise("log_softmax", "the worked example")
def test_log_softmax_worked_example(handle, seed):
    check_logprobs(handle, torch.tensor([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]).log())


@exercise("log_softmax", "logits of shape (B, T, V), each row by itself")
def test_log_softmax_of_three_dimensions(handle, seed):
    check_logprobs(handle, 2 * numbers(seed, 4, 3, V))
    check_logprobs(handle, 2 * numbers(seed, V, 4, 3).permute(1, 2, 0))
    check_logprobs(handle, numbers(seed, V))


@exercise("log_softmax", "large logits, positive and negative")
def test_log_softmax_of_large_logits(handle, seed):
    for shift in (500.0, -500.0, 1e4, -1e4):
        check_logprobs(handle, numbers(seed, 3, V) + shift, rtol=5e-3)  # 32 bits resolve 0.001 at 10,000


@exercise("log_softmax", "rows far apart from one another")
def test_log_softmax_of_rows_far_apart(handle, seed):
    check_logprobs(handle, numbers(seed, 3, V) + torch.tensor([[700.0], [0.0], [-2000.0]]), rtol=1e-3)


@exercise("log_softmax", "tokens that are next to impossible, and ruled out")
def test_log_softmax_of_tiny_probabilities(handle, seed):
    logits = numbers(seed, 3, V)
    logits[0, 1], logits[1, 0], logits[2, 4] = -200.0, 180.0, -40.0
    check_logprobs(handle, logits)
    logits[1, 2] = -inf
    check_logprobs(handle, logits)


@exercise("log_softmax", "the gradient is right: raising one logit lowers the other log-probabilities")
def test_log_softmax_gradient(handle, seed):
    for shift in (0.0, 300.0):
        logits, upstream = numbers(seed, 3, 4, V) + shift, numbers(seed + 1, 3, 4, V)
        _, grads = handle.gradients(logits, wrt=[0], upstream=upstream)
        probabilities = logprobs_by_loop(logits).exp()
        expected = upstream - probabilities * upstream.sum(-1, keepdim=True)
        missing = "nothing flows through the sum: is it detached, or made under no_grad?"
        expect_gradient(grads[0], expected, "the logits", mistakes={missing: upstream})
