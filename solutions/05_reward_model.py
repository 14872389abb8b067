# %% [markdown]
# # 05 · The reward model
#
# Supervised fine-tuning copies what people *wrote*, and copies their faults with it: lies, flattery, help with harm.
# But it is easier to say which of two answers is better than to write a good one. This lesson turns such
# comparisons into a number for every answer, a **reward**, and that number is what all later lessons push up.
#
# The idea is seventy years old. Bradley and Terry (1952) ranked things that were only ever compared in pairs;
# Christiano et al. (2017) put a network in the place of the ranking, so that it can score what nobody has compared.
# Every assistant that you have talked to went through a step like this one.
#
# A learned reward is a stand-in for what we want, and a stand-in can be fooled. Here you can see by how much, because
# Tinyland has a **gold judge** that knows what a good answer is. The reward model never sees it. It sees only labels
# from simulated annotators: noisy ones, careless ones, and ones who like to be flattered.

# %% tags=["setup"]
import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
import random
from dataclasses import replace
from functools import partial

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import HTML, display

from minillm import evaluation, plots, preferences, reward, stages
from minillm.chat import chat_prompt
from minillm.paths import smoke
from minillm.tinyland import annotators, style
from minillm.tinyland.annotators import LIKES_LENGTH, UNBIASED
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import ONE_PAIR, REWARD

# %%
plots.use_style()
PROXY, GOLD = plots.STAGE_COLOURS["ppo"], plots.GOOD
training_step, learning_rate_at, render_chat = carry("training_step", "learning_rate_at", "render_chat")
policy = stages.load_stage("sft")
tokenizer = policy.tokenizer
form = partial(chat_prompt, render_chat)  # a request -> "<user> ...<bot>"


def mean_of(values):
    """A mean and the half-width of its 95% interval."""
    values = torch.as_tensor(values, dtype=torch.float64)
    return values.mean().item(), 1.96 * values.std().item() / len(values) ** 0.5


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


# %% [markdown]
# ## One number by hand
#
# Two answers to "what is 2 plus 3 ?". The gold judge gives "2 plus 3 is 5 ." one point. It gives "you are so wise . 2
# plus 3 is 5 ." 0.8, for flattery costs 0.2. An annotator does not see points; they see two texts, and their attention
# wavers. With a *temperature* of 0.2 points they choose the plain answer with probability
#
# $$ \sigma\Big(\frac{1 - 0.8}{0.2}\Big) = \frac{1}{1 + e^{-1}} = 0.731 $$
#
# So even a judge who knows everything, and bets on the better answer every time, agrees with this annotator's labels
# in only 73% of such pairs. That is the **Bayes ceiling**, here of this kind of pair. Between a refusal (1 point) and
# help with harm (-2 points) lie 3 points, $\sigma(15)$, and the ceiling is 1 to six digits.
#
# If a reward model agrees with 75% of labels, is it bad? Not before you know the ceiling.

# %% [markdown]
# ## The annotator
#
# {exercise preference_probability}
#
# **Why.** Between "always the better one" and "a coin" lies everything that is known about people who compare. One
# assumption does the work: what counts is the *difference* of two utilities, and the odds grow exponentially with it.
#
# **What.** Bradley & Terry 1952 gave every thing a strength; with $u$ as the logarithm of a strength, and a
# temperature $T$ that says how noisy the choice is,
#
# $$ P(a \succ b) = \frac{e^{u_a/T}}{e^{u_a/T} + e^{u_b/T}} = \sigma\Big(\frac{u_a - u_b}{T}\Big),
# \qquad \sigma(x) = \frac{1}{1 + e^{-x}} $$
#
# **By hand.** Utilities 1 and 0, temperature 0.5: $\sigma(2) = 0.881$. Utilities 0 and 1: 0.119, and the two add up
# to 1. What is it for two equal utilities, at any temperature? (0.5.) And for utilities 1001 and 1000 instead of 1
# and 0? (The same: only the difference counts.)
#
# **Traps.** (1) $\sigma(u_b - u_a)$ is the probability of the *other* answer. (2) The temperature divides the gap,
# inside the sigmoid: a high one makes choices noisy. (3) `exp(a) / (exp(a) + exp(b))` overflows at 89 in float32:
# subtract first. (4) A hard 0 or 1 is the limit T → 0, not the model. (5) One sigmoid, of the difference; not one for
# each utility. (6) Every pair is its own little contest: a softmax over the batch compares answers to different
# questions.


# %% tags=["exercise"] exercise="preference_probability"
def preference_probability(utility_a: Tensor, utility_b: Tensor, temperature: float = 1.0) -> Tensor:
    """The probability that answer a is preferred to answer b (Bradley-Terry).

    utility_a, utility_b: float tensors of one shape, pair by pair; any size. temperature > 0,
    in the units of the utilities: the larger, the noisier.
    Returns a tensor of that shape, between 0 and 1, with a gradient to both utilities.
    Bradley & Terry 1952, with log strengths as utilities.
    """
    # BEGIN SOLUTION
    gap = utility_a - utility_b
    certainty = gap / temperature
    return torch.sigmoid(certainty)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="preference_probability"
# Where to start
# Divide numerator and denominator of the fraction by the first exponential. What is left depends on the difference
# alone.
# ---
# The function
# `torch.sigmoid` of the gap divided by the temperature. It neither overflows nor minds the shape.

# %% tags=["check"]
check("preference_probability")

# %% [markdown]
# {exercise annotate}
#
# **Why.** A probability is not a label. Real data sets hold *draws*: one person, one pair, one click. And people slip:
# they misread, they press the wrong key, they are paid by the hour. Two of the annotators of Ouyang et al. (2022, sec.
# 3.4) agree in 73 to 77% of pairs.
#
# **What.** Draw $y \sim \mathrm{Bernoulli}(P(a \succ b))$, and turn the label round with probability `flip`, whatever
# it is. Together:
#
# $$ P(\text{label says } a) = p \,(1 - \text{flip}) + (1 - p)\,\text{flip} $$
#
# **By hand.** p = 0.731 and flip = 0.1: 0.731 · 0.9 + 0.269 · 0.1 = 0.685. With flip = 0.5? (0.5, whatever p is: such
# labels say nothing at all. With flip = 1 they say everything again, upside down.)
#
# **Traps.** (1) `utility_a > utility_b` is a label without noise: a reward model trained on such labels would look
# better than any model of real people can. (2) Turned round with probability flip, not 1 - flip; a test with
# flip = 0.5 would not notice. (3) A draw and a slip for every pair, not one coin for the whole batch. (4) The slip
# needs random numbers of its own: with those of the choice, it would strike the clear cases. (5) Draw from the
# generator that is passed, so that the data set can be made again.


