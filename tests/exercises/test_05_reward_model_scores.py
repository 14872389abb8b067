"""What a right solution of lesson 05 is, continued: scores, their loss, their accuracy."""

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


# --- score_at_last_token ----------------------------------------------------------------------------------------


def padded_scores(seed: int, side: str) -> tuple[Tensor, Tensor]:
    """Scores (5, 7), wild at padding, and their mask; padding right, left, or "mixed"."""
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(5, 7, generator=g)
    lengths = torch.tensor([4, 7, 2, 1, 5])
    place = torch.arange(7)
    right, left = place < lengths[:, None], place >= 7 - lengths[:, None]
    both = (place >= 1) & (place < 1 + lengths.clamp(max=5)[:, None])
    mask = {"right": right, "left": left}.get(side)
    if mask is None:
        mask = torch.stack([right[0], both[1], left[2], both[3], left[4]])
    scores[~mask] = 30.0 + 10 * torch.rand(int((~mask).sum()), generator=g)
    return scores, mask.float()


def last_of(scores: Tensor, mask: Tensor) -> list[float]:
    """The score at the last place where the mask is 1, by a loop."""
    picked = []
    for row, keep in zip(scores.double().tolist(), mask.tolist()):
        place = max(t for t, kept in enumerate(keep) if kept)
        picked.append(row[place])
    return picked


def read_out_mistakes(scores: Tensor, mask: Tensor) -> dict:
    rows = scores.double().tolist()
    keeps = [[bool(k) for k in keep] for keep in mask.tolist()]
    T, counts = len(rows[0]), [sum(keep) for keep in keeps]
    real = [[v for v, k in zip(row, keep) if k] for row, keep in zip(rows, keeps)]
    last = [max(t for t, k in enumerate(keep) if k) for keep in keeps]
    first = [keep.index(True) for keep in keeps]
    zeroed = [[v * k for v, k in zip(row, keep)] for row, keep in zip(rows, keeps)]
    return {
        "the last column is read, padding or not. See trap 1.": [row[-1] for row in rows],
        "the last column of scores * mask is read: 0 wherever there is padding. See trap 1.": [r[-1] for r in zeroed],
        "the place is counted as `mask.sum(1) - 1`: with padding on the left that is too early. See trap 2.": (
            [row[n - 1] for row, n in zip(rows, counts)]
        ),
        "the place is `mask.sum(1)`: one too far. See trap 2.": [row[min(n, T - 1)] for row, n in zip(rows, counts)],
        "the *first* real token is read, as with mask.argmax(1).": [row[t] for row, t in zip(rows, first)],
        "the first padding is looked for and the token before it is read: there may be none. See trap 2.": (
            [row[(keep.index(False) if False in keep else 0) - 1] for row, keep in zip(rows, keeps)]
        ),
        "the token before the last real one is read.": [row[max(t - 1, 0)] for row, t in zip(rows, last)],
        "the token before the last real one is read, counted from the end for a single token.": (
            [row[t - 1] for row, t in zip(rows, last)]
        ),
        "the token behind the last real one is read.": [row[min(t + 1, T - 1)] for row, t in zip(rows, last)],
        "the scores of all real tokens are averaged. See trap 4.": [sum(values) / len(values) for values in real],
        "the scores of all real tokens are added. See trap 4.": [sum(values) for values in real],
        "the scores of all tokens are averaged, padding too.": [sum(row) / T for row in rows],
        "the largest score is taken, not the last. See trap 4.": [max(values) for values in real],
        "the last score goes through a sigmoid: a reward is any number. See trap 5.": (
            [logistic(row[t]) for row, t in zip(rows, last)]
        ),
        "the last score goes through tanh: a reward is any number. See trap 5.": (
            [tanh(row[t]) for row, t in zip(rows, last)]
        ),
        "the largest score is taken, padding included.": [max(row) for row in rows],
        "every row is read where the first row ends.": [row[last[0]] for row in rows],
        "every row is read where the longest row ends.": [row[max(last)] for row in rows],
        "the first column is read.": [row[0] for row in rows],
    }


def check_read_out(handle, scores: Tensor, mask: Tensor, what: str) -> None:
    got = handle(scores, mask)
    expect_close(got, last_of(scores, mask), what, mistakes=read_out_mistakes(scores, mask))


