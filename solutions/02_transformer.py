# %% [markdown]
# # 02 · The transformer
#
# Your tokenizer turns text into numbers. Now you build the machine that reads them: a decoder-only transformer, the
# same kind that stands behind every chat model, with five small parts. Nothing in it is a black box. By the end of
# this lesson **your own code runs the course's trained model and gives its logits**, and your own sampler writes
# its sentences.
#
# The model is a stack of blocks over a *residual stream*: one vector for each token, to which every block adds a
# little.
#
#     tokens -> embedding -> [ + attention(norm(x)) ] -> [ + mlp(norm(x)) ] -> ... -> norm -> logits -> sample
#
# You write `rms_norm`, `apply_rope`, `causal_attention`, then put them together as `CausalSelfAttention` and
# `TransformerBlock`, and finish with `sample_token`. Letters in shapes: `B` rows, `T` positions, `D` width of the
# stream, `H` heads, `K` = D / H width of a head, `V` vocabulary.
#
# Stuck on one exercise? Go on with the next. A cell with `rms_norm = carry("rms_norm")` lends you the reference's,
# and your own takes its place as soon as it passes.

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.course import carry, check, diagnose, record

# %% [markdown]
# ## One number by hand
#
# Attention is a weighted mean. A query asks, every key answers with a score, and the values are mixed by the
# softmax of the scores. Take heads of width K = 4, one query and two keys:
#
# - query (1, 1, 1, 1), keys (0, 0, 0, 0) and (1, 1, 1, 1), values 0 and 10.
# - Scores: the dot products are 0 and 4; divided by √4 they are 0 and 2.
# - Weights: $e^0$ and $e^2$ over their sum, 1 / 8.389 = 0.119 and 7.389 / 8.389 = 0.881.
# - Result: 0.119 · 0 + 0.881 · 10 = **8.81**.
#
# Two questions before you go on. What comes out if the division by √4 is forgotten? (Weights 0.018 and 0.982, so
# 9.82: surer than it should be.) And what if the second token lies in the future of the first, and the first one
# asks? (It may not look: its only key is its own, weight 1, result 0.)

# %% [markdown]
# ## Keeping numbers in size
#
# {exercise rms_norm}
#
# **Why.** Each layer multiplies by a matrix. If that makes vectors a little longer, forty layers make them
# astronomically longer; a little shorter, and nothing is left. So every part of the model first brings its input to
# a standard size.
#
# **What.** For each vector $x$ of the last dimension, with $D$ numbers and a learned weight $w$ for each,
#
# $$ y_i = \frac{x_i}{\sqrt{\frac1D \sum_j x_j^2 + \epsilon}} \; w_i $$
#
# That is Zhang & Sennrich 2019, eq. 4, with an $\epsilon$ that keeps a zero vector from dividing by zero.
#
# **By hand.** x = (3, 4): the mean square is (9 + 16) / 2 = 12.5, its root 3.536. With weights (1, 10) the result
# is (0.849, 11.31). What is the mean square of x divided by its root, before the weights? (1, always. That is the
# point.)
#
# **Traps.** (1) LayerNorm (Ba et al. 2016) subtracts the mean first; RMSNorm does not. `torch.std` and `torch.var`
# subtract it unseen. (2) *Mean* of squares, over the last dimension alone: not their sum, not over positions or
# rows. (3) $\epsilon$ belongs under the root. Some libraries add it outside; you would see the difference for small
# x.

# %% tags=["exercise"] exercise="rms_norm"
def rms_norm(x: Tensor, weight: Tensor, eps: float = 1e-5) -> Tensor:
    """x / sqrt(mean(x^2) + eps) * weight, over the last dimension.

    x: (..., D) float, any number of dimensions before the last; weight: (D,). Returns (..., D).
    A gradient flows to x, also through the root, and to weight. Zhang & Sennrich 2019, eq. 4.

    >>> rms_norm(torch.tensor([3.0, 4.0]), torch.tensor([1.0, 10.0]))
    tensor([ 0.8485, 11.3137])
    """
    # BEGIN SOLUTION
    mean_square = x.square().mean(dim=-1, keepdim=True)  # (..., 1)
    scale = torch.rsqrt(mean_square + eps)
    return x * scale * weight
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="rms_norm"
# Where to start
# Square, average, add eps, take the root: four small steps. Only then divide and multiply by the weight.
# ---
# The shape
# `x.mean(-1)` of a (B, T, D) tensor is (B, T), which does not fit (B, T, D) any more. `keepdim=True` keeps it (B,
# T, 1).
# ---
# The shape of it
# `x ** 2`, then `.mean(-1, keepdim=True)`, then `torch.sqrt(... + eps)`; the weight, (D,), fits the last dimension
# by itself.

# %% tags=["check"]
check("rms_norm")

# %% [markdown]
# **Predict.** Below, vectors pass through 24 random matrices that make them 1.4 times longer on average, or 0.7
# times as long. How large is a number after the last one? And if `rms_norm` stands before each matrix?

# %% tags=["target"] exercise="rms_norm"
import matplotlib.pyplot as plt

from minillm import plots

plots.use_style()
torch.manual_seed(0)
start, one = torch.randn(64, 96), torch.ones(96)
for gain, normed, stage in ((1.4, False, "cai"), (0.7, False, "ppo"), (1.4, True, "sft"), (0.7, True, "grpo")):
    x, sizes = start, [1.0]
    for _ in range(24):
        x = (rms_norm(x, one) if normed else x) @ (torch.randn(96, 96) * gain / math.sqrt(96))
        sizes.append(x.square().mean().sqrt().item())
    plt.semilogy(sizes, color=plots.stage_colour(stage), label=f"times {gain}, {'rms_norm' if normed else 'no norm'}")
    print(f"gain {gain}, {'with' if normed else 'without'} norm: size {sizes[-1]:.3g} after 24 layers")
plt.xlabel("layer"), plt.ylabel("root mean square (log scale)"), plt.legend()
plt.title("Without a norm, depth multiplies; with it, every layer starts at size 1")
plt.show()

