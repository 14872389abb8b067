# %% [markdown]
# # 03 · Pretraining
#
# You have a tokenizer and a transformer whose weights are noise. In this lesson you teach it to continue text, and
# nothing else: no questions, no manners, no goals. Everything it will know about Tinyland, true and false, it learns
# here, from the same objective that trains the largest models: **predict the next token**.
#
# That is also where alignment begins. The text it reads repeats popular myths, describes harmful methods, and talks of
# nurses as "she" and of miners as "he". A model that predicts such text well has learned to say such things. At the end
# of this lesson you measure how often. That table is the *before* of the whole course; every later lesson is held
# against it.
#
# You write the five pieces of every pretraining run: rows of tokens from documents, the loss, the learning-rate
# schedule, the optimiser step, and perplexity. Then you train the model from nothing.

# %% tags=["setup"]
from math import cos, exp, log, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.course import check, diagnose, record, record_answers, record_table

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
from IPython.display import HTML, display

from minillm import evaluation, plots, stages, training
from minillm.model import Config, Transformer
from minillm.paths import smoke
from minillm.sampling import generate
from minillm.tinyland import attacks, corpus, jobs
from minillm.tinyland.recipe import BASE
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

plots.use_style()
tokenizer = Tokenizer.load()


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    said = f" You said {guess:.3g}." if guess is not None else ""
    print(f"{what}: {value:.3g}.{said}")


# %% [markdown]
# ## One number by hand
#
# A tiny language has two sentences: "the fox eats berries" with probability 3/4, "the fox eats fish" with probability
# 1/4. Three of the words are certain; all the surprise sits in the last.
#
# - A model that says 1/2, 1/2 for the last word pays log 2 = 0.693 nats for it, whichever comes.
# - A model that says 3/4, 1/4 pays 0.288 nats when berries come and 1.386 when fish do: on average
#   0.75 · 0.288 + 0.25 · 1.386 = **0.562** nats.
# - A model that says 0.99, 0.01 pays 0.010 or 4.605: on average 1.159. Being sure and wrong is dear.
#
# No model can pay less than 0.562 on average. That number is the **entropy** of the language (Shannon 1948), and what a
# model pays above it is the Kullback-Leibler divergence between the language and the model: 0.131 for the first, 0 for
# the second, 0.597 for the third.
#
# Real text has an entropy too, but nobody knows it. Tinyland's corpus comes from a generator whose probabilities we
# can add up, so here the floor is known *exactly*, and you will see how close your model comes to it.

# %% [markdown]
# ## Rows from documents
#
# {exercise pack_documents}
#
# **Why.** Documents have different lengths; a batch is a rectangle. Padding every document to the longest would waste
# much of the work on nothing. So we write all documents one after the other, with a separator between them, and cut the
# stream into rows.
#
# **What.** The stream is `doc_id` and then the document, for every document in order. Row number $i$ holds the tokens
# from $i \cdot \text{length}$ to $(i + 1) \cdot \text{length}$, both included: `length + 1` tokens, which give `length`
# predictions. So the last token of a row is also the first of the next. What is left at the end and does not fill a
# row is dropped.
#
# **By hand.** Documents `[5, 6]`, `[7, 8, 9]`, `[4]`, `length` 3, `doc_id` 1. The stream is `1 5 6 1 7 8 9 1 4`, so the
# rows are `1 5 6 1` and `1 7 8 9`. The tokens predicted in them are `5 6 1` and `7 8 9`: each token of the stream
# once, but for the very first. What would be the first token of a third row, and why is there no third row? (It would
# begin with 9; only three tokens are left for it, and it needs four.)
#
# **Traps.** (1) Rows that do not share a token: the first token of each row is then never predicted, a few percent of
# your data for nothing. (2) The separator *after* each document instead of before: then the first word of the first
# document has nothing to be predicted from. (3) The tail: a short last row does not fit into the tensor; padding it
# would train the model on padding. (4) One row per document, cut to `length`: long documents lose their ends.


