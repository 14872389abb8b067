"""Properties of generation: the cache changes nothing, draws follow the stated distribution, masks tell the truth."""

import pytest
import torch
from torch import Tensor

from minillm.model import Config, Transformer
from minillm.sampling import _draw, generate

V = 17
CONFIG = Config(vocab_size=V, context_length=48, dim=16, layers=2, heads=2)
PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 0, 9, 1], [3, 3], [0, 2, 4, 6, 8]]
STOP = [11, 12, 13]
WAYS = [
    {"temperature": 0.0},
    {},
    {"temperature": 0.6},
    {"top_k": 4},
    {"top_p": 0.7},
    {"temperature": 1.5, "top_k": 6, "top_p": 0.8},
]


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(3)
    model = Transformer(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(1.0 if parameter.ndim == 1 else 0.0, 0.4)
    return model.double()


def stated_distribution(logits: Tensor, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0):
    """What a row is drawn from, in loops: temperature, then the k likeliest, then the fewest that hold p of those."""
    weights = (logits / temperature).softmax(-1).tolist()
    order = sorted(range(len(weights)), key=lambda token: (-weights[token], token))[:top_k]
    total, kept, held = sum(weights[token] for token in order), [], 0.0
    for token in order:
        kept.append(token)
        held += weights[token]
        if held >= top_p * total:
            break
    return [weights[token] / held if token in kept else 0.0 for token in range(len(weights))]


@pytest.mark.parametrize("way", WAYS)
def test_the_cache_changes_nothing(model, way):
    with_cache = generate(model, PROMPTS, 30, stop=STOP, seed=5, **way)
    without = generate(model, PROMPTS, 30, stop=STOP, seed=5, use_cache=False, **way)
    assert torch.equal(with_cache.tokens, without.tokens)
    assert torch.equal(with_cache.mask, without.mask)
    assert torch.equal(with_cache.ended, without.ended)
    torch.testing.assert_close(with_cache.logprobs, without.logprobs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(with_cache.model_logprobs, without.model_logprobs, rtol=1e-9, atol=1e-9)


def test_greedy_is_the_likeliest_token_of_the_slow_loop(model):
    got = generate(model, PROMPTS, 12, temperature=0).responses()
    for prompt, response in zip(PROMPTS, got):
        row = list(prompt)
        for _ in range(12):
            row.append(int(model(torch.tensor([row]))[0, -1].argmax()))
        assert response == row[len(prompt) :]


@pytest.mark.parametrize("way", WAYS)
def test_a_row_is_the_same_alone_and_in_company(model, way):
    together = generate(model, PROMPTS, 20, stop=STOP, seed=2, **way).responses()
    longer = [[9] * 12, *PROMPTS[1:]]
    beside_others = generate(model, longer, 20, stop=STOP, seed=2, **way).responses()
    assert together[1:] == beside_others[1:]
    assert (
        generate(model, PROMPTS[:1], 20, stop=STOP, temperature=0).responses()[0]
        == (generate(model, PROMPTS, 20, stop=STOP, temperature=0).responses()[0])
    )


@pytest.mark.parametrize("way", WAYS[1:])
def test_draws_follow_the_stated_distribution(model, way):
    n = 4000
    logits = model(torch.tensor([PROMPTS[0]]))[0, -1]
    expected = torch.tensor(stated_distribution(logits, **way), dtype=torch.float64)
    drawn = generate(model, [PROMPTS[0]] * n, 1, seed=0, **way).tokens[:, -1]
    counts = torch.bincount(drawn, minlength=V).double()
    assert (counts[expected == 0] == 0).all()
    bound = 5 * (n * expected * (1 - expected)).sqrt() + 1e-9
    assert ((counts - n * expected).abs() <= bound).all()


@pytest.mark.parametrize("way", [{}, {"top_k": 3}, {"top_p": 1 - 1e-9}])
def test_each_share_of_the_unit_interval_gives_its_token_and_none_of_probability_0(way):
    probs = torch.tensor([[0.5, 0.25, 0.25, 0.0]], dtype=torch.float64)
    uniform = torch.tensor([0.0, 0.49, 0.5, 0.74, 0.75, 1 - 2**-53], dtype=torch.float64)
    settings = {"temperature": 1.0, "top_k": None, "top_p": None} | way
    tokens, logprobs = _draw(probs.log().expand(6, 4), uniform, **settings)
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]
    assert logprobs.exp().tolist() == pytest.approx([0.5, 0.5, 0.25, 0.25, 0.25, 0.25])


@pytest.mark.parametrize("way", WAYS[1:])
def test_logprobs_are_of_the_distribution_that_was_drawn_from(model, way):
    result = generate(model, PROMPTS, 15, stop=STOP, seed=1, **way)
    for prompt, response, logprobs in zip(PROMPTS, result.responses(), result.logprobs):
        row = list(prompt)
        for token, logprob in zip(response, logprobs.tolist()):
            logits = model(torch.tensor([row]))[0, -1]
            expected = torch.tensor(stated_distribution(logits, **way)[token], dtype=torch.float64).log()
            assert logprob == pytest.approx(expected.item(), abs=1e-9)
            row.append(token)


@pytest.mark.parametrize("way", WAYS)
def test_model_logprobs_are_those_that_training_recomputes(model, way):
    result = generate(model, PROMPTS, 15, stop=STOP, seed=1, **way)
    P = result.prompt_length
    logits = model(result.tokens, result.mask)[:, P - 1 : -1]
    again = logits.log_softmax(-1).gather(-1, result.tokens[:, P:, None])[..., 0]
    counted = result.response_mask[:, P:]
    torch.testing.assert_close(result.model_logprobs, (again * counted).detach(), rtol=1e-9, atol=1e-9)


def test_at_temperature_1_without_truncation_both_logprobs_are_equal(model):
    result = generate(model, PROMPTS, 15, stop=STOP)
    torch.testing.assert_close(result.logprobs, result.model_logprobs, rtol=1e-9, atol=1e-9)


def test_greedy_logprobs_are_0_for_a_certain_choice(model):
    assert (generate(model, PROMPTS, 5, temperature=0).logprobs == 0).all()


def test_masks_and_padding_say_where_the_tokens_are(model):
    result = generate(model, PROMPTS, 25, stop=STOP, seed=4, pad_id=16)
    B, width = result.tokens.shape
    assert result.mask.shape == result.response_mask.shape == (B, width)
    assert result.prompt_length == 7 and result.logprobs.shape == (B, width - 7)
    assert (result.tokens[~result.mask] == 16).all()
    assert (result.logprobs[~result.response_mask[:, 7:]] == 0).all()
    for row, prompt in enumerate(PROMPTS):
        assert result.tokens[row, result.mask[row] & ~result.response_mask[row]].tolist() == prompt
        assert result.mask[row, 7 - len(prompt) : 7].all() and not result.response_mask[row, :7].any()


def test_a_response_ends_with_its_first_stop_token(model):
    result = generate(model, PROMPTS * 8, 25, stop=STOP, seed=4)
    assert result.ended.any()
    for response, ended in zip(result.responses(), result.ended.tolist()):
        assert not set(response[:-1]) & set(STOP)
        assert (response[-1] in STOP) == ended
        assert ended or len(response) == 25


def test_nothing_is_generated_once_all_rows_have_ended(model):
    result = generate(model, PROMPTS, 40, stop=range(V))
    assert result.logprobs.shape[1] == 1 and result.ended.all()


def test_one_stop_token_may_be_given_as_a_number(model):
    one, many = (generate(model, PROMPTS, 10, stop=stop, seed=3).tokens for stop in (11, [11]))
    assert torch.equal(one, many)


def test_top_k_1_and_a_tiny_top_p_are_greedy(model):
    greedy = generate(model, PROMPTS, 10, temperature=0).tokens
    assert torch.equal(generate(model, PROMPTS, 10, top_k=1).tokens, greedy)
    assert torch.equal(generate(model, PROMPTS, 10, top_p=1e-9).tokens, greedy)


def test_the_seed_decides_and_a_generator_goes_on(model):
    assert torch.equal(generate(model, PROMPTS, 9, seed=7).tokens, generate(model, PROMPTS, 9, seed=7).tokens)
    assert not torch.equal(generate(model, PROMPTS, 9, seed=7).tokens, generate(model, PROMPTS, 9, seed=8).tokens)
    generator = torch.Generator().manual_seed(7)
    first = generate(model, PROMPTS, 9, generator=generator).tokens
    assert torch.equal(first, generate(model, PROMPTS, 9, seed=7).tokens)
    assert not torch.equal(first, generate(model, PROMPTS, 9, generator=generator).tokens)


def test_generation_leaves_the_global_random_state_and_the_gradients_alone(model):
    state = torch.get_rng_state()
    result = generate(model, PROMPTS, 5)
    assert torch.equal(state, torch.get_rng_state())
    assert not result.logprobs.requires_grad and all(p.grad is None for p in model.parameters())


def test_a_sampler_of_ones_own_draws(model):
    result = generate(model, PROMPTS, 6, sampler=lambda logits: logits.argmin(-1))
    logits = model(result.tokens, result.mask)[:, result.prompt_length - 1 : -1]
    assert torch.equal(result.tokens[:, result.prompt_length :], logits.argmin(-1))
    assert torch.equal(result.logprobs, result.model_logprobs) and (result.logprobs < 0).all()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"prompts": []}, "list of at least one list of token ids"),
        ({"prompts": [1, 2, 3]}, "list of at least one list of token ids"),
        ({"prompts": "the fox"}, "list of at least one list of token ids"),
        ({"prompts": [[1], []]}, "prompt 1 is empty"),
        ({"prompts": [[1, V]]}, f"token {V} is not in the model's vocabulary of {V}"),
        ({"max_new_tokens": 0}, "max_new_tokens must be at least 1, got 0"),
        ({"max_new_tokens": 46}, "a prompt of 3 tokens and 46 new ones do not fit a context of 48"),
        ({"temperature": -1.0}, "temperature must be 0 .greedy. or more, got -1.0"),
        ({"temperature": float("nan")}, "temperature must be"),
        ({"top_k": 0}, "top_k must be at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1, got 0.0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
    ],
)
def test_wrong_input_is_told_in_words(model, arguments, reason):
    with pytest.raises(ValueError, match=reason):
        generate(model, **{"prompts": [[1, 2, 3]], "max_new_tokens": 5} | arguments)
