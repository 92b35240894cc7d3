"""Read the records of a file as examples, or as invalid rows."""

from collections.abc import Iterator
from pathlib import Path

from tunesmith.artifacts import Example
from tunesmith.data.containers import scan_records
from tunesmith.data.format import (
    ColumnResolvingFormat,
    Columns,
    Format,
    InvalidRow,
    Record,
    check_columns,
    detect_format,
    format_named,
    matching_formats,
)
from tunesmith.errors import DataError, Misuse


class ExampleReader:
    """Reads the records of one file. Without a `format_name` the first matching row sets the format of the file.

    A row of another format is an InvalidRow. Raises Misuse on an unknown format, DataError on a role in `columns` that the format
    does not have.
    """

    def __init__(self, format_name: str | None, columns: Columns) -> None:
        self._columns = columns
        self._named = format_named(format_name, columns) if format_name else None
        self._file_format: tuple[Format, int] | None = None
        self._columns_by_keys: dict[tuple[str, ...], frozenset[str]] = {}
        self._errors_by_keys: dict[tuple[str, ...], tuple[str, str]] = {}
        check_columns(columns)

    @property
    def format_id(self) -> str:
        """Id of the format; empty when none was given and no row has matched one."""
        if self._file_format is not None:
            return self._file_format[0].id
        return "" if self._named is None else self._named.id

    def read(self, line: int, record: Record) -> Example | InvalidRow:
        """The example of a record, or why the row is invalid."""
        try:
            plugin = self._format(line, record)
            return plugin.read(record, self._columns)
        except Misuse as error:
            return InvalidRow(line, error.what, error.hint)

    def columns_read(self, record: Record) -> frozenset[str]:
        """The columns that `read` used for the example; they do not state rights."""
        return self._columns_by_keys.get(tuple(record), frozenset())

    def _format(self, line: int, record: Record) -> Format:
        keys = tuple(record)
        if self._file_format is not None and keys in self._columns_by_keys:
            return self._file_format[0]
        if keys in self._errors_by_keys:
            what, hint = self._errors_by_keys[keys]
            raise DataError(what, hint=hint)
        try:
            plugin = self._fitting(line, record)
        except DataError as error:
            self._errors_by_keys[keys] = (error.what, error.hint)
            raise
        if self._file_format is None:
            self._columns = (
                plugin.resolve_columns(record, self._columns)
                if isinstance(plugin, ColumnResolvingFormat)
                else self._columns
            )
            self._file_format = (plugin, line)
        self._columns_by_keys[keys] = plugin.columns_read(record, self._columns)
        return plugin

    def _fitting(self, line: int, record: Record) -> Format:
        """The format of the file, when the record matches it. Raises DataError naming both formats when it matches another."""
        if self._named is not None:
            return _check_named_format(self._named, record, self._columns)
        detected = detect_format(record, self._columns)
        if self._file_format is not None and detected.id != self._file_format[0].id:
            plugin, first = self._file_format
            raise DataError(
                f"mixed formats: this row is {detected.id}, the rows from line {first} on are {plugin.id}",
                hint="one format per file; split the file",
            )
        return detected


def _check_named_format(plugin: Format, record: Record, columns: Columns) -> Format:
    others = [] if plugin.columns_read(record, columns) else matching_formats(record, columns)
    if len(others) == 1:
        what = f"mixed formats: this row is {others[0].id}, and the source says {plugin.id}"
        raise DataError(what, hint="one format per file; split the file")
    return plugin


def read_examples(
    path: Path, name: str, *, format_name: str | None = None, columns: Columns | None = None
) -> Iterator[tuple[int, Example, Record] | InvalidRow]:
    """Yield (line, example, record) of each row of a file in order, and an InvalidRow for each invalid row.

    Raises as `scan_records` and `ExampleReader` do.
    """
    reader = ExampleReader(format_name, columns or {})
    for item in scan_records(path, name):
        if isinstance(item, InvalidRow):
            yield item
            continue
        line, record = item
        example = reader.read(line, record)
        yield example if isinstance(example, InvalidRow) else (line, example, record)
