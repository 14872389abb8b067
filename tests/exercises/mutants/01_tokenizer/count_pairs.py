"""Wrong solutions of count_pairs."""

from collections import Counter
from itertools import pairwise

from minillm.course.testing import mutant


@mutant("count_pairs", names="each different word counts once")
def forgets_the_count_of_the_word(words):
    return Counter(pair for ids in words for pair in pairwise(ids))


@mutant("count_pairs", names="only once in a word")
def once_in_a_word(words):
    counts = Counter()
    for ids, count in words.items():
        for pair in set(pairwise(ids)):
            counts[pair] += count
    return counts


@mutant("count_pairs", names="overlap")
def without_overlaps(words):
    counts = Counter()
    for ids, count in words.items():
        i, taken = 0, {}
        while i + 1 < len(ids):
            pair = (ids[i], ids[i + 1])
            if taken.get(pair) != i:
                counts[pair] += count
                taken[pair] = i + 1
            i += 1
    return counts


@mutant("count_pairs", names="one word into the next")
def across_words(words):
    stream = [token for ids, count in words.items() for token in ids * count]
    return Counter(pairwise(stream))


@mutant("count_pairs", names="the same pair")
def without_order(words):
    counts = Counter()
    for ids, count in words.items():
        for a, b in pairwise(ids):
            counts[min(a, b), max(a, b)] += count
    return counts


@mutant("count_pairs", names="token 0")
def takes_zero_for_nothing(words):
    counts = Counter()
    for ids, count in words.items():
        for left, right in pairwise(ids):
            if left and right:
                counts[left, right] += count
    return counts


@mutant("count_pairs", names="last pair")
def one_pair_short(words):
    counts = Counter()
    for ids, count in words.items():
        for i in range(len(ids) - 2):
            counts[ids[i], ids[i + 1]] += count
    return counts


@mutant("count_pairs", names="overwrites")
def overwrites(words):
    counts = {}
    for ids, count in words.items():
        for pair in pairwise(ids):
            counts[pair] = count
    return counts


@mutant("count_pairs", names="with its first one")
def around_the_corner(words):
    counts = Counter()
    for ids, count in words.items():
        for i in range(len(ids)):
            counts[ids[i - 1], ids[i]] += count
    return counts


@mutant("count_pairs", names="two equal tokens")
def skips_equal_neighbours(words):
    counts = Counter()
    for ids, count in words.items():
        for left, right in pairwise(ids):
            if left != right:
                counts[left, right] += count
    return counts


@mutant("count_pairs", names="indexerror")
def one_step_too_far(words):
    counts = Counter()
    for ids, count in words.items():
        for i in range(len(ids)):
            counts[ids[i], ids[i + 1]] += count
    return counts


@mutant("count_pairs", names="should be a dict")
def returns_a_sorted_list(words):
    counts = Counter()
    for ids, count in words.items():
        for pair in pairwise(ids):
            counts[pair] += count
    return counts.most_common()


@mutant("count_pairs", names="every second place")
def pairs_side_by_side_only(words):
    counts = Counter()
    for ids, count in words.items():
        for i in range(0, len(ids) - 1, 2):
            counts[ids[i], ids[i + 1]] += count
    return counts