@exercise("score_at_last_token", "the worked example")
def test_score_at_last_token_worked_example(handle, seed):
    scores = torch.tensor([[0.5, -1.0, 2.0, 9.0], [9.0, 9.0, 0.3, 0.8]])
    check_read_out(handle, scores, torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1]]), "the score")


@exercise("score_at_last_token", "padding on the right")
def test_score_at_last_token_right(handle, seed):
    check_read_out(handle, *padded_scores(seed, "right"), "the score (padding on the right)")


@exercise("score_at_last_token", "padding on the left")
def test_score_at_last_token_left(handle, seed):
    check_read_out(handle, *padded_scores(seed, "left"), "the score (padding on the left)")


@exercise("score_at_last_token", "padding on both sides, masks of any type")
def test_score_at_last_token_mixed(handle, seed):
    scores, mask = padded_scores(seed, "mixed")
    for kind in (torch.long, torch.bool, torch.float64):
        check_read_out(handle, scores, mask.to(kind), f"the score (mask of type {str(kind)[6:]})")


@exercise("score_at_last_token", "no padding; a score of 0; one row")
def test_score_at_last_token_edges(handle, seed):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, 4, generator=g)
    check_read_out(handle, scores, torch.ones(3, 4), "the score (no padding)")
    scores, mask = padded_scores(seed, "right")
    for row, place in ((0, 3), (2, 1)):
        scores[row, place] = 0.0
    check_read_out(handle, scores, mask, "the score (where it is 0)")
    check_read_out(handle, scores[2:3], mask[2:3], "the score (one row)")


@exercise("score_at_last_token", "the gradient reaches the last token and nothing else")
def test_score_at_last_token_gradient(handle, seed):
    for side in ("right", "left"):
        scores, mask = padded_scores(seed, side)
        weights = torch.arange(1.0, 6.0)
        _, grads = handle.gradients(scores, mask, wrt=[0], upstream=weights)
        expected = torch.zeros(5, 7)
        for b in range(5):
            expected[b, max(mask[b].nonzero()[:, 0].tolist())] = weights[b]
        expect_gradient(grads[0], expected, "scores")


@exercise("score_at_last_token", "float64, strides, and the order of rows do not matter")
def test_score_at_last_token_forms(handle, seed):
    scores, mask = padded_scores(seed, "mixed")
    check_read_out(handle, scores.double().T.contiguous().T, mask.T.contiguous().T, "the score (strides)")
    order = torch.tensor([3, 0, 4, 2, 1])
    check_read_out(handle, scores[order], mask[order], "the score (rows in another order)")


# --- bradley_terry_loss -----------------------------------------------------------------------------------------


def score_pairs(seed: int, n: int = 6) -> tuple[Tensor, Tensor]:
    """Scores (n,) of chosen and rejected answers; most pairs, not all, are in the right order."""
    g = torch.Generator().manual_seed(seed)
    chosen, rejected = torch.randn(2, n, generator=g) * 1.3 + torch.tensor([[1.4], [0.6]])
    chosen[1], rejected[1] = -0.4, 1.1
    return chosen, rejected


def margins(chosen: Tensor, rejected: Tensor) -> list[float]:
    return [c - r for c, r in zip(chosen.double().tolist(), rejected.double().tolist())]


