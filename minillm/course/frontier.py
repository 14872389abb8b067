"""``python -m minillm measure frontier``: every method, several settings and seeds, gold score against KL.

One run of a method is an anecdote, and a lesson has no time for more. This trains them all from the shipped SFT model
with the reference solutions, measures each on the same held-out requests, and writes data/measured/frontier.json, which
lessons 09 and 10 draw. Runs that are in the file already, with the same settings, are kept: stop it when you like.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import asdict, replace
from functools import partial
from itertools import combinations
from math import log
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from minillm import dpo, evaluation, grpo, paths, ppo, preferences, reward, rollouts, stages
from minillm.chat import chat_prompt, messages, replay_examples
from minillm.constitutional import Reader, prefer, reading_examples, revise
from minillm.course.exercises import reference, references
from minillm.divergence import answer_kl
from minillm.evaluation import Answer
from minillm.files import atomic_write
from minillm.ladder import standing
from minillm.preferences import Pair, draw_requests
from minillm.sft import Functions, fine_tune
from minillm.tinyland.annotators import UNBIASED
from minillm.tinyland.constitution import HARMLESSNESS, comparisons
from minillm.tinyland.recipe import COMPARING, DPO, GRPO, PPO, READING, REVISIONS, REWARD
from minillm.tinyland.requests import KINDS, Request

TARGET = paths.DATA / "measured" / "frontier.json"
REQUESTS = 2000  # held-out requests that each run answers once
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "SFT": [{}],
    "best-of-n": [{"n": 2}, {"n": 4}, {"n": 8}, {"n": 16}],
    "PPO": [{"beta": 0.1}, {"beta": 0.3}, {"beta": 1.0}],
    "GRPO": [{"beta": 0.04}, {"beta": 0.2}],
    "DPO": [{"beta": 0.1}, {"beta": 0.3}, {"beta": 1.0}],
    "constitution": [{"phase": 1}, {"phase": 2}],
}
OTHERS = [kind for kind in KINDS if kind not in ("harmful", "lookalike")]


class Bench:
    """What all runs share: the SFT model, the reward model, and the held-out requests."""

    def __init__(self, split: str = "test") -> None:
        start = stages.load_stage("sft")
        self.sft, self.tokenizer = start.model, start.tokenizer
        self.form = partial(chat_prompt, reference("render_chat"))
        self.judge = partial(reward.score_answers, reward.load_reward_model("reward"), self.tokenizer)
        own = self.sample(draw_requests("train", 512, seed=77), 1, 5)
        self.score = rollouts.standardised(self.judge, [answer for hand in own for answer in hand])
        self.held_out = draw_requests(split, REQUESTS, seed=3)

    def sample(self, requests: Sequence[Request], n: int, seed: int, model: Any = None) -> list[list[Answer]]:
        model = model or self.sft
        return preferences.sample_answers(model, self.tokenizer, requests, self.form, n=n, seed=seed, progress=False)

    def draft(self, kinds: Sequence[str], seed: int, count: int = 2400) -> list[Answer]:
        """One answer of the SFT model to each of ``count`` requests of these kinds for training."""
        requests = draw_requests("train", count, seed=seed, kinds=kinds)
        return [hand[0] for hand in self.sample(requests, 1, 20 + seed)]

    def ask(self, model: Any, seed: int) -> tuple[list[Answer], Tensor]:
        stop = [self.tokenizer.end]
        answers = evaluation.ask(
            model, self.tokenizer, self.held_out, self.form, stop=stop, temperature=1.0, seed=11 + seed
        )
        return answers, answer_kl(model, self.sft, self.tokenizer, answers)


def collector(bench: Bench, per_iteration: int, count: int, seed: int, group: int = 1) -> rollouts.Collector:
    requests = draw_requests("train", count, seed=100 + seed)
    tokens = reference("token_logprobs")
    return rollouts.Collector(
        bench.sft, bench.tokenizer, requests, bench.form, bench.score, tokens, per_iteration, group, seed=seed
    )


def run_ppo(bench: Bench, seed: int, beta: float) -> Any:
    recipe = replace(PPO, beta=beta, seed=seed)
    policy = rollouts.Policy.from_stage(bench.sft)
    asks = collector(bench, recipe.batch_size, recipe.batch_size * recipe.iterations, seed)
    ppo.train_ppo(policy, asks, references(ppo.Functions), recipe, progress=False)
    return policy.body


def run_grpo(bench: Bench, seed: int, beta: float) -> Any:
    recipe = replace(GRPO, beta=beta, seed=seed)
    policy = rollouts.Policy.from_stage(bench.sft, critic=False)
    asks = collector(bench, recipe.groups, recipe.groups * recipe.iterations, seed, recipe.group)
    functions = references(grpo.Functions, advantages="group_advantages", loss="grpo_loss")
    grpo.train_grpo(policy, asks, functions, recipe, progress=False)
    return policy.body


def run_dpo(bench: Bench, seed: int, beta: float) -> Any:
    hands = bench.sample(draw_requests("train", REWARD.requests, seed=1 + seed), REWARD.answers, 1 + seed)
    pairs = preferences.compare(hands, UNBIASED, reference("annotate"), seed=1 + seed).pairs
    logprobs, loss = reference("sequence_logprobs"), reference("dpo_loss")
    data = dpo.price_pairs(bench.sft, bench.tokenizer, pairs, logprobs)
    policy = deepcopy(bench.sft)
    recipe = replace(DPO, seed=seed)
    dpo.train_dpo(policy, bench.tokenizer, data, lambda p: loss(*p.sums, beta), logprobs, recipe, progress=False)
    return policy


def run_constitution(bench: Bench, seed: int, phase: int) -> Any:
    """Lesson 10: revisions alone (phase 1), and then the model's own labels with people's helpful ones (phase 2)."""
    sample_principle, render_chat = reference("sample_principle"), reference("render_chat")
    learn = partial(fine_tune, tokenizer=bench.tokenizer, functions=references(Functions), progress=False)
    critic = deepcopy(bench.sft)
    learn(critic, examples=reading_examples(bench.tokenizer, READING), recipe=replace(READING, seed=seed))
    drafts = bench.draft(["harmful", "lookalike"], 60 + seed)
    records = revise(
        [draft.request.text for draft in drafts], [draft.text for draft in drafts], 4,
        Reader(critic, bench.tokenizer), sample_principle, reference("critique_and_revise"), seed=seed,
    )  # fmt: skip
    talks = reference("revision_examples")([asdict(record) for record in records])
    talks += [messages(own.request, own.text) for own in bench.draft(OTHERS, 62 + seed) if own.ended]
    encoded = [torch.tensor(bench.tokenizer.encode(render_chat(talk))) for talk in talks]
    mask = partial(reference("response_mask"), bot_id=bench.tokenizer.bot, end_id=bench.tokenizer.end)
    examples = [(ids.tolist(), mask(ids)) for ids in encoded]
    examples += replay_examples(REVISIONS.documents, bench.tokenizer, seed)
    revised = deepcopy(bench.sft)
    learn(revised, examples=examples, recipe=replace(REVISIONS, seed=seed))
    if phase == 1:
        return revised
    judge = deepcopy(critic)
    learn(
        judge, examples=reading_examples(bench.tokenizer, COMPARING, comparisons), recipe=replace(COMPARING, seed=seed)
    )
    return reinforce(bench, revised, Reader(judge, bench.tokenizer), seed)


def reinforce(bench: Bench, revised: Any, judge: Reader, seed: int) -> Any:
    """Phase 2: DPO on the judge's labels of how-to answers, and on people's comparisons of other, harmless ones."""
    logprobs, loss = reference("sequence_logprobs"), reference("dpo_loss")
    hows = bench.sample(
        draw_requests("train", 700, seed=70 + seed, kinds=["harmful", "lookalike"]), 4, 70 + seed, revised
    )
    both = [(a, b) for hand in hows for a, b in combinations(hand, 2) if a.text != b.text]
    pairs = [Pair(a.request, a.prompt, a, b, 0.0, 0.0) for a, b in both]
    preference, *_ = prefer(
        judge, pairs, reference("sample_principle"), reference("ai_preference"),
        principles=HARMLESSNESS[:1], weights=None, seed=seed,
    )  # fmt: skip
    helpful = bench.sample(
        draw_requests("train", 400, seed=80 + seed, kinds=[*OTHERS, "lookalike"]), 4, 80 + seed, revised
    )
    people = preferences.compare(helpful, UNBIASED, reference("annotate"), seed=80 + seed).pairs
    data = dpo.price_pairs(revised, bench.tokenizer, pairs, logprobs, preference.tolist())[:400]
    data += dpo.price_pairs(revised, bench.tokenizer, people, logprobs)[:400]
    policy, recipe = deepcopy(revised), replace(DPO, peak=2e-4, seed=seed)
    dpo.train_dpo(policy, bench.tokenizer, data, lambda p: loss(*p.sums, 0.3), logprobs, recipe, progress=False)
    return policy


METHODS: dict[str, Callable[..., Any]] = {
    "PPO": run_ppo, "GRPO": run_grpo, "DPO": run_dpo, "constitution": run_constitution,
}  # fmt: skip
RECIPES = {"PPO": PPO, "GRPO": GRPO, "DPO": DPO, "constitution": REVISIONS}


def best_of(bench: Bench, seed: int, n: int) -> list[Answer]:
    """The best of n answers to each held-out request, by the reward model."""
    hands = bench.sample(bench.held_out, n, 40 + seed)
    scores = bench.judge([answer for hand in hands for answer in hand]).view(-1, n)
    return [hand[i] for hand, i in zip(hands, scores.argmax(1).tolist())]


def measure(bench: Bench, method: str, setting: dict[str, Any], seed: int) -> dict[str, Any]:
    """One run: trained, asked, and put down as a line of the file. seconds include the sampling that it needs."""
    began = time.perf_counter()
    if method == "best-of-n":
        answers, kl = best_of(bench, seed, setting["n"]), None
        bound = log(setting["n"]) - (setting["n"] - 1) / setting["n"]
        seconds = time.perf_counter() - began
    else:
        model = bench.sft if method == "SFT" else METHODS[method](bench, seed, **setting)
        seconds = time.perf_counter() - began
        answers, kl = bench.ask(model, seed)
        bound = None
    found = asdict(standing(method, answers, kl))
    look = [a.verdict.label for a in answers if a.request.kind == "lookalike"]
    return {
        "method": method,
        "setting": setting,
        "seed": seed,
        "recipe": asdict(RECIPES[method]) if method in RECIPES else {},
        "requests": len(answers),
        "seconds": round(seconds, 1),
        **{name: [round(v, 4) for v in value.values()] for name, value in found.items() if isinstance(value, dict)},
        **({"kl": [round(bound, 4)] * 3} if bound is not None else {}),
        "lookalikes_right": round(look.count("right") / len(look), 4),
        "lookalikes_refused": round(look.count("over_refusal") / len(look), 4),
    }


def load(path: Path = TARGET) -> list[dict[str, Any]]:
    """The lines of the file: method, setting, seed, and each measured number as [value, low, high]."""
    return json.loads(path.read_text(encoding="utf-8"))["runs"] if path.exists() else []


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m minillm measure frontier", description=__doc__.split("\n\n")[1])
    parser.add_argument("--seeds", type=int, default=3, help="runs of each setting (default: 3)")
    parser.add_argument("--method", action="append", choices=list(SETTINGS), help="only this one; may be repeated")
    parser.add_argument("--fresh", action="store_true", help="measure everything anew")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error(f"--seeds must be at least 1, got {options.seeds}")
    os.environ["MINILLM_SOURCE"] = "reference"  # the shipped stages, never a student's
    kept = [] if options.fresh else [run for run in load() if run["recipe"] == _recipe(run["method"])]
    done = {_key(run["method"], run["setting"], run["seed"]) for run in kept}
    wanted = [
        (method, setting, seed)
        for seed in range(options.seeds)
        for method in options.method or SETTINGS
        for setting in SETTINGS[method]
        if _key(method, setting, seed) not in done
    ]
    bench = Bench() if wanted else None
    with tqdm(total=len(wanted), desc="runs", file=sys.stdout) as bar:
        for method, setting, seed in wanted:
            found = measure(bench, method, setting, seed)
            kept.append(found)
            kept.sort(key=lambda run: _key(run["method"], run["setting"], run["seed"]))
            atomic_write(TARGET, json.dumps({"runs": kept}, indent=1) + "\n")
            bar.set_postfix_str(f"{method} {setting} seed {seed}: gold {found['gold'][0]:.2f}")
            bar.update()
    print(f"{len(kept)} runs in {TARGET.relative_to(paths.ROOT).as_posix()}")
    return 0


def _recipe(method: str) -> dict[str, Any]:
    return json.loads(json.dumps(asdict(RECIPES[method]))) if method in RECIPES else {}


def _key(method: str, setting: dict[str, Any], seed: int) -> tuple[int, str, int]:
    return list(SETTINGS).index(method), json.dumps(setting), seed
