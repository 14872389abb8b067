"""Wrong solutions of best_of_n."""

import torch

from minillm.course.testing import mutant


@mutant("best_of_n", names="*worst* answer")
def argmin(scores):
    return scores.argmin(1)


@mutant("best_of_n", names="over prompts")
def across_prompts(scores):
    return scores.argmax(0)


@mutant("best_of_n", names="one answer is chosen for all prompts")
def over_everything(scores):
    return scores.argmax()


@mutant("best_of_n", names="the best score is returned")
def returns_the_score(scores):
    return scores.max(1).values


@mutant("best_of_n", names="laid end to end")
def flat_places(scores):
    P, n = scores.shape
    return scores.argmax(1) + n * torch.arange(P)


@mutant("best_of_n", names="counted from 1")
def counts_from_one(scores):
    return scores.argmax(1) + 1


@mutant("best_of_n", names="keeps the dimension")
def keeps_the_dimension(scores):
    return scores.argmax(1, keepdim=True)


@mutant("best_of_n", names="*absolute* score")
def largest_absolute(scores):
    return scores.abs().argmax(1)


@mutant("best_of_n", names="*worst* answer")
def sorted_the_wrong_way(scores):
    return scores.argsort(1)[:, 0]


@mutant("best_of_n", names="answers are ranked")
def returns_the_ranking(scores):
    return scores.argsort(1, descending=True)


@mutant("best_of_n", names="one-hot")
def one_hot(scores):
    return (scores == scores.amax(1, keepdim=True)).long()


@mutant("best_of_n", names="first answer is always taken")
def sorted_scores_then_argmax(scores):
    return scores.sort(1, descending=True).values.argmax(1)


@mutant("best_of_n", names=None)
def softmax_across_prompts(scores):
    return scores.softmax(0).argmax(1)


@mutant("best_of_n", names="worst")
def minimum_across_prompts(scores):
    return scores.argmin(0)


@mutant("best_of_n", names="floats")
def as_floats(scores):
    return scores.argmax(1).float()
