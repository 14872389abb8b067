"""Wrong solutions of exact_policy_gradient."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def probability(table, rows, sequences, mask):
    """p(s), (S,)."""
    return (table.log_softmax(-1)[rows, sequences] * mask).sum(1).exp()


def score(table, rows, sequences, mask):
    """onehot - softmax at each real token, (S, L, V)."""
    return (F.one_hot(sequences, table.shape[1]) - table.softmax(-1)[rows]) * mask[..., None]


def added(table, rows, each):
    """Terms (S, L, V) added up by row, (R, V)."""
    return torch.zeros_like(table).index_add(0, rows.flatten(), each.flatten(0, 1).to(table.dtype))


@mutant("exact_policy_gradient", names="keeps only its last term")
def plus_equals(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    each = weight[:, None, None] * score(table, rows, sequences, mask)
    keep = mask.bool()
    gradient = torch.zeros_like(table)
    gradient[rows[keep]] += each[keep].to(table.dtype)
    return gradient


@mutant("exact_policy_gradient", names="keeps only its last term")
def plus_equals_with_padding(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    gradient = torch.zeros_like(table)
    gradient[rows] += (weight[:, None, None] * score(table, rows, sequences, mask)).to(table.dtype)
    return gradient


@mutant("exact_policy_gradient", names="each counts the same")
def not_weighed(table, rows, sequences, mask, rewards):
    return added(table, rows, rewards[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="1/s, instead of its probability")
def mean_over_sequences(table, rows, sequences, mask, rewards):
    return added(table, rows, rewards[:, None, None] * score(table, rows, sequences, mask)) / len(rewards)


@mutant("exact_policy_gradient", names="divided by the number of sequences")
def weighed_and_averaged(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards / len(rewards)
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="log of the probability")
def weighed_by_the_log(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask).log() * rewards
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="twice")
def probability_twice(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) ** 2 * rewards
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="its own probability")
def weighed_token_by_token(table, rows, sequences, mask, rewards):
    own = table.softmax(-1)[rows, sequences] * rewards[:, None]
    return added(table, rows, own[..., None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="rewards are not used")
def without_rewards(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask)
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="sign is that of a loss")
def of_a_loss(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    loss = -(probability(leaf, rows, sequences, mask) * rewards).sum()
    return torch.autograd.grad(loss, leaf)[0]


@mutant("exact_policy_gradient", names="gradient of log j")
def of_log_j(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    J = (probability(leaf, rows, sequences, mask) * rewards).sum()
    return torch.autograd.grad(J.abs().log(), leaf)[0]


@mutant("exact_policy_gradient", names="each counts the same")
def logprobs_in_the_place_of_probabilities(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    logprobs = (leaf.log_softmax(-1)[rows, sequences] * mask).sum(1)
    return torch.autograd.grad((logprobs * rewards).sum(), leaf)[0]


@mutant("exact_policy_gradient", names="softmax is not subtracted")
def only_the_onehot(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    hit = F.one_hot(sequences, table.shape[1]) * mask[..., None]
    return added(table, rows, weight[:, None, None] * hit)


@mutant("exact_policy_gradient", names="onehot is missing")
def only_the_softmax(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    return added(table, rows, -weight[:, None, None] * table.softmax(-1)[rows] * mask[..., None])


@mutant("exact_policy_gradient", names="respect to the probabilities")
def softmax_not_differentiated(table, rows, sequences, mask, rewards):
    ps = table.softmax(-1).detach().clone().requires_grad_()
    p = (ps[rows, sequences].log() * mask).sum(1).exp()
    return torch.autograd.grad((p * rewards).sum(), ps)[0]


@mutant("exact_policy_gradient", names="log-softmax is missing")
def logits_for_logprobs(table, rows, sequences, mask, rewards):
    weight = (table[rows, sequences] * mask).sum(1).exp() * rewards
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="only the first token")
def only_the_first_token(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    first = mask * (torch.arange(mask.shape[1]) == 0)
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, first))


@mutant("exact_policy_gradient", names="neither in p(s) nor in the score")
def without_the_mask(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    p = leaf.log_softmax(-1)[rows, sequences].sum(1).exp()
    return torch.autograd.grad((p * rewards).sum(), leaf)[0]


@mutant("exact_policy_gradient", names="padding is credited")
def padding_in_the_score(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, torch.ones_like(mask)))


@mutant("exact_policy_gradient", names="padding counts in p(s)")
def padding_in_the_probability(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, torch.ones_like(mask)) * rewards
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="credited to row t")
def row_by_position(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    each = weight[:, None, None] * score(table, rows, sequences, mask)
    gradient = torch.zeros_like(table)
    places = min(mask.shape[1], len(table))
    gradient[:places] = each.sum(0)[:places].to(table.dtype)
    return gradient


@mutant("exact_policy_gradient", names="averaged over a sequence's tokens")
def mean_over_tokens(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards / mask.sum(1)
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names="overflow")
def softmax_by_hand(table, rows, sequences, mask, rewards):
    ps = table.exp() / table.exp().sum(1, keepdim=True)
    weight = (ps[rows, sequences].log() * mask).sum(1).exp() * rewards
    each = (F.one_hot(sequences, table.shape[1]) - ps[rows]) * mask[..., None]
    return added(table, rows, weight[:, None, None] * each)


@mutant("exact_policy_gradient", names="none")
def leaves_it_in_grad(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    return (probability(leaf, rows, sequences, mask) * rewards).sum().backward()


@mutant("exact_policy_gradient", names="shape")
def returns_j(table, rows, sequences, mask, rewards):
    return (probability(table, rows, sequences, mask) * rewards).sum()


@mutant("exact_policy_gradient", names="shape")
def terms_not_added(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards
    return weight[:, None, None] * score(table, rows, sequences, mask)


@mutant("exact_policy_gradient", names=None)
def best_sequence_only(table, rows, sequences, mask, rewards):
    weight = probability(table, rows, sequences, mask) * rewards * (rewards == rewards.max())
    return added(table, rows, weight[:, None, None] * score(table, rows, sequences, mask))


@mutant("exact_policy_gradient", names=None)
def softmax_over_the_rows(table, rows, sequences, mask, rewards):
    leaf = table.detach().clone().requires_grad_()
    p = (leaf.log_softmax(0)[rows, sequences] * mask).sum(1).exp()
    return torch.autograd.grad((p * rewards).sum(), leaf)[0]
