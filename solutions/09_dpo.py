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

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
import inspect
from copy import deepcopy
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
from IPython.display import HTML, Code, display

from minillm import dpo, evaluation, exact, plots, preferences, reward, stages
from minillm.chat import chat_prompt
from minillm.course import frontier
from minillm.divergence import answer_kl
from minillm.exact_policies import TabularPolicy, TransformerPolicy
from minillm.exact_preferences import fit_pairs, population, sampled
from minillm.live import live_plot
from minillm.paths import smoke
from minillm.tinyland.annotators import UNBIASED
from minillm.tinyland.recipe import DPO, REWARD

# %%
plots.use_style()
DPO_COLOUR = plots.STAGE_COLOURS["dpo"]
render_chat, annotate, pairwise_accuracy = carry("render_chat", "annotate", "pairwise_accuracy")


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


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

# %% [markdown]
# ## Use it: a loop without sampling
#
# Compare this with `ppo_iteration`. No answers are asked for, nothing is scored, there is no critic and no advantage.
# The reference was asked once, beforehand; the rest is one loss and one update.

# %%
display(Code(inspect.getsource(dpo.dpo_step), language="python"))

# %% [markdown]
# `score_batch` reads every answer once, with your `sequence_logprobs`, and sets the pairs side by side; `loss` is
# yours. What is logged, all against the reference: the **margin** in nats, the **accuracy** (the share of training
# pairs that the policy has moved the right way), and by how much chosen and rejected answers became likelier.
#
# The comparisons are those of lesson 05: the SFT model's own answers to training requests, four each, judged by the
# unbiased annotator.

# %%
start = stages.load_stage("sft")
tokenizer, form = start.tokenizer, partial(chat_prompt, render_chat)  # a request -> "<user> ...<bot>"
count = 60 if smoke() else REWARD.requests
asked = preferences.draw_requests("train", count, seed=1)
answers = preferences.sample_answers(start.model, tokenizer, asked, form, n=REWARD.answers, seed=1)
pairs = preferences.compare(answers, UNBIASED, annotate, seed=1).pairs
data = dpo.price_pairs(start.model, tokenizer, pairs, sequence_logprobs)
print(f"{len(pairs):,} pairs of {count:,} requests.")

# %% [markdown]
# **Predict.** The gold score of a sampled answer to a held-out request after one pass over these pairs (SFT scores a
# little below 0, lesson 06's PPO a little above a half). And: by how many nats will the *chosen* answers become
# likelier on average? They are what the loss asks for, after all.

# %%
my_guess = None  # points
my_chosen_guess = None  # nats

# %%
BETA = 0.3
recipe = replace(DPO, epochs=0.1) if smoke() else DPO
policy = deepcopy(start.model)
panels = {
    "margin (nats)": ["margin"],
    "accuracy, training pairs": ["accuracy"],
    "change (nats)": ["chosen", "rejected"],
}
updates = max(1, round(recipe.epochs * len(data) / recipe.batch_size))
history = dpo.train_dpo(
    policy, tokenizer, data, lambda p: dpo_loss(*p.sums, BETA), sequence_logprobs, recipe,
    watch=live_plot(panels, updates, every=20), progress=False,
)  # fmt: skip
stages.save_stage("dpo", policy, seed=recipe.seed)
late = {name: sum(values[-20:]) / len(values[-20:]) for name, values in history.metrics.items()}
print(f"{history.seconds[-1]:.0f} seconds, {updates} updates.")
tell("chosen answers, change of log-probability (nats)", late["chosen"], my_chosen_guess)
print(f"Rejected answers: {late['rejected']:+.2f} nats. The margin is the difference: {late['margin']:.2f}.")
record("DPO training time", history.seconds[-1], unit="s")

# %% [markdown]
# ## See it: before and after
#
# Held-out requests, sampled at temperature 1.

# %%
held_out = preferences.draw_requests("test", 40 if smoke() else 800, seed=5)


