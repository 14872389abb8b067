# %% [markdown]
# # 09 · DPO
#
# Lesson 05 turned comparisons into a reward model, and lessons 06 and 07 turned the reward model into a policy: two
# models to train, answers to sample at every step, and a proxy to be fooled, as lesson 08 showed. But lesson 08 showed
# something else too. For any reward and any $\beta$ the best policy is known in closed form: the reference times
# $e^{r/\beta}$, divided by a constant Z. You wrote it down as `optimal_policy`.
#
# Direct preference optimisation (Rafailov et al. 2023) reads that formula backwards. If the best policy follows from
# the reward, then the reward follows from the best policy: it is $\beta \log(\pi/\pi_\text{ref})$, plus
# $\beta \log Z$. Nobody can compute Z for a language model. But Z belongs to the prompt, and two answers to one prompt
# share it, so in a comparison it cancels. The policy is its own reward model, and can be trained on comparisons just
# as lesson 05's reward model was: no second model, no sampling, one loss.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import check

# %%
import matplotlib.pyplot as plt

from minillm import plots

# %%
plots.use_style()

# %% [markdown]
# ## One number by hand
#
# A prompt and two answers; people chose the first. The reference gives the chosen answer a log-probability of -10
# nats and the rejected one -8. After some training the policy gives them -9 and -9.5. With $\beta$ = 0.1, how content
# is DPO?
#
# - The chosen answer has moved by -9 - (-10) = +1 nat, the rejected one by -9.5 - (-8) = -1.5 nats.
# - The margin is $\beta$ times the difference of the two moves: 0.1 · (1 + 1.5) = 0.25.
# - The loss is $-\log \sigma(0.25)$ = 0.576. Before training, both moves were 0 and the loss was log 2 = 0.693.
#
# Only differences to the reference count. To the reference the *rejected* answer was the likelier one, by 2 nats, and
# that was no reason for a larger loss. Had the policy stopped at -8.5 for it, the rejected answer would be the
# likelier one still. What would the loss be then? (Margin 0.1 · (1 + 0.5) = 0.15, loss 0.621: below log 2 all the
# same.)

# %% [markdown]
# ## How likely is an answer?
#
# {exercise sequence_logprobs}
#
# **Why.** Everything in this lesson is made from one number: the log-probability that a model gives a whole answer,
# given its prompt. An answer's probability is the product of its tokens' probabilities, so its log is a sum.
#
# **What.** For row b, with the mask $m$ marking the answer's tokens, end token included,
#
# $$ \log \pi(y_b \mid x_b) = \sum_{t=1}^{T-1} m_{b,t}\, \log \mathrm{softmax}(z_{b,t-1})[s_{b,t}] $$
#
# where $z_{t-1}$ are the logits at position $t-1$, which predict token $s_t$.
#
# **By hand.** Three tokens: a prompt of one, then "yes" and the end token; the mask is 0, 1, 1. The logits at
# position 0 give "yes" a probability of 0.5, those at position 1 give the end token 0.25. The sum is
# log 0.5 + log 0.25 = -2.079. What does the mask 1, 1, 1 give? (The same: nothing predicts the first token.) And the
# mask 0, 0, 0? (0.)
#
# **Traps.** (1) The mask marks *tokens*. Shift it with the tokens, `mask[:, 1:]`; the mask of the position that
# predicts drops the end token and counts the prompt's last. (2) A sum, not a mean: DPO and IPO want the probability
# of the answer; SimPO will divide by the length itself. (3) Normalise over the vocabulary, and with `log_softmax`:
# log(softmax) is minus infinity where the softmax is rounded to 0. (4) Log-probabilities are negative; a loss is minus
# that. (5) Token 0 is a token: `cross_entropy(..., ignore_index=0)` skips it. (6) One number for each row, and each
# row with its own mask: answers differ in length, and prompts too.