# %% [markdown]
# ## Where am I?
#
# {exercise apply_rope}
#
# **Why.** A weighted mean does not know order: shuffle the keys with their values and the result stays the same.
# "the fox eats the fish" and "the fish eats the fox" would be one sentence. Rotary positions (RoPE) put order into
# the scores: each query and key is *turned* by an angle that grows with its position. The product of two turned
# vectors then depends on how far apart they are.
#
# **What.** The vector of a head has K numbers. Number $i$ of the first half and number $i$ of the second half are a
# point in the plane, which is turned by the angle of its position $t$ (Su et al. 2021, eq. 34):
#
# $$ x'_i = x_i \cos\theta_{t,i} - x_{i+K/2} \sin\theta_{t,i} \qquad
# x'_{i+K/2} = x_i \sin\theta_{t,i} + x_{i+K/2} \cos\theta_{t,i} $$
#
# with $\theta_{t,i} = t \cdot 10000^{-2i/K}$: the first pairs turn fast, the last ones hardly. The tables of cos
# and sin are given to you, one row for each position.
#
# **By hand.** K = 4, x = (1, 2, 3, 4). The pairs are (1, 3) and (2, 4). Turn the first by 90° (cos 0, sin 1) and
# leave the second (cos 1, sin 0). Work it out before you read on. (1 becomes -3, 3 becomes 1: the result is (-3, 2,
# 1, 4).)
#
# **Traps.** (1) Two conventions. The paper and GPT-J pair *neighbours*, $(x_0, x_1)$, $(x_2, x_3)$, called
# interleaved; GPT-NeoX and this course pair the *halves*, $(x_0, x_{K/2})$. Llama was trained with neighbours and
# is mostly run with halves, its weights reordered on the way. Both are good models. Weights trained with the one
# are useless with the other, and no error is raised: you will see it below. (2) The signs: minus in the first half,
# plus in the second. (3) The new second half is made from the *old* first half: overwrite it too early and you use
# the new one.

