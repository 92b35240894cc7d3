"""Sources: files of the recipe as rows, each with its identity, place and rights."""

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

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

FETCHED_FOLDER = "fetched"
"""Folder of the store where remote files are kept."""


@dataclass(frozen=True)
class ReadLog:
    """What reading gathers beside the rows: rows and files that cannot be used, and how far it has come.

    Without `misfits` the first row of a file that cannot be used is a fault of the file.
    """

    misfits: InvalidRows | None = None
    faults: FileErrors = field(default_factory=FileErrors)
    course: ReadProgress = field(default_factory=ReadProgress)


def read_sources(
    specs: Sequence[SourceSettings], *, split: str, context: Context
) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of all sources, in memory; see `stream_sources`. Raises DataError when one of the files cannot be used."""
    gathered = ReadLog()
    stream = stream_sources(specs, split=split, context=context, gathered=gathered)
    found: list[StreamedRow] = []
    while True:
        try:
            found.append(next(stream))
        except StopIteration as end:
            gathered.faults.refuse()
            return list(to_rows(found)), end.value


def read_source(spec: SourceSettings, *, split: str, context: Context) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of one source, in memory."""
    return read_sources([spec], split=split, context=context)


def stream_sources(
    specs: Sequence[SourceSettings], *, split: str, context: Context, gathered: ReadLog
) -> Generator[StreamedRow, None, tuple[SourceSummary, ...]]:
    """Rows of all sources in order; the files of a glob in name order, `limit` over all of them.

    Returns a summary for each file. A file that cannot be used is one of the faults, also when it has the same bytes as
    another, because their rows would have the same ids: its rows up to there came out, and those of other files still come.
    """
    listed = [_source_files(spec, split, context, gathered.faults) for spec in specs]
    course = gathered.course
    course.gauges += [one.gauge for files in listed for one in files]
    course.limit = specs[0].limit if len(specs) == 1 else None
    course.partly = len(specs) > 1 and any(spec.limit is not None for spec in specs)
    reading = _SplitReader(split, context.store.ledger.salt(split), context.store.ledger.salt(SUBJECT_SALT), gathered)
    for files in listed:
        total = 0
        for one in files:
            with gathered.faults.taken():
                total += yield from reading.rows(one, total)
            one.gauge.share = 1.0
    return tuple(reading.summaries)


class _SourceFile:
    """A file that is to be read, the settings for it, what its Croissant file says otherwise, and its gauge."""

    def __init__(self, spec: SourceSettings, contradicts: dict[str, str], data: DataFile) -> None:
        self.spec, self.contradicts, self.data = spec, contradicts, data
        self.gauge = FileProgress(data.name, _file_size(data.path))


