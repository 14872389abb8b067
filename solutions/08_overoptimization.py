# %% [markdown]
# # 08 · Over-optimisation
#
# "When a measure becomes a target, it ceases to be a good measure" (Goodhart's law, in Strathern's words). A reward
# model is a measure, and lessons 06 and 07 made it a target. For a while that went well: score and gold rose
# together. Push on, and they part. The score goes on rising, the gold score turns and falls, and nothing in the
# training log tells you.
#
# This lesson looks at that turn from three sides. In a world small enough to list, you compute what is *provably*
# best and how far anything can go for a given KL. With plain random numbers, you find out which kinds of error in a
# proxy make the turn, and which, surprisingly, do not. And with the language model you make it happen, take the fall
# apart, and try three remedies: a leash, stopping early, and asking several reward models.

# %% tags=["setup"]
import math

import torch
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
from copy import deepcopy
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
from IPython.display import HTML, display

from minillm import evaluation, exact, plots, ppo, preferences, reward, rollouts, stages
from minillm.chat import chat_prompt
from minillm.divergence import answer_kl
from minillm.exact_policies import TabularPolicy
from minillm.exact_training import TABULAR_PPO, ActorCritic, Collector
from minillm.paths import smoke
from minillm.tinyland import style
from minillm.tinyland.annotators import GULLIBLE, UNBIASED
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import ONE_PAIR, PPO, REWARD

# %%
plots.use_style()
PROXY, GOLD = plots.STAGE_COLOURS["ppo"], plots.GOOD
training_step, learning_rate_at, render_chat = carry("training_step", "learning_rate_at", "render_chat")
annotate, bradley_terry_loss, best_of_n = carry("annotate", "bradley_terry_loss", "best_of_n")
token_logprobs, kl_estimates, shape_rewards, gae = carry("token_logprobs", "kl_estimates", "shape_rewards", "gae")
masked_whiten, ppo_policy_loss, ppo_value_loss, adapt_kl_coefficient = carry(
    "masked_whiten", "ppo_policy_loss", "ppo_value_loss", "adapt_kl_coefficient"
)
functions = ppo.Functions(
    token_logprobs, kl_estimates, shape_rewards, gae, masked_whiten, ppo_policy_loss, ppo_value_loss,
    adapt_kl_coefficient,
)  # fmt: skip


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


# %% [markdown]
# ## One number by hand
#
# Gao, Schulman & Hilton (2022) pushed many reward models and found the gold score to follow, with d the square root
# of the KL, d · (α - β · d) for best-of-n. Say α = 1 and β = 0.25. At d = 1 the gain is 0.75. At d = 2? (2 · 0.5 =
# 1.) At d = 3? (0.75 again: from here on every nat makes it worse.) Where is the top? (d = α / 2β = 2, a KL of 4
# nats.) And where is all that was gained lost again? (d = 4, at 16 nats.)

# %% [markdown]
# ## How far has it gone?
#
# {exercise best_of_n_kl}
#
# **Why.** To compare ways of optimising, one needs a common measure of how much was optimised. Learning rates and
# numbers of steps are none: they mean something else for every method. How far the policy has moved from where it
# started is one, and for best-of-n it needs no sampling at all.
#
# **What.** Draw n answers from the reference and keep the one with the highest score. The answers that are given now
# come from another distribution, and if no two scores are equal, its distance from the reference is, in nats,
#
# $$ \mathrm{KL}\big(\pi_{\text{best of } n} \,\|\, \pi_\text{ref}\big) = \log n - \frac{n-1}{n} $$
#
# whatever the scores are (Stiennon et al. 2020, app. G.3). Where scores *tie* the distribution has moved less, so in
# general this is an upper bound (Beirami et al. 2024). Further down you will measure by how much.
#
# **By hand.** n = 2: log 2 - 1/2 = 0.693 - 0.5 = 0.193. n = 1: 0, as it should be, for one draw is the reference.
# And n = 16? (2.773 - 0.9375 = 1.835.) How many draws buy 10 nats? (About $e^{11}$, 60,000: it grows like
# $\log n - 1$.)
#
# **Traps.** (1) $\log n$ alone is the price of an answer picked out by its *number*; the best of n is still random.
# (2) Nats: the natural logarithm. (3) Divide first, then subtract: `log(n) - (n - 1) / n`, not `(log(n) - (n - 1)) /
# n`, and `/`, not `//`.


# %% tags=["exercise"] exercise="best_of_n_kl"
def best_of_n_kl(n: int) -> float:
    """KL(best of n || reference) in nats, for scores without ties; with ties an upper bound.

    n: how many answers are drawn, a whole number of at least 1.
    Returns log n - (n - 1) / n. Stiennon et al. 2020, app. G.3; Beirami et al. 2024, sec. 3.
    """
    # BEGIN SOLUTION
    picked_by_number = math.log(n)
    still_random = 1 - 1 / n
    return picked_by_number - still_random
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="best_of_n_kl"
# Where to start
# The formula has two terms and one operation between them. `math.log` is the natural logarithm.
# ---
# Test it yourself
# `best_of_n_kl(1)` has to be 0, and `best_of_n_kl(2)` a little below 0.2.

# %% tags=["check"]
check("best_of_n_kl")

# %% [markdown]
# ### By how much is it a bound?
#
# `minillm/exact.py` knows the exact distribution of the best of n draws from a list of outcomes. Take lists of k
# outcomes, all equally likely, with k different scores, and compare. **Predict**: for how many outcomes is the formula
# right at n = 16?

# %%
ns = [2**k for k in range(0, 11)]
figure, (ax,) = plots.new_figure(height=3.2)
ax.plot(ns, [best_of_n_kl(n) for n in ns], "--", color=plots.BAD, label="log n - (n - 1) / n")
for k, shade in ((2, 0.35), (10, 0.55), (100, 0.75), (10_000, 1.0)):
    even = torch.full((k,), -math.log(k), dtype=torch.float64)
    line = [exact.kl(exact.best_of_n(even, torch.arange(k).double(), n), even).item() for n in ns]
    ax.plot(ns, line, "o-", markersize=3, color=PROXY, alpha=shade, label=f"exact, {k:,} outcomes")
    print(f"{k:6,} outcomes: exact KL of the best of 16 {line[4]:.3f}, by the formula {best_of_n_kl(16):.3f}")
