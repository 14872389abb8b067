"""Wrong solutions of ablate_direction."""

import torch
from torch.nn.functional import normalize

from minillm.course.testing import mutant


def unit(direction):
    return direction / direction.norm()


@mutant("ablate_direction", names="not scaled to length 1")
def not_normalised(hidden, direction):
    return hidden - (hidden @ direction)[..., None] * direction


@mutant("ablate_direction", names="length once")
def divided_once(hidden, direction):
    return hidden - (hidden @ direction)[..., None] * direction / direction.norm()


@mutant("ablate_direction", names="length once")
def unit_in_the_product_only(hidden, direction):
    return hidden - (hidden @ unit(direction))[..., None] * direction


@mutant("ablate_direction", names="square of its length")
def divided_by_the_square(hidden, direction):
    r = direction / direction.dot(direction)
    return hidden - (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="sum of its absolute numbers")
def l1_norm(hidden, direction):
    r = direction / direction.abs().sum()
    return hidden - (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="added, not taken away")
def added(hidden, direction):
    r = unit(direction)
    return hidden + (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="mirror")
def mirrored(hidden, direction):
    r = unit(direction)
    return hidden - 2 * (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="the part that should go")
def the_part_removed(hidden, direction):
    r = unit(direction)
    return (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="the direction itself is subtracted")
def direction_subtracted(hidden, direction):
    return hidden - unit(direction)


@mutant("ablate_direction", names="subtracted as it is")
def raw_direction_subtracted(hidden, direction):
    return hidden - direction


@mutant("ablate_direction", names="averaged over all states")
def one_amount_for_all(hidden, direction):
    r = unit(direction)
    return hidden - (hidden @ r).mean() * r


@mutant("ablate_direction", names="averaged over")
def averaged_over_the_rows(hidden, direction):
    r = unit(direction)
    along = hidden @ r
    return hidden - (along.mean(0, keepdim=True) if along.ndim else along)[..., None] * r


@mutant("ablate_direction", names="averaged over")
def averaged_over_the_places(hidden, direction):
    r = unit(direction)
    along = hidden @ r
    return hidden - (along.mean(-1, keepdim=True) if along.ndim else along)[..., None] * r


@mutant("ablate_direction", names="only the last place")
def last_place_only(hidden, direction):
    r = unit(direction)
    result = hidden.clone()
    result[..., -1, :] = hidden[..., -1, :] - (hidden[..., -1, :] @ r)[..., None] * r
    return result


@mutant("ablate_direction", names="states are scaled to length 1")
def states_normalised(hidden, direction):
    r, h = unit(direction), normalize(hidden, dim=-1)
    return h - (h @ r)[..., None] * r


@mutant("ablate_direction", names="cosine")
def cosine(hidden, direction):
    r = unit(direction)
    return hidden - (normalize(hidden, dim=-1) @ r)[..., None] * r


@mutant("ablate_direction", names="keep their length")
def length_kept(hidden, direction):
    r = unit(direction)
    rest = hidden - (hidden @ r)[..., None] * r
    return rest * hidden.norm(dim=-1, keepdim=True) / rest.norm(dim=-1, keepdim=True)


@mutant("ablate_direction", names="only a positive part")
def positive_part_only(hidden, direction):
    r = unit(direction)
    return hidden - (hidden @ r).relu()[..., None] * r


@mutant("ablate_direction", names="absolute value")
def absolute_amount(hidden, direction):
    r = unit(direction)
    return hidden - (hidden @ r).abs()[..., None] * r


@mutant("ablate_direction", names="one by one")
def elementwise(hidden, direction):
    r = unit(direction)
    return hidden - hidden * r * r


@mutant("ablate_direction", names="nothing is taken away")
def unchanged(hidden, direction):
    return hidden.clone()


@mutant("ablate_direction", names="stopped with")
def two_dimensions_only(hidden, direction):
    rows, _ = hidden.shape
    r = unit(direction)
    return hidden - (hidden @ r).reshape(rows, 1) * r


@mutant("ablate_direction", names="shape")
def flattened(hidden, direction):
    r, flat = unit(direction), hidden.reshape(-1, hidden.shape[-1])
    return flat - (flat @ r)[:, None] * r


@mutant("ablate_direction", names="must match the size")
def no_new_dimension(hidden, direction):
    r = unit(direction)
    return hidden - (hidden @ r) * r


@mutant("ablate_direction", names="changes its input")
def in_place(hidden, direction):
    r = unit(direction)
    hidden -= (hidden @ r)[..., None] * r
    return hidden


@mutant("ablate_direction", names="no gradient")
def detached(hidden, direction):
    r, h = unit(direction), hidden.detach()
    return h - (h @ r)[..., None] * r


@mutant("ablate_direction", names="part that is taken away")
def detached_part(hidden, direction):
    r = unit(direction)
    return hidden - (hidden.detach() @ r)[..., None] * r


@mutant("ablate_direction")
def with_a_large_epsilon(hidden, direction):
    r = direction / (direction.norm() + 1e-5)
    return hidden - (hidden @ r)[..., None] * r


@mutant("ablate_direction", names="no gradient")
def without_grad(hidden, direction):
    with torch.no_grad():
        r = unit(direction)
        return hidden - (hidden @ r)[..., None] * r
