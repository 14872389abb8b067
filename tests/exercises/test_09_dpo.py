"""What a right solution of lesson 09 is: the log-probability of an answer, and the reward that it implies."""

from math import exp, log, tanh

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_no_gradient, expect_true, fail
from minillm.course.testing import exercise

# --- sequence_logprobs ------------------------------------------------------------------------------------------

MASKS = [
    [0, 0, 0, 1, 1, 1, 0, 0],  # prompt, answer, padding
    [0, 0, 0, 0, 0, 0, 1, 1],  # padding on the left
    [1, 1, 1, 0, 0, 0, 0, 0],  # the first token is marked as well: nothing predicts it
    [0, 1, 1, 0, 0, 1, 1, 0],  # two turns
    [0, 0, 0, 0, 0, 0, 0, 0],  # no answer
]


def answers(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Logits (5, 8, 6), tokens (5, 8), float masks (5, 8); token 0 is among the counted ones, wild logits elsewhere."""
    g = torch.Generator().manual_seed(seed)
    mask = torch.tensor(MASKS, dtype=torch.float32)
    B, T = mask.shape
    V = 6
    tokens = torch.stack([(torch.randperm(T, generator=g) + b) % V for b in range(B)])
    tokens[0, 4] = tokens[1, 7] = tokens[2, 1] = tokens[3, 5] = 0
    logits = 1.5 * torch.randn(B, T, V, generator=g) + 0.5
    used = torch.zeros(B, T, dtype=torch.bool)
    used[:, :-1] = mask[:, 1:].bool()
    wild = 60 * torch.randn(B, T, V, generator=g)
    return torch.where(used[..., None], logits, wild), tokens, mask


def logprob(row: list[float], token: int) -> float:
    """log softmax(row)[token]."""
    top = max(row)
    return row[token] - top - log(sum(exp(x - top) for x in row))


def sums(logits: Tensor, tokens: Tensor, mask: Tensor) -> list[float]:
    """One token at a time."""
    rows, ids, marks = logits.double().tolist(), tokens.tolist(), mask.tolist()
    return [
        sum(logprob(row[t - 1], said[t]) for t in range(1, len(said)) if counts[t])
        for row, said, counts in zip(rows, ids, marks)
    ]


def pick(table: Tensor, tokens: Tensor) -> Tensor:
    return table.gather(-1, tokens[..., None])[..., 0]


def sum_mistakes(logits: Tensor, tokens: Tensor, mask: Tensor) -> dict:
    x, m = logits.double(), mask.double()
    nats, following, after = x.log_softmax(-1), tokens[:, 1:], m[:, 1:]
    each = pick(nats[:, :-1], following)  # (B, T - 1)
    right, n = (each * after).sum(1), after.sum(1)
    mean = right / n.clamp(min=1)
    first_row = "all rows are masked with the first row's mask. See trap 6."
    return {
        "the mask is not shifted: it marks tokens, and here it marks the position that predicts. See trap 1.": (
            (each * m[:, :-1]).sum(1)
        ),
        "each position is held against its own token; logits at t predict token t + 1.": (pick(nats, tokens) * m).sum(
            1
        ),
        "each position is held against its own token (the first left out); logits at t predict token t + 1.": (
            (pick(nats, tokens)[:, 1:] * after).sum(1)
        ),
        "each position is held against its own token (the last left out); logits at t predict token t + 1.": (
            (pick(nats, tokens)[:, :-1] * after).sum(1)
        ),
        "the tokens are rolled and the mask is not: entry t belongs to token t + 1. See trap 1.": (
            (pick(nats, tokens.roll(-1, 1)) * m).sum(1)
        ),
        "tokens and mask are rolled, so that the first token is predicted by the last position.": (
            (pick(nats, tokens.roll(-1, 1)) * m.roll(-1, 1)).sum(1)
        ),
        "the shift goes the wrong way: logits at t against token t - 1.": (
            (pick(nats[:, 1:], tokens[:, :-1]) * m[:, :-1]).sum(1)
        ),
        "the mask is ignored: prompt and padding are added in.": each.sum(1),
        "this is a mean over the answer's tokens; a sum is asked for. See trap 2.": mean,
        "the sum is divided by the number of all marked tokens, the first included; no division at all. See trap 2.": (
            right / m.sum(1).clamp(min=1)
        ),
        "this is a mean over all positions; a sum over the answer is asked for. See trap 2.": right / each.shape[1],
        "the sign is flipped: this is a loss, and log-probabilities are asked for. See trap 4.": -right,
        "this is the mean loss of each answer; a sum of log-probabilities is asked for. See traps 2 and 4.": -mean,
        "this is the perplexity of each answer; a sum of log-probabilities is asked for. See traps 2 and 4.": (
            -mean
        ).exp(),
        "these are probabilities of answers: the log is missing.": right.exp(),
        "the probabilities of the tokens are added; add their logs.": (each.exp() * after).sum(1),
        "the log is taken of the sum of the tokens' probabilities; add the logs.": (each.exp() * after).sum(1).log(),
        "the logits themselves are added: the normalisation is missing. See trap 3.": (
            (pick(x[:, :-1], following) * after).sum(1)
        ),
        "the softmax runs over the positions, not over the vocabulary. See trap 3.": (
            (pick(x.log_softmax(1)[:, :-1], following) * after).sum(1)
        ),
        "the softmax runs over the positions but the last, not over the vocabulary. See trap 3.": (
            (pick(x[:, :-1].log_softmax(1), following) * after).sum(1)
        ),
        "the softmax runs over the batch, not over the vocabulary. See trap 3.": (
            (pick(x.log_softmax(0)[:, :-1], following) * after).sum(1)
        ),
        "token 0 is skipped, as cross_entropy does with ignore_index=0. See trap 5.": (
            (each * after * (following != 0)).sum(1)
        ),
        "token 0 is skipped, and the sign is flipped. See traps 4 and 5.": -(each * after * (following != 0)).sum(1),
        "all answers are added up: one number for each row is asked for. See trap 6.": right.sum(),
        "all tokens are averaged: one sum for each row is asked for. See traps 2 and 6.": right.sum() / n.sum(),
        "the loss is averaged over all tokens: one sum of log-probabilities for each row is asked for.": (
            -right.sum() / n.sum()
        ),
        "the sums are averaged over the batch: one number for each row is asked for. See trap 6.": right.mean(),
        "the tokens of an answer are not added up.": each * after,
        "the sum runs over the rows, not over the tokens of a row.": (each * after).sum(0),
        "logarithms are to base 2; nats are asked for.": right / log(2),
        "the likeliest token is taken, not the one that was said.": (nats[:, :-1].max(-1).values * after).sum(1),
        first_row: (each * after[:1]).sum(1),
        "each row is masked with the mask of the next. See trap 6.": (each * after.roll(-1, 0)).sum(1),
        "the mask is turned round: everything but the answer is counted.": (each * (1 - after)).sum(1),
        "the last token of each answer is left out: the end token counts, too. See trap 1.": (
            (each * after * F.pad(after, (0, 1))[:, 1:]).sum(1)
        ),
        "the first token of each answer is left out. See trap 1.": (each * after * m[:, :-1]).sum(1),
        "only the last counted token's log-probability is returned.": (
            torch.stack([e[k.nonzero()[-1, 0]] if k.any() else e[0] * 0 for e, k in zip(each, after)])
        ),
        "everything from the first to the last counted token is added, the gap between included.": (
            (each * ((after.cumsum(1) > 0) & (after.flip(1).cumsum(1).flip(1) > 0))).sum(1)
        ),
    }


def check_sums(handle, logits: Tensor, tokens: Tensor, mask: Tensor, what: str = "the log-probabilities") -> None:
    got = handle(logits, tokens, mask)
    if not bool(torch.as_tensor(got).isfinite().all()):
        fail(
            f"{what}: not all are finite. A row without counted tokens gives 0, so there is nothing to divide by; and "
            "log_softmax is finite for any logits, where log(softmax) is not. See traps 2 and 3."
        )
    expect_close(got, sums(logits, tokens, mask), what, mistakes=sum_mistakes(logits, tokens, mask))


@exercise("sequence_logprobs", "the sum over marked tokens, padding on either side, two turns, no answer")
def test_sequence_logprobs_values(handle, seed):
    check_sums(handle, *answers(seed))


@exercise("sequence_logprobs", "the worked example")
def test_sequence_logprobs_worked_example(handle, seed):
    logits = torch.tensor([[[0.5, 0.25, 0.25], [0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]).log()
    tokens = torch.tensor([[2, 0, 1]])
    check_sums(handle, logits, tokens, torch.tensor([[0, 1, 1]]))
    check_sums(handle, logits, tokens, torch.tensor([[1, 1, 1]]), "the log-probability (mask 1, 1, 1)")


@exercise("sequence_logprobs", "what stands at unmarked places does not matter")
def test_sequence_logprobs_padding(handle, seed):
    logits, tokens, mask = answers(seed)
    g = torch.Generator().manual_seed(seed + 50)
    other = 20 * torch.randn(logits.shape, generator=g)
    used = torch.zeros_like(mask).bool()
    used[:, :-1] = mask[:, 1:].bool()
    padded = torch.where(mask.bool(), tokens, torch.randint(6, tokens.shape, generator=g))
    first = torch.as_tensor(handle(logits, tokens, mask)).double()
    second = torch.as_tensor(handle(torch.where(used[..., None], logits, other), padded, mask)).double()
    expect_true(
        first.shape == second.shape and bool(((first - second).abs() < 1e-3).all()),
        "the sums change when logits or tokens at unmarked places do: multiply by mask[:, 1:] before you sum.",
    )
    moved = torch.cat([other[:, :2] / 20, logits], 1), F.pad(tokens, (2, 0), value=1), F.pad(mask, (2, 0))
    check_sums(handle, *moved, "the log-probabilities, two columns of padding in front")


@exercise("sequence_logprobs", "logits of 2,000 in float32")
def test_sequence_logprobs_is_stable(handle, seed):
    logits, tokens, mask = answers(seed)
    logits[0, 3] = torch.tensor([-150.0, 120.0, 0.0, 40.0, -90.0, 3.0])
    logits[1, 6] = torch.tensor([0.0, 2000.0, 0.0, -2000.0, 5.0, 1.0])
    got = torch.as_tensor(handle(logits, tokens, mask)).double()
    if not bool(got.isfinite().all()):
        fail(
            f"for logits of 120 to 2,000 a sum is {got[~got.isfinite()][0].item()}: an exp overflowed, or the softmax "
            "was rounded to 0 before its logarithm was taken. Use log_softmax. See trap 3."
        )
    expected = torch.tensor(sums(logits, tokens, mask), dtype=torch.float64)
    if got.shape == expected.shape and bool((got[expected < -200] > 0.7 * expected[expected < -200]).any()):
        fail(
            f"a sum of {expected.min().item():.0f} nats comes out as {got[expected.argmin()]:.1f}: an epsilon or a "
            "clamp cuts it short. Use log_softmax, which needs none. See trap 3."
        )
    expect_close(got, expected, "the log-probabilities (large logits)", mistakes=sum_mistakes(logits, tokens, mask))


@exercise("sequence_logprobs", "the gradient is one-hot minus softmax where a token counts, 0 elsewhere")
def test_sequence_logprobs_gradient(handle, seed):
    logits, tokens, mask = answers(seed)
    weights = torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0])
    _, grads = handle.gradients(logits, tokens, mask, wrt=[0], upstream=weights)
    expected = torch.zeros(logits.shape, dtype=torch.float64)
    for b, t in (mask[:, 1:] != 0).nonzero().tolist():
        row = logits[b, t].double().tolist()
        for v in range(len(row)):
            expected[b, t, v] = weights[b] * (int(v == tokens[b, t + 1]) - exp(logprob(row, v)))
    expect_gradient(grads[0], expected, "logits")


@exercise("sequence_logprobs", "masks of any type, float64, strides, the order of rows, one row")
def test_sequence_logprobs_forms(handle, seed):
    logits, tokens, mask = answers(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_sums(handle, logits, tokens, mask.to(kind), f"the log-probabilities (mask of type {str(kind)[6:]})")
    order = torch.tensor([3, 0, 4, 2, 1])
    check_sums(handle, logits[order], tokens[order], mask[order], "the log-probabilities, rows in another order")
    strided = logits.double().permute(2, 0, 1).contiguous().permute(1, 2, 0)
    turned = [part.T.contiguous().T for part in (tokens, mask.bool())]
    check_sums(handle, strided, *turned, "the log-probabilities (float64, strides)")
    check_sums(handle, logits[:1], tokens[:1], mask[:1], "the log-probability of one row")
    two = [part[2:3, :2] for part in (logits, tokens, mask)]
    check_sums(handle, *two, "the log-probability of the second of two tokens")


# --- implicit_rewards -------------------------------------------------------------------------------------------


def two_models(seed: int, n: int = 5) -> tuple[Tensor, Tensor]:
    """Sums (n,) of the same answers under policy and reference; some have risen, some have fallen."""
    g = torch.Generator().manual_seed(seed)
    reference = -4 - 10 * torch.rand(n, generator=g)
    moved = torch.tensor([1.4, -2.2, 0.6, -0.5, 2.9])[:n] + 0.3 * torch.rand(n, generator=g)
    return reference + moved, reference


def reward_mistakes(logprobs: Tensor, reference: Tensor, beta: float) -> dict:
    p, q = logprobs.double(), reference.double()
    moved = p - q
    right = beta * moved
    return {
        "the sign is flipped: this is reference minus policy. See trap 1.": -right,
        "beta is missing. See trap 2.": moved,
        "beta divides; it should multiply. See trap 2.": moved / beta,
        "beta is applied twice. See trap 2.": beta * right,
        "beta multiplies only the policy's log-probabilities: brackets. See trap 2.": beta * p - q,
        "beta multiplies only the reference's log-probabilities: brackets. See trap 2.": p - beta * q,
        "beta is 0.1, whatever is passed.": 0.1 * moved,
        "the reference is added, not subtracted. See trap 1.": beta * (p + q),
        "the reference is left out. See trap 1.": beta * p,
        "only the reference is used. See trap 1.": beta * q,
        "the log-probabilities are divided; a quotient of probabilities is a difference of logs.": beta * p / q,
        "this is the ratio of the probabilities times beta: the log is missing. See trap 4.": beta * moved.exp(),
        "this is the ratio of the probabilities to the power of beta: no exp. See trap 4.": right.exp(),
        "probabilities are subtracted, not their logs. See trap 4.": beta * (p.exp() - q.exp()),
        "the rewards go through a sigmoid. See trap 4.": [0.5 + 0.5 * tanh(x / 2) for x in right.tolist()],
        "the rewards go through a logsigmoid. See trap 4.": F.logsigmoid(right),
        "the mean is subtracted from the rewards. See trap 4.": right - right.mean(),
        "the rewards are standardised. See trap 4.": (right - right.mean()) / right.std(correction=0),
        "the rewards go through a softmax. See trap 4.": right.softmax(0),
        "the absolute value is taken: rewards may be negative.": right.abs(),
        "negative rewards are cut off at 0.": right.clamp(min=0),
        "the mean of all rewards is returned: one for each answer is asked for. See trap 5.": right.mean(),
        "the sum of all rewards is returned: one for each answer is asked for. See trap 5.": right.sum(),
        "logarithms are to base 2; nats are asked for.": right / log(2),
    }


def check_rewards(handle, logprobs: Tensor, reference: Tensor, beta: float, what: str = "the rewards") -> None:
    expected = [beta * (p - q) for p, q in zip(logprobs.double().tolist(), reference.double().tolist())]
    mistakes = reward_mistakes(logprobs, reference, beta)
    expect_close(handle(logprobs, reference, beta), expected, what, mistakes=mistakes)


@exercise("implicit_rewards", "beta times policy minus reference")
def test_implicit_rewards_values(handle, seed):
    check_rewards(handle, *two_models(seed), 0.3)
    check_rewards(handle, *two_models(seed + 1, n=3), 0.7, "the rewards (beta=0.7)")


@exercise("implicit_rewards", "the worked example")
def test_implicit_rewards_worked_example(handle, seed):
    policy, reference = torch.tensor([-9.0, -9.5, -8.5]), torch.tensor([-10.0, -8.0, -8.0])
    check_rewards(handle, policy, reference, 0.1)
    check_rewards(handle, policy, reference, 0.2, "the rewards (beta=0.2)")


@exercise("implicit_rewards", "beta is 0.1 if it is not given; 0 where policy and reference agree")
def test_implicit_rewards_defaults(handle, seed):
    policy, reference = two_models(seed)
    moved = (policy.double() - reference.double()).tolist()
    mistakes = reward_mistakes(policy, reference, 0.1)
    expect_close(handle(policy, reference), [0.1 * x for x in moved], "the rewards (beta left out)", mistakes=mistakes)
    named, mistakes = handle(policy, reference, beta=0.3), reward_mistakes(policy, reference, 0.3)
    expect_close(named, [0.3 * x for x in moved], "the rewards (beta=0.3)", mistakes=mistakes)
    expect_close(handle(reference, reference, 0.3), [0.0] * 5, "the rewards where policy and reference agree")


@exercise("implicit_rewards", "answers of hundreds of nats")
def test_implicit_rewards_of_long_answers(handle, seed):
    policy, reference = two_models(seed)
    far = handle(policy - 512, reference - 512, 0.3)
    expect_true(
        torch.as_tensor(far).isfinite().all(),
        "some rewards of long answers are not finite: e to the power of -500 is 0 in float32. Subtract the logs.",
    )
    check_rewards(handle, policy - 512, reference - 512, 0.3, "the rewards of long answers")


@exercise("implicit_rewards", "detached: no gradient flows to either model")
def test_implicit_rewards_are_detached(handle, seed):
    for key, name in ((0, "logprobs"), (1, "ref_logprobs")):
        _, grads = handle.gradients(*two_models(seed), 0.3, wrt=[key])
        expect_no_gradient(grads[key], name, f"Rewards are to be looked at: use {name}.detach(). See trap 3.")


@exercise("implicit_rewards", "float64, strides, the order of answers, one answer")
def test_implicit_rewards_forms(handle, seed):
    policy, reference = two_models(seed)
    order = torch.tensor([3, 0, 4, 2, 1])
    check_rewards(handle, policy[order], reference[order], 0.3, "the rewards, answers in another order")
    columns = torch.stack((policy, reference), 1).double()
    check_rewards(handle, columns[:, 0], columns[:, 1], 0.3, "the rewards of columns of a float64 tensor")
    check_rewards(handle, policy[:1], reference[:1], 0.3, "the reward of one answer")
