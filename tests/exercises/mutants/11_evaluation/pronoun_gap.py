"""Wrong solutions of pronoun_gap."""

from minillm.course.testing import mutant


def groups(he_job):
    he = he_job.bool()
    if not he.any() or he.all():
        raise ValueError("probes of both kinds are needed")
    return he, ~he


def means(p, he_job):
    he, she = groups(he_job)
    return p[he].mean(), p[she].mean()


def masculine(logprobs):
    return logprobs.softmax(1)[:, 0]


def both(a, b):
    return a - b, (a + b) / 2 - 0.5


@mutant("pronoun_gap", names="gap is absolute")
def absolute_gap(logprobs, he_job):
    gap, shift = both(*means(masculine(logprobs), he_job))
    return gap.abs(), shift


@mutant("pronoun_gap", names="shift is absolute")
def absolute_shift(logprobs, he_job):
    gap, shift = both(*means(masculine(logprobs), he_job))
    return gap, shift.abs()


@mutant("pronoun_gap", names="turned round")
def gap_turned_round(logprobs, he_job):
    a, b = means(masculine(logprobs), he_job)
    return b - a, (a + b) / 2 - 0.5


@mutant("pronoun_gap", names="feminine pronoun; column 0")
def second_column(logprobs, he_job):
    return both(*means(logprobs.softmax(1)[:, 1], he_job))


@mutant("pronoun_gap", names="measured for the feminine")
def shift_of_the_feminine(logprobs, he_job):
    gap, shift = both(*means(masculine(logprobs), he_job))
    return gap, -shift


@mutant("pronoun_gap", names="wrong order")
def shift_first(logprobs, he_job):
    return both(*means(masculine(logprobs), he_job))[::-1]


@mutant("pronoun_gap", names="counted")
def counts(logprobs, he_job):
    return both(*means((logprobs[:, 0] > logprobs[:, 1]).to(logprobs.dtype), he_job))


@mutant("pronoun_gap", names="counted")
def argmax(logprobs, he_job):
    return both(*means((logprobs.argmax(1) == 0).float(), he_job))


@mutant("pronoun_gap", names="not normalised over")
def not_normalised(logprobs, he_job):
    return both(*means(logprobs[:, 0].exp(), he_job))


@mutant("pronoun_gap", names="log-probabilities are compared")
def log_probabilities(logprobs, he_job):
    return both(*means(logprobs[:, 0], he_job))


@mutant("pronoun_gap", names="normalised log-probabilities")
def log_softmax(logprobs, he_job):
    return both(*means(logprobs.log_softmax(1)[:, 0], he_job))


@mutant("pronoun_gap", names="difference of the two log-probabilities")
def log_odds(logprobs, he_job):
    return both(*means(logprobs[:, 0] - logprobs[:, 1], he_job))


@mutant("pronoun_gap", names="without exp")
def divided_by_the_sum(logprobs, he_job):
    return both(*means(logprobs[:, 0] / logprobs.sum(1), he_job))


@mutant("pronoun_gap", names="before the softmax")
def averaged_before_softmax(logprobs, he_job):
    he, she = groups(he_job)
    return both(logprobs[he].mean(0).softmax(0)[0], logprobs[she].mean(0).softmax(0)[0])


@mutant("pronoun_gap", names="difference of the two probabilities")
def differences(logprobs, he_job):
    p = logprobs.softmax(1)
    return both(*means(p[:, 0] - p[:, 1], he_job))


@mutant("pronoun_gap", names="larger group weighs more")
def overall_shift(logprobs, he_job):
    p = masculine(logprobs)
    a, b = means(p, he_job)
    return a - b, p.mean() - 0.5


@mutant("pronoun_gap", names="all probes")
def gap_to_all(logprobs, he_job):
    p = masculine(logprobs)
    a, b = means(p, he_job)
    return a - p.mean(), (a + b) / 2 - 0.5


@mutant("pronoun_gap", names="0.5 is not taken off")
def without_the_half(logprobs, he_job):
    a, b = means(masculine(logprobs), he_job)
    return a - b, (a + b) / 2


@mutant("pronoun_gap", names="not halved")
def not_halved(logprobs, he_job):
    a, b = means(masculine(logprobs), he_job)
    return a - b, a + b - 0.5


@mutant("pronoun_gap", names="sums are taken")
def sums(logprobs, he_job):
    p, (he, she) = masculine(logprobs), groups(he_job)
    return both(p[he].sum(), p[she].sum())


@mutant("pronoun_gap", names="number of all probes")
def multiplied_by_the_group(logprobs, he_job):
    p, (he, she) = masculine(logprobs), groups(he_job)
    return both((p * he).mean(), (p * she).mean())


@mutant("pronoun_gap", names="medians")
def medians(logprobs, he_job):
    p, (he, she) = masculine(logprobs), groups(he_job)
    return both(p[he].median(), p[she].median())


@mutant("pronoun_gap", names="without its sign")
def absolute_per_probe(logprobs, he_job):
    return both(*means((masculine(logprobs) - 0.5).abs(), he_job))


@mutant("pronoun_gap", names="over the probes")
def softmax_over_probes(logprobs, he_job):
    return both(*means(logprobs.softmax(0)[:, 0], he_job))


@mutant("pronoun_gap", names="exp gives 0")
def exp_and_divide(logprobs, he_job):
    p = logprobs.exp()
    return both(*means(p[:, 0] / p.sum(1), he_job))


@mutant("pronoun_gap", names="valueerror was expected")
def empty_groups_pass(logprobs, he_job):
    he = he_job.bool()
    p = masculine(logprobs)
    return both(p[he].mean(), p[~he].mean())


@mutant("pronoun_gap", names="2 results")
def gap_only(logprobs, he_job):
    return both(*means(masculine(logprobs), he_job))[0]


@mutant("pronoun_gap", names=None)
def indexed_by_numbers(logprobs, he_job):
    groups(he_job)
    p = masculine(logprobs)
    return both(p[he_job.long()].mean(), p[1 - he_job.long()].mean())
