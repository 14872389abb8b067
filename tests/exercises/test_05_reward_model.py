"""What a right solution of lesson 05 is: the annotators, and the choice among n answers.

Labels are judged from thousands of pairs drawn in one call. A count is refused where its probability under the right
distribution is below 2 exp(-25) (Chernoff's bound), so a right answer is never refused by chance.
"""

from collections.abc import Callable
from math import erf, inf, log, tanh

import torch
from torch import Tensor

from minillm.course.expect import describe, expect_close, expect_equal, expect_gradient, expect_shape, expect_true, fail
from minillm.course.props import Generator
from minillm.course.testing import exercise

SURE = 25.0
EACH = 3000


def logistic(x: float) -> float:
    """1 / (1 + exp(-x)), by way of tanh, for any x."""
    return 0.5 + 0.5 * tanh(x / 2)


# --- preference_probability -------------------------------------------------------------------------------------


def utilities(seed: int) -> tuple[Tensor, Tensor]:
    """Two tensors (7,) of utilities, between -2 and 1 or so, with one tie and one clear case."""
    g = torch.Generator().manual_seed(seed)
    a, b = 1.2 * torch.randn(2, 7, generator=g)
    b[2] = a[2]
    a[4], b[4] = 1.0, -2.0
    return a, b


def each(formula: Callable[[float, float], float], a: Tensor, b: Tensor) -> list[float]:
    return [formula(x, y) for x, y in zip(a.double().tolist(), b.double().tolist())]


def probability_mistakes(a: Tensor, b: Tensor, t: float) -> dict:
    def made(formula: Callable[[float, float], float]) -> Callable[[], list[float]]:
        return lambda: each(formula, a, b)

    return {
        "a and b are swapped: this is the probability that b is preferred. See trap 1.": (
            made(lambda x, y: logistic((y - x) / t))
        ),
        "the temperature is not used.": made(lambda x, y: logistic(x - y)),
        "the gap is multiplied by the temperature instead of divided. See trap 2.": (
            made(lambda x, y: logistic((x - y) * t))
        ),
        "the probability is divided by the temperature, not the gap. See trap 2.": made(
            lambda x, y: logistic(x - y) / t
        ),
        "only utility_a is divided by the temperature: mind the brackets.": made(lambda x, y: logistic(x / t - y)),
        "only utility_b is divided by the temperature: mind the brackets.": made(lambda x, y: logistic(x - y / t)),
        "the choice is hard: always the better one. People are not so sure. See trap 4.": (
            made(lambda x, y: 0.5 * ((x > y) + (x >= y)))
        ),
        "the choice is hard: 1 where a is better, else 0. People are not so sure. See trap 4.": (
            made(lambda x, y: float(x > y))
        ),
        "the choice is hard: 1 where a is no worse, else 0. People are not so sure. See trap 4.": (
            made(lambda x, y: float(x >= y))
        ),
        "utility_b is left out: each utility goes through a sigmoid of its own.": made(lambda x, y: logistic(x / t)),
        "each utility goes through a sigmoid before they are compared. See trap 5.": (
            made(lambda x, y: logistic(x / t) / (logistic(x / t) + logistic(y / t)))
        ),
        "sigmoids are subtracted; take the sigmoid of the difference. See trap 5.": (
            made(lambda x, y: logistic(x / t) - logistic(y / t))
        ),
        "the utilities are added, not subtracted.": made(lambda x, y: logistic((x + y) / t)),
        "the difference is not put through a sigmoid: it is no probability.": made(lambda x, y: (x - y) / t),
        "what is returned is the log of the probability.": made(lambda x, y: log(logistic((x - y) / t))),
        "the softmax runs over the pairs of the batch, not over the two answers of each pair. See trap 6.": (
            lambda: (a.double() / t).softmax(0)
        ),
        "the curve is the normal distribution's, not the logistic: that is Thurstone's model.": (
            made(lambda x, y: 0.5 + 0.5 * erf((x - y) / t / 2**0.5))
        ),
        "tanh stands where the sigmoid should: it runs from -1 to 1.": made(lambda x, y: tanh((x - y) / t)),
        "the absolute gap is used: it matters which of the two is better.": made(lambda x, y: logistic(abs(x - y) / t)),
        "strengths are compared as a / (a + b): exp of each utility is missing.": (
            made(lambda x, y: x / (x + y) if x + y else inf)
        ),
    }


