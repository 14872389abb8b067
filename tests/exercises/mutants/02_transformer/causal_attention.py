"""Wrong solutions of causal_attention."""

from math import inf, sqrt

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def products(q, k):
    return q @ k.transpose(-2, -1)


def scaled(q, k):
    return products(q, k) / sqrt(q.shape[-1])


def future(q, diagonal=1):
    return torch.ones(q.shape[2], q.shape[2]).triu(diagonal).bool()


def finish(scores, v, mask):
    return scores.masked_fill(mask, -inf).softmax(-1) @ v


@mutant("causal_attention", names="not scaled")
def no_scale(q, k, v):
    return finish(products(q, k), v, future(q))


@mutant("causal_attention", names="divided by k, not by its root")
def divides_by_width(q, k, v):
    return finish(products(q, k) / q.shape[-1], v, future(q))


@mutant("causal_attention", names="multiplied by the root")
def multiplies_by_root(q, k, v):
    return finish(products(q, k) * sqrt(q.shape[-1]), v, future(q))


@mutant("causal_attention", names="number of positions")
def scales_by_length(q, k, v):
    return finish(products(q, k) / sqrt(q.shape[-2]), v, future(q))


@mutant("causal_attention", names="width of v")
def scales_by_width_of_v(q, k, v):
    return finish(products(q, k) / sqrt(v.shape[-1]), v, future(q))


@mutant("causal_attention", names="there is no mask")
def no_mask(q, k, v):
    return scaled(q, k).softmax(-1) @ v


@mutant("causal_attention", names="left with nothing")
def masks_itself(q, k, v):
    return finish(scaled(q, k), v, future(q, 0))


@mutant("causal_attention", names="does not see itself")
def masks_itself_and_hides_the_nan(q, k, v):
    return finish(scaled(q, k), v, future(q, 0)).nan_to_num()


@mutant("causal_attention", names="turned round")
def masks_the_past(q, k, v):
    return finish(scaled(q, k), v, future(q).T)


@mutant("causal_attention", names="off by one")
def sees_one_ahead(q, k, v):
    return finish(scaled(q, k), v, future(q, 2))


@mutant("causal_attention", names="set to 0, not to -inf")
def masks_with_zero(q, k, v):
    return scaled(q, k).masked_fill(future(q), 0.0).softmax(-1) @ v


@mutant("causal_attention", names="set to 0, not to -inf")
def multiplies_by_the_mask(q, k, v):
    return (scaled(q, k) * ~future(q)).softmax(-1) @ v


@mutant("causal_attention", names="a mask must lie below")
def masks_with_minus_hundred(q, k, v):
    return scaled(q, k).masked_fill(future(q), -100.0).softmax(-1) @ v


@mutant("causal_attention", names="after the softmax, so the weights")
def masks_after_the_softmax(q, k, v):
    return (scaled(q, k).softmax(-1) * ~future(q)) @ v


@mutant("causal_attention", names="over the queries")
def softmax_over_queries(q, k, v):
    return scaled(q, k).masked_fill(future(q), -inf).softmax(-2) @ v


@mutant("causal_attention", names="scaled after the softmax")
def scales_after_the_softmax(q, k, v):
    return finish(products(q, k), v / sqrt(q.shape[-1]), future(q))


@mutant("causal_attention", names="changed places")
def swaps_queries_and_keys(q, k, v):
    return finish(scaled(k, q), v, future(q))


@mutant("causal_attention", names="there is no softmax")
def no_softmax(q, k, v):
    return scaled(q, k).masked_fill(future(q), 0.0) @ v


@mutant("causal_attention", names="subtracting the maximum")
def plain_exp(q, k, v):
    raised = scaled(q, k).exp() * ~future(q)
    return raised / raised.sum(-1, keepdim=True) @ v


@mutant("causal_attention", names="no gradient reaches")
def weights_without_gradient(q, k, v):
    return scaled(q, k).masked_fill(future(q), -inf).softmax(-1).detach() @ v


@mutant("causal_attention", names="does not see itself")
def sdpa_with_a_strict_mask(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=~future(q, 0)).nan_to_num()


@mutant("causal_attention", names="same weight")
def mean_of_the_past(q, k, v):
    return v.cumsum(2) / torch.arange(1, v.shape[2] + 1)[:, None]


@mutant("causal_attention", names="heads are averaged")
def softmax_of_scores_summed_over_heads(q, k, v):
    return finish(scaled(q, k).mean(1, keepdim=True), v, future(q))
