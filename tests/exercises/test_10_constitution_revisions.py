"""What a right solution of lesson 10 is, continued: what a model is to learn from its own revisions."""

import torch

from minillm.course.expect import expect_equal, fail
from minillm.course.testing import exercise

WORDS = ("the", "fox", "eats", "fish", "no", "yes", "2", "rope", ".", "what", "is", "answer")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phrase(g: torch.Generator, least: int = 2) -> str:
    """A few words of nonsense."""
    count = least + int(torch.randint(4, (), generator=g))
    return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (count,), generator=g).tolist())


# --- revision_examples ------------------------------------------------------------------------------------------


def record(g: torch.Generator, kind: str) -> dict:
    """What became of a draft, in one of several ways."""
    draft, better, best = (f"{phrase(g)} {word} ." for word in ("draft", "better", "best"))
    question = f"{phrase(g)} ?"
    good, bad = f"yes , {phrase(g)} .", f"no , {phrase(g)} ."
    ways = {
        "mended": ([bad, good], [better, better]),
        "mended twice": ([bad, bad], [better, best]),
        "fine": ([good], [draft]),
        "fine twice": ([good, good], [draft, draft]),
        "not mended": ([bad], [draft]),
        "not mended later": ([bad, bad], [better, better]),
        "no round": ([], []),
        "empty": ([bad], ["  "]),
        "flagged once, then fine": ([bad, good], [draft, draft]),
        "neither yes nor no": (["nobody knows ."], [draft]),
    }
    critiques, revisions = ways[kind]
    return {"question": question, "draft": draft, "critiques": critiques, "revisions": revisions}


ALL = (
    "mended", "fine", "not mended", "mended twice", "no round", "fine twice", "not mended later", "empty",
    "flagged once, then fine", "neither yes nor no",
)  # fmt: skip


def still_flagged(r: dict) -> bool:
    texts = [r["draft"], *r["revisions"]]
    return r["critiques"][-1].split()[:1] == ["no"] and texts[-1] == texts[-2]


def counts(r: dict) -> bool:
    return bool(r["revisions"]) and bool(r["revisions"][-1].strip()) and not still_flagged(r)


def conversation(question: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def example_mistakes(records: list[dict]) -> dict:
    kept = [r for r in records if counts(r)]
    with_round = [r for r in records if r["revisions"]]
    full = [r for r in with_round if r["revisions"][-1].strip()]
    last = "revisions"

    def made(answer, question=lambda r: r["question"], rows=kept) -> list:
        return [conversation(question(r), answer(r)) for r in rows]

    def final(r: dict) -> str:
        return r[last][-1]

    return {
        "the draft is the answer; the last revision should be. See trap 1.": made(lambda r: r["draft"]),
        "the first revision is the answer; the last one should be. See trap 2.": made(lambda r: r[last][0]),
        "the critique is in the answer.": made(lambda r: f"{r['critiques'][-1]} {final(r)}"),
        "the draft stands before the revision in the answer. See trap 1.": made(lambda r: f"{r['draft']} {final(r)}"),
        "the critique is the answer.": made(lambda r: r["critiques"][-1]),
        "question and draft are what the user says. See trap 3.": (
            made(final, lambda r: f"{r['question']} {r['draft']}")
        ),
        "the user says the critique prompt; the bare question is asked for. See trap 3.": (
            made(final, lambda r: f"read : question : {r['question']} answer : {r['draft']}")
        ),
        "the roles are exchanged.": [
            [{"role": "user", "content": final(r)}, {"role": "assistant", "content": r["question"]}] for r in kept
        ],
        "drafts that passed unchanged are left out: they keep the model helpful. See trap 4.": (
            made(final, rows=[r for r in kept if final(r) != r["draft"]])
        ),
        "records with a first critique of `no` alone are kept. See trap 4.": (
            made(final, rows=[r for r in kept if r["critiques"][0].startswith("no ")])
        ),
        "what was flagged and not mended is kept. See trap 5.": made(final, rows=full),
        "empty answers are kept.": made(final, rows=[r for r in with_round if not still_flagged(r)]),
        "empty answers, and what was flagged and not mended, are kept.": made(final, rows=with_round),
        "whatever was flagged in the last round is left out, mended or not. See trap 5.": (
            made(final, rows=[r for r in full if r["critiques"][-1].split()[:1] != ["no"]])
        ),
        "whatever was ever flagged is left out.": (
            made(final, rows=[r for r in full if not any(c.split()[:1] == ["no"] for c in r["critiques"])])
        ),
        "the last text is held against the draft, not against what the last critique had read. See trap 5.": (
            made(
                final,
                rows=[r for r in full if not (r["critiques"][-1].startswith("no ") and final(r) == r["draft"])],
            )
        ),
        "records without a round give their draft; they should be left out.": [
            conversation(r["question"], final(r) if r[last] else r["draft"])
            for r in records
            if counts(r) or not r[last]
        ],
        "every round gives an example; only the last one should.": [
            conversation(r["question"], text) for r in kept for text in r[last]
        ],
    }


def check_examples(handle, records: list[dict]) -> None:
    expected = [conversation(r["question"], r["revisions"][-1]) for r in records if counts(r)]
    got = handle(records)
    if not isinstance(got, list):
        fail(f"a list of conversations is expected, got {type(got).__name__}.")
    mistakes = {k: v for k, v in example_mistakes(records).items() if v != expected}
    expect_equal(got, expected, "the conversations", mistakes=mistakes)


@exercise("revision_examples", "the question and the last revision, nothing else")
def test_examples(handle, seed):
    g = generator(seed)
    check_examples(handle, [record(g, kind) for kind in ("mended twice", "mended", "fine twice", "mended twice")])


@exercise("revision_examples", "what is left out, and what is not")
def test_examples_left_out(handle, seed):
    g = generator(seed)
    order = torch.randperm(len(ALL), generator=g).tolist()
    check_examples(handle, [record(g, ALL[i]) for i in order])


@exercise("revision_examples", "each kind of record by itself")
def test_examples_alone(handle, seed):
    g = generator(seed)
    for kind in ALL:
        check_examples(handle, [record(g, kind)])
    check_examples(handle, [])
