"""CSV and TSV: a header, then one record a line, or over several lines inside quotes."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from tunesmith.data.containers.json_files import Item
from tunesmith.data.containers.stream import LINE_LIMIT, lines
from tunesmith.data.format import Misfit
from tunesmith.errors import DataError


class CsvReader(Protocol):
    """What `csv.reader` returns; the library does not name its type."""

    line_num: int

    def __next__(self) -> list[str]: ...
    def __iter__(self) -> Iterator[list[str]]: ...


def comma_file(path: Path, name: str) -> Iterator[Item]:
    """Records of a CSV file."""
    yield from _records(path, name, ",")


def tab_file(path: Path, name: str) -> Iterator[Item]:
    """Records of a TSV file."""
    yield from _records(path, name, "\t")


def _records(path: Path, name: str, delimiter: str) -> Iterator[Item]:
    """A record with another number of fields than the header is a Misfit; behind a broken quote nothing is sure, so it raises."""
    csv.field_size_limit(LINE_LIMIT)
    reader = csv.reader(_texts(path, name), delimiter=delimiter, strict=True)
    start, fields = _next_fields(reader, name)
    header = _header(fields, f"{name}:{start}") if fields else []
    while header:
        start, fields = _next_fields(reader, name)
        if not fields:
            return
        if len(fields) == len(header):
            yield start, dict(zip(header, fields, strict=True))
        else:
            what = f"{len(fields)} fields, but the header has {len(header)}"
            yield Misfit(start, what, "put text with commas in quotes")


def _texts(path: Path, name: str) -> Iterator[str]:
    for line in lines(path, name):
        if isinstance(line, Misfit):
            raise DataError(line.reason, where=f"{name}:{line.line}", hint=line.hint)
        yield line[1] + "\n"


def _next_fields(reader: CsvReader, name: str) -> tuple[int, list[str]]:
    """(line it starts on, fields) of the next row that is not empty; no fields at the end of the file."""
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
            raise DataError(what, where=where, hint="" if name else "name it, or leave it out (pandas: index=False)")
    return names
