"""What a right solution of lesson 10 is, continued: prompts of critique and revision, and a round of both."""

from dataclasses import dataclass

import torch

from minillm.course.expect import expect_equal, expect_results, expect_true, fail
from minillm.course.props import Replies, Rule
from minillm.course.testing import exercise

WORDS = ("the", "fox", "eats", "fish", "no", "yes", "2", "rope", ".", "what", "is", "answer")


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def phrase(g: torch.Generator, least: int = 2) -> str:
    """A few words of nonsense."""
    count = least + int(torch.randint(4, (), generator=g))
    return " ".join(WORDS[i] for i in torch.randint(len(WORDS), (count,), generator=g).tolist())


def rule(name: str) -> Rule:
    """A principle in which every part is recognisable."""
    return Rule(
        name, f"keep {name} .", f"does it keep {name} ?", f"yes , {name} .", f"no , not {name} .", f"mend {name} :"
    )


# --- critique_prompt --------------------------------------------------------------------------------------------


def critique_text(question: str, draft: str, p: Rule) -> str:
    return " ".join(f"read : question : {question} answer : {draft} {p.critique_request}".split())


def critique_mistakes(question: str, draft: str, p: Rule) -> dict:
    right = critique_text(question, draft, p)
    head = f"read : question : {question} answer :"
    return {
        "the rule itself is written, not its critique_request. See trap 1.": f"{head} {draft} {p.text}",
        "the critique that it keeps the rule is written already: that is for the model. See trap 1.": (
            f"{right} {p.kept}"
        ),
        "the critique that it breaks the rule is written already: that is for the model. See trap 1.": (
            f"{right} {p.broken}"
        ),
        "the revision is asked for, not the critique.": f"{head} {draft} {p.revision_request}",
        "rule and critique request are both written; the request alone is asked.": (
            f"{head} {draft} {p.text} {p.critique_request}"
        ),
        "the critique request stands before the draft.": f"{head} {p.critique_request} {draft}",
        "the draft stands where the question should, and the question for the draft. See trap 2.": (
            critique_text(draft, question, p)
        ),
        "the question is left out: whether a draft is fine depends on it. See trap 2.": (
            f"read : answer : {draft} {p.critique_request}"
        ),
        "the draft is left out.": f"{head} {p.critique_request}",
        "`read :` is missing at the beginning.": right.removeprefix("read : "),
        "the name of the principle is written, not its critique_request.": f"{head} {draft} {p.name}",
        "this is the chat form; critiques are asked in the corpus's own words.": (
            f"<user> {question}<bot> {draft}<end> {p.critique_request}"
        ),
        "a space follows at the end. See trap 3.": f"{right} ",
        "the parts are on lines of their own; single spaces stand between them.": (
            f"read : question : {question}\nanswer : {draft}\n{p.critique_request}"
        ),
        "the colons are missing.": right.replace(" :", ""),
    }


def check_text(handle, args, expected: str, mistakes: dict, what: str) -> None:
    got = handle(*args)
    if not isinstance(got, str):
        fail(f"{what} should be one string, got {type(got).__name__}.")
    expect_equal(got, expected, what, mistakes={k: v for k, v in mistakes.items() if v != expected})


@exercise("critique_prompt", "question, draft and request in the corpus's order")
def test_critique_prompt(handle, seed):
    g = generator(seed)
    for name in ("safe", "kind", "short"):
        question, draft = f"{phrase(g)} ?", f"{phrase(g)} ."
        args = (question, draft, rule(name))
        check_text(handle, args, critique_text(*args), critique_mistakes(*args), "the prompt")


