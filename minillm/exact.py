"""The enumerable setting: a world so small that every answer can be listed, and nothing has to be estimated.

    setting = Setting(vocab_size=6, length=4)      # 781 sequences, continuing 156 prefixes
    policy = TabularPolicy(setting)                # see `minillm.exact_policies`
    logprobs = distribution(policy)                # (S,) of every sequence, with a gradient to the policy
    rewards = toy_reward(setting)                  # (S,)
    kl(logprobs, reference), expected_reward(logprobs, rewards), policy_gradient(policy, rewards)
    optimum(reference, rewards, beta=0.5)          # what no policy can beat at this beta
    reward_at(reference, rewards, kl=1.0)          # the frontier: what no policy can beat at this KL
    best_of_n(reference, rewards, n=16)            # where sampling n answers and keeping the best one leads

There is no prompt: one distribution over S sequences stands for the answers to one prompt. All results are float64.
Letters in shapes: S sequences of up to L tokens, R prefixes, V vocabulary, N points of a curve.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.distributions import Categorical, kl_divergence

END = 0  # the token that ends a sequence
LARGEST = 200_000  # sequences; a list of more is slow to work with, and shows nothing new
BISECTIONS = 60  # halvings of an interval of log beta; after so many, float64 has no more digits to gain


class Policy(Protocol):
    """What the setting asks of a policy: called, it gives the logits (R, V) of the token after every prefix."""

    setting: "Setting"

    def __call__(self) -> Tensor: ...


@dataclass(frozen=True)
class Setting:
    """All sequences of up to ``length`` tokens from a vocabulary in which token 0 is the end.

    A sequence is complete with its end token, or without one when it has ``length`` tokens. The token that follows a
    prefix (a sequence without end, shorter than ``length``; the empty one too) is drawn from that prefix's row of a
    table of logits, so a table of (R, V) holds everything that a policy can be.
    Sequence number s < R is prefix number s and the end token; those numbered R and above have no end token.
    """

    vocab_size: int = 6
    length: int = 4

    def __post_init__(self) -> None:
        for name, least in (("vocab_size", 2), ("length", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        if self.length * math.log(self.vocab_size - 1) > math.log(LARGEST) or self.num_sequences > LARGEST:
            raise ValueError(
                f"a vocabulary of {self.vocab_size} and a length of {self.length} make more than {LARGEST:,} "
                "sequences; the setting lists every one of them, so choose a smaller vocabulary or length"
            )

    @property
    def num_prefixes(self) -> int:
        """R"""
        return sum((self.vocab_size - 1) ** t for t in range(self.length))

    @property
    def num_sequences(self) -> int:
        """S"""
        return self.num_prefixes + (self.vocab_size - 1) ** self.length

    @cached_property
    def sequences(self) -> Tensor:
        """(S, L) long: every sequence once; 0 behind its end."""
        letters, L = self.vocab_size - 1, self.length
        listed = []
        for t in range(L + 1):  # all words of t tokens, in alphabetical order
            place = letters ** torch.arange(t).flip(0)  # (t,)
            words = torch.arange(letters**t)[:, None] // place % letters + 1  # (letters^t, t)
            listed.append(F.pad(words, (0, L - t)))
        return torch.cat(listed)

    @cached_property
    def lengths(self) -> Tensor:
        """(S,) long: how many tokens each sequence has, the end token included."""
        return ((self.sequences != END).sum(1) + 1).clamp(max=self.length)

    @cached_property
    def mask(self) -> Tensor:
        """(S, L) bool: True at the tokens of the sequence, the end token included."""
        return torch.arange(self.length) < self.lengths[:, None]

    @cached_property
    def rows(self) -> Tensor:
        """(S, L) long: the number of the prefix that each token follows; 0, the empty prefix, where there is none."""
        before = [self.index(self.sequences[:, :t]) for t in range(self.length)]
        return torch.stack(before, dim=1) * self.mask

    def index(self, tokens: Tensor) -> Tensor:
        """The number of each sequence, or of each prefix: tokens (..., T) long with 0 behind the end -> (...) long.

        Prefixes are a tree: the children of number i are i * (V - 1) + token, token = 1 .. V - 1.
        """
        if tokens.shape[-1] > self.length:
            raise ValueError(f"tokens must be (..., T) with T at most {self.length}, got {tuple(tokens.shape)}")
        number = torch.zeros(tokens.shape[:-1], dtype=torch.long)
        for token in tokens.unbind(-1):
            number = torch.where(token == END, number, number * (self.vocab_size - 1) + token)
        return number

    def token_logprobs(self, table: Tensor) -> Tensor:
        """table (R, V) of logits -> (S, L) log-probability of every token in nats; 0 where mask is False."""
        if table.shape != (self.num_prefixes, self.vocab_size):
            raise ValueError(
                f"a table of logits must be (R, V) = {(self.num_prefixes, self.vocab_size)}, got {tuple(table.shape)}"
            )
        everywhere = table.double().log_softmax(-1)[self.rows, self.sequences]  # (S, L)
        return everywhere.masked_fill(~self.mask, 0.0)

    def text(self, number: int) -> str:
        """A sequence to read: letters for tokens 1, 2, ..., and a full stop for the end token."""
        tokens = self.sequences[number, : self.lengths[number]].tolist()
        return "".join("." if token == END else _letter(token) for token in tokens)


def _letter(token: int) -> str:
    return chr(ord("a") + token - 1) if token <= 26 else f"<{token}>"


def toy_reward(setting: Setting, seed: int = 0) -> Tensor:
    """A reward for every sequence, (S,), with mean 0 and standard deviation 1 over the list.

    r = sum of a value for each token + sum of a value for each pair of neighbours + a value for the length, all drawn
    from a standard normal distribution. So it has a structure that a network can learn, and a table need not know.
    """
    generator = torch.Generator().manual_seed(seed)
    V, L = setting.vocab_size, setting.length
    token_value = torch.randn(V, generator=generator, dtype=torch.float64)
    pair_value = torch.randn(V, V, generator=generator, dtype=torch.float64)
    length_value = torch.randn(L + 1, generator=generator, dtype=torch.float64)
    tokens, mask = setting.sequences, setting.mask
    reward = (token_value[tokens] * mask).sum(1) + length_value[setting.lengths]  # (S,)
    reward += (pair_value[tokens[:, :-1], tokens[:, 1:]] * mask[:, 1:]).sum(1)
    return (reward - reward.mean()) / reward.std(correction=0)


# -- one policy ---------------------------------------------------------------------------------------------------


def distribution(policy: Policy) -> Tensor:
    """log p(s) of every sequence, (S,) in nats: the sum of its tokens' log-probabilities. Gradient to the policy."""
    return policy.setting.token_logprobs(policy()).sum(1)