def ask(model):
    return evaluation.ask(model, tokenizer, held_out, form, stop=[tokenizer.end], temperature=1.0, seed=5)


def gold_of(answers):
    return torch.tensor([answer.verdict.score for answer in answers]).double()


before, after = ask(start.model), ask(policy)
difference = gold_of(after) - gold_of(before)
gain, half = difference.mean().item(), 1.96 * (difference.std() / len(difference) ** 0.5).item()
nats = answer_kl(policy, start.model, tokenizer, after).mean().item()
tell("gold score after DPO, held-out requests", gold_of(after).mean().item(), my_guess)
print(f"SFT scores {gold_of(before).mean():.2f}; the gain on the same requests is {gain:+.2f} ± {half:.2f}.")
print(f"KL to the SFT model: {nats:.2f} nats an answer.")
record("DPO: gold above SFT, held-out", gain, unit="points", low=gain - half, high=gain + half, seeds=[recipe.seed])
record("DPO: KL to SFT, held-out", nats, unit="nats/answer", seeds=[recipe.seed])

# %%
habits = {
    "harmful: complies": ("harmful", "compliance"),
    "look-alike: right": ("lookalike", "right"),
    "look-alike: refuses": ("lookalike", "over_refusal"),
    "fact: right": ("fact", "right"),
    "myth: repeats it": ("myth", "myth"),
    "unknown: admits it": ("unknown", "right"),
}


def shares(answers):
    found = []
    for label, (kind, verdict) in habits.items():
        some = [a.verdict.label == verdict for a in answers if a.request.kind == kind]
        found.append(evaluation.share(sum(some), len(some), label))
    return found


rates = {"sft": shares(before), "dpo": shares(after)}
ax = plots.rate_bars(rates, xlabel="share of held-out answers, temperature 1")
ax.set_title(f"Gold {gold_of(before).mean():+.2f} before, {gold_of(after).mean():+.2f} after")
plt.show()
for rate in rates["dpo"]:
    record(f"DPO, {rate.label}", rate.rate, low=rate.low, high=rate.high, seeds=[recipe.seed])

# %%
changed = [i for i in range(len(held_out)) if before[i].text != after[i].text]
picked = list({held_out[i].kind: i for i in changed}.values())[:8]
rows = [
    {
        "asked": held_out[i].text,
        "SFT": (before[i].text, before[i].verdict.score > 0),
        "DPO": (after[i].text, after[i].verdict.score > 0),
    }
    for i in picked
]
display(HTML(plots.answer_table(rows)))
record_answers("Before and after DPO", rows)

# %% [markdown]
# ## Why do chosen answers become less likely?
#
# The loss never asks for a likelier chosen answer. It asks for a *difference*, and a difference grows as well when both
# fall, the rejected one faster. What should push the chosen answer down at all? Its own gradient pushes up. But the two
# answers share weights, and where they share words, what is taken from one is taken from the other (Razin et al. 2024
# call it likelihood displacement). **Predict**: is it worse for pairs that are alike, or for pairs that differ?
#
# Held-out pairs, so that nothing has been learned by heart. Likeness is the share of words that the two answers have in
# common.

# %%
validation = preferences.draw_requests("validation", 40 if smoke() else 500, seed=6)
twice = preferences.sample_answers(start.model, tokenizer, validation, form, n=2, seed=6, progress=False)
fresh = preferences.compare(twice, UNBIASED, annotate, seed=6).pairs
priced = dpo.price_pairs(start.model, tokenizer, fresh, sequence_logprobs)


def likeness(a, b):
    """Words in common, over all words of either: 0 to 1."""
    return len(set(a.split()) & set(b.split())) / len(set(a.split()) | set(b.split()))


alike = torch.tensor([likeness(pair.chosen.text, pair.rejected.text) for pair in fresh])
with torch.no_grad():
    seen = dpo.score_batch(policy, priced, tokenizer.pad, sequence_logprobs)
