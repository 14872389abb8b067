"""Names that people type: finding the lesson or the exercise that was meant."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something that the person at the keyboard can put right; shown as its sentence, without a traceback."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`` Did you mean `x`?`` for the nearest of ``choices``, or an empty string where none is near."""
    by_lower = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    return f" Did you mean `{by_lower[near[0]]}`?" if near else ""
