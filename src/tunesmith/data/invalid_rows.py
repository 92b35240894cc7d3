"""Invalid rows and unreadable files. Both are collected while reading goes on, so that one run reports all of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

from tunesmith.data.format import InvalidRow
from tunesmith.detect.patterns import PERSONAL, SECRETS, mask_hits
from tunesmith.errors import DataError

MAX_KEPT_ROWS: Final = 10_000
"""Invalid rows whose line and reason are held in memory, over all files; the rest are counted."""
MAX_LISTED: Final = 10
"""Files, and invalid rows, that an error message lists one by one."""
MAX_REASON_CHARACTERS: Final = 300
"""Limit of a reason's length: a row with strange keys must not fill the report."""


class LocatedInvalidRow(NamedTuple):
    """An invalid row with its file, line and split, the reason, and a hint how to fix it."""

    file: str
    line: int
    split: str
    reason: str
    hint: str

    @property
    def description(self) -> str:
        """Reason and hint, with personal data and secrets masked."""
        return _masked_reason(f"{self.reason} ({self.hint})" if self.hint else self.reason)


@dataclass
class InvalidRows:
    """The first MAX_KEPT_ROWS invalid rows in reading order; `unlisted` counts the others by file."""

    rows: list[LocatedInvalidRow] = field(default_factory=list)
    unlisted: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.rows) + self.unlisted.total()

    def add(self, file: str, row: InvalidRow, split: str) -> None:
        """Record one invalid row."""
        if len(self.rows) < MAX_KEPT_ROWS:
            self.rows.append(LocatedInvalidRow(file, row.line, split, row.reason, row.hint))
        else:
            self.unlisted[file] += 1

    def discard_file(self, file: str) -> None:
        """Remove the rows of a file that is reported as a whole instead."""
        self.rows[:] = [row for row in self.rows if row.file != file]
        self.unlisted.pop(file, None)


@dataclass
class FileErrors:
    """The errors of files that cannot be read, in reading order."""

    errors: list[DataError] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.errors)

    @contextmanager
    def collect(self) -> Iterator[None]:
        """Record a DataError that the block raises, and continue after the block."""
        try:
            yield
        except DataError as error:
            self.errors.append(error)

    def raise_any(self, invalid_rows: InvalidRows | None = None) -> None:
        """Raise one DataError that lists every unreadable file and every invalid row; do nothing when all files were read."""
        if not self.errors:
            return
        first, row_lines = self.errors[0], _invalid_row_lines(invalid_rows) if invalid_rows else []
        if len(self.errors) == 1 and not row_lines:
            raise first
        if len(self.errors) == 1:
            raise DataError("\n".join([first.what, *row_lines]), where=first.where, hint=first.hint) from first
        file_lines = [
            f"  {error.where}: {error.what}{f' ({error.hint})' if error.hint else ''}"
            for error in self.errors[:MAX_LISTED]
        ]
        count = len(self.errors)
        message = "\n".join([f"{count} files cannot be read", *file_lines, *_more_line(count), *row_lines])
        hint = "fix these files, or remove them from `data:` in the recipe; nothing was audited"
        raise DataError(message, where=first.where, hint=hint) from first


def invalid_row_error(file: str, row: InvalidRow) -> DataError:
    """The error for an invalid row where invalid rows are not collected."""
    return DataError(row.reason, where=f"{file}:{row.line}", hint=row.hint)


def _invalid_row_lines(invalid_rows: InvalidRows) -> list[str]:
    count = len(invalid_rows)
    listed = [f"  {row.file}:{row.line}: {row.description}" for row in invalid_rows.rows[:MAX_LISTED]]
    return [f"and {count:,} {'row is' if count == 1 else 'rows are'} invalid:", *listed, *_more_line(count)]


def _more_line(count: int) -> list[str]:
    return [f"  and {count - MAX_LISTED:,} more"] if count > MAX_LISTED else []


@lru_cache(maxsize=1000)
def _masked_reason(reason: str) -> str:
    masked = mask_hits(reason[: 2 * MAX_REASON_CHARACTERS], (*PERSONAL, *SECRETS))
    return masked if len(masked) <= MAX_REASON_CHARACTERS else f"{masked[: MAX_REASON_CHARACTERS - 1]}…"
