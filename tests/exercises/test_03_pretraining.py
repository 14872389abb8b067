"""What a right solution of lesson 03 is: rows of tokens, the loss, the learning rate. The step and perplexity follow in
test_03_pretraining_step.py."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import cos, exp, log, pi

import torch
from torch import Tensor

from minillm.course.expect import (
    CheckFailure,
    expect_close,
    expect_equal,
    expect_gradient,
    expect_shape,
    expect_true,
    fail,
)
from minillm.course.testing import exercise

DOC = 1


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@contextmanager
def explained(meanings: dict[str, str]) -> Iterator[None]:
    """Add what an error means to the message of a call that stopped with it; it is known by a part of its text."""
    try:
        yield
    except CheckFailure as problem:
        for sign, meaning in meanings.items():
            if sign in str(problem):
                fail(f"{problem}\n{meaning}")
        raise


# --- pack_documents ---------------------------------------------------------------------------------------------


def random_documents(seed: int, count: int = 9, longest: int = 11) -> list[list[int]]:
    g = generator(seed)
    lengths = torch.randint(1, longest + 1, (count,), generator=g).tolist()
    documents = [torch.randint(2, 30, (n,), generator=g).tolist() for n in lengths]
    documents[1][0] = 0
    return documents


def stream_of(documents: list[list[int]]) -> list[int]:
    stream = []
    for document in documents:
        stream.append(DOC)
        for token in document:
            stream.append(token)
    return stream


def rows_of(stream: list[int], length: int, stride: int = 0, width: int = 0) -> list[list[int]]:
    """Full rows of ``width`` tokens (default length + 1), one every ``stride`` tokens (default length)."""
    stride, width = stride or length, width or length + 1
    return [stream[start : start + width] for start in range(0, len(stream) - width + 1, stride)]


def packing_mistakes(documents: list[list[int]], length: int) -> dict:
    stream = stream_of(documents)
    behind = [token for document in documents for token in [*document, DOC]]
    bare = [token for document in documents for token in document]
    some = stream_of([document for document in documents if document])
    cut = stream_of([document[:length] for document in documents])
    own = [([DOC, *document] + [0] * length)[: length + 1] for document in documents]
    tail = len(rows_of(stream, length)) * length
    padded = [*rows_of(stream, length), (stream[tail:] + [0] * (length + 1))[: length + 1]]
    first = "there is none before the first document: separators stand behind documents, or only between. See trap 2."
    short = "rows hold `length` tokens: that is one prediction less each. A row holds length + 1."
    last = "the last full row is dropped: a stream of n tokens holds (n - 1) // length rows."
    return {
        "rows share no token: the first one of each row is never predicted. See trap 1.": rows_of(
            stream, length, stride=length + 1
        ),
        short: rows_of(stream, length, width=length),
        first: rows_of(behind, length),
        first + " ": rows_of(stream[1:], length),
        "there is no separator between documents.": rows_of(bare, length),
        "the tail that fills no row is kept and padded. See trap 3.": padded,
        "each document gets a row of its own, cut or padded to the length. See trap 4.": own,
        last: rows_of(stream, length)[:-1],
        "a row begins at every position; rows are `length` tokens apart.": rows_of(stream, length, stride=1),
        "an empty document is skipped; its separator belongs into the stream.": rows_of(some, length),
        "token 0 is dropped; it is a token like any other.": rows_of([t for t in stream if t], length),
        "documents are cut to the length of a row. See trap 4.": rows_of(cut, length),
    }


PACKING_ERRORS = {
    "expected sequence of length": "The rows are not equally long: the tail that fills no row is dropped. See trap 3.",
    "maximum size for tensor": "There are too few tokens for one row: return a tensor of shape (0, length + 1), long.",
}


def check_rows(handle, documents: list[list[int]], length: int) -> None:
    expected = rows_of(stream_of(documents), length)
    with explained(PACKING_ERRORS):
        got = handle(documents, length, DOC)
    if isinstance(got, Tensor) and got.is_floating_point() and got.numel():
        fail(f"the rows are numbers of type {str(got.dtype)[6:]}: token ids are integers, dtype=torch.long.")
    if expected:
        expect_equal(got, expected, "rows", mistakes=packing_mistakes(documents, length))
    expect_true(isinstance(got, Tensor), "the rows should be one tensor (N, length + 1) of type long, not a list.")
    expect_shape(got, (len(expected), length + 1), "rows")


@exercise("pack_documents", "the worked example")
def test_pack_documents_worked_example(handle, seed):
    check_rows(handle, [[5, 6], [7, 8, 9], [4]], 3)


@exercise("pack_documents", "documents of all lengths, a rest that is dropped")
def test_pack_documents_of_all_lengths(handle, seed):
    documents = random_documents(seed)
    length = 4 + seed % 4
    while (len(stream_of(documents)) - 1) % length == 0:
        documents[-1].append(3)
    check_rows(handle, documents, length)


@exercise("pack_documents", "a stream that fills its rows exactly")
def test_pack_documents_exact_fit(handle, seed):
    documents = random_documents(seed)
    while (len(stream_of(documents)) - 1) % 5:
        documents[-1].append(3)
    check_rows(handle, documents, 5)
    documents[-1].append(3)
    check_rows(handle, documents, 5)


@exercise("pack_documents", "documents longer than a row, and empty ones")
def test_pack_documents_long_and_empty(handle, seed):
    documents = random_documents(seed, count=5, longest=30)
    documents[2] = []
    check_rows(handle, documents, 3)


@exercise("pack_documents", "every token but the first is predicted once")
def test_pack_documents_predicts_everything_once(handle, seed):
    documents = random_documents(seed, count=12)
    stream = stream_of(documents)
    rows = handle(documents, 6, DOC)
    targets = torch.as_tensor(rows)[:, 1:].flatten().tolist()
    expect_equal(targets, stream[1 : 1 + len(targets)], "the predicted tokens, row after row")
    expect_true(len(stream) - 1 - len(targets) < 6, f"{len(stream) - 1 - len(targets)} tokens are never predicted.")


@exercise("pack_documents", "too little for one row")
def test_pack_documents_too_short(handle, seed):
    check_rows(handle, [[5, 6]], 3)
    check_rows(handle, [], 4)


# --- next_token_loss --------------------------------------------------------------------------------------------


def loss_data(seed: int, scale: float = 1.5) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (4, 6, 7), tokens (4, 6), and a mask of ragged rows with wild logits behind their ends."""
    g = generator(seed)
    logits = torch.randn(4, 6, 7, generator=g) * scale
    tokens = torch.randint(0, 7, (4, 6), generator=g)
    tokens[0, 2] = tokens[3, 1] = 0
    mask = (torch.arange(6) < torch.tensor([6, 3, 5, 2])[:, None]).float()
    logits[mask == 0] *= 30.0
    return logits, tokens, mask


