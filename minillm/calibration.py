"""Does a model know what it knows? Confidence in contested facts, a temperature for it, and what chance alone shows.

Tinyland has forty contested facts. A share s of the text states the popular value, and of the facts with share s it is
true for just that share: a reader who is as sure as the text is divided is calibrated (see `tinyland.facts`).
This file measures and fits one number; it never changes a model. Functions of lesson 11 come as arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.likelihood import choice_nats
from minillm.model import Transformer
from minillm.tinyland.facts import statement
from minillm.tinyland.requests import Request, all_requests
from minillm.tokenizer import Tokenizer

TEMPERATURES = torch.logspace(-1, 1.5, 251)  # from 0.1 to about 32
DRAWS = 1000


def confidence_in_popular(
    model: Transformer,
    tokenizer: Tokenizer,
    form: Callable[[Request], str],
    end: int,
    split: str | None = None,
    temperature: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """For every contested fact, (N,): how probable the model finds the popular value, of the two that are stated; and
    whether it is true, a bool. end: the token that ends an answer. temperature: divides the nats."""
    requests = all_requests("contested", split)
    values = [(request.meta["popular"], request.meta["rival"]) for request in requests]
    choices = [
        [statement(request.meta["subject"], request.meta["relation"], value) for value in pair]
        for request, pair in zip(requests, values)
    ]
    nats, _ = choice_nats(model, tokenizer, [form(request) for request in requests], choices, end)  # (N, 2)
    true = torch.tensor([popular == request.meta["truth"] for request, (popular, _) in zip(requests, values)])
    return (nats / temperature).softmax(-1)[:, 0], true


def decided(p: Tensor, true: Tensor) -> tuple[Tensor, Tensor]:
    """From p (N,) of the popular value and whether it is true: the confidence in the likelier of the two values, and 1
    where that one is true."""
    return torch.maximum(p, 1 - p), ((p > 0.5) == true).float()


def fit_temperature(p: Tensor, true: Tensor) -> float:
    """The temperature under which the log-odds of p (N,) give what is true the highest likelihood (Guo et al. 2017,
    sec. 4.2). One number, found by trying 251 of them; above 1 where the model is too sure."""
    odds = torch.logit(p.double(), eps=1e-9)  # (N,)
    signed = torch.where(true, odds, -odds)  # the log-odds of what is true
    losses = [-torch.nn.functional.logsigmoid(signed / t).mean() for t in TEMPERATURES]
    return TEMPERATURES[int(torch.stack(losses).argmin())].item()


def at_temperature(p: Tensor, temperature: float) -> Tensor:
    """The probabilities (N,) with their log-odds divided by the temperature."""
    return torch.sigmoid(torch.logit(p.double(), eps=1e-9) / temperature).float()


def chance_error(confidence: Tensor, error: Callable[[Tensor, Tensor], Tensor], seed: int = 0) -> Tensor:
    """(DRAWS,) calibration errors of a *perfectly calibrated* model with these confidences (N,), each right by a coin.

    They are above 0 with few answers: an error means little that does not stand out from them. error: error(confidence,
    correct) -> a number.
    """
    generator = torch.Generator().manual_seed(seed)
    coins = torch.rand(DRAWS, len(confidence), generator=generator) < confidence
    return torch.tensor([float(error(confidence, coin.float())) for coin in coins])


Belief = tuple[Tensor, Tensor]  # (N,) probability of the popular value, and (N,) whether it is true


def cross_fitted(train: Belief, held_out: Belief) -> tuple[Belief, tuple[float, float]]:
    """Both sets of facts, one after the other, each at the temperature that was fitted on the *other* set; and the
    temperatures fitted on the first and on the second. So every fact counts, and none is judged by its own fit."""
    warm = fit_temperature(*train), fit_temperature(*held_out)
    p = torch.cat([at_temperature(train[0], warm[1]), at_temperature(held_out[0], warm[0])])
    return (p, torch.cat([train[1], held_out[1]])), warm


@dataclass(frozen=True)
class Calibration:
    """How well a belief is calibrated: its error, mean confidence and share right; and the errors (DRAWS,) that a
    perfectly calibrated model with the same confidences makes by chance."""

    error: float
    confidence: float
    right: float
    chance: Tensor

    def row(self, label: str) -> dict[str, str]:
        """As a line of a table."""
        numbers = {"calibration error": self.error, "chance, mean": self.chance.mean().item()}
        numbers |= {"chance, 95% below": self.chance.quantile(0.95).item()}
        texts = {name: f"{number:.3f}" for name, number in numbers.items()}
        return {"model": label, **texts, "confidence": f"{self.confidence:.2f}", "right": f"{self.right:.2f}"}


def assess(belief: Belief, error: Callable[[Tensor, Tensor], Tensor]) -> Calibration:
    """error: error(confidence, correct) -> the calibration error."""
    confidence, correct = decided(*belief)
    chance = chance_error(confidence, error)
    return Calibration(float(error(confidence, correct)), confidence.mean().item(), correct.mean().item(), chance)


@dataclass(frozen=True)
class Crowd:
    """An annotator for `preferences.compare` who likes an answer about a fact as much as it is shared: by the share of
    the text that states its value; 0 for any other value. temperature: how noisy the choices are, in shares."""

    temperature: float = 0.1
    flip: float = 0.0

    def utility(self, request: Request, answer: str, ended: bool = True) -> float:
        share = request.meta["share"]
        shares = {request.meta["popular"]: share, request.meta["rival"]: 1 - share}
        return next((liked for value, liked in shares.items() if answer.endswith(f" is {value} .")), 0.0)
