"""What lineage is told and what it answers. Rows are columns of numbers: a million of them take some 40 MB."""

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
    """The rows of a data set. `positions` (from 0, ascending) stay those of the data set when rows were erased from it.

    `files`, `sources` and `generators` are numbers into `names` of that key, whose number 0 means none. `subjects` holds the
    16 bytes of a person's mark, empty where there is none.
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
        """The rows that a mask keeps."""
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
        """How many rows come from each (kind, name), kind being source or generator."""
        found: dict[tuple[str, str], int] = {}
        for kind, numbers in ((SOURCE, self.sources), (GENERATOR, self.generators)):
            counts = numpy.bincount(numbers if chosen is None else numbers[chosen], minlength=1)
            for number in numpy.flatnonzero(counts[1:]).tolist():
                found[kind, self.names[kind][number + 1]] = int(counts[number + 1])
        return found


@dataclass(frozen=True)
class ConsumedRows:
    """What a training consumed: one line a span of a row, by the row's position.

    `first` is the span's first token in the row, `tokens` its length; `times` in all, from step `begun` to step `ended`.
    """

    positions: Counts
    first: Counts
    tokens: Counts
    supervised: Counts
    times: Counts
    begun: Counts
    ended: Counts


@dataclass(frozen=True)
class Training:
    """A training as it is told: the report's own digest, the run, the model and what it was made from.

    `how` the base stands to the model: `base` (its weights were trained on) or `adapter` (it is worn on the base).
    `seconds` as measured, or None.
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
    """A data set in the ledger. `erased_by` names the erasure that took its object away."""

    number: int
    container: str
    name: str
    rows: int
    rows_digest: str
    erased_by: str | None


@dataclass(frozen=True)
class RecordedRow:
    """A row as lineage knows it: `row_id` as 16 hex digits, its data set and position there, its place."""

    dataset: int
    position: int
    row_id: str
    file: str
    line: int


@dataclass(frozen=True)
class RecordedTraining:
    """A training in the ledger; `recorded` when it has a record of what it consumed."""

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
