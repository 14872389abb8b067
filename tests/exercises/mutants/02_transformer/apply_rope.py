"""Wrong solutions of apply_rope."""

import torch

from minillm.course.testing import mutant


def turned(x1, x2, cos, sin):
    return x1 * cos - x2 * sin, x1 * sin + x2 * cos


@mutant("apply_rope", names="neighbours are paired")
def interleaved(x, cos, sin):
    return torch.stack(turned(x[..., ::2], x[..., 1::2], cos, sin), -1).flatten(-2)


@mutant("apply_rope", names="put together as halves")
def neighbours_put_together_as_halves(x, cos, sin):
    return torch.cat(turned(x[..., ::2], x[..., 1::2], cos, sin), -1)


@mutant("apply_rope", names="results are interleaved")
def halves_put_together_as_neighbours(x, cos, sin):
    return torch.stack(turned(*x.chunk(2, -1), cos, sin), -1).flatten(-2)


@mutant("apply_rope", names="turns the wrong way")
def turns_back(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), cos, -sin), -1)


@mutant("apply_rope", names="same sign, +")
def both_plus(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    return torch.cat((x1 * cos + x2 * sin, x1 * sin + x2 * cos), -1)


@mutant("apply_rope", names="same sign, -")
def both_minus(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    return torch.cat((x1 * cos - x2 * sin, x2 * cos - x1 * sin), -1)


@mutant("apply_rope", names="cos and sin are swapped")
def sin_for_cos(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), sin, cos), -1)


@mutant("apply_rope", names="overwritten")
def overwrites_the_first_half(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    x1 = x1 * cos - x2 * sin
    x2 = x1 * sin + x2 * cos
    return torch.cat((x1, x2), -1)


@mutant("apply_rope", names="wrong order")
def second_half_first(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), cos, sin)[::-1], -1)


@mutant("apply_rope", names="only the first half")
def first_half_alone(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    return torch.cat((x1 * cos - x2 * sin, x2), -1)


@mutant("apply_rope", names="only scaled")
def scales_the_halves(x, cos, sin):
    x1, x2 = x.chunk(2, -1)
    return torch.cat((x1 * cos, x2 * sin), -1)


@mutant("apply_rope", names="position 0")
def every_position_as_the_first(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), cos[0], sin[0]), -1)


@mutant("apply_rope", names="comes back as it was")
def does_nothing(x, cos, sin):
    return x + 0 * x


@mutant("apply_rope", names="off by one")
def positions_from_one(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), cos.roll(-1, 0), sin.roll(-1, 0)), -1)


@mutant("apply_rope", names="changes its input")
def in_place(x, cos, sin):
    half = x.shape[-1] // 2
    x1, x2 = x[..., :half].clone(), x[..., half:].clone()
    x[..., :half], x[..., half:] = turned(x1, x2, cos, sin)
    return x


@mutant("apply_rope", names="must match the size")
def tables_along_the_heads(x, cos, sin):
    return torch.cat(turned(*x.chunk(2, -1), cos[:, None], sin[:, None]), -1)


@mutant("apply_rope", names="no gradient reaches")
def detached(x, cos, sin):
    return torch.cat(turned(*x.detach().chunk(2, -1), cos, sin), -1)
