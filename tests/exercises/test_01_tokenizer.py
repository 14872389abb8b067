"""What a right solution of lesson 01 is: counting pairs, merging them, training.

Encoding and decoding are in test_01_tokenizer_text.py.
"""

import random
from collections.abc import Callable

from minillm.course.expect import describe, expect_equal, fail
from minillm.course.testing import exercise

Word = tuple[int, ...]
Pair = tuple[int, int]


# --- slow references, with a few ways of being wrong -----------------------------------------------------------


def pairs_of(ids: Word) -> list[Pair]:
    return [(ids[i], ids[i + 1]) for i in range(len(ids) - 1)]


def counted(words: dict[Word, int], places: Callable[[Word], list[Pair]] = pairs_of, weighted=True) -> dict[Pair, int]:
    counts: dict[Pair, int] = {}
    for ids, occurrences in words.items():
        for pair in places(ids):
            counts[pair] = counts.get(pair, 0) + (occurrences if weighted else 1)
    return counts


def apart(ids: Word) -> list[Pair]:
    """Places that do not overlap with an equal pair before them."""
    found, used = [], {}
    for i, pair in enumerate(pairs_of(ids)):
        if used.get(pair) != i - 1:
            found.append(pair)
            used[pair] = i
    return found


def replaced(ids: Word, pair: Pair, new: int, most: int | None = None) -> Word:
    """The pair replaced from the left, at most ``most`` times."""
    out, i, times = [], 0, 0
    while i < len(ids):
        if ids[i : i + 2] == pair and (most is None or times < most):
            out.append(new)
            i, times = i + 2, times + 1
        else:
            out.append(ids[i])
            i += 1
    return tuple(out)


def from_the_right(ids: Word, pair: Pair, new: int) -> Word:
    return replaced(ids[::-1], pair[::-1], new)[::-1]


def overlapping(ids: Word, pair: Pair, new: int) -> Word:
    """A token stays available after it has been merged: (a, a, a) gives two new ones."""
    hits = {i for i, each in enumerate(pairs_of(ids)) if each == pair}
    return tuple(new if i in hits else token for i, token in enumerate(ids) if i in hits or i - 1 not in hits)


def kept_second(ids: Word, pair: Pair, new: int) -> Word:
    """The second token of a merged pair is not stepped over."""
    return tuple(new if ids[i : i + 2] == pair else token for i, token in enumerate(ids))


def random_words(seed: int, alphabet: tuple[int, ...] = (0, 1, 2, 3, 7), count: int = 14) -> dict[Word, int]:
    """Words of 1 to 9 tokens, token 0 among them, with counts from 1 to 9; runs of one token turn up."""
    rng = random.Random(seed)
    words = {tuple(rng.choice(alphabet) for _ in range(1 + i % 9)): rng.randint(2, 9) for i in range(count)}
    return {**words, (1, 1, 1, 2): 3, (0, 7, 0, 7): 2, (2, 0): 4}


# --- count_pairs ------------------------------------------------------------------------------------------------


def count_mistakes(words: dict[Word, int]) -> dict:
    right, last = counted(words), {}
    for ids, occurrences in words.items():
        last.update(dict.fromkeys(pairs_of(ids), occurrences))
    unordered: dict[Pair, int] = {}
    for pair, n in right.items():
        key = (min(pair), max(pair))
        unordered[key] = unordered.get(key, 0) + n
    across = counted({sum((ids * n for ids, n in words.items()), ()): 1})
    return {
        "each different word counts once, however often it occurs. See trap 1.": counted(words, weighted=False),
        "a pair counts only once in a word. See trap 2.": counted(words, lambda ids: list(set(pairs_of(ids)))),
        "places that overlap are counted as one: (a, a, a) holds (a, a) twice. See trap 3.": counted(words, apart),
        "pairs reach from one word into the next. See trap 4.": [across, counted({sum(words, ()): 1})],
        "(left, right) and (right, left) are taken for the same pair. See trap 5.": unordered,
        "pairs with token 0 are left out: 0 is a token like any other. See trap 6.": {
            pair: n for pair, n in right.items() if pair[0] and pair[1]
        },
        "pairs whose first token is 0 are left out. See trap 6.": {p: n for p, n in right.items() if p[0]},
        "pairs of two equal tokens are left out.": {pair: n for pair, n in right.items() if pair[0] != pair[1]},
        "the last pair of each word is left out: a word of n tokens has n - 1 pairs.": counted(
            words, lambda ids: pairs_of(ids[:-1])
        ),
        "the first pair of each word is left out.": counted(words, lambda ids: pairs_of(ids[1:])),
        "each word overwrites what was counted before: add to it.": last,
        "the last token of a word is paired with its first one.": counted(
            words, lambda ids: [*pairs_of(ids), (ids[-1], ids[0])] if ids else []
        ),
        "only every second place is looked at.": counted(words, lambda ids: pairs_of(ids)[::2]),
    }


