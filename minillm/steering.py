"""Reading and changing a model from inside: states of many prompts, edits while it runs, and an untied read-out.

    states = activations(model, tokenizer, prompts, record_activations, [0, 1, 2, 3])               # (L, N, D)
    with edited(model, partial(ablate_direction, direction=r), writers(model)):
        answers = evaluation.ask(model, tokenizer, requests, form)      # no state has any part along r
    behaviour(answers)                                                  # {"refuses harm": Estimate, ...}
    free = untie(model)                                                 # its own read-out; then orthogonalise

How states are recorded, and what an edit does to them, are exercises of lesson 13 and come as arguments. The residual
stream is the embedding plus all that each attention and each MLP adds to it: `writers` are these parts. Nothing here
trains.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.evaluation import Answer
from minillm.ladder import Estimate, mean, rate
from minillm.model import Transformer
from minillm.sampling import pad_left
from minillm.tinyland import corpus
from minillm.tinyland.requests import KINDS
from minillm.tokenizer import Tokenizer

HARMLESS = tuple(kind for kind in KINDS if kind != "harmful")
Edit = Callable[[Tensor], Tensor]  # (B, T, D) -> (B, T, D)
ROWS = 256  # prompts in one batch


@contextmanager
def edited(model: Transformer, edit: Edit, parts: Iterable[nn.Module]) -> Iterator[Transformer]:
    """While open, the output (B, T, D) of each of the parts is replaced by ``edit(output)``; the weights stay.

    parts: modules of the model: `writers(model)`, or some of ``model.blocks`` for the residual stream behind them. Its
    hooks, and no others, are removed when it closes, also after an error.
    """
    own = set(model.modules())
    handles = []
    try:
        for part in parts:
            if part not in own:
                raise ValueError(f"this {type(part).__name__} is no part of the model: its output would not be changed")
            handles.append(part.register_forward_hook(lambda module, inputs, output: edit(output)))
        yield model
    finally:
        for handle in handles:
            handle.remove()


def writers(model: Transformer) -> list[nn.Module]:
    """Everything that writes into the residual stream: the embedding, and each block's attention and MLP."""
    return [model.embed, *(part for block in model.blocks for part in (block.attention, block.mlp))]


def at_prompt_end(edit: Edit) -> Edit:
    """The edit at the last place of passes that read more than one token, where an answer begins; elsewhere nothing."""

    def only_there(hidden: Tensor) -> Tensor:
        if hidden.shape[1] == 1:
            return hidden
        return torch.cat((hidden[:, :-1], edit(hidden[:, -1:])), dim=1)  # (B, T, D)

    return only_there


def behaviour(answers: Sequence[Answer]) -> dict[str, Estimate]:
    """What steering may move, each with its interval over the requests; nan where there is no such request.

    refuses harm, complies: shares of the answers to harmful requests (the rest is neither). refuses look-alikes,
    refuses others: of those to harmless how-to requests, and to all other harmless ones. declines others: the same, "i
    do not know" where it is known counted too. right: the share of right answers to harmless requests; gold: their mean
    score in points. ended: the share of all answers that end.
    """
    harmful = [a for a in answers if a.request.kind == "harmful"]
    harmless = [a for a in answers if a.request.kind != "harmful"]
    alike = [a for a in harmless if a.request.kind == "lookalike"]
    others = [a for a in harmless if a.request.kind not in ("lookalike", "unknown")]

    def share(some: Sequence[Answer], *labels: str) -> Estimate:
        return rate([a.verdict.label in labels for a in some])

    return {
        "refuses harm": share(harmful, "refusal"),
        "complies": share(harmful, "compliance"),
        "refuses look-alikes": share(alike, "over_refusal"),
        "refuses others": share(others, "over_refusal"),
        "declines others": share(others, "over_refusal", "unsure"),
        "right": share(harmless, "right"),
        "gold": mean([a.verdict.score for a in harmless]),
        "ended": rate([a.ended for a in answers]),
    }


def hooks(model: nn.Module) -> int:
    """How many hooks there are on the model and its parts: 0 where no edit has been left behind."""
    return sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in model.modules())


@torch.no_grad()
def activations(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    record_activations: Callable[..., Tensor],
    layers: Sequence[int],
    batch_size: int = ROWS,
) -> Tensor:
    """(L, N, D): the residual stream behind each of the layers at the last token of each prompt, in order.

    prompts: texts that begin with a special token, or documents without their `<doc>`.
    """
    encoded = [corpus.encode_prompt(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), i))
    states = torch.zeros(len(layers), len(encoded), model.config.dim)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        longest = max(len(encoded[i]) for i in rows)
        tokens, mask = pad_left([encoded[i] for i in rows], longest, 0, tokenizer.pad, model.device)  # (B, T) each
        states[:, rows] = record_activations(model, tokens, list(layers), mask).cpu()
    return states


def random_directions(count: int, dim: int, seed: int) -> Tensor:
    """(count, dim): directions of length 1, evenly distributed."""
    drawn = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=-1, keepdim=True)


class Untied(Transformer):
    """A Transformer with a read-out of its own, ``output.weight`` (V, D), beside the embedding."""

    def __init__(self, model: Transformer):
        super().__init__(model.config)
        self.output = nn.Linear(model.config.dim, model.config.vocab_size, bias=False)
        own = {name: value.detach() for name, value in model.state_dict().items()}
        self.load_state_dict({"output.weight": own["embed.weight"], **own})
        self.to(model.embed.weight.device).train(model.training)

    def logits(self, hidden: Tensor) -> Tensor:
        """Final states (..., D) -> logits (..., V)."""
        return F.linear(hidden, self.output.weight)


def untie(model: Transformer) -> Untied:
    """A copy that computes the same, and whose embedding can be changed without changing what it reads out."""
    return Untied(model)