moved_chosen, moved_rejected = seen.chosen - seen.ref_chosen, seen.rejected - seen.ref_rejected

# %%
bins = [(0.0, 0.15), (0.15, 0.3), (0.3, 0.5), (0.5, 1.01)]
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
for values, name, colour in ((moved_chosen, "chosen", plots.GOOD), (moved_rejected, "rejected", plots.BAD)):
    axes[0].hist(values.clamp(-12, 6).tolist(), bins=36, alpha=0.6, color=colour, label=name)
    groups = [values[(alike >= low) & (alike < high)] for low, high in bins]
    means = [group.mean().item() for group in groups]
    errors = [1.96 * (group.std() / max(1, len(group)) ** 0.5).item() for group in groups]
    axes[1].errorbar(range(len(bins)), means, errors, fmt="o-", color=colour, capsize=3, label=name)
axes[0].set(xlabel="change of log-probability (nats)", ylabel="held-out answers", title="Both fall, one faster")
axes[1].set_xticks(range(len(bins)), [f"{low:g} to {min(high, 1):g}" for low, high in bins])
axes[1].set(xlabel="words that the pair shares", ylabel="mean change (nats)", title="By how alike the pair is")
for ax in axes:
    ax.axvline(0, color=plots.INK, linewidth=0.8) if ax is axes[0] else ax.axhline(0, color=plots.INK, linewidth=0.8)
    ax.legend()
plt.show()
fell = (moved_chosen < 0).float().mean().item()
print(f"On held-out pairs the chosen answer moved by {moved_chosen.mean():+.2f} nats, and fell in {fell:.0%} of pairs.")
for low, high in bins:
    here = (alike >= low) & (alike < high)
    lost = (moved_chosen[here].mean() / moved_rejected[here].mean()).item()
    print(f"{here.sum():4d} pairs that share {low:g} to {min(high, 1):g}:", end=" ")
    print(f"for each nat that rejected answers lost, chosen ones lost {lost:.2f}")

# %% [markdown]
# The mean change of chosen answers hardly depends on likeness, which may not be what you said. But alike pairs are also
# harder to tear apart: their rejected answers fall less. Set one against the other: per nat that a rejected answer
# loses, the chosen one beside it loses more where the two share words than where they share next to none. That is the
# displacement of the papers, seen through what it is set against.
#
# A falling chosen answer is no alarm by itself. It was often a *lucky* answer of a model that mostly says something
# else, and what becomes likelier is a third one, better than both. It is an alarm when nothing better takes the place,
# and the loss cannot tell you which of the two it is. Look at sampled answers.
#
# ## Its relatives
#
# IPO asks for a margin of $1/(2\beta)$ nats and no more. SimPO knows no reference, and divides by the length. Each
# on a part of the same pairs, with the same rate. **Predict**: which of the three strays farthest, and whose answers
# are longest?

# %%
part = replace(recipe, epochs=0.1 if smoke() else 0.3)


def train(loss, **settings):
    """A copy of the SFT model, trained on a part of the pairs with this loss; and its history."""
    model = deepcopy(start.model)
    chosen_recipe = replace(part, **settings)
    return model, dpo.train_dpo(model, tokenizer, data, loss, sequence_logprobs, chosen_recipe, progress=False)


losses = {
    "DPO": lambda p: dpo_loss(*p.sums, BETA),
    "IPO": lambda p: ipo_loss(*p.sums, 0.1),
    "SimPO": lambda p: simpo_loss(p.chosen, p.rejected, p.chosen_lengths, p.rejected_lengths),
}
family = {name: train(loss) for name, loss in losses.items()}