ax.set_xscale("log", base=2)
ax.set_xticks(ns, ns)
ax.set(xlabel="n", ylabel="KL (nats)", title="With few outcomes there is less to move to than the formula says")
ax.legend(fontsize=8)
plt.show()

# %% [markdown]
# k outcomes cannot be further from an even reference than log k. A language model that is nearly sure of its answer has
# few outcomes, whatever n is: for requests that it answers alike each time, best-of-n moves nothing.

# %% [markdown]
# ## How good can it get?
#
# {exercise optimal_policy}
#
# **Why.** You have trained policies to gain reward and stay near the reference. Was it the best that could be done? In
# a world whose answers can be listed this has an answer, in closed form, without any training.
#
# **What.** Of all distributions $\pi$ over answers, the one with the largest
# $E_\pi[r] - \beta\, \mathrm{KL}(\pi \,\|\, \pi_\text{ref})$ is
#
# $$ \pi^*(s) = \frac1Z\, \pi_\text{ref}(s)\, e^{r(s)/\beta}, \qquad Z = \sum_s \pi_\text{ref}(s)\, e^{r(s)/\beta} $$
#
# Every answer keeps its old probability, times a factor that only its reward decides. This is Bayes' rule with the
# reference as prior (Korbak et al. 2022), and lesson 09 is built on it.
#
# **By hand.** Three answers with probabilities 0.5, 0.25, 0.25 and rewards 0, 0.5, 1; $\beta$ = 0.5. The factors are
# 1, e and e²: weights 0.5, 0.680, 1.847, which sum to 3.027. So 0.165, 0.225, 0.610. What if all rewards were higher
# by ten? (The same.) What happens for $\beta \to \infty$, and for $\beta \to 0$? (The reference; all on the best
# answer.)
#
# **Traps.** (1) Log-probabilities go in and come out. (2) $\beta$ divides the reward. It touches neither the
# reference nor the normalisation. (3) $e^{r/\beta}$ is infinite in float32 from $r/\beta = 89$ on, so a small $\beta$
# needs the whole sum in logs. (4) What the reference never says, $\log 0 = -\infty$, it will not say for any reward;
# no epsilon there. (5) Leave the reference out and you have a softmax of rewards, which knows nothing of language.


# %% tags=["exercise"] exercise="optimal_policy"
def optimal_policy(ref_logprobs: Tensor, rewards: Tensor, beta: float) -> Tensor:
    """The policy with the largest E[r] - beta * KL(policy || reference), over S sequences.

    ref_logprobs: (S,) float, log-probabilities of the reference in nats; -inf where it never goes.
    rewards: (S,) float, finite. beta > 0, in units of reward a nat.
    Returns (S,) LOG-probabilities, of reference * exp(rewards / beta) / Z: their exponentials sum to 1; -inf
    where the reference is. Right for any beta, however small. With a gradient to both inputs.
    Ziegler et al. 2019, sec. 2; Korbak et al. 2022.
    """
    # BEGIN SOLUTION
    tilted = ref_logprobs + rewards / beta  # (S,) in logs, a product is a sum
    log_z = tilted.logsumexp(dim=0)
    return tilted - log_z
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="optimal_policy"
# Where to start
# Take the logarithm of the formula on paper. What becomes of the product, and of the division by Z?
# ---
# The normalisation
# log Z is the logarithm of a sum of exponentials: `torch.logsumexp` computes it without ever holding a large
# exponential. `log_softmax` does both steps at once.

# %% tags=["check"]
check("optimal_policy")

# %% [markdown]
# {exercise exact_kl}
#
# **Why.** In lesson 06 the KL was estimated from samples. Where answers can be listed it is a sum.
#
# **What.** With policy $p$ and reference $q$, in this order,
#
# $$ \mathrm{KL}(p \,\|\, q) = \sum_s p(s)\, \big( \log p(s) - \log q(s) \big) $$
#
# The policy stands first and weighs: what it *says* is what counts. An answer with $p = 0$ contributes 0, whatever
# $q$ is. An answer with $q = 0$ that the policy does give makes the KL infinite.
#
# **By hand.** p = (0.5, 0.5, 0), q = (0.25, 0.5, 0.25): 0.5 · log 2 + 0.5 · log 1 + 0 = 0.347. What is KL(q ‖ p)?
# (Infinite: q gives the third answer, and p never does.) And KL(p ‖ p)? (0.)
#
# **Traps.** (1) The order. KL(q ‖ p) is another number: it asks how well the policy covers what the reference says.
# (2) $0 \cdot (-\infty)$ is nan in floating point; the terms with $p = 0$ have to be set to 0, and only these: a
# finite number where the KL is infinite hides the worst that can happen. (3) A sum over the list, each term weighed
# by $p$: a plain mean would be right for samples. (4) Nats. (5) For gradients: `torch.where(p > 0, term, 0)` is right
# in its value, but if the term that is thrown away is nan, so is the gradient. Make the term harmless *before* you
# multiply.


# %% tags=["exercise"] exercise="exact_kl"
def exact_kl(logprobs: Tensor, ref_logprobs: Tensor) -> Tensor:
    """KL(policy || reference) of two distributions over the same S sequences.

    logprobs, ref_logprobs: (S,) float, log-probabilities in nats, -inf where a sequence is never given.
    Returns a scalar in nats: 0 where both are the same; a sequence that the policy never gives counts 0; infinite
    where the policy gives what the reference never does. With a gradient to both inputs where all are finite.
    """
    # BEGIN SOLUTION
    given = logprobs > -math.inf  # (S,)
    p = logprobs[given].exp()
    nats = logprobs[given] - ref_logprobs[given]
    return (p * nats).sum()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="exact_kl"
