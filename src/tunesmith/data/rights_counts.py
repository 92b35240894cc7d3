"""Counts of the rights of a file's rows, collected while the file is read, and the summary of the file."""

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, Final

from tunesmith.artifacts import Rights, SourceSummary
from tunesmith.recipe import SourceSettings

COUNTED_RIGHTS: Final = (
    *("license", "source", "origin", "author", "basis", "purpose"),
    *("collected", "expires", "source_class", "generator", "language"),
)
MAX_DISTINCT_VALUES: Final = 10_000
"""Values of one key that are counted separately; further values are counted together."""

MAX_PENDING_RIGHTS: Final = 50_000
"""Distinct Rights objects that are counted by identity before they are added to the counts by value."""


class RightsCounts:
    """Counts rows by value for every key of COUNTED_RIGHTS. Rows with equal rights share one object, so objects are counted
    first and their values later."""

    def __init__(self) -> None:
        self.rows = 0
        self.rows_with_subject = 0
        self._pending: dict[int, tuple[Rights, int]] = {}
        self._counts: dict[str, Counter[str]] = {key: Counter() for key in COUNTED_RIGHTS}

    def add(self, rights: Rights) -> None:
        """Count one row."""
        pending = self._pending.get(id(rights))
        # The object is stored with its count, so that its id is not reused.
        self._pending[id(rights)] = (rights, 1 if pending is None else pending[1] + 1)
        if len(self._pending) >= MAX_PENDING_RIGHTS:
            self._count_pending()

    def counts(self) -> dict[str, dict[str, int]]:
        """{key: {value: rows}}. Rows without a value are not counted; "" counts the values beyond MAX_DISTINCT_VALUES."""
        self._count_pending()
        return {key: dict(counter) for key, counter in self._counts.items()}

    def _count_pending(self) -> None:
        for rights, rows in self._pending.values():
            self.rows += rows
            self.rows_with_subject += rows if rights.subject else 0
            for key, counter in self._counts.items():
                value = getattr(rights, key)
                if value:
                    counter[value if value in counter or len(counter) < MAX_DISTINCT_VALUES else ""] += rows
        self._pending.clear()


def source_summary(
    spec: SourceSettings, counts: RightsCounts, *, at: Path, contradicts: dict[str, str] | None = None, **measured: Any
) -> SourceSummary:
    """The summary of the file `at` a path; `measured` holds its name (`path`), `format`, `sha256` and `split`."""
    by_key = counts.counts()
    source_values = {key: _as_text(getattr(spec, key)) for key in COUNTED_RIGHTS}
    # A value that all rows have from their source is not repeated here. Every row has a source: its file where none is named.
    differing = {
        key: values
        for key, values in by_key.items()
        if key != "source" and values != _uniform_counts(source_values[key], counts.rows)
    }
    subjects = {"subject": {"": counts.rows_with_subject}} if counts.rows_with_subject else {}
    return SourceSummary(
        rows=counts.rows,
        bytes=at.stat().st_size,
        columns=spec.columns,
        subject=spec.subject,
        contradicts=contradicts or {},
        stated={**SourceSummary.listed(differing, author=spec.author), **subjects},
        **source_values,
        **measured,
    )


def _as_text(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)


def _uniform_counts(value: str | None, rows: int) -> dict[str, int]:
    return {value: rows} if value and rows else {}