def check_probability(handle, a: Tensor, b: Tensor, t: float) -> None:
    expected = each(lambda x, y: logistic((x - y) / t), a, b)
    what = f"the probability (temperature={t:g})"
    expect_close(handle(a, b, t), expected, what, mistakes=probability_mistakes(a, b, t))


@exercise("preference_probability", "utilities of both signs, ties, any temperature")
def test_preference_probability_values(handle, seed):
    a, b = utilities(seed)
    for t in (0.4, 2.5):
        check_probability(handle, a, b, t)


@exercise("preference_probability", "the worked example")
def test_preference_probability_worked_example(handle, seed):
    check_probability(handle, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 0.5)


@exercise("preference_probability", "temperature 1 if it is not given; names for arguments")
def test_preference_probability_default(handle, seed):
    a, b = utilities(seed)
    expected = each(lambda x, y: logistic(x - y), a, b)
    expect_close(handle(a, b), expected, "the probability", mistakes=probability_mistakes(a, b, 1.0))
    named = handle(utility_b=b, utility_a=a, temperature=0.3)
    expect_close(named, each(lambda x, y: logistic((x - y) / 0.3), a, b), "the probability with named arguments")


@exercise("preference_probability", "only the difference counts, however large the utilities are")
def test_preference_probability_large(handle, seed):
    a, b = utilities(seed)
    a, b = torch.cat((1000 + a, -1000 + a)), torch.cat((1000 + b, -1000 + b))
    got = handle(a, b, 0.5)
    expect_true(
        torch.as_tensor(got).isfinite().all(),
        f"for utilities near 1,000 and -1,000 the result is {torch.as_tensor(got).tolist()}: an exp overflows or "
        "underflows. Subtract first, then use torch.sigmoid. See trap 3.",
    )
    expected = each(lambda x, y: logistic((x - y) / 0.5), a, b)
    expect_close(got, expected, "the probability of utilities near 1,000")


@exercise("preference_probability", "the gradient is p (1 - p) / temperature, with a minus for b")
def test_preference_probability_gradient(handle, seed):
    a, b = utilities(seed)
    weights = torch.arange(1.0, 8.0)
    _, grads = handle.gradients(a, b, 0.7, wrt=[0, 1], upstream=weights)
    slope = [p * (1 - p) / 0.7 * w for p, w in zip(each(lambda x, y: logistic((x - y) / 0.7), a, b), weights.tolist())]
    expect_gradient(grads[0], slope, "utility_a")
    expect_gradient(grads[1], [-s for s in slope], "utility_b")


@exercise("preference_probability", "any shape, float64, strides")
def test_preference_probability_forms(handle, seed):
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 3, 4, generator=g, dtype=torch.float64)
    expected = [each(lambda x, y: logistic((x - y) / 0.6), *rows) for rows in zip(a, b)]
    expect_close(handle(a.T.contiguous().T, b, 0.6), expected, "the probability of (3, 4) utilities")
    one = handle(a[0, 0], b[0, 0], 0.6)
    expect_close(one, expected[0][0], "the probability of a single pair")


# --- annotate ---------------------------------------------------------------------------------------------------


def gaps_of(seed: int) -> tuple[Tensor, Tensor]:
    """Five kinds of pair, (5,) each: b clearly better, b better, nearly level, a better, a clearly better."""
    g = torch.Generator().manual_seed(seed)
    gaps = torch.tensor([-1.1, -0.5, 0.1, 0.6, 1.3]) + 0.04 * torch.rand(5, generator=g)
    b = torch.randn(5, generator=g) + 0.5
    return b + gaps, b