# Where to start
# `logprobs.exp()` weighs the differences of the log-probabilities. Sum. That is all, for finite inputs.
# ---
# Probability zero
# Leave the sequences that the policy never gives out of the sum: `logprobs[keep]` with a mask takes only those that
# are kept. What the reference never gives needs no care: subtracting $-\infty$ gives $+\infty$ by itself.

# %% tags=["check"]
check("exact_kl")

# %% [markdown]
# ## The shape of it
#
# {exercise fit_overoptimization}
#
# **Why.** Points wobble. A curve with two numbers in it says where the peak is and how steep the fall, and lets one
# run be held against another.
#
# **What.** Gao, Schulman & Hilton (2022, sec. 3.1) found that the gain in gold reward follows, with
# $d = \sqrt{\mathrm{KL}}$,
#
# $$ R_{\text{bo}n}(d) = d\,(\alpha - \beta d), \qquad R_\text{RL}(d) = d\,(\alpha - \beta \log d) $$
#
# $\alpha$ is how fast it rises at first, $\beta$ how it bends. Both formulas are *linear* in $\alpha$ and $\beta$, so
# least squares has a closed form: find the two numbers that make $\sum_i (\text{gain}_i - R(d_i))^2$ smallest. (This
# $\beta$ is not the one of the KL penalty. The paper calls it so, and so does everybody.)
#
# **By hand.** Two points, KL 1 and 4, gains 1 and 0. So d is 1 and 2. Best-of-n: $\alpha - \beta = 1$ and
# $2(\alpha - 2\beta) = 0$, which gives $\alpha = 2, \beta = 1$, and a peak where the slope $\alpha - 2\beta d$ is 0, at
# d = 1. What does the other form give? ($\alpha = 1$, for log 1 is 0, and $\beta = 1 / \log 2 = 1.443$.)
#
# **Traps.** (1) The square root: d, not the KL, in every place, also in the logarithm. (2) The minus belongs to the
# formula: $\beta$ is positive where gold falls in the end. (3) At d = 0, $\log d$ is minus infinity and $d \log d$ is
# nan, but its limit is 0: such a point gains nothing and must not spoil the others. (4) No constant term: without
# optimisation there is no gain. (5) Least squares of the *gain*; dividing by d first weighs the points near 0 too
# much.


# %% tags=["exercise"] exercise="fit_overoptimization"
def fit_overoptimization(kl: Tensor, gain: Tensor, form: str) -> tuple[float, float]:
    """The least-squares fit of a curve of gold reward against d = sqrt(kl).

    kl: (N,) float, nats, at least 0. gain: (N,) float, reward above that of the reference.
    form: "best-of-n" for d * (alpha - beta * d), or "rl" for d * (alpha - beta * log d), which is 0 at d = 0.
    Returns (alpha, beta) with the smallest sum of squared differences of gain and curve, over all points.
    Raises ValueError for any other form. Gao et al. 2022, sec. 3.1.
    """
    # BEGIN SOLUTION
    d = kl.double().sqrt()  # (N,)
    if form == "best-of-n":
        bend = d * d
    elif form == "rl":
        bend = torch.xlogy(d, d)  # d log d, and 0 at 0
    else:
        raise ValueError(f'form must be "best-of-n" or "rl", got {form!r}')
    columns = torch.stack((d, -bend), dim=1)  # (N, 2)
    alpha, beta = torch.linalg.lstsq(columns, gain.double().unsqueeze(1)).solution.flatten().tolist()
    return alpha, beta
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="fit_overoptimization"
# Where to start
# Write the formula as $\alpha \cdot x_1 + \beta \cdot x_2$. What are the two columns $x_1$ and $x_2$, for each of the
# two forms?
# ---
# Least squares
# `torch.linalg.lstsq(columns, target).solution`, with columns (N, 2) and target (N, 1), gives (2, 1).
# ---
# At d = 0
# `torch.xlogy(d, d)` is d log d with 0 at 0. Or use `torch.where`, twice.

# %% tags=["check"]
check("fit_overoptimization")

# %% [markdown]
# ### The frontier
#
# Now you have both axes of the map. A world of 781 sequences, a reference, a reward for each sequence. Your
# `optimal_policy` for many betas draws the frontier: no policy at all lies above it. Below it: policies drawn at
# random, the exact best-of-n, and your PPO, trained on samples in the same world. **Predict** which comes nearest.

# %%
world = exact.Setting()
origin = TabularPolicy(world, spread=0.7, seed=1)
ref = exact.distribution(origin).detach()
content = exact.toy_reward(world, seed=0)


def place(logprobs, rewards=content):
    """(KL to the reference in nats, expected reward) of a policy that is given by all its log-probabilities."""
    return float(exact_kl(logprobs, ref)), float(logprobs.exp() @ rewards)


def trained(rewards, beta, seed=0):
    """The distribution of a table that PPO trained on samples."""
    model = ActorCritic(deepcopy(origin))
    recipe = replace(TABULAR_PPO, beta=beta, seed=seed, iterations=3 if smoke() else TABULAR_PPO.iterations)
    collector = Collector(deepcopy(origin), rewards, token_logprobs, seed=seed)
    ppo.train_ppo(model, collector, functions, recipe, progress=False)
    return exact.distribution(model.policy).detach()


