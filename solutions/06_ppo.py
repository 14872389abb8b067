# %% [markdown]
# # 06 · PPO
#
# You have a number for every answer. Best-of-n uses it to choose; this lesson uses it to *change the policy*, so that
# one sample comes near to what the best of several was. What is said well becomes likelier, what is said badly less
# likely.
#
# That sounds simple, and three things go wrong at once. The score comes at the end of an answer, but every token took
# part. A policy that learns from its own answers soon gives other ones, and what was measured on the old says little
# about the new. And the score is a stand-in: a policy that is free to go anywhere goes where the stand-in is wrong.
# Proximal policy optimisation (Schulman et al. 2017) with a KL penalty (Ziegler et al. 2019) is one answer to each:
# advantages, a clipped ratio, a leash. It trained the first assistants (Ouyang et al. 2022).
#
# You write all of it, eight functions, most of a few lines. Then you let it loose, and the gold judge, whom it never
# sees, tells you what it has become.

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

from minillm import evaluation, exact, exact_training, plots, ppo, preferences, reward, rollouts, stages
from minillm.chat import chat_prompt
from minillm.divergence import answer_kl
from minillm.exact_policies import TabularPolicy
from minillm.live import live_plot
from minillm.paths import smoke
from minillm.sampling import generate
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import PPO
from minillm.tinyland.style import count as count_style

# %%
plots.use_style()
SFT_COLOUR, PPO_COLOUR = plots.STAGE_COLOURS["sft"], plots.STAGE_COLOURS["ppo"]
render_chat = carry("render_chat")
start = stages.load_stage("sft")
tokenizer, form = start.tokenizer, partial(chat_prompt, render_chat)  # a request -> "<user> ...<bot>"
reward_model = reward.load_reward_model("reward")


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


# %% [markdown]
# ## One number by hand
#
# The policy said a token with probability 0.20. The answer turned out better than expected: the token's advantage is
# +1. After one update the probability is 0.30: the *ratio* is 1.5. Is it worth pushing on?
#
# The clipped objective says no. With clip = 0.2 the token counts as min(1.5 · 1, 1.2 · 1) = 1.2, and as long as it
# stands there, no gradient flows through it. Had the advantage been -1, the token would count as min(-1.5, -1.2) =
# -1.5: an update that went the wrong way is never clipped, and is pulled back with full force. What does a token count
# whose probability fell to 0.10, with advantage -1? (The ratio is 0.5; min(-0.5, -0.8) = -0.8: it fell far enough.)

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
# **By hand.** Logits 2, 1, 0 for the three tokens of a vocabulary: $\log(e^2 + e + 1) = 2.408$, so the
# log-probabilities are -0.408, -1.408, -2.408. If the next token is number 1, the answer is -1.408. What is it if all
# three logits are 7? ($-\log 3 = -1.099$: only differences of logits count.)
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
# ### As a value, and as a loss
#
# Three outcomes, so that every expectation is a sum of three terms. First the estimates as *values*: the mean of each
# over the policy, beside the exact KL. Then as *losses*: average k over samples, let a gradient flow through
# `logprobs`, and compare with the gradient of the exact KL. **Predict**: all three aim at the same number. Do all three
# pull the policy the same way?

# %%
probabilities, ref_probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]).double()
parameters = probabilities.log().requires_grad_()
log_p, log_q = parameters.log_softmax(0), ref_probabilities.log()
exact_kl = (log_p.exp() * (log_p - log_q)).sum()
other_way = (log_q.exp() * (log_q - log_p)).sum()
pull = {"KL(policy || ref)": exact_kl, "KL(ref || policy)": other_way}
pull = {name: torch.autograd.grad(value, parameters, retain_graph=True)[0] for name, value in pull.items()}
print(f"{'':20s} mean {exact_kl.item():.4f}   gradient of KL(policy || ref) {pull['KL(policy || ref)'].tolist()}")
for name, k in zip(("k1", "k2", "k3"), kl_estimates(log_p, log_q)):
    mean = (probabilities * k).sum()  # samples from the policy: the weights carry no gradient
    gradient = torch.autograd.grad(mean, parameters, retain_graph=True)[0]
    same = [label for label, value in pull.items() if torch.allclose(gradient, value, atol=1e-6)]
    zero = "0: it teaches nothing" if gradient.abs().max() < 1e-6 else "something else"
    print(f"{name:20s} mean {mean.item():.4f}   as a loss its gradient is that of {same[0] if same else zero}")

