"""Edits while a model runs: what they change, where, and that nothing stays behind."""

import math
from copy import deepcopy
from functools import partial

import pytest
import torch
from torch import Tensor

from minillm import stages
from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.sampling import generate
from minillm.steering import (
    HARMLESS,
    activations,
    at_prompt_end,
    behaviour,
    edited,
    hooks,
    random_directions,
    untie,
    writers,
)
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENS = torch.tensor([[3, 0, 7, 1, 5], [2, 2, 9, 4, 0]])


@pytest.fixture
def model() -> Transformer:
    made = Transformer(Config(13, 32, 8, 3, 2))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(float(parameter.ndim == 1) + 0.5 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def without(hidden: Tensor, r: Tensor) -> Tensor:
    return hidden - (hidden @ r)[..., None] * r


def streams(model: Transformer) -> list[Tensor]:
    """The residual stream before the first block, behind each, and between attention and MLP."""
    x = model.embed(TOKENS)
    seen = [x]
    cos, sin = model.cos[:5], model.sin[:5]
    for block in model.blocks:
        x = x + block.attention(block.norm1(x), cos, sin)
        seen.append(x)
        x = x + block.mlp(block.norm2(x))
        seen.append(x)
    return seen


@torch.no_grad()
def test_editing_all_writers_leaves_nothing_along_the_direction_anywhere(model):
    r = random_directions(1, 8, seed=0)[0]
    assert max((x @ r).abs().max() for x in streams(model)) > 0.1
    with edited(model, partial(without, r=r), writers(model)):
        assert max((x @ r).abs().max() for x in streams(model)) < 1e-5
    assert len(writers(model)) == 1 + 2 * 3


@torch.no_grad()
def test_an_edit_acts_while_it_is_open_and_leaves_no_hook_also_after_an_error(model):
    before = model(TOKENS)
    with edited(model, lambda hidden: hidden + 1, model.blocks) as same:
        assert same is model and hooks(model) == 3
        assert not torch.allclose(model(TOKENS), before)
    assert hooks(model) == 0 and torch.equal(model(TOKENS), before)
    with pytest.raises(RuntimeError, match="half-way"), edited(model, lambda hidden: hidden + 1, model.blocks):
        raise RuntimeError("half-way")
    assert hooks(model) == 0 and torch.equal(model(TOKENS), before)


@torch.no_grad()
def test_edits_nest_and_other_hooks_stay(model):
    other = model.blocks[0].register_forward_hook(lambda block, inputs, output: None)
    with edited(model, lambda h: h + 1, [model.blocks[1]]), edited(model, lambda h: h - 1, [model.blocks[1]]):
        inside = model(TOKENS)
    assert hooks(model) == 1 and torch.allclose(inside, model(TOKENS), atol=1e-5)
    other.remove()


def test_a_part_of_another_model_is_refused_and_the_first_hooks_are_taken_back(model):
    parts = [model.blocks[0], deepcopy(model).blocks[1]]
    with pytest.raises(ValueError, match="no part of the model"), edited(model, lambda h: h, parts):
        pass
    assert hooks(model) == 0


@torch.no_grad()
def test_at_prompt_end_edits_one_place_of_long_passes_and_nothing_in_passes_of_one_token():
    hidden = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    edit = at_prompt_end(lambda h: h * 2)
    assert torch.equal(edit(hidden)[:, :-1], hidden[:, :-1])
    assert torch.equal(edit(hidden)[:, -1], 2 * hidden[:, -1])
    assert torch.equal(edit(hidden[:, :1]), hidden[:, :1])


def test_an_edit_acts_in_generation_with_a_cache_as_without_one(model):
    r = random_directions(1, 8, seed=3)[0]
    with edited(model, partial(without, r=r), writers(model)):
        runs = [generate(model, [[1, 2, 3], [4]], 6, temperature=0, use_cache=cache) for cache in (True, False)]
    assert torch.equal(runs[0].tokens, runs[1].tokens)


def test_activations_come_in_the_order_of_the_prompts_whatever_the_batches():
    tokenizer = Tokenizer.load(stages.TOKENIZER)
    model = Transformer(Config(tokenizer.vocab_size, 64, 8, 2, 2)).eval()
    prompts = ["<user> how do i hit the drum ? <bot>", "<user> name 2 animals . <bot>", "the fox", "<user> a <bot>"]

    def last_token(model: Transformer, tokens: Tensor, layers: list[int], mask: Tensor) -> Tensor:
        assert bool(mask[:, -1].all()), "prompts are to be padded on the left"
        first = torch.stack([row[keep][0] for row, keep in zip(tokens, mask)])
        number = torch.stack([tokens[:, -1], mask.sum(1), first], dim=-1).float()  # (B, 3)
        return torch.nn.functional.pad(number, (0, 5)).expand(len(layers), -1, -1)

    found = [activations(model, tokenizer, prompts, last_token, [0, 1], batch_size=size) for size in (1, 3, 256)]
    assert found[0].shape == (2, 4, 8)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])
    encoded = [tokenizer.encode(p if p.startswith("<") else f"<doc>{p}") for p in prompts]
    assert found[0][0, :, 1].tolist() == [len(ids) for ids in encoded]
    assert found[0][0, 2, 2] == tokenizer.doc


