# %% [markdown]
# # 07 · GRPO
#
# PPO trains two things at once: the policy, and a value head that guesses how well an answer will end. The value head
# is half of the code and most of the trouble. But why guess how well an answer to *this* prompt usually ends, when you
# can simply ask the policy a few more times and look?
#
# That is the idea of this lesson. Sample a *group* of answers to each prompt, and judge every answer by the company it
# keeps. GRPO (Shao et al. 2024) and RLOO (Kool et al. 2019; Ahmadian et al. 2024) are two ways to do so, in a line of
# code each. What each of them really estimates is easy to get wrong, and here you do not have to take it on trust: in
# a world small enough to list every answer, the true gradient can be computed, and every estimate held against it.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %% [markdown]
# ## One number by hand
#
# Four answers to one prompt, one of them right: rewards 1, 0, 0, 0. What should each answer be told?
#
# - **RLOO** compares each with the mean of the *other three*. The right one: 1 - 0 = 1. A wrong one: 0 - 1/3 = -1/3.
# - **GRPO** compares each with the mean of all four, 0.25, and divides by the standard deviation of the group, 0.5:
#   1.5, and three times -0.5.
#
# Both are 0 for a group in which all answers earn the same: nothing can be learned from it. Now let the same answer be
# worth 100 points instead of 1. RLOO's numbers grow a hundredfold. GRPO's stay what they are. Which of the two do you
# want? Keep your answer; you will measure it.

# %% [markdown]
# ## Judged by the company they keep
#
# {exercise group_advantages}
#
# **Why.** A reward of 0.3 may be splendid for a hard prompt and poor for an easy one. What other answers to the same
# prompt earn says which. Subtracting their mean takes the prompt's difficulty out; dividing by their spread gives all
# prompts the same voice, whatever the scale of their rewards.
#
# **What.** For answer $i$ of $G$ to one prompt (Shao et al. 2024, sec. 4.1.2; the small term is that of the libraries),
#
# $$ A_i = \frac{r_i - \bar r}{\mathrm{sd} + 10^{-4}}, \qquad \bar r = \frac1G \sum_j r_j, \qquad
# \mathrm{sd} = \sqrt{\frac1{G-1} \sum_j (r_j - \bar r)^2} $$
#
# **By hand.** Rewards 1, 1, 1, 0: mean 0.75, squared distances 3 · 0.0625 + 0.5625 = 0.75, divided by 3 and rooted 0.5.
# So 0.5, 0.5, 0.5, -1.5. What about 2, 2, 2, 2? (All 0: not 0/0.) And 100, 100, 100, 0? (As for 1, 1, 1, 0.)
#
# **Traps.** (1) A group of equal rewards has a spread of 0; without the small term you return NaN, and one NaN ends
# the run. (2) The small term stands beside the root, not under it: $\sqrt{10^{-4}}$ would be 0.01. (3) The sample
# standard deviation divides by G - 1; that is what `torch.std` does unless told otherwise. (4) Each prompt by itself:
# rows are prompts. (5) Dividing by the standard deviation, not the variance. The other convention (Dr. GRPO, Liu et
# al. 2025) does not divide at all; further down you measure why one would not.


# %% tags=["exercise"] exercise="group_advantages"
def group_advantages(rewards: Tensor) -> Tensor:
    """GRPO's advantage of each answer: how many standard deviations it lies above the mean of its group.

    rewards: (P, G) float, G >= 2 answers to each of P prompts.
    Returns (P, G): (reward - mean of the group) / (sample standard deviation of the group + 1e-4);
    0, not NaN, in a group of equal rewards. These are numbers to learn from: no gradient is needed.
    Shao et al. 2024, sec. 4.1.2 (outcome supervision).
    """
    # BEGIN SOLUTION
    rewards = rewards.detach()
    above = rewards - rewards.mean(dim=1, keepdim=True)  # (P, G)
    spread = rewards.std(dim=1, keepdim=True)  # (P, 1)
    return above / (spread + 1e-4)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="group_advantages"
# Where to start
# Two numbers for each prompt, a mean and a standard deviation, both over dimension 1. They have to meet a (P, G)
# tensor, so they should be (P, 1).
# ---
# The shapes
# `keepdim=True` in `mean` and `std` leaves a dimension of 1 in place, and (P, G) - (P, 1) does what you want.

# %% tags=["check"]
check("group_advantages")

# %% [markdown]
# {exercise rloo_advantages}
#
# **Why.** A baseline may be anything that does not depend on the answer it is subtracted from: then it takes noise
# away and leaves the mean of the gradient alone. The mean of the whole group breaks that rule, for the answer is part
# of it. The mean of the *others* keeps it.
#
# **What.** For answer $i$ of $G$ (Kool et al. 2019; Ahmadian et al. 2024),
#
# $$ A_i = r_i - \frac{1}{G-1} \sum_{j \neq i} r_j $$
#
# **By hand.** Rewards 5, 1, 3: the first against (1 + 3) / 2 gives 3; the others -3 and 0. With the mean of all
# three, 3, you would get 2, -2, 0. What factor lies between the two? (Always G / (G - 1), here 1.5: including itself
# shrinks every advantage by the same share.)
#
# **Traps.** (1) The answer's own reward is not in its baseline. (2) The others are G - 1, not G. (3) The others of the
# *same prompt*. (4) Reward minus baseline: the other way round teaches the worst answers. (5) No division by a spread:
# that is GRPO.


