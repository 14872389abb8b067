"""The clinic of a lesson: pictures of broken runs, and whether the student's diagnosis of each is right.

In a master, the cell that breaks things and draws carries the tag ``clinic``: the solution notebook shows the code,
the student's notebook the pictures alone. The key holds digests, so that the notebook does not tell the answers.
"""

import hashlib
from collections.abc import Mapping


def digest(case: str, answer: object) -> str:
    """What the key of a clinic holds for a case.

    >>> digest("A", 3) == digest("A", "3")
    True
    """
    return hashlib.sha256(f"{case}={str(answer).strip().lower()}".encode()).hexdigest()[:8]


def diagnose(answers: Mapping[str, object], key: Mapping[str, str]) -> None:
    """Print, for each case, whether the answer is right; None or "" is one that was not given yet.

    answers: {case: answer}; key: {case: digest(case, right answer)}.
    """
    words, right = [], 0
    for case, expected in key.items():
        answer = answers.get(case)
        if answer is None or answer == "":
            words.append(f"{case}: no answer yet")
        elif digest(case, answer) == expected:
            words.append(f"{case}: {answer} is right")
            right += 1
        else:
            words.append(f"{case}: {answer} is not it, look again")
    ending = "Open the explanation below and compare." if right == len(key) else "Look again before you open it."
    print("\n".join([*words, f"{right} of {len(key)}. {ending}"]))
