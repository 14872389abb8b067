"""What a right solution of lesson 03 is, continued: the optimiser step and perplexity."""

from functools import cache
from math import exp

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, expect_close, expect_true, fail
from minillm.course.props import SGD, AdamW, Loss, ToyLM
from minillm.course.testing import exercise

V, D = 8, 3
LOOSE = 1e9  # a max_norm that no gradient reaches


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def toy(seed: int, stale: bool = False, scale: float = 2.0) -> ToyLM:
    """A tiny model, with gradients of an earlier call still in it if ``stale``."""
    g = generator(seed)
    embed, head, left, over = (scale * torch.randn(V, D, generator=g) for _ in range(4))
    return ToyLM(embed, head, grads={"embed": left, "head": over} if stale else {})


def toy_logits(embed: Tensor, head: Tensor, tokens: Tensor) -> Tensor:
    """The formula of the toy model: the mean of the embeddings so far, times the head."""
    T = tokens.shape[1]
    average = torch.ones(T, T, dtype=embed.dtype).tril() / torch.arange(1, T + 1)[:, None]
    return torch.einsum("ts,bsd,vd->btv", average, embed[tokens], head)


# --- training_step ----------------------------------------------------------------------------------------------


def micro_batches(seed: int, count: int) -> list[tuple[Tensor, Tensor | None]]:
    """Micro-batches with as many counted tokens in each; with a mask for every second seed."""
    g = generator(seed + 1000)
    mask = (torch.arange(5) < torch.tensor([5, 2, 4])[:, None]).float()
    return [(torch.randint(0, V, (3, 5), generator=g), mask if seed % 2 else None) for _ in range(count)]


def toy_loss(weights: list[Tensor], batch: tuple[Tensor, Tensor | None]) -> Tensor:
    """The loss called "square": squared distance of the mean logit to token / 10, over counted positions."""
    tokens, mask = batch
    each = (toy_logits(*weights, tokens).mean(-1) - tokens / 10) ** 2
    return each.mean() if mask is None else each[mask.bool()].mean()


def loss_and_gradient(weights: list[Tensor], batch: tuple[Tensor, Tensor | None]) -> tuple[float, list[Tensor]]:
    leaves = [weight.clone().requires_grad_() for weight in weights]
    loss = toy_loss(leaves, batch)
    return loss.item(), list(torch.autograd.grad(loss, leaves))


def clipped(grads: list[Tensor], limit: float, slip: str = "") -> list[Tensor]:
    norm = torch.cat([grad.flatten() for grad in grads]).norm().item()
    if slip == "no clip":
        return grads
    if slip == "elementwise":
        return [grad.clamp(-limit, limit) for grad in grads]
    if slip == "each tensor":
        return [grad * min(1.0, limit / grad.norm().item()) for grad in grads]
    if slip == "one":
        limit = 1.0
    return [grad * (limit / norm if slip == "always" else min(1.0, limit / norm)) for grad in grads]


def train(model: ToyLM, rounds: list, lr: float, max_norm: float, slip: str = "", adam: dict | None = None):
    """Independent training: the weights after each round, and its losses, right or with one named slip."""
    weights = [model.embed.double(), model.head.double()]
    zeros = [torch.zeros_like(weight) for weight in weights]
    held = [grad.double() for grad in model.grads.values()] or zeros
    first, second, history, losses = zeros, zeros, [], []
    for t, batches in enumerate(rounds, start=1):
        grads, values = held if slip == "no zero" else zeros, []
        share = 1.0 if slip in ("no division", "first only") else 1 / len(batches)
        for batch in batches[:1] if slip == "first only" else batches:
            loss, new = loss_and_gradient(weights, batch)
            new = clipped(new, max_norm) if slip == "clip each" else new
            grads = [(0 if slip == "last only" else grad) + share * part for grad, part in zip(grads, new)]
            values.append(loss)
        held = grads = clipped(grads, max_norm, slip)
        if adam:
            b1, b2 = adam["betas"]
            first = [b1 * m + (1 - b1) * grad for m, grad in zip(first, grads)]
            second = [b2 * v + (1 - b2) * grad**2 for v, grad in zip(second, grads)]
            grads = [m / (1 - b1**t) / ((v / (1 - b2**t)).sqrt() + 1e-8) for m, v in zip(first, second)]
            weights = [weight * (1 - lr * adam["weight_decay"]) for weight in weights]
        weights = [weight - lr * grad for weight, grad in zip(weights, grads)]
        history.append(torch.stack(weights))
        losses.append(values)
    return history, losses


