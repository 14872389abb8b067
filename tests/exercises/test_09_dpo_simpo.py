"""What a right solution of lesson 09 is, continued: the loss of SimPO."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp, log, log1p, tanh

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_true
from minillm.course.testing import exercise


def softplus(x: float) -> float:
    """log(1 + exp(x)) for any x."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def logistic(x: float) -> float:
    return 0.5 + 0.5 * tanh(x / 2)


@dataclass(frozen=True)
class Case:
    """N pairs of answers: sums of nats, and how many tokens they have, (N,) each."""

    chosen: Tensor
    rejected: Tensor
    chosen_lengths: Tensor
    rejected_lengths: Tensor
    beta: float = 1.5
    gamma: float = 0.8

    @property
    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.chosen, self.rejected, self.chosen_lengths, self.rejected_lengths

    def each(self, margin: Callable[[float, float, float, float], float]) -> list[float]:
        """A number made from each pair's sums and lengths."""
        return [margin(*four) for four in zip(*(part.double().tolist() for part in self.tensors))]

    def margins(self) -> list[float]:
        return self.each(lambda c, r, m, n: self.beta * (c / m - r / n) - self.gamma)


def case(seed: int, beta: float = 1.5, gamma: float = 0.8) -> Case:
    """Six pairs; the longer answer is now the chosen, now the rejected one, and so is the one likelier by token."""
    g = torch.Generator().manual_seed(seed)
    m, n = torch.tensor([3, 9, 5, 12, 7, 2]), torch.tensor([6, 4, 11, 5, 2, 10])
    means = torch.tensor([[-0.6, -1.5, -0.5, -1.1, -2.2, -0.9], [-1.4, -0.7, -2.1, -0.4, -1.2, -1.8]])
    chosen, rejected = means - 0.3 * torch.rand(2, 6, generator=g)
    return Case(chosen * m, rejected * n, m, n, beta, gamma)


def of_margins(margins: list[float]) -> list[float]:
    return [softplus(-x) for x in margins]