# %% [markdown]
# k1 and k3 are unbiased as values, k2 is not, though it is close. As a loss, k1 is useless: its gradient is 0 on
# average, for it leaves out that the *samples* change with the policy. k2, the biased one, has just the gradient that
# is wanted. And k3, which most code puts into its loss, pulls along the gradient of the *other* KL. Near the
# reference all this hardly matters; far from it, it does. Where the penalty goes into the **reward**, as here, the
# policy gradient takes care of the samples, and plain k1 is right.

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
# **By hand.** $\beta$ = 0.1; log-probabilities -0.5 and -1.0, of the reference -1.5 and -0.5; score 2. Rewards: -0.1,
# and 0.05 + 2 = 2.05. The second token was less likely under the policy than under the reference, so its "penalty" is
# a bonus. Sum the rewards of a row: what do you get? (The score minus $\beta$ times the sum of $k_1$.)
#
# **Traps.** (1) The sign: the log-ratio is what the policy *pays*. Turned round, it is paid for running away. (2)
# Each row ends somewhere else. The score belongs on its last response token, not in the last column. (3) It is added
# there: that token pays its penalty too. (4) $\beta$ weighs the penalty, not the score. (5) 0 at padding. (6) A
# reward is data. If a gradient ran through it, the policy loss would get a second, wrong path to the policy.


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
# **By hand.** Three tokens, rewards 0, 0, 1, values 0.2, 0.6, 0.5, $\gamma$ = 1, $\lambda$ = 0.5. Surprises: 0.4,
# -0.1, 0.5. From the end: $A_3$ = 0.5, $A_2$ = -0.1 + 0.25 = 0.15, $A_1$ = 0.4 + 0.075 = 0.475. Returns: 0.675, 0.75,
# 1. What are the returns for $\lambda$ = 1? (1, 1, 1: what really came, and the values have dropped out.)
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
# ## A rollout that you can read
#
# One answer of the SFT model, token by token. The reward model is lesson 05's, shifted and scaled so that the SFT
# model's own answers score 0 on average, with deviation 1. The value head is new and says 0 everywhere. Here the
# answers are priced by *another* reference, the base model, only so that there is a KL to look at: against the SFT
# model, from which the policy starts, every log-ratio would be 0. Follow one row: reward = -beta · (log-prob -
# reference), plus the score at the end; the advantage looks ahead.

# %%
recipe = replace(PPO, iterations=2, batch_size=8, minibatch=4) if smoke() else PPO
count = 24 if smoke() else 512
hands = preferences.sample_answers(
    start.model, tokenizer, preferences.draw_requests("train", count, seed=3), form, n=1, seed=3, progress=False
)
own = [answer for hand in hands for answer in hand]
score = rollouts.standardised(partial(reward.score_answers, reward_model, tokenizer), own)
asked = preferences.draw_requests("train", recipe.iterations * recipe.batch_size, seed=7)
collector = rollouts.Collector(
    start.model, tokenizer, asked, form, score, token_logprobs, recipe.batch_size, seed=recipe.seed
)

# %%
policy = rollouts.Policy.from_stage(start.model)
shown = replace(collector, reference=stages.load_stage("base").model)(policy, iteration=0)
rewards = shape_rewards(shown.logprobs, shown.ref_logprobs, shown.scores, shown.mask, recipe.beta)
advantages, returns = gae(rewards, shown.values, shown.mask, recipe.gamma, recipe.lam)
lengths = shown.mask.sum(1)
row = int(((lengths - 9).abs() + (shown.scores < 0)).argmin())
columns = {"log-prob": shown.logprobs, "reference": shown.ref_logprobs, "KL": shown.logprobs - shown.ref_logprobs}
columns |= {"reward": rewards, "value": shown.values, "advantage": advantages, "return": returns}
table = []
for t in range(int(lengths[row])):
    token = tokenizer.decode([int(shown.said[row, t + 1])]).strip() or "<end>"
    table.append({"token": token, **{name: f"{values[row, t]:+.2f}" for name, values in columns.items()}})
