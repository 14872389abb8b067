"""Wrong solutions of orthogonalize_weights."""

import torch

from minillm.course.testing import mutant

WRITERS = ("attention.out.weight", "mlp.down.weight")


def unit(direction):
    return direction / direction.norm()


def rows(weight, r):
    return weight - torch.outer(weight @ r, r)


def columns(weight, r):
    return weight - torch.outer(r, r @ weight)


def right(weights, direction):
    """The right answer, to be spoiled."""
    result, r = dict(weights), unit(direction)
    for name, weight in weights.items():
        if name == "embed.weight":
            result[name] = rows(weight, r)
        elif name.endswith(WRITERS):
            result[name] = columns(weight, r)
    return result


@mutant("orthogonalize_weights", names="wrong side")
def all_from_the_right(weights, direction):
    result, r = dict(weights), unit(direction)
    for name, weight in weights.items():
        if name == "embed.weight" or name.endswith(WRITERS):
            result[name] = rows(weight, r)
    return result


@mutant("orthogonalize_weights", names="wrong side")
def all_from_the_left(weights, direction):
    result, r = dict(weights), unit(direction)
    for name, weight in weights.items():
        if name == "embed.weight" or name.endswith(WRITERS):
            result[name] = columns(weight, r)
    return result


@mutant("orthogonalize_weights", names="wrong side")
def attention_from_the_wrong_side(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: rows(weights[name], r) if "attention.out" in name else result[name] for name in result}


@mutant("orthogonalize_weights", names="wrong side")
def whichever_side_fits(weights, direction):
    result, r = dict(weights), unit(direction)
    for name, weight in weights.items():
        if name == "embed.weight" or name.endswith(WRITERS):
            result[name] = rows(weight, r) if weight.shape[1] == len(r) else columns(weight, r)
    return result


@mutant("orthogonalize_weights", names="from both sides")
def attention_from_both_sides(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: rows(weight, r) if "attention.out" in name else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="does not write into the stream")
def qkv_too(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: rows(weight, r) if name.endswith("qkv.weight") else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="does not write into the stream")
def up_too(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: rows(weight, r) if name.endswith("up.weight") else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="does not write into the stream")
def every_matrix_that_fits(weights, direction):
    result, r = right(weights, direction), unit(direction)
    reads = ("qkv.weight", "up.weight", "output.weight")
    return {name: rows(weight, r) if name.endswith(reads) else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="does not write into the stream")
def read_out_too(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: rows(weight, r) if name == "output.weight" else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="only scales")
def norms_too(weights, direction):
    result, r = right(weights, direction), unit(direction)
    return {name: weight - (weight @ r) * r if weight.ndim == 1 else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="`embed.weight`")
def embedding_forgotten(weights, direction):
    return {**right(weights, direction), "embed.weight": weights["embed.weight"]}


@mutant("orthogonalize_weights", names="mlp.down.weight")
def mlp_forgotten(weights, direction):
    result = right(weights, direction)
    return {name: weights[name] if "mlp.down" in name else result[name] for name in result}


@mutant("orthogonalize_weights", names="attention.out.weight")
def attention_forgotten(weights, direction):
    result = right(weights, direction)
    return {name: weights[name] if "attention.out" in name else result[name] for name in result}


@mutant("orthogonalize_weights", names="returned unchanged")
def last_block_only(weights, direction):
    result, last = right(weights, direction), [name for name in weights if name.startswith("blocks.")][-1].split(".")[1]
    keep = ("embed", f"blocks.{last}.")
    return {name: result[name] if name.startswith(keep) else weights[name] for name in weights}


@mutant("orthogonalize_weights", names="returned unchanged")
def first_block_only(weights, direction):
    result = right(weights, direction)
    return {name: result[name] if name.startswith(("embed", "blocks.0.")) else weights[name] for name in weights}


@mutant("orthogonalize_weights", names="blocks.10.")
def one_digit_only(weights, direction):
    result = right(weights, direction)
    return {name: weights[name] if name.startswith("blocks.") and name[8] != "." else result[name] for name in result}


@mutant("orthogonalize_weights", names="not scaled to length 1")
def not_normalised(weights, direction):
    result = dict(weights)
    for name, weight in weights.items():
        if name == "embed.weight":
            result[name] = rows(weight, direction)
        elif name.endswith(WRITERS):
            result[name] = columns(weight, direction)
    return result


@mutant("orthogonalize_weights", names="by its length once")
def divided_once(weights, direction):
    result = dict(weights)
    for name, weight in weights.items():
        if name == "embed.weight":
            result[name] = weight - torch.outer(weight @ direction, unit(direction))
        elif name.endswith(WRITERS):
            result[name] = weight - torch.outer(direction, unit(direction) @ weight)
    return result


@mutant("orthogonalize_weights", names="added, not taken away")
def added(weights, direction):
    result = right(weights, direction)
    return {name: 2 * weights[name] - result[name] for name in weights}


@mutant("orthogonalize_weights", names="taken away twice")
def mirrored(weights, direction):
    result = right(weights, direction)
    return {name: 2 * result[name] - weights[name] for name in weights}


@mutant("orthogonalize_weights", names="the part that should go")
def the_part_removed(weights, direction):
    result = right(weights, direction)
    writes = ("embed.weight", *WRITERS)
    return {name: weights[name] - result[name] if name.endswith(writes) else weights[name] for name in weights}


@mutant("orthogonalize_weights", names="transposed")
def returned_transposed(weights, direction):
    result = right(weights, direction)
    return {name: weight.T if name.endswith("attention.out.weight") else weight for name, weight in result.items()}


@mutant("orthogonalize_weights", names="changes its input")
def in_place(weights, direction):
    new = right(weights, direction)
    for name, weight in weights.items():
        weight.copy_(new[name])
    return weights


@mutant("orthogonalize_weights", names="changes its input")
def same_dictionary(weights, direction):
    weights.update(right(weights, direction))
    return weights


@mutant("orthogonalize_weights", names="weights that do not write belong to it too")
def only_what_changed(weights, direction):
    result = right(weights, direction)
    return {name: weight for name, weight in result.items() if name == "embed.weight" or name.endswith(WRITERS)}


@mutant("orthogonalize_weights", names="order of the names")
def changed_ones_first(weights, direction):
    result = right(weights, direction)
    first = {name: weight for name, weight in result.items() if name == "embed.weight" or name.endswith(WRITERS)}
    rest = {name: weight for name, weight in result.items() if name not in first}
    return {**rest, **first}


@mutant("orthogonalize_weights", names="a dictionary of weights")
def a_list(weights, direction):
    return list(right(weights, direction).values())


@mutant("orthogonalize_weights", names="float64")
def always_single_precision(weights, direction):
    return {name: weight.float() for name, weight in right(weights, direction).items()}