def length_mistakes(k: Case) -> dict[str, list[float]]:
    """The two rewards, without beta, where they are not divided as they should be: differences, one a pair."""
    typical = [lengths.double().mean().item() for lengths in k.tensors[2:]]
    return {
        "the sums are not divided by the lengths. See trap 3.": k.each(lambda c, r, m, n: c - r),
        "each sum is divided by the length of the other answer. See trap 3.": k.each(lambda c, r, m, n: c / n - r / m),
        "both sums are divided by the length of the chosen answer. See trap 3.": (
            k.each(lambda c, r, m, n: (c - r) / m)
        ),
        "both sums are divided by the length of the rejected answer. See trap 3.": (
            k.each(lambda c, r, m, n: (c - r) / n)
        ),
        "both sums are divided by the two lengths together. See trap 3.": k.each(lambda c, r, m, n: (c - r) / (m + n)),
        "both sums are divided by the mean of the two lengths. See trap 3.": (
            k.each(lambda c, r, m, n: 2 * (c - r) / (m + n))
        ),
        "both sums are divided by the larger length. See trap 3.": k.each(lambda c, r, m, n: (c - r) / max(m, n)),
        "both sums are divided by the smaller length. See trap 3.": k.each(lambda c, r, m, n: (c - r) / min(m, n)),
        "the sums are multiplied by the lengths. See trap 3.": k.each(lambda c, r, m, n: c * m - r * n),
        "only the chosen answer's sum is divided. See trap 3.": k.each(lambda c, r, m, n: c / m - r),
        "only the rejected answer's sum is divided. See trap 3.": k.each(lambda c, r, m, n: c - r / n),
        "the difference of the sums is divided by that of the lengths. See trap 3.": (
            k.each(lambda c, r, m, n: (c - r) / (m - n) if m != n else 0.0)
        ),
        "the lengths are one too large. See trap 3.": k.each(lambda c, r, m, n: c / (m + 1) - r / (n + 1)),
        "the lengths are one too small; the end token counts, too. See trap 3.": (
            k.each(lambda c, r, m, n: c / (m - 1) - r / (n - 1) if min(m, n) > 1 else 0.0)
        ),
        "the sums are divided by the roots of the lengths. See trap 3.": (
            k.each(lambda c, r, m, n: c / m**0.5 - r / n**0.5)
        ),
        "the division rounds down: // in place of /. See trap 4.": k.each(lambda c, r, m, n: c // m - r // n),
        "all lengths are their mean over the batch. See trap 3.": (
            k.each(lambda c, r, m, n: c / typical[0] - r / typical[1])
        ),
        "the rewards are added; they are to be subtracted.": k.each(lambda c, r, m, n: c / m + r / n),
        "probabilities of a token are compared: log-probabilities are asked for.": (
            k.each(lambda c, r, m, n: exp(c / m) - exp(r / n))
        ),
        "the rejected answer is left out.": k.each(lambda c, r, m, n: c / m),
        "the absolute difference is used: which answer was chosen is lost.": (
            k.each(lambda c, r, m, n: abs(c / m - r / n))
        ),
    }


def loss_mistakes(k: Case) -> dict:
    b, y = k.beta, k.gamma
    right, margins = of_margins(k.margins()), k.margins()
    gaps = k.each(lambda c, r, m, n: c / m - r / n)

    def made(scale: float, less: float) -> list[float]:
        return of_margins([scale * x - less for x in gaps])

    return {
        "gamma is multiplied by beta: it stands outside the bracket. See trap 1.": made(b, b * y),
        "gamma is divided by beta: it stands in no bracket. See trap 1.": made(b, y / b),
        "gamma is added: a gap is asked for, so it is subtracted. See trap 2.": made(b, -y),
        "gamma is added inside beta's bracket. See traps 1 and 2.": made(b, -b * y),
        "gamma is left out. See trap 1.": made(b, 0.0),
        "gamma is subtracted from the loss, outside the logsigmoid. See trap 1.": [x - y for x in made(b, 0.0)],
        "gamma is added to the loss, outside the logsigmoid. See trap 1.": [x + y for x in made(b, 0.0)],
        "gamma multiplies the difference. See trap 1.": made(b * y, 0.0),
        "gamma is subtracted twice, once for each answer. See trap 1.": made(b, 2 * y),
        "the difference has the wrong sign: chosen and rejected are swapped.": made(-b, y),
        "the whole margin has the wrong sign: chosen and rejected are swapped, or a minus is missing.": made(-b, -y),
        "the mean over the pairs is returned; one loss for each pair is asked for. See trap 7.": sum(right)
        / len(right),
        "the sum over the pairs is returned; one loss for each pair is asked for. See trap 7.": sum(right),
        "beta is missing. See trap 5.": made(1.0, y),
        "beta divides; it should multiply. See trap 5.": made(1 / b, y),
        "beta stands outside the logsigmoid. See trap 5.": [b * x for x in made(1.0, y)],
        "beta stands outside the logsigmoid as well as inside. See trap 5.": [b * x for x in right],
        "the loss is divided by beta. See trap 5.": [x / b for x in right],
        "beta multiplies only the chosen answer's reward: brackets. See trap 5.": (
            of_margins(k.each(lambda c, r, m, n: b * c / m - r / n - y))
        ),
        "beta and gamma have changed places.": made(y, b),
        "beta is 2, whatever is passed.": made(2.0, y),
        "gamma is 0.5, whatever is passed.": made(b, 0.5),
        "beta is 2 and gamma 0.5, whatever is passed.": made(2.0, 0.5),
        **{message: of_margins([b * x - y for x in gap]) for message, gap in length_mistakes(k).items()},
        "the sums are not divided by the lengths, and gamma is left out. See traps 1 and 3.": (
            of_margins(k.each(lambda c, r, m, n: b * (c - r)))
        ),
        "the minus in front is missing: this is the logsigmoid, which is to be maximised.": [-x for x in right],
        "the log is missing: this is a probability.": [logistic(x) for x in margins],
        "the log is missing: this is minus a probability.": [-logistic(x) for x in margins],
        "the log is missing: this is 1 minus a probability.": [logistic(-x) for x in margins],
        "this is a hinge, max(0, gamma - difference): -logsigmoid is asked for.": [max(0.0, -x) for x in margins],
        "this is a hinge, max(0, 1 - margin): -logsigmoid is asked for.": [max(0.0, 1 - x) for x in margins],
        "this is minus the margin: it has no bound and no curve.": [-x for x in margins],
        "this is the margin, not the loss.": margins,
        "this is a squared distance, as in IPO: -logsigmoid is asked for.": [x**2 for x in margins],
        "the margins are averaged over the pairs first. See trap 7.": softplus(-sum(margins) / len(margins)),
        "the loss is in bits (log2); nats are asked for.": [x / log(2) for x in right],
    }


def check_loss(handle, k: Case, what: str = "the losses") -> None:
    got = handle(*k.tensors, k.beta, k.gamma)
    expect_close(got, of_margins(k.margins()), what, mistakes=loss_mistakes(k))


@exercise("simpo_loss", "one loss a pair, from means over each answer's own tokens")
def test_simpo_loss_values(handle, seed):
    check_loss(handle, case(seed))
    check_loss(handle, case(seed + 1, beta=2.5, gamma=0.3), "the losses (beta=2.5, gamma=0.3)")


@exercise("simpo_loss", "the worked examples")
def test_simpo_loss_worked_example(handle, seed):
    chosen, rejected = torch.tensor([-4.0, -4.0, -3.0]), torch.tensor([-8.0, -12.5, -3.0])
    k = Case(chosen, rejected, torch.tensor([4, 4, 3]), torch.tensor([10, 10, 3]), 2.0, 0.5)
    check_loss(handle, k)


@exercise("simpo_loss", "no gap asked for (gamma 0); beta 2 and gamma 0.5 if they are not given")
def test_simpo_loss_defaults(handle, seed):
    check_loss(handle, case(seed, gamma=0.0), "the losses (gamma=0)")
    k = case(seed, beta=2.0, gamma=0.5)
    right, mistakes = of_margins(k.margins()), loss_mistakes(k)
    expect_close(handle(*k.tensors), right, "the losses (beta and gamma left out)", mistakes=mistakes)
    k = case(seed, beta=3.0, gamma=1.4)
    named, mistakes = handle(*k.tensors, gamma=1.4, beta=3.0), loss_mistakes(k)
    expect_close(named, of_margins(k.margins()), "the losses (gamma=1.4, beta=3)", mistakes=mistakes)


@exercise("simpo_loss", "an answer said twice over is worth what it was")
def test_simpo_loss_has_no_taste_for_length(handle, seed):
    k = case(seed)
    twice = replace(k, rejected=2 * k.rejected, rejected_lengths=2 * k.rejected_lengths)
    check_loss(handle, twice, "the losses (sums and lengths of the rejected answers doubled)")


@exercise("simpo_loss", "margins of -200 and 200, and answers of hundreds of nats, in float32")
def test_simpo_loss_is_stable(handle, seed):
    k = case(seed)
    chosen, rejected = k.chosen.clone(), k.rejected.clone()
    chosen[0], rejected[0], chosen[1], rejected[1] = -400.0, -6.0, -9.0, -540.0  # 3 and 6 tokens, 9 and 4 tokens
    k = replace(k, chosen=chosen, rejected=rejected)
    margins = k.margins()
    expected = of_margins(margins)
    got, grads = handle.gradients(*k.tensors, k.beta, k.gamma, wrt=[0, 1])
    value = torch.as_tensor(got).double()
    expect_true(
        value.isfinite().all() and all(g is None or bool(g.isfinite().all()) for g in grads.values()),
        f"at a margin of {margins[0]:.0f} the loss is {value.flatten()[0].item():.4g}, or a gradient is not finite: "
        "the sigmoid was rounded to 0 before its logarithm was taken, or an exp overflowed. Use F.logsigmoid. "
        "See trap 6.",
    )
    expect_true(
        value.shape != (6,) or not 0 <= value[0] < 0.9 * expected[0],
        f"at a margin of {margins[0]:.0f} the loss comes out as {value.flatten()[0].item():.4g}: a floor or an epsilon "
        "under the sigmoid, or a clamp, cuts it short. Use F.logsigmoid. See trap 6.",
    )
    expect_close(got, expected, "the losses (margins of -200 and 200)", mistakes=loss_mistakes(k))
    slope = [-k.beta * logistic(-x) / m for x, m in zip(margins, k.chosen_lengths.tolist())]
    expect_gradient(grads[0], slope, "chosen_logprobs (margins of -200 and 200)")
    far = torch.as_tensor(handle(*(20 * part for part in k.tensors[:2]), *k.tensors[2:], k.beta, k.gamma))
    expect_true(
        far.isfinite().all(),
        "at a margin of -4000 the loss is not finite: float64 only moves the place where the sigmoid is rounded to 0. "
        "Use F.logsigmoid. See trap 6.",
    )


@exercise("simpo_loss", "the gradient: a token of a long answer is pulled less")
def test_simpo_loss_gradient(handle, seed):
    k, weights = case(seed), torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0, 1.5])
    _, grads = handle.gradients(*k.tensors, k.beta, k.gamma, wrt=[0, 1], upstream=weights)
    pull = [k.beta * logistic(-x) * w for x, w in zip(k.margins(), weights.tolist())]
    expect_gradient(grads[0], [-p / m for p, m in zip(pull, k.chosen_lengths.tolist())], "chosen_logprobs")
    expect_gradient(grads[1], [p / n for p, n in zip(pull, k.rejected_lengths.tolist())], "rejected_logprobs")


@exercise("simpo_loss", "lengths of any type, float64, strides, one pair, and the order of pairs")
def test_simpo_loss_forms(handle, seed):
    k = case(seed)
    for kind in (torch.int32, torch.float32, torch.float64):
        lengths = k.chosen_lengths.to(kind), k.rejected_lengths.to(kind)
        other = replace(k, chosen_lengths=lengths[0], rejected_lengths=lengths[1])
        check_loss(handle, other, f"the losses (lengths of type {str(kind)[6:]})")
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    check_loss(handle, Case(*(part[order] for part in k.tensors)), "the losses, pairs in another order")
    columns = torch.stack(k.tensors, 1).double().unbind(1)
    check_loss(handle, Case(*columns), "the losses of columns of a float64 tensor")
    check_loss(handle, Case(*(part[:1] for part in k.tensors)), "the loss of one pair")
