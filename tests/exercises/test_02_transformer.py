"""What a right solution of lesson 02 is: the norm, rotary positions, causal attention.

Expected values come from loops over single numbers; every dimension has a size of its own.
"""

from math import exp, inf, sqrt

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_shape
from minillm.course.testing import exercise

B, H, T, K = 2, 3, 5, 4
D = 7
EPS = 1e-5


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def strided(x: Tensor) -> Tensor:
    """The same numbers, not contiguous in memory."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


# --- rms_norm ---------------------------------------------------------------------------------------------------


def rms_loop(x: Tensor, weight: Tensor, eps: float = EPS) -> Tensor:
    rows = [[float(v) for v in row] for row in x.reshape(-1, x.shape[-1])]
    out = []
    for row in rows:
        root = sqrt(sum(v * v for v in row) / len(row) + eps)
        out.append([v / root * float(w) for v, w in zip(row, weight)])
    return torch.tensor(out, dtype=torch.float64).reshape(x.shape)


def rms_mistakes(x: Tensor, w: Tensor, eps: float = EPS) -> dict:
    square, centred = x.square().mean(-1, keepdim=True), x - x.mean(-1, keepdim=True)
    return {
        "the mean is subtracted, as LayerNorm does (torch.std does it too). See trap 1.": lambda: (
            centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt() * w
        ),
        "you divide by torch.std, which subtracts the mean inside. See trap 1.": lambda: (
            x / (x.std(-1, keepdim=True) + eps) * w
        ),
        "you divide by the root of the variance, which subtracts the mean inside. See trap 1.": lambda: (
            x / (x.var(-1, unbiased=False, keepdim=True) + eps).sqrt() * w
        ),
        "the squares are added up, not averaged. See trap 2.": lambda: (
            x / (x.square().sum(-1, keepdim=True) + eps).sqrt() * w
        ),
        "the root is missing: you divide by the mean square. See trap 3.": lambda: x / (square + eps) * w,
        "the mean runs over the whole tensor, not over the last dimension. See trap 2.": lambda: (
            x / (x.square().mean() + eps).sqrt() * w
        ),
        "the mean runs over the positions, not over the last dimension. See trap 2.": lambda: (
            x / (x.square().mean(-2, keepdim=True) + eps).sqrt() * w if x.ndim > 1 else None
        ),
        "the weight is missing.": lambda: x / (square + eps).sqrt(),
        "you multiply by 1 + weight. Some models do; here the weight is the factor itself.": lambda: (
            x / (square + eps).sqrt() * (1 + w)
        ),
        "you divide by the mean of absolute values, not by the root of the mean of the squares.": lambda: (
            x / (x.abs().mean(-1, keepdim=True) + eps) * w
        ),
        "eps is added outside the root. See trap 3.": lambda: x / (square.sqrt() + eps) * w,
        "eps is left out. See trap 3.": lambda: x / square.sqrt() * w,
        "eps is 1e-5 whatever was passed.": lambda: x / (square + 1e-5).sqrt() * w,
    }


def rms_case(seed: int, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    return (random(seed, B, T, D) + 0.7) * scale, random(seed + 1000, D) + 0.3


@exercise("rms_norm", "the worked example")
def test_rms_norm_worked_example(handle, seed):
    x, weight = torch.tensor([[3.0, 4.0]]), torch.tensor([1.0, 10.0])
    expected = [[3 / sqrt(12.5), 40 / sqrt(12.5)]]
    expect_close(handle(x, weight), expected, "result", mistakes=rms_mistakes(x, weight))


@exercise("rms_norm", "every vector of a batch, any number of dimensions")
def test_rms_norm_values(handle, seed):
    x, weight = rms_case(seed)
    for each in (x, strided(x), x[0, 0], x[1], x.reshape(1, B, T, D), x.double()):
        expect_close(
            handle(each, weight.to(each.dtype)), rms_loop(each, weight), "result", mistakes=rms_mistakes(each, weight)
        )


@exercise("rms_norm", "eps stands under the root")
def test_rms_norm_eps(handle, seed):
    x, weight = rms_case(seed, scale=0.1)
    mistakes = rms_mistakes(x, weight, 0.03)
    expect_close(handle(x, weight, eps=0.03), rms_loop(x, weight, 0.03), "result with eps=0.03", mistakes=mistakes)
    x = x / 30
    expect_close(handle(x, weight), rms_loop(x, weight), "result for small x", mistakes=rms_mistakes(x, weight))
    expect_close(handle(x * 0, weight), torch.zeros_like(x), "result for x = 0")


@exercise("rms_norm", "gradients of x and weight")
def test_rms_norm_gradient(handle, seed):
    x, weight = rms_case(seed)
    upstream = random(seed + 7, B, T, D)
    _, grads = handle.gradients(x, weight, wrt=[0, 1], upstream=upstream)
    root = (x.square().mean(-1, keepdim=True) + EPS).sqrt()
    direct, inner = upstream * weight / root, (upstream * weight * x).sum(-1, keepdim=True)
    cut = {"the root is cut off from x (.detach() or torch.no_grad()): x also acts through it.": direct}
    expect_gradient(grads[0], direct - x * inner / (D * root**3), "x", mistakes=cut)
    expect_gradient(grads[1], (upstream * x / root).sum((0, 1)), "weight")


# --- apply_rope -------------------------------------------------------------------------------------------------


def angles(seed: int, length: int = T, half: int = K // 2 + 1) -> tuple[Tensor, Tensor]:
    """cos and sin of random angles, (length, half)."""
    angle = random(seed + 50, length, half) * 2
    return angle.cos(), angle.sin()


def rope_loop(x: Tensor, cos: Tensor, sin: Tensor, sign: float = 1.0) -> Tensor:
    """Each pair of numbers as one complex number, turned."""
    out, half = torch.zeros(x.shape, dtype=torch.float64), x.shape[-1] // 2
    for b, h, t, i in torch.cartesian_prod(*map(torch.arange, (*x.shape[:3], half))).tolist():
        pair = complex(x[b, h, t, i], x[b, h, t, i + half])
        turned = pair * complex(cos[t, i], sign * sin[t, i])
        out[b, h, t, i], out[b, h, t, i + half] = turned.real, turned.imag
    return out


def rope_mistakes(x: Tensor, cos: Tensor, sin: Tensor) -> dict:
    x1, x2 = x.chunk(2, -1)
    even, odd = x[..., 0::2], x[..., 1::2]
    a, b = x1 * cos - x2 * sin, x1 * sin + x2 * cos
    c, d = even * cos - odd * sin, even * sin + odd * cos
    wrong_b = a * sin + x2 * cos
    return {
        "neighbours are paired, (x[0], x[1]), not the halves, (x[0], x[K/2]). See trap 1.": torch.stack(
            (c, d), -1
        ).flatten(-2),
        "neighbours are paired, and the results are put together as halves. See trap 1.": torch.cat((c, d), -1),
        "the halves are right, but the results are interleaved. See trap 1.": torch.stack((a, b), -1).flatten(-2),
        "it turns the wrong way: the two signs of sin are swapped. See trap 2.": torch.cat(
            (x1 * cos + x2 * sin, x2 * cos - x1 * sin), -1
        ),
        "both terms with sin have the same sign, +. See trap 2.": torch.cat(
            (x1 * cos + x2 * sin, x1 * sin + x2 * cos), -1
        ),
        "both terms with sin have the same sign, -. See trap 2.": torch.cat(
            (x1 * cos - x2 * sin, x2 * cos - x1 * sin), -1
        ),
        "cos and sin are swapped.": torch.cat((x1 * sin - x2 * cos, x1 * cos + x2 * sin), -1),
        "x1 is overwritten before the second half is computed. See trap 3.": torch.cat((a, wrong_b), -1),
        "the two halves of the result are in the wrong order.": torch.cat((b, a), -1),
        "only the first half is turned.": torch.cat((a, x2), -1),
        "the halves are only scaled by cos, or cos and sin, not mixed.": torch.cat((x1 * cos, x2 * sin), -1),
        "every position is turned like position 0: use the whole tables, row t for position t.": torch.cat(
            (x1 * cos[0] - x2 * sin[0], x1 * sin[0] + x2 * cos[0]), -1
        ),
        "the tables are off by one: row t belongs to position t.": lambda: rope_loop(
            x, cos.roll(-1, 0), sin.roll(-1, 0)
        ),
        "nothing is turned: x comes back as it was.": x,
    }


@exercise("apply_rope", "the worked example")
def test_apply_rope_worked_example(handle, seed):
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    cos, sin = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    got = handle(x, cos, sin)
    expect_close(
        got, torch.tensor([-3.0, 2.0, 1.0, 4.0]).reshape(x.shape), "result", mistakes=rope_mistakes(x, cos, sin)
    )


@exercise("apply_rope", "many rows, heads and positions")
def test_apply_rope_values(handle, seed):
    x = random(seed, B, H, T, K + 2)
    for each in (x, strided(x), x.double(), x[:1, :2, :1]):
        cos, sin = (table[: each.shape[2]].to(each.dtype) for table in angles(seed))
        expect_close(
            handle(each, cos, sin), rope_loop(each, cos, sin), "result", mistakes=rope_mistakes(each, cos, sin)
        )


@exercise("apply_rope", "lengths stay, and products depend on the distance alone")
def test_apply_rope_is_relative(handle, seed):
    position = torch.arange(T, dtype=torch.float64)[:, None] * torch.tensor([1.0, 0.3, 0.05])
    cos, sin = position.cos().float(), position.sin().float()
    q, k = (random(seed + i, 1, 1, 1, K + 2).expand(1, 1, T, K + 2).contiguous() for i in (0, 1))
    turned_q, turned_k = handle(q, cos, sin), handle(k, cos, sin)
    expect_shape(turned_q, (1, 1, T, K + 2))
    expect_close(turned_q.norm(dim=-1), q.norm(dim=-1), "the length of each turned vector")
    products = (turned_q @ turned_k.transpose(-1, -2))[0, 0]
    expected = torch.stack([(rope_loop(q, cos, sin)[0, 0, i] * k[0, 0, 0]).sum() for i in range(T)])
    for distance in range(T):
        diagonal = products.diagonal(-distance)
        expect_close(diagonal, expected[distance].expand(T - distance), f"q at t times k at t - {distance}")


@exercise("apply_rope", "the gradient is turned back")
def test_apply_rope_gradient(handle, seed):
    x, upstream = random(seed, B, H, T, K + 2), random(seed + 3, B, H, T, K + 2)
    cos, sin = angles(seed)
    _, grads = handle.gradients(x, cos, sin, wrt=[0], upstream=upstream)
    expect_gradient(grads[0], rope_loop(upstream, cos, sin, sign=-1.0), "x")


# --- causal_attention -------------------------------------------------------------------------------------------


def weights_loop(q: Tensor, k: Tensor) -> Tensor:
    """The attention weights, one number at a time, (B, H, T, T) float64."""
    weights = torch.zeros(*q.shape[:3], q.shape[2], dtype=torch.float64)
    for b, h in torch.cartesian_prod(torch.arange(q.shape[0]), torch.arange(q.shape[1])).tolist():
        queries, keys = q[b, h].tolist(), k[b, h].tolist()
        for t, query in enumerate(queries):
            scores = [sum(x * y for x, y in zip(query, keys[s])) / sqrt(len(query)) for s in range(t + 1)]
            raised = [exp(score - max(scores)) for score in scores]
            weights[b, h, t, : t + 1] = torch.tensor([r / sum(raised) for r in raised], dtype=torch.float64)
    return weights


def attention_mistakes(q: Tensor, k: Tensor, v: Tensor) -> dict:
    raw, length, width = q @ k.transpose(-1, -2), q.shape[2], q.shape[3]
    lower = torch.ones(length, length).tril().bool()
    scores = raw / sqrt(width)
    masked = scores.masked_fill(~lower, -inf)
    plain = lambda scores, allowed=lower, fill=-inf: scores.masked_fill(~allowed, fill).softmax(-1) @ v  # noqa: E731
    return {
        "the scores are not scaled: divide by the root of K. See trap 1.": lambda: plain(raw),
        "the scores are divided by K, not by its root. See trap 1.": lambda: plain(raw / width),
        "the scores are multiplied by the root of K. See trap 1.": lambda: plain(raw * sqrt(width)),
        "the scores are scaled with the number of positions, not with K. See trap 1.": lambda: plain(
            raw / sqrt(length)
        ),
        "the scores are scaled with the width of v, not with K, the width of q and k. See trap 1.": lambda: plain(
            raw / sqrt(v.shape[3])
        ),
        "there is no mask: every position sees the future. See trap 2.": lambda: scores.softmax(-1) @ v,
        "the mask is turned round: positions see the future and not the past. See trap 2.": lambda: plain(
            scores, lower.T
        ),
        "a position does not see itself: the diagonal is masked too, position 0 is left with nothing. See trap 2.": (
            lambda: plain(scores, lower.tril(-1))
        ),
        "a position does not see itself: the diagonal is masked too. See trap 2.": lambda: plain(
            scores, lower.tril(-1)
        ).nan_to_num(),
        "a position sees one token of the future: the mask is off by one. See trap 2.": lambda: plain(
            scores, torch.ones(length, length).tril(1).bool()
        ),
        "masked scores are set to 0, not to -inf: exp(0) is 1. See trap 3.": lambda: plain(scores, fill=0.0),
        "the mask comes after the softmax, so the weights no longer add up to 1. See trap 3.": lambda: (
            scores.softmax(-1) * lower @ v
        ),
        "the softmax runs over the queries (dimension -2), not over the keys. See trap 4.": lambda: (
            masked.softmax(-2).nan_to_num() @ v
        ),
        "the weights are scaled after the softmax, not the scores before it. See trap 1.": lambda: (
            plain(raw) / sqrt(width)
        ),
        "the scores of all heads are averaged; each head has weights of its own.": lambda: plain(
            scores.mean(1, keepdim=True)
        ),
        "queries and keys have changed places.": lambda: plain(scores.transpose(-1, -2)),
        "there is no softmax.": lambda: scores.masked_fill(~lower, 0.0) @ v,
        "every key gets the same weight: the scores are not used.": lambda: plain(scores * 0),
    }


def attention_case(seed: int, scale: float = 1.5) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = random(seed, B, H, T, K), random(seed + 300, B, H, T, K), random(seed + 600, B, H, T, K + 3)
    return q * scale, k * scale, v


@exercise("causal_attention", "many rows, heads and positions")
def test_causal_attention_values(handle, seed):
    q, k, v = attention_case(seed)
    expected, mistakes = weights_loop(q, k) @ v.double(), attention_mistakes(q, k, v)
    for cast in (lambda x: x, strided, torch.Tensor.double):
        expect_close(handle(cast(q), cast(k), cast(v)), expected, "result", mistakes=mistakes)
    one = [x[:1, :1, :1] for x in (q, k, v)]
    expect_close(handle(*one), one[2], "the result for a single position")


@exercise("causal_attention", "the worked example")
def test_causal_attention_worked_example(handle, seed):
    q = k = torch.tensor([[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]).reshape(1, 1, 2, 4)
    v = torch.tensor([0.0, 10.0]).reshape(1, 1, 2, 1)
    second = 10 * exp(2) / (exp(2) + 1)
    expected = torch.tensor([0.0, second]).reshape(1, 1, 2, 1)
    expect_close(handle(q, k, v), expected, "result", mistakes=attention_mistakes(q, k, v))


@exercise("causal_attention", "the first position sees itself and nothing else")
def test_causal_attention_first_position(handle, seed):
    q, k, v = attention_case(seed)
    got = handle(q, k, v)
    expect_shape(got, tuple(v.shape))
    expect_close(got[:, :, 0], v[:, :, 0], "the result at position 0")


@exercise("causal_attention", "large and very negative scores")
def test_causal_attention_large_scores(handle, seed):
    q, k, v = attention_case(seed)
    q[..., 0], k[..., 0] = 30.0, -30.0 + k[..., 0] / 10
    where = (
        "the result where all scores are near -450 (exp without subtracting the maximum is 0, a mask must lie below)"
    )
    expect_close(
        handle(q, k, v), weights_loop(q, k) @ v.double(), where, mistakes=attention_mistakes(q, k, v), rtol=1e-3
    )
    k[..., 0] += 60.0
    where = "the result where all scores are near 450 (exp overflows without subtracting the maximum)"
    expect_close(
        handle(q, k, v), weights_loop(q, k) @ v.double(), where, mistakes=attention_mistakes(q, k, v), rtol=1e-3
    )


@exercise("causal_attention", "gradients of q, k and v; none from the future")
def test_causal_attention_gradient(handle, seed):
    q, k, v = attention_case(seed)
    upstream = random(seed + 9, *v.shape)
    _, grads = handle.gradients(q, k, v, wrt=[0, 1, 2], upstream=upstream)
    p, g, scale = weights_loop(q, k), upstream.double(), sqrt(K)
    to_weights = g @ v.double().transpose(-1, -2)  # (B, H, T, T)
    to_scores = p * (to_weights - (p * to_weights).sum(-1, keepdim=True))
    expect_gradient(grads[2], p.transpose(-1, -2) @ g, "v")
    expect_gradient(grads[0], to_scores @ k.double() / scale, "q")
    expect_gradient(grads[1], to_scores.transpose(-1, -2) @ q.double() / scale, "k")
