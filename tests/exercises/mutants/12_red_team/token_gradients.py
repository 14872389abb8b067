"""Wrong solutions of token_gradients."""

import torch
import torch.nn.functional as F

from minillm.course.testing import mutant


def forward(model, tokens, target):
    """One-hot rows that take gradients, and the log-probs of everything that is read."""
    E = model.embed.weight.detach()
    read = torch.cat((tokens, target))
    one_hot = F.one_hot(read, len(E)).float().requires_grad_()
    logits = model.logits(model.from_embeddings((one_hot @ E)[None]))[0]
    return one_hot, logits.log_softmax(-1)


def picked(logprobs, target, first):
    return logprobs[first : first + len(target)].gather(1, target[:, None])[:, 0]


def gradient(loss, one_hot):
    return torch.autograd.grad(loss, one_hot)[0]


def right(model, tokens, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens) - 1).mean(), one_hot)


@mutant("token_gradients", names="one place too late")
def at_the_targets(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens)).mean(), one_hot)[suffix]


@mutant("token_gradients", names="one place too early")
def one_too_early(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens) - 2).mean(), one_hot)[suffix]


@mutant("token_gradients", names="whole sequence")
def whole_sequence(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    read = torch.cat((tokens, target))
    return gradient(F.nll_loss(logprobs[:-1], read[1:]), one_hot)[suffix]


@mutant("token_gradients", names="that of the prompt")
def prompt_only(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target[:0])
    return gradient(F.nll_loss(logprobs[:-1], tokens[1:]), one_hot)[suffix]


@mutant("token_gradients", names="mean is asked for")
def summed(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens) - 1).sum(), one_hot)[suffix]


@mutant("token_gradients", names="the loss is minus that")
def negated(model, tokens, suffix, target):
    return -right(model, tokens, target)[suffix]


@mutant("token_gradients", names="only the first target token")
def first_word(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-logprobs[len(tokens) - 1, target[0]], one_hot)[suffix]


@mutant("token_gradients", names="only the last target token")
def last_word(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-logprobs[-2, target[-1]], one_hot)[suffix]


@mutant("token_gradients", names="first target token is not in the loss")
def shifted_targets(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    loss = F.nll_loss(logprobs[len(tokens) : -1], target[1:]) if len(target) > 1 else logprobs.sum() * 0
    return gradient(loss, one_hot)[suffix]


@mutant("token_gradients", names="predicted from the prompt alone")
def target_not_read(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target[:0])
    return gradient(-logprobs[-1, target].mean(), one_hot)[suffix]


@mutant("token_gradients", names="the last tokens of the prompt are to predict it")
def target_against_the_prompt(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target[:0])
    return gradient(F.nll_loss(logprobs[-len(target) :], target), one_hot)[suffix]


@mutant("token_gradients", names="without the log")
def probability(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens) - 1).exp().mean(), one_hot)[suffix]


@mutant("token_gradients", names="log of the mean probability")
def log_of_the_mean(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    return gradient(-picked(logprobs, target, len(tokens) - 1).exp().mean().log(), one_hot)[suffix]


@mutant("token_gradients", names="gradient of the embeddings")
def of_the_embeddings(model, tokens, suffix, target):
    x = model.embed(torch.cat((tokens, target))).detach().requires_grad_()
    logprobs = model.logits(model.from_embeddings(x[None]))[0].log_softmax(-1)
    return gradient(-picked(logprobs, target, len(tokens) - 1).mean(), x)[suffix]


@mutant("token_gradients", names="all tokens of the prompt")
def whole_prompt(model, tokens, suffix, target):
    return right(model, tokens, target)[: len(tokens)]


@mutant("token_gradients", names="the target's too")
def everything_read(model, tokens, suffix, target):
    return right(model, tokens, target)


@mutant("token_gradients", names="one place further on")
def suffix_too_early(model, tokens, suffix, target):
    return right(model, tokens, target)[suffix.start - 1 : suffix.stop - 1]


@mutant("token_gradients", names="one place further back")
def suffix_too_late(model, tokens, suffix, target):
    return right(model, tokens, target)[suffix.start + 1 : suffix.stop + 1]


@mutant("token_gradients", names="last places of the prompt")
def suffix_taken_from_the_end(model, tokens, suffix, target):
    size = suffix.stop - suffix.start
    return right(model, tokens, target)[len(tokens) - size : len(tokens)]


@mutant("token_gradients", names="scaled to length 1")
def normalised(model, tokens, suffix, target):
    return F.normalize(right(model, tokens, target)[suffix], dim=-1)


@mutant("token_gradients", names="only where the one-hot row is 1")
def times_one_hot(model, tokens, suffix, target):
    found = right(model, tokens, target)[suffix]
    return found * F.one_hot(tokens[suffix], found.shape[1])


@mutant("token_gradients", names="promise of a swap")
def promise(model, tokens, suffix, target):
    found = right(model, tokens, target)[suffix]
    return found - found.gather(1, tokens[suffix][:, None])


@mutant("token_gradients", names="both its uses are mixed")
def weight_rows(model, tokens, suffix, target):
    logprobs = model(torch.cat((tokens, target))[None])[0].log_softmax(-1)
    return gradient(-picked(logprobs, target, len(tokens) - 1).mean(), model.embed.weight)[tokens[suffix]]


@mutant("token_gradients", names="mixes its uses")
def weight_rows_times_embeddings(model, tokens, suffix, target):
    logprobs = model(torch.cat((tokens, target))[None])[0].log_softmax(-1)
    found = gradient(-picked(logprobs, target, len(tokens) - 1).mean(), model.embed.weight)
    return (found[tokens[suffix]] @ model.embed.weight.T).detach()


@mutant("token_gradients", names="gradients are left in")
def backward_through_the_model(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    (-picked(logprobs, target, len(tokens) - 1).mean()).backward()
    return one_hot.grad[suffix]


@mutant("token_gradients", names="gradients are left in")
def backward_then_zeros(model, tokens, suffix, target):
    one_hot, logprobs = forward(model, tokens, target)
    (-picked(logprobs, target, len(tokens) - 1).mean()).backward()
    model.zero_grad(set_to_none=False)
    return one_hot.grad[suffix]


@mutant("token_gradients", names="training mode")
def leaves_training_mode(model, tokens, suffix, target):
    model.train()
    return right(model, tokens, target)[suffix]


@mutant("token_gradients", names="a gradient flows into the model")
def keeps_the_graph(model, tokens, suffix, target):
    E = model.embed.weight
    one_hot = F.one_hot(torch.cat((tokens, target)), len(E)).float().requires_grad_()
    logprobs = model.logits(model.from_embeddings((one_hot @ E)[None]))[0].log_softmax(-1)
    loss = -picked(logprobs, target, len(tokens) - 1).mean()
    return torch.autograd.grad(loss, one_hot, create_graph=True)[0][suffix]


@mutant("token_gradients", names="two dimensions are swapped")
def turned(model, tokens, suffix, target):
    return right(model, tokens, target)[suffix].T


@mutant("token_gradients", names="weights have changed")
def takes_a_step(model, tokens, suffix, target):
    found = right(model, tokens, target)[suffix]
    with torch.no_grad():
        model.embed.weight.mul_(0.9)
    return found


@mutant("token_gradients", names="stopped with")
def gradient_of_whole_numbers(model, tokens, suffix, target):
    one_hot = F.one_hot(tokens, model.config.vocab_size).requires_grad_()
    return gradient(one_hot.sum(), one_hot)[suffix]
