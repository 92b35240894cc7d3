"""One forward with a cache, and prompts read in batches on top of what all of them begin with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith import process
from tunesmith.errors import DataError, Misuse
from tunesmith.models.backends import attention
from tunesmith.models.backends.fused import FusedTrunk
from tunesmith.models.backends.keyvalues import Aim, KeyValues, aim_at_end, aim_at_stretch
from tunesmith.models.loading import context_length
from tunesmith.models.packed.forward import unwrapped
from tunesmith.models.packed.head import head_logits

process.prepare()

import torch  # noqa: E402

Ids = Sequence[int]

WORTH_SHARING = 8
"""A shorter common beginning is computed per row: copying its keys and values costs more than it saves."""

PER_FORWARD = 4096
"""Tokens of a batch of prompts that are read together; bounds the memory of one forward, changes no value beyond rounding."""

LONGEST_STRETCH = 512
"""Tokens of one prompt per forward; bounds the mask to 512 x the prompt's length."""


CACHE_BYTES = 2**30
"""A batch is made smaller where its keys and values would take more; changes no value beyond rounding."""


@dataclass
class Batch:
    """Prompts that have been read: `indices` are their places in the caller's list, `lengths` [B] their tokens,
    `hidden` [B, D] the last hidden state of each, from which its first new token is predicted."""

    indices: list[int]
    lengths: torch.Tensor
    seen: KeyValues
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

    def forward(self, ids: torch.Tensor, aim: Aim, seen: KeyValues) -> torch.Tensor:
        """Last hidden states [T, D] of the tokens of `ids` [B, Q] that are present in `aim`, row by row."""
        causal = unwrapped(self.model)
        if causal.base_model is causal:
            raise Misuse("its trunk cannot be reached apart from its head")
        seen.aim(aim)
        flat, positions = (grid[seen.rows, seen.columns] for grid in (ids, aim.positions))
        with torch.no_grad():
            if self.fused is not None:
                return self.fused.hidden(flat, positions, seen)
            if causal.config._attn_implementation != attention.NAME:
                causal.set_attn_implementation(attention.NAME)
            output = causal.base_model(input_ids=flat[None], position_ids=positions[None], seen=seen, use_cache=False)
        return output.last_hidden_state[0]  # type: ignore[no-any-return]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[N, D] to [N, V] as the model itself gives them, fp32 or better."""
        with torch.no_grad():
            return head_logits(unwrapped(self.model), hidden)

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, seen: KeyValues) -> torch.Tensor:
        """Append one token [B] to rows of `lengths` [B] tokens; hidden states [B, D] for the token after it."""
        return self.forward(tokens[:, None], aim_at_end(lengths), seen)

    def reading(self, prompts: Sequence[Ids], *, room: int) -> "Reading":
        """Prompts to read, each with at least `room` more slots, as far as the context has them.

        Raises DataError for an empty prompt and for one that leaves no position for an answer.
        """
        self._check(prompts)
        shared = _common_beginning(prompts)
        prefix = KeyValues(shared)
        if shared:
            self.append([prompts[0][:shared]], prefix, start=0)
        waiting = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
        return Reading(self, prompts, prefix, room, waiting)

    def read(self, prompts: Sequence[Ids], *, batch: int, room: int) -> Iterator[Batch]:
        """Prompts in batches of similar length, longest first. Raises what `reading` does."""
        reading = self.reading(prompts, room=room)
        batch = min(batch, reading.fitting())
        while reading.waiting:
            yield reading.take(batch)

    def append(self, rows: Sequence[Ids], seen: KeyValues, *, start: int) -> torch.Tensor:
        """Read the next tokens, at least one, of rows that all hold `start`; the hidden state [B, D] of each row's last."""
        device = unwrapped(self.model).device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
        stretch = min(LONGEST_STRETCH, max(1, PER_FORWARD // len(rows)))
        hidden = torch.zeros(0)
        for first in range(0, width, stretch):
            aim = aim_at_stretch(start + first, (lengths - first).clamp(min=0, max=stretch))
            states = self.forward(ids[:, first : first + stretch], aim, seen)
            hidden = states.new_empty((len(rows), states.shape[1])) if first == 0 else hidden
            last = seen.columns == lengths[seen.rows] - first - 1
            hidden[seen.rows[last]] = states[last]
        return hidden

    def _check(self, prompts: Sequence[Ids]) -> None:
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
class Reading:
    """Prompts that wait to be read, longest first, on top of `prefix`, which all of them begin with."""

    engine: Engine
    prompts: Sequence[Ids]
    prefix: KeyValues
    room: int
    waiting: list[int]

    def take(self, count: int) -> Batch:
        """Read the next prompts, at most `count`. No later one is longer, nor needs more slots."""
        chosen, self.waiting = self.waiting[:count], self.waiting[count:]
        rows = [self.prompts[index] for index in chosen]
        shared = self.prefix.capacity
        seen = self.prefix.expanded(len(rows), min(len(rows[0]) + self.room, self.engine.context))
        hidden = self.engine.append([row[shared:] for row in rows], seen, start=shared)
        lengths = torch.tensor([len(row) for row in rows], device=hidden.device)
        return Batch(chosen, lengths, seen, hidden)

    def fitting(self) -> int:
        """Rows whose keys and values take at most `CACHE_BYTES` together, at least one."""
        if not self.waiting:
            return 1
        held = self.prefix.capacity if self.prefix.is_stem else 0
        slots = min(len(self.prompts[self.waiting[0]]) + self.room, self.engine.context) - held
        return max(1, CACHE_BYTES // (slots * _bytes_of_slot(unwrapped(self.engine.model))))


def _bytes_of_slot(causal: Any) -> int:
    """What the keys and values of one token take in all layers."""
    config = causal.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * causal.dtype.itemsize)


def _common_beginning(prompts: Sequence[Ids]) -> int:
    """Length of what all prompts begin with; every prompt keeps at least one token of its own."""
    if len(prompts) < 2:
        return 0
    low, high = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(map(len, prompts)) - 1
    shared = next((place for place in range(limit) if low[place] != high[place]), limit)
    return shared if shared >= WORTH_SHARING else 0