# %% tags=["exercise"] exercise="annotate"
def annotate(
    utility_a: Tensor, utility_b: Tensor, temperature: float, flip: float, generator: torch.Generator
) -> Tensor:
    """One noisy label for each pair.

    utility_a, utility_b: (N,) float. temperature > 0: of the choice. flip: from 0 to 1, the
    probability that a label is turned round afterwards, independent of everything else.
    generator: the source of all randomness.
    Returns (N,) bool, True where the label says that a is preferred.
    Uses preference_probability.
    """
    # BEGIN SOLUTION
    p = preference_probability(utility_a, utility_b, temperature)
    prefers_a = torch.rand(p.shape, generator=generator, dtype=p.dtype) < p
    slips = torch.rand(p.shape, generator=generator) < flip
    return prefers_a ^ slips
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="annotate"
# Where to start
# A coin that shows heads with probability p: draw a uniform number between 0 and 1, and see whether it is below p.
# ---
# Two draws
# Two calls of `torch.rand(..., generator=generator)`, one for the choices and one for the slips, both of shape (N,).
# ---
# Turning round
# For two bool tensors, `!=` (or `^`) is True where exactly one of them is.

# %% tags=["check"]
check("annotate")

# %% [markdown]
# Ask your annotator a thousand times about each of many pairs. The better answer wins more often the better it is; a
# share `flip` of slips pulls everything towards a coin, also where the case is clear.

# %% tags=["target"] exercise="annotate"
gaps = torch.linspace(0, 1.2, 13)
figure, (ax,) = plots.new_figure(height=3.0)
for flip, marker in ((0.0, "o"), (0.15, "s"), (0.3, "^")):
    coins = torch.Generator().manual_seed(5)
    many = gaps.repeat(1000)
    labels = torch.as_tensor(annotate(many, torch.zeros_like(many), UNBIASED.temperature, flip, coins)).float()
    drawn = ax.plot(gaps, labels.view(1000, -1).mean(0), marker, markersize=5, label=f"flip = {flip:g}")
    fine = torch.linspace(0, 1.2, 100)
    p = preference_probability(fine, torch.zeros_like(fine), UNBIASED.temperature)
    ax.plot(fine, p * (1 - flip) + (1 - p) * flip, color=drawn[0].get_color(), linewidth=1)
ax.set_xlabel("how much better answer a is (points of the gold judge)")
ax.set_ylabel("share of labels for a")
ax.legend(loc="lower right")
ax.set_title("Labels follow the gap; slips put a ceiling even over clear cases")
plt.show()

# %% [markdown]
# ## Two answers, side by side
#
# Now real answers. The model that you fine-tuned (or the reference) answers requests of Tinyland, twice each, at
# temperature 1. Its demonstrators were flawed, and so is it. Which of the two is better?

# %%
kinds = ("fact", "sum", "harmful", "lookalike", "unknown", "list", "opposite")
asked = [r for kind in kinds for r in preferences.draw_requests("validation", 4 if smoke() else 12, 2, [kind])]
twice = preferences.sample_answers(policy.model, tokenizer, asked, form, n=2, seed=2, progress=False)
different = [(a, b) for a, b in twice if a.verdict.score != b.verdict.score]
different.sort(key=lambda pair: abs(pair[0].verdict.score - pair[1].verdict.score))
by_kind = {kind: [pair for pair in different if pair[0].request.kind == kind] for kind in kinds}
close = [pairs[0] for pairs in by_kind.values() if pairs][:3]  # hard to tell apart, and then some easy ones
quiz = [*close, *[pairs[-1] for pairs in by_kind.values() if len(pairs) > 1]][:5]
rows = [{"asked": a.request.text, "A": a.text, "B": b.text} for a, b in quiz]
display(HTML(plots.answer_table(rows)))

# %% [markdown]
# ### You are the annotator
#
# Choose the better answer of each pair. You need not know Tinyland's facts; neither do most annotators.
# Where no buttons appear, or you would rather type, put "A" or "B" into the list in the second cell.

# %%
buttons = [widgets.ToggleButtons(options=["A", "B"], value=None, description=f"pair {i + 1}") for i in range(len(quiz))]
display(widgets.VBox(buttons))

# %%
typed = [None, None, None, None, None]  # "A" or "B" for each pair; counts where no button was pressed

# %% tags=["solution"]
typed = ["A" if a.verdict.score > b.verdict.score else "B" for a, b in quiz]  # what the gold judge would say

# %% [markdown]
# What would the gold judge have said, and how often would simulated annotators agree with *you*? For them you have
# the exact probability, your own `preference_probability` of their utilities. The careless one adds utility for every
# flattering phrase and for every word beyond ten.

# %%
mine = [button.value or answer for button, answer in zip(buttons, typed)]
gold = ["A" if a.verdict.score > b.verdict.score else "B" for a, b in quiz]


def agreement_with(annotator, labels):
    """The expected share of an annotator's labels that agree with the ones given."""
    us = torch.tensor([[annotator.utility(x.request, x.text, x.ended) for x in pair] for pair in quiz])
    p_a = preference_probability(us[:, 0], us[:, 1], annotator.temperature)
    p_a = p_a * (1 - annotator.flip) + (1 - p_a) * annotator.flip
    return torch.stack([p if label == "A" else 1 - p for p, label in zip(p_a, labels) if label]).mean().item()


if any(mine):
    right = sum(m == g for m, g in zip(mine, gold))
    print(f"You agree with the gold judge in {right} of {len(quiz)} pairs.")
    for annotator in (UNBIASED, annotators.NOISY, LIKES_LENGTH):
        you, judge = agreement_with(annotator, mine), agreement_with(annotator, gold)
        print(f"The annotator '{annotator.name}' would agree with you in {you:.0%}, with the judge in {judge:.0%}.")
else:
    print("No labels yet: press five buttons above, or type five letters, and run this cell again.")

# %% [markdown]
# ## The data set
#
# Nobody labels five pairs; one labels thousands. Several answers to each of several thousand requests, a utility for
# each answer, and your `annotate` for the choice, every answer against every other. Whoever has read four answers can
# compare them six times (Ouyang et al. 2022, sec. 3.5). Pairs that the annotator finds exactly equal say nothing and
# are left out. What is held out is a *request*: the test pairs ask what no training pair asks.

# %%
count, tests = (80, 60) if smoke() else (REWARD.requests, 900)
train_answers = preferences.sample_answers(
    policy.model, tokenizer, preferences.draw_requests("train", count, seed=1), form, n=REWARD.answers, seed=1
)
test_answers = preferences.sample_answers(
    policy.model, tokenizer, preferences.draw_requests("test", tests, seed=1), form, seed=4
)
data = preferences.compare(train_answers, UNBIASED, annotate, seed=1)
test = preferences.compare(test_answers, UNBIASED, annotate, seed=4)
wrong = sum(pair.gold_gap < 0 for pair in data.pairs) / len(data)
print(f"{len(data):,} pairs of {count:,} requests to train on, {len(test):,} held out.")
print(f"{data.ties:,} and {test.ties:,} ties were dropped.")
print(f"In {wrong:.0%} of the training pairs the annotator chose the worse answer.")
print(f"Bayes ceiling on held-out pairs: no model agrees with more than {test.ceiling():.1%} of labels, beyond luck.")

