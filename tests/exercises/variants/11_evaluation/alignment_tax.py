"""Right solutions of alignment_tax that look different."""

import torch

from minillm.course.testing import variant


@variant("alignment_tax")
def two_losses(nats_before, nats_after, tokens, skills_before, skills_after):
    if skills_before.keys() != skills_after.keys() or "loss" in skills_before:
        raise ValueError("not the same skills")
    total = tokens.sum()
    loss = float(nats_after.sum() / total) - float(nats_before.sum() / total)
    skills = {
        name: float(skills_before[name].float().mean()) - float(skills_after[name].float().mean())
        for name in skills_before
    }
    return {"loss": loss, **skills}


@variant("alignment_tax")
def plain_python(nats_before, nats_after, tokens, skills_before, skills_after):
    for name in [*skills_before, *skills_after]:
        if name not in skills_before or name not in skills_after or name == "loss":
            raise ValueError(f"cannot compare {name}")
    tax = {"loss": sum((nats_after - nats_before).tolist()) / sum(tokens.tolist())}
    for name, right in skills_before.items():
        after = skills_after[name].tolist()
        tax[name] = sum(right.tolist()) / len(right) - sum(after) / len(after)
    return tax


@variant("alignment_tax")
def weighted_rates(nats_before, nats_after, tokens, skills_before, skills_after):
    if set(skills_before) ^ set(skills_after):
        raise ValueError("not the same skills")
    if "loss" in skills_after:
        raise ValueError("loss is no skill")
    weights = tokens.double() / tokens.double().sum()
    rates = (nats_after.double() - nats_before) / tokens
    tax = {"loss": torch.dot(weights, rates).item()}
    tax.update((k, (skills_after[k] == 0).double().mean().item() - (v == 0).double().mean().item())
               for k, v in skills_before.items())  # fmt: skip
    return tax


@variant("alignment_tax")
def numpy_floats(nats_before, nats_after, tokens, skills_before, skills_after):
    if sorted(skills_before) != sorted(skills_after) or "loss" in skills_before:
        raise ValueError("skills differ")
    tax = {"loss": (nats_after.double().numpy() - nats_before.double().numpy()).sum() / tokens.numpy().sum()}
    for name in skills_before:
        tax[name] = skills_before[name].double().numpy().mean() - skills_after[name].double().numpy().mean()
    return tax
