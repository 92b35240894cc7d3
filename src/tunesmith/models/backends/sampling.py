"""One answer, token by token, as a server needs it."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tunesmith.models.backends.engine import Engine, TokenIds


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 takes the most likely token; otherwise tokens are drawn from the smallest set whose probability
    reaches `top_p` (nucleus sampling, arXiv 1904.09751), with a generator of `seed`."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def stream_tokens(
    engine: Engine, prompt: TokenIds, *, max_new_tokens: int, sampling: Sampling, stops: frozenset[int]
) -> Iterator[int]:
    """Tokens as they are chosen. An id of `stops` is yielded too and is the last, so the caller knows why it ended."""
    generator = torch.Generator().manual_seed(sampling.seed)
    (start,) = engine.read([prompt], batch=1, room=max_new_tokens + 1)
    lengths, hidden = start.lengths, start.hidden
    for _ in range(min(max_new_tokens, engine.context - len(prompt))):
        token = sample_token(engine.logits(hidden)[0].cpu(), sampling, generator)
        yield token
        if token in stops:
            return
        hidden = engine.step(torch.tensor([token], device=hidden.device), lengths, start.seen)
        lengths = lengths + 1


def sample_token(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token id from logits [V]."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    chances, order = torch.softmax(logits.double() / sampling.temperature, dim=-1).sort(descending=True, stable=True)
    before = chances.cumsum(dim=-1) - chances
    chances = torch.where(before < sampling.top_p, chances, 0.0)
    return int(order[torch.multinomial(chances, 1, generator=generator)])
