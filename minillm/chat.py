"""From requests and demonstrations to the batches of supervised fine-tuning, and to prompts in the chat form.

How a conversation is written, which of its tokens count, and how rows become a batch are exercises of lesson 04:
`render_chat`, `response_mask` and `collate` come in as arguments. This file decides *what* is shown to the model
(demonstrations, and corpus documents again so that it does not forget), not how.
"""

import random
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from minillm.tinyland import corpus
from minillm.tinyland.demonstrators import Demonstration, Demonstrator, demonstrations
from minillm.tinyland.requests import Request, all_requests
from minillm.tokenizer import Tokenizer
from minillm.training import shuffled_batches

Message = dict[str, str]
Example = tuple[list[int], Tensor]  # token ids, and a bool mask (T,) of the tokens that count as targets
RenderChat = Callable[..., str]


def messages(request: Request, answer: str | None = None) -> list[Message]:
    """The conversation of one request: its system prompt if it has one, the question, and an answer if one is given.

    >>> messages(all_requests("sum")[0], "0 plus 0 is 0 .")[-1]
    {'role': 'assistant', 'content': '0 plus 0 is 0 .'}
    """
    turns = [{"role": "user", "content": request.text}]
    if request.meta.get("system_text"):
        turns.insert(0, {"role": "system", "content": request.meta["system_text"]})
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    return turns


def chat_prompt(render_chat: RenderChat, request: Request) -> str:
    """The request in the chat form, up to where the answer begins; `partial(chat_prompt, render_chat)` is a form for
    `evaluation.ask` and `preferences.sample_answers`."""
    return render_chat(messages(request), generation_prompt=True)


def draw_demonstrations(demonstrator: Demonstrator, count: int, seed: int, split: str = "train") -> list[Demonstration]:
    """``count`` demonstrations of a split's requests, in random order; the same seed draws the same requests whoever
    answers them.

    Half of them go to the requests one by one, so that each is shown equally often; half to the kinds, each equally
    often. By requests alone, how-to questions would be two thirds of everything; by kinds alone, they would be too few
    to tell harm from its look-alikes.
    """
    pool = all_requests(split=split)
    by_kind: dict[str, list[Request]] = {}
    for request in pool:
        by_kind.setdefault(request.kind, []).append(request)
    generator = random.Random(f"demonstrated/{split}/{seed}")
    drawn: list[Request] = []
    while len(drawn) < count // 2:
        drawn += generator.sample(pool, len(pool))
    drawn = drawn[: count // 2]
    kinds = list(by_kind.values())
    drawn += [generator.choice(kinds[i % len(kinds)]) for i in range(count - len(drawn))]
    generator.shuffle(drawn)
    return demonstrations(demonstrator, drawn, seed)


def chat_examples(
    shown: Iterable[Demonstration],
    tokenizer: Tokenizer,
    render_chat: RenderChat,
    response_mask: Callable[..., Tensor],
) -> list[Example]:
    """Token ids and target mask of each demonstration, written and masked by the functions passed in."""
    examples = []
    for demonstration in shown:
        ids = tokenizer.encode(render_chat(messages(demonstration.request, demonstration.answer)))
        examples.append((ids, response_mask(torch.tensor(ids), tokenizer.bot, tokenizer.end)))
    return examples


def replay_examples(count: int, tokenizer: Tokenizer, seed: int) -> list[Example]:
    """``count`` documents of the corpus as examples in which every token is a target.

    No `<doc>` closes them, as it does in packed rows: a model that sees it there would learn to end answers with it.
    """
    documents = random.Random(f"replay/{seed}").sample(corpus.load("train"), count)
    encoded = [corpus.encode_document(tokenizer, text) for text in documents]
    return [(ids, torch.ones(len(ids), dtype=torch.bool)) for ids in encoded]


def batches(
    examples: Sequence[Example], collate: Callable[..., tuple[Tensor, Tensor]], pad_id: int, size: int, seed: int
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """batch_at for `training.fit`: batches of ``size`` examples, in a new order each epoch, made by `collate`."""
    return shuffled_batches(examples, size, seed, lambda rows: collate(rows, pad_id))
