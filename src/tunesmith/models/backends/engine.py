"""Cached forwards of a decoder, and batched prefill of prompts on top of their shared prefix.

Dimensions: B rows, Q grid columns, T flat tokens, D hidden size, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import attention
from tunesmith.models.backends.fused import FusedTrunk
from tunesmith.models.backends.kv_cache import ForwardLayout, KVCache, chunk_layout, next_token_layout
from tunesmith.models.loading import context_length
from tunesmith.models.packed import head_logits, unwrap_peft

TokenIds = Sequence[int]

MIN_SHARED_PREFIX_TOKENS = 8
"""A shorter shared prefix is computed per row: copying its keys and values costs more than it saves."""

MAX_TOKENS_PER_FORWARD = 4096
"""Prompt tokens of one prefill forward. Bounds memory; changes no value beyond rounding."""

MAX_PREFILL_CHUNK_TOKENS = 512
"""Tokens of one prompt per prefill forward. Bounds the mask to 512 x the prompt's length."""


MAX_CACHE_BYTES = 2**30
"""Batches are made smaller so that their keys and values fit. Changes no value beyond rounding."""


@dataclass
class DecodingBatch:
    """Prompts in the cache, ready for decoding. `indices` are their positions in the caller's list, `lengths` [B] their tokens
    so far, `hidden` [B, D] the last hidden state of each row, from which its next token is predicted."""

    indices: list[int]
    lengths: torch.Tensor
    cache: KVCache
    hidden: torch.Tensor


@dataclass(frozen=True)
class Engine:
    """Runs a causal LM of transformers (or PEFT's wrapper) on our own KV cache, without gradients and dropout. `fused` is its
    trunk with fused linear layers, if there is one."""

    model: Any
    fused: FusedTrunk | None = None

    @property
    def context(self) -> int:
        """Positions for prompt and completion together."""
        return context_length(self.model)

    def forward(self, ids: torch.Tensor, layout: ForwardLayout, cache: KVCache) -> torch.Tensor:
        """Last hidden states [T, D] of those tokens of `ids` [B, Q] that are present in the layout, row by row."""
        causal = unwrap_peft(self.model)
        if causal.base_model is causal:
            raise Misuse("its trunk cannot be called without its head")
        cache.set_layout(layout)
        flat, positions = (grid[cache.rows, cache.columns] for grid in (ids, layout.positions))
        with torch.no_grad():
            if self.fused is not None:
                return self.fused.hidden(flat, positions, cache)
            if causal.config._attn_implementation != attention.CACHED_ATTENTION:
                causal.set_attn_implementation(attention.CACHED_ATTENTION)
            trunk = causal.base_model
            output = trunk(input_ids=flat[None], position_ids=positions[None], kv_cache=cache, use_cache=False)
        return output.last_hidden_state[0]  # type: ignore[no-any-return]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [N, V] of hidden states [N, D] as the model's own head gives them, in fp32 or better."""
        with torch.no_grad():
            return head_logits(unwrap_peft(self.model), hidden)

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: KVCache) -> torch.Tensor:
        """Append one token [B] to rows of `lengths` [B] tokens; hidden states [B, D] of the appended tokens."""
        return self.forward(tokens[:, None], next_token_layout(lengths), cache)

    def prefill_queue(self, prompts: Sequence[TokenIds], *, new_tokens: int) -> "PrefillQueue":
        """Prompts waiting for prefill, each with slots for at least `new_tokens` more tokens, as far as the context allows.

        Raises DataError for an empty prompt and for one that leaves no position for an answer.
        """
        self._check_lengths(prompts)
        shared = _shared_prefix_length(prompts)
        prefix = KVCache(shared)
        if shared:
            self.append([prompts[0][:shared]], prefix, start=0)
        waiting = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
        return PrefillQueue(self, prompts, prefix, new_tokens, waiting)

    def prefill(self, prompts: Sequence[TokenIds], *, batch: int, new_tokens: int) -> Iterator[DecodingBatch]:
        """Prompts in batches of similar length, longest first. Raises the errors of `prefill_queue`."""
        queue = self.prefill_queue(prompts, new_tokens=new_tokens)
        batch = min(batch, queue.max_rows())
        while queue.waiting:
            yield queue.take(batch)

    def append(self, rows: Sequence[TokenIds], cache: KVCache, *, start: int) -> torch.Tensor:
        """Append the next tokens, at least one per row, to rows that all hold `start` tokens.

        Returns the hidden state [B, D] of the last token of each row.
        """
        device = unwrap_peft(self.model).device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)  # (B, width)
        chunk = min(MAX_PREFILL_CHUNK_TOKENS, max(1, MAX_TOKENS_PER_FORWARD // len(rows)))
        hidden = torch.zeros(0)
        for first in range(0, width, chunk):
            layout = chunk_layout(start + first, (lengths - first).clamp(min=0, max=chunk))
            states = self.forward(ids[:, first : first + chunk], layout, cache)
            hidden = states.new_empty((len(rows), states.shape[1])) if first == 0 else hidden
            # Rows end in different chunks: keep the state of each row whose last token is in this one.
            last = cache.columns == lengths[cache.rows] - first - 1
            hidden[cache.rows[last]] = states[last]
        return hidden

    def _check_lengths(self, prompts: Sequence[TokenIds]) -> None:
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
    """Prompts that wait for prefill, longest first, and the KV cache of the prefix that they share."""

    engine: Engine
    prompts: Sequence[TokenIds]
    prefix: KVCache
    new_tokens: int
    waiting: list[int]

    def take(self, count: int) -> DecodingBatch:
        """Prefill the next prompts, at most `count`. No later prompt is longer or needs more slots."""
        chosen, self.waiting = self.waiting[:count], self.waiting[count:]
        rows = [self.prompts[index] for index in chosen]
        shared = self.prefix.capacity
        cache = self.prefix.expand(len(rows), min(len(rows[0]) + self.new_tokens, self.engine.context))
        hidden = self.engine.append([row[shared:] for row in rows], cache, start=shared)
        lengths = torch.tensor([len(row) for row in rows], device=hidden.device)
        return DecodingBatch(chosen, lengths, cache, hidden)

    def max_rows(self) -> int:
        """Rows whose keys and values take at most `MAX_CACHE_BYTES` together, at least one."""
        if not self.waiting:
            return 1
        shared = self.prefix.capacity if self.prefix.is_single_copy else 0
        slots = min(len(self.prompts[self.waiting[0]]) + self.new_tokens, self.engine.context) - shared
        return max(1, MAX_CACHE_BYTES // (slots * _cache_bytes_per_token(unwrap_peft(self.engine.model))))


def _cache_bytes_per_token(causal: Any) -> int:
    """Bytes of the keys and values of one token in all layers."""
    config = causal.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * causal.dtype.itemsize)


def _shared_prefix_length(prompts: Sequence[TokenIds]) -> int:
    """Tokens of the prefix that all prompts share. Every prompt keeps at least one token of its own."""
    if len(prompts) < 2:
        return 0
    # The first and the last prompt in lexicographic order differ at the earliest position where any two do.
    low, high = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(map(len, prompts)) - 1
    shared = next((position for position in range(limit) if low[position] != high[position]), limit)
    return shared if shared >= MIN_SHARED_PREFIX_TOKENS else 0
