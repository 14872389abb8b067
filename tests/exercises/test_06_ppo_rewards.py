"""What a right solution of lesson 06 is, continued: rewards of tokens, advantages and returns."""

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course.expect import expect_close, expect_no_gradient, expect_results
from minillm.course.testing import exercise

# --- shape_rewards ----------------------------------------------------------------------------------------------


def scored(seed: int, lengths: tuple[int, ...] = (3, 6, 1, 4), T: int = 7) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Log-probabilities of both models (B, T), wild at padding, scores (B,) of both signs, and the mask (B, T)."""
    g = torch.Generator().manual_seed(seed)
    B = len(lengths)
    mask = (torch.arange(T) < torch.tensor(lengths)[:, None]).float()
    logprobs, ref_logprobs = -0.2 - 2.5 * torch.rand(2, B, T, generator=g)
    logprobs = torch.where(mask.bool(), logprobs, 20 + 9 * torch.rand(B, T, generator=g))
    ref_logprobs = torch.where(mask.bool(), ref_logprobs, -15 - 9 * torch.rand(B, T, generator=g))
    scores = (0.5 + torch.rand(B, generator=g)) * torch.tensor([1.0, -1.0, 2.0, 1.5] * 2)[:B]
    return logprobs, ref_logprobs, scores, mask


def rewards_of(logprobs: Tensor, ref_logprobs: Tensor, scores: Tensor, mask: Tensor, beta: float) -> list[list[float]]:
    """Token by token."""
    rows = []
    for p, q, score, keep in zip(*(x.double().tolist() for x in (logprobs, ref_logprobs, scores, mask))):
        n = int(sum(keep))
        row = [-beta * (p[t] - q[t]) for t in range(n)] + [0.0] * (len(keep) - n)
        row[n - 1] += score
        rows.append(row)
    return rows


def reward_mistakes(logprobs: Tensor, ref_logprobs: Tensor, scores: Tensor, mask: Tensor, beta: float) -> dict:
    p, q, s, m = (x.double() for x in (logprobs, ref_logprobs, scores, mask))
    B, T = m.shape
    n = m.sum(1).long()
    rows, log_ratio = torch.arange(B), (p - q) * m
    penalty = -beta * log_ratio

    def at(columns: Tensor, values: Tensor = s) -> Tensor:
        place = torch.zeros(B, T, dtype=torch.float64)
        place[rows, columns.clamp(0, T - 1)] = values
        return place

    last = at(n - 1)
    kl = log_ratio.sum(1)
    spread = s[:, None] / n[:, None] * m
    k2 = log_ratio**2 / 2
    k3 = ((-log_ratio).exp() - 1 + log_ratio) * m
    longest, first_row = torch.full((B,), int(n.max()) - 1), torch.full((B,), int(n[0]) - 1)
    return {
        "the sign of the penalty is flipped: the policy is paid for leaving the reference. See trap 1.": last - penalty,
        "beta is not used: the penalty is the bare log-ratio.": last - log_ratio,
        "beta weighs the score as well. See trap 4.": beta * last + penalty,
        "beta weighs the score and not the penalty. See trap 4.": beta * last - log_ratio,
        "the score stands in the last column, behind the end of shorter rows. See trap 2.": (
            penalty + at(torch.full((B,), T - 1))
        ),
        "the score stands where the longest row ends. See trap 2.": penalty + at(longest),
        "the score stands where the first row ends. See trap 2.": penalty + at(first_row),
        "the score stands on the first token: it belongs on the last. See trap 2.": penalty + at(0 * n),
        "the score stands one token behind the last. See trap 2.": penalty + at(n),
        "the score stands one token behind the last (lost where there is none). See trap 2.": (
            penalty + at(n) * (F.pad(m, (1, 0))[:, :T])
        ),
        "the score stands on the token before the last. See trap 2.": penalty + at(n - 2),
        "every token gets the score: it is earned once, at the last. See trap 2.": penalty + s[:, None] * m,
        "the score is spread evenly over the tokens; here it belongs on the last. See trap 2.": penalty + spread,
        "every column gets the score, padding too. See traps 2 and 5.": penalty + s[:, None],
        "the score takes the place of the last token's penalty; it is added to it. See trap 3.": (
            torch.where(last != 0, last, penalty)
        ),
        "the whole penalty stands on the last token: each token pays its own.": at(n - 1, s - beta * kl),
        "the mean penalty stands on the last token: each token pays its own.": at(n - 1, s - beta * kl / n),
        "the penalty is missing.": last,
        "the score is missing.": penalty,
        "the score is subtracted.": penalty - last,
        "padding pays a penalty too: 0 is asked for there. See trap 5.": last - beta * (p - q),
        "the penalty is made of k3, not k1.": last - beta * k3,
        "the penalty is made of k2, not k1.": last - beta * k2,
        "the absolute log-ratio is charged: a token that the reference likes better gives something back.": (
            last - beta * log_ratio.abs()
        ),
        "only positive log-ratios are charged: a token that the reference likes better gives something back.": (
            last - beta * log_ratio.clamp(min=0)
        ),
        "probabilities are compared, not their logs.": last - beta * (p.exp() - q.exp()) * m,
        "the penalty is divided by the length of the row.": last + penalty / n[:, None],
        "the reference is left out: what is charged is the policy's own log-probability.": last - beta * p * m,
        "the rewards are added up over each row: one for each token is asked for.": s - beta * kl,
        "the penalty is divided by beta.": last - log_ratio / beta,
        "the score is cut off to [-1, 1].": at(n - 1, s.clamp(-1, 1)) + penalty,
        "the scores are whitened.": lambda: at(n - 1, (s - s.mean()) / s.std()) + penalty,
        "the scores have their mean taken off.": lambda: at(n - 1, s - s.mean()) + penalty,
    }


def check_rewards(handle, rows: tuple[Tensor, Tensor, Tensor, Tensor], beta: float, words: str = "") -> None:
    what = f"the reward{words}"
    expect_close(handle(*rows, beta), rewards_of(*rows, beta), what, mistakes=reward_mistakes(*rows, beta))


@exercise("shape_rewards", "rows of different length")
def test_shape_rewards_values(handle, seed):
    check_rewards(handle, scored(seed), 0.3)


@exercise("shape_rewards", "the worked example")
def test_shape_rewards_worked_example(handle, seed):
    rows = torch.tensor([[-0.5, -1.0]]), torch.tensor([[-1.5, -0.5]]), torch.tensor([2.0]), torch.ones(1, 2)
    check_rewards(handle, rows, 0.1, " (worked example)")


@exercise("shape_rewards", "beta = 0 leaves the score, and a score of 0 the penalty")
def test_shape_rewards_parts(handle, seed):
    logprobs, ref_logprobs, scores, mask = scored(seed)
    check_rewards(handle, (logprobs, ref_logprobs, scores, mask), 0.0, " (beta = 0)")
    check_rewards(handle, (logprobs, ref_logprobs, 0 * scores, mask), 0.7, " (scores of 0)")
    check_rewards(handle, (logprobs, logprobs, scores, mask), 0.7, " (policy = reference)")


@exercise("shape_rewards", "no gradient runs through a reward")
def test_shape_rewards_no_gradient(handle, seed):
    _, grads = handle.gradients(*scored(seed), 0.3, wrt=[0, 1, 2])
    for key, name in enumerate(("logprobs", "ref_logprobs", "scores")):
        expect_no_gradient(grads[key], name, "A reward is data: detach it. See trap 6.")


@exercise("shape_rewards", "masks of any type, float64, strides, one token, the order of rows")
def test_shape_rewards_forms(handle, seed):
    logprobs, ref_logprobs, scores, mask = scored(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_rewards(handle, (logprobs, ref_logprobs, scores, mask.to(kind)), 0.3, f" (mask of type {str(kind)[6:]})")
    rows = tuple(x.double()[[3, 2, 0, 1]] for x in (logprobs, ref_logprobs, scores, mask))
    strided = tuple(x.T.contiguous().T if x.ndim == 2 else x for x in rows)
    check_rewards(handle, strided, 0.3, " (float64, strides, rows in another order)")
    check_rewards(handle, scored(seed, (5, 5, 5), 5), 0.3, " (no padding)")
    check_rewards(handle, scored(seed, (1, 1, 1), 1), 0.3, " (one token)")


# --- gae --------------------------------------------------------------------------------------------------------

BOTH = "advantages, returns"


def episode(seed: int, lengths: tuple[int, ...] = (3, 6, 1, 4), T: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards and values (B, T), wild at padding, and the mask (B, T)."""
    g = torch.Generator().manual_seed(seed)
    B = len(lengths)
    mask = (torch.arange(T) < torch.tensor(lengths)[:, None]).float()
    rewards, values = torch.randn(2, B, T, generator=g) + torch.tensor([0.3, 0.8])[:, None, None]
    wild = 20 + 20 * torch.rand(2, B, T, generator=g)
    return torch.where(mask.bool(), rewards, wild[0]), torch.where(mask.bool(), values, -wild[1]), mask


