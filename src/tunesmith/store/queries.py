"""Questions to the ledger in SQL, spelled once for SQLite and PostgreSQL. A file of SQLite is asked by the standard library.

What only looks, as `tunesmith trace` does, need not import the library that writes; that import takes longer than the question.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from tunesmith.errors import MachineFailure

LEDGER_HINT: Final = "check --database, its rights and the space on its disk; finished stages are kept"
LOCK_TIMEOUT_SECONDS: Final = 60
"""Seconds to wait for another process that writes to the same file of SQLite; its own 5 are short on a busy machine."""
NO_PARAMETERS: Final[Mapping[str, Any]] = {}


class RunQuery(Protocol):
    """Lines that answer a query; its values are named `:so`."""

    def __call__(self, query: str, values: Mapping[str, Any] = NO_PARAMETERS, /) -> Iterable[Sequence[Any]]: ...


class QueryableDatabase(Protocol):
    """A database that can be asked."""

    def reading(self) -> AbstractContextManager[RunQuery]:
        """All that is asked within sees one state of the database."""
        ...


@dataclass(frozen=True)
class SqliteFile:
    """A database of SQLite that is there already. It is opened for each reading, which takes a tenth of a millisecond."""

    path: Path

    @contextmanager
    def reading(self) -> Iterator[RunQuery]:
        try:
            # Not `mode=ro`: what a killed run left half-written is rolled back first, by whoever comes next.
            with closing(
                sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=rw", uri=True, timeout=LOCK_TIMEOUT_SECONDS)
            ) as connection:
                connection.isolation_level = None
                connection.execute("BEGIN")
                yield connection.execute
        except sqlite3.Error as error:
            raise MachineFailure(
                f"the ledger cannot be used: {error}", where=str(self.path), hint=LEDGER_HINT
            ) from error

    def tables(self) -> frozenset[str]:
        """The names of its tables."""
        with self.reading() as ask:
            return frozenset(str(name) for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'"))


def in_condition(column: str, values: Iterable[int]) -> tuple[str, dict[str, int]]:
    """A condition that holds where the column has one of the values, and the values by name."""
    named = {f"{column}{number}": value for number, value in enumerate(sorted(set(values)))}
    return (f"{column} IN ({', '.join(f':{name}' for name in named)})" if named else "1 = 0"), named
