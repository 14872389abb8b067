"""Right solutions of merge_pair, written differently."""

from minillm.course.testing import variant


@variant("merge_pair")
def looking_back(ids, pair, new_id):
    out = []
    for token in ids:
        if out and (out[-1], token) == pair:
            out[-1] = new_id
        else:
            out.append(token)
    return tuple(out)


@variant("merge_pair")
def recursive(ids, pair, new_id):
    if len(ids) < 2:
        return tuple(ids)
    if ids[:2] == tuple(pair):
        return (new_id, *recursive(ids[2:], pair, new_id))
    return (ids[0], *recursive(ids[1:], pair, new_id))


@variant("merge_pair")
def in_place_on_a_copy(ids, pair, new_id):
    work, i = list(ids), 0
    while i < len(work) - 1:
        if work[i] == pair[0] and work[i + 1] == pair[1]:
            work[i : i + 2] = [new_id]
        i += 1
    return tuple(work)


@variant("merge_pair")
def with_a_flag(ids, pair, new_id):
    out, skip = (), False
    for i, token in enumerate(ids):
        if skip:
            skip = False
        elif ids[i : i + 2] == pair:
            out, skip = (*out, new_id), True
        else:
            out = (*out, token)
    return out