@exercise("critique_prompt", "one space between the parts, none at the ends")
def test_critique_prompt_spaces(handle, seed):
    g = generator(seed)
    question, draft, p = f"{phrase(g)} ?", f"{phrase(g)} .", rule("true")
    right = critique_text(question, draft, p)
    loose = {
        "spaces at the ends of the draft are kept. See trap 3.": right.replace(draft, f" {draft}  "),
        "spaces at the ends of the question are kept. See trap 3.": right.replace(question, f"  {question} "),
        "spaces at the ends of question and draft are kept. See trap 3.": (
            f"read : question :   {question}  answer :  {draft}   {p.critique_request}"
        ),
    }
    check_text(handle, (f"  {question} ", f" {draft}  ", p), right, loose, "the prompt of a text with spaces")
    gap = {
        "an empty draft leaves two spaces. See trap 3.": f"read : question : {question} answer :  {p.critique_request}"
    }
    for empty in ("", "  "):
        check_text(handle, (question, empty, p), critique_text(question, "", p), gap, "the prompt of an empty draft")


@exercise("critique_prompt", "what stands inside the texts is left alone")
def test_critique_prompt_inside(handle, seed):
    g = generator(seed)
    question, draft = "what  is  2 ?", f"{phrase(g)} .  no ."
    p = rule("plain")
    right = f"read : question : {question} answer : {draft} {p.critique_request}"
    inner = {
        "spaces inside the texts are changed; only those at their ends are dropped.": critique_text(question, draft, p)
    }
    check_text(handle, (question, draft, p), right, inner, "the prompt")


# --- revision_prompt --------------------------------------------------------------------------------------------


def revision_text(question: str, draft: str, p: Rule, critique: str) -> str:
    return f"{critique_text(question, draft, p)} {critique} {p.revision_request}"


def revision_mistakes(question: str, draft: str, p: Rule, critique: str) -> dict:
    asked = critique_text(question, draft, p)
    return {
        "the critique is left out: the revision should follow from it.": f"{asked} {p.revision_request}",
        "the principle's ready critique of a broken draft is used; the one that you were given counts. See trap 1.": (
            f"{asked} {p.broken} {p.revision_request}"
        ),
        "the principle's ready critique of a kept draft is used; the one that you were given counts. See trap 1.": (
            f"{asked} {p.kept} {p.revision_request}"
        ),
        "the revision request is missing at the end.": f"{asked} {critique}",
        "the critique stands after the revision request.": f"{asked} {p.revision_request} {critique}",
        "the critique is asked for a second time; the revision_request comes last.": (
            f"{asked} {critique} {p.critique_request}"
        ),
        "draft and question are left out. See trap 2.": f"{critique} {p.revision_request}",
        "the draft is left out. See trap 2.": revision_text(question, "", p, critique),
        "the critique request is left out: the critique answers it.": (
            f"read : question : {question} answer : {draft} {critique} {p.revision_request}"
        ),
        "the rule is written in place of the revision_request.": f"{asked} {critique} {p.text}",
        "a space follows the colon. See trap 3.": f"{asked} {critique} {p.revision_request} ",
        "spaces at the ends of the critique are kept.": f"{asked}  {critique}  {p.revision_request}",
        "an answer is written already. See trap 3.": f"{asked} {critique} {p.revision_request} {draft}",
    }


def check_revision(handle, g, name: str, critique: str) -> None:
    args = (f"{phrase(g)} ?", f"{phrase(g)} .", rule(name), critique)
    check_text(handle, args, revision_text(*args), revision_mistakes(*args), "the prompt")


@exercise("revision_prompt", "critique prompt, critique, revision request")
def test_revision_prompt(handle, seed):
    g = generator(seed)
    for name in ("safe", "humble"):
        check_revision(handle, g, name, f"no , {phrase(g)} .")


@exercise("revision_prompt", "the critique is the one that was given")
def test_revision_prompt_given(handle, seed):
    g = generator(seed)
    for critique in ("yes , it is fine .", "no , it is long .", phrase(g)):
        check_revision(handle, g, "kind", critique)


@exercise("revision_prompt", "one space between the parts")
def test_revision_prompt_spaces(handle, seed):
    g = generator(seed)
    question, draft, p, critique = f"{phrase(g)} ?", f"{phrase(g)} .", rule("true"), f"no , {phrase(g)} ."
    mistakes = revision_mistakes(question, draft, p, critique)
    args = (f" {question}", f"{draft} ", p, f" {critique} ")
    check_text(handle, args, revision_text(question, draft, p, critique), mistakes, "the prompt of texts with spaces")


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
