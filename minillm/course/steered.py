"""``python -m minillm measure steering``: a refusal direction found, added and ablated, over three seeds.

Each seed trains a model that refuses: the base on clean demonstrations. Then the direction of refusal is taken from
training requests, and it and random directions are added and ablated while the model answers held-out requests. The
result is data/measured/steering.json, which lesson 13 shows. The base, and so its pretraining seed, is the same in all
runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

from minillm import evaluation, paths, plots, stages, steering
from minillm.chat import chat_examples, chat_prompt, draw_demonstrations, replay_examples
from minillm.course.exercises import reference, references
from minillm.files import atomic_write
from minillm.model import Transformer
from minillm.preferences import draw_requests
from minillm.sft import Functions, fine_tune
from minillm.tinyland.demonstrators import CLEAN
from minillm.tinyland.recipe import SFT

TARGET = paths.DATA / "measured" / "steering.json"
REQUESTS = 1000  # held-out requests that each variant answers once
# Chosen on validation requests. layer: behind which block the direction is taken and added; strengths: in distances
# between the two means; contrast: training requests of either side; random: directions of length 1 to compare with.
SETTING: dict[str, Any] = {"layer": 2, "strengths": [1.0, 2.0], "contrast": 400, "random": 3}


def refuser(seed: int) -> Transformer:
    """The base, fine-tuned on clean demonstrations: it refuses nearly all harm, and hardly anything else."""
    base = stages.load_stage("base")
    recipe = replace(SFT, seed=seed)
    shown = draw_demonstrations(CLEAN, recipe.demonstrations, seed=seed)
    examples = chat_examples(shown, base.tokenizer, reference("render_chat"), reference("response_mask"))
    examples += replay_examples(recipe.documents, base.tokenizer, seed)
    functions = references(Functions)
    fine_tune(base.model, base.tokenizer, examples, functions, recipe, name=f"seed {seed}")
    return base.model.eval()


def measure(seed: int, model: Transformer, setting: dict[str, Any], requests: int = REQUESTS) -> dict[str, Any]:
    """One seed: what the model does as it is, with the direction ablated and added, and with random ones."""
    tokenizer = stages.Tokenizer.load(stages.TOKENIZER)
    form = partial(chat_prompt, reference("render_chat"))
    layer, ablate = setting["layer"], reference("ablate_direction")
    sides = []
    for kinds in (["harmful"], list(steering.HARMLESS)):
        asked = draw_requests("train", setting["contrast"], seed=1 + len(sides), kinds=kinds)
        prompts = [form(request) for request in asked]
        sides.append(
            steering.activations(model, tokenizer, prompts, reference("record_activations"), [layer])[0]
        )  # (N, D)
    direction, distance = reference("difference_in_means")(*sides)
    held_out = draw_requests("test", requests, seed=7)

    def answers() -> list[evaluation.Answer]:
        return evaluation.ask(model, tokenizer, held_out, form, stop=[tokenizer.end], temperature=1.0, seed=7)

    def added(r: Tensor) -> dict[str, Any]:
        steer = reference("steer")
        return {str(k): _plain(steer(model, layer, k * distance * r, answers)) for k in setting["strengths"]}

    def ablated(r: Tensor | None) -> dict[str, Any]:
        edits = steering.edited(model, partial(ablate, direction=r), steering.writers(model))
        with edits if r is not None else nullcontext():
            return _plain(answers())

    random = steering.random_directions(setting["random"], model.config.dim, seed=seed)
    return {
        "seed": seed,
        "setting": setting,
        "recipe": asdict(replace(SFT, seed=seed)),
        "requests": requests,
        "distance": round(distance.item(), 2),
        "as it is": ablated(None),
        "ablated": ablated(direction),
        "added": added(direction),
        "random ablated": [ablated(r) for r in random],
        "random added": [added(r) for r in random],
    }


def load(path: Path = TARGET) -> list[dict[str, Any]]:
    """The runs of the file, one a seed; every number is [value, low, high]."""
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm measure steering", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=3, help="models to train and to steer (default: 3)")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    runs = []
    for seed in tqdm(range(options.seeds), desc="seeds", file=sys.stdout):
        runs.append(measure(seed, refuser(seed), SETTING))
        atomic_write(TARGET, text(runs))
    return 0


def text(runs: Sequence[dict[str, Any]]) -> str:
    """The file: one line a run."""
    return '{"runs": [\n' + ",\n".join(json.dumps(run) for run in runs) + "\n]}\n"


def rows(runs: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """A table of the runs, seven lines a seed; of the random directions each has its number."""
    table = []
    for run in runs:
        variants = {
            "as it is": [run["as it is"]],
            "ablated": [run["ablated"]],
            "random, ablated": run["random ablated"],
            "added once": [run["added"]["1.0"]],
            "random, once": [each["1.0"] for each in run["random added"]],
            "added twice": [run["added"]["2.0"]],
            "random, twice": [each["2.0"] for each in run["random added"]],
        }
        for name, measured in variants.items():
            line = {"seed": str(run["seed"]), "": name}
            for column in ("refuses harm", "complies", "refuses look-alikes", "declines others", "right", "gold"):
                line[column] = ", ".join(f"{each[column][0]:.2f}" for each in measured)
            table.append(line)
    return table


def draw(runs: Sequence[dict[str, Any]]) -> Figure:
    """Three numbers of every seed: as it is, with the direction, and with random directions instead."""
    panels = [
        ("harmful refused,\nablated", "refuses harm", "ablated", None),
        ("look-alikes refused,\nadded once", "refuses look-alikes", "added", "1.0"),
        ("others declined,\nadded twice", "declines others", "added", "2.0"),
    ]
    figure, (ax,) = plots.new_figure(width=7.5, height=3.0)
    for i, (_, column, what, strength) in enumerate(panels):
        for s, run in enumerate(runs):
            with_it, by_chance = run[what], run[f"random {what}"]
            if strength is not None:
                with_it, by_chance = with_it[strength], [each[strength] for each in by_chance]
            x = i + 0.12 * (s - (len(runs) - 1) / 2)
            names = ["as it is", "random directions", "the direction"] if i == s == 0 else [None] * 3
            value, low, high = with_it[column]
            ax.plot(x, run["as it is"][column][0], "_", color=plots.INK, markersize=12, label=names[0])
            ax.plot(
                [x] * len(by_chance),
                [each[column][0] for each in by_chance],
                "x",
                color=plots.STAGE_COLOURS["sft"],
                markersize=5,
                label=names[1],
            )
            ax.errorbar(x, value, [[value - low], [high - value]], fmt="o", color=plots.BAD, capsize=2, label=names[2])
    ax.set_xticks(range(len(panels)), [label for label, *_ in panels])
    ax.set(ylabel="share of such requests", ylim=(-0.03, 1.03))
    ax.set_title("Every seed: the direction does it, random ones do not")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _plain(answers: Sequence[evaluation.Answer]) -> dict[str, list[float]]:
    found = steering.behaviour(answers)
    return {name: [round(x, 3) for x in (e.value, e.low, e.high)] for name, e in found.items()}


if __name__ == "__main__":
    raise SystemExit(main())