def loss_mistakes(chosen: Tensor, rejected: Tensor) -> dict:
    m, n = margins(chosen, rejected), len(chosen)
    c, r = chosen.double().tolist(), rejected.double().tolist()
    right = sum(softplus(-x) for x in m) / n
    return {
        "chosen and rejected are swapped: sigmoid(r_l - r_w) teaches the worse answer. See trap 1.": (
            sum(softplus(x) for x in m) / n
        ),
        "the sum over the pairs is returned; a mean is asked for. See trap 4.": right * n,
        "the loss of each pair is returned; their mean is asked for. See trap 4.": [softplus(-x) for x in m],
        "the minus is missing: this is the mean log-probability, which should be maximised. See trap 3.": -right,
        "the log is missing: this is the mean probability itself. See trap 3.": sum(map(logistic, m)) / n,
        "the log is missing: this is minus the mean probability. See trap 3.": -sum(map(logistic, m)) / n,
        "the log is missing: this is 1 minus the mean probability. See trap 3.": 1 - sum(map(logistic, m)) / n,
        "scores go through a sigmoid before they are compared. See trap 5.": (
            sum(softplus(logistic(y) - logistic(x)) for x, y in zip(c, r)) / n
        ),
        "each score is taken alone, as if 0 were the border between good and bad. See trap 5.": (
            sum(softplus(-x) + softplus(y) for x, y in zip(c, r)) / n
        ),
        "each score is taken alone, and the two halves averaged. See trap 5.": (
            sum(softplus(-x) + softplus(y) for x, y in zip(c, r)) / n / 2
        ),
        "the logsigmoid of each score is subtracted; take it of the difference. See trap 5.": (
            sum(softplus(-x) - softplus(-y) for x, y in zip(c, r)) / n
        ),
        "rejected is left out: only the chosen score is used.": sum(softplus(-x) for x in c) / n,
        "the scores are averaged first, then compared: compare pair by pair. See trap 4.": softplus(-sum(m) / n),
        "the log is taken of the mean probability; average the logs. See trap 4.": -log(sum(map(logistic, m)) / n),
        "every chosen answer is compared with every rejected one, also of other prompts. See trap 6.": (
            lambda: sum(softplus(y - x) for x in c for y in r) / n**2
        ),
        "the softmax runs over the batch, not over the pair. See trap 6.": (
            lambda: sum(log(sum(map(exp, c))) - x for x in c) / n
        ),
        "the loss is in bits (log2); nats are asked for.": right / log(2),
        "this is a hinge loss, max(0, 1 - margin).": sum(max(0.0, 1 - x) for x in m) / n,
        "this is the mean margin with a minus: it has no bound and no curve.": -sum(m) / n,
        "this is a squared loss of the probability.": sum((1 - logistic(x)) ** 2 for x in m) / n,
        "the absolute margin is used: the order of the two is lost.": sum(softplus(-abs(x)) for x in m) / n,
        "the scores are added, not subtracted.": sum(softplus(-x - y) for x, y in zip(c, r)) / n,
    }


def check_loss(handle, chosen: Tensor, rejected: Tensor, what: str = "the loss") -> None:
    expected = sum(softplus(-x) for x in margins(chosen, rejected)) / len(chosen)
    expect_close(handle(chosen, rejected), expected, what, mistakes=loss_mistakes(chosen, rejected))


@exercise("bradley_terry_loss", "the mean of -log sigmoid(chosen - rejected)")
def test_bradley_terry_loss_values(handle, seed):
    check_loss(handle, *score_pairs(seed))
    check_loss(handle, *score_pairs(seed + 1, n=3))


@exercise("bradley_terry_loss", "the worked example")
def test_bradley_terry_loss_worked_example(handle, seed):
    check_loss(handle, torch.tensor([2.0, 0.0, 0.5]), torch.tensor([1.0, 1.0, 0.5]))


@exercise("bradley_terry_loss", "margins of -200 and 200 in float32")
def test_bradley_terry_loss_is_stable(handle, seed):
    chosen, rejected = score_pairs(seed)
    chosen[0], rejected[0] = -120.0, 80.0
    chosen[2], rejected[2] = 90.0, -110.0
    expected = sum(softplus(-x) for x in margins(chosen, rejected)) / 6
    got, grads = handle.gradients(chosen, rejected, wrt=[0, 1])
    finite = bool(torch.as_tensor(got).isfinite().all()) and all(
        g is None or bool(g.isfinite().all()) for g in grads.values()
    )
    expect_true(
        finite,
        f"at a margin of -200 the loss is {torch.as_tensor(got).tolist()}, or its gradient is not finite: the sigmoid "
        "was rounded to 0 before its logarithm was taken, or an exp overflowed. Use F.logsigmoid. See trap 2.",
    )
    at_floor = (
        "a floor or an epsilon under the sigmoid, or a clamp, cuts the loss short: at a margin of -200 it is 200. "
        "Use F.logsigmoid. See trap 2."
    )
    rest = expected * 6 - 200.0
    value = torch.as_tensor(got).double()
    short = value if value.ndim == 0 and rest / 6 - 1e-3 < value.item() < (rest + 150) / 6 else None
    mistakes = {**loss_mistakes(chosen, rejected), at_floor: short}
    expect_close(got, expected, "the loss (one margin of -200)", mistakes=mistakes)
    slope = [-logistic(-x) / 6 for x in margins(chosen, rejected)]
    dead = {at_floor: [0.0, *slope[1:]]}
    expect_gradient(grads[0], slope, "chosen", mistakes=dead)
    far = handle(torch.tensor([-1000.0, 1000.0]), torch.tensor([1000.0, -1000.0]))
    expect_true(
        torch.as_tensor(far).isfinite().all(),
        f"at a margin of -2000 the loss is {torch.as_tensor(far).tolist()}: float64 only moves the place where the "
        "sigmoid is rounded to 0. Use F.logsigmoid. See trap 2.",
    )
    expect_close(far, 1000.0, "the loss (margins of -2000 and 2000)")


