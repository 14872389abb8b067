"""Props that are models, runs of models, and losses of tokens."""

import pytest
import torch

from minillm.course.expect import CheckFailure
from minillm.course.handle import LocalHandle
from minillm.course.props import Network, Run, TokenLoss

TOKENS = torch.tensor([[3, 0, 5], [1, 2, 12]])


def test_a_network_is_the_same_each_time_and_tells_what_was_done_to_it() -> None:
    def meddle(model, tokens):
        first = model(tokens)
        model.blocks[1].register_forward_hook(lambda *_: None)
        with torch.no_grad():
            model.norm.weight.add_(1)
        model(tokens).sum().backward()
        model.train()
        return first

    outcome = LocalHandle(meddle, "meddle").call(Network(), TOKENS)
    assert torch.equal(outcome.result, LocalHandle(lambda m, t: m(t), "run")(Network(), TOKENS))
    state = outcome.states[0]
    assert state["changed"] == ["norm.weight"] and state["hooks"] == 1 and state["training"]
    assert "embed.weight" in state["grads"]
    untouched = LocalHandle(lambda m, t: m(t), "run").call(Network(), TOKENS).states[0]
    assert untouched == {"changed": [], "grads": [], "hooks": 0, "training": False}
    assert not torch.equal(outcome.result, LocalHandle(lambda m, t: m(t), "run")(Network(seed=1), TOKENS))


def test_a_run_reads_the_model_beside_it() -> None:
    network = Network()

    def double_then_run(model, run):
        with torch.no_grad():
            model.norm.weight.mul_(2)
        return run()

    doubled = LocalHandle(double_then_run, "run").call(network, Run(network, TOKENS))
    plain = LocalHandle(lambda model, run: run(), "run")(network, Run(network, TOKENS))
    assert torch.allclose(doubled.result, 2 * plain, rtol=1e-5)
    assert doubled.states[1] == {"calls": 1}
    with pytest.raises(CheckFailure, match="half-way"):
        LocalHandle(lambda model, run: run(), "run")(network, Run(network, TOKENS, fails=True))


def test_a_token_loss_sums_over_places_and_remembers_its_calls() -> None:
    table = torch.arange(6.0).view(2, 3)
    candidates = torch.tensor([[0, 0], [2, 1]])
    outcome = LocalHandle(lambda losses, c: losses(c), "ask").call(TokenLoss(table), candidates)
    assert outcome.result.tolist() == [3.0, 6.0]
    assert torch.equal(outcome.states[0]["calls"][0], candidates)
    with pytest.raises(CheckFailure, match="candidates must be"):
        LocalHandle(lambda losses: losses(torch.tensor([0, 1])), "ask").call(TokenLoss(table))
