"""Fine-tuning on examples: the loop of lesson 04, for the lessons after it.

    model = deepcopy(stage.model)
    fine_tune(model, tokenizer, examples, Functions(collate, sft_loss, training_step, learning_rate_at), SFT)

An example is (ids, target mask), as `chat.chat_examples`, `chat.replay_examples` and `document_examples` make them. The
functions are exercises of lessons 03 and 04 and come as arguments.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from minillm import training
from minillm.chat import Example, batches
from minillm.model import Transformer
from minillm.tinyland import corpus
from minillm.tinyland.recipe import FineTuning
from minillm.tokenizer import Tokenizer


@dataclass(frozen=True)
class Functions:
    """What fine-tuning needs of lessons 03 and 04."""

    collate: Callable[..., tuple[Tensor, Tensor]]
    sft_loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    training_step: Callable
    learning_rate_at: Callable[..., float]


def fine_tune(
    model: Transformer,
    tokenizer: Tokenizer,
    examples: Sequence[Example],
    functions: Functions,
    recipe: FineTuning,
    *,
    snapshot: Path | str | None = None,
    name: str = "fine-tuning",
    progress: bool = True,
) -> training.History:
    """Train ``model`` in place for ``recipe.steps`` updates on batches of examples, shuffled anew each epoch."""
    steps, warmup = recipe.steps, min(recipe.warmup, recipe.steps - 1)
    return training.fit(
        model,
        batches(examples, functions.collate, tokenizer.pad, min(recipe.batch_size, len(examples)), recipe.seed),
        functions.training_step,
        lambda model, batch: functions.sft_loss(model(batch[0]), *batch),
        steps=steps,
        schedule=lambda step: functions.learning_rate_at(step, steps, recipe.peak, warmup, recipe.floor),
        max_norm=recipe.max_norm,
        optimizer=training.adamw(model, recipe.weight_decay, recipe.betas),
        snapshot=snapshot,
        name=name,
        progress=progress,
    )


def document_examples(texts: Iterable[tuple[str, str]], tokenizer: Tokenizer) -> list[Example]:
    """Documents (what is given, what is to be learned) as examples: targets are the second part and a last `<doc>`.

    The `<doc>` tells that the document has ended, so that what was learned ends too.
    """
    examples = []
    for given, learned in texts:
        start = len(corpus.encode_document(tokenizer, given))
        ids = [*corpus.encode_document(tokenizer, f"{given} {learned}"), tokenizer.doc]
        examples.append((ids, torch.arange(len(ids)) >= start))
    return examples
