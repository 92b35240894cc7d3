"""Misfits: rows of data files that cannot be used, gathered while the rows after them are read."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tunesmith.data.format import Misfit
from tunesmith.errors import DataError

KEPT: Final = 10_000
"""Misfits whose line and reason are held in memory, over all files; the rest are counted."""


class Misplaced(NamedTuple):
    """A row that cannot be used: its file, line and split, why, what to do."""

    file: str
    line: int
    split: str
    reason: str
    hint: str


@dataclass
class Misfits:
    """The first KEPT of them in the order of reading, and by file how many more there are."""

    kept: list[Misplaced] = field(default_factory=list)
    more: Counter[str] = field(default_factory=Counter)

    def __len__(self) -> int:
        return len(self.kept) + self.more.total()

    def add(self, file: str, misfit: Misfit, split: str) -> None:
        """Take one down."""
        if len(self.kept) < KEPT:
            self.kept.append(Misplaced(file, misfit.line, split, misfit.reason, misfit.hint))
        else:
            self.more[file] += 1


def refuse(file: str, misfit: Misfit) -> DataError:
    """The error for a row that cannot be used, where nobody gathers them."""
    return DataError(misfit.reason, where=f"{file}:{misfit.line}", hint=misfit.hint)