def labels_of(handle, a: Tensor, b: Tensor, t: float, flip: float, seed: int) -> Tensor:
    """The labels of one call, as numbers 0 and 1."""
    got = handle(a, b, t, flip, Generator(seed + 1000))
    expect_shape(got, tuple(a.shape), "the labels")
    labels = torch.as_tensor(got).double()
    if not bool(((labels == 0) | (labels == 1)).all()):
        kind = "probabilities: draw from them" if bool(((labels >= 0) & (labels <= 1)).all()) else describe(got)
        fail(f"the labels should be True or False, one for each pair, but they are {kind}.")
    return labels


def surprise(count: int, p: float) -> float:
    """n KL(count / n || p): how unlikely so extreme a count is, in nats."""
    parts = ((count / EACH, p), (1 - count / EACH, 1 - p))
    return EACH * sum(x * log(x / y) if y > 1e-12 else inf for x, y in parts if x > 0)


def label_mistakes(a: list[float], b: list[float], t: float, flip: float) -> dict[str, list[float]]:
    """What share of True each mistake gives, for each kind of pair."""

    def made(rule: Callable[[float, float], float], shown: float = flip) -> list[float]:
        return [(p := rule(x, y)) * (1 - shown) + (1 - p) * shown for x, y in zip(a, b)]

    def right(x: float, y: float) -> float:
        return logistic((x - y) / t)

    swapped = "a and b are swapped, or labels are turned round that are no slips: True should mean that a is preferred."
    known = {
        swapped: made(lambda x, y: right(y, x)),
        "the labels are hard: always the better answer, no draw, or one draw for the whole batch. See traps 1 and 3.": (
            made(lambda x, y: float(x > y))
        ),
        "the temperature is not used.": made(lambda x, y: logistic(x - y)),
        "the gap is multiplied by the temperature instead of divided.": made(lambda x, y: logistic((x - y) * t)),
        "each label is a fair coin: the utilities are not used.": [0.5] * len(a),
    }
    if flip:
        ps = [right(x, y) for x, y in zip(a, b)]
        known.pop(swapped)  # labels without slips were right, or the test would not have come here
        known |= {
            "the flip is not used, or one coin decides for the whole batch. See trap 3.": ps,
            "labels are flipped with probability 1 - flip. See trap 2.": made(right, 1 - flip),
            "all labels are turned round, or one coin decides for the whole batch. See trap 3.": made(right, 1.0),
            "a slip replaces the label by a fair coin instead of turning it round.": made(right, flip / 2),
            "a slip sets the label to False instead of turning it round.": [p * (1 - flip) for p in ps],
            "a slip sets the label to True instead of turning it round.": [p + (1 - p) * flip for p in ps],
            "the same random numbers decide the choice and the slip: draw new ones. See trap 4.": (
                [abs(p - flip) for p in ps]
            ),
        }
    return known


def check_labels(handle, t: float, flip: float, seed: int) -> None:
    """EACH pairs of each kind in one call; the counts of True are held against the exact probabilities."""
    a, b = gaps_of(seed)
    labels = labels_of(handle, a.repeat(EACH), b.repeat(EACH), t, flip, seed)
    counts = [int(labels[kind::5].sum()) for kind in range(5)]
    gaps = list(zip(a.double().tolist(), b.double().tolist()))
    expected = [(p := logistic((x - y) / t)) * (1 - flip) + (1 - p) * flip for x, y in gaps]
    wrong = [kind for kind in range(5) if surprise(counts[kind], expected[kind]) > SURE]
    if not wrong:
        return
    kind = wrong[0]
    lines = [
        f"{EACH} pairs with utilities {gaps[kind][0]:.2f} and {gaps[kind][1]:.2f}, temperature={t:g}, flip={flip:g}: "
        f"a should be preferred in about {expected[kind] * EACH:.0f} of them, and is in {counts[kind]}."
    ]
    if any(count in (0, EACH) for count in counts):
        lines.append("Every pair of a kind got the same label: each label, and each slip, is a draw of its own.")
    known = label_mistakes(*zip(*gaps), t, flip)  # type: ignore[arg-type]
    distance = {message: sum(map(surprise, counts, shares)) for message, shares in known.items()}
    fitting = [m for m, shares in known.items() if all(surprise(n, p) < SURE for n, p in zip(counts, shares))]
    if fitting:
        lines.append(f"These are the counts that come out when {min(fitting, key=lambda m: distance[m])}")
    fail("\n".join(lines))


