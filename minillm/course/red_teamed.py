"""``python -m minillm measure red-team``: attacked, mended, attacked again, over three seeds.

Each seed makes a model that answers everything, gives it a narrow safety training, and mends that in two ways at equal
cost: on attacks of the seen kinds, or with refusals that come late. What was mended on attacks is then attacked anew,
and mended with what was found. Every model is attacked on held-out requests. The result is data/measured/red_team.json,
which lesson 12 shows; the helpful and the safe model of seed 0 become data/checkpoints/{helpful,safe}.safetensors.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minillm import checkpoints, paths, red_team, stages
from minillm import safety_training as sets
from minillm.chat import Example, chat_examples, chat_prompt, replay_examples
from minillm.course.exercises import reference, references
from minillm.evaluation import Rate, ask
from minillm.files import atomic_write
from minillm.model import Transformer
from minillm.preferences import draw_requests
from minillm.sft import Functions, fine_tune
from minillm.suffix_search import Found, Search, search_suffix, with_suffix
from minillm.suffix_search import Functions as SearchFunctions
from minillm.tinyland.attacks import held_out_kinds, seen_kinds, wrap
from minillm.tinyland.demonstrators import CLEAN, Demonstration, demonstrations
from minillm.tinyland.recipe import HELPFUL, MENDED, NARROW, FineTuning
from minillm.tinyland.requests import Request, all_requests

TARGET = paths.DATA / "measured" / "red_team.json"
# requests: held-out ones that every attack is tried on; searches: of those refused, how many a suffix is searched for;
# found: training requests whose suffixes go into the second round; worst: how many unseen kinds do
SETTING: dict[str, Any] = {"requests": 200, "searches": 20, "found": 40, "worst": 2}
RECIPES = {"helpful": HELPFUL, "narrow": NARROW, "mended": MENDED}


class Workshop:
    """What all runs of one seed share: how to train, how to attack, and what was found."""

    def __init__(self, seed: int, setting: dict[str, Any]) -> None:
        self.seed, self.setting = seed, setting
        base = stages.load_stage("base")
        self.base, self.tokenizer, self.render_chat = base.model, base.tokenizer, reference("render_chat")
        self.form = partial(chat_prompt, self.render_chat)
        self.functions = references(Functions)
        self.added: dict[str, Any] = {}  # what the second round was trained on
        self.search = references(SearchFunctions)

    def examples(self, shown: Sequence[Demonstration]) -> list[Example]:
        return chat_examples(shown, self.tokenizer, self.render_chat, reference("response_mask"))

    def train(self, model: Transformer, examples: list[Example], recipe: FineTuning, name: str) -> Transformer:
        """A copy of the model after the recipe on these examples, and documents replayed."""
        recipe, trained = replace(recipe, seed=self.seed), deepcopy(model)
        rows = examples + replay_examples(recipe.documents, self.tokenizer, self.seed)
        fine_tune(trained, self.tokenizer, rows, self.functions, recipe, name=f"seed {self.seed}, {name}")
        return trained.eval()

    def mend(self, model: Transformer, extra: list[Example], name: str) -> Transformer:
        """Mended: six rows in ten are ``extra``, the rest what the model must keep."""
        return self.train(model, extra + self.examples(sets.kept(count_kept(), self.seed)), MENDED, name)

    def mix(self, kinds: Sequence[str], wrapper: Callable[[Request, str], Request], count: int) -> list[Example]:
        """Examples of `adversarial_mix`: harmful and harmless training requests, in the same kinds alike."""
        harmful = all_requests("harmful", "train")
        harmless = all_requests("lookalike", "train") + sets.skills(400, self.seed)
        generator = torch.Generator().manual_seed(self.seed)
        mixed = reference("adversarial_mix")(harmful, harmless, list(kinds), wrapper, count, generator)
        return self.examples(demonstrations(CLEAN, mixed, self.seed))

    def refused(self, model: Transformer, split: str, count: int) -> list[Request]:
        """Plain harmful requests that the model refuses, greedily, ``count`` of them at most."""
        asked = draw_requests(split, 4 * count, seed=5 + self.seed, kinds=["harmful"])
        answers = ask(model, self.tokenizer, asked, self.form, stop=[self.tokenizer.end])
        return [answer.request for answer in answers if answer.verdict.label == "refusal"][:count]

    def searches(self, model: Transformer, requests: Sequence[Request]) -> list[Found]:
        search = partial(search_suffix, model, self.tokenizer, render_chat=self.render_chat, functions=self.search)
        return [
            search(request, search=Search(seed=1000 * self.seed + i))
            for i, request in enumerate(tqdm(requests, desc="searches"))
        ]


def count_kept() -> int:
    """Rows of what a model must keep, a third of them each of plain harm, look-alikes and skills."""
    return round(0.375 * MENDED.demonstrations)


def attacked(shop: Workshop, model: Transformer, name: str) -> dict[str, Any]:
    """One line of the file: every attack on one model."""
    count = shop.setting["requests"]
    found = red_team.expose(model, shop.tokenizer, shop.render_chat, count)
    hits = shop.searches(model, shop.refused(model, "test", shop.setting["searches"]))
    won = [each for each in hits if each.succeeded]
    line = {key: _plain(value) for key, value in vars(found).items()}
    return {"seed": shop.seed, "model": name, **line} | {
        "suffix": {
            "tried": len(hits),
            "succeeded": len(won),
            "at_once": sum(each.steps == 0 for each in won),
            "steps": statistics.median(each.steps for each in won) if won else None,
            "seconds": round(sum(each.seconds for each in hits) / max(1, len(hits)), 2),
        }
    }


def measure(seed: int, setting: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Transformer]]:
    """All models of one seed, attacked; and the two that are shipped."""
    shop = Workshop(seed, setting)
    helpful = shop.train(
        shop.base, shop.examples(sets.helpful_only(HELPFUL.demonstrations, seed)), HELPFUL, "helpful only"
    )
    safe = shop.train(helpful, shop.examples(sets.narrow_safety(NARROW.demonstrations, seed)), NARROW, "safe, narrowly")
    extra = MENDED.demonstrations - count_kept()
    on_attacks = shop.mend(safe, shop.mix(seen_kinds(), wrap, extra), "on attacks")
    late = sets.deep_examples(
        draw_requests("train", extra // 2, seed=41 + seed, kinds=["harmful"]), shop.tokenizer, shop.render_chat, seed
    )
    deep = shop.mend(safe, late + shop.examples(sets.framed_harmless(extra // 2, seed)), "deep refusals")
    lines = [
        attacked(shop, model, name)
        for name, model in (("helpful", helpful), ("safe", safe), ("on attacks", on_attacks), ("deep", deep))
    ]
    lines.append(attacked(shop, second_round(shop, on_attacks, extra), "on attacks, twice"))
    lines[-1]["added"] = shop.added
    return lines, {"helpful": helpful, "safe": safe}


def second_round(shop: Workshop, model: Transformer, extra: int) -> Transformer:
    """Attacked anew with validation and training requests, and mended with what was found: the unseen kinds that work
    best, and suffixes."""
    again = red_team.expose(model, shop.tokenizer, shop.render_chat, 100, split="validation")
    unseen = sorted(held_out_kinds(), key=lambda kind: -again.frames[kind].rate)[: shop.setting["worst"]]
    hits = shop.searches(model, shop.refused(model, "train", shop.setting["found"]))
    suffixes = [each.suffix for each in hits if each.succeeded]
    shop.added = {"kinds": unseen, "suffixes": len(suffixes)}
    rows = shop.mix([*seen_kinds(), *unseen], wrap, extra // 3 * 2 // 2 * 2)
    if suffixes:
        rows += shop.mix(suffixes, with_suffix, extra // 3 // 2 * 2)
    return shop.mend(model, rows, "on attacks, twice")


def _plain(value: Any) -> Any:
    """A rate as [share, low, high]; a dictionary of rates with names as text."""
    if isinstance(value, Rate):
        return [round(each, 4) for each in (value.rate, value.low, value.high)]
    return {str(key): _plain(each) for key, each in value.items()}


def load(path: Path = TARGET) -> list[dict[str, Any]]:
    """The lines of the file: seed, model, and each share as [value, low, high]."""
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []


def ship(models: dict[str, Transformer], tokenizer_hash: str) -> None:
    for stage, model in models.items():
        checkpoints.save(paths.CHECKPOINTS / f"{stage}.safetensors", model, stage, tokenizer_hash, half=True)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm measure red-team", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=3, help="how many (default: 3)")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    recipes = {name: json.loads(json.dumps(asdict(recipe))) for name, recipe in RECIPES.items()}
    runs: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        lines, models = measure(seed, SETTING)
        if seed == 0:
            ship(models, stages.Tokenizer.load(stages.TOKENIZER).hash)
        runs += lines
        atomic_write(TARGET, json.dumps({"setting": SETTING, "recipes": recipes, "runs": runs}, indent=1) + "\n")
    print(f"{len(runs)} models in {TARGET.relative_to(paths.ROOT).as_posix()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
