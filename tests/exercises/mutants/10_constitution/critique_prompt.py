"""Wrong solutions of critique_prompt."""

from minillm.course.testing import mutant


def joined(*parts):
    return " ".join(part.strip() for part in parts if part.strip())


@mutant("critique_prompt", names="the rule itself")
def asks_the_rule(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.text)


@mutant("critique_prompt", names="that it keeps the rule")
def answers_itself_kept(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.critique_request, principle.kept)


@mutant("critique_prompt", names="that it breaks the rule")
def answers_itself_broken(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.critique_request, principle.broken)


@mutant("critique_prompt", names="the revision is asked for")
def asks_for_the_revision(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.revision_request)


@mutant("critique_prompt", names="rule and critique request")
def rule_and_request(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.text, principle.critique_request)


@mutant("critique_prompt", names="before the draft")
def request_first(question, draft, principle):
    return joined("read : question :", question, "answer :", principle.critique_request, draft)


@mutant("critique_prompt", names="where the question should")
def exchanged(question, draft, principle):
    return joined("read : question :", draft, "answer :", question, principle.critique_request)


@mutant("critique_prompt", names="the question is left out")
def without_question(question, draft, principle):
    return joined("read : answer :", draft, principle.critique_request)


@mutant("critique_prompt", names="the draft is left out")
def without_draft(question, draft, principle):
    return joined("read : question :", question, "answer :", principle.critique_request)


@mutant("critique_prompt", names="is missing at the beginning")
def without_read(question, draft, principle):
    return joined("question :", question, "answer :", draft, principle.critique_request)


@mutant("critique_prompt", names="the name of the principle")
def asks_by_name(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.name)


@mutant("critique_prompt", names="chat form")
def chat_form(question, draft, principle):
    return f"<user> {question.strip()}<bot> {draft.strip()}<end> {principle.critique_request}"


@mutant("critique_prompt", names="a space follows")
def space_at_the_end(question, draft, principle):
    return joined("read : question :", question, "answer :", draft, principle.critique_request) + " "


@mutant("critique_prompt", names="empty draft leaves two spaces")
def gap_of_an_empty_draft(question, draft, principle):
    return f"read : question : {question.strip()} answer : {draft.strip()} {principle.critique_request}"


@mutant("critique_prompt", names="spaces at the ends")
def spaces_kept(question, draft, principle):
    return f"read : question : {question} answer : {draft} {principle.critique_request}"


@mutant("critique_prompt", names="spaces inside the texts")
def all_spaces_squeezed(question, draft, principle):
    return " ".join(f"read : question : {question} answer : {draft} {principle.critique_request}".split())


@mutant("critique_prompt", names="lines of their own")
def with_line_breaks(question, draft, principle):
    return f"read : question : {question.strip()}\nanswer : {draft.strip()}\n{principle.critique_request}"
