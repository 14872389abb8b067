# %% [markdown]
# # 01 · The tokenizer
#
# A model computes with numbers; people write letters. Between the two stands a piece of software that is older than
# the model, was trained before it, by another rule, and never learns again: the **tokenizer**. It decides what the
# model can see at all.
#
# One number per letter would be simple, but then a sentence is a long row of numbers that mean little each. One
# number per word is short, but what is the number of a word that nobody has met before, or of a smiley?
#
# **Byte-pair encoding** sits between the two. It starts from bytes, so that every text there is can be written. Then
# it finds the two neighbours that occur most often, gives the pair a number of its own, and repeats. Frequent words
# end as *one* token, rare ones as a few pieces. Gage (1994) invented it to compress files; Sennrich, Haddow and Birch
# (2016) took it to translation; with bytes as its alphabet (Radford et al. 2019) it is what almost every large model
# uses today.
#
# In this lesson you write all of it in five functions, train it on Tinyland, and find that your tokenizer is the one
# that the rest of the course uses. Then you look for what it breaks: spelling, and tokens that no text contains.

# %% tags=["setup"]
import re
from collections.abc import Iterable
from itertools import pairwise

from minillm.course import check, record
from minillm.tokenizer import split_words

Word = tuple[int, ...]  # a word as token ids, in order
Pair = tuple[int, int]  # two ids that stand side by side


def split_specials(text: str, specials: Iterable[str]) -> list[str]:
    """Text cut at special tokens, which become parts of their own.

    >>> split_specials("<doc>the fox<end>", ["<doc>", "<end>"])
    ['<doc>', 'the fox', '<end>']
    """
    longest_first = sorted(specials, key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in longest_first)
    return [part for part in re.split(f"({pattern})", text) if part] if pattern else [text]


# %% [markdown]
# ## One round by hand
#
# A tiny corpus: `fox` five times, `box` three times, `fog` twice. How often do two letters stand side by side?
#
# | pair | in | count |
# |---|---|---|
# | o x | fox, box | 5 + 3 = 8 |
# | f o | fox, fog | 5 + 2 = 7 |
# | b o | box | 3 |
# | o g | fog | 2 |
#
# The winner, `o x`, becomes a token, `ox`. The words now read `f ox`, `b ox`, `f o g`.
#
# Which pair is next? Not `f o`, although it was second: five of its seven are gone, because in `fox` the `f` now
# stands before `ox`. Count again: `f ox` 5, `b ox` 3, `f o` 2, `o g` 2. So the second token is `fox`. Two merges, and
# the corpus has shrunk from 30 tokens to 5 · 1 + 3 · 2 + 2 · 3 = **17**.
#
# That is the whole algorithm: count, merge the most frequent, count again. You write it in three functions, and two
# more to use it.
#
# A corpus repeats its words, so nobody walks through the running text for this. We keep a dictionary from each
# different word to the number of times it occurs. Each word is a tuple of numbers, in the beginning its bytes.

# %%
from collections import Counter


def word_counts(texts: Iterable[str]) -> dict[Word, int]:
    """How often each word occurs in the texts, as a tuple of its bytes (UTF-8)."""
    counts = Counter(word for text in texts for word in split_words(text))
    return {tuple(word.encode("utf-8")): count for word, count in counts.items()}


print(split_words("the fox sees the box , twice ."))
print(word_counts(["the fox sees the fox"]))

# %% [markdown]
# Look at where the cuts are: a space belongs to the word *behind* it. So `fox` in the middle of a sentence is really
# ` fox`, and the text can be put together again without guessing where spaces were. The 32 in front of the numbers is
# that space.
#
# ## Count
#
# {exercise count_pairs}
#
# **Why.** Frequency is all that this algorithm knows. It has no idea of syllables, stems or meaning; whatever
# structure the tokens show in the end comes out of these counts.
#
# **What.** As a loop, which is also nearly the answer:
#
#     for each word, with its count:
#         for each i from 0 to len(word) - 2:
#             counts[word[i], word[i + 1]] += the word's count
#
# **By hand.** `{(7, 8, 7, 8): 3, (8, 7): 2}`. The first word holds (7, 8) twice and (8, 7) once, three times over;
# the second holds (8, 7) once, twice over. So `{(7, 8): 6, (8, 7): 3 + 2 = 5}`. And `{(4, 4, 4): 2}`? (The pair (4,
# 4) stands at two places, in each of two words: 4.)
#
# **Traps.** (1) A word that occurs 500 times counts 500 times, not once. (2) Inside one word a pair can occur several
# times. (3) In `a a a` the pair (a, a) stands at *two* places that overlap, and here both count. Some implementations
# count only what a merge could replace, one; either rule gives a tokenizer, but they are not the same one. (4) Pairs
# never reach from one word into the next. (5) (7, 8) and (8, 7) are two different pairs. (6) A token can be number 0:
# `if token:` is not a question about whether there is one.