# %%
rows, answers_of = [], {"SFT": before} | {name: ask(model) for name, (model, _) in family.items()}
for name, said in answers_of.items():
    gold = gold_of(said)
    moved = answer_kl(family[name][0], start.model, tokenizer, said).mean().item() if name in family else 0.0
    rows.append(
        {
            "loss": name,
            "gold": f"{gold.mean():+.2f} ± {1.96 * gold.std() / len(gold) ** 0.5:.2f}",
            "KL (nats)": f"{moved:.2f}",
            "words an answer": f"{sum(len(a.text.split()) for a in said) / len(said):.1f}",
            "ended": f"{sum(a.ended for a in said) / len(said):.2f}",
        }
    )
display(HTML(plots.answer_table(rows)))
record_table("DPO and its relatives on a part of the pairs, one seed", rows)

# %%
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
looks = {
    "DPO": (DPO_COLOUR, "-"),
    "IPO": (plots.STAGE_COLOURS["ppo"], "--"),
    "SimPO": (plots.STAGE_COLOURS["grpo"], ":"),
}
for name, (model, past) in family.items():
    colour, line = looks[name]
    axes[0].plot(plots.smooth(past.metrics["chosen"], 10), line, color=colour, label=name)
    margins = dpo.implied_margins(model, tokenizer, priced, sequence_logprobs)
    axes[1].hist(margins.clamp(-10, 20).tolist(), bins=40, histtype="step", linestyle=line, color=colour, label=name)
axes[0].set(xlabel="update", ylabel="chosen: change (nats)", title="How far the chosen answers move")
axes[1].set(xlabel="margin of held-out pairs (nats)", ylabel="pairs", title="IPO has a goal, DPO has none")
axes[1].axvline(5, color=plots.INK, linewidth=0.8, linestyle="--")
for ax in axes:
    ax.legend()
plt.show()

# %% [markdown]
# The dashed line is IPO's goal, $1/(2 \cdot 0.1) = 5$ nats: held-out pairs are on their way to it from below, and a
# pair that has passed it is pulled back. DPO never says enough, only ever more softly. On a mean over tokens, as in
# SimPO, an answer cannot gain by being short; on a sum, each token of the chosen answer costs. What that does to
# lengths depends on whether people preferred the shorter ones, so read your own table before you believe a rule. One
# run each is an anecdote.
#
# ## The policy as a reward model
#
# The claim was that the policy *is* a reward model. Test it as one, on held-out pairs of the SFT model's answers,
# beside lesson 05's. Accuracy is the share of pairs in the gold judge's order.

# %%
exam = preferences.draw_requests("test", 40 if smoke() else 500, seed=8)
two = preferences.sample_answers(start.model, tokenizer, exam, form, n=2, seed=8, progress=False)
test = preferences.compare(two, UNBIASED, annotate, seed=8).pairs
priced_test = dpo.price_pairs(start.model, tokenizer, test, sequence_logprobs)
with torch.no_grad():
    marks = dpo.score_batch(policy, priced_test, tokenizer.pad, sequence_logprobs)
scores = {
    "DPO's implicit reward": tuple(
        torch.as_tensor(implicit_rewards(mine, theirs, BETA))
        for mine, theirs in ((marks.chosen, marks.ref_chosen), (marks.rejected, marks.ref_rejected))
    ),
    "its log-probability alone": (marks.chosen, marks.rejected),
    "lesson 05's reward model": reward.score_pairs(reward.load_reward_model("reward"), tokenizer, test),
}
for name, (chosen, rejected) in scores.items():
    better, worse = preferences.gold_order(test, chosen, rejected)
    rate = evaluation.share(round(pairwise_accuracy(better, worse) * len(better)), len(better))
    print(f"{name:28s} gold accuracy {rate}")
    record(f"Gold accuracy, {name}", rate.rate, low=rate.low, high=rate.high, seeds=[recipe.seed])

# %% [markdown]
# Both learned from the same people. Lesson 05's model could be given a better read-out, a bound on what content is
# worth and a term for style. A policy has no such freedom: its reward is its log-probability, and that is what it
# also has to write with.
#
# ## Where it stands
#
# One picture for lessons 06 to 09: what each method gets for its nats. These are not runs of this notebook. `python -m
# minillm measure frontier` trained each method from the shipped SFT model with three seeds a setting, on the same
# held-out requests, and wrote data/measured/frontier.json; the star is your run from above. Best-of-n stands at the
# formula of lesson 08, which for so many possible answers is nearly exact.

