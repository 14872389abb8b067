"""The language model's loops in the enumerable setting: the same numbers as the exact ones, and near the frontier."""

from copy import deepcopy
from dataclasses import fields, replace

import pytest
import torch

from minillm.course.exercises import reference
from minillm.exact import Setting, distribution, expected_reward, kl, reward_at, share_of_frontier, toy_reward
from minillm.exact_policies import TabularPolicy, TransformerPolicy
from minillm.exact_training import TABULAR_PPO, TRANSFORMER_PPO, ActorCritic, Collector
from minillm.ppo import Functions, train_ppo

SMALL = Setting(vocab_size=4, length=3)
FUNCTIONS = Functions(**{part.name: reference(part.name) for part in fields(Functions)})


def policies() -> list:
    return [TabularPolicy(SMALL, spread=1.0, seed=1), TransformerPolicy(SMALL, dim=8, layers=2, spread=0.5, seed=1)]


def collector(model: ActorCritic, setting: Setting, count: int = 64, seed: int = 0) -> Collector:
    rewards = toy_reward(setting, seed)
    return Collector(deepcopy(model.policy), rewards, reference("token_logprobs"), count, seed)


@pytest.mark.parametrize("policy", policies(), ids=["table", "transformer"])
def test_a_rollout_of_every_sequence_has_the_exact_log_probs(policy):
    model = ActorCritic(policy)
    rollout = collector(model, SMALL).rollout(model, torch.arange(len(SMALL.sequences)))
    torch.testing.assert_close(rollout.logprobs.sum(1), distribution(policy).detach())
    torch.testing.assert_close(rollout.ref_logprobs, rollout.logprobs)
    assert torch.equal(rollout.mask, SMALL.mask) and torch.equal(rollout.scores, toy_reward(SMALL, 0))


def test_draws_depend_on_seed_and_iteration_alone():
    model = ActorCritic(policies()[0])
    ours = collector(model, SMALL)
    assert torch.equal(ours(model, 3).tokens, ours(model, 3).tokens)
    assert not torch.equal(ours(model, 3).tokens, ours(model, 4).tokens)
    assert not torch.equal(ours(model, 3).tokens, collector(model, SMALL, seed=1)(model, 3).tokens)


def test_rewards_of_another_setting_are_refused():
    with pytest.raises(ValueError, match=r"rewards must be \(S,\) = \(40,\), one a sequence, got \(781,\)"):
        Collector(policies()[0], toy_reward(Setting()), reference("token_logprobs"))


@pytest.mark.parametrize(
    ("policy", "recipe", "least"),
    [
        (TabularPolicy(Setting(), spread=0.5, seed=0), TABULAR_PPO, 0.97),
        (TransformerPolicy(Setting(), spread=0.1, seed=0), replace(TRANSFORMER_PPO, iterations=60), 0.9),
    ],
    ids=["table", "transformer"],
)
def test_ppo_reaches_most_of_the_frontiers_gain_and_never_passes_it(policy, recipe, least):
    setting = policy.setting
    model = ActorCritic(policy)
    start, rewards = distribution(model.policy).detach(), toy_reward(setting, 0)
    ours = collector(model, setting, recipe.batch_size)
    train_ppo(model, ours, FUNCTIONS, replace(recipe, beta=0.5), progress=False)
    end = distribution(model.policy).detach()
    assert expected_reward(end, rewards) > expected_reward(start, rewards) + 0.3
    assert least <= share_of_frontier(end, start, rewards) <= 1
    assert expected_reward(end, rewards) <= reward_at(start, rewards, kl(end, start)) + 1e-9
