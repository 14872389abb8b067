"""What a right solution of lesson 06 is, continued: the losses of the policy and of the value head."""

from math import exp

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_no_gradient
from minillm.course.testing import exercise

LENGTHS = (3, 5, 1, 4)
COUNTED = sum(LENGTHS)
KINDS = (torch.bool, torch.long, torch.float64)


def ragged(lengths: tuple[int, ...] = LENGTHS, T: int = 5) -> Tensor:
    """A mask (B, T): 1s first, then 0s."""
    return (torch.arange(T) < torch.tensor(lengths)[:, None]).float()


def spread_out(counted: Tensor, wild: Tensor) -> Tensor:
    """Numbers for the counted tokens (COUNTED,) in the places of the mask, and wild ones (B, T) at padding."""
    result = wild.clone()
    result[ragged().bool()] = counted
    return result


def reductions(each: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Ways to average losses (B, T) that are not one mean over counted tokens; each is 0 or not at padding."""
    m, B = mask.double(), len(mask)
    kept = each * m
    return {
        "the mean over each row is taken first, then over rows: one mean over all counted tokens is asked for.": (
            (kept.sum(1) / m.sum(1)).mean()
        ),
        "padding counts in the mean, with a loss of 0: divide by mask.sum().": kept.mean(),
        "the mask is ignored: padding counts.": each.mean(),
        "the sum over tokens is returned; a mean is asked for.": kept.sum(),
        "the sum over all tokens, padding too, is returned; a mean over counted ones is asked for.": each.sum(),
        "the sums of the rows are averaged; a mean over tokens is asked for.": kept.sum() / B,
        "the sum over padding and tokens is divided by the number of tokens.": each.sum() / m.sum(),
        "the loss of each token is returned; their mean is asked for.": kept,
        "the loss of each token is returned, at padding too; a mean over counted tokens is asked for.": each,
        "the loss of each row is returned; one mean over all counted tokens is asked for.": kept.sum(1) / m.sum(1),
    }


def masked_mean(each: Tensor, mask: Tensor) -> Tensor:
    return (each * mask.double()).sum() / mask.double().sum()


# --- ppo_policy_loss --------------------------------------------------------------------------------------------


def updated(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """logprobs, old_logprobs, advantages and mask, (4, 5): ratios inside and on both sides of the clip, and advantages
    of both signs, in every combination; wild at padding."""
    g = torch.Generator().manual_seed(seed)
    far, near = 0.5 + 0.4 * torch.rand(7, generator=g), 0.02 + 0.1 * torch.rand(6, generator=g)
    log_ratio = torch.cat((far, near)) * torch.tensor([1.0, -1, 1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1])
    sign = torch.tensor([1.0, 1, -1, -1, 1, -1, -1, 1, 1, -1, -1, 1, 1])
    gain = (0.3 + 0.9 * torch.rand(COUNTED, generator=g)) * sign + 1.0 * (sign > 0)
    order = torch.randperm(COUNTED, generator=g)
    old = spread_out(-0.4 - 2 * torch.rand(COUNTED, generator=g), -3 - 2 * torch.rand(4, 5, generator=g))
    logprobs = old + spread_out(log_ratio[order], 3 + 2 * torch.rand(4, 5, generator=g))
    return logprobs, old, spread_out(gain[order], 20 + 20 * torch.rand(4, 5, generator=g)), ragged()


def surrogate(ratio: float, gain: float, clip: float) -> tuple[float, float]:
    """The loss of a token, and its slope in the log of the ratio."""
    bounded = min(max(ratio, 1 - clip), 1 + clip)
    plain, clipped = -gain * ratio, -gain * bounded
    return max(plain, clipped), -gain * ratio if plain >= clipped else 0.0


def policy_loss_of(rows: tuple[Tensor, ...], clip: float) -> tuple[float, list[list[float]]]:
    """The loss, and its gradient with respect to logprobs, token by token."""
    total, n, slopes = 0.0, rows[3].double().sum().item(), []
    for p, old, gain, keep in zip(*(x.double().tolist() for x in rows)):
        tokens = [surrogate(exp(a - b), g, clip) if k else (0.0, 0.0) for a, b, g, k in zip(p, old, gain, keep)]
        total += sum(loss for loss, _ in tokens)
        slopes.append([slope / n for _, slope in tokens])
    return total / n, slopes


def policy_mistakes(rows: tuple[Tensor, ...], clip: float) -> dict:
    p, old, gain, mask = (x.double() for x in rows)
    m, lr = mask.bool(), p - old
    ratio = lr.exp()
    plain, clipped = -gain * ratio, -gain * ratio.clamp(1 - clip, 1 + clip)
    right = torch.maximum(plain, clipped)
    counted = gain[m]
    white = (gain - counted.mean()) / (counted.var(correction=0) + 1e-8).sqrt()

    def with_ratio(x: Tensor, g: Tensor = gain, low: float = 1 - clip, high: float = 1 + clip) -> Tensor:
        return masked_mean(torch.maximum(-g * x, -g * x.clamp(low, high)), m)

    def mean(each: Tensor) -> Tensor:
        return masked_mean(each, m)

    whole = (lr * m).sum(1, keepdim=True).exp().expand_as(lr)
    return {
        "the smaller of both losses is taken: the optimistic branch. See trap 1.": mean(torch.minimum(plain, clipped)),
        "nothing is clipped.": mean(plain),
        "the clipped loss is always used: the maximum of both is missing. See trap 1.": mean(clipped),
        "the ratio is upside down: new over old. See trap 2.": with_ratio(1 / ratio),
        "the log-ratio is used as the ratio: exp is missing. See trap 2.": with_ratio(lr),
        "the log-ratio plus 1 is used as the ratio. See trap 2.": with_ratio(1 + lr),
        "the ratio is one of log-probabilities. See trap 2.": with_ratio(p / old),
        "probabilities are subtracted, not divided. See trap 2.": with_ratio(p.exp() - old.exp()),
        "the minus is missing: this is the gain, which should grow; a loss should fall. See trap 4.": -mean(right),
        "the minus is missing, and so the wrong branch is taken. See traps 1 and 4.": (
            -mean(torch.minimum(plain, clipped))
        ),
        "the log-ratio is clipped, not the ratio. See trap 3.": (
            mean(torch.maximum(plain, -gain * lr.clamp(-clip, clip).exp()))
        ),
        "the product of ratio and advantage is clipped, not the ratio. See trap 3.": (
            mean(torch.maximum(plain, -(gain * ratio).clamp(1 - clip, 1 + clip)))
        ),
        "the ratio is clipped to [-clip, clip]. See trap 3.": with_ratio(ratio, low=-clip, high=clip),
        "the ratio is only clipped above.": with_ratio(ratio, low=0.0),
        "the ratio is only clipped below.": with_ratio(ratio, high=1e9),
        "the ratio is clipped to [1 / (1 + clip), 1 + clip].": with_ratio(ratio, low=1 / (1 + clip)),
        "the ratio is clipped at 1 below or above: at 1 - clip and 1 + clip is asked for.": with_ratio(ratio, low=1.0),
        "the clip is 0.2 whatever is asked for.": with_ratio(ratio, low=0.8, high=1.2),
        "the clip is half or twice what is asked for.": with_ratio(ratio, low=1 - 2 * clip, high=1 + 2 * clip),
        "the ratio is that of whole answers, not of tokens.": with_ratio(whole),
        "the advantages are whitened here: that has been done before.": with_ratio(ratio, white),
        "the advantages are whitened here (by the sample variance): that has been done before.": (
            with_ratio(ratio, (gain - counted.mean()) / (counted.std() + 1e-8))
        ),
        "the advantages have their mean taken off here.": with_ratio(ratio, gain - counted.mean()),
        "the old log-probabilities are not used: this is the plain policy gradient's loss, -A log pi.": mean(-gain * p),
        "the advantages are not used.": with_ratio(ratio, torch.ones_like(gain)),
        "the size of the advantage is used, not its sign.": with_ratio(ratio, gain.abs()),
        "the ratio and the advantage are averaged before they are multiplied.": -ratio[m].mean() * counted.mean(),
        **{f"{message} See trap 5.": value for message, value in reductions(right, m).items()},
    }


def check_policy_loss(handle, rows: tuple[Tensor, ...], clip: float, words: str = "") -> None:
    expected = policy_loss_of(rows, clip)[0]
    expect_close(handle(*rows, clip), expected, f"the loss{words}", mistakes=policy_mistakes(rows, clip))


def corners() -> tuple[Tensor, ...]:
    """The four corners of the worked example."""
    ratio, gain = torch.tensor([[1.5, 0.5, 1.5, 0.5]]), torch.tensor([[1.0, 1.0, -1.0, -1.0]])
    old = torch.full((1, 4), -1.2)
    return old + ratio.log(), old, gain, torch.ones(1, 4)


@exercise("ppo_policy_loss", "ratios on both sides of the clip, advantages of both signs, rows of different length")
def test_ppo_policy_loss_values(handle, seed):
    check_policy_loss(handle, updated(seed), 0.3)


@exercise("ppo_policy_loss", "the worked example, corner by corner")
def test_ppo_policy_loss_worked_example(handle, seed):
    rows = corners()
    for i in range(4):
        one = tuple(x[:, i : i + 1] for x in rows)
        words = f" (ratio {(one[0] - one[1]).exp().item():.1f}, advantage {one[2].item():+.0f})"
        check_policy_loss(handle, one, 0.2, words)
    check_policy_loss(handle, rows, 0.2, " (worked example)")


@exercise("ppo_policy_loss", "clip = 0.2 if it is not given; names for arguments")
def test_ppo_policy_loss_default(handle, seed):
    rows = updated(seed)
    known = {"the clip is not 0.2 when it is not given.": policy_loss_of(rows, 0.1)[0]}
    expect_close(handle(*rows), policy_loss_of(rows, 0.2)[0], "the loss (clip not given)", mistakes=known)
    names = dict(zip(("logprobs", "old_logprobs", "advantages", "mask"), rows))
    expect_close(handle(clip=0.1, **names), policy_loss_of(rows, 0.1)[0], "the loss (named arguments)")


@exercise("ppo_policy_loss", "at ratio 1, the plain policy gradient")
def test_ppo_policy_loss_at_the_start(handle, seed):
    _, old, gain, mask = updated(seed)
    got, grads = handle.gradients(old, old, gain, mask, 0.3, wrt=[0])
    expected, slopes = policy_loss_of((old, old, gain, mask), 0.3)
    expect_close(got, expected, "the loss at ratio 1", mistakes=policy_mistakes((old, old, gain, mask), 0.3))
    expect_gradient(grads[0], slopes, "logprobs at ratio 1")


@exercise("ppo_policy_loss", "the gradient ends where there is no more profit, and only there")
def test_ppo_policy_loss_gradient(handle, seed):
    rows = updated(seed)
    _, grads = handle.gradients(*rows, 0.3, wrt=[0])
    slopes = torch.tensor(policy_loss_of(rows, 0.3)[1], dtype=torch.float64)
    unclipped = torch.tensor(policy_loss_of(rows, 1e9)[1], dtype=torch.float64)
    known = {
        "the gradient goes on where the loss is clipped.": unclipped,
        "the ratio is cut off from logprobs on one side.": -slopes,
    }
    expect_gradient(grads[0], slopes, "logprobs", mistakes=known)


@exercise("ppo_policy_loss", "no gradient to what the policy said before, nor to the advantages")
def test_ppo_policy_loss_data(handle, seed):
    _, grads = handle.gradients(*updated(seed), 0.3, wrt=[1, 2])
    for key, name in ((1, "old_logprobs"), (2, "advantages")):
        expect_no_gradient(grads[key], name, "It is data: detach it. See trap 6.")


@exercise("ppo_policy_loss", "masks of any type, float64, strides, the order of rows")
def test_ppo_policy_loss_forms(handle, seed):
    rows = updated(seed)
    for kind in KINDS:
        check_policy_loss(handle, (*rows[:3], rows[3].to(kind)), 0.3, f" (mask of type {str(kind)[6:]})")
    strided = tuple(x.double()[[2, 0, 3, 1]].T.contiguous().T for x in rows)
    check_policy_loss(handle, strided, 0.3, " (float64, strides, rows in another order)")


# --- ppo_value_loss ---------------------------------------------------------------------------------------------


def critic(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """values, old_values, returns and mask, (4, 5): small and large changes, towards the return and away from it."""
    g = torch.Generator().manual_seed(seed)
    far, near = 0.5 + 0.6 * torch.rand(7, generator=g), 0.03 + 0.12 * torch.rand(6, generator=g)
    way = torch.tensor([1.0, -1, 1, -1, 1, -1, 1, 1, -1, 1, -1, 1, -1])
    goal = torch.tensor([1.0, -1, -1, 1, 1, 1, -1, 1, 1, -1, -1, 1, -1]) * (0.4 + 1.6 * torch.rand(13, generator=g))
    goal[0], goal[1] = 2.4, -2.2  # far enough that a large step does not overshoot
    order = torch.randperm(COUNTED, generator=g)
    old = spread_out(0.6 + torch.randn(COUNTED, generator=g), 25 + 5 * torch.rand(4, 5, generator=g))
    values = old + spread_out((torch.cat((far, near)) * way)[order], 6 + 2 * torch.rand(4, 5, generator=g))
    return values, old, old + spread_out(goal[order], -9 - 5 * torch.rand(4, 5, generator=g)), ragged()


def value_loss_of(rows: tuple[Tensor, ...], clip: float) -> tuple[float, list[list[float]]]:
    """The loss, and its gradient with respect to values, token by token."""
    total, n, slopes = 0.0, rows[3].double().sum().item(), []
    for now, before, target, keep in zip(*(x.double().tolist() for x in rows)):
        row = []
        for v, old, goal, k in zip(now, before, target, keep):
            near = old + min(max(v - old, -clip), clip)
            plain, clipped = (v - goal) ** 2, (near - goal) ** 2
            total += k * max(plain, clipped) / 2
            row.append(k * (v - goal) / n if plain >= clipped else 0.0)
        slopes.append(row)
    return total / n, slopes


def value_mistakes(rows: tuple[Tensor, ...], clip: float) -> dict:
    v, old, goal, mask = (x.double() for x in rows)
    m = mask.bool()
    near = old + (v - old).clamp(-clip, clip)
    plain, clipped = (v - goal) ** 2, (near - goal) ** 2
    right = torch.maximum(plain, clipped) / 2

    def worse(other: Tensor) -> Tensor:
        return masked_mean(torch.maximum(plain, (other - goal) ** 2) / 2, m)

    def mean(each: Tensor) -> Tensor:
        return masked_mean(each, m)

    return {
        "the smaller of both errors is taken. See trap 1.": mean(torch.minimum(plain, clipped) / 2),
        "nothing is clipped, or not the change: this is half the mean squared error. See traps 2 and 6.": (
            mean(plain / 2)
        ),
        "nothing is clipped, and the half is missing. See trap 3.": mean(plain),
        "the clipped error is always used: the maximum of both is missing. See trap 1.": mean(clipped / 2),
        "the half is missing. See trap 3.": mean(2 * right),
        "the value itself is clipped to [-clip, clip], not its change. See trap 2.": worse(v.clamp(-clip, clip)),
        "the value is clipped as if it were a ratio. See trap 2.": worse(v.clamp(1 - clip, 1 + clip)),
        "the ratio of new to old value is clipped. See trap 2.": worse(old * (v / old).clamp(1 - clip, 1 + clip)),
        "the old value is missing: only the change is held against the return. See trap 2.": (
            worse((v - old).clamp(-clip, clip))
        ),
        "the change is added to the new value, not to the old one. See trap 2.": (
            worse(v + (v - old).clamp(-clip, clip))
        ),
        "the change has the wrong sign. See trap 2.": worse(old + (old - v).clamp(-clip, clip)),
        "the change is only clipped above.": worse(old + (v - old).clamp(max=clip)),
        "the change is only clipped below.": worse(old + (v - old).clamp(min=-clip)),
        "the squared error is clipped, not the change of the value. See trap 6.": mean(plain.clamp(max=clip) / 2),
        "the error is not squared.": mean(torch.maximum((v - goal).abs(), (near - goal).abs()) / 2),
        "the error is not squared, and the half is missing.": mean(
            torch.maximum((v - goal).abs(), (near - goal).abs())
        ),
        "the larger of both differences is taken before it is squared: square first. See trap 1.": (
            mean(torch.maximum(v - goal, near - goal) ** 2 / 2)
        ),
        "both errors are averaged: the larger is asked for. See trap 1.": mean((plain + clipped) / 4),
        "both errors are added.": mean((plain + clipped) / 2),
        "the clip is 0.2 whatever is asked for.": worse(old + (v - old).clamp(-0.2, 0.2)),
        "the old values are held against the returns.": mean((old - goal) ** 2 / 2),
        "the sign is flipped.": -mean(right),
        **{f"{message} See trap 4.": value for message, value in reductions(right, m).items()},
    }


def check_value_loss(handle, rows: tuple[Tensor, ...], clip: float, words: str = "") -> None:
    expected = value_loss_of(rows, clip)[0]
    expect_close(handle(*rows, clip), expected, f"the loss{words}", mistakes=value_mistakes(rows, clip))


@exercise("ppo_value_loss", "small and large changes, towards the return and away, rows of different length")
def test_ppo_value_loss_values(handle, seed):
    check_value_loss(handle, critic(seed), 0.3)


@exercise("ppo_value_loss", "the worked example")
def test_ppo_value_loss_worked_example(handle, seed):
    for value in (0.9, 0.2):
        rows = torch.tensor([[value]]), torch.tensor([[0.5]]), torch.tensor([[1.0]]), torch.ones(1, 1)
        check_value_loss(handle, rows, 0.2, f" (new value {value})")


@exercise("ppo_value_loss", "clip = 0.2 if it is not given; names for arguments")
def test_ppo_value_loss_default(handle, seed):
    rows = critic(seed)
    known = {"the clip is not 0.2 when it is not given.": value_loss_of(rows, 0.1)[0]}
    expect_close(handle(*rows), value_loss_of(rows, 0.2)[0], "the loss (clip not given)", mistakes=known)
    names = dict(zip(("values", "old_values", "returns", "mask"), rows))
    expect_close(handle(clip=0.1, **names), value_loss_of(rows, 0.1)[0], "the loss (named arguments)")


@exercise("ppo_value_loss", "the gradient reaches the values, and nothing where the clipped error is larger")
def test_ppo_value_loss_gradient(handle, seed):
    rows = critic(seed)
    _, grads = handle.gradients(*rows, 0.3, wrt=[0])
    slopes = value_loss_of(rows, 0.3)[1]
    known = {"the gradient goes on where the error is clipped.": value_loss_of(rows, 1e9)[1]}
    expect_gradient(grads[0], slopes, "values", mistakes=known)
    _, grads = handle.gradients(rows[1], *rows[1:], 0.3, wrt=[0])
    expect_gradient(grads[0], value_loss_of((rows[1], *rows[1:]), 0.3)[1], "values, where they have not changed yet")


@exercise("ppo_value_loss", "no gradient to the old values, nor to the returns")
def test_ppo_value_loss_data(handle, seed):
    _, grads = handle.gradients(*critic(seed), 0.3, wrt=[1, 2])
    for key, name in ((1, "old_values"), (2, "returns")):
        expect_no_gradient(grads[key], name, "It is data: detach it. See trap 5.")


@exercise("ppo_value_loss", "masks of any type, float64, strides, the order of rows")
def test_ppo_value_loss_forms(handle, seed):
    rows = critic(seed)
    for kind in KINDS:
        check_value_loss(handle, (*rows[:3], rows[3].to(kind)), 0.3, f" (mask of type {str(kind)[6:]})")
    strided = tuple(x.double()[[2, 0, 3, 1]].T.contiguous().T for x in rows)
    check_value_loss(handle, strided, 0.3, " (float64, strides, rows in another order)")
