"""What a right solution of lesson 09 is, continued: the losses of DPO and IPO."""

from collections.abc import Callable, Sequence
from math import exp, log, log1p, tanh

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_no_gradient, expect_true
from minillm.course.testing import exercise

NAMES = ("chosen_logprobs", "rejected_logprobs", "ref_chosen_logprobs", "ref_rejected_logprobs")
Pairs = Sequence[Tensor]  # chosen, rejected, reference of chosen, reference of rejected: (N,) each


def softplus(x: float) -> float:
    """log(1 + exp(x)) for any x."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def logistic(x: float) -> float:
    return 0.5 + 0.5 * tanh(x / 2)


def some_pairs(seed: int, n: int = 6) -> list[Tensor]:
    """Sums over answers. The policy has moved on every answer, up or down; not all pairs are in the right order, and
    for the reference the rejected answer is often the likelier one."""
    g = torch.Generator().manual_seed(seed)
    ref_chosen, ref_rejected = -5 - 10 * torch.rand(n, generator=g), -4 - 10 * torch.rand(n, generator=g)
    chosen = ref_chosen + torch.tensor([2.1, -1.3, 0.6, -2.4, 3.0, -0.5])[:n] + 0.4 * torch.rand(n, generator=g)
    rejected = ref_rejected + torch.tensor([-1.2, 0.9, 1.9, -3.3, 0.7, -2.8])[:n] + 0.4 * torch.rand(n, generator=g)
    return [chosen, rejected, ref_chosen, ref_rejected]


def numbers(pairs: Pairs) -> list[tuple[float, ...]]:
    """The four numbers of each pair."""
    return list(zip(*(part.double().tolist() for part in pairs)))


def ratio_difference(c: float, r: float, rc: float, rr: float) -> float:
    """h: how much further the policy has moved towards the chosen answer than towards the rejected one."""
    return (c - rc) - (r - rr)


def differences(pairs: Pairs) -> list[float]:
    return [ratio_difference(*four) for four in numbers(pairs)]


def misread(pairs: Pairs) -> dict[str, list[float]]:
    """What may stand in the place of h, by the mistake that puts it there. Traps 1, 2 and 5 are those of `dpo_loss`."""
    formulas: dict[str, Callable[[float, float, float, float], float]] = {
        "the reference is added, not subtracted (or the two references have changed places)": lambda c, r, rc, rr: (
            (c + rc) - (r + rr)
        ),
        "the reference is left out: this is chosen minus rejected": lambda c, r, rc, rr: c - r,
        "the policy is left out: this is the reference alone": lambda c, r, rc, rr: rc - rr,
        "brackets are missing: in c - ref_c - r - ref_r the last term should be added": (
            lambda c, r, rc, rr: c - rc - r - rr
        ),
        "only the chosen answer's reference is used": lambda c, r, rc, rr: (c - rc) - r,
        "only the rejected answer's reference is used": lambda c, r, rc, rr: c - (r - rr),
        "the two log-ratios are added; they are to be subtracted": lambda c, r, rc, rr: (c - rc) + (r - rr),
        "the rejected answer is left out": lambda c, r, rc, rr: c - rc,
        "the chosen answer is left out": lambda c, r, rc, rr: -(r - rr),
        "log-probabilities are divided: a quotient of probabilities is a difference of logs": (
            lambda c, r, rc, rr: c / rc - r / rr
        ),
        "ratios of probabilities are compared: their logs are asked for": (
            lambda c, r, rc, rr: exp(c - rc) - exp(r - rr)
        ),
        "the absolute difference is used: which answer was chosen is lost": (
            lambda c, r, rc, rr: abs(ratio_difference(c, r, rc, rr))
        ),
        "the difference is cut off at 0": lambda c, r, rc, rr: max(0.0, ratio_difference(c, r, rc, rr)),
    }
    return {name: [formula(*four) for four in numbers(pairs)] for name, formula in formulas.items()}


def reductions(each: list[float]) -> dict:
    """What comes out where the pairs' losses are put together."""
    alike = [sum(each) / len(each)] * len(each)
    return {
        "the mean over the pairs is returned; one loss for each pair is asked for.": sum(each) / len(each),
        "the mean over the pairs is returned for every pair; each has its own loss.": alike,
        "the sum over the pairs is returned; one loss for each pair is asked for.": sum(each),
    }


