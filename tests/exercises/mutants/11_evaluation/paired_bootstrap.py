"""Wrong solutions of paired_bootstrap."""

import random
from statistics import NormalDist

import torch

from minillm.course.testing import mutant


def gains_of(before, after):
    if len(before) != len(after) or len(before) == 0:
        raise ValueError("paired scores are needed")
    return after.double() - before.double()


def draw(n, generator, resamples, size=None):
    return torch.randint(n, (resamples, size or n), generator=generator)


def tails(means, confidence):
    tail = (1 - confidence) / 2
    return torch.quantile(means, torch.tensor([tail, 1 - tail], dtype=means.dtype)).tolist()


def means_of(gains, generator, resamples):
    return gains[draw(len(gains), generator, resamples)].mean(1)


@mutant("paired_bootstrap", names="resampled apart")
def unpaired(before, after, generator, resamples=2000, confidence=0.95):
    d, n = gains_of(before, after).mean().item(), len(before)
    a, b = (part.double()[draw(n, generator, resamples)].mean(1) for part in (after, before))
    return d, *tails(a - b, confidence)


@mutant("paired_bootstrap", names="no width")
def without_replacement(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    orders = torch.stack([torch.randperm(len(gains), generator=generator) for _ in range(resamples)])
    return gains.mean().item(), *tails(gains[orders].mean(1), confidence)


@mutant("paired_bootstrap", names="no width")
def one_draw_for_all(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    mean = gains[torch.randint(len(gains), (len(gains),), generator=generator)].mean()
    return gains.mean().item(), *tails(mean.expand(resamples), confidence)


@mutant("paired_bootstrap", names="left out on each side; half")
def one_sided(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), 2 * confidence - 1)


@mutant("paired_bootstrap", names="only `before`")
def before_only(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(before.double(), generator, resamples), confidence)


@mutant("paired_bootstrap", names="only `after`")
def after_only(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(after.double(), generator, resamples), confidence)


@mutant("paired_bootstrap", names="standard deviations")
def normal_interval(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    means = means_of(gains, generator, resamples)
    half = NormalDist().inv_cdf((1 + confidence) / 2) * means.std(correction=0)
    d = gains.mean()
    return d.item(), (d - half).item(), (d + half).item()


@mutant("paired_bootstrap", names="one standard error")
def one_standard_error(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    d, error = gains.mean(), means_of(gains, generator, resamples).std(correction=0)
    return d.item(), (d - error).item(), (d + error).item()


@mutant("paired_bootstrap", names="mirrored")
def basic_bootstrap(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    d = gains.mean().item()
    low, high = tails(means_of(gains, generator, resamples), confidence)
    return d, 2 * d - high, 2 * d - low


@mutant("paired_bootstrap", names="see trap 6")
def new_generator(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    generator = torch.Generator().manual_seed(0)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="see trap 6")
def seeds_the_one_given(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator.manual_seed(0), resamples), confidence)


@mutant("paired_bootstrap", names="see trap 6")
def seed_of_the_one_given(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    own = torch.Generator().manual_seed(generator.initial_seed())
    return gains.mean().item(), *tails(means_of(gains, own, resamples), confidence)


@mutant("paired_bootstrap", names="see trap 6")
def global_generator(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, None, resamples), confidence)


@mutant("paired_bootstrap", names="see trap 6")
def python_random(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    n = len(gains)
    drawn = torch.tensor(random.choices(range(n), k=n * resamples)).view(resamples, n)
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="times what it should be")
def half_as_many_items(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    drawn = draw(len(gains), generator, resamples, max(1, len(gains) // 2))
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="means are taken over the resamples")
def as_many_items_as_resamples(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    drawn = draw(len(gains), generator, 100, resamples)
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="means are taken over the resamples")
def over_the_wrong_dimension(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(gains[draw(len(gains), generator, resamples)].mean(0), confidence)


@mutant("paired_bootstrap", names="single items")
def single_items(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(gains[draw(len(gains), generator, resamples, 1)].mean(1), confidence)


@mutant("paired_bootstrap", names="see trap 3")
def one_item_fewer(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    drawn = draw(len(gains), generator, resamples, max(1, len(gains) - 1))
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="are all items drawn")
def last_item_never_drawn(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    drawn = torch.randint(max(1, len(gains) - 1), (resamples, len(gains)), generator=generator)
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="are all items drawn")
def first_item_never_drawn(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    n = len(gains)
    drawn = torch.randint(1, n, (resamples, n), generator=generator) if n > 1 else torch.zeros(resamples, 1).long()
    return gains.mean().item(), *tails(gains[drawn].mean(1), confidence)


@mutant("paired_bootstrap", names="before minus after")
def sign_turned(before, after, generator, resamples=2000, confidence=0.95):
    gains = -gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="interval is that of before minus after")
def interval_turned(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(-gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="median gain")
def medians(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    middles = gains[draw(len(gains), generator, resamples)].median(1).values
    return gains.median().item(), *tails(middles, confidence)


@mutant("paired_bootstrap", names="without their signs")
def sizes(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after).abs()
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="sizes of the gains are resampled")
def interval_of_sizes(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains.abs(), generator, resamples), confidence)


@mutant("paired_bootstrap", names="around 0")
def centred(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains - gains.mean(), generator, resamples), confidence)


@mutant("paired_bootstrap", names="not of the resamples")
def mean_of_resamples(before, after, generator, resamples=2000, confidence=0.95):
    means = means_of(gains_of(before, after), generator, resamples)
    return means.mean().item(), *tails(means, confidence)


@mutant("paired_bootstrap", names="high stands before low")
def high_before_low(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)[::-1]


@mutant("paired_bootstrap", names="times what it should be")
def always_95_percent(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), 0.95)


@mutant("paired_bootstrap", names="`resamples` is not used")
def always_2000_resamples(before, after, generator, resamples=2000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, 2000), confidence)


@mutant("paired_bootstrap", names="defaults of 2000")
def other_defaults(before, after, generator, resamples=1000, confidence=0.95):
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="6 scores before and 4 after")
def cut_to_the_shorter(before, after, generator, resamples=2000, confidence=0.95):
    n = min(len(before), len(after))
    gains = gains_of(before[:n], after[:n])
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="6 scores before and 1 after")
def broadcast(before, after, generator, resamples=2000, confidence=0.95):
    try:
        gains = after.double() - before.double()
    except RuntimeError:
        raise ValueError("other lengths") from None
    if not len(gains):
        raise ValueError("no scores")
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="no scores at all")
def nothing_is_zero(before, after, generator, resamples=2000, confidence=0.95):
    if len(before) == 0 and len(after) == 0:
        return 0.0, 0.0, 0.0
    gains = gains_of(before, after)
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)


@mutant("paired_bootstrap", names="3 results")
def interval_alone(before, after, generator, resamples=2000, confidence=0.95):
    return tuple(tails(means_of(gains_of(before, after), generator, resamples), confidence))


@mutant("paired_bootstrap", names="subtraction")
def no_subtraction_of_bools(before, after, generator, resamples=2000, confidence=0.95):
    gains_of(before, after)
    gains = (after - before).double()
    return gains.mean().item(), *tails(means_of(gains, generator, resamples), confidence)
