"""Comparisons of answers: a policy answers, an annotator says which of two answers is better.

    answers = sample_answers(policy, tokenizer, draw_requests("train", 4000), form, n=2)   # 4000 lists of 2 answers
    data = compare(answers, UNBIASED, annotate)                                            # .pairs, .ties

How an annotator chooses is an exercise of lesson 05 and comes as an argument. The policy's answers carry the gold
judge's verdict, to measure with; a reward model never sees it. Pairs take the split of their request, so what is
held out is a request, never a row. Nothing is trained here.
"""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor
from tqdm import tqdm

from minillm.evaluation import Answer, ask
from minillm.model import Transformer
from minillm.tinyland.annotators import Annotator, label_ceiling
from minillm.tinyland.requests import Request, all_requests
from minillm.tokenizer import Tokenizer

ROWS = 256  # answers that are sampled in one batch


@dataclass(frozen=True)
class Pair:
    """Two answers to one request, in the order of the annotator's choice.

    chosen_utility, rejected_utility: what the annotator felt about them, in points; noise may have chosen the worse.
    """

    request: Request
    prompt: str
    chosen: Answer
    rejected: Answer
    chosen_utility: float
    rejected_utility: float

    @property
    def gold_gap(self) -> float:
        """Gold score of the chosen minus that of the rejected answer: negative where the label is wrong, 0 in a tie."""
        return round(self.chosen.verdict.score - self.rejected.verdict.score, 6)


@dataclass(frozen=True)
class Preferences:
    """A set of labelled pairs, whose annotator it was, and how many comparisons were dropped as exact ties.

    A part of a set keeps the number of ties of the whole.
    """

    pairs: list[Pair]
    ties: int
    annotator: Annotator

    def __len__(self) -> int:
        return len(self.pairs)

    def take(self, n: int) -> "Preferences":
        """The first n pairs. Requests come in a random order, so these are a smaller set of the same kind."""
        if not 0 < n <= len(self.pairs):
            raise ValueError(f"cannot take {n} of {len(self.pairs)} pairs")
        return Preferences(self.pairs[:n], self.ties, self.annotator)

    def split(self, name: str) -> "Preferences":
        """The pairs whose request belongs to this split."""
        return Preferences([p for p in self.pairs if p.request.split == name], self.ties, self.annotator)

    def ceiling(self) -> float:
        """The share of labels that the best possible predictor would agree with (`annotators.label_ceiling`)."""
        utilities = [(pair.chosen_utility, pair.rejected_utility) for pair in self.pairs]
        return label_ceiling(utilities, self.annotator.temperature, self.annotator.flip)


def draw_requests(split: str, count: int, seed: int = 0, kinds: Sequence[str] | None = None) -> list[Request]:
    """``count`` requests of a split in a random order, each as often as the others, give or take one.

    kinds: only requests of these kinds; None: all of them, in the proportions in which Tinyland has them.
    """
    pool = [r for r in all_requests(split=split) if kinds is None or r.kind in kinds]
    if not pool:
        raise ValueError(f"there are no requests of the kinds {kinds} in the split {split!r}")
    generator = random.Random(f"requests/{split}/{seed}")
    drawn: list[Request] = []
    while len(drawn) < count:
        drawn += generator.sample(pool, len(pool))
    return drawn[:count]


def sample_answers(
    policy: Transformer,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    form: Callable[[Request], str],
    n: int = 2,
    *,
    temperature: float = 1.0,
    max_new_tokens: int = 40,
    seed: int = 0,
    progress: bool = True,
) -> list[list[Answer]]:
    """n answers of the policy to each request, drawn independently and graded: one list for each request, in order.

    form: turns a request into the prompt, which ends where the answer begins. An answer ends with `<end>`.
    """
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    order = sorted(range(len(requests)), key=lambda i: (len(requests[i].text), i))  # so that little is padding
    rows = [i for i in order for _ in range(n)]
    answers: list[list[Answer]] = [[] for _ in requests]
    with tqdm(total=len(rows), desc="answers", disable=not progress, mininterval=0.5) as bar:
        for start in range(0, len(rows), ROWS):
            batch = rows[start : start + ROWS]
            said = ask(
                policy,
                tokenizer,
                [requests[i] for i in batch],
                form,
                stop=[tokenizer.end],
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                batch_size=ROWS,
                seed=seed * 1_000_003 + start,
            )
            for i, answer in zip(batch, said):
                answers[i].append(answer)
            bar.update(len(batch))
    return answers


def compare(
    answers: Iterable[Sequence[Answer]],
    annotator: Annotator,
    annotate: Callable[..., Tensor],
    seed: int = 0,
) -> Preferences:
    """Let an annotator compare the answers to each request, every one with every other.

    annotate: annotate(utility_a (N,), utility_b (N,), temperature, flip, generator) -> (N,) bool, True where a is
        preferred. Pairs that the annotator finds exactly equal tell nothing; they are dropped, and counted.
    """
    candidates = [pair for some in answers for pair in combinations(some, 2)]
    utilities = [(_utility(annotator, a), _utility(annotator, b)) for a, b in candidates]
    kept = [i for i, (a, b) in enumerate(utilities) if a != b]
    first, second = torch.tensor([utilities[i] for i in kept]).view(-1, 2).unbind(1)  # (N,) each
    generator = torch.Generator().manual_seed(seed)
    prefers_first = annotate(first, second, annotator.temperature, annotator.flip, generator)  # (N,)
    pairs = []
    for i, kept_first in zip(kept, prefers_first.bool().tolist()):
        better, worse = (0, 1) if kept_first else (1, 0)
        chosen, rejected = candidates[i][better], candidates[i][worse]
        pairs.append(Pair(chosen.request, chosen.prompt, chosen, rejected, utilities[i][better], utilities[i][worse]))
    return Preferences(pairs, len(candidates) - len(kept), annotator)


def gold_order(pairs: Sequence[Pair], chosen: Tensor, rejected: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (N,) of chosen and rejected answers -> scores of the better and the worse answers by the gold judge.

    Pairs that the judge finds equal are left out: (M,) each, M <= N.
    """
    gaps = torch.tensor([pair.gold_gap for pair in pairs])
    better, worse = torch.where(gaps > 0, chosen, rejected), torch.where(gaps > 0, rejected, chosen)
    return better[gaps != 0], worse[gaps != 0]


def gold_scores(answers: Iterable[Sequence[Answer]]) -> Tensor:
    """The gold scores of n answers to each of P requests, (P, n)."""
    return torch.tensor([[answer.verdict.score for answer in some] for some in answers])


def _utility(annotator: Annotator, answer: Answer) -> float:
    return annotator.utility(answer.request, answer.text, answer.ended)
