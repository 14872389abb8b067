"""Right solutions of encode, written differently."""

from itertools import pairwise

from minillm.course.exercises import reference
from minillm.course.testing import variant
from minillm.tokenizer import Tokenizer, split_words

merge_pair, split_specials = reference("merge_pair"), reference("encode").__globals__["split_specials"]


@variant("encode")
def every_merge_in_turn(text, merges, specials=None):
    ids = []
    for part in split_specials(text, specials or {}):
        if specials and part in specials:
            ids.append(specials[part])
            continue
        for word in split_words(part):
            tokens = tuple(word.encode("utf-8"))
            for i, pair in enumerate(merges):
                tokens = merge_pair(tokens, pair, 256 + i)
            ids += tokens
    return ids


@variant("encode")
def with_the_library(text, merges, specials=None):
    tokenizer = Tokenizer(merges, specials=[])
    parts = split_specials(text, specials or {})
    groups = [[specials[part]] if specials and part in specials else tokenizer.encode(part) for part in parts]
    return tuple(token for group in groups for token in group)


@variant("encode")
def with_a_cache_and_a_loop_over_positions(text, merges, specials=None):
    cache, ids = {}, []
    for part in split_specials(text, specials or ()):
        if specials and part in specials:
            ids.append(specials[part])
            continue
        for word in split_words(part):
            if word not in cache:
                work = list(word.encode())
                while True:
                    ranks = [(merges.index(p), i) for i, p in enumerate(pairwise(work)) if p in merges]
                    if not ranks:
                        break
                    number, i = min(ranks)
                    work[i : i + 2] = [256 + number]
                cache[word] = work
            ids.extend(cache[word])
    return ids
