"""Wrong solutions of critique_and_revise."""

from minillm.course.testing import mutant


def asks(question, draft, principle):
    parts = ("read : question :", question, "answer :", draft, principle.critique_request)
    return " ".join(part.strip() for part in parts if part.strip())


def asks_again(question, draft, principle, critique):
    return f"{asks(question, draft, principle)} {critique.strip()} {principle.revision_request}"


def is_no(critique):
    return critique.split()[:1] == ["no"]


def one_round(questions, drafts, principles, generate, flags=is_no, prompt=asks_again, place=None):
    """The right round, with its parts to be exchanged."""
    critiques = generate([asks(*each) for each in zip(questions, drafts, principles)])
    flagged = [i for i, critique in enumerate(critiques) if flags(critique)]
    revisions = list(drafts)
    if flagged:
        texts = generate([prompt(questions[i], drafts[i], principles[i], critiques[i]) for i in flagged])
        for i, text in zip(place(flagged) if place else flagged, texts):
            revisions[i] = text.strip() or drafts[i]
    return critiques, revisions


@mutant("critique_and_revise", names="every draft is revised")
def revises_all(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: True)


@mutant("critique_and_revise", names="called once only")
def revises_none(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: False)


@mutant("critique_and_revise", names="begins with `yes`")
def revises_the_others(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: critique.startswith("yes"))


@mutant("critique_and_revise", names="anywhere")
def no_anywhere(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: "no" in critique)


@mutant("critique_and_revise", names="the word `no` anywhere")
def the_word_anywhere(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: "no" in critique.split())


@mutant("critique_and_revise", names="the letters `no`")
def letters_at_the_beginning(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: critique.startswith("no"))


@mutant("critique_and_revise", names="does not begin with `yes`")
def whatever_is_not_yes(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, flags=lambda critique: not critique.startswith("yes"))


@mutant("critique_and_revise", names="ready critique")
def with_the_ideal_critique(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, prompt=lambda q, d, p, c: asks_again(q, d, p, p.broken))


@mutant("critique_and_revise", names="without the critique")
def revises_without_critique(questions, drafts, principles, generate):
    def prompt(question, draft, principle, critique):
        return f"{asks(question, draft, principle)} {principle.revision_request}"

    return one_round(questions, drafts, principles, generate, prompt=prompt)


@mutant("critique_and_revise", names="first principle")
def one_principle_for_all(questions, drafts, principles, generate):
    return one_round(questions, drafts, [principles[0]] * len(drafts), generate)


@mutant("critique_and_revise", names="wrong order")
def principles_reversed(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles[::-1], generate)


@mutant("critique_and_revise", names="at the beginning")
def put_at_the_front(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, place=lambda flagged: range(len(flagged)))


@mutant("critique_and_revise", names="wrong order")
def put_in_reverse(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate, place=lambda flagged: flagged[::-1])


@mutant("critique_and_revise", names="only the revised texts")
def returns_the_flagged_only(questions, drafts, principles, generate):
    critiques, revisions = one_round(questions, drafts, principles, generate)
    return critiques, [text for critique, text in zip(critiques, revisions) if is_no(critique)]


@mutant("critique_and_revise", names="wrong order")
def results_exchanged(questions, drafts, principles, generate):
    return one_round(questions, drafts, principles, generate)[::-1]


@mutant("critique_and_revise", names="one draft at a time")
def one_call_a_draft(questions, drafts, principles, generate):
    critiques, revisions = [], []
    for question, draft, principle in zip(questions, drafts, principles):
        critiques += generate([asks(question, draft, principle)])
        prompt = asks_again(question, draft, principle, critiques[-1])
        revisions += generate([prompt]) if is_no(critiques[-1]) else [draft]
    return critiques, revisions


@mutant("critique_and_revise", names="second time all the same")
def calls_for_nothing(questions, drafts, principles, generate):
    critiques, revisions = one_round(questions, drafts, principles, generate)
    if not any(map(is_no, critiques)):
        generate([])
    return critiques, revisions


@mutant("critique_and_revise", names="empty revision")
def takes_an_empty_revision(questions, drafts, principles, generate):
    critiques = generate([asks(*each) for each in zip(questions, drafts, principles)])
    flagged = [i for i, critique in enumerate(critiques) if is_no(critique)]
    revisions = list(drafts)
    if flagged:
        texts = generate([asks_again(questions[i], drafts[i], principles[i], critiques[i]) for i in flagged])
        for i, text in zip(flagged, texts):
            revisions[i] = text
    return critiques, revisions


@mutant("critique_and_revise", names="changes its input")
def writes_into_the_drafts(questions, drafts, principles, generate):
    critiques, revisions = one_round(questions, drafts, principles, generate)
    drafts[:] = revisions
    return critiques, drafts


@mutant("critique_and_revise", names="questions alone")
def asks_the_questions(questions, drafts, principles, generate):
    return generate(list(questions)), list(drafts)
