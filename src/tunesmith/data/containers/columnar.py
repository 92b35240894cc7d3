"""Parquet and Arrow files, read a thousand rows at a time; the line of a row is its number from 1.

Columns must hold what JSON can: text, numbers, truth values, lists and objects of them. Where the file says, as those of the
`datasets` library do, that numbers stand for class names, the names are read.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
from pyarrow import types

from tunesmith.data.containers.gauge import Gauge
from tunesmith.data.containers.json_files import Item
from tunesmith.data.containers.stream import GROWTH_FROM, GROWTH_LIMIT, LINE_LIMIT, kind_of_binary
from tunesmith.data.format import Misfit, Record
from tunesmith.errors import DataError

ROWS: Final = 1000
PLAIN: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    types.is_null,
    types.is_boolean,
    types.is_integer,
    types.is_floating,
    types.is_string,
    types.is_large_string,
    types.is_string_view,
)
LISTS: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    types.is_list,
    types.is_large_list,
    types.is_fixed_size_list,
    types.is_list_view,
    types.is_large_list_view,
)
Names = Mapping[str, list[str]]


def parquet_file(path: Path, name: str, gauge: Gauge) -> Iterator[Item]:
    """Rows of a Parquet file. Raises DataError when it is none, is broken, or has a column that JSON cannot hold."""
    _refuse_other(path, name, b"PAR1", "Parquet")
    try:
        with pa.parquet.ParquetFile(path) as file:
            _refuse_growth(file.metadata, path, name)
            batches = file.iter_batches(batch_size=ROWS)
            yield from _rows(file.schema_arrow, _paced(batches, gauge, rows=file.metadata.num_rows), name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken(error, "Parquet", name) from error


def arrow_file(path: Path, name: str, gauge: Gauge) -> Iterator[Item]:
    """Rows of an Arrow IPC file or stream, as `datasets` saves them; as `parquet_file`."""
    try:
        with path.open("rb") as head:
            is_file = head.read(6) == b"ARROW1"
        if not is_file:
            _refuse_other(path, name, b"\xff\xff\xff\xff", "Arrow")
        # Not as a memory map: a file that is cut off while it is read would end the process.
        with pa.OSFile(str(path), "rb") as source:
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            batches = _each(reader, gauge) if is_file else _streamed(reader, source, gauge)
            yield from _rows(reader.schema, batches, name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken(error, "Arrow", name) from error


def _paced(batches: Iterator[pa.RecordBatch], gauge: Gauge, *, rows: int) -> Iterator[pa.RecordBatch]:
    read = 0
    for batch in batches:
        read += batch.num_rows
        gauge.share = read / rows
        yield batch


def _each(reader: Any, gauge: Gauge) -> Iterator[pa.RecordBatch]:
    """The batches of a file with an index of them; these are read at their places, so the file has no position."""
    for number in range(reader.num_record_batches):
        gauge.share = (number + 1) / reader.num_record_batches
        yield reader.get_batch(number)


def _streamed(batches: Iterator[pa.RecordBatch], source: Any, gauge: Gauge) -> Iterator[pa.RecordBatch]:
    size = source.size()
    for batch in batches:
        gauge.share = source.tell() / size
        yield batch


def _broken(error: Exception, kind: str, name: str) -> DataError:
    if isinstance(error, PermissionError):
        return DataError("the file cannot be read: permission denied", where=name)
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(f"broken {kind}: {reason}", where=name, hint="copy or download the file again")


def _refuse_other(path: Path, name: str, magic: bytes, kind: str) -> None:
    with path.open("rb") as file:
        head = file.read(8192)
    if head and not head.startswith(magic):
        found = kind_of_binary(head) or "text"
        raise DataError(f"this is no {kind} file: {found}", where=name, hint="give the file the ending of what it is")


def _refuse_growth(metadata: Any, path: Path, name: str) -> None:
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > max(GROWTH_FROM, path.stat().st_size * GROWTH_LIMIT):
        raise DataError(f"the file grows to {unpacked:,} bytes when it is unpacked", where=name)


def _rows(schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str) -> Iterator[Item]:
    _refuse_types(schema, name)
    classes = _class_names(schema)
    floats = any(_has_float(field.type) for field in schema)
    line = 0
    for batch in batches:
        # Offsets that lead out of a buffer would be followed, out of this process's memory too.
        batch.validate(full=True)
        for start in range(0, batch.num_rows, ROWS):
            piece = batch.slice(start, ROWS)
            check = floats or piece.get_total_buffer_size() > LINE_LIMIT
            for record in _records(piece, name):
                line += 1
                yield _checked(line, record, classes) if check or classes else (line, record)


def _records(batch: pa.RecordBatch, name: str) -> list[Record]:
    try:
        rows: list[Record] = batch.to_pylist()
        return rows
    except UnicodeDecodeError as error:
        raise DataError("a column holds text that is not UTF-8", where=name, hint="write the file again") from error


def _checked(line: int, record: Record, classes: Names) -> Item:
    """The row with class names, or why it is none: NaN, an unknown class, or more than 10 MB."""
    try:
        named = {column: _named(value, classes.get(column), column) for column, value in record.items()}
        size = sum(_size(value, column) for column, value in named.items())
    except DataError as error:
        return Misfit(line, error.what, error.hint)
    if size > LINE_LIMIT:
        return Misfit(line, "the row is longer than 10 MB", "split it")
    return line, named


def _named(value: Any, names: list[str] | None, column: str) -> Any:
    if names is None or value is None or value == -1:
        return None if names is not None else value
    if isinstance(value, list):
        return [_named(one, names, column) for one in value]
    if not 0 <= value < len(names):
        raise DataError(f"the column {column!r} holds class {value}, and the file names {len(names)} classes")
    return names[value]


def _size(value: Any, column: str) -> int:
    """Bytes of text in a value, about. Raises DataError at a NaN or an infinite number."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, float) and not isfinite(value):
        raise DataError(
            f"the column {column!r} holds {value}, which is not JSON", hint="write null, or leave the row out"
        )
    if isinstance(value, list):
        return sum(_size(one, column) for one in value)
    if isinstance(value, dict):
        return sum(_size(one, column) for one in value.values())
    return 8


