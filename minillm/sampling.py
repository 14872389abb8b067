"""Batched generation: prompts of any length in, sampled tokens with their masks and log-probabilities out.

Prompts are padded on the left, so that all rows end together; finished rows leave the batch, and the cache with them.
Each step draws one random number for every row, finished or not: what a row says depends on the seed and its place
in the batch, not on when the others end, nor on whether the cache is used.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from minillm.model import Transformer


@dataclass(frozen=True)
class Generation:
    """What `generate` returns, for B prompts of up to P tokens and N, the length of the longest response.

    tokens: (B, P + N) long: padding, prompt, response (its stop token included), padding.
    mask: (B, P + N) bool, True at prompt and response; response_mask: (B, P + N) bool, True at the response alone.
    logprobs: (B, N), in nats, of each response token under the distribution *that it was drawn from*, after
        temperature and truncation: what PPO calls the old policy. 0 behind a response, and everywhere if greedy.
    model_logprobs: (B, N), the same under the model's own distribution, at temperature 1 and not truncated. Equal to
        logprobs where temperature is 1 and top_k and top_p are off.
    ended: (B,) bool, True where the response ends in a stop token, not for lack of room.
    """

    tokens: Tensor
    mask: Tensor
    response_mask: Tensor
    logprobs: Tensor
    model_logprobs: Tensor
    ended: Tensor

    @property
    def prompt_length(self) -> int:
        """P, the column in which every response begins."""
        return self.tokens.shape[1] - self.logprobs.shape[1]

    def responses(self) -> list[list[int]]:
        """The response of each row as ids, with its stop token."""
        return [row[keep].tolist() for row, keep in zip(self.tokens, self.response_mask)]


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    *,
    stop: int | Iterable[int] = (),
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int = 0,
    generator: torch.Generator | None = None,
    use_cache: bool = True,
    pad_id: int = 0,
    sampler: Callable[[Tensor], Tensor] | None = None,
) -> Generation:
    """Continue each prompt until a stop token, or for ``max_new_tokens`` tokens.

    temperature: logits are divided by it; 0 is greedy. Then top_k keeps the k likeliest tokens, and of these top_p
        the fewest that together hold a share p of the probability (Holtzman et al. 2020, sec. 3.1).
    generator: a CPU generator, used instead of ``seed``; the draws are the same on every device.
    use_cache: False reads the whole text again for every token. Slow; there to be compared with.
    sampler: draws instead of the above, from logits (rows still running, V) to tokens (rows,). Which distribution it
        draws from is not known here, so ``logprobs`` are then the model's own.
    """
    stops = [stop] if isinstance(stop, int) else list(stop)
    _check(model, prompts, max_new_tokens, temperature, top_k, top_p)
    if generator is None:
        generator = torch.Generator().manual_seed(seed)
    device = model.device
    B, P, N = len(prompts), max(map(len, prompts)), max_new_tokens
    tokens, mask = pad_left(prompts, P, N, pad_id, device)  # (B, P + N) each
    logprobs, model_logprobs = torch.zeros(2, B, N, device=device, dtype=model.embed.weight.dtype)
    response_mask = torch.zeros_like(mask)
    ended = torch.zeros(B, dtype=torch.bool, device=device)
    stop_ids = torch.tensor(stops, dtype=torch.long, device=device)
    padded = any(len(prompt) < P for prompt in prompts)

    running = torch.arange(B, device=device)  # (R,) rows that are not finished
    cache = model.new_cache(B, P + N) if use_cache else None
    for n in range(N):
        here = P + n
        new = tokens[running, cache.length if cache else 0 : here]  # (R, here), or (R, 1) with a cache
        hidden = model.hidden(new, mask[running, :here] if padded else None, cache)  # (R, ..., D)
        logits = model.logits(hidden[:, -1])  # (R, V)
        uniform = torch.rand(B, generator=generator).to(device)[running]  # (R,)
        own = logits.log_softmax(-1)  # (R, V)
        if sampler is not None:
            choice = sampler(logits).view(-1)  # (R,)
            drawn = own.gather(1, choice[:, None])[:, 0]
        else:
            choice, drawn = _draw(own, uniform, temperature, top_k, top_p)
        tokens[running, here] = choice
        mask[running, here] = response_mask[running, here] = True
        logprobs[running, n] = drawn
        model_logprobs[running, n] = own.gather(1, choice[:, None])[:, 0]
        finished = torch.isin(choice, stop_ids)  # (R,)
        if finished.any():
            ended[running[finished]] = True
            going = (~finished).nonzero()[:, 0]
            running = running[going]
            if not len(running):
                N = n + 1
                break
            if cache:
                cache.keep(going)
    return Generation(
        tokens[:, : P + N], mask[:, : P + N], response_mask[:, : P + N], logprobs[:, :N], model_logprobs[:, :N], ended
    )


def _draw(
    logprobs: Tensor, uniform: Tensor, temperature: float, top_k: int | None, top_p: float | None
) -> tuple[Tensor, Tensor]:
    """One token per row and its log-probability, by inverting the cumulative distribution at ``uniform``.

    logprobs (R, V), uniform (R,) in [0, 1). Tokens are ranked first if the distribution is truncated, so that what is
    kept is a prefix. Of tokens with equal probability at the edge of top_k, the lower id is kept.
    """
    V = logprobs.shape[1]
    if temperature == 0:
        return logprobs.argmax(-1), logprobs.new_zeros(len(logprobs))
    probs = (logprobs / temperature).softmax(-1)  # (R, V)
    ranked = None
    if (top_k is not None and top_k < V) or (top_p is not None and top_p < 1):
        probs, ranked = probs.sort(dim=-1, descending=True, stable=True)
        probs = probs[:, : top_k or V]
        if top_p is not None:
            before = probs.cumsum(-1) - probs  # (R, k) probability of the likelier tokens
            probs = probs * (before < top_p * probs.sum(-1, keepdim=True))
    cumulative = probs.cumsum(-1)
    total = cumulative[:, -1:]
    place = torch.searchsorted(cumulative, uniform[:, None] * total, right=True)  # (R, 1)
    place = (
        torch.minimum(place, (probs > 0).sum(-1, keepdim=True) - 1) if ranked is not None else place.clamp(max=V - 1)
    )
    logprob = (probs.gather(1, place) / total).log()[:, 0]
    return (ranked.gather(1, place) if ranked is not None else place)[:, 0], logprob


def pad_left(
    prompts: Sequence[Sequence[int]], P: int, N: int, pad_id: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Prompts right-aligned in columns 0..P-1 of (B, P + N) tokens, and the mask of where they are."""
    rows = [[pad_id] * (P - len(prompt)) + list(prompt) + [pad_id] * N for prompt in prompts]
    tokens = torch.tensor(rows, dtype=torch.long, device=device)
    starts = torch.tensor([P - len(prompt) for prompt in prompts], device=device)
    column = torch.arange(P + N, device=device)
    return tokens, (column >= starts[:, None]) & (column < P)


def _check(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    max_new_tokens: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
) -> None:
    """Refuse what cannot be generated, in words."""
    if isinstance(prompts, str) or not len(prompts) or any(isinstance(prompt, int | str) for prompt in prompts):
        raise ValueError("prompts must be a list of at least one list of token ids, such as [tokenizer.encode(text)]")
    empty = [i for i, prompt in enumerate(prompts) if not len(prompt)]
    if empty:
        raise ValueError(f"prompt {empty[0]} is empty; begin it with a token such as <doc>")
    V, room = model.config.vocab_size, model.config.context_length
    strange = [token for prompt in prompts for token in prompt if not 0 <= token < V]
    if strange:
        raise ValueError(f"token {strange[0]} is not in the model's vocabulary of {V}")
    if max_new_tokens < 1:
        raise ValueError(f"max_new_tokens must be at least 1, got {max_new_tokens}")
    longest = max(map(len, prompts))
    if longest + max_new_tokens > room:
        raise ValueError(f"a prompt of {longest} tokens and {max_new_tokens} new ones do not fit a context of {room}")
    if not temperature >= 0:
        raise ValueError(f"temperature must be 0 (greedy) or more, got {temperature}")
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, got {top_p}")
