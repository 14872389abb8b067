"""What a right solution of lesson 06 is: log-probabilities of tokens, and estimates of the KL."""

from math import exp, log

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_results, fail
from minillm.course.testing import exercise

# --- token_logprobs ---------------------------------------------------------------------------------------------


def said(seed: int, B: int = 3, T: int = 6, V: int = 5) -> tuple[Tensor, Tensor]:
    """Logits (B, T, V) and tokens (B, T) in which token 0, and every other, turns up."""
    g = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(B, T, V, generator=g) + 0.5
    tokens = torch.stack([(torch.randperm(T, generator=g) + b) % V for b in range(B)])
    tokens[:, 1] = torch.tensor([0, 2, 0, 1])[torch.arange(B) % 4]
    return logits, tokens


def logprob(row: list[float], token: int) -> float:
    """log softmax(row)[token]."""
    top = max(row)
    return row[token] - top - log(sum(exp(x - top) for x in row))


def logprobs_of(logits: Tensor, tokens: Tensor) -> list[list[float]]:
    rows, ids = logits.double().tolist(), tokens.tolist()
    return [[logprob(row[t], said[t + 1]) for t in range(len(said) - 1)] for row, said in zip(rows, ids)]


def pick(table: Tensor, tokens: Tensor) -> Tensor:
    return table.gather(-1, tokens[..., None])[..., 0]


def logprob_mistakes(logits: Tensor, tokens: Tensor) -> dict:
    x = logits.double()
    nats, following, before = x.log_softmax(-1), tokens[:, 1:], tokens[:, :-1]
    right = pick(nats[:, :-1], following)
    flat = x.flatten(1).log_softmax(1).view_as(x)
    own = "each position is held against its own token; logits at t predict token t + 1. See trap 1."
    sign = "the sign is flipped: this is a loss, and log-probabilities are asked for. See trap 4."
    return {
        own: pick(nats[:, :-1], before),
        f"(with the first left out) {own}": pick(nats[:, 1:], following),
        f"(with the last kept) {own}": pick(nats, tokens),
        "the shift goes the wrong way: logits at t against token t - 1. See trap 1.": pick(nats[:, 1:], before),
        "the tokens are rolled, so that the last position is held against the first token. See trap 1.": (
            pick(nats, tokens.roll(-1, 1))
        ),
        "a zero stands in front: T - 1 numbers are asked for, the first token has none.": F.pad(right, (1, 0)),
        "a zero stands behind: T - 1 numbers are asked for.": F.pad(right, (0, 1)),
        sign: -right,
        "the log is missing: these are probabilities.": right.exp(),
        "the logits themselves are picked: the normalisation is missing.": pick(x[:, :-1], following),
        "the softmax runs over the positions, not over the vocabulary. See trap 3.": (
            pick(x.log_softmax(1)[:, :-1], following)
        ),
        "the softmax runs over the positions but the last, not over the vocabulary. See trap 3.": (
            pick(x[:, :-1].log_softmax(1), following)
        ),
        "the softmax runs over the batch, not over the vocabulary. See trap 3.": (
            pick(x.log_softmax(0)[:, :-1], following)
        ),
        "one softmax runs over positions and vocabulary together. See trap 3.": pick(flat[:, :-1], following),
        "logarithms are to base 2; nats are asked for.": right / log(2),
        "the log-probability of the likeliest token is returned, not of the one that was said.": (
            nats[:, :-1].max(-1).values
        ),
        "the log-probabilities are added up over the row: one for each token is asked for. See trap 4.": right.sum(1),
        "the log-probabilities are averaged over the row: one for each token is asked for. See trap 4.": right.mean(1),
        "the log-probabilities are averaged over all: one for each token is asked for. See trap 4.": right.mean(),
        "the loss is averaged over all: a log-probability for each token is asked for. See trap 4.": -right.mean(),
        "token 0 is skipped, as cross_entropy does with ignore_index=0. See trap 5.": right * (following != 0),
        "token 0 is skipped, and the sign is flipped. See traps 4 and 5.": -right * (following != 0),
        "the log-probabilities of all tokens are returned: pick that of the one that came.": nats[:, :-1],
        "all rows are held against the tokens of the first row.": (
            pick(nats[:, :-1], following[:1].expand_as(following))
        ),
    }