def check_cut_off(handle, seed: int) -> None:
    """No gradient into the reference's log-probabilities."""
    for key in (2, 3):
        _, grads = handle.gradients(*some_pairs(seed), 0.3, wrt=[key])
        expect_no_gradient(grads[key], NAMES[key], f"The reference does not learn: use {NAMES[key]}.detach().")


def check_forms(check: Callable[..., None], handle, seed: int) -> None:
    """float64, strides, order and number of pairs."""
    pairs = some_pairs(seed)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    check(handle, [part[order] for part in pairs], 0.3, "the losses, pairs in another order")
    check(handle, torch.stack(pairs, 1).double().unbind(1), 0.3, "the losses of columns of a float64 tensor")
    check(handle, [part[:1] for part in pairs], 0.3, "the loss of one pair")


# --- dpo_loss ---------------------------------------------------------------------------------------------------


def dpo(h: Sequence[float], beta: float) -> list[float]:
    return [softplus(-beta * x) for x in h]


def dpo_mistakes(pairs: Pairs, beta: float) -> dict:
    h, four = differences(pairs), numbers(pairs)
    right = dpo(h, beta)
    moves = [(c - rc, r - rr) for c, r, rc, rr in four]
    named = {f"{name}. See traps 1, 2 and 5.": dpo(x, beta) for name, x in misread(pairs).items()}
    return {
        "the margin has the wrong sign: chosen and rejected are swapped, or it is reference minus policy. Trap 1.": (
            dpo([-x for x in h], beta)
        ),
        **{f"{name} See trap 6.": value for name, value in reductions(right).items()},
        "beta stands outside the logsigmoid. See trap 3.": [beta * x for x in dpo(h, 1.0)],
        "beta stands outside the logsigmoid, divided by. See trap 3.": [x / beta for x in dpo(h, 1.0)],
        "beta stands outside the logsigmoid as well as inside. See trap 3.": [beta * x for x in right],
        "the loss is divided by beta. See trap 3.": [x / beta for x in right],
        "beta is missing. See trap 3.": dpo(h, 1.0),
        "beta divides; it should multiply. See trap 3.": dpo(h, 1 / beta),
        "beta is applied twice. See trap 3.": dpo(h, beta * beta),
        "beta is 0.1, whatever is passed.": dpo(h, 0.1),
        "beta multiplies only the policy's part: brackets. See trap 3.": (
            [softplus(-(beta * (c - r) - (rc - rr))) for c, r, rc, rr in four]
        ),
        "beta multiplies only the chosen answer's part: brackets. See trap 3.": (
            [softplus(-(beta * w - x)) for w, x in moves]
        ),
        **named,
        "the minus is missing: this is the logsigmoid, which is to be maximised. See trap 8.": [-x for x in right],
        "the log is missing: this is a probability. See trap 8.": [logistic(beta * x) for x in h],
        "the log is missing: this is minus a probability. See trap 8.": [-logistic(beta * x) for x in h],
        "the log is missing: this is 1 minus a probability. See trap 8.": [logistic(-beta * x) for x in h],
        "this is a hinge, max(0, 1 - margin), as in SLiC. See trap 8.": [max(0.0, 1 - beta * x) for x in h],
        "this is a hinge, max(0, 1 - h), without beta. See trap 8.": [max(0.0, 1 - x) for x in h],
        "this is a hinge, max(0, -margin). See trap 8.": [max(0.0, -beta * x) for x in h],
        "this is minus the margin: it has no bound and no curve. See trap 8.": [-beta * x for x in h],
        "this is the margin, not the loss. See trap 8.": [beta * x for x in h],
        "this is exp(-margin): the 1 + and the log are missing. See trap 8.": [exp(-beta * x) for x in h],
        "this is IPO's loss.": ipo(h, beta),
        "the logsigmoid is taken of each log-ratio; take it of their difference.": (
            [softplus(-beta * w) - softplus(-beta * x) for w, x in moves]
        ),
        "each answer is taken alone, as if 0 were the border between good and bad.": (
            [softplus(-beta * w) + softplus(beta * x) for w, x in moves]
        ),
        "the two rewards go through a sigmoid before they are compared.": (
            [softplus(-(logistic(beta * w) - logistic(beta * x))) for w, x in moves]
        ),
        "the margins are averaged over the pairs first. See trap 6.": softplus(-beta * sum(h) / len(h)),
        "labels are smoothed by 0.1.": [0.9 * softplus(-beta * x) + 0.1 * softplus(beta * x) for x in h],
        "the loss is in bits (log2); nats are asked for.": [x / log(2) for x in right],
        "every chosen answer is compared with every rejected one, also of other prompts. See trap 6.": (
            [[softplus(-beta * (w - x)) for _, x in moves] for w, _ in moves]
        ),
        "the references are averaged over the batch; each answer has its own.": (
            lambda: dpo([c - r - sum(p[2] - p[3] for p in four) / len(four) for c, r, _, _ in four], beta)
        ),
    }