def draw(logprobs: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """``count`` sequences drawn independently, as numbers: (count,) long. logprobs: (S,)."""
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    return torch.multinomial(logprobs.detach().exp(), count, replacement=True, generator=generator)


def expected_reward(logprobs: Tensor, rewards: Tensor) -> Tensor:
    """E[r] = sum over s of p(s) r(s), a scalar, with a gradient. logprobs, rewards: (S,)."""
    logprobs, rewards = _pair(logprobs, rewards)
    return logprobs.exp() @ rewards


def policy_gradient(policy: Policy, rewards: Tensor) -> dict[str, Tensor]:
    """The exact gradient of E[r] with respect to every parameter of any policy, by name, from `torch.autograd`.

    rewards: (S,), held fixed. The gradient of E[r] - beta KL(policy || reference) comes out of the same call with
    rewards - beta * (logprobs - reference).detach(): that the log-probabilities change too adds nothing, since the
    mean of their gradient under the policy is 0.
    """
    named = {name: weight for name, weight in policy.named_parameters() if weight.requires_grad}
    value = expected_reward(distribution(policy), rewards)
    gradients = torch.autograd.grad(value, list(named.values()), allow_unused=True)
    return {n: torch.zeros_like(w) if g is None else g for (n, w), g in zip(named.items(), gradients)}


def state_values(setting: Setting, logprobs: Tensor, rewards: Tensor) -> Tensor:
    """E[r | prefix] for every prefix, (R,): what a perfect value head would say before the next token is drawn.

    logprobs, rewards: (S,). 0 for prefixes that the policy never reaches. With a KL penalty in the rewards this counts
    what the prefix's own tokens have cost already, which the critic of `gae` does not.
    """
    logprobs, rewards = _pair(logprobs.detach(), rewards)
    weight = logprobs.exp()[:, None] * setting.mask  # (S, L) the sequence's probability, at each of its tokens
    zeros, before = weight.new_zeros(setting.num_prefixes), setting.rows.flatten()
    reached = zeros.index_add(0, before, weight.flatten())  # (R,) the probability of each prefix
    earned = zeros.index_add(0, before, (weight * rewards[:, None]).flatten())
    return torch.where(reached > 0, earned / reached, 0.0)


# -- two policies -------------------------------------------------------------------------------------------------


def kl(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """KL(policy || reference) in nats, a scalar, with a gradient to both. logprobs, ref_logprobs: (S,).

    Infinite where the policy goes where the reference never does.
    """
    logprobs, ref_logprobs = _pair(logprobs, ref_logprobs, "ref_logprobs")
    return kl_divergence(Categorical(logits=logprobs), Categorical(logits=ref_logprobs))


def total_variation(logprobs: Tensor, others: Tensor) -> Tensor:
    """Half the sum of |p - q|, a scalar from 0 to 1: the largest difference in the probability of any event."""
    logprobs, others = _pair(logprobs, others, "others")
    return (logprobs.exp() - others.exp()).abs().sum() / 2


# -- what is best -------------------------------------------------------------------------------------------------


def optimum(ref_logprobs: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """The policy with the largest E[r] - beta KL(policy || reference): log-probabilities, (S,).

    In proportion to reference * exp(r / beta) (Ziegler et al. 2019, sec. 2; Korbak et al. 2022).
    """
    if not (isinstance(beta, int | float) and beta > 0):
        raise ValueError(f"beta must be a number above 0, got {beta!r}; at 0 the best sequence gets everything")
    return _tilted(*_pair(ref_logprobs, rewards), beta).logits


def _tilted(ref_logprobs: Tensor, rewards: Tensor, beta: float | Tensor) -> Categorical:
    """The optimum at one beta, or at betas (N, 1), as a distribution."""
    return Categorical(logits=ref_logprobs + (rewards - rewards.max()) / beta)


@dataclass(frozen=True)
class Frontier:
    """Points that no policy lies above, (N,) each: the optimum's ``kl`` in nats and its expected ``reward``, by
    ``beta``, in the order of growing KL."""

    beta: Tensor
    kl: Tensor
    reward: Tensor


def frontier(ref_logprobs: Tensor, rewards: Tensor, betas: Sequence[float] | Tensor | None = None) -> Frontier:
    """The optima for many betas. A policy with the optimum's KL and a larger reward would be a better optimum.

    betas: (N,), by default 60 from 30 down to 1/30 standard deviations of the rewards under the reference.
    """
    ref_logprobs, rewards = _pair(ref_logprobs, rewards)
    if betas is None:
        betas = torch.logspace(1.5, -1.5, 60, dtype=torch.float64) * _spread(ref_logprobs, rewards)
    betas = torch.as_tensor(betas, dtype=torch.float64)
    if betas.ndim != 1 or not len(betas) or not bool((betas > 0).all()):
        raise ValueError("betas must be a list of numbers above 0")
    betas = betas.sort(descending=True).values
    best = _tilted(ref_logprobs, rewards, betas[:, None])  # N distributions over S
    return Frontier(betas, kl_divergence(best, Categorical(logits=ref_logprobs)), best.probs @ rewards)


def reward_at(ref_logprobs: Tensor, rewards: Tensor, kl: float | Tensor) -> Tensor:
    """The largest E[r] that any policy reaches within this KL of the reference; kl and result of one shape, in nats.

    The beta whose optimum has this KL is found by halving an interval, for the KL falls as beta grows. From
    KL = -log(reference's probability of the best sequences) on, it is the reward of the best.
    """
    ref_logprobs, rewards = _pair(ref_logprobs, rewards)
    kl = torch.as_tensor(kl, dtype=torch.float64)
    if not bool((kl > -1e-9).all()):  # rounding alone can take a KL of 0 a little below it
        raise ValueError(f"kl must be 0 or more, got {kl.tolist()}")
    reference, spread = Categorical(logits=ref_logprobs), _spread(ref_logprobs, rewards)
    low = torch.full((kl.numel(), 1), math.log(1e-9 * spread), dtype=torch.float64)  # of log beta; (N, 1)
    high = torch.full_like(low, math.log(1e9 * spread))
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        too_far = kl_divergence(_tilted(ref_logprobs, rewards, middle.exp()), reference)[:, None] > kl.view(-1, 1)
        low, high = torch.where(too_far, middle, low), torch.where(too_far, high, middle)
    return (_tilted(ref_logprobs, rewards, high.exp()).probs @ rewards).view(kl.shape)


def share_of_frontier(logprobs: Tensor, ref_logprobs: Tensor, rewards: Tensor) -> float:
    """How much of the reward that could be gained at the policy's KL it gains: 1 on the frontier, 0 at the reference.

    (E_policy[r] - E_reference[r]) / (reward_at(KL) - E_reference[r]). nan at a KL of 0, where nothing can be gained.
    """
    start = expected_reward(ref_logprobs, rewards)
    gain = expected_reward(logprobs, rewards) - start
    possible = reward_at(ref_logprobs, rewards, kl(logprobs, ref_logprobs).detach()) - start
    return float(gain / possible) if possible > 0 else math.nan


def best_of_n(ref_logprobs: Tensor, rewards: Tensor, n: int) -> Tensor:
    """The distribution of the best of n independent draws from the reference: log-probabilities, (S,).

    With F(r) the reference's probability of a reward of at most r and F(r-) that of less, the best has reward r with
    probability F(r)^n - F(r-)^n. A tie is broken at random among the draws, so sequences of one reward share it in
    proportion to their probability under the reference. Rewards tie where they are equal to the last digit.
    """
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise ValueError(f"n must be a whole number of at least 1, got {n!r}")
    ref_logprobs, rewards = _pair(ref_logprobs, rewards)
    levels, level = rewards.unique(return_inverse=True)  # (U,) growing, (S,)
    mass = torch.zeros_like(levels).index_add(0, level, ref_logprobs.exp())  # (U,) F(r) - F(r-)
    upto = mass.cumsum(0) / mass.sum()  # F(r)
    below = torch.cat((upto.new_zeros(1), upto[:-1]))  # F(r-)
    share = torch.where(mass > 0, (upto**n - below**n) / mass.clamp(min=torch.finfo(mass.dtype).tiny), 0.0)
    return Categorical(logits=ref_logprobs + share.log()[level]).logits


def _spread(ref_logprobs: Tensor, rewards: Tensor) -> float:
    """The standard deviation of the rewards under the reference: the unit in which betas are natural."""
    probability = ref_logprobs.detach().exp()
    variance = probability @ (rewards - probability @ rewards) ** 2
    return math.sqrt(variance) if variance > 0 else 1.0


def _pair(logprobs: Tensor, others: Tensor, name: str = "rewards") -> tuple[Tensor, Tensor]:
    """Both in float64, once it is clear that they are what they should be."""
    if logprobs.ndim != 1 or others.shape != logprobs.shape:
        shapes = f"{tuple(logprobs.shape)} and {tuple(others.shape)}"
        raise ValueError(f"log-probabilities and {name} must both be (S,), got {shapes}")
    for values in (logprobs,) if name == "rewards" else (logprobs, others):
        total = float(values.detach().double().exp().sum())
        if not abs(total - 1) < 1e-4:
            raise ValueError(f"log-probabilities of all sequences must make probabilities of sum 1, got {total:.6g}")
    if name == "rewards" and not bool(others.isfinite().all()):
        raise ValueError("rewards must be finite")
    return logprobs.double(), others.double()
