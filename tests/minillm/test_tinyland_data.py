"""data/: rebuilt byte for byte, small, and read back as it was written."""

import json

import pytest

from minillm.paths import DATA
from minillm.tinyland import build, corpus
from minillm.tinyland.requests import KINDS, all_requests
from minillm.tinyland.splits import SPLITS
from minillm.tokenizer import SPECIALS, Tokenizer

GENERATED = [path for path in DATA.rglob("*") if path.suffix in (".txt", ".jsonl", ".json")]


def test_data_is_what_the_code_writes_byte_for_byte():
    assert build.differences(DATA) == []


def test_writing_elsewhere_gives_the_same_files_and_a_changed_one_is_named(tmp_path, capsys):
    assert build.main(["--out", str(tmp_path)]) == 0
    for path in tmp_path.rglob("*.*"):
        assert path.read_bytes() == (DATA / path.relative_to(tmp_path)).read_bytes(), path.name
    (tmp_path / "facts.jsonl").write_text("{}\n")
    (tmp_path / "tokenizer.json").write_text("")
    assert build.main(["--out", str(tmp_path), "--check"]) == 1
    assert "not up to date: facts.jsonl, tokenizer.json" in capsys.readouterr().out


def test_files_are_small():
    sizes = {path.name: path.stat().st_size for path in GENERATED}
    assert max(sizes.values()) < 3e6, sizes
    assert sum(sizes.values()) < 12e6, sizes


def test_the_corpus_is_read_back_as_it_was_sampled():
    train, validation = corpus.load("train"), corpus.load("validation")
    assert len(train) == build.TRAIN_FILES * build.DOCUMENTS_PER_FILE
    assert train[: build.DOCUMENTS_PER_FILE] == corpus.documents(build.DOCUMENTS_PER_FILE, seed=1)
    assert validation == corpus.documents(build.VALIDATION_DOCUMENTS, seed=build.VALIDATION_SEED)
    assert train[:100] != validation[:100]


def test_requests_in_data_are_the_requests_of_the_code():
    rows = [json.loads(line) for line in (DATA / "requests.jsonl").read_text().splitlines()]
    assert [(row["text"], row["split"]) for row in rows] == [(r.text, r.split) for r in all_requests()]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.load(DATA / "tokenizer.json")


def test_nearly_every_word_is_one_token(tokenizer):
    assert 700 <= tokenizer.vocab_size <= 1000
    assert tokenizer.specials == SPECIALS
    texts = corpus.load("validation")
    tokens = sum(len(tokenizer.encode(text)) for text in texts)
    assert tokens <= 1.1 * sum(len(text.split()) for text in texts)


def test_every_listed_answer_is_shorter_than_40_tokens(tokenizer):
    assert max(len(tokenizer.encode(answer)) for request in all_requests() for answer in request.answers) < 40


def test_an_encoded_document_begins_with_doc_and_decodes_to_itself(tokenizer):
    for text in corpus.load("validation")[:200]:
        ids = corpus.encode_document(tokenizer, text)
        assert ids[0] == tokenizer.doc
        assert tokenizer.decode(ids[1:]) == text


def test_the_data_card_names_every_file_every_kind_and_the_licence():
    card = (DATA / "README.md").read_text(encoding="utf-8")
    for needed in (
        "Licence",
        "facts.jsonl",
        "requests.jsonl",
        "tokenizer.json",
        "corpus/validation.txt",
        *KINDS,
        *corpus.MIX,
    ):
        assert needed in card, needed


def test_the_data_card_counts_what_there_is():
    card = (DATA / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        counts = " | ".join(str(len(all_requests(kind, split))) for split in SPLITS)
        assert f"| {kind} | {counts} |" in card, kind