# %% tags=["exercise"] exercise="sequence_logprobs"
def sequence_logprobs(logits: Tensor, tokens: Tensor, mask: Tensor) -> Tensor:
    """The log-probability of each row's answer given what stands before it: a sum over the answer's tokens.

    logits: (B, T, V) float; logits[:, t] predict tokens[:, t + 1]. tokens: (B, T) long.
    mask: (B, T), 1 or True at the tokens to count (any dtype): the answer's, its end token included; padding may
    stand on either side. Nothing predicts the first token, so mask[:, 0] never counts.
    Returns (B,) in nats: sums, not means; 0 for a row without counted tokens. With a gradient to the logits.
    Finite and right for logits of any size that a float32 can hold.
    """
    # BEGIN SOLUTION
    nats = F.log_softmax(logits[:, :-1], dim=-1)  # (B, T - 1, V)
    following = tokens[:, 1:].unsqueeze(-1)  # (B, T - 1, 1)
    said = nats.gather(-1, following).squeeze(-1)  # (B, T - 1)
    return (said * mask[:, 1:]).sum(dim=1)  # (B,)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="sequence_logprobs"
# Where to start
# Begin as in lesson 06's `token_logprobs`: the logits without their last position against the tokens without their
# first. That gives (B, T - 1), one number for every token but the first.
# ---
# The mask
# Entry t of that tensor belongs to token t + 1, so it meets entry t + 1 of the mask.
# ---
# The sum
# Multiply by `mask[:, 1:]` and sum over dimension 1. Do not divide.

# %% tags=["check"]
check("sequence_logprobs")

# %% [markdown]
# ## From the optimum to a loss
#
# Five lines lead from what PPO was after to a loss that needs no PPO (Rafailov et al. 2023, eq. 3 to 7). For a
# prompt $x$, an answer $y$ should earn reward without straying far from the reference:
#
# $$ \max_\pi \; E_{y \sim \pi}\big[r(x, y)\big] - \beta\, \mathrm{KL}\big(\pi \,\|\, \pi_\text{ref}\big) $$
#
# The policy that does this best is the one of lesson 08:
#
# $$ \pi^*(y \mid x) = \frac{1}{Z(x)}\, \pi_\text{ref}(y \mid x)\, e^{r(x, y)/\beta},
# \qquad Z(x) = \sum_{y} \pi_\text{ref}(y \mid x)\, e^{r(x, y)/\beta} $$
#
# Take the logarithm and solve for the reward:
#
# $$ r(x, y) = \beta \log \frac{\pi^*(y \mid x)}{\pi_\text{ref}(y \mid x)} + \beta \log Z(x) $$
#
# Put that into Bradley and Terry's model of a comparison (lesson 05). $Z(x)$ is the same for both answers, so it
# drops out of the difference:
#
# $$ p(y_w \succ y_l) = \sigma\big(r(x, y_w) - r(x, y_l)\big) = \sigma\Big(\beta \log \frac{\pi^*(y_w \mid
# x)}{\pi_\text{ref}(y_w \mid x)} - \beta \log \frac{\pi^*(y_l \mid x)}{\pi_\text{ref}(y_l \mid x)}\Big) $$
#
# Now write the policy that you train, $\pi$, in place of $\pi^*$, and make the labels that people gave as likely as
# you can. That is the loss:
#
# $$ L = -\log \sigma\Big(\beta \log \frac{\pi(y_w \mid x)}{\pi_\text{ref}(y_w \mid x)} - \beta \log
# \frac{\pi(y_l \mid x)}{\pi_\text{ref}(y_l \mid x)}\Big) $$
#
# See Z cancel with numbers of your own. Five answers to one prompt, a reference, a reward for each: before you run the
# cell, say what the last column will hold. Then change any of the numbers and run it again.

