"""Right solutions of implicit_rewards that look different."""

import torch

from minillm.course.testing import variant


@variant("implicit_rewards")
@torch.no_grad()
def under_no_grad(logprobs, ref_logprobs, beta=0.1):
    return (logprobs - ref_logprobs) * beta


@variant("implicit_rewards")
def detached_at_the_end(logprobs, ref_logprobs, beta=0.1):
    return (beta * logprobs - beta * ref_logprobs).detach()


@variant("implicit_rewards")
def one_by_one(logprobs, ref_logprobs, beta=0.1):
    return torch.tensor([beta * (p - q) for p, q in zip(logprobs.tolist(), ref_logprobs.tolist())])


@variant("implicit_rewards")
def a_list(logprobs, ref_logprobs, beta=0.1):
    return [beta * (p.item() - q.item()) for p, q in zip(logprobs, ref_logprobs)]


@variant("implicit_rewards")
def in_float64(logprobs, ref_logprobs, beta=0.1):
    with torch.inference_mode():
        return torch.mul(torch.sub(logprobs.double(), ref_logprobs.double()), beta)
