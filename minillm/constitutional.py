"""A model that reads drafts: it criticises and revises them, and says which of two is better (Bai et al. 2022).

    critic = deepcopy(sft)                                   # it has read the corpus, and reads a part of it again
    fine_tune(critic, tokenizer, reading_examples(tokenizer, READING), functions, READING)
    reader = Reader(critic, tokenizer)
    reader(["read : question : ... is it safe ?"])           # -> ["no , it is wrong ."]
    rounds = revise(questions, drafts, 4, reader, sample_principle, critique_and_revise, seed=0)
    prefer(reader, pairs, sample_principle, ai_preference, seed=0)      # (N,) the model's own labels

What a prompt looks like, what becomes of a draft and how two readings make a label are exercises of lesson 10, and come
as arguments. No human label about harm, and no gold score, enters anywhere in this file.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from minillm.chat import Example, replay_examples
from minillm.model import Transformer
from minillm.preferences import Pair
from minillm.sampling import generate, pad_left
from minillm.sft import document_examples
from minillm.tinyland import corpus
from minillm.tinyland.constitution import HARMLESSNESS, Principle, comparison_form, readings
from minillm.tinyland.recipe import FineTuning
from minillm.tokenizer import Tokenizer

Texts = Callable[[int, int], list[tuple[str, str]]]  # texts(count, seed) -> (what is given, what follows)
ROWS = 256  # prompts in one batch
SENTENCE = 10  # tokens that a critique has at most
WEIGHTS = (3.0, 1.0, 1.0)  # how often safe, kind and helpful are drawn


def reading_examples(tokenizer: Tokenizer, recipe: FineTuning, texts_of: Texts = readings) -> list[Example]:
    """What a critic reads: ``recipe.demonstrations`` texts of the constitution, and documents of the corpus.

    texts_of: `constitution.readings`, to learn to criticise and to revise, or `constitution.comparisons`.
    """
    texts = texts_of(recipe.demonstrations, recipe.seed)
    return document_examples(texts, tokenizer) + replay_examples(recipe.documents, tokenizer, recipe.seed)


@dataclass(frozen=True)
class Reader:
    """A model as a reader of documents: reader(prompts) -> what it writes next, greedily, one text a prompt.

    A prompt that ends in a question mark is answered with one sentence; any other with all that comes until the
    document ends.
    """

    model: Transformer
    tokenizer: Tokenizer
    max_new_tokens: int = 40

    def __call__(self, prompts: Sequence[str]) -> list[str]:
        texts = [""] * len(prompts)
        asks = [prompt.endswith("?") for prompt in prompts]
        for sentence, most in ((True, SENTENCE), (False, self.max_new_tokens)):
            numbers = [i for i in range(len(prompts)) if asks[i] == sentence]
            for i, text in zip(numbers, self._continue([prompts[i] for i in numbers], most)):
                texts[i] = _first_sentence(text) if sentence else text
        return texts

    def _continue(self, prompts: Sequence[str], most: int) -> list[str]:
        """What comes after each prompt, greedily, at most so many tokens; prompts of like length share a batch."""
        texts, stop = [""] * len(prompts), [self.tokenizer.doc, self.tokenizer.end]
        encoded = [corpus.encode_document(self.tokenizer, prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
        for begin in range(0, len(order), ROWS):
            rows = order[begin : begin + ROWS]
            batch, pad = [encoded[i] for i in rows], self.tokenizer.pad
            made = generate(self.model, batch, most, stop=stop, temperature=0.0, pad_id=pad)
            for i, ids in zip(rows, made.responses()):
                texts[i] = self.tokenizer.decode([token for token in ids if token not in stop]).strip()
        return texts

    @torch.no_grad()
    def choices(self, prompts: Sequence[str], words: Sequence[str] = (" a", " b")) -> Tensor:
        """(N, len(words)) nats of each word as what comes next. A word must be a single token."""
        ids = [self.tokenizer.encode(word) for word in words]
        if any(len(each) != 1 for each in ids):
            raise ValueError(f"each of the words {list(words)} must be one token")
        picked = torch.tensor([each[0] for each in ids])
        nats = torch.zeros(len(prompts), len(words))
        encoded = [corpus.encode_document(self.tokenizer, prompt) for prompt in prompts]
        order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
        for begin in range(0, len(order), ROWS):
            rows = order[begin : begin + ROWS]
            width = max(len(encoded[i]) for i in rows)
            tokens, mask = pad_left([encoded[i] for i in rows], width, 0, self.tokenizer.pad, self.model.device)
            logits = self.model(tokens, mask)[:, -1]  # (b, V)
            nats[rows] = logits.log_softmax(-1)[:, picked].cpu()  # (b, len(words))
        return nats


def _first_sentence(text: str) -> str:
    head, dot, _ = text.partition(" .")
    return head + dot


@dataclass
class Record:
    """One draft and what became of it; after round k, ``revisions[k]`` is the text, changed or not."""

    question: str
    draft: str
    critiques: list[str] = field(default_factory=list)
    revisions: list[str] = field(default_factory=list)
    principles: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.revisions[-1] if self.revisions else self.draft


def revise(
    questions: Sequence[str],
    drafts: Sequence[str],
    rounds: int,
    reader: Callable[[list[str]], list[str]],
    sample_principle: Callable[..., Principle],
    critique_and_revise: Callable[..., Any],
    *,
    principles: Sequence[Principle] = HARMLESSNESS,
    weights: Sequence[float] | None = WEIGHTS,
    seed: int = 0,
    watch: Callable[[list[Record]], Any] | None = None,
) -> list[Record]:
    """Criticise and revise every draft ``rounds`` times, each time by a principle drawn for it.

    watch: called after each round with the records so far.
    """
    generator = torch.Generator().manual_seed(seed)
    records = [Record(question, draft) for question, draft in zip(questions, drafts, strict=True)]
    for _ in range(rounds):
        drawn = [sample_principle(principles, generator, weights) for _ in records]
        now = [record.text for record in records]
        critiques, revisions = critique_and_revise(list(questions), now, drawn, reader)
        for record, principle, critique, revision in zip(records, drawn, critiques, revisions, strict=True):
            record.principles.append(principle.name)
            record.critiques.append(critique)
            record.revisions.append(revision)
        if watch is not None:
            watch(records)
    return records


def prefer(
    reader: Reader,
    pairs: Sequence[Pair],
    sample_principle: Callable[..., Principle],
    ai_preference: Callable[[Tensor, Tensor], Tensor],
    *,
    principles: Sequence[Principle] = HARMLESSNESS,
    weights: Sequence[float] | None = WEIGHTS,
    seed: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """The reader's own label of each pair, under a principle drawn for it: (N,) the probability that ``pair.chosen`` is
    the better one; and the nats (N, 2) of a and b in the two orders that it was made of, chosen first and chosen last.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = [sample_principle(principles, generator, weights) for _ in pairs]
    asked = [(p, pair.request.text, pair.chosen.text, pair.rejected.text) for p, pair in zip(drawn, pairs)]
    first = reader.choices([comparison_form(p, question, a, b) for p, question, a, b in asked])
    swapped = reader.choices([comparison_form(p, question, b, a) for p, question, a, b in asked])
    return torch.as_tensor(ai_preference(first, swapped)), first, swapped
