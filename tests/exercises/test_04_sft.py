"""What a right solution of lesson 04 is: a conversation as text, the tokens that count, rows in a batch.

The loss follows in test_04_sft_loss.py."""

import torch
from torch import Tensor

from minillm.course.expect import (
    CheckFailure,
    expect_close,
    expect_equal,
    expect_results,
    expect_shape,
    expect_true,
    fail,
)
from minillm.course.testing import exercise


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(g: torch.Generator, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=g))


# --- render_chat ------------------------------------------------------------------------------------------------

TOKENS = {"system": "<system>", "user": "<user>", "assistant": "<bot>"}
WORDS = ("the", "fox", "eats", "fish", "?", "name", "2", "foods", ".", "what", "is", "user")


def said(seed: int, roles: str) -> list[dict[str, str]]:
    """Messages of random words; roles by their first letters, such as "sua"."""
    g = generator(seed)
    names = {"s": "system", "u": "user", "a": "assistant"}
    return [
        {"role": names[r], "content": " ".join(WORDS[draw(g, 0, len(WORDS) - 1)] for _ in range(draw(g, 1, 5)))}
        for r in roles
    ]


def written(messages, before="", after=" ", end="<end>", closed=("assistant",), last_end=True, tokens=TOKENS) -> str:
    """The chat form, with every rule a knob: what stands before and after a role token, and what closes which turns."""
    text = ""
    for i, message in enumerate(messages):
        role = message["role"]
        text += (before if i else "") + tokens[role] + after + message["content"]
        if role in closed and (last_end or i < len(messages) - 1):
            text += end
    return text


def chat_mistakes(messages, prompt: bool) -> dict:
    cue = "<bot>" if prompt else ""
    right = written(messages)
    everyone = ("system", "user", "assistant")
    lost = [m for m in messages if m["role"] != "system"]
    users = TOKENS | {"system": "<user>"}
    named = {role: f"<{role}>" for role in TOKENS}
    return {
        "<end> is missing: it closes every turn of the assistant. See trap 1.": written(messages, closed=()) + cue,
        "the last turn of the assistant is not closed by <end>. See trap 1.": written(messages, last_end=False) + cue,
        "<end> closes every turn, not those of the assistant alone. See trap 2.": (
            written(messages, closed=everyone) + cue
        ),
        "a space stands before the special tokens: it would be a token of its own. See trap 3.": (
            written(messages, before=" ", end=" <end>") + (" " + cue if cue else "")
        ),
        "a space stands before the role tokens. See trap 3.": (
            written(messages, before=" ") + (" " + cue if cue else "")
        ),
        "a space stands before <end>. See trap 3.": written(messages, end=" <end>") + cue,
        "no space follows the role tokens: the first word would be another token than elsewhere. See trap 3.": (
            written(messages, after="") + cue
        ),
        "lines are broken between turns; the chat form has no line breaks.": (
            written(messages, before="\n") + ("\n" + cue if cue else "")
        ),
        "a space follows the <bot> at the end: the model's answer begins with its own space. See trap 4.": (
            right + "<bot> " if prompt else None
        ),
        "generation_prompt is ignored: <bot> is missing at the end. See trap 4.": right if prompt else None,
        "<bot> is appended though nobody asked for a generation prompt. See trap 4.": (
            None if prompt else right + "<bot>"
        ),
        "the generation prompt closes with <end>: nothing has been said yet.": right + "<bot><end>" if prompt else None,
        "the system message is left out.": written(lost) + cue,
        "the system message is written as the user's.": written(messages, tokens=users) + cue,
        "the assistant's token is called <assistant>; in Tinyland's vocabulary it is <bot>.": (
            written(messages, tokens=named) + ("<assistant>" if prompt else "")
        ),
        "only the last two messages are written: a conversation may have many turns.": written(messages[-2:]) + cue,
        "the text begins with a space.": " " + right + cue,
        "the text begins with <doc>: that is for documents.": "<doc>" + right + cue,
    }


