# %% [markdown]
# # 00 · Start here
#
# A language model that has read everything has also read everything wrong. It repeats popular mistakes as fluently as
# facts, explains how to do harm as readily as how to bake bread, and flatters whoever asks. Making such a model
# honest, helpful and harmless is called *alignment*, and in this course you build it, every piece, on this machine.
#
# The model is small enough to learn within minutes. It lives in **Tinyland**, a world so small that a program can
# grade every answer. So when a lesson says that some training made the model more honest, you will have the number.
#
# This first page is a warm-up of a quarter of an hour. It is not graded. It shows you how the course works, and you
# write the three tensor moves that everything else is made of:
#
# | move | where you will meet it again |
# |---|---|
# | average over what counts, and only that | every loss and every rate, from lesson 03 on |
# | take the last entry of each row | the next word (02), the score of a reward model (05) |
# | turn scores into log-probabilities | sampling (02), the loss (03), every comparison of two models (06 to 11) |
#
# **How to work.** A grey box like the next one is a cell. Click into it and press **Shift+Enter**: it runs, and you
# land in the next. Do this for every cell, from the top down. If you get lost, *Kernel > Restart Kernel and Run All
# Cells* starts the page afresh; what you wrote stays.

# %% tags=["setup"]
import torch
from torch import Tensor

from minillm.course import check

# %% [markdown]
# ## One number by hand
#
# A model reads two texts and notes how surprised it was by each word. The first text has three words, the second only
# one:
#
#     the   fox   runs        2.0   1.0   3.0
#     yes                     4.0     -     -
#
# How surprised was it by a word, on average? Work it out before you read on.
#
# There are four words, with 2 + 1 + 3 + 4 = 10 in total, so the answer is **2.5**. But a tensor is a rectangle: it
# has no room for "no word here", so the two empty places hold *something*, and every careless formula finds its own
# way to count it:
#
# - the mean of all six places, with zeros in the empty ones, is 10 / 6 = 1.67;
# - the mean of the two rows' means is (2 + 4) / 2 = 3: now the single word weighs as much as the other three
#   together;
# - if the empty places hold garbage, as they often do, the mean is garbage too.
#
# So beside every batch goes a **mask**: 1 where a number counts, 0 where it does not. Here is a batch of five rows as
# most of this course will see it, and its mask. Two rows are filled up on the left, as is done when texts are to be
# continued.

# %%
import matplotlib.pyplot as plt

from minillm import plots

plots.use_style()
rows = ["xxxxxx", "xxx...", "..xxxx", "x.....", "....xx"]
mask = torch.tensor([[int(place == "x") for place in row] for row in rows])
torch.manual_seed(0)
surprise = torch.where(mask.bool(), 4 * torch.rand(5, 6), torch.tensor(99.0))  # 99: what nobody cleared away


# %%
def draw(ax, values: Tensor, title: str, top: float = 1.0, digits: int = 0) -> None:
    """A matrix as a heat map with its numbers written into it; what is above `top` is greyed out."""
    ax.imshow(values.clamp(max=top) * (values <= top), cmap="Oranges", vmin=0, vmax=1.6 * top, alpha=0.85)
    for (row, column), value in ((divmod(i, values.shape[1]), v) for i, v in enumerate(values.flatten().tolist())):
        colour = "#b0a89f" if value > top else "#333333"
        ax.text(column, row, f"{value:.{digits}f}", ha="center", va="center", color=colour, fontsize=9)
    ax.set(title=title, xlabel="position", ylabel="row", xticks=range(values.shape[1]), yticks=range(values.shape[0]))
    ax.grid(False)


figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2))
draw(left, surprise, "The numbers, and garbage where no word is", top=4.0, digits=1)
draw(right, mask.float(), "The mask says which ones count")
plt.show()

