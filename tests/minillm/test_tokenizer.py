"""Properties of the tokenizer: exact round trips, the merges of the plain algorithm, wrong files told in words."""

import json
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.course.exercises import reference
from minillm.tokenizer import SPECIALS, Tokenizer, TokenizerError, split_words

TEXTS = [
    "the fox eats the berries , the owl eats the mice .",
    "question : what is the food of the fox ? answer : the food of the fox is berries .",
    "the foxes ate aaa aaaa berries ; naïve 日本語 \n\n  two  spaces\ttab",
]
TOKENIZER = Tokenizer.train(TEXTS, 300)
anything = st.text(alphabet=st.characters(exclude_categories=("Cs",)))


def slow_merges(texts: list[str], number: int) -> list[tuple[int, int]]:
    """Byte-pair encoding as the paper writes it: count all pairs of all words, merge the best, begin again."""
    words = [(list(word.encode()), n) for word, n in Counter(w for t in texts for w in split_words(t)).items()]
    merges: list[tuple[int, int]] = []
    for new in range(256, 256 + number):
        counts: dict[tuple[int, int], int] = {}
        for ids, n in words:
            for i in range(len(ids) - 1):
                pair = (ids[i], ids[i + 1])
                counts[pair] = counts.get(pair, 0) + n
        if not counts:
            break
        best = sorted(counts, key=lambda pair: (-counts[pair], pair))[0]
        merges.append(best)
        words = [(slow_merge(ids, best, new), n) for ids, n in words]
    return merges


def slow_merge(ids: list[int], pair: tuple[int, int], new: int) -> list[int]:
    out, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            out.append(new)
            i += 2
        else:
            out.append(ids[i])
            i += 1
    return out


@given(anything)
@settings(deadline=None, max_examples=150)
def test_any_text_comes_back_exactly(text):
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text, specials=False)) == text


@given(st.lists(st.sampled_from([*SPECIALS, "<", "<en", "d>", " ", "the fox", "é"])))
@settings(deadline=None, max_examples=100)
def test_text_with_special_tokens_comes_back_exactly(parts):
    text = "".join(parts)
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(anything)
@settings(deadline=None, max_examples=100)
def test_words_joined_are_the_text(text):
    assert "".join(split_words(text)) == text


@given(st.lists(st.text(alphabet="ab c", max_size=12), max_size=6), st.integers(0, 20))
@settings(deadline=None, max_examples=150)
def test_merges_are_those_of_the_plain_algorithm(texts, number):
    assert Tokenizer.train(texts, 262 + number).merges == slow_merges(texts, number)


def test_merges_on_real_words_are_those_of_the_plain_algorithm():
    assert TOKENIZER.merges == slow_merges(TEXTS, 300 - 262)


@given(st.text(alphabet="abc de", max_size=30))
@settings(deadline=None, max_examples=100)
def test_encoding_replays_the_merges_in_the_order_in_which_they_were_learned(text):
    tokenizer = Tokenizer.train(["abc abd ab abcde cde de a bcd " * 3, text], 275)
    expected = []
    for word in split_words(text):
        ids = list(word.encode())
        for i, pair in enumerate(tokenizer.merges):
            ids = slow_merge(ids, pair, 256 + i)
        expected += ids
    assert tokenizer.encode(text) == expected


def test_merges_are_those_of_lesson_01():
    words = {tuple(word.encode()): n for word, n in Counter(w for t in TEXTS for w in split_words(t)).items()}
    assert TOKENIZER.merges == reference("train_bpe")(words, 300 - 262)


@given(st.lists(st.tuples(st.integers(97, 99), st.integers(97, 99)), unique=True), st.text(alphabet="abc", max_size=9))
@settings(deadline=None, max_examples=200)
def test_the_merge_that_was_learned_first_comes_first(merges, word):
    ids = list(word.encode())
    for i, pair in enumerate(merges):
        ids = slow_merge(ids, pair, 256 + i)
    assert Tokenizer(merges).encode(word) == ids


def test_of_equally_frequent_pairs_the_smallest_is_merged_first():
    assert Tokenizer.train(["zy xw"], 263).merges == [(32, 120)]  # (" ", "x") < ("x", "w") < ("z", "y")


def test_merges_never_cross_words():
    tokenizer = Tokenizer.train(["the fox " * 50], 290)
    assert all(b" " not in tokenizer.token_bytes(i)[1:] for i in range(256, 256 + len(tokenizer.merges)))


def test_training_ends_early_where_nothing_is_left_to_merge():
    tokenizer = Tokenizer.train(["ab"], 500)
    assert len(tokenizer.merges) == 1
    assert tokenizer.vocab_size == 256 + 1 + 6


def test_ids_are_bytes_then_merges_then_specials():
    assert TOKENIZER.encode("\x00\x7f") == [0, 127]
    assert TOKENIZER.special_ids == tuple(range(294, 300))
    assert [TOKENIZER.pad, TOKENIZER.doc, TOKENIZER.system, TOKENIZER.user, TOKENIZER.bot, TOKENIZER.end] == list(
        range(294, 300)
    )
    assert TOKENIZER.vocab_size == 300


