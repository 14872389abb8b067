"""Wrong solutions of gae. Most are one recursion with something missing."""

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant


def recursion(rewards, values, mask, step, carry, next_mask=None, rest_mask=None):
    """A_t = r_t + step V_{t+1} - V_t + carry A_{t+1}, with masks of what follows; not masked in the end."""
    rewards, values, T = rewards.detach(), values.detach(), values.shape[1]
    next_mask = mask if next_mask is None else next_mask
    rest_mask = mask if rest_mask is None else rest_mask
    advantages, running = torch.zeros_like(values), torch.zeros_like(values[:, 0])
    for t in reversed(range(T)):
        last = t == T - 1
        next_value = 0.0 if last else values[:, t + 1] * next_mask[:, t + 1]
        rest = 0.0 if last else running * rest_mask[:, t + 1]
        running = rewards[:, t] + step * next_value - values[:, t] + carry * rest
        advantages[:, t] = running
    return advantages


def both(advantages, values, mask):
    return advantages * mask, (advantages + values.detach()) * mask


@mutant("gae", names="mask is ignored")
def without_the_mask(rewards, values, mask, gamma=1.0, lam=0.95):
    ones = torch.ones_like(values)
    advantages = recursion(rewards, values, ones, gamma, gamma * lam)
    return advantages, advantages + values.detach()


@mutant("gae", names="mask is only used on the results")
def mask_at_the_end_only(rewards, values, mask, gamma=1.0, lam=0.95):
    ones = torch.ones_like(values)
    return both(recursion(rewards, values, ones, gamma, gamma * lam), values, mask)


@mutant("gae", names="value behind the end of a row")
def next_value_leaks(rewards, values, mask, gamma=1.0, lam=0.95):
    ones = torch.ones_like(values)
    return both(recursion(rewards, values, mask, gamma, gamma * lam, next_mask=ones), values, mask)


@mutant("gae", names="advantages of padding are carried")
def next_advantage_leaks(rewards, values, mask, gamma=1.0, lam=0.95):
    ones = torch.ones_like(values)
    return both(recursion(rewards, values, mask, gamma, gamma * lam, rest_mask=ones), values, mask)


@mutant("gae", names="the value goes on as it was")
def bootstrapped_from_the_last_value(rewards, values, mask, gamma=1.0, lam=0.95):
    rows, last = torch.arange(len(mask)), mask.long().sum(1) - 1
    rewards = rewards.detach().clone()
    rewards[rows, last] += gamma * values.detach()[rows, last]
    return both(recursion(rewards, values, mask, gamma, gamma * lam), values, mask)


@mutant("gae", names="gamma is missing where the next advantage")
def carried_with_lambda_only(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma, lam), values, mask)


@mutant("gae", names="lam is not used")
def carried_with_gamma_only(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma, gamma), values, mask)


@mutant("gae", names="gamma is missing in delta")
def delta_without_gamma(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, 1.0, gamma * lam), values, mask)


@mutant("gae", names="gamma is not used at all")
def without_gamma(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, 1.0, lam), values, mask)


@mutant("gae", names="next value is multiplied by gamma * lam")
def lambda_in_delta(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma * lam, gamma * lam), values, mask)


@mutant("gae", names="surprises delta alone")
def only_delta(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma, 0.0), values, mask)


@mutant("gae", names="carried undiminished")
def sum_of_deltas(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma, 1.0), values, mask)


@mutant("gae", names="1 - lam")
def lambda_turned_round(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, gamma, gamma * (1 - lam)), values, mask)


@mutant("gae", names="next value is missing")
def without_the_next_value(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, values, mask, 0.0, gamma * lam), values, mask)