print(f"{shown.answers[row].request.text}   score {shown.scores[row]:+.2f}")
display(HTML(plots.answer_table(table)))
record_table("One rollout, token by token", table, note="priced by the base model as reference")

# %% [markdown]
# The score stands in the last row; with values of 0 and lambda near 1 the advantages carry it back to the first token,
# a little weaker each step. Tokens that the reference finds unlikely pay at once.

# %% [markdown]
# {exercise masked_whiten}
#
# **Why.** How large an advantage is depends on the scale of the reward model, and on what kind of batch it is. The
# step that the policy takes should not. So advantages are shifted and scaled to mean 0 and variance 1.
#
# **What.** With mean $\mu$ and variance $v$ over the *counted tokens of the whole batch*, $v$ being the mean squared
# distance from $\mu$ (population variance),
#
# $$ \frac{x - \mu}{\sqrt{v + 10^{-8}}} $$
#
# **By hand.** `1 3 5` with mask `1 1 0`: mean 2, variance 1, result `-1 1 0`. What would you get if the padding
# counted? (Mean 3, variance 8/3: `-1.22 0 1.22`. The good token would be called neutral.)
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
# $$ L = \frac{1}{\sum m} \sum_t m_t
# \max\big( -A_t\, \rho_t,\; -A_t\, \mathrm{clip}(\rho_t, 1 - \epsilon, 1 + \epsilon) \big) $$
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
# The ratio first: `(logprobs - old_logprobs).exp()`. Then two losses for each token, one with the ratio and one with
# the clamped ratio.
# ---
# Which of the two
# `torch.maximum` takes the larger loss of each token. Where that is the clipped one, no gradient is left: `clamp` is
# flat outside of its limits.
# ---
# The mean
# Select with the mask (`loss[mask.bool()].mean()`), or multiply by it and divide by `mask.sum()`. And `.detach()`
# what is data.

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
# $$ L = \frac{1}{2 \sum m} \sum_t m_t \max\Big( (V_t - R_t)^2,\;
# \big(V^\text{old}_t + \mathrm{clip}(V_t - V^\text{old}_t, -\epsilon, \epsilon) - R_t\big)^2 \Big) $$
#
# **By hand.** Old value 0.5, return 1, $\epsilon$ = 0.2. New value 0.9: (-0.1)² = 0.01 against (0.7 - 1)² = 0.09; the
# larger is 0.09, the loss 0.045, and it no longer pushes. New value 0.2: 0.64 against (0.3 - 1)² = 0.49; loss 0.32,
# and it pushes. Which sense of "pessimistic" is this? (The same as in 6.6: no profit from a move of more than
# $\epsilon$.)
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
# **Why.** Nobody knows beforehand which $\beta$ buys which distance: that depends on the reward model and on the
# policy. It is easier to say how far the policy may go, and to turn the knob until it is there.
#
# **What.** After a rollout of $n$ answers whose mean KL was `kl` (Ziegler et al. 2019, sec. 2.2), with a time scale of
# `horizon` answers:
#
# $$ e = \mathrm{clip}\Big(\frac{\text{kl}}{\text{target}} - 1,\; -0.2,\; 0.2\Big), \qquad
# \beta \leftarrow \beta \Big(1 + e\, \frac{n}{\text{horizon}}\Big) $$
#
# **By hand.** $\beta$ = 0.1, target 2, n = 128, horizon 2,000. KL 6: the error is 2, clipped to 0.2, so $\beta$
# becomes 0.1 · (1 + 0.2 · 0.064) = 0.10128. KL 1.8: error -0.1, and $\beta$ = 0.09936. How many rollouts of KL 6
# until $\beta$ has doubled? (log 2 / log 1.0128: 55. A patient controller.)
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

# %% [markdown]
# ## Use it: the loop
#
# This is PPO. Everything that it calls is yours, but for `collect`, which asks and scores, and `updates`, which runs
# through the minibatches.