# %% [markdown]
# ## First move: average over what counts
#
# {exercise masked_mean}
#
# **Why.** Every loss in this course is a masked mean. With the wrong one, a model still trains, the curve still
# falls, and what it has learned is to predict padding. Nobody notices for weeks.
#
# **What.** The sum over the places where the mask is 1, divided by how many there are. As a loop, for one mean over
# everything:
#
#     total, count = 0, 0
#     for each row b, each position t:
#         if mask[b, t] is 1:  total += x[b, t];  count += 1
#     mean = total / count
#
# With `dim=1` there is one such mean for each row, with `dim=0` one for each column. Write it without loops.
#
# **By hand.** The two texts from the top of the page, with 9 for garbage: `x = [[2, 1, 3], [4, 9, 9]]`,
# `mask = [[1, 1, 1], [1, 0, 0]]`. Over everything: 2.5. With `dim=1`: `[2, 4]`. What is it with `dim=0`?
#
# <details><summary>Answer</summary>
#
# One mean for each column: `[3, 1, 3]`.
#
# </details>
#
# **Traps.** (1) `x.mean()` counts the padding. (2) Dividing by the number of *places* instead of the number of
# counted ones. (3) `x * mask` does not clear everything: 0 · inf is nan, and 0 · nan is nan. (4) The mean of row
# means is not the mean over everything.
#
# **Your first check, and it shall fail.** Replace the line `raise NotImplementedError(...)` below by this wrong
# answer, indented by four spaces, and run the cell. Then run the check under it.
#
# ```python
# return x.mean() if dim is None else x.mean(dim)
# ```
#
# The check says what was asked, shows the first number that differs, and, since it knows this mistake, calls it by
# its name. Read it; then write the right function, run the cell *again* (a check sees only what has been run), and
# check once more.


# %% tags=["exercise"] exercise="masked_mean"
def masked_mean(x: Tensor, mask: Tensor, dim: int | None = None) -> Tensor:
    """The mean of those numbers of x that count.

    x: (B, T) float; mask: (B, T), 1 or True where a number counts (bool, int or float).
    Where the mask is 0, x may hold anything, also inf and nan.
    dim: None gives one mean over all counted numbers, a scalar; 0 or 1 gives means along that dimension, (T,) or (B,).
    At least one number counts in each mean. Gradients reach the counted numbers only.

    >>> masked_mean(torch.tensor([[2.0, 1.0, 3.0], [4.0, 9.0, 9.0]]), torch.tensor([[1, 1, 1], [1, 0, 0]])).item()
    2.5
    """
    # BEGIN SOLUTION
    counted = mask.bool()
    kept = torch.where(counted, x, torch.zeros_like(x))
    return kept.sum(dim) / counted.sum(dim)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="masked_mean"
# where to start
#
# Hints are folded into one another: open the next one only if this one was not enough.
#
# You need two sums: of the numbers that count, and of the mask itself. `tensor.sum(dim)` takes `dim=None` for "over
# everything", so one formula serves all cases.
# ---
# clearing the garbage
#
# `torch.where(condition, a, b)` takes from `a` where the condition is True, and from `b` elsewhere. What is not taken
# has no influence at all, not even if it is nan. The condition must be bool: `mask.bool()`.
# ---
# the shape of it
#
# Three lines: the mask as bool; `x` with zeros where it is False; sum divided by sum.

# %% tags=["check"]
check("masked_mean")

# %% [markdown]
# Green? Then look at it on the batch of the picture. **Predict first:** will the mean over everything be below or
# above the mean of the row means? (The long rows and the short rows weigh differently. Find the short row in the
# picture.)

# %% tags=["target"] exercise="masked_mean"
everything, by_row = masked_mean(surprise, mask), masked_mean(surprise, mask, dim=1)
print(f"mean over the {int(mask.sum())} numbers that count: {everything.item():.3f}")
listed = " ".join(f"{value:.2f}" for value in by_row.tolist())
print(f"means of the rows: {listed} - and their mean: {by_row.mean().item():.3f}")
print(f"x.mean(), garbage and all: {surprise.mean().item():.1f}")

# %% [markdown]
# ## Second move: the last entry of each row
#
# {exercise take_last}
#
# **Why.** A model reads from left to right, so what stands at the *last* word of a text is all that it made of the
# text: its guess for the next word, and, in lesson 05, the score that it gives to an answer. In a batch the last word
# stands in a different column for every row.
#
# **What.** As a loop:
#
#     for each row b:
#         last = the largest t with mask[b, t] = 1
#         result[b] = x[b, last]
#
# `x` has shape (B, T), or (B, T, D) if each position holds a vector; the result then is (B,) or (B, D).
#
# **By hand.** Take the mask of the picture above. The last counted positions of its five rows are 5, 2, 5, ... what
# are the other two? And what does "the number of ones, minus 1" give for the five rows?
#
# <details><summary>Answer</summary>
#
# 0 and 5. The number of ones, minus 1, gives 5, 2, 3, 0, 1: right only where no padding stands on the left.
#
# </details>
#
# **Traps.** (1) The last column, `x[:, -1]`, is padding in many rows. (2) "Count the ones, minus 1" fails with
# padding on the left. (3) `mask.argmax(1)` finds the *first* 1. (4) `x[:, last]` takes *all* the columns in `last`
# from every row; you want one each. (5) Multiplying by a one-hot mask and summing lets inf and nan through, as
# before.