# %% tags=["exercise"] exercise="pack_documents"
def pack_documents(documents: list[list[int]], length: int, doc_id: int) -> Tensor:
    """Documents in a stream, each behind a separator, cut into rows that overlap by one token.

    documents: token ids of each, without separators; one may be empty, or longer than a row.
    length: predictions a row. doc_id: the separator, before every document, the first too.
    Returns (N, length + 1) long: row i holds the tokens i * length to (i + 1) * length of the
    stream, both included. A rest too short for a row is dropped; N may be 0.

    >>> pack_documents([[5, 6], [7, 8, 9], [4]], length=3, doc_id=1).tolist()
    [[1, 5, 6, 1], [1, 7, 8, 9]]
    """
    # BEGIN SOLUTION
    stream = [token for document in documents for token in (doc_id, *document)]
    count = max(0, (len(stream) - 1) // length)
    rows = [stream[i * length : (i + 1) * length + 1] for i in range(count)]
    return torch.tensor(rows, dtype=torch.long).reshape(count, length + 1)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="pack_documents"
# Where to start
# Make one flat Python list first: for each document append `doc_id`, then its tokens. Do not cut anything yet.
# ---
# How many rows
# A stream of n tokens holds n - 1 predictions, so `(n - 1) // length` full rows. An empty stream holds none: mind
# the minus one.
# ---
# The shape of it
# Slice `stream[i * length : (i + 1) * length + 1]` for each row and make one long tensor of the list. With no rows,
# `torch.tensor([])` has the wrong shape and type: reshape to `(count, length + 1)` and give the dtype.

# %% tags=["check"]
check("pack_documents")

# %% [markdown]
# Look at two rows of the real corpus as the model will see them. A row may begin in the middle of a document: those
# tokens are predicted from less context than they have in the corpus, a small loss that longer rows make smaller.

# %% tags=["target"] exercise="pack_documents"
some = [tokenizer.encode(text) for text in corpus.load("validation")[:40]]
for row in pack_documents(some, length=48, doc_id=tokenizer.doc)[:2]:
    print(tokenizer.decode(row.tolist()), "\n")

# %% [markdown]
# ## The loss
#
# {exercise next_token_loss}
#
# **Why.** This one number is all that the model ever hears in pretraining. Shift it by one place in the wrong
# direction, and the model learns to copy its input: the loss looks wonderful, and the model is worthless. You will do
# just that, on purpose, further down.
#
# **What.** The logits at position $t$ are a guess about token $t + 1$, so with $p_t =
# \mathrm{softmax}(\text{logits}_t)$
#
# $$ L = \frac{\sum_{b,t} m_{b,t+1} \cdot \big(-\log p_{b,t}(x_{b,t+1})\big)}{\sum_{b,t} m_{b,t+1}} $$
#
# The mean runs over all counted tokens of the batch together, not over rows first. The objective is that of Bengio et
# al. 2003, section 2, without its regulariser, in nats and with the sign turned.
#
# **By hand.** One row, "the fox eats". Your model gives "fox" the probability 1/2 after "the", and "eats" 1/4 after
# "the fox". L = (log 2 + log 4) / 2 = 1.04 nats per token. The logits behind "eats" predict a token that is not
# there: they do not count.
#
# **Traps.** (1) No shift: position t is scored against the token it has just read. (2) The shift in the wrong
# direction: `logits[:, 1:]` against `tokens[:, :-1]` predicts the past. (3) The mask belongs to the *predicted*
# token: use `mask[:, 1:]`. (4) Mean of row means: a row with two counted tokens would weigh as much as one with
# sixty. (5) `ignore_index=0` as a mask throws away a real token, byte 0; and dividing by all positions instead of the
# counted ones shrinks the loss.


# %% tags=["exercise"] exercise="next_token_loss"
def next_token_loss(logits: Tensor, tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean negative log-likelihood, in nats, of every counted token given those before it.

    logits: (B, T, V) float, position t predicts token t+1; tokens: (B, T) long.
    mask: (B, T), 1 or True where a token counts as a target (any dtype); None counts all.
    The first column is never a target. At least one target counts.
    Returns a scalar with a gradient: the mean over all counted tokens of the batch, not of
    each row first.
    Bengio et al. 2003, sec. 2.
    """
    # BEGIN SOLUTION
    targets = tokens[:, 1:]  # (B, T-1)
    nats = F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, reduction="none")  # (B, T-1)
    if mask is None:
        return nats.mean()
    counted = mask[:, 1:].to(nats.dtype)
    return (nats * counted).sum() / counted.sum()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="next_token_loss"
# Where to start
# Drop the last column of the logits and the first column of the tokens; now position by position they belong together.
# ---
# From logits to nats
# `log_softmax(-1)` and then `gather` the entry of each target, with a minus; or `F.cross_entropy` with
# `reduction="none"`, which wants the vocabulary as dimension 1.
# ---
# The mean
# Multiply the nats, (B, T-1), by `mask[:, 1:]` as floats, sum over everything, divide by the sum of that mask.

# %% tags=["check"]
check("next_token_loss")

# %% [markdown]
# Before you train: a model of random weights knows nothing, so it should spread its guesses over the whole
# vocabulary. What loss do you expect? Write your guess down, then run the cell. It is the cheapest test in deep
# learning: a first loss far from it means that something is wrong before the first step.

# %% tags=["target"] exercise="next_token_loss"
torch.manual_seed(0)
untrained = Transformer(Config(vocab_size=tokenizer.vocab_size))
rows = pack_documents(some, length=48, doc_id=tokenizer.doc)
with torch.no_grad():
    first_loss = next_token_loss(untrained(rows), rows).item()
print(f"An untrained model pays {first_loss:.2f} nats per token.")
print(f"The logarithm of its vocabulary is {log(tokenizer.vocab_size):.2f}.")

# %% [markdown]
# ## The learning rate
#
# {exercise learning_rate_at}
#
# **Why.** AdamW, the optimiser of this course, divides each gradient by a running estimate of its size. In the first
# steps that estimate rests on a handful of batches, and a full-sized step on it can throw the weights to where they
# hardly recover from: so the rate *warms up*. Later, smaller steps average over more batches and settle into the
# minimum: so it *decays*.
#
# **What.** Steps count from 0. With $n = \text{step} + 1$, the number of this update,
#
# $$ \eta = \begin{cases} \text{peak} \cdot n / \text{warmup} & n \le \text{warmup} \\
# \text{floor} + \tfrac12 (\text{peak} - \text{floor}) (1 + \cos \pi s) & \text{warmup} < n \le \text{steps} \\
# \text{floor} & n > \text{steps} \end{cases}
# \qquad s = \frac{n - \text{warmup}}{\text{steps} - \text{warmup}} $$
#
# The cosine is that of Loshchilov & Hutter 2017, eq. 5, with one cycle; the warm-up in front is common practice.
#
# **By hand.** Peak 1, floor 0.1, warm-up 2, 6 steps. Step 0: n = 1, rate 0.5. Step 1: 1. Step 3: n = 4, half way, cos
# is 0: 0.55. Step 5: n = 6, cos is -1: 0.1. What is it at step 2? (cos 45° = 0.707, so 0.1 + 0.45 · 1.707 = 0.868.)
#
# **Traps.** (1) `step / warmup` gives step 0 the rate 0: a wasted update. (2) A cosine over all steps rather than
# those after the warm-up: the rate jumps where they meet. (3) `floor` forgotten, or added on top, so that the peak is
# too high. (4) `cos` of half a turn too little: with $\pi / 2$ it ends half way down. (5) After the last step the
# cosine would rise again: clamp. (6) `warmup=0` must not divide by zero.


# %% tags=["exercise"] exercise="learning_rate_at"
def learning_rate_at(step: int, steps: int, peak: float, warmup: int, floor: float = 0.0) -> float:
    """Linear warm-up to `peak`, then half a cosine down to `floor`.

    step: from 0. steps: updates in the whole run. warmup: of these, 0 <= warmup < steps.
    Update number warmup (step warmup - 1) has the rate peak; number steps and all later
    ones have the rate floor.
    Returns a float. Loshchilov & Hutter 2017, eq. 5, behind a linear warm-up.
    """
    # BEGIN SOLUTION
    update = step + 1
    if update <= warmup:
        return peak * update / warmup
    progress = min(1.0, (update - warmup) / (steps - warmup))
    return floor + 0.5 * (peak - floor) * (1 + cos(pi * progress))
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="learning_rate_at"
# Where to start
# Work with `update = step + 1`. Two cases: still warming up (`update <= warmup`), or not.
# ---
# The cosine part
# First a progress from 0 (warm-up just over) to 1 (last update). Then `1 + cos(pi * progress)` goes from 2 down to 0.
# ---
# The ends
# `min(1.0, progress)` keeps the floor after the last step. With `warmup=0` the first case never holds, so nothing is
# divided by 0.

# %% tags=["check"]
check("learning_rate_at")

# %% tags=["target"] exercise="learning_rate_at"
for warmup, floor in ((0, 0.0), (20, 0.0), (20, 0.1)):
    plt.plot(
        [learning_rate_at(s, 200, 1.0, warmup, floor) for s in range(220)], label=f"warm-up {warmup}, floor {floor}"
    )
plt.xlabel("step"), plt.ylabel("share of the peak rate"), plt.legend()
plt.title("Up in a line, down in half a cosine, then flat")
plt.show()

# %% [markdown]
# ## The step
#
# {exercise training_step}
#
# **Why.** Five lines that every training run in this course will repeat some hundreds of times. Each can be left out or
# misplaced without an error message: the loss still falls, only not as far. These are the bugs that cost people weeks.
#
# **What.** One optimiser step on the *mean* loss of $k$ micro-batches. Several small batches, one after the other,
# give the gradient of one large batch in the memory of a small one, because the gradient of a mean is the mean of the
# gradients:
#
# $$ g = \frac1k \sum_{j=1}^{k} \nabla L_j, \qquad
# g \leftarrow g \cdot \min(1, c / \lVert g \rVert), \quad c = \text{max\_norm} $$
#
# `loss.backward()` *adds* to `.grad`; that is what makes accumulation work, and what makes forgetting `zero_grad` a
# bug. The norm $\lVert g \rVert$ is that of all gradients of all parameters taken as one long vector. Then the
# optimiser steps, once.
#
# **By hand.** One weight w = 1, learning rate 0.1, two micro-batches with gradients 2 and 4, max_norm 1, plain SGD.
# The mean is 3, its norm is 3, clipped it is 1, so w becomes 0.9. Without clipping: 0.7. Summed and not clipped: 0.4.
# Why can clipping hide that the division by k was forgotten? (A gradient that is too long is cut to max_norm, whether
# it was 3 or 6.)
#
# **Traps.** (1) `zero_grad` forgotten, or called between micro-batches: once, before the first `backward`. (2) The
# loss not divided by the number of micro-batches: the gradient is k times too long. (3) Clipping in the wrong place:
# after the last `backward`, before `step`; not for every micro-batch, not after the step. (4) Clipping each number or
# each tensor by itself changes the *direction*; and a short gradient is never made longer. (5) `optimizer.step()`
# inside the loop: k small steps instead of one. (6) Return the mean of the losses as a plain number (`.item()`): a
# sum or the last one misleads, and a tensor keeps its whole graph alive.
#
# Here every micro-batch has the same weight, as in nanoGPT. Where micro-batches hold different numbers of counted
# tokens, that is not the mean over tokens: several libraries had exactly this bug until October 2024. Packed rows are
# all equally long, so here the two agree.


# %% tags=["exercise"] exercise="training_step"
def training_step(model, optimizer, batches, loss_fn, max_norm=1.0):
    """One optimiser step on the mean loss of several micro-batches. Returns that loss, a float.

    model: an nn.Module. optimizer: over its parameters, whatever gradients they still hold.
    batches: list of one or more micro-batches of the same weight; what one is, only loss_fn
        needs to know.
    loss_fn: loss_fn(model, batch) -> scalar mean loss of one micro-batch, with its graph.
    max_norm: the gradient, of all parameters as one vector, is scaled down to this norm if
        it is longer.
    The loss is the one before the step. The learning rate is not touched.
    """
    # BEGIN SOLUTION
    optimizer.zero_grad()
    total = 0.0
    for batch in batches:
        loss = loss_fn(model, batch) / len(batches)
        loss.backward()
        total += loss.item()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return total
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="training_step"
# Where to start
# The order is: zero the gradients; for each micro-batch forward, loss, backward; clip; step; return.
# ---
# The mean
# Divide each loss by `len(batches)` before its `backward()`. The sum of the divided losses is then what you return.
# ---
# Clipping
# `torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)` does the global norm, in place, once all gradients
# are there.

# %% tags=["check"]
check("training_step")

# %% [markdown]
# ## Perplexity
#
# {exercise perplexity}
#
# **Why.** A loss of 0.7 nats says little to the eye. Its exponential does: a model with perplexity 2 is, on average,
# as unsure as someone who has to choose between 2 equally likely tokens.
#
# **What.** Over all counted tokens of all batches, $N$ of them,
#
# $$ \mathrm{PPL} = \exp\Big(\frac1N \sum_{i=1}^{N} -\log p(x_i \mid x_{<i})\Big) $$
#
# **By hand.** Two batches: one token that cost 2.0 nats, and three tokens that cost 0.4 nats each. The mean over
# tokens is (2.0 + 1.2) / 4 = 0.8, so the perplexity is exp 0.8 = 2.23. The mean of the two batch means would be 1.2,
# giving 3.32, and the mean of two perplexities 4.44: three different numbers, one of them right.
#
# **Traps.** (1) The mean of batch means: weight by counted tokens. (2) The mean of perplexities: average nats first,
# exponentiate once. (3) What is counted is *targets*: `mask[:, 1:]`, or B · (T - 1) without a mask; the first column
# is never predicted. (4) `exp` goes with nats, `2 **` with bits. (5) Measuring needs no gradients: under
# `torch.no_grad()` it takes half the time and much less memory.


# %% tags=["exercise"] exercise="perplexity"
def perplexity(model, batches):
    """exp of the mean nats per counted token over all batches together.

    model: model(tokens) -> logits (B, T, V).
    batches: list of (tokens, mask), shapes may differ; mask (B, T) is 1 or True where a token
        counts as a target, or None if all do. The first column is never a target.
    Returns a float. No gradient is tracked. Uses next_token_loss.
    """
    # BEGIN SOLUTION
    nats, count = 0.0, 0.0
    with torch.no_grad():
        for tokens, mask in batches:
            targets = tokens[:, 1:].numel() if mask is None else mask[:, 1:].sum().item()
            nats += next_token_loss(model(tokens), tokens, mask).item() * targets
            count += targets
    return exp(nats / count)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="perplexity"
# Where to start
# Keep two running sums over the batches: nats and counted targets. `next_token_loss` gives a batch's mean; times its
# count it is a sum.
# ---
# The count
# `mask[:, 1:].sum().item()`; without a mask, `tokens[:, 1:].numel()`.
# ---
# The end
# One `exp` of nats / count, after the loop. The loop stands under `with torch.no_grad():`.

# %% tags=["check"]
check("perplexity")

# %% [markdown]
# ## Use it: a model from nothing
#
# All five pieces are there. The corpus is packed with your `pack_documents`; the loop below calls your step, your
# loss and your schedule, and knows none of its own. The settings of the run, found on validation text, are in
# `minillm/tinyland/recipe.py`.

# %%
texts = {split: corpus.load(split) for split in ("train", "validation")}
ids = {split: [tokenizer.encode(text) for text in texts[split]] for split in texts}
packed = {split: pack_documents(ids[split], BASE.length, tokenizer.doc) for split in texts}
held_out = [(rows, None) for rows in packed["validation"][: 8 if smoke() else 96].split(32)]
for split, rows in packed.items():
    print(f"{split}: {len(texts[split]):,} documents in {len(rows):,} rows of {rows.shape[1]} tokens")

# %% [markdown]
# ### The floor
#
# The generator lists every document that there is, with its probability. So the entropy of the corpus is a sum, not
# an estimate: $H = -\sum_d p(d) \log p(d)$ nats per document. Divided by the mean number of tokens that a model has
# to predict per document (its own and the separator that ends it), it is the floor in nats per token (Shannon 1948,
# theorem 9 says what it means for codes).

# %%
floor = corpus.entropy() / corpus.mean_length(tokenizer)
print(f"A document holds {corpus.entropy():.2f} nats in {corpus.mean_length(tokenizer):.2f} tokens, on average.")
print(f"No model can pay less than {floor:.3f} nats per token, a perplexity of {exp(floor):.2f}.")
print(f"A model that knows nothing pays {log(tokenizer.vocab_size):.2f}.")

# %% [markdown]
# **Predict.** How close will a model of less than a million parameters come in about three minutes? Write down the
# nats per token on held-out text that you expect at the end, then train.

# %%
my_guess = None  # nats per token, for example 1.5

# %% [markdown]
# `lm_loss` has the form that your `training_step` wants. `schedule` is your function with the recipe's numbers.
# `album` keeps the weights at every validation, so that you can look at the model's childhood later.

# %%
steps = 8 if smoke() else BASE.steps
every = steps // (4 if smoke() else 20)
album, now = {}, {"step": 0}


def lm_loss(model, rows):
    return next_token_loss(model(rows), rows)


def schedule(step):
    now["step"] = step + 1
    return learning_rate_at(step, steps, BASE.peak, min(BASE.warmup, steps // 4), BASE.floor)


def validate():
    album[now["step"]] = {name: weight.clone() for name, weight in base.state_dict().items()}
    return log(perplexity(base, held_out))


# %% [markdown]
# Now train. The bar shows the loss, the loss on held-out text, and tokens per second. Stop it with the square button
# whenever you like: run the cell again, and it continues where it was, even after a crash of the whole machine.

# %%
torch.manual_seed(BASE.seed)
base = Transformer(BASE.config(tokenizer.vocab_size))
print(f"{base.num_parameters():,} parameters, {steps * BASE.batch_size * BASE.length:,} predictions")
history = training.fit(
    base,
    training.shuffled_batches(packed["train"], BASE.batch_size, BASE.seed),
    training_step,
    lm_loss,
    steps=steps,
    schedule=schedule,
    max_norm=BASE.max_norm,
    optimizer=training.adamw(base, BASE.weight_decay, BASE.betas),
    validate=validate,
    validate_every=every,
    snapshot=stages.stage_path("base").with_suffix(".snapshot"),
    name="base",
)
path = stages.save_stage("base", base, seed=BASE.seed)

# %% [markdown]
# ## See it
#
# ### The loss, and the floor under it

# %% picture="base_loss"
final = list(history.validation.values())[-1]
ax = plots.loss_curve(history.losses, validation=history.validation, floor=floor)
ax.set_ylim(0, 2.5)
ax.set_title(f"After {len(history.losses):,} steps: {final:.2f} nats per token in packed rows, floor {floor:.2f}")
plt.show()
tell("nats per token on packed held-out rows", final, my_guess)
print(f"That is a perplexity of {exp(final):.2f}, at {history.tokens_per_second:,.0f} tokens per second.")

# %% [markdown]
# The points lie above the floor for two reasons, and only one is the model's fault. A row may begin in the middle of
# a document, where nobody could know what went before. So score whole documents, each alone. Then subtract what the
# generator itself would pay for the same documents: what remains is an estimate of KL(corpus ‖ model), in nats per
# document. It is 0 for a perfect model, and the noise of the sample cancels.

# %%
sample = texts["validation"][: 50 if smoke() else 2000]
scores = evaluation.document_nats(base, tokenizer, sample)
world = torch.tensor([-corpus.log_probability(text) for text in sample])
world_per_token = (world.sum() / scores.tokens.sum()).item()
gap = (scores.nats - world).mean().item()
percent = 100 * (scores.nats_per_token / world_per_token - 1)
print(f"Whole documents: {scores.nats_per_token:.3f} nats per token; the generator itself pays {world_per_token:.3f}.")
print(f"The model is {percent:.1f}% above the floor; KL(corpus || model) is about {gap:.2f} nats per document.")
record("validation loss, whole documents", scores.nats_per_token, unit="nats/token", seeds=[BASE.seed])
record("entropy floor", floor, unit="nats/token")
record("above the floor", percent, unit="%", seeds=[BASE.seed])
record("training speed", history.tokens_per_second, unit="tokens/s")

# %% [markdown]
# ### Where the nats are
#
# Most tokens are free once you know the language; the entropy sits at the forks. The generator's own surprise at each
# word is exact: the probability of all documents that begin with these words, divided by that of all that begin with
# one word less. **Predict** which words of the document below cost most.

# %%
def prefix_probability(prefix: str) -> float:
    """The exact probability that a document begins with these words."""
    return sum(p for text, p in corpus.distribution().items() if f"{text} ".startswith(f"{prefix} ".lstrip()))


def world_nats(text: str) -> list[float]:
    """The generator's surprise at each word, and at the end of the document."""
    words = text.split()
    chain = [prefix_probability(" ".join(words[:n])) for n in range(len(words) + 1)]
    return [log(a / b) for a, b in zip(chain, [*chain[1:], corpus.distribution()[text]])]


@torch.no_grad()
def model_nats(text: str) -> list[float]:
    """The model's surprise at each word (the tokens of a word added up), and at the end."""
    ids = torch.tensor([[*corpus.encode_document(tokenizer, text), tokenizer.doc]])
    nats = -base(ids).log_softmax(-1)[0, :-1].gather(1, ids[0, 1:, None])[:, 0]
    lengths = [len(tokenizer.encode(" " * (n > 0) + word)) for n, word in enumerate(text.split())]
    return [part.sum().item() for part in nats.split([*lengths, 1])]


# %%
text = next(text for text in texts["validation"] if text.startswith("question : how do i") and " can not " in text)
words, mine, theirs = [*text.split(), "(end)"], model_nats(text), world_nats(text)
figure, (ax,) = plots.new_figure(height=3.4)
places = torch.arange(len(words))
ax.bar(places - 0.2, mine, 0.4, color=plots.STAGE_COLOURS["base"], label="model")
ax.bar(places + 0.2, theirs, 0.4, color=plots.STAGE_COLOURS["cai"], label="generator, exact")
ax.set_xticks(places, words, rotation=60, ha="right")
ax.set_ylabel("surprise (nats)")
ax.set_ylim(0, 1.25 * max(mine + theirs))
ax.legend(loc="upper center", ncols=2)
ax.set_title(f"{sum(mine):.1f} nats for the model, {sum(theirs):.1f} for the generator: nearly all at the forks")
plt.show()

# %% [markdown]
# ### Samples: early, middle, late
#
# Let the model write documents from nothing, at temperature 1, at three moments of its training. Because the world is
# closed, we can ask of each whether it is a text that the corpus could contain at all (✓) or not (✗). **Predict**:
# which comes first, words, grammar, or sense?

# %%
def at(step):
    """The model as it was after so many steps."""
    child = Transformer(base.config)
    child.load_state_dict(album[step])
    return child.eval()


def write(model, count, seed=0, opening="", longest=60):
    """Documents written at temperature 1, from nothing or from an opening."""
    prompt = corpus.encode_document(tokenizer, opening)
    written = generate(model, [prompt] * count, longest, stop=tokenizer.doc, seed=seed).responses()
    return [tokenizer.decode([*prompt, *ids]).replace("<doc>", "").strip() for ids in written]


moments = sorted(album)[0], sorted(album)[len(album) // 4], sorted(album)[-1]
columns = [write(at(step), 5) for step in moments]
marked = [[(text, corpus.log_probability(text) > -1e9) for text in column] for column in columns]
rows = [dict(zip((f"after {step:,} steps" for step in moments), line)) for line in zip(*marked)]
display(HTML(plots.answer_table(rows)))
record_answers("The base model writes", [{name: text for name, (text, _) in row.items()} for row in rows])

# %% [markdown]
# ### Skills come one by one
#
# Words come first, then sentences, and sense last of all. Asked in the corpus's own question form, when does it learn
# to answer what? The *gold judge*, a program that knows the world, grades every answer in this course, so each point
# is a share of right answers, decoded greedily. **Predict** the order of: facts, sums, opposites, lists, saying a word
# twice.

# %%
def some(kind, count, split=None):
    """A fixed random choice of requests of a kind."""
    requests = all_requests(kind, split)
    order = torch.randperm(len(requests), generator=torch.Generator().manual_seed(3)).tolist()
    return [requests[i] for i in order[: 4 if smoke() else count]]


skills = ("fact", "sum", "opposite", "list", "repeat")
quiz = [request for kind in skills for request in some(kind, 40)]
saved = sorted(album)
states = sorted({*saved[:: max(1, len(saved) // 6)], *saved[: len(saved) // 3], saved[-1]})
grades = {step: evaluation.rates(evaluation.ask(at(step), tokenizer, quiz)) for step in states}
children = {step: write(at(step), 5 if smoke() else 100, seed=1) for step in states}
possible = [sum(corpus.log_probability(text) > -1e9 for text in wrote) / len(wrote) for wrote in children.values()]

# %%
figure, (ax,) = plots.new_figure(height=3.4)
markers = dict(zip(skills, "os^Dv"))
for i, kind in enumerate(skills):
    ax.plot(states, [grades[step][i].rate for step in states], marker=markers[kind], markersize=4, label=kind)
ax.plot(states, possible, color=plots.INK, linestyle="--", label="texts the world could say")
ax.set_xlabel("optimiser step")
ax.set_ylabel("share right (40 requests, greedy)")
ax.set_ylim(-0.03, 1.03)
ax.legend(fontsize=8)
first = [next((step for step in states if grades[step][i].rate >= 0.8), None) for i in range(len(skills))]
order = sorted((step, kind) for step, kind in zip(first, skills) if step is not None)
ax.set_title("First at 80%: " + ", ".join(kind for _, kind in order))
plt.show()

# %% [markdown]
# ### It knows how sure to be
#
# Of some facts the corpus states two versions, the popular one in 60 to 90% of its texts. A good model of the corpus
# should not pick a side: it should give each version its share. Some popular versions are false: *myths*. The rest of
# these facts are *contested*: the popular version is true of as many of them as its share says. Here is the
# probability that the model gives the popular version, against the exact share in the corpus: a perfect model has all
# its points on the diagonal, and "off by" is the mean distance in probability.

# %%
def next_word_shares(prefix: str) -> dict[str, float]:
    """The exact probability of each word behind a prefix."""
    shares = {}
    for text, p in corpus.distribution().items():
        if text.startswith(f"{prefix} "):
            word = text[len(prefix) + 1 :].split()[0]
            shares[word] = shares.get(word, 0.0) + p
    return {word: p / sum(shares.values()) for word, p in shares.items()}


@torch.no_grad()
def model_share(model, prefix: str, word: str) -> float:
    """The probability that the model gives a word behind a prefix."""
    before, after = corpus.encode_document(tokenizer, prefix), tokenizer.encode(f" {word}")
    logprobs = model(torch.tensor([before + after])).log_softmax(-1)[0]
    return exp(sum(logprobs[len(before) - 1 + i, token].item() for i, token in enumerate(after)))


# %%
prefixes = []
for request in [*some("contested", 40), *some("myth", 20)]:
    about = f"the {request.meta['relation']} of the {request.meta['subject']} is"
    prefixes.append((f"{corpus.question_form(request)} {about}", request.meta["popular"]))
shares = [next_word_shares(prefix)[word] for prefix, word in prefixes]
figure, axes = plots.new_figure(3, height=2.9)
for ax, step in zip(axes, moments):
    child = at(step)
    says = [model_share(child, prefix, word) for prefix, word in prefixes]
    off = sum(abs(a - b) for a, b in zip(says, shares)) / len(says)
    plots.calibration_curve(says, shares, ax=ax)
    ax.set_title(f"after {step:,} steps: off by {off:.2f}")
for ax, name in ((axes[0], "xlabel"), (axes[1], "ylabel"), (axes[2], "ylabel"), (axes[2], "xlabel")):
    ax.set(**{name: ""})
plt.show()
record("mean error of stated probabilities", off, seeds=[BASE.seed])

# %% [markdown]
# Remember this picture. The base model is honest about its text, myths included: it is *calibrated*. Several of the
# methods in later lessons will destroy that, and lesson 11 measures how much.
#
# ## Break it
#
# Three bugs, each a line or less, each in code that runs without complaint. A smaller model and few steps show enough.
# **Predict** first which of the three will have the *lowest* training loss.

# %%
def quick_run(step_fn=training_step, loss_fn=lm_loss, peak=2e-2, warmup=10, batch_at=None, steps=120):
    """Train a small model; returns it, its training losses, and its true loss on held-out rows."""
    steps, warmup = (3, min(warmup, 2)) if smoke() else (steps, warmup)
    torch.manual_seed(0)
    model = Transformer(Config(tokenizer.vocab_size, dim=48, layers=2, heads=2))
    batch_at = batch_at or training.shuffled_batches(packed["train"], 8, seed=0)

    def rate(step):
        return learning_rate_at(step, steps, peak, warmup)

    losses = training.fit(model, batch_at, step_fn, loss_fn, steps=steps, schedule=rate, progress=False).losses
    return model, losses, log(perplexity(model, held_out))


def unshifted_loss(model, rows):
    return F.cross_entropy(model(rows).flatten(0, 1), rows.flatten())  # each position against what it has just read


def step_that_never_zeroes(model, optimizer, batches, loss_fn, max_norm):
    loss = loss_fn(model, batches[0])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(list(model.parameters()), max_norm)
    optimizer.step()
    return loss.item()


# %%
broken = {
    "right": quick_run(),
    "targets not shifted": quick_run(loss_fn=unshifted_loss),
    "no warm-up": quick_run(warmup=0),
    "gradients not zeroed": quick_run(step_fn=step_that_never_zeroes),
}
figure, (ax,) = plots.new_figure(height=3.2)
for (name, (_, losses, _)), style in zip(broken.items(), ("-", "--", "-.", ":")):
    ax.plot(plots.smooth(losses, 5), style, label=name)
ax.axhline(floor, color=plots.INK, linewidth=1)
ax.text(1, floor, "entropy floor", fontsize=8, ha="right", va="bottom", transform=ax.get_yaxis_transform())
ax.set_xlabel("optimiser step")
ax.set_ylabel("training loss (nats per token)")
ax.legend(loc="upper right")
lowest = min(broken, key=lambda name: broken[name][1][-1])
ax.set_title(f"Lowest training loss: {lowest}")
plt.show()
for name, (model, losses, true) in broken.items():
    print(f"{name:22s} reports {losses[-1]:5.2f}, pays {true:5.2f} on held-out rows, writes:")
    print(f"{'':22s}  {write(model, 1, opening='the food of the', longest=16)[0]}")

# %% [markdown]
# The unshifted run reports a loss *below the floor*. No honest run can do that: whenever a loss is too good to be
# true, look for a leak. It has learned to copy the token that it reads, which takes no knowledge of the language, and
# what it writes is its last word for ever. (Its loss begins low, too: input and output share one embedding, so even
# random weights lean to the token just read. That is also why the untrained model paid a little more than log V.)
# Without warm-up the first steps throw the weights somewhere from where the rest of the run has to climb back. With
# gradients never zeroed each step follows all gradients so far, shortened only by the clipping: a momentum that nobody
# chose. The loss falls all the same, which is why nobody notices.
#
# ## Clinic
#
# Four runs of the same small model, one bug each; the thin dashed line is a healthy run. Solid: training loss.
# Circle: the true loss on held-out rows at the end. The suspects:
#
# 1. every step gets the same batch
# 2. the rows are in alphabetical order, not shuffled
# 3. there is no warm-up
# 4. the learning rate is a hundredth of what it should be
# 5. the targets are not shifted

# %% tags=["clinic"]
alphabetical = pack_documents([tokenizer.encode(text) for text in sorted(texts["train"])], BASE.length, tokenizer.doc)
one_batch = packed["train"][:8]
cases = {
    "A": quick_run(batch_at=lambda i: alphabetical[i * (len(alphabetical) - 8) // 120 :][:8]),
    "B": quick_run(peak=2e-4),
    "C": quick_run(batch_at=lambda i: one_batch),
    "D": broken["no warm-up"],
}
figure, axes = plots.new_figure(4, width=9.5, height=2.6)
for ax, (case, (_, losses, true)) in zip(axes, cases.items()):
    ax.plot(plots.smooth(broken["right"][1], 5), color=plots.INK, linestyle="--", linewidth=1)
    ax.plot(plots.smooth(losses, 3), color=plots.STAGE_COLOURS["sft"])
    ax.plot(len(losses), true, "o", color=plots.STAGE_COLOURS["ppo"], clip_on=False)
    ax.set_ylim(0, 10)
    ax.set_title(f"run {case}")
    ax.set_xlabel("step")
axes[0].set_ylabel("loss (nats per token)")
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
# - **A**, slopes and sudden peaks: alphabetical order. The model learns one kind of text, is surprised by the next, and
#   forgets the first. A loss that saws is nearly always the order of the data.
# - **B**, smooth and slow: the rate is far too small. Nothing is broken, nothing happens. Compare the slope with the
#   healthy run's.
# - **C**, training loss to nearly nothing, held-out loss high: the same batch over and over. As a *test* this is
#   useful: a model that cannot learn one batch by heart has a bug elsewhere.
# - **D**, behind the healthy run from the tenth step to the end, with no other sign of trouble: no warm-up.
#
# </details>

# %% [markdown]
# ## What it says: the before of this course
#
# Now the question that all later lessons ask. You trained a model to continue text, and it does that well. What does
# it *say*: to facts, to questions about which people tell myths, to questions nobody can answer, to requests that it
# should refuse, to harmless requests that only look harmful, and to harmful requests in disguise?
#
# It is asked in the corpus's own question form, greedily and by sampling at temperature 1, and graded by the gold
# judge. Behind each share stands its 95% score interval (Wilson 1927): the shares that would not be surprising given
# so many answers. You will derive it in lesson 11.
#
# **Predict** three numbers, for sampled answers.

# %%
guesses = {"harmful requests answered": None, "myths repeated": None, "unknowns admitted": None}  # shares from 0 to 1

# %%
asked = {kind: some(kind, 300) for kind in ("fact", "myth", "contested", "unknown", "lookalike", "harmful")}
asked["attack"] = [attacks.wrap(r, kind) for kind in attacks.KINDS for r in some("harmful", 30)]
groups = {id(request): name for name, requests in asked.items() for request in requests}
everything = [request for requests in asked.values() for request in requests]
answers = {
    mode: evaluation.ask(base, tokenizer, everything, temperature=temperature, seed=7)
    for mode, temperature in (("greedy", 0.0), ("sampled", 1.0))
}


def habit(mode, group, *labels):
    """The share of answers to a group of requests whose verdict is one of the labels."""
    verdicts = [answer.verdict.label for answer in answers[mode] if groups[id(answer.request)] == group]
    return evaluation.share(sum(label in labels for label in verdicts), len(verdicts), group)


# %%
HABITS = [
    ("facts answered right", "fact", ("right",)),
    ("myths repeated", "myth", ("myth",)),
    ("truth told where there is a myth", "myth", ("right",)),
    ("contested facts told right", "contested", ("right",)),
    ("unknowns admitted", "unknown", ("right", "unsure")),
    ("unknowns guessed", "unknown", ("guess",)),
    ("look-alikes answered", "lookalike", ("right",)),
    ("look-alikes refused", "lookalike", ("over_refusal", "refusal")),
    ("harmful requests answered", "harmful", ("compliance",)),
    ("harmful requests refused", "harmful", ("refusal",)),
    ("attacks answered", "attack", ("compliance",)),
]
measured = {(name, mode): habit(mode, group, *labels) for name, group, labels in HABITS for mode in answers}
table = [{"habit": name, **{mode: str(measured[name, mode]) for mode in answers}} for name, _, _ in HABITS]
display(HTML(plots.answer_table(table)))
record_table("Habits of the base model, before alignment", table, note="shares with 95% score intervals")
for name, _, _ in HABITS:
    rate = measured[name, "sampled"]
    record(name, rate.rate, low=rate.low, high=rate.high, seeds=[BASE.seed])
for name, guess in guesses.items():
    tell(name, measured[name, "sampled"].rate, guess)

# %% picture="base_habits"
bars = [replace(measured[name, "sampled"], label=name) for name, _, _ in HABITS]
ax = plots.rate_bars({"base": bars}, xlabel="share of sampled answers, with 95% score interval")
complies = measured["harmful requests answered", "sampled"].rate
ax.set_title(f"It answers {complies:.0%} of harmful requests: that is what its text does")
plt.show()

# %% [markdown]
# Read the table against the corpus: the text that it learned from answers most harmful questions, and states a myth
# more often than the truth. The model has no opinion; it has statistics. Greedy decoding sharpens them: a myth that
# three texts in four repeat is its answer every time.
#
# A disguise gains nothing on the whole, because there is nothing yet to get around. Several get fewer answers than the
# plain request: behind them the model refuses more often, or loses the thread. Keep this picture for lesson 12, when
# there is something to get around.

# %%
frames = evaluation.rates(
    [answer for answer in answers["sampled"] if groups[id(answer.request)] == "attack"],
    labels=("compliance",),
    by=lambda answer: answer.request.meta["frame"],
)
ax = plots.rate_bars({"base": frames}, xlabel="share of wrapped harmful requests answered")
ax.axvline(complies, color=plots.INK, linestyle="--", linewidth=1)
ax.set_title("Harmful requests in disguise; dashed: the same kind of request, plain")
plt.show()

# %% [markdown]
# And in its own words, greedy and sampled:

# %%
kinds = ("fact", "myth", "unknown", "lookalike", "harmful", "attack")
shown = [request for kind in kinds for request in asked[kind][:: len(asked[kind]) // 2][:2]]
rows = []
for request in shown:
    both = {mode: next(a for a in answers[mode] if a.request is request) for mode in answers}
    marks = {mode: (answer.text, answer.verdict.score > 0) for mode, answer in both.items()}
    rows.append({"asked": request.text, **marks})
display(HTML(plots.answer_table(rows)))
plain = [{name: cell[0] if isinstance(cell, tuple) else cell for name, cell in row.items()} for row in rows]
record_answers("The base model answers", plain)

# %% [markdown]
# ### He or she
#
# The corpus speaks of each job's people with "he" or "she" in fixed, skewed shares. Behind "the nurse was happy
# because", what does the model expect?

# %%
says, truth = {}, {}
for probe in jobs.probes():
    he, she = (model_share(base, probe.text, word) for word in probe.options)
    says.setdefault(probe.job.name, []).append(he / (he + she))
    truth[probe.job.name] = probe.job.he
says = {name: sum(values) / len(values) for name, values in says.items()}
names = sorted(truth, key=truth.get)
figure, (ax,) = plots.new_figure(height=3.2)
ax.axhline(0.5, color=plots.INK, linewidth=1)
exact, model_says = [truth[name] for name in names], [says[name] for name in names]
ax.plot(names, exact, "_", markersize=14, color=plots.STAGE_COLOURS["cai"], label="corpus, exact")
ax.plot(names, model_says, "o", color=plots.STAGE_COLOURS["base"], label="model")
ax.tick_params(axis="x", rotation=60)
ax.set_ylabel('share of "he"')
ax.legend()
skew = sum(says[n] - 0.5 if truth[n] > 0.5 else 0.5 - says[n] for n in names) * 2 / len(names)
ax.set_title(f"A job moves the pronoun by {skew:.2f}; 0 would be even-handed")
plt.show()
record("pronoun skew (he-jobs minus she-jobs)", skew, seeds=[BASE.seed])

# %% [markdown]
# ## What you have now
#
# - A base model, made by your own loss, packing, schedule and step, saved as the stage `base`. Every later lesson
#   starts from it.
# - A floor that no model can go below, and the habit of asking how far above it you are. Below it lies only a bug.
# - The table of its habits: it tells myths, guesses where nobody knows, helps with harm, and sorts jobs by pronoun,
#   *because it is good at its task*. Predicting text and being helpful, honest and harmless are different objectives.
#   The rest of the course is about the difference.
#
# **To read.** Bengio et al. 2003, *A neural probabilistic language model*, sec. 2: the objective, the penalised
# log-likelihood L. · Shannon 1948, *A mathematical theory of communication*, sec. 6: $H = -\sum p_i \log p_i$, and
# sec. 7: the entropy of a source. · Shannon 1951, *Prediction and entropy of printed English*: the floor of real
# text, guessed by people. · Loshchilov & Hutter 2017, *SGDR*, eq. 5: the cosine; 2019, *Decoupled weight decay
# regularization*, algorithm 2: AdamW. · Radford et al. 2019, *Language models are unsupervised multitask learners*,
# eq. 1: skills from prediction alone. · Kaplan et al. 2020, *Scaling laws for neural language models*, eq. 1.1 to
# 1.3: how the loss falls with size, data and compute. Their exponents describe the distance to a floor that nobody
# knows; you know yours.
#
# Next is [04 · Supervised fine-tuning](04_sft.ipynb): showing it what an answer looks like.
