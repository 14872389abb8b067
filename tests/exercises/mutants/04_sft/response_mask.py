"""Wrong solutions of response_mask: what students write, and the word that the message must hold."""

import torch

from minillm.course.testing import mutant


def spans(tokens, bot_id, end_id):
    """First token behind each <bot>, and the place of its <end> (the length where there is none)."""
    ids = torch.as_tensor(tokens).tolist()
    found = []
    for i, token in enumerate(ids):
        if token == bot_id:
            found.append((i + 1, next((j for j in range(i, len(ids)) if ids[j] == end_id), len(ids))))
    return found, len(ids)


def filled(pairs, length):
    mask = torch.zeros(length, dtype=torch.bool)
    for start, stop in pairs:
        mask[start:stop] = True
    return mask


@mutant("response_mask", names="<bot> itself is counted")
def counts_bot(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a - 1, b + 1) for a, b in found], length)


@mutant("response_mask", names="<end> is not counted")
def end_masked_out(tokens, bot_id, end_id):
    return filled(*spans(tokens, bot_id, end_id))


@mutant("response_mask", names="off by one at both ends")
def off_by_one(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a - 1, b) for a, b in found], length)


@mutant("response_mask", names="later questions too")
def everything_after_the_first_bot(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, length) for a, _ in found[:1]], length)


@mutant("response_mask", names="only the first answer")
def first_answer_only(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, b + 1) for a, b in found[:1]], length)


@mutant("response_mask", names="only the last answer")
def last_answer_only(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, b + 1) for a, b in found[-1:]], length)


@mutant("response_mask", names="cut off")
def cut_off_answers_do_not_count(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, b + 1) for a, b in found if b < length], length)


@mutant("response_mask", names="turned round")
def inverted(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return ~filled([(a, b + 1) for a, b in found], length)


@mutant("response_mask", names="everything counts")
def all_tokens(tokens, bot_id, end_id):
    return torch.ones(len(tokens), dtype=torch.bool)


@mutant("response_mask", names="off by one at both ends")
def mask_of_the_reading_position(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    mask = filled([(a, b + 1) for a, b in found], length)
    return torch.cat([mask[1:], torch.zeros(1, dtype=torch.bool)])


@mutant("response_mask", names="after <end>")
def one_token_too_far(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, b + 2) for a, b in found], length)


@mutant("response_mask", names="first word")
def loses_the_first_word(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a + 1, b + 1) for a, b in found], length)


@mutant("response_mask", names="not a list")
def a_list_of_numbers(tokens, bot_id, end_id):
    found, length = spans(tokens, bot_id, end_id)
    return filled([(a, b + 1) for a, b in found], length).long().tolist()
