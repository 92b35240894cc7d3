"""A pass: rows laid end to end in one flat sequence, with the (position, label) pairs that are trained."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tunesmith import process
from tunesmith.data.chat import Encoded

process.prepare()

import torch  # noqa: E402


@dataclass(frozen=True)
class Pass:
    """Tensors of one forward: `ids` and `positions` [1, T] int64, `lengths` of the rows, `index` and `labels` [S] int64.

    Hidden state `index[k]` predicts token `labels[k]`; S is the number of supervised tokens.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    lengths: tuple[int, ...]
    index: torch.Tensor
    labels: torch.Tensor


def split_passes(rows: Sequence[Encoded], tokens_per_pass: int) -> Iterator[Sequence[Encoded]]:
    """Consecutive rows with at most `tokens_per_pass` tokens together; a longer single row is a pass of its own."""
    start, total = 0, 0
    for position, row in enumerate(rows):
        if position > start and total + len(row.ids) > tokens_per_pass:
            yield rows[start:position]
            start, total = position, 0
        total += len(row.ids)
    if start < len(rows):
        yield rows[start:]


def pack(rows: Iterable[Encoded], device: torch.device) -> Pass:
    """Lay rows end to end. The first token of a row is never a label: nothing precedes it."""
    ids: list[int] = []
    positions: list[int] = []
    lengths: list[int] = []
    index: list[int] = []
    labels: list[int] = []
    for row in rows:
        offset = len(ids)
        for start, end in row.spans:
            first = max(start, 1)
            index.extend(range(offset + first - 1, offset + end - 1))
            labels.extend(row.ids[first:end])
        ids.extend(row.ids)
        positions.extend(range(len(row.ids)))
        lengths.append(len(row.ids))
    return Pass(
        ids=torch.tensor([ids], device=device),
        positions=torch.tensor([positions], device=device),
        lengths=tuple(lengths),
        index=torch.tensor(index, dtype=torch.int64, device=device),
        labels=torch.tensor(labels, dtype=torch.int64, device=device),
    )
