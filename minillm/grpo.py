"""Policy gradients without a critic: several answers to each request, each judged against the others of its group.

    functions = Functions(token_logprobs, kl_estimates, group_advantages, grpo_loss)
    collector = rollouts.Collector(reference, ..., per_iteration=GRPO.groups, group=GRPO.group)
    history = train_grpo(policy, collector, functions, GRPO)

Group relative policy optimisation (Shao et al. 2024); with `rloo_advantages` in the place of `group_advantages`,
REINFORCE with the leave-one-out baseline (Kool et al. 2019; Ahmadian et al. 2024). Advantages and loss are exercises of
lesson 07. A rollout holds P groups of G answers, the answers to one request side by side.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minillm import training
from minillm.policy_gradient import Collect, clip_fraction, iterate, statistics, updates
from minillm.rollouts import Rollout, TokenLogprobs
from minillm.tinyland.recipe import GRPO, GRPORecipe


@dataclass(frozen=True)
class Functions:
    """The pieces of GRPO that a student writes; `dataclasses.replace` swaps one for another."""

    token_logprobs: TokenLogprobs
    kl_estimates: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]
    advantages: Callable[[Tensor], Tensor]
    loss: Callable[..., Tensor]


def grpo_iteration(
    policy: nn.Module,
    optimizer: Optimizer,
    iteration: int,
    collect: Collect,
    functions: Functions,
    recipe: GRPORecipe,
) -> dict[str, float]:
    """One rollout of P groups of G answers, and all updates on it; returns the statistics that the field logs.

    Raises ValueError where the rollout is not made of groups of ``recipe.group`` answers to one request.
    """
    f = functions
    rollout = collect(policy, iteration)
    _check_groups(rollout, recipe.group)
    groups = rollout.scores.view(-1, recipe.group)  # (P, G)
    advantages = torch.as_tensor(f.advantages(groups)).flatten()  # (B,), the same for every token of an answer
    clipped = []

    def loss(rows: Tensor, logprobs: Tensor, values: Tensor) -> Tensor:
        old, reference, mask = rollout.logprobs[rows], rollout.ref_logprobs[rows], rollout.mask[rows]
        clipped.append(clip_fraction(logprobs, old, mask, recipe.clip))
        return f.loss(logprobs, old, reference, advantages[rows], mask, recipe.clip, recipe.beta)

    moved = updates(policy, optimizer, rollout, loss, f, recipe, iteration)
    return {
        **moved,
        **statistics(rollout),
        "clip_fraction": sum(clipped) / len(clipped),
        "group_deviation": groups.std(1).mean().item(),
        "silent_groups": (groups.std(1) < 1e-6).float().mean().item(),
    }


def _check_groups(rollout: Rollout, size: int) -> None:
    """Refuse a rollout whose groups would mix the answers to different requests, or that leaves answers over."""
    if size < 2 or len(rollout) % size:
        raise ValueError(
            f"{len(rollout)} answers do not make groups of {size}; a group has at least 2, all of one size"
        )
    asked = [answer.request for answer in rollout.answers]  # empty where answers have no texts
    for begin in range(0, len(asked), size):
        if any(request != asked[begin] for request in asked[begin : begin + size]):
            raise ValueError(f"a group of {size} mixes requests; give the collector group={size}, as in the recipe")


def train_grpo(
    policy: nn.Module,
    collect: Collect,
    functions: Functions,
    recipe: GRPORecipe = GRPO,
    *,
    watch: Callable[[training.History], Any] | None = None,
    snapshot: Path | str | None = None,
    name: str = "grpo",
    progress: bool = True,
) -> training.History:
    """Train ``policy`` in place for ``recipe.iterations`` rollouts; ``history.metrics`` holds the statistics of each.

    collect: collect(policy, iteration) -> Rollout of groups; the same iteration must give the same draws.
    watch, snapshot: see `training.fit`.
    """
    told = {"shown": ("score", "kl"), "watch": watch, "snapshot": snapshot, "name": name, "progress": progress}
    return iterate(policy, grpo_iteration, collect, functions, recipe, **told)