# %% tags=["setup"]
def rope_tables(length: int, width: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """cos and sin, (length, width / 2) each, of position * base^(-2 i / width)."""
    frequency = base ** (-torch.arange(width // 2, dtype=torch.float64) * 2 / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] * frequency
    return angle.cos().float(), angle.sin().float()


# %% tags=["exercise"] exercise="apply_rope"
def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair (x[i], x[i + K/2]) by the angle of its position: the half-split form of rotary positions.

    x: (B, H, T, K) float, K even; cos, sin: (T, K/2), row t for position t. Returns (B, H, T, K), a new tensor.
    (x1, x2) -> (x1 cos - x2 sin, x1 sin + x2 cos), x1 and x2 the first and second half. Su et al. 2021, eq. 34,
    where neighbours are paired instead.
    """
    # BEGIN SOLUTION
    x1, x2 = x.chunk(2, dim=-1)  # (B, H, T, K/2) each
    turned1 = x1 * cos - x2 * sin
    turned2 = x1 * sin + x2 * cos
    return torch.cat((turned1, turned2), dim=-1)  # (B, H, T, K)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="apply_rope"
# Where to start
# Cut x into its two halves along the last dimension: `x[..., :half]` and `x[..., half:]`, or `x.chunk(2, dim=-1)`.
# ---
# The shapes
# A half is (B, H, T, K/2), the tables (T, K/2): they fit from the right, so `x1 * cos` turns row t with row t by
# itself.
# ---
# The shape of it
# Compute both new halves from the old ones, keep them under new names, and `torch.cat` them along the last
# dimension.

# %% tags=["check"]
check("apply_rope")

# %% [markdown]
# **Predict.** Take one query vector and one key vector, put them at many pairs of positions, and take the product.
# Plot it against the distance between the two. One curve, or one for each position of the query?

# %% tags=["target"] exercise="apply_rope"
torch.manual_seed(2)
q, k = torch.randn(1, 1, 1, 24), torch.randn(1, 1, 1, 24)
cos, sin = rope_tables(160, 24)
turned_q, turned_k = apply_rope(q.expand(1, 1, 160, 24), cos, sin), apply_rope(k.expand(1, 1, 160, 24), cos, sin)
products = (turned_q @ turned_k.transpose(-1, -2))[0, 0]  # (position of q, position of k)
for position, mark, stage in ((60, "o", "sft"), (110, "x", "ppo"), (159, ".", "cai")):
    distance = torch.arange(0, 60, 2)
    plt.plot(distance, products[position, position - distance], mark, color=plots.stage_colour(stage),
             label=f"query at position {position}", markersize={"o": 9, "x": 6, ".": 5}[mark], fillstyle="none")
plt.xlabel("distance from query to key (tokens)"), plt.ylabel("product of query and key"), plt.legend()
plt.title("The product depends on the distance, not on the position")
plt.show()
spread = max(products.diagonal(-d).std().item() for d in range(60))
print(f"Over all positions, the product at one distance varies by no more than {spread:.1e}.")

# %% [markdown]
# ## Looking back
#
# {exercise causal_attention}
#
# **Why.** To predict the next word after "the food of the fox is", a token must fetch what stands elsewhere: which
# animal, which question. Attention is the only place in the model where one token reads another. And it must not
# read the future: there stands the answer.
#
# **What.** For each row, head and position $t$, with $s$ running over the positions up to $t$, itself included,
#
# $$ y_t = \sum_{s \le t} w_{ts} v_s \qquad w_{ts} =
# \frac{\exp(q_t \cdot k_s / \sqrt K)}{\sum_{s' \le t} \exp(q_t \cdot k_{s'} / \sqrt K)} $$
#
# In matrices, softmax(QKᵀ / √K + mask) V: Vaswani et al. 2017, eq. 1. As a loop, which you may write first and make
# fast later:
#
#     for t in range(T):
#         scores = [dot(q[t], k[s]) / K ** 0.5 for s in range(t + 1)]
#         y[t] = sum(weight * v[s] for s, weight in enumerate(softmax(scores)))
#
# **By hand.** The number at the top of this lesson. What is the result at position 0, for any q and k? (Exactly
# $v_0$.)
#
# **Traps.** (1) Scale the *scores*, before the softmax, with the root of K, the width of q and k: not with K, not
# with T, not with the width of v. (2) The diagonal stays: a position sees itself. Mask it too, and position 0 has
# nothing to look at: nan. (3) Masked scores become -inf (or a hugely negative number) *before* the softmax. Zero is
# not "off": exp(0) is 1. And weights zeroed after the softmax no longer add up to 1. (4) The softmax runs over the
# keys, the last dimension of the scores.

# %% tags=["exercise"] exercise="causal_attention"
def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(K), over the keys up to the query's own position) v.

    q, k: (B, H, T, K) float; v: (B, H, T, W), where W is mostly, but not always, K. Returns (B, H, T, W).
    Position t sees positions 0 to t, itself included. No dropout. Scores may be large: no overflow.
    Vaswani et al. 2017, eq. 1.
    """
    # BEGIN SOLUTION
    T, K = q.shape[-2:]
    scores = q @ k.transpose(-2, -1) / math.sqrt(K)  # (B, H, T, T): query, key
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(diagonal=1)
    weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
    return weights @ v  # (B, H, T, W)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="causal_attention"
# Where to start
# All scores at once: `q @ k.transpose(-2, -1)` is (B, H, T, T); row t holds the scores of query t with every key.
# ---
# The mask
# `torch.ones(T, T).triu(1)` is 1 strictly above the diagonal, where the key lies in the future. Make it bool and
# use `masked_fill`.
# ---
# The shape of it
# Scores divided by the root of K, future filled with -inf, `softmax(-1)`, times v. PyTorch has it in one call too,
# `F.scaled_dot_product_attention`; write it out once, and you will know what the call does.

# %% tags=["check"]
check("causal_attention")

# %% [markdown]
# Your function returns mixtures. Hand it the identity matrix as values, and what comes back *is* the weights. A
# second picture asks what causality means: change the token at one position, and see where the result moves.
#
# **Predict.** Which half of the second picture is dark: where the changed token lies before, or behind, the result?

# %% tags=["target"] exercise="causal_attention"
torch.manual_seed(1)
q, k, v = (torch.randn(1, 1, 10, 16) for _ in range(3))
weights = causal_attention(2 * q, k, torch.eye(10).expand(1, 1, 10, 10))[0, 0]
moved = torch.zeros(10, 10)
for t in range(10):
    nudge = torch.zeros(1, 1, 10, 1)
    nudge[0, 0, t] = 1.0
    moved[:, t] = (causal_attention(q + nudge, k + nudge, v + nudge) - causal_attention(q, k, v)).norm(dim=-1)[0, 0]
figure, (left, right) = plots.new_figure(2, width=7.4, height=3.4)
left.imshow(weights, cmap="magma"), right.imshow(moved, cmap="magma")
left.set_xlabel("key position s"), left.set_ylabel("query position t"), left.set_title("attention weights")
right.set_xlabel("position that was changed"), right.set_ylabel("position of the result")
right.set_title("how far the result moves")
left.grid(False), right.grid(False)
plt.show()
print(f"Largest change of a result before the changed token: {moved.triu(1).max():.1e}.")

# %% [markdown]
# ## Several heads, one module
#
# {exercise CausalSelfAttention}
#
# **Why.** One weighted mean can look at one thing. Several small ones, side by side, can look at several: one at
# the word before, one at the subject, one at the question. Each head gets its own slice of the width and does its
# own attention.
#
# **What.** Vaswani et al. 2017, section 3.2.2, with all projections of q, k and v in one matrix:
#
# 1. `self.qkv(x)` is (B, T, 3D). The first D numbers are q, the next k, the last v.
# 2. Each is cut into H heads of K = D / H neighbouring numbers and brought to (B, H, T, K).
# 3. q and k are turned by `apply_rope`; then `causal_attention`.
# 4. The heads are put side by side again, (B, T, D), and go through `self.out`.
#
# **By hand.** D = 6, H = 3. Which of the numbers 0 to 17 of `qkv(x)` at one position make the key of head 1? (Keys
# are 6 to 11, and head 1 has the second pair of these: 8 and 9.)
#
# **Traps.** (1) Positions belong into the scores: turn q and k, both of them, and not v. (2) `view(B, H, T, K)` on
# a (B, T, D) tensor gives the right shape and the wrong numbers: it mixes positions. View as (B, T, H, K) first,
# then transpose; and transpose back before you put heads together. (3) The output projection is what lets heads
# talk to each other; without it everything still runs.

# %% tags=["exercise"] exercise="CausalSelfAttention"
class CausalSelfAttention(nn.Module):
    """Causal attention of several heads, with rotary positions. Vaswani et al. 2017, sec. 3.2.2.

    dim: D, a multiple of heads; D / heads is even. The names of the two layers are those of the course's checkpoints.
    """

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)  # q, then k, then v; in each, head after head
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x: (B, T, D); cos, sin: (T, K/2), for apply_rope. Returns (B, T, D), without a residual."""
        # BEGIN SOLUTION
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        y = causal_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)  # (B, H, T, K)
        return self.out(y.transpose(1, 2).reshape(B, T, D))
        # END SOLUTION


# %% [markdown] tags=["hints"] exercise="CausalSelfAttention"
# Where to start
# `q, k, v = self.qkv(x).chunk(3, dim=-1)` gives three (B, T, D) tensors. Write a line that turns one of them into
# heads.
# ---
# Into heads and back
# `.view(B, T, H, K).transpose(1, 2)` is (B, H, T, K). Back: `.transpose(1, 2)`, which is (B, T, H, K), then
# `.reshape(B, T, D)`; `view` refuses there, because the numbers no longer lie in that order in memory.
# ---
# The shape of it
# Five lines: sizes, projections, heads, `causal_attention` of the turned q, the turned k and v, and `self.out` of
# the heads side by side.

# %% tags=["check"]
check("CausalSelfAttention")

# %% [markdown]
# ## The block
#
# {exercise TransformerBlock}
#
# **Why.** Attention moves information between tokens; the MLP works on each token by itself. Around both stands the
# idea that makes depth trainable: a part does not replace the stream, it *adds* to it. The path from the last layer
# to the first is then never blocked, neither for the signal nor for the gradient.
#
# **What.** Pre-norm (Xiong et al. 2020, figure 1b): the norm stands before each part, inside the branch.
#
#     h = x + attention(norm1(x))
#     y = h + mlp(norm2(h))
#
# The MLP is given: up to `hidden` numbers, squared ReLU, back down. `norm1` and `norm2` hold one weight vector
# each, for your `rms_norm`.
#
# **By hand.** Suppose the attention returns 1 and the MLP 10 everywhere, whatever they are given, and x = 5. What
# is y? (5 + 1 + 10 = 16.) And if both return 0? (5: a fresh block with silent parts passes the stream through.)
#
# **Traps.** (1) Post-norm, norm(x + part(x)), is the order of Vaswani et al. 2017. It is a different model, harder
# to train when deep. (2) The residual carries the raw x. `x = norm(x)` and then `x + attention(x)` adds the normed
# one. (3) The second half reads and adds to h, the stream *after* attention, not x.

# %% tags=["setup"]
class Scale(nn.Module):
    """The weight vector of a norm; rms_norm itself is yours."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))


class MLP(nn.Module):
    """down(relu(up(x))^2), the squared ReLU of So et al. 2021."""

    def __init__(self, dim: int, hidden: int):
        super().__init__()
        self.up = nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)).square())


