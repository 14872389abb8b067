"""What a right solution of lesson 01 is, continued: encoding and decoding."""

import random
from collections.abc import Callable

from minillm.course.expect import expect_equal
from minillm.course.testing import exercise
from minillm.tokenizer import split_words

Word = tuple[int, ...]
Pair = tuple[int, int]

A, B, C, D, SPACE = 97, 98, 99, 100, 32
MERGES = [
    (B, C),
    (A, B),
    (A, 256),
    (C, D),
    (SPACE, 258),
    (258, 258),
    (SPACE, 65),
    (195, 169),
    (D, SPACE),
    (257, D),
    (D, A),
]
SPECIALS = {"<doc>": 300, "<end>": 301, "<end>s": 302}


# --- slow references, right and wrong ---------------------------------------------------------------------------


def pairs_of(ids: Word) -> list[Pair]:
    return [(ids[i], ids[i + 1]) for i in range(len(ids) - 1)]


def replaced(ids: Word, pair: Pair, new: int) -> Word:
    out, i = [], 0
    while i < len(ids):
        hit = ids[i : i + 2] == pair
        out.append(new if hit else ids[i])
        i += 2 if hit else 1
    return tuple(out)


def learned_first(ids: Word, merges: list[Pair]) -> Word:
    while True:
        known = [merges.index(pair) for pair in pairs_of(ids) if pair in merges]
        if not known:
            return ids
        ids = replaced(ids, merges[min(known)], 256 + min(known))


def leftmost_first(ids: Word, merges: list[Pair]) -> Word:
    while True:
        place = next((i for i, pair in enumerate(pairs_of(ids)) if pair in merges), None)
        if place is None:
            return ids
        ids = (*ids[:place], 256 + merges.index(ids[place : place + 2]), *ids[place + 2 :])


def newest_first(ids: Word, merges: list[Pair]) -> Word:
    while True:
        known = [merges.index(pair) for pair in pairs_of(ids) if pair in merges]
        if not known:
            return ids
        ids = replaced(ids, merges[max(known)], 256 + max(known))


def one_merge_only(ids: Word, merges: list[Pair]) -> Word:
    known = [merges.index(pair) for pair in pairs_of(ids) if pair in merges]
    return replaced(ids, merges[min(known)], 256 + min(known)) if known else ids


def one_pass(ids: Word, merges: list[Pair]) -> Word:
    """From left to right once, merging what is in the list; what is made is not looked at again."""
    out, i = [], 0
    while i < len(ids):
        hit = ids[i : i + 2] in merges
        out.append(256 + merges.index(ids[i : i + 2]) if hit else ids[i])
        i += 2 if hit else 1
    return tuple(out)


def spelled(merges: list[Pair]) -> list[bytes]:
    pieces = [bytes([b]) for b in range(256)]
    for left, right in merges:
        pieces.append(pieces[left] + pieces[right])
    return pieces


def longest_piece(ids: Word, merges: list[Pair]) -> Word:
    pieces, rest, out = spelled(merges), bytes(ids), []
    while rest:
        fitting = [(len(piece), -token) for token, piece in enumerate(pieces) if rest.startswith(piece)]
        out.append(-max(fitting)[1])
        rest = rest[max(fitting)[0] :]
    return tuple(out)


def utf8(word: str) -> Word:
    return tuple(word.encode("utf-8"))


def encoded(
    text: str,
    merges: list[Pair],
    specials: dict[str, int] | None = None,
    one: Callable[[Word, list[Pair]], Word] = learned_first,
    words: Callable[[str], list[str]] = split_words,
    read: Callable[[str], Word] = utf8,
) -> list[int]:
    """The ids of a text; ``words`` cuts it, ``read`` gives the bytes of a word, ``one`` merges them."""
    ids, rest = [], text
    while rest:
        found = [(rest.find(name), -len(name), name) for name in (specials or {}) if name in rest]
        place, _, name = min(found, default=(len(rest), 0, ""))
        for word in words(rest[:place]):
            ids.extend(one(read(word), merges))
        if name:
            ids.append(specials[name])
        rest = rest[place + len(name) :]
    return ids


