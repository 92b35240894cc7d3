"""Sources: files of the recipe as rows, each with its identity, place and rights."""

import hashlib
import hmac
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import get_args

from tunesmith.artifacts import Example, Rights, Row, SourceClass, SourceSummary
from tunesmith.artifacts.unchecked import row_of
from tunesmith.context import Context
from tunesmith.data.containers import Item, scan
from tunesmith.data.croissant import described
from tunesmith.data.examples import ExampleReader
from tunesmith.data.files import DataFile, find
from tunesmith.data.format import Misfit, Record, missing_column
from tunesmith.data.misfits import Misfits, refuse
from tunesmith.data.stated import Stated, summary
from tunesmith.errors import DataError, Misuse
from tunesmith.recipe import DataSettings, SourceSettings

DATES = ("collected", "expires")
RIGHTS = (
    *("source", "license", "origin", "author", "basis", "purpose"),
    *("collected", "expires", "source_class", "generator", "language"),
)
KNOWN = 100_000
"""Distinct rights of one file that are remembered, so that equal ones are one value."""
SUBJECTS = "subject"
"""Name of the salt under which persons are known; deleting it makes their marks meaningless."""
FETCHED = "fetched"
"""Folder of the store where remote files are kept."""


def read_sources(
    specs: Iterable[SourceSettings], *, split: str, context: Context
) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of all sources, in memory; see `stream_sources`."""
    return _gathered(stream_sources(specs, split=split, context=context))


def read_source(spec: SourceSettings, *, split: str, context: Context) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    """All rows of one source, in memory; see `stream_source`."""
    return _gathered(stream_source(spec, split=split, context=context))


def _gathered(rows: Generator[Row, None, tuple[SourceSummary, ...]]) -> tuple[list[Row], tuple[SourceSummary, ...]]:
    found: list[Row] = []
    while True:
        try:
            found.append(next(rows))
        except StopIteration as end:
            return found, end.value


def stream_sources(
    specs: Iterable[SourceSettings], *, split: str, context: Context, misfits: Misfits | None = None
) -> Generator[Row, None, tuple[SourceSummary, ...]]:
    """Rows of all sources in order, one after the other; returns a summary for each file.

    Raises DataError also when two files have the same bytes, because their rows would have the same ids.
    """
    summaries: list[SourceSummary] = []
    for spec in specs:
        summaries += yield from stream_source(spec, split=split, context=context, misfits=misfits)
        _refuse_twins(summaries)
    return tuple(summaries)


def stream_source(
    spec: SourceSettings, *, split: str, context: Context, misfits: Misfits | None = None
) -> Generator[Row, None, tuple[SourceSummary, ...]]:
    """Rows of one source; the files of a glob in name order, `limit` over all of them. Returns a summary for each file.

    A row that cannot be used is added to `misfits`, and without them raises DataError. Raises DataError with file, line and
    hint when a file cannot be used.
    """
    salt, subjects = context.store.ledger.salt(split), context.store.ledger.salt(SUBJECTS)
    total = 0
    summaries: list[SourceSummary] = []
    for one, contradicts, data in _each_file(spec, split, context):
        room = None if one.limit is None else one.limit - total
        if room is not None and room <= 0:
            break
        file = _File(data.path, data.name, digest=data.digest, salt=salt, subjects=subjects)
        gathered = None if misfits is None else _Gathered(misfits, split)
        stated = Stated()
        read, form = yield from _rows(file, one, stated, room=room, gathered=gathered)
        total += read
        known = {"path": data.name, "format": form, "sha256": file.digest, "split": split}
        summaries.append(summary(one, stated, at=data.path, contradicts=contradicts, **known))
    _refuse_twins(summaries)
    return tuple(summaries)


def _each_file(
    spec: SourceSettings, split: str, context: Context
) -> Iterator[tuple[SourceSettings, dict[str, str], DataFile]]:
    """Each file of a source with its settings, and what its Croissant file says otherwise."""
    for one, contradicts in described(spec, split=split, roots=_roots(context)):
        for file in _files(one.path, one, context):
            yield one, contradicts, file


@dataclass(frozen=True)
class _File:
    """A data file: where it lies, what messages call it, its digest, the salts of its data set and of persons."""

    path: Path
    name: str
    digest: str
    salt: bytes
    subjects: bytes


@dataclass(frozen=True)
class _Gathered:
    """Where the rows of a split that cannot be used are taken down."""

    misfits: Misfits
    split: str


def row_id(salt: bytes, source: str, number: int) -> str:
    """16 hex digits of HMAC-SHA256 (the data set's salt; digest of the source file, number of the record from 1)."""
    return hmac.digest(salt, f"{source}:{number}".encode(), "sha256").hex()[:16]


def _identities(salt: bytes, source: str) -> Callable[[int], str]:
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
    """Digest of every data file by split and name: what a run's content key knows the data by."""
    found: dict[str, str] = {}
    for split, specs in (("train", data.train), ("test", data.test)):
        for spec in specs:
            described_in = _files(spec.croissant, spec, context) if spec.croissant else []
            files = (file for _, _, file in _each_file(spec, split, context))
            found.update({f"{split}/{file.name}": file.digest for file in (*described_in, *files)})
    return found


def _roots(context: Context) -> tuple[Path, Path]:
    """Where a path is looked for: below the data root, else beside the recipe."""
    return context.data_root, context.home


def _files(path: str, spec: SourceSettings, context: Context) -> list[DataFile]:
    """The files of a path, fetched when it is a URL and the source allows it."""
    network = spec.network
    return find(path, roots=_roots(context), cache=context.store.folder / FETCHED, network=network)


def _rows(
    file: _File, spec: SourceSettings, stated: Stated, *, room: int | None, gathered: _Gathered | None
) -> Generator[Row, None, tuple[int, str]]:
    """The rows of one file, their rights counted in `stated`; returns how many records were read and the id of the format."""
    reader, rights = _reader(file, spec), _RowRights(file, spec)
    identity = _identities(file.salt, file.digest)
    read, first, fitted = 0, None, False
    stop = None if room is None else spec.skip + room * spec.every
    for number, item in islice(enumerate(scan(file.path, file.name), 1), spec.skip, stop, spec.every):
        read += 1
        found = _row(item, reader, rights)
        if not isinstance(found, Misfit):
            line, example, held = found
            fitted = True
            stated.add(held)
            yield row_of(identity(number), file.name, line, example=example, rights=held)
        elif gathered is None:
            raise refuse(file.name, found)
        else:
            first = first or found
            gathered.misfits.add(file.name, found, gathered.split)
    if first is not None and not fitted and (spec.columns or spec.subject):
        # Columns are named and not one row has them: the recipe is wrong, not the rows.
        raise refuse(file.name, first)
    return read, reader.format_id


def _reader(file: _File, spec: SourceSettings) -> ExampleReader:
    try:
        return ExampleReader(spec.format, spec.columns)
    except Misuse as error:
        raise DataError(error.what, where=file.name, hint=error.hint) from error


def _row(item: Item, reader: ExampleReader, rights: "_RowRights") -> tuple[int, Example, Rights] | Misfit:
    """(line, example, rights) of a record, or why there is no row."""
    if isinstance(item, Misfit):
        return item
    line, record = item
    example = reader.read(line, record)
    if isinstance(example, Misfit):
        return example
    try:
        return line, example, rights.of(record, reader.columns_read(record))
    except DataError as error:
        return Misfit(line, error.what, error.hint)


class _RowRights:
    """A row's own values, else those of its source; the source is called by its file name when nobody named it."""

    def __init__(self, file: _File, spec: SourceSettings) -> None:
        self._file = file
        self._spec = spec
        self._known: dict[tuple[str | None, ...], Rights] = {}
        values = {key: getattr(spec, key) for key in RIGHTS}
        values.update({key: values[key].isoformat() for key in DATES if values[key] is not None})
        values["source"] = spec.source or Path(file.name).name
        self._values: dict[str, str | None] = values
        self._own: dict[tuple[str, ...], list[str]] = {}
        self._shared = Rights.model_validate(values)

    def of(self, record: Record, read: frozenset[str]) -> Rights:
        """The rights of a row, of which the columns `read` are the example. Raises DataError on a value that is none."""
        shape = tuple(record)
        own = self._own.get(shape)
        if own is None:
            own = self._own[shape] = [key for key in RIGHTS if key in record and key not in read]
        if not own and self._spec.subject is None:
            return self._shared
        values = {**self._values, "subject": _subject(record, self._spec, self._file)}
        for key in own:
            if (value := _own_value(record[key], key)) is not None:
                values[key] = value
        return self._remembered(values)

    def _remembered(self, values: dict[str, str | None]) -> Rights:
        marks = tuple(values.values())
        known = self._known.get(marks)
        if known is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            known = self._known[marks] = Rights.model_validate(values)
        return known


def _own_value(own: object, key: str) -> str | None:
    if own is None or own == "":
        return None
    if not isinstance(own, str):
        raise DataError(f"the column {key!r} must hold text, found {type(own).__name__}")
    return _date(own, key) if key in DATES else _known_class(own) if key == "source_class" else own


def _date(text: str, key: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise DataError(f"the column {key!r} holds {text[:40]!r}, which is no date", hint="e.g. 2026-03-31") from error


def _known_class(text: str) -> str:
    known = get_args(SourceClass)
    if text not in known:
        raise DataError(f"{text[:40]!r} is no source class", hint=f"known: {', '.join(known)}")
    return text


def subject_mark(salt: bytes, value: str) -> str:
    """32 hex digits of HMAC-SHA256 (the salt of persons; what identifies one, without case and outer spaces)."""
    return hmac.new(salt, value.strip().casefold().encode(), hashlib.sha256).hexdigest()[:32]


def _subject(record: Record, spec: SourceSettings, file: _File) -> str | None:
    if spec.subject is None:
        return None
    if spec.subject not in record:
        raise missing_column(record, spec.subject, "subject")
    value = record[spec.subject]
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(f"the column {spec.subject!r} must hold text, found {type(value).__name__}")
    return subject_mark(file.subjects, str(value))


def _refuse_twins(summaries: Iterable[SourceSummary]) -> None:
    seen: dict[str, str] = {}
    for one in summaries:
        if one.sha256 in seen:
            raise DataError(f"the same bytes as {seen[one.sha256]}", where=one.path, hint="name each file once")
        seen[one.sha256] = one.path
