"""Right solutions of orthogonalize_weights that look different."""

import re

import torch
from torch.nn.functional import normalize

from minillm.course.testing import variant


@variant("orthogonalize_weights")
def projection_matrices(weights, direction):
    r = normalize(direction.detach(), dim=0)
    keep = torch.eye(len(r), dtype=r.dtype) - r[:, None] * r[None, :]
    new = {}
    for name, weight in weights.items():
        if name.startswith("embed"):
            new[name] = weight @ keep
        elif name.split(".")[-3:-1] in (["attention", "out"], ["mlp", "down"]):
            new[name] = keep @ weight
        else:
            new[name] = weight.clone()
    return new


@variant("orthogonalize_weights")
def one_function_for_both(weights, direction):
    def erase(vectors):
        """(..., D) without the direction."""
        along = (vectors * direction).sum(-1, keepdim=True) / direction.square().sum()
        return vectors - along * direction

    turn = re.compile(r"blocks\.\d+\.(attention\.out|mlp\.down)\.weight")
    return {
        name: erase(w) if name == "embed.weight" else erase(w.T).T if turn.fullmatch(name) else w
        for name, w in weights.items()
    }


@variant("orthogonalize_weights")
def in_place_on_copies(weights, direction):
    with torch.no_grad():
        unit = direction.double() / direction.double().norm()
        new = {name: weight.detach().clone() for name, weight in weights.items()}
        embed = new["embed.weight"].double()
        new["embed.weight"].copy_(embed - (embed @ unit)[:, None] * unit)
        i = 0
        while f"blocks.{i}.attention.out.weight" in new:
            for part in ("attention.out", "mlp.down"):
                weight = new[f"blocks.{i}.{part}.weight"]
                weight.copy_(weight.double() - unit[:, None] * (unit @ weight.double()))
            i += 1
    return new


@variant("orthogonalize_weights")
def einsum(weights, direction):
    r = direction / direction.pow(2).sum().sqrt()
    result = {}
    for name in weights:
        weight = weights[name]
        if "embed" in name:
            weight = weight - torch.einsum("vd,d,e->ve", weight, r, r)
        if "attention.out" in name or "mlp.down" in name:
            weight = weight.sub(torch.einsum("d,e,ei->di", r, r, weight))
        result[name] = weight
    return result
