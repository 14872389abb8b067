"""Right solutions of decode, written differently."""

from minillm.course.testing import variant


@variant("decode")
def opened_from_the_top(ids, merges, specials=None):
    names = {number: name for name, number in (specials or {}).items()}

    def piece(token):
        if token in names:
            return names[token].encode()
        if token < 256:
            return bytes([token])
        left, right = merges[token - 256]
        return piece(left) + piece(right)

    return b"".join(piece(token) for token in ids).decode("utf-8", "replace")


@variant("decode")
def with_a_list_and_a_bytearray(ids, merges, specials=None):
    table = [bytes([i]) for i in range(256)]
    for left, right in merges:
        table.append(table[left] + table[right])
    out = bytearray()
    for token in ids:
        special = [name for name, number in (specials or {}).items() if number == token]
        out += special[0].encode() if special else table[token]
    return str(out, "utf-8", errors="replace")


@variant("decode")
def unrolled_on_a_stack(ids, merges, specials=None):
    names = {number: list(name.encode()) for name, number in (specials or {}).items()}
    stack, out = list(reversed(ids)), []
    while stack:
        token = stack.pop()
        if token in names:
            out.extend(names[token])
        elif token < 256:
            out.append(token)
        else:
            stack.extend(reversed(merges[token - 256]))
    return bytes(out).decode(errors="replace")
