"""Wrong solutions of pack_documents: what students write, and the word that the message must hold."""

import torch

from minillm.course.testing import mutant


def rows_from(stream, length, stride=None, width=None):
    stride, width = stride or length, width or length + 1
    rows = [stream[i : i + width] for i in range(0, len(stream) - width + 1, stride)]
    return torch.tensor(rows, dtype=torch.long).reshape(len(rows), width)


def joined(documents, doc_id):
    return [token for document in documents for token in [doc_id, *document]]


@mutant("pack_documents", names="share no token")
def rows_without_overlap(documents, length, doc_id):
    return rows_from(joined(documents, doc_id), length, stride=length + 1)


@mutant("pack_documents", names="length + 1")
def rows_one_token_short(documents, length, doc_id):
    return rows_from(joined(documents, doc_id), length, width=length)


@mutant("pack_documents", names="before the first document")
def separator_behind(documents, length, doc_id):
    return rows_from([token for document in documents for token in [*document, doc_id]], length)


@mutant("pack_documents", names="no separator between")
def no_separator(documents, length, doc_id):
    return rows_from([token for document in documents for token in document], length)


@mutant("pack_documents", names="before the first document")
def separators_only_between(documents, length, doc_id):
    return rows_from(joined(documents, doc_id)[1:], length)


@mutant("pack_documents", names="tail")
def pads_the_tail(documents, length, doc_id):
    stream = joined(documents, doc_id)
    while (len(stream) - 1) % length:
        stream.append(0)
    return rows_from(stream, length)


@mutant("pack_documents", names="row of its own")
def one_row_per_document(documents, length, doc_id):
    rows = [([doc_id, *document] + [0] * length)[: length + 1] for document in documents]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, length + 1)


@mutant("pack_documents", names="last full row is dropped")
def forgets_an_exact_fit(documents, length, doc_id):
    stream = joined(documents, doc_id)
    rows = [stream[i : i + length + 1] for i in range(0, len(stream) - length - 1, length)]
    return torch.tensor(rows, dtype=torch.long).reshape(-1, length + 1)


@mutant("pack_documents", names="shape (0,)")
def wrong_shape_when_nothing_fits(documents, length, doc_id):
    stream = joined(documents, doc_id)
    return torch.tensor([stream[i : i + length + 1] for i in range(0, len(stream) - length, length)], dtype=torch.long)


@mutant("pack_documents", names="integers")
def float_ids(documents, length, doc_id):
    return rows_from(joined(documents, doc_id), length).float()


@mutant("pack_documents", names="empty document")
def skips_empty_documents(documents, length, doc_id):
    return rows_from(joined([document for document in documents if document], doc_id), length)


@mutant("pack_documents", names="token 0")
def drops_token_zero(documents, length, doc_id):
    return rows_from([token for token in joined(documents, doc_id) if token], length)


@mutant("pack_documents", names="cut to the length")
def cuts_long_documents(documents, length, doc_id):
    return rows_from(joined([document[:length] for document in documents], doc_id), length)


@mutant("pack_documents", names="every position")
def sliding_window(documents, length, doc_id):
    return rows_from(joined(documents, doc_id), length, stride=1)


@mutant("pack_documents", names="list")
def returns_a_list(documents, length, doc_id):
    return rows_from(joined(documents, doc_id), length).tolist()


@mutant("pack_documents", names="changes its input")
def writes_into_the_documents(documents, length, doc_id):
    for document in documents:
        document.insert(0, doc_id)
    return rows_from([token for document in documents for token in document], length)