def _refuse_types(schema: pa.Schema, name: str) -> None:
    for column in schema.names:
        if schema.names.count(column) > 1:
            raise DataError(f"two columns are called {column!r}", where=name)
    for field in schema:
        if (kind := _foreign(field.type)) is not None:
            what = f"the column {field.name!r} holds {kind}, which JSON cannot hold"
            raise DataError(what, where=name, hint="cast it to text, or write the file without it")


def _foreign(kind: pa.DataType) -> pa.DataType | None:
    """The type inside a type that no JSON value has."""
    if any(test(kind) for test in LISTS):
        return _foreign(kind.value_type)
    if types.is_dictionary(kind):
        return _foreign(kind.value_type)
    if types.is_struct(kind):
        return next((found for field in kind if (found := _foreign(field.type)) is not None), None)
    return None if any(test(kind) for test in PLAIN) else kind


def _has_float(kind: pa.DataType) -> bool:
    if any(test(kind) for test in LISTS) or types.is_dictionary(kind):
        return _has_float(kind.value_type)
    if types.is_struct(kind):
        return any(_has_float(field.type) for field in kind)
    return bool(types.is_floating(kind))


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Class names by column, from what the `datasets` library writes into the schema."""
    try:
        said = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = dict(said.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}
    found = {column: _names_in(feature) for column, feature in features.items() if column in schema.names}
    return {column: names for column, names in found.items() if names}


def _names_in(feature: Any) -> list[str]:
    if isinstance(feature, list) and len(feature) == 1:
        return _names_in(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") in ("List", "LargeList", "Sequence"):
        return _names_in(feature.get("feature"))
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) and all(isinstance(one, str) for one in names) else []