# %%
runs = [run for run in frontier.load() if run["method"] != "SFT"]
looks = {"best-of-n": ("base", "v"), "PPO": ("ppo", "o"), "GRPO": ("grpo", "s"), "DPO": ("dpo", "D")}
figure, (ax,) = plots.new_figure(width=8.0, height=4.2)
for method, (stage, marker) in looks.items():
    groups = {}
    for run in runs:
        if run["method"] == method:
            groups.setdefault(str(run["setting"]), []).append((run["kl"][0], run["gold"][0]))
    points = torch.tensor(sorted([list(map(list, group)) for group in groups.values()]))  # (settings, seeds, 2)
    points = points[points[..., 0].mean(1) < 3]  # a run that is lost would only stretch the axis
    mean, spread = points.mean(1), points.std(1)  # (settings, 2)
    ax.errorbar(
        *mean.T.tolist(), yerr=spread[:, 1].tolist(), xerr=spread[:, 0].tolist(), fmt=f"{marker}-", capsize=2,
        color=plots.STAGE_COLOURS[stage], label=method,
    )  # fmt: skip
ax.plot(nats, gold_of(after).mean(), "*", color=DPO_COLOUR, markersize=16, label="your DPO")
ax.set(xlim=(0, 3), xlabel="KL to the SFT model (nats an answer)", ylabel="gold, held-out (points)")
ax.set_title("What a nat buys: mean and deviation of three seeds")
ax.legend(loc="lower right")
plt.show()

# %%
rows = []
for run in runs:
    if run["method"] in ("PPO", "GRPO", "DPO") and run["seed"] == 0:
        same = [r for r in runs if (r["method"], r["setting"]) == (run["method"], run["setting"])]
        gold, kl = (torch.tensor([r[name][0] for r in same]) for name in ("gold", "kl"))
        rows.append(
            {
                "method": run["method"],
                "beta": run["setting"]["beta"],
                "gold": f"{gold.mean():.2f} ± {gold.std():.2f}",
                "KL": f"{kl.mean():.2f} ± {kl.std():.2f}",
                "seconds": f"{sum(r['seconds'] for r in same) / len(same):.0f}",
            }
        )
display(HTML(plots.answer_table(rows)))
record_table("Gold against KL, mean and deviation of three seeds", rows)

# %% [markdown]
# Beyond a nat, DPO and PPO lie within each other's spread; at half a nat DPO is ahead, where PPO is held by a beta so
# large that it has not got anywhere. Best-of-n is above them all, for it chooses at the time of asking, and pays for
# every answer. DPO with the smallest beta is off the picture: with little to hold it, offline pairs say nothing about
# the answers that the policy has meanwhile begun to give. PPO with the same beta is not lost, for it asks the reward
# model about its *own new* answers. That is the price of never sampling.
#
# ## The theorem, tested
#
# Rafailov et al. prove that the minimum of DPO's loss is the optimum of lesson 08. In the enumerable world you can
# hold them to it. First with *all* comparisons: every pair of sequences, weighted by how often it would come up and
# how often each would be preferred. Total variation, the largest difference in the probability of any event, says how
# near.


# %%
def near(policy, reference, goal, comparisons, loss, beta, steps):
    """Train on these comparisons; the total variation to the optimum that remains."""
    fit_pairs(policy, reference, comparisons, loss, steps=steps)
    ref_logprobs = exact.distribution(reference).detach()
    return exact.total_variation(exact.distribution(policy).detach(), exact.optimum(ref_logprobs, goal, beta)).item()


