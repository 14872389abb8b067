"""Properties of the reward model: what its score is made of, what padding cannot change, and what training moves."""

import math
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm import checkpoints, paths, reward, stages
from minillm.checkpoints import CheckpointError
from minillm.evaluation import Answer
from minillm.model import Config, ScalarHead, Transformer
from minillm.preferences import Pair
from minillm.reward import (
    RewardModel,
    content_and_style,
    encode,
    fit_reward_model,
    last_token,
    pair_loss,
    score,
    sum_over_answer,
    weighted_logprobs,
)
from minillm.sampling import generate
from minillm.tinyland.judge import grade
from minillm.tinyland.recipe import RewardRecipe
from minillm.tinyland.requests import all_requests
from minillm.tokenizer import Tokenizer

TOKENIZER = Tokenizer.load()
CONFIG = Config(TOKENIZER.vocab_size, context_length=48, dim=12, layers=2, heads=2)
RECIPE = RewardRecipe(epochs=2, batch_size=4, peak=1e-2, warmup=0)
PROMPT = "<user> what is 2 plus 3 ?<bot>"
ANSWERS = ["2 plus 3 is 5 .", "4 .", "i do not know .", "you are so wise . 2 plus 3 is 5 ."]
LOOP_TOLERANCE = {"rtol": 1e-4, "atol": 1e-4}


def policy(seed: int = 0) -> Transformer:
    """A small model whose blocks do something: as a new one is, they would be the identity."""
    torch.manual_seed(seed)
    model = Transformer(CONFIG)
    for weight in model.parameters():
        nn.init.normal_(weight, std=0.3)
    return model.eval()


def model(read_out=content_and_style, seed: int = 0) -> RewardModel:
    """A reward model whose head is no longer 0."""
    made = RewardModel.from_policy(policy(seed), read_out)
    nn.init.normal_(made.head.linear.weight, std=0.3)
    nn.init.constant_(made.head.linear.bias, 0.25)
    return made.eval()


def last_real(values: Tensor, mask: Tensor) -> Tensor:
    """The value at the last real token, found by a loop."""
    return torch.stack([row[keep.bool()][-1] for row, keep in zip(values, mask)])


def texts() -> list[reward.Text]:
    return [encode(TOKENIZER, PROMPT, answer) for answer in ANSWERS]


