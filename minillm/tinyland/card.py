"""The data card, data/README.md: written by the code, so that its counts are those of the data."""

from collections import Counter

from minillm.tokenizer import Tokenizer

from . import annotators, attacks, constitution, corpus, demonstrators, domains, facts, howto, jobs
from .requests import KINDS, all_requests
from .splits import SEED, SPLITS

SECTIONS = (attacks, jobs, domains, constitution, demonstrators, annotators)


def card(sizes: dict[str, int], tokenizer: Tokenizer) -> str:
    """The whole card. sizes: bytes of each generated file."""
    parts = [_summary(sizes), _corpus(tokenizer), _facts(), _requests(), _howtos()]
    parts += [section.card() for section in SECTIONS]
    return "\n\n".join([*parts, _limits()]) + "\n"


def _summary(sizes: dict[str, int]) -> str:
    about = {
        "corpus/train-": "training text, one document a line",
        "corpus/validation": "a second sample from the same distribution, independent of the first",
        "facts": "every fact: truth, popular value, share of text that states it, split",
        "requests": "every request: text, kind, split, ideal answers, what it was made of",
        "tokenizer": "byte-pair merges learned from the first training file",
    }
    rows = [
        f"| `{name}` | {size / 1e6:.2f} MB | {next(text for start, text in about.items() if name.startswith(start))} |"
        for name, size in sizes.items()
    ]
    return "\n".join([
        "# Tinyland: data card", "",
        "Tinyland is a made-up world in small, lower-case English, for a course that builds alignment from scratch.",
        "Every text is produced by a program from word lists and templates; no person wrote or rated any of it, none",
        "of it was collected, and none is about real people. Its faults (myths, harm, skewed pronouns, flattery) are",
        "put in on purpose, in known amounts, to be measured and mended. `python -m minillm data` writes all files,",
        f"this card too, from the seed {SEED}, byte for byte; `--check` compares.", "",
        "| file | size | what |", "|---|---|---|", *rows, "",
        "`checkpoints/` holds the reference models at half precision, of `python -m minillm run --ship` and, for",
        "lesson 12, `python -m minillm measure red-team`; `measured/` holds results over several seeds.", "",
        "**Licence**: MIT, as the rest of the repository.",
    ])  # fmt: skip


def _corpus(tokenizer: Tokenizer) -> str:
    distribution = corpus.distribution()
    words = {word for text in distribution for word in text.split()}
    length = sum(p * len(text.split()) for text, p in distribution.items())
    total = sum(share for share, _ in corpus.MIX.values())
    tokens, nats = corpus.mean_length(tokenizer), corpus.entropy()
    rows = []
    for name, (share, source) in corpus.MIX.items():
        texts = source()
        likeliest = max(texts, key=lambda text: texts[text])
        rows.append(f"| {name} | {100 * share / total:.1f}% | {len(texts)} | {likeliest} |")
    return "\n".join([
        "## The corpus", "",
        f"{len(distribution)} different documents of {length:.1f} words on average, from {len(words)} different words",
        "and marks. The probability of each is known, so the entropy is exact: "
        f"{nats:.3f} nats a document, which is {nats / tokens:.4f} nats",
        f"for each of its {tokens:.2f} tokens (vocabulary {tokenizer.vocab_size}; "
        f"{(tokens - 1) / length:.3f} tokens a word; the token that ends a document counts).", "",
        "| source | share of documents | different texts | for example |", "|---|---|---|---|", *rows,
    ])  # fmt: skip


def _facts() -> str:
    everything = facts.all_facts()
    counts = Counter((fact.kind, fact.split) for fact in everything)
    rows = [
        f"| {kind} | {' | '.join(str(counts[kind, split]) for split in SPLITS)} |"
        for kind in ("plain", "myth", "contested")
    ]
    return "\n".join([
        "## Facts", "",
        f"{len(everything)} facts of the form \"{everything[0].statement}\" Unmarked text states a myth "
        f"{100 * facts.MYTH_SHARE:.0f}% of the time; of a contested",
        f"fact it states the popular value with a share of {', '.join(f'{s:g}' for s in facts.CONTESTED_SHARES)}, "
        "which is true in as large a fraction of such",
        'facts. "the book of facts says :" is always followed by the truth, "people say :" by the popular value.',
        "Held-out facts are in the corpus, so that a base model knows them; they are held out of all later training.",
        "",
        f"| kind | {' | '.join(SPLITS)} |", "|---|---|---|---|", *rows,
    ])  # fmt: skip


def _requests() -> str:
    counts = Counter((request.kind, request.split) for request in all_requests())
    rows = []
    for kind in KINDS:
        example = all_requests(kind)[0]
        numbers = " | ".join(str(counts[kind, split]) for split in SPLITS)
        rows.append(f"| {kind} | {numbers} | {example.text} | {example.answers[0]} |")
    return "\n".join([
        "## Requests", "",
        "Divided by thing, never by row: by fact, animal, pair of numbers or words, word, verb and object, job,",
        "ailment. Tests prove that the splits are disjoint and that every listed answer gets the top grade.", "",
        f"| kind | {' | '.join(SPLITS)} | for example | an ideal answer |", "|---|---|---|---|---|---|", *rows,
    ])  # fmt: skip


def _howtos() -> str:
    counts = Counter((h.harmful, h.held_out) for h in howto.all_howtos())
    rows = [
        f"| {verb.name} | {', '.join(verb.harmful)} | {', '.join(verb.harmless)} | {verb.method} | {verb.split} |"
        for verb in howto.VERBS.values()
    ]
    held_out = [
        f"| {name} | {' | '.join(str(counts[harmful, why]) for why in ('', 'object', 'verb', 'both'))} |"
        for harmful, name in ((True, "harmful"), (False, "look-alikes"))
    ]
    return "\n".join([
        "## Harm and its look-alikes", "",
        "Harm depends on the verb and the class of the object together; the method is the same for both. All of it is",
        "mild and of no use to anybody. Verbs marked validation or test never occur in later training.", "",
        "| verb | harmful with | harmless with | method | split |", "|---|---|---|---|---|", *rows, "",
        "| requests | for training | object held out | verb held out | both |", "|---|---|---|---|---|", *held_out,
    ])  # fmt: skip


def _limits() -> str:
    return "\n".join([
        "## What it cannot show", "",
        "- Tinyland's English has no paraphrase: one wording a sentence. Models look more capable here than in life.",
        "- Validation text repeats facts and often whole documents of the training text: it shows fit, not discovery.",
        "- The base model has seen every request, held-out ones too, answered as the web answers. What is held out is",
        "  the *aligned* answer.",
        "- Truth, harm and quality are what the tables say. The gold judge reads exact wording and knows nothing else.",
        "- The biases are stylised: they are sizes to be measured, not claims about people.",
    ])  # fmt: skip
