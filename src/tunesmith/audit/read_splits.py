"""Read the rows of both splits once, into containers on disk and into the columns that checks see."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunesmith.artifacts import SourceSummary, SplitSummary, digest_of
from tunesmith.audit.apply_split import apply_split
from tunesmith.audit.corpus_builder import CorpusBuilder
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
    """One split as read: its container on disk, its number of rows, its files, and (file, note of its reader) pairs."""

    container: Path
    rows: int
    files: tuple[SourceSummary, ...]
    notes: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class AllRows:
    """Both splits, their rows in columns, and the summary of the split if `data.split` is set."""

    builder: CorpusBuilder
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
    """Reads both splits. Invalid rows go to `invalid_rows`, broken files to `file_errors`; erased rows are skipped."""

    folder: Path
    context: Context
    invalid_rows: InvalidRows | None
    erased: Tombstones
    file_errors: FileErrors = field(default_factory=FileErrors)

    def read(self, sources: DataSettings) -> AllRows:
        """Training and held-out rows, from separate files or split as `data.split` asks.

        Raises DataError after reading everything, naming every broken file and the invalid rows found.
        """
        builder = CorpusBuilder()
        train = self._read_split("train", sources.train, builder)
        if sources.split is None or not builder.row_count or self.file_errors:
            test = self._read_split("test", sources.test, builder)
            self.file_errors.raise_any(self.invalid_rows)
            return AllRows(builder, train, test)
        builder, train_container, test_container, summary = apply_split(
            builder, train.container, sources.split, into=self.folder, context=self.context
        )
        train = SplitRows(train_container, summary.rows - summary.held_out, train.files, train.notes)
        return AllRows(builder, train, SplitRows(test_container, summary.held_out, ()), summary)

    def _read_split(self, split: str, sources: Sequence[SourceSettings], builder: CorpusBuilder) -> SplitRows:
        files: tuple[SourceSummary, ...] = ()
        progress = ReadProgress()
        log = ReadLog(self.invalid_rows, self.file_errors, progress)

        def rows() -> Iterator[StreamedRow]:
            nonlocal files
            files = yield from stream_sources(sources, split=split, context=self.context, log=log)

        container, encoder, reported = self.folder / f"{split}.parquet", RowEncoder(), len(self.file_errors)
        with RowWriter(container) as writer, without_garbage_collection():
            for batch in track_batches(
                batch_rows(rows()), self.context, label=f"read {split}", share=progress.fraction
            ):
                progress.rows += len(batch)
                if self.file_errors:
                    reported = self._report_first_error(reported)
                    continue
                remaining = self._without_erased(batch)
                if remaining:
                    writer.write(encoder.table(remaining, [row.example for row in remaining]))
                    builder.add(remaining, split)
        return SplitRows(container, writer.rows, files, progress.notes())

    def _report_first_error(self, reported: int) -> int:
        """Report the first broken file at once, since reading the rest may take long. Returns the number of errors."""
        if not reported:
            first = self.file_errors.errors[0]
            self.context.progress.say(
                f"{first.where}: {first.what}; the remaining files are only checked for further errors"
            )
        return len(self.file_errors)

    def _without_erased(self, rows: list[StreamedRow]) -> list[StreamedRow]:
        """The rows that were not erased; erased ones are recorded without their content."""
        if not self.erased.marks:
            return rows
        remaining = []
        for row in rows:
            digest, subject = digest_of(row.example.encode()), row.rights.subject
            reason = self.erased.match_reason(digest, row.file, line=row.line, subject=subject)
            if reason is None:
                remaining.append(row)
            else:
                self.erased.matches.append((row.file, row.line, reason))
        return remaining