def safely(make: Callable[[], list]) -> Callable[[], list | None]:
    """A mistake's result, or None where the mistake would stop with an error."""

    def value() -> list | None:
        try:
            return make()
        except (ValueError, IndexError):
            return None

    return value


def encode_mistakes(text: str, merges: list[Pair], specials: dict[str, int] | None) -> dict:
    def variation(**how) -> Callable[[], list | None]:
        return safely(lambda: encoded(text, merges, specials, **how))

    def shifted(by: int) -> Callable[[], list]:
        return lambda: [t + by if 256 <= t < 256 + len(merges) else t for t in encoded(text, merges, specials)]

    def without_specials() -> list:
        return encoded(text, merges) if specials else None

    def dropped() -> list | None:
        names = set((specials or {}).values())
        return [t for t in encoded(text, merges, specials) if t not in names] if names else None

    return {
        "the leftmost pair is merged first, not the one learned first. See trap 1.": variation(one=leftmost_first),
        "the pair learned last is merged first: it is the other way round. See trap 1.": variation(one=newest_first),
        "the longest piece that fits is taken, not the merges in order. See trap 2.": variation(one=longest_piece),
        "one merge is made in each word, and no more. See trap 3.": variation(one=one_merge_only),
        "a word is walked through once: what one merge makes can be merged again. See trap 3.": variation(one=one_pass),
        "merges reach from one word into the next. See trap 4.": variation(words=lambda part: [part]),
        "the spaces are lost: split_words keeps them, split() does not. See trap 4.": variation(words=str.split),
        "characters are taken for bytes. See trap 5.": variation(read=lambda word: tuple(map(ord, word))),
        "special tokens are cut into pieces like other text. See trap 6.": without_specials,
        "special tokens are left out.": dropped,
        "no merge is made: these are the bytes.": variation(one=lambda ids, _: ids),
        "merge number i makes token 257 + i: it should be 256 + i.": shifted(1),
        "merge number i makes token 255 + i: it should be 256 + i.": shifted(-1),
        "the numbers of the merges are taken for ids: add 256.": shifted(-256),
    }  # fmt: skip


def check_encoding(handle, text: str, merges: list[Pair] = MERGES, specials: dict[str, int] | None = None) -> None:
    got = handle(text, merges) if specials is None else handle(text, merges, specials)
    expected = encoded(text, merges, specials)
    expect_equal(got, expected, f"the ids of {text!r}", mistakes=encode_mistakes(text, merges, specials))


def random_text(seed: int, alphabet: str = "abcd  A.é\n_7", length: int = 24) -> str:
    rng = random.Random(seed)
    return "".join(rng.choice(alphabet) for _ in range(length))


@exercise("encode", "one word: what was learned first is merged first")
def test_encode_one_word(handle, seed):
    for word in ("abcdabd", "abc", "ab", "abcd", "cabcabcd", "dabab", "bcbc"):
        check_encoding(handle, word)


@exercise("encode", "texts of several words")
def test_encode_texts(handle, seed):
    for text in ("abc abc", "ad abcd cd", "d ab. abcabc", ""):
        check_encoding(handle, text)
    check_encoding(handle, random_text(seed, "abcd "))


@exercise("encode", "any text: capitals, accents, line ends, double spaces, emoji")
def test_encode_any_text(handle, seed):
    for text in ("Abc é abcé", "ab\n\nabc", "  abc  cd ", "🦊 bc", "日bc"):
        check_encoding(handle, text)
    check_encoding(handle, random_text(seed))


@exercise("encode", "special tokens")
def test_encode_specials(handle, seed):
    for text in ("<doc>abc<end>", "bc<end><end> abc <doc>d", "<end>s <end> s", "<doc"):
        check_encoding(handle, text, specials=SPECIALS)
    check_encoding(handle, "<doc>abc<end>")


@exercise("encode", "merges in any order, as training gave them")
def test_encode_with_other_merges(handle, seed):
    rng, merges = random.Random(seed), []
    while len(merges) < 9:
        tokens = [A, B, C, *range(256, 256 + len(merges))]
        pair = (rng.choice(tokens), rng.choice(tokens))
        if pair not in merges:
            merges.append(pair)
    check_encoding(handle, random_text(seed + 1, "abc aa", 30), merges)


