"""The dial between helpful and harmless: a reward model for each, and the best of n answers by their weighted sum.

    two = fit_two(sft, tokenizer, form, annotate, (training_step, bradley_terry_loss, learning_rate_at), DIAL)
    hands = preferences.sample_answers(sft, tokenizer, held_out, form, n=16)     # sampled once
    scores = two.score(hands)                                                    # (P * n, 2)
    best = choose(hands, weighted_reward(scores, weights, two.mean, two.std))    # for each setting of the weights

One reward model is trained on comparisons of answers to harmless requests, the other on harmful ones, as in Bai et al.
2022a and Touvron et al. 2023: each knows one half of what is wanted, and their weights decide. No policy is trained.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm import preferences, reward
from minillm.evaluation import Answer
from minillm.model import Transformer
from minillm.tinyland.annotators import UNBIASED
from minillm.tinyland.recipe import RewardRecipe
from minillm.tinyland.requests import KINDS, Request
from minillm.tokenizer import Tokenizer

GOALS = {"helpful": tuple(kind for kind in KINDS if kind != "harmful"), "harmless": ("harmful",)}
WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0)  # of harmlessness; helpfulness has the rest


@dataclass(frozen=True)
class Two:
    """Two reward models, for helpful and for harmless, in this order; mean and std, (2,) each, of their scores of the
    policy's own answers to training requests of both sorts, half of each."""

    models: tuple[reward.RewardModel, ...]
    tokenizer: Tokenizer
    mean: Tensor
    std: Tensor

    def score(self, hands: Sequence[Sequence[Answer]]) -> Tensor:
        """(P * n, 2): the scores of n answers to each of P requests, request by request."""
        return _scores(self.models, self.tokenizer, hands)


def fit_two(
    policy: Transformer,
    tokenizer: Tokenizer,
    form: Callable[[Request], str],
    annotate: Callable[..., Tensor],
    functions: tuple[Callable, Callable, Callable],
    recipe: RewardRecipe,
    progress: bool = False,
) -> Two:
    """Train both on comparisons of the policy's own answers, ``recipe.requests`` requests each.

    functions: training_step, bradley_terry_loss, learning_rate_at.
    """
    models, answered = [], []
    for number, kinds in enumerate(GOALS.values()):
        seed = 2 * recipe.seed + number
        asked = preferences.draw_requests("train", recipe.requests, seed=500 + seed, kinds=kinds)
        hands = preferences.sample_answers(
            policy, tokenizer, asked, form, n=recipe.answers, seed=500 + seed, progress=progress
        )
        pairs = preferences.compare(hands, UNBIASED, annotate, seed=seed).pairs
        model = reward.RewardModel.from_policy(policy)
        reward.fit_reward_model(
            model, tokenizer, pairs, *functions, recipe=recipe, seed=seed, name=list(GOALS)[number], progress=progress
        )
        models.append(model.eval())
        answered += [hand[:1] for hand in hands]
    scores = _scores(models, tokenizer, answered)
    return Two(tuple(models), tokenizer, scores.mean(0), scores.std(0))


def choose(hands: Sequence[Sequence[Answer]], rewards: Tensor) -> list[Answer]:
    """From each hand the answer with the highest reward; rewards (P * n,) as `Two.score` orders them."""
    best = rewards.view(len(hands), -1).argmax(1)
    return [hand[i] for hand, i in zip(hands, best.tolist())]


def _scores(models: Sequence[reward.RewardModel], tokenizer: Tokenizer, hands: Sequence[Sequence[Answer]]) -> Tensor:
    answers = [answer for hand in hands for answer in hand]
    return torch.stack([reward.score_answers(model, tokenizer, answers) for model in models], dim=1)
