"""Props for activations and hooks: a network that outlives a failed call, and a run that answers with a cache."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import count
from typing import Any

import torch
from torch import Tensor, nn

from minillm.course.props import Network, Prop

KEEP = 8  # live networks that are remembered
_numbers = count()
_live: dict[int, nn.Module] = {}


@dataclass(frozen=True, eq=False)
class WatchedNetwork(Network):
    """A Network that is one live model in all calls, also after one that raised, with an onlooker at each block.

    The onlooker is a forward hook that was there first; it keeps the block's output and must still be there afterwards.
    State: as for a Network, but ``hooks`` leaves out the onlookers (it is negative where one is gone), and ``altered``,
    the blocks whose output was changed in place after the onlooker had seen it.
    """

    training: bool = False
    number: int = field(default_factory=lambda: next(_numbers))

    def make(self, live: Callable[[Prop], Any]) -> nn.Module:
        if self.number not in _live:
            model: Any = super().make(live).train(self.training)
            model.seen = []
            for i, block in enumerate(model.blocks):
                block.register_forward_hook(_onlooker(i, model.seen))
            _live[self.number] = model
            while len(_live) > KEEP:
                del _live[next(iter(_live))]
        return _live[self.number]

    def state(self, made: Any) -> dict[str, Any]:
        plain = Network(**{each.name: getattr(self, each.name) for each in fields(Network)})
        state = plain.state(made)
        altered = {i for i, output, copy in made.seen if not torch.equal(output, copy)}
        return {**state, "hooks": state["hooks"] - len(made.blocks), "altered": sorted(altered)}


def _onlooker(i: int, seen: list[tuple[int, Tensor, Tensor]]) -> Callable[..., None]:
    def look(block: nn.Module, inputs: tuple, output: Tensor) -> None:
        seen.append((i, output, output.detach().clone()))

    return look


@dataclass(frozen=True, eq=False)
class Answers(Prop):
    """A function without arguments that reads each prompt with a cache, then the answer token by token.

    prompts: (B, T) each; answer: (B, S). run() gives a list with the logits (B, S + 1, V) for each prompt: at its last
    token and at every token of the answer. State: ``calls``, how often it was called.
    """

    model: Prop
    prompts: tuple[Tensor, ...]
    answer: Tensor

    def make(self, live: Callable[[Prop], Any]) -> Callable[[], list[Tensor]]:
        @torch.no_grad()
        def answers() -> list[Tensor]:
            run.calls += 1
            return [_answer(live(self.model), prompt, self.answer) for prompt in self.prompts]

        run: Any = answers
        run.calls = 0
        return run

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}


def _answer(model: Any, prompt: Tensor, answer: Tensor) -> Tensor:
    """Logits (B, S + 1, V) at the prompt's last token and at each token of the answer."""
    B, T = prompt.shape
    cache = model.new_cache(B, T + answer.shape[1])
    logits = [model(prompt, None, cache)[:, -1]]
    logits += [model(token[:, None], None, cache)[:, -1] for token in answer.unbind(1)]
    return torch.stack(logits, dim=1)
