"""Right solutions of collate that look different."""

import torch
from torch.nn.utils.rnn import pad_sequence

from minillm.course.testing import variant


@variant("collate")
def with_pad_sequence(examples, pad_id):
    tokens = pad_sequence([torch.tensor(ids) for ids, _ in examples], batch_first=True, padding_value=pad_id)
    masks = [torch.as_tensor(mask) for _, mask in examples]
    return tokens, pad_sequence(masks, batch_first=True, padding_value=False)


@variant("collate")
def with_lists(examples, pad_id):
    width = max(len(ids) for ids, _ in examples)
    tokens = [list(ids) + [pad_id] * (width - len(ids)) for ids, _ in examples]
    masks = [[float(m) for m in mask] + [0.0] * (width - len(mask)) for _, mask in examples]
    return torch.LongTensor(tokens), torch.tensor(masks, dtype=torch.float64)


@variant("collate")
def with_functional_pad(examples, pad_id):
    width = max(len(mask) for _, mask in examples)
    pad = torch.nn.functional.pad
    tokens = torch.stack([pad(torch.tensor(ids), (0, width - len(ids)), value=pad_id) for ids, _ in examples])
    masks = torch.stack([pad(mask.long(), (0, width - len(mask))) for _, mask in examples])
    return [tokens, masks]
