"""Byte-level byte-pair encoding: text to token ids and back, exactly, for any text.

Ids 0..255 are the bytes, then come the merges in the order in which they were learned, then the special tokens.
Text is first cut into words by one regular expression (a leading space sticks to its word); merges never cross a
word. So a word has one encoding wherever it stands, and encoding is a dictionary look-up per word.

Special tokens have no spaces of their own: ``"<doc> the fox"`` is ``<doc>``, ``" the"``, ``" fox"``, and in
``"the fox <end>"`` a lone space would stand before ``<end>``. So write a space behind a special, none before it.

Lesson 01 builds the same thing in its plainest form. This one differs in speed alone: it counts words once and
updates the pair counts from merge to merge. It does not normalise text, and knows no language.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from minillm.files import atomic_write
from minillm.paths import DATA

WORD = re.compile(r" ?\w+| ?[^\s\w]+|\s+(?!\S)|\s+")
SPECIALS = ("<pad>", "<doc>", "<system>", "<user>", "<bot>", "<end>")
FORMAT = "minillm tokenizer 1"
BYTES = 256
Pair = tuple[int, int]


class TokenizerError(ValueError):
    """A tokenizer file or an input that cannot be used; the message says why in one sentence."""


def split_words(text: str) -> list[str]:
    """Cut text into words; joined they give the text back.

    >>> split_words("the fox , it ran")
    ['the', ' fox', ' ,', ' it', ' ran']
    """
    return WORD.findall(text)


class Tokenizer:
    """Merges and special tokens, and what follows from them: ids, encoding, decoding.

    Args:
        merges: pairs of ids; merge number i makes token 256 + i.
        specials: the special tokens, in the order of their ids.
    """

    def __init__(self, merges: Iterable[Pair], specials: Sequence[str] = SPECIALS):
        self.merges = [(int(a), int(b)) for a, b in merges]
        self.specials = tuple(specials)
        self._bytes = [bytes([b]) for b in range(BYTES)]
        for a, b in self.merges:
            if not (0 <= a < len(self._bytes) and 0 <= b < len(self._bytes)):
                raise TokenizerError(f"merge ({a}, {b}) uses a token that is not made yet")
            self._bytes.append(self._bytes[a] + self._bytes[b])
        if len(set(self.specials)) < len(self.specials) or not all(self.specials):
            raise TokenizerError(f"special tokens must be different and not empty, got {self.specials}")
        if len(set(self.merges)) < len(self.merges):
            raise TokenizerError("the same pair is merged twice")
        self._rank = {pair: BYTES + i for i, pair in enumerate(self.merges)}
        self._special_ids = {name: len(self._bytes) + i for i, name in enumerate(self.specials)}
        longest_first = sorted(map(re.escape, self.specials), key=len, reverse=True)
        self._special_pattern = re.compile("(" + "|".join(longest_first) + ")") if self.specials else None
        self._cache: dict[str, tuple[int, ...]] = {}

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, specials: Sequence[str] = SPECIALS) -> "Tokenizer":
        """Learn merges until the vocabulary has ``vocab_size`` tokens, or no pair is left to merge.

        Each step merges the most frequent pair of neighbouring tokens; of equally frequent pairs, the one with the
        smallest ids, compared as tuples. Special tokens in the texts are skipped. (Sennrich et al. 2016, algorithm 1)
        """
        number = vocab_size - BYTES - len(specials)
        if number < 0:
            least = BYTES + len(specials)
            raise TokenizerError(f"vocab_size must be at least {least}, the bytes and the specials; got {vocab_size}")
        plain = cls([], specials)
        words: Counter[str] = Counter()
        for text in texts:
            for part in plain._parts(text):
                words.update(split_words(part) if part not in plain._special_ids else ())
        return cls(_learn_merges(words, number), specials)

    # -- text and ids -------------------------------------------------------------------------------------------

    def encode(self, text: str, specials: bool = True) -> list[int]:
        """Text to ids.

        With ``specials=False`` the text ``"<end>"`` is five plain characters: for text that strangers wrote.
        """
        ids: list[int] = []
        for part in self._parts(text) if specials else [text]:
            special = self._special_ids.get(part) if specials else None
            if special is not None:
                ids.append(special)
            else:
                for word in split_words(part):
                    ids.extend(self._cache.get(word) or self._encode_word(word))
        return ids

    def decode(self, ids: Iterable[int], specials: bool = True) -> str:
        """Ids to text; ``specials=False`` leaves special tokens out. Bytes that are no UTF-8 show as the mark �."""
        pieces = [self.token_bytes(i) for i in ids if specials or int(i) < len(self._bytes)]
        return b"".join(pieces).decode("utf-8", errors="replace")

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token; a special token's are its name."""
        token = int(token)
        if 0 <= token < len(self._bytes):
            return self._bytes[token]
        if len(self._bytes) <= token < self.vocab_size:
            return self.specials[token - len(self._bytes)].encode("utf-8")
        raise TokenizerError(f"token {token} is not in the vocabulary of {self.vocab_size}")

    def pieces(self, ids: Iterable[int]) -> list[str]:
        """Each token as text of its own, for tables.

        >>> Tokenizer([(104, 105)]).pieces([256, 33])
        ['hi', '!']
        """
        return [self.token_bytes(i).decode("utf-8", errors="replace") for i in ids]

    def _parts(self, text: str) -> list[str]:
        """The text cut at special tokens, which become parts of their own."""
        return self._special_pattern.split(text) if self._special_pattern else [text]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        try:
            ids: tuple[int, ...] = tuple(word.encode("utf-8"))
        except UnicodeEncodeError as error:
            raise TokenizerError(f"the text holds {word[error.start]!r}, half of a surrogate pair") from None
        while len(ids) > 1:
            best = min(pairwise(ids), key=lambda pair: self._rank.get(pair, self.vocab_size))
            if best not in self._rank:
                break
            ids = _replace(ids, best, self._rank[best])
        self._cache[word] = ids
        return ids

    # -- the vocabulary -----------------------------------------------------------------------------------------

    @property
    def vocab_size(self) -> int:
        return len(self._bytes) + len(self.specials)

    def special(self, name: str) -> int:
        """The id of a special token such as ``"<end>"``."""
        if name not in self._special_ids:
            raise TokenizerError(f"this tokenizer has no special token {name!r}; it has {', '.join(self.specials)}")
        return self._special_ids[name]

    @property
    def special_ids(self) -> tuple[int, ...]:
        return tuple(self._special_ids.values())

    @property
    def pad(self) -> int:
        return self.special("<pad>")

    @property
    def doc(self) -> int:
        return self.special("<doc>")

    @property
    def system(self) -> int:
        return self.special("<system>")

    @property
    def user(self) -> int:
        return self.special("<user>")

    @property
    def bot(self) -> int:
        return self.special("<bot>")

    @property
    def end(self) -> int:
        return self.special("<end>")

    @property
    def hash(self) -> str:
        """16 hex digits that differ for tokenizers that differ: checkpoints carry it."""
        content = json.dumps([self.merges, self.specials], separators=(",", ":"))
        return hashlib.sha256(content.encode("utf-8")).hexdigest()[:16]

    # -- files --------------------------------------------------------------------------------------------------

    def save(self, path: Path | str) -> Path:
        """Write the tokenizer as JSON, in one step."""
        merges = ",\n    ".join(json.dumps(pair) for pair in self.merges)
        specials = json.dumps(list(self.specials))
        text = (
            f'{{\n  "format": "{FORMAT}",\n  "hash": "{self.hash}",\n  "specials": {specials},\n'
            f'  "merges": [\n    {merges}\n  ]\n}}\n'
        )
        return atomic_write(path, text)

    @classmethod
    def load(cls, path: Path | str = DATA / "tokenizer.json") -> "Tokenizer":
        """Read a tokenizer, by default Tinyland's; a file that is not a sound one raises TokenizerError."""
        path = Path(path)
        try:
            content = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise TokenizerError(f"there is no tokenizer at {path}") from None
        except (OSError, UnicodeDecodeError) as error:
            raise TokenizerError(f"{path} cannot be read as text: {error}") from None
        if not content.strip():
            raise TokenizerError(f"{path} is empty")
        try:
            data = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            raise TokenizerError(f"{path} is damaged: it is not JSON ({error})") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise TokenizerError(f'{path} is not a minillm tokenizer (its "format" is not "{FORMAT}")')
        try:
            tokenizer = cls([(a, b) for a, b in data["merges"]], [str(name) for name in data["specials"]])
        except (KeyError, TypeError, ValueError) as error:
            raise TokenizerError(f"{path} is damaged: {error}") from None
        if tokenizer.hash != data.get("hash"):
            raise TokenizerError(f"{path} is damaged: its merges and specials do not give the hash it states")
        return tokenizer