def decoded(ids: list[int], merges: list[Pair], specials: dict[str, int] | None = None) -> str:
    pieces = dict(enumerate(spelled(merges))) | {i: name.encode() for name, i in (specials or {}).items()}
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace")


def decode_mistakes(ids: list[int], merges: list[Pair], specials: dict[str, int] | None) -> dict:
    names = {number: name.encode() for name, number in (specials or {}).items()}
    pieces = dict(enumerate(spelled(merges))) | names

    def whole(errors: str, coding: str = "utf-8", table: dict | None = None, between: bytes = b"") -> str:
        return between.join((table or pieces)[token] for token in ids).decode(coding, errors=errors)

    def shallow(token: int) -> bytes:
        if token < 256 or token in names:
            return pieces[token]
        return bytes(part % 256 for part in merges[token - 256])

    return {
        "each token is decoded by itself: a character may be spread over several. See trap 1.": lambda: "".join(
            pieces[token].decode("utf-8", errors="replace") for token in ids
        ),
        "ids are taken for characters: from 256 on they stand for merges. See trap 4.": lambda: "".join(map(chr, ids)),
        "each byte is taken for a character. See trap 2.": lambda: whole("replace", "latin-1"),
        'bytes that are no UTF-8 are dropped: errors="replace" shows a mark. See trap 3.': lambda: whole("ignore"),
        'bytes that are no UTF-8 are written out as codes: errors="replace" shows a mark. See trap 3.': (
            lambda: whole("backslashreplace")
        ),
        "merges are opened one level deep only: they nest. See trap 4.": lambda: b"".join(map(shallow, ids)).decode(
            "utf-8", errors="replace"
        ),
        "special tokens are left out. See trap 5.": lambda: decoded([t for t in ids if t not in names], merges),
        "spaces are put between the tokens: a token brings its own.": lambda: whole("replace", between=b" "),
        "spaces at the ends are cut off: nothing may get lost.": lambda: whole("replace").strip(),
        "the pieces of each merge are joined the wrong way round.": lambda: whole(
            "replace", table=dict(enumerate(spelled([pair[::-1] for pair in merges]))) | names
        ),
    }  # fmt: skip


def check_decoding(handle, ids: list[int], merges: list[Pair] = MERGES, specials: dict[str, int] | None = None) -> None:
    got = handle(ids, merges) if specials is None else handle(ids, merges, specials)
    expected = decoded(ids, merges, specials)
    expect_equal(got, expected, f"the text of {ids}", mistakes=decode_mistakes(ids, merges, specials))


@exercise("decode", "the worked example")
def test_decode_worked_example(handle, seed):
    check_decoding(handle, [257, 32, 111, 257], [(111, 120), (102, 256)])


@exercise("decode", "merges of merges, spaces, and no ids at all")
def test_decode_nested_merges(handle, seed):
    check_decoding(handle, [261, 260, 32, 258, 32])
    check_decoding(handle, [32, 257, 99])
    check_decoding(handle, [])
    check_decoding(handle, encoded(random_text(seed, "abcd "), MERGES))


@exercise("decode", "characters of several bytes, in one token or in several")
def test_decode_any_character(handle, seed):
    for text in ("é", "naïve é", "🦊 bc", "日本"):
        check_decoding(handle, encoded(text, MERGES))
        check_decoding(handle, list(text.encode("utf-8")))
    check_decoding(handle, encoded(random_text(seed), MERGES))


@exercise("decode", "bytes that are no text")
def test_decode_bytes_that_are_no_text(handle, seed):
    check_decoding(handle, [97, 200 + seed % 40, 98])
    check_decoding(handle, [0xF0, 0x9F, 32, 258])


@exercise("decode", "special tokens")
def test_decode_specials(handle, seed):
    check_decoding(handle, [300, 258, 32, 257, 301], specials=SPECIALS)
    check_decoding(handle, [195, 301, 302], specials=SPECIALS)