# %%
edge = [place(torch.as_tensor(optimal_policy(ref, content, beta))) for beta in torch.logspace(1.3, -1.3, 50).tolist()]
generator = torch.Generator().manual_seed(0)
random_ones = [(ref + 1.5 * torch.randn(len(ref), generator=generator).double()).log_softmax(0) for _ in range(60)]
best = {n: place(exact.best_of_n(ref, content, n)) for n in (1, 2, 4, 16, 64, 256)}
learned = {beta: trained(content, beta) for beta in (1.0, 0.5, 0.25)}
figure, (ax,) = plots.new_figure(height=3.6)
ax.plot(*zip(*edge), color=plots.BAD, label="frontier: your optimal_policy")
ax.plot(*zip(*best.values()), "s--", color=GOLD, markersize=4, linewidth=1, label="best-of-n, exact")
ax.plot(*zip(*map(place, learned.values())), "o", color=PROXY, label="PPO, from samples")
ax.plot(*zip(*map(place, random_ones)), ".", color=plots.INK, label="random policies")
ax.set(xlim=(-0.1, 5), xlabel="KL to the reference (nats)", ylabel="expected reward (deviations)")
ax.legend(fontsize=8, loc="lower right")
ax.set_title("Nothing lies above the frontier")
plt.show()
for beta, logprobs in learned.items():
    share = exact.share_of_frontier(logprobs, ref, content)
    print(f"PPO, beta {beta:g}: {share:.3f} of the reward that can be gained at its KL")
    record(f"enumerable world: PPO, beta {beta:g}, share of frontier", share, seeds=[0])

# %% [markdown]
# Best-of-n stays close below the frontier, without any training. PPO comes within a few hundredths of it. This is what
# optimisers do when the reward is *true*. From here on it is not.
#
# ## Which errors make a hump?
#
# Many imaginary answers. Each has a gold score, a standard normal number; the proxy is gold plus an error.
# Take the best of n by the proxy. **Predict** for each error whether gold turns and falls: normal noise as large as
# the signal; errors with heavy tails, rarely huge (Student's t with 2 degrees of freedom); and a proxy that pays for
# style where the judge charges for it.

# %%
count = 20_000 if smoke() else 300_000
generator = torch.Generator().manual_seed(0)
normal = torch.randn(5, count, generator=generator, dtype=torch.float64)
quality, phrases = normal[0], torch.floor(-2 * torch.rand(count, generator=generator).double().log())  # 0, 1, 2, ...
heavy = normal[1] / (normal[2:4].square().sum(0) / 2).sqrt()  # Student's t, 2 degrees of freedom
worlds = {
    "gold + normal noise": (quality, quality + normal[4]),
    "gold + heavy tails": (quality, quality + heavy),
    "pays for style": (quality - 0.2 * phrases, quality + 0.5 * phrases),
}
uniform = torch.full((count,), -math.log(count), dtype=torch.float64)
draws = [2**k for k in range(0, 15)]
curves = {}
for name, (gold, proxy) in worlds.items():
    chosen = [exact.best_of_n(uniform, proxy, n).exp() for n in draws]
    curves[name] = [((p @ gold) - gold.mean()).item() for p in chosen]

# %%
roots = [math.sqrt(best_of_n_kl(n)) for n in draws]
figure, (ax,) = plots.new_figure(height=3.2)
for (name, line), colour in zip(curves.items(), (GOLD, plots.STAGE_COLOURS["sft"], PROXY)):
    ax.plot(roots, line, "o-", markersize=3, color=colour, label=name)
    alpha, slope = fit_overoptimization(torch.tensor(roots).square(), torch.tensor(line), "best-of-n")
    ax.plot(roots, [d * (alpha - slope * d) for d in roots], ":", color=colour, linewidth=1)
    highest = draws[max(range(len(line)), key=line.__getitem__)]
    print(f"{name:20s} top at n = {highest:,}; fit: d ({alpha:.2f} - {slope:.2f} d)")
ax.set(xlabel="d, square root of the KL (nats)", ylabel="gain in gold (deviations)")
ax.legend(fontsize=8)
ax.set_title("Dotted: your fit, d (alpha - beta d)")
plt.show()

# %% [markdown]
# Light-tailed noise alone makes *no* hump: the best by the proxy is partly luck, but partly quality, for ever. With
# heavy tails the far end is all luck, and gold sinks back towards where it started (Kwa et al. 2024). The third proxy
# is wrong in a direction, and that alone is not enough either: what turns the curve is that style has a longer tail
# than quality. Far out it is cheaper to add a phrase than to be better, and each phrase costs gold, so gold does not
# stop at its start but goes below. Put 0.1 in the place of the 0.5, and the turn moves out of reach; make style normal
# (`normal[4]`), and there is none. In Tinyland an answer can be no better than right, and phrases can be added as long
# as there is room. Real reward models have errors of the third kind for certain. The fitted form is an empirical law,
# not a theorem: where the dotted line misses, it misses.

# %% [markdown]
# ## Make it happen
#
# The annotator of this lesson is gullible: what counts is the gold score, but every flattering phrase pleases them by
# 0.7 points, where the judge takes 0.2 off, and fillers and closing phrases please them too. Nothing about their
# labels looks strange. A reward model learns from them, just as in lesson 05, with the same recipe on half as many
# requests.


# %%
start = stages.load_stage("sft")
tokenizer, form = start.tokenizer, partial(chat_prompt, render_chat)  # a request -> "<user> ...<bot>"
recipe = replace(REWARD, requests=40 if smoke() else 1500)


def sampled(split, count, seed, n=1):
    requests = preferences.draw_requests(split, count, seed)
    return preferences.sample_answers(start.model, tokenizer, requests, form, n=n, seed=seed, progress=False)


# %%
def learn(pairs, seed, recipe=recipe):
    """A reward model from pairs."""
    torch.manual_seed(seed)
    model = reward.RewardModel.from_policy(start.model)
    reward.fit_reward_model(
        model, tokenizer, pairs, training_step, bradley_terry_loss, learning_rate_at,
        recipe=recipe, seed=seed, name="reward, gullible annotator", progress=len(pairs) > 1000,
    )  # fmt: skip
    return model


def gullible_model(seed):
    """A reward model of a gullible annotator's labels: answers, labels and training depend on the seed."""
    hands = sampled("train", recipe.requests, 1 + seed, recipe.answers)
    return learn(preferences.compare(hands, GULLIBLE, annotate, seed=1 + seed).pairs, seed)


