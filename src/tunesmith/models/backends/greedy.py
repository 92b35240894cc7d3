"""Greedy decoding in batches: a row that has ended leaves the batch."""

from collections.abc import Callable, Sequence

from tunesmith import process
from tunesmith.models.backends.engine import Batch, Engine, Ids

process.prepare()

import torch  # noqa: E402

FULL_ENOUGH = 0.75
"""Rows are dropped once fewer than this share is still being written: dropping copies the cache."""


def generate(
    engine: Engine,
    prompts: Sequence[Ids],
    *,
    max_new_tokens: int,
    batch: int,
    stops: frozenset[int],
    report: Callable[[int], None] = lambda rows: None,
) -> list[list[int]]:
    """One completion per prompt, in order: the most likely token each time, up to an id of `stops` (left out),
    `max_new_tokens` or the end of the context. `report` is called with the number of finished rows of each batch."""
    found: list[list[int]] = [[] for _ in prompts]
    if max_new_tokens < 1:
        return found
    for part in engine.read(prompts, batch=batch, room=max_new_tokens):
        _finish(engine, part, found, max_new_tokens=max_new_tokens, stops=stops)
        report(len(part.indices))
    return found


def _finish(engine: Engine, part: Batch, found: list[list[int]], *, max_new_tokens: int, stops: frozenset[int]) -> None:
    alive = dict.fromkeys(part.indices)
    indices, lengths, hidden, context = part.indices, part.lengths, part.hidden, engine.context
    for count in range(max_new_tokens):
        tokens = engine.logits(hidden).argmax(dim=-1)
        for index, token, length in zip(indices, tokens.tolist(), lengths.tolist(), strict=True):
            if index not in alive:
                continue
            if token not in stops:
                found[index].append(token)
            if token in stops or length + 1 >= context:
                del alive[index]
        if not alive or count + 1 == max_new_tokens:
            return
        if len(alive) < FULL_ENOUGH * len(indices):
            kept = [row for row, index in enumerate(indices) if index in alive]
            rows = torch.tensor(kept, device=tokens.device)
            part.seen.keep(rows)
            indices, lengths, tokens = [indices[row] for row in kept], lengths[rows], tokens[rows]
        hidden = engine.step(tokens, lengths, part.seen)
        # A row that has ended but is still carried along must not run out of its slots; no other row reaches this bound.
        lengths = (lengths + 1).clamp(max=part.seen.capacity - 1)