# %%
strength = 0.5  # beta
reference = torch.tensor([0.40, 0.30, 0.15, 0.10, 0.05], dtype=torch.float64)  # sums to 1
rewards = torch.tensor([0.2, -1.0, 0.7, 1.5, 0.0], dtype=torch.float64)
weights = reference * (rewards / strength).exp()
optimum = weights / weights.sum()  # the best policy for these rewards
log_z = weights.sum().log()
implied = strength * (optimum / reference).log()  # beta log(pi* / pi_ref), without Z
print("answer  reference  optimum  reward  implied reward  difference")
for i in range(5):
    line = f"{i + 1:6}  {reference[i]:9.2f}  {optimum[i]:7.3f}  {rewards[i]:6.2f}"
    print(f"{line}  {implied[i]:14.4f}  {rewards[i] - implied[i]:10.4f}")
print(f"\nbeta log Z = {strength * log_z:.4f}, the same for every answer.")
error = ((implied[:, None] - implied) - (rewards[:, None] - rewards)).abs().max()
print(f"Differences of implied rewards are differences of rewards, to 1e-12: {bool(error < 1e-12)}.")

# %% [markdown]
# The implied reward is off by one constant for all five answers, so whatever is made from differences alone comes out
# right, Bradley and Terry's probabilities among them. No sum over all answers is left in it.
#
# {exercise dpo_loss}
#
# **Why.** This is the last line of the derivation, and all there is to DPO: lesson 05's loss, with
# $\beta \log(\pi/\pi_\text{ref})$ where the reward model's score stood.
#
# **What.** For each pair, with log-probabilities summed over the answers,
#
# $$ h = \big(\log\pi(y_w) - \log\pi_\text{ref}(y_w)\big) - \big(\log\pi(y_l) - \log\pi_\text{ref}(y_l)\big),
# \qquad L = -\log \sigma(\beta\, h) $$
#
# (Rafailov et al. 2023, eq. 7). One loss for each pair: whoever trains averages them, or weighs them.
#
# **By hand.** $\beta$ = 0.1. The chosen answer goes from -12 to -13, the rejected one from -9 to -12: moves of -1 and
# -3, so h = 2, margin 0.2, loss 0.598. Both answers have become *less* likely, and the loss has fallen; remember that
# when you look at DPO's curves. The gradient with respect to the chosen log-probability is
# $-\beta\, \sigma(-\beta h)$ = -0.1 · 0.45 = -0.045. What are loss and gradient where policy and reference agree?
# (log 2 and -0.05, whatever the answers.)
#
# **Traps.** (1) Chosen minus rejected, policy minus reference. Turn either round and you train the policy to give what
# people rejected; at the start, where both agree, the loss is log 2 either way. (2) The reference is subtracted, once
# for each answer; mind the brackets. Without it you raise answers that were likely anyway. (3) $\beta$ stands inside
# the logsigmoid; outside it only scales the gradient. (4) `log(sigmoid(x))` is minus infinity at large negative
# margins: `F.logsigmoid`. (5) Log-probabilities of long answers are hundreds of nats below 0: subtract logs, never
# divide probabilities. (6) One loss a pair, (N,): no mean, no sum. (7) The reference does not learn: detach it.
# (8) -log of the sigmoid: not a hinge (SLiC, Zhao et al. 2023), not a probability.


# %% tags=["exercise"] exercise="dpo_loss"
def dpo_loss(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    beta: float = 0.1,
) -> Tensor:
    """DPO's loss of each pair: -logsigmoid(beta * h), with h the difference of the two log-ratios to the reference.

    chosen_logprobs, rejected_logprobs: (N,) float, nats summed over each answer's tokens, under the policy.
    ref_chosen_logprobs, ref_rejected_logprobs: (N,), the same answers under the reference.
    Returns (N,), one loss a pair, neither averaged nor added up; a gradient reaches the policy's log-probabilities
    and not the reference's. Finite, and right in value and gradient, at any margin that a float32 can hold.
    Rafailov et al. 2023, eq. 7.
    """
    # BEGIN SOLUTION
    moved_chosen = chosen_logprobs - ref_chosen_logprobs.detach()  # (N,)
    moved_rejected = rejected_logprobs - ref_rejected_logprobs.detach()  # (N,)
    margin = beta * (moved_chosen - moved_rejected)
    return -F.logsigmoid(margin)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="dpo_loss"
