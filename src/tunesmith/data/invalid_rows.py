"""Misfits: rows that cannot be used. Faults: files that cannot. Both are gathered while what comes after them is read."""

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
"""Misfits whose line and reason are held in memory, over all files; the rest are counted."""
MAX_LISTED: Final = 10
"""Faults, and misfits, that an error names one by one."""
MAX_REASON_CHARACTERS: Final = 300
"""Characters of a reason at most; a row of strange keys must not fill the report."""


class LocatedInvalidRow(NamedTuple):
    """A row that cannot be used: its file, line and split, why, what to do."""

    file: str
    line: int
    split: str
    reason: str
    hint: str

    @property
    def said(self) -> str:
        """Why and what to do, without personal data and secrets."""
        return _masked_reason(f"{self.reason} ({self.hint})" if self.hint else self.reason)


@dataclass
class InvalidRows:
    """The first KEPT of them in the order of reading, and by file how many more there are."""

    kept: list[LocatedInvalidRow] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.kept) + self.more.total()

    def add(self, file: str, misfit: InvalidRow, split: str) -> None:
        """Take one down."""
        if len(self.kept) < MAX_KEPT_ROWS:
            self.kept.append(LocatedInvalidRow(file, misfit.line, split, misfit.reason, misfit.hint))
        else:
            self.more[file] += 1

    def forget(self, file: str) -> None:
        """Drop those of a file, of which something else is said."""
        self.kept[:] = [one for one in self.kept if one.file != file]
        self.more.pop(file, None)


@dataclass
class FileErrors:
    """The errors of files that cannot be used, in the order of reading."""

    found: list[DataError] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.found)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Take down a DataError of what is done within, and go on behind it."""
        try:
            yield
        except DataError as error:
            self.found.append(error)

    def refuse(self, misfits: InvalidRows | None = None) -> None:
        """Raise one DataError with every file at fault and the rows that were found not to fit; nothing without a fault."""
        if not self.found:
            return
        first, rows = self.found[0], _invalid_row_lines(misfits) if misfits else []
        if len(self.found) == 1 and not rows:
            raise first
        if len(self.found) == 1:
            raise DataError("\n".join([first.what, *rows]), where=first.where, hint=first.hint) from first
        files = [f"  {one.where}: {one.what}{f' ({one.hint})' if one.hint else ''}" for one in self.found[:MAX_LISTED]]
        told = [f"{len(self.found)} files cannot be used", *files, *_more_line(len(self.found)), *rows]
        hint = "mend these files or leave them out; nothing was audited"
        raise DataError("\n".join(told), where=first.where, hint=hint) from first


def invalid_row_error(file: str, misfit: InvalidRow) -> DataError:
    """The error for a row that cannot be used, where nobody gathers them."""
    return DataError(misfit.reason, where=f"{file}:{misfit.line}", hint=misfit.hint)


def _invalid_row_lines(misfits: InvalidRows) -> list[str]:
    count = len(misfits)
    named = [f"  {one.file}:{one.line}: {one.said}" for one in misfits.kept[:MAX_LISTED]]
    return [f"and {count:,} {'row does' if count == 1 else 'rows do'} not fit:", *named, *_more_line(count)]


def _more_line(count: int) -> list[str]:
    return [f"  and {count - MAX_LISTED:,} more"] if count > MAX_LISTED else []


@lru_cache(maxsize=1000)
def _masked_reason(reason: str) -> str:
    masked = mask_hits(reason[: 2 * MAX_REASON_CHARACTERS], (*PERSONAL, *SECRETS))
    return masked if len(masked) <= MAX_REASON_CHARACTERS else f"{masked[: MAX_REASON_CHARACTERS - 1]}…"
