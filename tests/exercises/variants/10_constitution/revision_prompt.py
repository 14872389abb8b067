"""Right solutions of revision_prompt that look different."""

from minillm.course.testing import variant


def asked(question, draft, principle):
    parts = ("read : question :", question, "answer :", draft, principle.critique_request)
    return " ".join(part.strip() for part in parts if part.strip())


@variant("revision_prompt")
def in_one_string(question, draft, principle, critique):
    return f"{asked(question, draft, principle)} {critique.strip()} {principle.revision_request}"


@variant("revision_prompt")
def step_by_step(question, draft, principle, critique):
    text = asked(question, draft, principle)
    for part in [critique, principle.revision_request]:
        text += " " + part.strip()
    return text


@variant("revision_prompt")
def written_out(question, draft, principle, critique):
    texts = ["read :", "question :", question, "answer :", draft, principle.critique_request, critique]
    return " ".join(text.strip() for text in [*texts, principle.revision_request] if text.strip())