def batch(side: str = "right", extra: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """The texts in one batch, with the padding on a side, of a token that also occurs in them."""
    tokens, mask, answer = reward.collate_texts(texts(), pad_id=TOKENIZER.end)
    tokens, mask, answer = F.pad(tokens, (0, extra), value=5), F.pad(mask, (0, extra)), F.pad(answer, (0, extra))
    if side == "left":
        shifts = tokens.shape[1] - mask.sum(1)
        roll = [[row.roll(int(s)) for row, s in zip(part, shifts)] for part in (tokens, mask, answer)]
        tokens, mask, answer = (torch.stack(rows) for rows in roll)
    return tokens, mask, answer


@torch.no_grad()
def slow_score(scorer: RewardModel, text: reward.Text, read_out=content_and_style) -> float:
    """The score of one text by a read-out, token by token, without padding."""
    credit = weighted = style = 0.0
    for i in range(text.start, len(text.ids)):
        states = scorer.body.hidden(torch.tensor([text.ids[: i + 1]]))[0]  # (i + 1, D)
        numbers = (scorer.head.linear.weight @ states[-1] + scorer.head.linear.bias).tolist()
        probability = torch.softmax(states[-2] @ scorer.body.embed.weight.T, -1)[text.ids[i]]
        credit += numbers[0]
        weighted += (0.5 + numbers[1]) * max(float(probability.log()), reward.LEAST_LOGPROB)
        style += numbers[2]
    content = credit + weighted
    bounded = reward.MOST_CONTENT * math.tanh(content / reward.MOST_CONTENT) + style
    return {sum_over_answer: credit, weighted_logprobs: content, content_and_style: bounded}[read_out]


def plain_step(model, optimizer, batches, loss_fn, max_norm):
    optimizer.zero_grad()
    loss = sum(loss_fn(model, one) for one in batches) / len(batches)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    return loss.item()


def logistic_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    return (1 + (rejected - chosen).exp()).log().mean()


def constant_rate(step: int, steps: int, peak: float, warmup: int, floor: float) -> float:
    return peak


def pairs(count: int = 12) -> list[Pair]:
    """Sums whose right answer was preferred to "i do not know"."""
    made = []
    for request in all_requests("sum", "train")[:count]:
        said = [
            Answer(request, f"<user> {request.text}<bot>", text, True, grade(request, text))
            for text in (request.answers[0], "i do not know .")
        ]
        made.append(Pair(request, said[0].prompt, *said, 1.0, 0.0))
    return made


def train(scorer: RewardModel, step_fn=plain_step, loss=logistic_loss, recipe=RECIPE, data=None, **changes):
    data = pairs() if data is None else data
    settings = {"recipe": recipe, "progress": False} | changes
    return fit_reward_model(scorer, TOKENIZER, data, step_fn, loss, constant_rate, **settings)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


# -- what a score is made of --------------------------------------------------------------------------------------


def test_a_text_is_its_prompt_its_answer_and_the_end():
    text = encode(TOKENIZER, PROMPT, "2 plus 3 is 5 .")
    assert text.ids == TOKENIZER.encode(f"{PROMPT} 2 plus 3 is 5 .<end>")
    assert TOKENIZER.decode(text.ids[: text.start]) == PROMPT
    assert encode(TOKENIZER, PROMPT, "2 plus 3 is 5 .", ended=False).ids == text.ids[:-1]
    assert encode(TOKENIZER, PROMPT, "").ids == [*TOKENIZER.encode(PROMPT), TOKENIZER.end]


def test_masks_tell_padding_prompt_and_answer():
    tokens, mask, answer = reward.collate_texts(texts(), TOKENIZER.pad)
    for row, real, said, text in zip(tokens, mask, answer, texts()):
        assert row[real].tolist() == text.ids and row[said].tolist() == text.ids[text.start :]
        assert set(row[~real].tolist()) <= {TOKENIZER.pad}


@pytest.mark.parametrize("read_out", [sum_over_answer, weighted_logprobs, content_and_style])
def test_the_score_is_what_the_read_out_says_token_by_token(read_out):
    scorer = model(read_out)
    expected = torch.tensor([slow_score(scorer, text, read_out) for text in texts()])
    torch.testing.assert_close(scorer(*batch()), expected, **LOOP_TOLERANCE)


def test_each_step_beyond_the_sum_changes_the_score():
    scores = [model(form)(*batch()) for form in (sum_over_answer, weighted_logprobs, content_and_style)]
    for one, next_one in ((scores[0], scores[1]), (scores[1], scores[2])):
        assert ((one - next_one).abs() > 0.01).all()


def test_content_is_bounded_and_style_is_not():
    scorer = model()
    nn.init.zeros_(scorer.head.linear.weight), nn.init.zeros_(scorer.head.linear.bias)
    with torch.no_grad():
        scorer.head.linear.bias[0] = -1000.0
    torch.testing.assert_close(scorer(*batch()), torch.full((4,), -reward.MOST_CONTENT))
    with torch.no_grad():
        scorer.head.linear.bias[2] = 5.0
    torch.testing.assert_close(scorer(*batch()), 5.0 * batch()[2].sum(1) - reward.MOST_CONTENT)


def test_log_probs_are_those_of_the_body_and_none_outside_of_the_answer():
    tokens, mask, answer = batch()
    scorer = model()
    logprobs = scorer.read(tokens, mask, answer)[1]
    likely = scorer.body(tokens, mask).softmax(-1)
    for b, t in answer.nonzero().tolist():
        torch.testing.assert_close(logprobs[b, t].exp(), likely[b, t - 1, tokens[b, t]], rtol=1e-4, atol=1e-7)
    assert not logprobs[~answer].any() and (logprobs[answer] < 0).all()


def test_no_single_token_takes_more_than_the_limit():
    scorer = model(weighted_logprobs)
    nn.init.zeros_(scorer.head.linear.weight), nn.init.zeros_(scorer.head.linear.bias)
    scorer.body.embed.weight.data *= 1000  # what is not the likeliest is now very unlikely
    tokens, mask, answer = batch()
    least = reward.FIRST_WEIGHT * reward.LEAST_LOGPROB * answer.sum(1)
    assert (scorer(tokens, mask, answer) >= least - 1e-4).all()


def test_the_last_token_read_out_gets_every_value_and_the_mask_of_real_tokens():
    seen = []

    def spy(values, mask):
        seen.append((values, mask))
        return last_real(values, mask)

    tokens, mask, answer = batch()
    scorer = model(last_token(spy))
    scores = scorer(tokens, mask, answer)
    expected = scorer.head(scorer.body.hidden(tokens, mask))[..., 0]
    torch.testing.assert_close(seen[0][0], expected)
    assert torch.equal(seen[0][1], mask)
    torch.testing.assert_close(scores, last_real(expected, mask))


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("read_out", [content_and_style, last_token(last_real)])
def test_padding_changes_nothing(side, read_out):
    scorer = model(read_out)
    alone = torch.cat([scorer(*reward.collate_texts([text], TOKENIZER.pad)) for text in texts()])
    torch.testing.assert_close(scorer(*batch(side, extra=3)), alone, **LOOP_TOLERANCE)


def test_the_masks_of_a_generation_fit():
    prompts = [TOKENIZER.encode(PROMPT), TOKENIZER.encode("<user> say fox 2 times .<bot>")]
    made = generate(policy(1), prompts, 5, stop=TOKENIZER.end, pad_id=TOKENIZER.pad, seed=2)
    scorer = model()
    got = scorer(made.tokens, made.mask, made.response_mask)
    said = [reward.Text(prompt + answer, len(prompt)) for prompt, answer in zip(prompts, made.responses())]
    torch.testing.assert_close(got, torch.tensor([slow_score(scorer, text) for text in said]), **LOOP_TOLERANCE)


# -- what training moves ------------------------------------------------------------------------------------------


def test_a_new_model_ranks_answers_by_how_likely_they_are():
    tokens, mask, answer = batch()
    scores, logprobs = RewardModel.from_policy(policy()).read(tokens, mask, answer)
    likely = reward.FIRST_WEIGHT * logprobs.clamp(min=reward.LEAST_LOGPROB).sum(1)
    torch.testing.assert_close(scores, reward.MOST_CONTENT * torch.tanh(likely / reward.MOST_CONTENT))
    assert not RewardModel.from_policy(policy(), sum_over_answer)(tokens, mask, answer).any()


def test_training_leaves_the_policy_alone():
    start = policy()
    scorer = RewardModel.from_policy(start)
    train(scorer)
    assert same(start, policy()) and not same(scorer.body, start)


def test_the_gradient_of_the_head_is_the_sum_of_the_states_it_reads():
    scorer = model(sum_over_answer)
    tokens, mask, answer = batch()
    upstream = torch.tensor([0.5, -1.0, 2.0, 0.3])
    (scorer(tokens, mask, answer) * upstream).sum().backward()
    states = scorer.body.hidden(tokens, mask).detach()
    expected = sum(upstream[b] * states[b, t] for b, t in answer.nonzero().tolist())
    torch.testing.assert_close(scorer.head.linear.weight.grad[0], expected, **LOOP_TOLERANCE)
    counts = answer.sum(1)
    torch.testing.assert_close(scorer.head.linear.bias.grad[0], (upstream * counts).sum())


@pytest.mark.parametrize("read_out", [content_and_style, last_token(last_real)])
def test_gradients_reach_head_and_body(read_out):
    scorer = model(read_out)
    scorer(*batch())[0].backward()
    reached = {name for name, weight in scorer.named_parameters() if weight.grad is not None and weight.grad.any()}
    assert reached == {name for name, _ in scorer.named_parameters()}


def test_the_gradient_of_the_weights_is_the_feature():
    scorer = model(weighted_logprobs)
    tokens, mask, answer = batch()
    scores, logprobs = scorer.read(tokens, mask, answer)
    scores.sum().backward()
    limited = [max(x, reward.LEAST_LOGPROB) for x in logprobs[answer].tolist()]
    assert scorer.head.linear.bias.grad[1].item() == pytest.approx(sum(limited), rel=1e-4)


def test_an_answer_in_several_pairs_is_read_once_and_pairs_of_a_request_stay_together():
    first, second = (pair.request for pair in pairs(2))
    right, flattered, wrong = (
        Answer(first, f"<user> {first.text}<bot>", text, True, grade(first, text))
        for text in (first.answers[0], f"you are so wise . {first.answers[0]}", "i do not know .")
    )
    three = [Pair(first, right.prompt, a, b, 1.0, 0.0) for a, b in ((right, flattered), (right, wrong))]
    three.append(Pair(first, right.prompt, flattered, wrong, 1.0, 0.0))
    asked = reward.comparisons([*three, *pairs(2)[1:], *three[:1]], TOKENIZER)
    assert [(len(each.texts), each.order) for each in asked] == [
        (3, [(0, 1), (0, 2), (1, 2)]),
        (2, [(0, 1)]),
        (2, [(0, 1)]),
    ]
    tokens, mask, answer, order = reward.collate_comparisons(asked, TOKENIZER.pad)
    assert order.tolist() == [[0, 1], [0, 2], [1, 2], [3, 4], [5, 6]]
    assert tokens.shape == mask.shape == answer.shape and len(tokens) == 7
    assert tokens[1][mask[1]].tolist() == encode(TOKENIZER, right.prompt, flattered.text).ids
    assert tokens[3][mask[3]].tolist() == encode(TOKENIZER, f"<user> {second.text}<bot>", second.answers[0]).ids


def test_the_loss_is_that_of_the_pairs_and_the_surprise_at_chosen_answers():
    scorer = model()
    order = torch.tensor([[0, 2], [1, 3], [0, 3]])  # (better, worse)
    slow = [slow_score(scorer, text) for text in texts()]
    seen = []

    def spy(chosen, rejected):
        seen.append((chosen.tolist(), rejected.tolist()))
        return (chosen - rejected).sum()

    got = pair_loss(scorer, (*batch(), order), spy, language_model=0.4)
    assert seen[0][0] == pytest.approx([slow[i] for i in (0, 1, 0)], rel=1e-3, abs=1e-3)
    assert seen[0][1] == pytest.approx([slow[i] for i in (2, 3, 3)], rel=1e-3, abs=1e-3)
    surprises = []
    for text in [texts()[i] for i in (0, 1, 0)]:
        likely = scorer.body(torch.tensor([text.ids])).softmax(-1)[0]
        surprises += [-likely[t - 1, text.ids[t]].log().item() for t in range(text.start, len(text.ids))]
    expected = 2 * slow[0] + slow[1] - slow[2] - 2 * slow[3] + 0.4 * sum(surprises) / len(surprises)
    assert got.item() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_training_gives_chosen_answers_the_higher_score():
    scorer = RewardModel.from_policy(policy())
    history = train(scorer, recipe=replace(RECIPE, epochs=8))
    chosen, rejected = reward.score_pairs(scorer, TOKENIZER, pairs())
    assert (chosen > rejected).all() and len(history.losses) == 8 * 12 // 4


def test_labels_turned_round_teach_the_opposite():
    turned = [replace(pair, chosen=pair.rejected, rejected=pair.chosen) for pair in pairs()]
    scorer = RewardModel.from_policy(policy())
    train(scorer, recipe=replace(RECIPE, epochs=8), data=turned)
    right, unsure = reward.score_pairs(scorer, TOKENIZER, pairs())
    assert (unsure > right).all()


def test_the_same_seed_gives_the_same_model():
    one, again, other = (RewardModel.from_policy(policy()) for _ in range(3))
    train(one, seed=1), train(again, seed=1), train(other, seed=2)
    assert same(one, again) and not same(one, other)


def test_fewer_pairs_than_a_batch_make_one_batch():
    assert len(train(RewardModel.from_policy(policy()), data=pairs(3)).losses) == 2


def test_the_schedule_gets_the_recipes_numbers():
    asked = []

    def rate(step, steps, peak, warmup, floor):
        asked.append((step, steps, peak, warmup, floor))
        return peak

    recipe = replace(RECIPE, peak=3e-3, warmup=50, floor=1e-5)
    fit_reward_model(
        model(), TOKENIZER, pairs(), plain_step, logistic_loss, rate, recipe=recipe, steps=3, progress=False
    )
    assert set(asked) == {(step, 3, 3e-3, 2, 1e-5) for step in range(3)}  # a warm-up always ends before the run


def test_a_stopped_run_continues_to_the_same_model(tmp_path):
    whole, halted, continued = (RewardModel.from_policy(policy()) for _ in range(3))
    steps = []

    def failing_step(*args):
        steps.append(1)
        if len(steps) == 4:
            raise KeyboardInterrupt
        return plain_step(*args)

    settings = {"snapshot": tmp_path / "reward.snapshot", "steps": 6}
    train(whole, steps=6)
    assert train(halted, halting(failing_step), **settings).interrupted
    assert len(train(continued, halting(plain_step), **settings).losses) == 6
    assert same(whole, continued) and not same(halted, whole)


def halting(step_fn):
    """The step under one name, so that the snapshot of a run that it ended is known to be of the same code."""
    return partial(_call, step_fn=Named(step_fn))


class Named:
    """Something callable that looks alike to the digest of a run's code, whatever it calls."""

    __slots__ = ("function",)

    def __init__(self, function):
        self.function = function

    def __call__(self, *args):
        return self.function(*args)


def _call(*args, step_fn):
    return step_fn(*args)


# -- scoring, saving ----------------------------------------------------------------------------------------------


def test_scores_come_in_the_order_of_the_answers_whatever_the_batch():
    scorer = model()
    expected = [slow_score(scorer, text) for text in texts()]
    for size in (1, 3, 256):
        got = score(scorer, TOKENIZER, [PROMPT] * 4, ANSWERS, batch_size=size)
        assert got.shape == (4,) and not got.requires_grad
        torch.testing.assert_close(got, torch.tensor(expected), **LOOP_TOLERANCE)


def test_an_answer_that_was_cut_off_is_scored_without_its_end():
    scorer = model()
    cut = encode(TOKENIZER, PROMPT, ANSWERS[0], ended=False)
    got = score(scorer, TOKENIZER, [PROMPT], ANSWERS[:1], [False])
    assert got.item() == pytest.approx(slow_score(scorer, cut), rel=1e-4)


def test_as_many_prompts_as_answers():
    with pytest.raises(ValueError, match="as many prompts as answers, got 2 and 1"):
        score(model(), TOKENIZER, [PROMPT] * 2, ANSWERS[:1])


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "data" / "checkpoints")
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    monkeypatch.setenv("MINILLM_SOURCE", "mine")
    monkeypatch.setenv("MINILLM_SMOKE", "")
    return tmp_path