# %% tags=["exercise"] exercise="TransformerBlock"
class TransformerBlock(nn.Module):
    """x + attention(norm1(x)), then that + mlp(norm2(that)): a pre-norm block. Xiong et al. 2020, figure 1b.

    dim: D; heads: of the attention; hidden: width of the MLP.
    """

    def __init__(self, dim: int, heads: int, hidden: int):
        super().__init__()
        self.norm1 = Scale(dim)  # norm1.weight: (D,), for rms_norm
        self.attention = CausalSelfAttention(dim, heads)
        self.norm2 = Scale(dim)
        self.mlp = MLP(dim, hidden)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """x: (B, T, D), the residual stream; cos, sin: (T, K/2), for the attention. Returns (B, T, D)."""
        # BEGIN SOLUTION
        from_attention = self.attention(rms_norm(x, self.norm1.weight), cos, sin)
        x = x + from_attention  # (B, T, D)
        return x + self.mlp(rms_norm(x, self.norm2.weight))
        # END SOLUTION


# %% [markdown] tags=["hints"] exercise="TransformerBlock"
# Where to start
# Write the first half alone: the norm of x with `self.norm1.weight`, through `self.attention`, added to x.
# ---
# The second half
# The same with `self.norm2.weight` and `self.mlp`, on the result of the first half. `self.mlp` needs no cos and
# sin.

# %% tags=["check"]
check("TransformerBlock")

# %% [markdown]
# Why pre-norm? Stack 24 of your blocks with fresh weights, and measure the gradient that reaches each layer in the
# very first step. Then do it again with norm and sum in the order of 2017.
#
# **Predict.** Both stacks hold the same weights. In which does the gradient grow more on its way from the last layer
# to the first?

