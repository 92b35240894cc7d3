"""Sources: files of the recipe as rows, each with its identity, place and rights."""

import hashlib
import hmac
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from datetime import date
from glob import glob, has_magic
from itertools import islice
from pathlib import Path
from typing import get_args

from tunesmith.artifacts import Rights, Row, SourceClass, SourceSummary
from tunesmith.context import Context
from tunesmith.data.containers import read_records, refuse_missing
from tunesmith.data.format import Format, Record, detect, format_named, missing_column
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
    specs: Iterable[SourceSettings], *, split: str, context: Context
) -> Generator[Row, None, tuple[SourceSummary, ...]]:
    """Rows of all sources in order, one after the other; returns a summary for each file.

    Raises DataError also when two files have the same bytes, because their rows would have the same ids.
    """
    summaries: list[SourceSummary] = []
    for spec in specs:
        summaries += yield from stream_source(spec, split=split, context=context)
        _refuse_twins(summaries)
    return tuple(summaries)


def stream_source(
    spec: SourceSettings, *, split: str, context: Context
) -> Generator[Row, None, tuple[SourceSummary, ...]]:
    """Rows of one source; the files of a glob in name order, `limit` over all of them. Returns a summary for each file.

    Raises DataError with file, line and hint when a file or a row cannot be used.
    """
    salt, subjects = context.store.ledger.salt(split), context.store.ledger.salt(SUBJECTS)
    total = 0
    summaries: list[SourceSummary] = []
    for path, name in _files(spec.path, context):
        room = None if spec.limit is None else spec.limit - total
        if room is not None and room <= 0:
            break
        file = _File(path, name, digest=_digest(path, name), salt=salt, subjects=subjects)
        count, form = yield from _rows(file, spec, room=room)
        total += count
        rights = {key: getattr(spec, key) for key in ("license", "origin", "basis")}
        summaries.append(SourceSummary(path=name, format=form, rows=count, sha256=file.digest, split=split, **rights))
    _refuse_twins(summaries)
    return tuple(summaries)


@dataclass(frozen=True)
class _File:
    """A data file: where it lies, what messages call it, its digest, the salts of its data set and of persons."""

    path: Path
    name: str
    digest: str
    salt: bytes
    subjects: bytes


def row_id(salt: bytes, source: str, number: int) -> str:
    """16 hex digits of HMAC-SHA256 (the data set's salt; digest of the source file, number of the record from 1)."""
    return hmac.digest(salt, f"{source}:{number}".encode(), "sha256").hex()[:16]


def fingerprint(data: DataSettings, context: Context) -> dict[str, str]:
    """Digest of every data file by split and name: what a run's content key knows the data by."""
    splits = (("train", data.train), ("test", data.test))
    return {
        f"{split}/{name}": _digest(path, name)
        for split, specs in splits
        for spec in specs
        for path, name in _files(spec.path, context)
    }


def _files(pattern: str, context: Context) -> list[tuple[Path, str]]:
    """(path, name in messages and reports) of a path or glob: below the data root, or else beside the recipe.

    Names are relative to the root they were found under.
    """
    root = context.data_root
    if not (has_magic(pattern) or (root / pattern).exists()) and (context.home / pattern).exists():
        root = context.home
    if not has_magic(pattern) or (root / pattern).exists():
        return [(root / pattern, _name(root / pattern, root))]
    found = sorted(root / path for path in glob(pattern, root_dir=root, recursive=True))
    files = [path for path in found if not path.is_dir()]
    if not files:
        raise DataError("no file matches", where=pattern, hint="paths are relative to the recipe, or to --data-root")
    return [(path, _name(path, root)) for path in files]


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _digest(path: Path, name: str) -> str:
    refuse_missing(path, name)
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=name) from error


def _rows(file: _File, spec: SourceSettings, *, room: int | None) -> Generator[Row, None, tuple[int, str]]:
    """The rows of one file; returns how many they are, and the id of their format."""
    formats, rights = _Formats(spec), _RowRights(file, spec)
    count = 0
    stop = None if room is None else spec.skip + room * spec.every
    records = enumerate(read_records(file.path, file.name), 1)
    for number, (line, record) in islice(records, spec.skip, stop, spec.every):
        try:
            example = formats.of(record, line).read(record, spec.columns)
            held = rights.of(record)
        except Misuse as error:
            raise DataError(error.what, where=f"{file.name}:{line}", hint=error.hint) from error
        count += 1
        identity = row_id(file.salt, file.digest, number)
        # Every value is of its type by now; checking each once more takes longer than reading the row.
        yield Row.model_construct(row_id=identity, file=file.name, line=line, example=example, rights=held)
    return count, formats.name


class _Formats:
    """The format of a file, given or detected from its first row; a row with another one is refused."""

    def __init__(self, spec: SourceSettings) -> None:
        self._spec = spec
        self._first: tuple[Format, int] | None = None
        self._seen: set[tuple[str, ...]] = set()

    @property
    def name(self) -> str:
        """Id of the format; empty before the first row."""
        return "" if self._first is None else self._first[0].id

    def of(self, record: Record, line: int) -> Format:
        spec = self._spec
        if self._first is None:
            plugin = format_named(spec.format, spec.columns) if spec.format else detect(record, spec.columns)
            self._first = (plugin, line)
        plugin, first = self._first
        shape = tuple(record)
        if spec.format is None and shape not in self._seen:
            here = detect(record, spec.columns)
            if here.id != plugin.id:
                raise DataError(
                    f"mixed formats: this row is {here.id}, the rows from line {first} on are {plugin.id}",
                    hint="one format per file; split the file",
                )
            self._seen.add(shape)
        return plugin


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
        self._own = [key for key in RIGHTS if key not in spec.columns.values()]

    def of(self, record: Record) -> Rights:
        """The rights of a row. Raises DataError when a value is not what its column holds."""
        values = {**self._values, "subject": _subject(record, self._spec, self._file)}
        for key in self._own:
            own = record.get(key)
            if own is None or own == "":
                continue
            if not isinstance(own, str):
                raise DataError(f"the column {key!r} must hold text, found {type(own).__name__}")
            values[key] = _date(own, key) if key in DATES else _known_class(own) if key == "source_class" else own
        marks = tuple(values.values())
        known = self._known.get(marks)
        if known is None:
            if len(self._known) >= KNOWN:
                self._known.clear()
            known = self._known[marks] = Rights.model_validate(values)
        return known


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
    for summary in summaries:
        if summary.sha256 in seen:
            raise DataError(f"the same bytes as {seen[summary.sha256]}", where=summary.path, hint="name each file once")
        seen[summary.sha256] = summary.path