# %% tags=["exercise"] exercise="rloo_advantages"
def rloo_advantages(rewards: Tensor) -> Tensor:
    """REINFORCE leave-one-out: each answer's reward minus the mean reward of the others in its group.

    rewards: (P, G) float, G >= 2 answers to each of P prompts.
    Returns (P, G). These are numbers to learn from: no gradient is needed.
    Kool et al. 2019; Ahmadian et al. 2024, sec. 2.3.
    """
    # BEGIN SOLUTION
    rewards, G = rewards.detach(), rewards.shape[1]
    others = rewards.sum(dim=1, keepdim=True) - rewards  # (P, G) the sum without the answer itself
    return rewards - others / (G - 1)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="rloo_advantages"
# Where to start
# No loop over answers is needed. What is the sum of all the others, if you know the sum of the whole group?
# ---
# The sum of the others
# The sum of the group, (P, 1), minus the rewards, (P, G): at each place the sum without the answer that stands there.

# %% tags=["check"]
check("rloo_advantages")

# %% [markdown]
# {exercise grpo_loss}
#
# **Why.** With a number for each answer, every token of the answer gets that number, and the rest is PPO's clipped
# ratio, which you know. Two things are new. The leash is in the loss: not taken off the reward, but a $k_3$ term at
# every token. And every *answer* counts the same, however long it is.
#
# **What.** With $\rho_t = \exp(\log\pi - \log\pi_{\text{old}})$ at token t, $\Delta_t = \log\pi_{\text{ref}} -
# \log\pi$, and $\varepsilon$ the clip,
#
# $$ \ell_t = \max\!\big(-A\,\rho_t,\; -A\,\mathrm{clip}(\rho_t, 1-\varepsilon, 1+\varepsilon)\big)
# + \beta\,\big(e^{\Delta_t} - \Delta_t - 1\big), \qquad
# L = \frac1B \sum_{b=1}^{B} \frac{1}{n_b} \sum_{t=1}^{n_b} \ell_{b,t} $$
#
# where $n_b$ is the number of tokens of answer b (Shao et al. 2024, eq. 3 and 4, as a loss).
#
# **By hand.** Two answers, policy = old = reference, so all ratios are 1 and the leash is 0. The first has one token
# and A = 1, the second three tokens and A = -1. Their means are -1 and 1, so L = 0. (One mean over all four tokens
# would give 0.5.) Now ratios: at A = 1 and ratio 1.5 the loss is -1.2, at A = -1 and ratio 1.5 it is 1.5; what is it
# at A = -1 and ratio 0.5? (0.8: clipped.) And $k_3$ where the reference gives a token twice the probability that the
# policy does: $2 - \log 2 - 1 = 0.307$.
#
# **Traps.** (1) The mean over an answer's tokens comes first, then the mean over answers. DAPO (Yu et al. 2025) takes
# one mean over all tokens, Dr. GRPO (Liu et al. 2025) divides by a constant: other methods, other numbers. (2) With the
# minus inside, the pessimistic choice is the *larger* loss. (3) The ratio is new over old, of probabilities, not of
# their logs. (4) $k_3$ with the reference over the policy; turned round it is another number, and another gradient.
# (5) The leash holds to the *reference*, the ratio to the *old* policy. (6) Only `logprobs` learns: detach the rest.
# (7) Padding counts in no mean, neither above nor below the line.


# %% tags=["exercise"] exercise="grpo_loss"
def grpo_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip: float = 0.2,
    beta: float = 0.04,
) -> Tensor:
    """The clipped loss with a KL term: first the mean over each answer's tokens, then over answers.

    logprobs, old_logprobs, ref_logprobs: (B, T) nats of each token under the policy that learns, the
    policy that gave the answers, and the reference; anything finite at padding.
    advantages: (B,), one for each answer. mask: (B, T), 1 or True at the answer's tokens (any dtype),
    1s first, then 0s, at least one a row.
    Returns a scalar; a gradient reaches logprobs and nothing else.
    Shao et al. 2024, eq. 3 and 4, with the sign of a loss and this reduction. (DAPO: one mean over all
    tokens; Dr. GRPO: a sum divided by a constant.)
    """
    # BEGIN SOLUTION
    advantages, mask = advantages.detach()[:, None], mask.to(logprobs.dtype)  # (B, 1), (B, T)
    ratio = (logprobs - old_logprobs.detach()).exp()  # (B, T)
    surrogate = torch.maximum(-advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip))
    log_ratio = ref_logprobs.detach() - logprobs  # (B, T)
    k3 = log_ratio.exp() - 1 - log_ratio
    each = (surrogate + beta * k3) * mask  # (B, T)
    return (each.sum(dim=1) / mask.sum(dim=1)).mean()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="grpo_loss"
