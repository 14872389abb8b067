"""Proximal policy optimisation for a language model (Schulman et al. 2017), with a KL penalty (Ziegler et al. 2019).

    functions = Functions(token_logprobs, kl_estimates, shape_rewards, gae, masked_whiten, ppo_policy_loss, ...)
    collector = rollouts.Collector(reference, tokenizer, requests, form, score, token_logprobs)
    history = train_ppo(policy, collector, functions, PPO)

`ppo_iteration` is the algorithm: answers, rewards, advantages, and a few clipped steps. What it calls are the exercises
of lesson 06, so it holds no answer. A policy is anything called as `rollouts.Policy` is, which is how the same code
trains the tables of `minillm/exact.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minillm import training
from minillm.policy_gradient import Collect, clip_fraction, explained_variance, iterate, statistics, updates
from minillm.rollouts import TokenLogprobs
from minillm.tinyland.recipe import PPO, PPORecipe


@dataclass(frozen=True)
class Functions:
    """The pieces of PPO that a student writes; `dataclasses.replace` swaps one for a broken one."""

    token_logprobs: TokenLogprobs
    kl_estimates: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    shape_rewards: Callable[..., Tensor]
    gae: Callable[..., tuple[Tensor, Tensor]]
    masked_whiten: Callable[[Tensor, Tensor], Tensor]
    ppo_policy_loss: Callable[..., Tensor]
    ppo_value_loss: Callable[..., Tensor]
    adapt_kl_coefficient: Callable[..., float]


def ppo_iteration(
    policy: nn.Module,
    optimizer: Optimizer,
    iteration: int,
    collect: Collect,
    functions: Functions,
    recipe: PPORecipe,
) -> dict[str, float]:
    """One rollout, and all updates on it; returns the statistics that the field logs.

    Raises ValueError where the rollout has not ``recipe.batch_size`` answers.
    """
    f, beta = functions, policy.beta.item()
    rollout = collect(policy, iteration)
    if len(rollout) != recipe.batch_size:
        raise ValueError(
            f"the recipe has a batch_size of {recipe.batch_size}, but {len(rollout)} answers were collected"
        )
    mask = rollout.mask  # (B, N)
    rewards = f.shape_rewards(rollout.logprobs, rollout.ref_logprobs, rollout.scores, mask, beta)  # (B, N)
    advantages, returns = f.gae(rewards, rollout.values, mask, recipe.gamma, recipe.lam)  # (B, N) each
    advantages = f.masked_whiten(advantages, mask)
    clipped = []

    def loss(rows: Tensor, logprobs: Tensor, values: Tensor) -> Tensor:
        old = rollout.logprobs[rows]  # of the policy that gave the answers, the same in every epoch
        actor = f.ppo_policy_loss(logprobs, old, advantages[rows], mask[rows], recipe.clip)
        critic = f.ppo_value_loss(values, rollout.values[rows], returns[rows], mask[rows], recipe.value_clip)
        clipped.append(clip_fraction(logprobs, old, mask[rows], recipe.clip))
        return actor + recipe.value_weight * critic

    moved = updates(policy, optimizer, rollout, loss, f, recipe, iteration)
    seen = statistics(rollout)
    if recipe.kl_target:
        beta_next = f.adapt_kl_coefficient(beta, seen["kl"], recipe.kl_target, len(rollout), recipe.horizon)
        policy.beta.fill_(beta_next)
    return {
        **moved,
        **seen,
        "clip_fraction": sum(clipped) / len(clipped),
        "explained_variance": explained_variance(rollout.values, returns, mask),
        "beta": beta,
    }


def train_ppo(
    policy: nn.Module,
    collect: Collect,
    functions: Functions,
    recipe: PPORecipe = PPO,
    *,
    watch: Callable[[training.History], Any] | None = None,
    snapshot: Path | str | None = None,
    name: str = "ppo",
    progress: bool = True,
) -> training.History:
    """Train ``policy`` in place for ``recipe.iterations`` rollouts; ``history.metrics`` holds the statistics of each.

    collect: collect(policy, iteration) -> Rollout; the same iteration must give the same draws, so that a run that was
    stopped continues from ``snapshot`` to where it would have come. watch, snapshot: see `training.fit`.
    """
    policy.register_buffer("beta", torch.tensor(recipe.beta, dtype=torch.float64))  # saved in snapshots
    told = {"shown": ("score", "kl", "beta"), "watch": watch, "snapshot": snapshot, "name": name, "progress": progress}
    return iterate(policy, ppo_iteration, collect, functions, recipe, **told)