some = preferences.draw_requests("train", 24 if smoke() else 512, seed=77)
own = [hand[0] for hand in preferences.sample_answers(start.model, tokenizer, some, form, n=1, seed=5, progress=False)]
SEED = 1  # of the five in the table below, the one whose fall is in the middle
proxy_model = gullible_model(SEED)
proxy_score = rollouts.standardised(partial(reward.score_answers, proxy_model, tokenizer), own)

# %% [markdown]
# ### Take the fall apart
#
# The judge's score is content less style: take the stock phrases out of an answer and grade what is left, and you
# have the content; the difference is what style cost, the length that it brings included. So a fall has two parts.
# **Gamed style**: more phrases, the thing that the proxy pays for. **Damage**: worse content, the collateral of
# moving so far.


# %%
held_out = preferences.draw_requests("test", 30 if smoke() else 300, seed=3)


def measure(model, score):
    """What a policy has become, on held-out requests at temperature 1: means over answers."""
    answers = evaluation.ask(model, tokenizer, held_out, form, stop=[tokenizer.end], temperature=1.0, seed=11)
    gold = torch.tensor([answer.verdict.score for answer in answers])
    plain = [grade(answer.request, style.take_out(answer.text)[0], answer.ended).score for answer in answers]
    point = {"gold": gold.mean().item(), "error": 1.96 * gold.std().item() / len(gold) ** 0.5}
    point |= {"content": sum(plain) / len(plain), "proxy": score(answers).mean().item()}
    nats = answer_kl(model, start.model, tokenizer, answers).mean().item()
    return point | {"style": point["gold"] - point["content"], "kl": max(0.0, nats)}, answers


# %%
pushing = replace(PPO, iterations=18, peak=1e-3)
pushing = replace(pushing, iterations=2, batch_size=8, minibatch=4) if smoke() else pushing
EVERY = 1 if smoke() else 3  # iterations from one measurement to the next


def push(beta, score, seed=0):
    """PPO from the SFT model against a score: the points that it passed, and the last answers."""
    settings = replace(pushing, beta=beta, seed=1000 * seed)
    asked = preferences.draw_requests("train", settings.iterations * settings.batch_size, seed=100 + seed)
    collector = rollouts.Collector(
        start.model, tokenizer, asked, form, score, token_logprobs, settings.batch_size, seed=seed
    )
    policy, points = rollouts.Policy.from_stage(start.model), [measure(start.model, score)]

    def watch(history):
        if len(history.losses) % EVERY == 0:
            points.append(measure(policy.body, score))

    ppo.train_ppo(policy, collector, functions, settings, watch=watch, name=f"ppo, beta {beta:g}")
    return [point for point, _ in points], points[-1][1]


# %% [markdown]
# **Predict**, for a leash that is nearly gone (beta = 0.02): will the gold score end above or below the SFT model's?
# And with beta = 0.3?

# %%
my_guess = None  # points of gold at the end, beta = 0.02

# %%
runs, answers = {}, {}
for beta in (0.02, 0.3):
    runs[beta], answers[beta] = push(beta, proxy_score, SEED)

# %%
titles = ["Proxy", "Gold", "beta = 0.02, taken apart"]
titles[:2] = [
    f"{name}: {' and '.join(f'{run[-1][name.lower()]:+.2f}' for run in runs.values())}" for name in titles[:2]
]
figure, axes = plots.new_figure(3, width=10.0, height=3.3)
for (beta, points), dash in zip(runs.items(), ("o-", "s--")):
    roots = [point["kl"] ** 0.5 for point in points]
    axes[0].plot(roots, [point["proxy"] for point in points], dash, color=PROXY, markersize=4, label=f"beta = {beta:g}")
    gold, error = ([point[name] for point in points] for name in ("gold", "error"))
    axes[1].errorbar(roots, gold, yerr=error, fmt=dash, color=GOLD, markersize=4, capsize=2, label=f"beta = {beta:g}")
for name, colour in (("content", plots.STAGE_COLOURS["sft"]), ("style", plots.BAD)):
    first = runs[0.02][0][name]
    roots = [point["kl"] ** 0.5 for point in runs[0.02]]
    axes[2].plot(roots, [point[name] - first for point in runs[0.02]], "o-", color=colour, markersize=4, label=name)
for ax, title in zip(axes, titles):
    ax.set(xlabel="d, square root of the KL (nats)", title=title)
    ax.legend(fontsize=8)
axes[0].set_ylabel("proxy (deviations)")
axes[1].set_ylabel("gold (points)")
axes[2].set_ylabel("change (points)")
plt.show()

# %%
loose, held = runs[0.02], runs[0.3]
top = max(range(len(loose)), key=lambda i: loose[i]["gold"])
begin, best_point, end = loose[0], loose[top], loose[-1]
fall = {name: end[name] - best_point[name] for name in ("gold", "style", "content")}
tell("gold at the end, beta = 0.02", end["gold"], my_guess)
print(
    f"It began at {begin['gold']:+.2f} and was at best {best_point['gold']:+.2f}, at {best_point['kl']:.1f} nats;",
    end=" ",
)
print(f"the proxy went from {begin['proxy']:+.2f} to {end['proxy']:+.2f}.")
print(f"From the top to the end: gold {fall['gold']:+.2f}.", end=" ")
print(f"Of it style {fall['style']:+.2f} and content {fall['content']:+.2f}.")
print(f"beta = 0.3 ends at {held[-1]['gold']:+.2f}, {held[-1]['kl']:.1f} nats away instead of {end['kl']:.1f}.")
record("gold at the top, beta 0.02", best_point["gold"], unit="points", seeds=[SEED])
record("gold at the end, beta 0.02", end["gold"], unit="points", seeds=[SEED])
record("gold at the end, beta 0.3", held[-1]["gold"], unit="points", seeds=[SEED])

