"""The reward model: a transformer with one number per token, read out as one score per answer, learned from pairs.

    model = RewardModel.from_policy(policy, sum_over_answer, logprobs=True)
    fit_reward_model(model, tokenizer, data.pairs, training_step, bradley_terry_loss, learning_rate_at)
    score(model, tokenizer, prompts, answers)     # (N,)

The read-out turns the numbers at the tokens into a score. The textbook's takes the last token's (an exercise of
lesson 05, passed in through `last_token`); `sum_over_answer` credits every token of the answer, which tells the model
where an answer went wrong. The loss on pairs, the step and the schedule are exercises too, and arguments here.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from minillm import stages, training
from minillm.checkpoints import CheckpointError
from minillm.evaluation import Answer
from minillm.model import ScalarHead, Transformer
from minillm.preferences import Pair
from minillm.tinyland.recipe import REWARD, RewardRecipe
from minillm.tokenizer import Tokenizer

ReadOut = Callable[[Tensor, Tensor, Tensor], Tensor]
LEAST_LOGPROB = -10.0  # nats; what is less likely is as bad, so that no single token decides everything
FIRST_WEIGHT = 0.5  # of log-probabilities; an update moves it by no more than the learning rate, so 0 would stay near 0


def sum_over_answer(values: Tensor, mask: Tensor, answer: Tensor) -> Tensor:
    """values (B, T), answer (B, T) with 1 at the answer's tokens -> (B,), the sum over them."""
    return (values * answer).sum(1)


def last_token(score_at_last_token: Callable[[Tensor, Tensor], Tensor]) -> ReadOut:
    """The textbook's read-out: score_at_last_token(values (B, T), mask (B, T)) -> (B,), mask 1 at every real token."""

    def read_out(values: Tensor, mask: Tensor, answer: Tensor) -> Tensor:
        return score_at_last_token(values, mask)

    return read_out


class RewardModel(nn.Module):
    """Scores texts: ``read_out`` of head(hidden) at every token, with ``logprobs`` plus a learned weight times the
    log-probability that the body itself gives to the token. What a model knows shows in what it finds likely; the
    head need not learn it anew.
    """

    def __init__(self, body: Transformer, head: ScalarHead, read_out: ReadOut = sum_over_answer, logprobs: bool = True):
        super().__init__()
        self.body, self.head, self.read_out = body, head, read_out
        self.logprob_weight = nn.Parameter(torch.tensor(FIRST_WEIGHT)) if logprobs else None

    @classmethod
    def from_policy(
        cls, policy: Transformer, read_out: ReadOut = sum_over_answer, logprobs: bool = True
    ) -> "RewardModel":
        """A reward model that starts from a copy of a policy's weights, with a new head that is 0 everywhere."""
        return cls(deepcopy(policy), ScalarHead(policy.config.dim).to(policy.device), read_out, logprobs)

    def forward(self, tokens: Tensor, mask: Tensor, answer: Tensor) -> Tensor:
        """tokens (B, T) long; mask (B, T) 1 at real tokens; answer (B, T) 1 at the answer's. Returns scores (B,).

        Padding may stand on either side: the masks of `sampling.Generation` fit.
        """
        return self.read(tokens, mask, answer)[0]

    def read(self, tokens: Tensor, mask: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B,) and the log-probability of each token given those before it, (B, T); 0 outside of the answer."""
        hidden = self.body.hidden(tokens, mask)  # (B, T, D)
        values = self.head(hidden)  # (B, T)
        logprobs = self._logprobs(hidden, tokens) * answer  # (B, T)
        if self.logprob_weight is not None:
            values = values + self.logprob_weight * logprobs.clamp(min=LEAST_LOGPROB)
        return self.read_out(values, mask, answer), logprobs

    def _logprobs(self, hidden: Tensor, tokens: Tensor) -> Tensor:
        """(B, T) nats of each token under the body; 0 for the first, which nothing predicts."""
        B, T = tokens.shape
        nats = F.cross_entropy(
            self.body.logits(hidden[:, :-1]).reshape(B * (T - 1), -1), tokens[:, 1:].flatten(), reduction="none"
        )
        return F.pad(-nats.view(B, T - 1), (1, 0))  # (B, T)


@dataclass(frozen=True)
class Text:
    """A prompt and an answer as ids; ``start`` is where the answer begins."""

    ids: list[int]
    start: int


def encode(tokenizer: Tokenizer, prompt: str, answer: str, ended: bool = True) -> Text:
    """The prompt, which ends in a special token such as `<bot>`, with the answer and its `<end>`, unless cut off."""
    start = tokenizer.encode(prompt)
    said = tokenizer.encode(f" {answer}") if answer else []
    return Text(start + said + ([tokenizer.end] if ended else []), len(start))


def collate_texts(texts: Sequence[Text], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texts, padded on the right -> tokens (B, T) long, mask (B, T) bool, answer (B, T) bool."""
    width = max(len(text.ids) for text in texts)
    tokens = torch.tensor([text.ids + [pad_id] * (width - len(text.ids)) for text in texts])
    column = torch.arange(width)
    mask = column < torch.tensor([[len(text.ids)] for text in texts])
    return tokens, mask, mask & (column >= torch.tensor([[text.start] for text in texts]))