SLIPS = {
    "no zero": "gradients are not zeroed: those of the step before are added to these. See trap 1.",
    "last only": "gradients are zeroed between micro-batches, so that only the last one counts. See trap 1.",
    "first only": "only the first micro-batch is used.",
    "no division": "the micro-batches are summed, not averaged: divide each loss by len(batches). See trap 2.",
    "no clip": "nothing is clipped, or only after the optimiser has stepped. See trap 3.",
    "clip each": "every micro-batch is clipped on its own, not the sum of them. See trap 3.",
    "elementwise": "every number is clipped on its own (clip_grad_value_), not the norm of all. See trap 4.",
    "each tensor": "each parameter is clipped by its own norm, not by that of all gradients together. See trap 4.",
    "always": "gradients shorter than max_norm are stretched to it: clipping only ever shortens. See trap 4.",
    "one": "max_norm is not used: the gradient is clipped to a norm of 1.",
}


def check_training(handle, seed, rounds, max_norm=LOOSE, lr=0.3, adam=None, stale=False, scale=2.0) -> None:
    """Several steps with one live model and optimiser: the weights and the loss after each."""
    model = toy(seed, stale, scale)
    optimizer = AdamW(model, lr=lr, **adam) if adam else SGD(model, lr=lr)
    loss_fn = Loss("square")
    outcomes = handle.calls([((model, optimizer, batches, loss_fn), {"max_norm": max_norm}) for batches in rounds])
    history, losses = train(model, rounds, lr, max_norm, adam=adam)
    start = torch.stack([model.embed, model.head]).double()
    wrong = cache(lambda slip: train(model, rounds, lr, max_norm, slip, adam)[0])
    for i, (outcome, batches) in enumerate(zip(outcomes, rounds)):
        check_steps_taken(outcome.states[1]["steps"] - i, len(batches))
        got = torch.stack([outcome.states[0][name].double() for name in ("embed", "head")])
        if not adam and torch.equal(got, history[i - 1] if i else start):
            fail("no weight moved: are gradients zeroed between backward and step, or is there no backward?")
        mistakes = {message: lambda slip=slip, i=i: wrong(slip)[i] - start for slip, message in SLIPS.items()}
        what = f"the change of the weights (embed, head) after step {i + 1} of {len(rounds)}"
        expect_close(got - start, history[i] - start, what, mistakes=mistakes, rtol=1e-3)
        check_returned(outcome.result, losses[i], list(history[i]), batches)


def check_steps_taken(taken: int, batches: int) -> None:
    expect_true(taken > 0, "the optimiser never stepped: optimizer.step() is missing.")
    many = f"the optimiser stepped {taken} times for {batches} micro-batches: one step a call. See trap 5."
    expect_true(taken == 1, many)


def check_returned(got, losses: list[float], after: list[Tensor], batches: list) -> None:
    if got is None:
        fail("your training_step returned None: is there a `return` line, and is it reached?")
    expected, count = sum(losses) / len(losses), len(losses)
    slips = {
        "the losses of the micro-batches are summed, not averaged. See trap 6.": sum(losses),
        "the mean is divided by the number of micro-batches once more.": expected / count,
        "only the loss of the last micro-batch is returned. See trap 6.": losses[-1],
        "only the last micro-batch is returned, divided by their number. See trap 6.": losses[-1] / count,
        "the loss is worked out after the step: return the one that the gradient came from.": lambda: (
            sum(toy_loss(after, batch).item() for batch in batches) / count
        ),
    }
    expect_close(got, expected, "the returned loss", mistakes=slips)


