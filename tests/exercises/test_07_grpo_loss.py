"""What a right solution of lesson 07 is, continued: the loss of GRPO."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import exp

import torch
from torch import Tensor

from minillm.course.expect import expect_close, expect_gradient, expect_no_gradient, expect_true
from minillm.course.testing import exercise

Token = Callable[[float, float, float, float], float]  # (logprob, old, reference, advantage) -> loss of one token


@dataclass(frozen=True)
class Case:
    """B answers of up to T tokens, with wild numbers at padding."""

    logprobs: Tensor
    old: Tensor
    reference: Tensor
    advantages: Tensor
    mask: Tensor
    clip: float = 0.3
    beta: float = 0.7

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return self.logprobs, self.old, self.reference, self.advantages, self.mask

    def tokens(self) -> list[list[tuple[float, float, float, float]]]:
        """The four numbers of each counted token, answer by answer."""
        parts = zip(*(part.double().tolist() for part in (self.logprobs, self.old, self.reference)))
        rows = zip(parts, self.advantages.double().tolist(), self.mask.tolist())
        return [[(n, o, r, a) for n, o, r, keep in zip(*three, m) if keep] for three, a, m in rows]


def case(seed: int, clip: float = 0.3, beta: float = 0.7) -> Case:
    """Answers of 6, 3, 5, 1 tokens in 7 columns; advantages of both signs; ratios inside and on both sides of the clip.

    No ratio lies near a border of the clip, where a gradient jumps.
    """
    g = torch.Generator().manual_seed(seed)
    B, T = 4, 7
    lengths = torch.tensor([6, 3, 5, 1])
    mask = torch.arange(T) < lengths[:, None]
    wobble = torch.rand(B, T, generator=g)
    inside, outside = 0.04 + 0.08 * wobble, 0.45 + 0.25 * wobble
    high, low = outside, -outside
    log_ratio = torch.stack(
        [
            torch.stack([high[0, 0], inside[0, 1], low[0, 2], -inside[0, 3], high[0, 4], inside[0, 5], low[0, 6]]),
            torch.stack([low[1, 0], high[1, 1], inside[1, 2], high[1, 3], low[1, 4], inside[1, 5], low[1, 6]]),
            torch.stack([inside[2, 0], low[2, 1], high[2, 2], -inside[2, 3], high[2, 4], low[2, 5], low[2, 6]]),
            torch.stack([low[3, 0], *(-inside[3, 1:])]),
        ]
    )
    old = -0.3 - 2 * torch.rand(B, T, generator=g)
    logprobs = old + log_ratio
    reference = logprobs + 0.8 * torch.randn(B, T, generator=g)
    advantages = torch.tensor([1.3, -0.9, 0.5, -1.7]) + 0.2 * torch.rand(B, generator=g)
    for part, wild in ((logprobs, 5.0), (old, -4.0), (reference, 9.0)):
        part[~mask] = wild + torch.rand(int((~mask).sum()), generator=g)
    return Case(logprobs, old, reference, advantages, mask.float(), clip, beta)


def clamped(ratio: float, clip: float) -> float:
    return min(max(ratio, 1 - clip), 1 + clip)


def surrogate(clip: float) -> Token:
    return lambda new, old, ref, a: max(-a * exp(new - old), -a * clamped(exp(new - old), clip))


def leash(new: float, old: float, ref: float, a: float) -> float:
    return exp(ref - new) - (ref - new) - 1


def right_token(clip: float, beta: float) -> Token:
    return lambda *token: surrogate(clip)(*token) + beta * leash(*token)


def over_answers(tokens: list[list[tuple]], token: Token) -> float:
    """The mean over each answer's tokens, then over answers."""
    return sum(sum(token(*t) for t in answer) / len(answer) for answer in tokens) / len(tokens)


def over_tokens(tokens: list[list[tuple]], token: Token) -> float:
    """One mean over all tokens."""
    return sum(token(*t) for answer in tokens for t in answer) / sum(map(len, tokens))


def total(tokens: list[list[tuple]], token: Token) -> float:
    return sum(token(*t) for answer in tokens for t in answer)


def sequence_ratio(c: Case, mean: bool) -> float:
    """The loss with one ratio for each answer: of its probabilities, or of their geometric means (GSPO)."""
    losses = []
    for answer in c.tokens():
        log_ratio = sum(new - old for new, old, _, _ in answer) / (len(answer) if mean else 1)
        a = answer[0][3]
        held = sum(leash(*token) for token in answer) / len(answer)
        losses.append(max(-a * exp(log_ratio), -a * clamped(exp(log_ratio), c.clip)) + c.beta * held)
    return sum(losses) / len(losses)


