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

from minillm.course import check

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
# Two checks, then four steps: targets, centred rows, $w$, guesses. `train_y.float()` turns truth values into 0 and 1.
# ---
# Solving
# `torch.linalg.solve(A, c)` gives the $w$ with $A w = c$; no inverse is needed. `torch.eye(D)` is $I$.
# ---
# Counting
# `guesses == test_y.bool()` is True where the probe is right; the mean of these, as floats, is the accuracy.

# %% tags=["check"]
check("probe_accuracy")
