"""What a right solution of lesson 13 is, continued: steering while something runs."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn

from minillm.course.expect import CheckFailure, expect_close, expect_equal, expect_results, expect_true, fail
from minillm.course.props import Network, Run
from minillm.course.steering_props import Answers, WatchedNetwork
from minillm.course.testing import exercise

LAYERS = 3
CONTEXT = 16
Change = Callable[[int, Tensor, Tensor], Tensor]  # (layer, its input, its output), each (T, D) -> what goes on


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(seed: int) -> WatchedNetwork:
    return WatchedNetwork(layers=LAYERS, context_length=CONTEXT, seed=seed)


def rows(seed: int, B: int, T: int) -> Tensor:
    tokens = torch.randint(0, 13, (B, T), generator=generator(seed))
    tokens[0, -1] = 0
    return tokens


def steering_vector(seed: int) -> Tensor:
    """(8,), not contiguous, of a length that is not 1, with numbers of both signs."""
    wide = 1.5 * torch.randn(8, 2, generator=generator(seed + 70))
    wide[:2, 0] = torch.tensor([2.0, -1.5])
    return wide[:, 0]


@lru_cache(maxsize=4)
def model_of(seed: int) -> nn.Module:
    """The test's own model, to be read only: the one that a network of this seed stands for."""
    return Network(layers=LAYERS, context_length=CONTEXT, seed=seed).make(lambda other: other)


def logits_of(prop: Network, row: list[int], change: Change, before: Change | None = None) -> Tensor:
    """The logits (T, V) of one row without padding, block by block, with changes to what the blocks pass on."""
    model = model_of(prop.seed)
    with torch.no_grad():
        x = model.embed.weight[torch.tensor(row)]  # (T, D)
        for i, block in enumerate(model.blocks):
            x = x if before is None else before(i, x, x)
            output = block(x[None], model.cos[: len(row)], model.sin[: len(row)])[0]
            x = change(i, x, output)
        return model.norm(x) @ model.embed.weight.T  # (T, V)


def nothing(i: int, x: Tensor, output: Tensor) -> Tensor:
    return output


def adding(layer: int, vector: Tensor, places: slice | int) -> Change:
    """The vector is added to the output of ``layer`` at some places."""

    def change(i: int, x: Tensor, output: Tensor) -> Tensor:
        result = output.clone()
        if i == layer:
            result[places] += vector
        return result

    return change


def instead(layer: int, place: int, made: Callable[[Tensor, Tensor], Tensor]) -> Change:
    """At one place of ``layer`` its output is replaced by made(input, output)."""

    def change(i: int, x: Tensor, output: Tensor) -> Tensor:
        result = output.clone()
        if i == layer:
            result[place] = made(x[place], output[place])
        return result

    return change


def changes(layer: int, vector: Tensor, start: int) -> dict[str, Change]:
    """What mistakes do to one row, whose answer begins behind place ``start`` (its prompt's last)."""
    unit = vector / vector.norm()
    known = {
        "nothing is added: run() is called before the hook is there or after it is gone, or what the hook makes is "
        "not returned by it. See traps 1 and 4.": nothing,
        "the vector is added at all places. See trap 2.": adding(layer, vector, slice(None)),
        "the vector is added at all places of the prompt. See trap 2.": adding(layer, vector, slice(start + 1)),
        "the vector is added in passes of one token too. See trap 2.": adding(layer, vector, slice(start, None)),
        "the vector is added only in passes of one token. See trap 2.": adding(layer, vector, slice(start + 1, None)),
        "the vector is added at the first place. See trap 2.": adding(layer, vector, 0),
        "the vector is subtracted.": adding(layer, -vector, start),
        "the vector is scaled to length 1. See trap 6.": adding(layer, unit, start),
        "the vector is scaled to length 1 and subtracted. See trap 6.": adding(layer, -unit, start),
        "the vector is added twice: there are two hooks, or it is added in place to what is added to again.": (
            adding(layer, 2 * vector, start)
        ),
        "the output is multiplied by the vector.": instead(layer, start, lambda x, y: y * vector),
        "the output is replaced by the vector, not added to.": instead(layer, start, lambda x, y: vector),
        "the vector is added to what goes into the block, and that put in place of its output. See trap 1.": (
            instead(layer, start, lambda x, y: x + vector)
        ),
        "the vector is scaled to the length of the state. See trap 6.": (
            instead(layer, start, lambda x, y: y + unit * y.norm())
        ),
        "the state is brought back to its old length after the vector was added.": (
            instead(layer, start, lambda x, y: (y + vector) / (y + vector).norm() * y.norm())
        ),
    }
    for other in range(LAYERS):
        if other != layer:
            known[f"the vector is added behind block {other}, not {layer}. See trap 1."] = adding(other, vector, start)
    known["the vector is added behind every block."] = lambda i, x, y: adding(i, vector, start)(i, x, y)
    return known


