"""Own rights: what a row says of its rights itself, else what its source says."""

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
"""Distinct rights of one file that are remembered, so that equal ones are one value."""


class RowRightsReader:
    """A row's own values, else those of its source; the source is called by its file name when nobody named it.

    `mark` is what a person is known by, from what identifies one.
    """

    def __init__(self, name: str, spec: SourceSettings, mark: Callable[[str], str]) -> None:
        self._spec = spec
        self._mark = mark
        self._known: dict[tuple[str | None, ...], Rights] = {}
        values = {key: getattr(spec, key) for key in RIGHTS_KEYS}
        values.update({key: values[key].isoformat() for key in DATE_KEYS if values[key] is not None})
        values["source"] = spec.source or Path(name).name
        self._values: dict[str, str | None] = values
        self._own: dict[tuple[str, ...], list[str]] = {}
        self._shared = Rights.model_validate(values)

    def of_all(self, record: Record, read: frozenset[str]) -> Rights | None:
        """The rights of every row with the columns of this one, of which those `read` are the example; None where each row
        has its own."""
        return None if self._own_columns(record, read) or self._spec.subject is not None else self._shared

    def of(self, record: Record, read: frozenset[str]) -> Rights:
        """The rights of a row, of which the columns `read` are the example. Raises DataError on a value that is none."""
        own = self._own_columns(record, read)
        if not own and self._spec.subject is None:
            return self._shared
        values = {**self._values, "subject": self._subject(record)}
        for key in own:
            if (value := _own_text(record[key], key)) is not None:
                values[key] = value
        return self._remembered(values)

    def _own_columns(self, record: Record, read: frozenset[str]) -> list[str]:
        shape = tuple(record)
        own = self._own.get(shape)
        if own is None:
            own = self._own[shape] = [key for key in RIGHTS_KEYS if key in record and key not in read]
        return own

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
        return self._mark(str(value))

    def _remembered(self, values: dict[str, str | None]) -> Rights:
        marks = tuple(values.values())
        known = self._known.get(marks)
        if known is None:
            if len(self._known) >= MAX_CACHED_RIGHTS:
                self._known.clear()
            known = self._known[marks] = Rights.model_validate(values)
        return known


def _own_text(own: object, key: str) -> str | None:
    if own is None or own == "":
        return None
    if not isinstance(own, str):
        raise DataError(f"the column {key!r} must hold text, found {type(own).__name__}")
    return _iso_date(own, key) if key in DATE_KEYS else _source_class(own) if key == "source_class" else own


def _iso_date(text: str, key: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise DataError(f"the column {key!r} holds {text[:40]!r}, which is no date", hint="e.g. 2026-03-31") from error


def _source_class(text: str) -> str:
    known = get_args(SourceClass)
    if text not in known:
        raise DataError(f"{text[:40]!r} is no source class", hint=f"known: {', '.join(known)}")
    return text