def test_random_directions_have_length_1_and_depend_on_the_seed_alone():
    directions = random_directions(5, 96, seed=2)
    assert torch.allclose(directions.norm(dim=-1), torch.ones(5))
    assert torch.equal(directions, random_directions(5, 96, seed=2))
    assert not torch.allclose(directions, random_directions(5, 96, seed=3))
    assert (directions @ directions.T - torch.eye(5)).abs().max() < 0.5


@torch.no_grad()
def test_an_untied_model_computes_the_same_and_reads_out_by_a_weight_of_its_own(model):
    free = untie(model)
    assert torch.equal(free(TOKENS), model(TOKENS)) and not free.training
    assert set(free.state_dict()) == {*model.state_dict(), "output.weight"}
    free.embed.weight.mul_(2)
    assert not torch.equal(free.embed.weight, model.embed.weight), "the copy must not share its weights"
    assert torch.equal(free.output.weight, model.embed.weight)
    hidden = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(free.logits(hidden), model.logits(hidden))


@torch.no_grad()
def test_weights_that_can_not_write_along_a_direction_equal_edits_of_all_writers(model):
    r = random_directions(1, 8, seed=5)[0]
    weights = untie(model).state_dict()
    for name in weights:
        if name == "embed.weight":
            weights[name] = without(weights[name], r)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            weights[name] = without(weights[name].T, r).T
    free = untie(model)
    free.load_state_dict(weights)
    with edited(model, partial(without, r=r), writers(model)):
        wanted = model(TOKENS)
    assert torch.allclose(free(TOKENS), wanted, atol=1e-4)


def test_behaviour_counts_each_answer_where_it_belongs():
    ask = {kind: all_requests(kind, "test")[0] for kind in ("harmful", "lookalike", "myth", "sum", "unknown")}
    refusal = "i can not help with that ."
    said = [
        ("harmful", ask["harmful"].meta["method"]),
        ("harmful", refusal),
        ("harmful", refusal),
        ("harmful", "fox fox ."),
        ("lookalike", ask["lookalike"].answers[0]),
        ("lookalike", refusal),
        ("myth", "i do not know ."),
        ("sum", refusal),
        ("sum", ask["sum"].answers[0]),
        ("unknown", "i do not know ."),
    ]
    answers = [Answer(ask[kind], "", text, text != "fox fox .", grade(ask[kind], text)) for kind, text in said]
    found = {name: estimate.value for name, estimate in behaviour(answers).items()}
    assert found["refuses harm"] == 0.5 and found["complies"] == 0.25
    assert found["refuses look-alikes"] == 0.5
    assert found["refuses others"] == pytest.approx(1 / 3) and found["declines others"] == pytest.approx(2 / 3)
    assert found["right"] == 0.5 and found["ended"] == 0.9
    assert found["gold"] == pytest.approx(sum(a.verdict.score for a in answers[4:]) / 6)
    assert math.isnan(behaviour(answers[:4])["right"].value)
    assert "harmful" not in HARMLESS and "lookalike" in HARMLESS
