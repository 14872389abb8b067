"""Right solutions of revision_examples that look different."""

from minillm.course.testing import variant


@variant("revision_examples")
def filtered(records):
    def useful(record):
        if not record["revisions"]:
            return False
        before = record["revisions"][-2] if len(record["revisions"]) > 1 else record["draft"]
        after = record["revisions"][-1]
        stuck = (record["critiques"][-1] + " ").startswith("no ") and after == before
        return bool(after.strip()) and not stuck

    return [
        [dict(role="user", content=r["question"]), dict(role="assistant", content=r["revisions"][-1])]
        for r in filter(useful, records)
    ]


@variant("revision_examples")
def with_pop(records):
    found = []
    for record in records:
        texts, critiques = [record["draft"]] + record["revisions"], list(record["critiques"])
        if not critiques:
            continue
        answer, verdict = texts.pop(), critiques.pop()
        if answer.strip() == "" or (verdict.split() and verdict.split()[0] == "no" and answer == texts.pop()):
            continue
        found.append([{"role": "user", "content": record["question"]}, {"role": "assistant", "content": answer}])
    return found


@variant("revision_examples")
def in_one_line(records):
    return [
        [{"content": r["question"], "role": "user"}, {"content": r["revisions"][-1], "role": "assistant"}]
        for r in records
        if r["revisions"]
        and r["revisions"][-1].strip()
        and (r["critiques"][-1].split()[:1] != ["no"] or r["revisions"][-1] != [r["draft"], *r["revisions"]][-2])
    ]