# %% tags=["exercise"] exercise="count_pairs"
def count_pairs(words: dict[Word, int]) -> dict[Pair, int]:
    """How often each pair of neighbouring tokens occurs.

    words: {word as a tuple of token ids: how often it occurs}; a word may hold one token, or none.
    Returns {(left, right): count}: over all words, the number of places where `right` follows `left`, times the count
    of the word. Overlapping places all count: (a, a) stands twice in (a, a, a). Pairs that never occur are not in it.

    >>> count_pairs({(7, 8, 7, 8): 3, (8, 7): 2})
    {(7, 8): 6, (8, 7): 5}
    """
    # BEGIN SOLUTION
    counts: dict[Pair, int] = {}
    for ids, occurrences in words.items():
        for pair in pairwise(ids):
            counts[pair] = counts.get(pair, 0) + occurrences
    return counts
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="count_pairs"
# where to start
#
# Two loops, as in the description. `words.items()` gives each word with its count.
# ---
# the neighbours
#
# `zip(ids, ids[1:])` walks through a tuple and through the same tuple without its first item: what comes out are the
# pairs. `pairwise(ids)` from `itertools` is the same.
# ---
# adding up
#
# `counts.get(pair, 0)` is the count so far, or 0 for a pair that is new. A `Counter` or a `defaultdict(int)` does it,
# too.

# %% tags=["check"]
check("count_pairs")

# %% [markdown]
# Now on the real thing: Tinyland's training text, or the third of it on which the course's tokenizer was trained.
# **Predict** the three most frequent pairs of letters. (Think of the most frequent word, and remember what stands in
# front of it.)

# %% tags=["target"] exercise="count_pairs"
from minillm.paths import DATA

texts = (DATA / "corpus" / "train-1.txt").read_text(encoding="utf-8").splitlines()
words = word_counts(texts)
by_pair = count_pairs(words)
print(f"{len(texts)} documents, {sum(words.values())} words, {len(words)} of them different")
print(f"{len(by_pair)} different pairs, and the most frequent are:")
for (left, right), count in sorted(by_pair.items(), key=lambda item: -item[1])[:6]:
    print(f"{chr(left) + chr(right)!r:6} {count:7d}")

# %% [markdown]
# ## Merge
#
# {exercise merge_pair}
#
# **Why.** Merging is how a word is rewritten in the larger vocabulary. It happens twice in the life of a tokenizer:
# in training, after each count; and later for every text that is ever encoded, merge after merge in the same order.
# Both must do exactly the same thing.
#
# **What.** Go through the word from left to right. Where the two tokens at hand are the pair, write the new id and
# step over both; else write the first of them and step over that one.
#
# **By hand.** `(1, 2, 3, 1, 2)` with the pair (1, 2) and the new id 9: `(9, 3, 9)`. Now `(5, 5, 5)` with the pair (5,
# 5): the first two become 9 and are used up, the third is alone: `(9, 5)`. What becomes of `(5, 5, 5, 5, 5)`? (`(9,
# 9, 5)`.)
#
# **Traps.** (1) Every occurrence, not just the first. (2) Step over *both* tokens of a merged pair, or the second is
# used twice. (3) From the left: from the right, `(5, 5, 5)` would become `(5, 9)`. (4) The last token has no right
# neighbour, but must not get lost. (5) Words are keys of a dictionary: return a tuple, not a list.


# %% tags=["exercise"] exercise="merge_pair"
def merge_pair(ids: Word, pair: Pair, new_id: int) -> Word:
    """The word with every occurrence of the pair, from left to right, replaced by one new token.

    ids: tuple of token ids; pair: (left, right); new_id: an id that is not in use yet.
    Returns a tuple. Occurrences that overlap are taken from the left: (a, a, a) becomes (new, a).

    >>> merge_pair((1, 2, 3, 1, 2), (1, 2), 9)
    (9, 3, 9)
    """
    # BEGIN SOLUTION
    merged, i = [], 0
    while i < len(ids):
        if ids[i : i + 2] == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return tuple(merged)
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="merge_pair"
# where to start
#
# A `for` loop cannot skip. Use a `while` loop with a position `i` that you move yourself, by one or by two.
# ---
# the question at each position
#
# `ids[i : i + 2]` is the token at `i` and its right neighbour. At the last position it is a tuple of one, which
# equals no pair: no special case is needed.

# %% tags=["check"]
check("merge_pair")