@exercise("bradley_terry_loss", "the gradient pushes the pair apart, most where it is most wrong")
def test_bradley_terry_loss_gradient(handle, seed):
    chosen, rejected = score_pairs(seed)
    _, grads = handle.gradients(chosen, rejected, wrt=[0, 1])
    slope = [-logistic(-x) / 6 for x in margins(chosen, rejected)]
    expect_gradient(grads[0], slope, "chosen")
    expect_gradient(grads[1], [-s for s in slope], "rejected")


@exercise("bradley_terry_loss", "a constant added to all scores changes nothing")
def test_bradley_terry_loss_gauge(handle, seed):
    chosen, rejected = score_pairs(seed)
    expected = sum(softplus(-x) for x in margins(chosen, rejected)) / 6
    for shift in (7.0, -7.0):
        moved = chosen + shift, rejected + shift
        got = handle(*moved)
        expect_close(got, expected, f"the loss with {shift:g} added to all scores", mistakes=loss_mistakes(*moved))


@exercise("bradley_terry_loss", "float64, strides, one pair, and the order of pairs")
def test_bradley_terry_loss_forms(handle, seed):
    chosen, rejected = score_pairs(seed)
    order = torch.tensor([4, 1, 5, 0, 3, 2])
    check_loss(handle, chosen[order], rejected[order], "the loss, pairs in another order")
    columns = torch.stack((chosen, rejected), 1).double()
    check_loss(handle, columns[:, 0], columns[:, 1], "the loss of columns of a float64 tensor")
    check_loss(handle, chosen[:1], rejected[:1], "the loss of one pair")


# --- pairwise_accuracy ------------------------------------------------------------------------------------------


def accuracy_pairs(seed: int) -> tuple[Tensor, Tensor]:
    """Scores (42,): 25 pairs right, 12 wrong, 5 exact ties, some margins of 1e-4, in shuffled order.

    How many scores lie above 0 is chosen so that no two mistakes give the same share.
    """
    g = torch.Generator().manual_seed(seed)
    kinds = {(1, -1, 7), (2, 1, 5), (-1, -2, 9), (1, 2, 4), (-2, -1, 5), (-1, 1, 2)}
    rows = [(c, r) for c, r, count in sorted(kinds) for _ in range(count)]
    pairs = torch.tensor(rows) + 0.3 * torch.rand(len(rows), 2, generator=g)
    level = 1.0 + torch.rand(10, 1, generator=g) - torch.tensor([0.0] * 8 + [3.0] * 2)[:, None]
    near = level + torch.tensor([[0.0, -1e-4]] * 4 + [[0.0, 1e-4]] + [[0.0, 0.0]] * 5)
    pairs = torch.cat((pairs, near))[torch.randperm(42, generator=g)]
    return pairs[:, 0], pairs[:, 1]


