"""What is best in the enumerable setting, the optimum, the frontier and best-of-n, against lists and closed forms."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from minillm.exact import (
    Setting,
    best_of_n,
    distribution,
    draw,
    expected_reward,
    frontier,
    kl,
    optimum,
    reward_at,
    share_of_frontier,
    total_variation,
    toy_reward,
)
from minillm.exact_policies import TabularPolicy

SETTING = Setting(vocab_size=4, length=3)


def table(seed: int = 0, spread: float = 1.0, setting: Setting = SETTING) -> TabularPolicy:
    return TabularPolicy(setting, spread, seed)


def even(count: int) -> Tensor:
    return torch.full((count,), -math.log(count), dtype=torch.float64)


def random_distribution(count: int, seed: int, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(count, generator=generator, dtype=torch.float64)).log_softmax(0)


# -- what is best -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.1, 0.5, 3.0])
def test_the_optimum_is_in_proportion_to_reference_times_exp_of_reward_over_beta(beta):
    reference, rewards = random_distribution(9, 2), torch.randn(9, generator=torch.Generator().manual_seed(3)).double()
    weights = [math.exp(a + r / beta) for a, r in zip(reference.tolist(), rewards.tolist())]
    expected = torch.tensor([weight / sum(weights) for weight in weights], dtype=torch.float64)
    torch.testing.assert_close(optimum(reference, rewards, beta).exp(), expected)


@pytest.mark.parametrize("beta", [0.05, 0.3, 2.0])
def test_no_policy_has_a_better_objective_than_the_optimum(beta):
    reference, rewards = distribution(table(9)).detach(), toy_reward(SETTING, 9)

    def objective(logprobs):
        return float(expected_reward(logprobs, rewards) - beta * kl(logprobs, reference))

    best = optimum(reference, rewards, beta)
    log_partition = beta * math.log(math.fsum((reference + rewards / beta).exp().tolist()))
    assert objective(best) == pytest.approx(log_partition, rel=1e-9)
    for seed in range(200):
        nearby = (best + 10 ** -(seed % 4) * random_distribution(len(best), seed)).log_softmax(0)
        assert objective(nearby) < objective(best)


def test_a_tiny_beta_gives_everything_to_the_best_and_a_huge_one_leaves_the_reference():
    reference, rewards = distribution(table(9)).detach(), toy_reward(SETTING, 9)
    assert optimum(reference, rewards, 1e-6).exp()[rewards.argmax()].item() == pytest.approx(1)
    assert total_variation(optimum(reference, rewards, 1e6), reference) < 1e-5


def test_what_the_reference_never_says_the_optimum_never_says():
    reference = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64).log()
    rewards = torch.tensor([0.0, 1.0, 9.0], dtype=torch.float64)
    best = optimum(reference, rewards, 0.5)
    assert best[2] == -math.inf and best.exp()[1].item() == pytest.approx(1 / (1 + math.exp(-2)))
    assert reward_at(reference, rewards, 50.0).item() == pytest.approx(1)
    assert best_of_n(reference, rewards, 4)[2] == -math.inf


def test_no_policy_lies_above_the_frontier():
    reference, rewards = distribution(table(1)).detach(), toy_reward(SETTING, 1)
    points = []
    for seed in range(300):
        spread = 0.05 * 1.02**seed
        noise = spread * torch.randn(len(rewards), generator=torch.Generator().manual_seed(seed)).double()
        points.append((reference + noise + 2 * (seed % 3) * rewards).log_softmax(0))
        points.append(distribution(table(seed, spread)).detach())
    points += [best_of_n(reference, rewards, n) for n in (1, 2, 3, 10, 100)]
    nats = torch.stack([kl(logprobs, reference) for logprobs in points])
    gains = torch.stack([expected_reward(logprobs, rewards) for logprobs in points])
    assert (gains <= reward_at(reference, rewards, nats) + 1e-9).all() and nats.max() > 4 > 0.01 > nats.min()


def test_the_frontier_rises_ever_more_slowly_and_holds_its_optima():
    reference, rewards = distribution(table(2)).detach(), toy_reward(SETTING, 2)
    line = frontier(reference, rewards, torch.logspace(1, -0.5, 30))
    slopes = line.reward.diff() / line.kl.diff()
    assert (line.kl.diff() > 0).all() and (line.reward.diff() > 0).all() and (slopes.diff() < 0).all()
    between = (slopes <= line.beta[:-1] + 1e-9) & (slopes >= line.beta[1:] - 1e-9)
    assert between.all()  # beta is the slope: what one more nat buys
    for beta, nats, reward in zip(line.beta.tolist(), line.kl, line.reward):
        best = optimum(reference, rewards, beta)
        torch.testing.assert_close(kl(best, reference), nats)
        torch.testing.assert_close(expected_reward(best, rewards), reward)


def test_the_default_betas_scale_with_the_rewards_and_span_the_frontier():
    reference, rewards = distribution(table(2)).detach(), toy_reward(SETTING, 2)
    plain, scaled = frontier(reference, rewards), frontier(reference, 1000 * rewards + 5)
    torch.testing.assert_close(plain.kl, scaled.kl)
    torch.testing.assert_close(1000 * plain.reward + 5, scaled.reward)
    best = rewards.argmax()
    assert plain.kl[0] < 0.01 and plain.kl[-1] > 0.98 * -reference[best]
    assert frontier(reference, rewards, [0.1, 2.0, 0.5]).beta.tolist() == [2.0, 0.5, 0.1]


def test_reward_at_meets_the_frontier_and_its_ends():
    reference, rewards = distribution(table(2)).detach(), toy_reward(SETTING, 2)
    line = frontier(reference, rewards)
    torch.testing.assert_close(reward_at(reference, rewards, line.kl), line.reward)
    torch.testing.assert_close(reward_at(reference, rewards, 0.0), expected_reward(reference, rewards))
    furthest = -reference[rewards.argmax()].item()
    torch.testing.assert_close(reward_at(reference, rewards, [[furthest, furthest + 3]]), rewards.max().expand(1, 2))
    assert reward_at(reference, rewards, 0.5).shape == ()


def test_two_outcomes_by_hand():
    """With an even reference and rewards 0 and 1, a policy with P(1) = p has KL = log 2 - entropy and reward p."""
    for p in (0.6, 0.9, 0.999):
        nats = math.log(2) + p * math.log(p) + (1 - p) * math.log(1 - p)
        got = reward_at(even(2), torch.tensor([0.0, 1.0]), nats)
        assert got.item() == pytest.approx(p, abs=1e-8)


def test_rewards_that_are_all_equal_leave_nothing_to_gain():
    reference, rewards = random_distribution(5, 0), torch.full((5,), 2.5)
    assert reward_at(reference, rewards, [0.0, 1.0]).tolist() == pytest.approx([2.5, 2.5])
    torch.testing.assert_close(frontier(reference, rewards).kl, torch.zeros(60, dtype=torch.float64))
    assert math.isnan(share_of_frontier(reference, reference, rewards))


def test_the_share_of_the_frontier_is_1_at_an_optimum_and_less_elsewhere():
    reference, rewards = distribution(table(3)).detach(), toy_reward(SETTING, 3)
    assert share_of_frontier(optimum(reference, rewards, 0.4), reference, rewards) == pytest.approx(1)
    assert 0.5 < share_of_frontier(best_of_n(reference, rewards, 8), reference, rewards) < 1
    assert share_of_frontier(optimum(reference, -rewards, 0.4), reference, rewards) < 0


# -- best of n ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outcomes", "expected"), [(2, 0.693), (100, 1.834)])
def test_best_of_16_has_the_known_kl(outcomes, expected):
    best = best_of_n(even(outcomes), torch.arange(outcomes), 16)
    assert kl(best, even(outcomes)).item() == pytest.approx(expected, abs=5e-4)
    assert kl(best, even(outcomes)).item() < math.log(16) - 15 / 16  # 1.835, which is a bound


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_best_of_n_is_what_listing_all_draws_gives(n):
    reference = random_distribution(5, 4)
    rewards = torch.tensor([1.0, -2.0, 1.0, 0.0, -2.0])  # two ties
    expected = torch.zeros(5, dtype=torch.float64)
    for drawn in itertools.product(range(5), repeat=n):
        chance = math.prod(reference[list(drawn)].exp().tolist())
        top = max(rewards[i] for i in drawn)
        best = [i for i in drawn if rewards[i] == top]
        for i in best:
            expected[i] += chance / len(best)
    torch.testing.assert_close(best_of_n(reference, rewards, n).exp(), expected)


@pytest.mark.parametrize("n", [2, 16])
def test_best_of_n_agrees_with_drawing(n):
    """40,000 draws: the chance that chi-square of 780 degrees exceeds its mean by 4 deviations is below 1e-4."""
    setting = Setting()
    reference, rewards = distribution(table(1, setting=setting)).detach(), toy_reward(setting, 1).round(decimals=1)
    count = 40_000
    generator = torch.Generator().manual_seed(n)
    drawn = draw(reference, count * n, generator).view(count, n)
    tie_break = torch.rand(drawn.shape, generator=generator) * 1e-6
    best = drawn.gather(1, (rewards[drawn] + tie_break).argmax(1, keepdim=True))[:, 0]
    expected = count * best_of_n(reference, rewards, n).exp()
    seen = best.bincount(minlength=setting.num_sequences)
    often = expected >= 5  # the rest is counted as one more outcome
    expected = torch.cat((expected[often], expected[~often].sum()[None]))
    seen = torch.cat((seen[often], seen[~often].sum()[None]))
    degrees = len(seen) - 1
    chi_square = ((seen - expected) ** 2 / expected).sum().item()
    assert abs(chi_square - degrees) < 4 * math.sqrt(2 * degrees)


def test_best_of_one_is_the_reference_and_best_of_very_many_the_best():
    reference, rewards = distribution(table(1)).detach(), toy_reward(SETTING, 1)
    torch.testing.assert_close(best_of_n(reference, rewards, 1), reference)
    assert best_of_n(reference, rewards, 10**6).exp()[rewards.argmax()].item() == pytest.approx(1)


def test_only_the_order_of_the_rewards_matters_to_best_of_n():
    reference, rewards = distribution(table(1)).detach(), toy_reward(SETTING, 1)
    torch.testing.assert_close(best_of_n(reference, rewards, 7), best_of_n(reference, rewards.exp() - 3, 7))
