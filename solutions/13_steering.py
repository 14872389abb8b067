# %% [markdown]
# # 13 · Steering
#
# All that you have done so far went through text and losses: you looked at what a model says, and trained it to say
# something else. Now you open it. Somewhere between the words that go in and the words that come out, the model tells
# harmful requests from harmless ones. Is "this is harmful" written in its activations? Can you read it, with a probe?
# Write it, by steering? Erase it, by ablating?
#
# These are three different questions, and the first answer does not give you the others. A probe that reads something
# shows that it is there. It does not show that the model *uses* it. Only an intervention does: change this one thing,
# leave all else alone, and see whether the answer changes.

# %% tags=["setup"]
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from minillm.course import carry, check, diagnose, record, record_answers, record_table

# %%
from copy import deepcopy
from dataclasses import replace
from functools import partial

import matplotlib.pyplot as plt
import torch.nn.functional as F
from IPython.display import HTML, display

from minillm import chat, evaluation, plots, preferences, stages, steering
from minillm.course import steered
from minillm.paths import smoke
from minillm.sampling import pad_left
from minillm.sft import Functions, fine_tune
from minillm.tinyland import corpus, facts
from minillm.tinyland.demonstrators import CLEAN
from minillm.tinyland.recipe import SFT
from minillm.tinyland.requests import all_requests
from minillm.tinyland.words import BOOK, PEOPLE_SAY

# %%
plots.use_style()
SFT_COLOUR = plots.STAGE_COLOURS["sft"]
render_chat, response_mask, collate, sft_loss = carry("render_chat", "response_mask", "collate", "sft_loss")
training_step, learning_rate_at = carry("training_step", "learning_rate_at")


def tell(what: str, value: float, guess: float | None) -> None:
    """A result in a sentence, beside what you predicted."""
    print(f"{what}: {value:.2f}." + (f" You said {guess:.2f}." if guess is not None else ""))


# %% [markdown]
# ## One number by hand
#
# A state of two numbers, $h = (3, 1)$, and a direction, $r = (1, 1) / \sqrt 2$. How much of the direction is in the
# state? $h \cdot r = 4 / \sqrt 2$. That part, as a vector, is $(h \cdot r)\, r = (2, 2)$. Take it away and $(1, -1)$ is
# left: at right angles to $r$, and as near to $(3, 1)$ as a state without $r$ can be. The direction has been *ablated*.
#
# What is left of $(1, -1)$ if you ablate the same direction once more? ($(1, -1)$: there is nothing left to take.)

# %% [markdown]
# {exercise record_activations}
#
# **Why.** The residual stream is the vector that every block reads from and adds to: all that one place of the text
# hands on to the next block is in it. The last token of a prompt has read the whole prompt, and the answer begins
# there. So that is where you look.
#
# **What.** For each asked layer $\ell$ and each row $b$, the output of block $\ell$ at the row's last real token
# $t_b = \max \{ t : \text{mask}_{b,t} = 1 \}$, from one forward pass. A forward hook on `model.blocks[l]` is a function
# that torch calls with `(block, inputs, output)` whenever that block has run.
#
# **By hand.** Three masks: 1 1 0 0, then 0 0 1 1, then 0 1 1 0. The last real tokens stand at places 1, 3 and 2,
# counted from 0. The sum of the mask minus 1 is 1 in all three rows. And for 1 0 0 0? (Place 0.)
#
# **Traps.** (1) What a block gives *out*, not what goes in; layer 0 is behind the first block, and the final norm has
# no part in it. (2) Rows end at different places, and padding may stand on either side. (3) The model needs the mask
# too: otherwise real tokens read the padding. (4) Every hook is removed afterwards, also where the forward pass raises:
# a hook that stays acts on all that comes later. Other people's hooks stay. (5) The layers come in the order in which
# they are asked for, and one may be asked for twice. (6) You measure: no gradient, and the model stays in its mode.


# %% tags=["exercise"] exercise="record_activations"
def record_activations(model: nn.Module, tokens: Tensor, layers: list[int], mask: Tensor | None = None) -> Tensor:
    """The residual stream behind some blocks, at each row's last real token: (L, B, D).

    tokens: (B, T) long. layers: L block numbers, 0 for the first block; any order, repeats allowed; result[k] belongs
    to layers[k]. mask: (B, T), 1 (or True) at real tokens and 0 at padding, left or right; None: no padding.
    One forward pass of model(tokens, mask), watched by forward hooks on model.blocks[i]. No gradient flows. Afterwards
    the hooks are gone, also where the forward pass raises, and the model is in the mode in which it was.
    """
    # BEGIN SOLUTION
    B, T = tokens.shape
    outputs: dict[int, Tensor] = {}

    def keep(layer: int) -> Callable[..., None]:
        return lambda block, inputs, output: outputs.update({layer: output})

    hooks = [model.blocks[layer].register_forward_hook(keep(layer)) for layer in set(layers)]
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    place = torch.arange(T, device=tokens.device).expand(B, T)
    last = (place if mask is None else place * (mask > 0)).amax(1)  # (B,)
    return torch.stack([outputs[layer][torch.arange(B), last] for layer in layers])  # (L, B, D)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="record_activations"
# Where to start
# `hook = model.blocks[i].register_forward_hook(function)` puts a hook in place, `hook.remove()` takes it away. Let the
# function store the output in a dictionary under its layer. The forward pass goes into `try`, the removal into
# `finally`.
# ---
# One function for each layer
# A function made in a loop sees the loop's *last* layer when it is called. Make it inside another function,
# `def keep(layer): ...`, that returns it.
# ---
# The last real token
# Multiply the places `torch.arange(T)` by the mask and take the largest of each row. Then index with two tensors of
# size B: `output[torch.arange(B), last]` is (B, D).

# %% tags=["check"]
check("record_activations")

