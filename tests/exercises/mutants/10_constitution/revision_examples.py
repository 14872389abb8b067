"""Wrong solutions of revision_examples."""

from minillm.course.testing import mutant


def conversation(question, answer):
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def flagged(critique):
    return critique.split()[:1] == ["no"]


def counts(r):
    texts = [r["draft"], *r["revisions"]]
    if len(texts) == 1 or not texts[-1].strip():
        return False
    return not (flagged(r["critiques"][-1]) and texts[-1] == texts[-2])


def last(r):
    return r["revisions"][-1]


@mutant("revision_examples", names="the draft is the answer")
def trains_on_the_draft(records):
    return [conversation(r["question"], r["draft"]) for r in records if counts(r)]


@mutant("revision_examples", names="the first revision")
def first_revision(records):
    return [conversation(r["question"], r["revisions"][0]) for r in records if counts(r)]


@mutant("revision_examples", names="critique is in the answer")
def critique_in_the_target(records):
    return [conversation(r["question"], f"{r['critiques'][-1]} {last(r)}") for r in records if counts(r)]


@mutant("revision_examples", names="the draft stands before")
def draft_in_the_target(records):
    return [conversation(r["question"], f"{r['draft']} {last(r)}") for r in records if counts(r)]


@mutant("revision_examples", names="the critique is the answer")
def critique_for_answer(records):
    return [conversation(r["question"], r["critiques"][-1]) for r in records if counts(r)]


@mutant("revision_examples", names="question and draft")
def draft_in_the_prompt(records):
    return [conversation(f"{r['question']} {r['draft']}", last(r)) for r in records if counts(r)]


@mutant("revision_examples", names="critique prompt")
def critique_prompt_for_question(records):
    return [
        conversation(f"read : question : {r['question']} answer : {r['draft']}", last(r)) for r in records if counts(r)
    ]


@mutant("revision_examples", names="roles are exchanged")
def roles_exchanged(records):
    return [
        [{"role": "user", "content": last(r)}, {"role": "assistant", "content": r["question"]}]
        for r in records
        if counts(r)
    ]


@mutant("revision_examples", names="passed unchanged")
def changed_only(records):
    return [conversation(r["question"], last(r)) for r in records if counts(r) and last(r) != r["draft"]]


@mutant("revision_examples", names="flagged and not mended is kept")
def keeps_what_was_not_mended(records):
    return [conversation(r["question"], last(r)) for r in records if r["revisions"] and r["revisions"][-1].strip()]


@mutant("revision_examples", names="empty answers are kept")
def keeps_empty_answers(records):
    found = []
    for r in records:
        texts = [r["draft"], *r["revisions"]]
        if len(texts) > 1 and not (flagged(r["critiques"][-1]) and texts[-1] == texts[-2]):
            found.append(conversation(r["question"], texts[-1]))
    return found


@mutant("revision_examples", names="flagged in the last round")
def drops_what_was_mended_last(records):
    return [conversation(r["question"], last(r)) for r in records if counts(r) and not flagged(r["critiques"][-1])]


@mutant("revision_examples", names="ever flagged")
def drops_what_was_ever_flagged(records):
    return [
        conversation(r["question"], last(r))
        for r in records
        if counts(r) and not any(flagged(critique) for critique in r["critiques"])
    ]


@mutant("revision_examples", names="against the draft")
def held_against_the_draft(records):
    found = []
    for r in records:
        if r["revisions"] and last(r).strip() and not (flagged(r["critiques"][-1]) and last(r) == r["draft"]):
            found.append(conversation(r["question"], last(r)))
    return found


@mutant("revision_examples", names="without a round")
def drafts_without_a_round(records):
    return [
        conversation(r["question"], last(r) if r["revisions"] else r["draft"])
        for r in records
        if counts(r) or not r["revisions"]
    ]


@mutant("revision_examples", names="every round gives an example")
def every_round(records):
    return [conversation(r["question"], text) for r in records if counts(r) for text in r["revisions"]]