def by_definition(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[list, list]:
    """Each advantage as its own sum of (gamma lam)^l delta_{t+l} over the rest of the row."""
    advantages, returns = [], []
    for r, v, keep in zip(rewards.double().tolist(), values.double().tolist(), mask.tolist()):
        n, T = int(sum(keep)), len(keep)
        delta = [r[t] + gamma * (v[t + 1] if t + 1 < n else 0.0) - v[t] for t in range(n)]
        row = [sum((gamma * lam) ** (k - t) * delta[k] for k in range(t, n)) for t in range(n)]
        advantages.append(row + [0.0] * (T - n))
        returns.append([a + v[t] for t, a in enumerate(row)] + [0.0] * (T - n))
    return advantages, returns


def backwards(r: Tensor, v: Tensor, keep_value: Tensor, keep_rest: Tensor, step: float, carry: float) -> Tensor:
    """The recursion, with masks for what follows: A_t = r_t + step V_{t+1} - V_t + carry A_{t+1}."""
    found, after = torch.zeros_like(v), F.pad(v[:, 1:] * keep_value[:, 1:], (0, 1))  # (B, T)
    running = torch.zeros_like(v[:, 0])
    for t in reversed(range(v.shape[1])):
        rest = running * keep_rest[:, t + 1] if t + 1 < v.shape[1] else 0.0
        running = r[:, t] + step * after[:, t] - v[:, t] + carry * rest
        found[:, t] = running
    return found


def advantage_mistakes(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> dict:
    r, v, m = (x.double() for x in (rewards, values, mask))
    ones, nothing, carry = torch.ones_like(m), torch.zeros_like(m), gamma * lam
    n = m.sum(1).long() - 1
    right = backwards(r, v, m, m, gamma, carry) * m
    at_end = F.one_hot(n, m.shape[1]).double()
    following = F.pad(v[:, 1:] * m[:, 1:], (0, 1))
    delta = (r + gamma * following - v) * m
    forward, past, running = torch.zeros_like(r), torch.zeros_like(r), torch.zeros_like(r[:, 0])
    for t in range(r.shape[1]):
        running = delta[:, t] + carry * running
        forward[:, t] = running
        past[:, t] = v[:, t - 1] if t else 0.0
    togo = backwards(r, 0 * v, m, m, 0.0, gamma) * m
    zero = torch.zeros_like(r)
    counted = right[m.bool()]
    ignored = "the mask is ignored: values behind the end of a row leak into its advantages. See trap 1."
    at_last = "the mask is only used on the results: what stands behind the end has leaked in before. See trap 1."
    return {
        ignored: backwards(r, v, ones, ones, gamma, carry),
        at_last: backwards(r, v, ones, ones, gamma, carry) * m,
        "the value behind the end of a row is used as its next value: there is none. See trap 1.": (
            backwards(r, v, ones, m, gamma, carry) * m
        ),
        "advantages of padding are carried into the row: after its end there are none. See trap 1.": (
            backwards(r, v, m, ones, gamma, carry) * m
        ),
        "the advantages at padding are not 0.": backwards(r, v, m, m, gamma, carry),
        "gamma is missing where the next advantage is carried: it is gamma * lam. See trap 2.": (
            backwards(r, v, m, m, gamma, lam) * m
        ),
        "lam is not used: the next advantage is carried with gamma alone. See trap 2.": (
            backwards(r, v, m, m, gamma, gamma) * m
        ),
        "gamma is missing in delta: the next value is worth gamma times as much. See trap 2.": (
            backwards(r, v, m, m, 1.0, carry) * m
        ),
        "gamma is not used at all.": backwards(r, v, m, m, 1.0, lam) * m,
        "the next value is multiplied by gamma * lam: that belongs to the next advantage. See trap 2.": (
            backwards(r, v, m, m, carry, carry) * m
        ),
        "gamma and lam have changed places.": backwards(r, v, m, m, lam, carry) * m,
        "the next advantage is not carried: these are the surprises delta alone.": delta,
        "the next advantage is carried undiminished: gamma * lam is missing.": backwards(r, v, m, m, gamma, 1.0) * m,
        "the next advantage is carried with 1 - lam.": backwards(r, v, m, m, gamma, gamma * (1 - lam)) * m,
        "the next value is missing in delta.": backwards(r, v, m, m, 0.0, carry) * m,
        "the value of the token itself is not subtracted in delta.": backwards(r + v, v, m, m, gamma, carry) * m,
        "the signs of both values in delta are flipped.": backwards(r, -v, m, m, gamma, carry) * m,
        "the next value is that of the same token: values[:, t + 1] is asked for.": (
            backwards(r + gamma * v, v, nothing, m, gamma, carry) * m
        ),
        "the *previous* value is used as the next one.": backwards(r + gamma * past, v, nothing, m, gamma, carry) * m,
        "after the last token the value goes on as it was: it is 0 there. See trap 1.": (
            backwards(r + gamma * v * at_end, v, m, m, gamma, carry) * m
        ),
        "the surprise of the last token is lost: the mask is one place too far left.": (
            backwards(r * (1 - at_end) + v * at_end, v, m, m, gamma, carry) * m
        ),
        "the recursion runs from the beginning to the end. See trap 3.": forward,
        "the recursion runs from the beginning to the end, through the mask. See trap 3.": forward * m,
        "these are the returns; the advantages come first.": right + v * m,
        "these are sums of rewards: the values are not used.": togo,
        "the advantages are whitened: that comes later. See trap 4.": lambda: (
            (right - counted.mean()) / (counted.var(correction=0) + 1e-8).sqrt() * m
        ),
        "the advantages are whitened (with the sample variance): that comes later. See trap 4.": lambda: (
            (right - counted.mean()) / counted.std() * m
        ),
        "the recursion runs over the rows of the batch, not over time.": lambda: (
            backwards(r.T, v.T, m.T, m.T, gamma, carry).T * m
        ),
        "the rewards are not used.": backwards(zero, v, m, m, gamma, carry) * m,
        "the advantages stand one column too far right.": F.pad(right, (1, 0))[:, :-1],
    }


def return_mistakes(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> dict:
    r, v, m = (x.double() for x in (rewards, values, mask))
    right = torch.tensor(by_definition(rewards, values, mask, gamma, lam)[0], dtype=torch.float64)
    counted, following = right[m.bool()], F.pad(v[:, 1:] * m[:, 1:], (0, 1))
    return {
        "the returns are the sums of rewards that came; they should be advantages + values.": (
            backwards(r, 0 * v, m, m, 0.0, gamma) * m
        ),
        "the returns are plain sums of rewards; they should be advantages + values.": (
            backwards(r, 0 * v, m, m, 0.0, 1.0) * m
        ),
        "the returns are made from whitened advantages: add the values to the raw ones. See trap 4.": lambda: (
            ((right - counted.mean()) / (counted.var(correction=0) + 1e-8).sqrt() + v) * m
        ),
        "the returns are made from whitened advantages (by the sample variance). See trap 4.": lambda: (
            ((right - counted.mean()) / (counted.std() + 1e-8) + v) * m
        ),
        "the advantages are returned twice.": right,
        "the values are subtracted, not added.": right - v * m,
        "the returns are values - advantages.": v * m - right,
        "the returns at padding are not 0: the values there were added. See trap 1.": right + v,
        "the returns look one token ahead only, r + gamma V.": (r + gamma * following) * m,
        "the rewards are added to the advantages; it is the values.": right + r * m,
        "the next values are added to the advantages; it is the token's own.": right + following,
        "gamma times the values is added.": right + gamma * v * m,
        "the values are returned.": v * m,
    }


def check_gae(handle, rows: tuple[Tensor, Tensor, Tensor], gamma: float, lam: float, words: str = "") -> None:
    advantages, returns = expect_results(handle(*rows, gamma, lam), 2, BOTH)
    expected = by_definition(*rows, gamma, lam)
    expect_close(advantages, expected[0], f"advantages{words}", mistakes=advantage_mistakes(*rows, gamma, lam))
    expect_close(returns, expected[1], f"returns{words}", mistakes=return_mistakes(*rows, gamma, lam))


@exercise("gae", "rows of equal length, gamma and lambda below 1")
def test_gae_full_rows(handle, seed):
    check_gae(handle, episode(seed, (5, 5, 5, 5), 5), 0.9, 0.7)


@exercise("gae", "rows of different length")
def test_gae_ragged(handle, seed):
    check_gae(handle, episode(seed), 0.9, 0.7)


@exercise("gae", "the worked example")
def test_gae_worked_example(handle, seed):
    rows = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.6, 0.5]]), torch.ones(1, 3)
    check_gae(handle, rows, 1.0, 0.5, " (worked example)")