@exercise("annotate", "without slips, the shares are those of Bradley and Terry")
def test_annotate_without_flips(handle, seed):
    check_labels(handle, 0.5, 0.0, seed)


@exercise("annotate", "slips turn a share of the labels round")
def test_annotate_with_flips(handle, seed):
    check_labels(handle, 0.5, 0.3, seed)
    check_labels(handle, 2.0, 0.1, seed)


@exercise("annotate", "clear cases: the better one without slips, the worse one if all are slips")
def test_annotate_clear_cases(handle, seed):
    g = torch.Generator().manual_seed(seed)
    better = torch.rand(40, generator=g) < 0.5
    a, b = torch.where(better, 120.0, 90.0), torch.where(better, 90.0, 120.0)
    swapped = {
        "a and b are swapped: True should mean that a is preferred.": (~better).double(),
        "every label is True.": torch.ones(40),
        "every label is False.": torch.zeros(40),
    }
    expect_equal(labels_of(handle, a, b, 0.3, 0.0, seed), better.double(), "labels (flip=0)", mistakes=swapped)
    never = {"flip=1 should turn every label round; none is turned. See trap 2.": better.double()}
    expect_equal(labels_of(handle, a, b, 0.3, 1.0, seed), (~better).double(), "labels (flip=1)", mistakes=never)


@exercise("annotate", "all randomness comes from the generator")
def test_annotate_generator(handle, seed):
    a, b = (values.repeat(40) for values in gaps_of(seed))
    outcome = handle.call(a, b, 0.5, 0.2, Generator(seed))
    expect_true(
        outcome.states[4]["used"], "the generator that is passed is not used: give it to torch.rand as generator=."
    )
    first, again, other = (labels_of(handle, a, b, 0.5, 0.2, s) for s in (seed, seed, seed + 1))
    expect_equal(again, first, "labels of a second call with the same seed")
    expect_true(
        bool((first != other).any()),
        "different seeds give the same labels: do not seed the generator, or make a new one, inside.",
    )
    level = torch.zeros(200)
    sure = [labels_of(handle, level + 50.0, level, 0.5, 0.5, s) for s in (seed, seed + 1)]
    expect_true(
        bool((sure[0] != sure[1]).any()),
        "different seeds slip in the same places: the slips do not come from the generator that is passed.",
    )


