# %% [markdown]
# # 08 · Over-optimisation

# %% tags=["setup"]
import math

import torch
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

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
# $$ R_\text{bo}n(d) = d\,(\alpha - \beta d), \qquad R_\text{RL}(d) = d\,(\alpha - \beta \log d) $$
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
# ## A remedy
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