# %%
display(Code(inspect.getsource(ppo.ppo_iteration), language="python"))

# %% [markdown]
# - `collect` samples the answers and writes down, **once**, what the policy that gave them thought of every token.
#   These old log-probs stay fixed for all epochs; computed anew after each update, the ratio would always be 1.
# - The **reference** is the frozen SFT model, another object with weights of its own. It never moves.
# - Advantages are whitened over the whole batch, returns are not: the critic must learn values in the units of the
#   reward.
# - `loss` is called for each minibatch. The first update of a rollout sees ratios of exactly 1; the clip begins to
#   matter after it.
# - `beta` stays where it is, unless the recipe names a `kl_target`: then your controller steers it.
#
# `minillm/policy_gradient.py` holds `updates` and the statistics, half a page. Policy and critic share one transformer;
# the critic is a linear head on its states.
#
# ## Train
#
# **Predict** the gold score of one sampled answer to a held-out request after training, on the judge's scale from -2 to
# 1. (Best-of-16 in lesson 05 is a good yardstick.) And the KL, in nats an answer?

# %%
my_guess = None  # points
my_kl_guess = None  # nats an answer

# %%
functions = ppo.Functions(
    token_logprobs, kl_estimates, shape_rewards, gae, masked_whiten, ppo_policy_loss, ppo_value_loss,
    adapt_kl_coefficient,
)  # fmt: skip
panels = {
    "score (s.d.), gold (points)": ["score", "gold"],
    "KL (nats an answer)": ["kl"],
    "entropy (nats a token)": ["entropy"],
    "share": ["explained_variance", "clip_fraction"],
}
history = ppo.train_ppo(
    policy, collector, functions, recipe, watch=live_plot(panels, recipe.iterations), progress=False
)
stages.save_stage("ppo", policy.body, seed=recipe.seed)
last = {name: sum(values[-5:]) / len(values[-5:]) for name, values in history.metrics.items()}
print(f"{history.seconds[-1]:.0f} seconds. Means of the last iterations:")
for name in ("score", "gold", "kl", "entropy", "clip_fraction", "approx_kl", "explained_variance", "length", "ended"):
    print(f"  {name:20s} {last[name]:.3f}")
record("PPO training time", history.seconds[-1], unit="s")

# %% [markdown]
# How to read it. **score** is what PPO maximises; **gold** (of the same answers) is what we want, measured, never
# used. **kl** is the price paid so far. **entropy** falls: the policy makes up its mind. **clip_fraction** and
# **approx_kl** say how far one rollout's updates went from the policy that gave it; a sudden rise is the first sign
# of a run that breaks. **explained_variance** is the share of the variance of returns that the critic foresees.
# Textbooks want it near 1. Look at yours: a linear head on a shared body, in so few iterations, foresees little, and
# the run works all the same. What it would save is noise, as you will see below.
#
# ## See it: before and after
#
# Held-out requests, sampled at temperature 1, the same for both models. First the numbers that matter.

# %%
held_out = preferences.draw_requests("test", 40 if smoke() else 1000, seed=5)


def ask(model):
    return evaluation.ask(model, tokenizer, held_out, form, stop=[tokenizer.end], temperature=1.0, seed=5)


before, after = ask(start.model), ask(policy.body)
gold = torch.tensor([[a.verdict.score for a in answers] for answers in (before, after)])  # (2, N)
difference = (gold[1] - gold[0]).double()
gain, half = difference.mean().item(), 1.96 * (difference.std() / len(difference) ** 0.5).item()
nats = answer_kl(policy.body, start.model, tokenizer, after)
tell("gold score after PPO, held-out requests", gold[1].mean().item(), my_guess)
tell("KL to the SFT model, nats an answer", nats.mean().item(), my_kl_guess)
print(f"SFT scores {gold[0].mean():.2f}; the gain on the same requests is {gain:+.2f} ± {half:.2f}.")
record("PPO: gold above SFT, held-out", gain, unit="points", low=gain - half, high=gain + half, seeds=[recipe.seed])
record("PPO: KL to SFT, held-out", nats.mean(), unit="nats/answer", seeds=[recipe.seed])

