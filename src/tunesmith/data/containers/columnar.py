"""Read Parquet and Arrow files in batches of BATCH_ROWS; the line of a row is its number from 1.

Columns must have types that JSON has: text, numbers, booleans, and lists and objects of them. Where the schema maps class numbers
to names, as the `datasets` library writes it, the names are read.
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

from tunesmith.data.containers.json_files import ScannedRecord
from tunesmith.data.containers.read_progress import FileProgress
from tunesmith.data.containers.stream import EXPANSION_ALLOWANCE_BYTES, MAX_EXPANSION_RATIO, MAX_LINE_BYTES, binary_kind
from tunesmith.data.format import InvalidRow, Record
from tunesmith.errors import DataError

BATCH_ROWS: Final = 1000
"""Rows that are decoded at a time."""
SCALAR_TYPES: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    types.is_null,
    types.is_boolean,
    types.is_integer,
    types.is_floating,
    types.is_string,
    types.is_large_string,
    types.is_string_view,
)
LIST_TYPES: Final[tuple[Callable[[pa.DataType], bool], ...]] = (
    types.is_list,
    types.is_large_list,
    types.is_fixed_size_list,
    types.is_list_view,
    types.is_large_list_view,
)
ClassNames = Mapping[str, list[str]]
"""Class names by column."""


def read_parquet(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the rows of a Parquet file. Raises DataError when it is not one, is broken, or has a column type that JSON lacks."""
    _require_magic(path, name, b"PAR1", "Parquet")
    try:
        with pa.parquet.ParquetFile(path) as file:
            _refuse_oversized(file.metadata, path, name)
            batches = file.iter_batches(batch_size=BATCH_ROWS)
            yield from _read_rows(
                file.schema_arrow, _with_progress(batches, progress, rows=file.metadata.num_rows), name
            )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken_file(error, "Parquet", name) from error


def read_arrow(path: Path, name: str, progress: FileProgress) -> Iterator[ScannedRecord]:
    """Yield the rows of an Arrow IPC file or stream, as `datasets` saves them. Raises DataError as `read_parquet` does."""
    try:
        with path.open("rb") as head:
            is_file = head.read(6) == b"ARROW1"
        if not is_file:
            _require_magic(path, name, b"\xff\xff\xff\xff", "Arrow")
        # Not memory-mapped: a file that is truncated while it is read would crash the process.
        with pa.OSFile(str(path), "rb") as source:
            reader = pa.ipc.open_file(source) if is_file else pa.ipc.open_stream(source)
            batches = _file_batches(reader, progress) if is_file else _stream_batches(reader, source, progress)
            yield from _read_rows(reader.schema, batches, name)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _broken_file(error, "Arrow", name) from error


def _with_progress(batches: Iterator[pa.RecordBatch], progress: FileProgress, *, rows: int) -> Iterator[pa.RecordBatch]:
    read = 0
    for batch in batches:
        read += batch.num_rows
        progress.fraction = read / rows
        yield batch


def _file_batches(reader: Any, progress: FileProgress) -> Iterator[pa.RecordBatch]:
    """Batches of an IPC file. They are read by index, so progress is counted in batches, not in bytes."""
    for number in range(reader.num_record_batches):
        progress.fraction = (number + 1) / reader.num_record_batches
        yield reader.get_batch(number)


def _stream_batches(batches: Iterator[pa.RecordBatch], source: Any, progress: FileProgress) -> Iterator[pa.RecordBatch]:
    size = source.size()
    for batch in batches:
        progress.fraction = source.tell() / size
        yield batch


def _broken_file(error: Exception, kind: str, name: str) -> DataError:
    if isinstance(error, PermissionError):
        return DataError("the file cannot be read: permission denied", where=name)
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return DataError(f"broken {kind}: {reason}", where=name, hint="copy or download the file again")


def _require_magic(path: Path, name: str, magic: bytes, kind: str) -> None:
    with path.open("rb") as file:
        head = file.read(8192)
    if head and not head.startswith(magic):
        actual = binary_kind(head) or "text"
        what = f"not {'an' if kind == 'Arrow' else 'a'} {kind} file but {actual}"
        raise DataError(what, where=name, hint="rename the file to match its content")


def _refuse_oversized(metadata: Any, path: Path, name: str) -> None:
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    decompressed = sum(group.total_byte_size for group in groups)
    if decompressed > max(EXPANSION_ALLOWANCE_BYTES, path.stat().st_size * MAX_EXPANSION_RATIO):
        raise DataError(f"the file decompresses to {decompressed:,} bytes, which is too large", where=name)


