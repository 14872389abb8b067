"""The handle: raw values in, raw values out, and a sentence for everything that can go wrong in between."""

import linecache
import random
from types import ModuleType

import pytest
import torch
from torch import nn

from minillm.course.expect import CheckFailure, NotAttempted
from minillm.course.handle import LocalHandle
from minillm.course.props import SGD, AdamW, Generator, Loss, Replies, Rule, ToyLM

X = torch.arange(12.0).reshape(3, 4)


def message(call, *args, **kwargs) -> str:
    with pytest.raises(CheckFailure) as failure:
        call(*args, **kwargs)
    return str(failure.value)


def written(source: str, name: str = "f") -> LocalHandle:
    """A handle on a function as a notebook's cell would define it."""
    filename = f"<cell {name}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module = ModuleType("cell")
    vars(module).update(torch=torch, nn=nn)
    exec(compile(source, filename, "exec"), vars(module))
    return LocalHandle(vars(module)[name], name)


def test_results_are_detached_copies() -> None:
    x = X.clone()
    result = LocalHandle(lambda x: {"y": (x, [x.sum()], range(2), 1.5)}, "f")(x)
    assert result["y"][0] is not x and not result["y"][1][0].requires_grad and result["y"][2:] == ([0, 1], 1.5)


def test_inputs_keep_strides_dtypes_and_identity_of_values() -> None:
    seen = {}

    def look(x, y, flags):
        seen.update(stride=x.stride(), dtype=y.dtype, flags=flags)
        return x

    LocalHandle(look, "look")(X[:, ::2], X.to(torch.float16), {"a": [True]})
    assert seen == {"stride": (4, 2), "dtype": torch.float16, "flags": {"a": [True]}}


@pytest.mark.parametrize("body", ["x.add_(1)", "x[0] = 0", "x += 1", "items.append(1)", "items[0].zero_()"])
def test_a_changed_input_is_named(body: str) -> None:
    handle = written(f"def f(x, items):\n    {body}\n    return x * 1")
    said = message(handle, X, [X + 1])
    assert "changes its input" in said and ("`items`" if "items" in body else "`x`") in said
    assert torch.equal(X, torch.arange(12.0).reshape(3, 4))


def test_garbage_and_nan_in_inputs_do_not_count_as_changes() -> None:
    LocalHandle(lambda x: x.nan_to_num(), "f")(torch.tensor([float("nan"), 1.0]))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("pass", "returned None: is there a `return` line"),
        ("return object()", "expected a tensor or plain data"),
        ("return missing", "NameError: name 'missing' is not defined\nYour code: f, line 2:  return missing"),
        (
            "return x @ x",
            "mat1 and mat2 shapes cannot be multiplied (3x4 and 3x4)\nYour code: f, line 2:  return x @ x",
        ),
        ("return f(x)", "RecursionError"),
        ("raise SystemExit", "stopped with SystemExit"),
        ("return torch.nn.functional.softmax(x, dim=7)", "Your code: f, line 2:  return torch.nn.functional.softmax"),
    ],
)
def test_what_goes_wrong_is_told_with_the_students_own_line(body: str, words: str) -> None:
    said = message(written(f"def f(x):\n    {body}"), X)
    assert words in said and "Traceback" not in said and "site-packages" not in said


@pytest.mark.parametrize("body", ["x + x.sum(0)[:2]", "x / x.sum(1)"])
def test_shapes_that_do_not_broadcast_get_a_hint_before_the_line(body: str) -> None:
    first, hint, place, *_ = message(written(f"def f(x):\n    return {body}"), X).splitlines()
    assert "must match the size of tensor" in first
    assert hint == "Print the shapes of both. Where a sum or mean took a dimension away, keepdim=True keeps it."
    assert place.startswith("Your code: f, line 2:")


def test_the_call_is_shown_when_it_fails() -> None:
    said = message(written("def f(x, eps):\n    return 1 / 0"), X, eps=1e-5)
    assert "It was called with: tensor (3, 4), eps=1e-05" in said


def test_a_blank_is_not_attempted_and_another_not_implemented_is_an_error() -> None:
    with pytest.raises(NotAttempted):
        written('def f(x):\n    raise NotImplementedError("Exercise 2.1: f")')(X)
    assert "NotImplementedError" in message(written("def f(x):\n    raise NotImplementedError"), X)


