"""Formats: how a record of a data file becomes an Example. The registry, the detection, and the errors for wrong columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Final, Protocol, get_args, runtime_checkable

from tunesmith.artifacts import Example, Role
from tunesmith.data import formats
from tunesmith.errors import DataError
from tunesmith.registry import Registry

Record = dict[str, Any]
"""One record of a data file, with JSON values."""
Columns = Mapping[str, str]
"""The column of each role, as `columns:` of a source states it."""
PlainMessages = Sequence[tuple[str, str]]
"""(text, role) of each message of a row."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True)
class InvalidRow:
    """A row that cannot be used, while later rows can: its line from 1 (in Parquet its row number), the reason, a hint."""

    line: int
    reason: str
    hint: str = ""


class Format(Protocol):
    """A row format, implemented as a frozen dataclass.

    `roles` are the parts that a record must have, `optional` those it may have; `columns` maps a role to the name of its column.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]]

    def columns_read(self, record: Record, columns: Columns) -> frozenset[str]:
        """The columns of the record that this format reads; empty when a required one is missing. Values are not checked."""
        ...

    def read(self, record: Record, columns: Columns) -> Example:
        """The example of a record. Raises DataError, without a place, on an invalid value."""
        ...


@runtime_checkable
class ColumnResolvingFormat(Protocol):
    """A format whose columns are resolved by the first row of a file and then hold for all its rows."""

    def resolve_columns(self, record: Record, columns: Columns) -> Columns:
        """The columns for the whole file."""
        ...


@runtime_checkable
class PlainMessagesFormat(Protocol):
    """A format whose rows are mostly plain text conversations. These rows are read without building an Example."""

    def plain_messages(self, record: Record, columns: Columns) -> PlainMessages | None:
        """The messages of the example that `read` returns; None when that example holds anything else, or is invalid."""
        ...


FORMATS: Registry[Format] = Registry("format")


def format_named(name: str, columns: Columns) -> Format:
    """The format that the recipe names. Raises Misuse on an unknown name, DataError on a role that the format does not have."""
    FORMATS.load(formats)
    plugin = FORMATS.build(name)
    _check_roles(columns, (*plugin.roles, *plugin.optional), f"the format {name!r}")
    return plugin


def check_columns(columns: Columns) -> None:
    """Raises DataError when `columns` names a role that no format has."""
    _check_roles(
        columns, sorted({role for plugin in _all_formats() for role in (*plugin.roles, *plugin.optional)}), "no format"
    )


def detect_format(record: Record, columns: Columns) -> Format:
    """The format whose columns match a record; one that reads more columns wins (`labelled-text` over `text`).

    Raises DataError when no format or several formats match.
    """
    check_columns(columns)
    matches = matching_formats(record, columns)
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = " and ".join(plugin.id for plugin in matches)
        raise DataError(f"the columns fit {names}", hint=f"say which one with `format: {matches[0].id}`")
    raise _unknown_columns(record, columns)


def matching_formats(record: Record, columns: Columns) -> list[Format]:
    """The formats that match a record, except those that read only a subset of the columns that another one reads."""
    candidates = [plugin for plugin in _all_formats() if set(columns) <= {*plugin.roles, *plugin.optional}]
    matches = [(plugin, read) for plugin in candidates if (read := plugin.columns_read(record, columns))]
    return [plugin for plugin, read in matches if not any(read < other for _, other in matches)]


def _all_formats() -> list[Format]:
    FORMATS.load(formats)
    return [FORMATS.build(name) for name in FORMATS]


def column_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> str:
    """The column of a role: the one that `columns` names, else the role's own name, else the first of `also` in the record."""
    if role in columns:
        return columns[role]
    return next((name for name in (role, *also) if name in record), role)


