"""The dial: two reward models with a field each, and the best of n by any rewards."""

from dataclasses import replace

import torch

from minillm import dial, preferences
from minillm.chat import messages
from minillm.model import Config, Transformer
from minillm.tinyland.recipe import DIAL
from minillm.tinyland.requests import KINDS
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()


def form(request):
    return f"<user> {messages(request)[-1]['content']}<bot>"


def fitted():
    torch.manual_seed(0)
    policy = Transformer(Config(TOKENIZER.vocab_size, context_length=96, dim=8, layers=1, heads=2)).eval()
    fields = []

    def annotate(a, b, temperature, flip, generator):
        fields.append(len(a))
        return a > b

    def step(model, optimizer, batches, loss_fn, max_norm):
        loss = loss_fn(model, batches[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.item(), "grad_norm": 0.0}

    def loss(chosen, rejected):
        return -torch.nn.functional.logsigmoid(chosen - rejected).mean()

    functions = (step, loss, lambda step, steps, peak, warmup, floor: peak)
    return policy, dial.fit_two(policy, TOKENIZER, form, annotate, functions, replace(DIAL, requests=6))


def test_the_two_goals_share_all_kinds_between_them():
    assert set(dial.GOALS["helpful"]) | set(dial.GOALS["harmless"]) == set(KINDS)
    assert not set(dial.GOALS["helpful"]) & set(dial.GOALS["harmless"])
    assert dial.WEIGHTS[0] == 0 and dial.WEIGHTS[-1] == 1 and list(dial.WEIGHTS) == sorted(dial.WEIGHTS)


def test_choose_takes_the_best_of_each_hand():
    hands = [["a", "b", "c"], ["d", "e", "f"]]
    assert dial.choose(hands, torch.tensor([0.1, 0.9, 0.3, 2.0, -1.0, 1.0])) == ["b", "d"]


def test_two_reward_models_score_every_answer_in_its_place():
    policy, two = fitted()
    assert two.mean.shape == two.std.shape == (2,)
    asked = preferences.draw_requests("test", 3, seed=1)
    hands = preferences.sample_answers(policy, TOKENIZER, asked, form, n=2, progress=False)
    scores = two.score(hands)
    assert scores.shape == (6, 2) and bool(scores.isfinite().all())
    alone = two.score([hands[1]])
    assert torch.allclose(scores[2:4], alone, atol=1e-4)
