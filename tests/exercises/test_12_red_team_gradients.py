"""What a right solution of lesson 12 is, continued: the gradient of a target's loss with respect to suffix tokens.

The reference works in float64 on a copy of the model: the chain rule from the embeddings, and finite differences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import exp, log

import torch
from torch import Tensor

from minillm.course.expect import CheckFailure, expect_close, expect_true, fail
from minillm.course.props import Network
from minillm.course.testing import exercise

V = 13
Pick = Callable[[Tensor], Tensor]  # log-probs (T + L, V) -> a loss


@dataclass(frozen=True)
class Case:
    """A prompt of T tokens, a suffix in it, L tokens to follow, and a network."""

    tokens: Tensor
    start: int
    stop: int
    target: Tensor
    seed: int

    @property
    def suffix(self) -> slice:
        return slice(self.start, self.stop)

    @property
    def read(self) -> Tensor:
        return torch.cat((self.tokens, self.target))

    @property
    def network(self) -> Network:
        return Network(V, seed=self.seed)

    @cached_property
    def model(self):
        return self.network.make(lambda prop: prop).double()

    @cached_property
    def E(self) -> Tensor:
        return self.model.embed.weight.detach()

    def logits(self, x: Tensor) -> Tensor:
        """Embeddings (N, T, D) -> logits (N, T, V)."""
        return self.model.logits(self.model.from_embeddings(x))

    def at_embeddings(self, pick: Pick, read: Tensor | None = None) -> Tensor:
        """The gradient of a loss with respect to the embeddings of what is read, (T + L, D)."""
        x = self.E[self.read if read is None else read].requires_grad_()
        loss = pick(self.logits(x[None])[0].log_softmax(-1))
        return torch.autograd.grad(loss, x)[0]

    def at_tokens(self, pick: Pick, read: Tensor | None = None) -> Tensor:
        """The same with respect to one-hot rows, of the suffix, (S, V)."""
        return (self.at_embeddings(pick, read) @ self.E.T)[self.suffix]


def case(seed: int, T: int = 10, start: int = 4, stop: int = 8, L: int = 3) -> Case:
    """Token 0 is in prompt and target; the suffix ends before the prompt does, if stop says so."""
    g = torch.Generator().manual_seed(seed)
    tokens, target = torch.randint(1, V, (T,), generator=g), torch.randint(1, V, (L,), generator=g)
    tokens[0], tokens[start], target[-1] = 0, 0, 0
    return Case(tokens, start, stop, target, seed)


def picked(c: Case, first: int) -> Pick:
    """The loss that takes the prediction of target j from position first + j."""
    return lambda logp: -torch.stack([logp[first + j, y] for j, y in enumerate(c.target.tolist())]).mean()


def right_loss(c: Case) -> Pick:
    return picked(c, len(c.tokens) - 1)


def each(c: Case, logp: Tensor) -> Tensor:
    """The log-probs of the target tokens, (L,)."""
    return torch.stack([logp[len(c.tokens) - 1 + j, y] for j, y in enumerate(c.target.tolist())])


def sequence(read: Tensor) -> Pick:
    """The mean over all next tokens of a sequence."""
    return lambda logp: -torch.stack([logp[t, y] for t, y in enumerate(read[1:].tolist())]).mean()


def weight_gradient(c: Case) -> Tensor:
    """The gradient of the whole embedding matrix, both ways of it, (V, D)."""
    model = c.model
    logp = model(c.read[None])[0].log_softmax(-1)
    return torch.autograd.grad(right_loss(c)(logp), model.embed.weight)[0]


def gradient_mistakes(c: Case) -> dict:
    T, L, S = len(c.tokens), len(c.target), c.stop - c.start
    right = c.at_tokens(right_loss(c))
    x = c.at_embeddings(right_loss(c))
    all_rows = x @ c.E.T
    suffix = c.tokens[c.suffix]
    alone = c.tokens

    def of(f: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        return lambda: c.at_tokens(lambda logp: f(each(c, logp)))

    return {
        "logits are read at the target tokens themselves, one place too late: those predict what follows. Trap 1.": (
            lambda: c.at_tokens(picked(c, T))
        ),
        "logits are read one place too early. See trap 1.": lambda: c.at_tokens(picked(c, T - 2)),
        "the loss is that of the whole sequence, prompt and all. See trap 3.": (
            lambda: c.at_tokens(sequence(c.read))
        ),
        "the loss is that of the prompt, not of the target. See trap 3.": lambda: c.at_tokens(sequence(alone), alone),
        "the losses of the target tokens are added; their mean is asked for. See trap 3.": L * right,
        "this is the gradient of the log-prob; the loss is minus that.": -right,
        "only the first target token is in the loss. See trap 3.": of(lambda logp: -logp[0]),
        "only the last target token is in the loss. See trap 3.": of(lambda logp: -logp[-1]),
        "the first target token is not in the loss: it is predicted at the last token of the prompt. See trap 1.": (
            of(lambda logp: -logp[1:].mean() if L > 1 else logp.sum())
        ),
        "the last target token is not in the loss. See trap 3.": (
            of(lambda logp: -logp[:-1].mean() if L > 1 else logp.sum())
        ),
        "the target is not part of what is read: its words are all predicted from the prompt alone. See trap 2.": (
            lambda: c.at_tokens(lambda logp: -logp[T - 1, c.target].mean(), alone)
        ),
        "the target is not part of what is read: the last tokens of the prompt are to predict it. See trap 2.": (
            lambda: c.at_tokens(picked(c, T - L), alone)
        ),
        "the target's probability is used, without the log.": of(lambda logp: -logp.exp().mean()),
        "the log of the mean probability is used; the mean of the logs is asked for.": (
            of(lambda logp: -logp.exp().mean().log())
        ),
        "the log of the whole target's probability is used, which adds; a mean over tokens is asked for. Trap 3.": (
            of(lambda logp: -logp.sum())
        ),
        "this is the gradient of the embeddings, (S, D). The chain rule goes on: times E, (S, V). See trap 4.": (
            x[c.suffix]
        ),
        "all tokens of the prompt are returned; only the suffix is asked for.": all_rows[:T],
        "all tokens are returned, the target's too; only the suffix is asked for.": all_rows,
        "this is the gradient at another place: the suffix is one place further on.": (
            all_rows[c.start - 1 : c.stop - 1]
        ),
        "this is the gradient at another place: the suffix is one place further back.": (
            all_rows[c.start + 1 : c.stop + 1]
        ),
        "these are the first places of the prompt, not the suffix.": all_rows[:S],
        "these are the last places of all, not the suffix.": all_rows[-S:],
        "these are the last places of the prompt, not the suffix.": all_rows[T - S : T],
        "each row is scaled to length 1.": right / right.norm(dim=-1, keepdim=True),
        "the gradient is taken only where the one-hot row is 1. The zeros can move too.": (
            right * torch.nn.functional.one_hot(suffix, V)
        ),
        "the present token's number is subtracted: the promise of a swap, not the gradient.": (
            right - right.gather(1, suffix[:, None])
        ),
        "this is the gradient of the embedding matrix, rows of the suffix: both its uses are mixed. See trap 5.": (
            lambda: weight_gradient(c)[suffix]
        ),
        "the gradient of the embedding matrix is used, which mixes its uses as input and as output. See trap 5.": (
            lambda: weight_gradient(c)[suffix] @ c.E.T
        ),
        "the embedding rows are multiplied into the gradient once more.": lambda: right * c.E.norm(dim=-1),
    }  # fmt: skip


def check_gradients(handle, c: Case, what: str = "the gradients") -> None:
    got = handle(c.network, c.tokens, c.suffix, c.target)
    expect_close(got, c.at_tokens(right_loss(c)), what, mistakes=gradient_mistakes(c), rtol=1e-3)


@exercise("token_gradients", "a suffix within the prompt, three target words")
def test_token_gradients(handle, seed):
    check_gradients(handle, case(seed))
    check_gradients(handle, case(seed + 1, T=7, start=2, stop=4, L=5), "the gradients (five target words)")


@exercise("token_gradients", "a suffix at the end of the prompt, a single target word, a single place")
def test_token_gradients_edges(handle, seed):
    check_gradients(handle, case(seed, T=8, start=5, stop=8, L=2), "the gradients (the suffix ends the prompt)")
    check_gradients(handle, case(seed, T=6, start=2, stop=5, L=1), "the gradients (one target word)")
    check_gradients(handle, case(seed, T=6, start=5, stop=6, L=3), "the gradients (a suffix of one token)")


def nats(logits: list[list[float]], c: Case) -> float:
    """The loss, number by number."""
    total = 0.0
    for j, y in enumerate(c.target.tolist()):
        row = logits[len(c.tokens) - 1 + j]
        top = max(row)
        total += top + log(sum(exp(z - top) for z in row)) - row[y]
    return total / len(c.target)


@exercise("token_gradients", "as much as the loss moves when an embedding moves towards a word's")
def test_token_gradients_differences(handle, seed):
    c, eps = case(seed, T=8, start=3, stop=7), 1e-5
    g = torch.Generator().manual_seed(seed)
    words = torch.stack([torch.randperm(V, generator=g)[:4] for _ in range(c.stop - c.start)])  # (S, 4)
    moved = []
    for s, row in enumerate(words.tolist()):
        for v in row:
            for step in (eps, -eps):
                x = c.E[c.read].clone()
                x[c.start + s] += step * c.E[v]
                moved.append(x)
    with torch.no_grad():
        losses = [nats(logits, c) for logits in c.logits(torch.stack(moved)).tolist()]
    slopes = [(up - down) / (2 * eps) for up, down in zip(losses[::2], losses[1::2])]
    expected = torch.tensor(slopes, dtype=torch.float64).view(words.shape)
    got = torch.as_tensor(handle(c.network, c.tokens, c.suffix, c.target))
    expect_true(got.shape == (c.stop - c.start, V), f"the gradients have shape {tuple(got.shape)}, expected (S, V).")
    chosen = {k: lambda v=v: _chosen(v, words) for k, v in gradient_mistakes(c).items()}
    what = "the gradients, at four words of each place, against finite differences"
    expect_close(got.gather(1, words), expected, what, mistakes=chosen, rtol=1e-3)


def _chosen(value: Tensor | Callable[[], Tensor], words: Tensor) -> Tensor | None:
    value = value() if callable(value) else value
    return value.gather(1, words) if value.shape == (len(words), V) else None


@exercise("token_gradients", "the model is left as it was, and the result carries no gradient")
def test_token_gradients_leaves_the_model_alone(handle, seed):
    c = case(seed)
    network, args = c.network, (c.tokens, c.suffix, c.target)
    first, second = handle.calls([((network, *args), {})] * 2)
    state = first.states[0]
    expect_true(not state["changed"], f"the model's weights have changed: {', '.join(state['changed'][:2])}.")
    expect_true(
        not state["grads"],
        f"gradients are left in {len(state['grads'])} parameters of the model ({', '.join(state['grads'][:2])}, ...): "
        "backward() does that. Use torch.autograd.grad. See trap 6.",
    )
    expect_true(not state["hooks"], "a hook is left on the model.")
    expect_true(not state["training"], "the model is left in training mode.")
    expect_close(second.result, first.result, "the gradients of a second call with the same model")
    why = "a gradient flows into the model from the result, which is a number to rank words by: detach it."
    try:
        _, grads = handle.gradients(network, *args, wrt=[(0, "embed.weight")])
    except CheckFailure:  # second derivatives of attention do not exist
        fail(why)
    expect_true(grads[0, "embed.weight"] is None, why)
