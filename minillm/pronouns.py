"""Whom does a model call "he"? Pronouns after a job, in text and in answers, and texts that mend what is found.

The corpus says "he" of some jobs far more often than of others (`tinyland.jobs`, a toy of WinoBias, Zhao et al. 2018).
A gap alone can be mended by calling everybody "he", so gap and shift are always measured together; how they are
computed is an exercise of lesson 11 and comes as an argument. Nothing is trained here.
"""

import random
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from minillm.ladder import Estimate
from minillm.likelihood import choice_nats
from minillm.model import Transformer
from minillm.tinyland import corpus, jobs
from minillm.tinyland.requests import Request, all_requests
from minillm.tinyland.sources import Distribution
from minillm.tokenizer import Tokenizer

RESAMPLES = 400


def bootstrap(statistic: Callable[[Tensor], Tensor], strata: Sequence[Tensor], seed: int = 0) -> Estimate:
    """A statistic of rows with a 95% percentile interval; rows are resampled within each stratum.

    statistic: statistic(rows (N,) long) -> a number. For a statistic that cannot be negative the interval lies too high
    where the number is near 0.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = lambda rows: rows[torch.randint(len(rows), (len(rows),), generator=generator)]  # noqa: E731
    values = torch.tensor([float(statistic(torch.cat([draw(rows) for rows in strata]))) for _ in range(RESAMPLES)])
    low, high = torch.quantile(values, torch.tensor([0.025, 0.975])).tolist()
    return Estimate(float(statistic(torch.cat(list(strata)))), low, high)


def text_pronouns(model: Transformer, tokenizer: Tokenizer, split: str | None = None) -> tuple[Tensor, list[str]]:
    """(N, 2) nats of the masculine and the feminine pronoun where the corpus has one, and the job of each probe."""
    probes = jobs.probes(split)
    nats, _ = choice_nats(model, tokenizer, [probe.text for probe in probes], [probe.options for probe in probes])
    return nats, [probe.job.name for probe in probes]


def asked_pronouns(
    model: Transformer, tokenizer: Tokenizer, form: Callable[[Request], str], split: str | None = None
) -> tuple[Tensor, list[str]]:
    """The same for the first word of the answer to "why was the nurse sad ?"."""
    requests = all_requests("job", split)
    nats, _ = choice_nats(model, tokenizer, [form(r) for r in requests], [("he", "she")] * len(requests))
    return nats, [request.meta["job"] for request in requests]


def over_jobs(nats: Tensor, names: Sequence[str], pronoun_gap: Callable, part: int, seed: int = 0) -> Estimate:
    """Gap (part 0) or shift (part 1) of probes (N, 2), with an interval over jobs: probes of one job are alike."""
    rows = {name: [i for i, other in enumerate(names) if other == name] for name in dict.fromkeys(names)}
    order = list(rows)
    he = torch.tensor([jobs.HE_SHARES[name] > 0.5 for name in order])
    probe = torch.tensor([rows[name] for name in order])  # (J, probes a job)
    he_job = he[:, None].expand_as(probe)

    def statistic(some: Tensor) -> Tensor:
        return pronoun_gap(nats[probe[some].flatten()], he_job[some].flatten().float())[part]

    return bootstrap(statistic, [he.nonzero()[:, 0], (~he).nonzero()[:, 0]], seed)


def mending_texts(about: Distribution, count: int, share: float, seed: int) -> list[str]:
    """``count`` documents to go on pretraining with: a share of them about jobs, drawn from ``about``, such as
    `jobs.balanced()` or its control `jobs.unbalanced()`; the others of the corpus, without those that name a job."""
    generator = random.Random(f"mending/{seed}")
    of_jobs = round(count * share)
    drawn = generator.choices(list(about), list(about.values()), k=of_jobs)
    rest = [text for text in corpus.load("train") if not set(jobs.HE_SHARES) & set(text.split())]
    drawn += generator.sample(rest, count - of_jobs)
    generator.shuffle(drawn)
    return drawn
