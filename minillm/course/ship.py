"""The checkpoints of a run become those that the course ships: half precision, in data/checkpoints/."""

from pathlib import Path

from minillm import paths
from minillm.course.names import UserError


def ship(source: Path) -> list[Path]:
    """Copy every checkpoint in ``source`` to data/checkpoints/ with 2 bytes a weight, and print their sizes.

    UserError, before anything is written, where there is none or one of them cannot be read.
    """
    from minillm import checkpoints  # brings torch

    found = sorted(source.glob("*.safetensors"))
    if not found:
        raise UserError(f"There are no checkpoints in {source}, so there is nothing to ship.")
    try:
        stages = {path.name: (*checkpoints.load(path), checkpoints.load_head(path)) for path in found}
    except checkpoints.CheckpointError as error:
        raise UserError(f"Nothing was shipped: {error}.") from None
    written = []
    for name, (model, header, head) in stages.items():
        target = paths.CHECKPOINTS / name
        about = (header.stage, header.tokenizer_hash, header.seed, header.extra)
        checkpoints.save(target, model, *about, head=head, half=True)
        print(f"{target.relative_to(paths.ROOT).as_posix()}  {target.stat().st_size / 1e6:.1f} MB")
        written.append(target)
    return written