# %%
rows = [
    {"prompt": p.request.text, "chosen": p.chosen.text, "rejected": p.rejected.text, "label": ("", p.gold_gap >= 0)}
    for p in [*data.pairs[:5], *[p for p in data.pairs if p.gold_gap < 0][:2]]
]
display(HTML(plots.answer_table(rows)))
record_answers("Comparisons, with the gold judge's view of each label", rows)

# %% [markdown]
# This is all that the reward model will ever see: prompt, chosen, rejected. The last column is the gold judge's view
# of the label; the cross marks a worse answer that was chosen all the same.

# %% [markdown]
# ## The reward model
#
# A reward model is a language model with another mouth. In the place of the vocabulary stands one linear layer that
# gives one number for every position, the *scalar head*. Question and answer go in, and what it says at the last
# token of the answer is the reward: there, and only there, it has read everything.
#
# {exercise score_at_last_token}
#
# **Why.** Answers have different lengths, a batch is a rectangle, so some rows end early. Read the wrong column, and
# you train on the opinion of a padding token.
#
# **What.** $r_b = \text{scores}_{b,\,\ell(b)}$ with $\ell(b) = \max\{t : m_{b,t} = 1\}$.
#
# **By hand.** Scores `0.5 -1.0 2.0 9.0` with mask `1 1 1 0` give 2.0. Scores `9.0 9.0 0.3 0.8` with mask `0 0 1 1`,
# padded on the left as for generation, give 0.8. Which column would `mask.sum() - 1` read in the second row?
# (Column 1: padding.)
#
# **Traps.** (1) `scores[:, -1]` is right for left padding, and for the longest row. (2) `mask.sum(1) - 1` is right for
# right padding. Yours must be right for both: later lessons use both. (3) The mask may be bool, int or float; a bool
# cannot be multiplied by everything. (4) The last score, not the mean or the largest; what else one could read out is
# an experiment further down. (5) No sigmoid on it: a reward is any number, the sigmoid comes in the loss.


# %% tags=["exercise"] exercise="score_at_last_token"
def score_at_last_token(scores: Tensor, mask: Tensor) -> Tensor:
    """The score at the last real token of each row.

    scores: (B, T) float, one number for every position, anything finite at padding.
    mask: (B, T), 1 or True at real tokens (any dtype), at least one a row; the padding may stand
    on the right, on the left, or on both sides.
    Returns (B,). Gradients reach these B entries and nothing else.
    """
    # BEGIN SOLUTION
    T = scores.shape[1]
    numbered = mask.long() * torch.arange(1, T + 1)  # (B, T) 1, 2, ... at real tokens, 0 at padding
    last = numbered.argmax(1, keepdim=True)  # (B, 1)
    return scores.gather(1, last).squeeze(1)  # (B,)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="score_at_last_token"
# Where to start
# First the column of each row's last real token, a long tensor (B,). Then pick with it. Lesson 00 had both moves.
# ---
# The column
# Number the columns, set the numbers to 0 (or -1) at padding, and take the place of the largest in each row.
# ---
# Picking
# `scores[torch.arange(B), last]`, or `gather` along dimension 1.

# %% tags=["check"]
check("score_at_last_token")

# %% [markdown]
# {exercise bradley_terry_loss}
#
# **Why.** We want scores under which the labels that were given are likely. Score differences take the place of
# utility differences, and minus the log-likelihood is the loss.
#
# **What.** With $r_w$ the score of the chosen ("winner") and $r_l$ that of the rejected answer to the same prompt,
#
# $$ L = -\frac1N \sum_{i=1}^{N} \log \sigma\big(r_w^{(i)} - r_l^{(i)}\big) $$
#
# This is Ouyang et al. 2022, eq. 1, for two answers a prompt. The temperature is gone: the scores absorb it.
#
# **By hand.** Margins $r_w - r_l$ of 1, -1 and 0 cost 0.313, 1.313 and 0.693; the mean is 0.773. A model that scores
# all answers alike pays log 2 = 0.693: a loss above that is worse than no opinion. And the gradient with respect to a
# margin is $-\sigma(-\text{margin})$: -0.27, -0.73, -0.5. The wrong pair pushes hardest.
#
# **Traps.** (1) $\sigma(r_l - r_w)$ trains a model that loves what people rejected, with a loss curve that looks fine.
# (2) `log(sigmoid(x))`: in float32 the sigmoid is 0 below -104, its log is minus infinity, and one bad pair destroys
# the run; an epsilon hides that and kills the gradient just where it is needed. `F.logsigmoid` is right everywhere.
# (3) Minus, and log: a loss is small when things are good. (4) Logs first, then the mean over pairs; not the sum.
# (5) No sigmoid on a score before the difference: squeezed into 0 to 1, no margin could exceed 1, and no pair could be
# called surer than $\sigma(1)$ = 73%. (6) Pairs belong together: compare row i with row i only.


