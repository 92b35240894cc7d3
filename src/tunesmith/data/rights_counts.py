"""Stated: what the rows of one file carry of each right, counted while they are read, and the summary that says so."""

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
"""Values of one key that are told apart; of a file with an origin for each row the first so many, and a count of the others."""

MAX_PENDING_RIGHTS: Final = 50_000
"""Different rights that are held before they are counted."""


class RightsCounts:
    """Counts rows by value for every key. Rows with equal rights share one value, so identity is counted first."""

    def __init__(self) -> None:
        self.rows = 0
        self.persons = 0
        self._held: dict[int, tuple[Rights, int]] = {}
        self._counts: dict[str, Counter[str]] = {key: Counter() for key in COUNTED_RIGHTS}

    def add(self, rights: Rights) -> None:
        """One more row."""
        known = self._held.get(id(rights))
        # the value is held with its count, so that its id stays taken
        self._held[id(rights)] = (rights, 1 if known is None else known[1] + 1)
        if len(self._held) >= MAX_PENDING_RIGHTS:
            self._count()

    def counts(self) -> dict[str, dict[str, int]]:
        """{key: {value: rows}}; "" stands for values beyond the first DISTINCT, and a row without a value is counted nowhere."""
        self._count()
        return {key: dict(counter) for key, counter in self._counts.items()}

    def _count(self) -> None:
        for rights, rows in self._held.values():
            self.rows += rows
            self.persons += rows if rights.subject else 0
            for key, counter in self._counts.items():
                value = getattr(rights, key)
                if value:
                    counter[value if value in counter or len(counter) < MAX_DISTINCT_VALUES else ""] += rows
        self._held.clear()


def source_summary(
    spec: SourceSettings, stated: RightsCounts, *, at: Path, contradicts: dict[str, str] | None = None, **read: Any
) -> SourceSummary:
    """The summary of the file that lies `at` a path. `read` has what was found on the way: its name, format, sha256, split."""
    counts = stated.counts()
    own = {key: _as_text(getattr(spec, key)) for key in COUNTED_RIGHTS}
    # what every row has from its source is said once, by the source; and a source is called by its file where nobody named it
    differing = {
        key: values
        for key, values in counts.items()
        if key != "source" and values != _uniform_counts(own[key], stated.rows)
    }
    persons = {"subject": {"": stated.persons}} if stated.persons else {}
    return SourceSummary(
        rows=stated.rows,
        bytes=at.stat().st_size,
        columns=spec.columns,
        subject=spec.subject,
        contradicts=contradicts or {},
        stated={**SourceSummary.listed(differing, author=spec.author), **persons},
        **own,
        **read,
    )


def _as_text(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)


def _uniform_counts(value: str | None, rows: int) -> dict[str, int]:
    return {value: rows} if value and rows else {}
