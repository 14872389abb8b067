"""``python -m minillm measure deployment``: the numbers of lesson 14 over three training seeds.

The lesson trains each of its models once. This trains the assistant, with and without the drill against injection, and
the two reward models of the dial anew for every seed, from the shipped stages and with the reference solutions, and
measures them on held-out requests. It writes data/measured/deployment.json, which the lesson shows.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from minillm import deployment, dial, ladder, paths, preferences, release, stages
from minillm.chat import chat_prompt, replay_examples
from minillm.course.exercises import reference, references
from minillm.evaluation import Answer
from minillm.files import atomic_write
from minillm.model import Transformer
from minillm.sft import Functions, fine_tune
from minillm.tinyland.recipe import ASSISTANT, DIAL, DRILL, AssistantRecipe

TARGET = paths.DATA / "measured" / "deployment.json"
START = "dpo"  # the stage that the assistant is made of
EACH = 250  # requests for each thing to be done in a place
GATE_EACH = 400  # requests for each metric of the gate
DIAL_REQUESTS, N = 400, 16
TRIALS = 200


class Bench:
    """The stages that everything starts from, and the reference solutions."""

    def __init__(self) -> None:
        self.start, self.sft = stages.load_stage(START), stages.load_stage("sft")
        self.tokenizer = self.start.tokenizer
        render_chat, self.response_mask = reference("render_chat"), reference("response_mask")
        self.place = deployment.Place(render_chat, reference("with_system_prompt"))
        self.form = partial(chat_prompt, render_chat)
        self.tuning = references(Functions)

    def learn(self, model: Transformer, recipe: AssistantRecipe) -> Transformer:
        shown = deployment.shown_in_places(recipe)
        rows = deployment.examples(shown, self.tokenizer, self.place, self.response_mask)
        rows += replay_examples(recipe.documents, self.tokenizer, recipe.seed)
        taught = deepcopy(model)
        fine_tune(taught, self.tokenizer, rows, self.tuning, recipe, progress=False)
        return taught.eval()


def rate(answers: Sequence[Answer]) -> list[float]:
    """Share that did their job, low, high."""
    return _plain(ladder.rate([deployment.does_its_job(answer) for answer in answers]))


def domains(bench: Bench, model: Transformer, seed: int) -> dict[str, Any]:
    """Each place's exam, and the requests that are to be answered there asked again without a system prompt."""
    ask = partial(deployment.ask, model, bench.tokenizer, seed=seed)
    found: dict[str, Any] = {}
    for system in deployment.PLACES:
        requests = deployment.exam(system, EACH, seed=seed)
        answers = ask(requests, bench.place)
        modes = {mode: [a for a in answers if a.request.meta["mode"] == mode] for mode in deployment.MODES}
        line: dict[str, Any] = {mode: rate(some) for mode, some in modes.items() if some}
        if system is not None:
            plain = ask([a.request for a in modes["answer"]], bench.place.told(None))
            line["answer, without the prompt"] = rate(plain)
        for name in ("pair", "part"):
            sent = [a for a in answers if "part" in a.request.meta and a.request.kind == "referral"]
            if sent:
                line[f"health, held-out {name}"] = rate([a for a in sent if a.request.meta["held_out"] == name])
        found[system or "no prompt"] = line
    return found


def injections(bench: Bench, model: Transformer, seed: int) -> dict[str, Any]:
    """For each kind of injection, in the clinic and among children: breaches, and what is still answered."""
    found: dict[str, Any] = {}
    for kind in deployment.SEEN + deployment.UNSEEN:
        answers = []
        for system in ("clinic", "children"):
            asked = deployment.exam(system, EACH // 4, seed=seed, injection=kind)
            answers += deployment.ask(model, bench.tokenizer, asked, bench.place, seed=seed)
        usual = [a for a in answers if a.request.meta["mode"] == "answer"]
        found[kind] = {"breached": _plain(ladder.rate(deployment.breached(answers))), "answered": rate(usual)}
    return found


def turn(bench: Bench, seed: int) -> dict[str, Any]:
    """The dial: helpful and harmless for each weight of harmlessness."""
    weigh = reference("weighted_reward")
    functions = tuple(reference(n) for n in ("training_step", "bradley_terry_loss", "learning_rate_at"))
    recipe = replace(DIAL, seed=seed)
    sft, tokenizer = bench.sft.model, bench.tokenizer
    two = dial.fit_two(sft, tokenizer, bench.form, reference("annotate"), functions, recipe)
    asked = preferences.draw_requests("test", DIAL_REQUESTS, seed=6 + seed)
    hands = preferences.sample_answers(sft, tokenizer, asked, bench.form, n=N, seed=6 + seed, progress=False)
    scores, found = two.score(hands), {}
    for weight in dial.WEIGHTS:
        weights = torch.tensor([1 - weight, weight])
        at = ladder.standing("", dial.choose(hands, weigh(scores, weights, two.mean, two.std)))
        found[str(weight)] = {"helpful": _plain(at.helpful), "harmless": _plain(at.harmless)}
    return found


def gates(bench: Bench, model: Transformer, seed: int) -> dict[str, Any]:
    """Trials of the gate: fresh answers of one model against its own, and with ten points of one metric lost."""
    sets = release.exams(GATE_EACH, seed=seed)
    sittings = release.sit(model, bench.tokenizer, bench.place, sets, n=3, seed=seed)
    found = {}
    for alpha in (0.05, 0.02):
        tried = release.trials(sittings, partial(reference("regression_gate"), alpha=alpha), TRIALS, seed=seed)
        found[str(alpha)] = {name: [rate.hits, rate.n] for name, rate in vars(tried).items()}
    return found


def measure(bench: Bench, seed: int) -> dict[str, Any]:
    began = time.perf_counter()
    assistant = bench.learn(bench.start.model, replace(ASSISTANT, seed=seed))
    drilled = bench.learn(assistant, replace(DRILL, seed=100 + seed))
    seconds = time.perf_counter() - began
    found = {"seed": seed, "start": START, "seconds": round(seconds, 1), "each": EACH}
    for name, model in (("assistant", assistant), ("drilled", drilled)):
        found[name] = {"domains": domains(bench, model, seed), "injections": injections(bench, model, seed)}
    return {**found, "gate": gates(bench, drilled, seed), "dial": turn(bench, seed)}


def load(path: Path = TARGET) -> list[dict[str, Any]]:
    """One entry a seed; every rate as [value, low, high]. [] without a file."""
    return json.loads(path.read_text(encoding="utf-8"))["seeds"] if path.exists() else []


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm measure deployment", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=3, help="training runs (default: 3)")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    os.environ["MINILLM_SOURCE"] = "reference"  # the shipped stages, never a student's or a run's
    os.environ["MINILLM_RUN_DIR"] = str(paths.RUNS / "none")
    bench, found = Bench(), []
    for seed in tqdm(range(options.seeds), desc="seeds", file=sys.stdout):
        found.append(measure(bench, seed))
        atomic_write(TARGET, json.dumps({"seeds": found}, indent=1) + "\n")
    return 0


def _plain(estimate: ladder.Estimate) -> list[float]:
    return [round(value, 4) for value in (estimate.value, estimate.low, estimate.high)]


if __name__ == "__main__":
    sys.exit(main())
