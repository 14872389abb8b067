"""Wrong solutions of perplexity: what students write, and the word that the message must hold."""

from math import exp

import torch

from minillm.course.exercises import reference
from minillm.course.testing import mutant


def means_and_counts(model, batches):
    with torch.no_grad():
        means = [reference("next_token_loss")(model(tokens), tokens, mask).item() for tokens, mask in batches]
    counts = [tokens[:, 1:].numel() if mask is None else int(mask[:, 1:].sum()) for tokens, mask in batches]
    return means, counts


def weighted(means, weights):
    return sum(mean * weight for mean, weight in zip(means, weights)) / sum(weights)


@mutant("perplexity", names="means are averaged")
def mean_of_batch_means(model, batches):
    means, _ = means_and_counts(model, batches)
    return exp(sum(means) / len(means))


@mutant("perplexity", names="perplexities are averaged")
def mean_of_perplexities(model, batches):
    means, _ = means_and_counts(model, batches)
    return sum(map(exp, means)) / len(means)


@mutant("perplexity", names="perplexities are averaged over tokens")
def weighted_mean_of_perplexities(model, batches):
    means, counts = means_and_counts(model, batches)
    return weighted(list(map(exp, means)), counts)


@mutant("perplexity", names="first column is counted")
def weighs_by_positions(model, batches):
    means, _ = means_and_counts(model, batches)
    return exp(weighted(means, [tokens.numel() if mask is None else int(mask.sum()) for tokens, mask in batches]))


@mutant("perplexity", names="first column included")
def divides_by_positions(model, batches):
    means, counts = means_and_counts(model, batches)
    positions = sum(tokens.numel() if mask is None else int(mask.sum()) for tokens, mask in batches)
    return exp(sum(mean * count for mean, count in zip(means, counts)) / positions)


@mutant("perplexity", names="padding included")
def weighs_by_all_cells(model, batches):
    means, _ = means_and_counts(model, batches)
    return exp(weighted(means, [tokens.numel() for tokens, _ in batches]))


@mutant("perplexity", names="by their rows")
def weighs_by_rows(model, batches):
    means, _ = means_and_counts(model, batches)
    return exp(weighted(means, [len(tokens) for tokens, _ in batches]))


@mutant("perplexity", names="mask is ignored")
def ignores_the_mask(model, batches):
    means, counts = means_and_counts(model, [(tokens, None) for tokens, _ in batches])
    return exp(weighted(means, counts))


@mutant("perplexity", names="no exp")
def returns_nats(model, batches):
    return weighted(*means_and_counts(model, batches))


@mutant("perplexity", names="2 is raised")
def two_to_the_nats(model, batches):
    return 2 ** weighted(*means_and_counts(model, batches))


@mutant("perplexity", names="total")
def exp_of_the_total(model, batches):
    means, counts = means_and_counts(model, batches)
    return exp(min(700.0, sum(mean * count for mean, count in zip(means, counts))))


@mutant("perplexity", names="no_grad")
def tracks_gradients(model, batches):
    nats, count = 0.0, 0
    for tokens, mask in batches:
        n = tokens[:, 1:].numel() if mask is None else int(mask[:, 1:].sum())
        nats, count = nats + n * reference("next_token_loss")(model(tokens), tokens, mask), count + n
    return torch.exp(nats / count)


@mutant("perplexity", names="only the last batch")
def overwrites_the_sum(model, batches):
    means, _ = means_and_counts(model, batches)
    return exp(means[-1])


@mutant("perplexity", names="only the first batch")
def returns_inside_the_loop(model, batches):
    for batch in batches:
        return exp(means_and_counts(model, [batch])[0][0])


@mutant("perplexity", names="not shifted")
def unshifted_targets(model, batches):
    nats, count = 0.0, 0
    with torch.no_grad():
        for tokens, mask in batches:
            each = -model(tokens).log_softmax(-1).gather(-1, tokens[..., None]).squeeze(-1)[:, :-1]
            here = torch.ones_like(each) if mask is None else mask[:, 1:]
            nats, count = nats + (each * here).sum().item(), count + here.sum().item()
    return exp(nats / count)


@mutant("perplexity", names="1 / perplexity")
def inverted(model, batches):
    return exp(-weighted(*means_and_counts(model, batches)))