def check_dpo(handle, pairs: Pairs, beta: float, what: str = "the losses") -> None:
    expect_close(handle(*pairs, beta), dpo(differences(pairs), beta), what, mistakes=dpo_mistakes(pairs, beta))


@exercise("dpo_loss", "one loss a pair: -log sigmoid of beta times the difference of log-ratios")
def test_dpo_loss_values(handle, seed):
    check_dpo(handle, some_pairs(seed), 0.3)
    check_dpo(handle, some_pairs(seed + 1, n=3), 0.7, "the losses (beta=0.7)")


@exercise("dpo_loss", "the worked examples")
def test_dpo_loss_worked_example(handle, seed):
    pairs = ([-9.0, -9.0, -13.0], [-9.5, -8.5, -12.0], [-10.0, -10.0, -12.0], [-8.0, -8.0, -9.0])
    check_dpo(handle, [torch.tensor(part) for part in pairs], 0.1)


@exercise("dpo_loss", "beta is 0.1 if it is not given, and may come by its name")
def test_dpo_loss_defaults(handle, seed):
    pairs = some_pairs(seed)
    h = differences(pairs)
    expect_close(handle(*pairs), dpo(h, 0.1), "the losses (beta left out)", mistakes=dpo_mistakes(pairs, 0.1))
    expect_close(handle(*pairs, beta=0.3), dpo(h, 0.3), "the losses (beta=0.3)", mistakes=dpo_mistakes(pairs, 0.3))


@exercise("dpo_loss", "only moves away from the reference count")
def test_dpo_loss_symmetries(handle, seed):
    chosen, rejected, ref_chosen, ref_rejected = some_pairs(seed)
    check_dpo(handle, [ref_chosen, ref_rejected, ref_chosen, ref_rejected], 0.3, "the losses where both models agree")
    g = torch.Generator().manual_seed(seed + 9)
    shift, log_z = 4 * torch.randn(2, 6, generator=g)
    check_dpo(handle, [chosen + shift, rejected, ref_chosen + shift, ref_rejected], 0.3, "the losses (answers shifted)")
    check_dpo(handle, [chosen + log_z, rejected + log_z, ref_chosen, ref_rejected], 0.3, "the losses (log Z added)")


@exercise("dpo_loss", "long answers: no probability is ever formed")
def test_dpo_loss_of_long_answers(handle, seed):
    pairs = [part - 512 for part in some_pairs(seed)]
    far = torch.as_tensor(handle(*pairs, 0.3))
    expect_true(
        far.isfinite().all(),
        "some losses of long answers are not finite: e to the power of -500 is 0 in float32. Subtract the logs; "
        "do not divide probabilities. See trap 5.",
    )
    check_dpo(handle, pairs, 0.3, "the losses of long answers")


