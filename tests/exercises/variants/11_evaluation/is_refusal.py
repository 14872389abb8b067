"""Right solutions of is_refusal that look different."""

import re

from minillm.course.testing import variant


@variant("is_refusal")
def spaces_at_both_ends(answer, phrases):
    text = f" {' '.join(answer.casefold().split())} "
    wanted = (" ".join(phrase.casefold().split()) for phrase in phrases)
    return any(f" {phrase} " in text for phrase in wanted if phrase)


@variant("is_refusal")
def escaped_pattern(answer, phrases):
    for phrase in phrases:
        words = [re.escape(word) for word in phrase.split()]
        pattern = r"(?<!\S)" + r"\s+".join(words) + r"(?!\S)"
        if words and re.search(pattern, answer, re.IGNORECASE):
            return True
    return False


@variant("is_refusal")
def word_by_word(answer, phrases):
    words = [word.lower() for word in answer.split()]
    found = False
    for phrase in phrases:
        wanted = [word.lower() for word in phrase.split()]
        for start in range(len(words)):
            k = 0
            while wanted and k < len(wanted) and start + k < len(words) and words[start + k] == wanted[k]:
                k += 1
            found = found or (len(wanted) > 0 and k == len(wanted))
    return found


@variant("is_refusal")
def sets_of_runs(answer, phrases):
    words = tuple(answer.lower().split())
    runs = {words[i:j] for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
    return not runs.isdisjoint(tuple(phrase.lower().split()) for phrase in phrases)


@variant("is_refusal")
def one_or_zero(answer, phrases):
    text = " " + " ".join(answer.lower().split()) + " "
    hits = 0
    for phrase in phrases:
        if phrase.strip() != "":
            hits += text.count(" " + " ".join(phrase.lower().split()) + " ")
    return int(hits > 0)