# %% [markdown]
# ## Train
#
# {exercise train_bpe}
#
# **Why.** This is the tokenizer's whole education, and the only one. What it learns here is frozen: the model of
# lesson 03, and every aligned version of it, will see the world in these pieces.
#
# **What.** (Sennrich et al. 2016, algorithm 1.) `num_merges` times: count the pairs of all words as they are now;
# choose one with the largest count; give it the next free id; merge it in every word. Ids 0 to 255 are the bytes, so
# merge number 0 makes token 256, merge number 1 makes token 257, and so on. If no word holds a pair any more, stop
# early.
#
# **By hand.** The corpus `fox` 5, `box` 3, `fog` 2, with two merges. In bytes, `o` is 111, `x` is 120 and `f` is 102.
# First merge: (111, 120), it makes 256. Second: `f` and `ox`, which is (102, ...)? (256.) The result is `[(111, 120),
# (102, 256)]`.
#
# **Traps.** (1) Count *again* after each merge: the second most frequent pair of the first count may be gone. (2) The
# next id is 256 plus the number of merges so far; smaller ids are taken by the bytes. (3) Merge in every word, with
# the id that belongs to this merge. (4) A corpus can run out of pairs: `max` of nothing is an error. (5) `words`
# belongs to the caller: make a new dictionary in each round.
#
# Ties are free: of pairs that are equally frequent, any is right. The course's own tokenizer takes the one with the
# smallest ids (compared as tuples). Do the same if you want to get the same merges below.


# %% tags=["exercise"] exercise="train_bpe"
def train_bpe(words: dict[Word, int], num_merges: int) -> list[Pair]:
    """Learn merges: each time the most frequent pair of the words as they then are.

    words: {word as a tuple of bytes 0..255: how often it occurs}.
    num_merges: how many merges to learn; fewer come back only if no word has two tokens left. 0 gives [].
    Returns the merges in order; merge number i is a pair of ids and makes token 256 + i.
    Any of several equally frequent pairs may be chosen. Uses count_pairs and merge_pair.
    Sennrich et al. 2016, algorithm 1.
    """
    # BEGIN SOLUTION
    merges: list[Pair] = []
    while len(merges) < num_merges:
        counts = count_pairs(words)
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        words = {merge_pair(ids, best, 256 + len(merges)): count for ids, count in words.items()}
        merges.append(best)
    return merges
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="train_bpe"
# where to start
#
# A loop with four steps: count, choose, merge all the words, remember the pair. The list of merges so far also tells
# you the next id.
# ---
# choosing
#
# `max(counts, key=counts.get)` gives a pair with the largest count. For the course's tie-break: `min(counts,
# key=lambda pair: (-counts[pair], pair))`, the smallest of (minus the count, the pair).
# ---
# rewriting the words
#
# A dictionary comprehension over `words.items()` builds the words of the next round: `merge_pair(...)` of each key,
# with the same count. Two different words can never become equal, since they still stand for different bytes.

# %% tags=["check"]
check("train_bpe")

# %% [markdown]
# Watch it learn on a handful of words. Each line is one round: the new token, the length of the whole text, and how
# some of its words are written from now on. Blanks stand between tokens; `_` is the space in front of a word. Before
# you run it: which two letters go first?

# %% tags=["target"] exercise="train_bpe"
from minillm.tokenizer import Tokenizer

story = "the fox and the ox ate the food of the fox , the food of the ox"
learned = train_bpe(word_counts([story]), 9)
for i in range(1, len(learned) + 1):
    so_far = Tokenizer(learned[:i])  # the library's own, around your merges
    cuts = [so_far.pieces(so_far.encode(word)) for word in (" the", " fox", " ox", " food", " of")]
    shown = "     ".join(" ".join(piece.replace(" ", "_") for piece in cut) for cut in cuts)
    print(f"{so_far.pieces([255 + i])[0].replace(' ', '_'):5} {len(so_far.encode(story)):3d} tokens     {shown}")

# %% [markdown]
# ## Encode
#
# {exercise encode}
#
# **Why.** Training saw a corpus once; encoding is what happens to every text from now on, in training, in chat, in an
# attack. It must cut a word in the same way each time, or the model sees strangers where it knows friends.
#
# **What.** For each word of the text: take its bytes; then, as long as some pair of neighbours is in the list of
# merges, merge the pair that was *learned first*, wherever it stands in the word. Special tokens, such as `<end>`,
# are not text: they have ids of their own and are never cut into pieces.
#
#     for each part of split_specials(text, specials):
#         a special:    its id
#         other text:   for each word of split_words(part):
#                           start from its UTF-8 bytes, apply the merges in the order in which they were learned
#
# **By hand.** Merges: number 0 is `b c`, number 1 is `a b`, number 2 is `a bc`. Encode `abc`. From the left you would
# take `ab`; but `b c` was learned first, so it is merged first: `a bc`. Then number 2 applies: one token, id 258. And
# `ab`? (Number 1: id 257.)
#
# **Traps.** (1) The order of learning decides, not the order in the word. (2) Not the longest piece, either: the
# longest token that fits may be one that merging never reaches. (3) One merge makes the next possible: go on until
# none applies. (4) Words are encoded one by one; a merge must not reach across a space. (5) Bytes, not characters:
# `"é"` is one character and two bytes; use `.encode("utf-8")`. (6) A special token is one id, also when it stands in
# the middle of a text.


