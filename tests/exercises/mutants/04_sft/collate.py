"""Wrong solutions of collate: what students write, and the word that the message must hold."""

import torch

from minillm.course.testing import mutant


def padded(examples, pad_id, filler=0, width=None, left=False):
    width = width or max(len(ids) for ids, _ in examples)
    tokens = torch.full((len(examples), width), pad_id, dtype=torch.long)
    masks = torch.full((len(examples), width), filler, dtype=torch.long)
    for row, (ids, mask) in enumerate(examples):
        n = min(len(ids), width)
        place = slice(width - n, width) if left else slice(0, n)
        tokens[row, place] = torch.tensor(ids[:n])
        masks[row, place] = torch.as_tensor(mask).long()[:n]
    return tokens, masks


@mutant("collate", names="on the left")
def left_padding(examples, pad_id):
    return padded(examples, pad_id, left=True)


@mutant("collate", names="padding is 0")
def pads_with_zero(examples, pad_id):
    return padded(examples, 0)


@mutant("collate", names="cut to the shortest")
def cuts_to_the_shortest(examples, pad_id):
    return padded(examples, pad_id, width=min(len(ids) for ids, _ in examples))


@mutant("collate", names="every real token counts")
def forgets_the_masks(examples, pad_id):
    tokens, _ = padded(examples, pad_id)
    lengths = torch.tensor([len(ids) for ids, _ in examples])
    return tokens, torch.arange(tokens.shape[1]) < lengths[:, None]


@mutant("collate", names="prompts count")
def mask_from_padding(examples, pad_id):
    tokens, _ = padded(examples, pad_id)
    return tokens, tokens != pad_id


@mutant("collate", names="padding counts")
def padding_counts(examples, pad_id):
    return padded(examples, pad_id, filler=1)


@mutant("collate", names="look like padding")
def real_tokens_taken_for_padding(examples, pad_id):
    tokens, mask = padded(examples, pad_id)
    return tokens, mask * (tokens != pad_id)


@mutant("collate", names="token 0")
def token_zero_lost(examples, pad_id):
    tokens, mask = padded(examples, pad_id)
    return tokens, mask * (tokens != 0)


@mutant("collate", names="sorted")
def sorts_by_length(examples, pad_id):
    return padded(sorted(examples, key=lambda example: len(example[0])), pad_id)


@mutant("collate", names="padding's mask is pad_id")
def pads_the_mask_with_pad_id(examples, pad_id):
    return padded(examples, pad_id, filler=pad_id)


@mutant("collate", names="dtype=torch.long")
def float_tokens(examples, pad_id):
    tokens, mask = padded(examples, pad_id)
    return tokens.float(), mask


@mutant("collate", names="one wider")
def one_too_wide(examples, pad_id):
    return padded(examples, pad_id, width=max(len(ids) for ids, _ in examples) + 1)


@mutant("collate", names="mask is padded on the left")
def mask_and_tokens_disagree(examples, pad_id):
    return padded(examples, pad_id)[0], padded(examples, pad_id, left=True)[1]