# %% tags=["exercise"] exercise="take_last"
def take_last(x: Tensor, mask: Tensor) -> Tensor:
    """The entry of x at the last counted position of each row.

    x: (B, T) or (B, T, ...), any further dimensions; mask: (B, T), 1 or True where a position counts (bool, int or
    float), at least one in each row, anywhere: padding may stand left, right, or in between.
    Where the mask is 0, x may hold anything, also inf and nan.
    Returns (B,) or (B, ...): x[b, t] for the largest t with mask[b, t] = 1. Gradients reach those entries only.
    """
    # BEGIN SOLUTION
    B, T = mask.shape
    positions = torch.arange(T, device=mask.device).expand(B, T)  # (B, T)
    last = torch.where(mask.bool(), positions, -1).amax(dim=1)  # (B,)
    return x[torch.arange(B, device=x.device), last]  # (B, ...)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="take_last"
# where to start
#
# Two steps: find the column of each row, a tensor `last` of shape (B,); then pick with it.
# ---
# finding the column
#
# Suppose every place held its own column number, 0 to T - 1 (`torch.arange(T)`), except that places that do not count
# hold -1. Which number of each row do you want? You know from the first move how to put something else where the
# mask is 0.
# ---
# picking one entry per row
#
# Indexing with *two* index tensors of shape (B,) walks through both at once: `x[rows, columns]` holds `x[rows[i],
# columns[i]]`. The rows are `torch.arange(B)`.

# %% tags=["check"]
check("take_last")

# %% [markdown]
# Expected and got, side by side. On the left is the batch; the frames mark what a plain loop finds. On the right are
# the loop's numbers and yours. Where a test fails you, draw such a picture: most bugs in this trade are visible in
# five rows.

# %% tags=["target"] exercise="take_last"
expected = [[value for value, counts in zip(*row) if counts][-1] for row in zip(surprise.tolist(), mask.tolist())]
got, blue = take_last(surprise, mask), plots.STAGE_COLOURS["sft"]

figure, (left, right) = plt.subplots(1, 2, figsize=(7.5, 3.2), width_ratios=[2.4, 1])
draw(left, surprise, "The last number that counts, row by row", top=4.0, digits=1)
for row in range(5):
    column = max(t for t in range(6) if mask[row, t])
    left.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=blue, linewidth=2.5))
draw(right, torch.stack([torch.tensor(expected), got], dim=1), "Expected, got", top=4.0, digits=1)
right.set(xticks=[0, 1], xticklabels=["loop", "yours"], xlabel="", ylabel="")
plt.show()

# %% [markdown]
# ## Third move: scores into log-probabilities
#
# {exercise log_softmax}
#
# **Why.** A model's last layer gives one score for each token: a *logit*, any number at all. Probabilities must be
# positive and add up to 1. The course works with their logarithms, because a text has hundreds of tokens: the product
# of hundreds of small probabilities is 0 on any computer, while the sum of their logarithms is an ordinary number.
#
# **What.** Along the last dimension, with $V$ logits $z_1 \dots z_V$:
#
# $$ \log p_i = z_i - \log \sum_{j=1}^{V} e^{z_j} $$
#
# Add the same number to all logits, and nothing changes. Use that freedom: subtract the largest logit first. Then the
# largest exponent is $e^0 = 1$, and nothing can overflow.
#
# **By hand.** Logits `[log 1, log 2, log 5]`: the exponentials are 1, 2, 5, their sum is 8, so the probabilities are
# 1/8, 2/8, 5/8 and the log-probabilities are -2.08, -1.39, -0.47. (Logarithms here are natural ones, and what they
# measure is counted in *nats*: a word of log-probability -2 surprised the model by 2 nats.)
#
# Now add 1000 to all three logits. What comes out?
# What would `exp(1001.6)` have been, in 32-bit floats?
#
# <details><summary>Answer</summary>
#
# The same three numbers; and infinity.
#
# </details>
#
# **Traps.** (1) `exp` of a large logit is inf in 32-bit floats from 89 on. (2) `softmax(...).log()`: a probability
# too small for a float is 0, and log 0 is -inf, where the log-probability is an ordinary -200. (3) The sum belongs to
# the last dimension, of each row by itself, with `keepdim=True`. (4) *One* largest logit for the whole tensor: rows
# far below it turn to zeros. (5) The formula has $z$ in two places. Subtract the maximum in both, or
# the result is off by exactly that maximum.


