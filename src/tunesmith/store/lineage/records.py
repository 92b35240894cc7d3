"""Records that lineage writes and returns. Rows are columns of numbers: a million rows take about 40 MB."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy
import numpy.typing as npt

Ids = npt.NDArray[numpy.uint64]
Marks = npt.NDArray[numpy.bytes_]
Counts = npt.NDArray[numpy.uint32]
NO_MARK: Final = b""
SOURCE: Final = "source"
GENERATOR: Final = "generator"


@dataclass(frozen=True)
class DatasetRows:
    """The rows of a data set as columns, all of shape (rows,). `positions` ascend from 0 and have gaps where rows were erased.

    `files`, `sources` and `generators` index into `names` of that key; index 0 means none. `subjects` holds the 16-byte
    pseudonym of a person, empty where there is none.
    """

    positions: Counts
    ids: Ids
    files: Counts
    lines: Counts
    sources: Counts
    generators: Counts
    subjects: Marks
    names: Mapping[str, tuple[str, ...]]

    def where(self, keep: npt.NDArray[numpy.bool_]) -> "DatasetRows":
        """The rows where the mask is True."""
        return DatasetRows(
            positions=self.positions[keep],
            ids=self.ids[keep],
            files=self.files[keep],
            lines=self.lines[keep],
            sources=self.sources[keep],
            generators=self.generators[keep],
            subjects=self.subjects[keep],
            names=self.names,
        )

    def origins(self, chosen: npt.NDArray[numpy.bool_] | None = None) -> dict[tuple[str, str], int]:
        """How many rows come from each (kind, name), where kind is source or generator; of all rows, or of those in the mask."""
        rows: dict[tuple[str, str], int] = {}
        for kind, numbers in ((SOURCE, self.sources), (GENERATOR, self.generators)):
            counts = numpy.bincount(numbers if chosen is None else numbers[chosen], minlength=1)
            for number in numpy.flatnonzero(counts[1:]).tolist():
                rows[kind, self.names[kind][number + 1]] = int(counts[number + 1])
        return rows


@dataclass(frozen=True)
class ConsumedRows:
    """What a training consumed: one entry per token span of a row, by the row's position. All columns have shape (spans,).

    `first` is the span's first token in the row, `tokens` its length. It was consumed `times` times, from step `first_step` to
    `last_step`.
    """

    positions: Counts
    first: Counts
    tokens: Counts
    supervised: Counts
    times: Counts
    first_step: Counts
    last_step: Counts


@dataclass(frozen=True)
class Training:
    """A training to be recorded: the report's own digest, the run, the model and its base.

    `how` relates the model to its base: `base` (trained from its weights) or `adapter` (an adapter on the base). `seconds` as
    measured, or None.
    """

    report_digest: str
    run_id: str
    model: str
    base: str
    how: str
    steps: int
    tokens: int
    seconds: float | None


@dataclass(frozen=True)
class RecordedDataset:
    """A data set in the ledger. `erased_by` is the id of the erasure that deleted its object."""

    number: int
    container: str
    name: str
    rows: int
    rows_digest: str
    erased_by: str | None


@dataclass(frozen=True)
class RecordedRow:
    """A row in the ledger: its data set and position there, its id (16 hex digits), its file and line."""

    dataset: int
    position: int
    row_id: str
    file: str
    line: int


@dataclass(frozen=True)
class RecordedTraining:
    """A training in the ledger. `recorded`: whether it has a consumption record."""

    number: int
    report_digest: str
    run_id: str
    recipe: str | None
    started: str | None
    dataset: int
    model: str
    recorded: bool
    steps: int
    tokens: int
    seconds: float | None