def _learn_merges(words: Counter[str], number: int) -> list[Pair]:
    """The merges, from word counts; pair counts are corrected only for words that a merge changes."""
    spelling = [tuple(word.encode("utf-8", errors="replace")) for word in words]
    frequency = list(words.values())
    counts: Counter[Pair] = Counter()
    places: dict[Pair, set[int]] = {}
    for i, ids in enumerate(spelling):
        for pair in pairwise(ids):
            counts[pair] += frequency[i]
            places.setdefault(pair, set()).add(i)

    merges: list[Pair] = []
    while len(merges) < number and counts:
        _, best = min((-count, pair) for pair, count in counts.items())
        new = BYTES + len(merges)
        merges.append(best)
        for i in places.pop(best):
            before = spelling[i]
            after = _replace(before, best, new)
            spelling[i] = after
            for pair in pairwise(before):
                counts[pair] -= frequency[i]
                if pair in places:
                    places[pair].discard(i)
                if counts[pair] <= 0:
                    del counts[pair]
            for pair in pairwise(after):
                counts[pair] += frequency[i]
                places.setdefault(pair, set()).add(i)
    return merges


def _replace(ids: tuple[int, ...], pair: Pair, new: int) -> tuple[int, ...]:
    """``ids`` with ``pair`` replaced by ``new`` wherever it stands, from the left: (a, a) in a a a is merged once."""
    out: list[int] = []
    for token in ids:
        if out and (out[-1], token) == pair:
            out[-1] = new
        else:
            out.append(token)
    return tuple(out)
