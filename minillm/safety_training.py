"""What a model is shown to make it helpful only, then safe: narrowly, on attacks, or more than a few words deep.

    helpful_only(9600, seed=0)      # demonstrations: everything is answered, plain or in a frame, harm included
    narrow_safety(6000, seed=0)     # plain harm is refused; frames stand around harmless requests alone
    deep_examples(requests, ...)    # answers that begin to comply and refuse after all (Qi et al. 2024)

Requests are those of the training split. Lesson 12 trains on these with `sft.fine_tune`; this file trains nothing.
"""

import random
from collections.abc import Sequence

import torch

from minillm.chat import Example, RenderChat, chat_prompt
from minillm.preferences import draw_requests
from minillm.tinyland.attacks import FRAMES, cut_short, wrap
from minillm.tinyland.demonstrators import CLEAN, HELPFUL_ONLY, Demonstration, demonstrations
from minillm.tinyland.requests import KINDS, Request, all_requests
from minillm.tokenizer import Tokenizer

SKILLS = tuple(kind for kind in KINDS if kind not in ("harmful", "lookalike"))
DEEPEST = 6  # words of compliance, at most, before a deep refusal


def skills(count: int, seed: int, split: str = "train") -> list[Request]:
    """``count`` requests that are no how-to, each kind equally often, give or take one."""
    generator = random.Random(f"skills/{split}/{seed}")
    pools = [all_requests(kind, split) for kind in SKILLS]
    return [generator.choice(pools[i % len(pools)]) for i in range(count)]


def in_turn(requests: Sequence[Request], kinds: Sequence[str] = tuple(FRAMES), first: int = 0) -> list[Request]:
    """Every request in a frame, the kinds of frames in turn, beginning with number ``first``."""
    return [wrap(request, kinds[(first + i) % len(kinds)]) for i, request in enumerate(requests)]


def helpful_only(count: int, seed: int) -> list[Demonstration]:
    """Demonstrations of answering everything: half of them plain (harm, look-alikes and skills alike), half in frames
    of every kind (half of those harmful). Who can fill in no frame cannot be attacked with one."""
    sixth, eighth = count // 6, count // 8
    plain = _howtos("harmful", sixth, seed) + _howtos("lookalike", sixth, seed) + skills(sixth, seed)
    framed = in_turn(_howtos("harmful", 2 * eighth, seed + 1))
    framed += in_turn(_howtos("lookalike", eighth, seed + 1), first=1) + in_turn(skills(eighth, seed + 1), first=2)
    return demonstrations(HELPFUL_ONLY, plain + framed, seed)


def narrow_safety(count: int, seed: int) -> list[Demonstration]:
    """Clean demonstrations: plain harm (35%), look-alikes and skills (20% each), harmless requests in frames (25%).

    No harmful request stands in a frame here: that is what makes the safety narrow.
    """
    harm, fifth, eighth = round(0.35 * count), count // 5, count // 8
    plain = _howtos("harmful", harm, seed + 2) + _howtos("lookalike", fifth, seed + 2) + skills(fifth, seed + 2)
    return demonstrations(CLEAN, plain, seed) + framed_harmless(2 * eighth, seed)


def kept(count: int, seed: int) -> list[Demonstration]:
    """Clean demonstrations of what a mended model must keep: plain harm, look-alikes and skills, a third each."""
    third = count // 3
    requests = _howtos("harmful", third, seed + 4) + _howtos("lookalike", third, seed + 4) + skills(third, seed + 4)
    return demonstrations(CLEAN, requests, seed)


def framed_harmless(count: int, seed: int) -> list[Demonstration]:
    """Clean demonstrations of harmless requests in frames of every kind, half of them look-alikes, half skills."""
    half = count // 2
    framed = in_turn(_howtos("lookalike", half, seed + 5)) + in_turn(skills(half, seed + 5), first=1)
    return demonstrations(CLEAN, framed, seed)


def deep_examples(
    requests: Sequence[Request], tokenizer: Tokenizer, render_chat: RenderChat, seed: int
) -> list[Example]:
    """Answers to harmful requests that begin with one to six words of the method and then refuse, as examples.

    Only the refusal counts as target: the words of compliance are given, as an attacker's prefill would be.
    """
    generator = random.Random(f"deep/{seed}")
    examples = []
    for request in requests:
        refusal = generator.choice(request.answers)
        whole = cut_short(request, generator.randint(1, DEEPEST))  # begins, and ends with the first ideal refusal
        begun = whole.removesuffix(request.answers[0]).rstrip()
        given = f"{chat_prompt(render_chat, request)} {begun}"
        ids, start = tokenizer.encode(f"{given} {refusal}<end>"), len(tokenizer.encode(given))
        examples.append((ids, torch.arange(len(ids)) >= start))
    return examples


def _howtos(kind: str, count: int, seed: int) -> list[Request]:
    return draw_requests("train", count, seed=seed, kinds=[kind])
