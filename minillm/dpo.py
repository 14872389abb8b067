"""Preference training without a reward model: DPO and its relatives, on the pairs that a reward model learns from.

    data = price_pairs(reference, tokenizer, pairs, sequence_logprobs)      # what the reference thinks
    history = train_dpo(policy, tokenizer, data, lambda p: dpo_loss(*p.sums, beta=0.1), sequence_logprobs)

The loss of a pair and the log-probability of an answer are exercises of lesson 09 and come as arguments. Nothing is
sampled while it trains: the answers are those that somebody compared, and the reference is asked once, before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from tqdm import tqdm

from minillm import training
from minillm.model import Transformer
from minillm.preferences import Pair
from minillm.reward import Text, collate_texts, comparisons
from minillm.tinyland.recipe import DPO, DPORecipe
from minillm.tokenizer import Tokenizer

SequenceLogprobs = Callable[[Tensor, Tensor, Tensor], Tensor]
ROWS = 256  # texts that the reference reads in one batch


@dataclass(frozen=True)
class Pairs:
    """N pairs of answers as a loss sees them, (N,) each: log-probabilities summed over the answer, in nats, of the
    policy (with a gradient) and of the reference; how many tokens the answers have, their end token included; and
    ``preference``, the probability that the one called chosen is the better one (1 for a label that is certain)."""

    chosen: Tensor
    rejected: Tensor
    ref_chosen: Tensor
    ref_rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor
    preference: Tensor

    @property
    def sums(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """chosen, rejected, ref_chosen, ref_rejected: what `dpo_loss` and `ipo_loss` take, in this order."""
        return self.chosen, self.rejected, self.ref_chosen, self.ref_rejected

    @property
    def turned(self) -> "Pairs":
        """The same pairs with chosen and rejected exchanged."""
        return Pairs(
            self.rejected,
            self.chosen,
            self.ref_rejected,
            self.ref_chosen,
            self.rejected_lengths,
            self.chosen_lengths,
            1 - self.preference,
        )


PairLoss = Callable[[Pairs], Tensor]  # loss(pairs) -> (N,), one loss a pair


@dataclass(frozen=True)
class Priced:
    """The texts of one request, each once, with the reference's log-probability of each answer, (n,); and rows
    (chosen, rejected, preference) of the pairs among them."""

    texts: list[Text]
    ref_logprobs: list[float]
    order: list[tuple[int, int, float]]


@torch.no_grad()
def price_pairs(
    reference: Transformer,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    sequence_logprobs: SequenceLogprobs,
    preferences: Sequence[float] | None = None,
    progress: bool = False,
) -> list[Priced]:
    """The reference's log-probability of every answer; neighbouring pairs of one request are kept together.

    preferences: for each pair the probability that its chosen answer is the better one; by default 1.
    """
    if not pairs:
        raise ValueError("there are no pairs to learn from: were all of them ties?")
    if preferences is not None and len(preferences) != len(pairs):
        raise ValueError(f"there must be a preference for each pair, got {len(preferences)} for {len(pairs)} pairs")
    asked = comparisons(pairs, tokenizer)
    texts = [text for each in asked for text in each.texts]
    nats = torch.zeros(len(texts))
    by_length = sorted(range(len(texts)), key=lambda i: len(texts[i].ids))
    for begin in tqdm(range(0, len(texts), ROWS), desc="reference", disable=not progress, mininterval=0.5):
        rows = by_length[begin : begin + ROWS]
        nats[rows] = _logprobs(reference, [texts[i] for i in rows], tokenizer.pad, sequence_logprobs)[0].cpu()
    known, certain = iter(nats.tolist()), iter([1.0] * len(pairs) if preferences is None else preferences)
    return [
        Priced(each.texts, [next(known) for _ in each.texts], [(c, r, float(next(certain))) for c, r in each.order])
        for each in asked
    ]


def _logprobs(
    model: Transformer, texts: Sequence[Text], pad_id: int, sequence_logprobs: SequenceLogprobs
) -> tuple[Tensor, Tensor]:
    """(n,) nats of each text's answer given its prompt, and (n,) the number of tokens of the answer."""
    tokens, mask, answer = (part.to(model.device) for part in collate_texts(texts, pad_id))
    return torch.as_tensor(sequence_logprobs(model(tokens, mask), tokens, answer)), answer.sum(1)