def check_logprobs(handle, logits: Tensor, tokens: Tensor, what: str = "the log-probabilities") -> None:
    got = handle(logits, tokens)
    expect_close(got, logprobs_of(logits, tokens), what, mistakes=logprob_mistakes(logits, tokens))


@exercise("token_logprobs", "logits at t against the token at t + 1")
def test_token_logprobs_values(handle, seed):
    check_logprobs(handle, *said(seed))


@exercise("token_logprobs", "the worked example")
def test_token_logprobs_worked_example(handle, seed):
    logits = torch.tensor([[[2.0, 1.0, 0.0], [7.0, 7.0, 7.0], [0.0, 0.0, 5.0]]])
    check_logprobs(handle, logits, torch.tensor([[2, 1, 0]]))


@exercise("token_logprobs", "logits of 2,000 in float32")
def test_token_logprobs_is_stable(handle, seed):
    logits, tokens = said(seed)
    logits[0, 0] = torch.tensor([120.0, -150.0, 0.0, 40.0, -90.0])
    tokens[0, 1], tokens[1, 2], tokens[2, 3] = 1, 3, 4
    logits[1, 1], logits[2, 2, 4] = torch.tensor([2000.0, 0.0, 0.0, -2000.0, 5.0]), 1900.0
    got = torch.as_tensor(handle(logits, tokens)).double()
    if not bool(got.isfinite().all()):
        fail(
            f"for logits of 120 to 2,000 some results are {got[~got.isfinite()][0].item()}: an exp overflowed, or the "
            "softmax was rounded to 0 before its logarithm was taken. Use log_softmax. See trap 2."
        )
    expected = torch.tensor(logprobs_of(logits, tokens), dtype=torch.float64)
    if got.shape == expected.shape and bool((got[expected < -200] > -200).any()):
        fail(
            f"a log-probability of {expected.min().item():.0f} comes out as {got.flatten()[expected.argmin()]:.1f}: an "
            "epsilon or a clamp cuts it short. Use log_softmax, which needs none. See trap 2."
        )
    expect_close(got, expected, "the log-probabilities (large logits)", mistakes=logprob_mistakes(logits, tokens))


@exercise("token_logprobs", "the gradient is one-hot minus softmax, and 0 at the last position")
def test_token_logprobs_gradient(handle, seed):
    logits, tokens = said(seed)
    weights = torch.arange(1.0, 16.0).view(3, 5)
    _, grads = handle.gradients(logits, tokens, wrt=[0], upstream=weights)
    expected = torch.zeros(3, 6, 5, dtype=torch.float64)
    for b in range(3):
        for t in range(5):
            for v in range(5):
                chance = exp(logprob(logits[b, t].double().tolist(), v))
                expected[b, t, v] = weights[b, t] * (int(v == tokens[b, t + 1]) - chance)
    expect_gradient(grads[0], expected, "logits")


@exercise("token_logprobs", "other shapes, float64, strides, and the order of rows")
def test_token_logprobs_forms(handle, seed):
    logits, tokens = said(seed, B=4, T=3, V=7)
    check_logprobs(handle, logits[[2, 0, 3, 1]], tokens[[2, 0, 3, 1]], "the log-probabilities, rows in another order")
    strided = logits.double().permute(2, 0, 1).contiguous().permute(1, 2, 0)
    check_logprobs(handle, strided, tokens.T.contiguous().T, "the log-probabilities (float64, strides)")
    check_logprobs(handle, logits[:1, :2], tokens[:1, :2], "the log-probability of the second of two tokens")


# --- kl_estimates -----------------------------------------------------------------------------------------------

NAMES = ("k1", "k2", "k3")


