"""A decoder-only transformer on one page: pre-norm RMSNorm, rotary positions, squared-ReLU MLP, tied embeddings.

It maps tokens to logits, with or without a cache of keys and values, and knows nothing of training or sampling.
No layer has a bias. Letters in shapes: B rows, T positions, D model dimension, H heads, K head dimension = D / H,
V vocabulary, S keys seen so far (T, plus what a cache holds).
"""

from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-5  # of every RMSNorm


@dataclass(frozen=True)
class Config:
    """The shape of a model. ``hidden`` is the width of the MLP, by default 4 * dim."""

    vocab_size: int
    context_length: int = 256
    dim: int = 96
    layers: int = 4
    heads: int = 4
    hidden: int = 0
    rope_base: float = 10000.0

    def __post_init__(self) -> None:
        if not self.hidden:
            object.__setattr__(self, "hidden", 4 * self.dim)
        for name in ("vocab_size", "context_length", "dim", "layers", "heads", "hidden"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if self.dim % self.heads:
            raise ValueError(f"dim must be a multiple of heads, got dim {self.dim} and {self.heads} heads")
        if self.head_dim % 2:
            raise ValueError(f"dim / heads must be even for rotary positions, got {self.dim} / {self.heads}")
        if not self.rope_base > 1:
            raise ValueError(f"rope_base must be above 1, got {self.rope_base!r}")

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + 1e-5) * weight over the last dimension (Zhang & Sennrich 2019, eq. 4)."""

    def __init__(self, dim: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, EPS)


def rope_tables(config: Config) -> tuple[Tensor, Tensor]:
    """cos and sin of position * base^(-2 i / K) for every position and i < K / 2 (Su et al. 2021, sec. 3.2.2)."""
    half = config.head_dim // 2
    frequency = config.rope_base ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(config.context_length, dtype=torch.float64)[:, None] * frequency  # (context_length, K/2)
    return angle.cos().float(), angle.sin().float()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the pair (x[i], x[i + K/2]) by its position's angle: the "half-split" form of rotary positions."""
    x1, x2 = x.chunk(2, dim=-1)  # (B, H, T, K/2) each
    return torch.cat((x1 * cos - x2 * sin, x1 * sin + x2 * cos), dim=-1)  # (B, H, T, K)


class LayerCache:
    """Keys and values of one attention layer, in memory that is laid out once."""

    def __init__(self, config: Config, rows: int, length: int, like: Tensor):
        shape = (rows, config.heads, length, config.head_dim)
        self.keys = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.values = torch.empty_like(self.keys)
        self.length = 0

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append (B, H, T, K) keys and values; return all (B, H, S, K) so far."""
        start, self.length = self.length, self.length + k.shape[2]
        self.keys[:, :, start : self.length] = k
        self.values[:, :, start : self.length] = v
        return self.keys[:, :, : self.length], self.values[:, :, : self.length]


class Cache:
    """What a model remembers of the tokens that it has read, so that each new one costs one step.

    Make one with ``model.new_cache(rows, length)``, pass it to each call, never to two generations.
    """

    def __init__(self, config: Config, rows: int, length: int, like: Tensor):
        self.layers = [LayerCache(config, rows, length, like) for _ in range(config.layers)]
        self.capacity = length

    @property
    def length(self) -> int:
        return self.layers[0].length

    @property
    def rows(self) -> int:
        return self.layers[0].keys.shape[0]

    def keep(self, rows: Tensor) -> None:
        """Drop all rows but those whose numbers are given, (B',) long."""
        for layer in self.layers:
            layer.keys, layer.values = layer.keys[rows], layer.values[rows]


class Attention(nn.Module):
    """Causal self-attention of several heads (Vaswani et al. 2017, sec. 3.2), keys and queries turned by position."""

    def __init__(self, config: Config):
        super().__init__()
        self.heads = config.heads
        self.qkv = nn.Linear(config.dim, 3 * config.dim, bias=False)
        self.out = nn.Linear(config.dim, config.dim, bias=False)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        """x (B, T, D); cos, sin (T, K/2) or (B, 1, T, K/2); mask: see `attention_mask`. Returns (B, T, D)."""
        B, T, D = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)  # (B, H, T, K) each
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if cache is not None:
            k, v = cache.extend(k, v)  # (B, H, S, K)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None and T > 1)  # (B, H, T, K)
        return self.out(y.transpose(1, 2).reshape(B, T, D))


class MLP(nn.Module):
    """down(relu(up(x))^2), the squared ReLU of So et al. 2021."""

    def __init__(self, config: Config):
        super().__init__()
        self.up = nn.Linear(config.dim, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)).square())