def named(got: object, mistakes: dict) -> dict:
    """Mistakes with several possible results, as one entry each: the one that fits, if any."""
    return {
        message: next((each for each in value if each == got), value[0]) if isinstance(value, list) else value
        for message, value in mistakes.items()
    }


def check_counts(handle, words: dict[Word, int]) -> None:
    got = handle(words)
    expect_equal(got, counted(words), "counts", mistakes=named(got, count_mistakes(words)))


@exercise("count_pairs", "the worked example")
def test_count_pairs_worked_example(handle, seed):
    check_counts(handle, {(7, 8, 7, 8): 3, (8, 7): 2})


@exercise("count_pairs", "words of different length and frequency")
def test_count_pairs_of_many_words(handle, seed):
    check_counts(handle, random_words(seed))


@exercise("count_pairs", "runs of one token")
def test_count_pairs_in_runs(handle, seed):
    check_counts(handle, {(4, 4, 4): 2 + seed % 3, (4, 4, 4, 4, 5): 3, (6, 4, 4): 1})


@exercise("count_pairs", "words of one token, and no words")
def test_count_pairs_where_there_are_none(handle, seed):
    check_counts(handle, {(4,): 9, (5, 0): 2, (): 3})
    expect_equal(handle({(4,): 9, (5,): 1}), {}, "counts of words of one token")
    expect_equal(handle({}), {}, "counts of no words")


# --- merge_pair -------------------------------------------------------------------------------------------------


def merge_mistakes(ids: Word, pair: Pair, new: int) -> dict:
    left, right = pair
    return {
        "only the first occurrence is merged. See trap 1.": replaced(ids, pair, new, most=1),
        "the second token of a merged pair is used again. See trap 2.": [
            overlapping(ids, pair, new),
            kept_second(ids, pair, new),
        ],
        "the word is merged from the right: (a, a, a) becomes (new, a), not (a, new). See trap 3.": from_the_right(
            ids, pair, new
        ),
        "the last token of the word gets lost. See trap 4.": [
            replaced(ids, pair, new)[:-1],
            replaced(ids[:-1], pair, new),
        ],
        "the pair is merged in either order: (right, left) is another pair.": [
            replaced(replaced(ids, pair, new), (right, left), new),
            either_order(ids, pair, new),
        ],
        "only the left token is compared: whatever follows it is swallowed.": swallowed(ids, left, new),
        "token 0 is taken for nothing.": replaced(tuple(token for token in ids if token), pair, new),
        "the pair is cut out, and nothing is put in its place.": tuple(t for t in replaced(ids, pair, new) if t != new),
        "both tokens of the pair become the new one: a merge makes one of two.": doubled(ids, pair, new),
        "numbers are compared as text: 31, 25 holds the text 1, 2 and not the pair.": as_text(ids, pair, new),
        "nothing is merged.": ids,
    }


def either_order(ids: Word, pair: Pair, new: int) -> Word:
    out, i = [], 0
    while i < len(ids):
        hit = ids[i : i + 2] in (pair, pair[::-1])
        out.append(new if hit else ids[i])
        i += 2 if hit else 1
    return tuple(out)


def swallowed(ids: Word, left: int, new: int) -> Word:
    out, i = [], 0
    while i < len(ids):
        hit = ids[i] == left and i + 1 < len(ids)
        out.append(new if hit else ids[i])
        i += 2 if hit else 1
    return tuple(out)


def as_text(ids: Word, pair: Pair, new: int) -> Word:
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new))
    return tuple(map(int, text.split()))


def doubled(ids: Word, pair: Pair, new: int) -> Word:
    return tuple(part for token in replaced(ids, pair, new) for part in ((new, new) if token == new else (token,)))