# %% tags=["exercise"] exercise="encode"
def encode(text: str, merges: list[Pair], specials: dict[str, int] | None = None) -> list[int]:
    """Token ids of a text.

    text: any string, also an empty one. merges: in the order of learning; number i makes token 256 + i.
    specials: {name: id} of special tokens, or None; where a name stands in the text, its id stands in the result.
    Other text is cut by split_words, and each word is encoded by itself: from its UTF-8 bytes, always the merge
    that was learned first among those that apply, until none does.
    Returns a list of ids. Uses split_specials, split_words and merge_pair. Sennrich et al. 2016, sec. 3.2.
    """
    # BEGIN SOLUTION
    specials = specials or {}
    order = {pair: i for i, pair in enumerate(merges)}
    ids: list[int] = []
    for part in split_specials(text, specials):
        if part in specials:
            ids.append(specials[part])
            continue
        for word in split_words(part):
            tokens = tuple(word.encode("utf-8"))
            while known := [pair for pair in pairwise(tokens) if pair in order]:
                first = min(known, key=order.get)
                tokens = merge_pair(tokens, first, 256 + order[first])
            ids.extend(tokens)
    return ids
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="encode"
# where to start
#
# Do one word without specials first: `tokens = tuple(word.encode("utf-8"))`, then `for i, pair in enumerate(merges)`:
# `merge_pair` with the id 256 + i. Why is going through the list once enough? (A merge that uses token 256 + i was
# learned after merge i.)
# ---
# specials
#
# `split_specials(text, specials)` gives the parts of the text in order; `part in specials` tells which kind it is.
# Put `specials = specials or {}` in the first line, and None needs no case of its own.
# ---
# faster
#
# Most merges do not occur in a word at all. With a dictionary from pair to number you look only at the pairs that the
# word has, and take the one with the smallest number, until there is none.

# %% tags=["check"]
check("encode")

# %% [markdown]
# ## Decode
#
# {exercise decode}
#
# **Why.** A model answers in ids. Nothing may get lost on the way back: what was encoded must come out again, to the
# byte.
#
# **What.** Each token stands for some bytes: tokens 0 to 255 for themselves, token 256 + i for the bytes of the two
# tokens that merge number i joins. Put the bytes of all ids together, then read them as UTF-8.
#
# **By hand.** Merges `[(111, 120), (102, 256)]`, as above. Token 257 is the bytes of 102 and of 256, so `f` and `ox`:
# `fox`. What text is `[257, 32, 111, 257]`? (`fox ofox`.)
#
# **Traps.** (1) Join the bytes first, decode once: a character such as `é` may be spread over two tokens, neither of
# which is text by itself. (2) `chr(byte)` is right for English only. (3) A model can emit bytes that are no UTF-8 at
# all; `errors="replace"` shows a mark for them instead of stopping. (4) The merges nest: token 300 may be made of 290
# and 265, and so on down. (5) Special tokens are shown by their names.


# %% tags=["exercise"] exercise="decode"
def decode(ids: list[int], merges: list[Pair], specials: dict[str, int] | None = None) -> str:
    """The text that token ids stand for.

    ids: list of ids: bytes, merges (number i makes token 256 + i) and, where `specials` gives them, special tokens.
    specials: {name: id} or None; a special token appears as its name.
    Returns the bytes of all tokens joined, read as UTF-8; what is no UTF-8 shows as the mark that
    bytes.decode(errors="replace") puts.

    >>> decode([257, 32, 111, 257], merges=[(111, 120), (102, 256)])
    'fox ofox'
    """
    # BEGIN SOLUTION
    pieces = {byte: bytes([byte]) for byte in range(256)}
    for i, (left, right) in enumerate(merges):
        pieces[256 + i] = pieces[left] + pieces[right]
    for name, number in (specials or {}).items():
        pieces[number] = name.encode("utf-8")
    return b"".join(pieces[token] for token in ids).decode("utf-8", errors="replace")
    # END SOLUTION


