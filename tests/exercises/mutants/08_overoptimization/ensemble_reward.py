"""Wrong solutions of ensemble_reward."""

import torch

from minillm.course.testing import mutant


def reduce(x, form):
    """Over the first dimension."""
    if form == "mean":
        return x.mean(0)
    if form == "worst":
        return x.amin(0)
    raise ValueError(f"no form {form!r}")


def shifted(scores, anchors):
    return scores - anchors.mean(1, keepdim=True)


@mutant("ensemble_reward", names="anchors are not used")
def no_gauge(scores, anchors, form="mean"):
    return reduce(scores, form)


@mutant("ensemble_reward", names="over all models")
def one_mean_for_all(scores, anchors, form="mean"):
    return reduce(scores - anchors.mean(), form)


@mutant("ensemble_reward", names="model's own scores")
def centred_on_its_own_scores(scores, anchors, form="mean"):
    return reduce(scores - scores.mean(1, keepdim=True), form)


@mutant("ensemble_reward", names="added instead of subtracted")
def plus_for_minus(scores, anchors, form="mean"):
    return reduce(scores + anchors.mean(1, keepdim=True), form)


@mutant("ensemble_reward", names="exchanged")
def forms_exchanged(scores, anchors, form="mean"):
    other = {"mean": "worst", "worst": "mean"}.get(form, form)
    return reduce(shifted(scores, anchors), other)


@mutant("ensemble_reward", names="largest opinion")
def most_hopeful(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.amax(0) if form == "worst" else reduce(x, form)


@mutant("ensemble_reward", names="median of the models")
def median_of_models(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.median(0).values if form == "mean" else reduce(x, form)


@mutant("ensemble_reward", names="standard deviation")
def standardised(scores, anchors, form="mean"):
    return reduce(shifted(scores, anchors) / anchors.std(1, keepdim=True), form)


@mutant("ensemble_reward", names="smallest anchor")
def from_the_smallest_anchor(scores, anchors, form="mean"):
    return reduce(scores - anchors.amin(1, keepdim=True), form)


@mutant("ensemble_reward", names="first anchor")
def from_the_first_anchor(scores, anchors, form="mean"):
    return reduce(scores - anchors[:, :1], form)


@mutant("ensemble_reward", names="sum of the anchors")
def sum_of_anchors(scores, anchors, form="mean"):
    return reduce(scores - anchors.sum(1, keepdim=True), form)


@mutant("ensemble_reward", names="sum over the models")
def sum_of_models(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.sum(0) if form == "mean" else reduce(x, form)


@mutant("ensemble_reward", names="over the models")
def over_the_answers(scores, anchors, form="mean"):
    return reduce(shifted(scores, anchors).T, form)


@mutant("ensemble_reward", names="minimum is taken before the shift")
def minimum_first(scores, anchors, form="mean"):
    if form == "worst":
        return scores.amin(0) - anchors.amin(0).mean()
    return reduce(shifted(scores, anchors), form)


@mutant("ensemble_reward", names="lowest scores in all")
def worst_model(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x[x.mean(1).argmin()] if form == "worst" else reduce(x, form)


@mutant("ensemble_reward", names="one number is returned")
def one_number(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.min() if form == "worst" else reduce(x, form)


@mutant("ensemble_reward", names="uwo")
def mean_less_spread(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.mean(0) - x.std(0) if form == "worst" else reduce(x, form)


@mutant("ensemble_reward", names="places")
def minimum_with_places(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.min(0) if form == "worst" else reduce(x, form)


@mutant("ensemble_reward", names="must match the size")
def anchor_mean_without_keepdim(scores, anchors, form="mean"):
    return reduce(scores - anchors.mean(1), form)


@mutant("ensemble_reward", names="must match the size")
def anchors_averaged_over_models(scores, anchors, form="mean"):
    return reduce(scores - anchors.mean(0), form)


@mutant("ensemble_reward", names="dimension of the models is kept")
def keeps_the_dimension(scores, anchors, form="mean"):
    return reduce(shifted(scores, anchors), form)[None]


@mutant("ensemble_reward", names="not refused")
def anything_else_is_worst(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return x.mean(0) if form == "mean" else x.amin(0)


@mutant("ensemble_reward", names="returned none")
def anything_else_is_nothing(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    if form == "mean":
        return x.mean(0)
    if form == "worst":
        return x.amin(0)


@mutant("ensemble_reward", names="not refused")
def form_is_ignored(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    return {"mean": x.mean(0), "worst": x.amin(0)}.get(form, x.mean(0))


@mutant("ensemble_reward", names="no gradient reaches anchors")
def anchors_detached(scores, anchors, form="mean"):
    return reduce(shifted(scores, anchors.detach()), form)


@mutant("ensemble_reward", names="no gradient reaches scores")
def a_list_of_numbers(scores, anchors, form="mean"):
    return reduce(shifted(scores, anchors), form).tolist()


@mutant("ensemble_reward", names="without a form")
def worst_by_default(scores, anchors, form="worst"):
    return reduce(shifted(scores, anchors), form)


@mutant("ensemble_reward", names="gradient")
def soft_minimum(scores, anchors, form="mean"):
    x = shifted(scores, anchors)
    if form == "worst":
        exact = x.amin(0)
        return exact.detach() + (soft := (x * (-x).softmax(0)).sum(0)) - soft.detach()
    return reduce(x, form)


@mutant("ensemble_reward", names="changes its input")
def in_place(scores, anchors, form="mean"):
    with torch.no_grad():
        scores -= anchors.mean(1, keepdim=True)
    return reduce(scores, form)
