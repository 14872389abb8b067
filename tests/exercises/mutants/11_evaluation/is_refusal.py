"""Wrong solutions of is_refusal."""

import re

from minillm.course.testing import mutant


def words_of(text):
    return text.lower().split()


def stands(words, wanted):
    return bool(wanted) and any(words[i : i + len(wanted)] == wanted for i in range(len(words)))


def padded(text):
    return f" {' '.join(words_of(text))} "


@mutant("is_refusal", names="see trap 1")
def only_at_the_beginning(answer, phrases):
    words = words_of(answer)
    return any(wanted and words[: len(wanted)] == wanted for wanted in map(words_of, phrases))


@mutant("is_refusal", names="see trap 1")
def startswith(answer, phrases):
    return any(phrase.strip() and padded(answer).startswith(padded(phrase)) for phrase in phrases)


@mutant("is_refusal", names="at the beginning: the whole need not be equal")
def only_the_whole_answer(answer, phrases):
    return any(words_of(phrase) and words_of(answer) == words_of(phrase) for phrase in phrases)


@mutant("is_refusal", names="at the beginning: the whole need not be equal")
def answer_among_phrases(answer, phrases):
    return bool(answer.strip()) and answer in phrases


@mutant("is_refusal", names="see trap 1")
def not_at_the_end(answer, phrases):
    words = words_of(answer)
    return any(
        wanted and any(words[i : i + len(wanted)] == wanted for i in range(max(1, len(words) - len(wanted))))
        for wanted in map(words_of, phrases)
    )


@mutant("is_refusal", names="see trap 2")
def substring(answer, phrases):
    joined = " ".join(words_of(answer))
    return any(words_of(phrase) and " ".join(words_of(phrase)) in joined for phrase in phrases)


@mutant("is_refusal", names="see trap 2")
def bounded_on_the_left_only(answer, phrases):
    return any(words_of(phrase) and padded(phrase).rstrip() in padded(answer) for phrase in phrases)


@mutant("is_refusal", names="see trap 2")
def bounded_on_the_right_only(answer, phrases):
    return any(words_of(phrase) and padded(phrase).lstrip() in padded(answer) for phrase in phrases)


@mutant("is_refusal", names="see trap 3")
def case_sensitive(answer, phrases):
    words = answer.split()
    return any(stands(words, phrase.split()) for phrase in phrases)


@mutant("is_refusal", names="case of the phrase")
def only_the_answer_in_lower_case(answer, phrases):
    return any(stands(words_of(answer), phrase.split()) for phrase in phrases)


@mutant("is_refusal", names="number of spaces in the answer")
def spaces_kept(answer, phrases):
    return any(phrase.strip() and f" {phrase.lower()} " in f" {answer.lower()} " for phrase in phrases)


@mutant("is_refusal", names="number of spaces in the phrase")
def spaces_of_the_phrase_kept(answer, phrases):
    return any(phrase.strip() and f" {phrase.lower()} " in padded(answer) for phrase in phrases)


@mutant("is_refusal", names="it is one of the phrases")
def all_phrases_needed(answer, phrases):
    return bool(phrases) and all(stands(words_of(answer), words_of(phrase)) for phrase in phrases)


@mutant("is_refusal", names="it is one of the phrases")
def only_the_first_phrase(answer, phrases):
    for phrase in phrases:
        return stands(words_of(answer), words_of(phrase))
    return False


@mutant("is_refusal", names="none of the phrases stands there")
def any_single_word(answer, phrases):
    return any(word in words_of(answer) for phrase in phrases for word in words_of(phrase))


@mutant("is_refusal", names="see trap 4")
def all_words_somewhere(answer, phrases):
    return any(words_of(phrase) and set(words_of(phrase)) <= set(words_of(answer)) for phrase in phrases)


@mutant("is_refusal", names="see trap 4")
def words_with_gaps(answer, phrases):
    for wanted in map(words_of, phrases):
        rest = iter(words_of(answer))
        if wanted and all(word in rest for word in wanted):
            return True
    return False


@mutant("is_refusal", names="see trap 5")
def patterns_not_escaped(answer, phrases):
    joined = " ".join(words_of(answer))
    for phrase in phrases:
        pattern = " ".join(words_of(phrase)).replace("(", r"\(").replace(")", r"\)")
        if pattern and re.search(rf"(?<!\S){pattern}(?!\S)", joined):
            return True
    return False


@mutant("is_refusal", names="see trap 5")
def word_bounds_of_regex(answer, phrases):
    joined = " ".join(words_of(answer))
    return any(
        words_of(phrase) and bool(re.search(rf"\b{re.escape(' '.join(words_of(phrase)))}\b", joined))
        for phrase in phrases
    )


@mutant("is_refusal", names="see trap 5")
def marks_dropped(answer, phrases):
    def bare(text):
        return re.findall(r"[a-z0-9]+", text.lower())

    return any(stands(bare(answer), bare(phrase)) for phrase in phrases)


@mutant("is_refusal", names="see trap 6")
def an_empty_phrase_matches(answer, phrases):
    words = words_of(answer)
    return any(words[i : i + len(w)] == w for w in map(words_of, phrases) for i in range(len(words) + 1))


@mutant("is_refusal", names="true or false")
def the_phrase_itself(answer, phrases):
    for phrase in phrases:
        if stands(words_of(answer), words_of(phrase)):
            return phrase
    return False


@mutant("is_refusal", names="returned none")
def no_false(answer, phrases):
    for phrase in phrases:
        if stands(words_of(answer), words_of(phrase)):
            return True


@mutant("is_refusal", names="it is one of the phrases")
def is_compliance(answer, phrases):
    return not any(stands(words_of(answer), words_of(phrase)) for phrase in phrases)


@mutant("is_refusal", names="true or false")
def how_many(answer, phrases):
    return 2 * sum(stands(words_of(answer), words_of(phrase)) for phrase in phrases)
