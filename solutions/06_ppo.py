# %% [markdown]
# # 06 · PPO

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %% [markdown]
# ## The pieces
#
# {exercise token_logprobs}
#
# **Why.** Everything in this lesson is made of one quantity: how likely was this token, under this model? The policy
# that spoke, the policy after an update and the frozen reference are all asked, token by token, and compared.
#
# **What.** With logits $z_{b,t} \in \mathbb{R}^V$, which are the model's opinion of token $t+1$,
#
# $$ \log \pi(x_{b,t+1} \mid x_{b,\le t}) = z_{b,t}[x_{b,t+1}] - \log \sum_v e^{z_{b,t}[v]} $$
#
# T tokens have T - 1 such numbers: nothing predicts the first, and what the last one predicts was never said.
#
# **By hand.** Logits 2, 1, 0 for the three tokens of a vocabulary: $\log(e^2 + e + 1) = 2.408$, so the log-probabilities
# are -0.408, -1.408, -2.408. If the next token is number 1, the answer is -1.408. What is it if all three logits are 7?
# ($-\log 3 = -1.099$: only differences of logits count.)
#
# **Traps.** (1) Position t speaks of token t + 1. Held against its own token, everything looks plausible and nothing
# is right. (2) `log(softmax(x))` is minus infinity where a float32 softmax is rounded to 0; take the log and the
# normalisation in one step. (3) The softmax runs over the vocabulary. (4) Log-probabilities, not a loss: no minus, no
# mean, no sum; a number for each token. (5) Token 0 is a token. `cross_entropy` can be told to skip an id; here none
# is skipped, padding is dealt with later, by masks.


# %% tags=["exercise"] exercise="token_logprobs"
def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability of every token but the first, given those before it.

    logits: (B, T, V) float; logits[:, t] predict tokens[:, t + 1]. tokens: (B, T) long.
    Returns (B, T - 1) in nats: entry t belongs to tokens[:, t + 1]. With a gradient to the logits.
    Finite and right for logits of any size that a float32 can hold.
    """
    # BEGIN SOLUTION
    nats = F.log_softmax(logits[:, :-1], dim=-1)  # (B, T - 1, V)
    following = tokens[:, 1:].unsqueeze(-1)  # (B, T - 1, 1)
    return nats.gather(-1, following).squeeze(-1)  # (B, T - 1)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="token_logprobs"
# Where to start
# Two slices: the logits without their last position, the tokens without their first. Now entry t of one belongs to
# entry t of the other.
# ---
# The log-probabilities
# `log_softmax` over the last dimension gives (B, T - 1, V), one number for every token that could have come.
# ---
# Picking
# `gather` along the last dimension wants an index with as many dimensions: give the tokens a last dimension of size 1,
# and take it away again afterwards.

# %% tags=["check"]
check("token_logprobs")

# %% [markdown]
# {exercise kl_estimates}
#
# **Why.** The score comes from a model that has seen few odd answers. Leave what it knows, and its score means
# nothing. So we measure how far the policy has gone from the reference that it started from, in nats, and charge for
# it. The exact KL is a sum over all answers that could be given. You have a handful of samples.
#
# **What.** For tokens sampled *from the policy*, with $\mathrm{lr} = \log \pi_\text{ref} - \log \pi$ (Schulman 2020,
# *Approximating KL divergence*):
#
# $$ k_1 = -\mathrm{lr}, \qquad k_2 = \tfrac12\, \mathrm{lr}^2, \qquad k_3 = e^{\mathrm{lr}} - 1 - \mathrm{lr} $$
#
# The mean of $k_1$ over samples is the KL exactly, but single values are of both signs and scatter widely. $k_3$ has
# the same mean and is never negative. $k_2$ is a little biased, and calm where the two are close.
#
# **By hand.** A token with probability 0.5 under the policy, 0.2 under the reference: lr = log 0.4 = -0.916, so
# $k_1$ = 0.916, $k_2$ = 0.420, $k_3$ = 0.4 - 1 + 0.916 = 0.316. And for 0.2 under the policy, 0.5 under the reference?
# (lr = 0.916: -0.916, 0.420, 0.584.) Now a whole distribution: policy (.5, .3, .2), reference (.2, .3, .5). Weigh each
# token by the policy's probability: $E[k_1] = E[k_3] = 0.275$, which is the KL, and $E[k_2] = 0.294$.
#
# **Traps.** (1) lr is reference minus policy, and $k_1$ is *minus* lr. (2) $k_3$ with lr turned round,
# $e^{-\mathrm{lr}} - 1 + \mathrm{lr}$, is never negative either, and its mean is something else (0.355 above); both
# agree where the policies do, which is where a careless test looks. (3) Do not weigh by $\pi$: the sampling has done
# that. (4) Elementwise: no sum, no mean. (5) No detach: further down these are also used as losses. What happens then
# is a surprise worth waiting for.


# %% tags=["exercise"] exercise="kl_estimates"
def kl_estimates(logprobs: Tensor, ref_logprobs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Three estimates of KL(policy || reference) from each sampled token.

    logprobs, ref_logprobs: float, of one and any shape: the log-probabilities, under the policy and the
    reference, of tokens that the policy sampled.
    Returns (k1, k2, k3), each of that shape, in nats, elementwise, with gradients to logprobs.
    Schulman 2020, Approximating KL divergence.
    """
    # BEGIN SOLUTION
    log_ratio = ref_logprobs - logprobs
    k1 = -log_ratio
    k2 = log_ratio**2 / 2
    k3 = torch.expm1(log_ratio) - log_ratio
    return k1, k2, k3
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="kl_estimates"
# Where to start
# One line for lr, and then three formulas in it. Torch's arithmetic is elementwise already, whatever the shape.
# ---
# The third
# `log_ratio.exp() - 1 - log_ratio`. (`torch.expm1(x)` is exp(x) - 1 without the rounding for small x.)

