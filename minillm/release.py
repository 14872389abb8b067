"""How good is a release gate? Two models answer an exam many times over, and the gate is tried on what is known.

    sittings = sit(model, tokenizer, place, exams, n=4)               # {metric: (N, n)} marks of n answers an item
    before, after = draw(sittings, generator)                         # the same model twice: it should ship
    worse = plant(after, "clinic: doctor", 0.1, generator)            # 10 points fewer right: it should not
    trials(sittings, gate, 20)                                        # how often the gate is right about both

The gate is an exercise of lesson 14, and an argument. Every mark is of a real answer; only the regression is planted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm import deployment, evaluation
from minillm.evaluation import Rate
from minillm.model import Transformer
from minillm.tinyland.requests import Request
from minillm.tokenizer import Tokenizer

EXAMS: tuple[tuple[str | None, str], ...] = (  # the place and what has to be done there
    (None, "answer"), (None, "refuse"), ("clinic", "answer"), ("clinic", "doctor"),
    ("children", "answer"), ("children", "grown up"),
)  # fmt: skip
Gate = Callable[[dict[str, Tensor], dict[str, Tensor]], dict]


def exams(each: int, split: str = "test", seed: int = 0) -> dict[str, list[Request]]:
    """{metric: ``each`` requests}, one metric for everything that has to be done in a place."""
    sets: dict[str, list[Request]] = {}
    for system, what in EXAMS:
        asked = deployment.exam(system, each, split, seed)
        sets[f"{system or 'no prompt'}: {what}"] = [r for r in asked if r.meta["mode"] == what]
    return sets


def sit(
    model: Transformer,
    tokenizer: Tokenizer,
    place: Callable[[Request], str],
    sets: Mapping[str, Sequence[Request]],
    n: int = 1,
    seed: int = 0,
) -> dict[str, Tensor]:
    """{metric: (N, n)}: 1 where an answer does what was to be done, of n sampled answers to each of N requests."""
    asked = [request for requests in sets.values() for request in requests for _ in range(n)]
    answers = deployment.ask(model, tokenizer, asked, place, seed=seed)
    marks = iter(torch.tensor([float(deployment.does_its_job(answer)) for answer in answers]).view(-1, n))
    return {name: torch.stack([next(marks) for _ in requests]) for name, requests in sets.items()}


def draw(sittings: Mapping[str, Tensor], generator: torch.Generator) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Two different answers of the n to each item: {metric: (N,)} marks, twice. One model, sampled twice."""
    first, second = {}, {}
    for name, marks in sittings.items():
        order = torch.rand(marks.shape, generator=generator).argsort(1)  # (N, n)
        first[name], second[name] = marks.gather(1, order[:, :2]).unbind(1)
    return first, second


def plant(scores: Mapping[str, Tensor], metric: str, drop: float, generator: torch.Generator) -> dict[str, Tensor]:
    """The scores with so many right marks of one metric made wrong that its share falls by ``drop``."""
    marks = scores[metric].clone()
    right = marks.nonzero().squeeze(1)
    wrong = right[torch.randperm(len(right), generator=generator)[: round(drop * len(marks))]]
    marks[wrong] = 0.0
    return {**scores, metric: marks}


@dataclass(frozen=True)
class Trials:
    """How often a gate was right: shipped an equal model, and stopped one with a planted regression and named it."""

    passed: Rate
    caught: Rate


def trials(sittings: Mapping[str, Tensor], gate: Gate, count: int, drop: float = 0.1, seed: int = 0) -> Trials:
    """``count`` trials of both sorts; the metric in which a regression is planted changes from trial to trial."""
    generator = torch.Generator().manual_seed(seed)
    names, passed, caught = list(sittings), 0, 0
    for trial in range(count):
        service, equal = draw(sittings, generator)
        passed += gate(service, equal)["ship"]
        service, candidate = draw(sittings, generator)
        metric = names[trial % len(names)]
        caught += metric in gate(service, plant(candidate, metric, drop, generator))["regressed"]
    return Trials(evaluation.share(passed, count), evaluation.share(caught, count))


def threshold_gate(limit: float) -> Gate:
    """A gate without statistics, to compare with: stops a candidate where the share of any metric fell by more."""

    def gate(service: dict[str, Tensor], candidate: dict[str, Tensor]) -> dict:
        fell = [name for name in service if (service[name] - candidate[name]).mean().item() > limit]
        return {"ship": not fell, "regressed": fell}

    return gate