# %% [markdown] tags=["hints"] exercise="decode"
# where to start
#
# First make a table from id to bytes: `bytes([b])` for each byte, then the merges in order. When you come to merge i,
# both of its parts are in the table already.
# ---
# the end
#
# `b"".join(...)` puts bytes together; `.decode("utf-8", errors="replace")` makes a string of them, once, at the end.

# %% tags=["check"]
check("decode")

# %% [markdown]
# ## Use it: train on Tinyland
#
# The shipped tokenizer has a certain number of merges; learn as many, with your own functions, on the same text.
# Yours is the plain algorithm, which counts everything anew in each round. It is fast enough all the same, because it
# walks through some hundreds of different words and not through half a million of running ones.
#
# **Predict:** with a few hundred merges, will your list be the same as the shipped one, roughly the same, or another?

# %%
import time

shipped = Tokenizer.load()
started = time.perf_counter()
merges = train_bpe(words, num_merges=len(shipped.merges))
print(f"{len(merges)} merges learned in {time.perf_counter() - started:.1f} s.")

agree = next((i for i, (a, b) in enumerate(zip(merges, shipped.merges)) if a != b), len(merges))
if merges == shipped.merges:
    print("They are the merges of the shipped tokenizer, all of them, in the same order.")
else:
    print(f"The first {agree} are those of the shipped tokenizer; then a tie was broken in another way.")
mine = Tokenizer(merges)  # the library's class around your merges: it encodes fast and spells tokens

# %% [markdown]
# What did it learn first, and what last? The early merges are pieces of everything; among the late ones are many
# whole words, each made in one step from two pieces.

# %%
for title, some_ids in (("first", range(256, 276)), ("last", range(256 + len(merges) - 20, 256 + len(merges)))):
    print(f"{title:6}", " ".join(piece.replace(" ", "_") for piece in mine.pieces(some_ids)))

# %% [markdown]
# ## See it
#
# The same sentence, cut with more and more merges. Hover over a token to see its id; a dot stands for a space.

# %%
from html import escape

from IPython.display import HTML, display

TINTS = ["13,101,148", "220,124,0", "12,166,95", "158,9,250"]


def strip(ids: Iterable[int], tokenizer: Tokenizer) -> str:
    """Tokens as HTML, each in a tint of its own; bytes that are no text by themselves are shown as numbers."""
    spans = []
    for i, token in enumerate(ids):
        text = tokenizer.token_bytes(token).decode("utf-8", errors="backslashreplace").replace(" ", "·")
        style = f"background:rgba({TINTS[i % 4]},.28);padding:2px 3px;border-radius:4px;white-space:pre"
        spans.append(f'<code title="token {token}" style="{style}">{escape(text)}</code>')
    return '<span style="line-height:2">' + " ".join(spans) + "</span>"


def table(rows: Iterable[tuple[str, str]]) -> HTML:
    """Rows of a label and some HTML."""
    cell = "text-align:left;vertical-align:top;padding:2px 14px 2px 0"
    body = "".join(
        f'<tr><td style="{cell};white-space:nowrap">{a}</td><td style="{cell}">{b}</td></tr>' for a, b in rows
    )
    return HTML(f"<table>{body}</table>")


# %%
sentence = "question : what is the food of the lizard ? answer : the food of the lizard is flies ."
sizes = [0, 20, 80, 250, len(merges)]
strips = []
for size in sizes:
    ids = encode(sentence, merges[:size])
    strips.append((f"{256 + size} tokens: {len(ids)}", strip(ids, mine)))
display(table(strips))

# %% [markdown]
# How much shorter do texts get, and where does it stop? We follow two texts while the merges are applied one after
# the other: documents of Tinyland that were not trained on, and a paragraph of ordinary English.
#
# **Predict:** where will Tinyland's curve end, at 1 token a word, at 2? And the English one?

# %%
english = (
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a "
    "wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood, "
    "this truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful "
    "property of some one or other of their daughters."
)
held_out = (DATA / "corpus" / "validation.txt").read_text(encoding="utf-8").splitlines()


def lengths(words: dict[Word, int], merges: list[Pair]) -> list[int]:
    """Tokens of all words together, after 0, 1, 2, ... merges."""
    rows, found = list(words), []
    for i in range(len(merges) + 1):
        found.append(sum(len(ids) * count for ids, count in zip(rows, words.values())))
        if i < len(merges):
            rows = [merge_pair(ids, merges[i], 256 + i) for ids in rows]
    return found


curves = {"Tinyland, held out": word_counts(held_out), "English (Jane Austen)": word_counts([english])}
tokens = {name: lengths(words, merges) for name, words in curves.items()}
for name, counted in curves.items():
    print(f"{name}: {tokens[name][-1] / sum(counted.values()):.3f} tokens a word with all {len(merges)} merges")
