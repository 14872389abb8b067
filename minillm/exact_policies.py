"""Policies for the enumerable setting: a table that can be anything, and a transformer that has to generalise.

Both, called, give the logits (R, V) of the token after every prefix (see `minillm.exact.Setting`), so that whatever
takes one takes the other. As in a language model, logits are read off states, and so are the values of a critic.
Both are float64.
"""

import torch
from torch import Tensor, nn

from minillm.exact import Setting
from minillm.model import Config, ScalarHead, Transformer


class TabularPolicy(nn.Module):
    """A logit of its own for every token after every prefix: ``table``, (R, V). Any distribution can be reached.

    It starts even, or with normal logits of standard deviation ``spread``.
    """

    def __init__(self, setting: Setting, spread: float = 0.0, seed: int = 0):
        super().__init__()
        self.setting = setting
        generator = torch.Generator().manual_seed(seed)
        shape = (setting.num_prefixes, setting.vocab_size)
        self.table = nn.Parameter(spread * torch.randn(shape, generator=generator, dtype=torch.float64))

    def states(self) -> Tensor:
        """(R,) long: the number of every prefix is all that a table knows of it."""
        return torch.arange(self.setting.num_prefixes)

    def logits(self, states: Tensor) -> Tensor:
        return self.table[states]  # (R, V)

    def new_critic(self) -> nn.Module:
        """A value of its own for every prefix, 0 at first; called with the states, it gives (R,)."""
        return ValueTable(self.setting.num_prefixes)

    def forward(self) -> Tensor:
        return self.table  # (R, V)


class ValueTable(nn.Module):
    """One number for every prefix, looked up by the prefix's number."""

    def __init__(self, prefixes: int):
        super().__init__()
        self.values = nn.Parameter(torch.zeros(prefixes, dtype=torch.float64))

    def forward(self, states: Tensor) -> Tensor:
        return self.values[states]


class TransformerPolicy(nn.Module):
    """The course's transformer, very small, reading a begin token and then the prefix. Prefixes share its weights.

    It starts nearly even, with a leaning to repeat the last token. With ``spread``, normal noise of this standard
    deviation is added to every weight, for a first policy with stronger habits.
    """

    prefixes: Tensor
    last: Tensor

    def __init__(
        self, setting: Setting, dim: int = 24, layers: int = 1, heads: int = 2, spread: float = 0.0, seed: int = 0
    ):
        super().__init__()
        self.setting = setting
        R, V, L = setting.num_prefixes, setting.vocab_size, setting.length
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            config = Config(V + 1, context_length=L, dim=dim, layers=layers, heads=heads)
            self.body = Transformer(config).double()
            nn.init.ones_(self.body.norm.weight)  # the course's 4 would let a token repeat itself nearly always
            for weight in self.body.parameters():
                weight.data += spread * torch.randn_like(weight)
        begin = torch.full((R, 1), V)
        prefixes = torch.cat((begin, setting.sequences[:R, : L - 1]), dim=1)  # (R, L), 0 behind the prefix's end
        self.register_buffer("prefixes", prefixes, persistent=False)
        self.register_buffer("last", (prefixes != 0).sum(1) - 1, persistent=False)  # (R,) where the prefix ends

    def states(self) -> Tensor:
        """The final state at the end of every prefix, (R, D). Attention is causal: the 0s behind it are not seen."""
        return self.body.hidden(self.prefixes)[torch.arange(len(self.last)), self.last]

    def logits(self, states: Tensor) -> Tensor:
        return self.body.logits(states)[:, :-1]  # (R, V): the begin token is never said

    def new_critic(self) -> nn.Module:
        """A value head, as the language model's, 0 everywhere at first; called with the states, it gives (R,)."""
        return ScalarHead(self.body.config.dim).double()

    def forward(self) -> Tensor:
        return self.logits(self.states())
