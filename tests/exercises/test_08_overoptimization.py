"""What a right solution of lesson 08 is: distances from the reference, and the policy that is best at each of them."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_shape, expect_true, fail
from minillm.course.testing import exercise

# --- best_of_n_kl -----------------------------------------------------------------------------------------------


def best_of_n_mistakes(n: int) -> dict[str, float]:
    log_n, share = math.log(n), (n - 1) / n
    harmonic = sum(1 / k for k in range(1, n + 1)) if n < 2000 else math.log(n) + 0.5772156649
    known = {
        "(n - 1) / n is missing: the best of n is still random. See trap 1.": log_n,
        "(n - 1) / n is added instead of subtracted.": log_n + share,
        "the logarithm is in base 2: those are bits. See trap 2.": math.log2(n) - share,
        "the logarithm is in base 10. See trap 2.": math.log10(n) - share,
        "n - 1 is subtracted before dividing: mind the brackets. See trap 3.": (log_n - (n - 1)) / n,
        "n - 1 is subtracted whole: it is to be divided by n.": log_n - (n - 1),
        "1 is subtracted, which is right only for very large n.": log_n - 1,
        "1 / n is subtracted: it is (n - 1) / n, which is 1 - 1 / n.": log_n - 1 / n,
        "n / (n - 1) is subtracted: the fraction is upside down.": log_n - n / (n - 1) if n > 1 else math.nan,
        "the two parts are multiplied.": log_n * share,
        "the square root is taken: d is a later step, here the KL itself is asked for.": math.sqrt(log_n - share),
        "only (n - 1) / n is left; the logarithm is missing.": share,
        "the logarithm is taken of n - 1.": math.log(n - 1) - share if n > 1 else math.nan,
        "the logarithm is taken of n + 1.": math.log(n + 1) - share,
        "the sum 1 + 1/2 + ... + 1/n stands in the place of the logarithm.": harmonic - share,
        "it is the KL the other way round, of the reference from the best of n.": n - 1 - log_n,
    }
    right = log_n - share
    return {message: value for message, value in known.items() if abs(value - right) > 1e-9}


def check_best_of_n(handle, n: int) -> None:
    expect_close(handle(n), math.log(n) - (n - 1) / n, f"best_of_n_kl({n})", mistakes=best_of_n_mistakes(n))


@exercise("best_of_n_kl", "the worked example: n = 16")
def test_best_of_n_kl_worked_example(handle, seed):
    check_best_of_n(handle, 16)


@exercise("best_of_n_kl", "any n, from 2 to a million")
def test_best_of_n_kl_values(handle, seed):
    n = int(torch.randint(3, 900, (1,), generator=torch.Generator().manual_seed(seed)))
    for each in (2, 3, n, 1000, 1_000_000):
        check_best_of_n(handle, each)


@exercise("best_of_n_kl", "one draw is the reference itself: 0")
def test_best_of_n_kl_of_one(handle, seed):
    expect_close(handle(1), 0.0, "best_of_n_kl(1)", mistakes=best_of_n_mistakes(1))


@exercise("best_of_n_kl", "one number; a name for the argument")
def test_best_of_n_kl_forms(handle, seed):
    got = handle(n=4)
    expect_shape(got, (), "the result")
    expect_close(got, math.log(4) - 0.75, "best_of_n_kl(n=4)")


# --- optimal_policy ---------------------------------------------------------------------------------------------


def a_reference(seed: int, S: int, never: Sequence[int] = ()) -> Tensor:
    """Log-probabilities (S,) float32 of an uneven distribution, -inf at the places ``never``."""
    logits = 1.3 * torch.randn(S, generator=torch.Generator().manual_seed(seed))
    logits[list(never)] = -math.inf
    return logits.log_softmax(0)


def some_rewards(seed: int, S: int) -> Tensor:
    """(S,) float32 of both signs."""
    return 1.5 * torch.randn(S, generator=torch.Generator().manual_seed(seed + 7919))


def log_sum_exp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))


def normalised(logs: Sequence[float]) -> list[float]:
    total = log_sum_exp(logs)
    return [value - total for value in logs]


def optimum_of(ref_logprobs: Tensor, rewards: Tensor, beta: float) -> list[float]:
    """One sequence after the other."""
    return normalised([q + r / beta for q, r in zip(ref_logprobs.double().tolist(), rewards.double().tolist())])


def optimum_mistakes(ref_logprobs: Tensor, rewards: Tensor, beta: float) -> dict:
    q, r = ref_logprobs.double(), rewards.double()
    S = len(q)
    tilted = q + r / beta
    best = torch.where(q > -math.inf, r, -math.inf).argmax()
    one_hot = torch.full((S,), -math.inf, dtype=torch.float64).index_fill(0, best, 0.0)
    right = tilted.log_softmax(0)
    return {
        "Z is missing: the exponentials do not sum to 1. See the formula.": tilted,
        "probabilities are returned; their logarithms are asked for. See trap 1.": right.exp(),
        "exp(r / beta) is multiplied in, but nothing is normalised, and no log is taken. See trap 1.": tilted.exp(),
        "the reference is left out: this is a softmax of the rewards. See trap 5.": (r / beta).log_softmax(0),
        "rewards are multiplied by beta instead of divided. See trap 2.": (q + r * beta).log_softmax(0),
        "beta is not used. See trap 2.": (q + r).log_softmax(0),
        "the reference is divided by beta too. See trap 2.": ((q + r) / beta).log_softmax(0),
        "beta weighs the reference, and the reward stands alone. See trap 2.": (beta * q + r).log_softmax(0),
        "the sign of the reward is flipped: the worst answers gain.": (q - r / beta).log_softmax(0),
        "the log-probabilities of the reference are subtracted: they belong to the product.": (
            (r / beta - q).log_softmax(0)
        ),
        "the reference enters as a probability, not as a logarithm. See trap 1.": (q.exp() + r / beta).log_softmax(0),
        "all the probability lies on the best sequence, as for beta = 0.": one_hot,
        "the largest is subtracted in the place of log Z: the exponentials do not sum to 1.": tilted - tilted.max(),
        "the whole is divided by beta after it was normalised.": (q + r).log_softmax(0) / beta,
        "log Z is the log of the sum of rewards' exponentials, without the reference as weights.": (
            tilted - (r / beta).logsumexp(0)
        ),
        "the sum of the log-weights is subtracted, not the log of the sum of the weights.": tilted - tilted.sum(),
        "the mean of the log-weights is subtracted, not the log of the sum of the weights.": tilted - tilted.mean(),
        "the rewards are divided by 1 + beta.": (q + r / (1 + beta)).log_softmax(0),
    }


def check_optimum(
    handle, q: Tensor, r: Tensor, beta: float, what: str = "the log-probabilities", rtol: float = 1e-4
) -> None:
    got = handle(q, r, beta)
    expected = optimum_of(q, r, beta)
    expect_close(got, expected, f"{what} (beta={beta:g})", mistakes=optimum_mistakes(q, r, beta), rtol=rtol)
    p, target = torch.as_tensor(got, dtype=torch.float64).exp(), torch.tensor(expected, dtype=torch.float64).exp()
    expect_close(p, target, f"the exponentials of {what} (beta={beta:g})", rtol=2e-3)


@exercise("optimal_policy", "an uneven reference, rewards of both signs, any beta")
def test_optimal_policy_values(handle, seed):
    q, r = a_reference(seed, 7), some_rewards(seed, 7)
    for beta in (0.3, 2.5):
        check_optimum(handle, q, r, beta)


@exercise("optimal_policy", "the worked example")
def test_optimal_policy_worked_example(handle, seed):
    check_optimum(handle, torch.tensor([0.5, 0.25, 0.25]).log(), torch.tensor([0.0, 0.5, 1.0]), 0.5)


@exercise("optimal_policy", "what the reference never says stays at -inf, whatever its reward")
def test_optimal_policy_impossible(handle, seed):
    q, r = a_reference(seed, 6, never=(1, 4)), some_rewards(seed, 6)
    r[4] = 9.0
    got = torch.as_tensor(handle(q, r, 0.3))
    expect_shape(got, (6,), "the log-probabilities")
    words = "where the reference is -inf, the result should be -inf, "
    if bool(got.isnan().any()):
        words += "but it holds nan: look for inf - inf or 0 * inf."
    else:
        words += f"but it is {got[[1, 4]].tolist()}: is there an epsilon, or a clamp? See trap 4."
    expect_true(bool((got[[1, 4]] == -math.inf).all()), words)
    check_optimum(handle, q, r, 0.3, "the log-probabilities with two impossible sequences")


@exercise("optimal_policy", "a small beta overflows nothing, and rounds nothing to 0")
def test_optimal_policy_small_beta(handle, seed):
    q, r = a_reference(seed, 7), some_rewards(seed, 7)
    for beta, shift in ((0.004, 0.0), (0.004, -3.0), (0.3, 400.0), (0.3, -400.0)):
        rewards = r + shift
        got = torch.as_tensor(handle(q, rewards, beta))
        expect_shape(got, (7,), "the log-probabilities")
        where = f"with beta={beta:g} and rewards about {shift + 1:.0f}"
        expect_true(
            bool(got.isfinite().all()),
            f"{where} the result is {[round(x, 2) for x in got.tolist()]}: an exponential overflows, or is rounded "
            "to 0 before its log is taken. Stay in logs: logsumexp or log_softmax. See trap 3.",
        )
        check_optimum(handle, q, rewards, beta, f"the log-probabilities {where}", rtol=1e-3)


@exercise("optimal_policy", "the gradient: how the optimum moves with the rewards and with the reference")
def test_optimal_policy_gradient(handle, seed):
    q, r, beta = a_reference(seed, 5), some_rewards(seed, 5), 0.7
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0, -1.0])
    _, grads = handle.gradients(q, r, beta, wrt=[0, 1], upstream=weights)
    p = torch.tensor(optimum_of(q, r, beta), dtype=torch.float64).exp()
    slope = weights.double() - p * weights.double().sum()
    expect_gradient(grads[1], slope / beta, "rewards", mistakes={"1 / beta is missing.": slope})
    expect_gradient(grads[0], slope, "ref_logprobs")


@exercise("optimal_policy", "names for arguments, float64, strides")
def test_optimal_policy_forms(handle, seed):
    both = torch.stack((a_reference(seed, 9), some_rewards(seed, 9)), 1)  # (9, 2)
    q, r = both[:, 0], both[:, 1]
    named = handle(beta=0.4, rewards=r, ref_logprobs=q)
    expect_close(named, optimum_of(q, r, 0.4), "the log-probabilities with named arguments")
    expect_close(handle(q.double(), r.double(), 1.0), optimum_of(q, r, 1.0), "the log-probabilities in float64")


# --- exact_kl ---------------------------------------------------------------------------------------------------


def kl_of(p: Tensor, q: Tensor) -> float:
    """One sequence after the other, from log-probabilities."""
    terms = [math.exp(x) * (x - y) for x, y in zip(p.double().tolist(), q.double().tolist()) if x > -math.inf]
    return math.inf if math.inf in terms else math.fsum(terms)


def kl_mistakes(p: Tensor, q: Tensor) -> dict:
    S = len(p)
    reversed_kl = kl_of(q, p)
    right = kl_of(p, q)
    x, y = p.double(), q.double()
    P, Q = x.exp(), y.exp()
    lr = torch.where(x > -math.inf, y - x, 0.0)
    middle = ((P + Q) / 2).log()
    both = (x > -math.inf) & (y > -math.inf)
    k3 = (P[both] * (lr[both].exp() - 1 - lr[both])).sum()
    known = {
        "the order is turned round: this is KL(reference || policy). See trap 1.": reversed_kl,
        "the sign is flipped: log q - log p instead of log p - log q.": -right,
        "the mean over the list is taken; it is a sum. See trap 3.": right / S,
        "the logarithm is in base 2: those are bits. See trap 4.": right / math.log(2),
        "the reference weighs the terms: the policy should. See traps 1 and 3.": (Q[both] * -lr[both]).sum(),
        "the terms are not weighed by the policy's probabilities. See trap 3.": -lr[both].sum(),
        "the mean is not weighed by the policy's probabilities: right for samples, not for a list. See trap 3.": (
            -lr.sum() / S
        ),
        "the entropy is missing: this is the cross-entropy.": -(P[both] * y[both]).sum(),
        "the reference is not used: this is minus the entropy of the policy.": (P[both] * x[both]).sum(),
        "it is k2 that is averaged, half the squared log-ratio: an estimate, not the KL.": (P * lr**2).sum() / 2,
        "the log-ratios are squared.": (P * lr**2).sum(),
        "absolute log-ratios are summed: terms with q > p are negative, and that is right.": (P * lr.abs()).sum(),
        "probabilities are subtracted, not their logarithms.": (P * (P - Q)).sum(),
        "it is the total variation, half the sum of |p - q|.": (P - Q).abs().sum() / 2,
        "both directions are averaged: the KL is not symmetric. See trap 1.": (right + reversed_kl) / 2,
        "both directions are added: the KL is not symmetric. See trap 1.": right + reversed_kl,
        "it is the Jensen-Shannon divergence.": (kl_of(p, middle) + kl_of(q, middle)) / 2,
        "log-probabilities are used as weights: exp is missing.": (x[both] * -lr[both]).sum(),
        "the square root is taken: d is a later step.": math.sqrt(max(right, 0.0)),
        "it is k3 that is averaged: what the policy never gives is then missed.": k3,
        "terms in which the reference is 0 are left out: there the KL is infinite. See trap 2.": (
            (P[both] * -lr[both]).sum()
        ),
    }
    values = {message: float(value) for message, value in known.items()}
    return {m: v for m, v in values.items() if not (math.isinf(right) and v == right) and abs(v - right) > 1e-9}


def check_kl(handle, p: Tensor, q: Tensor, what: str = "KL(policy || reference)", got: object = None) -> None:
    got = handle(p, q) if got is None else got
    expect_close(got, kl_of(p, q), what, mistakes=kl_mistakes(p, q))


@exercise("exact_kl", "two uneven distributions, either way round")
def test_exact_kl_values(handle, seed):
    p, q = a_reference(seed, 7), a_reference(seed + 500, 7)
    check_kl(handle, p, q)
    check_kl(handle, q, p)
    expect_close(handle(p, p), 0.0, "the KL of a policy and itself")


@exercise("exact_kl", "what the policy never says counts 0, also where the reference never says it")
def test_exact_kl_probability_zero(handle, seed):
    p, q = a_reference(seed, 8, never=(0, 5)), a_reference(seed + 500, 8, never=(5,))
    got = torch.as_tensor(handle(p, q))
    expect_true(
        not bool(got.isnan().any()),
        "the result is nan where a probability is 0: 0 * (-inf) is nan in floating point. Set these terms to 0, or "
        "leave them out of the sum. See trap 2.",
    )
    check_kl(handle, p, q, "the KL of a policy that never gives two of the sequences")


@exercise("exact_kl", "the worked example")
def test_exact_kl_worked_example(handle, seed):
    p, q = torch.tensor([0.5, 0.5, 0.0]).log(), torch.tensor([0.25, 0.5, 0.25]).log()
    check_kl(handle, p, q, "KL of (0.5, 0.5, 0) and (0.25, 0.5, 0.25)")


@exercise("exact_kl", "infinite where the policy gives what the reference never does")
def test_exact_kl_infinite(handle, seed):
    p, q = a_reference(seed, 6, never=(2,)), a_reference(seed + 500, 6, never=(1, 2))
    got = torch.as_tensor(handle(p, q), dtype=torch.float64)
    expect_shape(got, (), "the result")
    if math.isfinite(got):
        left_out = "terms in which the reference is 0 are left out: there the KL is infinite. See trap 2."
        value = kl_mistakes(p, q)[left_out]
        words = "Is there a clamp, an epsilon, or nan_to_num? See trap 2."
        words = left_out.capitalize() if abs(got - value) < 1e-3 * (1 + abs(value)) else words
        fail(f"the policy gives what the reference never does: the KL is infinite, but you have {got:.4f}. {words}")
    check_kl(handle, p, q, "the KL where q = 0 < p")
    rarely = torch.tensor([0.0, -30.0, -1.0]).log_softmax(0)
    check_kl(handle, rarely, torch.tensor([0.5, 0.0, 0.5]).log(), "the KL where q = 0 and p is 1e-13")


@exercise("exact_kl", "many sequences, some of them very unlikely")
def test_exact_kl_long_list(handle, seed):
    p, q = 3 * a_reference(seed, 300), 4 * a_reference(seed + 500, 300)
    check_kl(handle, p.log_softmax(0), q.log_softmax(0), "the KL over 300 sequences")


@exercise("exact_kl", "the gradient to both, as a change of logits")
def test_exact_kl_gradient(handle, seed):
    p, q = a_reference(seed, 6), a_reference(seed + 500, 6)
    _, grads = handle.gradients(p, q, wrt=[0, 1])
    P, Q, log_ratio = p.double().exp(), q.double().exp(), p.double() - q.double()
    expected = P * (log_ratio - kl_of(p, q))
    weights_fixed = {
        "the weights are cut off from the gradient (detached): the policy moves them too.": torch.zeros_like(P),
    }
    expect_gradient(_of_logits(grads[0], P), expected, "the policy's logits", mistakes=weights_fixed)
    expect_gradient(_of_logits(grads[1], Q), Q - P, "the reference's logits")


def _of_logits(grad: Tensor | None, p: Tensor) -> Tensor | None:
    """The gradient with respect to logits, from that with respect to their log_softmax: the same for any form."""
    return None if grad is None else grad.double() - p * grad.double().sum()


@exercise("exact_kl", "float64, strides, one number")
def test_exact_kl_forms(handle, seed):
    both = torch.stack((a_reference(seed, 9), a_reference(seed + 500, 9)), 1)
    p, q = both[:, 0], both[:, 1]
    expect_shape(handle(p, q), (), "the result")
    check_kl(handle, p, q, "the KL with named arguments", handle(ref_logprobs=q, logprobs=p))
    check_kl(handle, p.double(), q.double(), "the KL in float64")
