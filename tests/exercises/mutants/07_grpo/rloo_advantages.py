"""Wrong solutions of rloo_advantages."""

import torch

from minillm.course.testing import mutant


def others(rewards):
    return (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)


@mutant("rloo_advantages", names="in its own baseline")
def includes_itself(rewards):
    return rewards - rewards.mean(1, keepdim=True)


@mutant("rloo_advantages", names="mean reward of the whole batch")
def mean_of_the_batch(rewards):
    return rewards - rewards.mean()


@mutant("rloo_advantages", names="all other answers of the batch")
def others_of_the_batch(rewards):
    return rewards - (rewards.sum() - rewards) / (rewards.numel() - 1)


@mutant("rloo_advantages", names="divided by g; there are g - 1")
def divided_by_g(rewards):
    return rewards - (rewards.sum(1, keepdim=True) - rewards) / rewards.shape[1]


@mutant("rloo_advantages", names="is not divided")
def sum_of_the_others(rewards):
    return rewards - (rewards.sum(1, keepdim=True) - rewards)


@mutant("rloo_advantages", names="own reward is still in it")
def whole_sum_over_g_minus_one(rewards):
    return rewards - rewards.sum(1, keepdim=True) / (rewards.shape[1] - 1)


@mutant("rloo_advantages", names="teaches the worst")
def baseline_minus_reward(rewards):
    return others(rewards) - rewards


@mutant("rloo_advantages", names="baseline itself")
def only_the_baseline(rewards):
    return others(rewards)


@mutant("rloo_advantages", names="scaled the wrong way")
def shrunk_instead_of_grown(rewards):
    G = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * (G - 1) / G


@mutant("rloo_advantages", names="twice")
def grown_twice(rewards):
    G = rewards.shape[1]
    return (rewards - others(rewards)) * G / (G - 1)


@mutant("rloo_advantages", names="that is grpo")
def divided_by_the_spread(rewards):
    return (rewards - others(rewards)) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("rloo_advantages", names="normalised advantage of grpo")
def grpo(rewards):
    return (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)


@mutant("rloo_advantages", names="the best of the others")
def against_the_best(rewards):
    G = rewards.shape[1]
    best = [torch.cat((rewards[:, :i], rewards[:, i + 1 :]), 1).amax(1) for i in range(G)]
    return rewards - torch.stack(best, 1)


@mutant("rloo_advantages", names="the one before it")
def against_the_neighbour(rewards):
    return rewards - rewards.roll(1, dims=1)


@mutant("rloo_advantages", names="compared with the first")
def against_the_first(rewards):
    return rewards - rewards[:, :1]


@mutant("rloo_advantages", names="down the column")
def across_prompts(rewards):
    P = rewards.shape[0]
    return rewards - (rewards.sum(0) - rewards) / (P - 1) if P > 1 else rewards - others(rewards)


@mutant("rloo_advantages", names="mean of the column")
def mean_of_the_column(rewards):
    return rewards - rewards.mean(0) if len(rewards) > 1 else rewards - others(rewards)


@mutant("rloo_advantages", names="before it are averaged")
def only_earlier_answers(rewards):
    places = torch.arange(rewards.shape[1])
    earlier = (rewards.cumsum(1) - rewards) / places.clamp(min=1)
    return rewards - earlier


@mutant("rloo_advantages", names="keepdim=true")
def dimension_lost(rewards):
    return rewards - (rewards.sum(1) - rewards) / (rewards.shape[1] - 1)


@mutant("rloo_advantages", names="changes its input")
def in_place(rewards):
    rewards -= others(rewards)
    return rewards


@mutant("rloo_advantages", names="none")
def no_return(rewards):
    rewards - others(rewards)


@mutant("rloo_advantages", names="shape")
def mean_of_each_group(rewards):
    return (rewards - others(rewards)).mean(1)