def nats_at(logits: Tensor, token: int) -> float:
    """-log softmax(logits)[token], in plain Python."""
    values = logits.tolist()
    top = max(values)
    return top + log(sum(exp(value - top) for value in values)) - values[token]


def mean_nats(logits: Tensor, tokens: Tensor, mask: Tensor, shift: int = 1, mask_shift: int = 1, by_row=False) -> float:
    """The loss by loops. Position t is scored against token t + shift where mask[t + mask_shift] is 1."""
    B, T, _ = logits.shape
    rows = []
    for b in range(B):
        first, last = max(0, -shift, -mask_shift), T - max(0, shift, mask_shift)
        here = [t for t in range(first, last) if mask[b, t + mask_shift]]
        rows.append([nats_at(logits[b, t], int(tokens[b, t + shift])) for t in here])
    if by_row:
        return sum(sum(row) / len(row) for row in rows if row) / max(1, sum(bool(row) for row in rows))
    flat = [value for row in rows for value in row]
    return sum(flat) / max(1, len(flat))


def over_positions(logits: Tensor, tokens: Tensor, mask: Tensor) -> float:
    """The loss of a softmax over T instead of V."""
    each = logits[:, :-1].double().log_softmax(1).gather(2, tokens[:, 1:, None])[..., 0]
    return -each[mask[:, 1:].bool()].mean().item()


