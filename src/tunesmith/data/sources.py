"""Sources: the data files that a recipe names, read as rows with row id, place and rights."""

import hmac
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from tunesmith.artifacts import Row, SourceSummary
from tunesmith.context import Context
from tunesmith.data.containers import FileProgress, ReadProgress, scan_records
from tunesmith.data.croissant import expand_source
from tunesmith.data.examples import ExampleReader
from tunesmith.data.files import DataFile, find_files
from tunesmith.data.format import InvalidRow
from tunesmith.data.invalid_rows import FileErrors, InvalidRows, invalid_row_error
from tunesmith.data.read_row import RowReader, StreamedRow, to_rows
from tunesmith.data.rights_counts import RightsCounts, source_summary
from tunesmith.data.row_rights import RowRightsReader
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.errors import DataError, Misuse
from tunesmith.recipe import DataSettings, SourceSettings

FETCHED_FOLDER: Final = "fetched"
"""Folder of the store where remote files are kept."""


@dataclass(frozen=True)
class ReadLog:
    """What reading reports beside the rows: invalid rows, unreadable files, progress.

    With `invalid_rows=None`, the first invalid row of a file makes the whole file an error.
    """

    invalid_rows: InvalidRows | None = None
    file_errors: FileErrors = field(default_factory=FileErrors)
    progress: ReadProgress = field(default_factory=ReadProgress)


def read_sources(
    specs: Sequence[SourceSettings], *, split: str, context: Context
) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of all sources, in memory; see `stream_sources`. Raises DataError when a file or a row cannot be read."""
    log = ReadLog()
    stream = stream_sources(specs, split=split, context=context, log=log)
    rows: list[StreamedRow] = []
    while True:
        try:
            rows.append(next(stream))
        except StopIteration as end:
            log.file_errors.raise_any()
            return list(to_rows(rows)), end.value


def read_source(spec: SourceSettings, *, split: str, context: Context) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of one source, in memory."""
    return read_sources([spec], split=split, context=context)


def stream_sources(
    specs: Sequence[SourceSettings], *, split: str, context: Context, log: ReadLog
) -> Generator[StreamedRow, None, tuple[SourceSummary, ...]]:
    """Yield the rows of all sources in order: the files of a glob by name, `limit` counted over all files of a source.

    Returns a summary of each file. A file that cannot be read is added to `log.file_errors`, and reading continues with the
    next file; rows before the error were already yielded. A second file with the same bytes is an error too, because its rows
    would have the same ids.
    """
    listed = [_source_files(spec, split, context, log.file_errors) for spec in specs]
    progress = log.progress
    progress.files += [file.progress for files in listed for file in files]
    progress.limit = specs[0].limit if len(specs) == 1 else None
    progress.total_unknown = len(specs) > 1 and any(spec.limit is not None for spec in specs)
    salts = context.store.ledger.salt(split), context.store.ledger.salt(SUBJECT_SALT)
    reader = _SplitReader(split, *salts, log)
    for files in listed:
        records = 0
        for file in files:
            with log.file_errors.collect():
                records += yield from reader.read_file(file, records)
            file.progress.fraction = 1.0
    return tuple(reader.summaries)


class _SourceFile:
    """A file to read: its settings, the rights on which its Croissant file contradicts the recipe, and its progress."""

    def __init__(self, spec: SourceSettings, contradicts: dict[str, str], data: DataFile) -> None:
        self.spec, self.contradicts, self.data = spec, contradicts, data
        self.progress = FileProgress(data.name, _file_size(data.path))