def score_batch(
    policy: Transformer, batch: Sequence[Priced], pad_id: int, sequence_logprobs: SequenceLogprobs
) -> Pairs:
    """All pairs of a batch of requests, as the policy is now. Every text is read once, however many pairs it is in."""
    texts = [text for each in batch for text in each.texts]
    firsts = [sum(len(each.texts) for each in batch[:i]) for i in range(len(batch))]
    rows = [(first + c, first + r, p) for first, each in zip(firsts, batch) for c, r, p in each.order]
    chosen, rejected = torch.tensor([row[:2] for row in rows], device=policy.device).T  # (N,) each
    logprobs, lengths = _logprobs(policy, texts, pad_id, sequence_logprobs)  # (n,), (n,)
    reference = torch.tensor([nats for each in batch for nats in each.ref_logprobs], device=policy.device)
    return Pairs(
        logprobs[chosen],
        logprobs[rejected],
        reference[chosen],
        reference[rejected],
        lengths[chosen],
        lengths[rejected],
        torch.tensor([row[2] for row in rows], device=policy.device),
    )


def expected_loss(pairs: Pairs, loss: PairLoss) -> Tensor:
    """The mean loss, a scalar, where each pair counts once in each order, weighted by the preference for it.

    With certain labels this is ``loss(pairs).mean()``.
    """
    p = pairs.preference
    if bool((p == 1).all()):
        return loss(pairs).mean()
    return (p * loss(pairs) + (1 - p) * loss(pairs.turned)).mean()


def dpo_step(
    policy: Transformer,
    optimizer: Optimizer,
    batches: Sequence[Sequence[Priced]],
    functions: tuple[PairLoss, SequenceLogprobs],
    max_norm: float,
    pad_id: int,
) -> dict[str, float]:
    """One update on a batch of pairs; returns what the field logs.

    margin: how much further the policy has moved towards the chosen answer than towards the rejected one, against the
    reference, in nats. accuracy: the share of pairs with a margin above 0. chosen, rejected: the mean change of their
    log-probabilities against the reference.
    """
    loss, sequence_logprobs = functions
    pairs = score_batch(policy, batches[0], pad_id, sequence_logprobs)
    objective = expected_loss(pairs, loss)
    optimizer.zero_grad()
    objective.backward()
    norm = nn.utils.clip_grad_norm_(policy.parameters(), max_norm)
    optimizer.step()
    moved_chosen = (pairs.chosen - pairs.ref_chosen).detach()  # (N,)
    moved_rejected = (pairs.rejected - pairs.ref_rejected).detach()
    margins = moved_chosen - moved_rejected
    return {
        "loss": objective.item(),
        "grad_norm": norm.item(),
        "margin": margins.mean().item(),
        "accuracy": ((margins > 0).float() + 0.5 * (margins == 0)).mean().item(),
        "chosen": moved_chosen.mean().item(),
        "rejected": moved_rejected.mean().item(),
        "tokens": sum(len(text.ids) for each in batches[0] for text in each.texts),
    }


def train_dpo(
    policy: Transformer,
    tokenizer: Tokenizer,
    data: Sequence[Priced],
    loss: PairLoss,
    sequence_logprobs: SequenceLogprobs,
    recipe: DPORecipe = DPO,
    *,
    watch: Callable[[training.History], Any] | None = None,
    snapshot: Path | str | None = None,
    name: str = "dpo",
    progress: bool = True,
) -> training.History:
    """Train ``policy`` in place on priced pairs; ``history.metrics`` holds what `dpo_step` measures of each update.

    The learning rate rises over ``recipe.warmup`` updates and falls in a line to 0. watch, snapshot: `training.fit`.
    """
    size = min(recipe.batch_size, len(data))
    steps = max(1, round(recipe.epochs * len(data) / size))
    return training.fit(
        policy,
        training.shuffled_batches(list(data), size, recipe.seed),
        partial(dpo_step, pad_id=tokenizer.pad),
        (loss, sequence_logprobs),
        steps=steps,
        schedule=lambda step: recipe.peak * min((step + 1) / (recipe.warmup + 1), (steps - step) / steps),
        max_norm=recipe.max_norm,
        optimizer=training.adamw(policy, recipe.weight_decay, recipe.betas),
        snapshot=snapshot,
        watch=watch,
        shown=("margin", "accuracy"),
        name=name,
        progress=progress,
    )


@torch.no_grad()
def implied_margins(
    policy: Transformer, tokenizer: Tokenizer, data: Sequence[Priced], sequence_logprobs: SequenceLogprobs
) -> Tensor:
    """(N,) for every pair, in order, how much more the policy's log-probability of the chosen answer rose above the
    reference's than that of the rejected one, in nats: beta times it is the difference of DPO's implicit rewards."""
    batches = [data[begin : begin + ROWS // 4] for begin in range(0, len(data), ROWS // 4)]
    scored = [score_batch(policy, batch, tokenizer.pad, sequence_logprobs) for batch in batches]
    return torch.cat([(p.chosen - p.ref_chosen) - (p.rejected - p.ref_rejected) for p in scored]).cpu()