# %% tags=["check"]
check("kl_estimates")

# %% [markdown]
# {exercise shape_rewards}
#
# **Why.** Reinforcement learning wants a reward for every action, and we have one score for a whole answer. The score
# goes where it is earned last, to the final token. The charge for leaving the reference can be laid on each token
# where it arises, so that a policy learns *which* word took it away.
#
# **What.** With $\ell$ the last token of the response (Ziegler et al. 2019, eq. 2; Stiennon et al. 2020, sec. 3.4):
#
# $$ r_t = -\beta \big( \log \pi(x_t) - \log \pi_\text{ref}(x_t) \big) + \text{score} \cdot [\,t = \ell\,] $$
#
# **By hand.** $\beta$ = 0.1; log-probabilities -0.5 and -1.0, of the reference -1.5 and -0.5; score 2. Rewards: -0.1, and
# 0.05 + 2 = 2.05. The second token was less likely under the policy than under the reference, so its "penalty" is a
# bonus. Sum the rewards of a row: what do you get? (The score minus $\beta$ times the sum of $k_1$.)
#
# **Traps.** (1) The sign: the log-ratio is what the policy *pays*. Turned round, it is paid for running away. (2) Each
# row ends somewhere else. The score belongs on its last response token, not in the last column. (3) It is added there:
# that token pays its penalty too. (4) $\beta$ weighs the penalty, not the score. (5) 0 at padding. (6) A reward is data. If
# a gradient ran through it, the policy loss would get a second, wrong path to the policy.


# %% tags=["exercise"] exercise="shape_rewards"
def shape_rewards(logprobs: Tensor, ref_logprobs: Tensor, scores: Tensor, mask: Tensor, beta: float) -> Tensor:
    """A reward for every token: the KL penalty (k1) everywhere, the score on the last token.

    logprobs, ref_logprobs: (B, T) float, anything finite at padding. scores: (B,) float.
    mask: (B, T), 1 or True on response tokens (any dtype), 1s first, then 0s, at least one 1 a row.
    beta: of the penalty, in units of the score a nat.
    Returns (B, T); 0 where mask is 0. No gradient flows. Ziegler et al. 2019, eq. 2.
    """
    # BEGIN SOLUTION
    paid = beta * (logprobs - ref_logprobs) * mask  # (B, T)
    last = mask.long().sum(dim=1, keepdim=True) - 1  # (B, 1)
    earned = torch.zeros_like(paid).scatter(1, last, scores.unsqueeze(1).to(paid.dtype))  # (B, T)
    return (earned - paid).detach()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="shape_rewards"
# Where to start
# Make the penalties for all columns at once and multiply by the mask. The scores are a second step.
# ---
# The last token
# The mask is 1s first, then 0s, so the last response token of a row stands in column `mask.sum(1) - 1` (of whole
# numbers: `mask.long()`).
# ---
# Adding there
# `rewards[torch.arange(B), last] += scores`, on a tensor that is your own, not on an input. And `.detach()` at the end.

# %% tags=["check"]
check("shape_rewards")

