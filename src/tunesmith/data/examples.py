"""Examples of a file: every row in turn, or why it is none."""

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
    """Reads the rows of one file. The format is given, or that of the first row one fits; a row of another is a Misfit.

    Raises Misuse on an unknown format, DataError on a part in `columns` that the format does not have.
    """

    def __init__(self, format_name: str | None, columns: Columns) -> None:
        self._columns = columns
        self._named = format_named(format_name, columns) if format_name else None
        self._settled: tuple[Format, int] | None = None
        self._good: dict[tuple[str, ...], frozenset[str]] = {}
        self._bad: dict[tuple[str, ...], tuple[str, str]] = {}
        check_columns(columns)

    @property
    def format_id(self) -> str:
        """Id of the format; empty when it was not given and no row has fitted one."""
        if self._settled is not None:
            return self._settled[0].id
        return "" if self._named is None else self._named.id

    def read(self, line: int, record: Record) -> Example | InvalidRow:
        """The example of a row, or why there is none."""
        try:
            plugin = self._format(line, record)
            return plugin.read(record, self._columns)
        except Misuse as error:
            return InvalidRow(line, error.what, error.hint)

    def columns_read(self, record: Record) -> frozenset[str]:
        """The columns of a row that `read` took for the example; they say nothing about its rights."""
        return self._good.get(tuple(record), frozenset())

    def _format(self, line: int, record: Record) -> Format:
        shape = tuple(record)
        if self._settled is not None and shape in self._good:
            return self._settled[0]
        if shape in self._bad:
            what, hint = self._bad[shape]
            raise DataError(what, hint=hint)
        try:
            plugin = self._fitting(line, record)
        except DataError as error:
            self._bad[shape] = (error.what, error.hint)
            raise
        if self._settled is None:
            self._columns = (
                plugin.resolve_columns(record, self._columns)
                if isinstance(plugin, ColumnResolvingFormat)
                else self._columns
            )
            self._settled = (plugin, line)
        self._good[shape] = plugin.columns_read(record, self._columns)
        return plugin

    def _fitting(self, line: int, record: Record) -> Format:
        """The file's format, when the row fits it. Raises DataError naming both formats when it is of another one."""
        if self._named is not None:
            return _check_named_format(self._named, record, self._columns)
        here = detect_format(record, self._columns)
        if self._settled is not None and here.id != self._settled[0].id:
            plugin, first = self._settled
            raise DataError(
                f"mixed formats: this row is {here.id}, the rows from line {first} on are {plugin.id}",
                hint="one format per file; split the file",
            )
        return here


def _check_named_format(plugin: Format, record: Record, columns: Columns) -> Format:
    others = [] if plugin.columns_read(record, columns) else matching_formats(record, columns)
    if len(others) == 1:
        what = f"mixed formats: this row is {others[0].id}, and the source says {plugin.id}"
        raise DataError(what, hint="one format per file; split the file")
    return plugin


def read_examples(
    path: Path, name: str, *, format_name: str | None = None, columns: Columns | None = None
) -> Iterator[tuple[int, Example, Record] | InvalidRow]:
    """(line, example, record) of every row of a file in order, and a Misfit for each row that does not fit.

    Raises as `scan` and `ExampleReader` do.
    """
    reader = ExampleReader(format_name, columns or {})
    for item in scan_records(path, name):
        if isinstance(item, InvalidRow):
            yield item
            continue
        line, record = item
        example = reader.read(line, record)
        yield example if isinstance(example, InvalidRow) else (line, example, record)
