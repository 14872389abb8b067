"""Wrong solutions of shape_rewards."""

import torch

from minillm.course.testing import mutant


def penalties(logprobs, ref_logprobs, mask, beta):
    return (-beta * (logprobs - ref_logprobs) * mask).detach()


def last_of(mask):
    return torch.arange(len(mask)), mask.long().sum(1) - 1


@mutant("shape_rewards", names="paid for leaving")
def penalty_turned_round(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(ref_logprobs, logprobs, mask, beta)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="beta is not used")
def without_beta(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, 1.0)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="beta weighs the score")
def beta_on_everything(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[last_of(mask)] += beta * scores
    return rewards


@mutant("shape_rewards", names="last column")
def score_in_the_last_column(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[:, -1] += scores
    return rewards


@mutant("shape_rewards", names="longest row ends")
def score_where_the_longest_ends(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[:, mask.long().sum(1).max() - 1] += scores
    return rewards


@mutant("shape_rewards", names="first token")
def score_on_the_first_token(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[:, 0] += scores
    return rewards


@mutant("shape_rewards", names="behind the last")
def score_behind_the_last(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rows, last = last_of(mask)
    rewards[rows, (last + 1).clamp(max=mask.shape[1] - 1)] += scores
    return rewards


@mutant("shape_rewards", names="before the last")
def score_before_the_last(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rows, last = last_of(mask)
    rewards[rows, (last - 1).clamp(min=0)] += scores
    return rewards


@mutant("shape_rewards", names="every token gets the score")
def score_on_every_token(logprobs, ref_logprobs, scores, mask, beta):
    return penalties(logprobs, ref_logprobs, mask, beta) + scores[:, None] * mask


@mutant("shape_rewards", names="spread evenly")
def score_spread_out(logprobs, ref_logprobs, scores, mask, beta):
    share = scores[:, None] / mask.sum(1, keepdim=True)
    return penalties(logprobs, ref_logprobs, mask, beta) + share * mask


@mutant("shape_rewards", names="takes the place of")
def score_instead_of_the_penalty(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[last_of(mask)] = scores
    return rewards


@mutant("shape_rewards", names="whole penalty stands on the last token")
def everything_at_the_end(logprobs, ref_logprobs, scores, mask, beta):
    rewards = torch.zeros_like(logprobs)
    rewards[last_of(mask)] = scores + penalties(logprobs, ref_logprobs, mask, beta).sum(1)
    return rewards


@mutant("shape_rewards", names="padding pays a penalty")
def padding_pays(logprobs, ref_logprobs, scores, mask, beta):
    rewards = (-beta * (logprobs - ref_logprobs)).detach()
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="made of k3")
def penalty_from_k3(logprobs, ref_logprobs, scores, mask, beta):
    lr = ref_logprobs - logprobs
    rewards = torch.where(mask.bool(), -beta * (lr.exp() - 1 - lr), 0.0).detach()
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="made of k2")
def penalty_from_k2(logprobs, ref_logprobs, scores, mask, beta):
    rewards = (-beta * (ref_logprobs - logprobs) ** 2 / 2 * mask).detach()
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="absolute log-ratio")
def absolute_penalty(logprobs, ref_logprobs, scores, mask, beta):
    rewards = (-beta * (logprobs - ref_logprobs).abs() * mask).detach()
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="only positive log-ratios")
def penalty_never_negative(logprobs, ref_logprobs, scores, mask, beta):
    rewards = (-beta * (logprobs - ref_logprobs).clamp(min=0) * mask).detach()
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="probabilities are compared")
def penalty_of_probabilities(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs.exp(), ref_logprobs.exp(), mask, beta)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="divided by the length")
def penalty_averaged_over_the_row(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta) / mask.sum(1, keepdim=True)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="score is missing")
def penalty_alone(logprobs, ref_logprobs, scores, mask, beta):
    return penalties(logprobs, ref_logprobs, mask, beta)


@mutant("shape_rewards", names="penalty is missing")
def score_alone(logprobs, ref_logprobs, scores, mask, beta):
    rewards = torch.zeros_like(logprobs)
    rewards[last_of(mask)] = scores
    return rewards


@mutant("shape_rewards", names="score is subtracted")
def score_subtracted(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[last_of(mask)] -= scores
    return rewards


@mutant("shape_rewards", names="cut off to [-1, 1]")
def score_cut_off(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[last_of(mask)] += scores.clamp(-1, 1)
    return rewards


@mutant("shape_rewards", names="added up over each row")
def one_for_each_row(logprobs, ref_logprobs, scores, mask, beta):
    return scores + penalties(logprobs, ref_logprobs, mask, beta).sum(1)


@mutant("shape_rewards", names="a gradient flows into logprobs")
def with_gradient(logprobs, ref_logprobs, scores, mask, beta):
    rewards = -beta * (logprobs - ref_logprobs) * mask
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="a gradient flows into scores")
def scores_with_gradient(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, ref_logprobs, mask, beta)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="policy's own log-probability")
def without_the_reference(logprobs, ref_logprobs, scores, mask, beta):
    rewards = penalties(logprobs, torch.zeros_like(logprobs), mask, beta)
    rewards[last_of(mask)] += scores
    return rewards


@mutant("shape_rewards", names="changes its input")
def in_place(logprobs, ref_logprobs, scores, mask, beta):
    rewards = logprobs.detach().sub_(ref_logprobs).mul_(-beta).mul_(mask)
    rewards[last_of(mask)] += scores
    return rewards