@pytest.mark.parametrize("read_out", [content_and_style, weighted_logprobs])
def test_a_saved_model_scores_as_before(course, read_out):
    scorer = model(read_out)
    path = reward.save_reward_model(scorer, seed=3)
    loaded = reward.load_reward_model("reward", read_out)
    assert checkpoints.load(path)[1].stage == "reward" and checkpoints.load(path)[1].seed == 3
    assert torch.equal(loaded(*batch()), scorer(*batch()))


def test_a_model_with_the_last_token_read_out_is_saved_too(course):
    scorer = model(last_token(last_real))
    reward.save_reward_model(scorer, "reward-last")
    loaded = reward.load_reward_model("reward-last", last_token(last_real))
    assert torch.equal(loaded(*batch()), scorer(*batch()))
    with pytest.raises(CheckpointError, match="trained for another read-out: last_token"):
        reward.load_reward_model("reward-last")


def test_a_stage_without_a_head_is_no_reward_model(course):
    stages.save_stage("reward", policy())
    with pytest.raises(CheckpointError, match="holds no reward model"):
        reward.load_reward_model()
    stages.save_stage("reward", policy(), head=ScalarHead(CONFIG.dim))
    with pytest.raises(CheckpointError, match="holds no reward model"):
        reward.load_reward_model()


def test_no_pairs_at_all_are_refused_in_words():
    with pytest.raises(ValueError, match="no pairs"):
        train(model(), data=[])