def check_chat(handle, messages, prompt: bool = False) -> None:
    expected = written(messages) + ("<bot>" if prompt else "")
    got = handle(messages, generation_prompt=True) if prompt else handle(messages)
    if not isinstance(got, str):
        fail("the conversation should be one string, str, not a list or ids: it is tokenised whole, later.")
    expect_equal(got, expected, "the text", mistakes=chat_mistakes(messages, prompt))


@exercise("render_chat", "a question and its answer")
def test_render_chat_one_turn(handle, seed):
    check_chat(handle, said(seed, "ua"))


@exercise("render_chat", "a system prompt and several turns")
def test_render_chat_many_turns(handle, seed):
    check_chat(handle, said(seed, "suauaua"))
    check_chat(handle, said(seed + 1, "uaua"))


@exercise("render_chat", "a prompt to answer: <bot>, and nothing behind it")
def test_render_chat_generation_prompt(handle, seed):
    check_chat(handle, said(seed, "u"), prompt=True)
    check_chat(handle, said(seed, "suau"), prompt=True)


@exercise("render_chat", "a conversation that ends with the user, without a generation prompt")
def test_render_chat_ends_with_user(handle, seed):
    check_chat(handle, said(seed, "sua" + "u"))


@exercise("render_chat", "the prompt is the beginning of the whole conversation")
def test_render_chat_prompt_is_a_prefix(handle, seed):
    messages = said(seed, "suaua")
    whole, prompt = handle(messages), handle(messages[:-1], generation_prompt=True)
    expect_true(
        isinstance(whole, str) and isinstance(prompt, str) and whole.startswith(prompt),
        f"the prompt {prompt!r} is not how {whole!r} begins: the model would be asked in a form it was not trained on.",
    )


@exercise("render_chat", "an unknown role is refused with a ValueError")
def test_render_chat_unknown_role(handle, seed):
    messages = said(seed, "ua")
    messages[seed % 2]["role"] = "teacher"
    try:
        got = handle(messages)
    except CheckFailure as failure:
        if "ValueError" not in str(failure):
            fail(f"an unknown role should raise a ValueError that says which roles there are; instead\n{failure}")
        return
    fail(f"the unknown role 'teacher' is not refused: raise ValueError. Instead it wrote {got!r}.")


# --- response_mask ----------------------------------------------------------------------------------------------


def conversation(seed: int, turns: int, cut: bool = False, lead: int = 3) -> tuple[list[int], list[int], int, int]:
    """Token ids, the right mask, and the ids of <bot> and <end>: one of the two, or a word, is token 0."""
    g = generator(seed)
    order = torch.randperm(12, generator=g).tolist()
    bot, end, words = order[0], order[1], order[2:]
    ids, mask = [], []

    def add(token: int, counts: int) -> None:
        ids.append(token)
        mask.append(counts)

    for turn in range(turns):
        for _ in range(lead if turn == 0 else draw(g, 1, 3)):
            add(words[draw(g, 0, 9)], 0)
        add(bot, 0)
        for _ in range(draw(g, 2, 4)):
            add(words[draw(g, 0, 9)], 1)
        if not (cut and turn == turns - 1):
            add(end, 1)
    return ids, mask, bot, end


def mask_mistakes(ids: list[int], mask: list[int], bot: int, end: int) -> dict:
    n = len(ids)
    bots = [i for i, token in enumerate(ids) if token == bot]
    ends = [i for i, token in enumerate(ids) if token == end]
    first, last = (bots[0], bots[-1]) if bots else (n, n)
    stops = ends if len(ends) == len(bots) else [*ends, n]
    pairs = list(zip(bots, stops))
    early = next((i for i in ends if i > first), n - 1)
    cut = len(ends) < len(bots)

    def between(spans) -> list[int]:
        return [int(any(a <= i <= b for a, b in spans)) for i in range(n)]

    return {
        "<bot> itself is counted: it is given, the model never has to say it. See trap 2.": between(pairs),
        "<end> is not counted: the model would never learn to stop. See trap 1.": [
            int(m and token != end) for m, token in zip(mask, ids)
        ],
        "<bot> is counted and <end> is not: the span is off by one at both ends. See traps 1, 2 and 5.": between(
            [(a, b - 1) for a, b in pairs]
        ),
        "everything after the first <bot> counts, later questions too. See trap 3.": [int(i > first) for i in range(n)],
        "only the first answer counts. See trap 3.": between([(first + 1, early)]),
        "only the last answer counts. See trap 3.": [int(m and i > last) for i, m in enumerate(mask)],
        "from the first <bot> to the last <end> all counts, later questions too. See trap 3.": between(
            [(first + 1, max(ends, default=n))]
        ),
        "an answer that was cut off, without an <end>, does not count. See trap 4.": (
            between([(a + 1, b) for a, b in pairs if b < n]) if cut else None
        ),
        "the last token is dropped.": [*mask[:-1], 0],
        "the mask is turned round: prompts count, answers do not.": [1 - m for m in mask],
        "everything counts, prompts too.": [1] * n,
        "the mask is shifted by one: the loss does the shift, the mask marks the tokens themselves. See trap 5.": (
            [*mask[1:], 0]
        ),
        "the token after <end> is counted too.": between([(a + 1, b + 1) for a, b in pairs]),
        "the first word of each answer is missing.": between([(a + 2, b) for a, b in pairs]),
    }


