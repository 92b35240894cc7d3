"""Intake: the rows of both splits, read once into containers on disk and into the columns that checks see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.artifacts import SourceSummary, SplitSummary, digest_of
from tunesmith.audit.apply_split import apply_split
from tunesmith.audit.columns import CorpusBuilder
from tunesmith.audit.throughput import track_batches
from tunesmith.context import Context
from tunesmith.data.containers import ReadProgress
from tunesmith.data.invalid_rows import FileErrors, InvalidRows
from tunesmith.data.read_row import StreamedRow
from tunesmith.data.rows import RowEncoder, RowWriter, batch_rows, without_garbage_collection
from tunesmith.data.sources import ReadLog, stream_sources
from tunesmith.lineage.tombstones import Tombstones
from tunesmith.recipe import DataSettings, SourceSettings


@dataclass(frozen=True)
class SplitRows:
    """One split as it was read: its container on disk, how many rows, the files, and (file, what its reader says of it)."""

    container: Path
    rows: int
    files: tuple[SourceSummary, ...]
    notes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class AllRows:
    """Both splits, their rows in columns, and how they were divided when `data.split` asked for it."""

    columns: CorpusBuilder
    train: SplitRows
    test: SplitRows
    split: SplitSummary | None = None

    @property
    def files(self) -> tuple[SourceSummary, ...]:
        return (*self.train.files, *self.test.files)

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        return (*self.train.notes, *self.test.notes)


@dataclass(frozen=True)
class SplitReader:
    """What cannot be used goes to `misfits` and `faults`; rows that were erased are passed over."""

    folder: Path
    context: Context
    misfits: InvalidRows | None
    erased: Tombstones
    faults: FileErrors = field(default_factory=FileErrors)

    def take(self, sources: DataSettings) -> AllRows:
        """Training and held-out rows, from files of their own or divided as `data.split` asks.

        Raises DataError, when all is read, that names every file at fault and the rows that were found not to fit.
        """
        columns = CorpusBuilder()
        train = self._read("train", sources.train, columns)
        if sources.split is None or not columns.rows or self.faults:
            test = self._read("test", sources.test, columns)
            self.faults.raise_any(self.misfits)
            return AllRows(columns, train, test)
        columns, kept, held_out, summary = apply_split(
            columns, train.container, sources.split, into=self.folder, context=self.context
        )
        rows = summary.rows - summary.held_out
        train = SplitRows(kept, rows, train.files, train.notes)
        return AllRows(columns, train, SplitRows(held_out, summary.held_out, ()), summary)

    def _read(self, split: str, sources: Sequence[SourceSettings], columns: CorpusBuilder) -> SplitRows:
        files: tuple[SourceSummary, ...] = ()
        progress = ReadProgress()
        log = ReadLog(self.misfits, self.faults, progress)

        def rows() -> Iterator[StreamedRow]:
            nonlocal files
            files = yield from stream_sources(sources, split=split, context=self.context, log=log)

        container, encode, told = self.folder / f"{split}.parquet", RowEncoder(), len(self.faults)
        with RowWriter(container) as writer, without_garbage_collection():
            for found in track_batches(
                batch_rows(rows()), self.context, label=f"read {split}", share=progress.fraction
            ):
                progress.rows += len(found)
                if self.faults:
                    told = self._tell_first(told)
                    continue
                batch = self._without_erased(found)
                if batch:
                    writer.write(encode.table(batch, [row.example for row in batch]))
                    columns.add(batch, split)
        return SplitRows(container, writer.rows, files, progress.notes())

    def _tell_first(self, told: int) -> int:
        """Say at once that the audit will not be, for to find what else is wrong may take long; returns how many are told."""
        if not told:
            first = self.faults.errors[0]
            self.context.progress.say(f"{first.where}: {first.what}; the rest is read for its faults alone")
        return len(self.faults)

    def _without_erased(self, rows: list[StreamedRow]) -> list[StreamedRow]:
        """The rows less those that were erased; these are noted, without their content."""
        if not self.erased.marks:
            return rows
        kept = []
        for row in rows:
            digest, subject = digest_of(row.example.encode()), row.rights.subject
            why = self.erased.why(digest, row.file, line=row.line, subject=subject)
            if why is None:
                kept.append(row)
            else:
                self.erased.met.append((row.file, row.line, why))
        return kept
