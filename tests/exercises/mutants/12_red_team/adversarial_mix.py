"""Wrong solutions of adversarial_mix."""

import random

import torch

from minillm.course.testing import mutant


def refuse(harmful, harmless, kinds, count):
    if count % 2 or not harmful or not harmless or not kinds:
        raise ValueError("an odd count, an empty pool or no kinds")


def rounds(pool, size, generator):
    """So many requests, round after round through the pool."""
    order = []
    while len(order) < size:
        order += torch.randperm(len(pool), generator=generator).tolist()
    return [pool[i] for i in order[:size]]


def dealt(pool, size, kinds, wrap, generator):
    return [wrap(each, kinds[i % len(kinds)]) for i, each in enumerate(rounds(pool, size, generator))]


def shuffled(rows, generator):
    return [rows[i] for i in torch.randperm(len(rows), generator=generator).tolist()]


@mutant("adversarial_mix", names="is not wrapped")
def harmless_as_they_are(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + rounds(harmless, count // 2, generator)
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="is not wrapped")
def nothing_wrapped(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return shuffled(rounds(harmful, count // 2, generator) + rounds(harmless, count // 2, generator), generator)


@mutant("adversarial_mix", names="requests are harmful; half")
def harmful_only(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return shuffled(dealt(harmful, count, kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="harmful, expected half")
def one_pool_of_all(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return shuffled(dealt([*harmful, *harmless, *harmful], count, kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="deal them out in turn")
def kinds_at_random(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = []
    for pool in (harmful, harmless):
        for each in rounds(pool, count // 2, generator):
            rows.append(wrap(each, kinds[int(torch.randint(len(kinds), (), generator=generator))]))
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="all harmful requests are of one kind")
def one_kind(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds[:1], wrap, generator)
    return shuffled(rows + dealt(harmless, count // 2, kinds[:1], wrap, generator), generator)


@mutant("adversarial_mix", names="all harmless requests are of one kind")
def harmless_in_one_kind(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, generator)
    return shuffled(rows + dealt(harmless, count // 2, kinds[-1:], wrap, generator), generator)


@mutant("adversarial_mix", names="in one half as in the other")
def dealt_on_over_both_halves(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    requests = rounds(harmful, count // 2, generator) + rounds(harmless, count // 2, generator)
    return shuffled([wrap(each, kinds[i % len(kinds)]) for i, each in enumerate(requests)], generator)


@mutant("adversarial_mix", names="deal them out in turn")
def every_other_kind(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds[::2], wrap, generator)
    return shuffled(rows + dealt(harmless, count // 2, kinds[1::2] or kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="deal them out in turn")
def kinds_in_blocks(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    half, rows = count // 2, []
    for pool in (harmful, harmless):
        size = half // len(kinds)
        some = [kind for kind in kinds for _ in range(size)]
        some += [kinds[0]] * (half - len(some))
        rows += [wrap(each, kind) for each, kind in zip(rounds(pool, half, generator), some)]
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="before all others came")
def with_replacement(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = []
    for pool in (harmful, harmless):
        numbers = torch.randint(len(pool), (count // 2,), generator=generator).tolist()
        rows += [wrap(pool[n], kinds[i % len(kinds)]) for i, n in enumerate(numbers)]
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="before all others came")
def last_of_the_pool_never(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful[:-1], count // 2, kinds, wrap, generator)
    return shuffled(rows + dealt(harmless[:-1], count // 2, kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="they come in random order")
def always_the_first_requests(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = []
    for pool in (harmful, harmless):
        rows += [wrap(pool[i % len(pool)], kinds[i % len(kinds)]) for i in range(count // 2)]
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="they come in random order")
def harmless_in_order(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, generator)
    rows += [wrap(harmless[i % len(harmless)], kinds[i % len(kinds)]) for i in range(count // 2)]
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="behind the other")
def not_shuffled(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)


@mutant("adversarial_mix", names="behind the other")
def each_half_shuffled(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    bad = shuffled(dealt(harmful, count // 2, kinds, wrap, generator), generator)
    return bad + shuffled(dealt(harmless, count // 2, kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="stand in pairs")
def alternating(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    bad = shuffled(dealt(harmful, count // 2, kinds, wrap, generator), generator)
    good = shuffled(dealt(harmless, count // 2, kinds, wrap, generator), generator)
    return [each for pair in zip(bad, good) for each in pair]


@mutant("adversarial_mix", names="length of the whole list")
def count_in_each_half(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return shuffled(dealt(harmful, count, kinds, wrap, generator) + dealt(harmless, count, kinds, wrap, generator),
                    generator)  # fmt: skip


@mutant("adversarial_mix", names="requests, expected")
def stops_when_a_pool_is_used_up(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, min(count // 2, len(harmful)), kinds, wrap, generator)
    return shuffled(rows + dealt(harmless, min(count // 2, len(harmless)), kinds, wrap, generator), generator)


@mutant("adversarial_mix", names="wrap(request, kind)")
def arguments_swapped(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    turned = lambda request, kind: wrap(kind, request)  # noqa: E731
    rows = dealt(harmful, count // 2, kinds, turned, generator)
    return shuffled(rows + dealt(harmless, count // 2, kinds, turned, generator), generator)


@mutant("adversarial_mix", names="unhashable")
def set_of_requests(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    return shuffled([wrap(each, kinds[0]) for each in set(harmful) | set(harmless)], generator)


@mutant("adversarial_mix", names="two draws give the same list")
def global_generator(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, None) + dealt(harmless, count // 2, kinds, wrap, None)
    return shuffled(rows, None)


@mutant("adversarial_mix", names="whatever the seed")
def seeded_shuffle(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)
    random.Random(0).shuffle(rows)
    return rows


@mutant("adversarial_mix", names="two draws give the same list")
def seeds_the_one_given(harmful, harmless, kinds, wrap, count, generator):
    generator.manual_seed(0)
    refuse(harmful, harmless, kinds, count)
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="changes its input")
def pools_used_up(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, count)
    harmful[:] = shuffled(harmful, generator)
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="should raise a valueerror")
def odd_counts_pass(harmful, harmless, kinds, wrap, count, generator):
    refuse(harmful, harmless, kinds, 0)
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)
    return shuffled(rows, generator)


@mutant("adversarial_mix", names="a valueerror was expected")
def empty_pools_pass(harmful, harmless, kinds, wrap, count, generator):
    if count % 2:
        raise ValueError("count must be even")
    sizes = [1 / len(pool) for pool in (harmful, harmless, kinds)]
    rows = dealt(harmful, count // 2, kinds, wrap, generator) + dealt(harmless, count // 2, kinds, wrap, generator)
    return shuffled(rows, generator) if sizes else []