def loss_mistakes(logits: Tensor, tokens: Tensor, mask: Tensor) -> dict:
    data = logits, tokens, mask
    right, counted = mean_nats(*data), mask[:, 1:].sum().item()
    rolled = logits, tokens.roll(-1, 1), mask.roll(-1, 1)
    cut = logits[:, :-1], tokens[:, :-1], mask[:, 1:]
    reader = "the mask is taken at the position that reads, not at the token that is predicted. See trap 3."
    return {
        "targets are not shifted: each position is scored on the token it has just read. See trap 1.": (
            lambda: mean_nats(*data, shift=0, mask_shift=0)
        ),
        "targets are not shifted, though the last position is dropped. See trap 1.": (
            lambda: mean_nats(*cut, shift=0, mask_shift=0)
        ),
        "the shift goes the wrong way: positions are scored on the token before them. See trap 2.": (
            lambda: mean_nats(*data, shift=-1, mask_shift=-1)
        ),
        "the shift goes the wrong way, under the mask of the reading position. See trap 2.": (
            lambda: mean_nats(*data, shift=-1, mask_shift=0)
        ),
        "the shift is by two places, not one.": lambda: mean_nats(*data, shift=2, mask_shift=2),
        "the targets are rolled: the last position is scored on the first token.": (
            lambda: mean_nats(*rolled, shift=0, mask_shift=0)
        ),
        "the mask is ignored: what stands behind the ends of rows is averaged in.": (
            lambda: mean_nats(logits, tokens, torch.ones_like(mask))
        ),
        reader: lambda: mean_nats(*data, mask_shift=0),
        "each row is averaged first. See trap 4.": lambda: mean_nats(*data, by_row=True),
        "token 0 is left out, as with ignore_index=0. See trap 5.": (
            lambda: mean_nats(logits, tokens, mask * (tokens != 0))
        ),
        "the sum is divided by all positions, not by the counted ones. See trap 5.": (
            right * counted / mask[:, 1:].numel()
        ),
        "the divisor is the whole mask, first column included; it is never a target.": right * counted / mask.sum(),
        "the sum is not divided by anything: a mean is asked for.": right * counted,
        "the loss is in bits (log2); nats are asked for.": right / log(2),
        "the softmax is taken twice: cross_entropy and log_softmax take raw logits.": (
            lambda: mean_nats(logits.double().softmax(-1), tokens, mask)
        ),
        "the softmax runs over positions, not over the vocabulary (the last dimension).": lambda: over_positions(*data),
    }


VOCABULARY_FIRST = (
    "F.cross_entropy takes dimension 1 of the logits for the vocabulary, and found the positions there: (B, T, V) has "
    "to become (B, V, T), or both have to be flattened, to (B * T, V) and (B * T)."
)
LAST_POSITION = (
    "The targets are one fewer than the positions that guess: drop the last position of the logits, in the dimension "
    "of positions. It predicts a token that is not there."
)
LOSS_ERRORS = {  # for logits (4, 6, 7)
    "Expected target size [4, 7], got [4, 6]": f"{VOCABULARY_FIRST} And the targets are not shifted yet. See trap 1.",
    "Expected target size [4, 7], got [4, 5]": VOCABULARY_FIRST,
    "Expected target size [4, 6], got [4, 5]": LAST_POSITION,
    "Expected input batch_size (24) to match target batch_size (20)": LAST_POSITION,
    "Index tensor must have the same number of dimensions": (
        "gather wants an index with as many dimensions as the logits: targets[..., None], and [..., 0] of the result."
    ),
    "The size of tensor a (5) must match the size of tensor b (6)": (
        "The mask has a column for every token, the nats only for the predicted ones. See trap 3."
    ),
    "tensors used as indices must be": "The mask may be of any type. To pick with it, make it bool first: mask.bool().",
}


@exercise("next_token_loss", "each position predicts the next token")
def test_next_token_loss_shift(handle, seed):
    logits, tokens, _ = loss_data(seed)
    ones = torch.ones(tokens.shape)
    with explained(LOSS_ERRORS):
        got = handle(logits, tokens)
    expect_close(got, mean_nats(logits, tokens, ones), "the loss", mistakes=loss_mistakes(logits, tokens, ones))