def test_the_callers_random_state_and_settings_come_back() -> None:
    def upset(x):
        torch.manual_seed(3)
        random.seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return x + torch.rand(())

    before, python = torch.get_rng_state(), random.getstate()
    first, second = (LocalHandle(upset, "upset")(X) for _ in range(2))
    assert torch.equal(first, second) and torch.equal(before, torch.get_rng_state()) and python == random.getstate()
    assert torch.get_default_dtype() == torch.float32 and torch.is_grad_enabled()


def test_gradients_are_those_of_the_weighted_sum() -> None:
    upstream = torch.randn(3, 4)
    result, grads = LocalHandle(lambda x, *, weight: x**2 * weight, "f").gradients(
        X, weight=X + 1, wrt=[0, "weight"], upstream=upstream
    )
    assert torch.equal(result, X**2 * (X + 1))
    assert torch.allclose(grads[0], upstream * 2 * X * (X + 1)) and torch.allclose(grads["weight"], upstream * X**2)


def test_gradients_through_one_of_several_results_and_to_unused_inputs() -> None:
    handle = LocalHandle(lambda x, y: (x.sum(), {"b": 2 * x}), "f")
    assert torch.equal(handle.gradients(X, X, wrt=[0], output=0)[1][0], torch.ones(3, 4))
    assert handle.gradients(X, X, wrt=[1], output=0)[1] == {1: None}
    assert "result 2 is missing" in message(handle.gradients, X, X, wrt=[0], output=2)


@pytest.mark.parametrize("body", ["x.detach() * 2", "(x * 2).tolist()", "float(x.sum())"])
def test_a_cut_off_result_gives_no_gradient(body: str) -> None:
    assert written(f"def f(x):\n    return {body}").gradients(X, wrt=[0])[1] == {0: None}


def test_changing_an_input_in_place_is_also_told_when_gradients_are_asked() -> None:
    assert "in place" in message(written("def f(x):\n    x *= 2\n    return x").gradients, X, wrt=[0])
    assert "returned shape (3, 4), expected (4,)" in message(
        LocalHandle(lambda x: x, "f").gradients, X, wrt=[0], upstream=torch.ones(4)
    )


CLASS = """
class Pair(nn.Module):
    def __init__(self, dim):
        super().__init__()
        {init}

    def forward(self, x):
        {forward}
"""
FUSED = ("self.qkv = nn.Linear(dim, 3 * dim, bias=False)", "q, k, v = self.qkv(x).chunk(3, -1); return q * k + v")
SPLIT = "for n in ('{0}', '{1}', '{2}'): setattr(self, n, nn.Linear(dim, dim, bias=False))"
USE = "return self.{0}(x) * self.{1}(x) + self.{2}(x)"


@pytest.mark.parametrize(
    "names",
    [
        None,
        ("q", "k", "v"),
        ("q_proj", "k_proj", "v_proj"),
        ("query", "key", "value"),
        ("W_q", "W_k", "W_v"),
        ("wq", "wk", "wv"),
    ],
)
def test_fused_and_split_projections_are_the_same_module(names) -> None:
    init, forward = FUSED if names is None else (SPLIT.format(*names), USE.format(*names))
    weight = torch.randn(12, 4)
    pair = written(CLASS.format(init=init, forward=forward), "Pair").build(4, weights={"qkv.weight": weight})
    q, k, v = (X @ weight.T).chunk(3, -1)
    assert torch.allclose(pair(X), q * k + v, rtol=1e-4)
    _, grads = pair.gradients(X, wrt=[0, "qkv.weight"], upstream=torch.ones(3, 4))
    assert grads["qkv.weight"].shape == (12, 4) and torch.allclose(grads["qkv.weight"][8:], X.sum(0).expand(4, 4))


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("self.qkv = nn.Linear(dim, 3 * dim)", "a parameter that was not asked for: `qkv.bias`. Use bias=False."),
        ("self.qkv = nn.Linear(dim, dim, bias=False)", "`qkv.weight` has shape (4, 4), expected (12, 4)"),
        (
            "self.projection = nn.Linear(dim, dim, bias=False)",
            "no parameter `qkv.weight`. It has projection.weight (4, 4)",
        ),
        ("1 / 0", "stopped with ZeroDivisionError"),
    ],
)
def test_a_module_with_other_parameters_is_told_which(init: str, words: str) -> None:
    handle = written(CLASS.format(init=init, forward="return x"), "Pair")
    assert words in message(handle.build, 4, weights={"qkv.weight": torch.randn(12, 4)})