def _file_size(path: Path) -> int:
    """Bytes of a file; 0 where there is none, which is said when it is read."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _source_files(spec: SourceSettings, split: str, context: Context, faults: FileErrors) -> list[_SourceFile]:
    """The files of a source; those before a fault, when there is one."""
    found: list[_SourceFile] = []
    with faults.taken():
        found.extend(_SourceFile(*one) for one in _expanded_files(spec, split, context))
    return found


def _expanded_files(
    spec: SourceSettings, split: str, context: Context
) -> Iterator[tuple[SourceSettings, dict[str, str], DataFile]]:
    """Each file of a source with its settings, and what its Croissant file says otherwise."""
    for one, contradicts in expand_source(spec, split=split, roots=_search_roots(context)):
        for file in _resolve_files(one.path, one, context):
            yield one, contradicts, file


@dataclass(frozen=True)
class _FileIdentity:
    """A data file: where it lies, what messages call it, its digest, the salts of its data set and of persons."""

    path: Path
    name: str
    digest: str
    salt: bytes
    subjects: bytes


@dataclass(frozen=True)
class _SplitReader:
    """The files of a split as they are read one after the other; `seen` has their names by digest."""

    split: str
    salt: bytes
    subjects: bytes
    gathered: ReadLog
    seen: dict[str, str] = field(default_factory=dict)
    summaries: list[SourceSummary] = field(default_factory=list)

    def rows(self, listed: _SourceFile, before: int) -> Generator[StreamedRow, None, int]:
        """The rows of a file; `before` records of its source were read before it. Returns how many were read of it."""
        spec, data = listed.spec, listed.data
        room = None if spec.limit is None else spec.limit - before
        if room is not None and room <= 0:
            return 0
        file = _FileIdentity(data.path, data.name, digest=data.digest, salt=self.salt, subjects=self.subjects)
        if file.digest in self.seen:
            raise DataError(f"the same bytes as {self.seen[file.digest]}", where=file.name, hint="name each file once")
        self.seen[file.digest] = file.name
        stated = RightsCounts()
        read, form = yield from self._each(file, spec, stated, gauge=listed.gauge, room=room)
        known = {"path": file.name, "format": form, "sha256": file.digest, "split": self.split}
        self.summaries.append(source_summary(spec, stated, at=file.path, contradicts=listed.contradicts, **known))
        return read

    def _each(
        self, file: _FileIdentity, spec: SourceSettings, stated: RightsCounts, *, gauge: FileProgress, room: int | None
    ) -> Generator[StreamedRow, None, tuple[int, str]]:
        """The rows, their rights counted in `stated`; returns how many records were read and the id of the format."""
        reader = _example_reader(file, spec)
        rights = RowRightsReader(file.name, spec, partial(subject_pseudonym, file.subjects))
        records = RowReader(reader, rights, spec.columns)
        identity, misfits = _row_id_function(file.salt, file.digest), self.gathered.misfits
        read, first, fitted = 0, None, False
        stop = None if room is None else spec.skip + room * spec.every
        for number, item in islice(
            enumerate(scan_records(file.path, file.name, gauge), 1), spec.skip, stop, spec.every
        ):
            read += 1
            line, found = (item.line, item) if isinstance(item, InvalidRow) else (item[0], records.read(*item))
            if not isinstance(found, InvalidRow):
                content, held = found
                fitted = True
                stated.add(held)
                yield StreamedRow(identity(number), file.name, line, *content, held)
            elif misfits is None:
                raise invalid_row_error(file.name, found)
            else:
                first = first or found
                misfits.add(file.name, found, self.split)
        if first is not None and misfits is not None and not fitted and (spec.columns or spec.subject):
            # Columns are named and not one row has them: the recipe is wrong, not the rows.
            misfits.forget(file.name)
            raise invalid_row_error(file.name, first)
        return read, reader.format_id


def row_id(salt: bytes, source: str, number: int) -> str:
    """16 hex digits of HMAC-SHA256 (the data set's salt; digest of the source file, number of the record from 1)."""
    return hmac.digest(salt, f"{source}:{number}".encode(), "sha256").hex()[:16]


def _row_id_function(salt: bytes, source: str) -> Callable[[int], str]:
    """`row_id` for the records of one file; the parts of the HMAC (RFC 2104) that are the same for all are done once."""
    key = (hashlib.sha256(salt).digest() if len(salt) > 64 else salt).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + f"{source}:".encode())
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in key))

    def identity(number: int) -> str:
        within, around = inner.copy(), outer.copy()
        within.update(b"%d" % number)
        around.update(within.digest())
        return around.hexdigest()[:16]

    return identity


def fingerprint(data: DataSettings, context: Context) -> dict[str, str]:
    """Digest of every data file by split and name: what a run's content key knows the data by.

    Raises DataError that names every file which is missing or cannot be read.
    """
    found: dict[str, str] = {}
    faults = FileErrors()
    for split, spec in (*(("train", spec) for spec in data.train), *(("test", spec) for spec in data.test)):
        files: list[DataFile] = []
        with faults.taken():
            files += _resolve_files(spec.croissant, spec, context) if spec.croissant else []
            files += [file for _, _, file in _expanded_files(spec, split, context)]
        for file in files:
            with faults.taken():
                found[f"{split}/{file.name}"] = file.digest
    faults.refuse()
    return found


def _search_roots(context: Context) -> tuple[Path, Path]:
    """Where a path is looked for: below the data root, else beside the recipe."""
    return context.data_root, context.home


def _resolve_files(path: str, spec: SourceSettings, context: Context) -> list[DataFile]:
    """The files of a path, fetched when it is a URL and the source allows it."""
    network = spec.network
    return find_files(path, roots=_search_roots(context), cache=context.store.folder / FETCHED_FOLDER, network=network)


def _example_reader(file: _FileIdentity, spec: SourceSettings) -> ExampleReader:
    try:
        return ExampleReader(spec.format, spec.columns)
    except Misuse as error:
        raise DataError(error.what, where=file.name, hint=error.hint) from error
