"""Properties of the transformer, against a reference that is written token by token in plain numpy."""

import cmath
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from minillm.course.exercises import reference
from minillm.model import Config, ScalarHead, Transformer, attention_mask, rope_tables, rotate

CONFIG = Config(vocab_size=29, context_length=40, dim=24, layers=3, heads=3, hidden=52, rope_base=50.0)


def make_model(seed: int = 0) -> Transformer:
    """A float64 model whose every weight matters, also those that a new model has at 0."""
    torch.manual_seed(seed)
    model = Transformer(CONFIG)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.ndim == 1 else 0.0, std=0.3)
    return model.double()


def random_tokens(rows: int = 3, length: int = 9, seed: int = 1) -> torch.Tensor:
    return torch.randint(0, CONFIG.vocab_size, (rows, length), generator=torch.Generator().manual_seed(seed))


def slow_logits(model: Transformer, row: list[int]) -> np.ndarray:
    """The logits of one row, (T, V): every number from loops, positions as rotations of complex numbers."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    H, K = CONFIG.heads, CONFIG.dim // CONFIG.heads

    def norm(x, weight):
        return np.array([x[d] / math.sqrt(sum(v * v for v in x) / len(x) + 1e-5) * weight[d] for d in range(len(x))])

    def turn(x, position):
        out = np.zeros(K)
        for i in range(K // 2):
            angle = position * CONFIG.rope_base ** (-2 * i / K)
            z = complex(x[i], x[i + K // 2]) * cmath.exp(1j * angle)
            out[i], out[i + K // 2] = z.real, z.imag
        return out

    x = [weights["embed.weight"][token].copy() for token in row]
    for layer in range(CONFIG.layers):
        w = {name.removeprefix(f"blocks.{layer}."): value for name, value in weights.items()}
        keys, values = [], []
        after = []
        for t in range(len(row)):
            q, k, v = (w["attention.qkv.weight"] @ norm(x[t], w["norm1.weight"])).reshape(3, H, K)
            keys.append([turn(k[h], t) for h in range(H)])
            values.append(v)
            heads = []
            for h in range(H):
                scores = [turn(q[h], t) @ keys[s][h] / math.sqrt(K) for s in range(t + 1)]
                weight = [math.exp(score - max(scores)) for score in scores]
                heads.append(sum(weight[s] / sum(weight) * values[s][h] for s in range(t + 1)))
            y = x[t] + w["attention.out.weight"] @ np.concatenate(heads)
            up = w["mlp.up.weight"] @ norm(y, w["norm2.weight"])
            after.append(y + w["mlp.down.weight"] @ np.array([u * u if u > 0 else 0.0 for u in up]))
        x = after
    return np.array([weights["embed.weight"] @ norm(state, weights["norm.weight"]) for state in x])


def close(got: torch.Tensor, expected: torch.Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


def test_logits_are_those_of_the_slow_reference():
    model, tokens = make_model(), random_tokens()
    # the tables of cos and sin are float32: that is all the difference there may be
    expected = torch.tensor(np.array([slow_logits(model, row) for row in tokens.tolist()]))
    assert expected.std() > 0.5
    close(model(tokens), expected, 1e-5)


def test_rope_turns_pairs_of_the_two_halves_as_complex_numbers():
    cos, sin = rope_tables(CONFIG)
    x = torch.randn(2, 3, 10, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    angle = torch.arange(10)[:, None] * 50.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    z = torch.complex(x[..., :4], x[..., 4:]) * torch.polar(torch.ones_like(angle), angle)
    close(rotate(x, cos[:10].double(), sin[:10].double()), torch.cat([z.real, z.imag], -1), 1e-6)


def test_a_model_sees_nothing_of_what_is_ahead():
    model, tokens = make_model(), random_tokens()
    changed = tokens.clone()
    changed[:, 5:] = (changed[:, 5:] + 1) % CONFIG.vocab_size
    before, after = model(tokens), model(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert ((before[:, 5:] - after[:, 5:]).abs().amax(-1) > 1e-6).all()


def test_every_earlier_token_matters():
    model, tokens = make_model(), random_tokens()
    last = model(tokens)[:, -1]
    for t in range(tokens.shape[1]):
        changed = tokens.clone()
        changed[:, t] = (changed[:, t] + 1) % CONFIG.vocab_size
        assert ((model(changed)[:, -1] - last).abs().amax(-1) > 1e-9).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_never_changes_a_real_token(side):
    model, tokens = make_model(), random_tokens()
    padded, mask = torch.full((3, 15), 7), torch.zeros(3, 15)
    lengths = (9, 4, 6)
    places = []
    for row, length in enumerate(lengths):
        place = slice(15 - length, 15) if side == "left" else slice(0, length)
        padded[row, place], mask[row, place] = tokens[row, :length], 1
        places.append(place)
    for kind in (mask, mask.bool(), mask.long()):
        logits = model(padded, kind)
        assert logits.isfinite().all()
        for row, length in enumerate(lengths):
            close(logits[row, places[row]], model(tokens[row : row + 1, :length])[0])


def test_even_padding_has_something_to_look_at_so_that_no_softmax_is_nan():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]])
    assert attention_mask(mask, 4, 0, mask.device).any(-1).all()
    assert attention_mask(mask, 2, 2, mask.device).any(-1).all()


def test_padding_never_changes_a_gradient():
    model, tokens = make_model(), random_tokens(1, 8)
    padded = torch.cat([torch.full((1, 5), 3), tokens], 1)
    mask = torch.cat([torch.zeros(1, 5), torch.ones(1, 8)], 1)
    grads = []
    for logits in (model(tokens), model(padded, mask)[:, 5:]):
        model.zero_grad()
        F.cross_entropy(logits[0, :-1], tokens[0, 1:]).backward()
        grads.append([p.grad.clone() for p in model.parameters()])
    for one, other in zip(*grads):
        close(one, other)


def test_a_full_mask_is_no_mask():
    model, tokens = make_model(), random_tokens()
    assert torch.equal(model(tokens), model(tokens, torch.ones(3, 9)))


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 1, 1, 5], [12], [3, 9]])
def test_reading_in_pieces_with_a_cache_gives_the_logits_of_reading_at_once(pieces):
    model, tokens = make_model(), random_tokens(3, 12)
    mask = torch.ones(3, 12)
    mask[0, :4] = mask[2, :1] = 0
    for given in (None, mask):
        whole, cache, start, parts = model(tokens, given), model.new_cache(3, 12), 0, []
        for piece in pieces:
            end = start + piece
            parts.append(model(tokens[:, start:end], None if given is None else given[:, :end], cache))
            start = end
        got = torch.cat(parts, 1)
        real = torch.ones(3, 12).bool() if given is None else mask.bool()
        close(got[real], whole[real])


def test_a_cache_keeps_the_rows_it_is_told_to_keep():
    model, tokens = make_model(), random_tokens(4, 8)
    cache = model.new_cache(4, 8)
    model(tokens[:, :7], cache=cache)
    rows = torch.tensor([3, 1])
    cache.keep(rows)
    close(model(tokens[rows, 7:], cache=cache), model(tokens)[rows, 7:])


def test_gradients_are_those_of_finite_differences_of_the_slow_reference():
    model, row = make_model(), random_tokens(1, 5)[0]

    def slow_loss() -> float:
        logits = slow_logits(model, row.tolist())[:-1]
        return sum(np.log(np.exp(z - z.max()).sum()) + z.max() - z[y] for z, y in zip(logits, row[1:].tolist()))

    F.cross_entropy(model(row[None])[0, :-1], row[1:], reduction="sum").backward()
    generator = torch.Generator().manual_seed(3)
    for name, parameter in model.named_parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        values = []
        with torch.no_grad():
            for move in (1e-5, -2e-5):
                parameter += move * direction
                values.append(slow_loss())
            parameter += 1e-5 * direction
        expected = (values[0] - values[1]) / 2e-5
        assert (parameter.grad * direction).sum().item() == pytest.approx(expected, rel=1e-4, abs=1e-5), name


def test_the_embedding_is_the_output_layer():
    model = make_model()
    hidden = torch.randn(2, 24, dtype=torch.float64)
    assert torch.equal(model.logits(hidden), hidden @ model.embed.weight.T)
    assert not any("head" in name or "bias" in name for name in model.state_dict())


def test_embeddings_may_be_given_instead_of_tokens():
    model, tokens = make_model(), random_tokens()
    assert torch.equal(model.from_embeddings(model.embed.weight[tokens]), model.hidden(tokens))


def test_the_number_of_parameters_is_that_of_the_formula():
    c = CONFIG
    per_block = 3 * c.dim * c.dim + c.dim * c.dim + 2 * c.dim * c.hidden + 2 * c.dim
    assert make_model().num_parameters() == c.vocab_size * c.dim + c.layers * per_block + c.dim


def test_a_new_model_guesses_nearly_evenly_and_does_not_simply_repeat_its_input():
    torch.manual_seed(0)
    model = Transformer(Config(vocab_size=500))
    tokens = torch.randint(0, 500, (8, 64))
    loss = F.cross_entropy(model(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert abs(loss.item() - math.log(500)) < 0.2


def test_the_same_seed_gives_the_same_model():
    torch.manual_seed(5)
    one = Transformer(CONFIG).state_dict()
    torch.manual_seed(5)
    other = Transformer(CONFIG).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_block_of_lesson_02_takes_the_weights_and_gives_the_states_of_the_library():
    model, tokens = make_model(), random_tokens()
    expected = model(tokens)
    for i, block in enumerate(model.blocks):
        model.blocks[i] = reference("TransformerBlock")(CONFIG.dim, CONFIG.heads, CONFIG.hidden).double()
        model.blocks[i].load_state_dict(block.state_dict())
    close(model(tokens), expected, 1e-9)


def test_a_block_that_knows_neither_mask_nor_cache_can_stand_in():
    class Plain(torch.nn.Module):
        def __init__(self, block):
            super().__init__()
            self.block = block

        def forward(self, x, cos, sin):
            assert cos.shape == sin.shape == (x.shape[1], 4)
            return self.block(x, cos, sin)

    model, tokens = make_model(), random_tokens()
    expected = model(tokens)
    for i, block in enumerate(model.blocks):
        model.blocks[i] = Plain(block)
    assert torch.equal(model(tokens), expected)


def test_the_scalar_head_gives_one_number_a_position_and_starts_at_zero():
    head = ScalarHead(24).double()
    hidden = make_model().hidden(random_tokens())
    assert torch.equal(head(hidden), torch.zeros(3, 9, dtype=torch.float64))
    with torch.no_grad():
        head.linear.weight.fill_(0.5)
        head.linear.bias.fill_(2.0)
    close(head(hidden), 0.5 * hidden.sum(-1) + 2)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"vocab_size": 0}, "vocab_size must be a whole number of at least 1, got 0"),
        ({"layers": 2.5}, "layers must be a whole number of at least 1, got 2.5"),
        ({"heads": True, "dim": 5}, "must be"),
        ({"dim": 50, "heads": 4}, "dim must be a multiple of heads, got dim 50 and 4 heads"),
        ({"dim": 12, "heads": 4}, "must be even for rotary positions, got 12 / 4"),
        ({"rope_base": 1.0}, "rope_base must be above 1"),
        ({"hidden": -3}, "hidden must be a whole number"),
    ],
)
def test_a_wrong_config_is_told_in_words(arguments, reason):
    with pytest.raises(ValueError, match=reason):
        Config(**{"vocab_size": 10} | arguments)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda m: m(torch.zeros(3).long()), r"tokens must be \(B, T\), got \(3,\)"),
        (lambda m: m(torch.zeros(1, 41).long()), "41 tokens do not fit into a context of 40"),
        (lambda m: m(torch.zeros(2, 5).long(), torch.ones(2, 4)), r"mask must be \(B, S\) = \(2, 5\), got \(2, 4\)"),
        (lambda m: m(torch.zeros(2, 5).long(), cache=m.new_cache(2, 3)), "do not fit into a cache for 3"),
        (lambda m: m(torch.zeros(2, 2).long(), cache=m.new_cache(3, 9)), "a cache for 3 rows cannot take 2"),
    ],
)
def test_wrong_input_is_told_in_words(call, reason):
    with pytest.raises(ValueError, match=reason):
        call(make_model())
