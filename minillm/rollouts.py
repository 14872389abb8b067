"""Rollouts: answers of a policy, with everything that policy-gradient training needs to know of them, token by token.

    policy = Policy.from_stage(loaded.model)        # a copy of the body, and a value head that is 0 everywhere
    collector = Collector(reference, tokenizer, requests, form, score, token_logprobs)
    rollout = collector(policy, iteration=0)

All answers of a rollout begin in the same column, so every quantity of a token is a tensor (B, N), N the length of
the longest answer, and the mask of a row is 1s first, then 0s. Letters: B answers, P columns of prompt, V vocabulary.
The log-probability of a token is an exercise of lesson 06 and comes as an argument. Nothing is trained here.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor, nn

from minillm.evaluation import Answer
from minillm.model import ScalarHead, Transformer
from minillm.sampling import generate
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import Request
from minillm.tokenizer import Tokenizer

Score = Callable[[Sequence[Answer]], Tensor]
TokenLogprobs = Callable[[Tensor, Tensor], Tensor]


class Policy(nn.Module):
    """A language model that answers, and, where there is a critic, a value for every state that it is in."""

    def __init__(self, body: Transformer, critic: ScalarHead | None = None):
        super().__init__()
        self.body, self.critic = body, critic

    @classmethod
    def from_stage(cls, model: Transformer, critic: bool = True) -> "Policy":
        """A policy that starts as a copy of ``model``; its value head starts at 0 everywhere."""
        head = ScalarHead(model.config.dim).to(model.device) if critic else None
        return cls(deepcopy(model), head)

    def forward(self, tokens: Tensor, mask: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """What the policy says and expects of answers that begin in column ``start``, N = W - start columns long.

        tokens (B, W) long, mask (B, W) 1 at real tokens. Returns logits (B, N + 1, V), of the columns start - 1 to the
        last, so that logits at t predict the answer's token t; and values (B, N), of the states in which these
        tokens are chosen (0 everywhere without a critic).
        """
        hidden = self.body.hidden(tokens, mask)[:, start - 1 :]  # (B, N + 1, D)
        states = hidden[:, :-1]  # (B, N, D)
        values = self.critic(states) if self.critic is not None else states.new_zeros(states.shape[:2])
        return self.body.logits(hidden), values


@dataclass(frozen=True)
class Rollout:
    """B answers with what was known when they were given. Nothing in it carries a gradient.

    tokens, attention (B, P + N): prompts padded on the left, answers on the right, and where there are real tokens.
    start: P, the column in which every answer begins.
    mask (B, N) bool: True at the tokens of the answer, its end token included.
    logprobs, ref_logprobs (B, N): nats of each token under the policy *that gave the answer*, and under the reference.
    values (B, N): what the critic expected before each token. scores (B,): one for each answer.
    answers: the texts, with the gold judge's verdicts to measure with; training never looks at these.
    """

    tokens: Tensor
    attention: Tensor
    start: int
    mask: Tensor
    logprobs: Tensor
    ref_logprobs: Tensor
    values: Tensor
    scores: Tensor
    answers: list[Answer] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def said(self) -> Tensor:
        """(B, N + 1) the last token of each prompt, then the answer: what goes with the logits of `Policy.forward`."""
        return self.tokens[:, self.start - 1 :]

    def take(self, rows: Tensor) -> "Rollout":
        """The answers with these numbers, (B',) long."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        chosen = {name: value[rows] for name, value in parts.items() if isinstance(value, Tensor)}
        return replace(self, **chosen, answers=[self.answers[i] for i in rows.tolist()] if self.answers else [])


@torch.no_grad()
def collect(
    policy: Policy,
    reference: Transformer,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    form: Callable[[Request], str],
    score: Score,
    token_logprobs: TokenLogprobs,
    *,
    seed: int,
    max_new_tokens: int = 40,
    no_end_penalty: float = 1.0,
) -> Rollout:
    """One answer of the policy to each request at temperature 1, scored, and priced by policy and reference.

    form: turns a request into the prompt. score: score(answers) -> (B,). no_end_penalty: taken off the score of an
    answer that was cut off, for a reward model may like what never ends. token_logprobs: lesson 06's. Raises ValueError
    where the scores are not one for each answer.
    """
    prompts = [form(request) for request in requests]
    generation = generate(
        policy.body,
        [tokenizer.encode(prompt) for prompt in prompts],
        max_new_tokens,
        stop=tokenizer.end,
        seed=seed,
        pad_id=tokenizer.pad,
    )
    answers = []
    for request, prompt, ids, ended in zip(requests, prompts, generation.responses(), generation.ended.tolist()):
        text = tokenizer.decode(ids[:-1] if ended else ids).strip()
        answers.append(Answer(request, prompt, text, ended, grade(request, text, ended=ended)))
    scores = score(answers)
    if scores.shape != (len(answers),):
        raise ValueError(f"score must return one number for each answer, ({len(answers)},), got {tuple(scores.shape)}")
    scores = scores - no_end_penalty * (~generation.ended).float().to(scores.device)
    return price(
        policy, reference, token_logprobs, generation.tokens, generation.mask, generation.prompt_length, scores, answers
    )


@dataclass(frozen=True)
class Collector:
    """``collect`` for iteration after iteration: collector(policy, iteration) -> Rollout.

    requests: in the order in which they are to be asked. Each iteration takes the next ``per_iteration``, from the
    first again after the last. group: how often each is asked, its answers side by side, so that a rollout holds
    per_iteration * group answers. The random numbers depend on seed and iteration alone. The reference must not be
    the body of the policy that is trained: `Policy.from_stage` makes a copy.
    """

    reference: Transformer
    tokenizer: Tokenizer
    requests: Sequence[Request]
    form: Callable[[Request], str]
    score: Score
    token_logprobs: TokenLogprobs
    per_iteration: int = 128
    group: int = 1
    seed: int = 0
    max_new_tokens: int = 40

    def __post_init__(self) -> None:
        if not len(self.requests):
            raise ValueError("there are no requests to ask")
        if min(self.per_iteration, self.group) < 1:
            raise ValueError(f"per_iteration and group must be at least 1, got {self.per_iteration} and {self.group}")

    def __call__(self, policy: Policy, iteration: int) -> Rollout:
        first = iteration * self.per_iteration
        asked = [self.requests[(first + i) % len(self.requests)] for i in range(self.per_iteration)]
        return collect(
            policy,
            self.reference,
            self.tokenizer,
            [request for request in asked for _ in range(self.group)],
            self.form,
            self.score,
            self.token_logprobs,
            seed=self.seed * 1_000_003 + iteration,
            max_new_tokens=self.max_new_tokens,
        )


@torch.no_grad()
def price(
    policy: nn.Module,
    reference: nn.Module,
    token_logprobs: TokenLogprobs,
    tokens: Tensor,
    attention: Tensor,
    start: int,
    scores: Tensor,
    answers: list[Answer] | None = None,
) -> Rollout:
    """A rollout of answers that are there: their log-probs under policy and reference, and their values.

    tokens (B, W) long; attention (B, W) 1 at real tokens; start: the column in which every answer begins; scores (B,).
    policy and reference: anything that is called as `Policy` is; a reference may also be a `Transformer`.
    """
    if isinstance(reference, Transformer):
        reference = Policy(reference)
    said, mask = tokens[:, start - 1 :], attention[:, start:].bool()
    logits, values = policy(tokens, attention, start)
    ref_logits, _ = reference(tokens, attention, start)
    return Rollout(
        tokens,
        attention,
        start,
        mask,
        token_logprobs(logits, said).masked_fill(~mask, 0.0),
        token_logprobs(ref_logits, said).masked_fill(~mask, 0.0),
        values.masked_fill(~mask, 0.0),
        scores.to(tokens.device),
        answers or [],
    )


def standardised(score: Score, answers: Sequence[Answer]) -> Score:
    """``score``, shifted and scaled so that these answers, say the reference's own, have mean 0 and deviation 1.

    A Bradley-Terry score has no zero, so the shift costs nothing; the scale gives a KL penalty the same
    meaning whichever model scores. Raises ValueError for fewer than 2 answers, which have no deviation.
    """
    if len(answers) < 2:
        raise ValueError(f"a deviation needs at least 2 answers, got {len(answers)}")
    raw = score(answers)
    mean, deviation = raw.mean(), raw.std().clamp(min=1e-6)

    def standard(some: Sequence[Answer]) -> Tensor:
        return (score(some) - mean) / deviation

    return standard
