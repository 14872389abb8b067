"""Right solutions of gae that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("gae")
def row_by_row(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, returns = torch.zeros_like(values), torch.zeros_like(values)
    for b in range(len(mask)):
        n = int(mask[b].sum())
        after, rest = 0.0, 0.0
        for t in range(n - 1, -1, -1):
            r, v = rewards[b, t].item(), values[b, t].item()
            rest = r + gamma * after - v + gamma * lam * rest
            advantages[b, t], returns[b, t] = rest, rest + v
            after = v
    return advantages.detach(), returns.detach()


@variant("gae")
@torch.no_grad()
def as_a_matrix(rewards, values, mask, gamma=1.0, lam=0.95):
    T, m = values.shape[1], mask.to(values.dtype)
    delta = (rewards + gamma * F.pad(values[:, 1:] * m[:, 1:], (0, 1)) - values) * m
    apart = torch.arange(T)[:, None] - torch.arange(T)  # (later, earlier)
    weights = torch.where(apart >= 0, (gamma * lam) ** apart.clamp(min=0), 0).to(values.dtype)
    advantages = delta @ weights
    return advantages * m, (advantages + values) * m


@variant("gae")
def masks_in_the_loop(rewards, values, mask, gamma=1.0, lam=0.95):
    with torch.no_grad():
        B, T = values.shape
        mask = mask.double()
        running, columns = torch.zeros(B, dtype=torch.float64), []
        for t in reversed(range(T)):
            goes_on = mask[:, t + 1] if t < T - 1 else torch.zeros(B)
            next_value = values[:, t + 1] * goes_on if t < T - 1 else 0.0
            running = rewards[:, t] + gamma * next_value - values[:, t] + gamma * lam * running * goes_on
            columns.append(running)
        advantages = torch.stack(columns[::-1], dim=1) * mask
        return advantages, advantages + values * mask


@variant("gae")
def return_first_then_advantage(rewards, values, mask, gamma=1.0, lam=0.95):
    keep = mask.bool()
    v = values.detach().masked_fill(~keep, 0.0)
    r = rewards.detach().masked_fill(~keep, 0.0)
    after = F.pad(v, (0, 1))[:, 1:]
    returns, following = torch.zeros_like(v), torch.zeros_like(v[:, 0])
    for t in reversed(range(v.shape[1])):  # the lambda-return, by its own recursion
        following = r[:, t] + gamma * ((1 - lam) * after[:, t] + lam * following)
        returns[:, t] = following
    return [(returns - v) * keep, returns * keep]