# %% tags=["exercise"] exercise="log_softmax"
def log_softmax(logits: Tensor) -> Tensor:
    """Log-probabilities from logits, along the last dimension, in nats.

    logits: (..., V) float, of any size: 10,000 and -10,000 alike. An entry of -inf (a token that is ruled out) stays
    -inf; at least one entry of each row is finite.
    Returns the same shape; exp of each row sums to 1. From scratch: exp, log and sums.
    """
    # BEGIN SOLUTION
    shifted = logits - logits.amax(dim=-1, keepdim=True)  # (..., V), at most 0
    log_total = shifted.exp().sum(dim=-1, keepdim=True).log()  # (..., 1)
    return shifted - log_total  # (..., V)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="log_softmax"
# where to start
#
# First write the formula as it stands, with `.exp()`, `.sum(dim=-1, keepdim=True)` and `.log()`. It passes the first
# properties; read what the check says about the next one.
# ---
# the maximum
#
# `logits.amax(dim=-1, keepdim=True)` has shape (..., 1), so it can be subtracted from every row. Then use *only* the
# shifted logits, in both terms.

# %% tags=["check"]
check("log_softmax")

# %% [markdown]
# ## Break it
#
# What does the formula do without the subtraction? Take three logits and add the same number to all of them. The
# probabilities must not change. **Predict:** up to what number does the plain formula hold in 32-bit floats? (The
# largest such float is about $e^{88.7}$.)


# %% tags=["target"] exercise="log_softmax"
def plain(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(-1, keepdim=True).log()


shifts = torch.arange(-130.0, 130.0, 0.5)
logits = torch.tensor([0.0, 1.0, 2.0]) + shifts[:, None]  # (520, 3)
naive, stable = plain(logits)[:, 2], log_softmax(logits)[:, 2]
fine = shifts[(naive - stable).abs() < 0.01]
print(f"The plain formula is right from {fine.min().item():.0f} to {fine.max().item():.0f}, and nowhere else.")

plt.plot(shifts, naive.clamp(-20, 20), color=plots.BAD, linewidth=5, alpha=0.6, label="plain formula (inf drawn at 20)")
plt.plot(shifts, stable, color=plots.STAGE_COLOURS["sft"], label="yours")
plt.xlabel("number added to all three logits"), plt.ylabel("log-probability (nats)"), plt.legend()
plt.title("Without the maximum, the formula holds in a narrow band")
plt.show()

# %% [markdown]
# ## Use it: a language model in one table
#
# Three moves make a language model, if a silly one. It looks at the last word only, and knows how often each word
# followed it in Tinyland's corpus. The logarithm of such a count is a perfectly good logit.

# %%
from minillm.tinyland import corpus

train, held_out = ([text.split() for text in corpus.load(split)] for split in ("train", "validation"))
words = sorted({word for text in train for word in text})
number = {word: i for i, word in enumerate(words)}
following = torch.full((len(words), len(words)), 0.01)  # a little for pairs that were never seen
for text in train[:30_000]:
    here = torch.tensor([number[word] for word in text])
    following.index_put_((here[:-1], here[1:]), torch.ones(len(here) - 1), accumulate=True)
table = following.log()  # (V, V): row = word, column = logit of the word after it


def batch_of(texts: list[list[str]]) -> tuple[Tensor, Tensor]:
    """Texts as a rectangle of word numbers, filled up on the right with 0, and its mask."""
    longest = max(map(len, texts))
    tokens = torch.tensor([[number[word] for word in text] + [0] * (longest - len(text)) for text in texts])
    return tokens, torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])


print(f"{len(words)} words; the corpus opens with: {' '.join(train[0])}")

# %% [markdown]
# How good is it? Score every word of the held-out texts by the log-probability that the table gave it after the word
# before, and average what counts. This is the loss of lesson 03, whole. Note that number 0 is padding here *and* a
# real word: only the mask can tell them apart.
#
# **Predict:** a table of pure guesses would pay the logarithm of the number of words. What will this one pay, half of
# that? A quarter?

# %%
tokens, mask = batch_of([text for text in held_out if all(word in number for word in text)])  # (N, T)
logprobs = log_softmax(table)  # (V, V)
surprise = -logprobs[tokens[:, :-1], tokens[:, 1:]]  # (N, T-1): nats paid for each word, given the one before
loss = masked_mean(surprise, mask[:, 1:])

guessing = torch.tensor(float(len(words))).log()
print(f"Pure guessing pays {guessing:.2f} nats a word, the table {loss:.2f}:")
print(f"as unsure as if it had to choose among {loss.exp():.1f} equally likely words, every time.")
print(f"Without the mask you would have read {surprise.mean():.2f}.")

# %% [markdown]
# And it can continue a text: the last word that counts gives a row of the table. Here are its three best guesses for
# some beginnings of different length, which is why `take_last` is needed. **Predict** the third: which word follows
# "the" most often in this corpus?

