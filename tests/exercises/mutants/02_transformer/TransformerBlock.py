"""Wrong solutions of TransformerBlock."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant

rms_norm, Reference = reference("rms_norm"), reference("TransformerBlock")


class Base(Reference):
    """The given half, and the norms by name."""

    def n1(self, x):
        return rms_norm(x, self.norm1.weight)

    def n2(self, x):
        return rms_norm(x, self.norm2.weight)


@mutant("TransformerBlock", names="post-norm")
class PostNorm(Base):
    def forward(self, x, cos, sin):
        x = self.n1(x + self.attention(x, cos, sin))
        return self.n2(x + self.mlp(x))


@mutant("TransformerBlock", names="each part's result is normed")
class NormsTheResults(Base):
    def forward(self, x, cos, sin):
        x = x + self.n1(self.attention(x, cos, sin))
        return x + self.n2(self.mlp(x))


@mutant("TransformerBlock", names="attention has no residual")
class NoFirstResidual(Base):
    def forward(self, x, cos, sin):
        x = self.attention(self.n1(x), cos, sin)
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="mlp has no residual")
class NoSecondResidual(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n1(x), cos, sin)
        return self.mlp(self.n2(x))


@mutant("TransformerBlock", names="no residuals at all")
class NoResiduals(Base):
    def forward(self, x, cos, sin):
        return self.mlp(self.n2(self.attention(self.n1(x), cos, sin)))


@mutant("TransformerBlock", names="attention's is lost")
class LosesTheAttention(Base):
    def forward(self, x, cos, sin):
        h = x + self.attention(self.n1(x), cos, sin)
        return x + self.mlp(self.n2(h))


@mutant("TransformerBlock", names="reads the block's input")
class Parallel(Base):
    def forward(self, x, cos, sin):
        return x + self.attention(self.n1(x), cos, sin) + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="the norm overwrites x")
class OverwritesX(Base):
    def forward(self, x, cos, sin):
        x = self.n1(x)
        x = x + self.attention(x, cos, sin)
        x = self.n2(x)
        return x + self.mlp(x)


@mutant("TransformerBlock", names="first residual carries")
class NormedFirstResidual(Base):
    def forward(self, x, cos, sin):
        x = self.n1(x)
        x = x + self.attention(x, cos, sin)
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="second residual carries")
class NormedSecondResidual(Base):
    def forward(self, x, cos, sin):
        x = self.n2(x + self.attention(self.n1(x), cos, sin))
        return x + self.mlp(x)


@mutant("TransformerBlock", names="norm1 is used twice")
class OneNorm(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n1(x), cos, sin)
        return x + self.mlp(self.n1(x))


@mutant("TransformerBlock", names="norm2 is used twice")
class OtherNorm(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n2(x), cos, sin)
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="norm1 and norm2 have changed places")
class SwapsNorms(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n2(x), cos, sin)
        return x + self.mlp(self.n1(x))


@mutant("TransformerBlock", names="mlp comes first")
class MLPFirst(Base):
    def forward(self, x, cos, sin):
        x = x + self.mlp(self.n1(x))
        return x + self.attention(self.n2(x), cos, sin)


@mutant("TransformerBlock", names="no norm before the attention")
class NoFirstNorm(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(x, cos, sin)
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="no norm before the mlp")
class NoSecondNorm(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n1(x), cos, sin)
        return x + self.mlp(x)


@mutant("TransformerBlock", names="there are no norms")
class NoNorms(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(x, cos, sin)
        return x + self.mlp(x)


@mutant("TransformerBlock", names="weights of the norms are not used")
class BareNorms(Base):
    def forward(self, x, cos, sin):
        one = torch.ones(x.shape[-1])
        x = x + self.attention(rms_norm(x, one), cos, sin)
        return x + self.mlp(rms_norm(x, one))


@mutant("TransformerBlock", names="there is no mlp")
class NoMLP(Base):
    def forward(self, x, cos, sin):
        return x + self.attention(self.n1(x), cos, sin)


@mutant("TransformerBlock", names="there is no attention")
class NoAttention(Base):
    def forward(self, x, cos, sin):
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="the middle is added twice")
class AddsTwice(Base):
    def forward(self, x, cos, sin):
        h = x + self.attention(self.n1(x), cos, sin)
        y = h + self.mlp(self.n2(h))
        return h + y


@mutant("TransformerBlock", names="changes its input")
class InPlace(Base):
    def forward(self, x, cos, sin):
        x += self.attention(self.n1(x), cos, sin)
        x += self.mlp(self.n2(x))
        return x


@mutant("TransformerBlock", names="gradient of x")
class DetachedResidual(Base):
    def forward(self, x, cos, sin):
        x = x.detach() + self.attention(self.n1(x), cos, sin)
        return x + self.mlp(self.n2(x))


@mutant("TransformerBlock", names="positional argument")
class PassesTablesToTheMLP(Base):
    def forward(self, x, cos, sin):
        x = x + self.attention(self.n1(x), cos, sin)
        return x + self.mlp(self.n2(x), cos, sin)
