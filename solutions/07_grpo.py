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

# %%
import inspect
from copy import deepcopy
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
from IPython.display import HTML, Code, display

from minillm import evaluation, exact, grpo, plots, ppo, preferences, reward, rollouts, stages
from minillm.chat import chat_prompt
from minillm.divergence import answer_kl
from minillm.exact_policies import TabularPolicy
from minillm.exact_training import TABULAR_PPO, ActorCritic, Collector
from minillm.live import live_plot
from minillm.paths import smoke
from minillm.tinyland.recipe import GRPO, PPO

# %%
plots.use_style()
COLOURS = {"SFT": plots.STAGE_COLOURS["sft"], "PPO": plots.STAGE_COLOURS["ppo"], "GRPO": plots.STAGE_COLOURS["grpo"]}
COLOURS |= {"RLOO": plots.STAGE_COLOURS["dpo"], "none": plots.INK}
render_chat = carry("render_chat")
token_logprobs, kl_estimates, shape_rewards, gae, masked_whiten = carry(
    "token_logprobs", "kl_estimates", "shape_rewards", "gae", "masked_whiten"
)
ppo_policy_loss, ppo_value_loss, adapt_kl_coefficient = carry(
    "ppo_policy_loss", "ppo_value_loss", "adapt_kl_coefficient"
)


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


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
    Kool et al. 2019; Ahmadian et al. 2024.
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
# Eight answers, each right (1) or wrong (0). What is an answer told, if k of the eight are right? The lonely right
# answer gets most praise from both; the lonely wrong one most blame. But how much more?

# %% tags=["target"] exercise="rloo_advantages"
figure, axes = plots.new_figure(2, width=9.0, height=3.0)
k = torch.arange(1, 8)
groups = (torch.arange(8) < k[:, None]).float()  # (7, 8): in row k - 1, the first k answers are right
for name, function in (("GRPO", group_advantages), ("RLOO", rloo_advantages)):
    told = torch.as_tensor(function(groups)).float()
    for ax, column in ((axes[0], 0), (axes[1], -1)):
        ax.plot(k, told[:, column], "o-", color=COLOURS[name], label=name)
axes[0].set(ylabel="advantage", title="What a right answer is told: most when it is alone")
axes[1].set(ylabel="advantage", title="What a wrong answer is told")
for ax in axes:
    ax.set_xlabel("right answers among the eight")
    ax.axhline(0, color=plots.INK, linewidth=0.8)
axes[0].legend()
plt.show()

# %% [markdown]
# GRPO raises its voice where a group nearly agrees: there the spread is small, and everything is divided by it. What
# that does to the gradient comes below.

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
# Two things to see in the loss. On the left, one token: where the clip holds, the line is level, and no gradient flows.
# On the right, how hard one token of an answer is pulled, by the length of the answer.

# %% tags=["target"] exercise="grpo_loss"
figure, axes = plots.new_figure(2, width=9.0, height=3.0)
ratios = torch.linspace(0.4, 1.6, 121)
for advantage, colour in ((1.0, plots.GOOD), (-1.0, plots.BAD)):
    losses = [
        grpo_loss(
            r.log().view(1, 1), torch.zeros(1, 1), r.log().view(1, 1), torch.tensor([advantage]), torch.ones(1, 1)
        )
        for r in ratios
    ]
    axes[0].plot(
        ratios, torch.stack([torch.as_tensor(loss) for loss in losses]), color=colour, label=f"A = {advantage:+g}"
    )
axes[0].set(xlabel="probability ratio, new / old", ylabel="loss of the token", title="Level where the clip holds")
axes[0].legend()
lengths = torch.arange(1, 25)
mask = torch.arange(24) < lengths[:, None]  # (24, 24): answers of 1, 2, ..., 24 tokens
level = torch.zeros(24, 24, requires_grad=True)
pull = torch.autograd.grad(grpo_loss(level, level.detach(), level.detach(), torch.ones(24), mask), level)[0]
axes[1].plot(lengths, -24 * pull[:, 0], "o-", markersize=4, color=COLOURS["GRPO"], label="mean of each answer first")
axes[1].axhline(24 / mask.sum(), color=plots.INK, linestyle="--", label="one mean over all tokens")
axes[1].set(
    xlabel="tokens of the answer", ylabel="pull on its first token", title="A token of a long answer counts less"
)
axes[1].legend()
plt.show()

# %% [markdown]
# ## Use it: GRPO on a language model
#
# The loop lives in `minillm/grpo.py` and calls what you have just written. This is all of it that is not shared with
# PPO; read it with lesson 06's `ppo_iteration` in mind.

# %%
display(Code(inspect.getsource(grpo.grpo_iteration), language="python"))

# %% [markdown]
# - `collect` asks P requests, each G times; the answers to one request stand side by side. So `view(-1, group)` makes
#   rows of groups, and `flatten()` puts the advantages back in the order of the answers.
# - One number for each answer, the same for all its tokens. No value head, no GAE, no whitening over the batch, and no
#   per-token reward: the leash is inside `f.loss`.
# - `updates` is PPO's: minibatches, against the log-probs of the policy *that gave the answers*. One epoch here, where
#   PPO had two. What that leaves for the clip to do, `history.metrics["clip_fraction"]` tells you after the run.
# - Among the statistics, `silent_groups` is the share of groups whose answers all earn the same. They cost as much as
#   the others and teach nothing about the reward: in them only the leash pulls.
#
# The policy is your SFT model, the reward is lesson 05's model, shifted and scaled so that the SFT model's own answers
# have mean 0 and standard deviation 1. The gold judge only watches.