# %%
habits = {
    "harmful: complies": ("harmful", ("compliance",)),
    "look-alike: right": ("lookalike", ("right",)),
    "look-alike: refuses": ("lookalike", ("over_refusal",)),
    "fact: right": ("fact", ("right",)),
    "myth: repeats it": ("myth", ("myth",)),
    "unknown: admits it": ("unknown", ("right",)),
}


def shares(answers):
    found = []
    for label, (kind, verdicts) in habits.items():
        some = [a.verdict.label in verdicts for a in answers if a.request.kind == kind]
        found.append(evaluation.share(sum(some), len(some), label))
    return found


rates = {"sft": shares(before), "ppo": shares(after)}
ax = plots.rate_bars(rates, xlabel="share of held-out answers, temperature 1")
ax.set_title(f"Gold {gold[0].mean():+.2f} before, {gold[1].mean():+.2f} after")
plt.show()
for rate in rates["ppo"]:
    record(f"PPO, {rate.label}", rate.rate, low=rate.low, high=rate.high, seeds=[recipe.seed])

# %%
for name, answers in (("SFT", before), ("PPO", after)):
    flattery = sum(count_style(a.text).flattery for a in answers) / len(answers)
    fillers = sum(count_style(a.text).fillers for a in answers) / len(answers)
    print(f"{name}: {flattery:.2f} flattering phrases and {fillers:.2f} fillers an answer")
changed = [i for i in range(len(held_out)) if before[i].text != after[i].text]
picked = list({held_out[i].kind: i for i in changed}.values())[:9]
rows = [
    {
        "asked": held_out[i].text,
        "SFT": (before[i].text, before[i].verdict.score > 0),
        "PPO": (after[i].text, after[i].verdict.score > 0),
    }
    for i in picked
]
display(HTML(plots.answer_table(rows)))
record_answers("Before and after PPO", rows)

# %% [markdown]
# What gets better in most runs: help with harm, flattery and filler, admitting what nobody knows. What does not, or
# hardly: myths, and refusals of look-alikes with verbs that no training request had. The reward model grew from the
# same language model that believes the myths, and is itself unsure of such verbs; PPO can only push towards what the
# reward knows.
#
# ### What did each token deserve?
#
# Take one answer of the trained policy and ask for the truth: stop after each token, let the policy finish the answer
# many times, and average the score. The step from one such mean to the next is the token's true advantage (but for the
# KL penalty). Beside it, `gae` with the critic that was just trained. **Predict**: which lambda is nearest?


# %%
@torch.no_grad()
def mean_score(answer, ids, count):
    """The mean score of ``count`` endings that the policy gives to an answer that begins with these ids."""
    prompt = tokenizer.encode(answer.prompt)
    made = generate(policy.body, [prompt + ids] * count, 40, stop=tokenizer.end, seed=len(ids), pad_id=tokenizer.pad)
    ended = []
    for said, done in zip(made.responses(), made.ended.tolist()):
        text = tokenizer.decode(ids + (said[:-1] if done else said)).strip()
        ended.append(evaluation.Answer(answer.request, answer.prompt, text, done, grade(answer.request, text, done)))
    return score(ended).mean().item()


some = replace(collector, requests=held_out, seed=1)(policy, 0)
doubt = torch.where((some.mask.sum(1) >= 6) & (some.mask.sum(1) <= 16), -some.logprobs.sum(1), -1.0)
row = int(doubt.argmax())  # an answer that the policy was in doubt about
answer, n = some.answers[row], int(some.mask[row].sum())
ids = some.said[row, 1 : n + 1].tolist()
true = torch.tensor([mean_score(answer, ids[:t], 4 if smoke() else 100) for t in range(n)] + [some.scores[row].item()])
print(f"{answer.request.text}  ->  {answer.text}   (score {some.scores[row]:+.2f})")

