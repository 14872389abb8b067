"""Right solutions of count_pairs, written differently."""

from collections import Counter, defaultdict
from itertools import pairwise

from minillm.course.testing import variant


@variant("count_pairs")
def with_a_counter(words):
    counts = Counter()
    for ids, occurrences in words.items():
        counts.update({pair: n * occurrences for pair, n in Counter(pairwise(ids)).items()})
    return counts


@variant("count_pairs")
def with_a_defaultdict_and_positions(words):
    counts = defaultdict(int)
    for ids in words:
        for i in range(1, len(ids)):
            counts[ids[i - 1], ids[i]] += words[ids]
    return counts


@variant("count_pairs")
def as_a_plain_dict_in_another_order(words):
    pairs = sorted({pair for ids in words for pair in pairwise(ids)})
    return {pair: sum(n * list(pairwise(ids)).count(pair) for ids, n in words.items()) for pair in pairs}
