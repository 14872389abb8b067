"""How far a policy has moved from its reference: the KL of its answers, in nats per answer.

Measured, not estimated token by token from log-ratios: along answers that the policy gave, the KL of the two next-token
distributions is summed exactly over the vocabulary. Its mean over answers is an unbiased estimate of
KL(policy || reference) with less noise than log-ratios have, as long as the tokens are those that were sampled. Here
they are those that the tokenizer makes of the text, which differ where a policy spells a word in an unusual way.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.evaluation import Answer
from minillm.model import Transformer
from minillm.reward import collate_texts, encode
from minillm.tokenizer import Tokenizer


@torch.no_grad()
def answer_kl(
    policy: Transformer,
    reference: Transformer,
    tokenizer: Tokenizer,
    answers: Sequence[Answer],
    batch_size: int = 256,
) -> Tensor:
    """(N,) for each answer the sum over its tokens of KL(policy(. | before) || reference(. | before)), in nats.

    answers: sampled from ``policy`` at temperature 1; others would measure something else.
    """
    texts = [encode(tokenizer, answer.prompt, answer.text, answer.ended) for answer in answers]
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i].ids), i))
    nats = torch.zeros(len(texts))
    for begin in range(0, len(order), batch_size):
        rows = order[begin : begin + batch_size]
        tokens, mask, said = (part.to(policy.device) for part in collate_texts([texts[i] for i in rows], tokenizer.pad))
        ours = policy(tokens, mask)[:, :-1].log_softmax(-1)  # (B, T - 1, V)
        theirs = reference(tokens, mask)[:, :-1].log_softmax(-1)
        kl = F.kl_div(theirs, ours, log_target=True, reduction="none").sum(-1)  # (B, T - 1)
        nats[rows] = (kl * said[:, 1:]).sum(1).cpu()
    return nats
