"""Right solutions of pack_documents that look different."""

from itertools import chain

import torch

from minillm.course.testing import variant


@variant("pack_documents")
def with_unfold(documents, length, doc_id):
    stream = torch.tensor([token for document in documents for token in (doc_id, *document)], dtype=torch.int64)
    if stream.numel() < length + 1:
        return torch.empty(0, length + 1, dtype=torch.int64)
    return stream.unfold(0, length + 1, length)


@variant("pack_documents")
def with_inputs_and_last_column(documents, length, doc_id):
    stream = []
    for document in documents:
        stream.append(doc_id)
        stream.extend(document)
    stream = torch.LongTensor(stream)
    count = max(len(stream) - 1, 0) // length
    inputs = stream[: count * length].view(count, length)
    targets = stream[1 : count * length + 1].view(count, length)
    return torch.cat([inputs, targets[:, -1:]], dim=1)


@variant("pack_documents")
def with_while_loop(documents, length, doc_id):
    stream = list(chain.from_iterable([doc_id, *document] for document in documents))
    rows, start = [], 0
    while start + length < len(stream):
        rows.append(stream[start : start + length + 1])
        start += length
    return torch.tensor(rows, dtype=torch.int32).view(-1, length + 1)


@variant("pack_documents")
def with_tensors_and_indices(documents, length, doc_id):
    pieces = [torch.tensor([doc_id, *document]) for document in documents]
    stream = torch.cat(pieces) if pieces else torch.zeros(0, dtype=torch.long)
    count = (stream.numel() - 1) // length if stream.numel() else 0
    index = torch.arange(count)[:, None] * length + torch.arange(length + 1)[None, :]
    return stream[index]