# Where to start
# Give the two log-ratios names first: how far the policy has moved from the reference on the chosen answer, and how
# far on the rejected one. Both are differences of logs.
# ---
# The loss
# The margin is beta times the difference of the two. Lesson 05's `bradley_terry_loss` did the rest, but for the mean:
# `F.logsigmoid`, and a minus.
# ---
# The reference
# `.detach()` on both of its tensors. In training they come without a gradient; here the check hands you some that
# have one.

# %% tags=["check"]
check("dpo_loss")

# %% [markdown]
# The loss, and how hard a pair pulls, against how far the policy has moved on it. A pair pulls hardest while it is
# wrong, and lets go when $\beta h$ is large; so $\beta$ decides how far the policy has to go before a pair lets go.

# %% tags=["target"] exercise="dpo_loss"
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
h = torch.linspace(-60, 60, 241)
zero = torch.zeros_like(h)
for strength, style in ((0.05, ":"), (0.1, "-"), (0.3, "--")):
    moved = h.clone().requires_grad_()
    losses = torch.as_tensor(dpo_loss(moved, zero, zero, zero, beta=strength))
    pull = -torch.autograd.grad(losses.sum(), moved)[0]
    axes[0].plot(h, losses.detach(), style, color=plots.STAGE_COLOURS["dpo"], label=f"beta = {strength:g}")
    axes[1].plot(h, pull / strength, style, color=plots.STAGE_COLOURS["dpo"], label=f"beta = {strength:g}")
axes[0].set(ylabel="loss of the pair (nats)", title="The loss falls for ever, ever more slowly")
axes[1].set(ylabel="pull on the pair (times 1 / beta)", title="The smaller beta, the later a pair lets go")
for ax in axes:
    ax.set_xlabel("h, in nats: move of chosen minus move of rejected")
    ax.legend()
plt.show()

# %% [markdown]
# {exercise implicit_rewards}
#
# **Why.** A policy trained in this way carries a reward model inside it. You will want to watch it during training:
# does it order pairs rightly, and do its rewards rise for chosen answers, or only fall for rejected ones?
#
# **What.** For each answer, up to the $\beta \log Z(x)$ that belongs to its prompt (Rafailov et al. 2023, eq. 5),
#
# $$ \hat r = \beta\, \big(\log\pi(y \mid x) - \log\pi_\text{ref}(y \mid x)\big) $$
#
# **By hand.** The pair from the start of the lesson, $\beta$ = 0.1: the chosen answer's reward is 0.1 · 1 = 0.1, the
# rejected one's 0.1 · (-1.5) = -0.15. Their difference, 0.25, is the margin inside the loss. What are the rewards
# before training? (All 0.) And with $\beta$ = 0.2? (Twice as large: 0.2 and -0.3.)
#
# **Traps.** (1) Policy minus reference. (2) $\beta$ multiplies. (3) A number to look at: detached from the graph, so
# that logging neither holds memory nor lets a gradient flow. (4) No sigmoid, no exp, no centring: rewards, for better
# and worse. They may be compared within a prompt; across prompts $\beta \log Z(x)$ differs, and nobody knows it.
# (5) One number for each answer; averaging is for whoever draws the curve.


# %% tags=["exercise"] exercise="implicit_rewards"
def implicit_rewards(logprobs: Tensor, ref_logprobs: Tensor, beta: float = 0.1) -> Tensor:
    """The reward that a policy implies for each answer, up to a constant that belongs to the prompt.

    logprobs, ref_logprobs: (N,) float, nats summed over each answer's tokens, under policy and reference.
    Returns (N,): beta * (logprobs - ref_logprobs), detached: to be logged, not learned from.
    Rafailov et al. 2023, eq. 5, without beta * log Z(x).
    """
    # BEGIN SOLUTION
    policy, reference = logprobs.detach(), ref_logprobs.detach()
    moved = policy - reference  # (N,)
    return beta * moved
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="implicit_rewards"
# Where to start
# Inside `dpo_loss` you have two of these already, one for the chosen and one for the rejected answer.
# ---
# Detached
# `.detach()` on both inputs, or on the result; or compute it under `torch.no_grad()`.