class Block(nn.Module):
    """x + attention(norm1(x)), then x + mlp(norm2(x)): pre-norm (Xiong et al. 2020)."""

    def __init__(self, config: Config):
        super().__init__()
        self.norm1 = RMSNorm(config.dim)
        self.attention = Attention(config)
        self.norm2 = RMSNorm(config.dim)
        self.mlp = MLP(config)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor | None = None, cache: LayerCache | None = None
    ) -> Tensor:
        x = x + self.attention(self.norm1(x), cos, sin, mask, cache)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Tokens in, logits out. The embedding is also the output layer (Press & Wolf 2017)."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocab_size, config.dim)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        cos, sin = rope_tables(config)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights, scaled so that the first guesses are nearly even and learning is fast from the first step.

        Every block starts as the identity, for its output layers are 0. The final norm starts at 4 and the embeddings
        small: the logits then react quickly, and a token gives itself no more than 4 above the rest.
        """
        for name, weight in self.named_parameters():
            if name == "embed.weight":
                nn.init.normal_(weight, std=1 / self.config.dim)
            elif name.endswith(("attention.out.weight", "mlp.down.weight")):
                nn.init.zeros_(weight)
            elif weight.ndim == 2:
                nn.init.normal_(weight, std=1 / sqrt(weight.shape[1]))
            else:
                nn.init.constant_(weight, 4.0 if name == "norm.weight" else 1.0)

    def forward(self, tokens: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """tokens (B, T) long -> logits (B, T, V); logits at position t predict token t + 1. See `hidden`."""
        return self.logits(self.hidden(tokens, mask, cache))

    def hidden(self, tokens: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """The final normalised states, (B, T, D).

        tokens: (B, T) long. mask: (B, S), 1 where there is a token and 0 at padding, left or right; None: no padding.
        With a cache, tokens are the T new ones and the mask covers all S, those in the cache first. Positions count
        from a row's first real token, so padding changes nothing for real tokens; states at padding mean nothing.
        """
        if tokens.ndim != 2:
            raise ValueError(f"tokens must be (B, T), got {tuple(tokens.shape)}")
        return self.from_embeddings(self.embed(tokens), mask, cache)

    def from_embeddings(self, x: Tensor, mask: Tensor | None = None, cache: Cache | None = None) -> Tensor:
        """`hidden` for embeddings (B, T, D) instead of tokens."""
        T = x.shape[1]
        past = cache.length if cache is not None else 0
        if past + T > self.config.context_length:
            raise ValueError(f"{past + T} tokens do not fit into a context of {self.config.context_length}")
        if cache is not None and past + T > cache.capacity:
            raise ValueError(f"{past + T} tokens do not fit into a cache for {cache.capacity}")
        if cache is not None and cache.rows != x.shape[0]:
            raise ValueError(f"a cache for {cache.rows} rows cannot take {x.shape[0]}")
        if mask is not None and mask.shape != (x.shape[0], past + T):
            raise ValueError(f"mask must be (B, S) = {(x.shape[0], past + T)}, got {tuple(mask.shape)}")
        if mask is None or bool(mask.all()):
            cos, sin = self.cos[past : past + T], self.sin[past : past + T]  # (T, K/2)
            seen = attention_mask(None, T, past, x.device)
        else:
            position = (mask.long().cumsum(1) - 1).clamp(min=0)[:, None, past:]  # (B, 1, T)
            cos, sin = self.cos[position], self.sin[position]  # (B, 1, T, K/2)
            seen = attention_mask(mask, T, past, x.device)
        plain = seen is None and cache is None  # then a block that knows neither mask nor cache will do
        for i, block in enumerate(self.blocks):
            x = (
                block(x, cos, sin) if plain else block(x, cos, sin, seen, cache.layers[i] if cache else None)
            )  # (B, T, D)
        return self.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """Final states (..., D) -> logits (..., V)."""
        return F.linear(hidden, self.embed.weight)

    def new_cache(self, rows: int, length: int) -> Cache:
        """An empty cache for ``rows`` rows of up to ``length`` tokens."""
        return Cache(self.config, rows, length, self.embed.weight)

    def num_parameters(self) -> int:
        return sum(p.numel() for p in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.embed.weight.device


class ScalarHead(nn.Module):
    """One number per position from the final states, a reward or a value; or several. It starts at 0 everywhere."""

    def __init__(self, dim: int, outputs: int = 1):
        super().__init__()
        self.linear = nn.Linear(dim, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        numbers = self.linear(hidden)  # (B, T, outputs)
        return numbers.squeeze(-1) if self.linear.out_features == 1 else numbers


def attention_mask(mask: Tensor | None, T: int, past: int, device: torch.device) -> Tensor | None:
    """(B, 1, T, S) or (T, S), True where query t may look at key s; None where plain causal attention does.

    Not ahead, and not at padding. A padded query sees itself: with nothing to see, its softmax is 0 / 0.
    """
    if mask is None and (past == 0 or T == 1):
        return None
    here = torch.arange(past, past + T, device=device)[:, None]  # (T, 1)
    there = torch.arange(past + T, device=device)  # (S,)
    causal = there <= here  # (T, S)
    if mask is None:
        return causal
    return (causal & mask.bool()[:, None, None, :]) | (there == here)  # (B, 1, T, S)