# Where to start
# Build one (B, T) tensor: the loss of every token. An advantage belongs to a whole row, so it has to be (B, 1).
# ---
# The two parts
# Ratio and clip as in `ppo_policy_loss`: `torch.maximum` of two products, `clamp` for the clip. The leash is
# `kl_estimates`' third, written out, with `ref_logprobs` and not `old_logprobs`.
# ---
# The reduction
# Multiply by the mask, sum over dimension 1, divide by the mask's own sum over dimension 1: a (B,) tensor, one number
# an answer. Then `mean()`.

# %% tags=["check"]
check("grpo_loss")

# %% [markdown]
# ## The truth, for once
#
# {exercise exact_policy_gradient}
#
# **Why.** PPO, GRPO and RLOO all *estimate* the same thing: how the mean reward changes when the policy does. Nobody
# with a real language model ever sees the true value, so nobody can say whether an estimate is off by noise or by
# mistake. In a world with a few hundred possible answers you can add them all up.
#
# **What.** The policy is a table of logits, a row for each situation; token t of sequence s is drawn from the softmax
# of row $x = \text{rows}_{s,t}$. With $p(s)$ the product over the tokens of s, the mean reward is $J = \sum_s p(s)\,
# r(s)$, and since $\nabla p = p\,\nabla \log p$ (Williams 1992),
#
# $$ \nabla J = \sum_s p(s)\, r(s) \sum_{t} \nabla \log \pi(s_t \mid x), \qquad
# \frac{\partial \log \pi(s_t \mid x)}{\partial\, \text{table}_{x}}
# = \text{onehot}(s_t) - \mathrm{softmax}(\text{table}_x) $$
#
# **By hand.** Two tokens, "end" and "a", at most two of them, all logits 0. Row 0 is the start, row 1 comes after "a".
# The sequences "end", "a end", "a a" have probability 1/2, 1/4, 1/4; let them earn 0, 1, 3, so J = 1. Row 1 is met by
# the last two: $\tfrac14 \cdot 1 \cdot (\tfrac12, -\tfrac12) + \tfrac14 \cdot 3 \cdot (-\tfrac12, \tfrac12) =
# (-\tfrac14, \tfrac14)$. Do row 0. (-1/2, 1/2.) And if every sequence earned 7 more? (The same: the sum over s of
# p(s) times its score is 0, which is why a baseline is allowed.)
#
# **Traps.** (1) Weigh each sequence by its probability; that is what sampling does for you elsewhere. (2) Many
# sequences meet the same row, some meet it twice: *add up*. `grad[rows] += ...` with repeated indices keeps only one
# of them. (3) The onehot alone is not the gradient: the softmax is subtracted, at every token. (4) Behind the end of a
# sequence there are no tokens: they count neither in p nor in the score. (5) Upwards: this is the gradient of the
# reward, not of a loss. (6) The table holds logits; probabilities come from the softmax of a row.


# %% tags=["exercise"] exercise="exact_policy_gradient"
def exact_policy_gradient(table: Tensor, rows: Tensor, sequences: Tensor, mask: Tensor, rewards: Tensor) -> Tensor:
    """The gradient of the mean reward with respect to a table of logits, over all sequences that there are.

    table: (R, V) logits. sequences: (S, L) long, every possible sequence once. rows: (S, L) long, the
    row of the table that each token is drawn from; one row may stand in many places, also twice in one
    sequence. mask: (S, L), 1 or True at real tokens; what stands in rows and sequences elsewhere (valid
    indices) means nothing. rewards: (S,).
    Returns (R, V), d/d table of J = sum over s of p(s) rewards(s); 0 in rows that are never met.
    Williams 1992; any exact method is right.
    """
    # BEGIN SOLUTION
    table, rewards, mask = table.detach(), rewards.detach(), mask.bool()
    token_logprobs = table.log_softmax(-1)[rows, sequences]  # (S, L)
    weight = (token_logprobs * mask).sum(dim=1).exp() * rewards  # (S,) p(s) r(s)
    score = F.one_hot(sequences, table.shape[1]) - table.softmax(-1)[rows]  # (S, L, V)
    each = weight[:, None, None] * score * mask[..., None]  # (S, L, V)
    gradient = torch.zeros_like(table)
    return gradient.index_add(0, rows.flatten(), each.flatten(0, 1).to(table.dtype))  # (R, V)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="exact_policy_gradient"
# Where to start
# First p(s): the log-softmax of the table, picked at `[rows, sequences]`, masked, summed over a sequence, and `exp`.
# From here there are two ways: compute J and let autograd differentiate it, or add up the formula.
# ---
# With autograd
# Make a leaf of a copy, `table.detach().clone().requires_grad_()`, compute J from it, `torch.autograd.grad(J, leaf)`.
# ---
# By the formula
# A tensor (S, L, V) of p · r · (onehot - softmax) · mask, flattened to (S · L, V), and then
# `torch.zeros_like(table).index_add(0, rows.flatten(), ...)`, which adds where an index comes twice.

# %% tags=["check"]
check("exact_policy_gradient")
