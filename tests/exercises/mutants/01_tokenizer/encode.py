"""Wrong solutions of encode."""

from itertools import pairwise

from minillm.course.exercises import reference
from minillm.course.testing import mutant
from minillm.tokenizer import split_words

merge_pair, right_encode = reference("merge_pair"), reference("encode")
split_specials = right_encode.__globals__["split_specials"]


def by_word(text, specials, words, one):
    ids, specials = [], specials or {}
    for part in split_specials(text, specials):
        if part in specials:
            ids.append(specials[part])
        else:
            for word in words(part):
                ids.extend(one(tuple(word.encode("utf-8"))))
    return ids


def in_order(tokens, merges):
    for i, pair in enumerate(merges):
        tokens = merge_pair(tokens, pair, 256 + i)
    return tokens


@mutant("encode", names="leftmost pair")
def leftmost_first(text, merges, specials=None):
    def one(tokens):
        while True:
            i = next((i for i, pair in enumerate(pairwise(tokens)) if pair in merges), None)
            if i is None:
                return tokens
            tokens = (*tokens[:i], 256 + merges.index(tokens[i : i + 2]), *tokens[i + 2 :])

    return by_word(text, specials, split_words, one)


@mutant("encode", names="learned last")
def newest_first(text, merges, specials=None):
    def one(tokens):
        while known := [merges.index(pair) for pair in pairwise(tokens) if pair in merges]:
            tokens = merge_pair(tokens, merges[max(known)], 256 + max(known))
        return tokens

    return by_word(text, specials, split_words, one)


@mutant("encode", names="longest piece")
def longest_match(text, merges, specials=None):
    pieces = {bytes([b]): b for b in range(256)}
    spelled = [bytes([b]) for b in range(256)]
    for left, right in merges:
        spelled.append(spelled[left] + spelled[right])
        pieces.setdefault(spelled[-1], len(spelled) - 1)

    def one(tokens):
        rest, ids = bytes(tokens), []
        while rest:
            size = max(n for n in range(1, len(rest) + 1) if rest[:n] in pieces)
            ids.append(pieces[rest[:size]])
            rest = rest[size:]
        return ids

    return by_word(text, specials, split_words, one)


@mutant("encode", names="one merge is made in each word")
def stops_after_one_merge(text, merges, specials=None):
    def one(tokens):
        known = [merges.index(pair) for pair in pairwise(tokens) if pair in merges]
        return merge_pair(tokens, merges[min(known)], 256 + min(known)) if known else tokens

    return by_word(text, specials, split_words, one)


@mutant("encode", names="walked through once")
def one_walk_through_the_word(text, merges, specials=None):
    def one(tokens):
        ids, i = [], 0
        while i < len(tokens):
            if tokens[i : i + 2] in merges:
                ids.append(256 + merges.index(tokens[i : i + 2]))
                i += 2
            else:
                ids.append(tokens[i])
                i += 1
        return ids

    return by_word(text, specials, split_words, one)


@mutant("encode", names="one word into the next")
def across_words(text, merges, specials=None):
    return by_word(text, specials, lambda part: [part], lambda tokens: in_order(tokens, merges))


@mutant("encode", names="spaces are lost")
def splits_at_spaces(text, merges, specials=None):
    return by_word(text, specials, str.split, lambda tokens: in_order(tokens, merges))


@mutant("encode", names="characters are taken for bytes")
def characters_for_bytes(text, merges, specials=None):
    ids, specials = [], specials or {}
    for part in split_specials(text, specials):
        if part in specials:
            ids.append(specials[part])
        else:
            for word in split_words(part):
                ids.extend(in_order(tuple(ord(char) for char in word), merges))
    return ids


@mutant("encode", names="cut into pieces")
def cuts_specials(text, merges, specials=None):
    return by_word(text, None, split_words, lambda tokens: in_order(tokens, merges))


@mutant("encode", names="left out")
def drops_specials(text, merges, specials=None):
    names = set((specials or {}).values())
    return [token for token in right_encode(text, merges, specials) if token not in names]


@mutant("encode", names="should be 256 + i")
def ids_one_too_large(text, merges, specials=None):
    return [t + 1 if 256 <= t < 256 + len(merges) else t for t in right_encode(text, merges, specials)]


@mutant("encode", names="these are the bytes")
def bytes_only(text, merges, specials=None):
    return by_word(text, specials, split_words, lambda tokens: tokens)


@mutant("encode", names="numbers of the merges are taken for ids")
def numbers_of_merges(text, merges, specials=None):
    return [t - 256 if 256 <= t < 256 + len(merges) else t for t in right_encode(text, merges, specials)]


@mutant("encode", names=None)
def special_only_at_the_start(text, merges, specials=None):
    for name, number in (specials or {}).items():
        if text.startswith(name):
            return [number, *right_encode(text[len(name) :], merges)]
    return right_encode(text, merges)


@mutant("encode", names="typeerror")
def needs_specials(text, merges, specials=None):
    ids = []
    for part in split_specials(text, specials):
        if part in specials:
            ids.append(specials[part])
        else:
            ids.extend(right_encode(part, merges))
    return ids