def batch(prop: Network, tokens: Tensor, mask: Tensor | None, change: Change, before: Change | None = None) -> Tensor:
    """Logits (B, T, V), each row alone; 0 at padding. Rows are padded on the left."""
    B, T = tokens.shape
    result = torch.zeros(B, T, prop.vocab_size)
    for b, row in enumerate(tokens.tolist()):
        padding = 0 if mask is None else T - int(mask[b].sum())
        result[b, padding:] = logits_of(prop, row[padding:], change, before)
    return result


def check_state(outcome) -> None:
    """What became of the model and of run."""
    state, run = outcome.states[0], outcome.states[3]
    hooks = state["hooks"]
    expect_true(hooks <= 0, f"{hooks} hook(s) are left on the model: remove each one, in a `finally`. See trap 4.")
    expect_true(hooks == 0, "hooks that were there before are gone: remove your own only. See trap 4.")
    expect_true(not state["changed"], f"the weights {state['changed']} have changed; steering leaves them alone.")
    expect_equal(run["calls"], 1, "the number of calls of run() (trap 5)")
    expect_true(not state["training"], "the model is in training mode afterwards; leave its mode alone.")
    expect_true(
        not state["altered"],
        f"the output of block {state['altered']} was changed in place: whoever held it sees your vector in it. "
        "Return a new tensor. See trap 3.",
    )


def check_logits(got, prop, tokens, mask, layer, vector, what: str, steered: bool = True) -> None:
    """The logits (B, T, V) of a single pass."""
    right = adding(layer, vector, -1) if steered else nothing
    expected = batch(prop, tokens, mask, right)
    known = changes(layer, vector, tokens.shape[1] - 1 if mask is None else -1)
    mistakes = {words: (lambda c=change: batch(prop, tokens, mask, c)) for words, change in known.items()}
    if not steered:
        one = "the vector is added in passes of one token too. See trap 2."
        mistakes = {one: mistakes[one], **mistakes}
    before = "the vector is added to what goes into the block; its output is asked for. See trap 1."
    mistakes = {before: lambda: batch(prop, tokens, mask, nothing, adding(layer, vector, -1)), **mistakes}
    expect_close(got, expected, what, mistakes=mistakes, where=None if mask is None else mask.bool()[..., None])


def one_pass(handle, seed: int, layer: int, tokens: Tensor, mask: Tensor | None = None, words: str = "") -> None:
    """steer with a run of a single pass."""
    prop, vector = network(seed), steering_vector(seed)
    outcome = handle.call(prop, layer, vector, Run(prop, tokens, mask))
    if outcome.result is None:
        fail(f"your {handle.name} returned None: return what run() returns. See trap 5.")
    steered = tokens.shape[1] > 1
    check_logits(outcome.result, prop, tokens, mask, layer, vector, f"the logits{words}", steered)
    check_state(outcome)


@exercise("steer", "the vector at the last place, behind the block that is asked for")
def test_steer_one_pass(handle, seed):
    one_pass(handle, seed, 1, rows(seed, 3, 5))
    for layer in (0, LAYERS - 1):
        one_pass(handle, seed, layer, rows(seed + 1, 4, 6), None, f" (block {layer})")


@exercise("steer", "prompts of different length, padded on the left")
def test_steer_padded(handle, seed):
    mask = torch.arange(6) >= torch.tensor([2, 0, 4, 1])[:, None]
    one_pass(handle, seed, 1, rows(seed, 4, 6), mask.long(), " (padding on the left)")


