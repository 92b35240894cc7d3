"""Passes: how encoded rows become forwards, and what loss a forward has. `Packed` is that of a decoder."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

import torch

from tunesmith.chat.encode import EncodedSequence
from tunesmith.models.packed import PackedBatch, count_distinct_tokens, pack_rows, split_micro_batches, summed_loss


class EncodedRow(Protocol):
    """A row as tokens, or one window of it: what the optimiser sees at once, and what the consumption record names."""

    @property
    def row_id(self) -> str: ...

    @property
    def ids(self) -> tuple[int, ...]:
        """Every token that the model reads, the target's too."""
        ...

    @property
    def sides(self) -> tuple[int, ...]:
        """The lengths of its parts that must fit the context, each by itself; they make up `ids`, in order."""
        ...

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """Half-open runs of its tokens that are predicted or tagged; none where the prediction is of the whole."""
        ...

    @property
    def first_token(self) -> int:
        """Where the piece begins in the row's own tokens."""
        ...

    @property
    def supervised(self) -> int:
        """How many predictions are trained."""
        ...

    @property
    def weight(self) -> float:
        """What the piece adds to the number that a step's loss is divided by."""
        ...


def tokens_beyond_window(piece: EncodedRow, window: int) -> tuple[int, int]:
    """How many tokens of a piece lie behind the window of their side, and how many of these are trained."""
    lost, trained, first = 0, 0, 0
    for size in piece.sides:
        start, stop = first + window, first + size
        lost += max(0, stop - start)
        trained += sum(max(0, min(end, stop) - max(begin, start)) for begin, end in piece.spans)
        first += size
    return lost, trained


class Batching(Protocol):
    """The split of a step into passes changes neither its loss nor any gradient, but for the rounding of sums."""

    def split(self, rows: Sequence[Any], tokens_per_pass: int, *, share: bool = False) -> Iterable[Sequence[Any]]:
        """Groups with at most `tokens_per_pass` tokens to compute; a longer single row is a group of its own."""
        ...

    def pack(self, rows: Sequence[Any], device: torch.device, *, share: bool = False, whole: bool = False) -> Any:
        """The tensors of one forward; their `tokens` is how many tokens are computed."""
        ...

    def loss(self, model: Any, batch: Any, *, label_smoothing: float = 0.0) -> torch.Tensor:
        """The loss of a pass as a sum; over the summed weights of a step's pieces it is the mean loss of the step."""
        ...

    def computed(self, rows: Sequence[Any], *, share: bool) -> int:
        """Tokens of a pass over these rows that go through the model, padding included."""
        ...


class PackedBatching:
    """Rows of a decoder end to end in one sequence, what they share at most once; see `models.packed`."""

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