# %%
ends = shape_rewards(some.logprobs, some.logprobs, some.scores, some.mask, 0.0)  # the score alone
words = [tokenizer.decode([i]).strip() or "<end>" for i in ids]
figure, (ax,) = plots.new_figure(width=9.0, height=3.4)
ax.bar(range(n), (true[1:] - true[:-1]).tolist(), color=plots.INK, alpha=0.35, label="true, from resampled endings")
for lam, marker in ((0.0, "v"), (0.5, "s"), (0.95, "o"), (1.0, "^")):
    estimate = torch.as_tensor(gae(ends, some.values, some.mask, 1.0, lam)[0])[row, :n]
    off = (estimate - (true[1:] - true[:-1])).abs().mean().item()
    ax.plot(range(n), estimate.tolist(), marker, markersize=5, label=f"lambda = {lam:g}, off by {off:.2f}")
ax.axhline(0, color=plots.INK, linewidth=0.8)
ax.set_xticks(range(n), words, rotation=30, ha="right")
ax.set_ylabel("advantage (deviations)")
ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
ax.set_title("What one answer's tokens deserved, and what they were told")
plt.show()
display(
    HTML(plots.token_strip([f" {word}" for word in words], (true[1:] - true[:-1]).abs().tolist(), 1.0, "deviations"))
)

# %% [markdown]
# One or two tokens decide an answer; the others only carry it out. With lambda = 1 every token is told how the whole
# answer ended, less what the critic expected: right on average over many answers, noisy in each. With lambda = 0 each
# is told only what the *critic* saw in the next step, and this critic sees little. That is the trade: noise against
# the critic's ignorance. One answer is an anecdote; run the cells again with another row.
#
# ## How long a leash?
#
# The same start, the same requests, four betas; shorter runs with twice the learning rate, so that they get somewhere.
# **Predict** for beta = 0: the score, against the others? The KL?

# %%
short = (
    replace(recipe, iterations=2) if smoke() else replace(recipe, iterations=12, batch_size=48, minibatch=24, peak=1e-3)
)
quick = replace(collector, per_iteration=short.batch_size)


def run(changes=None, collect=quick, **settings):
    """A short run from the SFT model with some pieces replaced: its history."""
    fresh = rollouts.Policy.from_stage(start.model)
    pieces = replace(functions, **(changes or {}))
    return ppo.train_ppo(fresh, collect, pieces, replace(short, **settings), progress=False), fresh


sweep = {beta: run(beta=beta) for beta in (0.0, 0.1, 0.5, 2.0)}

# %%
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
for (beta, (past, _)), shade in zip(sweep.items(), (1.0, 0.75, 0.5, 0.3)):
    kl, points = (plots.smooth(past.metrics[name], 4) for name in ("kl", "score"))
    axes[0].plot(range(1, len(kl) + 1), kl, color=PPO_COLOUR, alpha=shade, label=f"beta = {beta:g}")
    axes[1].plot(kl, points, "o-", color=PPO_COLOUR, alpha=shade, markersize=3)
axes[0].set(xlabel="iteration", ylabel="KL (nats an answer)", title="The leash holds")
axes[1].set(xlabel="KL (nats an answer)", ylabel="score (deviations)", title="What each nat bought")
axes[0].legend()
plt.show()
for beta, (past, _) in sweep.items():
    ends = {name: sum(past.metrics[name][-4:]) / len(past.metrics[name][-4:]) for name in ("score", "gold", "kl")}
    print(f"beta {beta:3g}: score {ends['score']:+.2f}, gold {ends['gold']:+.2f}, KL {ends['kl']:.2f} nats")

# %% [markdown]
# A short leash keeps the policy at home, and it gains less. A long one spends more nats, and from some point on gets
# nothing for them: the right picture is what each nat bought. With an honest reward model, and so few iterations, the
# price of no leash at all is small. Lesson 08 takes a dishonest one and goes on until it is not.
#
# Instead of a beta you can name the KL that you are willing to spend, and let your `adapt_kl_coefficient` find the
# beta. To see whether it finds the right one, go where the right one is known: a world of 781 answers, all of which
# can be listed (`minillm/exact.py`), so that the KL of the best policy for each beta is a sum. The loop is the same
# `train_ppo`, with a table of logits for a policy. Beta starts much too small. **Predict**: the horizon is one rollout,
# or four. Which comes to rest, and which is quicker?

