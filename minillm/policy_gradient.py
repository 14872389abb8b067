"""What every policy-gradient method does with a rollout: several passes of minibatch updates, and statistics.

PPO and GRPO differ in what they make of a rollout (`minillm/ppo.py`, `minillm/grpo.py`): advantages and a loss. The
rest is here, once. One iteration is one rollout and all updates on it; `training.fit` runs the iterations, shows them,
and continues a run that was stopped, for everything that an iteration draws depends on its number alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from minillm import training
from minillm.rollouts import Rollout, TokenLogprobs
from minillm.tinyland.recipe import GRPORecipe, PPORecipe

Collect = Callable[[nn.Module, int], Rollout]  # collect(policy, iteration) -> answers of the policy as it is
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # loss(rows (b,), logprobs (b, N), values (b, N)) -> scalar


class Functions(Protocol):
    """What the updates themselves need of lesson 06."""

    token_logprobs: TokenLogprobs
    kl_estimates: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def iterate(
    policy: nn.Module,
    iteration: Callable[..., dict[str, float]],
    collect: Collect,
    functions: Functions,
    recipe: PPORecipe | GRPORecipe,
    **told: Any,
) -> training.History:
    """Run ``recipe.iterations`` iterations of a method on `training.fit`.

    iteration: iteration(policy, optimizer, number, collect, functions, recipe) -> statistics.
    told: what `fit` is told besides: shown, watch, snapshot, name, progress.
    """
    return training.fit(
        policy,
        lambda number: number,
        partial(_step, iteration=iteration, collect=collect, recipe=recipe),
        functions,
        steps=recipe.iterations,
        schedule=lambda number: recipe.peak * min(1.0, (number + 1) / (recipe.warmup + 1)),
        optimizer=training.adamw(policy, recipe.weight_decay, recipe.betas),
        snapshot_every=10,
        **told,
    )


def _step(policy, optimizer, batches, functions, max_norm, *, iteration, collect, recipe) -> dict[str, float]:
    """An iteration as `fit` calls it: the batch is its number."""
    return iteration(policy, optimizer, batches[0], collect, functions, recipe)


def updates(
    policy: nn.Module,
    optimizer: Optimizer,
    rollout: Rollout,
    loss: Loss,
    functions: Functions,
    recipe: PPORecipe | GRPORecipe,
    iteration: int,
) -> dict[str, float]:
    """Run ``recipe.epochs`` times through the rollout in minibatches, in a new order each time, one update each.

    loss: loss(rows, logprobs, values), with the numbers of the answers in the minibatch, and what the policy *now*
    gives to their tokens, with gradients. Returns means over the updates: loss; grad_norm; approx_kl, how far the
    policy went from the one that gave the answers (k3, nats a token); entropy (nats a token).
    """
    generator = torch.Generator().manual_seed(recipe.seed + iteration)
    measured: list[dict[str, float]] = []
    for _ in range(recipe.epochs):
        for rows in torch.randperm(len(rollout), generator=generator).split(recipe.minibatch):
            part = rollout.take(rows)
            logits, values = policy(part.tokens, part.attention, part.start)  # (b, N + 1, V), (b, N)
            logprobs = functions.token_logprobs(logits, part.said)  # (b, N)
            objective = loss(rows, logprobs, values)
            optimizer.zero_grad()
            objective.backward()
            norm = nn.utils.clip_grad_norm_(policy.parameters(), recipe.max_norm)
            optimizer.step()
            _, _, k3 = functions.kl_estimates(part.logprobs, logprobs.detach())  # (b, N)
            nats = logits.detach()[:, :-1][part.mask].log_softmax(-1)  # (tokens, V)
            measured.append(
                {
                    "loss": objective.item(),
                    "grad_norm": norm.item(),
                    "approx_kl": k3[part.mask].mean().item(),
                    "entropy": -(nats.exp() * nats).sum(-1).mean().item(),
                }
            )
    return {name: sum(each[name] for each in measured) / len(measured) for name in measured[0]}


def clip_fraction(logprobs: Tensor, old_logprobs: Tensor, mask: Tensor, clip: float) -> float:
    """The share of counted tokens whose probability ratio left [1 - clip, 1 + clip]."""
    outside = (logprobs.detach() - old_logprobs).exp().sub(1).abs() > clip
    return outside[mask].float().mean().item()


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """1 - Var(returns - values) / Var(returns) over counted tokens.

    1 is a critic who knows, 0 one who says a constant, below 0 one who misleads.
    """
    values, returns = values[mask], returns[mask]
    return (1 - (returns - values).var() / returns.var().clamp(min=1e-8)).item()


def statistics(rollout: Rollout) -> dict[str, float]:
    """What a rollout says of the policy that gave it: mean score; kl, to the reference, in nats an answer (the mean
    summed log-ratio); length, in tokens an answer; tokens, of all answers, which `training.fit` counts. Where answers
    are graded, gold, the judge's mean, and ended, the share that end.
    """
    log_ratio = (rollout.logprobs - rollout.ref_logprobs) * rollout.mask  # (B, N)
    measured = {
        "score": rollout.scores.mean().item(),
        "kl": log_ratio.sum(1).mean().item(),
        "length": rollout.mask.sum(1).float().mean().item(),
        "tokens": rollout.mask.sum().item(),
    }
    if rollout.answers:
        grades = [answer.verdict.score for answer in rollout.answers]
        measured |= {
            "gold": sum(grades) / len(grades),
            "ended": sum(answer.ended for answer in rollout.answers) / len(grades),
        }
    return measured
