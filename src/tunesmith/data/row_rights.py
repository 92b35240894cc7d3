"""Rights of a row: the values of its own columns, else those that the recipe states for its source."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, get_args

from tunesmith.artifacts import Rights, SourceClass
from tunesmith.data.format import Record, missing_column
from tunesmith.errors import DataError
from tunesmith.recipe import SourceSettings

DATE_KEYS: Final = ("collected", "expires")
RIGHTS_KEYS: Final = (
    *("source", "license", "origin", "author", "basis", "purpose"),
    *("collected", "expires", "source_class", "generator", "language"),
)
MAX_CACHED_RIGHTS: Final = 100_000
"""Distinct Rights of one file that are cached, so that rows with equal rights share one object."""


class RowRightsReader:
    """Reads the rights of the rows of one file.

    A source without a name of its own takes the file's name. `pseudonymize` turns what identifies a person into a pseudonym.
    """

    def __init__(self, name: str, spec: SourceSettings, pseudonymize: Callable[[str], str]) -> None:
        self._spec = spec
        self._pseudonymize = pseudonymize
        self._cache: dict[tuple[str | None, ...], Rights] = {}
        values = {key: getattr(spec, key) for key in RIGHTS_KEYS}
        values.update({key: values[key].isoformat() for key in DATE_KEYS if values[key] is not None})
        values["source"] = spec.source or Path(name).name
        self._source_values: dict[str, str | None] = values
        self._rights_columns_by_keys: dict[tuple[str, ...], list[str]] = {}
        self._source_rights = Rights.model_validate(values)

    def shared(self, record: Record, read: frozenset[str]) -> Rights | None:
        """The rights that all rows with the columns of `record` share, or None where each row has its own.

        `read` are the columns that make the example; they say nothing about rights.
        """
        per_row = self._rights_columns(record, read) or self._spec.subject is not None
        return None if per_row else self._source_rights

    def of(self, record: Record, read: frozenset[str]) -> Rights:
        """The rights of one row; `read` as in `shared`. Raises DataError, without a place, on an invalid value."""
        columns = self._rights_columns(record, read)
        if not columns and self._spec.subject is None:
            return self._source_rights
        values = {**self._source_values, "subject": self._subject(record)}
        for key in columns:
            if (value := _own_text(record[key], key)) is not None:
                values[key] = value
        return self._cached(values)

    def _rights_columns(self, record: Record, read: frozenset[str]) -> list[str]:
        keys = tuple(record)
        columns = self._rights_columns_by_keys.get(keys)
        if columns is None:
            columns = [key for key in RIGHTS_KEYS if key in record and key not in read]
            self._rights_columns_by_keys[keys] = columns
        return columns

    def _subject(self, record: Record) -> str | None:
        column = self._spec.subject
        if column is None:
            return None
        if column not in record:
            raise missing_column(record, column, "subject")
        value = record[column]
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise DataError(f"the column {column!r} must hold text, found {type(value).__name__}")
        return self._pseudonymize(str(value))

    def _cached(self, values: dict[str, str | None]) -> Rights:
        key = tuple(values.values())
        rights = self._cache.get(key)
        if rights is None:
            if len(self._cache) >= MAX_CACHED_RIGHTS:
                self._cache.clear()
            rights = self._cache[key] = Rights.model_validate(values)
        return rights


def _own_text(value: object, key: str) -> str | None:
    """The value of a rights column; None when it is empty."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise DataError(f"the column {key!r} must hold text, found {type(value).__name__}")
    return _iso_date(value, key) if key in DATE_KEYS else _source_class(value) if key == "source_class" else value


def _iso_date(text: str, key: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise DataError(f"the column {key!r} holds {text[:40]!r}, which is no date", hint="e.g. 2026-03-31") from error


def _source_class(text: str) -> str:
    classes = get_args(SourceClass)
    if text not in classes:
        raise DataError(f"{text[:40]!r} is no source class", hint=f"known: {', '.join(classes)}")
    return text
