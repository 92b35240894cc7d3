"""Split encoded rows into micro-batches and compute their loss: the interface, and the packed one of decoders."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import torch

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import PackedBatch, count_distinct_tokens, pack_rows, split_micro_batches, summed_loss


class EncodedRow(Protocol):
    """A row as tokens, or one window of it: the unit of a step, and of the consumption record."""

    @property
    def row_id(self) -> str: ...

    @property
    def ids(self) -> tuple[int, ...]:
        """All tokens that the model reads, including the target's."""
        ...

    @property
    def sides(self) -> tuple[int, ...]:
        """Lengths of the parts of `ids`, in order, that must each fit the context."""
        ...

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Half-open ranges of tokens that are predicted or tagged; none if the prediction is for the whole row."""
        ...

    @property
    def first_token(self) -> int:
        """Where the window begins in the tokens of its row."""
        ...

    @property
    def supervised(self) -> int:
        """Number of trained predictions."""
        ...

    @property
    def weight(self) -> float:
        """Its share of the number that a step's loss is divided by."""
        ...


def tokens_beyond_window(row: EncodedRow, window: int) -> tuple[int, int]:
    """(tokens beyond the window, trained tokens among them), each part of the row having a window of its own."""
    lost, trained, first = 0, 0, 0
    for size in row.sides:
        start, stop = first + window, first + size
        lost += max(0, stop - start)
        trained += sum(max(0, min(end, stop) - max(begin, start)) for begin, end in row.spans)
        first += size
    return lost, trained


class Batching(Protocol):
    """Splitting a step into micro-batches changes its loss and gradients only by the rounding of sums."""

    def split(self, rows: Sequence[Any], tokens_per_pass: int, *, share: bool = False) -> Iterable[Sequence[Any]]:
        """Groups of at most `tokens_per_pass` computed tokens; a longer single row is a group of its own."""
        ...

    def pack(self, rows: Sequence[Any], device: torch.device, *, share: bool = False, whole: bool = False) -> Any:
        """The tensors of one forward pass; their `tokens` is the number of computed tokens."""
        ...

    def loss(self, model: Any, batch: Any, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """The summed loss of a micro-batch. Divided by the summed `weight` of a step's rows it is the step's mean loss."""
        ...

    def computed(self, rows: Sequence[Any], *, share: bool) -> int:
        """Tokens that go through the model for these rows in one micro-batch, padding included."""
        ...


class PackedBatching:
    """Rows of a decoder in one flat sequence, shared prefixes once; see `models.packed`."""

    def split(
        self, rows: Sequence[EncodedSequence], tokens_per_pass: int, *, share: bool = False
    ) -> Iterable[Sequence[EncodedSequence]]:
        return split_micro_batches(rows, tokens_per_pass, share=share)

    def pack(
        self, rows: Sequence[EncodedSequence], device: torch.device, *, share: bool = False, whole: bool = False
    ) -> PackedBatch:
        return pack_rows(rows, device, share=share, whole=whole)

    def loss(self, model: Any, batch: PackedBatch, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """Weighted sum of cross-entropy (nats) over the trained tokens."""
        return summed_loss(model, batch, label_smoothing=label_smoothing)

    def computed(self, rows: Sequence[EncodedSequence], *, share: bool) -> int:
        return count_distinct_tokens(rows) if share else sum(len(row.ids) for row in rows)


PACKED_BATCHING: Final = PackedBatching()
