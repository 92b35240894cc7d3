"""Intake: the rows of both splits, read once into containers on disk and into the columns that checks see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith.artifacts import Row, SourceSummary, SplitSummary
from tunesmith.audit.columns import Columns
from tunesmith.audit.divide import divide
from tunesmith.audit.pace import counted
from tunesmith.context import Context
from tunesmith.data.lineage.tombstones import Tombstones
from tunesmith.data.misfits import Misfits
from tunesmith.data.rows import RowEncoder, RowWriter, batches, canonical, uncollected
from tunesmith.data.sources import stream_sources
from tunesmith.recipe import DataSettings, SourceSettings


@dataclass(frozen=True)
class Taken:
    """One split as it was read: its container on disk, how many rows, and the files."""

    container: Path
    rows: int
    files: tuple[SourceSummary, ...]


@dataclass(frozen=True)
class AllTaken:
    """Both splits, their rows in columns, and how they were divided when `data.split` asked for it."""

    columns: Columns
    train: Taken
    test: Taken
    split: SplitSummary | None = None

    @property
    def files(self) -> tuple[SourceSummary, ...]:
        return (*self.train.files, *self.test.files)


@dataclass(frozen=True)
class Intake:
    """What cannot be used goes to `misfits`; rows that were erased are passed over."""

    folder: Path
    context: Context
    misfits: Misfits | None
    erased: Tombstones

    def take(self, sources: DataSettings) -> AllTaken:
        """Training and held-out rows, from files of their own or divided as `data.split` asks."""
        columns = Columns()
        train = self._read("train", sources.train, columns)
        if sources.split is None or not columns.rows:
            return AllTaken(columns, train, self._read("test", sources.test, columns))
        columns, kept, held_out, summary = divide(
            columns, train.container, sources.split, into=self.folder, context=self.context
        )
        rows = summary.rows - summary.held_out
        return AllTaken(columns, Taken(kept, rows, train.files), Taken(held_out, summary.held_out, ()), summary)

    def _read(self, split: str, sources: Sequence[SourceSettings], columns: Columns) -> Taken:
        files: tuple[SourceSummary, ...] = ()

        def rows() -> Iterator[Row]:
            nonlocal files
            files = yield from stream_sources(sources, split=split, context=self.context, misfits=self.misfits)

        container, encode = self.folder / f"{split}.parquet", RowEncoder()
        with RowWriter(container) as writer, uncollected():
            for found in counted(batches(rows()), self.context, label=f"read {split}"):
                batch, examples = self.erased.without(found, [canonical(row.example) for row in found])
                writer.write(encode.table(batch, examples))
                columns.add(batch, split, examples=examples)
        return Taken(container, writer.rows, files)
