"""Wrong solutions of annotate."""

import torch

from minillm.course.testing import mutant


def chance(a, b, temperature):
    return torch.sigmoid((a - b) / temperature)


def uniform(like, generator):
    return torch.rand(like.shape, generator=generator)


@mutant("annotate", names="hard")
def hard_labels(utility_a, utility_b, temperature, flip, generator):
    return (utility_a > utility_b) ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="probability 1 - flip")
def flips_with_one_minus_flip(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels ^ (uniform(utility_a, generator) >= flip) if flip else labels


@mutant("annotate", names="turned round")
def flips_unless_slipped(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels == (uniform(utility_a, generator) < flip)


@mutant("annotate", names="flip is not used")
def ignores_the_flip(utility_a, utility_b, temperature, flip, generator):
    return uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)


@mutant("annotate", names="temperature is not used")
def ignores_the_temperature(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, 1.0)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="multiplied by the temperature")
def multiplies_by_the_temperature(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, 1 / temperature)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="swapped")
def swaps_a_and_b(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_b, utility_a, temperature)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="swapped")
def wrong_side_of_the_uniform(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) > chance(utility_a, utility_b, temperature)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="one coin decides for the whole batch")
def one_slip_for_all(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels ^ (torch.rand(1, generator=generator) < flip)


@mutant("annotate", names="one draw for the whole batch")
def one_draw_for_all(utility_a, utility_b, temperature, flip, generator):
    labels = torch.rand(1, generator=generator) < chance(utility_a, utility_b, temperature)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="same random numbers")
def one_uniform_for_both(utility_a, utility_b, temperature, flip, generator):
    u = uniform(utility_a, generator)
    return (u < chance(utility_a, utility_b, temperature)) ^ (u < flip)


@mutant("annotate", names="fair coin")
def slip_is_a_coin(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    coins = uniform(utility_a, generator) < 0.5
    return torch.where(uniform(utility_a, generator) < flip, coins, labels)


@mutant("annotate", names="sets the label to false")
def slip_is_false(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels & (uniform(utility_a, generator) >= flip)


@mutant("annotate", names="sets the label to true")
def slip_is_true(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels | (uniform(utility_a, generator) < flip)


@mutant("annotate", names="generator that is passed is not used")
def global_randomness(utility_a, utility_b, temperature, flip, generator):
    labels = torch.rand(utility_a.shape) < chance(utility_a, utility_b, temperature)
    return labels ^ (torch.rand(utility_a.shape) < flip)


@mutant("annotate", names="slips do not come from the generator")
def global_slips(utility_a, utility_b, temperature, flip, generator):
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels ^ (torch.rand(utility_a.shape) < flip)


@mutant("annotate", names="do not seed the generator")
def seeds_again(utility_a, utility_b, temperature, flip, generator):
    generator.manual_seed(17)
    labels = uniform(utility_a, generator) < chance(utility_a, utility_b, temperature)
    return labels ^ (uniform(utility_a, generator) < flip)


@mutant("annotate", names="probabilities: draw")
def returns_the_probability(utility_a, utility_b, temperature, flip, generator):
    p = chance(utility_a, utility_b, temperature)
    return p * (1 - flip) + (1 - p) * flip


@mutant("annotate", names="hard")
def rounds_the_probability(utility_a, utility_b, temperature, flip, generator):
    labels = chance(utility_a, utility_b, temperature).round().bool()
    return labels ^ (uniform(utility_a, generator) < flip)
