"""Greedy decoding in batches: a row that has ended makes room for the next prompt, or leaves the batch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from tunesmith.models.backends.engine import DecodingBatch, Engine, PrefillQueue, TokenIds

MIN_ACTIVE_SHARE = 0.75
"""Rows are dropped once fewer than this share is still being written: dropping copies the cache."""

MIN_FREE_SHARE = 0.125
"""Prompts that wait are read once this share of the rows has ended: a few at a time cost more than they win."""


@dataclass(frozen=True)
class GenerationLimits:
    """Where a completion ends: before an id of `stops`, at `new` tokens, at the end of the context."""

    stops: frozenset[int]
    new: int
    context: int


def generate(
    engine: Engine,
    prompts: Sequence[TokenIds],
    *,
    max_new_tokens: int,
    batch: int,
    stops: frozenset[int],
    report: Callable[[int], None] = lambda rows: None,
) -> list[list[int]]:
    """One completion per prompt, in order: the most likely token each time, up to an id of `stops` (left out),
    `max_new_tokens` or the end of the context. `report` is told how many more rows have ended."""
    found: list[list[int]] = [[] for _ in prompts]
    if max_new_tokens < 1:
        return found
    limits = GenerationLimits(stops, max_new_tokens, engine.context)
    reading = engine.reading(prompts, room=max_new_tokens)
    batch = min(batch, reading.fitting())
    while reading.waiting:
        _decode_batch(reading, reading.take(batch), found, limits=limits, report=report)
    return found


def _decode_batch(
    reading: PrefillQueue,
    rows: DecodingBatch,
    found: list[list[int]],
    *,
    limits: GenerationLimits,
    report: Callable[[int], None],
) -> None:
    """Write rows to their ends. Prompts that wait take the places of rows that have ended."""
    engine, alive = reading.engine, set(rows.indices)
    while alive:
        tokens = engine.logits(rows.hidden).argmax(dim=-1)
        ended = _append_tokens(rows, tokens, alive, found, limits=limits)
        report(len(ended))
        alive -= ended
        if not alive:
            return
        if not reading.waiting and len(alive) < MIN_ACTIVE_SHARE * len(rows.indices):
            tokens = _drop_finished(rows, tokens, alive)
        rows.hidden = engine.step(tokens, rows.lengths, rows.seen)
        # A row that has ended but is still carried along must not run out of its slots; no other row reaches this bound.
        rows.lengths = (rows.lengths + 1).clamp(max=rows.seen.capacity - 1)
        free = [place for place, index in enumerate(rows.indices) if index not in alive]
        if reading.waiting and len(free) >= MIN_FREE_SHARE * len(rows.indices):
            fresh = reading.take(len(free))
            _fill_free_rows(rows, free, fresh)
            alive.update(fresh.indices)


def _append_tokens(
    rows: DecodingBatch, tokens: torch.Tensor, alive: set[int], found: list[list[int]], *, limits: GenerationLimits
) -> set[int]:
    """Keep the new token of every row that goes on; the rows that end with it."""
    ended = set()
    for index, token, length in zip(rows.indices, tokens.tolist(), rows.lengths.tolist(), strict=True):
        if index not in alive:
            continue
        if token not in limits.stops:
            found[index].append(token)
        if token in limits.stops or len(found[index]) == limits.new or length + 1 >= limits.context:
            ended.add(index)
    return ended


def _drop_finished(rows: DecodingBatch, tokens: torch.Tensor, alive: set[int]) -> torch.Tensor:
    """Let the rows go that have ended; the tokens [n] of the others."""
    places = [place for place, index in enumerate(rows.indices) if index in alive]
    kept = torch.tensor(places, device=tokens.device)
    rows.seen.keep(kept)
    rows.indices, rows.lengths = [rows.indices[place] for place in places], rows.lengths[kept]
    return tokens[kept]


def _fill_free_rows(rows: DecodingBatch, free: Sequence[int], fresh: DecodingBatch) -> None:
    """Put prompts that have just been read into free places, as many as there are."""
    taken = free[: len(fresh.indices)]
    places = torch.tensor(taken, device=rows.lengths.device)
    rows.seen.replace(places, fresh.seen)
    rows.lengths[places], rows.hidden[places] = fresh.lengths, fresh.hidden
    for place, index in zip(taken, fresh.indices, strict=True):
        rows.indices[place] = index
