"""Format: how one record of a data file becomes an example. The registry, detection and the words for a wrong column."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

from tunesmith.artifacts import Example
from tunesmith.data import formats
from tunesmith.errors import DataError
from tunesmith.registry import Registry

Record = dict[str, Any]
Columns = Mapping[str, str]


class Format(Protocol):
    """A frozen dataclass. `roles` are the parts a row must have; `columns` maps a role to the column that plays it."""

    id: ClassVar[str]
    version: ClassVar[str]
    roles: ClassVar[tuple[str, ...]]

    def fits(self, record: Record, columns: Columns) -> bool:
        """Whether the record has the columns of this format; says nothing about what is in them."""
        ...

    def read(self, record: Record, columns: Columns) -> Example:
        """The example. Raises DataError, without a place, when a value cannot be used."""
        ...


FORMATS: Registry[Format] = Registry("format")


def format_named(name: str, columns: Columns) -> Format:
    """The format the recipe names. Raises Misuse on an unknown name, DataError on a role it does not have."""
    FORMATS.load(formats)
    plugin = FORMATS.build(name)
    _check_roles(columns, plugin.roles, f"the format {name!r}")
    return plugin


def detect(record: Record, columns: Columns) -> Format:
    """The one format that fits a record; `text` gives way to `labelled-text`. Raises DataError when none or several fit."""
    FORMATS.load(formats)
    plugins = [FORMATS.build(name) for name in FORMATS]
    _check_roles(columns, sorted({role for plugin in plugins for role in plugin.roles}), "no format")
    fitting = [plugin for plugin in plugins if set(columns) <= set(plugin.roles) and plugin.fits(record, columns)]
    best = [one for one in fitting if not any(set(one.roles) < set(other.roles) for other in fitting)]
    if len(best) == 1:
        return best[0]
    if best:
        names = " and ".join(plugin.id for plugin in best)
        raise DataError(f"the columns fit {names}", hint=f"say which one with `format: {best[0].id}`")
    raise _unknown_columns(record, columns, plugins)


def has_columns(record: Record, columns: Columns, roles: tuple[str, ...]) -> bool:
    """Whether every role's column is there."""
    return all(columns.get(role, role) in record for role in roles)


def text_of(record: Record, columns: Columns, role: str) -> str:
    """The text in a role's column. Raises DataError when the column is missing or holds something else."""
    column = columns.get(role, role)
    if column not in record:
        raise missing_column(record, column, role)
    value = record[column]
    if not isinstance(value, str):
        found = "null" if value is None else type(value).__name__
        raise DataError(f"the column {column!r} must hold text, found {found}", hint="put quotes around the value")
    return value


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


def _check_roles(columns: Columns, roles: tuple[str, ...] | list[str], who: str) -> None:
    for role in columns:
        if role not in roles:
            near = get_close_matches(role, roles, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(roles)}"
            raise DataError(f"`columns:` names the part {role!r}, which {who} has", hint=hint)


def _unknown_columns(record: Record, columns: Columns, plugins: list[Format]) -> DataError:
    """The missing column of the format that comes nearest: most roles present, then most names nearly right."""

    def nearness(plugin: Format) -> tuple[int, int]:
        wanted = [columns.get(role, role) for role in plugin.roles]
        present = sum(column in record for column in wanted)
        close = sum(bool(get_close_matches(column, list(record), n=1)) for column in wanted)
        return (close + (set(columns) <= set(plugin.roles)) * 10, present)

    plugin = max(plugins, key=nearness)
    role = next((role for role in plugin.roles if columns.get(role, role) not in record), plugin.roles[0])
    error = missing_column(record, columns.get(role, role), role)
    if nearness(plugin) > (0, 0) and nearness(plugin)[0] % 10 + nearness(plugin)[1] > 0:
        return error
    shapes = "; ".join(f"{one.id}: {', '.join(one.roles)}" for one in plugins)
    return DataError(
        f"no format fits the columns {', '.join(map(repr, record)) or 'of an empty row'}", hint=f"formats are {shapes}"
    )
