"""Wrong solutions of CausalSelfAttention."""

import torch.nn.functional as F
from torch import nn

from minillm.course.exercises import reference
from minillm.course.testing import mutant

apply_rope, causal_attention = reference("apply_rope"), reference("causal_attention")


class Base(nn.Module):
    """The given half: layers, and the parts of a right forward."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim, bias=False)

    def split(self, x):
        B, T, D = x.shape
        return x.view(B, T, self.heads, D // self.heads).transpose(1, 2)

    def projections(self, x):
        return [self.split(part) for part in self.qkv(x).chunk(3, -1)]

    def merge(self, y):
        return y.transpose(1, 2).flatten(2)


@mutant("CausalSelfAttention", names="apply_rope is missing")
class NoPositions(Base):
    def forward(self, x, cos, sin):
        return self.out(self.merge(causal_attention(*self.projections(x))))


@mutant("CausalSelfAttention", names="only q is turned")
class TurnsQueriesOnly(Base):
    def forward(self, x, cos, sin):
        q, k, v = self.projections(x)
        return self.out(self.merge(causal_attention(apply_rope(q, cos, sin), k, v)))


@mutant("CausalSelfAttention", names="only k is turned")
class TurnsKeysOnly(Base):
    def forward(self, x, cos, sin):
        q, k, v = self.projections(x)
        return self.out(self.merge(causal_attention(q, apply_rope(k, cos, sin), v)))


@mutant("CausalSelfAttention", names="v is turned too")
class TurnsValues(Base):
    def forward(self, x, cos, sin):
        return self.out(self.merge(causal_attention(*(apply_rope(part, cos, sin) for part in self.projections(x)))))


@mutant("CausalSelfAttention", names="result of the attention")
class TurnsTheResult(Base):
    def forward(self, x, cos, sin):
        return self.out(self.merge(apply_rope(causal_attention(*self.projections(x)), cos, sin)))


class Turning(Base):
    """A right forward, in steps that can go wrong one by one."""

    def forward(self, x, cos, sin):
        q, k, v = self.projections(x)
        return self.finish(causal_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v))

    def finish(self, y):
        return self.out(self.merge(y))


@mutant("CausalSelfAttention", names="without a transpose")
class ViewsHeads(Turning):
    def split(self, x):
        B, T, D = x.shape
        return x.reshape(B, self.heads, T, D // self.heads)


@mutant("CausalSelfAttention", names="put together again, by a view")
class ViewsHeadsBothWays(ViewsHeads):
    def merge(self, y):
        return y.reshape(y.shape[0], y.shape[2], -1)


@mutant("CausalSelfAttention", names="without transposing back")
class MergesByReshape(Turning):
    def merge(self, y):
        return y.reshape(y.shape[0], y.shape[2], -1)


@mutant("CausalSelfAttention", names="view")
class MergesByView(Turning):
    def merge(self, y):
        return y.transpose(1, 2).view(y.shape[0], y.shape[2], -1)


@mutant("CausalSelfAttention", names="output projection is missing")
class NoOutputProjection(Turning):
    def finish(self, y):
        return self.merge(y)


@mutant("CausalSelfAttention", names="another order")
class KeysFirst(Turning):
    def projections(self, x):
        k, q, v = super().projections(x)
        return q, k, v


@mutant("CausalSelfAttention", names="another order")
class ValuesFirst(Turning):
    def projections(self, x):
        v, k, q = super().projections(x)
        return q, k, v


@mutant("CausalSelfAttention", names="head by head")
class HeadByHead(Turning):
    def projections(self, x):
        B, T, D = x.shape
        return self.qkv(x).view(B, T, self.heads, 3, D // self.heads).transpose(1, 2).unbind(3)


@mutant("CausalSelfAttention", names="heads are interleaved")
class InterleavesHeads(Turning):
    def split(self, x):
        B, T, D = x.shape
        return x.view(B, T, D // self.heads, self.heads).permute(0, 3, 1, 2)

    def merge(self, y):
        return y.permute(0, 2, 3, 1).flatten(2)


@mutant("CausalSelfAttention", names="nothing hides the future")
class SeesTheFuture(Base):
    def forward(self, x, cos, sin):
        q, k, v = self.projections(x)
        return self.out(self.merge(F.scaled_dot_product_attention(apply_rope(q, cos, sin), apply_rope(k, cos, sin), v)))


@mutant("CausalSelfAttention", names="x is added")
class AddsTheResidual(Turning):
    def forward(self, x, cos, sin):
        return x + super().forward(x, cos, sin)


@mutant("CausalSelfAttention", names="bias=false")
class HasABias(Turning):
    def __init__(self, dim, heads):
        super().__init__(dim, heads)
        self.qkv = nn.Linear(dim, 3 * dim)


@mutant("CausalSelfAttention", names="no gradient reaches")
class CutOff(Turning):
    def finish(self, y):
        return self.out(self.merge(y).detach())


@mutant("CausalSelfAttention", names="root of d")
class ScalesWithTheStream(Turning):
    def forward(self, x, cos, sin):
        q, k, v = self.projections(x)
        q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=x.shape[-1] ** -0.5)
        return self.finish(y)