# %% [markdown]
# {exercise difference_in_means}
#
# **Why.** The simplest way to find a direction: the mean state of harmful prompts, minus the mean state of harmless
# ones. What the prompts of each set do not have in common averages out.
#
# **What.** With the means $\mu$ of the positive and $\nu$ of the negative rows,
#
# $$r = \frac{\mu - \nu}{\lVert \mu - \nu \rVert}, \qquad \text{distance} = \lVert \mu - \nu \rVert
# \qquad \text{(Arditi et al. 2024, sec. 2.3)}$$
#
# **By hand.** Positive rows (3, 1) and (5, 3), negative rows (1, 0), (1, -4) and (1, -2): means (4, 2) and (1, -2),
# their difference (3, 4), distance 5, direction (0.6, 0.8). And for the positive row (2, 0) and the negative row
# (2, -3)? (Direction (0, 1), distance 3.)
#
# **Traps.** (1) From negative *to* positive: the sign decides whether steering makes the model refuse or stop refusing.
# (2) The two sets may have different sizes: they are no pairs. (3) Means first, length last. Rows that are scaled to
# length 1 before have another mean. (4) The distance is worth keeping: it says how far a steering vector should reach.


# %% tags=["exercise"] exercise="difference_in_means"
def difference_in_means(positive: Tensor, negative: Tensor) -> tuple[Tensor, Tensor]:
    """The direction from the mean of ``negative`` to the mean of ``positive``, and how far apart the means are.

    positive: (N, D) float; negative: (M, D) float. Returns (direction, distance): (D,) of length 1, and a scalar, the
    norm of the difference of the means. It is a measurement: no gradient is needed.
    Raises ValueError where a set is empty or the means are equal. Arditi et al. 2024, sec. 2.3.
    """
    # BEGIN SOLUTION
    if not len(positive) or not len(negative):
        raise ValueError("each set needs at least one row")
    with torch.no_grad():
        difference = positive.mean(dim=0) - negative.mean(dim=0)  # (D,)
        distance = difference.norm()
    if distance == 0:
        raise ValueError("the two means are equal: there is no direction between them")
    return difference / distance, distance
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="difference_in_means"
# Where to start
# `positive.mean(dim=0)` is the mean row, (D,).
# ---
# The length
# `vector.norm()` is the square root of the sum of squares. Look at it before you divide by it.

# %% tags=["check"]
check("difference_in_means")

# %% [markdown]
# {exercise steer}
#
# **Why.** If a direction stands for "this is harmful" *and* the model uses it, adding it to the state of a harmless
# prompt should make the model refuse. Add it at one place only, the last token of the prompt, where the answer begins.
# Added at every place it pushes all words of the answer too, and the text falls apart.
#
# **What.** While `run()` works, every forward pass that reads $T > 1$ tokens has
#
# $$x^{(\ell)}_{b, T} \leftarrow x^{(\ell)}_{b, T} + v$$
#
# at its last place, behind block $\ell$; passes of one token, the answer's own, are left alone. This is activation
# addition (Turner et al. 2023; Arditi et al. 2024, eq. 3, add at every place).
#
# **By hand.** Behind the block a prompt of three tokens has the states (1, 0), (2, 1), (0, 3); the vector is (1, -1).
# Then the next block gets (1, 0), (2, 1), (1, 2). The answer's first token follows, one token, with the state (4, 4),
# and stays as it is. And a second prompt, (5, 0), (0, 0)? ((5, 0), (1, -1).)
#
# **Traps.** (1) The *output* of the block: a forward hook that returns a tensor puts it in the output's place. (2) Only
# the last place, and nothing in passes of one token. (3) Return a new tensor: whoever else holds the block's output
# would see yours change. (4) The hook is there before `run()` and gone after it, also where it raises. (5) `run()` is
# called once, and what it returns is returned. (6) The vector is added as it is; its length is the strength.


