"""The reward model: a transformer that gives a few numbers per token, read out as one score per answer, from pairs.

    model = RewardModel.from_policy(policy)
    fit_reward_model(model, tokenizer, data.pairs, training_step, bradley_terry_loss, learning_rate_at)
    score(model, tokenizer, prompts, answers)     # (N,)

A read-out turns what the model says at the tokens into a score. The textbook's takes one number at the last token (an
exercise of lesson 05, passed in through `last_token`); `content_and_style` is the one that the course goes on with. The
loss on pairs, the step and the schedule are exercises too, and arguments here.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import groupby
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

LEAST_LOGPROB = -10.0  # nats; what is less likely is as bad, so that no single token decides everything
FIRST_WEIGHT = 0.5  # of log-probabilities; an update moves it by no more than the learning rate, so 0 would stay near 0
MOST_CONTENT = 2.5  # log-odds; content is worth this much at most, right or wrong
NUMBERS = 3  # that the head gives at each token: credit, weight of the log-probability, style


@dataclass(frozen=True)
class Said:
    """What a reward model says of B texts, position by position.

    numbers (B, T, 3): of its head. logprobs (B, T): nats that its body gives to each token of the answer after those
    before it, 0 elsewhere. mask (B, T) is 1 at real tokens, answer (B, T) at those of the answer.
    """

    numbers: Tensor
    logprobs: Tensor
    mask: Tensor
    answer: Tensor


ReadOut = Callable[[Said], Tensor]


def last_token(score_at_last_token: Callable[[Tensor, Tensor], Tensor]) -> ReadOut:
    """The textbook's read-out: score_at_last_token(values (B, T), mask (B, T)) -> (B,), mask 1 at every real token."""

    def last_token(said: Said) -> Tensor:  # a saved model's header names its read-out by this function's name
        return score_at_last_token(said.numbers[..., 0], said.mask)

    return last_token


def sum_over_answer(said: Said) -> Tensor:
    """(B,) a number for every token of the answer, summed: it can be marked where an answer goes wrong."""
    return (said.numbers[..., 0] * said.answer).sum(1)


def weighted_logprobs(said: Said) -> Tensor:
    """(B,) `sum_over_answer`, plus the log-probability of each token times a weight that the head gives it there.

    What a language model knows shows in what it finds likely; the head need not learn it anew, only where to trust it.
    """
    weights = FIRST_WEIGHT + said.numbers[..., 1]  # (B, T)
    logprobs = said.logprobs.clamp(min=LEAST_LOGPROB)  # (B, T)
    return sum_over_answer(said) + (weights * logprobs * said.answer).sum(1)


def content_and_style(said: Said) -> Tensor:
    """(B,) `weighted_logprobs`, bounded as c tanh(x / c), plus a sum over tokens of its own for style.

    An answer is right or wrong, however surely: bounded, two right answers that are phrased differently score
    nearly alike, and a filler in one of them is no longer lost in the noise.
    """
    content = MOST_CONTENT * torch.tanh(weighted_logprobs(said) / MOST_CONTENT)
    return content + (said.numbers[..., 2] * said.answer).sum(1)


