"""Read CSV and TSV files: a header, then one record per line, or over several lines within quotes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import MAX_LINE_BYTES, read_lines
from tunesmith.data.format import InvalidRow
from tunesmith.errors import DataError

INDEX_COLUMN_NOTE: Final = "the first column has no name and holds nothing but the row numbers from 0; it was left out"
NAME_COLUMN_HINT: Final = "name it, or drop it (pandas: index=False)"


class CsvReader(Protocol):
    """The type of `csv.reader(...)`, which the library does not export."""

    line_num: int

    def __next__(self) -> list[str]: ...
    def __iter__(self) -> Iterator[list[str]]: ...


def read_csv(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Records of a CSV file."""
    yield from _read_delimited(path, name, ",", progress=progress)


def read_tsv(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Records of a TSV file."""
    yield from _read_delimited(path, name, "\t", progress=progress)


def _read_delimited(path: Path, name: str, delimiter: str, *, progress: FileProgress) -> Iterator[ScannedRecord]:
    """A record with another number of fields than the header is an InvalidRow; after a broken quote reading stops with DataError.

    pandas writes its row numbers into a first column without a name. Such a column is dropped when it holds the row numbers, and
    raises DataError at the first row where it holds anything else.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    reader = csv.reader(_line_texts(path, name, progress), delimiter=delimiter, strict=True)
    start, fields = _next_fields(reader, name)
    numbered = len(fields) > 1 and not fields[0].strip()
    where = f"{name}:{start}"
    header = _header(fields[numbered:], where)
    rows, width = 0, len(header) + numbered
    if numbered:
        progress.notes.append(INDEX_COLUMN_NOTE)
    while header:
        start, fields = _next_fields(reader, name)
        if not fields:
            return
        if len(fields) == width:
            if numbered:
                _require_row_number(rows, fields[0], start, where)
            yield start, dict(zip(header, fields[numbered:], strict=True))
        else:
            yield InvalidRow(
                start, f"{len(fields)} fields, but the header has {width}", "put text with commas in quotes"
            )
        rows += 1


def _require_row_number(number: int, value: str, line: int, where: str) -> None:
    if value != str(number):
        what = f"the header has a column without a name, and on line {line} it is not the row number: {value[:40]!r}"
        raise DataError(what, where=where, hint=NAME_COLUMN_HINT)


def _line_texts(path: Path, name: str, progress: FileProgress) -> Iterator[str]:
    for line in read_lines(path, name, progress):
        if isinstance(line, InvalidRow):
            raise DataError(line.reason, where=f"{name}:{line.line}", hint=line.hint)
        yield line[1] + "\n"


def _next_fields(reader: CsvReader, name: str) -> tuple[int, list[str]]:
    """(first line, fields) of the next row that is not empty; no fields at the end of the file."""
    fields: list[str] | None = []
    start = reader.line_num + 1
    try:
        while fields == []:
            start = reader.line_num + 1
            fields = next(reader, None)
    except csv.Error as error:
        hint = "a quote may be missing on this line"
        raise DataError(f"broken CSV: {error}", where=f"{name}:{start}", hint=hint) from error
    return start, fields or []


def _header(fields: list[str], where: str) -> list[str]:
    names = [field.strip() for field in fields]
    for name in names:
        if not name or names.count(name) > 1:
            what = f"the header has {'a column without a name' if not name else f'two columns {name!r}'}"
            raise DataError(what, where=where, hint="" if name else NAME_COLUMN_HINT)
    return names
