"""Properties of rollouts: what is priced is what was said, and padding, order and cutting change nothing."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from minillm.course.exercises import reference
from minillm.divergence import answer_kl
from minillm.evaluation import Answer
from minillm.model import Config, Transformer
from minillm.rollouts import Collector, Policy, collect, price, standardised
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
CONFIG = Config(TOKENIZER.vocab_size, context_length=48, dim=12, layers=2, heads=2)
ASKED = [all_requests(kind, "train")[0] for kind in ("sum", "describe", "unknown", "repeat", "harmful")]


def body(seed: int = 0) -> Transformer:
    """A small model whose blocks do something."""
    torch.manual_seed(seed)
    model = Transformer(CONFIG)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    return model.eval()


def policy(seed: int = 0) -> Policy:
    made = Policy.from_stage(body(seed))
    nn.init.normal_(made.critic.linear.weight)
    return made.eval()


def form(request) -> str:
    return f"<user> {request.text}<bot>"


def words(answers) -> torch.Tensor:
    """A score: the number of words."""
    return torch.tensor([float(len(answer.text.split())) for answer in answers])


def rollout(end: int = TOKENIZER.end, **settings):
    """Answers of the policy, which end with the token ``end``."""
    made = {"seed": 0, "max_new_tokens": 12, "no_end_penalty": 0.0} | settings
    tokenizer = SimpleNamespace(encode=TOKENIZER.encode, decode=TOKENIZER.decode, end=end, pad=TOKENIZER.pad)
    return collect(policy(), body(1), tokenizer, ASKED, form, words, reference("token_logprobs"), **made)


def ragged(**settings):
    """Answers of different lengths: the end is a token that one of them would say in its middle."""
    return rollout(int(rollout().said[1, 5]), **settings)


def test_log_probs_and_values_are_those_of_each_answer_alone():
    found, ours, theirs = ragged(), policy(), body(1)
    for row in range(len(found)):
        ids = found.tokens[row][found.attention[row]]
        said = int(found.mask[row].sum())
        states = ours.body.hidden(ids[None])[0]
        for name, model in (("logprobs", ours.body), ("ref_logprobs", theirs)):
            nats = model(ids[None])[0].softmax(-1).log()
            expected = torch.stack([nats[len(ids) - said - 1 + t, ids[len(ids) - said + t]] for t in range(said)])
            torch.testing.assert_close(getattr(found, name)[row, :said], expected, rtol=1e-4, atol=1e-4)
        values = ours.critic(states[None])[0, len(ids) - said - 1 : -1]
        torch.testing.assert_close(found.values[row, :said], values, rtol=1e-4, atol=1e-4)


def test_masks_are_ones_first_and_everything_is_zero_behind_an_answer():
    found = ragged()
    lengths = found.mask.sum(1)
    assert lengths.min() >= 1 and len(lengths.unique()) > 1
    assert torch.equal(found.mask, torch.arange(found.mask.shape[1]) < lengths[:, None])
    for name in ("logprobs", "ref_logprobs", "values"):
        assert not getattr(found, name)[~found.mask].any(), name
        assert not getattr(found, name).requires_grad, name
    assert found.said.shape == (5, found.mask.shape[1] + 1)


def test_an_answer_that_was_cut_off_pays():
    free, fined = ragged(), ragged(no_end_penalty=2.5)
    ended = torch.tensor([answer.ended for answer in free.answers])
    assert ended.any() and not ended.all()
    torch.testing.assert_close(free.scores - fined.scores, 2.5 * (~ended).float())
    torch.testing.assert_close(free.scores, words(free.answers))


def test_taking_rows_takes_them_of_everything():
    found, rows = ragged(), torch.tensor([3, 0])
    part = found.take(rows)
    assert len(part) == 2 and part.start == found.start
    assert [answer.text for answer in part.answers] == [found.answers[3].text, found.answers[0].text]
    for name in ("tokens", "attention", "mask", "logprobs", "ref_logprobs", "values", "scores"):
        assert torch.equal(getattr(part, name), getattr(found, name)[rows]), name


def test_a_policy_against_itself_has_no_log_ratio():
    found = rollout()
    ours = policy()
    again = price(
        ours, ours.body, reference("token_logprobs"), found.tokens, found.attention, found.start, found.scores
    )
    torch.testing.assert_close(again.logprobs, again.ref_logprobs)
    torch.testing.assert_close(again.logprobs, found.logprobs)


def test_a_policy_without_a_critic_expects_nothing():
    found = rollout()
    logits, values = Policy.from_stage(body(), critic=False)(found.tokens, found.attention, found.start)
    assert values.shape == found.mask.shape and not values.any()
    assert logits.shape == (*found.said.shape, CONFIG.vocab_size)


def test_a_policy_is_a_copy_of_its_stage():
    start = body()
    made = Policy.from_stage(start)
    with torch.no_grad():
        made.body.embed.weight.add_(1.0)
    assert torch.equal(start.embed.weight, body().embed.weight)


def collects(requests=ASKED, **settings) -> Collector:
    return Collector(
        body(1), TOKENIZER, requests, form, words, reference("token_logprobs"), max_new_tokens=9, **settings
    )


def test_a_collector_asks_in_order_in_groups_and_depends_on_the_iteration_alone():
    collector, ours = collects(per_iteration=3, group=2, seed=1), policy()
    second = collector(ours, 1)
    asked = [answer.request.text for answer in second.answers]
    assert asked == [ASKED[i].text for i in (3, 3, 4, 4, 0, 0)]
    again = collector(ours, 1)
    assert torch.equal(second.tokens, again.tokens)
    other = collector(ours, 0)
    assert other.tokens.shape != second.tokens.shape or not torch.equal(other.tokens, second.tokens)


def test_what_cannot_be_collected_is_refused_in_words():
    with pytest.raises(ValueError, match="no requests to ask"):
        collects(requests=[])
    for settings in ({"per_iteration": 0}, {"group": 0}):
        with pytest.raises(ValueError, match="per_iteration and group must be at least 1"):
            collects(**settings)
    column = replace(collects(per_iteration=3), score=lambda answers: words(answers)[:, None])
    with pytest.raises(ValueError, match=r"one number for each answer, \(3,\), got \(3, 1\)"):
        column(policy(), 0)


def test_a_single_answer_has_no_deviation():
    with pytest.raises(ValueError, match="at least 2 answers, got 1"):
        standardised(words, [SimpleNamespace(text="one two")])


def test_a_standardised_score_has_mean_0_and_deviation_1_on_its_own_answers():
    said = [SimpleNamespace(text="a " * n) for n in (1, 4, 4, 9)]
    standard = standardised(words, said)
    own = standard(said)
    assert own.mean().item() == pytest.approx(0, abs=1e-6) and own.std().item() == pytest.approx(1)
    assert standard(said[:1]).item() == pytest.approx(own[0].item())


def test_equal_scores_can_be_standardised():
    said = [SimpleNamespace(text="one two")] * 3
    assert standardised(words, said)(said).tolist() == [0.0, 0.0, 0.0]


def answered(text: str, request=ASKED[0], ended: bool = True) -> Answer:
    return Answer(request, form(request), text, ended, grade(request, text, ended))


def test_the_kl_of_answers_is_the_sum_over_the_vocabulary_at_each_token():
    ours, theirs = body(0), body(1)
    said = [answered("2 plus 3 is 5 ."), answered("fox fox .", ASKED[3]), answered("no", ended=False)]
    found = answer_kl(ours, theirs, TOKENIZER, said, batch_size=2)
    for answer, nats in zip(said, found.tolist()):
        prompt = TOKENIZER.encode(answer.prompt)
        ids = prompt + TOKENIZER.encode(f" {answer.text}") + [TOKENIZER.end] * answer.ended
        p, q = (model(torch.tensor([ids]))[0].double().softmax(-1) for model in (ours, theirs))
        places = range(len(prompt) - 1, len(ids) - 1)
        expected = sum((p[t] * (p[t] / q[t]).log()).sum().item() for t in places)
        assert nats == pytest.approx(expected, rel=1e-4)


def test_the_kl_of_a_model_to_itself_is_0_and_to_another_is_not():
    said = [answered("2 plus 3 is 5 ."), answered("fox fox .", ASKED[3])]
    assert answer_kl(body(0), body(0), TOKENIZER, said).abs().max() < 1e-5
    assert answer_kl(body(0), body(1), TOKENIZER, said).min() > 0.1