def two_policies(seed: int, shape: tuple[int, ...] = (4, 3)) -> tuple[Tensor, Tensor]:
    """Log-probabilities under the policy and the reference, of any shape; log-ratios of both signs, from -6 to 3.5."""
    g = torch.Generator().manual_seed(seed)
    logprobs = -0.3 - 2 * torch.rand(shape, generator=g)
    log_ratio = (0.25 + 1.5 * torch.rand(shape, generator=g)) * (-1) ** torch.randint(2, shape, generator=g)
    flat = log_ratio.view(-1)
    flat[:3] = torch.tensor([3.5, -6.0, 0.7])[: flat.numel()]
    return logprobs, logprobs + log_ratio


def three_estimates(logprobs: Tensor, ref_logprobs: Tensor) -> list[Tensor]:
    """By the formulas, one number at a time."""
    ratios = [q - p for p, q in zip(logprobs.double().flatten().tolist(), ref_logprobs.double().flatten().tolist())]
    columns = zip(*[(-x, x * x / 2, exp(x) - 1 - x) for x in ratios])
    return [torch.tensor(column, dtype=torch.float64).view(logprobs.shape) for column in columns]


def estimate_mistakes(logprobs: Tensor, ref_logprobs: Tensor) -> list[dict]:
    """For k1, k2 and k3."""
    p, q = logprobs.double(), ref_logprobs.double()
    lr, weight = q - p, p.exp()
    k1, k2, k3 = -lr, lr**2 / 2, lr.exp() - 1 - lr
    reversed_k3 = (-lr).exp() - 1 + lr
    weighed = "the estimates are weighed by the policy's probability: the sampling has done that already. See trap 3."
    upside = "lr is upside down in k3: it is reference minus policy, also inside exp. See trap 2."
    shared = {
        "there is a sum over all tokens: an estimate for each is asked for. See trap 4.": torch.Tensor.sum,
        "there is a mean over all tokens: an estimate for each is asked for. See trap 4.": torch.Tensor.mean,
        "there is a sum over each row: an estimate for each token is asked for. See trap 4.": lambda x: x.sum(-1),
        "there is a mean over each row: an estimate for each token is asked for. See trap 4.": lambda x: x.mean(-1),
        "the absolute value is taken: single estimates are negative as well.": torch.abs,
        weighed: lambda x: x * weight,
        "the estimates are weighed by the reference's probability. See trap 3.": lambda x: x * q.exp(),
        "logarithms are to base 2; nats are asked for.": lambda x: x / log(2),
        "the sign is flipped.": torch.neg,
    }
    common = [{message: change(k) if k.ndim else k for message, change in shared.items()} for k in (k1, k2, k3)]
    first = {
        "the sign of k1 is flipped: it is minus lr. See trap 1.": lr,
        "the ratio itself is returned: the log is missing.": (-lr).exp(),
        "probabilities are subtracted, not their logs.": p.exp() - q.exp(),
        "k1 and k2 have changed places.": k2,
        "k1 and k3 have changed places.": k3,
        "a logarithm is taken of what is a logarithm already.": lambda: ((-p) / (-q)).log(),
        "this is the whole KL, summed over the last dimension as if it were a distribution. See trap 3.": (
            (weight * -lr).sum(-1)
        ),
    }
    second = {
        "the half in k2 is missing.": lr**2,
        "k2 is not squared.": -lr / 2,
        "the ratio minus 1 is squared, not the log-ratio.": (lr.exp() - 1) ** 2 / 2,
        "half is squared along with lr.": lr**2 / 4,
        "k2 and k3 have changed places.": k3,
        "k1 and k2 have changed places.": k1,
        "k2 is a difference of squares, not the square of the difference.": (q**2 - p**2) / 2,
    }
    third = {
        upside: reversed_k3,
        "the - lr in k3 is missing.": lr.exp() - 1,
        "the sign of lr in k3 is wrong: exp(lr) - 1 - lr.": lr.exp() - 1 + lr,
        "the exp in k3 is turned round, the rest is not. See trap 2.": (-lr).exp() - 1 - lr,
        "the - 1 in k3 is missing.": lr.exp() - lr,
        "the - 1 in k3 has become + 1.": lr.exp() + 1 - lr,
        "the sign of k3 is flipped: it is never negative.": -k3,
        "k2 and k3 have changed places.": k2,
        "k1 and k3 have changed places.": k1,
        "the exp is missing in k3.": -1 - 0 * lr,
        "k3 is cut off at 10.": k3.clamp(-10, 10),
        "k3 is made of probabilities, not of their ratio.": q.exp() - p.exp() - lr,
    }
    return [{**own, **rest} for own, rest in zip((first, second, third), common)]