class RewardModel(nn.Module):
    """Scores texts: a language model, a head with three numbers at each token, and a read-out."""

    def __init__(self, body: Transformer, head: ScalarHead, read_out: ReadOut = content_and_style):
        super().__init__()
        self.body, self.head, self.read_out = body, head, read_out

    @classmethod
    def from_policy(cls, policy: Transformer, read_out: ReadOut = content_and_style) -> "RewardModel":
        """A reward model that starts from a copy of a policy's weights, with a new head that is 0 everywhere."""
        return cls(deepcopy(policy), ScalarHead(policy.config.dim, NUMBERS).to(policy.device), read_out)

    def forward(self, tokens: Tensor, mask: Tensor, answer: Tensor) -> Tensor:
        """tokens (B, T) long; mask (B, T) 1 at real tokens; answer (B, T) 1 at the answer's. Returns scores (B,).

        Padding may stand on either side: the masks of `sampling.Generation` fit.
        """
        return self.read(tokens, mask, answer)[0]

    def read(self, tokens: Tensor, mask: Tensor, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B,) and the log-probability of each token given those before it, (B, T); 0 outside of the answer."""
        hidden = self.body.hidden(tokens, mask)  # (B, T, D)
        logprobs = self._logprobs(hidden, tokens, answer)  # (B, T)
        return self.read_out(Said(self.head(hidden), logprobs, mask, answer)), logprobs

    def _logprobs(self, hidden: Tensor, tokens: Tensor, answer: Tensor) -> Tensor:
        """(B, T) nats of each token of the answer under the body, 0 elsewhere. Only these are computed."""
        wanted = answer[:, 1:].bool()  # (B, T - 1); the first token is predicted by nothing
        nats = F.cross_entropy(self.body.logits(hidden[:, :-1][wanted]), tokens[:, 1:][wanted], reduction="none")
        return hidden.new_zeros(tokens.shape).masked_scatter(F.pad(wanted, (1, 0)), -nats)


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


@dataclass(frozen=True)
class Comparisons:
    """The texts of one request, each once, and rows (better, worse) that say which was preferred to which."""

    texts: list[Text]
    order: list[tuple[int, int]]


def comparisons(pairs: Sequence[Pair], tokenizer: Tokenizer) -> list[Comparisons]:
    """Neighbouring pairs of the same request together, so that an answer in three pairs is read once.

    It also keeps them in one batch: spread over an epoch, the same answer seen three times is learned by heart (Ouyang
    et al. 2022, sec. 3.5).
    """
    found = []
    for _, group in groupby(pairs, key=lambda pair: pair.request):
        places: dict[tuple[int, ...], int] = {}
        texts, order = [], []
        for pair in group:
            for said in (pair.chosen, pair.rejected):
                text = encode(tokenizer, pair.prompt, said.text, said.ended)
                if tuple(text.ids) not in places:
                    places[tuple(text.ids)] = len(texts)
                    texts.append(text)
                order.append(places[tuple(text.ids)])
        found.append(Comparisons(texts, list(zip(order[::2], order[1::2]))))
    return found


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

    The loss is bradley_terry_loss(chosen (N,), rejected (N,)) plus ``recipe.language_model`` times the mean surprise
    at the tokens of the chosen answers, which keeps the model's knowledge while the head learns to use it. A batch is
    all pairs of ``recipe.batch_size`` requests. step_fn, learning_rate_at: lesson 03's training_step and schedule.
    steps: instead of ``recipe.epochs``.
    """
    if not pairs:
        raise ValueError("there are no pairs to learn from: were all of them ties?")
    asked = comparisons(pairs, tokenizer)
    size = min(recipe.batch_size, len(asked))
    steps = steps or max(1, round(recipe.epochs * len(asked) / size))
    warmup = min(recipe.warmup, steps - 1)
    return training.fit(
        model,
        training.shuffled_batches(asked, size, seed, partial(collate_comparisons, pad_id=tokenizer.pad)),
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


def collate_comparisons(asked: Sequence[Comparisons], pad_id: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Texts of several requests -> tokens, mask, answer, (B, T) each, and (N, 2) rows of the better and worse text."""
    texts, order = [], []
    for each in asked:
        order += [(len(texts) + better, len(texts) + worse) for better, worse in each.order]
        texts += each.texts
    return *collate_texts(texts, pad_id), torch.tensor(order)


def pair_loss(
    model: RewardModel,
    batch: tuple[Tensor, Tensor, Tensor, Tensor],
    bradley_terry_loss: Callable[[Tensor, Tensor], Tensor],
    language_model: float,
) -> Tensor:
    """The loss on a batch (tokens, mask, answer, order) of `collate_comparisons`."""
    tokens, mask, answer, order = (part.to(model.body.device) for part in batch)
    chosen, rejected = order.T  # (N,) each
    scores, logprobs = model.read(tokens, mask, answer)  # (B,), (B, T)
    surprise = -logprobs[chosen].sum() / answer[chosen].sum()
    return bradley_terry_loss(scores[chosen], scores[rejected]) + language_model * surprise


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
    prompts, texts = [answer.prompt for answer in answers], [answer.text for answer in answers]
    return score(model, tokenizer, prompts, texts, [answer.ended for answer in answers], progress=progress)


def score_pairs(model: RewardModel, tokenizer: Tokenizer, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """The scores of the chosen and of the rejected answers, (N,) each."""
    both = score_answers(model, tokenizer, [p.chosen for p in pairs] + [p.rejected for p in pairs])
    chosen, rejected = both.chunk(2)
    return chosen, rejected


def save_reward_model(model: RewardModel, stage: str = "reward", seed: int = 0) -> Path:
    """Save a reward model as a stage: body, head, and in the header which read-out it was trained for."""
    return stages.save_stage(stage, model.body, seed=seed, extra={"read_out": model.read_out.__name__}, head=model.head)


def load_reward_model(stage: str = "reward", read_out: ReadOut = content_and_style) -> RewardModel:
    """Load what `save_reward_model` wrote, yours or the reference's, ready to score.

    Raises CheckpointError where the stage is no reward model, or was trained for another read-out.
    """
    loaded = stages.load_stage(stage)
    if loaded.head is None or loaded.head.linear.out_features != NUMBERS:
        raise CheckpointError(f"{loaded.path} holds no reward model, for it has no head with {NUMBERS} numbers")
    trained_for = loaded.header.extra.get("read_out")
    if trained_for != read_out.__name__:
        raise CheckpointError(f"{loaded.path} was trained for another read-out: {trained_for}")
    return RewardModel(loaded.model, loaded.head, read_out).eval()
