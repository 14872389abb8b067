"""The enumerable setting against brute force, closed forms, finite differences and Monte Carlo."""

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
    policy_gradient,
    reward_at,
    state_values,
    total_variation,
    toy_reward,
)
from minillm.exact_policies import TabularPolicy, TransformerPolicy

SETTING = Setting(vocab_size=4, length=3)
SIZES = [(2, 1), (2, 4), (3, 1), (4, 3), (6, 4), (10, 3)]


def table(seed: int = 0, spread: float = 1.0, setting: Setting = SETTING) -> TabularPolicy:
    return TabularPolicy(setting, spread, seed)


def transformer(seed: int = 0, setting: Setting = SETTING) -> TransformerPolicy:
    return TransformerPolicy(setting, dim=8, layers=2, spread=0.5, seed=seed)


def even(count: int) -> Tensor:
    return torch.full((count,), -math.log(count), dtype=torch.float64)


def random_distribution(count: int, seed: int, spread: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(count, generator=generator, dtype=torch.float64)).log_softmax(0)


def brute_force_sequences(vocab_size: int, length: int) -> set[tuple[int, ...]]:
    """Every word over the vocabulary, cut at its first end token."""
    words = itertools.product(range(vocab_size), repeat=length)
    return {word[: word.index(0) + 1] if 0 in word else word for word in words}


def real_tokens(setting: Setting) -> list[tuple[int, ...]]:
    return [tuple(row[keep].tolist()) for row, keep in zip(setting.sequences, setting.mask)]


# -- the list of sequences ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_every_sequence_is_listed_once(size):
    setting = Setting(*size)
    listed = real_tokens(setting)
    assert len(listed) == setting.num_sequences == len(set(listed))
    assert set(listed) == brute_force_sequences(*size)
    assert setting.lengths.tolist() == [len(tokens) for tokens in listed]
    assert not setting.sequences[~setting.mask].any()


def test_the_default_setting_has_781_sequences_and_156_prefixes():
    assert (Setting().num_sequences, Setting().num_prefixes) == (781, 156)


@pytest.mark.parametrize("size", SIZES)
def test_a_row_is_the_number_of_the_prefix_that_a_token_follows(size):
    setting = Setting(*size)
    seen = {}
    for tokens, rows in zip(real_tokens(setting), setting.rows.tolist()):
        for t in range(len(tokens)):
            assert seen.setdefault(tokens[:t], rows[t]) == rows[t]
        assert not any(rows[len(tokens) :])
    assert sorted(seen.values()) == list(range(setting.num_prefixes))
    assert all(setting.sequences[row, : len(prefix)].tolist() == list(prefix) for prefix, row in seen.items())


def test_an_index_finds_a_sequence_or_a_prefix():
    assert SETTING.index(SETTING.sequences).tolist() == list(range(SETTING.num_sequences))
    assert SETTING.index(torch.tensor([[0, 0, 0], [3, 0, 0], [1, 2, 0]])).tolist() == [0, 3, 5]
    assert SETTING.index(torch.empty(2, 0, dtype=torch.long)).tolist() == [0, 0]


def test_a_sequence_reads_as_letters():
    assert [SETTING.text(i) for i in (0, 3, SETTING.num_sequences - 1)] == [".", "c.", "ccc"]


@pytest.mark.parametrize("size", [(1, 3), (4, 0), (4.0, 3), (True, 3)])
def test_sizes_that_make_no_sense_are_refused(size):
    with pytest.raises(ValueError, match="must be a whole number of at least"):
        Setting(*size)


@pytest.mark.parametrize("size", [(10, 8), (1000, 1000), (2**30, 1), (200_001, 1)])
def test_what_cannot_be_listed_is_refused_before_it_is_tried(size):
    with pytest.raises(ValueError, match="choose a smaller vocabulary or length"):
        Setting(*size)


def test_the_toy_reward_is_standardised_seeded_and_made_of_tokens_pairs_and_length():
    rewards = toy_reward(SETTING, seed=3)
    assert rewards.mean().item() == pytest.approx(0, abs=1e-12)
    assert rewards.std(correction=0).item() == pytest.approx(1)
    assert torch.equal(rewards, toy_reward(SETTING, seed=3)) and not torch.equal(rewards, toy_reward(SETTING, seed=4))
    features = []
    for tokens in real_tokens(SETTING):
        counts = torch.zeros(4 + 16 + 4)
        for t, token in enumerate(tokens):
            counts[token] += 1
            if t:
                counts[4 + 4 * tokens[t - 1] + token] += 1
        counts[20 + len(tokens)] = 1
        features.append(counts)
    features = torch.stack(features).double()
    fitted = torch.linalg.lstsq(features, rewards[:, None], driver="gelsd").solution
    torch.testing.assert_close((features @ fitted)[:, 0], rewards)


# -- one policy ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [table(1), transformer(1)])
def test_a_probability_is_the_product_of_the_tokens(policy):
    with torch.no_grad():
        logits, got = policy().clone(), distribution(policy).exp()
    for s, tokens in enumerate(real_tokens(SETTING)):
        expected = 1.0
        for t, token in enumerate(tokens):
            weights = logits[SETTING.index(torch.tensor(tokens[:t], dtype=torch.long))].exp()
            expected *= float(weights[token] / weights.sum())
        assert got[s].item() == pytest.approx(expected, rel=1e-12)
    assert got.sum().item() == pytest.approx(1, abs=1e-12)


