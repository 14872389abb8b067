"""What a right sft_loss is: the mean over all counted tokens of the batch, of answers alone."""

from math import exp, log

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, fail
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loss_data(seed: int, scale: float = 1.5) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (4, 7, 5), tokens (4, 7), a mask of answers of different length that begin at different places; wild
    logits where only padding is predicted."""
    g = generator(seed)
    logits = torch.randn(4, 7, 5, generator=g) * scale
    tokens = torch.randint(0, 5, (4, 7), generator=g)
    tokens[0, 3] = tokens[1, 4] = 0
    spans = torch.tensor([[2, 7], [3, 5], [0, 4], [5, 6]])
    places = torch.arange(7)
    mask = ((places >= spans[:, :1]) & (places < spans[:, 1:])).float()
    for b, end in enumerate(spans[:, 1].tolist()):
        logits[b, end:] *= 30.0
    return logits, tokens, mask


def nats_at(logits: Tensor, token: int) -> float:
    """-log softmax(logits)[token], in plain Python."""
    values = logits.tolist()
    top = max(values)
    return top + log(sum(exp(value - top) for value in values)) - values[token]


def mean_nats(logits, tokens, mask, shift: int = 1, mask_shift: int = 1, how: str = "tokens") -> float:
    """The loss by loops: position t is scored against token t + shift where mask[t + mask_shift] is 1."""
    B, T, _ = logits.shape
    each = []
    for b in range(B):
        first, last = max(0, -shift, -mask_shift), T - max(0, shift, mask_shift)
        here = [t for t in range(first, last) if mask[b, t + mask_shift]]
        each.append([nats_at(logits[b, t], int(tokens[b, t + shift])) for t in here])
    flat = [value for row in each for value in row]
    filled = [row for row in each if row]
    if how == "rows":
        return sum(sum(row) / len(row) for row in filled) / max(1, len(filled))
    if how == "sums":
        return sum(flat) / B
    return sum(flat) / max(1, len(flat))


def loss_mistakes(logits: Tensor, tokens: Tensor, mask: Tensor) -> dict:
    data = logits, tokens, mask
    right, counted = mean_nats(*data), mask[:, 1:].sum().item()
    everything = torch.ones_like(mask)
    return {
        "the mask is ignored: prompts and padding are trained on. See trap 2.": (
            lambda: mean_nats(logits, tokens, everything)
        ),
        "the mask is taken at the position that reads, not at the token that is predicted. See trap 3.": (
            lambda: mean_nats(*data, mask_shift=0)
        ),
        "the targets are not shifted: each position is scored on the token it has just read. See trap 1.": (
            lambda: mean_nats(*data, shift=0, mask_shift=0)
        ),
        "the targets are not shifted, only the mask is. See trap 1.": lambda: mean_nats(*data, shift=0, mask_shift=1),
        "the shift goes the wrong way: positions are scored on the token before them. See trap 1.": (
            lambda: mean_nats(*data, shift=-1, mask_shift=-1)
        ),
        "the shift goes the wrong way, under the mask of the reading position. See trap 1.": (
            lambda: mean_nats(*data, shift=-1, mask_shift=0)
        ),
        "each answer is averaged first, so short ones weigh more. See trap 4.": lambda: mean_nats(*data, how="rows"),
        "the sum is divided by the number of rows, not of counted tokens. See trap 4.": (
            lambda: mean_nats(*data, how="sums")
        ),
        "token 0 is left out, as with ignore_index=0. See trap 5.": (
            lambda: mean_nats(logits, tokens, mask * (tokens != 0))
        ),
        "the sum is divided by all positions, not by the counted ones. See trap 4.": (
            right * counted / mask[:, 1:].numel()
        ),
        "the divisor is the whole mask, first column included; it is never a target. See trap 3.": (
            right * counted / mask.sum()
        ),
        "the sum is not divided by anything: a mean is asked for.": right * counted,
        "the mask is turned round: prompts are trained on, answers are not.": (
            lambda: mean_nats(logits, tokens, 1 - mask)
        ),
        "the logits of masked positions are set to 0 and averaged in: they cost log V each.": (
            lambda: (right * counted + log(logits.shape[-1]) * (mask[:, 1:] == 0).sum()) / mask[:, 1:].numel()
        ),
        "the softmax is taken twice: cross_entropy and log_softmax take raw logits.": (
            lambda: mean_nats(logits.double().softmax(-1), tokens, mask)
        ),
        "the loss is in bits (log2); nats are asked for.": right / log(2),
    }


def check_loss(handle, logits, tokens, mask, what: str = "the loss") -> None:
    got, expected = handle(logits, tokens, mask), mean_nats(logits, tokens, mask)
    if isinstance(got, Tensor) and not bool(got.isfinite().all()):
        fail(f"{what} is {got.tolist()}: the softmax was rounded to 0 before its logarithm was taken. Use log_softmax.")
    expect_close(got, expected, what, mistakes=loss_mistakes(logits, tokens, mask.float()))


@exercise("sft_loss", "answers of different length, at different places")
def test_sft_loss_ragged(handle, seed):
    check_loss(handle, *loss_data(seed))


@exercise("sft_loss", "several turns: a mask with holes, of any type")
def test_sft_loss_holes(handle, seed):
    logits, tokens, _ = loss_data(seed)
    mask = torch.tensor([[1, 0, 1, 1, 0, 0, 1], [0, 0, 0, 0, 1, 0, 0], [1, 1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0, 1]])
    for kind in (torch.bool, torch.long, torch.float64):
        check_loss(handle, logits, tokens, mask.to(kind), f"the loss (mask of type {str(kind)[6:]})")


@exercise("sft_loss", "a row in which nothing counts")
def test_sft_loss_empty_row(handle, seed):
    logits, tokens, mask = loss_data(seed)
    mask[1] = 0.0
    check_loss(handle, logits, tokens, mask)


@exercise("sft_loss", "what the prompts are does not change it")
def test_sft_loss_prompt_does_not_count(handle, seed):
    logits, tokens, mask = loss_data(seed)
    other = torch.where(mask.bool(), tokens, (tokens + 1) % 5)
    expect_close(
        handle(logits, other, mask), mean_nats(logits, tokens, mask), "the loss with other prompt tokens",
        mistakes=loss_mistakes(logits, other, mask),
    )  # fmt: skip


@exercise("sft_loss", "very unlikely tokens stay finite")
def test_sft_loss_is_stable(handle, seed):
    logits, tokens, mask = loss_data(seed, scale=150.0)
    check_loss(handle, logits, tokens, mask)


@exercise("sft_loss", "the gradient is (softmax - one-hot) / count at answers, and 0 at prompts and padding")
def test_sft_loss_gradient(handle, seed):
    logits, tokens, mask = loss_data(seed)
    _, grads = handle.gradients(logits, tokens, mask, wrt=[0])
    expected = torch.zeros_like(logits, dtype=torch.float64)
    for b, t in mask[:, 1:].nonzero().tolist():
        expected[b, t] = logits[b, t].double().softmax(-1)
        expected[b, t, tokens[b, t + 1]] -= 1
    expect_gradient(grads[0], expected / mask[:, 1:].sum(), "logits")


@exercise("sft_loss", "float64, strides, and the order of rows do not matter")
def test_sft_loss_forms(handle, seed):
    logits, tokens, mask = loss_data(seed)
    expected = mean_nats(logits, tokens, mask)
    order = torch.tensor([2, 0, 3, 1])
    expect_close(handle(logits[order], tokens[order], mask[order]), expected, "the loss, rows in another order")
    strided = logits.double().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expect_close(handle(strided, tokens.T.contiguous().T, mask), expected, "the loss of non-contiguous float64 logits")