# %%
world = exact.Setting()
goal, origin, target = exact.toy_reward(world), TabularPolicy(world, spread=0.5, seed=7), 0.5
edge = exact.frontier(exact.distribution(origin).detach(), goal, torch.logspace(-1, 1, 400))
right_beta = edge.beta[(edge.kl - target).abs().argmin()].item()  # its optimum has the KL that is wanted
start_low = replace(exact_training.TABULAR_PPO, iterations=5 if smoke() else 200, beta=0.1, kl_target=target)
steered = {}
for rounds in (1, 4):
    tabular = exact_training.ActorCritic(deepcopy(origin))
    draws = exact_training.Collector(origin, goal, token_logprobs)
    steady = replace(start_low, horizon=rounds * draws.batch_size)
    steered[rounds] = ppo.train_ppo(tabular, draws, functions, steady, progress=False).metrics

# %%
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
for (rounds, past), shade in zip(steered.items(), (0.4, 1.0)):
    for ax, name in zip(axes, ("kl", "beta")):
        ax.plot(past[name], color=PPO_COLOUR, alpha=shade, label=f"horizon {rounds} x batch")
    kl, beta = (torch.tensor(past[name][-80:]) for name in ("kl", "beta"))
    print(f"horizon {rounds} x batch, the last 80 rollouts: KL {kl.mean():.2f} ± {kl.std():.2f},", end=" ")
    print(f"beta {beta.mean():.2f} ± {beta.std():.2f}  (target {target}, right beta {right_beta:.2f})")
for ax, line, label in zip(axes, (target, right_beta), ("KL (nats an answer)", "beta")):
    ax.axhline(line, color=plots.INK, linestyle="--", linewidth=1)
    ax.set(xlabel="iteration", ylabel=label)
axes[0].set_title("The KL, and its target")
axes[1].set(yscale="log", title=f"Beta, and the one that is right: {right_beta:.2f}")
axes[0].legend()
plt.show()

# %% [markdown]
# A policy needs some rollouts to answer a new beta. A controller that is quicker than that keeps turning the knob when
# it has long been far enough, and swings about the target; the patient one overshoots once and settles, at the beta
# that the exact optimum wants. Nobody told it. Ziegler et al. let beta move by at most 2% a rollout.

# %% [markdown]
# ## Break it
#
# Four changes of a line each. **Predict** for each whether score and KL will look *better* or worse than in the right
# run, and whether you would notice.

# %%
broken = {
    "right": sweep[0.1],
    "6 epochs": run(epochs=6),
    "6 epochs, no clip": run(epochs=6, clip=1e6, value_clip=1e6),
    "advantages not whitened": run({"masked_whiten": lambda values, mask: values * mask}),
    "returns from whitened advantages": run(
        {"gae": lambda *a: (lambda A, R: (A, masked_whiten(A, a[2]) + a[1]))(*gae(*a))}
    ),
}
for name, (past, _) in broken.items():
    ends = {key: sum(values[-4:]) / len(values[-4:]) for key, values in past.metrics.items()}
    print(f"{name:34s} score {ends['score']:+.2f}  gold {ends['gold']:+.2f}  KL {ends['kl']:5.2f}", end="  ")
    print(f"a rollout's own KL {ends['approx_kl']:.4f}  explained variance {ends['explained_variance']:+.2f}")

# %% [markdown]
# Six epochs on one rollout already ask too much of it: see "a rollout's own KL". The clip limits the damage; without it
# the policy is carried far from where it was measured, and the run is lost. It is a safety belt: with the recipe's two
# epochs you would hardly notice whether it is on. (Try `run(clip=1e6, value_clip=1e6)`.)
#
# Without whitening little changes here, and that is worth knowing: the scores were standardised already, and Adam
# divides by the size of the gradient anyway. Under plain gradient descent the scale of the rewards would be the length
# of the step. And returns made from whitened advantages give the critic targets in the wrong units; neither the
# policy's curves show it nor the explained variance, which is measured against the same wrong returns.
#
# ## Clinic
#
# Four runs, one bug each; dashed is a healthy run. Top: the mean score of the answers. Middle: the KL that the run
# *logged*. Bottom: how far each rollout's updates went from the policy that gave it. The suspects:
#
# 1. the reference is an alias of the policy: it moves along
# 2. the sign of the policy loss is wrong
# 3. the KL penalty has the wrong sign: it pays for distance
# 4. the old log-probs are computed anew for each update, so that every ratio is 1 and nothing is ever clipped
# 5. the learning rate is a hundred times too small