@exercise("training_step", "one batch, one step")
def test_training_step_one_step(handle, seed):
    check_training(handle, seed, [micro_batches(seed, 1)])


@exercise("training_step", "step after step, and a gradient left over from before")
def test_training_step_zeroes_gradients(handle, seed):
    rounds = [micro_batches(seed + i, 1) for i in range(0, 6, 2)]
    check_training(handle, seed, rounds, stale=True, lr=0.3)


@exercise("training_step", "the mean of several micro-batches")
def test_training_step_accumulates(handle, seed):
    check_training(handle, seed, [micro_batches(seed, 4)], lr=0.3)
    check_training(handle, seed, [micro_batches(seed + 2, 3), micro_batches(seed + 4, 2)], lr=0.3, stale=True)


@exercise("training_step", "long gradients are clipped, short ones are left alone")
def test_training_step_clips(handle, seed):
    batches = micro_batches(seed, 3)
    start = [toy(seed, scale=8.0).embed.double(), toy(seed, scale=8.0).head.double()]
    gradients = [torch.stack(loss_and_gradient(start, batch)[1]) for batch in batches]
    norm = (sum(gradients) / 3).norm().item()
    check_training(handle, seed, [batches], max_norm=norm / 4, lr=0.1, scale=8.0)
    check_training(handle, seed, [batches], max_norm=norm * 1.5, lr=0.1, scale=8.0)


@exercise("training_step", "four steps of AdamW with decay, accumulation and clipping together")
def test_training_step_with_adamw(handle, seed):
    rounds = [micro_batches(seed + 2 * i, 1 + i % 3) for i in range(4)]
    adam = {"betas": (0.9, 0.95), "weight_decay": 0.1}
    check_training(handle, seed, rounds, max_norm=0.5, lr=0.05, adam=adam)


# --- perplexity -------------------------------------------------------------------------------------------------


def held_out(seed: int) -> list[tuple[Tensor, Tensor | None]]:
    """Three batches with different shapes and very different numbers of counted tokens."""
    g = generator(seed + 500)
    batches = [torch.randint(0, V, size, generator=g) for size in ((4, 7), (1, 3), (3, 5))]
    ragged = (torch.arange(5) < torch.tensor([5, 2, 3])[:, None]).long()
    return [(batches[0], None), (batches[1], torch.ones(1, 3).bool()), (batches[2], ragged)]


def nats_of(model: ToyLM, batches: list, shift: int = 1, masked: bool = True) -> list[list[float]]:
    """The nats of every counted token, batch by batch, by loops."""
    found = []
    for tokens, mask in batches:
        logits = toy_logits(model.embed.double(), model.head.double(), tokens)
        here = torch.ones(tokens.shape) if mask is None or not masked else mask
        places = here[:, 1:].nonzero().tolist()
        odds = [(logits[b, t] - logits[b, t, tokens[b, t + shift]]).exp().sum() for b, t in places]
        found.append([odd.log().item() for odd in odds])
    return found