@exercise("dpo_loss", "margins of -200 and 200, and answers of hundreds of nats, in float32")
def test_dpo_loss_is_stable(handle, seed):
    pairs = some_pairs(seed)
    for part, low, high in zip(pairs, (-420.0, 0.0, -20.0, -400.0), (0.0, -420.0, -400.0, -20.0)):
        part[0], part[1] = low, high
    got, grads = handle.gradients(*pairs, 0.25, wrt=[0, 1])
    value = torch.as_tensor(got).double()
    reached = [g for g in grads.values() if g is not None]
    expect_true(
        value.isfinite().all() and all(bool(g.isfinite().all()) for g in reached),
        f"at a margin of -200 the loss is {value.flatten()[0].item():.4g}, and its gradient "
        f"{reached[0].flatten()[0].item() if reached else 'missing'}: the sigmoid was rounded to 0 before its "
        "logarithm was taken, or an exp overflowed. Use F.logsigmoid. See trap 4.",
    )
    h = differences(pairs)
    expected = dpo(h, 0.25)
    expect_true(
        value.shape != (6,) or not 0 <= value[0] < 0.9 * expected[0],
        f"at a margin of -200 the loss comes out as {value.flatten()[0].item():.4g}: a floor or an epsilon under the "
        "sigmoid, or a clamp, cuts it short. Use F.logsigmoid. See trap 4.",
    )
    expect_close(got, expected, "the losses (margins of -200 and 200)", mistakes=dpo_mistakes(pairs, 0.25))
    expect_gradient(grads[0], [-0.25 * logistic(-0.25 * x) for x in h], "chosen_logprobs (margins of -200 and 200)")
    far = torch.as_tensor(handle(*(20 * part for part in pairs), 0.25))
    expect_true(
        far.isfinite().all(),
        "at a margin of -4000 the loss is not finite: float64 only moves the place where the sigmoid is rounded to 0. "
        "Use F.logsigmoid. See trap 4.",
    )
    expect_close(far[0], 4000.0, "the loss (a margin of -4000)")


@exercise("dpo_loss", "the gradient pushes the pair apart, most where it is most wrong")
def test_dpo_loss_gradient(handle, seed):
    pairs, weights = some_pairs(seed), torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0, 1.5])
    _, grads = handle.gradients(*pairs, 0.3, wrt=[0, 1], upstream=weights)
    slope = [-0.3 * logistic(-0.3 * x) * w for x, w in zip(differences(pairs), weights.tolist())]
    expect_gradient(grads[0], slope, "chosen_logprobs")
    expect_gradient(grads[1], [-s for s in slope], "rejected_logprobs")


@exercise("dpo_loss", "the reference does not learn")
def test_dpo_loss_cut_off(handle, seed):
    check_cut_off(handle, seed)


@exercise("dpo_loss", "float64, strides, one pair, and the order of pairs")
def test_dpo_loss_forms(handle, seed):
    check_forms(check_dpo, handle, seed)


# --- ipo_loss ---------------------------------------------------------------------------------------------------


def ipo(h: Sequence[float], beta: float) -> list[float]:
    return [(x - 1 / (2 * beta)) ** 2 for x in h]


def ipo_mistakes(pairs: Pairs, beta: float) -> dict:
    h, goal = differences(pairs), 1 / (2 * beta)
    right = ipo(h, beta)
    named = {f"{name}. See trap 3.": ipo(x, beta) for name, x in misread(pairs).items()}

    def squared(aim: float, factor: float = 1.0) -> list[float]:
        return [(factor * x - aim) ** 2 for x in h]

    return {
        "the goal is added, or h has the wrong sign: chosen and rejected swapped, or reference minus policy. Trap 3.": (
            squared(-goal)
        ),
        **{f"{name} See trap 5.": value for name, value in reductions(right).items()},
        "the goal is 1 / beta; the 2 is missing. See trap 1.": squared(1 / beta),
        "the goal is beta / 2: `1 / 2 * beta` needs brackets. See trap 1.": squared(beta / 2),
        "the goal is 2 beta. See trap 1.": squared(2 * beta),
        "the goal is 2 / beta. See trap 1.": squared(2 / beta),
        "the goal is beta. See trap 1.": squared(beta),
        "the goal is 1 / 2, whatever beta is. See trap 1.": squared(0.5),
        "the goal is 1, whatever beta is. See trap 1.": squared(1.0),
        "beta is 0.1, whatever is passed.": squared(5.0),
        "the goal is missing: this is h squared. See trap 3.": squared(0.0),
        "beta multiplies h, and the goal is taken from that. See trap 2.": squared(goal, beta),
        "beta multiplies h, and 1 / 2 is taken from that. See trap 2.": squared(0.5, beta),
        "beta multiplies h, and 1 is taken from that. See trap 2.": squared(1.0, beta),
        "h is divided by 2 beta, and 1 taken from that. See trap 2.": squared(1.0, goal),
        "h is divided by the goal, and 1 taken from that. See trap 2.": squared(1.0, 2 * beta),
        "beta multiplies the whole loss. See trap 2.": [beta * x for x in right],
        **named,
        "there is a half in front. See trap 4.": [x / 2 for x in right],
        "the minus stands in front: a loss is small when things are good.": [-x for x in right],
        "the square is missing. See trap 4.": [x - goal for x in h],
        "the square is missing: this is goal minus h. See trap 4.": [goal - x for x in h],
        "this is the absolute distance; its square is asked for. See trap 4.": [abs(x - goal) for x in h],
        "beyond the goal the loss is 0, a squared hinge: too far apart costs, too. See trap 4.": (
            [max(0.0, goal - x) ** 2 for x in h]
        ),
        "this is a hinge, max(0, goal - h). See trap 4.": [max(0.0, goal - x) for x in h],
        "each term is squared by itself: h and the goal belong in one bracket. See trap 4.": [
            x**2 - goal**2 for x in h
        ],
        "the distance goes through a logsigmoid. See trap 4.": [softplus(-(x - goal)) for x in h],
        "this is DPO's loss. See trap 4.": dpo(h, beta),
        "the differences are averaged over the pairs first. See trap 5.": (sum(h) / len(h) - goal) ** 2,
    }