# %%
start = stages.load_stage("sft")
tokenizer, form = start.tokenizer, partial(chat_prompt, render_chat)  # a request -> "<user> ...<bot>"
reward_model = reward.load_reward_model("reward")
recipe = replace(GRPO, iterations=2, groups=2, group=4) if smoke() else GRPO
own = preferences.sample_answers(
    start.model, tokenizer, preferences.draw_requests("train", 20 if smoke() else 256, seed=3), form, n=1, seed=3,
    progress=False,
)  # fmt: skip
score = rollouts.standardised(
    partial(reward.score_answers, reward_model, tokenizer), [answer for hand in own for answer in hand]
)
asked = preferences.draw_requests("train", recipe.iterations * recipe.groups, seed=7)
collector = rollouts.Collector(
    start.model, tokenizer, asked, form, score, token_logprobs, recipe.groups, recipe.group, seed=recipe.seed
)
functions = grpo.Functions(token_logprobs, kl_estimates, group_advantages, grpo_loss)
print(f"{recipe.iterations} iterations of {recipe.groups} requests with {recipe.group} answers each:", end=" ")
print(f"{recipe.iterations * recipe.groups * recipe.group:,} answers in all.")

# %% [markdown]
# One group, before any training: the group of the first rollout whose rewards differ most, and what its answers are
# told. The mark is the gold judge's (✓: a score above 0), whom nobody asks. **Predict** before you look at the last two
# columns: which answers get a positive number?

# %%
first = collector(rollouts.Policy.from_stage(start.model, critic=False), iteration=0)
groups = first.scores.view(-1, recipe.group)  # (P, G)
loudest = groups.std(1).argmax().item()
told = {"GRPO": group_advantages(groups), "RLOO": rloo_advantages(groups)}
rows = [
    {
        "asked": answer.request.text,
        "answer": (answer.text, answer.verdict.score > 0),
        "reward": f"{groups[loudest, i]:+.2f}",
        **{name: f"{torch.as_tensor(values)[loudest, i]:+.2f}" for name, values in told.items()},
    }
    for i, answer in enumerate(first.answers[loudest * recipe.group : (loudest + 1) * recipe.group])
]
display(HTML(plots.answer_table(rows)))
record_answers("One group, its rewards and its advantages", rows)

# %% [markdown]
# **Predict** the gold score of sampled answers to held-out requests, after the run, on the judge's scale from -2 to 1.
# And how will the share of silent groups move: up or down? (The first panel holds two scales: the score in standard
# deviations of the SFT model's own, the gold in the judge's points.)

# %%
my_guess = None  # points


# %%
def train(advantages, name, watch=None, recipe=recipe):
    """A copy of the SFT model trained with group-wise advantages, and the history of its training."""
    torch.manual_seed(recipe.seed)
    policy = rollouts.Policy.from_stage(start.model, critic=False)
    pieces = replace(functions, advantages=advantages)
    return policy.body, grpo.train_grpo(
        policy, collector, pieces, recipe, watch=watch, name=name, progress=watch is None
    )


panels = {
    "score, gold (points)": ["score", "gold"],
    "KL (nats an answer)": ["kl"],
    "share of silent groups": ["silent_groups"],
    "entropy (nats a token)": ["entropy"],
}
trained = {"SFT": start.model}
trained["GRPO"], history = train(group_advantages, "GRPO", live_plot(panels, recipe.iterations))
stages.save_stage("grpo", trained["GRPO"], seed=recipe.seed)
print(f"{history.seconds[-1]:.0f} seconds")
record("GRPO training time", history.seconds[-1], unit="s")

# %% [markdown]
# The score rises, the KL with it, and as answers to one request grow alike, far more groups fall silent than at the
# start, though not at every iteration: the batch shrinks while you pay for all of it. (DAPO, Yu et al. 2025, throws
# silent groups away and samples until the batch is full.) Watch the gold judge's line as well: it need not follow the
# score to the end.
#
# ## See it: before and after
#
# Held-out requests, answers sampled at temperature 1, graded by the gold judge. "Good" is a right answer, or a refusal
# where one is due. In the table after the bars, the mark is the gold judge's again: to refuse what is harmless earns
# a ✗.

# %%
held_out = preferences.draw_requests("test", 24 if smoke() else 1000, seed=11)


def ask(model):
    return evaluation.ask(model, tokenizer, held_out, form, stop=[tokenizer.end], temperature=1.0, seed=5)


def gold(answers, less=None):
    """Mean gold score, or mean difference to other answers to the same requests, and half of its 95% interval."""
    scores = torch.tensor([answer.verdict.score for answer in answers])
    if less is not None:
        scores = scores - torch.tensor([answer.verdict.score for answer in less])
    return scores.mean().item(), 1.96 * scores.std().item() / len(scores) ** 0.5


answers = {name: ask(model) for name, model in trained.items()}
good = ("right", "refusal")
bars = {"sft": evaluation.rates(answers["SFT"], good), "grpo": evaluation.rates(answers["GRPO"], good)}
ax = plots.rate_bars(bars, xlabel="share of good sampled answers, with 95% score interval")
gain, half = gold(answers["GRPO"], answers["SFT"])
ax.set_title(f"GRPO against SFT on held-out requests: {gain:+.2f} ± {half:.2f} points of gold")
plt.show()
tell("gold score after GRPO", gold(answers["GRPO"])[0], my_guess)
record("GRPO: gold above SFT, held-out", gain, unit="points", low=gain - half, high=gain + half, seeds=[recipe.seed])

# %%
rows = []
for i in {request.kind: i for i, request in reversed(list(enumerate(held_out)))}.values():
    cells = {name: (answers[name][i].text, answers[name][i].verdict.score > 0) for name in ("SFT", "GRPO")}
    rows.append({"asked": held_out[i].text, **cells})