def _read_rows(schema: pa.Schema, batches: Iterator[pa.RecordBatch], name: str) -> Iterator[ScannedRecord]:
    _refuse_types(schema, name)
    classes = _class_names(schema)
    floats = any(_has_float(field.type) for field in schema)
    line = 0
    for batch in batches:
        # Unvalidated offsets could point outside their buffer, and would be followed.
        batch.validate(full=True)
        for start in range(0, batch.num_rows, BATCH_ROWS):
            part = batch.slice(start, BATCH_ROWS)
            check = floats or part.get_total_buffer_size() > MAX_LINE_BYTES
            for record in _to_records(part, name):
                line += 1
                yield _check_record(line, record, classes) if check or classes else (line, record)


def _to_records(batch: pa.RecordBatch, name: str) -> list[Record]:
    try:
        rows: list[Record] = batch.to_pylist()
        return rows
    except UnicodeDecodeError as error:
        raise DataError("a column holds text that is not UTF-8", where=name, hint="write the file again") from error


def _check_record(line: int, record: Record, classes: ClassNames) -> ScannedRecord:
    """The row with class names; an InvalidRow when it has NaN, an unknown class, or more than 10 MB."""
    try:
        named = {column: _with_class_names(value, classes.get(column), column) for column, value in record.items()}
        size = sum(_text_size(value, column) for column, value in named.items())
    except DataError as error:
        return InvalidRow(line, error.what, error.hint)
    if size > MAX_LINE_BYTES:
        return InvalidRow(line, "the row is longer than 10 MB", "split it")
    return line, named


def _with_class_names(value: Any, names: list[str] | None, column: str) -> Any:
    if names is None or value is None or value == -1:
        return None if names is not None else value
    if isinstance(value, list):
        return [_with_class_names(item, names, column) for item in value]
    if not 0 <= value < len(names):
        raise DataError(f"the column {column!r} holds class {value}, and the file names {len(names)} classes")
    return names[value]


def _text_size(value: Any, column: str) -> int:
    """The approximate size of a value as text, in bytes. Raises DataError at NaN or an infinite number."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, float) and not isfinite(value):
        raise DataError(
            f"the column {column!r} holds {value}, which is not JSON", hint="write null, or leave the row out"
        )
    if isinstance(value, list):
        return sum(_text_size(item, column) for item in value)
    if isinstance(value, dict):
        return sum(_text_size(item, column) for item in value.values())
    return 8


def _refuse_types(schema: pa.Schema, name: str) -> None:
    for column in schema.names:
        if schema.names.count(column) > 1:
            raise DataError(f"two columns are called {column!r}", where=name)
    for field in schema:
        if (kind := _unsupported_type(field.type)) is not None:
            what = f"the column {field.name!r} holds {kind}, which JSON cannot hold"
            raise DataError(what, where=name, hint="cast it to text, or write the file without it")


def _unsupported_type(kind: pa.DataType) -> pa.DataType | None:
    """The first type within a type that JSON does not have; None when there is none."""
    if any(test(kind) for test in LIST_TYPES):
        return _unsupported_type(kind.value_type)
    if types.is_dictionary(kind):
        return _unsupported_type(kind.value_type)
    if types.is_struct(kind):
        return next((inner for field in kind if (inner := _unsupported_type(field.type)) is not None), None)
    return None if any(test(kind) for test in SCALAR_TYPES) else kind


def _has_float(kind: pa.DataType) -> bool:
    if any(test(kind) for test in LIST_TYPES) or types.is_dictionary(kind):
        return _has_float(kind.value_type)
    if types.is_struct(kind):
        return any(_has_float(field.type) for field in kind)
    return bool(types.is_floating(kind))


def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Class names by column, from the features that the `datasets` library writes into the schema metadata."""
    try:
        metadata = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        features = dict(metadata.get("info", {}).get("features", {}))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}
    names_by_column = {
        column: _feature_class_names(feature) for column, feature in features.items() if column in schema.names
    }
    return {column: names for column, names in names_by_column.items() if names}


def _feature_class_names(feature: Any) -> list[str]:
    if isinstance(feature, list) and len(feature) == 1:
        return _feature_class_names(feature[0])
    if not isinstance(feature, dict):
        return []
    if feature.get("_type") in ("List", "LargeList", "Sequence"):
        return _feature_class_names(feature.get("feature"))
    names = feature.get("names") if feature.get("_type") == "ClassLabel" else None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []
