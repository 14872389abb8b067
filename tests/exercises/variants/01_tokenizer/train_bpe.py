"""Right solutions of train_bpe, written differently: every tie-break is right."""

import random
from collections import Counter
from itertools import pairwise

from minillm.course.exercises import reference
from minillm.course.testing import variant

count_pairs, merge_pair = reference("count_pairs"), reference("merge_pair")


@variant("train_bpe")
def first_of_equals(words, num_merges):
    merges = []
    for i in range(num_merges):
        counts = count_pairs(words)
        if not counts:
            return merges
        best = max(counts, key=counts.get)
        words = {merge_pair(ids, best, 256 + i): n for ids, n in words.items()}
        merges.append(best)
    return merges


@variant("train_bpe")
def largest_of_equals(words, num_merges):
    merges, words = [], dict(words)
    while len(merges) < num_merges and (counts := count_pairs(words)):
        merges.append(max(counts, key=lambda pair: (counts[pair], pair)))
        words = {merge_pair(ids, merges[-1], 255 + len(merges)): n for ids, n in words.items()}
    return merges


@variant("train_bpe")
def any_of_equals_with_a_list_of_words(words, num_merges):
    rows = [(ids, n) for ids, n in words.items()]
    merges = []
    while len(merges) < num_merges:
        counts = Counter()
        for ids, n in rows:
            for pair in pairwise(ids):
                counts[pair] += n
        if not counts:
            break
        top = max(counts.values())
        best = random.choice([pair for pair, n in counts.items() if n == top])
        rows = [(merge_pair(ids, best, 256 + len(merges)), n) for ids, n in rows]
        merges.append(list(best))
    return tuple(merges)


@variant("train_bpe")
def most_common(words, num_merges):
    merges = []
    for new_id in range(256, 256 + num_merges):
        top = Counter(count_pairs(words)).most_common(1)
        if top:
            merges.append(top[0][0])
            words = {merge_pair(ids, top[0][0], new_id): n for ids, n in words.items()}
    return merges
