"""Wrong solutions of steer."""

from minillm.course.testing import mutant


def while_it_runs(model, layer, run, hook):
    """run() with a forward hook on one block."""
    handle = model.blocks[layer].register_forward_hook(hook)
    try:
        return run()
    finally:
        handle.remove()


def plus(output, vector, places=-1):
    result = output.clone()
    result[:, places] += vector
    return result


@mutant("steer", names="at all places")
def everywhere(model, layer, vector, run):
    return while_it_runs(model, layer, run, lambda b, i, output: output + vector)


@mutant("steer", names="at all places")
def the_whole_prompt(model, layer, vector, run):
    def hook(block, inputs, output):
        return output + vector if output.shape[1] > 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="in passes of one token too")
def answer_tokens_too(model, layer, vector, run):
    return while_it_runs(model, layer, run, lambda b, i, output: plus(output, vector))


@mutant("steer", names="nothing is added")
def only_passes_of_one_token(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] == 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="first place")
def first_place(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector, 0) if output.shape[1] > 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="only the first pass")
def first_pass_only(model, layer, vector, run):
    done = []

    def hook(block, inputs, output):
        if output.shape[1] == 1 or done:
            return output
        done.append(True)
        return plus(output, vector)

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="only the first pass")
def hook_that_removes_itself(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] > 1:
            handle.remove()
            return plus(output, vector)

    handle = model.blocks[layer].register_forward_hook(hook)
    try:
        return run()
    finally:
        handle.remove()


@mutant("steer", names="what goes into the block")
def into_the_block(model, layer, vector, run):
    def hook(block, inputs):
        return (plus(inputs[0], vector), *inputs[1:]) if inputs[0].shape[1] > 1 else inputs

    handle = model.blocks[layer].register_forward_pre_hook(hook)
    try:
        return run()
    finally:
        handle.remove()


@mutant("steer", names="put in place of its output")
def input_plus_vector_as_output(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] == 1:
            return output
        result = output.clone()
        result[:, -1] = inputs[0][:, -1] + vector
        return result

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="what goes into the block")
def block_before(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    return while_it_runs(model, max(layer - 1, 0), run, hook)


@mutant("steer", names="not 1")
def always_the_last_block(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    return while_it_runs(model, -1, run, hook)


@mutant("steer", names="behind every block")
def every_block(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    handles = [block.register_forward_hook(hook) for block in model.blocks]
    try:
        return run()
    finally:
        for handle in handles:
            handle.remove()


@mutant("steer", names="subtracted")
def subtracted(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, -vector) if output.shape[1] > 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="multiplied by the vector")
def multiplied(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] == 1:
            return output
        result = output.clone()
        result[:, -1] *= vector
        return result

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="replaced by the vector")
def replaced(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] == 1:
            return output
        result = output.clone()
        result[:, -1] = vector
        return result

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="scaled to length 1")
def unit_vector(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector / vector.norm()) if output.shape[1] > 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="length of the state")
def as_long_as_the_state(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] == 1:
            return output
        return plus(output, vector / vector.norm() * output[:, -1].norm(dim=-1, keepdim=True))

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="back to its old length")
def length_kept(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] == 1:
            return output
        result = plus(output, vector)
        scale = output[:, -1].norm(dim=-1) / result[:, -1].norm(dim=-1)
        result[:, -1] *= scale[:, None]
        return result

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="added twice")
def two_hooks(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    handles = [model.blocks[layer].register_forward_hook(hook) for _ in range(2)]
    try:
        return run()
    finally:
        for handle in handles:
            handle.remove()


@mutant("steer", names="left on the model")
def hook_stays(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    model.blocks[layer].register_forward_hook(hook)
    return run()


@mutant("steer", names="left on the model")
def removed_behind_the_return(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    handle = model.blocks[layer].register_forward_hook(hook)
    return run()
    handle.remove()


@mutant("steer", names="the run that raised")
def hook_stays_after_an_error(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    handle = model.blocks[layer].register_forward_hook(hook)
    result = run()
    handle.remove()
    return result


@mutant("steer", names="passed on")
def swallows_the_error(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    handle = model.blocks[layer].register_forward_hook(hook)
    result = None
    try:
        result = run()
    except RuntimeError:
        pass
    finally:
        handle.remove()
    return result


@mutant("steer", names="remove your own only")
def all_hooks_cleared(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    model.blocks[layer].register_forward_hook(hook)
    try:
        return run()
    finally:
        model.blocks[layer]._forward_hooks.clear()


@mutant("steer", names="number of calls")
def runs_twice(model, layer, vector, run):
    run()

    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="before the hook is there")
def runs_before_the_hook(model, layer, vector, run):
    result = run()
    model.blocks[layer].register_forward_hook(lambda b, i, output: plus(output, vector)).remove()
    return result


@mutant("steer", names="returned none")
def returns_nothing(model, layer, vector, run):
    def hook(block, inputs, output):
        return plus(output, vector) if output.shape[1] > 1 else output

    while_it_runs(model, layer, run, hook)


@mutant("steer", names="expected a tensor or plain data")
def returns_the_function(model, layer, vector, run):
    return run


@mutant("steer", names="not returned by it")
def hook_returns_nothing(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] > 1:
            plus(output, vector)

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="changed in place")
def in_place(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] > 1:
            output[:, -1] += vector

    return while_it_runs(model, layer, run, hook)


@mutant("steer", names="changed in place")
def in_place_and_returned(model, layer, vector, run):
    def hook(block, inputs, output):
        if output.shape[1] > 1:
            output[:, -1].add_(vector)
        return output

    return while_it_runs(model, layer, run, hook)