display(HTML(plots.answer_table(rows)))
record_answers("Before and after GRPO, held-out requests", rows)

# %% [markdown]
# ## Three ways, the same number of answers
#
# RLOO on the same requests with the same settings, and PPO from lesson 06: the same start, the same reward model, the
# same number of sampled answers. **Predict**: which of the three comes out ahead, and by more than their intervals?

# %%
trained["RLOO"], _ = train(rloo_advantages, "RLOO")
trained["PPO"] = stages.load_stage("ppo").model
answers |= {name: ask(trained[name]) for name in ("RLOO", "PPO")}

# %%
table = []
for name in ("SFT", "PPO", "GRPO", "RLOO"):
    points, error = gold(answers[name])
    nats = answer_kl(trained[name], start.model, tokenizer, answers[name])  # (1000,)
    kl, kl_error = nats.mean().item(), 1.96 * nats.std().item() / len(nats) ** 0.5
    words = sum(len(answer.text.split()) for answer in answers[name]) / len(held_out)
    row = {
        "policy": name,
        "gold (points)": f"{points:+.2f} ± {error:.2f}",
        "KL to SFT (nats)": f"{kl:.2f} ± {kl_error:.2f}",
    }
    table.append({**row, "words": f"{words:.1f}"})
    record(f"gold, {name}, held-out", points, unit="points", low=points - error, high=points + error, seeds=1)
    if name != "SFT":
        record(f"KL to SFT, {name}", kl, unit="nats/answer", low=kl - kl_error, high=kl + kl_error, seeds=1)
display(HTML(plots.answer_table(table)))
record_table("PPO, GRPO, RLOO: equal numbers of answers, one run each", table, note="held-out, sampled, 95% intervals")
samples = {"PPO": PPO.iterations * PPO.batch_size, "GRPO, RLOO": recipe.iterations * recipe.groups * recipe.group}
print("; ".join(f"{name}: {count:,} sampled answers" for name, count in samples.items()))

# %% [markdown]
# Read the second column together with the third: gold that was bought with more KL is not the better method's, and one
# beta is not one leash. RLOO's advantages keep the units of the score, GRPO's are divided by the spread, and PPO
# charges the log-ratio to the reward. The intervals are those of the test requests, for one run each. Another seed
# moves any of these policies by several hundredths of a point, sometimes by a tenth, so do not crown anybody.
#
# What is not luck is what each paid for. PPO trained a critic, and asked a new request for every answer. GRPO and RLOO
# had no critic to train, and for the same number of answers saw an eighth of the requests. On a model where the critic
# is another model of the same size, that trade looks better than it does here.
#
# ### Whose voice is raised
#
# Ask the trained policy more requests, in groups of eight, and look at the groups in which the gold judge sees *no*
# difference between the eight answers. What the reward model sees there is its own noise. **Predict**: what share of
# all praise and blame (the sum of |A|) goes to such groups, under GRPO's advantages and under RLOO's?

# %%
many = 4 if smoke() else 96
more = preferences.draw_requests("train", many, seed=9)
rollout = replace(collector, requests=more, per_iteration=many)(rollouts.Policy(trained["GRPO"]), iteration=0)
groups = rollout.scores.view(-1, recipe.group)  # (96, 8)
graded = torch.tensor([answer.verdict.score for answer in rollout.answers]).view_as(groups)
level = graded.std(1) < 1e-6  # nothing to choose between the answers
figure, (ax,) = plots.new_figure(height=3.3)
lines = []
for name, function in (("GRPO", group_advantages), ("RLOO", rloo_advantages)):
    loud = torch.as_tensor(function(groups)).abs().mean(1)  # (96,)
    share = (loud[level].sum() / loud.sum()).item()
    lines.append(f"{name} {share:.0%}")
    record(f"{name}: share of |A| in groups without a gold difference", share, seeds=[recipe.seed])
    ax.plot(groups.std(1)[~level], loud[~level], "o", color=COLOURS[name], markersize=5, label=f"{name}, gold differs")
    ax.plot(groups.std(1)[level], loud[level], "x", color=COLOURS[name], markersize=6, label=f"{name}, gold is level")
ax.set(xlabel="spread of the rewards in the group (standard deviations of the score)", ylabel="mean |A| of the group")
ax.legend(fontsize=8)
ax.set_title(f"Gold is level in {level.float().mean():.0%} of groups; their share of all |A|: {', '.join(lines)}")
plt.show()

# %% [markdown]
# Groups in which all rewards are exactly equal stand at 0 for both. The other groups without a difference in gold have
# a small spread: RLOO hardly hears them, GRPO gives them as loud a voice as any. What it then learns from them is the
# taste of the reward model. Where a reward is right or wrong and nothing between, as in mathematics, there are no such
# groups.

# %% [markdown]
# ## The truth, for once
#
# {exercise exact_policy_gradient}
#
# **Why.** PPO, GRPO and RLOO are all said to *estimate* one thing: how the mean reward changes when the policy does.
# Nobody with a real language model ever sees the true value, so nobody can say whether an estimate is off by noise or
# by mistake. In a world with a few hundred possible answers you can add them all up.
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
# reward, not of a loss. (6) The table holds logits; probabilities come from the softmax of a row. (7) If autograd is
# to do it: `table` arrives without `requires_grad`, so differentiate with respect to a leaf of your own (hint 2).


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

# %% [markdown]
# ## Estimates against the truth
#
# A world with three prompts, 121 possible answers to each (words of up to four letters from three, with an end token),
# and a policy that is a table of logits. An answer is right (1) or wrong (0). The easy prompt is mostly answered
# right, the hard one seldom.