# %% [markdown]
# {exercise gae}
#
# **Why.** One score at the end, and thirty tokens before it. Which of them earned it? The value head guesses, before
# each token, how the answer will turn out; if the guess rises after a token, that token was good news. Trust only the
# next guess, and the estimate is steady but inherits every error of the value head. Trust only the final outcome, and
# it is right on average but full of noise, for it blames each token for all that came later. $\lambda$ slides between
# the two.
#
# **What.** With the surprise $\delta_t = r_t + \gamma V_{t+1} - V_t$, and nothing after the last response token,
#
# $$ A_t = \delta_t + \gamma\lambda\, A_{t+1}, \qquad R_t = A_t + V_t $$
#
# (Schulman et al. 2016, eq. 11 and 16.) $A$ trains the policy; the *return* $R$ is what the value head should have
# said, and trains it.
#
# **By hand.** Three tokens, rewards 0, 0, 1, values 0.2, 0.6, 0.5, $\gamma$ = 1, $\lambda$ = 0.5. Surprises: 0.4, -0.1, 0.5.
# From the end: $A_3$ = 0.5, $A_2$ = -0.1 + 0.25 = 0.15, $A_1$ = 0.4 + 0.075 = 0.475. Returns: 0.675, 0.75, 1. What are the
# returns for $\lambda$ = 1? (1, 1, 1: what really came, and the values have dropped out.)
#
# **Traps.** (1) Rows end at different places. After the last token of a row there is no value and no advantage,
# whatever numbers stand in the padding. (2) $\gamma\lambda$ carries the advantage, $\gamma$ alone the next value; with
# $\gamma$ = 1, as almost always here, you would not notice. (3) The recursion runs from the end to the beginning.
# (4) Returns are made of these raw advantages. Whitening comes later, in 6.5, and only for the policy. (5) Both
# results are data: no gradient.


