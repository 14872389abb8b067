"""Right solutions of adversarial_mix that look different."""

import random
from itertools import cycle, islice

import torch

from minillm.course.testing import variant


@variant("adversarial_mix")
def kinds_shuffled_too(harmful, harmless, kinds, wrap, count, generator):
    if not (harmful and harmless and kinds) or count % 2 == 1:
        raise ValueError("nothing to mix, or an odd count")

    def shuffle(items):
        return [items[i] for i in torch.randperm(len(items), generator=generator)]

    deck = list(islice(cycle(shuffle(kinds)), count // 2))
    halves = []
    for pool in (harmless, harmful):
        requests = []
        while len(requests) < len(deck):
            requests.extend(shuffle(pool))
        halves.extend(wrap(request, kind) for request, kind in zip(requests, shuffle(deck)))
    return shuffle(halves)


@variant("adversarial_mix")
def python_random_from_the_generator(harmful, harmless, kinds, wrap, count, generator):
    if count % 2 != 0 or min(len(harmful), len(harmless), len(kinds)) == 0:
        raise ValueError("count must be even, pools and kinds not empty")
    draw = random.Random(int(torch.randint(2**40, (), generator=generator)))
    mix = []
    for pool in (harmful, harmless):
        left = []
        for turn in range(count // 2):
            if not left:
                left = draw.sample(range(len(pool)), len(pool))
            mix.append(wrap(pool[left.pop()], kinds[turn % len(kinds)]))
    draw.shuffle(mix)
    return mix


@variant("adversarial_mix")
def places_first(harmful, harmless, kinds, wrap, count, generator):
    if count & 1:
        raise ValueError("count must be even")
    if not len(harmful) or not len(harmless) or not len(kinds):
        raise ValueError("there is nothing to draw from")
    mix, places = [None] * count, torch.randperm(count, generator=generator).tolist()
    for side, pool in enumerate((harmful, harmless)):
        order = torch.empty(0, dtype=torch.long)
        for i in range(count // 2):
            if len(order) == 0:
                order = torch.rand(len(pool), generator=generator).argsort()
            number, order = int(order[0]), order[1:]
            mix[places[2 * i + side]] = wrap(pool[number], kinds[i % len(kinds)])
    return mix


@variant("adversarial_mix")
def rounds_at_once(harmful, harmless, kinds, wrap, count, generator):
    if count % 2:
        raise ValueError("an odd count cannot be halved")
    if [] in (list(harmful), list(harmless), list(kinds)):
        raise ValueError("empty")
    half = count // 2
    pairs = []
    for pool in (harmful, harmless):
        needed = -(-half // len(pool))
        order = torch.cat([torch.randperm(len(pool), generator=generator) for _ in range(needed)])[:half]
        pairs += [(pool[n], kinds[i % len(kinds)]) for i, n in enumerate(order.tolist())]
    return [wrap(*pairs[i]) for i in torch.randperm(len(pairs), generator=generator).tolist()]