def check_merge(handle, ids: Word, pair: Pair, new: int) -> None:
    got, expected = handle(ids, pair, new), replaced(ids, pair, new)
    mistakes = named(tuple(got) if isinstance(got, (list, tuple)) else got, merge_mistakes(ids, pair, new))
    mistakes = {message: value for message, value in mistakes.items() if value != expected}
    if isinstance(got, (tuple, list)):
        expect_equal(list(got), list(expected), f"{ids} with {pair} merged", mistakes=mistakes)
    if not isinstance(got, tuple):
        fail(f"the word should be a tuple, but it is {describe(got)}. Words are keys of a dictionary. See trap 5.")


@exercise("merge_pair", "the worked examples")
def test_merge_pair_worked_examples(handle, seed):
    check_merge(handle, (1, 2, 3, 1, 2), (1, 2), 9)
    check_merge(handle, (5, 5, 5), (5, 5), 9)
    check_merge(handle, (5, 5, 5, 5, 5), (5, 5), 9)


@exercise("merge_pair", "at the start, at the end, and with the tokens in other order")
def test_merge_pair_at_the_edges(handle, seed):
    check_merge(handle, (3, 4, 1, 0, 4, 3, 2, 3, 4), (3, 4), 300)
    check_merge(handle, (4, 3, 3, 4, 0), (3, 4), 300)
    check_merge(handle, (0, 5, 2, 0, 5, 5), (0, 5), 256)
    check_merge(handle, (31, 2, 1, 25, 1, 2), (1, 2), 256)


@exercise("merge_pair", "random words")
def test_merge_pair_of_random_words(handle, seed):
    rng = random.Random(seed)
    for ids in random_words(seed):
        check_merge(handle, ids, (rng.choice((0, 1, 2)), rng.choice((0, 1, 2))), 300 + seed)
    runs = tuple(rng.choice((0, 0, 1)) for _ in range(12))
    check_merge(handle, runs, (0, 0), 256)


@exercise("merge_pair", "words that do not hold the pair, words of one token and of none")
def test_merge_pair_without_an_occurrence(handle, seed):
    for ids in ((1, 0, 2), (7,), (), (2, 1)):
        check_merge(handle, ids, (1, 2), 256)


# --- train_bpe --------------------------------------------------------------------------------------------------


def first_wrong_step(merges: list[Pair], words: dict[Word, int], count=counted, merge=replaced, start=256, worst=False):
    """(step, counts then) of the first merge that is not a most frequent pair under these rules; None if all are."""
    for i, pair in enumerate(merges):
        counts = count(words)
        if pair not in counts or counts[pair] != (min if worst else max)(counts.values()):
            return i, counts
        words = {merge(ids, pair, start + i): n for ids, n in words.items()}
    return None


def after(words: dict[Word, int], merges: list[Pair], start: int = 256) -> dict[Word, int]:
    for i, pair in enumerate(merges):
        words = {replaced(ids, pair, start + i): n for ids, n in words.items()}
    return words


def training_mistakes(merges: list[Pair], words: dict[Word, int]) -> str | None:
    """The rule, one of those that students use by mistake, under which all the merges would be right."""
    first = counted(words)
    by_first_count = [first.get(pair, -1) for pair in merges]
    if by_first_count == sorted(first.values(), reverse=True)[: len(merges)]:
        return "the pairs are counted once, at the start: count again after each merge. See trap 1."
    rules = {
        "each different word counts once, however often it occurs.": {
            "count": lambda now: counted(now, weighted=False)
        },
        "the new ids begin at 0, where the bytes are: merge number i makes token 256 + i. See trap 2.": {"start": 0},
        "the new ids begin at 257: merge number 0 makes token 256. See trap 2.": {"start": 257},
        "the new ids begin at 255: that is a byte. Merge number i makes token 256 + i. See trap 2.": {"start": 255},
        "the new ids begin behind the largest byte that occurs, not at 256. See trap 2.": {
            "start": max(map(max, words)) + 1
        },
        "the new ids begin at 1, where the bytes are. See trap 2.": {"start": 1},
        "every merge gets the same id, 256. See trap 3.": {"merge": lambda ids, pair, new: replaced(ids, pair, 256)},
        "only the first occurrence in each word is merged. See trap 3.": {
            "merge": lambda ids, pair, new: replaced(ids, pair, new, most=1)
        },
        "the words stay as they were: merge the pair in every word before you count again. See trap 1.": {
            "merge": lambda ids, pair, new: ids
        },
        "the rarest pair is merged, not the most frequent one.": {"worst": True},
        "places that overlap are counted as one: (a, a, a) holds (a, a) twice.": {
            "count": lambda now: counted(now, apart)
        },
    }
    for message, rule in rules.items():
        if first_wrong_step(merges, words, **rule) is None:
            return message
    return None


