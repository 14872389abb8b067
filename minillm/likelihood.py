"""How likely a model finds texts that somebody else wrote: nothing is sampled here.

    continuation_nats(model, tokenizer, ["question : what is 2 plus 3 ? answer :"], ["2 plus 3 is 5 ."], tokenizer.doc)

Multiple-choice exams (is the true answer likelier than the false ones?), the pronoun after a job and the confidence in
one of two values are all questions of this kind, and have no noise of sampling.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from minillm.model import Transformer
from minillm.tinyland import corpus
from minillm.tinyland.facts import statement
from minillm.tinyland.requests import Request
from minillm.tinyland.words import PEOPLE_SAY, VALUES
from minillm.tokenizer import Tokenizer

ROWS = 256  # texts in one batch


@torch.no_grad()
def continuation_nats(
    model: Transformer, tokenizer: Tokenizer, prompts: Sequence[str], texts: Sequence[str], end: int | None = None
) -> Tensor:
    """(N,) log-probability, in nats, of each text as what follows its prompt, summed over the text's tokens.

    A prompt that begins with no special token is the beginning of a document. end: a token that must follow the text,
    and counts with it; None where the text may go on.
    """
    starts = [corpus.encode_prompt(tokenizer, prompt) for prompt in prompts]
    rows = [
        start + tokenizer.encode(f" {text.strip()}") + ([] if end is None else [end])
        for start, text in zip(starts, texts, strict=True)
    ]
    nats = torch.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    for begin in range(0, len(order), ROWS):
        numbers = order[begin : begin + ROWS]
        width = max(len(rows[i]) for i in numbers)
        tokens = torch.tensor([rows[i] + [tokenizer.pad] * (width - len(rows[i])) for i in numbers])  # (B, W)
        column = torch.arange(1, width)
        first = torch.tensor([len(starts[i]) for i in numbers])[:, None]  # (B, 1)
        last = torch.tensor([len(rows[i]) for i in numbers])[:, None]
        logprobs = model(tokens[:, :-1].to(model.device)).log_softmax(-1).cpu()  # (B, W - 1, V)
        each = logprobs.gather(-1, tokens[:, 1:, None]).squeeze(-1)  # (B, W - 1)
        nats[numbers] = torch.where((column >= first) & (column < last), each, 0.0).sum(1)
    return nats


def choice_nats(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Sequence[str],
    choices: Sequence[Sequence[str]],
    end: int | None = None,
) -> tuple[Tensor, Tensor]:
    """(Q, A) nats of every choice after its prompt, and the mask (Q, A), 1 where there is a choice; A is the largest
    number of choices. Nats are 0 where the mask is."""
    asked = [prompt for prompt, some in zip(prompts, choices, strict=True) for _ in some]
    flat = continuation_nats(model, tokenizer, asked, [text for some in choices for text in some], end)
    mask = torch.arange(max(map(len, choices))) < torch.tensor([len(some) for some in choices])[:, None]  # (Q, A)
    nats = torch.zeros(mask.shape).masked_scatter(mask, flat)
    return nats, mask


def truth_choices(request: Request) -> tuple[list[str], list[bool]]:
    """The answers among which an exam lets a model choose, and which of them are true; for a fact or an unknown thing.

    True: the ideal answers. False: the other values that the relation could have, in a bare sentence, and the popular
    belief as people say it.
    """
    subject, relation = request.meta["subject"], request.meta["relation"]
    values = request.meta["values"] if request.kind == "unknown" else VALUES[relation]
    false = [statement(subject, relation, value) for value in values if value != request.meta.get("truth")]
    popular = request.meta.get("popular")
    if popular is not None and popular != request.meta["truth"]:
        false.append(f"{PEOPLE_SAY} {statement(subject, relation, popular)}")
    return [*request.answers, *false], [True] * len(request.answers) + [False] * len(false)
