"""Format: how one record of a data file becomes an example. The registry, detection and the words for a wrong column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar, Final, Protocol, get_args, runtime_checkable

from tunesmith.artifacts import Example, Role
from tunesmith.data import formats
from tunesmith.errors import DataError
from tunesmith.registry import Registry

Record = dict[str, Any]
Columns = Mapping[str, str]
PlainMessages = Sequence[tuple[str, str]]
"""Text and role of each message of a row."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)


@dataclass(frozen=True)
class InvalidRow:
    """A row that cannot be used, while the rows after it can: its line from 1 (a row number in Parquet), why, what to do."""

    line: int
    reason: str
    hint: str = ""


class Format(Protocol):
    """A frozen dataclass. `roles` are the parts a row must have, `optional` those it may; `columns` maps a role to its column."""

    id: ClassVar[str]
    version: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]]

    def reads(self, record: Record, columns: Columns) -> frozenset[str]:
        """The columns that this format would read of the record; none when one is missing. Says nothing about what is in them."""
        ...

    def read(self, record: Record, columns: Columns) -> Example:
        """The example. Raises DataError, without a place, when a value cannot be used."""
        ...


@runtime_checkable
class ColumnResolvingFormat(Protocol):
    """A format whose columns are settled by the first row of a file, so that a later row cannot turn their order round."""

    def settle(self, record: Record, columns: Columns) -> Columns:
        """The columns for the whole file."""
        ...


@runtime_checkable
class PlainMessagesFormat(Protocol):
    """A format most of whose rows are conversations of texts and nothing else; these are read without an Example of each."""

    def turns(self, record: Record, columns: Columns) -> PlainMessages | None:
        """The messages of the example that `read` would make, when they are all that it would hold; else None."""
        ...


FORMATS: Registry[Format] = Registry("format")


def format_named(name: str, columns: Columns) -> Format:
    """The format the recipe names. Raises Misuse on an unknown name, DataError on a role it does not have."""
    FORMATS.load(formats)
    plugin = FORMATS.build(name)
    _check_roles(columns, (*plugin.roles, *plugin.optional), f"the format {name!r}")
    return plugin


def check_columns(columns: Columns) -> None:
    """Raise DataError when `columns` names a role that no format has."""
    _check_roles(
        columns, sorted({role for plugin in _all_formats() for role in (*plugin.roles, *plugin.optional)}), "no format"
    )


def detect_format(record: Record, columns: Columns) -> Format:
    """The one format that fits a record; one that reads more of the columns goes first (`labelled-text` before `text`).

    Raises DataError when none or several fit.
    """
    check_columns(columns)
    best = matching_formats(record, columns)
    if len(best) == 1:
        return best[0]
    if best:
        names = " and ".join(plugin.id for plugin in best)
        raise DataError(f"the columns fit {names}", hint=f"say which one with `format: {best[0].id}`")
    raise _unknown_columns(record, columns)


def matching_formats(record: Record, columns: Columns) -> list[Format]:
    """The formats that fit a record, without those that read only a part of what another one reads."""
    named = [plugin for plugin in _all_formats() if set(columns) <= {*plugin.roles, *plugin.optional}]
    reading = [(plugin, read) for plugin in named if (read := plugin.reads(record, columns))]
    return [plugin for plugin, read in reading if not any(read < other for _, other in reading)]


def _all_formats() -> list[Format]:
    FORMATS.load(formats)
    return [FORMATS.build(name) for name in FORMATS]


def column_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> str:
    """The column that plays a role: the one `columns` names, else the role's own name, else the first of `also` that is there."""
    if role in columns:
        return columns[role]
    return next((name for name in (role, *also) if name in record), role)


def columns_read(plugin: Format, record: Record, columns: Columns, **also: Sequence[str]) -> frozenset[str]:
    """What `Format.reads` gives where each role is a column; `also` has other names for the column of a role."""
    found = [column_of(record, columns, role, also=also.get(role, ())) for role in plugin.roles]
    if not all(column in record for column in found):
        return frozenset()
    more = (column_of(record, columns, role, also=also.get(role, ())) for role in plugin.optional)
    return frozenset((*found, *(column for column in more if column in record)))


def value_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> tuple[str, Any]:
    """(column, value) of a role. Raises DataError when the column is missing."""
    column = column_of(record, columns, role, also=also)
    if column not in record:
        raise missing_column(record, column, role)
    return column, record[column]


def text_of(record: Record, columns: Columns, role: str, *, also: Sequence[str] = ()) -> str:
    """The text in a role's column. Raises DataError when the column is missing or holds something else."""
    column, value = value_of(record, columns, role, also=also)
    if not isinstance(value, str):
        hint = "put quotes around the value"
        raise DataError(f"the column {column!r} must hold text, found {json_type_name(value)}", hint=hint)
    return value


def optional_text(record: Record, columns: Columns, role: str) -> str:
    """The text in the column of an optional role; empty when it is not there or null."""
    column = column_of(record, columns, role)
    return "" if record.get(column) is None else text_of(record, columns, role)


def plain_messages(value: Any) -> PlainMessages | None:
    """The messages of a list of objects that have a role and a text and nothing else; None when it is another value."""
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
    """What messages call the type of a JSON value."""
    return "null" if value is None else type(value).__name__


def missing_column(record: Record, column: str, role: str) -> DataError:
    """The error for a column that is not there, with the nearest one that is."""
    found = ", ".join(map(repr, record)) or "nothing"
    near = get_close_matches(column, list(record), n=1, cutoff=0.5)
    if len(record) == 1 and ";" in next(iter(record)):
        hint = "the header holds semicolons; save the file with commas, or with tabs as .tsv"
    elif near:
        hint = f"did you mean {near[0]!r}? then write `columns: {{{role}: {near[0]}}}`"
    else:
        hint = f"name the column with `columns: {{{role}: ...}}`"
    return DataError(f"there is no column {column!r}; the row has {found}", hint=hint)


def _check_roles(columns: Columns, roles: Sequence[str], who: str) -> None:
    for role in columns:
        if role not in roles:
            near = get_close_matches(role, roles, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(roles)}"
            raise DataError(f"`columns:` names the part {role!r}, which {who} has", hint=hint)


def _unknown_columns(record: Record, columns: Columns) -> DataError:
    """The missing column of the format that comes nearest: most roles present, then most names nearly right."""

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
    shapes = "; ".join(f"{one.id}: {', '.join(one.roles)}" for one in plugins)
    return DataError(
        f"no format fits the columns {', '.join(map(repr, record)) or 'of an empty row'}", hint=f"formats are {shapes}"
    )
