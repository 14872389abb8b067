"""Right solutions of critique_prompt that look different."""

from minillm.course.testing import variant
from minillm.tinyland.questions import question_form


@variant("critique_prompt")
def by_cases(question, draft, principle):
    draft = draft.strip()
    middle = f" {draft} " if draft else " "
    return "read : question : " + question.strip() + " answer :" + middle + principle.critique_request


@variant("critique_prompt")
def with_the_corpus_form(question, draft, principle):
    text = f"read : {question_form(question.strip())}"
    for part in (draft, principle.critique_request):
        text = f"{text} {part.strip()}".rstrip()
    return text


@variant("critique_prompt")
def with_format(question, draft, principle):
    parts = (question.strip(), f" {draft.strip()}" * bool(draft.strip()), principle.critique_request)
    return "read : question : {} answer :{} {}".format(*parts)


@variant("critique_prompt")
def with_filter(question, draft, principle):
    words = filter(
        None, map(str.strip, ["read :", "question :", question, "answer :", draft, principle.critique_request])
    )
    return " ".join(words)