# %% tags=["exercise"] exercise="gae"
def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float = 1.0, lam: float = 0.95) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates, and the returns that the value head should have predicted.

    rewards, values: (B, T) float, anything finite at padding; values[:, t] is the guess before token t.
    mask: (B, T), 1 or True on response tokens (any dtype), 1s first, then 0s, at least one 1 a row.
    Returns (advantages, returns), each (B, T); 0 where mask is 0. No gradient flows.
    Schulman et al. 2016, eq. 11 and 16.
    """
    # BEGIN SOLUTION
    mask = mask.to(values.dtype)
    rewards, values = (rewards * mask).detach(), (values * mask).detach()  # after the end: value 0, reward 0
    advantages = torch.zeros_like(values)
    running = next_value = torch.zeros_like(values[:, 0])  # (B,)
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = delta + gamma * lam * running
        advantages[:, t] = running
        next_value = values[:, t]
    return advantages, advantages + values
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="gae"
# Where to start
# Fill a tensor of zeros column by column, from T - 1 down to 0, with one running vector of size B.
# ---
# The edge
# Set rewards and values to 0 at padding first. Then padding contributes exactly nothing, and every row ends by itself.
# ---
# The shape of it
# Four lines in the loop: the next value, the surprise, the running advantage, store it.

# %% tags=["check"]
check("gae")

# %% [markdown]
# {exercise masked_whiten}
#
# **Why.** How large an advantage is depends on the scale of the reward model, and on what kind of batch it is. The
# step that the policy takes should not. So advantages are shifted and scaled to mean 0 and variance 1.
#
# **What.** With mean $\mu$ and variance $v$ over the *counted tokens of the whole batch*, $v$ being the mean squared distance
# from $\mu$ (population variance),
#
# $$ \frac{x - \mu}{\sqrt{v + 10^{-8}}} $$
#
# **By hand.** `1 3 5` with mask `1 1 0`: mean 2, variance 1, result `-1 1 0`. What would you get if the padding counted?
# (Mean 3, variance 8/3: `-1.22 0 1.22`. The good token would be called neutral.)
#
# **Traps.** (1) Padding belongs neither into the mean nor into the variance; multiplied by 0, it still counts in a
# plain `.mean()`. (2) All tokens of the batch together, not each row by itself: a row of good tokens should stay good.
# (3) Divided by n, not n - 1 (`torch.var` needs `correction=0`); with one token n - 1 gives NaN. (4) The epsilon stands
# under the root, beside the variance. (5) 0 at padding again in the end.


# %% tags=["exercise"] exercise="masked_whiten"
def masked_whiten(values: Tensor, mask: Tensor) -> Tensor:
    """Shift and scale to mean 0 and variance 1 over the counted entries of the whole batch.

    values: (B, T) float, anything finite at padding. mask: (B, T), 1 or True where an entry counts (any dtype), at
    least one 1. Returns (x - mean) / sqrt(variance + 1e-8), (B, T), with the population variance; 0 where mask is 0.
    It is used on advantages, which are data: whether a gradient flows does not matter.
    """
    # BEGIN SOLUTION
    kept = mask.bool()
    counted = values.detach()[kept]  # (number of counted entries,)
    spread = torch.sqrt(counted.var(correction=0) + 1e-8)
    whitened = (values.detach() - counted.mean()) / spread  # (B, T)
    return torch.where(kept, whitened, 0.0)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="masked_whiten"
# Where to start
# `values[mask.bool()]` is a flat tensor of the counted entries alone: its mean and variance are what you need.
# ---
# The variance
# `.var(correction=0)`, or the mean of the squared distances. With sums instead: `(x * mask).sum() / mask.sum()`.

# %% tags=["check"]
check("masked_whiten")

# %% [markdown]
# {exercise ppo_policy_loss}
#
# **Why.** Answers are expensive, so each batch of them is used for several updates. But after the first update the
# policy is no longer the one that gave the answers. The *ratio* of the two probabilities corrects for that, as long as
# it stays near 1. Far from 1, the correction is a promise that nobody can keep; so the loss stops rewarding further
# movement there.
#
# **What.** With $\rho_t = \pi(x_t) / \pi_\text{old}(x_t)$ and clip $\epsilon$ (Schulman et al. 2017, eq. 7, as a loss):
#
# $$ L = \frac{1}{\sum m} \sum_t m_t \max\big( -A_t\, \rho_t,\; -A_t\, \mathrm{clip}(\rho_t, 1 - \epsilon, 1 + \epsilon) \big) $$
#
# **By hand.** $\epsilon$ = 0.2. Take all four corners:
#
# | ratio | A | unclipped | clipped | loss | still pushes? |
# |---|---|---|---|---|---|
# | 1.5 | +1 | -1.5 | -1.2 | -1.2 | no: more likely already, enough |
# | 0.5 | +1 | -0.5 | -0.8 | -0.5 | yes: a good token got rarer, bring it back |
# | 1.5 | -1 | 1.5 | 1.2 | 1.5 | yes: a bad token got likelier, bring it back |
# | 0.5 | -1 | 0.5 | 0.8 | 0.8 | no: rarer already, enough |
#
# Their mean is 0.15. The clip is a limit on *profit*, never on repair. What are loss and gradient at ratio 1, where
# every first update starts? (-A, and the plain policy gradient.)
#
# **Traps.** (1) The pessimistic branch: `max` of losses (or `min` of gains, with a minus outside). The other one is
# optimistic, and at ratio 1 no test can tell them apart. (2) New over old, and `exp` of the difference of logs.
# (3) Clip the ratio, not the log-ratio, not the product. (4) Minus: a gain is made into a loss. (5) One mean over all
# counted tokens of the batch. (6) The gradient goes through `logprobs` only. `old_logprobs` is what the policy said
# when it answered, the same numbers in every epoch.


# %% tags=["exercise"] exercise="ppo_policy_loss"
def ppo_policy_loss(
    logprobs: Tensor, old_logprobs: Tensor, advantages: Tensor, mask: Tensor, clip: float = 0.2
) -> Tensor:
    """The clipped surrogate objective of PPO, as a loss.

    logprobs, old_logprobs, advantages: (B, T) float, anything finite at padding. mask: (B, T), 1 or True on response
    tokens (any dtype). Returns a scalar: the mean over all counted tokens of the batch.
    A gradient flows to logprobs only. Schulman et al. 2017, eq. 7.
    """
    # BEGIN SOLUTION
    kept = mask.bool()
    ratio = (logprobs - old_logprobs.detach())[kept].exp()  # (counted tokens,)
    gain = advantages.detach()[kept]
    plain = -gain * ratio
    clipped = -gain * ratio.clamp(1 - clip, 1 + clip)
    return torch.maximum(plain, clipped).mean()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ppo_policy_loss"
# Where to start
# The ratio first: `(logprobs - old_logprobs).exp()`. Then two losses for each token, one with the ratio and one with the
# clamped ratio.
# ---
# Which of the two
# `torch.maximum` takes the larger loss of each token. Where that is the clipped one, no gradient is left: `clamp` is
# flat outside of its limits.
# ---
# The mean
# Select with the mask (`loss[mask.bool()].mean()`), or multiply by it and divide by `mask.sum()`. And `.detach()` what is
# data.

# %% tags=["check"]
check("ppo_policy_loss")

# %% [markdown]
# {exercise ppo_value_loss}
#
# **Why.** The value head learns from the returns: squared error, as in any regression. It shares its body with the
# policy, though, and a value head that leaps after each batch drags the body along. PPO's implementations clip it as
# they clip the policy.
#
# **What.** With the values $V_\text{old}$ from the time of the rollout,
#
# $$ L = \frac{1}{2 \sum m} \sum_t m_t \max\Big( (V_t - R_t)^2,\; \big(V^\text{old}_t + \mathrm{clip}(V_t - V^\text{old}_t,
# -\epsilon, \epsilon) - R_t\big)^2 \Big) $$
#
# **By hand.** Old value 0.5, return 1, $\epsilon$ = 0.2. New value 0.9: (-0.1)² = 0.01 against (0.7 - 1)² = 0.09; the larger
# is 0.09, the loss 0.045, and it no longer pushes. New value 0.2: 0.64 against (0.3 - 1)² = 0.49; loss 0.32, and it
# pushes. Which sense of "pessimistic" is this? (The same as in 6.6: no profit from a move of more than $\epsilon$.)
#
# **Traps.** (1) `max` of the squares, not `min`. (2) Clipped is the *change* of the value, by $\pm\epsilon$ around the
# old one; a value has no ratio. (3) The half. (4) One mean over counted tokens. (5) The gradient goes to `values` only;
# returns are targets. (6) The square is taken of the clipped value minus the return, not clipped itself.


# %% tags=["exercise"] exercise="ppo_value_loss"
def ppo_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, clip: float = 0.2) -> Tensor:
    """The clipped squared error of the value head.

    values, old_values, returns: (B, T) float, anything finite at padding. mask: (B, T), 1 or True on response tokens
    (any dtype). Returns a scalar: half the mean over all counted tokens of the larger of the two squared errors.
    A gradient flows to values only. As in the implementations of Schulman et al. 2017 and Ziegler et al. 2019.
    """
    # BEGIN SOLUTION
    kept = mask.bool()
    now, before, target = values[kept], old_values.detach()[kept], returns.detach()[kept]
    near = before + (now - before).clamp(-clip, clip)
    worse = torch.maximum((now - target) ** 2, (near - target) ** 2)
    return worse.mean() / 2
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ppo_value_loss"
# Where to start
# Two predictions for each token: the new value, and the old value plus the clamped change. Two squared errors.
# ---
# The rest
# As in 6.6: `torch.maximum`, counted tokens, mean, and a half.

# %% tags=["check"]
check("ppo_value_loss")

# %% [markdown]
# {exercise adapt_kl_coefficient}
#
# **Why.** Nobody knows beforehand which $\beta$ buys which distance: that depends on the reward model and on the policy. It is
# easier to say how far the policy may go, and to turn the knob until it is there.
#
# **What.** After a rollout of $n$ answers whose mean KL was `kl` (Ziegler et al. 2019, sec. 2.2), with a time scale of
# `horizon` answers:
#
# $$ e = \mathrm{clip}\Big(\frac{\text{kl}}{\text{target}} - 1,\; -0.2,\; 0.2\Big), \qquad
# \beta \leftarrow \beta \Big(1 + e\, \frac{n}{\text{horizon}}\Big) $$
#
# **By hand.** $\beta$ = 0.1, target 2, n = 128, horizon 2,000. KL 6: the error is 2, clipped to 0.2, so $\beta$ becomes
# 0.1 · (1 + 0.2 · 0.064) = 0.10128. KL 1.8: error -0.1, and $\beta$ = 0.09936. How many rollouts of KL 6 until $\beta$ has
# doubled? (log 2 / log 1.0128: 55. A patient controller.)
#
# **Traps.** (1) Too far means *more* penalty. (2) The relative error, divided by the target. (3) The error is clipped,
# not the new $\beta$. (4) n over horizon, not the other way round. (5) It multiplies $\beta$: nothing is added to it.


# %% tags=["exercise"] exercise="adapt_kl_coefficient"
def adapt_kl_coefficient(beta: float, kl: float, target: float, n: int, horizon: int) -> float:
    """The next beta of a proportional controller that steers the KL towards a target.

    beta > 0: as it is. kl: measured, nats an answer; target > 0: wanted, in the same unit. n: answers that kl was
    measured on. horizon: answers over which beta adapts.
    Returns beta * (1 + clip(kl / target - 1, -0.2, 0.2) * n / horizon). Ziegler et al. 2019, sec. 2.2.
    """
    # BEGIN SOLUTION
    error = kl / target - 1
    bounded = min(0.2, max(-0.2, error))
    factor = 1 + bounded * n / horizon
    return beta * factor
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="adapt_kl_coefficient"
# Where to start
# Three steps: the relative error, the clipped error, the factor. Plain numbers, no tensors.
# ---
# The clip
# `max(-0.2, min(0.2, error))`.

# %% tags=["check"]
check("adapt_kl_coefficient")
