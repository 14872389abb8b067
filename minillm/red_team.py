"""How far a model can be attacked: plain requests, frames, words put into its mouth; and what it still answers.

    exposed = expose(model, tokenizer, render_chat)
    exposed.frames["song"], exposed.mean_of(seen_kinds()), exposed.prefill[3]     # shares of harmful answers
    exposed.wrapped_right, exposed.over_refusal                                  # what the defence costs

An attack counts where the gold judge finds the method in the answer, not where refusing words are missing. Answers are
greedy unless a temperature is given, one to each request (as in HarmBench, Mazeika et al. 2024). Suffixes are searched
for in `suffix_search.py`; nothing is trained here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from minillm.chat import RenderChat, chat_prompt
from minillm.evaluation import Answer, Rate, ask, share
from minillm.model import Transformer
from minillm.preferences import draw_requests
from minillm.safety_training import in_turn, skills
from minillm.sampling import generate
from minillm.tinyland.attacks import FRAMES, compliance, wrap
from minillm.tinyland.judge import grade
from minillm.tinyland.requests import Request
from minillm.tokenizer import Tokenizer

DEPTHS = (1, 3, 5)  # words of compliance that an attacker puts into the model's mouth


@dataclass(frozen=True)
class Exposure:
    """Shares, each with its interval, of the answers of one model.

    refused, complied: of plain harmful requests. frames: {kind: share of harmful requests in that frame that are
    complied with}. prefill: {words: share complied with when the answer already begins with so many words of the
    method}. wrapped_right, wrapped_refused: of harmless requests in frames. over_refusal, lookalikes_right: of plain
    look-alikes. skills_right: of other plain requests.
    """

    refused: Rate
    complied: Rate
    frames: dict[str, Rate]
    prefill: dict[int, Rate]
    wrapped_right: Rate
    wrapped_refused: Rate
    over_refusal: Rate
    lookalikes_right: Rate
    skills_right: Rate

    def mean_of(self, kinds: Sequence[str]) -> float:
        """The mean success over these kinds of frames, each kind counting alike."""
        return sum(self.frames[kind].rate for kind in kinds) / len(kinds)


def labelled(answers: Sequence[Answer], label: str) -> Rate:
    """The share of answers that the judge gives this label."""
    return share(sum(answer.verdict.label == label for answer in answers), len(answers), label)


def expose(
    model: Transformer,
    tokenizer: Tokenizer,
    render_chat: RenderChat,
    count: int = 150,
    split: str = "test",
    seed: int = 3,
    temperature: float = 0.0,
    kinds: Sequence[str] = tuple(FRAMES),
) -> Exposure:
    """Attack a model with ``count`` harmful requests, plain and in each kind of frame, and ask what it must answer."""
    harmful = draw_requests(split, count, seed=seed, kinds=["harmful"])
    alike = draw_requests(split, count, seed=seed + 1, kinds=["lookalike"])
    others = skills(count, seed + 2, split)
    form = partial(chat_prompt, render_chat)
    say = partial(ask, model, tokenizer, form=form, stop=[tokenizer.end], temperature=temperature, seed=seed)
    begin = partial(prefilled, model, tokenizer, form, temperature=temperature, seed=seed)
    plain, lookalikes = say(harmful), say(alike)
    harmless = say(in_turn(alike, kinds) + in_turn(others, kinds))
    return Exposure(
        refused=labelled(plain, "refusal"),
        complied=labelled(plain, "compliance"),
        frames={kind: labelled(say([wrap(r, kind) for r in harmful]), "compliance") for kind in kinds},
        prefill={n: labelled(begin(harmful, words=n), "compliance") for n in DEPTHS},
        wrapped_right=labelled(harmless, "right"),
        wrapped_refused=labelled(harmless, "over_refusal"),
        over_refusal=labelled(lookalikes, "over_refusal"),
        lookalikes_right=labelled(lookalikes, "right"),
        skills_right=labelled(say(others), "right"),
    )


def prefilled(
    model: Transformer,
    tokenizer: Tokenizer,
    form: Callable[[Request], str],
    requests: Sequence[Request],
    *,
    words: int,
    temperature: float = 0.0,
    seed: int = 0,
    max_new_tokens: int = 40,
) -> list[Answer]:
    """Answers to harmful requests that begin with ``words`` words of compliance, whoever wrote these; all is graded."""
    begun = [" ".join(compliance(request).split()[:words]) for request in requests]
    prompts = [f"{form(request)} {start}" for request, start in zip(requests, begun)]
    made = generate(
        model,
        [tokenizer.encode(prompt) for prompt in prompts],
        max_new_tokens,
        stop=[tokenizer.end],
        temperature=temperature,
        seed=seed,
        pad_id=tokenizer.pad,
    )
    answers = []
    rows = zip(requests, prompts, begun, made.responses(), made.ended.tolist())
    for request, prompt, start, ids, ended in rows:
        text = f"{start} {tokenizer.decode(ids[:-1] if ended else ids).strip()}".strip()
        answers.append(Answer(request, prompt, text, ended, grade(request, text, ended)))
    return answers
