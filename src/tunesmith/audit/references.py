"""Reference files that rows are compared with, benchmarks or works, as named in the recipe."""

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import Any, Final

from tunesmith.context import Context
from tunesmith.data.containers import read_all_records, refuse_missing
from tunesmith.errors import DataError

RECORD_SUFFIXES: Final = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
PLAIN_TEXT_SUFFIXES: Final = (".txt", ".md")


@dataclass(frozen=True)
class Reference:
    """A file identified by name and digest; its path does not count for equality."""

    name: str
    sha256: str
    path: Path = field(compare=False, repr=False)


References = tuple[Reference, ...]


@dataclass(frozen=True)
class ReferenceItem:
    """One text of a reference: its record number (from 1) and line, and in a plain text file its first character."""

    reference: Reference
    number: int
    line: int
    start: int
    text: str


def find_references(patterns: Sequence[str], context: Context) -> References:
    """The files that paths, folders and globs name, in order; looked up under the data root, then next to the recipe.

    A folder stands for all readable files in it. Raises DataError when a file is missing or a folder has none.
    """
    references: dict[Path, Reference] = {}
    for pattern in patterns:
        for path, root in _matching_files(pattern, context):
            name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
            refuse_missing(path, name)
            references.setdefault(path, Reference(name, _file_digest(path, name), path))
    return tuple(references.values())


def read_items(reference: Reference) -> Iterator[ReferenceItem]:
    """Every text in every record of a file, or every line of a plain text file that is not blank.

    Raises DataError when the file cannot be read.
    """
    if _suffix(reference.path) in PLAIN_TEXT_SUFFIXES:
        start = 0
        for line, text in enumerate(_read_text(reference).splitlines(keepends=True), 1):
            if text.strip():
                yield ReferenceItem(reference, line, line, start, text)
            start += len(text)
        return
    for number, (line, record) in enumerate(read_all_records(reference.path, reference.name), 1):
        yield from (ReferenceItem(reference, number, line, 0, text) for text in _record_texts(record))


def read_works(reference: Reference) -> Iterator[ReferenceItem]:
    """A plain text file as one text; otherwise every text in every record."""
    if _suffix(reference.path) in PLAIN_TEXT_SUFFIXES:
        yield ReferenceItem(reference, 1, 1, 0, _read_text(reference))
    else:
        yield from read_items(reference)


def references_digest(files: References) -> str:
    """One digest of several files, in order, independent of their names."""
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()


def _matching_files(pattern: str, context: Context) -> list[tuple[Path, Path]]:
    """(path, root it was found under) of the files that a pattern matches."""
    roots = (context.data_root, context.home)
    if has_magic(pattern) and not any((root / pattern).exists() for root in roots):
        for root in roots:
            paths = sorted(root / path for path in glob(pattern, root_dir=root, recursive=True))
            if files := [(path, root) for path in paths if path.is_file()]:
                return files
        raise DataError("no file matches", where=pattern, hint="use a path relative to the recipe or to --data-root")
    root = next((root for root in roots if (root / pattern).exists()), context.data_root)
    path = root / pattern
    if not path.is_dir():
        return [(path, root)]
    files = [
        (child, root)
        for child in sorted(path.rglob("*"))
        if child.is_file() and _suffix(child) in RECORD_SUFFIXES + PLAIN_TEXT_SUFFIXES
    ]
    if not files:
        suffixes = ", ".join(RECORD_SUFFIXES + PLAIN_TEXT_SUFFIXES)
        raise DataError("no readable file in this folder", where=pattern, hint=f"use {suffixes}, each also with .gz")
    return files


def _suffix(path: Path) -> str:
    return (Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix).lower()


def _file_digest(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=name) from error


def _read_text(reference: Reference) -> str:
    try:
        data = reference.path.read_bytes()
        raw = gzip.decompress(data) if reference.path.suffix.lower() == ".gz" else data
        text = raw.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"not UTF-8 at byte {error.start + 1}", where=reference.name, hint="save the file as UTF-8"
        ) from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"the gzip data is broken: {error}", where=reference.name) from error
    if not text.strip():
        raise DataError("the file has no text", where=reference.name)
    return text


def _record_texts(value: Any) -> Iterator[str]:
    """Every text value of a record, in order; field names are not included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _record_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _record_texts(inner)
