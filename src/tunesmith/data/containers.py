"""Containers: JSON lines, JSON arrays, CSV and TSV, plain or gzip, as (line, record). Every refusal names file and line."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any, Final, Protocol

from tunesmith.data.format import Record
from tunesmith.errors import DataError

LINE_LIMIT: Final = 10_000_000
"""Bytes in one line; more is a sign of a wrong file, not of a long example."""
ARRAY_LIMIT: Final = 500_000_000
"""Bytes of a JSON array, which is read whole; JSON lines have no such limit."""
MAGIC: Final = (
    (b"PK\x03\x04", "a zip archive or spreadsheet"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x1f\x8b", "gzip inside, but the name does not end in .gz"),
    (b"\xff\xfe", "UTF-16 text"),
    (b"\xfe\xff", "UTF-16 text"),
)
SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")

Records = Iterator[tuple[int, Record]]


class CsvReader(Protocol):
    """What `csv.reader` returns; the library does not name its type."""

    line_num: int

    def __next__(self) -> list[str]: ...
    def __iter__(self) -> Iterator[list[str]]: ...


def read_records(path: Path, name: str) -> Records:
    """Yield (line from 1, record) of a file; `name` is what messages call it.

    Raises DataError: missing, a folder, empty, unknown extension, not UTF-8, binary, broken on line N, or no rows.
    """
    refuse_missing(path, name)
    reader = _reader(path, name)
    found = False
    try:
        with _open(path) as file:
            _refuse_binary(file, name)
            for item in reader(file, name):
                found = True
                yield item
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"the gzip data is broken: {error}", where=name, hint="copy or download the file again"
        ) from error
    except PermissionError as error:
        raise DataError("the file cannot be read: permission denied", where=name) from error
    if not found:
        raise DataError("the file is empty: it has no rows", where=name, hint="put rows in it, or leave it out")


def refuse_missing(path: Path, name: str) -> None:
    """Raise DataError unless there is a file to read; a symbolic link to one is fine."""
    if path.is_dir():
        raise DataError("this is a folder", where=name, hint=f"name the files in it, e.g. {name.rstrip('/')}/*.jsonl")
    if not path.is_file():
        raise DataError("no such file", where=name, hint="paths are relative to the recipe, or to --data-root")


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _reader(path: Path, name: str) -> Callable[[IO[bytes], str], Records]:
    readers: dict[str, Callable[[IO[bytes], str], Records]] = {
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".json": _json,
        ".csv": _csv,
        ".tsv": _tsv,
    }
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix.lower() not in readers:
        known = ", ".join(readers)
        raise DataError(
            f"files ending in {suffix or 'nothing'!r} are not read",
            where=name,
            hint=f"known: {known}, each also with .gz",
        )
    return readers[suffix.lower()]


def _refuse_binary(file: IO[bytes], name: str) -> None:
    head = file.read(8192)
    file.seek(0)
    pickled = len(head) > 1 and head[0] == 0x80 and head[1] in range(2, 6)
    kind = "a Python pickle" if pickled else next((kind for magic, kind in MAGIC if head.startswith(magic)), None)
    if kind is None and b"\0" in head:
        kind = "binary data"
    if kind is not None:
        raise DataError(
            f"this is not a text file: {kind}", where=name, hint="export the rows as UTF-8 JSON lines or CSV"
        )


def _lines(file: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    """Decoded lines with their ends, numbered from 1; a byte-order mark is passed over."""
    number = 0
    while raw := file.readline(LINE_LIMIT + 1):
        number += 1
        where = f"{name}:{number}"
        if len(raw) > LINE_LIMIT:
            raise DataError("the line is longer than 10 MB", where=where, hint="one row belongs on one line; split it")
        if b"\0" in raw:
            raise DataError(
                f"a NUL byte at byte {raw.index(0) + 1} of the line", where=where, hint="the file is binary or damaged"
            )
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DataError(
                f"not UTF-8 at byte {error.start + 1} of the line", where=where, hint="save the file as UTF-8"
            ) from error
        yield number, text.removeprefix("\ufeff") if number == 1 else text


def _json_lines(file: IO[bytes], name: str) -> Records:
    for number, text in _lines(file, name):
        if text.strip():
            where = f"{name}:{number}"
            yield number, _object(_parse(text, where), where)


def _json(file: IO[bytes], name: str) -> Records:
    """A JSON array of objects, or JSON lines under the name .json."""
    first = next((text for _, text in _lines(file, name) if text.strip()), "")
    file.seek(0)
    if first.lstrip().startswith("{"):
        yield from _json_lines(file, name)
    else:
        yield from _json_array("".join(text for _, text in _capped(file, name)), name)


def _capped(file: IO[bytes], name: str) -> Iterator[tuple[int, str]]:
    total = 0
    for number, text in _lines(file, name):
        total += len(text)
        if total > ARRAY_LIMIT:
            raise DataError("the JSON array is larger than 500 MB", where=name, hint="save it as JSON lines (.jsonl)")
        yield number, text


def _json_array(text: str, name: str) -> Records:
    """Items one by one, so that each has its line."""
    decoder = json.JSONDecoder(object_pairs_hook=_no_twins, parse_constant=_no_constant)
    position, line = _skip(text, 0), 1
    if text and text[position : position + 1] != "[":
        raise DataError("a JSON file is an array of objects, or one object per line", where=f"{name}:1")
    line += text.count("\n", 0, position)
    position += 1
    while (start := _skip(text, position)) < len(text) and text[start] != "]":
        line += text.count("\n", position, start)
        where = f"{name}:{line}"
        value, end = _guarded(partial(decoder.raw_decode, text, start), where)
        _refuse_surrogates(text[start:end], value, where)
        yield line, _object(value, where)
        after = _skip(text, end)
        line += text.count("\n", start, after)
        if text[after : after + 1] not in (",", "]"):
            raise DataError("broken JSON: a comma or ] is missing", where=f"{name}:{line}")
        position = after + (text[after] == ",")
    if start >= len(text):
        raise DataError("broken JSON: the array is not closed", where=f"{name}:{line}", hint="was the file cut off?")
    if _skip(text, start + 1) < len(text):
        line += text.count("\n", position, _skip(text, start + 1))
        raise DataError("broken JSON: text after the array", where=f"{name}:{line}")


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _csv(file: IO[bytes], name: str) -> Records:
    yield from _table(file, name, delimiter=",")


def _tsv(file: IO[bytes], name: str) -> Records:
    yield from _table(file, name, delimiter="\t")


def _table(file: IO[bytes], name: str, *, delimiter: str) -> Records:
    csv.field_size_limit(LINE_LIMIT)
    reader = csv.reader((text for _, text in _lines(file, name)), delimiter=delimiter, strict=True)
    start, fields = _next_fields(reader, name)
    header = _header(fields, f"{name}:{start}") if fields else []
    while header:
        start, fields = _next_fields(reader, name)
        if not fields:
            return
        if len(fields) != len(header):
            raise DataError(
                f"{len(fields)} fields, but the header has {len(header)}",
                where=f"{name}:{start}",
                hint="put text with commas in quotes",
            )
        yield start, dict(zip(header, fields, strict=True))


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
            raise DataError(
                f"the header has {'a column without a name' if not name else f'two columns {name!r}'}", where=where
            )
    return names


def _parse(text: str, where: str) -> Any:
    value = _guarded(lambda: json.loads(text, object_pairs_hook=_no_twins, parse_constant=_no_constant), where)
    _refuse_surrogates(text, value, where)
    return value


def _guarded(parse: Callable[[], Any], where: str) -> Any:
    try:
        return parse()
    except json.JSONDecodeError as error:
        raise DataError(
            f"broken JSON: {error.msg} at column {error.colno}", where=where, hint="one whole JSON object per row"
        ) from error
    except RecursionError as error:
        raise DataError("the JSON is nested too deep", where=where) from error
    except ValueError as error:
        raise DataError(f"broken JSON: {error}", where=where) from error


def _object(value: Any, where: str) -> Record:
    if isinstance(value, dict):
        return value
    hint = "a file with one JSON array ends in .json" if isinstance(value, list) else "one JSON object per row"
    raise DataError(f"a row is a JSON object, found {type(value).__name__}", where=where, hint=hint)


def _no_twins(pairs: list[tuple[str, Any]]) -> Record:
    record = dict(pairs)
    if len(record) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twin!r} stands twice in one object")
    return record


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _refuse_surrogates(text: str, value: Any, where: str) -> None:
    """Half of a surrogate pair cannot be written as UTF-8, so it could never leave this process again."""
    if SURROGATE.search(text) is None:
        return
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            "half of a surrogate pair, which is no character", where=where, hint="write the character itself"
        ) from error
