"""Wrong solutions of revision_prompt."""

from minillm.course.testing import mutant


def asked(question, draft, principle):
    parts = ("read : question :", question, "answer :", draft, principle.critique_request)
    return " ".join(part.strip() for part in parts if part.strip())


@mutant("revision_prompt", names="the critique is left out")
def without_critique(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {principle.revision_request}"


@mutant("revision_prompt", names="ready critique of a broken")
def ideal_critique(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {principle.broken} {principle.revision_request}"


@mutant("revision_prompt", names="ready critique of a kept")
def kept_critique(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {principle.kept} {principle.revision_request}"


@mutant("revision_prompt", names="request is missing")
def without_request(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()}"


@mutant("revision_prompt", names="after the revision request")
def request_before_critique(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {principle.revision_request} {critique.strip()}"


@mutant("revision_prompt", names="asked for a second time")
def critique_request_again(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()} {principle.critique_request}"


@mutant("revision_prompt", names="draft and question are left out")
def critique_alone(question, draft, principle, critique):
    return f"{critique.strip()} {principle.revision_request}"


@mutant("revision_prompt", names="the draft is left out")
def without_draft(question, draft, principle, critique):
    return f"{asked(question, '', principle)} {critique.strip()} {principle.revision_request}"


@mutant("revision_prompt", names="critique request is left out")
def without_critique_request(question, draft, principle, critique):
    head = f"read : question : {question.strip()} answer : {draft.strip()}"
    return f"{head} {critique.strip()} {principle.revision_request}"


@mutant("revision_prompt", names="the rule is written")
def rule_for_request(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()} {principle.text}"


@mutant("revision_prompt", names="a space follows the colon")
def space_at_the_end(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()} {principle.revision_request} "


@mutant("revision_prompt", names="ends of the critique are kept")
def spaces_kept(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique} {principle.revision_request}"


@mutant("revision_prompt", names="an answer is written")
def with_the_draft_as_answer(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()} {principle.revision_request} {draft.strip()}"