def test_the_transformer_reads_each_prefix_as_if_it_stood_alone():
    policy = transformer(2)
    for row, logits in enumerate(policy()):
        prefix = SETTING.sequences[row][: SETTING.lengths[row] - 1].tolist()
        alone = policy.body(torch.tensor([[SETTING.vocab_size, *prefix]]))[0, -1, :-1]
        torch.testing.assert_close(logits, alone)


def test_policies_start_even_or_nearly_so_and_follow_their_seed():
    assert kl(distribution(table(spread=0.0)), distribution(table(5, spread=0.0))).item() == 0
    first = TransformerPolicy(Setting(), seed=1)
    assert kl(distribution(first), distribution(TabularPolicy(Setting()))).item() < 0.5
    for make in (table, transformer):
        assert torch.equal(make(1)(), make(1)()) and not torch.equal(make(1)(), make(2)())


def test_making_a_policy_leaves_the_random_state_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    table(), transformer()
    assert torch.equal(torch.rand(3), expected)


def test_draws_follow_the_distribution():
    logprobs = random_distribution(12, seed=0)
    count = 200_000
    seen = draw(logprobs, count, torch.Generator().manual_seed(1)).bincount(minlength=12)
    p = logprobs.exp()
    z = (seen - count * p) / (count * p * (1 - p)).sqrt()
    assert z.abs().max() < 4  # of 12 normal numbers, about one set in 1,300 has a larger one


def test_expected_reward_is_a_sum_over_all_sequences():
    logprobs, rewards = distribution(table(3)).detach(), toy_reward(SETTING, 3)
    expected = math.fsum(math.exp(a) * r for a, r in zip(logprobs.tolist(), rewards.tolist()))
    assert expected_reward(logprobs, rewards).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("make", [table, transformer])
