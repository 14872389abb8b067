"""Right solutions of kl_estimates that look different."""

import torch

from minillm.course.testing import variant


@variant("kl_estimates")
def other_way_round(logprobs, ref_logprobs):
    d = logprobs - ref_logprobs
    return d, 0.5 * d.pow(2), torch.exp(-d) - 1 + d


@variant("kl_estimates")
def in_float64_with_expm1(logprobs, ref_logprobs):
    lr = ref_logprobs.double() - logprobs.double()
    return -lr, lr.square() / 2, torch.expm1(lr) - lr


@variant("kl_estimates")
def stacked(logprobs, ref_logprobs):
    lr = ref_logprobs.detach() - logprobs
    return torch.stack((-lr, lr * lr / 2, lr.exp() - 1 - lr))


@variant("kl_estimates")
def as_a_list_from_the_ratio(logprobs, ref_logprobs):
    ratio = ref_logprobs.exp() / logprobs.exp()
    log_ratio = ratio.log()
    return [-log_ratio, log_ratio**2 / 2, (ratio - 1) - log_ratio]