record("tokens per word", tokens["Tinyland, held out"][-1] / sum(curves["Tinyland, held out"].values()))

# %%
import matplotlib.pyplot as plt

from minillm import plots

plots.use_style()
figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
for (name, counted), colour in zip(curves.items(), (plots.STAGE_COLOURS["sft"], plots.STAGE_COLOURS["ppo"])):
    sizes = range(256, 256 + len(merges) + 1)
    left.plot(sizes, [n / sum(counted.values()) for n in tokens[name]], color=colour, label=name)
    right.plot(sizes, [tokens[name][0] / n for n in tokens[name]], color=colour, label=name)
left.axhline(1, color=plots.INK, linestyle=":", linewidth=1.2)
left.set(xlabel="vocabulary (tokens)", ylabel="tokens per word", title="Words become single tokens", ylim=(0, None))
right.set(xlabel="vocabulary (tokens)", ylabel="bytes per token", title="... and each token holds more", ylim=(0, None))
left.legend()
plt.show()

# %% [markdown]
# A tokenizer is good at what it was trained on, and only at that. Tinyland's words become single tokens; Jane Austen
# stays in pieces, because her words never entered a count. The tokenizers of large models have the same bias: a
# sentence in Burmese or Amharic costs several times as many tokens as its English translation, and its speakers pay
# for that in money, in waiting time and in context (Petrov et al. 2023).
#
# What does a larger vocabulary cost? One more row in the model's embedding table for each token, and, as you will see
# below, fewer meetings with each of them.
#
# ## Words that nobody has seen
#
# Nothing is out of vocabulary: what no merge covers stays in bytes. **Predict** the number of tokens of each of these
# before you run the cell. Which of them is a word of Tinyland?

# %%
strange = [" lizard", " lizzard", " Lizard", " wolfhound", " naïve", " 🦊", " 日本", "  two  spaces", "<end>"]
rows = []
for text in strange:
    ids = encode(text, merges)
    assert decode(ids, merges) == text
    rows.append((f"<code>{escape(text)}</code> &nbsp; {len(ids)}", strip(ids, mine)))
display(table(rows))
print("All of them come back unchanged from decode.")

# %% [markdown]
# One wrong letter, and a familiar word falls to pieces that the model has hardly met. A capital letter does the same:
# in this world, nobody ever shouted.
#
# The last row was encoded without `specials`, and so `<end>` is plain characters. That is what you want for text that
# *strangers* wrote: if their `<end>` became the real token, they could end the model's turn, or start one as somebody
# else. With `specials` it is one token:

# %%
specials = {name: 256 + len(merges) + i for i, name in enumerate(shipped.specials)}
print(encode("<user> who are you ?<bot>", merges, specials))
print(decode(encode("<user> who are you ?<bot>", merges, specials), merges, specials))

# %% [markdown]
# ## Why can a model not spell?
#
# Ask how many times the letter `r` is in `berries`. You look at the letters. The model looks at this:

# %%
for word in (" berries", " lizard", " goat"):
    print(f"{word!r:12} -> {encode(word, merges)}")
ids = encode(" berries", merges)
if len(ids) == 1:
    print(f"{ids[0]} is one number. It has no r in it, just as it has no berries in it.")

# %% [markdown]
# The letters of a token can only be learned as a fact *about* that number, from texts that spell it out, as one
# learns the capital of a country. Tinyland has no such texts; the internet has some. Reversing a word, rhyming,
# counting letters and adding long numbers (which are cut into odd groups of digits) are hard for language models for
# this reason, more than for any lack of wit.
#
# ## Tokens that no text contains
#
# Every merge made a token, but many were only a step on the way: once `_question` is one token, what becomes of the
# pieces that it was built from? Encode the whole training text and count.
#
# **Predict:** how many of the merged tokens never occur in it: none, a tenth, a third?

# %%
used = Counter(token for ids, count in words.items() for token in mine.encode(bytes(ids).decode()) * count)
learned = range(256, 256 + len(merges))
unused = [token for token in learned if token not in used]
print(f"{len(unused)} of {len(merges)} merged tokens ({len(unused) / len(merges):.0%}) never occur, not even in the")
print("text that they were learned from:", "  ".join(p.replace(" ", "_") for p in mine.pieces(unused[:20])), "...")
record("merged tokens that never occur", 100 * len(unused) / len(merges), unit="%")

# %%
ranked = sorted((used[token] for token in learned), reverse=True)
figure, ax = plt.subplots(figsize=(7, 3.2))
ax.plot(range(1, len(ranked) + 1), [max(count, 0.5) for count in ranked], color=plots.STAGE_COLOURS["sft"])
ax.axvspan(len(merges) - len(unused), len(merges), color=plots.BAD, alpha=0.15)
ax.text(len(merges) - len(unused) / 2, 10, "never\nused", ha="center", color=plots.BAD)
ax.set(yscale="log", xlabel="merged tokens, by how often they occur", ylabel="occurrences (log scale)")
ax.set_title("Many tokens exist only as steps on the way to longer ones")
plt.show()

