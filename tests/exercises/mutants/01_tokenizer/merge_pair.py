"""Wrong solutions of merge_pair."""

from minillm.course.testing import mutant


def scan(ids, hit, new_id, step=2):
    out, i = [], 0
    while i < len(ids):
        if hit(i):
            out.append(new_id)
            i += step
        else:
            out.append(ids[i])
            i += 1
    return tuple(out)


@mutant("merge_pair", names="only the first occurrence")
def first_occurrence_only(ids, pair, new_id):
    for i in range(len(ids) - 1):
        if ids[i : i + 2] == pair:
            return (*ids[:i], new_id, *ids[i + 2 :])
    return ids


@mutant("merge_pair", names="used again")
def does_not_step_over_the_second(ids, pair, new_id):
    return scan(ids, lambda i: ids[i : i + 2] == pair, new_id, step=1)


@mutant("merge_pair", names="used again")
def overlaps_merge_twice(ids, pair, new_id):
    hits = {i for i in range(len(ids) - 1) if ids[i : i + 2] == pair}
    return tuple(new_id if i in hits else t for i, t in enumerate(ids) if i in hits or i - 1 not in hits)


@mutant("merge_pair", names="from the right")
def from_the_right(ids, pair, new_id):
    ids = list(ids)
    for i in range(len(ids) - 2, -1, -1):
        if tuple(ids[i : i + 2]) == pair:
            ids[i : i + 2] = [new_id]
    return tuple(ids)


@mutant("merge_pair", names="last token")
def loses_the_last_token(ids, pair, new_id):
    out, i = [], 0
    while i < len(ids) - 1:
        hit = ids[i : i + 2] == pair
        out.append(new_id if hit else ids[i])
        i += 2 if hit else 1
    return tuple(out)


@mutant("merge_pair", names="either order")
def in_either_order(ids, pair, new_id):
    return scan(ids, lambda i: sorted(ids[i : i + 2]) == sorted(pair), new_id)


@mutant("merge_pair", names="only the left token")
def compares_the_left_only(ids, pair, new_id):
    return scan(ids, lambda i: ids[i] == pair[0] and i + 1 < len(ids), new_id)


@mutant("merge_pair", names="should be a tuple")
def returns_a_list(ids, pair, new_id):
    return list(scan(ids, lambda i: ids[i : i + 2] == pair, new_id))


@mutant("merge_pair", names="token 0")
def takes_zero_for_nothing(ids, pair, new_id):
    return tuple(t for t in scan(ids, lambda i: ids[i : i + 2] == pair, new_id) if t)


@mutant("merge_pair", names="indexerror")
def looks_past_the_end(ids, pair, new_id):
    return scan(ids, lambda i: ids[i] == pair[0] and ids[i + 1] == pair[1], new_id)


@mutant("merge_pair", names="nothing is put in its place")
def cuts_the_pair_out(ids, pair, new_id):
    return tuple(t for t in scan(ids, lambda i: ids[i : i + 2] == pair, new_id) if t != new_id)


@mutant("merge_pair", names="makes one of two")
def replaces_both(ids, pair, new_id):
    merged = scan(ids, lambda i: ids[i : i + 2] == pair, new_id)
    return tuple(part for t in merged for part in ((new_id, new_id) if t == new_id else (t,)))


@mutant("merge_pair", names="compared as text")
def through_text(ids, pair, new_id):
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return tuple(map(int, text.split()))