# %%
world = exact.Setting(vocab_size=4, length=4)
S, R, V = world.num_sequences, world.num_prefixes, world.vocab_size
dice = torch.Generator().manual_seed(0)
tables = 0.7 * torch.randn(3, R, V, generator=dice, dtype=torch.float64)  # one table of logits for each prompt
token_nats = torch.stack([world.token_logprobs(table) for table in tables])  # (3, S, L)
logprobs = token_nats.sum(-1)  # (3, S)
order = exact.toy_reward(world, seed=1).argsort(descending=True)
PROMPTS = {"easy": 0.92, "fair": 0.52, "hard": 0.07}
rewards = torch.zeros(3, S, dtype=torch.float64)
for prompt, share in enumerate(PROMPTS.values()):  # right: the first in the order, as many as get this probability
    rewards[prompt, order[logprobs[prompt].exp()[order].cumsum(0) < share]] = 1.0
solved = (logprobs.exp() * rewards).sum(1)  # (3,)
for prompt, (name, share) in enumerate(zip(PROMPTS, solved.tolist())):
    likely = logprobs[prompt].argsort(descending=True)[:6].tolist()
    said = ", ".join(f"{world.text(s)} ({'right' if rewards[prompt, s] else 'wrong'})" for s in likely)
    print(f"{name}: solved with probability {share:.2f}; most likely: {said}")

# %% [markdown]
# The truth: your `exact_policy_gradient`, of the mean reward over the three prompts. The library computes the same from
# autograd, for any policy at all; do the two agree?

# %%
rows = torch.cat([world.rows + prompt * R for prompt in range(3)])  # the three tables, one under the other
listed, counted = world.sequences.repeat(3, 1), world.mask.repeat(3, 1)  # (3 S, L) each


def gradient_of(worth):
    """The exact gradient (3, R, V) of the mean over prompts of the expected ``worth`` (3, S) of an answer."""
    gradient = exact_policy_gradient(tables.flatten(0, 1), rows, listed, counted, worth.flatten() / 3)
    return torch.as_tensor(gradient).double().view(3, R, V)


truth = gradient_of(rewards)
largest = 0.0
for prompt in range(3):
    policy = TabularPolicy(world)
    policy.table.data = tables[prompt]
    by_autograd = exact.policy_gradient(policy, rewards[prompt])["table"] / 3
    largest = max(largest, (truth[prompt] - by_autograd).abs().max().item())
print(
    f"{truth.numel()} coordinates, of length {truth.norm():.3f} in all; yours and autograd's differ by {largest:.1e}."
)

# %% [markdown]
# Now sample, as one has to elsewhere: 4,000 times a group of 8 answers to each prompt. An estimate of the gradient is
# a *weight* on the log-probability of every sampled token, times the gradient of that log-probability. The methods
# differ in the weights and in nothing else.

# %%
N, G = (100, 8) if smoke() else (4000, 8)
drawn = torch.stack([exact.draw(logprobs[prompt], N * G, dice) for prompt in range(3)])  # (3, N G) numbers of answers
earned = rewards.gather(1, drawn)  # (3, N G)
groups = earned.view(-1, G)  # (3 N, G)
real = world.mask[drawn]  # (3, N G, L)
slopes = [torch.autograd.functional.jacobian(world.token_logprobs, table) for table in tables]  # (S, L, R, V) each


def estimates(weights):
    """N independent estimates of the gradient, (N, 3 R V), each from G answers to each prompt. weights: (3, N G, L)."""
    L, found = world.length, []
    for prompt in range(3):
        place = drawn[prompt][:, None] * L + torch.arange(L)  # (N G, L) number of the token among all S L
        total = torch.zeros(N, S * L, dtype=torch.float64)
        total.scatter_add_(1, place.view(N, -1), weights[prompt].reshape(N, -1))
        found.append(total @ slopes[prompt].reshape(S * L, R * V) / G)
    return torch.cat(found, dim=1) / 3


def on_every_token(advantages):
    """The same weight at every token of an answer: advantages of 3 N G answers -> (3, N G, L)."""
    return torch.as_tensor(advantages).double().reshape(3, N * G, 1) * real


# %% [markdown]
# Your own functions give the weights. For `grpo_loss` they are its gradient, at the first step, where all ratios are 1,
# and without a leash. For PPO they are the advantages of `gae` with $\lambda = 0.95$, once with a critic that knows
# every value exactly, and once with one that says 0. (PPO whitens them over the batch afterwards. That is a factor and
# a shift for all tokens alike, and left out here.)


# %%
def weights_in(loss, advantages):
    """The weights that a loss puts on the log-probs of the drawn tokens, times the number of answers: (3, N G, L)."""
    level = token_nats.gather(1, drawn[..., None].expand_as(real)).flatten(0, 1).requires_grad_()  # (3 N G, L)
    fixed = level.detach()
    value = loss(level, fixed, fixed, advantages.flatten().double(), real.flatten(0, 1), 0.2, 0.0)
    return -len(level) * torch.autograd.grad(value, level)[0].view_as(real)


def ppo_weights(values):
    """GAE with the values (3, S, L) of a critic; the score stands on the last token."""
    last = F.one_hot(world.lengths[drawn] - 1, world.length)  # (3, N G, L)
    seen = values.gather(1, drawn[..., None].expand_as(real))
    parts = (part.flatten(0, 1).double() for part in (last * earned[..., None], seen * real, real))
    return torch.as_tensor(gae(*parts, 1.0, 0.95)[0]).double().view_as(real)


