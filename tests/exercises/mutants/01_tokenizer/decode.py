"""Wrong solutions of decode."""

from minillm.course.testing import mutant


def pieces_of(merges, specials=None):
    pieces = {b: bytes([b]) for b in range(256)}
    for i, (left, right) in enumerate(merges):
        pieces[256 + i] = pieces[left] + pieces[right]
    return pieces | {number: name.encode() for name, number in (specials or {}).items()}


@mutant("decode", names="each token is decoded by itself")
def token_by_token(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return "".join(pieces[token].decode("utf-8", errors="replace") for token in ids)


@mutant("decode", names="each byte is taken for a character")
def chr_of_each_byte(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return "".join(chr(byte) for token in ids for byte in pieces[token])


@mutant("decode", names="dropped")
def ignores_what_is_no_text(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="ignore")


@mutant("decode", names="unicodedecodeerror")
def strict(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return b"".join(pieces[token] for token in ids).decode("utf-8")


@mutant("decode", names="one level deep")
def opens_one_level(ids, merges, specials=None):
    names = {number: name.encode() for name, number in (specials or {}).items()}

    def piece(token):
        if token in names:
            return names[token]
        return bytes([token]) if token < 256 else bytes(part % 256 for part in merges[token - 256])

    return b"".join(map(piece, ids)).decode("utf-8", errors="replace")


@mutant("decode", names="left out")
def drops_specials(ids, merges, specials=None):
    pieces = pieces_of(merges)
    return b"".join(pieces.get(token, b"") for token in ids).decode("utf-8", errors="replace")


@mutant("decode", names="spaces are put between")
def joins_with_spaces(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return b" ".join(pieces[token] for token in ids).decode("utf-8", errors="replace")


@mutant("decode", names="wrong way round")
def turns_pairs_round(ids, merges, specials=None):
    pieces = pieces_of([pair[::-1] for pair in merges], specials)
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace")


@mutant("decode", names="nothing may get lost")
def strips(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace").strip()


@mutant("decode", names="keyerror")
def knows_no_specials(ids, merges, specials=None):
    pieces = pieces_of(merges)
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace")


@mutant("decode", names="expected")
def returns_bytes(ids, merges, specials=None):
    pieces = pieces_of(merges, specials)
    return b"".join(pieces[token] for token in ids)


@mutant("decode", names="keyerror")
def counts_from_257(ids, merges, specials=None):
    pieces = {b: bytes([b]) for b in range(256)}
    for i, (left, right) in enumerate(merges):
        pieces[257 + i] = pieces[left] + pieces[right]
    pieces |= {number: name.encode() for name, number in (specials or {}).items()}
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace")


@mutant("decode", names="ids are taken for characters")
def chr_of_each_id(ids, merges, specials=None):
    return "".join(map(chr, ids))