@exercise("steer", "a pass of one token stays as it is")
def test_steer_single_token(handle, seed):
    one_pass(handle, seed, 1, rows(seed, 3, 1), None, " (one token)")
    one_pass(handle, seed, 1, rows(seed, 3, 2), None, " (two tokens)")


def answer_logits(prop: Network, prompt: Tensor, answer: Tensor, change: Callable[[int], Change]) -> Tensor:
    """(B, S + 1, V): the logits from the prompt's last token on."""
    start = prompt.shape[1] - 1
    return batch(prop, torch.cat([prompt, answer], 1), None, change(start))[:, start:]


def check_answers(got, prop, prompts, answer, layer, vector) -> None:
    got = expect_results(got, len(prompts), "what run() returned: logits for each prompt")
    for k, (mine, prompt) in enumerate(zip(got, prompts)):
        expected = answer_logits(prop, prompt, answer, lambda start: adding(layer, vector, start))
        mistakes = {
            words: (lambda w=words, p=prompt: answer_logits(prop, p, answer, lambda s: changes(layer, vector, s)[w]))
            for words in changes(layer, vector, -1)
        }
        if k:
            missing = "only the first pass is steered; every pass of more than one token is a prompt. See trap 2."
            mistakes = {missing: lambda p=prompt: answer_logits(prop, p, answer, lambda start: nothing), **mistakes}
        expect_close(mine, expected, f"the logits of the answer to prompt {k + 1} of {len(prompts)}", mistakes=mistakes)


@exercise("steer", "an answer, token by token with a cache: only its prompt is steered; and every prompt is")
def test_steer_answers(handle, seed):
    prop, vector, answer = network(seed), steering_vector(seed), rows(seed + 5, 3, 4)
    for layer in (0, 1):
        prompts = (rows(seed, 3, 5), rows(seed + 1, 3, 2), rows(seed + 2, 3, 7))
        outcome = handle.call(prop, layer, vector, Answers(prop, prompts, answer))
        check_answers(outcome.result, prop, prompts, answer, layer, vector)
        check_state(outcome)


@exercise("steer", "afterwards the model answers as before, and may be steered again")
def test_steer_leaves_nothing(handle, seed):
    prop, vector, tokens = network(seed), steering_vector(seed), rows(seed, 3, 5)
    run, zero = Run(prop, tokens), torch.zeros(8)
    rounds = [((prop, 1, vector, run), {}), ((prop, 1, zero, run), {}), ((prop, 0, -vector, run), {})]
    first, second, third = handle.calls(rounds)
    expect_close(first.result, batch(prop, tokens, None, adding(1, vector, -1)), "the logits")
    traces = {"the first vector is still being added. See trap 4.": first.result}
    expected = batch(prop, tokens, None, nothing)
    expect_close(second.result, expected, "the logits of a second run, with a vector of zeros", mistakes=traces)
    expected = batch(prop, tokens, None, adding(0, -vector, -1))
    expect_close(third.result, expected, "the logits of a third run, behind another block, with another vector")
    expect_equal([each.states[3]["calls"] for each in (first, second, third)], [1, 2, 3], "the calls of run() so far")


@exercise("steer", "where run() raises, the hook goes and the error is passed on")
def test_steer_after_an_error(handle, seed):
    prop, vector, tokens = network(seed), steering_vector(seed), rows(seed, 3, 5)
    try:
        handle.call(prop, 1, vector, Run(prop, tokens, fails=True))
    except CheckFailure as failure:
        expect_true("half-way" in str(failure), f"run() raised, and its error should be passed on. {failure}")
    else:
        fail("run() raised, and its error should be passed on; your function went on without it.")
    outcome = handle.call(prop, 1, torch.zeros(8), Run(prop, tokens))
    left = "a hook of the run that raised is still there: use try and finally. See trap 4."
    stale = {left: batch(prop, tokens, None, adding(1, vector, -1))}
    what = "the logits of a run after one that raised (a vector of zeros)"
    expect_close(outcome.result, batch(prop, tokens, None, nothing), what, mistakes=stale)
    check_state(outcome)
