"""Wrong solutions of kl_estimates."""

import torch

from minillm.course.testing import mutant


@mutant("kl_estimates", names="sign of k1")
def k1_turned_round(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return lr, lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="sign of k1")
def policy_and_reference_swapped(logprobs, ref_logprobs):
    lr = logprobs - ref_logprobs
    return -lr, lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="upside down in k3")
def k3_reversed(logprobs, ref_logprobs):
    lr = logprobs - ref_logprobs
    return lr, lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="half in k2 is missing")
def k2_without_half(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="half is squared")
def half_squared(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, (lr / 2) ** 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="ratio minus 1 is squared")
def k2_of_the_ratio(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, (lr.exp() - 1) ** 2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="the - lr in k3 is missing")
def k3_without_lr(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, lr.exp() - 1


@mutant("kl_estimates", names="sign of lr in k3")
def k3_with_plus(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, lr.exp() - 1 + lr


@mutant("kl_estimates", names="- 1 in k3 is missing")
def k3_without_one(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, lr.exp() - lr


@mutant("kl_estimates", names="sign of k3")
def k3_negative(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, lr + 1 - lr.exp()


@mutant("kl_estimates", names="changed places")
def k2_and_k3_swapped(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr.exp() - 1 - lr, lr**2 / 2


@mutant("kl_estimates", names="cut off at 10")
def k3_cut_off(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, (lr.exp() - 1 - lr).clamp(-10, 10)


@mutant("kl_estimates", names="weighed by the policy")
def weighed(logprobs, ref_logprobs):
    lr, p = ref_logprobs - logprobs, logprobs.exp()
    return -lr * p, lr**2 / 2 * p, (lr.exp() - 1 - lr) * p


@mutant("kl_estimates", names="mean over all")
def averaged(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return (-lr).mean(), (lr**2).mean() / 2, (lr.exp() - 1 - lr).mean()


@mutant("kl_estimates", names="sum over each row")
def summed_over_rows(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return (-lr).sum(-1), (lr**2).sum(-1) / 2, (lr.exp() - 1 - lr).sum(-1)


@mutant("kl_estimates", names="absolute value")
def absolute(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return lr.abs(), lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="probabilities are subtracted")
def of_probabilities(logprobs, ref_logprobs):
    lr = ref_logprobs.exp() - logprobs.exp()
    return -lr, lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="should return 3 results")
def only_one(logprobs, ref_logprobs):
    return logprobs - ref_logprobs


@mutant("kl_estimates", names="no gradient reaches")
def detached(logprobs, ref_logprobs):
    lr = (ref_logprobs - logprobs).detach()
    return -lr, lr**2 / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="cut off from its input")
def exp_detached(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr**2 / 2, lr.exp().detach() - 1 - lr


@mutant("kl_estimates", names="cut off from its input")
def one_factor_detached(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, lr * lr.detach() / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="gradient of logprobs (from k3)")
def k3_with_the_gradient_of_k2(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    k2, k3 = lr**2 / 2, lr.exp() - 1 - lr
    return -lr, k2, k2 + (k3 - k2).detach()


@mutant("kl_estimates", names="k2")
def difference_of_squares(logprobs, ref_logprobs):
    lr = ref_logprobs - logprobs
    return -lr, (ref_logprobs**2 - logprobs**2) / 2, lr.exp() - 1 - lr


@mutant("kl_estimates", names="changes its input")
def in_place(logprobs, ref_logprobs):
    lr = ref_logprobs.sub_(logprobs)
    return -lr, torch.square(lr) / 2, lr.exp() - 1 - lr