def columns_read(plugin: Format, record: Record, columns: Columns, **also: Sequence[str]) -> frozenset[str]:
    """`Format.columns_read` for a format in which each role is a column; `also` has aliases of a role's column."""
    required = [column_of(record, columns, role, also=also.get(role, ())) for role in plugin.roles]
    if not all(column in record for column in required):
        return frozenset()
    optional = (column_of(record, columns, role, also=also.get(role, ())) for role in plugin.optional)
    return frozenset((*required, *(column for column in optional if column in record)))


def value_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> tuple[str, Any]:
    """(column, value) of a role. Raises DataError when the column is missing."""
    column = column_of(record, columns, role, also=also)
    if column not in record:
        raise missing_column(record, column, role)
    return column, record[column]


def text_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> str:
    """The text in a role's column. Raises DataError when the column is missing or does not hold text."""
    column, value = value_of(record, columns, role, also=also)
    if not isinstance(value, str):
        hint = "put quotes around the value"
        raise DataError(f"the column {column!r} must hold text, found {json_type_name(value)}", hint=hint)
    return value


def optional_text(record: Record, columns: Columns, role: str) -> str:
    """The text in the column of an optional role; empty when the column is missing or null."""
    column = column_of(record, columns, role)
    return "" if record.get(column) is None else text_of(record, columns, role)


def plain_messages(value: Any) -> PlainMessages | None:
    """The messages of a list of objects with `role` and text `content` and nothing else; None for any other value."""
    if type(value) is not list:
        return None
    turns: list[tuple[str, str]] = []
    for item in value:
        if type(item) is not dict or len(item) != 2:
            return None
        role, text = item.get("role"), item.get("content")
        if type(text) is not str or role not in ROLES:
            return None
        turns.append((text, role))
    return turns or None


def json_type_name(value: Any) -> str:
    """The name of a JSON value's type in error messages."""
    return "null" if value is None else type(value).__name__


def missing_column(record: Record, column: str, role: str) -> DataError:
    """The error for a missing column, with the column of the nearest name as hint."""
    present = ", ".join(map(repr, record)) or "nothing"
    near = get_close_matches(column, list(record), n=1, cutoff=0.5)
    if len(record) == 1 and ";" in next(iter(record)):
        hint = "the header holds semicolons; save the file with commas, or with tabs as .tsv"
    elif near:
        hint = f"did you mean {near[0]!r}? then write `columns: {{{role}: {near[0]}}}`"
    else:
        hint = f"name the column with `columns: {{{role}: ...}}`"
    return DataError(f"there is no column {column!r}; the row has {present}", hint=hint)


def _check_roles(columns: Columns, roles: Sequence[str], who: str) -> None:
    for role in columns:
        if role not in roles:
            near = get_close_matches(role, roles, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(roles)}"
            raise DataError(f"`columns:` names the part {role!r}, which {who} has", hint=hint)


def _unknown_columns(record: Record, columns: Columns) -> DataError:
    """The error for the missing column of the nearest format: most columns of nearly right names, then most columns present."""

    def nearness(plugin: Format) -> tuple[int, int]:
        wanted = [columns.get(role, role) for role in plugin.roles]
        present = sum(column in record for column in wanted)
        close = sum(bool(get_close_matches(column, list(record), n=1)) for column in wanted)
        return (close + (set(columns) <= {*plugin.roles, *plugin.optional}) * 10, present)

    plugins = _all_formats()
    plugin = max(plugins, key=nearness)
    role = next((role for role in plugin.roles if columns.get(role, role) not in record), plugin.roles[0])
    error = missing_column(record, columns.get(role, role), role)
    if nearness(plugin) > (0, 0) and nearness(plugin)[0] % 10 + nearness(plugin)[1] > 0:
        return error
    roles_by_format = "; ".join(f"{other.id}: {', '.join(other.roles)}" for other in plugins)
    return DataError(
        f"no format fits the columns {', '.join(map(repr, record)) or 'of an empty row'}",
        hint=f"formats are {roles_by_format}",
    )
