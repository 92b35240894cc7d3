"""Read-only SQL queries on the ledger, in SQL that both SQLite and PostgreSQL accept. SQLite files are read with `sqlite3`.

Commands that only read, such as `tunesmith trace`, thus need not import SQLAlchemy, whose import takes longer than the queries.
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
"""Seconds to wait for another process that writes to the same SQLite file; SQLite's default of 5 is short on a busy machine."""
NO_PARAMETERS: Final[Mapping[str, Any]] = {}


class RunQuery(Protocol):
    """Runs an SQL query with named parameters (`:name`) and returns its rows."""

    def __call__(self, query: str, values: Mapping[str, Any] = NO_PARAMETERS, /) -> Iterable[Sequence[Any]]: ...


class QueryableDatabase(Protocol):
    """A database that can be queried."""

    def read_transaction(self) -> AbstractContextManager[RunQuery]:
        """A transaction: all its queries see the same state of the database."""
        ...


@dataclass(frozen=True)
class SqliteFile:
    """An existing SQLite file. It is opened for every transaction, which takes about 0.1 ms."""

    path: Path

    @contextmanager
    def read_transaction(self) -> Iterator[RunQuery]:
        try:
            # Not `mode=ro`: SQLite must roll back the unfinished transaction of a killed run before it reads.
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
        with self.read_transaction() as run_query:
            return frozenset(str(name) for (name,) in run_query("SELECT name FROM sqlite_master WHERE type = 'table'"))


def in_condition(column: str, values: Iterable[int]) -> tuple[str, dict[str, int]]:
    """An SQL condition `column IN (values)`, and its named parameters. Without values the condition is false."""
    parameters = {f"{column}{number}": value for number, value in enumerate(sorted(set(values)))}
    return (f"{column} IN ({', '.join(f':{name}' for name in parameters)})" if parameters else "1 = 0"), parameters