@exercise("gae", "lambda = 0 trusts the next value, lambda = 1 the whole future")
def test_gae_extremes(handle, seed):
    check_gae(handle, episode(seed), 0.8, 0.0, " (lam = 0)")
    check_gae(handle, episode(seed), 0.8, 1.0, " (lam = 1)")
    check_gae(handle, episode(seed), 1.0, 1.0, " (gamma = lam = 1)")


@exercise("gae", "what stands at padding does not matter")
def test_gae_padding(handle, seed):
    rewards, values, mask = episode(seed)
    for wild in (0.0, 1e4, -1e4):
        rows = torch.where(mask.bool(), rewards, wild), torch.where(mask.bool(), values, -wild), mask
        check_gae(handle, rows, 0.9, 0.7, f" (padding of {wild:g})")


@exercise("gae", "gamma = 1 and lam = 0.95 if they are not given; names for arguments")
def test_gae_defaults(handle, seed):
    rewards, values, mask = rows = episode(seed)
    expected = by_definition(*rows, 1.0, 0.95)
    mistakes = {f"{name} is not {value} when it is not given.": () for name, value in (("gamma", 1), ("lam", 0.95))}
    for message, (gamma, lam) in zip(mistakes, ((0.99, 0.95), (1.0, 1.0))):
        mistakes[message] = by_definition(*rows, gamma, lam)[0]
    got = expect_results(handle(rewards, values, mask), 2, BOTH)
    expect_close(got[0], expected[0], "advantages (gamma and lam not given)", mistakes=mistakes)
    expect_close(got[1], expected[1], "returns (gamma and lam not given)")
    named = expect_results(handle(values=values, mask=mask, rewards=rewards, lam=0.6, gamma=0.8), 2, BOTH)
    expect_close(named[0], by_definition(*rows, 0.8, 0.6)[0], "advantages (named arguments)")


@exercise("gae", "no gradient runs through advantages or returns")
def test_gae_no_gradient(handle, seed):
    for i, what in enumerate(BOTH.split(", ")):
        _, grads = handle.gradients(*episode(seed), 0.9, 0.7, wrt=[0, 1], output=i)
        for key, name in enumerate(("rewards", "values")):
            expect_no_gradient(grads[key], name, f"The {what} are data: detach them. See trap 5.")


@exercise("gae", "masks of any type, float64, strides, one token, the order of rows")
def test_gae_forms(handle, seed):
    rewards, values, mask = episode(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_gae(handle, (rewards, values, mask.to(kind)), 0.9, 0.7, f" (mask of type {str(kind)[6:]})")
    order = [3, 2, 0, 1]
    strided = tuple(x.double()[order].T.contiguous().T for x in (rewards, values, mask))
    check_gae(handle, strided, 0.9, 0.7, " (float64, strides, rows in another order)")
    check_gae(handle, episode(seed, (1, 1, 1), 1), 0.9, 0.7, " (one token)")