# %% [markdown]
# The model will have an embedding for each of them, a row of random numbers that training never touches. What happens
# when such a token does turn up in a prompt? Nobody knows, the model least of all. In large models, tokens of this
# kind made models insult people or break off (Rumbelow & Watkins 2023, " SolidGoldMagikarp"; Land & Bartolo 2024 find
# them in nearly every model). In lesson 12, when you search for attacks, remember that they are there.
#
# ## Break it: merges across words
#
# Why cut into words first at all? Let us not: take each document as *one* long word and train on some of them.
# **Predict:** will the text get shorter or longer than with words? What will the tokens be?


# %%
def whole(texts: list[str]) -> dict[Word, int]:
    """Each document as a single word."""
    return {tuple(text.encode("utf-8")): count for text, count in Counter(texts).items()}


few, budget = texts[:250], 150
crossing, within = train_bpe(whole(few), budget), train_bpe(word_counts(few), budget)
longest = sorted(Tokenizer(crossing).pieces(range(256, 256 + budget)), key=len, reverse=True)[:7]
print("longest tokens:", " | ".join(longest))
for name, cut, learned_here in (("words first", word_counts, within), ("no words", whole, crossing)):
    seen, unseen = (lengths(cut(some_texts), learned_here)[-1] for some_texts in (few, held_out[:250]))
    size = [sum(len(text.encode()) for text in some_texts) for some_texts in (few, held_out[:250])]
    print(f"{name:12} {size[0] / seen:.2f} bytes a token on its own text, {size[1] / unseen:.2f} on held-out text")

# %% [markdown]
# Compression alone would not stop you. So look at something else: in how many different ways is the same word
# written, depending on what stands around it?


# %%
def spellings(word: str, texts: list[str], merges: list[Pair], cut) -> int:
    """In how many ways a word is cut, looking at all tokens that overlap with it."""
    ways, tokenizer = set(), Tokenizer(merges)
    for ids in cut([text for text in texts if word in text]):
        for i, pair in enumerate(merges):
            ids = merge_pair(ids, pair, 256 + i)
        pieces, ends = [tokenizer.token_bytes(token) for token in ids], [0]
        for piece in pieces:
            ends.append(ends[-1] + len(piece))
        start = b"".join(pieces).find(word.encode())
        if start >= 0:
            ways.add(tuple(p for p, a, b in zip(pieces, ends, ends[1:]) if a < start + len(word) and b > start))
    return len(ways)


for word in (" food", " color", " home"):
    found = [spellings(word, few, within, word_counts), spellings(word, few, crossing, whole)]
    print(f"{word!r:12} words first: {found[0]} way{'s' * (found[0] != 1)} of writing it, no words: {found[1]}")

# %% [markdown]
# The model would have to learn what a word means once for each of these ways, from a share of the data each. Cutting
# at spaces buys that the same word is the same tokens wherever it stands. (It is still a choice: some recent
# tokenizers allow merges across spaces late in training, for the sake of shorter texts.)
#
# ## Break it: the longest piece that fits
#
# A tempting shortcut for `encode`: from the left, always take the longest token in the vocabulary. It needs no merge
# order, and decodes to the same text. Is it the same?


# %%
def encode_longest(word: str, tokenizer: Tokenizer) -> list[int]:
    """Greedy from the left: the longest token that the rest of the word begins with."""
    rest, ids = word.encode("utf-8"), []
    by_bytes = {tokenizer.token_bytes(token): token for token in range(256 + len(tokenizer.merges))}
    while rest:
        size = max(n for n in range(1, len(rest) + 1) if rest[:n] in by_bytes)
        ids.append(by_bytes[rest[:size]])
        rest = rest[size:]
    return ids


for name, some_texts in (("Tinyland", held_out), ("English", [english])):
    vocabulary = [bytes(ids).decode() for ids in word_counts(some_texts)]
    differ = [word for word in vocabulary if encode_longest(word, mine) != encode(word, merges)]
    print(f"{name}: {len(differ)} of {len(vocabulary)} different words are cut differently")
    example = max(differ, key=len, default=" fox")
    pair = (("merge order", encode(example, merges)), ("longest piece", encode_longest(example, mine)))
    display(table([(kind, strip(ids, mine)) for kind, ids in pair]))

