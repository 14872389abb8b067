"""Right solutions of critique_and_revise that look different."""

from minillm.course.testing import variant


def asks(question, draft, principle):
    parts = ("read : question :", question, "answer :", draft, principle.critique_request)
    return " ".join(part.strip() for part in parts if part.strip())


@variant("critique_and_revise")
def with_a_dictionary(questions, drafts, principles, generate):
    prompts = [asks(*each) for each in zip(questions, drafts, principles)]
    critiques = generate(prompts)
    again = {
        i: f"{prompts[i]} {critiques[i].strip()} {principles[i].revision_request}"
        for i in range(len(drafts))
        if critiques[i].split(" ")[0] == "no"
    }
    written = dict(zip(again, generate(list(again.values())))) if again else {}
    return critiques, [written.get(i, "").strip() or draft for i, draft in enumerate(drafts)]


@variant("critique_and_revise")
def with_an_iterator(questions, drafts, principles, generate):
    prompts = [asks(q, d, p) for q, d, p in zip(questions, drafts, principles)]
    critiques = generate(prompts)
    bad = [(critique + " ").startswith("no ") for critique in critiques]
    wanted = [
        f"{prompt} {critique} {principle.revision_request}"
        for prompt, critique, principle, flagged in zip(prompts, critiques, principles, bad)
        if flagged
    ]
    better = iter(generate(wanted) if wanted else [])
    return critiques, [(next(better) or draft) if flagged else draft for draft, flagged in zip(drafts, bad)]


@variant("critique_and_revise")
def tuples(questions, drafts, principles, generate):
    critiques = tuple(generate([asks(q, d, p) for q, d, p in zip(questions, drafts, principles)]))
    revisions, where, wanted = [*drafts], [], []
    for i, critique in enumerate(critiques):
        words = critique.split()
        if words and words[0] == "no":
            where.append(i)
            prompt = asks(questions[i], drafts[i], principles[i])
            wanted.append(" ".join((prompt, critique.strip(), principles[i].revision_request)))
    if where:
        for i, text in zip(where, generate(wanted)):
            if text.strip():
                revisions[i] = text.strip()
    return critiques, tuple(revisions)
