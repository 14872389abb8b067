"""DPO in the enumerable setting: how often pairs come up, and where the loss has its minimum."""

from copy import deepcopy

import pytest
import torch
import torch.nn.functional as F

from minillm.exact import Setting, distribution, optimum, total_variation, toy_reward
from minillm.exact_policies import TabularPolicy, TransformerPolicy
from minillm.exact_preferences import fit_pairs, population, sampled

SETTING = Setting(4, 2)
REWARDS = toy_reward(SETTING)
BETA = 0.5


def reference() -> TabularPolicy:
    return TabularPolicy(SETTING, spread=0.5, seed=3)


def dpo(pairs):
    return -F.logsigmoid(BETA * ((pairs.chosen - pairs.ref_chosen) - (pairs.rejected - pairs.ref_rejected)))


def distance(policy, start) -> float:
    goal = optimum(distribution(start).detach(), REWARDS, BETA)
    return total_variation(distribution(policy).detach(), goal).item()


def test_population_weights_are_probabilities_by_brute_force():
    start = distribution(reference()).detach()
    found = population(start, REWARDS)
    p, total = start.exp().tolist(), 0.0
    for i in range(len(p)):
        for j in range(len(p)):
            total += 0.0 if i == j else p[i] * p[j] / (1 + torch.exp(REWARDS[j] - REWARDS[i]).item())
    for i, j, weight in list(zip(found.better.tolist(), found.worse.tolist(), found.weights.tolist()))[::7]:
        by_hand = p[i] * p[j] / (1 + torch.exp(REWARDS[j] - REWARDS[i]).item()) / total
        assert weight == pytest.approx(by_hand, rel=1e-9)
    assert found.weights.sum().item() == pytest.approx(1)
    assert len(found.weights) == len(p) * (len(p) - 1)


def test_the_population_loss_has_its_minimum_at_the_optimum():
    policy = reference()
    fit_pairs(policy, reference(), population(distribution(reference()).detach(), REWARDS), dpo, steps=150)
    assert distance(reference(), reference()) > 0.2
    assert distance(policy, reference()) < 1e-3


def test_a_transformer_comes_near_it():
    start = TransformerPolicy(SETTING, seed=1)
    policy = deepcopy(start)
    fit_pairs(policy, start, population(distribution(start).detach(), REWARDS), dpo, steps=150)
    assert distance(policy, start) < 0.02


def test_sampled_pairs_are_as_frequent_as_the_population():
    start = distribution(reference()).detach()
    everything = population(start, REWARDS)
    some = sampled(start, REWARDS, 200_000, torch.Generator().manual_seed(0))
    full = torch.zeros(len(REWARDS), len(REWARDS), dtype=torch.float64)
    full[some.better, some.worse] = some.weights
    error = full[everything.better, everything.worse] - everything.weights
    assert some.weights.sum().item() == pytest.approx(1)
    assert (error.abs() < 6 * (everything.weights / 200_000).sqrt()).all()


def test_more_comparisons_come_nearer():
    start = distribution(reference()).detach()
    found = []
    for count in (3_000, 300_000):
        policy = reference()
        shown = sampled(start, REWARDS, count, torch.Generator().manual_seed(1))
        fit_pairs(policy, reference(), shown, dpo, steps=100)
        found.append(distance(policy, reference()))
    assert found[1] < found[0] / 2


def test_no_comparisons_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        sampled(distribution(reference()).detach(), REWARDS, 0, torch.Generator())
