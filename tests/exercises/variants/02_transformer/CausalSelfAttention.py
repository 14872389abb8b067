"""Right solutions of CausalSelfAttention that look different."""

import torch
import torch.nn.functional as F
from torch import nn

from minillm.course.exercises import reference
from minillm.course.testing import variant

apply_rope, causal_attention = reference("apply_rope"), reference("causal_attention")


class Fused(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)


@variant("CausalSelfAttention")
class Chunks(Fused):
    def forward(self, x, cos, sin):
        B, T, D = x.shape
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1))
        y = F.scaled_dot_product_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v, is_causal=True)
        return self.out(y.transpose(1, 2).contiguous().view(B, T, D))


@variant("CausalSelfAttention")
class HeadAfterHead(Fused):
    def forward(self, x, cos, sin):
        D = x.shape[-1]
        K = D // self.heads
        fused, heads = self.qkv(x), []
        for start in range(0, D, K):
            q, k, v = (fused[..., at + start : at + start + K][:, None] for at in (0, D, 2 * D))
            heads.append(causal_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)[:, 0])
        return self.out(torch.cat(heads, -1))


@variant("CausalSelfAttention")
class ThreeProjections(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.n_heads, self.head_dim = heads, dim // heads
        self.q_proj = nn.Linear(dim, dim, bias=False)
        self.k_proj = nn.Linear(dim, dim, bias=False)
        self.v_proj = nn.Linear(dim, dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape
        q, k, v = (
            layer(x).reshape(B, T, self.n_heads, -1).swapaxes(1, 2) for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = causal_attention(q=apply_rope(q, cos, sin), k=apply_rope(k, cos, sin), v=v)
        return self.out(y.swapaxes(1, 2).flatten(start_dim=2))


@variant("CausalSelfAttention")
class Einsum(Fused):
    def forward(self, x, cos, sin):
        D = x.shape[-1]
        weight = self.qkv.weight.view(3, self.heads, D // self.heads, D)
        q, k, v = torch.einsum("btd,phkd->pbhtk", x, weight)
        y = causal_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)
        return torch.einsum("bhtk,dhk->btd", y, self.out.weight.view(D, self.heads, -1))


@variant("CausalSelfAttention")
class SeparateLetters(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.out = nn.Linear(dim, dim, bias=False)

    def forward(self, x, cos, sin):
        q, k, v = (torch.stack(layer(x).chunk(self.heads, -1), 1) for layer in (self.query, self.key, self.value))
        y = causal_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)
        return self.out(torch.cat(y.unbind(1), -1))