def check_estimates(handle, logprobs: Tensor, ref_logprobs: Tensor, words: str = "") -> None:
    got = as_three(handle(logprobs, ref_logprobs))
    mistakes = estimate_mistakes(logprobs, ref_logprobs)
    for mine, right, name, known in zip(got, three_estimates(logprobs, ref_logprobs), NAMES, mistakes):
        expect_close(mine, right, name + words, mistakes=known)


def as_three(got):
    """Three results; one tensor that holds them is as good."""
    return list(got) if isinstance(got, Tensor) and got.ndim and len(got) == 3 else expect_results(got, 3, "k1, k2, k3")


@exercise("kl_estimates", "log-ratios of both signs")
def test_kl_estimates_values(handle, seed):
    check_estimates(handle, *two_policies(seed))


@exercise("kl_estimates", "the worked example")
def test_kl_estimates_worked_example(handle, seed):
    p, q = torch.tensor([0.5, 0.2]), torch.tensor([0.2, 0.5])
    check_estimates(handle, p.log(), q.log(), " (worked example)")


@exercise("kl_estimates", "weighed by the policy: k1 and k3 give the KL, k2 a little more")
def test_kl_estimates_expectations(handle, seed):
    p = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    q = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    for mine, right, name in zip(as_three(handle(p.log(), q.log())), (0.27489, 0.29386, 0.27489), NAMES):
        known = {
            "k3 has lr upside down: exp(-lr) - 1 + lr. See trap 2.": 0.35511,
            "the sign is flipped. See trap 1.": -right,
        }
        expect_close((p * mine).sum(), right, f"E[{name}] under the policy", mistakes=known, rtol=1e-3)


@exercise("kl_estimates", "0 where both agree, and never negative for k2 and k3")
def test_kl_estimates_equal(handle, seed):
    logprobs, _ = two_policies(seed, (6,))
    for mine, name in zip(as_three(handle(logprobs, logprobs)), NAMES):
        expect_close(mine, torch.zeros(6), f"{name} where both log-probabilities are equal")


@exercise("kl_estimates", "gradients to the policy's log-probabilities: 1, -lr, 1 - exp(lr)")
def test_kl_estimates_gradients(handle, seed):
    logprobs, ref_logprobs = two_policies(seed)
    lr = (ref_logprobs - logprobs).double()
    weights = torch.arange(1.0, 13.0).view(4, 3)
    for i, slope in enumerate((torch.ones_like(lr), -lr, 1 - lr.exp())):
        _, grads = handle.gradients(logprobs, ref_logprobs, wrt=[0], upstream=weights, output=i)
        what = f"logprobs (from {NAMES[i]})"
        cut = {1: -lr / 2, 2: torch.ones_like(lr)}.get(i)
        known = {"a factor, or the exp, is cut off from its input. See trap 5.": None if cut is None else weights * cut}
        expect_gradient(grads[0], weights * slope, what, mistakes=known)


@exercise("kl_estimates", "any shape, float64, strides")
def test_kl_estimates_forms(handle, seed):
    for shape in ((7,), (2, 3, 4), (1, 1)):
        check_estimates(handle, *two_policies(seed, shape), f" (shape {shape})")
    p, q = (x.double().T.contiguous().T for x in two_policies(seed, (5, 2)))
    check_estimates(handle, p, q, " (float64, strides)")
    check_estimates(handle, p[0, 0], q[0, 0], " (a single token)")
