"""Right solutions of response_mask that look different."""

import torch

from minillm.course.testing import variant


@variant("response_mask")
def with_running_counts(tokens, bot_id, end_id):
    tokens = torch.as_tensor(tokens)
    opened = (tokens == bot_id).long().cumsum(0)
    closed = (tokens == end_id).long().cumsum(0)
    before = torch.cat([torch.zeros(1, dtype=torch.long), (opened - closed)[:-1]])
    return before > 0


@variant("response_mask")
def with_spans(tokens, bot_id, end_id):
    ids = tokens.tolist() if isinstance(tokens, torch.Tensor) else tokens
    mask = torch.zeros(len(ids), dtype=torch.float64)
    start = 0
    while bot_id in ids[start:]:
        first = ids.index(bot_id, start) + 1
        last = ids.index(end_id, first) + 1 if end_id in ids[first:] else len(ids)
        mask[first:last] = 1
        start = last
    return mask


@variant("response_mask")
def looking_back(tokens, bot_id, end_id):
    ids = torch.as_tensor(tokens).tolist()
    counted = []
    for i in range(len(ids)):
        before = [token for token in ids[:i] if token in (bot_id, end_id)]
        counted.append(bool(before) and before[-1] == bot_id)
    return torch.tensor(counted)


@variant("response_mask")
def with_a_state(tokens, bot_id, end_id):
    state, out = 0, torch.zeros(len(tokens), dtype=torch.long)
    for i, token in enumerate(tokens):
        out[i] = state
        if int(token) == bot_id:
            state = 1
        if int(token) == end_id:
            state = 0
    return out