# %% tags=["check"]
check("implicit_rewards")

# %% [markdown]
# ## Two relatives
#
# {exercise ipo_loss}
#
# **Why.** DPO's loss falls for ever. Where people always prefer one answer to the other, no finite margin is enough,
# and $\beta$ only decides how slowly the policy leaves the reference behind, not where it stops. A few thousand pairs,
# each labelled once, all look as certain as that. IPO (Azar et al. 2024) gives every pair a goal instead: so many nats
# apart, and no further.
#
# **What.** With $h$ the difference of log-ratios as in DPO, on sums (Azar et al. 2024, eq. 17; their $\tau$ is our
# $\beta$),
#
# $$ L = \Big(h - \frac{1}{2\beta}\Big)^2 $$
#
# **By hand.** $\beta$ = 0.1: the goal is 1/0.2 = 5 nats. The pair from the start has h = 2.5 and costs
# (2.5 - 5)² = 6.25. A pair with h = 5 costs nothing and pulls no more. And h = 8? ((8 - 5)² = 9: too far apart costs,
# too.) What is the loss where policy and reference agree? (25, not log 2: do not compare the losses of two methods.)
#
# **Traps.** (1) The goal is $1/(2\beta)$: `1 / 2 * beta` is something else, and so is $1/\beta$. A *large* $\beta$
# keeps the policy near, as in DPO. (2) $\beta$ does not multiply h. (3) Chosen minus rejected, policy minus reference,
# and *minus* the goal. (4) A square, on both sides of the goal: no hinge, no logsigmoid, no half. (5) One loss a pair.
# (6) The reference does not learn. The other convention: some libraries average each answer's log-probabilities over
# its tokens before they go into IPO. The paper speaks of the answer's probability, and so do we.


# %% tags=["exercise"] exercise="ipo_loss"
def ipo_loss(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    ref_chosen_logprobs: Tensor,
    ref_rejected_logprobs: Tensor,
    beta: float = 0.1,
) -> Tensor:
    """IPO's loss of each pair: (h - 1 / (2 * beta)) ** 2, with h the difference of the two log-ratios to the reference.

    chosen_logprobs, rejected_logprobs: (N,) float, nats summed over each answer's tokens, under the policy.
    ref_chosen_logprobs, ref_rejected_logprobs: (N,), the same answers under the reference. beta > 0.
    Returns (N,), one loss a pair, neither averaged nor added up; a gradient reaches the policy's log-probabilities
    and not the reference's.
    Azar et al. 2024, eq. 17 (their tau is beta). On sums; some libraries use means over tokens.
    """
    # BEGIN SOLUTION
    moved_chosen = chosen_logprobs - ref_chosen_logprobs.detach()  # (N,)
    moved_rejected = rejected_logprobs - ref_rejected_logprobs.detach()  # (N,)
    goal = 1 / (2 * beta)
    return (moved_chosen - moved_rejected - goal) ** 2
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ipo_loss"
# Where to start
# h is what stands beside beta inside `dpo_loss`. Write it again, without beta.
# ---
# The goal
# `1 / (2 * beta)`, with the brackets. Subtract it from h, then square.

# %% tags=["check"]
check("ipo_loss")

# %% tags=["target"] exercise="ipo_loss"
figure, (ax,) = plots.new_figure(height=3.2)
h = torch.linspace(-5, 25, 121)
zero = torch.zeros_like(h)
for name, function, colour in (("DPO", dpo_loss, "dpo"), ("IPO", ipo_loss, "sft")):
    moved = h.clone().requires_grad_()
    losses = torch.as_tensor(function(moved, zero, zero, zero, beta=0.1))
    pull = -torch.autograd.grad(losses.sum(), moved)[0]
    ax.plot(h, pull / pull[20], color=plots.STAGE_COLOURS[colour], label=name)  # h[20] is 0