# %%
knows = torch.stack([exact.state_values(world, logprobs[x], rewards[x])[world.rows] for x in range(3)])  # (3, S, L)
batch = earned.view(3, N, G).mean((0, 2))[:, None]  # the mean of the 24 answers of each estimate
normed, left_out = group_advantages(groups), rloo_advantages(groups)
weights = {
    "no baseline": on_every_token(earned),
    "less the batch's mean": on_every_token(earned.view(3, N, G) - batch),
    "less the group's mean": on_every_token(groups - groups.mean(1, keepdim=True)),
    "RLOO": on_every_token(left_out),
    "PPO, critic knows": ppo_weights(knows),
    "PPO, critic says 0": ppo_weights(torch.zeros_like(knows)),
    "GRPO's advantages": on_every_token(normed),
    "grpo_loss": weights_in(grpo_loss, normed),
}

# %% [markdown]
# For each estimate, over its 4,000 repetitions:
#
# - **of the gradient**: how much of the true gradient its mean holds, along the true direction (1: all of it), with its
#   standard error;
# - **within 3 SE**: the share of coordinates whose mean lies within three standard errors of the truth, and **mean
#   $z^2$**: the mean squared distance in standard errors. Pure noise gives 0.997 and 1. (Counted are the
#   coordinates that at least a hundred of the repetitions have touched; with fewer, a standard error means little.)
# - **noise**: the standard deviation of *one* estimate (24 answers), relative to its own mean.
#
# **Predict**: which of the eight are unbiased? And how many times fewer answers does RLOO need than no baseline?


