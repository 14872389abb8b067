"""DPO in the enumerable setting: the comparisons are pairs of sequences, and all of them can be listed.

    everything = population(logprobs, rewards)              # every pair there is, weighted by its probability
    some = sampled(logprobs, rewards, 10_000, generator)    # what so many comparisons showed
    fit_pairs(policy, reference, everything, lambda p: dpo_loss(*p.sums, beta))
    total_variation(distribution(policy), optimum(logprobs, rewards, beta))

Pairs are drawn from the reference, two sequences independently; which of them is preferred follows Bradley and Terry
with the rewards as utilities. With the first loss the minimum is known, so whatever a policy falls short of it is the
optimiser's doing, or that of a policy that cannot be everything.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.dpo import PairLoss, Pairs
from minillm.exact import distribution
from minillm.exact_policies import TabularPolicy, TransformerPolicy


@dataclass(frozen=True)
class WeightedPairs:
    """N pairs of sequences by number: ``better`` and ``worse`` (N,) long, and their weights (N,), which sum to 1."""

    better: Tensor
    worse: Tensor
    weights: Tensor


def population(ref_logprobs: Tensor, rewards: Tensor) -> WeightedPairs:
    """Every ordered pair of two different sequences, weighted by how often it comes up as (better, worse).

    The weight of (i, j) is p_i p_j sigmoid(r_i - r_j), up to the factor that makes the sum 1: a sequence against itself
    tells nothing, and is left out. ref_logprobs, rewards: (S,); N = S (S - 1).
    """
    better, worse = (~torch.eye(len(rewards), dtype=torch.bool)).nonzero().T  # (N,) each
    drawn = ref_logprobs.detach().double().exp()
    weights = drawn[better] * drawn[worse] * torch.sigmoid(rewards[better] - rewards[worse])
    return WeightedPairs(better, worse, weights / weights.sum())


def sampled(ref_logprobs: Tensor, rewards: Tensor, count: int, generator: torch.Generator) -> WeightedPairs:
    """What ``count`` independent comparisons show: each pair that came up, weighted by how often it did."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    everything = population(ref_logprobs, rewards)
    drawn = torch.multinomial(everything.weights, count, replacement=True, generator=generator)
    counts = torch.bincount(drawn, minlength=len(everything.weights))
    seen = counts.nonzero().squeeze(1)
    return WeightedPairs(everything.better[seen], everything.worse[seen], counts[seen].double() / count)


def fit_pairs(
    policy: TabularPolicy | TransformerPolicy,
    reference: TabularPolicy | TransformerPolicy,
    pairs: WeightedPairs,
    loss: PairLoss,
    steps: int = 300,
    watch: Callable[[int, float], None] | None = None,
) -> float:
    """Minimise the weighted mean loss in place by L-BFGS; returns the last loss.

    loss: loss(pairs) -> (N,), as for `dpo.train_dpo`. watch: watch(number, loss) after each evaluation, of which a step
    needs one or two. L-BFGS, because nothing here is random: a few hundred steps reach a minimum that a stochastic
    optimiser would only circle.
    """
    with torch.no_grad():
        fixed = distribution(reference)  # (S,)
    lengths, certain = policy.setting.lengths, torch.ones_like(pairs.weights)
    i, j = pairs.better, pairs.worse
    settings = {"max_iter": steps, "max_eval": 2 * steps, "tolerance_grad": 1e-12, "tolerance_change": 1e-16}
    optimizer = torch.optim.LBFGS(policy.parameters(), history_size=50, line_search_fn="strong_wolfe", **settings)
    losses: list[float] = []

    def objective() -> Tensor:
        optimizer.zero_grad()
        logprobs = distribution(policy)  # (S,)
        each = loss(Pairs(logprobs[i], logprobs[j], fixed[i], fixed[j], lengths[i], lengths[j], certain))
        total = (pairs.weights * each).sum()
        total.backward()
        losses.append(total.item())
        if watch is not None:
            watch(len(losses), losses[-1])
        return total

    optimizer.step(objective)
    return losses[-1]