def fit_reward_model(
    model: RewardModel,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    step_fn: Callable,
    bradley_terry_loss: Callable[[Tensor, Tensor], Tensor],
    learning_rate_at: Callable[..., float],
    *,
    recipe: RewardRecipe = REWARD,
    seed: int = 0,
    steps: int | None = None,
    validate: Callable[[], float] | None = None,
    snapshot: Path | str | None = None,
    name: str = "reward",
    progress: bool = True,
) -> training.History:
    """Train a reward model in place on pairs, by the seam of `training.fit`.

    The loss is bradley_terry_loss(chosen (B,), rejected (B,)) plus ``recipe.language_model`` times the mean surprise
    at the tokens of the chosen answers, which keeps the model's knowledge while the head learns to use it.
    step_fn, learning_rate_at: lesson 03's training_step and schedule. steps: instead of ``recipe.epochs``.
    """
    if not pairs:
        raise ValueError("there are no pairs to learn from: were all of them ties?")
    texts = [
        tuple(encode(tokenizer, pair.prompt, said.text, said.ended) for said in (pair.chosen, pair.rejected))
        for pair in pairs
    ]

    def collate(batch: list[tuple[Text, Text]]) -> tuple[Tensor, Tensor, Tensor]:
        chosen_then_rejected = [chosen for chosen, _ in batch] + [rejected for _, rejected in batch]
        return collate_texts(chosen_then_rejected, tokenizer.pad)

    size = min(recipe.batch_size, len(pairs))
    steps = steps or max(1, round(recipe.epochs * len(pairs) / size))
    warmup = min(recipe.warmup, steps - 1)
    return training.fit(
        model,
        training.shuffled_batches(texts, size, seed, collate),
        step_fn,
        partial(pair_loss, bradley_terry_loss=bradley_terry_loss, language_model=recipe.language_model),
        steps=steps,
        schedule=lambda step: learning_rate_at(step, steps, recipe.peak, warmup, recipe.floor),
        max_norm=recipe.max_norm,
        optimizer=training.adamw(model, recipe.weight_decay, recipe.betas),
        validate=validate,
        snapshot=snapshot,
        name=name,
        progress=progress,
    )


def pair_loss(
    model: RewardModel,
    batch: tuple[Tensor, Tensor, Tensor],
    bradley_terry_loss: Callable[[Tensor, Tensor], Tensor],
    language_model: float,
) -> Tensor:
    """The loss on a batch (tokens, mask, answer), (2B, T) each: B chosen answers, then the B rejected ones."""
    tokens, mask, answer = (part.to(model.body.device) for part in batch)
    scores, logprobs = model.read(tokens, mask, answer)  # (2B,), (2B, T)
    chosen, rejected = scores.chunk(2)
    surprise = -logprobs.chunk(2)[0].sum() / answer.chunk(2)[0].sum()
    return bradley_terry_loss(chosen, rejected) + language_model * surprise


@torch.no_grad()
def score(
    model: RewardModel,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    answers: Sequence[str],
    ended: Sequence[bool] | None = None,
    *,
    batch_size: int = 256,
    progress: bool = False,
) -> Tensor:
    """The scores of answers to prompts, (N,), in the order given. ended: False where an answer was cut off."""
    if len(prompts) != len(answers):
        raise ValueError(f"there must be as many prompts as answers, got {len(prompts)} and {len(answers)}")
    ended = [True] * len(answers) if ended is None else ended
    texts = [encode(tokenizer, *row) for row in zip(prompts, answers, ended, strict=True)]
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i].ids), i))
    scores = torch.zeros(len(texts))
    with tqdm(total=len(texts), desc="scores", disable=not progress, mininterval=0.5) as bar:
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = collate_texts([texts[i] for i in rows], tokenizer.pad)
            scores[rows] = model(*(part.to(model.body.device) for part in batch)).float().cpu()
            bar.update(len(rows))
    return scores


def score_answers(
    model: RewardModel, tokenizer: Tokenizer, answers: Iterable[Answer], progress: bool = False
) -> Tensor:
    """`score` for sampled answers, (N,)."""
    answers = list(answers)
    prompts, texts, ended = ([getattr(answer, name) for answer in answers] for name in ("prompt", "text", "ended"))
    return score(model, tokenizer, prompts, texts, ended, progress=progress)


def score_pairs(model: RewardModel, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """The scores of the chosen and of the rejected answers, (N,) each."""
    both = score_answers(model, tokenizer, [p.chosen for p in pairs] + [p.rejected for p in pairs])
    chosen, rejected = both.chunk(2)
    return chosen, rejected


def save_reward_model(model: RewardModel, stage: str = "reward", seed: int = 0) -> Path:
    """Save a reward model as a stage: body, head, and in the header its log-prob weight and which read-out it needs."""
    weight = None if model.logprob_weight is None else model.logprob_weight.item()
    extra = {"logprob_weight": weight, "sums": model.read_out is sum_over_answer}
    return stages.save_stage(stage, model.body, seed=seed, extra=extra, head=model.head)


def load_reward_model(stage: str = "reward", read_out: ReadOut = sum_over_answer) -> RewardModel:
    """Load what `save_reward_model` wrote, yours or the reference's, ready to score.

    Raises CheckpointError where the stage is no reward model, or was trained for another read-out.
    """
    loaded = stages.load_stage(stage)
    if loaded.head is None or "sums" not in loaded.header.extra:
        raise CheckpointError(f"{loaded.path} holds no reward model, for it has no scalar head")
    if loaded.header.extra["sums"] != (read_out is sum_over_answer):
        wanted = "the sum over the answer" if loaded.header.extra["sums"] else "the last token"
        raise CheckpointError(f"{loaded.path} was trained for another read-out: {wanted}")
    weight = loaded.header.extra["logprob_weight"]
    model = RewardModel(loaded.model, loaded.head, read_out, logprobs=weight is not None)
    if model.logprob_weight is not None:
        nn.init.constant_(model.logprob_weight, weight)
    return model.eval()