@exercise("next_token_loss", "rows of different length")
def test_next_token_loss_ragged(handle, seed):
    logits, tokens, mask = loss_data(seed)
    with explained(LOSS_ERRORS):
        got = handle(logits, tokens, mask)
    expect_close(got, mean_nats(logits, tokens, mask), "the loss", mistakes=loss_mistakes(logits, tokens, mask))


@exercise("next_token_loss", "a mask with holes, of any type")
def test_next_token_loss_holes(handle, seed):
    logits, tokens, _ = loss_data(seed)
    mask = torch.tensor([[1, 0, 1, 0, 0, 1], [0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0], [0, 1, 1, 1, 1, 0]])
    expected = mean_nats(logits, tokens, mask)
    for kind in (torch.bool, torch.long, torch.float64):
        with explained(LOSS_ERRORS):
            got = handle(logits, tokens, mask.to(kind))
        what = f"the loss (mask of type {str(kind)[6:]})"
        expect_close(got, expected, what, mistakes=loss_mistakes(logits, tokens, mask.float()))


@exercise("next_token_loss", "very unlikely tokens stay finite")
def test_next_token_loss_is_stable(handle, seed):
    logits, tokens, mask = loss_data(seed, scale=150.0)
    got = handle(logits, tokens, mask)
    expect_true(
        torch.as_tensor(got).isfinite().all(),
        f"the loss is {got}: the softmax was rounded to 0 before its logarithm was taken. Use log_softmax.",
    )
    expect_close(got, mean_nats(logits, tokens, mask), "the loss", mistakes=loss_mistakes(logits, tokens, mask))


@exercise("next_token_loss", "the gradient is (softmax - one-hot) / count, and 0 where nothing counts")
def test_next_token_loss_gradient(handle, seed):
    logits, tokens, mask = loss_data(seed)
    _, grads = handle.gradients(logits, tokens, mask, wrt=[0])
    expected = torch.zeros_like(logits, dtype=torch.float64)
    for b, t in mask[:, 1:].nonzero().tolist():
        expected[b, t] = logits[b, t].double().softmax(-1)
        expected[b, t, tokens[b, t + 1]] -= 1
    expect_gradient(grads[0], expected / mask[:, 1:].sum(), "logits")


@exercise("next_token_loss", "float64, strides, and the order of rows do not matter")
def test_next_token_loss_forms(handle, seed):
    logits, tokens, mask = loss_data(seed)
    expected = mean_nats(logits, tokens, mask)
    order = torch.tensor([2, 0, 3, 1])
    expect_close(handle(logits[order], tokens[order], mask[order]), expected, "the loss, rows in another order")
    strided = logits.double().permute(1, 2, 0).contiguous().permute(2, 0, 1)
    expect_close(handle(strided, tokens.T.contiguous().T, mask), expected, "the loss of non-contiguous float64 logits")


# --- learning_rate_at -------------------------------------------------------------------------------------------


def half_cosine(share: float) -> float:
    """1 at 0, 0 at 1: cos^2 of a quarter turn, which is half of 1 + cos of half a turn."""
    return cos(share * pi / 2) ** 2


def rate(step: int, steps: int, peak: float, warmup: int, floor: float = 0.0) -> float:
    update = step + 1
    if update < warmup:
        return peak / warmup * update
    share = min(update - warmup, steps - warmup) / (steps - warmup)
    return peak * half_cosine(share) + floor * (1 - half_cosine(share))