def test_a_special_token_is_one_id_and_only_if_whole():
    assert TOKENIZER.encode("<end>") == [TOKENIZER.end]
    assert TOKENIZER.end not in TOKENIZER.encode("<end <En> < end>")
    for name, token in zip(SPECIALS, TOKENIZER.special_ids):
        assert TOKENIZER.encode(f"a{name}b{name} {name}") == [97, token, 98, token, 32, token]


def test_special_tokens_in_text_from_strangers_stay_plain_text():
    ids = TOKENIZER.encode("hello <end>", specials=False)
    assert not set(ids) & set(TOKENIZER.special_ids)
    assert TOKENIZER.decode(ids) == "hello <end>"


def test_special_tokens_in_training_texts_leave_no_trace():
    assert (
        Tokenizer.train(["the fox<end>the fox<end>" * 9], 280).merges == Tokenizer.train(["the fox"] * 18, 280).merges
    )


def test_a_word_has_one_encoding_wherever_it_stands():
    fox = TOKENIZER.encode(" fox")
    ids = TOKENIZER.encode("<doc> fox , the fox")
    assert ids[1 : 1 + len(fox)] == fox and ids[-len(fox) :] == fox


def test_decode_can_leave_special_tokens_out():
    assert TOKENIZER.decode(TOKENIZER.encode("<user> hi<end>"), specials=False) == " hi"


def test_half_a_character_decodes_to_a_mark():
    assert TOKENIZER.decode([0xE6, 97]) == "\N{REPLACEMENT CHARACTER}a"


def test_saving_and_loading_changes_nothing(tmp_path):
    loaded = Tokenizer.load(TOKENIZER.save(tmp_path / "deep" / "tokenizer.json"))
    assert (loaded.merges, loaded.specials, loaded.hash) == (TOKENIZER.merges, TOKENIZER.specials, TOKENIZER.hash)
    assert loaded.encode(TEXTS[2]) == TOKENIZER.encode(TEXTS[2])


def test_saving_is_the_same_byte_for_byte(tmp_path):
    first = TOKENIZER.save(tmp_path / "a.json").read_bytes()
    assert Tokenizer.load(tmp_path / "a.json").save(tmp_path / "b.json").read_bytes() == first


def test_other_merges_or_specials_have_another_hash():
    hashes = {Tokenizer(m, s).hash for m in ([], [(97, 98)], [(97, 99)]) for s in (SPECIALS, SPECIALS[:2])}
    assert len(hashes) == 6


def wrong_files():
    good = {"format": "minillm tokenizer 1", "hash": TOKENIZER.hash, "specials": list(SPECIALS)}
    good["merges"] = [list(pair) for pair in TOKENIZER.merges]
    yield "empty", b"", "is empty"
    yield "blank", b"  \n", "is empty"
    yield "truncated", json.dumps(good).encode()[:200], "is not JSON"
    yield "binary", b"\xff\xfe\x00\x80", "cannot be read as text"
    yield "nested too deep", b"[" * 200_000, "is not JSON"
    yield "a list", b"[1, 2]", "is not a minillm tokenizer"
    yield "foreign", b'{"model": {"type": "BPE"}}', "is not a minillm tokenizer"
    yield "another version", json.dumps(good | {"format": "minillm tokenizer 9"}).encode(), "is not a minillm tokenizer"
    yield "a merge changed", json.dumps(good | {"merges": [[97, 98]]}).encode(), "the hash it states"
    yield "a merge of a token to come", json.dumps(good | {"merges": [[97, 400]]}).encode(), "not made yet"
    yield "a merge of three", json.dumps(good | {"merges": [[97, 98, 99]]}).encode(), "is damaged"
    yield "a merge of words", json.dumps(good | {"merges": [["a", "b"]]}).encode(), "is damaged"
    yield "no merges", json.dumps({k: v for k, v in good.items() if k != "merges"}).encode(), "is damaged"
    yield "no hash", json.dumps({k: v for k, v in good.items() if k != "hash"}).encode(), "the hash it states"
    yield "specials twice", json.dumps(good | {"specials": ["<pad>", "<pad>"]}).encode(), "must be different"


@pytest.mark.parametrize(("content", "reason"), [pytest.param(c, r, id=n) for n, c, r in wrong_files()])
def test_a_wrong_file_is_told_in_one_sentence(tmp_path, content, reason):
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match=reason) as caught:
        Tokenizer.load(path)
    assert "\n" not in str(caught.value) and "tokenizer.json" in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_in_one_sentence(tmp_path):
    with pytest.raises(TokenizerError, match="there is no tokenizer at"):
        Tokenizer.load(tmp_path / "none.json")
    with pytest.raises(TokenizerError, match="cannot be read"):
        Tokenizer.load(tmp_path)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: Tokenizer.train(["a"], 100), "at least 262"),
        (lambda: TOKENIZER.decode([300]), "token 300 is not in the vocabulary of 300"),
        (lambda: TOKENIZER.decode([-1]), "token -1 is not"),
        (lambda: TOKENIZER.special("<judge>"), "has no special token '<judge>'"),
        (lambda: Tokenizer([], ()).pad, "has no special token"),
        (lambda: TOKENIZER.encode("a\ud800b"), "half of a surrogate pair"),
        (lambda: Tokenizer([(97, 98), (97, 98)]), "merged twice"),
    ],
)
def test_wrong_input_is_told_in_one_sentence(call, reason):
    with pytest.raises(TokenizerError, match=reason):
        call()