ax.axhline(0, color=plots.INK, linewidth=0.8)
ax.axvline(5, color=plots.INK, linewidth=0.8, linestyle="--", label="IPO's goal, 1 / (2 beta)")
ax.set_xlabel("h, in nats: move of chosen minus move of rejected")
ax.set_ylabel("pull on the pair (1 at h = 0)")
ax.set_title("DPO pulls less and less, IPO stops at its goal and pulls back")
ax.legend()
plt.show()

# %% [markdown]
# {exercise simpo_loss}
#
# **Why.** DPO's reward is not what the policy goes by when it writes: there is no reference in sampling. And a sum
# over tokens grows with the answer, so the reward leans on length. SimPO (Meng et al. 2024) takes as reward what a
# writer does go by, the mean log-probability of a token, drops the reference, and asks for a gap.
#
# **What.** With $|y|$ the number of an answer's tokens (Meng et al. 2024, eq. 6),
#
# $$ L = -\log \sigma\Big(\frac{\beta}{|y_w|} \log\pi(y_w) - \frac{\beta}{|y_l|} \log\pi(y_l) - \gamma\Big) $$
#
# **By hand.** $\beta$ = 2, $\gamma$ = 0.5. The chosen answer has 4 tokens and -4 nats, -1 a token; the rejected one
# 10 tokens and -8 nats, -0.8 a token. The margin is 2 · (-1 + 0.8) - 0.5 = -0.9, the loss 1.241. By its sum, -4
# against -8, the chosen answer would have looked far better, for no other reason than that it is short. How far apart,
# in nats a token, must the two be for a loss of log 2? ($\gamma/\beta$ = 0.25.)
#
# **Traps.** (1) $\gamma$ is subtracted *inside* the logsigmoid, and $\beta$ does not multiply it. (2) Minus
# $\gamma$: a gap is asked for, not given. (3) Each sum is divided by the length of its own answer. (4) Divide with
# `/`: `//` rounds. (5) $\beta$ stands inside; it is large here (2, not 0.1), because nats a token are small numbers.
# (6) `F.logsigmoid`, as before. (7) One loss a pair. And a warning: with no reference there is no leash either.
# Nothing in this loss holds the policy near where it started.


# %% tags=["exercise"] exercise="simpo_loss"
def simpo_loss(
    chosen_logprobs: Tensor,
    rejected_logprobs: Tensor,
    chosen_lengths: Tensor,
    rejected_lengths: Tensor,
    beta: float = 2.0,
    gamma: float = 0.5,
) -> Tensor:
    """SimPO's loss of each pair: -logsigmoid(beta * (mean nats of chosen - mean nats of rejected) - gamma).

    chosen_logprobs, rejected_logprobs: (N,) float, nats summed over each answer's tokens, under the policy.
    chosen_lengths, rejected_lengths: (N,) long or float, how many tokens each answer has, at least 1.
    gamma: the margin asked for, subtracted inside the logsigmoid and not multiplied by beta.
    Returns (N,), one loss a pair, neither averaged nor added up; a gradient reaches both log-probabilities.
    Finite, and right in value and gradient, at any margin that a float32 can hold.
    Meng et al. 2024, eq. 6. There is no reference.
    """
    # BEGIN SOLUTION
    chosen = chosen_logprobs / chosen_lengths  # (N,) nats a token
    rejected = rejected_logprobs / rejected_lengths
    margin = beta * (chosen - rejected) - gamma
    return -F.logsigmoid(margin)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="simpo_loss"
# Where to start
# Two means: each answer's sum, divided by its own number of tokens. Tensors of whole numbers divide as they are.
# ---
# The margin
# beta times the difference of the two means; then, outside the bracket, minus gamma. The rest is as in `dpo_loss`.

# %% tags=["check"]
check("simpo_loss")
