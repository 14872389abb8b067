"""Right solutions of sample_candidates that look different."""

import torch

from minillm.course.testing import variant


@variant("sample_candidates")
def one_by_one(gradients, suffix, count, topk, generator, forbidden=()):
    lists = []
    for s, row in enumerate(gradients.tolist()):
        some = [v for v in range(len(row)) if v not in set(forbidden) and v != suffix[s].item()]
        if len(some) < topk:
            raise ValueError(f"{len(some)} tokens are allowed at place {s}, topk is {topk}")
        lists.append(sorted(some, key=lambda v, row=row: row[v])[:topk])
    rows = []
    for _ in range(count):
        place = torch.randint(len(suffix), (1,), generator=generator).item()
        row = suffix.tolist()
        row[place] = lists[place][torch.randint(topk, (1,), generator=generator).item()]
        rows.append(row)
    return torch.tensor(rows)


@variant("sample_candidates")
def one_number_for_both(gradients, suffix, count, topk, generator, forbidden=()):
    S = gradients.shape[0]
    scores = -gradients.double()
    scores.scatter_(1, suffix[:, None], -torch.inf)
    for token in forbidden:
        scores[:, token] = -torch.inf
    if bool(((scores > -torch.inf).sum(-1) < topk).any()):
        raise ValueError("topk is too large")
    best = scores.argsort(dim=1, descending=True)[:, :topk]
    number = torch.randint(0, S * topk, (count,), generator=generator)
    place = torch.div(number, topk, rounding_mode="floor")
    change = torch.nn.functional.one_hot(place, S).bool()
    return torch.where(change, best.reshape(-1)[number][:, None], suffix[None])


@variant("sample_candidates")
def random_keys(gradients, suffix, count, topk, generator, forbidden=()):
    banned = torch.zeros_like(gradients, dtype=torch.bool)
    if len(forbidden):
        banned[:, torch.tensor(list(forbidden))] = True
    banned |= torch.arange(gradients.shape[1]) == suffix[:, None]
    if topk > int((~banned).sum(1).min()):
        raise ValueError("fewer tokens than topk are allowed")
    best = torch.where(banned, torch.inf, gradients).argsort(dim=-1)[:, :topk]
    place = torch.rand(count, len(suffix), generator=generator).argmax(1)
    pick = torch.rand(count, topk, generator=generator).argmin(1, keepdim=True)
    token = best[place].gather(1, pick)
    return suffix.expand(count, -1).clone().scatter_(1, place[:, None], token)


@variant("sample_candidates")
def multinomial(gradients, suffix, count, topk, generator, forbidden=()):
    scores = gradients.clone()
    scores[:, list(forbidden)] = float("inf")
    scores[range(len(suffix)), suffix] = float("inf")
    if torch.isinf(scores).sum(dim=1).max() > scores.shape[1] - topk:
        raise ValueError("not enough tokens are allowed")
    listed = torch.zeros_like(scores).scatter(1, torch.topk(-scores, topk, dim=1).indices, 1.0)
    picks = torch.multinomial(listed.flatten(), count, replacement=True, generator=generator)
    rows = torch.stack([suffix] * count)
    rows[torch.arange(count), picks // scores.shape[1]] = picks % scores.shape[1]
    return rows.long()