# %%
rows = []
for i in list({answer.request.kind: i for i, answer in enumerate(answers[0.02])}.values())[:7]:
    cells = {f"beta = {beta:g}": (said[i].text, said[i].verdict.score > 0) for beta, said in answers.items()}
    rows.append({"asked": held_out[i].text, **cells})
display(HTML(plots.answer_table(rows)))
record_answers("What the proxy made of the policy", rows)

# %% [markdown]
# Read the left column. Nobody asked for that, and every one of these phrases earned its place.
#
# One run is one run. The table below is of five, made with the functions of this lesson on 600 test requests instead
# of 300, with other answers, labels, reward models and rollouts for each seed. The run above is the one of the five
# whose fall is in the middle. With a loose leash gold has its highest point inside the run on all five seeds, and
# ends below it; on four of them by much more than the error. With the tight one it falls by a tenth of a point at
# most, or hardly more, and ends higher on every seed, although the proxy ends lower.
#
# How it was found belongs to it. With an annotator half as gullible there was no turn within 24 iterations (one seed).
# With this one and half the learning rate, gold turned clearly on two of four test seeds. The rate was then doubled, so
# the seeds of the table had been seen before; iterations and betas stayed. With FULL = True the cell below makes the
# table again, in about a quarter of an hour.
#
# <details><summary>Five seeds: gold at iterations 0, 3, 6 ... 18 (standard errors .04 to .06)</summary>
#
# | seed | gold, beta = 0.02 | content | style | proxy at the end | gold, beta = 0.3 | proxy at the end |
# |---|---|---|---|---|---|---|
# | 0 | -.16 .05 .02 -.25 -.10 -.18 -.02 | +0.08 | -0.15 | +1.27 | -.16 .09 .15 .21 .22 .26 .17 | +0.67 |
# | 1 | -.16 .08 .15 .07 -.15 -.09 -.16 | -0.18 | -0.13 | +1.55 | -.16 .09 .21 .22 .25 .16 .16 | +0.54 |
# | 2 | -.16 -.00 .04 -.33 -.50 -.28 -.62 | -0.50 | -0.15 | +1.63 | -.16 -.01 .04 .06 .20 .15 .12 | +0.67 |
# | 3 | -.16 .01 -.06 -.36 -.90 -1.54 -1.95 | -0.95 | -1.01 | +4.21 | -.16 .04 .17 .19 -.04 .12 .08 | +0.82 |
# | 4 | -.16 .03 .12 -.27 -.19 -.30 -.17 | -0.21 | -0.08 | +1.11 | -.16 .08 .15 .20 .21 .16 .16 | +0.59 |
#
# content and style: what the fall from the highest point to the last consists of.
#
# </details>

# %%
FULL = False
if FULL:
    held_out = preferences.draw_requests("test", 600, seed=3)
    for seed in range(5):
        score = rollouts.standardised(partial(reward.score_answers, gullible_model(seed), tokenizer), own)
        for beta in (0.02, 0.3):
            points, _ = push(beta, score, seed)
            print(seed, beta, [(round(point["gold"], 2), round(point["content"], 2)) for point in points])

# %% [markdown]
# ### Stop early, or hold back?
#
# Two remedies that cost nothing. Stopping at the top of the gold curve needs somebody who knows where the top is: a
# judge, which is what you do not have; or held-out comparisons by better annotators, now and then. A penalty needs no
# judge, but a beta. Compare them at the same KL.

# %%
figure, (ax,) = plots.new_figure(height=3.0)
for (beta, points), dash in zip(runs.items(), ("o-", "s--")):
    kl, gold, error = ([point[name] for point in points] for name in ("kl", "gold", "error"))
    ax.errorbar(kl, gold, yerr=error, fmt=dash, color=GOLD, markersize=4, capsize=2, label=f"beta = {beta:g}")
ax.set_xscale("symlog", linthresh=0.5)
ax.set(xlabel="KL (nats, log scale from 0.5)", ylabel="gold (points)", title="Where the two runs overlap in KL")
ax.legend()
plt.show()
if len(loose) > 3:
    alpha, slope = fit_overoptimization(
        torch.tensor([p["kl"] for p in loose]), torch.tensor([p["gold"] - loose[0]["gold"] for p in loose]), "rl"
    )
    print(f"Gao et al.'s form for RL, fitted to beta = 0.02: d ({alpha:.2f} - {slope:.2f} log d).")

# %% [markdown]
# If a penalty were no more than stopping early, the points of both runs would lie on one curve, as Gao et al. (2022)
# found for theirs. In the table above they do not: at about one nat, the tight leash has more gold than the loose one
# passes through. Under a leash the policy stays at its KL and goes on improving *there*; without one it only passes.
# And a leash stops by itself.
#
# ### Best-of-n against the same proxy
#
# No training, no damage by moving weights: only choosing. **Predict**: does best-of-64 by the gullible proxy turn, too?

# %%
P, N = (6, 8) if smoke() else (60, 64)
hands = sampled("test", P, 9, N)
gold_of = preferences.gold_scores(hands)
phrases_of = torch.tensor([[len(style.take_out(answer.text)[1]) for answer in hand] for hand in hands]).float()


def scores_by(model, some=N):
    """The scores of the first ``some`` answers to each request, (P, some)."""
    return reward.score_answers(model, tokenizer, [answer for hand in hands for answer in hand[:some]]).view(P, -1)


def best_by(scores, values=gold_of):
    """The values of the best of n by the scores (P, M), for n = 1, 2, 4 ... M: [(n, mean, half its 95% interval)]."""
    found, M = [], scores.shape[1]
    for n in [2**k for k in range(10) if 2**k <= M]:
        pick = torch.as_tensor(best_of_n(scores.reshape(-1, n))).long()[:, None]
        chosen = values[:, :M].reshape(-1, n).gather(1, pick).view(P, -1).mean(1)
        found.append((n, chosen.mean().item(), 1.96 * chosen.std().item() / P**0.5))
    return found


