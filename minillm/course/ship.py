"""What a run made becomes what the course ships: checkpoints in data/checkpoints/, pictures in data/pictures/."""

import base64
from pathlib import Path

from minillm import paths
from minillm.course import notebooks
from minillm.course.names import UserError
from minillm.files import atomic_write


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


def ship_pictures(folder: Path) -> list[Path]:
    """Write the first plot of every cell with the metadata ``picture="NAME"`` to data/pictures/NAME.png.

    ``folder`` holds executed notebooks. The README shows these pictures.
    """
    written = []
    for path in sorted(folder.glob("*.ipynb")):
        for cell in notebooks.read(path)["cells"]:
            plots = [output["data"]["image/png"] for output in cell.get("outputs", []) if _is_plot(output)]
            if (name := cell["metadata"].get("picture")) and plots:
                image = base64.b64decode("".join(plots[0]))
                written.append(atomic_write(paths.DATA / "pictures" / f"{name}.png", image))
    return written


def _is_plot(output: notebooks.Cell) -> bool:
    return "image/png" in output.get("data", {})