def check_training(handle, words: dict[Word, int], number: int) -> None:
    """Any tie-break is right: each merge must be a most frequent pair, given those before it."""
    got = handle(words, number)
    if not isinstance(got, (list, tuple)) or not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in got):
        fail(f"the merges should be a list of pairs, [(left, right), ...], but it is {describe(got)}.")
    merges = [tuple(pair) for pair in got]
    if len(merges) > number:
        fail(f"{number} merges were asked for, and you learned {len(merges)}.{too_many(merges, number)}")
    wrong = first_wrong_step(merges, words)
    if wrong is not None:
        fail(step_message(merges, words, *wrong))
    left = counted(after(words, merges))
    if len(merges) < number and left:
        pair = max(left, key=left.get)
        why = " A pair that occurs once is merged, too, if there is no better one." if left[pair] == 1 else ""
        fail(
            f"{number} merges were asked for, and you learned {len(merges)}, but there are pairs left, "
            f"such as {pair}, which occurs {times(left[pair])}.{why}"
        )


def too_many(merges: list[Pair], number: int) -> str:
    if len(set(merges)) < len(merges):
        return " Is there a pair left to merge at all? When the words hold none, stop. See trap 4."
    return " `num_merges` is the number of merges, not the size of the vocabulary." if len(merges) > number + 1 else ""


def step_message(merges: list[Pair], words: dict[Word, int], step: int, counts: dict[Pair, int]) -> str:
    pair = merges[step]
    best = max(counts, key=counts.get, default=None)
    if best is None:
        text = f"merge number {step} is {pair}, but no word holds two tokens any more: stop there. See trap 4."
    elif pair not in counts:
        text = f"merge number {step} is {pair}, but after the merges before it, this pair occurs nowhere."
    else:
        text = (
            f"merge number {step} is {pair}, which then occurs {times(counts[pair])}; "
            f"{best} is more frequent, {times(counts[best])}."
        )
    mistake = training_mistakes(merges, words)
    return f"{text}\nThese are exactly the merges that come out when {mistake}" if mistake else text


def times(n: int) -> str:
    return "once" if n == 1 else f"{n} times"


def byte_words(seed: int) -> dict[Word, int]:
    rng = random.Random(seed)
    words = {}
    for _ in range(16):
        ids = tuple(rng.choice((0, 97, 97, 98, 99, 120)) for _ in range(rng.randint(1, 8)))
        words[ids] = rng.choice((1, 1, 2, 3, 5, 11, 30))
    return {**words, (97, 98, 97, 98, 99): 7, (98, 98, 98): 4, (120,): 50}


FOX = {tuple(b"fox"): 5, tuple(b"box"): 3, tuple(b"fog"): 2}


@exercise("train_bpe", "the worked example")
def test_train_bpe_worked_example(handle, seed):
    check_training(handle, FOX, 1)
    check_training(handle, FOX, 2)
    expect_equal(handle(FOX, 2), [(111, 120), (102, 256)], "the merges of fox, box, fog")


@exercise("train_bpe", "each merge is a most frequent pair, given those before it")
def test_train_bpe_is_greedy(handle, seed):
    check_training(handle, byte_words(seed), 6)
    check_training(handle, byte_words(seed + 1), 17)


@exercise("train_bpe", "frequent words weigh more than rare ones")
def test_train_bpe_weighs_words(handle, seed):
    rare = {(*tuple(b"xy"), 60 + i): 1 for i in range(6)}
    check_training(handle, {**rare, tuple(b"ab"): 40, tuple(b"cab"): 30, tuple(b"dxa"): 2 + seed % 5}, 3)


@exercise("train_bpe", "a pair several times in one word, and runs of one letter")
def test_train_bpe_merges_every_occurrence(handle, seed):
    check_training(handle, {tuple(b"banana"): 9, tuple(b"nanny"): 4, tuple(b"an"): 1, tuple(b"aaaa"): 2 + seed % 3}, 7)


@exercise("train_bpe", "a corpus that runs out of pairs, and no merges at all")
def test_train_bpe_stops_when_nothing_is_left(handle, seed):
    check_training(handle, {(98, 97): 2, (99,): 5}, 4)
    check_training(handle, {(98, 97): 1, (99, 97, 0): 1}, 9)
    expect_equal(handle({(99,): 5}, 3), [], "the merges of words of one byte")
    expect_equal(handle(FOX, 0), [], "no merges")
