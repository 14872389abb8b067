"""Props: raw descriptions of the live objects that an exercise is called with.

A test cannot hand a model or an optimizer to a function in another process, but it can say which one it wants.
A prop is plain data (numbers and tensors); the handle makes the live object from it just before the call, and reads
its raw state afterwards. The same prop used twice in one call, or in a row of calls, is one live object.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Prop:
    """Base of all props. ``make`` gets a function that turns another prop into its live object."""

    def make(self, live: Callable[["Prop"], Any]) -> Any:
        raise NotImplementedError

    def state(self, made: Any) -> dict[str, Any]:
        """Raw values that tell what happened to the live object."""
        return {}


@dataclass(frozen=True, eq=False)
class Generator(Prop):
    """A torch.Generator with a seed. State: ``used`` (were numbers drawn from it?) and ``state``, its bytes."""

    seed: int = 0

    def make(self, live: Callable[[Prop], Any]) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    def state(self, made: torch.Generator) -> dict[str, Any]:
        now = made.get_state()
        return {"used": not torch.equal(now, self.make(lambda prop: prop).get_state()), "state": now}


class CountingModel(nn.Module):
    """logits[b, t] = head @ (mean of embed[tokens[b, :t + 1]]): causal, and easy to work out with a loop."""

    def __init__(self, embed: Tensor, head: Tensor):
        super().__init__()
        self.embed = nn.Parameter(embed.clone())  # (V, D)
        self.head = nn.Parameter(head.clone())  # (V, D)
        self.calls: list[dict[str, Any]] = []

    def forward(self, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
        T = tokens.shape[1]
        self.calls.append(
            {"tokens": tokens.detach().clone(), "training": self.training, "grad": torch.is_grad_enabled()}
        )
        seen = self.embed[tokens].cumsum(1) / torch.arange(1, T + 1)[None, :, None]  # (B, T, D)
        return seen @ self.head.T  # (B, T, V)


@dataclass(frozen=True, eq=False)
class ToyLM(Prop):
    """A tiny language model: ``model(tokens)`` gives logits (B, T, V). See CountingModel for the formula.

    embed, head: (V, D). grads: gradients that stand in the parameters before the call (a stale step).
    State: the parameters by name, ``grads`` by name (or None), ``training``, ``calls``: what each forward pass got.
    """

    embed: Tensor
    head: Tensor
    grads: dict[str, Tensor] = field(default_factory=dict)
    training: bool = True

    def make(self, live: Callable[[Prop], Any]) -> CountingModel:
        model = CountingModel(self.embed, self.head).train(self.training)
        for name, grad in self.grads.items():
            model.get_parameter(name).grad = grad.clone()
        return model

    def state(self, made: CountingModel) -> dict[str, Any]:
        values = {name: parameter.detach().clone() for name, parameter in made.named_parameters()}
        grads = {name: None if p.grad is None else p.grad.detach().clone() for name, p in made.named_parameters()}
        return {**values, "grads": grads, "training": made.training, "calls": made.calls}


@dataclass(frozen=True, eq=False)
class SGD(Prop):
    """torch.optim.SGD over the parameters of a model prop. State: ``lr``, ``steps`` and ``norms``.

    ``norms`` holds, for each step, the norm of all gradients as the optimizer met them (is it clipped?).
    """

    model: Prop
    lr: float = 0.1

    def make(self, live: Callable[[Prop], Any]) -> torch.optim.Optimizer:
        return _watched(torch.optim.SGD(live(self.model).parameters(), lr=self.lr))

    def state(self, made: Any) -> dict[str, Any]:
        return {"lr": [group["lr"] for group in made.param_groups], "steps": len(made.norms), "norms": made.norms}


@dataclass(frozen=True, eq=False)
class AdamW(SGD):
    """torch.optim.AdamW over the parameters of a model prop. State as for SGD."""

    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def make(self, live: Callable[[Prop], Any]) -> torch.optim.Optimizer:
        parameters = live(self.model).parameters()
        return _watched(
            torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, eps=self.eps, weight_decay=self.weight_decay)
        )


def _watched(optimizer: Any) -> Any:
    """The optimizer, noting the gradient norm that each of its steps meets."""
    optimizer.norms = []

    def note(optimizer: Any, *_: Any) -> None:
        grads = [p.grad.norm() for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        optimizer.norms.append(torch.stack(grads).norm().item() if grads else 0.0)

    optimizer.register_step_pre_hook(note)
    return optimizer


@dataclass(frozen=True, eq=False)
class Loss(Prop):
    """A loss function ``loss(model, batch)``, by name; batch is (tokens, mask) and the mask may be None.

    "square": mean of (mean over V of logits - tokens / 10) ** 2; "linear": minus the mean logit of the token itself.
    Both average over the positions where mask is 1; neither is the answer to an exercise.
    State: ``calls``, how often it was called.
    """

    name: str = "square"

    def make(self, live: Callable[[Prop], Any]) -> Callable[..., Tensor]:
        if self.name not in LOSSES:
            raise ValueError(f"no loss {self.name!r}; there are {', '.join(LOSSES)}")

        def measure(model: nn.Module, batch: tuple[Tensor, Tensor | None]) -> Tensor:
            loss.calls += 1
            tokens, mask = batch
            each = LOSSES[self.name](model(tokens), tokens)  # (B, T)
            return each.mean() if mask is None else (each * mask).sum() / mask.sum()

        loss: Any = measure
        loss.calls = 0
        return loss

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "square": lambda logits, tokens: (logits.mean(-1) - tokens / 10) ** 2,
    "linear": lambda logits, tokens: -logits.gather(-1, tokens[..., None]).squeeze(-1),
}


@dataclass(frozen=True, eq=False)
class Rule(Prop):
    """A principle of the constitution, with these words (see `minillm.tinyland.constitution.Principle`)."""

    name: str
    text: str
    critique_request: str
    kept: str
    broken: str
    revision_request: str

    def make(self, live: Callable[[Prop], Any]) -> Any:
        from minillm.tinyland.constitution import Principle

        return Principle(self.name, self.text, self.critique_request, self.kept, self.broken, self.revision_request)


@dataclass(frozen=True, eq=False)
class Replies(Prop):
    """A model as a function: replies(prompts) gives a text for each, from a table; unknown prompts get ``otherwise``.

    State: ``calls``, the list of prompts of each call.
    """

    table: dict[str, str]
    otherwise: str = "yes ."

    def make(self, live: Callable[[Prop], Any]) -> Callable[[list[str]], list[str]]:
        def reply(prompts: list[str]) -> list[str]:
            if isinstance(prompts, str):
                raise TypeError("generate takes a list of prompts, got one string")
            replies.calls.append(list(prompts))
            return [self.table.get(prompt, self.otherwise) for prompt in prompts]

        replies: Any = reply
        replies.calls = []
        return replies

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}


@dataclass(frozen=True, eq=False)
class Network(Prop):
    """A small `minillm.model.Transformer` with random weights, none of them 0, in evaluation mode.

    State: ``changed`` (names of parameters that are not what they were), ``grads`` (names of parameters that hold a
    gradient), ``hooks`` (how many hooks are left on the model and its parts) and ``training``.
    """

    vocab_size: int = 13
    dim: int = 8
    layers: int = 3
    heads: int = 2
    context_length: int = 32
    seed: int = 0

    def make(self, live: Callable[[Prop], Any]) -> nn.Module:
        from minillm.model import Config, Transformer

        model = Transformer(Config(self.vocab_size, self.context_length, self.dim, self.layers, self.heads))
        generator = torch.Generator().manual_seed(self.seed)
        with torch.no_grad():
            for parameter in model.parameters():
                around = 1.0 if parameter.ndim == 1 else 0.0  # norms lie around 1, matrices around 0
                parameter.copy_(around + 0.5 * torch.randn(parameter.shape, generator=generator))
        return model.eval()

    def state(self, made: nn.Module) -> dict[str, Any]:
        before = dict(self.make(lambda prop: prop).named_parameters())
        after = dict(made.named_parameters())
        return {
            "changed": [name for name in before if name not in after or not torch.equal(before[name], after[name])],
            "grads": [name for name, parameter in after.items() if parameter.grad is not None],
            "hooks": sum(len(part._forward_hooks) + len(part._forward_pre_hooks) for part in made.modules()),
            "training": made.training,
        }


@dataclass(frozen=True, eq=False)
class Run(Prop):
    """A function without arguments, ``run()``: the logits (B, T, V) of a model prop for these tokens and mask.

    fails: run() reads the tokens and then raises RuntimeError. State: ``calls``, how often it was called.
    """

    model: Prop
    tokens: Tensor
    mask: Tensor | None = None
    fails: bool = False

    def make(self, live: Callable[[Prop], Any]) -> Callable[[], Tensor]:
        def forward() -> Tensor:
            run.calls += 1
            with torch.no_grad():
                logits = live(self.model)(self.tokens, self.mask)
            if self.fails:
                raise RuntimeError("the run stopped half-way")
            return logits

        run: Any = forward
        run.calls = 0
        return run

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}


@dataclass(frozen=True, eq=False)
class TokenLoss(Prop):
    """losses(candidates): candidates (C, S) long -> (C,), the sum over places s of table[s, candidates[:, s]].

    State: ``calls``, the candidates of each call.
    """

    table: Tensor  # (S, V)

    def make(self, live: Callable[[Prop], Any]) -> Callable[[Tensor], Tensor]:
        def measure(candidates: Tensor) -> Tensor:
            if candidates.ndim != 2 or candidates.shape[1] != len(self.table):
                raise ValueError(f"candidates must be (C, {len(self.table)}), got {tuple(candidates.shape)}")
            losses.calls.append(candidates.detach().clone())
            return self.table[torch.arange(len(self.table)), candidates].sum(1)

        losses: Any = measure
        losses.calls = []
        return losses

    def state(self, made: Any) -> dict[str, Any]:
        return {"calls": made.calls}