def _file_size(path: Path) -> int:
    """Size in bytes; 0 for a missing file, which is reported when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _source_files(spec: SourceSettings, split: str, context: Context, errors: FileErrors) -> list[_SourceFile]:
    """The files of a source; after an error, those that were listed before it."""
    files: list[_SourceFile] = []
    with errors.collect():
        files.extend(_SourceFile(*expanded) for expanded in _expanded_files(spec, split, context))
    return files


def _expanded_files(
    spec: SourceSettings, split: str, context: Context
) -> Iterator[tuple[SourceSettings, dict[str, str], DataFile]]:
    """(settings, contradicted rights, file) of each file of a source."""
    for expanded, contradicts in expand_source(spec, split=split, roots=_search_roots(context)):
        for file in _resolve_files(expanded.path, expanded, context):
            yield expanded, contradicts, file


@dataclass(frozen=True)
class _SplitReader:
    """Reads the files of a split one after the other; `names` has the names of the files read, by digest."""

    split: str
    row_salt: bytes
    subject_salt: bytes
    log: ReadLog
    names: dict[str, str] = field(default_factory=dict)
    summaries: list[SourceSummary] = field(default_factory=list)

    def read_file(self, file: _SourceFile, records_before: int) -> Generator[StreamedRow, None, int]:
        """Yield the rows of a file; `records_before` were read from its source already. Returns the number of records read."""
        spec, data = file.spec, file.data
        remaining = None if spec.limit is None else spec.limit - records_before
        if remaining is not None and remaining <= 0:
            return 0
        if data.digest in self.names:
            raise DataError(
                f"the same bytes as {self.names[data.digest]}", where=data.name, hint="list each file once in `data:`"
            )
        self.names[data.digest] = data.name
        counts = RightsCounts()
        records, format_id = yield from self._read_records(file, counts, remaining=remaining)
        measured = {"path": data.name, "format": format_id, "sha256": data.digest, "split": self.split}
        self.summaries.append(source_summary(spec, counts, at=data.path, contradicts=file.contradicts, **measured))
        return records

    def _read_records(
        self, file: _SourceFile, counts: RightsCounts, *, remaining: int | None
    ) -> Generator[StreamedRow, None, tuple[int, str]]:
        """Yield the rows and count their rights; returns (number of records read, id of the format)."""
        spec, data = file.spec, file.data
        examples = _example_reader(data, spec)
        rights = RowRightsReader(data.name, spec, partial(subject_pseudonym, self.subject_salt))
        rows = RowReader(data.name, examples, rights, columns=spec.columns)
        row_id_of, invalid_rows = _row_id_function(self.row_salt, data.digest), self.log.invalid_rows
        records, first_invalid, any_valid = 0, None, False
        stop = None if remaining is None else spec.skip + remaining * spec.every
        scanned = enumerate(scan_records(data.path, data.name, file.progress), 1)
        for number, item in islice(scanned, spec.skip, stop, spec.every):
            records += 1
            row = item if isinstance(item, InvalidRow) else rows.read(row_id_of(number), *item)
            if isinstance(row, StreamedRow):
                any_valid = True
                counts.add(row.rights)
                yield row
            elif invalid_rows is None:
                raise invalid_row_error(data.name, row)
            else:
                first_invalid = first_invalid or row
                invalid_rows.add(data.name, row, self.split)
        if first_invalid is not None and invalid_rows is not None and not any_valid and (spec.columns or spec.subject):
            # The recipe names columns and no row has them: the recipe is wrong, not the rows.
            invalid_rows.discard_file(data.name)
            raise invalid_row_error(data.name, first_invalid)
        return records, examples.format_id


def row_id(salt: bytes, source: str, number: int) -> str:
    """16 hex digits of HMAC-SHA256 (the data set's salt; digest of the source file, number of the record from 1)."""
    return hmac.digest(salt, f"{source}:{number}".encode(), "sha256").hex()[:16]


def _row_id_function(salt: bytes, source: str) -> Callable[[int], str]:
    """`row_id` for the records of one file; the HMAC state after the prefix that all records share is computed once."""
    prefix = hmac.new(salt, f"{source}:".encode(), "sha256")

    def row_id_of(number: int) -> str:
        code = prefix.copy()
        code.update(b"%d" % number)
        return code.hexdigest()[:16]

    return row_id_of


def fingerprint(data: DataSettings, context: Context) -> dict[str, str]:
    """{split/name: digest} of every data file; part of a run's content key.

    Raises DataError that lists every file that is missing or cannot be read.
    """
    digests: dict[str, str] = {}
    errors = FileErrors()
    for split, spec in (*(("train", spec) for spec in data.train), *(("test", spec) for spec in data.test)):
        files: list[DataFile] = []
        with errors.collect():
            files += _resolve_files(spec.croissant, spec, context) if spec.croissant else []
            files += [file for _, _, file in _expanded_files(spec, split, context)]
        for file in files:
            with errors.collect():
                digests[f"{split}/{file.name}"] = file.digest
    errors.raise_any()
    return digests


def _search_roots(context: Context) -> tuple[Path, Path]:
    """Folders that a relative path is looked up in: the data root first, then the recipe's folder."""
    return context.data_root, context.home


def _resolve_files(path: str, spec: SourceSettings, context: Context) -> list[DataFile]:
    """The files of a path; a URL is fetched when the source allows the network."""
    cache = context.store.folder / FETCHED_FOLDER
    return find_files(path, roots=_search_roots(context), cache=cache, network=spec.network)


def _example_reader(file: DataFile, spec: SourceSettings) -> ExampleReader:
    try:
        return ExampleReader(spec.format, spec.columns)
    except Misuse as error:
        raise DataError(error.what, where=file.name, hint=error.hint) from error
