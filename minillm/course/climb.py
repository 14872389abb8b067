"""The ladder: base, SFT, best-of-n, PPO, GRPO, DPO, constitution, each asked the same held-out requests.

`python -m minillm run` ends with it once lesson 10 is done. It is measured in a process of its own, with the run's
checkpoints and the reference solutions, and kept in the run's folder until one of the checkpoints changes.
"""

import hashlib
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from minillm import paths
from minillm.course import catalogue
from minillm.course.job import Job
from minillm.course.record import load as load_records
from minillm.files import atomic_write

LAST = "10"  # the lesson after which there is a ladder
N = 8  # answers that best-of-n chooses from
REQUESTS = 1000
TIMES = {
    "SFT": ["SFT training time"],
    "PPO": ["PPO training time"],
    "GRPO": ["GRPO training time"],
    "DPO": ["DPO training time"],
    "CAI": ["Critic, reading time", "Constitution, phase 1: training time", "Constitution, phase 2: training time"],
}


def ladder(job: Job) -> list[dict[str, Any]]:
    """A row a stage: helpful, harmless, honest, over-refusal and KL with intervals, and seconds of training."""
    kept, key = job.folder / "ladder.json", _key(job)
    if kept.exists():
        before = json.loads(kept.read_text(encoding="utf-8"))
        if before["key"] == key:
            return before["rows"]
    last = next(lesson for lesson in catalogue.lessons() if lesson.id == LAST)
    print("the ladder: every stage answers the same held-out requests ...", flush=True)
    command = [sys.executable, "-m", "minillm.course.climb", str(20 if job.smoke else REQUESTS)]
    environment = {**os.environ, **job.environment(last)}
    done = subprocess.run(command, env=environment, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        *_, reason = done.stderr.strip().splitlines() or [f"its process ended with {done.returncode}"]
        print(f"the ladder could not be measured: {reason}")
        return []
    rows = json.loads(done.stdout.splitlines()[-1])
    seconds = {
        entry["name"]: entry["value"]
        for lesson in catalogue.lessons()
        for entry in load_records(job.records(lesson))
        if entry["kind"] == "number"
    }
    for row in rows:
        parts = [seconds[name] for name in TIMES.get(row["stage"], []) if name in seconds]
        row["seconds"] = f"{sum(parts):.0f}" if parts else ""
    atomic_write(kept, json.dumps({"key": key, "rows": rows}, indent=1))
    return rows


def text(rows: list[dict[str, Any]]) -> str:
    """The rows as a table to print."""
    columns = list(rows[0])
    widths = [max(len(column), *(len(str(row[column])) for row in rows)) for column in columns]
    lines = [dict(zip(columns, columns)), *rows]
    return "\n".join(
        "  ".join(str(row[column]).ljust(width) for column, width in zip(columns, widths)).rstrip() for row in lines
    )


def measure(count: int) -> list[dict[str, str]]:
    """Every stage there is, asked ``count`` held-out requests at temperature 1."""
    from minillm import evaluation, preferences, reward, stages
    from minillm.chat import chat_prompt
    from minillm.course.exercises import reference
    from minillm.divergence import answer_kl
    from minillm.ladder import Estimate, standing

    asked = preferences.draw_requests("test", count, seed=3)
    form = partial(chat_prompt, reference("render_chat"))
    sft = stages.load_stage("sft")
    ask = partial(evaluation.ask, temperature=1.0, seed=11)
    rows = [standing("base", ask(stages.load_stage("base").model, sft.tokenizer, asked)).row()]
    for name in ("SFT", "PPO", "GRPO", "DPO", "CAI"):
        model = stages.load_stage(name.lower()).model
        answers = ask(model, sft.tokenizer, asked, form, stop=[sft.tokenizer.end])
        rows.append(standing(name, answers, answer_kl(model, sft.model, sft.tokenizer, answers)).row())
    hands = preferences.sample_answers(sft.model, sft.tokenizer, asked, form, n=N, seed=12, progress=False)
    judge = reward.load_reward_model("reward")
    scores = reward.score_answers(judge, sft.tokenizer, [answer for hand in hands for answer in hand]).view(-1, N)
    best = standing(f"best-of-{N}", [hand[i] for hand, i in zip(hands, scores.argmax(1).tolist())]).row()
    bound = reference("best_of_n_kl")(N)
    rows.insert(2, best | {"kl": f"{Estimate(bound, bound, bound).value:.2f} at most"})
    return rows


def _key(job: Job) -> str:
    """A digest of the checkpoints that are measured, the run's own or, where it has none, the shipped ones."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for stage in ("base", "sft", "reward", "ppo", "grpo", "dpo", "cai"):
        own = job.folder / "checkpoints" / f"{stage}.safetensors"
        path = own if own.exists() else paths.CHECKPOINTS / f"{stage}.safetensors"
        digest.update(path.read_bytes() if path.exists() else b"-")
    return digest.hexdigest()


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