def check_mask(handle, ids, mask, bot, end) -> None:
    for tokens in (torch.tensor(ids), list(ids)):
        got = handle(tokens, bot, end)
        expect_shape(got, (len(ids),), "the mask")
        expect_close(got, mask, "the mask", mistakes=mask_mistakes(ids, mask, bot, end))


@exercise("response_mask", "one question, one answer")
def test_response_mask_one_turn(handle, seed):
    check_mask(handle, *conversation(seed, 1))


@exercise("response_mask", "several turns: each answer counts, no question does")
def test_response_mask_many_turns(handle, seed):
    check_mask(handle, *conversation(seed, 3))
    check_mask(handle, *conversation(seed + 1, 2, lead=1))


@exercise("response_mask", "an answer that was cut off counts to where the text ends")
def test_response_mask_cut_off(handle, seed):
    check_mask(handle, *conversation(seed, 1, cut=True))
    check_mask(handle, *conversation(seed, 2, cut=True))


@exercise("response_mask", "no answer, an empty one, and a prompt that waits for one")
def test_response_mask_edges(handle, seed):
    _, _, bot, end = conversation(seed, 1)
    a, b = [token for token in range(12) if token not in (bot, end)][:2]
    for ids, mask in (
        ([a, b, a], [0, 0, 0]),
        ([a, bot, end, b, bot, a, end], [0, 0, 1, 0, 0, 1, 1]),
        ([b, a, bot], [0, 0, 0]),
        ([bot, b, end], [0, 1, 1]),
    ):
        check_mask(handle, ids, mask, bot, end)


@exercise("response_mask", "the mask is a tensor of truth values")
def test_response_mask_type(handle, seed):
    ids, _, bot, end = conversation(seed, 2)
    got = handle(torch.tensor(ids), bot, end)
    expect_true(isinstance(got, Tensor), "the mask should be a tensor (T,) of bool, not a list.")


# --- collate ----------------------------------------------------------------------------------------------------


def rows(seed: int, lengths=(4, 7, 2, 5)) -> tuple[list[tuple[list[int], Tensor]], int]:
    """Ragged examples, token 0 and the padding id among their tokens, and the padding id."""
    g = generator(seed)
    pad = 1 + draw(g, 0, 8)
    examples = []
    for n in lengths:
        ids = torch.randint(0, 12, (n,), generator=g).tolist()
        start = draw(g, 1, n - 1)
        mask = torch.arange(n) >= start
        if n > 4:
            mask[start - 1], mask[n - 2] = True, False
        examples.append((ids, mask))
    examples[0][0][-1] = 0
    examples[-1][0][-1] = pad
    return examples, pad


def laid_out(examples, pad, width=None, left=False, filler=0) -> tuple[list[list[int]], list[list[int]]]:
    """Tokens and mask as nested lists; ``filler`` is the mask of padding."""
    width = width or max(len(ids) for ids, _ in examples)
    tokens, masks = [], []
    for ids, mask in examples:
        ids, counts = list(ids)[:width], [int(m) for m in mask][:width]
        gap = width - len(ids)
        tokens.append([pad] * gap + ids if left else ids + [pad] * gap)
        masks.append([filler] * gap + counts if left else counts + [filler] * gap)
    return tokens, masks


