"""Right solutions of TransformerBlock that look different."""

import torch
from torch import nn

from minillm.course.exercises import reference
from minillm.course.testing import variant

rms_norm, Reference = reference("rms_norm"), reference("TransformerBlock")
Attention = reference("CausalSelfAttention")


@variant("TransformerBlock")
class OneLine(Reference):
    def forward(self, x, cos, sin):
        h = self.attention(rms_norm(x, weight=self.norm1.weight), cos=cos, sin=sin) + x
        return self.mlp(rms_norm(h, weight=self.norm2.weight)) + h


@variant("TransformerBlock")
class MLPWrittenOut(Reference):
    def forward(self, x, cos, sin):
        x = x + self.attention(rms_norm(x, self.norm1.weight), cos, sin)
        up = rms_norm(x, self.norm2.weight) @ self.mlp.up.weight.T
        return x + torch.relu(up) ** 2 @ self.mlp.down.weight.T


@variant("TransformerBlock")
class LibraryNorms(nn.Module):
    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(dim, eps=1e-5), nn.RMSNorm(dim, eps=1e-5)
        self.attention = Attention(dim, heads)
        self.mlp = nn.ModuleDict({"up": nn.Linear(dim, hidden, bias=False), "down": nn.Linear(hidden, dim, bias=False)})

    def forward(self, x, cos, sin):
        x = x + self.attention(self.norm1(x), cos, sin)
        hidden = self.mlp["up"](self.norm2(x)).relu()
        return x + self.mlp["down"](hidden * hidden)


@variant("TransformerBlock")
class SumsBranches(Reference):
    def forward(self, x, cos, sin):
        stream = [x]
        stream.append(self.attention(rms_norm(sum(stream), self.norm1.weight), cos, sin))
        stream.append(self.mlp(rms_norm(sum(stream), self.norm2.weight)))
        return torch.stack(stream).sum(0)