# %%
def against(weights, target):
    """The table's row: mean, its standard error along the target, coordinates within 3 SE, mean z^2, noise."""
    found, target = estimates(weights), target.flatten()
    mean, error = found.mean(0), found.std(0) / N**0.5
    along = found @ target / target.norm() ** 2
    touched = (found.abs() > 1e-14).sum(0) >= min(100, N // 4)
    z = ((mean - target) / error)[touched]
    noise = found.var(0).sum().sqrt() / mean.norm()
    return along.mean(), along.std() / N**0.5, (z.abs() < 3).double().mean(), (z**2).mean(), noise


measured = {name: [value.item() for value in against(weight, truth)] for name, weight in weights.items()}
table = [
    {"estimate": name, "of the gradient": f"{gain:.3f} ± {error:.3f}", "within 3 SE": f"{inside:.3f}",
     "mean z²": f"{z2:.2f}", "noise": f"{noise:.2f}"}
    for name, (gain, error, inside, z2, noise) in measured.items()
]  # fmt: skip
display(HTML(plots.answer_table(table)))
record_table("Gradient estimates against the exact gradient", table, note=f"{N:,} estimates from 24 answers each")
cheaper = (measured["no baseline"][4] / measured["RLOO"][4]) ** 2
print(f"No baseline needs {cheaper:.1f} times the answers of RLOO for the same precision.")
for name in ("RLOO", "PPO, critic knows", "grpo_loss"):
    gain, error, inside, *_ = measured[name]
    record(f"{name}: share of the exact gradient", gain, low=gain - 1.96 * error, high=gain + 1.96 * error, seeds=[0])
    record(f"{name}: coordinates within 3 standard errors", inside, seeds=[0])

# %% [markdown]
# Read the table from the top.
#
# - **A baseline buys precision, not truth.** With none the estimate is right on average, and noisy. RLOO is right on
#   average too, with half of the noise or so; and a critic who knows every value does better still, for it judges each
#   *token*.
# - **The group's own mean shrinks the gradient by (G - 1)/G**, which a learning rate makes up for. It is otherwise RLOO
#   and has RLOO's noise. The batch's mean shrinks less, by 23/24, but does not know that one prompt is harder than
#   another.
# - **A critic that says 0 is not neutral** once $\lambda < 1$: each token that follows takes another factor
#   of $\lambda$ off what a token is paid, and the values that should make up for it are not there.
# - **GRPO's advantages are no estimate of this gradient at all**, at any number of samples. They are a clean estimate
#   of something else. Of what?
#
# ### What GRPO climbs
#
# Look at one prompt, solved with probability p. A right answer gets on average some advantage $a_1(p)$, a wrong one
# $a_0(p)$: averages over what the other G - 1 may be, which are binomial. What GRPO then estimates is the prompt's true
# gradient *times the weight* $a_1(p) - a_0(p)$. Your function and a sum over the binomial give it exactly.


# %%
def expected_advantages(advantages, p, G):
    """Expected advantages (of a right answer, of a wrong one): each of the other G - 1 is right with probability p."""
    k = torch.arange(G, dtype=torch.float64)  # how many of the others are right
    chance = torch.distributions.Binomial(G - 1, torch.as_tensor(p).double()).log_prob(k).exp()
    others = (torch.arange(G - 1) < k[:, None]).double()  # (G, G - 1)
    mine = [torch.cat((torch.full((G, 1), own).double(), others), 1) for own in (1.0, 0.0)]
    return [(chance @ torch.as_tensor(advantages(group)).double()[:, 0]).item() for group in mine]


def weight_of(advantages, p, G):
    right, wrong = expected_advantages(advantages, p, G)
    return right - wrong


# %%
ps = torch.linspace(0.01, 0.99, 99).tolist()
figure, (ax,) = plots.new_figure(height=3.6)
for size, style in ((4, ":"), (8, "-"), (64, "--")):
    ax.plot(
        ps, [weight_of(group_advantages, p, size) for p in ps], style, color=COLOURS["GRPO"], label=f"GRPO, G = {size}"
    )
ax.plot(ps, [weight_of(rloo_advantages, p, 8) for p in ps], color=COLOURS["RLOO"], label="RLOO")
mine = estimates(weights["GRPO's advantages"]).view(N, 3, -1)
along = (mine * truth.view(3, -1)).sum(-1) / truth.view(3, -1).square().sum(-1)  # (N, 3)
ax.errorbar(
    solved, along.mean(0), yerr=3 * along.std(0) / N**0.5, fmt="o", color=plots.INK, capsize=4, label="measured, ± 3 SE"
)
ax.set(xlabel="probability p that the prompt is answered right", ylabel="weight of the prompt's gradient", ylim=(0, 5))
ax.legend(fontsize=8)
ratio = weight_of(group_advantages, 0.03, 64) / weight_of(group_advantages, 0.5, 64)
ax.set_title(f"GRPO, G = 64: p = 0.03 weighs {ratio:.1f} times as much as p = 0.5")
plt.show()

# %% [markdown]
# Nearly solved and nearly hopeless prompts are turned up, the more the larger the group. For large G the weight is
# $1/\sqrt{p(1-p)}$, the derivative of $2 \arcsin \sqrt p$: that is the function of the success rate which GRPO climbs,
# not p itself (Davis & Recht 2025). If it is the hard prompts that you care about, this may be just what you want. If
# rewards are in points, and points differ, it is not: it is where the 100 points of the beginning disappeared to.
#
# One more step makes the claim exact. Put $a_1$ and $a_0$ in the place of the rewards, divide by each answer's length
# as the loss does, and let *your* exact gradient say what `grpo_loss` should estimate.

# %%
worth = torch.zeros_like(rewards)
for prompt, p in enumerate(solved.tolist()):
    right, wrong = expected_advantages(group_advantages, p, G)
    worth[prompt] = torch.where(rewards[prompt] > 0, right, wrong)
for name, target in (("GRPO's advantages", worth), ("grpo_loss", worth / world.lengths)):
    gain, error, inside, z2, _ = against(weights[name], gradient_of(target))
    print(
        f"{name} against its own target: {gain:.3f} ± {error:.3f} of it, {inside:.3f} of the coordinates within",
        end=" ",
    )
    print(f"3 SE, mean z² {z2:.2f}")
record("grpo_loss against its own exact target", gain, low=gain - 1.96 * error, high=gain + 1.96 * error, seeds=[0])

# %% [markdown]
# So PPO (with a critic that knows), RLOO and GRPO are all unbiased, each for its own target. For PPO and RLOO the
# target is the gradient of the mean reward.
#
# ### What the mean over each answer does to lengths
#
# `grpo_loss` divides an answer's gradient by its length. Take a task that *cannot be learned*: the first token decides
# whether the answer counts as right, by luck, and the policy is not allowed to change that token. Nothing it says
# afterwards matters; the true gradient there is exactly 0. Follow the *exact expected* update, no sampling, with the
# mean over each answer, and with one constant for all (Dr. GRPO). **Predict** what happens to the length of right and
# of wrong answers.

# %%
luck = exact.Setting(vocab_size=3, length=8)  # end, a, b
is_right, is_wrong = (luck.sequences[:, 0] == token for token in (1, 2))


def mean_lengths(table, p=0.2):
    """(p(s), mean tokens of right answers, of wrong answers)"""
    chance = luck.token_logprobs(table).sum(1).exp()  # (S,)
    return chance, *[
        (chance[some] @ luck.lengths[some].double() / chance[some].sum()).item() for some in (is_right, is_wrong)
    ]


def drift(divisor, p, steps):
    """Mean length of right and wrong answers, (steps, 2), while the expected update of GRPO is followed."""
    table = torch.tensor([0.25, 0.375, 0.375]).double().log().repeat(luck.num_prefixes, 1)
    table[0] = torch.tensor([1e-9, p, 1 - p]).double().log()
    right, wrong = expected_advantages(group_advantages, p, 8)
    worth = torch.where(is_right, right, wrong) / divisor  # (S,)
    seen = []
    for _ in range(steps):
        seen.append(mean_lengths(table)[1:])
        step = torch.as_tensor(exact_policy_gradient(table, luck.rows, luck.sequences, luck.mask, worth)).double()
        step[0] = 0  # luck is not learned
        table = table + step
    return torch.tensor(seen)


# %%
steps = 20 if smoke() else 300
figure, (ax,) = plots.new_figure(height=3.3)
paths = {"mean over each answer": drift(luck.lengths.double(), 0.2, steps), "one constant": drift(4.0, 0.2, steps)}
for (name, path), style in zip(paths.items(), ("-", "--")):
    ax.plot(path[:, 1], style, color=plots.BAD, label=f"wrong answers, {name}")
    ax.plot(path[:, 0], style, color=plots.GOOD, label=f"right answers, {name}")
ax.set(xlabel="step along the exact expected update", ylabel="mean length (tokens)")
ax.legend(fontsize=8, loc="center right", bbox_to_anchor=(1, 0.36))
(short, long), before = paths["mean over each answer"][-1].tolist(), paths["one constant"][0, 0]
ax.set_title(f"Nothing to learn: right answers go from {before:.1f} to {short:.1f} tokens, wrong ones to {long:.1f}")
plt.show()
record("per-answer mean: wrong answers of an unlearnable task grow to", long, unit="tokens")

# %% [markdown]
# A wrong answer is blamed less for each of its tokens the longer it is, so the policy learns to be wrong at length;
# a right one is praised more for each token the shorter it is. On hard tasks, where most answers are wrong, answers
# grow: a curve that looks like "it learns to think longer" can come from here (Liu et al. 2025, sec. 3). With one
# constant for all, nothing moves, as it should: the two dashed lines lie on each other.
#
# ## Where the leash is tied
#
# All estimates above were without a leash. PPO takes beta times the log-ratio off the *reward*; GRPO adds $k_3$ to the
# *loss*. Lesson 06 showed what $k_3$ is as a loss: its gradient is that of another divergence. What does that cost?
#
# The larger enumerable world: one prompt, 781 answers, a reward with some structure. No policy can lie above the
# frontier, and the best for a given beta lies on it. The loops are those that trained the language model, with a table
# of logits in its place, and the same number of samples for each. The last candidate is GRPO with its leash moved into
# the reward. **Predict** who reaches the frontier.

# %%
setting = exact.Setting()
goal = exact.toy_reward(setting)
origin = TabularPolicy(setting, spread=0.5, seed=7)
ROUNDS = 3 if smoke() else 60
six = (token_logprobs, kl_estimates, shape_rewards, gae, masked_whiten, ppo_policy_loss, ppo_value_loss)
ppo_functions = ppo.Functions(*six, adapt_kl_coefficient)
small = replace(GRPO, iterations=ROUNDS, groups=32, group=8, epochs=2, minibatch=128, peak=TABULAR_PPO.peak, beta=0.25)


def leash_in_reward(collector, beta):
    """The collector, with beta times the log-ratio of each answer taken off its score."""

    def collect(policy, iteration):
        rollout = collector(policy, iteration)
        log_ratio = ((rollout.logprobs - rollout.ref_logprobs) * rollout.mask).sum(1)
        return replace(rollout, scores=rollout.scores - beta * log_ratio)

    return collect


# %%
def run(method, seed, pieces=functions, recipe=small, goal=goal):
    """Train a table of logits; the policy's log-probabilities (S,) afterwards, and the history."""
    model = ActorCritic(deepcopy(origin), critic=method == "PPO")
    collect = Collector(origin, goal, token_logprobs, batch_size=256, seed=seed)
    if method == "PPO":
        recipe = replace(TABULAR_PPO, iterations=recipe.iterations, beta=recipe.beta, seed=seed)
        history = ppo.train_ppo(model, collect, ppo_functions, recipe, progress=False)
        return exact.distribution(model.policy).detach(), history
    if method == "RLOO":
        pieces = replace(pieces, advantages=rloo_advantages)
    if method == "GRPO, leash in the reward":
        collect, recipe = leash_in_reward(collect, recipe.beta), replace(recipe, beta=0.0)
    history = grpo.train_grpo(model, collect, pieces, replace(recipe, seed=seed), progress=False)
    return exact.distribution(model.policy).detach(), history


# %%
betas = {0.25: 0, 0.5: 1, 1.0: 2}  # of the penalty, each with a seed of its own
reached = {
    method: [run(method, seed, recipe=replace(small, beta=beta))[0] for beta, seed in betas.items()]
    for method in ("PPO", "GRPO", "RLOO", "GRPO, leash in the reward")
}
reference = exact.distribution(origin).detach()
share = {m: [exact.share_of_frontier(each, reference, goal) for each in ends] for m, ends in reached.items()}
figure, (ax,) = plots.new_figure(height=3.8)
edge = exact.frontier(reference, goal)
ax.plot(edge.kl, edge.reward, color=plots.INK, label="frontier: no policy above it")
looks = {"PPO": ("PPO", "o"), "GRPO": ("GRPO", "s"), "RLOO": ("RLOO", "^"), "GRPO, leash in the reward": ("GRPO", "D")}
for method, ends in reached.items():
    colour, marker = looks[method]
    points = [(exact.kl(each, reference), exact.expected_reward(each, goal)) for each in ends]
    face = "none" if "leash" in method else COLOURS[colour]
    ax.plot(*zip(*points), marker, color=COLOURS[colour], markerfacecolor=face, markersize=7, label=method)
ax.set(xlim=(0, 3.6), ylim=(0, 2.1), xlabel="KL to the reference (nats)", ylabel="expected reward")
ax.legend(fontsize=8, loc="lower right")
means = {method: sum(values) / len(values) for method, values in share.items()}
ax.set_title(f"Of the gain that is possible at its KL, PPO gets {means['PPO']:.3f}, GRPO {means['GRPO']:.3f}")
plt.show()

# %%
for method, values in share.items():
    each = ", ".join(f"{value:.3f} (beta {beta:g})" for beta, value in zip(betas, values))
    print(f"{method:28s}{each} of the frontier's gain at its own KL")
    record(f"enumerable world: {method}, share of frontier", means[method], low=min(values), high=max(values), seeds=3)

# %% [markdown]
# PPO and GRPO with its leash in the reward lie on the frontier or next to it; GRPO and RLOO with the $k_3$ term lie
# under it. So the missing critic costs nothing here, and neither does the division: the *leash* does, for two reasons.
# The gradient of $k_3$ as a loss is that of the other divergence, from the reference to the policy. And a term at a
# token sees the KL of that token only, not the KL that it leads into. A log-ratio taken off the score has neither
# fault (Ahmadian et al. 2024 have it there), and costs you a line.
#
# ## Break it
#
# Two changes, a line each.
#
# **No small term.** The rewards of the enumerable world, rounded to right and wrong. What happens when a group falls
# silent?

# %%
plain = (goal > 0.5).double()


def without_small_term(rewards):
    spread = rewards.std(1, keepdim=True)
    return group_advantages(rewards) * (spread / spread)  # a factor of 1, and of 0/0 where the spread is 0


for name, function in (("with 1e-4", group_advantages), ("without", without_small_term)):
    _, past = run("GRPO", 0, replace(functions, advantages=function), goal=plain)
    ended = past.metrics["score"][-1]
    print(f"{name:10s} {len(past.losses)} iterations, solved at the end: {ended:.2f}, last loss {past.losses[-1]:.3f}")

# %% [markdown]
# One silent group is enough: 0/0 is NaN, and after one step every weight is NaN. (The loop's advice about the learning
# rate is well meant, and wrong here.)
#
# **A hundred points.** The rewards of the hard prompt are multiplied by 100, as if somebody kept other units for it.
# How is the length of the gradient shared out among the three prompts?

# %%
units = torch.tensor([1.0, 1.0, 100.0])[:, None]
scaled = (earned * units).view(-1, G)
for name, function in (("RLOO", rloo_advantages), ("GRPO", group_advantages)):
    for what, some in (("as before", groups), ("hard prompt x 100", scaled)):
        parts = estimates(on_every_token(function(some))).mean(0).view(3, -1).norm(dim=1)
        print(
            f"{name}, {what:18s}" + ", ".join(f"{p} {v:.2f}" for p, v in zip(PROMPTS, (parts / parts.sum()).tolist()))
        )

# %% [markdown]
# RLOO has become a method for one prompt. GRPO has not noticed. This is the good side of dividing: a reward model whose
# scores spread more on some prompts than on others cannot decide alone what is learned. Whether that is worth the
# weights of the figure above depends on what your rewards mean.
#
# ## Clinic
#
# Four runs of GRPO in the enumerable world, one bug each; the dashed line is a healthy run. On the log scale, a KL
# below 0.001 is drawn at 0.001. The suspects:
#
# 1. the advantages were put back in the wrong order: they went to other answers of the batch
# 2. nothing is subtracted from the rewards, and all of them are positive
# 3. the learning rate is a thousand times too small
# 4. the leash is tied to the policy that gave the answers, not to the reference
# 5. the sign of the advantages is flipped

# %% tags=["clinic"]
cases = {
    "A": run("GRPO", 0, replace(functions, advantages=lambda rewards: rewards + 3)),
    "B": run("GRPO", 0, replace(functions, loss=lambda new, old, ref, *rest: grpo_loss(new, old, old, *rest))),
    "C": run("GRPO", 0, replace(functions, advantages=lambda rewards: group_advantages(rewards).T.contiguous())),
    "D": run("GRPO", 0, recipe=replace(small, peak=small.peak / 1000)),
}
_, healthy = run("GRPO", 0)
figure, axes = plt.subplots(3, 4, figsize=(10, 5.8), sharex=True, sharey="row")
axes[1, 0].set_yscale("log")
labels = {"score": "mean reward", "kl": "KL (nats, log scale)", "entropy": "entropy (nats/token)"}
for column, (case, (_, past)) in zip(axes.T, cases.items()):
    for ax, name in zip(column, labels):
        for metrics, look in ((healthy.metrics, {"ls": "--", "c": plots.INK, "lw": 1}), (past.metrics, {})):
            ax.plot(plots.smooth(metrics[name], 5).clip(1e-3 if name == "kl" else None), **look)
    column[0].set_title(f"run {case}")
    column[-1].set_xlabel("iteration")
for ax, label in zip(axes[:, 0], labels.values()):
    ax.set_ylabel(label)
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 2, "B": 4, "C": 1, "D": 3}