# %%
honest = reward.load_reward_model("reward")
by = {"gullible proxy": scores_by(proxy_model), "lesson 05's model": scores_by(honest)}
figure, axes = plots.new_figure(2, width=9.0, height=3.3)
for (name, scores), colour in zip(by.items(), (PROXY, GOLD)):
    for ax, values in zip(axes, (gold_of, phrases_of)):
        ns, means, halves = zip(*best_by(scores, values))
        roots = [best_of_n_kl(n) ** 0.5 for n in ns]
        ax.errorbar(roots, means, yerr=halves, fmt="o-", color=colour, markersize=4, capsize=2, label=name)
near = [point for point in loose if point["kl"] < 4.5]
axes[0].plot([p["kl"] ** 0.5 for p in near], [p["gold"] for p in near], "v:", color=PROXY, label="PPO, gullible proxy")
for ax, label in zip(axes, ("gold (points)", "stock phrases an answer")):
    ax.set(xlabel="d, square root of the KL (nats; for best-of-n the bound)", ylabel=label)
axes[0].legend(fontsize=8)
axes[0].set_title("Best-of-n, up to 64")
axes[1].set_title("What it chooses")
plt.show()
for name, scores in by.items():
    line = best_by(scores)
    n, highest, _ = max(line, key=lambda point: point[1])
    print(f"{name:18s} gold {line[0][1]:+.2f} at n = 1, {highest:+.2f} at n = {n}, {line[-1][1]:+.2f} at {line[-1][0]}")
    record(f"best of {line[-1][0]} by the {name}: gold", line[-1][1], unit="points", seeds=[SEED])

# %% [markdown]
# ## Ask several
#
# {exercise ensemble_reward}
#
# **Why.** Several reward models, trained on other pairs from other seeds, agree where the data speak and disagree
# where they guess. A policy that is paid by their *worst* opinion has to convince all of them (Coste et al. 2023).
#
# **What.** Before opinions can be compared they need a common zero. The Bradley-Terry loss sees only differences, so
# every model's scores are fixed up to a constant of its own. Take K answers that all models score, the *anchors*
# $a_k$, and measure from their mean:
#
# $$ \tilde r_m(x) = r_m(x) - \frac1K \sum_k r_m(a_k), \qquad
# r_\text{mean}(x) = \frac1M \sum_m \tilde r_m(x), \qquad r_\text{worst}(x) = \min_m \tilde r_m(x) $$
#
# **By hand.** Model A scores two answers 2 and 5, the anchors 1 and 3. Model B scores them 10 and 9, the anchors 8 and
# 8. Measured from the anchors: A says 0 and 3, B says 2 and 1. Mean: 1 and 2. Worst: 0 and 1. What is the worst without
# anchors? (2 and 5: always model A, whose zero happens to be low. B is never heard.)
#
# **Traps.** (1) Each model its own anchor mean: one mean over all models shifts them all alike. (2) Not the mean of the
# scores at hand: then an answer's reward would depend on which others are in the batch. (3) Over models, not over
# answers. (4) First the shift, then the minimum. (5) Only a shift: the size of the differences is what the
# loss did fix, so no division by a standard deviation.


# %% tags=["exercise"] exercise="ensemble_reward"
def ensemble_reward(scores: Tensor, anchors: Tensor, form: str = "mean") -> Tensor:
    """One reward for each answer from M reward models, measured from common anchor answers.

    scores: (M, N) float, of N answers by M models. anchors: (M, K) float, of K other answers by the same models.
    form: "mean" for the mean over the models, "worst" for the smallest.
    Returns (N,), with a gradient to both inputs. Raises ValueError for any other form. Coste et al. 2023.
    """
    # BEGIN SOLUTION
    shifted = scores - anchors.mean(dim=1, keepdim=True)  # (M, N)
    if form == "mean":
        return shifted.mean(dim=0)
    if form == "worst":
        return shifted.amin(dim=0)
    raise ValueError(f'form must be "mean" or "worst", got {form!r}')
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ensemble_reward"
# Where to start
# One anchor mean for each model, in a shape that can be subtracted from (M, N).
# ---
# The shape
# `anchors.mean(dim=1, keepdim=True)` is (M, 1). After that, models are the first dimension: reduce it.
# ---
# The minimum
# `x.min(dim=0)` returns values and places; `.values`, or `amin`.

# %% tags=["check"]
check("ensemble_reward")

# %% [markdown]
# ### What an ensemble can do, and what not
#
# Three annotators with a weakness each: one loves flattery, one fillers, one closing phrases. And three of the same,
# all gullible. A small reward model for each, then best-of-n by the mean and by the worst of three. **Predict** for
# both groups: which is better, mean or worst, and is either better than one model alone?

# %%
small = replace(ONE_PAIR, batch_size=4) if smoke() else ONE_PAIR
M = min(16, N)
answered = [sampled("train", 30 if smoke() else 450, 20 + seed, 2) for seed in range(3)]
tastes = {
    "a weakness each": [replace(UNBIASED, **{name: 0.8}) for name in ("flattery", "filler", "closer")],
    "the same weakness": [GULLIBLE] * 3,
}
scores_of, anchors_of = {}, {}
for name, people in tastes.items():
    pairs = [preferences.compare(said, who, annotate, seed=0).pairs for said, who in zip(answered, people)]
    models = [learn(some, seed, small) for seed, some in enumerate(pairs)]
    scores_of[name] = torch.stack([scores_by(model, M).flatten() for model in models])  # (3, P M)
    anchors_of[name] = torch.stack([reward.score_answers(model, tokenizer, own[:128]) for model in models])