def token_mistakes(examples, pad) -> dict:
    sizes = [len(ids) for ids, _ in examples]
    ordered = sorted(examples, key=lambda example: len(example[0]))
    return {
        "rows are padded on the left; for training the padding stands on the right. See trap 1.": (
            laid_out(examples, pad, left=True)[0]
        ),
        "padding is 0, which is a token like any other, not pad_id. See trap 2.": laid_out(examples, 0)[0],
        "rows are cut to the shortest. See trap 3.": laid_out(examples, pad, width=min(sizes))[0],
        "rows are one wider than the longest example.": laid_out(examples, pad, width=max(sizes) + 1)[0],
        "the last token of the longest row is dropped.": laid_out(examples, pad, width=max(sizes) - 1)[0],
        "rows are sorted by length: keep the order of the examples.": laid_out(ordered, pad)[0],
        "rows are sorted from long to short: keep the order of the examples.": laid_out(ordered[::-1], pad)[0],
        "the order of the rows is turned round.": laid_out(examples[::-1], pad)[0],
    }


def collated_mask_mistakes(examples, pad) -> dict:
    tokens, mask = laid_out(examples, pad)
    width = len(tokens[0])
    real = [[int(i < len(ids)) for i in range(width)] for ids, _ in examples]
    return {
        "every real token counts, prompts too: the examples' own masks are lost. See trap 4.": real,
        "padding counts: its mask is 1. See trap 5.": laid_out(examples, pad, filler=1)[1],
        "the mask is `tokens != pad_id`: prompts count. See trap 4.": [[int(t != pad) for t in row] for row in tokens],
        "tokens that look like padding are taken out of the mask. See trap 4.": [
            [int(m and t != pad) for m, t in zip(ms, ts)] for ms, ts in zip(mask, tokens)
        ],
        "token 0 is taken out of the mask; it is a token like any other.": [
            [int(m and t != 0) for m, t in zip(ms, ts)] for ms, ts in zip(mask, tokens)
        ],
        "padding's mask is pad_id, not 0. See trap 5.": laid_out(examples, pad, filler=pad)[1],
        "the mask is padded on the left, the tokens on the right. See trap 1.": laid_out(examples, pad, left=True)[1],
        "the mask of the first example is used for all.": [mask[0]] * len(mask),
        "everything counts, padding too.": [[1] * width for _ in mask],
    }


def check_batch(handle, examples, pad) -> None:
    tokens, mask = laid_out(examples, pad)
    got = expect_results(handle(examples, pad), 2, "tokens, mask")
    for name, part in zip(("tokens", "mask"), got):
        expect_true(isinstance(part, Tensor), f"{name} should be one tensor (B, T), not a {type(part).__name__}.")
    expect_close(got[0], tokens, "tokens", mistakes=token_mistakes(examples, pad))
    expect_true(
        not got[0].is_floating_point() and got[0].dtype != torch.bool,
        f"tokens are of type {str(got[0].dtype)[6:]}: an embedding wants whole numbers, dtype=torch.long.",
    )
    expect_close(got[1], mask, "mask", mistakes=collated_mask_mistakes(examples, pad))


@exercise("collate", "rows of different length")
def test_collate_ragged(handle, seed):
    check_batch(handle, *rows(seed))


@exercise("collate", "the worked example")
def test_collate_worked_example(handle, seed):
    check_batch(handle, [([5, 6, 7], torch.tensor([False, True, True])), ([4, 3], torch.tensor([False, True]))], 9)


@exercise("collate", "batches of one, and of rows that are all alike in length")
def test_collate_without_padding(handle, seed):
    check_batch(handle, *rows(seed, lengths=(6,)))
    check_batch(handle, *rows(seed, lengths=(5, 5, 5)))


@exercise("collate", "the longest row may stand anywhere")
def test_collate_longest_anywhere(handle, seed):
    check_batch(handle, *rows(seed, lengths=(8, 2, 3)))
    check_batch(handle, *rows(seed, lengths=(2, 3, 9)))