# %%
diagnose(suspects, key={"A": "fb86eaa7", "B": "c16f5687", "C": "8939a6e6", "D": "e30a116b"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**, the entropy falls far below the healthy run's while the reward stops half way: whatever is sampled is
#   praised, so what is likely becomes likelier. The noise of "no baseline" in the table above, as a training run.
# - **B**, more reward than the healthy run, and a KL that still rises when the healthy one has levelled off: a leash to
#   where you stood a moment ago holds nothing back. At the first update of every iteration its gradient is exactly 0.
#   The entropy falls as in A, or further, but here for the sake of the reward.
# - **C**, a reward that goes nowhere while the policy moves: the KL wanders up from 0. The praise is as loud as in the
#   healthy run and has nothing to do with the answers.
# - **D**, a reward that goes nowhere, and a KL of practically 0: the policy has not moved. Without the KL, C and D look
#   the same.
#
# Not there: **5**, whose reward would fall at once.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - An advantage without a critic, in two forms, and a loss that needs nothing else. The trained policy is the stage
#   `grpo`.
# - The exact gradient of a small world, and a habit: before you ask how noisy an estimate is, ask *what of* it is an
#   estimate.
# - RLOO estimates the gradient of the mean reward. GRPO's division makes it climb another function of each prompt's
#   success, and listen to noise where answers are alike; its mean over each answer changes lengths for no reason; its
#   leash is not the one of the textbook. Each may be fine. Each should be a choice.
# - What a group costs: silent groups, and G answers where PPO needs one. What it saves: a critic, and its mistakes.
#
# **To read.** Williams 1992, *Simple statistical gradient-following algorithms for connectionist reinforcement
# learning*: REINFORCE, and why a baseline is allowed. · Kool, van Hoof & Welling 2019, *Buy 4 REINFORCE samples, get a
# baseline for free!*: leave-one-out. · Shao et al. 2024, *DeepSeekMath*, sec. 4.1, eq. 3 and 4: GRPO. · Ahmadian et al.
# 2024, *Back to basics*: RLOO for language models, with the KL in the reward. · Yu et al. 2025, *DAPO*: one mean over
# all tokens, and no silent groups. · Liu et al. 2025, *Understanding R1-Zero-like training* (Dr. GRPO): the two biases
# you measured. · Davis & Recht 2025, *What is the objective of reasoning with reinforcement learning?*: the arcsine.
#
# Next is [08 · Over-optimisation](08_overoptimization.ipynb): what happens when the reward is pushed too far.