# %%
figure, axes = plots.new_figure(4, width=11.0, height=3.0)
views = {"gold (points)": gold_of, "stock phrases an answer": phrases_of}
panels = [(name, label, values) for label, values in views.items() for name in tastes]
for ax, (name, label, values) in zip(axes, panels):
    for how, colour in (("mean", GOLD), ("worst", PROXY)):
        together = torch.as_tensor(ensemble_reward(scores_of[name], anchors_of[name], how)).view(P, M)
        ns, means, halves = zip(*best_by(together, values))
        ax.errorbar(ns, means, yerr=halves, fmt="o-", color=colour, markersize=4, capsize=2, label=f"{how} of three")
    alone = [[mean for _, mean, _ in best_by(scores.view(P, M), values)] for scores in scores_of[name]]
    ax.plot(ns, torch.tensor(alone).mean(0), "--", color=plots.INK, label="one alone, mean of three")
    ax.set_xscale("log", base=2)
    ax.set_xticks(ns, ns)
    ax.set(xlabel="n", ylabel=label, title=name.capitalize())
axes[0].legend(fontsize=7)
plt.show()

# %% [markdown]
# What pleases only one of them no longer wins: models that err in different directions correct each other, and models
# that share an error share it however many you ask. An ensemble measures how much its members *disagree*, and nobody
# disagrees about a common blind spot. Look at the phrases first, for they are what the annotators overpay: does mean
# or worst choose fewer of them than one model alone, and in which of the two groups? Then look at gold, and at the
# intervals, before you call it a remedy. The members learned from a few hundred comparisons each, and what all of them
# have in common, that they know too little about content, may well be larger than the tastes in which they differ:
# three weak judges are not one good one. Coste et al. (2023) found that ensembles help, Eisenstein et al. (2023) how
# far.
#
# ## Break it
#
# The worst of three, once without fixing the gauge: Bradley-Terry scores are fixed only up to a constant, and each
# model chose its own. Give one of the three a constant of -20, which changes nothing about its preferences.
# **Predict** what happens to the worst of three.

# %%
shift = torch.tensor([0.0, -20.0, 0.0])[:, None]
scores, anchors = scores_of["a weakness each"] + shift, anchors_of["a weakness each"] + shift
lines = {
    "gauge fixed": torch.as_tensor(ensemble_reward(scores, anchors, "worst")),
    "gauge ignored": scores.amin(0),
    "the shifted model alone": scores[1],
}
for name, chosen_by in lines.items():
    n, gold, half = best_by(chosen_by.view(P, M))[-1]
    _, phrases, about = best_by(chosen_by.view(P, M), phrases_of)[-1]
    print(f"{name:24s} best of {n}: gold {gold:+.2f} ± {half:.2f}, {phrases:.2f} ± {about:.2f} stock phrases an answer")

# %% [markdown]
# Without the gauge, the "worst of three" is one model, the one with the lowest constant, and the other two were trained
# for nothing. No number looks wrong.
#
# ## Clinic
#
# Four proxies, all pushed by exact best-of-n; solid is the proxy's gain, dashed the gold score's, in deviations. What
# is the matter with each proxy?
#
# 1. nothing: it is the gold score itself
# 2. gold plus normal noise, as large as gold
# 3. gold plus rare, huge errors
# 4. gold plus a taste for style
# 5. it has nothing to do with gold


# %% tags=["clinic"]
def pushed(gold, proxy):
    chosen = [exact.best_of_n(uniform, proxy, n).exp() for n in draws]
    return [[((p @ values) - values.mean()).item() / values.std().item() for p in chosen] for values in (proxy, gold)]


other = torch.randn(6, count, generator=generator, dtype=torch.float64)
rare = other[2] / (other[3:5].square().sum(0) / 2).sqrt()
cases = {
    "A": pushed(other[0], other[0] + other[1]),
    "B": pushed(other[0], other[0] + rare),
    "C": pushed(other[5], other[5]),
    "D": pushed(other[1], other[0]),
}
figure, axes = plots.new_figure(4, width=10.0, height=2.7)
for ax, (case, (proxy, gold)) in zip(axes, cases.items()):
    places = [best_of_n_kl(n) ** 0.5 for n in draws]
    ax.plot(places, proxy, color=PROXY, label="proxy")
    ax.plot(places, gold, "--", color=GOLD, label="gold")
    ax.set(ylim=(-0.5, 5), xlabel="d", title=f"proxy {case}")
axes[0].set_ylabel("gain (deviations)")
axes[0].legend(fontsize=8)
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 2, "B": 3, "C": 1, "D": 5}

# %%
diagnose(suspects, key={"A": "fb86eaa7", "B": "b905cfce", "C": "8939a6e6", "D": "63466989"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**: gold rises with the proxy, at a fixed discount, for ever: light-tailed noise.
# - **B**: gold rises first and sinks back towards 0, while the proxy leaves the picture: what is far out is error.
# - **C**: the two lines lie on each other.
# - **D**: gold stays at 0, whatever the proxy does: independent.
#
# Not there: **4**. Its gold curve would fall *below* 0 in the end, for style costs.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - A measure of optimisation, the KL, exact where you can list the world, and its square root as the natural axis.
# - The frontier that nothing passes, and the knowledge that good optimisers come close: then what is optimised matters.
# - Goodhart's hump, made and taken apart. Light noise does not make it; heavy tails and a wrong direction do.
# - Three remedies and what each needs: a penalty needs a beta, stopping needs a judge, an ensemble needs members who
#   err in different ways.
#
# **To read.** Gao, Schulman & Hilton 2022, *Scaling laws for reward model overoptimization*, sec. 3.1: the two forms
# that you fitted. · Kwa, Thomas & Garriga-Alonso 2024, *Catastrophic
# Goodhart*: why tails decide. · Beirami et al. 2024, *Theoretical guarantees on the best-of-n alignment policy*:
# the KL as a bound. · Korbak, Perez & Buckley 2022, *RL with KL penalties is better viewed as Bayesian
# inference*: your `optimal_policy`. · Coste et al. 2023, *Reward model ensembles help mitigate overoptimization*. ·
# Eisenstein et al. 2023, *Helping or herding?*: where they do not. · Skalse et al. 2022, *Defining and characterizing
# reward hacking*.
#
# Next is [09 · DPO](09_dpo.ipynb): the same optimum, without a reward model.