def accuracy_mistakes(chosen: Tensor, rejected: Tensor) -> dict:
    c, r, n = chosen.double().tolist(), rejected.double().tolist(), len(chosen)
    m = margins(chosen, rejected)
    wins, ties = sum(x > 0 for x in m), sum(x == 0 for x in m)
    losses, right = n - wins - ties, (wins + ties / 2) / n
    chances = [logistic(x) for x in m]
    return {
        "pairs in the *wrong* order are counted. See trap 1.": (losses + ties / 2) / n,
        "ties count as wrong; they should count half. See trap 2.": wins / n,
        "ties count as right; they should count half. See trap 2.": (wins + ties) / n,
        "ties are left out of the count. See trap 2.": wins / max(1, n - ties),
        "pairs in the wrong order are counted, without ties. See traps 1 and 2.": losses / n,
        "pairs in the wrong order and ties are counted. See traps 1 and 2.": (losses + ties) / n,
        "the number of pairs is returned; a share is asked for.": wins + ties / 2,
        "the number of pairs is returned, and ties count nothing; a share is asked for.": float(wins),
        "right minus wrong is returned: it runs from -1 to 1.": (wins - losses) / n,
        "the result is in percent; a share from 0 to 1 is asked for.": 100 * right,
        "the result is in percent, and ties count nothing.": 100 * wins / n,
        "each score is held against 0: scores have no zero point, only differences count. See trap 3.": (
            sum((x > 0) and (y < 0) for x, y in zip(c, r)) / n
        ),
        "only the sign of the chosen score is used: scores have no zero point. See trap 3.": sum(x > 0 for x in c) / n,
        "each score is taken alone, as if 0 were the border. See trap 3.": (
            sum((x > 0) + (y < 0) for x, y in zip(c, r)) / (2 * n)
        ),
        "the means of all scores are compared, not the pairs.": float(sum(c) > sum(r)),
        "small margins count as ties.": sum(0.5 + 0.5 * (x > 1e-3) - 0.5 * (x < -1e-3) for x in m) / n,
        "small margins count as wrong.": sum(x > 1e-3 for x in m) / n,
        "the verdict of each pair is returned; their mean is asked for.": [
            0.5 + 0.5 * (x > 0) - 0.5 * (x < 0) for x in m
        ],
        "the verdict of each pair is returned, and ties count nothing.": [float(x > 0) for x in m],
        "the share is rounded to a whole number.": float(int(right)),
        "every chosen score is compared with every rejected one, also of other prompts. See trap 4.": (
            lambda: sum((x > y) + 0.5 * (x == y) for x in c for y in r) / n**2
        ),
        "every chosen score is compared with every rejected one, and ties count nothing. See trap 4.": (
            lambda: sum(x > y for x in c for y in r) / n**2
        ),
        "the mean probability is returned: a pair is in order or it is not. See trap 5.": sum(chances) / n,
    }


def check_accuracy(handle, chosen: Tensor, rejected: Tensor, what: str = "the accuracy") -> None:
    m = margins(chosen, rejected)
    expected = sum(1.0 if x > 0 else 0.5 if x == 0 else 0.0 for x in m) / len(m)
    expect_close(handle(chosen, rejected), expected, what, mistakes=accuracy_mistakes(chosen, rejected))


@exercise("pairwise_accuracy", "ties count half, and small margins are no ties")
def test_pairwise_accuracy_values(handle, seed):
    check_accuracy(handle, *accuracy_pairs(seed))


@exercise("pairwise_accuracy", "the worked example")
def test_pairwise_accuracy_worked_example(handle, seed):
    check_accuracy(handle, torch.tensor([2.0, 0.0, 0.5, 1.0]), torch.tensor([1.0, 1.0, 0.5, -3.0]))


@exercise("pairwise_accuracy", "a constant added to all scores changes nothing")
def test_pairwise_accuracy_gauge(handle, seed):
    chosen, rejected = (values.double() for values in accuracy_pairs(seed))
    for shift in (64.0, -64.0):
        check_accuracy(handle, chosen + shift, rejected + shift, f"the accuracy with {shift:g} added to all scores")


@exercise("pairwise_accuracy", "all right, all wrong, all level")
def test_pairwise_accuracy_edges(handle, seed):
    chosen, _ = accuracy_pairs(seed)
    for shift, words in ((0.0, "all level"), (0.5, "all right"), (-0.5, "all wrong")):
        check_accuracy(handle, chosen.double() + shift, chosen.double(), f"the accuracy ({words})")
    check_accuracy(handle, chosen[:1] + 1.0, chosen[:1], "the accuracy of one pair")


@exercise("pairwise_accuracy", "float64, strides, whole numbers, and the order of pairs")
def test_pairwise_accuracy_forms(handle, seed):
    chosen, rejected = accuracy_pairs(seed)
    order = torch.randperm(42, generator=torch.Generator().manual_seed(seed))
    columns = torch.stack((chosen, rejected), 1).double()[order]
    check_accuracy(handle, columns[:, 0], columns[:, 1], "the accuracy of columns of a float64 tensor")
    stars = torch.tensor([[5, 3, 3, 1, 4], [4, 3, 5, 1, 2]])
    check_accuracy(handle, stars[0], stars[1], "the accuracy of whole numbers")
