"""Right solutions of paired_bootstrap that look different."""

import torch

from minillm.course.testing import variant


@variant("paired_bootstrap")
def one_draw_for_both(before, after, generator, resamples=2000, confidence=0.95):
    N = len(before)
    if N != len(after) or not N:
        raise ValueError("not paired")
    drawn = torch.randint(0, N, (resamples, N), generator=generator)
    means = after.float()[drawn].mean(-1) - before.float()[drawn].mean(-1)
    low = torch.quantile(means, (1 - confidence) / 2)
    high = torch.quantile(means, (1 + confidence) / 2)
    return after.float().mean() - before.float().mean(), low, high


@variant("paired_bootstrap")
def resample_by_resample(before, after, generator, resamples=2000, confidence=0.95):
    if before.shape != after.shape or before.numel() == 0:
        raise ValueError("not paired")
    gains, means = after.float() - before.float(), []
    for _ in range(resamples):
        means.append(gains[torch.randint(len(gains), gains.shape, generator=generator)].mean())
    tail = (1 - confidence) / 2
    means = torch.stack(means)
    return gains.mean().item(), means.quantile(tail).item(), means.quantile(1 - tail).item()


@variant("paired_bootstrap")
def counts_of_items(before, after, generator, resamples=2000, confidence=0.95):
    N = len(before)
    if len(after) != N or N == 0:
        raise ValueError("not paired")
    gains = after.double() - before.double()
    drawn = torch.multinomial(torch.ones(resamples, N), N, replacement=True, generator=generator)
    counts = torch.zeros(resamples, N, dtype=torch.float64).scatter_add(
        1, drawn, torch.ones(1).double().expand_as(drawn)
    )
    means = counts @ gains / N
    q = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    return [gains.mean(), *means.quantile(q)]


@variant("paired_bootstrap")
def sorted_means(before, after, generator, resamples=2000, confidence=0.95):
    if len(before) != len(after) or len(before) < 1:
        raise ValueError("not paired")
    gains = after.double() - before.double()
    uniform = torch.rand(
        len(gains), resamples, generator=generator, dtype=torch.float64
    )  # items down, resamples across
    means = gains[(uniform * len(gains)).long()].mean(0).sort().values.tolist()

    def at(q):
        place = q * (len(means) - 1)
        k = min(int(place), len(means) - 1)
        above = means[min(k + 1, len(means) - 1)]
        return means[k] + (place - k) * (above - means[k])

    return sum(gains.tolist()) / len(gains), at((1 - confidence) / 2), at((1 + confidence) / 2)
