"""Properties of checkpoints: what is written comes back, and every wrong file is told in one sentence."""

import json
import pickle

import pytest
import torch
from safetensors.torch import save as save_tensors

from minillm import checkpoints
from minillm.checkpoints import CheckpointError
from minillm.model import Config, ScalarHead, Transformer

CONFIG = Config(vocab_size=31, context_length=16, dim=12, layers=2, heads=2)
HASH = "0123456789abcdef"


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    return Transformer(CONFIG)


@pytest.fixture
def path(tmp_path, model):
    return checkpoints.save(
        tmp_path / "base.safetensors", model, "base", HASH, seed=3, extra={"loss": 1.5, "runs": [1]}
    )


def test_weights_and_header_come_back_exactly(path, model):
    loaded, header = checkpoints.load(path, tokenizer_hash=HASH, config=CONFIG)
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert (header.stage, header.config, header.tokenizer_hash, header.seed) == ("base", CONFIG, HASH, 3)
    assert header.extra == {"loss": 1.5, "runs": [1]} and header.version


def test_half_precision_takes_half_the_room_and_loads_as_float32(tmp_path, path, model):
    half = checkpoints.save(tmp_path / "half.safetensors", model, "base", HASH, half=True)
    loaded, _ = checkpoints.load(half)
    for name, value in loaded.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, model.state_dict()[name].half().float())
    saved = path.stat().st_size - half.stat().st_size
    assert abs(saved - 2 * model.num_parameters()) < 200


def test_a_scalar_head_is_saved_with_its_model(tmp_path, path, model):
    head = ScalarHead(12)
    torch.nn.init.normal_(head.linear.weight)
    checkpoints.save(tmp_path / "rm.safetensors", model, "reward", HASH, head=head)
    loaded = checkpoints.load_head(tmp_path / "rm.safetensors")
    assert all(torch.equal(value, head.state_dict()[name]) for name, value in loaded.state_dict().items())
    assert checkpoints.load_head(path) is None


def test_the_same_model_gives_the_same_bytes(tmp_path, path, model):
    again = checkpoints.save(
        tmp_path / "again.safetensors", model, "base", HASH, seed=3, extra={"loss": 1.5, "runs": [1]}
    )
    assert again.read_bytes() == path.read_bytes()


def test_any_tensors_come_back_with_type_and_shape(tmp_path):
    tensors = {
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 3),
        "bytes": torch.arange(9, dtype=torch.uint8),
        "columns": torch.arange(6).reshape(2, 3).T,
    }
    checkpoints.write(tmp_path / "x", tensors, {"note": "é"})
    back, header = checkpoints.read(tmp_path / "x")
    assert header == {"note": "é", "format": checkpoints.FORMAT}
    assert all(back[name].dtype == value.dtype and torch.equal(back[name], value) for name, value in tensors.items())


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, path, model, monkeypatch):
    before = path.read_bytes()

    def full(*args):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(path, model, "base", "another")
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["base.safetensors"]


def test_a_file_cut_anywhere_is_told_in_one_sentence(tmp_path, path):
    content = path.read_bytes()
    for end in {0, 1, 4, 7, 8, 9, 50, 500, *range(600, len(content), 997), len(content) - 1}:
        (tmp_path / "cut").write_bytes(content[:end])
        with pytest.raises(CheckpointError, match=r"is empty|not a safetensors|truncated") as caught:
            checkpoints.load(tmp_path / "cut")
        assert "\n" not in str(caught.value) and "cut" in str(caught.value)


def test_any_changed_byte_is_noticed(tmp_path, path):
    content = path.read_bytes()
    for place in {0, 3, 8, 20, *range(30, len(content), 499), len(content) - 1}:
        (tmp_path / "bad").write_bytes(content[:place] + bytes([content[place] ^ 0x15]) + content[place + 1 :])
        with pytest.raises(CheckpointError) as caught:
            checkpoints.load(tmp_path / "bad")
        assert "\n" not in str(caught.value)


def rewritten(path, **changes) -> bytes:
    """The checkpoint at ``path`` with a changed header or changed tensors, its checksum right."""
    tensors, header = checkpoints.read(path)
    tensors |= changes.pop("tensors", {})
    header = {k: v for k, v in (header | changes).items() if v is not None}
    checkpoints.write(path, {k: v for k, v in tensors.items() if v is not None}, header)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda p: b"", "is empty"),
        (lambda p: b"hello, this is a text file", "is not a safetensors file"),
        (lambda p: pickle.dumps({"weights": list(range(99))}), "is not a safetensors file"),
        (lambda p: b"\x02\0\0\0\0\0\0\0{}", "not a minillm checkpoint"),
        (lambda p: b"\x02\0\0\0\0\0\0\0{]", "header cannot be read"),
        (lambda p: save_tensors({"w": torch.ones(3)}), "is a safetensors file, but not a minillm checkpoint"),
        (lambda p: save_tensors({"w": torch.ones(3)}, {"format": "pt"}), "but not a minillm checkpoint"),
        (lambda p: save_tensors({"w": torch.ones(3)}, {"minillm": "{"}), "is damaged"),
        (lambda p: save_tensors({"w": torch.ones(3)}, {"minillm": json.dumps({"format": "x"})}), "another format"),
        (lambda p: rewritten(p, config=None), "does not hold a model"),
        (lambda p: rewritten(p, config={"vocab_size": 31, "wheels": 4}), "does not hold a model"),
        (lambda p: rewritten(p, config={"vocab_size": 31, "dim": 13}), "does not hold a model"),
        (lambda p: rewritten(p, stage=None), "does not hold a model"),
        (lambda p: rewritten(p, tensors={"model.norm.weight": None}), "lacks weight model.norm.weight"),
        (lambda p: rewritten(p, tensors={"model.bias": torch.ones(1)}), "has an unknown weight model.bias"),
        (
            lambda p: rewritten(p, tensors={"model.norm.weight": torch.ones(9)}),
            r"has shape \(9,\), its config says \(12,\)",
        ),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence(path, change, reason):
    path.write_bytes(change(path))
    with pytest.raises(CheckpointError, match=reason) as caught:
        checkpoints.load(path)
    assert "\n" not in str(caught.value) and "base.safetensors" in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_in_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="there is no checkpoint at"):
        checkpoints.load(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoints.load(tmp_path)


def test_another_tokenizer_and_another_shape_are_told_in_one_sentence(path):
    with pytest.raises(
        CheckpointError, match=r"trained with another tokenizer .its hash is 0123456789abcdef, yours is x"
    ):
        checkpoints.load(path, tokenizer_hash="x")
    other = Config(vocab_size=31, context_length=16, dim=24, layers=3, heads=2)
    with pytest.raises(CheckpointError, match="another shape: dim 12, not 24, layers 2, not 3, hidden 48, not 96"):
        checkpoints.load(path, config=other)


def test_weights_too_large_for_half_precision_are_refused_and_nothing_is_written(tmp_path, model):
    with torch.no_grad():
        model.norm.weight[0] = 1e6
    with pytest.raises(CheckpointError, match=r"model.norm.weight has values too large for half precision"):
        checkpoints.save(tmp_path / "x.safetensors", model, "base", HASH, half=True)
    assert not list(tmp_path.iterdir())