def loss_mistakes(c: Case) -> dict:
    tokens, clip, beta = c.tokens(), c.clip, c.beta
    B, T = c.logprobs.shape
    cut, right = surrogate(clip), right_token(clip, beta)
    lengths = [len(answer) for answer in tokens]
    everywhere = replace(c, mask=torch.ones(B, T)).tokens()

    def made(policy: Token = cut, kl: Token = leash, weight: float = beta) -> Callable[[], float]:
        return lambda: over_answers(tokens, lambda *token: policy(*token) + weight * kl(*token))

    def ratio(new: float, old: float) -> float:
        return exp(new - old)

    def averaged(lr: Callable[[float, float], float]) -> Token:
        return lambda new, old, ref, a: -a * lr(new, old)

    two_sums = (
        lambda: over_answers(tokens, cut) + beta * over_tokens(tokens, leash),
        lambda: over_tokens(tokens, cut) + beta * over_answers(tokens, leash),
    )
    return {
        "all tokens are averaged at once, as in DAPO: average each answer first, then the answers. See trap 1.": (
            lambda: over_tokens(tokens, right)
        ),
        "each answer's sum is divided by T, padding and all, as in Dr. GRPO; divide by its own tokens. Trap 1.": (
            lambda: total(tokens, right) / (B * T)
        ),
        "the losses of an answer's tokens are added, not averaged. See trap 1.": lambda: total(tokens, right) / B,
        "the losses of all tokens are added; means are asked for. See trap 1.": lambda: total(tokens, right),
        "the answers' losses are added; their mean is asked for.": lambda: over_answers(tokens, right) * B,
        "one loss for each answer is returned; their mean is asked for.": (
            lambda: [sum(right(*t) for t in answer) / len(answer) for answer in tokens]
        ),
        "the mask is ignored: padding is averaged in. See trap 7.": lambda: over_answers(everywhere, right),
        "the mask is ignored in the sum, and each answer divided by its own tokens. See trap 7.": (
            lambda: sum(sum(right(*t) for t in row) / n for row, n in zip(everywhere, lengths)) / B
        ),
        "the mask is ignored in the KL term. See trap 7.": (
            lambda: over_answers(tokens, cut) + beta * over_answers(everywhere, leash)
        ),
        "the KL term is averaged over all tokens at once, the rest answer by answer. See trap 1.": two_sums[0],
        "the KL term is averaged answer by answer, the rest over all tokens at once. See trap 1.": two_sums[1],
        "the smaller loss is taken (min); with the minus inside it is the larger one. See trap 2.": (
            made(lambda n, o, r, a: min(-a * ratio(n, o), -a * clamped(ratio(n, o), clip)))
        ),
        "nothing is clipped.": made(averaged(ratio)),
        "the clipped ratio is always used: the larger of both losses is asked for. See trap 2.": (
            made(averaged(lambda n, o: clamped(ratio(n, o), clip)))
        ),
        "the ratio is clipped only from above.": (
            made(lambda n, o, r, a: max(-a * ratio(n, o), -a * min(ratio(n, o), 1 + clip)))
        ),
        "the ratio is clipped only from below.": (
            made(lambda n, o, r, a: max(-a * ratio(n, o), -a * max(ratio(n, o), 1 - clip)))
        ),
        "the ratio is always kept at or below 1 + clip, whatever the sign of the advantage.": (
            made(averaged(lambda n, o: min(ratio(n, o), 1 + clip)))
        ),
        "the clip is between 1 / (1 + clip) and 1 + clip; the paper's lower end is 1 - clip.": (
            made(lambda n, o, r, a: max(-a * ratio(n, o), -a * min(max(ratio(n, o), 1 / (1 + clip)), 1 + clip)))
        ),
        "the log of the ratio is clipped at plus and minus clip, not the ratio at 1 - clip and 1 + clip. See trap 3.": (
            made(lambda n, o, r, a: max(-a * ratio(n, o), -a * exp(min(max(n - o, -clip), clip))))
        ),
        "the ratio is old over new. See trap 3.": made(
            lambda n, o, r, a: max(-a * ratio(o, n), -a * clamped(ratio(o, n), clip))
        ),
        "the exp is missing: this is the log of the ratio. See trap 3.": (
            made(lambda n, o, r, a: max(-a * (n - o), -a * clamped(n - o, clip)))
        ),
        "the ratio is taken to the reference, not to the old policy. See trap 5.": (
            made(lambda n, o, r, a: max(-a * ratio(n, r), -a * clamped(ratio(n, r), clip)))
        ),
        "the ratio is 1 everywhere: the old log-probs are not used, or have been taken from the policy of now.": (
            made(lambda n, o, r, a: -a)
        ),
        "there is no ratio: this is advantage times log-prob.": made(lambda n, o, r, a: -a * n),
        "the minus is missing: the advantage is to be maximised, so a loss needs a minus.": (
            made(lambda n, o, r, a: max(a * ratio(n, o), a * clamped(ratio(n, o), clip)))
        ),
        "the minus is missing: this is the objective that is maximised, min(A ratio, A clip(ratio)).": (
            made(lambda n, o, r, a: min(a * ratio(n, o), a * clamped(ratio(n, o), clip)))
        ),
        "this is the objective that is maximised, with the KL subtracted; a loss is minus that.": (
            lambda: -over_answers(tokens, right)
        ),
        "the absolute value of the advantage is used.": (
            made(lambda n, o, r, a: max(-abs(a) * ratio(n, o), -abs(a) * clamped(ratio(n, o), clip)))
        ),
        "there is one ratio for each answer, the geometric mean of its tokens' (GSPO); here every token has its own.": (
            lambda: sequence_ratio(c, mean=True)
        ),
        "there is one ratio for each answer, the product of its tokens'; here every token has its own.": (
            lambda: sequence_ratio(c, mean=False)
        ),
        "k3 is turned round: the log-ratio is log pi_ref - log pi, not the other way. See trap 4.": (
            made(kl=lambda n, o, r, a: exp(n - r) - (n - r) - 1)
        ),
        "the KL is estimated by k1, log pi - log pi_ref; k3 is asked for. See trap 4.": made(
            kl=lambda n, o, r, a: n - r
        ),
        "the KL is estimated by k1 with the wrong sign; k3 is asked for. See trap 4.": made(
            kl=lambda n, o, r, a: r - n
        ),
        "the KL is estimated by k2, half the squared log-ratio; k3 is asked for. See trap 4.": (
            made(kl=lambda n, o, r, a: (r - n) ** 2 / 2)
        ),
        "the - 1 of k3 is missing, which adds beta to the loss.": made(kl=lambda n, o, r, a: exp(r - n) - (r - n)),
        "k3 is exp(x) - 1, without - x.": made(kl=lambda n, o, r, a: exp(r - n) - 1),
        "k3 is taken to the old policy, not to the reference. See trap 5.": (
            made(kl=lambda n, o, r, a: exp(o - n) - (o - n) - 1)
        ),
        "k3 is that of the old policy, not of the one that learns. See trap 5.": (
            made(kl=lambda n, o, r, a: exp(r - o) - (r - o) - 1)
        ),
        "k3 is weighted by the ratio: the paper's term has no ratio in it.": (
            made(kl=lambda n, o, r, a: ratio(n, o) * leash(n, o, r, a))
        ),
        "the KL term is subtracted: a leash that pushes away. Add it to the loss.": made(weight=-beta),
        "beta is not used.": made(weight=1.0),
        "the KL term is missing.": made(weight=0.0),
        "the KL is taken off the advantage, and then multiplied by the ratio; here it is a term of its own.": (
            lambda: over_answers(
                tokens,
                lambda n, o, r, a: max(
                    -(a - beta * leash(n, o, r, a)) * ratio(n, o),
                    -(a - beta * leash(n, o, r, a)) * clamped(ratio(n, o), clip),
                ),
            )
        ),
        "beta is 0.04, whatever is passed.": made(weight=0.04),
        "clip is 0.2, whatever is passed.": made(surrogate(0.2)),
        "clip and beta are swapped.": lambda: over_answers(tokens, right_token(beta, clip)),
        "clip and beta are 0.2 and 0.04, whatever is passed.": lambda: over_answers(tokens, right_token(0.2, 0.04)),
        "the mean over answers is weighted by their lengths. See trap 1.": (
            lambda: sum(sum(right(*t) for t in a) * len(a) for a in tokens) / sum(n * n for n in lengths)
        ),
    }