def rate_slips(step: int, steps: int, peak: float, warmup: int, floor: float) -> dict[str, float]:
    """What one mistake each gives at one step."""
    update, span = step + 1, peak - floor
    share = (update - warmup) / (steps - warmup)
    late = min(1.0, max(0.0, (update - 1 - warmup) / (steps - warmup)))
    whole, up = min(1.0, share), max(1, warmup)
    decay = half_cosine(max(0.0, whole))
    warming = update <= warmup
    rise = peak * update / up if warming else None

    unbracketed = min(1.0, update - warmup / steps - warmup)

    def warm_or(value: float) -> float:
        return rise if warming else value

    early = peak * step / up if step < warmup else floor + span * half_cosine(late)
    linear = floor + span * (1 - whole)
    return {
        "step, not step + 1, is taken as the number of the update. See trap 1.": early,
        "there is no warm-up.": floor + span * half_cosine(min(1.0, update / steps)),
        "the warm-up is divided by warmup + 1: update number `warmup` has the peak.": (
            peak * update / (warmup + 1) if step < warmup else floor + span * decay
        ),
        "the warm-up starts at the floor instead of 0.": floor + span * (update / up if warming else decay),
        "the cosine runs over all steps, not over those after the warm-up. See trap 2.": (
            warm_or(floor + span * half_cosine(min(1.0, update / steps)))
        ),
        "the cosine begins one step late: update number `steps` has the floor.": warm_or(
            floor + span * half_cosine(late)
        ),
        "the floor is forgotten. See trap 3.": warm_or(peak * decay),
        "the floor is added on top of the whole cosine. See trap 3.": warm_or(floor + peak * decay),
        "the floor is a lower limit (max), not the end of the cosine. See trap 3.": warm_or(max(floor, peak * decay)),
        "the cosine turns only a quarter turn. See trap 4.": warm_or(floor + span * half_cosine(whole / 2)),
        "1 + cos is not halved: the peak comes out twice as high.": warm_or(floor + 2 * span * decay),
        "the rate rises again after the last step. See trap 5.": warm_or(floor + span * half_cosine(share)),
        "the decay is a straight line, not a cosine.": warm_or(linear),
        "brackets are missing: the share is (n - warmup) / (steps - warmup), a quotient of two differences.": (
            warm_or(floor + span * half_cosine(unbracketed))
        ),
        "the rate falls to 0 after the last step instead of staying at the floor.": (
            0.0 if update > steps else warm_or(floor + span * decay)
        ),
    }


def check_rates(handle, steps: int, peak: float, warmup: int, floor: float, count: int) -> None:
    """The rates of steps 0 to count - 1, compared as one list, so that a mistake is known by its whole curve."""
    settings = (steps, peak, warmup, floor)
    with explained({"ZeroDivisionError": "warmup may be 0: divide by it only while there is a warm-up. See trap 6."}):
        got = [handle(step, *settings) for step in range(count)]
    slips = [rate_slips(step, *settings) for step in range(count)]
    mistakes = {message: [each[message] for each in slips] for message in slips[0]}
    what = f"with steps={steps}, peak={peak:.3g}, warmup={warmup}, floor={floor:.3g}: learning_rate"
    expect_close(got, [rate(step, *settings) for step in range(count)], what, mistakes=mistakes, rtol=1e-5)


def schedule_case(seed: int) -> tuple[int, float, int, float]:
    g = generator(seed)
    warmup, more = torch.randint(3, 9, (2,), generator=g).tolist()
    peak = 0.001 + 0.01 * torch.rand((), generator=g).item()
    return warmup + more + 9, peak, warmup, peak * 0.1


@exercise("learning_rate_at", "the warm-up")
def test_learning_rate_warms_up(handle, seed):
    steps, peak, warmup, floor = schedule_case(seed)
    check_rates(handle, steps, peak, warmup, floor, warmup)


@exercise("learning_rate_at", "the cosine down to the floor")
def test_learning_rate_decays(handle, seed):
    steps, peak, warmup, floor = schedule_case(seed)
    check_rates(handle, steps, peak, warmup, floor, steps)


@exercise("learning_rate_at", "the floor afterwards")
def test_learning_rate_stays_at_the_floor(handle, seed):
    steps, peak, warmup, floor = schedule_case(seed)
    check_rates(handle, steps, peak, warmup, floor, 2 * steps)


@exercise("learning_rate_at", "no warm-up, no floor, names for arguments")
def test_learning_rate_without_warmup(handle, seed):
    steps, peak, _, _ = schedule_case(seed)
    check_rates(handle, steps, peak, 0, 0.0, steps + 2)
    got = handle(step=3, steps=steps, peak=peak, warmup=1)
    expect_close(got, rate(3, steps, peak, 1), "the rate with floor left out", rtol=1e-5)
