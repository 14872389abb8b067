"""Right solutions of best_of_n that look different."""

import torch

from minillm.course.testing import variant


@variant("best_of_n")
def argmax(scores):
    return scores.argmax(dim=-1)


@variant("best_of_n")
def max_with_places(scores):
    return torch.max(scores, 1)[1]


@variant("best_of_n")
def prompt_by_prompt(scores):
    return [max(range(len(row)), key=lambda j, row=row: row[j]) for row in scores.tolist()]


@variant("best_of_n")
def last_of_several_best(scores):
    return scores.sort(dim=1, stable=True).indices[:, -1].int()
