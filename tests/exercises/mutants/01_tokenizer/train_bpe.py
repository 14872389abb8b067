"""Wrong solutions of train_bpe."""

from minillm.course.exercises import reference
from minillm.course.testing import mutant

count_pairs, merge_pair = reference("count_pairs"), reference("merge_pair")


def greedy(words, num_merges, *, count=count_pairs, merge=merge_pair, start=256, choose=max, least=1):
    merges = []
    while len(merges) < num_merges:
        counts = count(words)
        if not counts or max(counts.values()) < least:
            break
        best = choose(counts, key=counts.get)
        words = {merge(ids, best, start + len(merges)): n for ids, n in words.items()}
        merges.append(best)
    return merges


@mutant("train_bpe", names="counted once, at the start")
def counts_once(words, num_merges):
    counts = count_pairs(words)
    return sorted(counts, key=counts.get, reverse=True)[:num_merges]


@mutant("train_bpe", names="each different word counts once")
def ignores_frequencies(words, num_merges):
    return greedy(words, num_merges, count=lambda now: count_pairs(dict.fromkeys(now, 1)))


@mutant("train_bpe", names="begin at 0")
def ids_from_zero(words, num_merges):
    return greedy(words, num_merges, start=0)


@mutant("train_bpe", names="begin at 257")
def ids_from_257(words, num_merges):
    return greedy(words, num_merges, start=257)


@mutant("train_bpe", names="behind the largest byte")
def ids_behind_the_largest_byte(words, num_merges):
    return greedy(words, num_merges, start=max(map(max, words)) + 1)


@mutant("train_bpe", names="same id")
def always_the_same_id(words, num_merges):
    return greedy(words, num_merges, merge=lambda ids, pair, new: merge_pair(ids, pair, 256))


@mutant("train_bpe", names="only the first occurrence")
def merges_one_occurrence(words, num_merges):
    def merge(ids, pair, new):
        for i in range(len(ids) - 1):
            if ids[i : i + 2] == pair:
                return (*ids[:i], new, *ids[i + 2 :])
        return ids

    return greedy(words, num_merges, merge=merge)


@mutant("train_bpe", names="stay as they were")
def never_merges(words, num_merges):
    return greedy(words, num_merges, merge=lambda ids, pair, new: ids)


@mutant("train_bpe", names="rarest")
def takes_the_rarest(words, num_merges):
    return greedy(words, num_merges, choose=min)


@mutant("train_bpe", names="valueerror")
def runs_out_of_pairs(words, num_merges):
    merges = []
    for i in range(num_merges):
        counts = count_pairs(words)
        merges.append(max(counts, key=counts.get))
        words = {merge_pair(ids, merges[-1], 256 + i): n for ids, n in words.items()}
    return merges


@mutant("train_bpe", names="occurs once is merged, too")
def stops_at_single_pairs(words, num_merges):
    return greedy(words, num_merges, least=2)


@mutant("train_bpe", names="asked for")
def one_merge_too_many(words, num_merges):
    return greedy(words, num_merges + 1)


@mutant("train_bpe", names="asked for")
def takes_the_number_for_the_vocabulary(words, num_merges):
    return greedy(words, max(num_merges - 256, 0))


@mutant("train_bpe", names="should be a list of pairs")
def returns_a_table(words, num_merges):
    return {pair: 256 + i for i, pair in enumerate(greedy(words, num_merges))}


@mutant("train_bpe", names="changes its input")
def empties_the_words(words, num_merges):
    merges = []
    while len(merges) < num_merges and (counts := count_pairs(words)):
        merges.append(max(counts, key=counts.get))
        for ids in list(words):
            merged = merge_pair(ids, merges[-1], 255 + len(merges))
            words[merged] = words.pop(ids)
    return merges


@mutant("train_bpe", names="overlap")
def counts_without_overlaps(words, num_merges):
    def count(now):
        counts = {}
        for ids, n in now.items():
            i, last = 0, {}
            while i + 1 < len(ids):
                pair = ids[i : i + 2]
                if last.get(pair) != i:
                    counts[pair] = counts.get(pair, 0) + n
                    last[pair] = i + 1
                i += 1
        return counts

    return greedy(words, num_merges, count=count)
