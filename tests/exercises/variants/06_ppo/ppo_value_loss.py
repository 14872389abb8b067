"""Right solutions of ppo_value_loss that look different."""

import torch
import torch.nn.functional as F

from minillm.course.testing import variant


@variant("ppo_value_loss")
def clamped_between_limits(values, old_values, returns, mask, clip=0.2):
    old, target, m = old_values.detach(), returns.detach(), mask.to(values.dtype)
    near = torch.max(torch.min(values, old + clip), old - clip)
    worse = torch.max((values - target).square(), (near - target).square())
    return 0.5 * (worse * m).sum() / m.sum()


@variant("ppo_value_loss")
def with_mse_loss_in_float64(values, old_values, returns, mask, clip=0.2):
    keep = mask.bool()
    v, old, target = (x.double()[keep] for x in (values, old_values.detach(), returns.detach()))
    both = torch.stack((v, torch.clamp(v, old - clip, old + clip)))
    return F.mse_loss(both, target.expand_as(both), reduction="none").amax(0).mean() * 0.5


@variant("ppo_value_loss")
def token_by_token(values, old_values, returns, mask, clip=0.2):
    total = 0.0
    for b, t in mask.nonzero().tolist():
        old, target = old_values[b, t].item(), returns[b, t].item()
        v = values[b, t]
        near = v.clamp(old - clip, old + clip)
        total = total + max((v - target) ** 2, (near - target) ** 2)
    return total / (2 * int(mask.sum()))


@variant("ppo_value_loss")
def square_of_the_larger_distance(values, old_values, returns, mask, clip=0.2):
    with torch.no_grad():
        old, target, keep = old_values.clone(), returns.clone(), mask != 0
    near = old + torch.clip(values - old, -clip, clip)
    worse = torch.where((near - target).abs() > (values - target).abs(), near, values)
    return ((worse - target) ** 2 / 2)[keep].mean()