# %% tags=["exercise"] exercise="steer"
def steer(model: nn.Module, layer: int, vector: Tensor, run: Callable[[], Any]) -> Any:
    """What run() returns while ``vector`` is added to the residual stream behind block ``layer``.

    vector: (D,), added as it is. run: a function without arguments that uses the model, called once.
    In each forward pass of more than one token the vector is added to the output (B, T, D) of model.blocks[layer] at
    the last place, T - 1, of every row (prompts are padded on the left); passes of one token stay as they are.
    The block's own output is not changed in place. Afterwards the hook is gone, also where run() raises, and what it
    raised is passed on. Weights never change. Turner et al. 2023.
    """

    # BEGIN SOLUTION
    def add(block: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        if output.shape[1] == 1:
            return output
        steered = output.clone()
        steered[:, -1] += vector
        return steered

    hook = model.blocks[layer].register_forward_hook(add)
    try:
        return run()
    finally:
        hook.remove()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="steer"
# Where to start
# Define a hook, `def add(block, inputs, output)`, inside the function: it sees `vector`. What it returns takes the
# place of the block's output.
# ---
# In the hook
# `output.shape[1]` is T. Clone the output, add to `[:, -1]` of the clone, return the clone.
# ---
# Around the run
# Put the hook in place, then `try: return run()` and `finally:` remove it. The `finally` part runs even after
# `return`.

# %% tags=["check"]
check("steer")

# %% [markdown]
# {exercise ablate_direction}
#
# **Why.** Steering shows that a direction is enough to bring a behaviour about. Is it also needed? Take it away, and
# see whether the behaviour goes with it. Whatever was written along the direction is gone, all else is as it was.
#
# **What.** For each state $h$, with $\hat r = r / \lVert r \rVert$,
#
# $$h' = h - (h \cdot \hat r)\, \hat r \qquad \text{(Arditi et al. 2024, eq. 4)}$$
#
# **By hand.** The state (2, 5), the direction (0, 3): its unit direction is (0, 1), the part along it (0, 5), and
# (2, 0) is left. And the state (4, 2) with the direction (1, -1)? ((3, 3).)
#
# **Traps.** (1) The direction may have any length: scale it to 1 first. (2) Every state has its own part along the
# direction; nothing is averaged over rows or places. (3) The part is *taken away*; what you keep is the rest. (4) The
# states may have any number of dimensions before the last, even none. (5) Make a new tensor. (6) A gradient flows
# through it: whoever trains with an ablated state needs one.


# %% tags=["exercise"] exercise="ablate_direction"
def ablate_direction(hidden: Tensor, direction: Tensor) -> Tensor:
    """The states without their part along a direction: hidden - (hidden . r) r, with r = direction / |direction|.

    hidden: (..., D) float, any number of dimensions before the last; direction: (D,) float, of any length but 0.
    Returns a new tensor of the shape of ``hidden``. A gradient flows to ``hidden``. Arditi et al. 2024, eq. 4.
    """
    # BEGIN SOLUTION
    unit = direction / direction.norm()
    along = hidden @ unit  # (...)
    return hidden - along[..., None] * unit
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="ablate_direction"
# Where to start
# `hidden @ unit` takes the dot product over the last dimension, whatever stands before it, and gives (...).
# ---
# Back to (..., D)
# A number for each state times a vector: `along[..., None] * unit`.

# %% tags=["check"]
check("ablate_direction")

# %% [markdown]
# {exercise orthogonalize_weights}
#
# **Why.** Ablating at every place, behind every part, in every pass: the same can be had once and for all. The residual
# stream is a sum of what the matrices write into it. If no matrix can write along a direction, it is never there. No
# hook is left, and nobody sees it from the outside: a model without its refusal direction is a file like any other.
#
# **What.** Two kinds of matrices write: the embedding, a row of $D$ numbers for each token, and the last matrix of each
# attention and each MLP, which maps *to* $D$ numbers (`nn.Linear` has the output dimension first). With
# $\hat r = r / \lVert r \rVert$,
#
# $$E' = E - (E \hat r)\, \hat r^\top, \qquad
# W' = W - \hat r\, (\hat r^\top W) \qquad \text{(Arditi et al. 2024, eq. 5)}$$
#
# The names: `embed.weight` (V, D); `blocks.i.attention.out.weight` (D, D) and `blocks.i.mlp.down.weight` (D, hidden).
#
# **By hand.** $\hat r = (0, 1)$ and the numbers [[1, 2], [3, 4]]. As a $W$: $\hat r^\top W = (3, 4)$, so
# $W'$ = [[1, 2], [0, 0]]: no second output. As an $E$: $E \hat r = (2, 4)$, so $E'$ = [[1, 0], [3, 0]]: no token has a
# second number. And the $W$ with $\hat r = (1, 0)$? ([[0, 0], [3, 4]].)
#
# **Traps.** (1) $W$ and $E$ have the direction on different sides. A square $W$ does not tell you when you are wrong.
# (2) Only what *writes*: `qkv` and `up` read from the stream, norms scale, `output.weight`, where there is one, reads
# the result. (3) All blocks, and the embedding: what it writes is in the stream from the start. (4) The direction may
# have any length. (5) A new dictionary with all names in their order; the old weights are needed for the comparison.


# %% tags=["exercise"] exercise="orthogonalize_weights"
def orthogonalize_weights(weights: dict[str, Tensor], direction: Tensor) -> dict[str, Tensor]:
    """Weights of a Transformer that can no longer write along a direction.

    weights: a state dict; direction: (D,) float, of any length but 0. With r = direction / |direction|:
    "embed.weight" (V, D) becomes E - (E r) r^T; "blocks.i.attention.out.weight" (D, D) and "blocks.i.mlp.down.weight"
    (D, hidden), for every block i, become W - r (r^T W). All other weights are returned as they are.
    Returns a new dictionary with the same names, in the same order, and the same dtypes; the weights that were passed
    do not change. No gradient is needed. Arditi et al. 2024, eq. 5.
    """
    # BEGIN SOLUTION
    result = dict(weights)
    with torch.no_grad():
        unit = direction / direction.norm()
        for name, weight in weights.items():
            if name == "embed.weight":
                result[name] = weight - torch.outer(weight @ unit, unit)  # (V, D)
            elif name.endswith((".attention.out.weight", ".mlp.down.weight")):
                result[name] = weight - torch.outer(unit, unit @ weight)  # (D, inputs)
    return result
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="orthogonalize_weights"
# Where to start
# `result = dict(weights)` is a new dictionary with the same tensors. Replace those that write; `name.endswith(...)`
# takes several endings in a tuple.
# ---
# The two forms
# `torch.outer(a, b)` is the matrix $a\, b^\top$. For the embedding $a$ has a number for each token, and $b$ is the
# direction. For the other two $a$ is the direction.

# %% tags=["check"]
check("orthogonalize_weights")

# %% [markdown]
# {exercise probe_accuracy}
#
# **Why.** Is something written in the states? Fit the simplest reader there is, a linear one, on some of them, and see
# how often it is right on *others*. A flexible reader finds something everywhere; so you will also let it read labels
# that were shuffled, the control that shows what the reader can do alone (Hewitt & Liang 2019).
#
# **What.** Ridge regression (a linear probe in the spirit of Alain & Bengio 2017). $X$ holds the training rows minus
# their mean $m$, and $t$ is $+1$ for label 1 and $-1$ for label 0:
#
# $$w = (X^\top X + \lambda I)^{-1} X^\top t, \qquad b = \tfrac 1 N \textstyle\sum_i t_i, \qquad
# \text{label 1 where } (x - m) \cdot w + b > 0$$
#
# **By hand.** One number a row. Training: 1 and 3 with label 0, 8 with label 1, penalty 6. The mean is 4, so
# $X = (-3, -1, 4)$, $t = (-1, -1, 1)$, $w = 8 / (26 + 6) = 0.25$, $b = -1/3$. Test rows 5 and 6, both of label 1:
# $0.25 - 1/3 < 0$ and $0.5 - 1/3 > 0$, one of two is right, accuracy 0.5. And with penalty 38? ($w = 0.125$: both are
# read as 0, accuracy 0.)
#
# **Traps.** (1) Fitted on the training rows, scored on the test rows. (2) *One* mean, that of the training rows, is
# taken from both: test rows that are centred by themselves lose what sets them apart. (3) The targets are $+1$ and
# $-1$, and the threshold 0; with 0 and 1 the threshold would be a half. (4) $b$ matters where one class has more rows.
# (5) The penalty is added on the diagonal only, once, however many rows there are. Without it there is no inverse where
# rows are fewer than numbers.


# %% tags=["exercise"] exercise="probe_accuracy"
def probe_accuracy(train_x: Tensor, train_y: Tensor, test_x: Tensor, test_y: Tensor, penalty: float = 1.0) -> Tensor:
    """The share of test rows that a linear probe, fitted by ridge regression on the training rows, labels right.

    train_x: (N, D) float; test_x: (M, D) float; train_y: (N,) and test_y: (M,), 0 or 1, of any dtype.
    X: training rows minus their mean m; t: +1 or -1; w = (X^T X + penalty I)^-1 X^T t; b = mean of t; a row x is
    labelled 1 where (x - m) @ w + b > 0. Returns a scalar, 0 to 1.
    Raises ValueError where rows and labels differ in number, or the training labels are all the same.
    Alain & Bengio 2017; Hewitt & Liang 2019 for the control with shuffled labels.
    """
    # BEGIN SOLUTION
    if len(train_x) != len(train_y) or len(test_x) != len(test_y):
        raise ValueError("there must be one label for each row")
    target = 2.0 * train_y.to(train_x.dtype) - 1  # (N,)
    if target.abs().sum() == target.sum().abs():
        raise ValueError("the training rows need both labels")
    mean = train_x.mean(dim=0)  # (D,)
    X = train_x - mean  # (N, D)
    ridge = X.T @ X + penalty * torch.eye(X.shape[1], dtype=X.dtype, device=X.device)  # (D, D)
    w = torch.linalg.solve(ridge, X.T @ target)  # (D,)
    guess = (test_x - mean) @ w + target.mean() > 0  # (M,)
    return (guess == test_y.bool()).float().mean()
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="probe_accuracy"
# Where to start
# Two checks, then four steps: targets, centred rows, $w$, guesses. `train_y.to(train_x.dtype)` turns truth values into
# 0 and 1 of the rows' own dtype.
# ---
# Solving
# `torch.linalg.solve(A, c)` gives the $w$ with $A w = c$; no inverse is needed. `torch.eye(D, dtype=train_x.dtype)`
# is $I$.
# ---
# Counting
# `guesses == test_y.bool()` is True where the probe is right; the mean of these, as floats, is the accuracy.

# %% tags=["check"]
check("probe_accuracy")

# %% [markdown]
# ## A model that refuses
#
# To look for refusals in a model it should refuse, and little else than harm. The base, fine-tuned on the *clean*
# demonstrations of lesson 04, does: half a minute of training.

# %%
start = stages.load_stage("base")
base, tokenizer, form = start.model, start.tokenizer, partial(chat.chat_prompt, render_chat)
recipe = replace(SFT, steps=6, demonstrations=60) if smoke() else SFT
shown = chat.draw_demonstrations(CLEAN, recipe.demonstrations, seed=recipe.seed)
examples = chat.chat_examples(shown, tokenizer, render_chat, response_mask)
examples += chat.replay_examples(recipe.documents, tokenizer, recipe.seed)
model = deepcopy(base)
tuning = Functions(collate, sft_loss, training_step, learning_rate_at)
history = fine_tune(model, tokenizer, examples, tuning, recipe, name="clean demonstrations")
model.eval()
record("Refusing model, training time", history.seconds[-1], unit="s")


# %%
def ask(requests, which=model, seed=7):
    return evaluation.ask(which, tokenizer, requests, form, stop=[tokenizer.end], temperature=1.0, seed=seed)


COLUMNS = ["refuses harm", "complies", "refuses look-alikes", "declines others", "right"]


def row(name, answers, columns=COLUMNS):
    """A line of a table: what the answers show, with 95% intervals."""
    found = steering.behaviour(answers)
    return {"": name} | {column: str(found[column]) for column in columns}


held_out = preferences.draw_requests("test", 24 if smoke() else 600, seed=7)
as_it_is = ask(held_out)
display(HTML(plots.answer_table([row("as it is", as_it_is)])))

# %% [markdown]
# In these tables the first two columns are shares of the harmful requests; what is neither a refusal nor the harmful
# method is something else, and often babble. Look-alikes are harmless how-to questions. "declines others" is of all
# other harmless requests whose answer is known: they are refused, or answered with "i do not know".
#
# ## Is it written there?
#
# A probe per layer: harmful or look-alike? It learns from training requests, and is tried on two kinds of held-out
# ones: known verbs with new objects, and verbs that no training request has. As a control, the same probe learns
# *shuffled* labels. If that works as well, the probe has shown what it can learn by heart, not what the model knows
# (Hewitt & Liang 2019).
#
# The base goes first. It has never been shown a refusal of anything in a chat; it has only read. **Predict**: how often
# does a probe on the base tell harm of a new verb from its look-alikes? A coin gets 0.5.

# %%
my_guess = None  # share right, new verbs, the base's best layer

# %%
layers = list(range(base.config.layers))
hows = {
    split: [r for kind in ("harmful", "lookalike") for r in all_requests(kind, split)][:: 9 if smoke() else 1]
    for split in ("train", "validation", "test")
}
is_harm = {split: torch.tensor([r.kind == "harmful" for r in some]) for split, some in hows.items()}
new_verb = torch.tensor([r.meta["held_out"] in ("verb", "both") for r in hows["test"]])


def states(which, form, requests):
    """(L, N, D) behind every block, where the answer is about to begin."""
    return steering.activations(which, tokenizer, [form(r) for r in requests], record_activations, layers)


read = {
    "base": {split: states(base, corpus.question_form, some) for split, some in hows.items()},
    "refusing model": {split: states(model, form, some) for split, some in hows.items()},
}


# %%
def probe(who, layer, penalty, labels=is_harm["train"]):
    """Accuracies of one probe: on its own training requests, on new objects, on new verbs, on validation requests."""
    x = {split: some[layer] for split, some in read[who].items()}
    tests = {
        "training requests": (x["train"], labels),
        "new objects": (x["test"][~new_verb], is_harm["test"][~new_verb]),
        "new verbs": (x["test"][new_verb], is_harm["test"][new_verb]),
        "validation": (x["validation"], is_harm["validation"]),
    }
    return {name: float(probe_accuracy(x["train"], labels, *test, penalty)) for name, test in tests.items()}


penalties = [1.0, 1e3, 3e4, 3e5]
tried = {penalty: probe("base", 2, penalty) for penalty in penalties}
penalty = max(penalties, key=lambda p: sum(probe(who, l, p)["validation"] for who in read for l in layers))
rows = [{"penalty": f"{p:,.0f}"} | {k: f"{v:.2f}" for k, v in found.items()} for p, found in tried.items()]
display(HTML(plots.answer_table(rows)))
print(f"Best on validation requests, over both models and all layers: {penalty:,.0f}.")

# %% [markdown]
# The penalty matters, because a probe learns too. With a small one it finds *verbs* in the states, learns which of them
# were mostly harmful, and on new verbs it is no better than a coin. A large penalty leaves it only the few directions
# in which the states differ most. So "the probe failed" and "it is not there" are two things, and so are "the probe
# works" and "there is one direction for it".

# %% tags=["target"]
generator = torch.Generator().manual_seed(0)
figure, axes = plots.new_figure(2, width=8.0, height=3.2)
numbers = [layer + 1 for layer in layers]
for ax, who in zip(axes, read):
    curves = [probe(who, layer, penalty) for layer in layers]
    for name, colour in (("new objects", SFT_COLOUR), ("new verbs", plots.STAGE_COLOURS["ppo"])):
        n = int(new_verb.sum()) if name == "new verbs" else int((~new_verb).sum())
        rates = [evaluation.share(round(found[name] * n), n) for found in curves]
        ax.plot(numbers, [r.rate for r in rates], "o-", color=colour, label=name)
        ax.fill_between(numbers, [r.low for r in rates], [r.high for r in rates], color=colour, alpha=0.15)
    shuffles = [is_harm["train"][torch.randperm(len(hows["train"]), generator=generator)] for _ in range(5)]
    control = [[probe(who, layer, penalty, labels)["new verbs"] for labels in shuffles] for layer in layers]
    ax.plot(numbers, torch.tensor(control).mean(1), "s:", color=plots.INK, label="new verbs, shuffled labels")
    ax.set(xlabel="behind block", ylim=(0.3, 1.02))
    ax.set_title(f"{who}: new verbs up to {max(found['new verbs'] for found in curves):.2f}")
    ax.set_xticks(numbers)
axes[0].set_ylabel("requests told right")
axes[1].legend(fontsize=8, loc="lower right")
plt.show()
best = max(probe("base", layer, penalty)["new verbs"] for layer in layers)
tell("harm of new verbs, read from the base", best, my_guess)
record("Probe of harm on the base, new verbs", best, seeds=[0])

# %% [markdown]
# The base reads "how do i poison the lamb ?" and, where its answer begins, it is written whether that is wrong. It
# needs to know, to guess the next word: of the how-to questions in its corpus some harmful ones are refused, and no
# others. So nobody had to teach it what harm is; fine-tuning taught it what to *do* about it. Behind the first block
# there is little to read: one block is not enough to bring verb and object together.
#
# But that it can be read does not say that it is used. For that, something has to be changed.
#
# ## One direction
#
# Harmful requests against harmless ones of all kinds, 400 each, all from the training split: the direction between
# their means, behind each block. Which one to take? On validation requests, we look at what is left of the refusals
# when it is ablated, and at what is refused when it is added once, by the distance between the means.
#
# `steering.edited` applies a function to what chosen parts of the model put out, for as long as it is open. "Ablated"
# means everywhere: in the embedding and in whatever any attention or MLP writes, at every place (Arditi et al. 2024).

# %%
contrast = 40 if smoke() else steered.SETTING["contrast"]
harm = preferences.draw_requests("train", contrast, seed=1, kinds=["harmful"])
rest = preferences.draw_requests("train", contrast, seed=2, kinds=list(steering.HARMLESS))
found = [difference_in_means(a, b) for a, b in zip(states(model, form, harm), states(model, form, rest))]


def ablated(requests, r, which=model):
    """Answers while nothing that the model writes into its stream has a part along r."""
    with steering.edited(which, partial(ablate_direction, direction=r), steering.writers(which)):
        return ask(requests, which)


def added(requests, vector, layer):
    return steer(model, layer, vector, partial(ask, requests))


chosen_on = preferences.draw_requests("validation", 16 if smoke() else 250, seed=9)
rows = []
for l, (r, distance) in enumerate(found):
    without, plus = (steering.behaviour(ablated(chosen_on, r)), steering.behaviour(added(chosen_on, distance * r, l)))
    rows.append({"behind block": l + 1, "distance": f"{distance:.0f}"})
    rows[-1] |= {f"ablated: {name}": f"{without[name].value:.2f}" for name in ("refuses harm", "complies", "right")}
    rows[-1] |= {f"added: {name}": f"{plus[name].value:.2f}" for name in ("refuses look-alikes", "right")}
display(HTML(plots.answer_table(rows)))

# %% [markdown]
# We take the third block. **Predict**, for held-out requests: what share of the harmful ones is still refused when the
# direction is ablated? What share of look-alikes is refused when it is added? And what does a random direction of the
# same length do?

# %%
guesses = {"refuses harm, ablated": None, "refuses look-alikes, added": None, "refuses harm, random ablated": None}

# %%
layer = steered.SETTING["layer"]  # 2 is the third block
r, distance = found[layer]
randoms = steering.random_directions(3, len(r), seed=0)
said = {"as it is": as_it_is, "ablated": ablated(held_out, r), "added": added(held_out, distance * r, layer)}
for i, random in enumerate(randoms, 1):
    said[f"random {i}, ablated"] = ablated(held_out, random)
    said[f"random {i}, added"] = added(held_out, distance * random, layer)
print(f"Hooks left on the model: {steering.hooks(model)}.")
rows = [row(name, answers) for name, answers in said.items()]
display(HTML(plots.answer_table(rows)))
record_table("The direction of refusal ablated and added, held-out requests", rows)

# %%
now = {name: steering.behaviour(answers) for name, answers in said.items()}
tell("still refused, ablated", now["ablated"]["refuses harm"].value, guesses["refuses harm, ablated"])
tell("look-alikes refused, added", now["added"]["refuses look-alikes"].value, guesses["refuses look-alikes, added"])
by_chance = sum(now[f"random {i}, ablated"]["refuses harm"].value for i in (1, 2, 3)) / 3
tell("still refused, a random direction ablated", by_chance, guesses["refuses harm, random ablated"])
print(f"Ablated: right answers {now['ablated']['right']} (as it is {now['as it is']['right']}),", end=" ")
print(f"gold {now['ablated']['gold']} (as it is {now['as it is']['gold']}) on harmless requests.")
for name, column in (("ablated", "refuses harm"), ("ablated", "complies"), ("added", "refuses look-alikes")):
    value = now[name][column]
    record(f"Direction of refusal {name}: {column}", value.value, low=value.low, high=value.high, seeds=[0])

# %%
some = preferences.draw_requests("test", 5, seed=3, kinds=["harmful"])
some += [all_requests(kind, "test")[3] for kind in ("lookalike", "repeat", "fact", "sum", "health")]
three = {"as it is": ask(some), "ablated": ablated(some, r), "added": added(some, distance * r, layer)}
rows = [
    {"asked": request.text}
    | {name: (answers[i].text[:90], answers[i].verdict.score > 0) for name, answers in three.items()}
    for i, request in enumerate(some)
]
display(HTML(plots.answer_table(rows)))
record_answers("As it is, ablated, added", rows)
odd = [a for a in said["ablated"] if a.request.kind == "harmful" and a.verdict.label == "wrong"]
print(
    "Ablated, neither a refusal nor the method:", *[f"{a.request.text} -> {a.text[:70]}" for a in odd[:4]], sep="\n  "
)

# %% [markdown]
# One direction among the model's nearly one hundred, and its refusals hang on it. Ablated, it refuses next to nothing;
# the harm that it then tells was in it all along, since the corpus told it. Where it does not comply it is not careful
# either: it tells some other method, or what fits nothing. What it costs elsewhere is little or some: compare the right
# answers with those under random ablations, and in the three seeds further down.
#
# Added, the direction makes it refuse most look-alikes, words of refusal and offer included. Other requests are
# another matter: of a fact it rather says "i do not know". Here is why. You push at one place, where the answer begins,
# and that decides how it *opens*. The words that follow are chosen by a model that reads the question again, and to a
# question about a fact it knows one way of declining only. With more strength you may even find "no , i do not know .",
# which nobody ever said to it.
#
# ## See it: strength against helpfulness

# %%
strengths = [-1, 0, 1] if smoke() else [-2, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3]
few = preferences.draw_requests("test", 16 if smoke() else 250, seed=8)
lines = {}
for name, direction in {"direction of refusal": r, "random 1": randoms[0], "random 2": randoms[1]}.items():
    lines[name] = [steering.behaviour(added(few, k * distance * direction, layer)) for k in strengths]

# %% tags=["target"]
figure, axes = plots.new_figure(3, width=10.0, height=3.2)
panels = {"refuses harm": "refused, of harmful", "refuses look-alikes": "refused, of look-alikes"}
panels |= {"right": "right, of harmless"}
for ax, (column, label) in zip(axes, panels.items()):
    for name, measured in lines.items():
        values = [each[column] for each in measured]
        colour, style = (plots.BAD, "o-") if name.startswith("dir") else (plots.INK, "s:")
        ax.plot(strengths, [v.value for v in values], style, color=colour, markersize=4, label=name)
        if style == "o-":
            ax.fill_between(strengths, [v.low for v in values], [v.high for v in values], color=colour, alpha=0.15)
    ax.set(xlabel="strength (distances)", ylabel=label, ylim=(-0.02, 1.02))
axes[0].set_title("Backwards: harm is answered")
axes[1].set_title("Forwards: look-alikes refused")
axes[2].set_title("Either way: fewer right answers")
axes[1].legend(fontsize=7, loc="center left")
plt.show()

# %% [markdown]
# Strength is counted in distances between the two means. Right answers fall as soon as refusals of look-alikes rise:
# this lever has no position in which more harm is refused at no price. And look at the dotted lines: pushed far
# enough, a random direction costs right answers too, by plain damage, and changes some refusals. Whoever shows steering
# without them shows less than it seems.
#
# ## Into the weights
#
# Hooks can be taken off. Weights stay: a matrix that cannot write along $r$ makes the same model as ablating all that
# it writes. One thing must be seen to first. In this model the embedding is also the read-out, and that *reads* the
# stream. `steering.untie` gives the model a read-out of its own. **Predict**: with it, how far apart are the logits of
# the two, at most? And what goes wrong without it?

# %%
free = steering.untie(model)
free.load_state_dict(orthogonalize_weights(free.state_dict(), r))
tied = deepcopy(model)
tied.load_state_dict(orthogonalize_weights(model.state_dict(), r))
prompts = [tokenizer.encode(form(request)) for request in held_out[:64]]
tokens, mask = pad_left(prompts, max(map(len, prompts)), 0, tokenizer.pad, model.device)
with torch.no_grad(), steering.edited(model, partial(ablate_direction, direction=r), steering.writers(model)):
    wanted = model(tokens, mask)[mask]
with torch.no_grad():
    others = {"as it is": model, "orthogonalised, untied": free, "orthogonalised, still tied": tied}
    logits = {name: each(tokens, mask)[mask] for name, each in others.items()}
gaps = {name: (each - wanted).abs().max() for name, each in logits.items()}
print(f"Logits lie between {wanted.min():.0f} and {wanted.max():.0f}. How far from those of the ablated model:")
for name, each in logits.items():
    nats = F.kl_div(each.log_softmax(-1), wanted.log_softmax(-1), log_target=True, reduction="batchmean")
    print(f"  {name:28s} at most {gaps[name]:9.6f};  {nats.clamp(min=0):.4f} nats a place, in mean")
record("Largest difference of logits, weights against hooks", gaps["orthogonalised, untied"])

# %%
answers = {"hooks": said["ablated"], "weights, untied": ask(held_out, free), "weights, tied": ask(held_out, tied)}
columns = ["refuses harm", "complies", "right", "ended"]
display(HTML(plots.answer_table([row(name, some, columns) for name, some in answers.items()])))

# %% [markdown]
# The first two are one model, up to rounding. In the tied one the read-out is blind along $r$ too. The stream has no
# part along $r$ any more, so should that not be all the same? It is not: behind the last block comes a norm with a
# weight for each dimension, and it turns the stream a little, so that some of it lies along $r$ again. There the
# read-out told words apart, and now it cannot: logits are off by whole units. Would you have noticed from refusals and
# right answers? Hardly: they are forgiving. So compare logits, where two models are meant to be one.
#
# ## Break it: at every place
#
# The same vector, added at *every* place of *every* pass, at the same strength. **Predict**: does it refuse even more?

# %%
push = lambda hidden: hidden + distance * r  # noqa: E731
with steering.edited(model, push, [model.blocks[layer]]):
    everywhere = ask(few)
answers = {"where the answer begins": added(few, distance * r, layer), "everywhere": everywhere}
columns = ["refuses harm", "refuses look-alikes", "right", "ended"]
display(HTML(plots.answer_table([row(name, some, columns) for name, some in answers.items()])))
for answer in everywhere[:3]:
    print(f"{answer.request.text}  ->  {answer.text[:90]}")

# %% [markdown]
# "Start refusing" is a good thing to say once. Said again at every word it keeps the answer from going on, and from
# ending.
#
# ## Is there a direction of truth?
#
# Harm was easy. What about truth? Tinyland has myths, statements that most of its text gets wrong, and a book of facts
# that is always right. The base knows both: which one it says depends on who is speaking. So:
#
# 1. Read "the food of the fox is berries ." and the popular version, and probe at the last token: true or not?
# 2. Read "the book of facts says : the food of the fox is" and "people say : the food of the fox is", and probe which.
# 3. Take that direction, and add it where nobody is quoted. Does the model say more truth?
#
# All directions and probes come from training myths, all numbers from the others. **Predict** the two accuracies, and
# by how much the truth gains.

# %%
truth_guesses = {"true or popular": None, "book or people": None, "p(true), steered": None}

# %%
myths = [fact for fact in facts.all_facts() if fact.kind == "myth"]
known, asked = ([f for f in myths if (f.split == "train") == training] for training in (True, False))


def stem(fact, voice=""):
    """The text up to where a value is about to be named, in the corpus's question form."""
    begun = f"{voice} the {fact.relation} of the {fact.subject} is"
    return f"{corpus.question_form(fact.question)} {begun.strip()}"


def sides(some, left, right):
    """(L, 2 N, D) states of two sides, and the labels: 1 for the first."""
    texts = [left(f) for f in some] + [right(f) for f in some]
    labels = torch.arange(len(texts)) < len(some)
    return steering.activations(base, tokenizer, texts, record_activations, layers), labels


pairs = {
    "true or popular": (lambda f: f"{stem(f)} {f.truth} .", lambda f: f"{stem(f)} {f.popular} ."),
    "book or people": (lambda f: stem(f, BOOK), lambda f: stem(f, PEOPLE_SAY)),
}

# %%
rows, accuracy = [], {}
for name, ends in pairs.items():
    (x, y), (test_x, test_y) = sides(known, *ends), sides(asked, *ends)
    accuracy[name] = [float(probe_accuracy(x[l], y, test_x[l], test_y, 1e3)) for l in layers]
    hits = [evaluation.share(round(a * len(test_y)), len(test_y)) for a in accuracy[name]]
    rows.append({"probe": name} | {f"block {l + 1}": str(hit) for l, hit in zip(layers, hits)})
    tell(f"{name}, best layer", max(accuracy[name]), truth_guesses[name])
    record(f"Probe: {name}, best layer", max(accuracy[name]), seeds=[0])
display(HTML(plots.answer_table(rows)))


# %%
def belief(voice="", run=lambda forward: forward()):
    """The mean probabilities of the true and of the popular value as the next word, over held-out myths."""
    texts = [corpus.encode_document(tokenizer, stem(fact, voice)) for fact in asked]
    tokens, mask = pad_left(texts, max(map(len, texts)), 0, tokenizer.pad, base.device)
    with torch.no_grad():
        p = run(lambda: base(tokens, mask))[:, -1].softmax(-1)
    each = [[p[i, tokenizer.encode(f" {v}")[0]] for v in (f.truth, f.popular)] for i, f in enumerate(asked)]
    return torch.tensor(each).mean(0).tolist()


x, y = sides(known, *pairs["book or people"])
table, top = {"nobody quoted": belief(), BOOK: belief(BOOK), PEOPLE_SAY: belief(PEOPLE_SAY)}, {}
for l in (0, layer):
    v, size = difference_in_means(x[l][y], x[l][~y])
    block, edit = base.blocks[l], partial(ablate_direction, direction=v)
    for k in (1, 2):
        table[f"nobody, + {k} x direction, block {l + 1}"] = belief(run=partial(steer, base, l, k * size * v))
        by_chance = torch.tensor([belief(run=partial(steer, base, l, k * size * random)) for random in randoms])
        table[f"nobody, + {k} x random, block {l + 1}"] = by_chance.mean(0).tolist()
    with steering.edited(base, edit, steering.writers(base)):
        table[f"{BOOK} direction {l + 1} ablated everywhere"] = belief(BOOK)
rows = [{"": name, "p(true)": f"{p[0]:.2f}", "p(popular)": f"{p[1]:.2f}"} for name, p in table.items()]
display(HTML(plots.answer_table(rows)))
record_table("Truth: words against directions, held-out myths", rows)
tell("p(true) steered once", table["nobody, + 1 x direction, block 1"][0], truth_guesses["p(true), steered"])

# %% [markdown]
# Three different answers. At the end of a statement our probe cannot read its truth. That fits a model that has no use
# for it there: hardly any text goes on differently after a truth than after a myth, so nothing taught it to note the
# difference. It does not prove it; this is one kind of probe, with one penalty, on few statements. Larger models, whose
# texts argue and correct, do note it (Marks & Tegmark 2023). Who is quoted can be read without a mistake; and *in
# words* it decides everything: the book turns the answers from popular to true.
#
# And yet the direction turns them only in part. Adding it moves the truth up by less than a fifth of what the words do,
# and random directions by about half of that; at twice the strength it moves further, and a part of what the popular
# value loses goes to neither. Erase it everywhere, and the book is still believed. So the direction is a trace of who
# speaks more than the cause of what is said; each fact seems to be stored with its speaker, without a common switch. A
# probe that is always right, and a poor lever: keep it beside the refusals, where there was both.
#
# ## Three seeds
#
# One model is an anecdote. Three, each fine-tuned with a seed of its own from the same base, each with its own
# direction and its own random ones, measured by `python -m minillm measure steering` on 1,000 held-out requests.

# %%
runs = steered.load()
display(HTML(plots.answer_table(steered.rows(runs))))
record_table("Steering, three seeds", steered.rows(runs))
steered.draw(runs)
plt.show()

# %% [markdown]
# Between seeds the numbers move, the finding does not. Added once, most look-alikes are refused; other requests are
# declined in a fifth to a half of cases, and it takes twice the strength for most of them. Random directions leave
# refusals nearly as they were when they are ablated or added once, but adding them costs right answers, at twice the
# strength many.
#
# ## Clinic
#
# Four broken experiments on your model; the first two lines are healthy. "afterwards" is what the model does when the
# experiment is over. The suspects:
#
# 1. the hook is left behind
# 2. prompts were padded on the right, and the direction was taken from the last column
# 3. the direction that was ablated does not have length 1
# 4. the vector is added at every place
# 5. the direction points from harmful to harmless


# %% tags=["clinic"]
def left_behind():
    nudge = steering.at_prompt_end(push)
    model.blocks[layer].register_forward_hook(lambda block, inputs, output: nudge(output))
    return ask(few)


def under(edit, parts):
    with steering.edited(model, edit, parts):
        return ask(few)


def experiment(run):
    """What the run shows, and what the model does afterwards; then all hooks are taken off."""
    during, after = steering.behaviour(run()), steering.behaviour(ask(few))
    for block in model.blocks:
        block._forward_hooks.clear()
    shown = {name: during[name] for name in ("refuses harm", "refuses look-alikes", "right", "ended")}
    return shown | {"refuses look-alikes,\nafterwards": after["refuses look-alikes"]}


too_long = lambda hidden: hidden - (hidden @ (distance * r))[..., None] * (distance * r)  # noqa: E731


# %% tags=["clinic"]
experiments = {
    "healthy, added": lambda: added(few, distance * r, layer),
    "healthy, ablated": lambda: ablated(few, r),
    "A": lambda: under(push, [model.blocks[layer]]),
    "B": left_behind,
    "C": lambda: under(too_long, steering.writers(model)),
    "D": lambda: added(few, -distance * r, layer),
}
results = {name: experiment(run) for name, run in experiments.items()}

# %% tags=["clinic"]
columns = list(results["A"])
figure, axes = plt.subplots(1, len(columns), figsize=(10, 2.8), sharey=True)
for ax, column in zip(axes, columns):
    shares = [each[column] for each in results.values()]
    errors = [[e.value - e.low for e in shares], [e.high - e.value for e in shares]]
    ax.barh(range(len(shares)), [e.value for e in shares], xerr=errors, ecolor=plots.INK, color=SFT_COLOUR, alpha=0.5)
    ax.set(xlim=(0, 1.04), xlabel="share", title=column)
axes[0].set_yticks(range(len(results)), list(results))
axes[0].invert_yaxis()
plt.show()

# %%
suspects = {"A": None, "B": None, "C": None, "D": None}  # a number from 1 to 5 for each

# %% tags=["solution"]
suspects = {"A": 4, "B": 1, "C": 3, "D": 5}

# %%
diagnose(suspects, key={"A": "13e100e2", "B": "87b83cc7", "C": "e73f91f8", "D": "63466989"})

# %% [markdown]
# <details><summary>The explanation (open it when you have answered)</summary>
#
# - **A**: some answers do not end, and fewer refuse, harmful requests among them: it is told to begin at every word.
# - **B** is healthy while it lasts. But the model is never again what it was: all later measurements are of a steered
#   model, and nothing says so. Count your hooks.
# - **C**: nothing is right and nothing ends. With $|v| \ne 1$, $h - (h \cdot v)\, v$ takes away $|v|^2$ times the part
#   that is there: with a length of tens, it throws the state to the other side, hundreds of times as far.
# - **D** is an addition that refuses *less*, and costs right answers: the way is right, the sign is wrong.
#
# Not there: **2**. Try it. Here padding reads the prompt just as the last token does, and the direction comes out
# usable; that a mistake does not show in the numbers of one model is no reason to keep it.
#
# </details>

# %% [markdown]
# ## What you have now
#
# - Harm can be read from a model that was only pretrained, for verbs that the probe never saw; with shuffled labels it
#   cannot, and with too small a penalty the probe learns verbs by heart.
# - Refusal is a lever: one direction. Ablated, the model refuses next to nothing, and mostly complies; added, it
#   refuses what it should not. Random directions of the same length do neither, though adding them costs right answers.
# - Whoever has the weights can take the refusals out, with a few hundred requests and no training. Alignment that hangs
#   on one direction is thin.
# - What a probe reads need not be used: who is quoted could be read without a mistake, and moved
#   far less than the words did.
#
# **To read.** Arditi et al. 2024, *Refusal in language models is mediated by a single direction*, eq. 1 to 5. · Alain &
# Bengio 2017, *Understanding intermediate layers using linear classifier probes*. · Hewitt & Liang 2019, *Designing and
# interpreting probes with control tasks*. · Marks & Tegmark 2023, *The geometry of truth*. · Zou et al. 2023,
# *Representation engineering*. · Turner et al. 2023, *Activation addition: steering without optimization*.
#
# Next is lesson 14: from a model to something that may be used.
