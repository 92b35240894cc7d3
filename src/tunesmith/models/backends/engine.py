"""One forward with a cache, and prompts read in batches on top of what all of them begin with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunesmith import process
from tunesmith.errors import DataError
from tunesmith.models.backends import keyvalues
from tunesmith.models.backends.keyvalues import KeyValues
from tunesmith.models.loading import context_length
from tunesmith.models.packed.forward import unwrapped

process.prepare()

import torch  # noqa: E402

Ids = Sequence[int]

WORTH_SHARING = 8
"""A shorter common beginning is computed per row: copying its keys and values costs more than it saves."""

PREFIX_CHUNK = 512
"""Tokens of a long shared beginning per forward; bounds the mask to 512 x its length."""


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
    """A causal LM of transformers (or PEFT's wrapper) run by our own cache. No gradient, no dropout."""

    model: Any

    @property
    def context(self) -> int:
        """Positions, prompt and completion together."""
        return context_length(self.model)

    def forward(self, ids: torch.Tensor, positions: torch.Tensor, seen: KeyValues) -> torch.Tensor:
        """Last hidden states [B, Q, D] of tokens and positions [B, Q]; `seen` was aimed for them."""
        causal = unwrapped(self.model)
        if causal.config._attn_implementation != keyvalues.NAME:
            causal.set_attn_implementation(keyvalues.NAME)
        with torch.no_grad():
            output = causal.base_model(input_ids=ids, position_ids=positions, seen=seen, use_cache=False)
        return output.last_hidden_state  # type: ignore[no-any-return]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[..., V] in fp32."""
        with torch.no_grad():
            return unwrapped(self.model).get_output_embeddings()(hidden).float()  # type: ignore[no-any-return]

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, seen: KeyValues) -> torch.Tensor:
        """Append one token [B] to rows of `lengths` [B] tokens; hidden states [B, D] for the token after it."""
        used = int(lengths.max()) + 1
        visible = torch.arange(used, device=lengths.device) <= lengths[:, None]
        seen.aim(lengths[:, None], visible[:, None])
        return self.forward(tokens[:, None], lengths[:, None], seen)[:, 0]

    def read(self, prompts: Sequence[Ids], *, batch: int, room: int) -> Iterator[Batch]:
        """Prompts in batches of similar length, longest first, each with `room` more slots than its longest prompt.

        Raises DataError for an empty prompt and for one that leaves no position for an answer.
        """
        self._check(prompts)
        shared = _common_beginning(prompts)
        prefix = self._prefix(prompts[0][:shared]) if shared else None
        order = sorted(range(len(prompts)), key=lambda index: (-len(prompts[index]), index))
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            yield self._batch(chosen, [prompts[index] for index in chosen], prefix, shared=shared, room=room)

    def _check(self, prompts: Sequence[Ids]) -> None:
        for index, prompt in enumerate(prompts):
            if not prompt:
                raise DataError(f"prompt {index} is empty")
            if len(prompt) >= self.context:
                raise DataError(
                    f"prompt {index} has {len(prompt)} tokens; the context holds {self.context}, answer included",
                    hint="shorten the prompt",
                )

    def _prefix(self, ids: Ids) -> KeyValues:
        seen = KeyValues(len(ids))
        for start in range(0, len(ids), PREFIX_CHUNK):
            self._append([ids[start : start + PREFIX_CHUNK]], seen, start=start)
        return seen

    def _batch(
        self, indices: list[int], prompts: list[Ids], prefix: KeyValues | None, *, shared: int, room: int
    ) -> Batch:
        longest = max(map(len, prompts))
        capacity = min(longest + room, self.context)
        seen = KeyValues(capacity) if prefix is None else prefix.expanded(len(prompts), capacity)
        states = self._append([prompt[shared:] for prompt in prompts], seen, start=shared)
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=states.device)
        rows = torch.arange(len(prompts), device=states.device)
        return Batch(indices, lengths, seen, states[rows, lengths - shared - 1])

    def _append(self, rows: Sequence[Ids], seen: KeyValues, *, start: int) -> torch.Tensor:
        """Hidden states [B, Q, D] of token lists that all begin at position `start`.

        Short rows are filled up on the right: what follows a token never changes it, and the first new token of a row
        overwrites the filling.
        """
        device = unwrapped(self.model).device
        width = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=device)
        positions = torch.arange(start, start + width, device=device).expand(len(rows), width)
        visible = torch.arange(start + width, device=device) <= positions[0][:, None]
        seen.aim(positions, visible[None])
        return self.forward(ids, positions, seen)


def _common_beginning(prompts: Sequence[Ids]) -> int:
    """Length of what all prompts begin with; every prompt keeps at least one token of its own."""
    if len(prompts) < 2:
        return 0
    low, high = min(map(tuple, prompts)), max(map(tuple, prompts))
    limit = min(map(len, prompts)) - 1
    shared = next((place for place in range(limit) if low[place] != high[place]), limit)
    return shared if shared >= WORTH_SHARING else 0