@exercise("annotate", "the labels of neighbours are independent")
def test_annotate_independent(handle, seed):
    n = 4000
    for flip, gap in ((0.0, 0.0), (0.5, 60.0)):
        labels = labels_of(handle, torch.full((n,), gap), torch.zeros(n), 1.0, flip, seed)
        for lag in (1, 2, n // 2):
            same = (labels[lag:] == labels[:-lag]).double().mean().item()
            expect_true(
                abs(same - 0.5) < 0.09,
                f"two labels that are fair coins agree in {same:.0%} of the cases (pairs {lag} apart), expected 50%: "
                "each label, and each slip, is a draw of its own.",
            )


# --- best_of_n --------------------------------------------------------------------------------------------------


def candidate_scores(seed: int, prompts: int, n: int) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    scores = torch.randperm(prompts * n, generator=g).view(prompts, n) * 0.1
    return scores + 3 * torch.randn(prompts, 1, generator=g) - 0.05 * prompts * n


def choice_mistakes(scores: Tensor) -> dict:
    rows = scores.tolist()
    best = [max(range(len(row)), key=row.__getitem__) for row in rows]
    order = [sorted(range(len(row)), key=row.__getitem__) for row in rows]
    flat = [value for row in rows for value in row]
    return {
        "the *worst* answer of each prompt is taken. See trap 1.": [line[0] for line in order],
        "the best prompt is found for each answer: the maximum runs over prompts (dim 0). See trap 2.": (
            [max(range(len(rows)), key=lambda p: rows[p][j]) for j in range(len(rows[0]))]
        ),
        "the worst prompt is found for each answer: the wrong dimension and the wrong end.": (
            [min(range(len(rows)), key=lambda p: rows[p][j]) for j in range(len(rows[0]))]
        ),
        "the best score is returned, not the place where it stands. See trap 3.": [max(row) for row in rows],
        "one answer is chosen for all prompts together. See trap 2.": max(range(len(flat)), key=flat.__getitem__),
        "places are counted in all prompts laid end to end; count from 0 within each prompt.": (
            [p * len(rows[0]) + place for p, place in enumerate(best)]
        ),
        "places are counted from 1.": [place + 1 for place in best],
        "the result keeps the dimension of the answers: (P, 1) instead of (P,).": [[place] for place in best],
        "the largest *absolute* score wins: scores may be negative.": (
            [max(range(len(row)), key=lambda j: abs(row[j])) for row in rows]
        ),
        "the second best is taken.": [line[-2] for line in order] if len(rows[0]) > 1 else None,
        "the answers are ranked: one place for each prompt is asked for.": [line[::-1] for line in order],
        "the answers are ranked, worst first: one place for each prompt is asked for.": order,
        "a one-hot row is returned: its place is asked for.": (
            [[int(j == place) for j in range(len(rows[0]))] for place in best]
        ),
        "the first answer is always taken.": [0] * len(rows),
        "the last answer is always taken.": [len(rows[0]) - 1] * len(rows),
    }


def check_choice(handle, scores: Tensor) -> None:
    got = handle(scores)
    best = [max(range(len(row)), key=row.__getitem__) for row in scores.tolist()]
    expect_close(got, best, f"the choice among {tuple(scores.shape)} scores", mistakes=choice_mistakes(scores))
    if isinstance(got, Tensor) and got.is_floating_point():
        fail("the places are floats; an index is a whole number: argmax gives one.")


@exercise("best_of_n", "the worked example")
def test_best_of_n_worked_example(handle, seed):
    check_choice(handle, torch.tensor([[0.1, 0.7, 0.3], [-0.2, -0.9, -0.5]]))


@exercise("best_of_n", "scores of both signs, prompts of different level")
def test_best_of_n_values(handle, seed):
    for prompts, n in ((5, 3), (3, 8), (4, 4)):
        check_choice(handle, candidate_scores(seed, prompts, n))


@exercise("best_of_n", "one answer, one prompt, all scores negative")
def test_best_of_n_edges(handle, seed):
    check_choice(handle, candidate_scores(seed, 4, 1))
    check_choice(handle, candidate_scores(seed, 1, 6))
    check_choice(handle, candidate_scores(seed, 4, 6) - 50)


@exercise("best_of_n", "ties: any of the best")
def test_best_of_n_ties(handle, seed):
    scores = candidate_scores(seed, 4, 6)
    scores[1, 2] = scores[1, 4] = 20.0
    got = torch.as_tensor(handle(scores))
    expect_shape(got, (4,), "the choice where two answers are level")
    expect_true(
        int(got[1]) in (2, 4), f"the answers 2 and 4 of prompt 1 are level and best, but {int(got[1])} is taken."
    )


@exercise("best_of_n", "float64, strides, a prompt's choice does not depend on the others")
def test_best_of_n_forms(handle, seed):
    scores = candidate_scores(seed, 4, 7)
    check_choice(handle, scores.double().T.contiguous().T)
    moved = scores.clone()
    moved[1:] += 100.0
    check_choice(handle, moved)
