"""Token-by-token generation of one completion, greedy or sampled, for serving."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tunesmith.models.backends.engine import Engine, TokenIds


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy. Otherwise tokens are drawn from the smallest set whose probability reaches `top_p` (nucleus
    sampling, arXiv 1904.09751), with a generator seeded by `seed`."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


def stream_tokens(
    engine: Engine, prompt: TokenIds, *, max_new_tokens: int, sampling: Sampling, stops: frozenset[int]
) -> Iterator[int]:
    """Yield tokens as they are generated. An id of `stops` is yielded as the last token, so that the caller knows why it
    ended."""
    generator = torch.Generator().manual_seed(sampling.seed)
    (batch,) = engine.prefill([prompt], batch=1, new_tokens=max_new_tokens + 1)
    lengths, hidden = batch.lengths, batch.hidden  # (1,), (1, D)
    for _ in range(min(max_new_tokens, engine.context - len(prompt))):
        token = sample_token(engine.logits(hidden)[0].cpu(), sampling, generator)
        yield token
        if token in stops:
            return
        hidden = engine.step(torch.tensor([token], device=hidden.device), lengths, batch.cache)
        lengths = lengths + 1


def sample_token(logits: torch.Tensor, sampling: Sampling, generator: torch.Generator) -> int:
    """One token id from logits [V]."""
    if sampling.temperature == 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits.double() / sampling.temperature, dim=-1)
    probabilities, order = probabilities.sort(descending=True, stable=True)
    # A token stays if the tokens before it do not reach top_p by themselves.
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities = torch.where(before < sampling.top_p, probabilities, 0.0)
    return int(order[torch.multinomial(probabilities, 1, generator=generator)])