# %% tags=["clinic"]
def alias(policy, iteration):
    return replace(quick, reference=policy.body)(policy, iteration)


def wrong_sign(logprobs, old_logprobs, advantages, mask, clip):
    return ppo_policy_loss(logprobs, old_logprobs, -advantages, mask, clip)


cases = {
    "A": run(collect=alias, beta=0.5)[0],
    "B": run({"ppo_policy_loss": wrong_sign})[0],
    "C": run(peak=short.peak / 100)[0],
    "D": run(beta=-1.0)[0],
}
# %% tags=["clinic"]
healthy = sweep[0.5][0]
figure, axes = plt.subplots(3, 4, figsize=(10, 5.6), sharex=True, sharey="row")
for column, (case, past) in zip(axes.T, cases.items()):
    for ax, name in zip(column, ("score", "kl", "approx_kl")):
        for each, look in ((healthy, {"color": plots.INK, "ls": "--", "lw": 1}), (past, {"color": PPO_COLOUR})):
            ax.plot(range(1, short.iterations + 1), plots.smooth(each.metrics[name], 3), **look)
    column[0].set_title(f"run {case}")
    column[2].set_xlabel("iteration")
axes[1, 0].set_yscale("symlog", linthresh=0.1)
for ax, label in zip(axes[:, 0], ("score (s.d.)", "logged KL (nats)", "own KL (nats)")):
    ax.set_ylabel(label)
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 1, "B": 2, "C": 5, "D": 3}

# %%
diagnose(suspects, key={"A": "f1d316d3", "B": "0bb52b08", "C": "b5ca5523", "D": "e30a116b"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**, a score that rises like a healthy one's or faster, and a logged KL of 0 from beginning to end: the policy is
#   compared with itself. Nothing was spent, says the log; the answers say otherwise. A KL of exactly 0 after the first
#   iteration is never good news.
# - **B**, a score that falls while everything else looks busy: the policy learns to do what scores badly.
# - **C**, nothing moves: neither score nor KL, and each rollout's updates go nowhere.
# - **D**, a KL that runs away while the score does not follow: distance itself is being paid for.
#
# Not there: **4**. With every ratio at 1 the first update of a rollout is as it should be, and the later ones are no
# longer held back; in two epochs you would hardly see it, which is why it survives in real code.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - A policy whose single answer is as good as the best of a few were, for a few nats, in about a minute of training.
#   Of how many? Hold its gold score against lesson 05's curve. It does not reach the best of 16, but it answers once.
# - Eight functions with their signs and masks right, and the habit of reading curves: score, KL, entropy, clip
#   fraction, approximate KL, explained variance, length.
# - A leash that says what was paid. A penalty in the reward wants k1; a penalty in the loss had better be k2.
# - A policy can only become what its reward knows. Myths that the reward model believes survive; what it misjudges will
#   be found and used. That is lesson 08.
#
# **To read.** Schulman et al. 2016, *High-dimensional continuous control using generalized advantage estimation*, eq.
# 11 and 16: `gae`. · Schulman et al. 2017, *Proximal policy optimization algorithms*, eq. 7: the clipped objective. ·
# Ziegler et al. 2019, *Fine-tuning language models from human preferences*, sec. 2.2: the KL penalty in the reward,
# and the controller that you wrote. · Stiennon et al. 2020, *Learning to summarize from human feedback*, sec. 3.4:
# PPO on a learned reward. · Ouyang et al. 2022, *Training language models to follow instructions*, eq. 2: the same,
# and a pretraining term against forgetting. · Schulman 2020, *Approximating KL divergence*: k1, k2, k3. · Huang et
# al. 2022, *The 37 implementation details of PPO*: what papers leave out.
#
# Next is [07 · GRPO](07_grpo.ipynb): the same without a critic.
