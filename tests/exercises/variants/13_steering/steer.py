"""Right solutions of steer that look different."""

from contextlib import contextmanager

import torch

from minillm.course.testing import variant


@variant("steer")
def joined_pieces(model, layer, vector, run):
    def hook(module, args, output):
        if output.size(1) > 1:
            return torch.cat([output[:, :-1], output[:, -1:] + vector], dim=1)

    handle = list(model.blocks)[layer].register_forward_hook(hook)
    try:
        result = run()
    finally:
        handle.remove()
    return result


@variant("steer")
def with_the_handle(model, layer, vector, run):
    def hook(module, args, output):
        T = output.shape[1]
        if T == 1:
            return output
        here = torch.zeros(T, 1)
        here[-1] = 1.0
        return output + here * vector

    with model.blocks[layer].register_forward_hook(hook):
        return run()


@variant("steer")
def a_context_manager(model, layer, vector, run):
    @contextmanager
    def hooked():
        extra = vector.detach().clone().reshape(1, 1, -1)

        def add(block, inputs, output):
            T = output.shape[-2]
            last = torch.arange(T)[None, :, None] == T - 1
            return torch.where(last, output + extra, output) if T != 1 else None

        handle = model.blocks[layer].register_forward_hook(add)
        try:
            yield
        finally:
            handle.remove()

    with hooked():
        return run()


@variant("steer")
def another_forward(model, layer, vector, run):
    block = model.blocks[layer]
    before = block.forward

    def forward(*args, **kwargs):
        output = before(*args, **kwargs)
        if output.shape[1] == 1:
            return output
        padded = torch.nn.functional.pad(vector[None, None], (0, 0, output.shape[1] - 1, 0))
        return output + padded

    block.forward = forward
    try:
        return run()
    finally:
        del block.forward
