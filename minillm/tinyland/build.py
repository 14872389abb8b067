"""Write data/ from the seed: `python -m minillm data`.

Every file is text, follows from the code and `splits.SEED` alone, and is the same byte for byte on every
machine. `--check` rebuilds in memory and names the files that differ.
"""

import argparse
import json
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from minillm.files import atomic_write
from minillm.paths import DATA
from minillm.tokenizer import Tokenizer

from . import corpus, facts, requests
from .card import card

TRAIN_FILES, DOCUMENTS_PER_FILE = 3, 30_000
VALIDATION_DOCUMENTS = 4_000
VALIDATION_SEED = 100  # the training files have the seeds 1, 2, ...
VOCABULARY = 1_000


def contents() -> dict[str, str]:
    """Every file of data/ that is generated, by its name: the text it must hold."""
    files = {
        f"corpus/train-{i}.txt": _lines(corpus.documents(DOCUMENTS_PER_FILE, seed=i)) for i in range(1, TRAIN_FILES + 1)
    }
    files["corpus/validation.txt"] = _lines(corpus.documents(VALIDATION_DOCUMENTS, seed=VALIDATION_SEED))
    files["facts.jsonl"] = _json_lines(asdict(fact) for fact in facts.all_facts())
    files["requests.jsonl"] = _json_lines(asdict(request) for request in requests.all_requests())
    tokenizer = Tokenizer.train(files["corpus/train-1.txt"].splitlines(), VOCABULARY)
    files["tokenizer.json"] = _tokenizer_file(tokenizer)
    files["README.md"] = card({name: len(text) for name, text in files.items()}, tokenizer)
    return files


def write(folder: Path = DATA) -> list[Path]:
    """Write every file under the folder."""
    return [atomic_write(folder / name, text) for name, text in contents().items()]


def differences(folder: Path = DATA) -> list[str]:
    """The names of the files under the folder that are missing or not what the code writes."""
    return [name for name, text in contents().items() if _read(folder / name) != text.encode("utf-8")]


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m minillm data", description="Write Tinyland's data from its seed.")
    parser.add_argument("--out", type=Path, default=DATA, metavar="FOLDER", help="where to write (default: data/)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the folder is not up to date")
    options = parser.parse_args(argv)
    if options.check:
        wrong = differences(options.out)
        print(f"not up to date: {', '.join(wrong)}" if wrong else f"{options.out} is what the code writes")
        return 1 if wrong else 0
    for path in write(options.out):
        print(f"{path.stat().st_size / 1e6:6.2f} MB  {path}")
    return 0


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _tokenizer_file(tokenizer: Tokenizer) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return tokenizer.save(Path(folder) / "tokenizer.json").read_text(encoding="utf-8")


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _json_lines(rows: Iterable[dict]) -> str:
    return _lines(json.dumps(row) for row in rows)


if __name__ == "__main__":
    raise SystemExit(main())