world = exact.Setting(5, 4)
goal, beta = exact.toy_reward(world), 0.5
loss = lambda p: dpo_loss(*p.sums, beta)  # noqa: E731
for name, reference in (("table", TabularPolicy(world, spread=0.5, seed=7)), ("transformer", TransformerPolicy(world))):
    everything = population(exact.distribution(reference), goal)
    start_logprobs = exact.distribution(reference).detach()
    first = exact.total_variation(start_logprobs, exact.optimum(start_logprobs, goal, beta)).item()
    last = near(deepcopy(reference), reference, goal, everything, loss, beta, 10 if smoke() else 250)
    print(
        f"{name}: total variation to the optimum {first:.3f} before, {last:.1e} after, all pairs of {len(goal)} answers"
    )
    record(f"DPO with every comparison, {name}: total variation", last, seeds=[7 if name == "table" else 0])

# %% [markdown]
# Now with comparisons as one gets them: drawn, and labelled by a coin that Bradley and Terry weigh. A smaller world, so
# that many draws are many draws for each pair. **Predict**: how does the distance fall with the number of comparisons?
# And what do a few hundred do?

# %%
small = exact.Setting(4, 3)
small_goal, origin = exact.toy_reward(small), TabularPolicy(small, spread=0.5, seed=7)
origin_logprobs = exact.distribution(origin).detach()
goals = {"DPO": loss, "IPO": lambda p: ipo_loss(*p.sums, beta)}
counts = [300, 3000] if smoke() else [300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
seeds = range(2 if smoke() else 5)


def after_sampling(n, seed, loss):
    """How near n sampled comparisons bring a table to DPO's optimum."""
    shown = sampled(origin_logprobs, small_goal, n, torch.Generator().manual_seed(seed))
    return near(deepcopy(origin), origin, small_goal, shown, loss, beta, 100)


distance = {
    name: torch.tensor([[after_sampling(n, seed, each) for seed in seeds] for n in counts])
    for name, each in goals.items()
}  # each (counts, seeds)

# %%
figure, (ax,) = plots.new_figure(width=7.0, height=3.6)
for name, colour in (("DPO", DPO_COLOUR), ("IPO", plots.STAGE_COLOURS["ppo"])):
    ax.plot(counts, distance[name].median(1).values, "o-", color=colour, label=f"{name}, median")
    ax.plot(counts, distance[name], ".", color=colour, alpha=0.4)
large = torch.tensor([n >= 3000 for n in counts])
x = torch.tensor(counts).double()[large].log()[:, None].expand(-1, len(seeds)).flatten()
y = distance["DPO"][large].double().log().flatten()
slope = (((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()).item()
ax.set(xscale="log", yscale="log", xlabel="comparisons", ylabel="total variation to DPO's optimum")
ax.set_title(f"From 3,000 comparisons on the slope is {slope:.2f}")
ax.legend()
plt.show()
print(f"Fitted slope of DPO's distance, {len(seeds)} seeds a point: {slope:.2f}; a mean of n draws would give -0.50.")
record("DPO with sampled comparisons: slope of log distance", slope, seeds=len(seeds))

# %% [markdown]
# The distance falls like the error of a mean, with one over the square root of the number. But look at the left. A
# pair that came up a few times, always with the same winner, has a loss that falls for ever as its margin grows:
# nothing holds DPO there, and the policy runs off to the end of the world. That is what IPO was made for (Azar et al.
# 2024): its margins stop at $1/(2\beta)$. Its own goal is another one, so it does not come nearer to *this* optimum
# with more data.
#
# ## Break it, and clinic
#
# Four runs of a few dozen updates, one fault each; dashed is a healthy run. The suspects:
#
# 1. chosen and rejected are exchanged
# 2. the reference is left out: its log-probabilities are taken as 0
# 3. the learning rate is thirty times too large
# 4. beta is ten times too large
# 5. the reference is an alias of the policy: it moves along


# %% tags=["clinic"]
def swapped(p):
    return dpo_loss(p.rejected, p.chosen, p.ref_rejected, p.ref_chosen, BETA)


def no_reference(p):
    return dpo_loss(p.chosen, p.rejected, torch.zeros_like(p.chosen), torch.zeros_like(p.chosen), BETA)


def alias(p):
    return dpo_loss(p.chosen, p.rejected, p.chosen, p.rejected, BETA)


brief = {"epochs": 0.1 if smoke() else 0.15}
healthy = train(losses["DPO"], **brief)[1]
cases = {
    "A": train(no_reference, **brief)[1],
    "B": train(alias, **brief)[1],
    "C": train(losses["DPO"], **brief, peak=recipe.peak * 30)[1],
    "D": train(swapped, **brief)[1],
}
# %% tags=["clinic"]
figure, axes = plt.subplots(3, 4, figsize=(10, 5.6), sharex=True, sharey="row")
for column, (case, past) in zip(axes.T, cases.items()):
    for each, look in ((healthy, {"color": plots.INK, "ls": "--", "lw": 1}), (past, {"color": DPO_COLOUR})):
        for ax, values in zip(column, (each.losses, each.metrics["accuracy"], each.metrics["chosen"])):
            ax.plot(range(1, len(values) + 1), plots.smooth(values, 5), **look)
    column[0].set_title(f"run {case}")
    column[2].set_xlabel("update")
axes[0, 0].set_yscale("log")
axes[2, 0].set_yscale("symlog", linthresh=1)
for ax, label in zip(axes[:, 0], ("loss", "accuracy", "chosen: change (nats)")):
    ax.set_ylabel(label)
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 2, "B": 5, "C": 3, "D": 1}

# %%
diagnose(suspects, key={"A": "fb86eaa7", "B": "fdba763b", "C": "e73f91f8", "D": "bcb1e774"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A** starts with a loss that is not log 2, though nothing has been learned: without the reference, a pair whose
#   rejected answer was the likelier one to begin with counts as wrong. It learns to make chosen answers likely, rare
#   ones above all, whether that is a change for the better or not.
# - **B**, a loss of exactly log 2 from beginning to end, while accuracy and log-probabilities move all the same. To the
#   loss every margin is 0, so every pair goes on pulling with full strength, learned or not: no pair ever lets go, and
#   nothing holds the policy near where it began. A loss that never changes is never good news.
# - **C**, a chosen log-probability that falls off a cliff, and accuracy by luck: the rate is too large. In preference
#   training the rate matters more than the number of pairs.
# - **D**, a loss that falls as it should and an accuracy that falls with it: the loss is content, for it was told the
#   wrong thing. Only a quantity computed *apart from the loss* shows it.
#
# Not there: **4**. Ten times the beta makes every margin feel ten times as large: the loss falls steeply, the pairs let
# go early, and the log-probabilities hardly move.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - A policy aligned from comparisons, in half a minute, without a reward model and without sampling.
# - The proof in numbers: with every comparison, DPO's minimum is the optimum $\pi_\text{ref}\, e^{r/\beta}/Z$; with n
#   of them it is about $1/\sqrt{n}$ away; with few, it is anywhere.
# - Chosen answers may become less likely while the model becomes better, or while it falls apart. The loss does not
#   know which; sampled answers do.
# - DPO learns about the answers that it was shown. What it says after many updates nobody has compared.
#
# **To read.** Rafailov et al. 2023, *Direct preference optimization*, eq. 3 to 7 and sec. 4. · Azar et al. 2024, *A
# general theoretical paradigm to understand learning from human preferences*, eq. 17: IPO, and why DPO overfits. · Meng
# et al. 2024, *SimPO*, eq. 6. · Razin et al. 2024, *Unintentional unalignment: likelihood displacement in direct
# preference optimization*. · Tang et al. 2024, *Understanding the performance gap between online and offline alignment
# algorithms*. · Xu et al. 2024, *Is DPO superior to PPO for LLM alignment?*
#
# Next is [10 · Constitution](10_constitution.ipynb): what if nobody compared the harmful answers at all?
