"""Wrong solutions of exact_kl."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def kl(p, q):
    """A right one, to be spoilt."""
    return torch.where(p > -torch.inf, p.exp() * (p.clamp(min=-1e4) - q), 0.0).sum()


@mutant("exact_kl", names="turned round")
def reversed_order(logprobs, ref_logprobs):
    return kl(ref_logprobs, logprobs)


@mutant("exact_kl", names="sign is flipped")
def negative(logprobs, ref_logprobs):
    return -kl(logprobs, ref_logprobs)


@mutant("exact_kl", names="mean over the list")
def mean_of_terms(logprobs, ref_logprobs):
    return (logprobs.exp() * (logprobs - ref_logprobs)).mean()


@mutant("exact_kl", names="turned round")
def kl_div_the_wrong_way(logprobs, ref_logprobs):
    return F.kl_div(logprobs, ref_logprobs, log_target=True, reduction="sum")


@mutant("exact_kl", names="mean over the list")
def kl_div_with_its_default(logprobs, ref_logprobs):
    return F.kl_div(ref_logprobs, logprobs, log_target=True)


@mutant("exact_kl", names="not weighed by the policy")
def unweighted_mean(logprobs, ref_logprobs):
    return (logprobs - ref_logprobs).mean()


@mutant("exact_kl", names="not weighed by the policy")
def unweighted_sum(logprobs, ref_logprobs):
    return (logprobs - ref_logprobs).sum()


@mutant("exact_kl", names="reference weighs")
def weighed_by_the_reference(logprobs, ref_logprobs):
    return (ref_logprobs.exp() * (logprobs - ref_logprobs)).sum()


@mutant("exact_kl", names="bits")
def in_bits(logprobs, ref_logprobs):
    return kl(logprobs, ref_logprobs) / torch.log(torch.tensor(2.0))


@mutant("exact_kl", names="cross-entropy")
def cross_entropy(logprobs, ref_logprobs):
    return -(logprobs.exp() * ref_logprobs).sum()


@mutant("exact_kl", names="k2")
def mean_of_k2(logprobs, ref_logprobs):
    return (logprobs.exp() * (ref_logprobs - logprobs) ** 2 / 2).sum()


@mutant("exact_kl", names="k3")
def mean_of_k3(logprobs, ref_logprobs):
    given = logprobs > -torch.inf
    log_ratio = ref_logprobs[given] - logprobs[given]
    return (logprobs[given].exp() * (log_ratio.exp() - 1 - log_ratio)).sum()


@mutant("exact_kl", names="absolute")
def absolute_terms(logprobs, ref_logprobs):
    return (logprobs.exp() * (logprobs - ref_logprobs).abs()).sum()


@mutant("exact_kl", names="total variation")
def total_variation(logprobs, ref_logprobs):
    return (logprobs.exp() - ref_logprobs.exp()).abs().sum() / 2


@mutant("exact_kl", names="averaged")
def both_directions(logprobs, ref_logprobs):
    return (kl(logprobs, ref_logprobs) + kl(ref_logprobs, logprobs)) / 2


@mutant("exact_kl", names="jensen-shannon")
def jensen_shannon(logprobs, ref_logprobs):
    middle = ((logprobs.exp() + ref_logprobs.exp()) / 2).log()
    return (kl(logprobs, middle) + kl(ref_logprobs, middle)) / 2


@mutant("exact_kl", names="nan")
def plain_formula(logprobs, ref_logprobs):
    return (logprobs.exp() * (logprobs - ref_logprobs)).sum()


@mutant("exact_kl", names="nan")
def kl_div_of_torch(logprobs, ref_logprobs):
    return F.kl_div(ref_logprobs, logprobs.exp(), reduction="sum")


@mutant("exact_kl", names="terms in which the reference is 0 are left out")
def nan_and_infinity_to_zero(logprobs, ref_logprobs):
    terms = logprobs.exp() * (logprobs - ref_logprobs)
    return torch.where(terms.isfinite(), terms, 0.0).sum()


@mutant("exact_kl", names="terms in which the reference is 0 are left out")
def masked_by_the_reference(logprobs, ref_logprobs):
    keep = (logprobs > -torch.inf) & (ref_logprobs > -torch.inf)
    return (logprobs[keep].exp() * (logprobs[keep] - ref_logprobs[keep])).sum()


@mutant("exact_kl", names="nan_to_num")
def nan_to_num(logprobs, ref_logprobs):
    return (logprobs.exp() * (logprobs - ref_logprobs)).nan_to_num(0.0).sum()


@mutant("exact_kl", names="epsilon")
def with_epsilon(logprobs, ref_logprobs):
    p, q = logprobs.exp() + 1e-9, ref_logprobs.exp() + 1e-9
    return (p * (p / q).log()).sum()


@mutant("exact_kl", names="clamp")
def with_clamp(logprobs, ref_logprobs):
    p, q = logprobs.clamp(min=-50), ref_logprobs.clamp(min=-50)
    return (p.exp() * (p - q)).sum()


@mutant("exact_kl", names="no gradient reaches")
def as_a_float(logprobs, ref_logprobs):
    return kl(logprobs, ref_logprobs).item()


@mutant("exact_kl", names="cut off from the gradient")
def weights_detached(logprobs, ref_logprobs):
    return torch.where(
        logprobs > -torch.inf, logprobs.exp().detach() * (logprobs.clamp(min=-1e4) - ref_logprobs), 0.0
    ).sum()


@mutant("exact_kl", names="no gradient reaches the reference")
def reference_detached(logprobs, ref_logprobs):
    return kl(logprobs, ref_logprobs.detach())


@mutant("exact_kl", names="shape")
def term_by_term(logprobs, ref_logprobs):
    return torch.where(logprobs > -torch.inf, logprobs.exp() * (logprobs - ref_logprobs), 0.0)


@mutant("exact_kl", names="1e-13")
def unlikely_terms_left_out(logprobs, ref_logprobs):
    keep = logprobs.exp() > 1e-8
    return (logprobs[keep].exp() * (logprobs[keep] - ref_logprobs[keep])).sum()