def check_ipo(handle, pairs: Pairs, beta: float, what: str = "the losses") -> None:
    expect_close(handle(*pairs, beta), ipo(differences(pairs), beta), what, mistakes=ipo_mistakes(pairs, beta))


@exercise("ipo_loss", "one loss a pair: the squared distance of h from its goal")
def test_ipo_loss_values(handle, seed):
    check_ipo(handle, some_pairs(seed), 0.3)
    check_ipo(handle, some_pairs(seed + 1, n=3), 0.7, "the losses (beta=0.7)")


@exercise("ipo_loss", "the worked examples: short of the goal, on it, beyond it")
def test_ipo_loss_worked_example(handle, seed):
    pairs = ([-9.0, -8.0, -5.0, -7.0], [-9.5, -11.0, -11.0, -6.0], [-10.0, -10.0, -10.0, -7.0], [-8.0] * 3 + [-6.0])
    check_ipo(handle, [torch.tensor(part) for part in pairs], 0.1)


@exercise("ipo_loss", "beta is 0.1 if it is not given, and may come by its name")
def test_ipo_loss_defaults(handle, seed):
    pairs = some_pairs(seed)
    h = differences(pairs)
    expect_close(handle(*pairs), ipo(h, 0.1), "the losses (beta left out)", mistakes=ipo_mistakes(pairs, 0.1))
    expect_close(handle(*pairs, beta=0.3), ipo(h, 0.3), "the losses (beta=0.3)", mistakes=ipo_mistakes(pairs, 0.3))


@exercise("ipo_loss", "long answers: no probability is ever formed")
def test_ipo_loss_of_long_answers(handle, seed):
    pairs = [part - 512 for part in some_pairs(seed)]
    far = torch.as_tensor(handle(*pairs, 0.3))
    expect_true(
        far.isfinite().all(),
        "some losses of long answers are not finite: e to the power of -500 is 0 in float32. Subtract the logs.",
    )
    check_ipo(handle, pairs, 0.3, "the losses of long answers")


@exercise("ipo_loss", "the gradient pulls towards the goal, from both sides")
def test_ipo_loss_gradient(handle, seed):
    pairs, weights = some_pairs(seed), torch.tensor([1.0, -2.0, 3.0, 0.5, 4.0, 1.5])
    _, grads = handle.gradients(*pairs, 0.3, wrt=[0, 1], upstream=weights)
    slope = [2 * (x - 1 / 0.6) * w for x, w in zip(differences(pairs), weights.tolist())]
    expect_gradient(grads[0], slope, "chosen_logprobs")
    expect_gradient(grads[1], [-s for s in slope], "rejected_logprobs")


@exercise("ipo_loss", "the reference does not learn")
def test_ipo_loss_cut_off(handle, seed):
    check_cut_off(handle, seed)


@exercise("ipo_loss", "float64, strides, one pair, and the order of pairs")
def test_ipo_loss_forms(handle, seed):
    check_forms(check_ipo, handle, seed)