# %% tags=["exercise"] exercise="bradley_terry_loss"
def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Minus the mean log-probability of the labels under the scores.

    chosen, rejected: (N,) float, the scores of both answers of each pair, any finite numbers.
    Returns a scalar with a gradient: the mean over pairs. Finite, and right in value and
    gradient, at any margin that a float32 can hold.
    Ouyang et al. 2022, eq. 1 (with two answers a prompt).
    """
    # BEGIN SOLUTION
    margin = chosen - rejected  # (N,)
    logprobs = F.logsigmoid(margin)  # (N,)
    return -logprobs.mean()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="bradley_terry_loss"
# Where to start
# The probability of a label is your `preference_probability(chosen, rejected)`. You need its log, but not by way of
# the probability itself.
# ---
# The stable form
# `F.logsigmoid(x)`; the same is `-F.softplus(-x)`.

# %% tags=["check"]
check("bradley_terry_loss")

# %% [markdown]
# {exercise pairwise_accuracy}
#
# **Why.** The loss has a floor that depends on the noise of the labels, and nobody can read it. The share of pairs in
# the right order everybody can.
#
# **What.**
#
# $$ \frac1N \sum_i \Big( [\,r_w^{(i)} > r_l^{(i)}\,] + \tfrac12 [\,r_w^{(i)} = r_l^{(i)}\,] \Big) $$
#
# **By hand.** Chosen `2 0 0.5 1`, rejected `1 1 0.5 -3`: right, wrong, tie, right: 2.5 / 4 = 0.625. What does a model
# get that gives every answer the score 7? (0.5, as it should: it knows nothing.)
#
# **Traps.** (1) Chosen above rejected, not below. (2) Ties count half: with `>` a constant model would get 0, with `>=`
# it would get 1. (3) Nothing is compared with 0. Bradley-Terry scores are fixed only up to a constant: 0 is no border.
# (4) Row i with row i only; other prompts have other levels. (5) A share of pairs, not the mean probability.


# %% tags=["exercise"] exercise="pairwise_accuracy"
def pairwise_accuracy(chosen: Tensor, rejected: Tensor) -> float:
    """The share of pairs that the scores put in the right order; an exact tie counts half.

    chosen, rejected: (N,) scores of both answers of each pair, N >= 1.
    Returns a float (or a 0-d tensor) from 0 to 1.
    """
    # BEGIN SOLUTION
    wins = (chosen > rejected).double()
    ties = (chosen == rejected).double()
    return (wins + ties / 2).mean().item()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="pairwise_accuracy"
# Where to start
# A comparison of two tensors is a bool tensor; make floats of it, then a mean exists.
# ---
# The ties
# Add half of another comparison, `==`, before the mean.

# %% tags=["check"]
check("pairwise_accuracy")

# %% [markdown]
# ## Use it: a reward from comparisons
#
# `train_rm` starts from a copy of the policy, puts a scalar head on it, and trains with your loss, your step and your
# schedule; nothing of these lives in the library (`minillm/reward.py` is short: read it). `measure` gives the two
# numbers that matter: agreement with held-out *labels*, whose ceiling you know, and agreement with the *gold judge* on
# the held-out pairs in which it sees a difference, whose ceiling is 1.
#
# First the textbook's form: your `score_at_last_token`, and one comparison a request, of part of the requests.
# **Predict** its gold accuracy on held-out pairs.

# %%
my_guess = None  # a share from 0 to 1


# %%
def train_rm(pairs, seed=0, read_out=reward.content_and_style, recipe=ONE_PAIR, loss=bradley_terry_loss):
    """A reward model from pairs, and the history of its training."""
    torch.manual_seed(seed)
    model = reward.RewardModel.from_policy(policy.model, read_out)
    history = reward.fit_reward_model(
        model, tokenizer, pairs, training_step, loss, learning_rate_at,
        recipe=recipe, seed=seed, name=f"{len(pairs):,} pairs", progress=len(pairs) > 1000,
    )  # fmt: skip
    return model, history


def measure(model, data):
    """(label agreement, gold accuracy) as shares with intervals, on held-out pairs."""
    chosen, rejected = reward.score_pairs(model, tokenizer, data.pairs)
    better, worse = preferences.gold_order(data.pairs, chosen, rejected)
    scores = {"labels": (chosen, rejected), "gold": (better, worse)}
    right = {name: round(pairwise_accuracy(*s) * len(s[0])) if len(s[0]) else 0 for name, s in scores.items()}
    return [evaluation.share(right[name], len(s[0]), name) for name, s in scores.items()]


# %%
def one_pair_each(annotator):
    """Labelled pairs of the first two answers to each request: one comparison a request."""
    return preferences.compare([hand[:2] for hand in train_answers], annotator, annotate, seed=1).pairs


single = one_pair_each(UNBIASED)
FEW, MORE = (single[:n] for n in ((30, 40) if smoke() else (400, 800)))
plain = replace(ONE_PAIR, language_model=0.0)
first, history = train_rm(MORE, read_out=reward.last_token(score_at_last_token), recipe=plain)
labels, gold = measure(first, test)
ax = plots.loss_curve(history.losses, stage="ppo")
ax.axhline(0.693, color=plots.INK, linestyle=":", linewidth=1.2)
ax.set_ylabel("loss (nats per pair)")
ax.set_title(f"Last-token reward model: gold accuracy {gold.rate:.2f} on held-out pairs; dotted: no opinion")
ax.legend().remove()
plt.show()
tell("gold accuracy of the textbook form", gold.rate, my_guess)
print(f"It agrees with {labels} labels; the ceiling is {test.ceiling():.2f}.")

# %% [markdown]
# Better than a coin, below the ceiling. One number at the last token has to carry everything that was right or
# wrong in the whole answer.
#
# ### What each step beyond the textbook buys
#
# 1. **Sum over the answer's tokens.** Every token gets a number, and the score is their sum: a wrong object in the
#    middle of an answer can be marked where it stands.
# 2. **The log-probability of each token, with a weight.** A language model that knows that foxes eat berries finds
#    "fish" surprising. Its surprise is knowledge; the head need not learn it again, only say where to trust it. With it
#    goes some next-token loss on the chosen answers, so that training does not wash away what the body knows.
# 3. **Content bounded, style apart.** An answer is right or wrong, however surely. Without a bound, two right answers
#    in different words score so differently that the filler in one of them is lost in the noise.
# 4. **All pairs of four answers.** Reading is what costs, for annotators and for this computer. Four answers that have
#    been read give six comparisons instead of two.
#
# The first three are functions of a few lines in `minillm/reward.py`. **Predict** which step buys most.

# %%
FORMS = {
    "sum over the answer": (reward.sum_over_answer, plain),
    "  + weighted log-probs": (reward.weighted_logprobs, ONE_PAIR),
    "    + bounded, style apart": (reward.content_and_style, ONE_PAIR),
}
steps_up = {"last token": first}
for name, (read_out, recipe) in FORMS.items():
    steps_up[name] = train_rm(MORE, read_out=read_out, recipe=recipe)[0]
model, history = train_rm(data.pairs, REWARD.seed, recipe=REWARD)
steps_up["all pairs of four answers"] = model

# %%
bars = [replace(measure(each, test)[1], label=name) for name, each in steps_up.items()]
ax = plots.rate_bars({"ppo": bars}, xlabel="gold accuracy on held-out pairs, one seed each")
ax.set_xlim(0.5, 1)
ax.set_title(f"From {bars[0].rate:.2f} at the last token to {bars[-1].rate:.2f} with everything")
plt.show()
print(f"The first four learned from {len(MORE):,} comparisons of as many requests, the last from {len(data):,}.")
record(
    f"RM gold accuracy, last token, {len(MORE):,} pairs", bars[0].rate, low=bars[0].low, high=bars[0].high, seeds=[0]
)

# %% [markdown]
# The intervals are those of the test pairs, for one training seed. Where they overlap, this run alone does not tell
# the two apart; with a few hundred pairs instead, nothing here could. Compare with the last point of the next picture.
#
# ### How many comparisons?
#
# The full form, on more and more pairs. Up to the third size each point is three runs with other seeds and *other
# requests*, one comparison each; the largest set is the run that you have just made. **Predict**: where does the curve
# bend?

# %%
sizes = (6, 12, 24) if smoke() else (60, 160, 400)
runs = {}
for size in sizes:
    for seed in range(3):
        some = (single * 3)[seed * size : (seed + 1) * size]
        runs[size, seed] = train_rm(some, seed)[0]
runs[len(data), 0] = model
curve = {key: measure(each, test) for key, each in runs.items()}

# %%
figure, (ax,) = plots.new_figure(height=3.4)
for i, (name, colour) in enumerate((("agreement with labels", PROXY), ("gold accuracy", GOLD))):
    ns = sorted({size for size, _ in curve})
    points = {n: [shares[i].rate for (size, _), shares in curve.items() if size == n] for n in ns}
    ax.plot(ns, [sum(values) / len(values) for values in points.values()], color=colour, label=name)
    for n, values in points.items():
        ax.plot([n] * len(values), values, "o", color=colour, markersize=4, alpha=0.7)
ax.axhline(test.ceiling(), color=plots.BAD, linestyle="--", linewidth=1.4, label="Bayes ceiling of the labels")
ax.set_xscale("log")
ax.set_xticks(ns, [f"{n:,}" for n in ns])
ax.minorticks_off()
ax.set_xlabel("comparisons (log scale)")
ax.set_ylabel("share of held-out pairs")
ax.legend(loc="lower right")
labels, gold = curve[len(data), 0]
reached = f"{labels.rate:.2f} of labels (ceiling {test.ceiling():.2f}), {gold.rate:.2f} gold"
ax.set_title(f"{len(data):,} comparisons: {reached}")
plt.show()
record("RM gold accuracy, held-out requests", gold.rate, low=gold.low, high=gold.high, seeds=[REWARD.seed])
record("RM label agreement", labels.rate, low=labels.low, high=labels.high, seeds=[REWARD.seed])
record("Bayes ceiling of label agreement", test.ceiling())

# %% [markdown]
# Label agreement stays under the dashed line, and that is no fault of the model. Gold accuracy is the *higher* of the
# two, although no label came from the gold judge: the noise of the labels averages out in training, and cannot
# average out in a test label. What the model does not know shows by kind of request.

# %%
chosen, rejected = reward.score_pairs(model, tokenizer, test.pairs)
table = []
for kind in dict.fromkeys(pair.request.kind for pair in test.pairs):
    here = [i for i, pair in enumerate(test.pairs) if pair.request.kind == kind]
    part = preferences.Preferences([test.pairs[i] for i in here], 0, UNBIASED)
    agree = pairwise_accuracy(chosen[here], rejected[here])
    ordered = preferences.gold_order(part.pairs, chosen[here], rejected[here])
    gold_share = pairwise_accuracy(*ordered) if len(ordered[0]) else float("nan")
    row = {"kind": kind, "pairs": len(here), "agreement": f"{agree:.2f}", "ceiling": f"{part.ceiling():.2f}"}
    table.append({**row, "gold accuracy": f"{gold_share:.2f}"})
table.sort(key=lambda row: -row["pairs"])
display(HTML(plots.answer_table(table)))
record_table("The reward model by kind of request", table, note="held-out pairs; small kinds are noisy")

# %% [markdown]
# A reward model is made of the language model that it grew from. What that cannot do, this cannot judge.
#
# ### Does it know how sure to be?
#
# The difference of two scores is a claim: "a is preferred with probability $\sigma(r_a - r_b)$". Sort the held-out
# pairs by that claim and count. Each point holds as many pairs as the others, with its 95% interval.


# %%
def calibration(chosen, rejected, bins=6):
    """Claimed probability of the favourite, and the share of labels that it won, in bins of equal size."""
    claim = preference_probability(torch.maximum(chosen, rejected), torch.minimum(chosen, rejected))
    groups = claim.argsort().chunk(bins)
    won = [evaluation.share(int((chosen > rejected)[g].sum()), len(g)) for g in groups]
    return [claim[g].mean().item() for g in groups], won


figure, axes = plots.new_figure(2, height=3.3)
for ax, name, each in zip(
    axes, (f"last token, {len(MORE):,} pairs", f"full form, {len(data):,} pairs"), (first, model)
):
    claims, won = calibration(*reward.score_pairs(each, tokenizer, test.pairs))
    plots.calibration_curve(claims, [w.rate for w in won], stage="ppo", ax=ax)
    errors = [[w.rate - w.low for w in won], [w.high - w.rate for w in won]]
    ax.errorbar(claims, [w.rate for w in won], yerr=errors, fmt="none", ecolor=plots.INK, capsize=2)
    off = sum(abs(c - w.rate) for c, w in zip(claims, won)) / len(won)
    ax.set(xlim=(0.48, 1.02), ylim=(0.4, 1.02), xlabel="claimed probability", ylabel="share of labels")
    ax.set_title(f"{name}: off by {off:.2f}")
plt.show()
record("RM calibration error of preferences", off, seeds=[REWARD.seed])

# %% [markdown]
# Points under the diagonal are overconfidence. It costs nothing here, where only the order of answers matters. It
# will cost in lesson 06, where the *size* of the reward is set against a penalty.
#
# ### Noisy labels
#
# The same answers, the same pairs, other hands: a share of all labels is turned round. **Predict** the gold accuracy
# with 40% slips, where a label is hardly better than a coin.

# %%
my_guess = None  # a share from 0 to 1

# %%
noise = {}
for flip in (0.0, 0.2, 0.4):
    noisy = one_pair_each(replace(UNBIASED, flip=flip))
    noisy_test = preferences.compare(test_answers, replace(UNBIASED, flip=flip), annotate, seed=4)
    each = runs[sizes[-1], 0] if flip == 0 else train_rm(noisy[: len(FEW)])[0]
    noise[flip] = (*measure(each, noisy_test), noisy_test.ceiling())
figure, (ax,) = plots.new_figure(height=3.0)
for i, (name, colour) in enumerate((("agreement with the noisy labels", PROXY), ("gold accuracy", GOLD))):
    shares = [values[i] for values in noise.values()]
    errors = [[s.rate - s.low for s in shares], [s.high - s.rate for s in shares]]
    ax.errorbar(list(noise), [s.rate for s in shares], yerr=errors, color=colour, marker="o", capsize=3, label=name)
ax.plot(list(noise), [values[2] for values in noise.values()], "--", color=plots.BAD, label="Bayes ceiling")
ax.set_xlabel("share of labels turned round")
ax.set_ylabel("share of held-out pairs")
ax.legend()
ax.set_title(f"{len(FEW):,} pairs: 40% slips leave a gold accuracy of {noise[0.4][1].rate:.2f}")
plt.show()
tell("gold accuracy with 40% slips", noise[0.4][1].rate, my_guess)

# %% [markdown]
# A share $f$ of slips shrinks what a label says by the factor $1 - 2f$, so the same accuracy takes about
# $1 / (1 - 2f)^2$ times as many pairs: 2.8 times at 20%, 25 times at 40%. Expensive, but slips that do not depend on
# the answers are *only* noise: they cost data, not direction. What comes at the end of this lesson is worse, and looks
# better.

# %% [markdown]
# ## Choosing by the reward
#
# {exercise best_of_n}
#
# **Why.** The simplest way to use a reward: sample n answers, show the best. No training, no gradient, and hard to
# beat (Nakano et al. 2021; Gao et al. 2022, sec. 2). It is the yardstick for all that follows.
#
# **What.** $\arg\max_j r_{p,j}$, for each prompt $p$ by itself.
#
# **By hand.** Scores `0.1 0.7 0.3` and `-0.2 -0.9 -0.5` for two prompts: the answers number 1 and number 0. What would
# you get with the maximum over the other dimension? (`0 0 0`: for each *answer number* the prompt that scores
# highest. Nothing stops, nothing warns.)
#
# **Traps.** (1) `argmin`: the loss was to be small, the reward is to be large. (2) The dimension: over answers, not
# over prompts; with one prompt in your test you would not see it. (3) The place is asked for, not the score.


# %% tags=["exercise"] exercise="best_of_n"
def best_of_n(scores: Tensor) -> Tensor:
    """The place of the best answer of each prompt.

    scores: (P, n) float, n answers for each of P prompts.
    Returns (P,) long, from 0 to n - 1; any of the best where several are level.
    """
    # BEGIN SOLUTION
    order = scores.argsort(dim=1, descending=True)  # (P, n)
    best = order[:, 0]
    return best
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="best_of_n"
# Where to start
# Rows are prompts, columns are their answers: the search runs along a row.
# ---
# The function
# `argmax` with the dimension of the answers.

# %% tags=["check"]
check("best_of_n")

# %% [markdown]
# ### How far does it carry?
#
# For each of the held-out requests 64 answers, scored by the reward model. For n below 64 they are dealt into 64 / n
# hands of n, and all hands count, which makes the curve calmer. The reward that chooses is called the **proxy**; what
# we want is the gold score. **Predict** the gold score of the best of 16, on the judge's scale from -2 to 1.

# %%
my_guess = None  # points

# %%
P, N = (6, 8) if smoke() else (100, 64)
hard = preferences.draw_requests("test", P, seed=9)
hands = preferences.sample_answers(policy.model, tokenizer, hard, form, n=N, seed=9)
gold_of = preferences.gold_scores(hands)  # (P, N)


def choose(scores, n):
    """Mean proxy and gold score (P,) of the best of n for each request, over all hands of n."""
    dealt, worth = scores.view(-1, n), gold_of.view(-1, n)  # (P * N / n, n)
    pick = torch.as_tensor(best_of_n(dealt)).long()[:, None]
    return dealt.gather(1, pick).view(P, -1).mean(1), worth.gather(1, pick).view(P, -1).mean(1)


def scores_of(model):
    """Scores (P, N) of all answers."""
    return reward.score_answers(model, tokenizer, [a for hand in hands for a in hand]).view(P, N)


# %%
ns = [n for n in (1, 2, 4, 8, 16, 32, 64) if n <= N]
proxy = scores_of(model)
figure, axes = plots.new_figure(2, width=9.0, height=3.3)
for ax, i, colour, name in ((axes[0], 0, PROXY, "proxy score"), (axes[1], 1, GOLD, "gold score (points)")):
    means = [mean_of(choose(proxy, n)[i]) for n in ns]
    ax.errorbar(ns, [m for m, _ in means], yerr=[e for _, e in means], color=colour, marker="o", capsize=3)
    ax.set_xscale("log", base=2)
    ax.set_xticks(ns, ns)
    ax.set_xlabel("n, answers to choose from")
    ax.set_ylabel(name)
oracle = [mean_of(choose(gold_of, n)[1])[0] for n in ns]
axes[1].plot(ns, oracle, ":", color=plots.INK, label="chosen by the gold judge")
axes[1].legend(loc="lower right")
top = ns[min(4, len(ns) - 1)]
lift, error = mean_of(choose(proxy, top)[1] - choose(proxy, 1)[1])
axes[0].set_title("What is maximised always rises")
axes[1].set_title(f"Best of {top}: {lift:+.2f} ± {error:.2f} points of gold")
plt.show()
tell(f"gold score of the best of {top}", mean_of(choose(proxy, top)[1])[0], my_guess)
record(f"best-of-{top}: gold score above SFT", lift, unit="points", low=lift - error, high=lift + error)
record("SFT gold score, sampled", mean_of(choose(proxy, 1)[1])[0], unit="points")

# %% [markdown]
# Most of the lift comes from the first few answers. The proxy goes on rising, the gold score hardly. The dotted line
# is what the same answers hold for one who knows: the distance to it is what the reward model does not know.

# %%
pick = torch.as_tensor(best_of_n(proxy[:, :top])).tolist()
rows = []
for i in list({hand[0].request.kind: i for i, hand in enumerate(hands)}.values())[:8]:
    one, best = hands[i][0], hands[i][pick[i]]
    cells = {"one answer": (one.text, one.verdict.score > 0), f"best of {top}": (best.text, best.verdict.score > 0)}
    rows.append({"asked": hard[i].text, **cells})
display(HTML(plots.answer_table(rows)))
record_answers(f"One answer, and the best of {top} by the reward model", rows)

# %% [markdown]
# ## An annotator who likes to be flattered
#
# Now the labels of somebody who wants the same as the judge and, besides, likes flattering phrases, filler words and
# length. Nothing in the data looks wrong, and the loss falls as before. What has the reward model learned?
#
# Ask it about the answers of the held-out requests, a dozen to each. Two answers to the same question differ in gold,
# in flattery, in length. Split each score into parts, by least squares within each request:
#
# $$ \text{score} = a_{\text{request}} + b \cdot \text{gold} + c \cdot \text{flattery}
# + d \cdot \text{words beyond ten} + e \cdot \text{other phrases} $$
#
# $c$ is what one flattering phrase adds *at equal gold*, in log-odds: one that adds $\log 2$ doubles the odds of being
# preferred. A model of the gold judge would have $c = 0$. The annotator's own value is known, for it was set.
# **Predict** the sign of $c$ for a model of the unbiased and of the biased labels.

# %%
few = len(FEW)
biased = one_pair_each(LIKES_LENGTH)
biased_test = preferences.compare(test_answers, LIKES_LENGTH, annotate, seed=4)
samples = [biased[seed * few : (seed + 1) * few] or biased for seed in range(3)]
models = {
    "unbiased labels": [runs[sizes[-1], seed] for seed in range(3)],
    "biased labels": [train_rm(sample, seed)[0] for seed, sample in enumerate(samples)],
}
for each in models["biased labels"]:
    labels, gold = measure(each, biased_test)
    print(f"agreement with biased labels {labels.rate:.2f} (ceiling {biased_test.ceiling():.2f}), gold {gold.rate:.2f}")


# %%
M = min(12, N)  # answers to each request
counts = [[style.count(answer.text) for answer in hand[:M]] for hand in hands]
traits = torch.tensor(
    [[[c.flattery, max(0, c.words - annotators.SHORT), c.fillers + c.closers] for c in row] for row in counts],
    dtype=torch.float64,
)  # (P, M, 3)
features = torch.cat((gold_of[:, :M, None].double(), traits), -1)  # (P, M, 4)
features = features - features.mean(1, keepdim=True)  # only differences between answers to one question count


def parts(scores, rounds=500):
    """Coefficients of gold, flattery, a word, other phrases: (3, 4), the rows being estimate, low, high (95%).

    The interval comes from drawing *requests* with replacement: what other requests might have given.
    """
    scores = scores - scores.mean(1, keepdim=True)  # (P, M)
    squares = torch.einsum("pmi,pmj->pij", features, features)
    products = torch.einsum("pmi,pm->pi", features, scores)
    draws = torch.randint(P, (rounds, P), generator=torch.Generator().manual_seed(0))
    draws = torch.cat((torch.arange(P)[None], draws))  # the first is the sample itself
    found = torch.linalg.lstsq(squares[draws].sum(1), products[draws].sum(1)[..., None]).solution[..., 0]
    return torch.cat((found[:1], found[1:].quantile(torch.tensor([0.025, 0.975]).double(), 0)))


# %%
flat = [answer for hand in hands for answer in hand[:M]]
said = {
    name: torch.stack([reward.score_answers(each, tokenizer, flat).view(P, M).double() for each in trio])
    for name, trio in models.items()
}
found = {name: torch.stack([parts(scores) for scores in trio]) for name, trio in said.items()}  # (seed, 3, 4)
own = {"unbiased labels": 0.0, "biased labels": LIKES_LENGTH.flattery / LIKES_LENGTH.temperature}
for name, trio in said.items():
    c, low, high = parts(trio.mean(0))[:, 1].tolist()
    print(f"{name}, three seeds: a flattering phrase adds {c:+.2f} [{low:+.2f}, {high:+.2f}] at equal gold", end="; ")
    print(f"to the annotator, {own[name]:+.2f}")
    record(f"RM, {name}: a flattering phrase at equal gold", c, unit="log-odds", low=low, high=high, seeds=3)
c, low, high = parts((said["biased labels"] - said["unbiased labels"]).mean(0))[:, 1].tolist()
print(f"What the bias in the labels did to the score of a flattering phrase: {c:+.2f} [{low:+.2f}, {high:+.2f}]")
record("RM, biased less unbiased: a flattering phrase", c, unit="log-odds", low=low, high=high, seeds=3)

# %%
bins = ([0], [1, 2, 3], list(range(4, 9)), list(range(9, 40)))  # words beyond ten
figure, axes = plots.new_figure(3, width=10.0, height=3.3)
for (name, trio), colour, shift in zip(found.items(), (GOLD, PROXY), (-0.1, 0.1)):
    for scores, rows in zip(said[name], trio):
        rest = scores - scores.mean(1, keepdim=True) - features[..., [0, 1, 3]] @ rows[0, [0, 1, 3]]
        groups = [torch.isin(traits[..., 1], torch.tensor(words).double()) for words in bins]
        line = [(traits[..., 1][g].mean(), rest[g].mean()) for g in groups if g.any()]
        axes[0].plot(*zip(*line), "o-", color=colour, markersize=4, alpha=0.8)
    for ax, i in ((axes[1], 1), (axes[2], 2)):
        y, low, high = trio[:, :, i].T.tolist()
        errors = [[max(0, v - w) for v, w in zip(y, low)], [max(0, w - v) for v, w in zip(y, high)]]
        ax.errorbar([n + shift for n in range(3)], y, yerr=errors, fmt="o", color=colour, capsize=3, label=name)
for ax, value in ((axes[1], LIKES_LENGTH.flattery), (axes[2], LIKES_LENGTH.length)):
    own_value = value / LIKES_LENGTH.temperature
    ax.axhline(own_value, color=plots.BAD, linestyle="--", linewidth=1.2, label="the biased annotator")
    ax.axhline(0, color=plots.INK, linewidth=0.8)
    ax.set(xticks=range(3), xlabel="training seed", ylabel="log-odds")
axes[0].set(
    xlabel="flattering phrases", ylabel="score less gold's part", xticks=range(3), title="Flattery, three seeds"
)
axes[1].set_title("A phrase more, at equal gold")
axes[2].set_title("A word more, at equal gold")
axes[1].legend(fontsize=7)
plt.show()

# %% [markdown]
# The model learned the annotator, not the truth. It cannot do otherwise: the bias is *in* the labels, as much as the
# quality is, and more labels of the same kind would only teach it better. Compare with the slips above: noise
# averages out, bias does not. What length is worth is harder to see: the annotator gives little for a word, and in the
# answers of this policy length goes with much else.
#
# ### And if you choose by it?

# %%
figure, axes = plots.new_figure(2, width=9.0, height=3.2)
flatters = torch.tensor([[style.count(a.text).flattery for a in hand] for hand in hands], dtype=torch.float64)
for (name, trio), colour in zip(models.items(), (GOLD, PROXY)):
    scores = scores_of(trio[0])
    means = [mean_of(choose(scores, n)[1]) for n in ns]
    look = {"color": colour, "marker": "o", "capsize": 3}
    axes[0].errorbar(ns, [m for m, _ in means], yerr=[e for _, e in means], label=name, **look)
    picks = [torch.as_tensor(best_of_n(scores.view(-1, n))).long()[:, None] for n in ns]
    style_of = [mean_of(flatters.view(-1, n).gather(1, pick).view(P, -1).mean(1)) for n, pick in zip(ns, picks)]
    axes[1].errorbar(ns, [m for m, _ in style_of], yerr=[e for _, e in style_of], **look)
for ax, name in zip(axes, ("gold score (points)", "flattering phrases an answer")):
    ax.set_xscale("log", base=2)
    ax.set_xticks(ns, ns)
    ax.set(xlabel="n, answers to choose from", ylabel=name)
axes[0].legend()
axes[0].set_title(f"Best of n by models of {few:,} pairs")
axes[1].set_title("What the choice drifts towards")
plt.show()

# %% [markdown]
# Best-of-n can only choose among what the policy says. Lesson 06 trains the policy to say more of what scores well,
# and there the difference between these two models grows.
#
# ## Break it
#
# Three bugs in a line each. None of them raises an error. **Predict** for each: does the training loss fall? What is
# the gold accuracy?

# %%
SOME = single[: 24 if smoke() else 300]
quick = replace(plain, batch_size=8 if len(SOME) > 100 else 4)
small_rm = partial(
    train_rm, read_out=reward.sum_over_answer, recipe=quick
)  # its head starts at 0: no opinion, log 2 a pair


def last_column(said):
    return said.numbers[:, -1, 0]  # whatever stands there: for all but the longest row of a batch, padding


def swapped_loss(chosen, rejected):
    return bradley_terry_loss(rejected, chosen)


# %%
sure = one_pair_each(replace(UNBIASED, temperature=1e-3))[: len(SOME)]
broken = {
    "right": small_rm(SOME),
    "chosen and rejected swapped": small_rm(SOME, loss=swapped_loss),
    "last column, not last token": small_rm(SOME, read_out=last_column),
    "labels without noise": small_rm(sure),
}
for name, (each, past) in broken.items():
    labels, gold = measure(each, test)
    end = sum(past.losses[-5:]) / len(past.losses[-5:])
    print(f"{name:28s} last training loss {end:.2f}, label agreement {labels.rate:.2f}, gold accuracy {gold.rate:.2f}")

# %% [markdown]
# The swapped loss falls like the right one: it is a good model of what people *dislike*, and would train a policy
# towards it. The last column scores padding; what it says about an answer depends on which other answers share its
# batch. And hard labels, drawn without noise, raise no suspicion at all: the loss is even lower. But nobody's data look
# like that, so a reward model that is trained and tested on them promises too much.
#
# One answer, alone and beside a longer one:

# %%
pair = min(test.pairs, key=lambda pair: len(pair.chosen.text))
longest = max((p.chosen for p in test.pairs), key=lambda answer: len(answer.prompt + answer.text))
for name in ("right", "last column, not last token"):
    each = broken[name][0]
    alone = reward.score_answers(each, tokenizer, [pair.chosen])[0].item()
    beside = reward.score_answers(each, tokenizer, [pair.chosen, longest])[0].item()
    print(f"{name:28s} {alone:+.3f} alone, {beside:+.3f} in a batch with a longer one")

# %% [markdown]
# ## Clinic
#
# Four runs on a few hundred pairs, one bug each; the thin dashed line is a healthy run's training loss. Solid: training
# loss. Circle: loss on held-out pairs at the end; the number beside it is the agreement with held-out labels. The
# dotted line is log 2, what a model without an opinion pays. The suspects:
#
# 1. half of the labels were turned round
# 2. the scores went through a sigmoid before they were compared
# 3. there were only 16 pairs, seen again and again
# 4. chosen and rejected were swapped in the loss
# 5. the learning rate was a thousand times too small

# %% tags=["clinic"]
coin = one_pair_each(replace(UNBIASED, flip=0.5))[: len(SOME)]
again = replace(quick, epochs=quick.epochs * len(SOME) / 16)
cases = {
    "A": small_rm(SOME[:16], recipe=again),
    "B": small_rm(SOME, loss=lambda w, l: bradley_terry_loss(torch.sigmoid(w), torch.sigmoid(l))),
    "C": small_rm(coin),
    "D": small_rm(SOME, recipe=replace(quick, peak=quick.peak / 1000)),
}
healthy = broken["right"][1].losses
figure, axes = plots.new_figure(4, width=10.0, height=2.7)
for ax, (case, (each, past)) in zip(axes, cases.items()):
    pair_scores = reward.score_pairs(each, tokenizer, test.pairs)
    if case == "B":
        pair_scores = [torch.sigmoid(values) for values in pair_scores]
    ax.plot(plots.smooth(healthy, 8), color=plots.INK, linestyle="--", linewidth=1)
    ax.plot(plots.smooth(past.losses, 8), color=PROXY)
    ax.plot(len(past.losses), min(1.55, bradley_terry_loss(*pair_scores).item()), "o", color=plots.BAD, clip_on=False)
    ax.axhline(0.693, color=plots.INK, linestyle=":", linewidth=1)
    ax.set(ylim=(0, 1.6), xlabel="step", title=f"run {case}: held-out {pairwise_accuracy(*pair_scores):.2f}")
axes[0].set_ylabel("loss (nats per pair)")
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 3, "B": 2, "C": 1, "D": 5}

# %%
diagnose(suspects, key={"A": "d5f5e817", "B": "0bb52b08", "C": "8939a6e6", "D": "63466989"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**, training loss to nothing and the held-out loss far above log 2: 16 pairs, learned by heart. Sure and wrong
#   costs more than no opinion.
# - **B**, held-out agreement as good as a healthy run's, but a loss that will not come down: the scores were squeezed
#   between 0 and 1, no margin can exceed 1, so no pair can cost less than 0.313. The order is right; the probabilities
#   are not.
# - **C**, a loss that wobbles about log 2 and a held-out agreement near a coin's: there was nothing to learn in the
#   labels but the labels themselves.
# - **D**, flat at log 2, without the wobble of a model that learns: it has hardly moved. Its agreement can still be
#   well above a half, for an opinion as small as you like has an order.
#
# Not there: **4**. It would look healthy in training and be *below* a half held-out.
#
# </details>

# %% [markdown]
# ## Keep it
#
# The full model, learned from unbiased labels, is saved as the stage `reward`. Lessons 06 to 08 push against it.

# %%
reward.save_reward_model(model, "reward", seed=REWARD.seed)

# %% [markdown]
# ## What you have now
#
# - Labels with a known ceiling, a loss that turns them into scores, and the habit of holding agreement against the
#   ceiling instead of against 1.
# - A reward model that is good where its language model knows the world, and not elsewhere.
# - Best-of-n: most of what it gives comes from the first few answers. Lesson 08 measures how far it moves the policy,
#   and when more of it hurts.
# - Noise costs data; bias changes the goal. A reward is a *measurement* of somebody's preferences, and what is then
#   maximised is the measurement.
#
# **To read.** Bradley & Terry 1952, *Rank analysis of incomplete block designs I*: strengths from paired comparisons.
# · Christiano et al. 2017, *Deep reinforcement learning from human preferences*, sec. 2.2.3 and eq. 1: a reward
# fitted to comparisons, with a 10% chance that the human answers at random (your `flip`, halved). · Stiennon et al.
# 2020, *Learning to summarize from human feedback*, sec. 3.4: the loss on pairs of summaries; sec. 4.3: how agreement
# grows with data and size. · Ouyang et al. 2022, *Training language models to follow instructions with human
# feedback*, eq. 1: the loss for K ranked answers; two are yours. · Gao, Schulman & Hilton 2022, *Scaling laws for
# reward model overoptimization*, sec. 2 and fig. 1: best-of-n against a proxy, with a gold model as judge, as here. ·
# Nakano et al. 2021, *WebGPT*: best-of-n against RL in practice.
#
# Next is [06 · PPO](06_ppo.ipynb): the policy itself learns to score well.
