"""Which checkpoint a lesson gets: the student's own if there is one, else the reference that comes with the course.

    stage = load_stage("base")         # prints which it is
    stage.model, stage.tokenizer, stage.header

`save_stage` puts the student's checkpoints into work/checkpoints, where `load_stage` looks first. With
MINILLM_SOURCE=reference, as in the main job, both use runs/latest/checkpoints instead, and never touch the student's;
nor does a run that MINILLM_SMOKE cuts short.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minillm import checkpoints, paths
from minillm.checkpoints import CheckpointError, Header
from minillm.model import ScalarHead, Transformer
from minillm.tokenizer import Tokenizer

TOKENIZER = paths.DATA / "tokenizer.json"


@dataclass(frozen=True)
class LoadedStage:
    """A model with what belongs to it; ``head`` is its scalar head, where it has one."""

    model: Transformer
    tokenizer: Tokenizer
    header: Header
    head: ScalarHead | None
    path: Path
    mine: bool


def stage_path(stage: str) -> Path:
    """Where `save_stage` writes: work/checkpoints, or the folder of the run if that is not for the student to keep."""
    if not re.fullmatch(r"[a-z0-9_.-]*[a-z0-9]", stage):
        raise ValueError(f'a stage has a name such as "base" or "sft-seed1", in small letters, got {stage!r}')
    folder = paths.WORK if paths.source() == "mine" and not paths.smoke() else paths.run_dir()
    return folder / "checkpoints" / f"{stage}.safetensors"


def load_stage(stage: str, device: str = "cpu") -> LoadedStage:
    """Load a stage such as "base" or "sft" in evaluation mode, and print in a line whose it is.

    A checkpoint of yours that cannot be used (damaged, or made with another tokenizer) is named, left as it is, and
    the reference is taken instead. Raises CheckpointError where there is none, or it cannot be used either.
    """
    tokenizer = Tokenizer.load(TOKENIZER)
    own = stage_path(stage)
    owner = "your own" if paths.source() == "mine" else "this run's"
    if own.exists():
        try:
            loaded = _load(own, tokenizer, device, mine=paths.source() == "mine")
            print(f"{stage}: {owner} checkpoint, {_shown(own)}")
            return loaded
        except CheckpointError as error:
            print(f"{stage}: {owner} checkpoint cannot be used: {error}")
    reference = paths.CHECKPOINTS / f"{stage}.safetensors"
    if not reference.exists():
        raise CheckpointError(f"there is no checkpoint of the stage {stage!r}, neither at {own} nor at {reference}")
    loaded = _load(reference, tokenizer, device, mine=False)
    print(f"{stage}: the reference checkpoint, {_shown(reference)}")
    return loaded


def save_stage(
    stage: str,
    model: Transformer,
    seed: int = 0,
    extra: dict[str, Any] | None = None,
    head: ScalarHead | None = None,
) -> Path:
    """Save a stage where `load_stage` finds it, and print where."""
    path = stage_path(stage)
    checkpoints.save(path, model, stage, Tokenizer.load(TOKENIZER).hash, seed=seed, extra=extra, head=head)
    print(f"{stage}: saved to {_shown(path)}")
    return path


def _load(path: Path, tokenizer: Tokenizer, device: str, mine: bool) -> LoadedStage:
    model, header = checkpoints.load(path, tokenizer_hash=tokenizer.hash, device=device)
    if model.config.vocab_size != tokenizer.vocab_size:
        sizes = f"{model.config.vocab_size} tokens, the tokenizer {tokenizer.vocab_size}"
        raise CheckpointError(f"{path} does not fit its tokenizer: the model has {sizes}")
    return LoadedStage(model.eval(), tokenizer, header, checkpoints.load_head(path, device), path, mine)


def _shown(path: Path) -> str:
    """The path as seen from the repository, where it lies in it."""
    return path.relative_to(paths.ROOT).as_posix() if path.is_relative_to(paths.ROOT) else str(path)