def check_loss(handle, c: Case, what: str = "the loss", named: bool = False) -> None:
    expected = over_answers(c.tokens(), right_token(c.clip, c.beta))
    got = handle(*c.tensors, clip=c.clip, beta=c.beta) if named else handle(*c.tensors, c.clip, c.beta)
    expect_close(got, expected, what, mistakes=loss_mistakes(c))


@exercise("grpo_loss", "each answer counts the same, however long it is")
def test_grpo_loss_worked_example(handle, seed):
    level = torch.full((2, 3), -0.7)
    mask = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    check_loss(handle, Case(level, level, level, torch.tensor([1.0, -1.0]), mask), "the loss (one token against three)")


@exercise("grpo_loss", "both parts: ratios on both sides of the clip, advantages of both signs")
def test_grpo_loss_values(handle, seed):
    check_loss(handle, case(seed))
    check_loss(handle, case(seed + 1, clip=0.2, beta=0.3), "the loss (clip=0.2, beta=0.3)", named=True)


@exercise("grpo_loss", "each part alone: no leash, no advantage")
def test_grpo_loss_parts(handle, seed):
    check_loss(handle, replace(case(seed), beta=0.0), "the loss without a leash (beta=0)")
    check_loss(handle, replace(case(seed), advantages=torch.zeros(4)), "the loss (all advantages 0)")


