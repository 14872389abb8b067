"""What a right solution of lesson 02 is, continued: the attention module and the block.

The references go query by query and head by head; gradients come from them, in float64.
"""

from collections.abc import Callable
from itertools import permutations
from math import sqrt

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_true
from minillm.course.testing import exercise

B, H, T, K = 2, 3, 5, 4
D, HIDDEN = H * K, 14
EPS = 1e-5


def random(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def strided(x: Tensor) -> Tensor:
    """The same numbers, not contiguous in memory."""
    return x.transpose(-1, -2).contiguous().transpose(-1, -2)


def angles(seed: int) -> tuple[Tensor, Tensor]:
    """cos and sin of random angles, (T, K/2)."""
    angle = random(seed + 50, T, K // 2) * 2
    return angle.cos(), angle.sin()


# --- CausalSelfAttention ----------------------------------------------------------------------------------------


def heads_of(x: Tensor) -> Tensor:
    return torch.stack([x[..., h * K : (h + 1) * K] for h in range(H)], dim=1)  # (B, H, T, K)


def turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


def mix(q: Tensor, k: Tensor, v: Tensor, causal: bool = True) -> Tensor:
    """Attention, one query at a time."""
    rows = []
    for t in range(T):
        end = t + 1 if causal else T
        scores = (q[:, :, t : t + 1] * k[:, :, :end]).sum(-1) / sqrt(K)
        rows.append((scores.softmax(-1)[..., None] * v[:, :, :end]).sum(2))
    return torch.stack(rows, dim=2)  # (B, H, T, K)


def merge(y: Tensor) -> Tensor:
    return torch.cat(list(y.unbind(1)), dim=-1)


def module_loop(x: Tensor, weights: dict[str, Tensor], cos: Tensor, sin: Tensor) -> Tensor:
    q, k, v = (heads_of(x @ part.T) for part in weights["qkv.weight"].chunk(3))
    return merge(mix(turn(q, cos, sin), turn(k, cos, sin), v)) @ weights["out.weight"].T


def module_mistakes(x: Tensor, weights: dict[str, Tensor], cos: Tensor, sin: Tensor) -> dict[str, Callable]:
    out = weights["out.weight"].T
    parts = [x @ part.T for part in weights["qkv.weight"].chunk(3)]
    q, k, v = (heads_of(part) for part in parts)
    rq, rk = turn(q, cos, sin), turn(k, cos, sin)

    def viewed() -> Tensor:
        a, b, c = (part.reshape(B, H, T, K) for part in parts)
        return merge(mix(turn(a, cos, sin), turn(b, cos, sin), c)) @ out

    def viewed_back() -> Tensor:
        a, b, c = (part.reshape(B, H, T, K) for part in parts)
        return mix(turn(a, cos, sin), turn(b, cos, sin), c).reshape(B, T, D) @ out

    def grouped() -> Tensor:
        fused = (x @ weights["qkv.weight"].T).reshape(B, T, H, 3, K).transpose(1, 2)
        a, b, c = fused.unbind(3)
        return merge(mix(turn(a, cos, sin), turn(b, cos, sin), c)) @ out

    def laced() -> Tensor:
        a, b, c = (part.reshape(B, T, K, H).permute(0, 3, 1, 2) for part in parts)
        return mix(turn(a, cos, sin), turn(b, cos, sin), c).permute(0, 2, 3, 1).reshape(B, T, D) @ out

    full = lambda a, b, c: merge(mix(a, b, c)) @ out  # noqa: E731
    return {
        "q and k are not turned by their positions: apply_rope is missing. See trap 1.": lambda: full(q, k, v),
        "only q is turned; k needs its position too. See trap 1.": lambda: full(rq, k, v),
        "only k is turned; q needs its position too. See trap 1.": lambda: full(q, rk, v),
        "v is turned too. Positions belong into the scores, so only into q and k. See trap 1.": lambda: full(
            rq, rk, turn(v, cos, sin)
        ),
        "the positions turn the result of the attention, not q and k. See trap 1.": lambda: (
            merge(turn(mix(q, k, v), cos, sin)) @ out
        ),
        "heads are cut by a view to (B, H, T, K) without a transpose. See trap 2.": viewed,
        "heads are cut, and put together again, by a view without a transpose. See trap 2.": viewed_back,
        "the heads are put together without transposing back first. See trap 2.": lambda: (
            mix(rq, rk, v).reshape(B, T, D) @ out
        ),
        "the output projection is missing. See trap 3.": lambda: merge(mix(rq, rk, v)),
        **{
            f"the thirds of qkv are taken in another order ({', '.join(order)}).": lambda order=order: full(
                *(turn(heads_of(parts[order.index(name)]), cos, sin) for name in "qk"),
                heads_of(parts[order.index("v")]),
            )
            for order in permutations("qkv")
            if order != ("q", "k", "v")
        },
        "the scores are scaled with the root of D, the width of the stream, not of K, that of a head.": lambda: full(
            rq / sqrt(H), rk, v
        ),
        "the heads are interleaved; each head has K neighbouring numbers. See trap 2.": laced,
        "qkv is cut head by head (q, k, v of head 0, then of head 1), not into thirds. See trap 2.": grouped,
        "nothing hides the future. Use your causal_attention.": lambda: merge(mix(rq, rk, v, causal=False)) @ out,
        "x is added to the result. The residual stream comes in the next exercise.": lambda: x + full(rq, rk, v),
    }


def module_case(seed: int) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
    weights = {"qkv.weight": random(seed + 20, 3 * D, D) * 0.4, "out.weight": random(seed + 40, D, D) * 0.3}
    return random(seed, B, T, D), weights, *angles(seed)


@exercise("CausalSelfAttention", "the same numbers as a loop over heads and positions")
def test_attention_module_values(handle, seed):
    x, weights, cos, sin = module_case(seed)
    module = handle.build(D, H, weights=weights)
    expected, mistakes = module_loop(x, weights, cos, sin), module_mistakes(x, weights, cos, sin)
    got = module(x, cos, sin)
    expect_close(got, expected, "result", mistakes=mistakes)
    expect_close(
        module(strided(x), cos, sin), expected, "the result for an x that is not contiguous", mistakes=mistakes
    )
    expect_close(module(x[:1, :1], cos[:1], sin[:1]), expected[:1, :1], "the result for one row, one position")


@exercise("CausalSelfAttention", "a later token changes nothing before it")
def test_attention_module_is_causal(handle, seed):
    x, weights, cos, sin = module_case(seed)
    module, t = handle.build(D, H, weights=weights), 1 + seed % (T - 1)
    changed = x.clone()
    changed[:, t] += 3.0
    before, after = module(x, cos, sin), module(changed, cos, sin)
    message = f"the token at position {t} was changed, and results before {t} changed with it: the future leaks."
    expect_true(torch.allclose(before[:, :t], after[:, :t], atol=1e-5), message)


@exercise("CausalSelfAttention", "gradients of x and of both weights")
def test_attention_module_gradient(handle, seed):
    x, weights, cos, sin = module_case(seed)
    upstream = random(seed + 5, B, T, D)
    module = handle.build(D, H, weights=weights)
    _, got = module.gradients(x, cos, sin, wrt=[0, *weights], upstream=upstream)
    expected = loop_gradients(module_loop, x, weights, cos, sin, upstream)
    for key in (0, *weights):
        expect_gradient(got[key], expected[key], "x" if key == 0 else key)


def loop_gradients(
    loop: Callable, x: Tensor, weights: dict[str, Tensor], cos: Tensor, sin: Tensor, upstream: Tensor
) -> dict:
    """Gradients through the slow reference, in float64."""
    x = x.double().requires_grad_()
    weights = {name: weight.double().requires_grad_() for name, weight in weights.items()}
    result = loop(x, weights, cos.double(), sin.double())
    found = torch.autograd.grad(result, [x, *weights.values()], upstream.double())
    return dict(zip((0, *weights), found))


# --- TransformerBlock -------------------------------------------------------------------------------------------


def norm(x: Tensor, weight: Tensor) -> Tensor:
    return x / ((x * x).sum(-1, keepdim=True) / x.shape[-1] + EPS) ** 0.5 * weight


def parts_of(weights: dict[str, Tensor], cos: Tensor, sin: Tensor) -> tuple[Callable, ...]:
    """norm1, attention, norm2 and mlp as functions of x."""
    inner = {name.removeprefix("attention."): w for name, w in weights.items() if name.startswith("attention.")}
    return (
        lambda x: norm(x, weights["norm1.weight"]),
        lambda x: module_loop(x, inner, cos, sin),
        lambda x: norm(x, weights["norm2.weight"]),
        lambda x: (x @ weights["mlp.up.weight"].T).clamp(min=0) ** 2 @ weights["mlp.down.weight"].T,
    )


def block_loop(x: Tensor, weights: dict[str, Tensor], cos: Tensor, sin: Tensor) -> Tensor:
    norm1, attention, norm2, mlp = parts_of(weights, cos, sin)
    middle = x + attention(norm1(x))
    return middle + mlp(norm2(middle))


def block_mistakes(x: Tensor, weights: dict[str, Tensor], cos: Tensor, sin: Tensor) -> dict[str, Callable]:
    norm1, attention, norm2, mlp = parts_of(weights, cos, sin)
    middle = x + attention(norm1(x))
    bare = attention(norm1(x))
    first = x + mlp(norm1(x))
    ones = torch.ones(D)

    def swapped() -> Tensor:
        inside = x + attention(norm2(x))
        return inside + mlp(norm1(inside))

    return {
        "the norm comes after each sum (post-norm), not before each part. See trap 1.": lambda: norm2(
            norm1(x + attention(x)) + mlp(norm1(x + attention(x)))
        ),
        "each part's result is normed (x + norm(attention(x))), not its input. See trap 1.": lambda: (
            x + norm1(attention(x)) + norm2(mlp(x + norm1(attention(x))))
        ),
        "the attention has no residual: its input x is not added back. See trap 2.": lambda: bare + mlp(norm2(bare)),
        "the MLP has no residual: its input is not added back. See trap 2.": lambda: mlp(norm2(middle)),
        "there are no residuals at all. See trap 2.": lambda: mlp(norm2(bare)),
        "the MLP's result is added to the block's input, and the attention's is lost. See trap 3.": lambda: (
            x + mlp(norm2(middle))
        ),
        "the MLP reads the block's input, not what the attention has added to. See trap 3.": lambda: (
            middle + mlp(norm2(x))
        ),
        "the norm overwrites x, so that the residual carries the normed x. See trap 2.": lambda: (
            norm2(norm1(x) + bare) + mlp(norm2(norm1(x) + bare))
        ),
        "the first residual carries the normed x. See trap 2.": lambda: norm1(x) + bare + mlp(norm2(norm1(x) + bare)),
        "the second residual carries the normed x. See trap 2.": lambda: norm2(middle) + mlp(norm2(middle)),
        "norm1 is used twice; the MLP has its own, norm2.": lambda: middle + mlp(norm1(middle)),
        "norm2 is used twice; the attention has its own, norm1.": lambda: (
            x + attention(norm2(x)) + mlp(norm2(x + attention(norm2(x))))
        ),
        "norm1 and norm2 have changed places.": swapped,
        "the MLP comes first; the attention does.": lambda: first + attention(norm2(first)),
        "there is no norm before the attention.": lambda: x + attention(x) + mlp(norm2(x + attention(x))),
        "there is no norm before the MLP.": lambda: middle + mlp(middle),
        "there are no norms.": lambda: x + attention(x) + mlp(x + attention(x)),
        "the weights of the norms are not used.": lambda: (
            x + attention(norm(x, ones)) + mlp(norm(x + attention(norm(x, ones)), ones))
        ),
        "there is no MLP.": lambda: middle,
        "there is no attention.": lambda: x + mlp(norm2(x)),
        "both residuals add the block's input: x is in the result twice.": lambda: x + middle + mlp(norm2(middle)),
        "the middle is added twice.": lambda: 2 * middle + mlp(norm2(middle)),
    }


def block_case(seed: int) -> tuple[Tensor, dict[str, Tensor], Tensor, Tensor]:
    x, inner, cos, sin = module_case(seed)
    weights = {
        "norm1.weight": random(seed + 60, D) * 0.3 + 1,
        **{f"attention.{name}": weight for name, weight in inner.items()},
        "norm2.weight": random(seed + 70, D) * 0.3 + 1.5,
        "mlp.up.weight": random(seed + 80, HIDDEN, D) * 0.4,
        "mlp.down.weight": random(seed + 90, D, HIDDEN) * 0.4,
    }
    return x * 2 + 0.5, weights, cos, sin


@exercise("TransformerBlock", "the same numbers as its parts, one after the other")
def test_block_values(handle, seed):
    x, weights, cos, sin = block_case(seed)
    block = handle.build(D, H, HIDDEN, weights=weights)
    expected, mistakes = block_loop(x, weights, cos, sin), block_mistakes(x, weights, cos, sin)
    expect_close(block(x, cos, sin), expected, "result", mistakes=mistakes)
    expect_close(block(strided(x), cos, sin), expected, "the result for an x that is not contiguous", mistakes=mistakes)


@exercise("TransformerBlock", "with silent parts the block passes x on unchanged")
def test_block_is_a_residual(handle, seed):
    x, weights, cos, sin = block_case(seed)
    silent = {name: w * 0 if name.endswith(("out.weight", "down.weight")) else w for name, w in weights.items()}
    got = handle.build(D, H, HIDDEN, weights=silent)(x, cos, sin)
    expect_close(got, x, "the result where attention and MLP add nothing")


@exercise("TransformerBlock", "gradients of x and of every weight")
def test_block_gradient(handle, seed):
    x, weights, cos, sin = block_case(seed)
    upstream = random(seed + 5, B, T, D)
    block = handle.build(D, H, HIDDEN, weights=weights)
    _, got = block.gradients(x, cos, sin, wrt=[0, *weights], upstream=upstream)
    expected = loop_gradients(block_loop, x, weights, cos, sin, upstream)
    for key in (0, *weights):
        expect_gradient(got[key], expected[key], "x" if key == 0 else key)
