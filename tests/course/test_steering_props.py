"""Props of the steering lesson: a watched network, and answers with a cache."""

import pytest
import torch

from minillm.course.expect import CheckFailure
from minillm.course.handle import LocalHandle
from minillm.course.props import Network, Run
from minillm.course.steering_props import Answers, WatchedNetwork

TOKENS = torch.tensor([[3, 0, 5], [1, 2, 12]])


def test_a_watched_network_tells_of_hooks_that_a_failed_call_has_left() -> None:
    def leak(model, run):
        model.blocks[1].register_forward_hook(lambda *_: None)
        return run()

    network = WatchedNetwork()
    with pytest.raises(CheckFailure, match="half-way"):
        LocalHandle(leak, "leak").call(network, Run(network, TOKENS, fails=True))
    after = LocalHandle(lambda model, run: run(), "run").call(network, Run(network, TOKENS))
    assert after.states[0]["hooks"] == 1
    plain = Network()
    assert torch.equal(after.result, LocalHandle(lambda m, run: run(), "run")(plain, Run(plain, TOKENS)))


def test_a_watched_network_sees_what_is_changed_in_place_and_who_is_gone() -> None:
    def meddle(model, tokens):
        handle = model.blocks[2].register_forward_hook(lambda block, inputs, output: output.mul_(2))
        with torch.no_grad():
            logits = model(tokens)
        handle.remove()
        model.blocks[0]._forward_hooks.clear()
        return logits

    network = WatchedNetwork(training=True)
    calm = LocalHandle(lambda model, tokens: model(tokens), "run").call(network, TOKENS)
    assert calm.states[0] == {"changed": [], "grads": [], "hooks": 0, "training": True, "altered": []}

    state = LocalHandle(meddle, "meddle").call(WatchedNetwork(), TOKENS).states[0]
    assert state["hooks"] == -1 and state["altered"] == [2] and not state["training"]


def test_answers_with_a_cache_are_those_without() -> None:
    network = Network()
    prompt, answer = TOKENS, torch.tensor([[4, 0], [7, 1]])
    outcome = LocalHandle(lambda model, run: run(), "run").call(
        network, Answers(network, (prompt, prompt[:, 1:]), answer)
    )
    long = LocalHandle(lambda model, tokens: model(tokens), "run")
    for got, read in zip(outcome.result, (prompt, prompt[:, 1:])):
        expected = long(network, torch.cat([read, answer], 1))[:, read.shape[1] - 1 :]
        assert torch.allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert outcome.states[1] == {"calls": 1}