def perplexity_mistakes(model: ToyLM, batches: list, nats: list[list[float]]) -> dict:
    means = [sum(batch) / len(batch) for batch in nats]
    counts = [len(batch) for batch in nats]
    positions = [tokens.numel() if mask is None else int(mask.sum()) for tokens, mask in batches]
    cells, rows = [tokens.numel() for tokens, _ in batches], [len(tokens) for tokens, _ in batches]
    total, count = sum(map(sum, nats)), sum(counts)

    def weighted(values: list[float], weights: list[int]) -> float:
        return sum(value * weight for value, weight in zip(values, weights)) / sum(weights)

    def again(**slip) -> float:
        flat = [value for batch in nats_of(model, batches, **slip) for value in batch]
        return exp(sum(flat) / len(flat))

    perplexities = list(map(exp, means))
    tokenwise = sum(exp(value) for batch in nats for value in batch) / count
    unequal = "the batches' means are averaged: a batch of two tokens weighs as much as one of twenty. See trap 1."
    column = "the first column is counted too: it is never predicted, so the weights are wrong. See trap 3."
    averaged = "perplexities are averaged, not nats: take exp once, at the end. See trap 2."
    weighed = "perplexities are averaged over tokens, not nats: take exp once, at the end. See trap 2."
    return {
        unequal: exp(sum(means) / len(means)),
        averaged: sum(perplexities) / len(means),
        weighed: weighted(perplexities, counts),
        "exp is taken of each token's nats before the mean. See trap 2.": tokenwise,
        column: exp(weighted(means, positions)),
        "the divisor is the whole mask, first column included. See trap 3.": exp(total / sum(positions)),
        "batches are weighted by all their positions, padding included. See trap 3.": exp(weighted(means, cells)),
        "batches are weighted by their rows, not by their counted tokens. See trap 1.": exp(weighted(means, rows)),
        "no exp is taken: this is the loss in nats, perplexity is its exponential. See trap 4.": total / count,
        "2 is raised to nats: exp belongs to nats, 2 ** to bits. See trap 4.": 2 ** (total / count),
        "the total is not divided by the number of counted tokens.": exp(min(total, 700.0)),
        "the sign of the nats is lost: this is 1 / perplexity.": exp(-total / count),
        "only the last batch counts.": perplexities[-1],
        "only the first batch counts: the `return` stands in the loop.": perplexities[0],
        "the mask is ignored: padding is counted.": lambda: again(masked=False),
        "the targets are not shifted by one.": lambda: again(shift=0),
    }


def check_perplexity(handle, model: ToyLM, batches: list) -> None:
    try:
        outcome = handle.call(model, batches)
    except CheckFailure as problem:
        if "'NoneType' object" in str(problem):
            fail(f"{problem}\nA mask may be None: then every target counts, B * (T - 1) of them. See trap 3.")
        raise
    if outcome.result is None:
        fail("your perplexity returned None: is there a `return` line, and is it reached?")
    nats = nats_of(model, batches)
    flat = [value for batch in nats for value in batch]
    mistakes = perplexity_mistakes(model, batches, nats)
    expect_close(outcome.result, exp(sum(flat) / len(flat)), "the perplexity", mistakes=mistakes)
    tracked = any(call["grad"] for call in outcome.states[0]["calls"])
    expect_true(not tracked, "gradients are tracked while the model is measured: use torch.no_grad(). See trap 5.")


@exercise("perplexity", "one batch")
def test_perplexity_of_one_batch(handle, seed):
    check_perplexity(handle, toy(seed), held_out(seed)[:1])


@exercise("perplexity", "batches of different size, ragged rows")
def test_perplexity_over_unequal_batches(handle, seed):
    check_perplexity(handle, toy(seed), held_out(seed))
    check_perplexity(handle, toy(seed + 1), held_out(seed)[::-1])


@exercise("perplexity", "a model that knows nothing is as perplexed as its vocabulary is large")
def test_perplexity_of_ignorance(handle, seed):
    blank = ToyLM(torch.zeros(V, D), torch.zeros(V, D))
    got = handle.call(blank, held_out(seed)).result
    expect_close(got, float(V), "the perplexity of a model that gives every token the same probability")


@exercise("perplexity", "how the tokens are dealt into batches does not matter")
def test_perplexity_does_not_depend_on_batching(handle, seed):
    tokens, _ = held_out(seed)[0]
    nats = nats_of(toy(seed), [(tokens, None)])[0]
    for batches in ([(tokens, None)], [(tokens[:1], None), (tokens[1:], None)]):
        got = handle.call(toy(seed), batches).result
        expect_close(got, exp(sum(nats) / len(nats)), f"the perplexity of the same rows in {len(batches)} batch(es)")