def test_the_policy_gradient_agrees_with_finite_differences(make):
    policy, rewards = make(4), toy_reward(SETTING, 4)
    gradients = policy_gradient(policy, rewards)
    assert set(gradients) == {name for name, _ in policy.named_parameters()}
    for name, weight in policy.named_parameters():
        flat = weight.data.view(-1)
        for i in range(0, len(flat), max(1, len(flat) // 7)):
            start, ends = flat[i].item(), []
            for step in (1e-5, -1e-5):
                flat[i] = start + step
                ends.append(expected_reward(distribution(policy), rewards).item())
            flat[i] = start
            slope = (ends[0] - ends[1]) / 2e-5
            assert gradients[name].view(-1)[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-8), (name, i)


def test_the_policy_gradient_of_a_table_is_the_closed_form():
    """dJ / dlogit(prefix, token) = P(prefix) p(token) (Q(prefix, token) - V(prefix)): no sum of scores in sight."""
    policy, rewards = table(5), toy_reward(SETTING, 5)
    p = distribution(policy).detach().exp()
    chance = policy().detach().softmax(-1)
    expected = torch.zeros_like(chance)
    listed = real_tokens(SETTING)
    for row in range(SETTING.num_prefixes):
        prefix = tuple(SETTING.sequences[row][: SETTING.lengths[row] - 1].tolist())
        through = [
            s for s, tokens in enumerate(listed) if tokens[: len(prefix)] == prefix and len(tokens) > len(prefix)
        ]
        reach = sum(p[s] for s in through)
        value = sum(p[s] * rewards[s] for s in through) / reach
        for token in range(SETTING.vocab_size):
            then = [s for s in through if listed[s][len(prefix)] == token]
            quality = sum(p[s] * rewards[s] for s in then) / sum(p[s] for s in then)
            expected[row, token] = reach * chance[row, token] * (quality - value)
    torch.testing.assert_close(policy_gradient(policy, rewards)["table"], expected)


@pytest.mark.parametrize("make", [table, transformer])
def test_with_the_log_ratio_in_the_reward_it_is_the_gradient_of_the_penalised_objective(make):
    policy, rewards, beta = make(6), toy_reward(SETTING, 6), 0.3
    reference = distribution(table(7)).detach()
    logprobs = distribution(policy)
    objective = expected_reward(logprobs, rewards) - beta * kl(logprobs, reference)
    expected = torch.autograd.grad(objective, list(policy.parameters()), allow_unused=True)
    got = policy_gradient(policy, rewards - beta * (logprobs - reference).detach())
    for ours, theirs in zip(got.values(), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_frozen_parameter_has_no_gradient():
    policy = transformer()
    policy.body.embed.weight.requires_grad_(False)
    assert "body.embed.weight" not in policy_gradient(policy, toy_reward(SETTING))


def test_state_values_are_means_over_the_continuations():
    logprobs, rewards = distribution(table(8)).detach(), toy_reward(SETTING, 8)
    values, listed = state_values(SETTING, logprobs, rewards), real_tokens(SETTING)
    assert values[0].item() == pytest.approx(expected_reward(logprobs, rewards).item())
    for row in range(SETTING.num_prefixes):
        prefix = tuple(SETTING.sequences[row][: SETTING.lengths[row] - 1].tolist())
        through = [
            s for s, tokens in enumerate(listed) if tokens[: len(prefix)] == prefix and len(tokens) > len(prefix)
        ]
        weights = logprobs[through].exp()
        assert values[row].item() == pytest.approx(float(weights @ rewards[through] / weights.sum()))


def test_prefixes_that_are_never_reached_have_the_value_0():
    policy = table()
    policy.table.data[0, 1] = -math.inf  # no sequence begins with token 1
    values = state_values(SETTING, distribution(policy), toy_reward(SETTING))
    assert values[1] == 0 and values.isfinite().all()


# -- two policies -------------------------------------------------------------------------------------------------


def test_kl_of_three_outcomes():
    p, q = (torch.tensor(x, dtype=torch.float64).log() for x in ((0.5, 0.3, 0.2), (0.2, 0.3, 0.5)))
    assert kl(p, q).item() == pytest.approx(0.27489, abs=5e-6)


@pytest.mark.parametrize("seed", range(5))
def test_kl_is_a_sum_over_sequences_that_is_also_a_sum_over_tokens(seed):
    policy, reference = table(seed), table(seed + 10)
    logprobs, ref_logprobs = distribution(policy).detach(), distribution(reference).detach()
    by_sequence = math.fsum((logprobs.exp() * (logprobs - ref_logprobs)).tolist())
    assert kl(logprobs, ref_logprobs).item() == pytest.approx(by_sequence, rel=1e-12)
    chance = policy().detach().log_softmax(-1)
    each = (chance.exp() * (chance - reference().detach().log_softmax(-1))).sum(1)  # (R,)
    by_token = (logprobs.exp()[:, None] * SETTING.mask * each[SETTING.rows]).sum().item()
    assert kl(logprobs, ref_logprobs).item() == pytest.approx(by_token, rel=1e-12)
    assert kl(logprobs, logprobs).item() == 0 < by_sequence


def test_kl_where_one_of_the_two_never_goes():
    never, everywhere = torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.2, 0.3, 0.5]).log()
    assert kl(never, everywhere).item() == pytest.approx(0.5 * math.log(2.5) + 0.5 * math.log(5 / 3), rel=1e-6)
    assert kl(everywhere, never).item() == math.inf


def test_total_variation_is_the_largest_difference_of_an_event():
    p, q = random_distribution(6, 0), random_distribution(6, 1)
    gaps = p.exp() - q.exp()
    events = (sum(gaps[list(event)]) for k in range(7) for event in itertools.combinations(range(6), k))
    assert total_variation(p, q).item() == pytest.approx(max(float(gap) for gap in events))
    assert total_variation(p, p).item() == 0


# -- errors, precision, speed -------------------------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0, -1.0, math.nan, None])
def test_a_beta_that_is_not_above_0_is_refused(beta):
    with pytest.raises(ValueError, match="beta must be a number above 0"):
        optimum(even(3), torch.zeros(3), beta)
    if beta is not None:
        with pytest.raises(ValueError, match="betas must be a list of numbers above 0"):
            frontier(even(3), torch.zeros(3), [1.0, beta])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kl(torch.zeros(3), even(3)), "probabilities of sum 1, got 3"),
        (lambda: kl(even(3), even(4)), r"must both be \(S,\), got \(3,\) and \(4,\)"),
        (lambda: expected_reward(even(3), torch.zeros(3, 1)), r"log-probabilities and rewards must both be \(S,\)"),
        (lambda: optimum(even(3), torch.tensor([0.0, math.inf, 0.0]), 1.0), "rewards must be finite"),
        (lambda: reward_at(even(3), torch.zeros(3), -0.1), "kl must be 0 or more"),
        (lambda: best_of_n(even(3), torch.zeros(3), 0), "n must be a whole number of at least 1"),
        (lambda: draw(even(3), 0, torch.Generator()), "count must be at least 1"),
        (lambda: SETTING.token_logprobs(torch.zeros(13, 5)), r"\(R, V\) = \(13, 4\), got \(13, 5\)"),
        (lambda: SETTING.index(torch.zeros(2, 4, dtype=torch.long)), "with T at most 3"),
    ],
)
def test_errors_say_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_everything_is_float64_whatever_comes_in():
    reference, rewards = even(4).float(), torch.arange(4)
    results = [optimum(reference, rewards, 1.0), best_of_n(reference, rewards, 3), kl(reference, reference)]
    results += [expected_reward(reference, rewards), reward_at(reference, rewards, 0.5), toy_reward(SETTING)]
    results += [distribution(table()), distribution(transformer())]
    assert {result.dtype for result in results} == {torch.float64}


def test_a_large_setting_has_a_frontier_too():
    setting = Setting(10, 5)
    line = frontier(distribution(TabularPolicy(setting)).detach(), toy_reward(setting))
    assert setting.num_sequences > 50_000
    assert (line.kl.diff() > 0).all() and (line.reward.diff() > 0).all()