# %%
beginnings = ["the food of the fox is", "1 plus 2 is", "the", "the opposite"]
tokens_of, mask_of = batch_of([text.split() for text in beginnings])
best = logprobs[take_last(tokens_of, mask_of)].topk(3)  # (4, 3)
for text, guesses, values in zip(beginnings, best.indices.tolist(), best.values.exp().tolist()):
    print(f"{text:24s} ->", "   ".join(f"{words[g]} ({p:.0%})" for g, p in zip(guesses, values)))

# %% [markdown]
# It has no idea whose food or which sum was asked for: that stood more than one word back. Let it write, beside a
# table that knows nothing:


# %%
def write(logprobs: Tensor, start: str, length: int, seed: int) -> str:
    """Sample a text word by word, each from the row of the word before."""
    generator, text = torch.Generator().manual_seed(seed), [start]
    while len(text) < length:
        row = logprobs[number[text[-1]]].exp()
        text.append(words[torch.multinomial(row, 1, generator=generator).item()])
    return " ".join(text)


print("before:", write(log_softmax(torch.zeros_like(table)), "the", 16, seed=0))
print("after: ", write(logprobs, "the", 16, seed=0))

# %% [markdown]
# Word by word it is plausible, as a whole it is nonsense. In lesson 02 you replace the table by a transformer, which
# sees the whole text, and in lesson 03 you train it. The three lines that measure it stay as they are.
#
# ## Clinic
#
# Someone else measured the same table on the same held-out texts and reports the loss below. It looks good. It is
# wrong. Four suspects are at hand; each is one bug.

# %%
suspects = {
    "A": lambda: surprise.mean(),
    "B": lambda: masked_mean(surprise, mask[:, 1:], dim=1).mean(),
    "C": lambda: masked_mean(surprise, mask[:, 1:]) / torch.tensor(2.0).log(),
    "D": lambda: (surprise * mask[:, 1:]).sum() / mask[:, 1:].numel(),
}
reported = (torch.where(mask[:, 1:].bool(), surprise, torch.zeros(())).sum(1) / surprise.shape[1]).mean()
print(f"reported: {reported:.3f} nats a word")

# %% [markdown]
# - **A** takes the mean with the padding in it.
# - **B** takes the mean of every text, then the mean of those.
# - **C** reports bits instead of nats.
# - **D** clears the padding, then divides by the number of places in the rectangle.
#
# Think first: which of them can make the loss *smaller*, and which by so much? Then write the letter and run both
# cells. The answer is checked as one checks a diagnosis: by making the same bug, and comparing the numbers.

# %%
diagnosis = None  # "A", "B", "C" or "D"

# %% tags=["solution"]
diagnosis = "D"

# %%
if diagnosis in suspects:
    made = suspects[diagnosis]()
    verdict = "that is the one." if torch.isclose(made, reported, rtol=1e-3) else "not this one."
    print(f"Bug {diagnosis} gives {made:.3f}, reported was {reported:.3f}: {verdict}")
else:
    print('Write your diagnosis into the cell above, as in diagnosis = "A", and run it.')

# %% [markdown]
# <details><summary>The explanation</summary>
#
# It was D, trap 2 of the first exercise: the padding adds nothing to the sum, but it is counted in the divisor. So
# the loss shrinks as texts get more unequal, and one long text in the batch makes everything look better. C makes a
# loss larger (a nat is 1.44 bits). B moves it a little, in either direction. A depends on what the table says about
# word number 0 after word number 0: mostly large numbers, since that never happens.
#
# </details>
#
# ## What you have now
#
# - A mask beside every batch, and a mean that honours it; a way to read out the last word; log-probabilities that
#   cannot overflow.
# - A way of working: predict, run, check, read the message, repair. In a terminal, `python -m minillm progress` shows
#   where you are, `python -m minillm hint take_last` gives the hints one by one, and `python -m minillm reset
#   take_last` gives you a fresh cell and keeps your old one.
# - A yardstick: nats per word, from a model of one table. Keep it in mind when your transformer goes to work.
#
# **To read.** The table of counts is Shannon's (1948, *A mathematical theory of communication*, sec. 3: his
# "second-order word approximation" reads much like the text above). The trick with the maximum is in every numerical
# library; Blanchard, Higham and Higham (2021, *Accurately computing the log-sum-exp and softmax functions*, eq. 1.1
# and its shifted form) show that it costs no accuracy.
#
# Next is [01 · The tokenizer](01_tokenizer.ipynb): where the numbers of the words come from, if not from splitting at
# spaces.
