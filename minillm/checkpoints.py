"""Saving and loading a stage: safetensors with a header, written in one step, checked when read.

A checkpoint is data, never a pickle, so opening one from a stranger runs no code. The header is JSON in the file's own
metadata: what the weights are, which tokenizer they read, and a checksum. `CheckpointError` says in one sentence
what is wrong with a file. Where checkpoints live is the business of `minillm.stages`.
"""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

import minillm
from minillm.files import atomic_write
from minillm.model import Config, ScalarHead, Transformer

FORMAT = "minillm checkpoint 1"
LENGTH_BYTES = 8  # a safetensors file begins with the length of its JSON header
HALF_MAX = torch.finfo(torch.float16).max


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why in one sentence."""


@dataclass(frozen=True)
class Header:
    """What a checkpoint says of itself. ``seed`` is that of the training run, ``extra`` is anything JSON can hold."""

    stage: str
    config: Config
    tokenizer_hash: str
    seed: int
    version: str = minillm.__version__
    extra: dict[str, Any] = field(default_factory=dict)


def save(
    path: Path | str,
    model: Transformer,
    stage: str,
    tokenizer_hash: str,
    seed: int = 0,
    extra: dict[str, Any] | None = None,
    head: ScalarHead | None = None,
    half: bool = False,
) -> Path:
    """Write a model, with a scalar head if there is one. ``half`` stores 2 bytes a weight instead of 4."""
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    if head is not None:
        tensors |= {f"head.{name}": value for name, value in head.state_dict().items()}
    header = {
        "stage": stage,
        "config": asdict(model.config),
        "tokenizer_hash": tokenizer_hash,
        "seed": seed,
        "version": minillm.__version__,
        "extra": extra or {},
    }
    return write(path, _as_half(tensors) if half else tensors, header)


def load(
    path: Path | str, tokenizer_hash: str | None = None, config: Config | None = None, device: str = "cpu"
) -> tuple[Transformer, Header]:
    """Read a model in float32 and its header; raises CheckpointError where the file, or what it holds, is not right.

    tokenizer_hash, config: if given, the checkpoint must have been made with just these.
    """
    tensors, header = _open(Path(path))
    if tokenizer_hash is not None and header.tokenizer_hash != tokenizer_hash:
        raise CheckpointError(
            f"{path} was trained with another tokenizer (its hash is {header.tokenizer_hash or 'missing'}, "
            f"yours is {tokenizer_hash}): its token ids would mean other words"
        )
    if config is not None and header.config != config:
        theirs, ours = asdict(header.config), asdict(config)
        names = [name for name in ours if ours[name] != theirs[name]]
        differences = ", ".join(f"{name} {theirs[name]}, not {ours[name]}" for name in names)
        raise CheckpointError(f"{path} holds a model of another shape: {differences}")
    model = Transformer(header.config)
    _fill(model, tensors, "model.", path)
    return model.to(device), header


def load_head(path: Path | str, device: str = "cpu") -> ScalarHead | None:
    """The scalar head that was saved with a model, or None if there was none."""
    tensors, header = _open(Path(path))
    if not any(name.startswith("head.") for name in tensors):
        return None
    bias = tensors.get("head.linear.bias")
    head = ScalarHead(header.config.dim, 1 if bias is None else bias.numel())
    _fill(head, tensors, "head.", path)
    return head.to(device)


def write(path: Path | str, tensors: dict[str, Tensor], header: dict[str, Any]) -> Path:
    """Write named tensors and a JSON header with a checksum, in one step."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header = json.loads(json.dumps(header | {"format": FORMAT}))  # as it will be read: keys are text
    header["checksum"] = _checksum(tensors, header)
    return atomic_write(path, save_tensors(tensors, {"minillm": json.dumps(header)}))


def read(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read back what `write` wrote; raises CheckpointError where the file is missing, damaged or somebody else's."""
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint at {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from None
    metadata = _metadata(content, path)
    try:
        header = json.loads(metadata["minillm"])
        tensors = load_tensors(content)
    except KeyError:
        raise CheckpointError(f"{path} is a safetensors file, but not a minillm checkpoint") from None
    except (ValueError, TypeError, SafetensorError) as error:
        raise CheckpointError(f"{path} is damaged: {error}") from None
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise CheckpointError(f'{path} has another format than "{FORMAT}"; a newer minillm may have written it')
    if header.pop("checksum", None) != _checksum(tensors, header):
        raise CheckpointError(f"{path} is damaged: what it holds does not give the checksum that it states")
    return tensors, header


def _metadata(content: bytes, path: Path) -> dict[str, str]:
    """The metadata of a safetensors file, after a look whether the file is whole."""
    if not content:
        raise CheckpointError(f"{path} is empty")
    size = struct.unpack("<Q", content[:LENGTH_BYTES])[0] if len(content) >= LENGTH_BYTES else 0
    if not content[LENGTH_BYTES:].startswith(b"{"):
        raise CheckpointError(f"{path} is not a safetensors file")
    body = LENGTH_BYTES + size
    if body > len(content):
        raise CheckpointError(f"{path} is truncated or damaged: it ends within its header")
    try:
        entries = json.loads(content[LENGTH_BYTES:body])
        metadata = entries.pop("__metadata__", {})
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        raise CheckpointError(f"{path} is damaged: its header cannot be read") from None
    if body + end > len(content):
        raise CheckpointError(f"{path} is truncated: {body + end - len(content):,} of {body + end:,} bytes are missing")
    return metadata


def _open(path: Path) -> tuple[dict[str, Tensor], Header]:
    tensors, raw = read(path)
    try:
        header = Header(
            stage=raw["stage"],
            config=Config(**raw["config"]),
            tokenizer_hash=raw["tokenizer_hash"],
            seed=raw["seed"],
            version=raw["version"],
            extra=raw["extra"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} does not hold a model: its header lacks or misstates {error}") from None
    return tensors, header


def _fill(module: nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path | str) -> None:
    """Load the tensors under ``prefix`` into a module of just these names and shapes."""
    given = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    wanted = module.state_dict()
    for name in sorted(given.keys() ^ wanted.keys()):
        raise CheckpointError(f"{path} {'lacks' if name in wanted else 'has an unknown'} weight {prefix}{name}")
    for name, value in given.items():
        if value.shape != wanted[name].shape:
            shapes = f"{tuple(value.shape)}, its config says {tuple(wanted[name].shape)}"
            raise CheckpointError(f"{path} contradicts itself: {prefix}{name} has shape {shapes}")
    module.load_state_dict({name: value.to(wanted[name].dtype) for name, value in given.items()})


def _as_half(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for name, value in tensors.items():
        if value.abs().max() > HALF_MAX:
            raise CheckpointError(f"{name} has values too large for half precision; save it with half=False")
    return {name: value.half() for name, value in tensors.items()}


def _checksum(tensors: dict[str, Tensor], header: dict[str, Any]) -> str:
    """sha256 over the header, but for the checksum itself, and all tensors."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode("utf-8"))
    for name in sorted(tensors):
        digest.update(name.encode("utf-8"))
        digest.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
