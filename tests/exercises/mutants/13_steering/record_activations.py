"""Wrong solutions of record_activations."""

import torch

from minillm.course.testing import mutant


def outputs_of(model, tokens, mask, part=lambda block: block):
    """What each block (or a part of it) gives out, (B, T, D) each; no hook stays."""
    kept, hooks = [], []
    for block in model.blocks:
        hooks.append(part(block).register_forward_hook(lambda block, inputs, output: kept.append(output)))
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return kept


def last_of(tokens, mask):
    B, T = tokens.shape
    place = torch.arange(T).expand(B, T)
    return (place if mask is None else place * (mask > 0)).amax(1)


def at(kept, layers, last):
    return torch.stack([kept[layer][torch.arange(len(last)), last] for layer in layers])


@mutant("record_activations", names="what goes into the block")
def block_inputs(model, tokens, layers, mask=None):
    kept, hooks = {}, []
    for layer in set(layers):
        hook = model.blocks[layer].register_forward_hook(lambda b, inputs, o, k=layer: kept.update({k: inputs[0]}))
        hooks.append(hook)
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="what goes into the block")
def pre_hooks(model, tokens, layers, mask=None):
    kept, hooks = {}, []
    for layer in set(layers):
        hooks.append(
            model.blocks[layer].register_forward_pre_hook(lambda b, inputs, k=layer: kept.update({k: inputs[0]}))
        )
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="layers are counted from 1")
def layers_from_one(model, tokens, layers, mask=None):
    with torch.no_grad():
        embedded = model.embed(tokens)
    kept = [embedded, *outputs_of(model, tokens, mask)]
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="final norm")
def after_the_norm(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    with torch.no_grad():
        return model.norm(at(kept, layers, last_of(tokens, mask)))


@mutant("record_activations", names="mlp adds")
def mlp_only(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, mask, lambda block: block.mlp), layers, last_of(tokens, mask))


@mutant("record_activations", names="last column")
def last_column(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    return torch.stack([kept[layer][:, -1] for layer in layers])


@mutant("record_activations", names="sum of the mask minus 1")
def mask_sum_minus_one(model, tokens, layers, mask=None):
    B, T = tokens.shape
    last = torch.full((B,), T - 1) if mask is None else mask.sum(1).long() - 1
    return at(outputs_of(model, tokens, mask), layers, last)


@mutant("record_activations", names="first real token")
def first_real_token(model, tokens, layers, mask=None):
    B, T = tokens.shape
    first = torch.full((B,), T - 1) if mask is None else mask.float().argmax(1)
    return at(outputs_of(model, tokens, mask), layers, first)


@mutant("record_activations", names="first")
def first_column(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    return torch.stack([kept[layer][:, 0] for layer in layers])


@mutant("record_activations", names="token before the last")
def one_place_early(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, mask), layers, (last_of(tokens, mask) - 1).clamp(min=0))


@mutant("record_activations", names="averaged")
def mean_over_real_tokens(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    weight = torch.ones(tokens.shape) if mask is None else mask.float()
    return torch.stack([(kept[k] * weight[..., None]).sum(1) / weight.sum(1, keepdim=True) for k in layers])


@mutant("record_activations", names="averaged")
def mean_over_places(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    return torch.stack([kept[layer].mean(1) for layer in layers])


@mutant("record_activations", names="not told of the mask")
def without_the_mask(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, None), layers, last_of(tokens, mask))


@mutant("record_activations", names="not told of the mask")
def last_column_without_the_mask(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, None)
    return torch.stack([kept[layer][:, -1] for layer in layers])


@mutant("record_activations", names="order of the blocks")
def in_the_order_of_the_blocks(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, mask), sorted(layers), last_of(tokens, mask))


@mutant("record_activations", names="order of the blocks")
def in_the_order_in_which_hooks_fire(model, tokens, layers, mask=None):
    kept, hooks = [], []
    for layer in layers:
        hooks.append(model.blocks[layer].register_forward_hook(lambda b, i, output: kept.append(output)))
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.stack([each[torch.arange(len(tokens)), last_of(tokens, mask)] for each in kept])


@mutant("record_activations", names="asked for twice comes once")
def each_layer_once(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, mask), list(dict.fromkeys(layers)), last_of(tokens, mask))


@mutant("record_activations", names="loop's last value")
def closure_over_the_loop(model, tokens, layers, mask=None):
    kept, hooks = {}, []
    for layer in layers:

        def hook(block, inputs, output):
            kept[layer] = output  # noqa: B023

        hooks.append(model.blocks[layer].register_forward_hook(hook))
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for each in hooks:
            each.remove()
    return at({k: kept[layer] for k in layers}, layers, last_of(tokens, mask))


@mutant("record_activations", names="(l, b, d)")
def rows_first(model, tokens, layers, mask=None):
    return at(outputs_of(model, tokens, mask), layers, last_of(tokens, mask)).transpose(0, 1)


@mutant("record_activations", names="shape")
def every_place(model, tokens, layers, mask=None):
    kept = outputs_of(model, tokens, mask)
    return torch.stack([kept[layer] for layer in layers])


@mutant("record_activations", names="left on the model")
def hooks_stay(model, tokens, layers, mask=None):
    kept = {}
    for layer in set(layers):
        model.blocks[layer].register_forward_hook(lambda b, i, output, k=layer: kept.update({k: output}))
    with torch.no_grad():
        model(tokens, mask)
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="left on the model")
def only_the_last_hook_goes(model, tokens, layers, mask=None):
    kept = {}
    for layer in sorted(set(layers)):
        hook = model.blocks[layer].register_forward_hook(lambda b, i, output, k=layer: kept.update({k: output}))
    with torch.no_grad():
        model(tokens, mask)
    hook.remove()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="try and finally")
def hooks_stay_after_an_error(model, tokens, layers, mask=None):
    kept, hooks = {}, []
    for layer in set(layers):
        hooks.append(model.blocks[layer].register_forward_hook(lambda b, i, o, k=layer: kept.update({k: o})))
    with torch.no_grad():
        model(tokens, mask)
    for hook in hooks:
        hook.remove()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="remove your own only")
def all_hooks_cleared(model, tokens, layers, mask=None):
    kept = {}
    for layer in set(layers):
        model.blocks[layer].register_forward_hook(lambda b, i, output, k=layer: kept.update({k: output}))
    try:
        with torch.no_grad():
            model(tokens, mask)
    finally:
        for layer in set(layers):
            model.blocks[layer]._forward_hooks.clear()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="gradient flows")
def with_gradients(model, tokens, layers, mask=None):
    kept, hooks = {}, []
    for layer in set(layers):
        hooks.append(model.blocks[layer].register_forward_hook(lambda b, i, o, k=layer: kept.update({k: o})))
    try:
        model(tokens, mask)
    finally:
        for hook in hooks:
            hook.remove()
    return at(kept, layers, last_of(tokens, mask))


@mutant("record_activations", names="mode")
def switches_to_evaluation(model, tokens, layers, mask=None):
    model.eval()
    return at(outputs_of(model, tokens, mask), layers, last_of(tokens, mask))


@mutant("record_activations", names="mode")
def switches_to_training_afterwards(model, tokens, layers, mask=None):
    model.eval()
    result = at(outputs_of(model, tokens, mask), layers, last_of(tokens, mask))
    model.train()
    return result


@mutant("record_activations", names="valueerror was expected")
def swallows_the_error(model, tokens, layers, mask=None):
    try:
        kept = outputs_of(model, tokens, mask)
    except ValueError:
        return torch.zeros(len(layers), len(tokens), model.config.dim)
    return at(kept, layers, last_of(tokens, mask))
