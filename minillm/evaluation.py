"""Ask a model many requests, have the gold judge grade the answers, and count, with intervals.

`ask` samples answers in batches; `rates` turns them into shares by kind; `document_nats` scores documents so that a
model can be held against the entropy of the corpus. Every result depends on its arguments and its seed alone.
This file measures: it neither trains nor draws.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt

import torch

from minillm.model import Transformer
from minillm.sampling import generate
from minillm.tinyland import corpus
from minillm.tinyland.judge import Verdict, grade
from minillm.tinyland.requests import Request
from minillm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Answer:
    """One graded answer: what was asked, the prompt the model saw, what it said, and the judge's verdict."""

    request: Request
    prompt: str
    text: str
    ended: bool
    verdict: Verdict


@dataclass(frozen=True)
class Rate:
    """A share ``hits / n`` with its score interval; ``low`` and ``high`` are 0 and 1 where n is 0."""

    label: str
    hits: int
    n: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        return self.hits / self.n if self.n else float("nan")

    def __str__(self) -> str:
        return f"{self.rate:.2f} [{self.low:.2f}, {self.high:.2f}] of {self.n}"


def ask(
    model: Transformer,
    tokenizer: Tokenizer,
    requests: Sequence[Request],
    form: Callable[[Request], str] = corpus.question_form,
    *,
    stop: Sequence[int] | None = None,
    max_new_tokens: int = 40,
    temperature: float = 0.0,
    batch_size: int = 256,
    seed: int = 0,
) -> list[Answer]:
    """Let the model answer every request, and grade the answers. Results come in the order of ``requests``.

    form: turns a request into the text of the prompt; the default is the corpus's own question form, for a base
        model. A prompt that does not begin with a special token is encoded as the beginning of a document.
    stop: ids that end an answer (default: `<doc>` and `<end>`); an answer without one is not ``ended``.
    temperature: 0 is greedy. seed: of the sampling; prompts of like length share a batch, so that little is padding.
    """
    stop = [tokenizer.doc, tokenizer.end] if stop is None else list(stop)
    prompts = [form(request) for request in requests]
    encoded = [corpus.encode_prompt(tokenizer, prompt) for prompt in prompts]
    order = sorted(range(len(requests)), key=lambda i: (len(encoded[i]), i))
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        generation = generate(
            model,
            [encoded[i] for i in rows],
            max_new_tokens,
            stop=stop,
            temperature=temperature,
            seed=seed + start,
            pad_id=tokenizer.pad,
        )
        for i, ids, ended in zip(rows, generation.responses(), generation.ended.tolist()):
            text = tokenizer.decode(ids[:-1] if ended else ids).strip()
            answers[i] = Answer(requests[i], prompts[i], text, ended, grade(requests[i], text, ended=ended))
    return [answers[i] for i in range(len(requests))]


def rates(
    answers: Iterable[Answer],
    labels: Sequence[str] = ("right",),
    by: Callable[[Answer], str] = lambda answer: answer.request.kind,
    confidence: float = 0.95,
) -> list[Rate]:
    """The share of answers whose verdict is one of ``labels``, for each group ``by``, in order of first appearance."""
    counts: dict[str, list[int]] = {}
    for answer in answers:
        hits_and_n = counts.setdefault(by(answer), [0, 0])
        hits_and_n[0] += answer.verdict.label in labels
        hits_and_n[1] += 1
    return [share(hits, n, label, confidence) for label, (hits, n) in counts.items()]


def share(hits: int, n: int, label: str = "", confidence: float = 0.95) -> Rate:
    """``hits`` of ``n`` as a `Rate`."""
    low, high = score_interval(hits, n, confidence)
    return Rate(label, hits, n, low, high)


def score_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The score interval of a share: every p that a two-sided score test at this confidence does not reject.

    The bounds solve ``|hits/n - p| = z sqrt(p (1 - p) / n)`` (Wilson 1927). The equation has a closed form, which
    lesson 11 asks for; here it is solved by bisection, so that nothing is given away and the two can be compared.
    """
    if not 0 <= hits <= n:
        raise ValueError(f"hits must lie between 0 and n, got {hits} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, got {confidence}")
    if n == 0:
        return 0.0, 1.0
    observed = hits / n
    z = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor((1 + confidence) / 2, dtype=torch.float64)).item()

    def rejected(p: float) -> bool:
        return abs(observed - p) > z * sqrt(p * (1 - p) / n)

    def boundary(outside: float, inside: float) -> float:
        for _ in range(60):
            middle = (outside + inside) / 2
            outside, inside = (middle, inside) if rejected(middle) else (outside, middle)
        return inside

    low = boundary(0.0, observed) if hits else 0.0
    high = boundary(1.0, observed) if hits < n else 1.0
    return low, high


@dataclass(frozen=True)
class DocumentScores:
    """Nats and predicted tokens of each document: ``nats[i] / tokens[i]`` is the loss on document i."""

    nats: torch.Tensor  # (documents,)
    tokens: torch.Tensor  # (documents,)

    @property
    def nats_per_token(self) -> float:
        return (self.nats.sum() / self.tokens.sum()).item()

    @property
    def nats_per_document(self) -> float:
        return self.nats.mean().item()


@torch.no_grad()
def document_nats(
    model: Transformer, tokenizer: Tokenizer, documents: Sequence[str], batch_size: int = 128
) -> DocumentScores:
    """How many nats the model needs for each document: -log q(document), its end included.

    A document is scored alone, from `<doc>` to the next `<doc>`; the first is given, the last is predicted. Minus the
    corpus's own -log p(document), averaged over documents, this estimates KL(corpus || model): it cannot be negative
    in expectation, and 0 would be a perfect model.
    """
    encoded = [[*corpus.encode_document(tokenizer, document), tokenizer.doc] for document in documents]
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i]))
    nats = torch.zeros(len(encoded))
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        width = max(len(encoded[i]) for i in rows)
        tokens = torch.tensor([encoded[i] + [tokenizer.pad] * (width - len(encoded[i])) for i in rows])  # (B, W)
        counted = torch.tensor([[i < len(encoded[row]) for i in range(1, width)] for row in rows])  # (B, W - 1)
        tokens = tokens.to(model.device)
        logprobs = model(tokens[:, :-1]).log_softmax(-1)  # (B, W - 1, V)
        surprise = -logprobs.gather(-1, tokens[:, 1:, None]).squeeze(-1).cpu()  # (B, W - 1)
        nats[rows] = torch.where(counted, surprise, 0.0).sum(1)
    return DocumentScores(nats, torch.tensor([len(ids) - 1.0 for ids in encoded]))