# %%
def post_norm(block: nn.Module, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """The block of Vaswani et al. 2017: the norm comes after each sum."""
    h = rms_norm(x + block.attention(x, cos, sin), block.norm1.weight)
    return rms_norm(h + block.mlp(h), block.norm2.weight)


def pre_norm(block: nn.Module, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return block(x, cos, sin)


def gradient_by_layer(order, layers: int = 24, gain: float = 1.4) -> list[float]:
    """Norm of the first gradient of each layer's MLP, for random targets and matrices that make vectors longer."""
    torch.manual_seed(0)
    blocks = [TransformerBlock(48, 4, 192) for _ in range(layers)]
    for matrix in (p for block in blocks for p in block.parameters() if p.ndim == 2):
        nn.init.normal_(matrix, std=gain / math.sqrt(matrix.shape[1]))
    x, (cos, sin) = torch.randn(8, 24, 48), rope_tables(24, 12)
    readout, targets = torch.randn(48, 100) / math.sqrt(48), torch.randint(100, (8, 24))
    for block in blocks:
        x = order(block, x, cos, sin)
    scores = rms_norm(x, torch.ones(48)) @ readout
    F.cross_entropy(scores.flatten(0, 1), targets.flatten()).backward()
    return [block.mlp.down.weight.grad.norm().item() for block in blocks]


# %% tags=["target"] exercise="TransformerBlock"
for order, name, stage in ((pre_norm, "pre-norm (yours)", "sft"), (post_norm, "post-norm", "cai")):
    sizes = gradient_by_layer(order)
    plt.semilogy(range(1, len(sizes) + 1), sizes, "o-", markersize=4, color=plots.stage_colour(stage), label=name)
    print(f"{name}: gradient {sizes[-1]:.2f} at the last layer, {sizes[0]:.2f} at the first.")
plt.xlabel("layer"), plt.ylabel("gradient norm (log scale)"), plt.legend()
plt.title("Post-norm: the gradient grows with each layer that it passes")
plt.show()

# %% [markdown]
# A step that is right for the last layer of the post-norm stack is far too large for the first. Such models need a
# careful warm-up of the learning rate, and break without it (Xiong et al. 2020). With pre-norm the sums are never
# normed away: the gradient walks down the stream, and the first layer gets some ten times what the last one gets,
# where post-norm made it nearly fifty.

# %% [markdown]
# ## Choosing a token
#
# {exercise sample_token}
#
# **Why.** The model gives a distribution; a text needs a choice. Always take the likeliest token and the text turns
# dull and loops; draw from the whole distribution and sooner or later a token from its long, badly estimated tail
# derails the sentence (Holtzman et al. 2020). Every later lesson samples: answers to judge, rollouts for PPO,
# attacks.
#
# **What.** In this order:
#
# 1. *Temperature*: divide the logits by it. Below 1 sharpens, above 1 flattens; 0 means greedy, the likeliest
#    token.
# 2. *top_k*: keep the k likeliest tokens.
# 3. *top_p*: of these, with their probabilities made to add up to 1 again, keep the smallest set of likeliest
#    tokens whose sum reaches p. The token that crosses p is kept.
# 4. Draw one token for each row from what is left; everything else has probability 0.
#
# Top-p is Holtzman et al. 2020, eq. 2; top-k, Fan et al. 2018.
#
# **By hand.** Probabilities 0.5, 0.3, 0.15, 0.05 and top_p 0.7. The first token holds 0.5, not enough; with the
# second it is 0.8, enough. So two are kept, drawn with 0.5 / 0.8 = 0.625 and 0.375. With top_k = 2 before it and
# top_p 0.6? (What top_k leaves is 0.625 and 0.375; the first alone reaches 0.6. One is kept.)
#
# **Traps.** (1) Dividing, not multiplying, by the temperature. (2) Temperature 0 is a case of its own: dividing by
# it gives nan. (3) A logit of 0 is not "never": filtered logits become -inf. (4) `topk` stops with an error where
# top_k is larger than the vocabulary. (5) "Remove where the running sum exceeds p" removes the token that crosses p
# as well; with a sharp distribution that is *every* token. (6) The order matters: top-p is measured after
# temperature and after top-k.

# %% tags=["exercise"] exercise="sample_token"
def sample_token(
    logits: Tensor,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw a token for every row: temperature first, then top_k, then top_p.

    logits: (B, V) float. temperature: at least 0; 0 takes the likeliest token, whatever else is set.
    top_k: how many of the likeliest tokens stay; None or more than V: all. Which of two equal ones is free.
    top_p: above 0; of what top_k leaves, renormalised, the fewest of the likeliest tokens that sum to p or more stay.
    generator: passed on to the draw; None uses PyTorch's own. Rows are drawn independently.
    Returns (B,) long. Holtzman et al. 2020, eq. 2.
    """
    # BEGIN SOLUTION
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits / temperature
    if top_k is not None:
        kth = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]  # (B, 1)
        logits = logits.masked_fill(logits < kth, float("-inf"))
    if top_p is not None:
        ranked, order = logits.softmax(dim=-1).sort(dim=-1, descending=True)
        before = ranked.cumsum(dim=-1) - ranked  # what the likelier tokens hold together
        dropped = torch.zeros_like(order, dtype=torch.bool).scatter(1, order, before >= top_p)
        logits = logits.masked_fill(dropped, float("-inf"))
    return torch.multinomial(logits.softmax(dim=-1), 1, generator=generator).squeeze(1)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="sample_token"
# Where to start
# First without top_k and top_p: the case of temperature 0, the division, `softmax`, and `torch.multinomial(probs,
# 1, generator=generator)`, whose result (B, 1) you squeeze. Check: the first properties should hold.
# ---
# Top-k
# Find the k-th largest logit of each row (`topk(...).values[:, -1:]`) and set everything below it to -inf.
# ---
# Top-p
# Sort the probabilities downwards, with the order. A token stays if what stands *before* it, `cumsum - itself`, is
# still less than p. Bring that decision back to the tokens' own places with `scatter`, or draw a place and look it
# up in the order with `gather`.

# %% tags=["check"]
check("sample_token")

# %% [markdown]
# One distribution over nine words, and 4,000 draws of your function under each setting.
#
# **Predict.** Which settings make "of" impossible? Which one makes it *more* likely than in the model's own
# distribution?

# %% tags=["target"] exercise="sample_token"
words = ["berries", "fish", "grass", "nuts", "seeds", "meat", "sand", "the", "of"]
logits = torch.tensor([3.0, 2.4, 2.0, 1.6, 1.0, 0.6, -0.4, -0.8, -1.2])
settings = {"the model's own": {}, "temperature 0.5": {"temperature": 0.5}, "temperature 2": {"temperature": 2.0},
            "top_k 4": {"top_k": 4}, "top_p 0.8": {"top_p": 0.8}, "temperature 0": {"temperature": 0.0}}
figure, panels = plt.subplots(2, 3, figsize=(7.8, 4.6), sharex=True, sharey=True)
for panel, (name, setting) in zip(panels.flat, settings.items()):
    drawn = sample_token(logits.repeat(4000, 1), **setting, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=len(words)) / 4000
    panel.barh(words, share, color=plots.stage_colour("sft"))
    panel.plot(logits.softmax(-1), words, "|", color=plots.stage_colour("ppo"), markersize=9, markeredgewidth=2)
    panel.set_title(name), panel.grid(axis="y", visible=False)
panels[0, 0].invert_yaxis()
figure.supxlabel("share of 4,000 draws; the mark is the model's own probability", color=plots.INK, fontsize=10)
plt.show()

# %% [markdown]
# ## Use it: your parts in the real model
#
# The base model of this course (you train it yourself in lesson 03) is a stack of the blocks that you have just
# written. Put yours together, load its weights, and compare.
#
# **Predict.** Your functions add the same numbers in another order. How many decimal places of the logits will
# agree?

# %%
from minillm.stages import load_stage

base = load_stage("base")


class MyTransformer(nn.Module):
    """The whole model, made of your parts. Names as in minillm/model.py, so that its weights fit."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(
            TransformerBlock(config.dim, config.heads, config.hidden) for _ in range(config.layers)
        )
        self.norm = Scale(config.dim)

    def forward(self, tokens: Tensor) -> Tensor:
        cos, sin = rope_tables(tokens.shape[1], self.config.dim // self.config.heads, self.config.rope_base)
        x = self.embed(tokens)  # (B, T, D)
        for block in self.blocks:
            x = block(x, cos, sin)
        return rms_norm(x, self.norm.weight) @ self.embed.weight.T  # (B, T, V)


# %%
from minillm.tinyland import corpus

mine = MyTransformer(base.model.config)
weights = base.model.state_dict()
if unmatched := sorted(weights.keys() ^ mine.state_dict().keys()):
    raise RuntimeError(
        f"Your blocks compute the right thing, but their layers have other names than the checkpoint's: {unmatched[0]} "
        f"and {len(unmatched) - 1} more stand on one side only. Keep the __init__ that exercises 2.4 and 2.5 gave you "
        "(one self.qkv for q, k and v, and self.out), run their cells again, and then go on from MyTransformer."
    )
mine.load_state_dict(weights)
texts = corpus.load("validation")
stream = [token for text in texts[:400] for token in corpus.encode_document(base.tokenizer, text)]
rows = torch.tensor(stream[: len(stream) // 65 * 65]).view(-1, 65)[:32]
with torch.inference_mode():
    yours, theirs = mine(rows), base.model(rows)
difference = (yours - theirs).abs().max().item()
print(f"Logits for {rows.numel()} tokens lie between {theirs.min():.1f} and {theirs.max():.1f}.")
print(f"Largest difference between your model and the library's: {difference:.1e}.")
record("largest difference of the student's logits", difference)

# %% [markdown]
# Now let it write. This loop is all there is to text generation: read everything so far, take the logits of the
# last position, draw, append. (It reads the whole text again for each token. `minillm/sampling.py` keeps the keys
# and values instead, which is the same thing, faster.)

# %%
def write(model: nn.Module, prompt: str, length: int = 30, seed: int = 0, **settings) -> str:
    """Continue a prompt with your sampler, up to the end of the document."""
    generator, tokens = torch.Generator().manual_seed(seed), corpus.encode_document(base.tokenizer, prompt)
    for _ in range(length):
        with torch.inference_mode():
            logits = model(torch.tensor([tokens]))[:, -1]  # (1, V)
        token = sample_token(logits, **settings, generator=generator).item()
        if token == base.tokenizer.doc:
            break
        tokens.append(token)
    return base.tokenizer.decode(tokens, specials=False).strip()


for settings in ({"temperature": 0.0}, {"temperature": 0.7}, {"top_p": 0.9}, {"temperature": 3.0}):
    told = ", ".join(f"{name} {value}" for name, value in settings.items())
    print(f"{told:>15}:  {write(mine, 'the fox', **settings)}")

# %% [markdown]
# ## See it: what the heads look at
#
# Inside the real model your `causal_attention` is called with real queries and keys. A watcher that stands in for
# it can write down the weights (with the identity as values, as before) and pass the call on.

# %%
from contextlib import contextmanager


@contextmanager
def replaced(name: str, other):
    """Inside, your attention modules use `other` instead of your function `name`."""
    home = type(TransformerBlock(4, 1, 4).attention).forward.__globals__
    own, home[name] = home[name], other
    try:
        yield
    finally:
        home[name] = own


def attention_maps(model: nn.Module, tokens: list[int]) -> list[Tensor]:
    """The attention weights of each layer, (H, T, T), while the model reads."""
    maps, attend = [], causal_attention

    def watch(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        maps.append(attend(q, k, torch.eye(q.shape[2]).expand(*q.shape[:3], -1))[0])
        return attend(q, k, v)

    with replaced("causal_attention", watch), torch.inference_mode():
        model(torch.tensor([tokens]))
    return maps


# %% [markdown]
# **Predict.** In the first layer a head can only compare words and distances. Which patterns do you expect? And
# which words will the last token look at further up?

# %%
request = next(text for text in texts if text.startswith("question :") and len(text.split()) < 18)
tokens = corpus.encode_document(base.tokenizer, request)
pieces = [piece.strip() for piece in base.tokenizer.pieces(tokens)]
maps = attention_maps(mine, tokens)
for layer in (0, len(maps) - 1):
    figure, panels = plt.subplots(1, len(maps[layer]), figsize=(9.4, 2.9), sharey=True)
    for head, panel in enumerate(panels):
        panel.imshow(maps[layer][head], cmap="magma", vmin=0, vmax=1), panel.grid(False)
        panel.set_xticks(range(len(pieces)), pieces, rotation=90, fontsize=7)
        panel.set_yticks(range(len(pieces)), pieces, fontsize=7)
        panel.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=9)
    figure.supxlabel("looked at", color=plots.INK, fontsize=9), figure.supylabel("looking", color=plots.INK, fontsize=9)
    plt.show()
near = sum(m.diagonal(dim1=1, dim2=2).mean().item() for m in maps) / len(maps)
print(f"Averaged over layers, heads and words, a token gives {near:.0%} of its attention to itself.")

# %% [markdown]
# Each row is a token that looks, each column one that is looked at. Look for a bright stripe right below the diagonal:
# a head that fetches the word before. For a bright first column: a head that has nothing to do here, and parks its
# attention on `<doc>`. And for columns that stay bright over many rows: a word that many later ones need.

# %% [markdown]
# ## Break it: the same weights, another convention
#
# What if you had paired neighbours in `apply_rope`, as the paper does? The property that you plotted, products that
# depend on distance alone, holds for that version too. Its shapes are right, its lengths are right. A test of those
# properties would pass it.
#
# **Predict.** By how much does the loss of the trained model rise with neighbours paired? And with no positions at
# all?

# %%
def interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Neighbours are paired, as in Su et al. 2021."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def loss_of(model: nn.Module, rows: Tensor) -> float:
    """Nats per token on rows (N, T + 1): every token but the first is predicted from those before it."""
    with torch.inference_mode():
        return F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item()


print(f"halves paired, as in training: {loss_of(mine, rows):.2f} nats per token")
for name, other in (("neighbours paired", interleaved), ("no positions", lambda x, cos, sin: x)):
    with replaced("apply_rope", other):
        print(f"{name}: {loss_of(mine, rows):.2f} nats per token")
print(f"guessing all tokens alike: {math.log(base.tokenizer.vocab_size):.2f} nats per token")

# %% [markdown]
# Nothing crashed, and the numbers are those of a broken model. That is why a checkpoint must say which convention
# it was trained with, and why people who port weights between libraries compare logits, as you just did.

# %% [markdown]
# ## Break it: no scale
#
# Products of random vectors of width K have a standard deviation of √K. Multiply q by √K before your function, and
# its division is undone: attention without a scale.
#
# **Predict.** With 16 tokens, an even split gives each 1/16. How large is the largest weight, on average, at K = 4?
# At K = 1024?

# %%
torch.manual_seed(0)
widths = [2**n for n in range(2, 11)]
largest = {"scaled by 1 / sqrt(K) (yours)": [], "not scaled": []}
for K in widths:
    q, k = torch.randn(40, 1, 16, K), torch.randn(40, 1, 16, K)
    eye = torch.eye(16).expand(40, 1, 16, 16)
    for name, factor in zip(largest, (1.0, math.sqrt(K))):
        weights = causal_attention(factor * q, k, eye)[:, :, -1]
        largest[name].append(weights.max(-1).values.mean().item())
for (name, values), stage in zip(largest.items(), ("sft", "cai")):
    plt.semilogx(widths, values, "o-", base=2, color=plots.stage_colour(stage), label=name)
plt.xlabel("width of a head, K"), plt.ylabel("largest attention weight"), plt.ylim(0, 1.02), plt.legend()
plt.title("Without the scale, wide heads see one token each")
plt.show()
print(f"At K = {widths[-1]} the largest of 16 weights is {largest['not scaled'][-1]:.2f} without the scale.")

# %% [markdown]
# A weight near 1 is a softmax that has made up its mind before training began: its gradient is close to zero, and
# it can hardly learn to look elsewhere (Vaswani et al. 2017, section 3.2.1).

# %% [markdown]
# ## Break it: no mask
#
# The mistake that every practitioner makes once. Train three small models of your blocks, side by side: yours, one
# without positions, one that may see the future. Each trains for a few seconds.
#
# **Predict.** Which of the three reports the lowest training loss? Which one writes the best sentence?

# %%
from tqdm.auto import trange

from minillm.model import Config
from minillm.paths import smoke

small = Config(vocab_size=base.tokenizer.vocab_size, dim=48, layers=2, heads=4, hidden=96)
corpus_ids = [token for text in corpus.load("train")[:6000] for token in corpus.encode_document(base.tokenizer, text)]
train_rows = torch.tensor(corpus_ids[: len(corpus_ids) // 33 * 33]).view(-1, 33)


def train(name: str, steps: int = 5 if smoke() else 250) -> tuple[nn.Module, list[float]]:
    """A fresh small model and its training losses, in nats per token."""
    torch.manual_seed(0)
    model, losses = MyTransformer(small), []
    nn.init.normal_(model.embed.weight, std=0.02)
    optimizer = torch.optim.AdamW(model.parameters(), lr=6e-3)
    for _ in (bar := trange(steps, desc=name)):
        batch = train_rows[torch.randint(len(train_rows), (24,))]
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        model.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        bar.set_postfix(loss=f"{losses[-1]:.2f}")
    return model, losses


# %%
def sees_everything(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention without a mask."""
    return F.scaled_dot_product_attention(q, k, v)


runs = {"causal (yours)": train("causal (yours)")}
with replaced("apply_rope", lambda x, cos, sin: x):
    runs["no positions"] = train("no positions")
with replaced("causal_attention", sees_everything):
    runs["no mask"] = train("no mask")
for (name, (_, losses)), stage in zip(runs.items(), ("sft", "ppo", "cai")):
    plt.plot(plots.smooth(losses, 10), color=plots.stage_colour(stage), label=name)
plt.xlabel("step"), plt.ylabel("training loss (nats per token)"), plt.legend()
plt.title("The model that may look ahead seems to win")
plt.show()

# %% [markdown]
# A loss that falls that fast is no triumph: in training the answer stands right there, at the next position. Now
# ask each model what it is for, one token at a time, when the next one does not exist yet.

# %%
def honest_loss(model: nn.Module, rows: Tensor) -> float:
    """Nats per token when the model gets nothing but the tokens before the one that it is to predict."""
    total = 0.0
    with torch.inference_mode():
        for t in range(1, rows.shape[1]):
            total += F.cross_entropy(model(rows[:, :t])[:, -1], rows[:, t]).item()
    return total / (rows.shape[1] - 1)


tests = rows[:, :33]
for name, (model, losses) in runs.items():
    other = {"no positions": ("apply_rope", lambda x, cos, sin: x), "no mask": ("causal_attention", sees_everything)}
    with replaced(*other.get(name, ("apply_rope", apply_rope))):
        last, honest = sum(losses[-20:]) / len(losses[-20:]), honest_loss(model, tests)
        print(f"{name}: training loss {last:.2f}, honest loss {honest:.2f} nats per token")
        print(f"    {write(model, 'the fox', length=14, temperature=0.0)}")

# %% [markdown]
# Without the mask the model has learned one thing: copy the next token. It has no idea what to say when there is
# none. Whenever a loss looks too good, look for the leak.

# %% [markdown]
# ## Clinic
#
# Four people have handed in a `causal_attention`. Below are its weights for the same ten tokens, obtained with the
# identity as values, and beside each map the sum of each row. None of them raised an error. An empty row is nan. What
# went wrong?

# %% tags=["clinic"]
def sick(bug: str, q: Tensor, k: Tensor) -> Tensor:
    scores, seen = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]), torch.ones(10, 10).tril().bool()
    return {
        "zero": lambda: torch.where(seen, scores, 0.0).softmax(-1),
        "after": lambda: scores.softmax(-1) * seen,
        "queries": lambda: scores.masked_fill(~seen, float("-inf")).softmax(-2),
        "diagonal": lambda: scores.masked_fill(~seen.tril(-1), float("-inf")).softmax(-1),
    }[bug]()


torch.manual_seed(3)
q, k = 1.3 * torch.randn(10, 16), torch.randn(10, 16)
figure, panels = plt.subplots(1, 8, figsize=(11, 2.7), width_ratios=[3, 1] * 4)
for case, bug, panel, sums in zip("ABCD", ("after", "diagonal", "zero", "queries"), panels[::2], panels[1::2]):
    weights = sick(bug, q, k)
    panel.imshow(weights, cmap="magma", vmin=0, vmax=1, aspect="auto"), panel.grid(False)
    panel.set_title(f"{case}: weights"), panel.set_xlabel("key"), panel.set_ylabel("query")
    sums.barh(range(10), weights.sum(-1).nan_to_num(), color=plots.stage_colour("ppo"))
    sums.set_ylim(9.5, -0.5), sums.set_xlim(0, 2), sums.axvline(1, color=plots.INK, linewidth=1)
    sums.set_yticks([]), sums.set_xlabel("sum of row")
plt.show()

# %% [markdown]
# And two people have handed in a `sample_token`. The bars are 4,000 draws, the marks what the right function gives.
# E was called with temperature 0.5, F with top_p = 0.8.

# %% tags=["clinic"]
words = ["berries", "fish", "grass", "nuts", "seeds", "meat", "sand"]
logits = torch.tensor([2.6, 2.0, 1.6, 1.2, 0.6, 0.2, -0.6])
probs = logits.softmax(-1)
sharp, kept = (logits / 0.5).softmax(-1), probs * (probs.cumsum(-1) - probs < 0.8)
cases = {"E: temperature 0.5": ((logits * 0.5).softmax(-1), sharp),
         "F: top_p 0.8": (probs * (probs.cumsum(-1) < 0.8), kept / kept.sum())}
figure, panels = plots.new_figure(2, width=7.4, height=2.8)
for panel, (name, (wrong, right)) in zip(panels, cases.items()):
    drawn = torch.multinomial(wrong, 4000, replacement=True, generator=torch.Generator().manual_seed(0))
    panel.barh(words, torch.bincount(drawn, minlength=7) / 4000, color=plots.stage_colour("sft"))
    panel.plot(right, words, "|", color=plots.stage_colour("ppo"), markersize=12, markeredgewidth=2.5)
    panel.set_title(name), panel.set_xlabel("share of draws"), panel.invert_yaxis(), panel.grid(axis="y", visible=False)
plt.show()

# %% [markdown]
# The suspects:
#
# 1. the mask is missing
# 2. the diagonal is masked too
# 3. the mask comes after the softmax
# 4. masked scores are set to 0 instead of -inf
# 5. the softmax runs over the queries
# 6. the scores are not scaled
# 7. the logits are multiplied by the temperature
# 8. the temperature is ignored
# 9. the token that crosses p is dropped
# 10. one token too many is kept

# %%
answers = {"A": None, "B": None, "C": None, "D": None, "E": None, "F": None}  # a number from the list for each

# %% tags=["solution"]
answers = {"A": 3, "B": 2, "C": 4, "D": 5, "E": 7, "F": 9}

# %%
diagnose(answers, key={
    "A": "d5f5e817", "B": "0bb52b08", "C": "5e964775",
    "D": "63466989", "E": "b6492a02", "F": "fcf64d91",
})

# %% [markdown]
# <details><summary>Explanation, to open after your answers</summary>
#
# **A** is 3. The future is dark, but the first rows do not add up to 1: the softmax had shared the weight out over
# all ten keys, and the mask threw part of it away. Results are too small at early positions, and right at the last.
#
# **B** is 2. Row 0 is nan, for there was nothing to look at, and the diagonal is dark. One nan in the first row
# reaches every weight of the model with the first gradient.
#
# **C** is 4. Rows add up to 1, but the upper triangle is not dark: each future key has the score 0, hence the
# weight $e^0$ over the sum. In row 0 nine tenths of the attention can go to tokens that do not exist yet.
#
# **D** is 5. Nothing leaks from the future, but the *columns* add up to 1, not the rows. The last column holds a
# single 1; early rows get too much.
#
# **E** is 7. At 0.5 the draws should be sharper than the model; they are flatter. At temperature 1 the function is
# right, so a test at 1 sees nothing.
#
# **F** is 9. What is kept holds less than 0.8. When the first token alone has more than p, nothing is kept at all.
#
# </details>

# %% [markdown]
# ## Recap
#
# - `rms_norm` brings every vector to one size, so that depth does not multiply (Zhang & Sennrich 2019, eq. 4).
# - `apply_rope` turns queries and keys, so that scores know distances (Su et al. 2021, eq. 34). Which numbers are
#   paired is a convention of the checkpoint.
# - `causal_attention` is a weighted mean of the past (Vaswani et al. 2017, eq. 1): scale, mask, softmax, in this
#   order.
# - Blocks *add* to the stream, and the norm stands inside the branch (Xiong et al. 2020): gradients reach every
#   layer.
# - `sample_token` turns a distribution into a choice (Holtzman et al. 2020, eq. 2 for top-p). Temperature, then
#   top-k, then top-p.
# - A shape that fits proves nothing. What proves something: comparing numbers with a slow reference, and asking
#   which output moves when an input is changed.
#
# The library's own version of all this is one page: `minillm/model.py`. You can now read every line of it. The next
# lesson, 03, trains it.
#
# Papers: Vaswani et al. 2017, *Attention is all you need*. Ba et al. 2016, *Layer normalization*. Zhang & Sennrich
# 2019, *Root mean square layer normalization*. Su et al. 2021, *RoFormer*. Xiong et al. 2020, *On layer
# normalization in the transformer architecture*. So et al. 2021, *Primer* (squared ReLU). Fan et al. 2018,
# *Hierarchical neural story generation* (top-k). Holtzman et al. 2020, *The curious case of neural text
# degeneration* (top-p).
