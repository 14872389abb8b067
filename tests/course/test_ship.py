"""What `run --ship` takes from a run: its checkpoints at half precision, and the pictures of the README."""

import base64
import json

import pytest
import torch

from minillm import checkpoints, paths
from minillm.course.names import UserError
from minillm.course.ship import ship, ship_pictures
from minillm.model import Config, Transformer

PNG = b"\x89PNG\r\n\x1a\n and the rest of a picture"


@pytest.fixture
def course(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "data" / "checkpoints")
    return tmp_path


def _notebook(*cells: dict) -> str:
    return json.dumps({"cells": list(cells), "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def _cell(metadata: dict, *images: bytes) -> dict:
    outputs = [{"output_type": "display_data", "data": {"image/png": base64.b64encode(i).decode()}} for i in images]
    return {"cell_type": "code", "metadata": metadata, "source": "plot()", "outputs": outputs}


def test_checkpoints_are_shipped_with_two_bytes_a_weight_and_the_same_header(course):
    model = Transformer(Config(20, 8, 8, 1, 2))
    source = course / "run" / "base.safetensors"
    checkpoints.save(source, model, "base", "abc", seed=3)
    (written,) = ship(source.parent)
    loaded, header = checkpoints.load(written)
    assert (header.stage, header.tokenizer_hash, header.seed) == ("base", "abc", 3)
    assert written.stat().st_size < source.stat().st_size
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight.half().float()), name


def test_nothing_is_shipped_where_there_is_nothing_or_something_is_broken(course):
    folder = course / "run"
    with pytest.raises(UserError, match="no checkpoints"):
        ship(folder)
    checkpoints.save(folder / "base.safetensors", Transformer(Config(20, 8, 8, 1, 2)), "base", "abc")
    (folder / "sft.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="Nothing was shipped"):
        ship(folder)
    assert not paths.CHECKPOINTS.exists()


def test_the_first_plot_of_each_named_cell_becomes_a_picture(course):
    folder = course / "notebooks"
    folder.mkdir()
    cells = (_cell({}, b"unnamed"), _cell({"picture": "loss"}, PNG, b"second"), _cell({"picture": "nothing"}))
    (folder / "03_x.ipynb").write_text(_notebook(*cells), encoding="utf-8")
    (written,) = ship_pictures(folder)
    assert written == course / "data" / "pictures" / "loss.png"
    assert written.read_bytes() == PNG