@exercise("grpo_loss", "clip 0.2 and beta 0.04 if they are not given")
def test_grpo_loss_defaults(handle, seed):
    c = case(seed, clip=0.2, beta=0.04)
    expected = over_answers(c.tokens(), right_token(0.2, 0.04))
    expect_close(handle(*c.tensors), expected, "the loss (clip and beta left out)", mistakes=loss_mistakes(c))


def slopes(c: Case, policy: float = 1.0, kl: float = 1.0, answers: bool = True) -> Tensor:
    """The gradient of the loss with respect to logprobs, (B, T), of its two parts with the given weights."""
    result = torch.zeros(c.logprobs.shape, dtype=torch.float64)
    counted = int(c.mask.sum())
    for b, answer in enumerate(c.tokens()):
        for t, (new, old, ref, a) in enumerate(answer):
            ratio = exp(new - old)
            free = ratio <= 1 + c.clip if a > 0 else ratio >= 1 - c.clip
            slope = policy * (-a * ratio if free else 0.0) + kl * c.beta * (1 - exp(ref - new))
            result[b, t] = slope / (len(answer) * len(c.logprobs) if answers else counted)
    return result


def gradient_mistakes(c: Case) -> dict:
    return {
        "no gradient flows through the ratio (only through the KL term).": slopes(c, policy=0.0),
        "no gradient flows through the KL term (only through the ratio).": slopes(c, kl=0.0),
        "all tokens are averaged at once. See trap 1.": slopes(c, answers=False),
    }


@exercise("grpo_loss", "the gradient of logprobs: none where the clip holds, none at padding")
def test_grpo_loss_gradient(handle, seed):
    c = case(seed)
    _, grads = handle.gradients(*c.tensors, c.clip, c.beta, wrt=[0])
    expect_gradient(grads[0], slopes(c), "logprobs", mistakes=gradient_mistakes(c))


@exercise("grpo_loss", "at the first step, policy = old, the gradient is that of advantage times log-prob")
def test_grpo_loss_first_step(handle, seed):
    c = case(seed)
    c = replace(c, logprobs=c.old.clone())
    check_loss(handle, c, "the loss (policy = old)")
    _, grads = handle.gradients(*c.tensors, c.clip, c.beta, wrt=[0])
    expect_gradient(grads[0], slopes(c), "logprobs (policy = old)", mistakes=gradient_mistakes(c))


@exercise("grpo_loss", "only logprobs learns")
def test_grpo_loss_cut_off(handle, seed):
    c = case(seed)
    for key, name in ((1, "old_logprobs"), (2, "ref_logprobs"), (3, "advantages")):
        _, grads = handle.gradients(*c.tensors, c.clip, c.beta, wrt=[key])
        expect_no_gradient(grads[key], name, f"Only logprobs learns: use {name}.detach(). See trap 6.")


@exercise("grpo_loss", "what stands at padding does not matter")
def test_grpo_loss_padding(handle, seed):
    c = case(seed)
    g = torch.Generator().manual_seed(seed + 50)
    empty = c.mask == 0
    other = [part.where(~empty, -8 * torch.rand(part.shape, generator=g)) for part in c.tensors[:3]]
    first, second = (
        torch.as_tensor(handle(*parts, c.advantages, c.mask, c.clip, c.beta)).double()
        for parts in (c.tensors[:3], other)
    )
    expect_true(
        bool(((first - second).abs() < 1e-5).all()),
        "the loss changes when the numbers at padding do: multiply by the mask before you sum. See trap 7.",
    )
    short = replace(c, **{n: getattr(c, n)[:, :6] for n in ("logprobs", "old", "reference", "mask")})
    check_loss(handle, short, "the loss without the column that is all padding")


@exercise("grpo_loss", "masks of any type, float64, strides, the order of answers, one answer")
def test_grpo_loss_forms(handle, seed):
    c = case(seed)
    for kind in (torch.bool, torch.long, torch.float64):
        check_loss(handle, replace(c, mask=c.mask.to(kind)), f"the loss (mask of type {str(kind)[6:]})")
    order = torch.tensor([2, 0, 3, 1])
    check_loss(handle, Case(*(part.double()[order] for part in c.tensors)), "the loss, answers in another order")
    turned = [part.T.contiguous().T for part in c.tensors[:3]]
    check_loss(handle, Case(*turned, c.advantages, c.mask.T.contiguous().T), "the loss of transposed tensors")
    check_loss(handle, Case(*(part[1:2] for part in c.tensors)), "the loss of one answer")
