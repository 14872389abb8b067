"""Right solutions of ai_preference that look different."""

import torch

from minillm.course.testing import variant


@variant("ai_preference")
def with_sigmoids(logprobs, swapped_logprobs):
    with torch.no_grad():
        first = torch.sigmoid(logprobs[:, 0] - logprobs[:, 1])
        second = torch.sigmoid(swapped_logprobs[:, 1] - swapped_logprobs[:, 0])
        return 0.5 * first + 0.5 * second


@variant("ai_preference")
def with_logsumexp(logprobs, swapped_logprobs):
    first = (logprobs[:, 0] - logprobs.logsumexp(1)).exp()
    second = (swapped_logprobs[:, 1] - torch.logsumexp(swapped_logprobs, dim=1)).exp()
    return ((first + second) / 2).detach()


@variant("ai_preference")
def stacked_in_float64(logprobs, swapped_logprobs):
    orders = torch.stack([logprobs, swapped_logprobs.flip(1)]).detach().double()
    return orders.softmax(-1)[..., 0].mean(0)


@variant("ai_preference")
def row_by_row(logprobs, swapped_logprobs):
    found = []
    for first, second in zip(logprobs.detach(), swapped_logprobs.detach()):
        found.append((first.softmax(0)[0] + second.softmax(0)[1]) / 2)
    return torch.stack(found)
