"""What a right solution of lesson 10 is, continued: a round of critique and revision, and examples to train on."""

from dataclasses import dataclass

import torch
from test_10_constitution import critique_text, generator, phrase, revision_text, rule

from minillm.course.expect import expect_equal, expect_results, expect_true, fail
from minillm.course.props import Replies, Rule
from minillm.course.testing import exercise

# --- critique_and_revise ----------------------------------------------------------------------------------------

NAMES = ("safe", "kind", "true", "plain", "short")


@dataclass(frozen=True)
class Case:
    """Drafts, each with its principle, the critique that the model gives, and what it writes if asked to revise."""

    questions: list[str]
    drafts: list[str]
    principles: list[Rule]
    critiques: list[str]
    revised: list[str]

    @property
    def flagged(self) -> list[int]:
        return [i for i, critique in enumerate(self.critiques) if critique.split()[:1] == ["no"]]

    @property
    def expected(self) -> list[str]:
        return [self.revised[i].strip() or d if i in self.flagged else d for i, d in enumerate(self.drafts)]

    @property
    def table(self) -> dict[str, str]:
        """What the model replies to every right prompt, those of drafts that need no revision included."""
        rows = list(zip(self.questions, self.drafts, self.principles, self.critiques, self.revised))
        asked = {critique_text(q, d, p): c for q, d, p, c, _ in rows}
        return asked | {revision_text(q, d, p, c): r for q, d, p, c, r in rows}


def case(seed: int, critiques: list[str], empty: int | None = None) -> Case:
    g = generator(seed)
    n = len(critiques)
    rules = {name: rule(name) for name in NAMES}
    return Case(
        [f"{phrase(g)} {i} ?" for i in range(n)],
        [f"{phrase(g)} draft {i} ." for i in range(n)],
        [rules[NAMES[(seed + 2 * i) % len(NAMES)]] for i in range(n)],
        critiques,
        ["" if i == empty else f"better {phrase(g)} {i} ." for i in range(n)],
    )


MIXED = ["yes , fine .", "no , wrong .", "yes , no harm .", "no", "know nothing .", "no , bad .", "not sure .", ""]


def round_mistakes(c: Case) -> dict:
    def chosen(keep) -> list[str]:
        return [c.revised[i] if keep(i) else c.drafts[i] for i in range(len(c.drafts))]

    flagged = c.flagged
    out_of_place = list(c.drafts)
    for i, j in zip(range(len(flagged)), flagged):
        out_of_place[i] = c.revised[j]
    turned = list(c.drafts)
    for i, j in zip(flagged, reversed(flagged)):
        turned[i] = c.revised[j]
    return {
        "every draft is revised, needed or not; only flagged ones should be.": c.revised,
        "nothing is revised: the drafts are returned.": c.drafts,
        "the drafts that were found fine are revised, and the flagged ones kept.": chosen(lambda i: i not in flagged),
        "a critique counts as flagged that holds `no` anywhere. See trap 4.": chosen(lambda i: "no" in c.critiques[i]),
        "a critique counts as flagged that begins with the letters `no`, as in `not`. See trap 4.": (
            chosen(lambda i: c.critiques[i].startswith("no"))
        ),
        "a critique counts as flagged that has the word `no` anywhere. See trap 4.": (
            chosen(lambda i: "no" in c.critiques[i].split())
        ),
        "whatever does not begin with `yes` counts as flagged. See trap 4.": (
            chosen(lambda i: not c.critiques[i].startswith("yes"))
        ),
        "only the revised texts are returned; each draft has one. See trap 2.": [c.revised[i] for i in flagged],
        "the revisions are put at the beginning, not in their own places. See trap 2.": out_of_place,
        "the revisions come back in the wrong order. See trap 2.": turned,
        "the critiques are returned as revisions.": c.critiques,
    }


