"""What a right solution of lesson 13 is: recording the residual stream."""

from functools import lru_cache

import torch
from torch import Tensor, nn

from minillm.course.expect import (
    CheckFailure,
    expect_close,
    expect_equal,
    expect_no_gradient,
    expect_shape,
    expect_true,
    fail,
)
from minillm.course.props import Network
from minillm.course.steering_props import WatchedNetwork
from minillm.course.testing import exercise

CONTEXT = 8
LEFT = [[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1]]
RIGHT = [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
EITHER = [[0, 1, 1, 1, 0, 0], [1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, 1, 1, 1, 0]]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def refuses(handle, what: str, *args) -> None:
    """The call ends with a ValueError."""
    try:
        handle(*args)
    except CheckFailure as failure:
        if "ValueError" not in str(failure):
            fail(f"{what}: a ValueError was expected. {failure}")
    else:
        fail(f"{what}: a ValueError was expected, and nothing was raised.")


def network(seed: int, training: bool = False) -> WatchedNetwork:
    return WatchedNetwork(context_length=CONTEXT, seed=seed, training=training)


def rows(seed: int, B: int = 4, T: int = 6) -> Tensor:
    """Tokens (B, T); some are 0, and what stands at padding are tokens like all others."""
    tokens = torch.randint(0, 13, (B, T), generator=generator(seed))
    tokens[0, 3], tokens[1, 0] = 0, 0
    return tokens


@lru_cache(maxsize=4)
def model_of(seed: int) -> nn.Module:
    """The test's own model, to be read only: the one that a network of this seed stands for."""
    return Network(context_length=CONTEXT, seed=seed).make(lambda other: other)


def by_hand(prop: Network, row: list[int]) -> list[Tensor]:
    """The stream (T, D) of one row without padding: the embeddings, then the output of each block."""
    model = model_of(prop.seed)
    with torch.no_grad():
        x = model.embed.weight[torch.tensor(row)][None]  # (1, T, D)
        stream = [x[0]]
        for block in model.blocks:
            x = block(x, model.cos[: len(row)], model.sin[: len(row)])
            stream.append(x[0])
    return stream


def row_by_row(prop: Network, tokens: Tensor, layers: list[int], mask: Tensor | None) -> Tensor:
    """The right answer, (L, B, D): each row alone, with its real tokens only."""
    real = [[1] * tokens.shape[1]] * len(tokens) if mask is None else mask.long().tolist()
    states = []
    for row, keep in zip(tokens.tolist(), real):
        stream = by_hand(prop, [token for token, here in zip(row, keep) if here])
        states.append(torch.stack([stream[layer + 1][-1] for layer in layers]))  # (L, D)
    return torch.stack(states, dim=1)


class Pass:
    """One padded forward pass, and what mistakes make of it."""

    def __init__(self, prop: Network, tokens: Tensor, layers: list[int], mask: Tensor | None, told: bool = True):
        model = Network(context_length=CONTEXT, seed=prop.seed).make(lambda other: other)
        self.layers, self.norm, self.inputs, self.outputs, self.added = layers, model.norm, [], [], []
        for block in model.blocks:
            block.register_forward_pre_hook(lambda block, inputs: self.inputs.append(inputs[0]))
            block.register_forward_hook(lambda block, inputs, output: self.outputs.append(output))
            block.mlp.register_forward_hook(lambda block, inputs, output: self.added.append(output))
        with torch.no_grad():
            model(tokens, mask if told else None)
        B, T = tokens.shape
        self.real = torch.ones(B, T) if mask is None else mask.float()
        self.last = (self.real * torch.arange(1, T + 1)).argmax(1)

    def at(self, place: Tensor | int, stream: list[Tensor] | None = None, layers: list[int] | None = None) -> Tensor:
        place = torch.as_tensor(place).expand(len(self.real))
        pick = [(stream or self.outputs)[layer] for layer in (layers or self.layers)]
        return torch.stack([each[torch.arange(len(each)), place] for each in pick])

    def averaged(self, weights: Tensor) -> Tensor:
        pick = torch.stack([self.outputs[layer] for layer in self.layers])
        return (pick * weights[..., None]).sum(2) / weights.sum(1)[:, None]


def record_mistakes(prop: Network, tokens: Tensor, layers: list[int], mask: Tensor | None) -> dict:
    seen, blind = (Pass(prop, tokens, layers, mask, told) for told in (True, False))
    count = seen.real.sum(1).long()
    with torch.no_grad():
        normed = seen.norm(seen.at(seen.last))
    return {
        "what goes into the block is kept, not what comes out of it (or the layers are counted from 1). See trap 1.": (
            seen.at(seen.last, seen.inputs)
        ),
        "the final norm has been applied. See trap 1.": normed,
        "only what the block's MLP adds is kept, not the whole stream. See trap 1.": seen.at(seen.last, seen.added),
        "the last column is taken, padding or not. See trap 2.": seen.at(-1),
        "the last column is taken, and the model is not told of the mask. See traps 2 and 3.": blind.at(-1),
        "the place is the sum of the mask minus 1: with padding on the left that is too early. See trap 2.": (
            seen.at(count - 1)
        ),
        "the place is the sum of the mask minus 1, and the model is not told of the mask. See traps 2 and 3.": (
            blind.at(count - 1)
        ),
        "the first real token is taken, not the last.": seen.at(seen.real.argmax(1)),
        "the first column is taken.": seen.at(0),
        "the token before the last is taken.": seen.at((seen.last - 1).clamp(min=0)),
        "the states of all real tokens are averaged; the last one is asked for.": seen.averaged(seen.real),
        "the states of all places are averaged, padding included; the last real one is asked for.": (
            seen.averaged(torch.ones_like(seen.real))
        ),
        "the model is not told of the mask: real tokens read the padding. See trap 3.": blind.at(blind.last),
        "the layers come in the order of the blocks, not in the order asked for. See trap 5.": (
            seen.at(seen.last, layers=sorted(layers))
        ),
        "every layer is the last one of `layers`: a function made in a loop sees the loop's last value.": (
            seen.at(seen.last, layers=[layers[-1]] * len(layers))
        ),
        "a layer that is asked for twice comes once. See trap 5.": (
            seen.at(seen.last, layers=list(dict.fromkeys(layers)))
        ),
        "a layer that is asked for twice comes once, and the layers come in the order of the blocks. See trap 5.": (
            seen.at(seen.last, layers=sorted(set(layers)))
        ),
        "the answer is (B, L, D); (L, B, D) is asked for.": seen.at(seen.last).transpose(0, 1),
    }


def check_record(handle, prop, tokens, layers, mask=None, what: str = "the result", **how) -> None:
    """Value, and what became of the model."""
    given = () if mask is None else (mask,)
    outcome = handle.call(prop, tokens, layers, *given)
    expected = row_by_row(prop, tokens, layers, mask)
    try:
        expect_close(outcome.result, expected, what)
    except CheckFailure:  # only now is it worth the time to find out why
        expect_close(outcome.result, expected, what, mistakes=record_mistakes(prop, tokens, layers, mask))
    check_state(outcome.states[0], **how)


def check_state(state: dict, training: bool = False, when: str = "") -> None:
    hooks = state["hooks"]
    expect_true(hooks <= 0, f"{hooks} hook(s) are left on the model{when}: remove each one. See trap 4.")
    expect_true(hooks == 0, f"hooks that were there before are gone{when}: remove your own only. See trap 4.")
    expect_true(not state["changed"], f"the weights {state['changed']} have changed: you only read.")
    expect_true(not state["grads"], f"{state['grads']} hold gradients: you only read. See trap 6.")
    words = {True: "training", False: "evaluation"}
    expect_equal(words[state["training"]], words[training], "the model's mode afterwards (trap 6)")


@exercise("record_activations", "the output of each asked block at the last token")
def test_record_without_padding(handle, seed):
    check_record(handle, network(seed), rows(seed, B=3, T=5), [0, 1])
    check_record(handle, network(seed), rows(seed, B=3, T=5), [2], what="the result (the last block alone)")


@exercise("record_activations", "layers in any order, and more than once")
def test_record_layers(handle, seed):
    check_record(handle, network(seed), rows(seed), [2, 0, 1], what="the result (layers [2, 0, 1])")
    check_record(handle, network(seed), rows(seed), [1, 0, 1, 1], what="the result (layers [1, 0, 1, 1])")


def padded(handle, seed: int, side: list, words: str, kind: torch.dtype = torch.long) -> None:
    mask = torch.tensor(side).to(kind)
    check_record(handle, network(seed), rows(seed + 1), [0, 2], mask, f"the result ({words}, {kind} mask)")


@exercise("record_activations", "rows of different length, padded on the right")
def test_record_padded_right(handle, seed):
    padded(handle, seed, RIGHT, "padding on the right")


@exercise("record_activations", "rows of different length, padded on the left")
def test_record_padded_left(handle, seed):
    padded(handle, seed, LEFT, "padding on the left")


@exercise("record_activations", "some rows padded on the left, some on the right, some on both sides")
def test_record_padded_either(handle, seed):
    for kind in (torch.long, torch.bool, torch.float32):
        padded(handle, seed, EITHER, "padding on either side", kind)


@exercise("record_activations", "what stands at padding does not matter")
def test_record_ignores_padding(handle, seed):
    mask, tokens = torch.tensor(EITHER), rows(seed)
    other = torch.where(mask.bool(), tokens, (tokens + 5) % 13)
    first, second = (handle(network(seed), each, [1, 2], mask) for each in (tokens, other))
    expect_shape(first, (2, 4, 8))
    expect_close(second, first, "the result after the tokens at padding have changed")


@exercise("record_activations", "hooks do not pile up: a second call gives the same, in training mode too")
def test_record_twice(handle, seed):
    prop, tokens = network(seed, training=True), rows(seed)
    outcomes = handle.calls([((prop, tokens, [0, 1]), {}), ((prop, tokens, [1, 2]), {"mask": torch.tensor(LEFT)})])
    expect_close(outcomes[0].result, row_by_row(prop, tokens, [0, 1], None), "the result of the first call")
    expected = row_by_row(prop, tokens, [1, 2], torch.tensor(LEFT))
    expect_close(outcomes[1].result, expected, "the result of a second call")
    for outcome in outcomes:
        check_state(outcome.states[0], training=True)


@exercise("record_activations", "every hook is removed where the forward pass raises, and the error is passed on")
def test_record_after_an_error(handle, seed):
    prop = network(seed)
    refuses(handle, f"{CONTEXT + 1} tokens for a context of {CONTEXT}", prop, rows(seed, T=CONTEXT + 1), [0, 1])
    check_record(handle, prop, rows(seed), [1], when=" after a forward pass that raised (use try and finally)")


@exercise("record_activations", "no gradient flows")
def test_record_no_gradient(handle, seed):
    names = ("embed.weight", "blocks.0.mlp.down.weight")
    wrt = [(0, name) for name in names]
    _, grads = handle.gradients(network(seed), rows(seed), [0, 2], torch.tensor(LEFT), wrt=wrt)
    for key, name in zip(wrt, names):
        expect_no_gradient(grads[key], name, "Run the model inside torch.no_grad(). See trap 6.")