def test_what_is_no_module_is_told_so() -> None:
    assert "should be a class made from nn.Module" in message(LocalHandle(lambda dim: None, "Pair").build, 4)
    assert "super().__init__()" in message(
        written("class Pair(nn.Module):\n    def __init__(self, dim):\n        self.dim = dim", "Pair").build, 4
    )
    assert "no `forward` method" in message(written("class Pair(nn.Module):\n    pass", "Pair").build)


def toy() -> ToyLM:
    generator = torch.Generator().manual_seed(0)
    embed, head = torch.randn(5, 3, generator=generator), torch.randn(5, 3, generator=generator)
    return ToyLM(embed, head, grads={"head": torch.ones(5, 3)})


def step(model, optimizer, loss, tokens):
    value = loss(model, (tokens, None))
    optimizer.zero_grad()
    value.backward()
    optimizer.step()
    return value.item()


@pytest.mark.parametrize("make", [SGD, AdamW])
def test_props_are_live_inside_and_raw_outside(make) -> None:
    model, tokens = toy(), torch.tensor([[0, 1, 2], [3, 4, 0]])
    once = LocalHandle(step, "step").call(model, make(model, lr=0.1), Loss("square"), tokens)
    assert once.states[1]["steps"] == 1 and once.states[1]["lr"] == [0.1] and once.states[2] == {"calls": 1}
    assert not torch.equal(once.states[0]["head"], model.head) and once.states[0]["calls"][0]["training"]
    rounds = [((model, (sgd := make(model, lr=0.1)), Loss("linear"), tokens), {})] * 3
    outcomes = LocalHandle(step, "step").calls(rounds)
    assert [outcome.states[1]["steps"] for outcome in outcomes] == [1, 2, 3] and sgd.model is model
    assert outcomes[2].result < outcomes[0].result


def test_a_toy_model_is_what_its_loop_says() -> None:
    model, tokens = toy(), torch.tensor([[0, 1, 2]])
    logits = LocalHandle(lambda model, tokens: model(tokens), "f")(model, tokens)
    for t in range(3):
        assert torch.allclose(logits[0, t], model.head @ model.embed[tokens[0, : t + 1]].mean(0), atol=1e-6)


def test_gradients_reach_the_parameters_of_a_prop() -> None:
    model, tokens = toy(), torch.tensor([[0, 1, 2]])
    handle = LocalHandle(lambda model, tokens: model(tokens), "f")
    grads = handle.gradients(model, tokens, wrt=[(0, "embed")])[1]
    assert grads[0, "embed"].shape == (5, 3) and not grads[0, "embed"][3:].any()


def test_a_generator_prop_tells_whether_it_was_used() -> None:
    draw = LocalHandle(lambda generator: torch.rand(2, generator=generator), "f")
    assert torch.equal(draw(Generator(3)), draw(Generator(3))) and not torch.equal(
        draw(Generator(3)), draw(Generator(4))
    )
    assert draw.call(Generator(3)).states[0]["used"]
    assert not LocalHandle(lambda generator: 1, "f").call(Generator(3)).states[0]["used"]


def test_an_unknown_loss_is_a_mistake_of_the_test() -> None:
    with pytest.raises(ValueError, match="no loss 'cubic'"):
        LocalHandle(lambda loss: 1, "f")(Loss("cubic"))


def test_a_rule_is_a_principle_and_replies_tell_what_they_were_asked():
    rule = Rule("safe", "do no harm .", "is it safe ?", "yes .", "no .", "mend it :")
    replies = Replies({"is it safe ?": "no ."}, otherwise="who knows .")

    def ask(principle, generate):
        return generate([principle.critique_request, "else ?"]) + generate([principle.revision_request])

    outcome = LocalHandle(ask, "ask").call(rule, replies)
    assert outcome.result == ["no .", "who knows .", "who knows ."]
    assert outcome.states[1]["calls"] == [["is it safe ?", "else ?"], ["mend it :"]]


def test_one_string_is_no_list_of_prompts():
    with pytest.raises(CheckFailure, match="list of prompts"):
        LocalHandle(lambda generate: generate("a prompt"), "ask").call(Replies({}))