@mutant("gae", names="not subtracted in delta")
def without_the_own_value(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages = recursion(rewards + values, values, mask, gamma, gamma * lam)
    return both(advantages, values, mask)


@mutant("gae", names="signs of both values")
def delta_turned_round(rewards, values, mask, gamma=1.0, lam=0.95):
    return both(recursion(rewards, -values, mask, gamma, gamma * lam), values, mask)


@mutant("gae", names="that of the same token")
def same_value_twice(rewards, values, mask, gamma=1.0, lam=0.95):
    rewards = rewards + gamma * values
    return both(recursion(rewards, values, mask, 0.0, gamma * lam), values, mask)


@mutant("gae", names="*previous* value")
def previous_value(rewards, values, mask, gamma=1.0, lam=0.95):
    before = torch.cat((torch.zeros_like(values[:, :1]), values[:, :-1]), 1)
    return both(recursion(rewards + gamma * before, values, mask, 0.0, gamma * lam), values, mask)


@mutant("gae", names="beginning to the end")
def forwards(rewards, values, mask, gamma=1.0, lam=0.95):
    delta = recursion(rewards, values, mask, gamma, 0.0) * mask
    advantages, running = torch.zeros_like(delta), 0.0
    for t in range(delta.shape[1]):
        running = delta[:, t] + gamma * lam * running
        advantages[:, t] = running
    return both(advantages, values, mask)


@mutant("gae", names="over the rows of the batch")
def over_the_batch(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages = recursion(rewards.T, values.T, mask.T, gamma, gamma * lam).T
    return both(advantages, values, mask)


@mutant("gae", names="values are not used")
def rewards_to_go(rewards, values, mask, gamma=1.0, lam=0.95):
    returns = recursion(rewards, 0 * values, mask, 0.0, gamma) * mask
    return returns, returns


@mutant("gae", names="advantages come first")
def returned_the_other_way_round(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, returns = reference("gae")(rewards, values, mask, gamma, lam)
    return returns, advantages


@mutant("gae", names="advantages are whitened")
def whitened_advantages(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, returns = reference("gae")(rewards, values, mask, gamma, lam)
    return reference("masked_whiten")(advantages, mask), returns


@mutant("gae", names="returns are made from whitened advantages")
def returns_from_whitened_advantages(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, (reference("masked_whiten")(advantages, mask) + values.detach()) * mask


@mutant("gae", names="sums of rewards that came")
def returns_to_go(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, recursion(rewards, 0 * values, mask, 0.0, gamma) * mask


@mutant("gae", names="values are subtracted, not added")
def returns_with_minus(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, advantages - values.detach() * mask


@mutant("gae", names="returns at padding are not 0")
def returns_at_padding(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, advantages + values.detach()


@mutant("gae", names="advantages are returned twice")
def no_returns(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, advantages


@mutant("gae", names="one token ahead")
def returns_of_one_step(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, (recursion(rewards, values, mask, gamma, 0.0) + values.detach()) * mask


@mutant("gae", names="should return 2 results")
def advantages_alone(rewards, values, mask, gamma=1.0, lam=0.95):
    return reference("gae")(rewards, values, mask, gamma, lam)[0]


@mutant("gae", names="gamma is not 1")
def other_default_gamma(rewards, values, mask, gamma=0.99, lam=0.95):
    return reference("gae")(rewards, values, mask, gamma, lam)


@mutant("gae", names="lam is not 0.95")
def other_default_lambda(rewards, values, mask, gamma=1.0, lam=1.0):
    return reference("gae")(rewards, values, mask, gamma, lam)


@mutant("gae", names="a gradient flows into values")
def returns_with_gradient(rewards, values, mask, gamma=1.0, lam=0.95):
    advantages, _ = reference("gae")(rewards, values, mask, gamma, lam)
    return advantages, advantages + values * mask


@mutant("gae", names="a gradient flows into")
def advantages_with_gradient(rewards, values, mask, gamma=1.0, lam=0.95):
    running, columns = 0.0, []
    following = torch.cat((values[:, 1:] * mask[:, 1:], torch.zeros_like(values[:, :1])), 1)
    delta = (rewards + gamma * following - values) * mask
    for t in reversed(range(values.shape[1])):
        running = delta[:, t] + gamma * lam * running
        columns.insert(0, running)
    advantages = torch.stack(columns, 1)
    return advantages, (advantages + values * mask).detach()


@mutant("gae", names="changes its input")
def in_place(rewards, values, mask, gamma=1.0, lam=0.95):
    values *= mask
    return reference("gae")(rewards, values, mask, gamma, lam)
