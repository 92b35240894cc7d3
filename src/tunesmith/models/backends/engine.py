"""One forward with a cache, and prompts read in batches on top of what all of them begin with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import attention
from tunesmith.models.backends.fused import FusedTrunk
from tunesmith.models.backends.kv_cache import ForwardLayout, KVCache, chunk_layout, next_token_layout
from tunesmith.models.loading import context_length
from tunesmith.models.packed.forward import unwrap_peft
from tunesmith.models.packed.logits import head_logits

TokenIds = Sequence[int]

MIN_SHARED_PREFIX_TOKENS = 8
"""A shorter common beginning is computed per row: copying its keys and values costs more than it saves."""

MAX_TOKENS_PER_FORWARD = 4096
"""Tokens of a batch of prompts that are read together; bounds the memory of one forward, changes no value beyond rounding."""

MAX_PREFILL_CHUNK_TOKENS = 512
"""Tokens of one prompt per forward; bounds the mask to 512 x the prompt's length."""


MAX_CACHE_BYTES = 2**30
"""A batch is made smaller where its keys and values would take more; changes no value beyond rounding."""


@dataclass
class DecodingBatch:
    """Prompts that have been read: `indices` are their places in the caller's list, `lengths` [B] their tokens,
    `hidden` [B, D] the last hidden state of each, from which its first new token is predicted."""

    indices: list[int]
    lengths: torch.Tensor
    seen: KVCache
    hidden: torch.Tensor


@dataclass(frozen=True)
class Engine:
    """A causal LM of transformers (or PEFT's wrapper) run by our own cache. No gradient, no dropout. `fused` is its trunk with
    joined products, where there is one."""

    model: Any
    fused: FusedTrunk | None = None

    @property
    def context(self) -> int:
        """Positions, prompt and completion together."""
        return context_length(self.model)

    def forward(self, ids: torch.Tensor, aim: ForwardLayout, seen: KVCache) -> torch.Tensor:
        """Last hidden states [T, D] of the tokens of `ids` [B, Q] that are present in `aim`, row by row."""
        causal = unwrap_peft(self.model)
        if causal.base_model is causal:
            raise Misuse("its trunk cannot be reached apart from its head")
        seen.aim(aim)
        flat, positions = (grid[seen.rows, seen.columns] for grid in (ids, aim.positions))
        with torch.no_grad():
            if self.fused is not None:
                return self.fused.hidden(flat, positions, seen)
            if causal.config._attn_implementation != attention.CACHED_ATTENTION:
                causal.set_attn_implementation(attention.CACHED_ATTENTION)
            output = causal.base_model(input_ids=flat[None], position_ids=positions[None], seen=seen, use_cache=False)
        return output.last_hidden_state[0]  # type: ignore[no-any-return]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[N, D] to [N, V] as the model itself gives them, fp32 or better."""
        with torch.no_grad():
            return head_logits(unwrap_peft(self.model), hidden)

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, seen: KVCache) -> torch.Tensor:
        """Append one token [B] to rows of `lengths` [B] tokens; hidden states [B, D] for the token after it."""
        return self.forward(tokens[:, None], next_token_layout(lengths), seen)

    def reading(self, prompts: Sequence[TokenIds], *, room: int) -> "PrefillQueue":
        """Prompts to read, each with at least `room` more slots, as far as the context has them.

        Raises DataError for an empty prompt and for one that leaves no position for an answer.
        """
        self._check(prompts)
        shared = _shared_prefix_length(prompts)
        prefix = KVCache(shared)
        if shared:
            self.append([prompts[0][:shared]], prefix, start=0)
        waiting = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
        return PrefillQueue(self, prompts, prefix, room, waiting)

    def read(self, prompts: Sequence[TokenIds], *, batch: int, room: int) -> Iterator[DecodingBatch]:
        """Prompts in batches of similar length, longest first. Raises what `reading` does."""
        reading = self.reading(prompts, room=room)
        batch = min(batch, reading.fitting())
        while reading.waiting:
            yield reading.take(batch)

    def append(self, rows: Sequence[TokenIds], seen: KVCache, *, start: int) -> torch.Tensor:
        """Read the next tokens, at least one, of rows that all hold `start`; the hidden state [B, D] of each row's last."""
        device = unwrap_peft(self.model).device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
        stretch = min(MAX_PREFILL_CHUNK_TOKENS, max(1, MAX_TOKENS_PER_FORWARD // len(rows)))
        hidden = torch.zeros(0)
        for first in range(0, width, stretch):
            aim = chunk_layout(start + first, (lengths - first).clamp(min=0, max=stretch))
            states = self.forward(ids[:, first : first + stretch], aim, seen)
            hidden = states.new_empty((len(rows), states.shape[1])) if first == 0 else hidden
            last = seen.columns == lengths[seen.rows] - first - 1
            hidden[seen.rows[last]] = states[last]
        return hidden

    def _check(self, prompts: Sequence[TokenIds]) -> None:
        context = self.context
        for index, prompt in enumerate(prompts):
            if not prompt:
                raise DataError(f"prompt {index} is empty")
            if len(prompt) >= context:
                raise DataError(
                    f"prompt {index} has {len(prompt)} tokens; the context holds {context}, answer included",
                    hint="shorten the prompt",
                )


@dataclass
class PrefillQueue:
    """Prompts that wait to be read, longest first, on top of `prefix`, which all of them begin with."""

    engine: Engine
    prompts: Sequence[TokenIds]
    prefix: KVCache
    room: int
    waiting: list[int]

    def take(self, count: int) -> DecodingBatch:
        """Read the next prompts, at most `count`. No later one is longer, nor needs more slots."""
        chosen, self.waiting = self.waiting[:count], self.waiting[count:]
        rows = [self.prompts[index] for index in chosen]
        shared = self.prefix.capacity
        seen = self.prefix.expanded(len(rows), min(len(rows[0]) + self.room, self.engine.context))
        hidden = self.engine.append([row[shared:] for row in rows], seen, start=shared)
        lengths = torch.tensor([len(row) for row in rows], device=hidden.device)
        return DecodingBatch(chosen, lengths, seen, hidden)

    def fitting(self) -> int:
        """Rows whose keys and values take at most `CACHE_BYTES` together, at least one."""
        if not self.waiting:
            return 1
        held = self.prefix.capacity if self.prefix.is_stem else 0
        slots = min(len(self.prompts[self.waiting[0]]) + self.room, self.engine.context) - held
        return max(1, MAX_CACHE_BYTES // (slots * _cache_bytes_per_token(unwrap_peft(self.engine.model))))


def _cache_bytes_per_token(causal: Any) -> int:
    """What the keys and values of one token take in all layers."""
    config = causal.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * causal.dtype.itemsize)


def _shared_prefix_length(prompts: Sequence[TokenIds]) -> int:
    """Length of what all prompts begin with; every prompt keeps at least one token of its own."""
    if len(prompts) < 2:
        return 0
    low, high = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(map(len, prompts)) - 1
    shared = next((place for place in range(limit) if low[place] != high[place]), limit)
    return shared if shared >= MIN_SHARED_PREFIX_TOKENS else 0