# %% [markdown]
# Both decode to the same text, so no round-trip test would ever notice. But a model trained with one and served with
# the other meets words in a spelling that it has never read, and gets worse for no visible reason. If you ever load a
# model whose answers are slightly off, compare its tokenizer with the original on a page of text first.
#
# ## Clinic
#
# Four people trained a tokenizer on the same text, with the same number of merges. In all four, every text comes back
# unchanged from `decode`. Their curves are drawn below, in no particular order.
#
# - **A** counts every different word once, however often it occurs.
# - **B** counts pairs once, at the start, and then takes the most frequent ones from that first table.
# - **C** lets spaces be words of their own, instead of leaving each with the word behind it.
# - **D** made no mistake.
#
# Before you run the cells, sketch the four curves for yourself. Where does each begin, how fast does it fall, where
# does it end?


# %%
def apart(texts: list[str]) -> dict[Word, int]:
    """Word counts where each space is a word."""
    counts = Counter(piece for text in texts for piece in re.findall(r"\S+|\s", text))
    return {tuple(piece.encode("utf-8")): count for piece, count in counts.items()}


# %%
number, everyday = 290, curves["Tinyland, held out"]
trained = {
    "A": lengths(everyday, train_bpe(dict.fromkeys(words, 1), number)),
    "B": lengths(everyday, [pair for pair, _ in Counter(by_pair).most_common(number)]),
    "C": lengths(apart(held_out), train_bpe(apart(texts), number)),
    "D": lengths(everyday, train_bpe(words, number)),
}
shuffled = [trained[letter] for letter in "CADB"]

figure, ax = plt.subplots(figsize=(6.8, 3.6))
styles = zip(list(plots.STAGE_COLOURS.values())[1:], ["-", "--", "-.", ":"])
for place, (counted, (colour, style)) in enumerate(zip(shuffled, styles), start=1):
    per_word = [n / sum(everyday.values()) for n in counted]
    ax.plot(range(256, 256 + len(per_word)), per_word, style, color=colour, label=f"curve {place}")
ax.set(xlabel="vocabulary (tokens)", ylabel="tokens per word, held out", ylim=(0, None))
ax.set_title("One of these four tokenizers is as it should be")
ax.legend(ncols=2)
plt.show()

# %% [markdown]
# Which curve is whose? Write the numbers of the curves and run both cells.

# %%
diagnosis = {"A": None, "B": None, "C": None, "D": None}  # the number of the curve, 1 to 4, for each letter

# %% tags=["solution"]
diagnosis = {"A": 2, "B": 4, "C": 1, "D": 3}

# %%
right = sum(place is not None and shuffled[place - 1] == trained[letter] for letter, place in diagnosis.items())
if None in diagnosis.values():
    print("Write a number from 1 to 4 for each letter into the cell above, and run it.")
else:
    print(f"{right} of 4 are right." + (" Well diagnosed." if right == 4 else " Look again at where the curves end."))

# %% [markdown]
# <details><summary>The explanation</summary>
#
# The first table of **B** holds pairs of *bytes* only, so no token longer than a few bytes can come out of it, and
# many of its pairs are gone by the time their turn comes, as `f o` was in the example at the top. Its first merge is
# the right one, then the curve goes flat. This is trap 1 of `train_bpe`.
#
# **C** can never join a space to a word. A word and the space before it make two tokens, so the curve comes down
# towards two and stays above it.
#
# **A** treats a word that occurs once like one that occurs ten thousand times. Its merges are sound, but they come in
# the wrong order: the curve stays high and falls in jumps, whenever a frequent word happens to be finished. It would
# catch up with the right one in the end, when all words are whole.
#
# **D** falls fastest. Nothing in the texts that come back could have told you any of this: all four are lossless.
#
# </details>
#
# ## What you have now
#
# - A byte-level BPE tokenizer: five functions, a page of code, the same merges as the one that the course uses.
# - Tinyland in about one token a word; any other text in more, but always without loss.
# - Four things to remember when a model behaves oddly: it sees ids, not letters; it sees another cut when one letter
#   changes; it has tokens that it never met; and special tokens are only as special as `encode` makes them.
#
# **To read.** Gage 1994, *A new algorithm for data compression* (the algorithm, for files). Sennrich, Haddow & Birch
# 2016, *Neural machine translation of rare words with subword units*, algorithm 1 and sec. 3.2 (your `train_bpe` is
# algorithm 1 with byte ids for characters; their end-of-word mark is our leading space). Radford et al. 2019,
# *Language models are unsupervised multitask learners*, sec. 2.2 (bytes as the alphabet, and no merges across
# character classes). Petrov et al. 2023, *Language model tokenizers introduce unfairness between languages*. Land &
# Bartolo 2024, *Fishing for Magikarp*.
#
# Next is [02 · The transformer](02_transformer.ipynb): what to do with a row of ids.