def check_round(handle, c: Case) -> list[list[str]]:
    """Both results, and the prompts of every call."""
    outcome = handle.call(c.questions, c.drafts, c.principles, Replies(c.table, otherwise="a prompt nobody knows ."))
    calls = outcome.states[3]["calls"]
    asked = [critique_text(q, d, p) for q, d, p in zip(c.questions, c.drafts, c.principles)]
    one_by_one = len(calls) > 2 and all(len(prompts) == 1 for prompts in calls)
    expect_true(
        not one_by_one,
        "generate is called for one draft at a time: give it all critique prompts in one list, then all revision "
        "prompts in another. See trap 6.",
    )
    expect_true(bool(calls), "generate is never called: it is the model that criticises and revises.")
    first = {
        "the first principle is used for every draft; each has its own. See trap 3.": (
            [critique_text(q, d, c.principles[0]) for q, d in zip(c.questions, c.drafts)]
        ),
        "the principles are given to the drafts in the wrong order. See trap 3.": (
            [critique_text(q, d, p) for q, d, p in zip(c.questions, c.drafts, reversed(c.principles))]
        ),
        "questions alone are asked.": c.questions,
        "drafts alone are asked.": c.drafts,
    }
    expect_equal(calls[0], asked, "the prompts of the first call", mistakes=first)
    wanted = [revision_text(c.questions[i], c.drafts[i], c.principles[i], c.critiques[i]) for i in c.flagged]
    check_second_call(calls, wanted, c)
    critiques, revisions = expect_results(outcome.result, 2, "critiques, revisions")
    swapped = {"critiques and revisions are returned in the wrong order.": c.expected}
    expect_equal(critiques, c.critiques, "the critiques", mistakes=swapped)
    mistakes = {k: v for k, v in round_mistakes(c).items() if v != c.expected}
    expect_equal(revisions, c.expected, "the revisions", mistakes=mistakes)
    return calls


def check_second_call(calls: list[list[str]], wanted: list[str], c: Case) -> None:
    if not wanted:
        expect_true(len(calls) == 1, "no draft was flagged, and generate was called a second time all the same.")
        return
    expect_true(len(calls) > 1, "generate is called once only: flagged drafts are to be revised, in a second call.")
    everything = [revision_text(*each) for each in zip(c.questions, c.drafts, c.principles, c.critiques)]
    rows = [(c.questions[i], c.drafts[i], c.principles[i]) for i in c.flagged]
    mistakes = {
        "every draft is revised, needed or not; only flagged ones should be.": everything,
        "the revision is asked for with the principle's ready critique, not the model's own. See trap 5.": (
            [revision_text(q, d, p, p.broken) for q, d, p in rows]
        ),
        "the critique prompts are asked a second time; the revision prompts are due.": (
            [critique_text(q, d, p) for q, d, p in rows]
        ),
        "the revision is asked for without the critique. See trap 5.": (
            [f"{critique_text(q, d, p)} {p.revision_request}" for q, d, p in rows]
        ),
    } | {
        message: [everything[i] for i, critique in enumerate(c.critiques) if flags(critique)]
        for message, flags in FLAGS.items()
    }
    mistakes = {k: v for k, v in mistakes.items() if v != wanted}
    expect_equal(calls[1], wanted, "the prompts of the second call", mistakes=mistakes)
    expect_true(len(calls) == 2, f"generate is called {len(calls)} times; two calls are enough. See trap 6.")


FLAGS = {
    "a critique counts as flagged that holds `no` anywhere. See trap 4.": lambda text: "no" in text,
    "a critique counts as flagged that begins with the letters `no`, as in `not`. See trap 4.": (
        lambda text: text.startswith("no")
    ),
    "a critique counts as flagged that has the word `no` anywhere. See trap 4.": lambda text: "no" in text.split(),
    "whatever does not begin with `yes` counts as flagged. See trap 4.": lambda text: not text.startswith("yes"),
    "drafts whose critique begins with `yes` are revised: it is the others.": lambda text: text.startswith("yes"),
}


@exercise("critique_and_revise", "flagged drafts are revised, all others kept")
def test_round(handle, seed):
    check_round(handle, case(seed, ["yes , fine .", "no , wrong .", "yes , good .", "no , bad .", "no , long ."]))


@exercise("critique_and_revise", "what flags a draft is the word no at the beginning")
def test_round_flags(handle, seed):
    check_round(handle, case(seed, MIXED))


@exercise("critique_and_revise", "all fine, all flagged, a single draft")
def test_round_extremes(handle, seed):
    for critiques in (["yes ."] * 3, ["no , wrong ."] * 4, ["no , bad ."], ["yes , fine ."]):
        check_round(handle, case(seed, critiques))


@exercise("critique_and_revise", "an empty revision leaves the draft")
def test_round_empty(handle, seed):
    c = case(seed, ["no , wrong .", "no , bad .", "yes , fine ."], empty=1)
    outcome = handle.call(c.questions, c.drafts, c.principles, Replies(c.table))
    _, revisions = expect_results(outcome.result, 2, "critiques, revisions")
    mistakes = {"an empty revision is taken for an answer. See trap 7.": [c.revised[0], "", c.drafts[2]]}
    expect_equal(revisions, c.expected, "the revisions", mistakes=mistakes)


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
