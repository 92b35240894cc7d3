"""One SQL database: SQLite in a file, or PostgreSQL by URL; one code path, and errors that name the place."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from tunesmith.errors import MachineFailure, Misuse
from tunesmith.store.queries import LEDGER_HINT, LOCK_TIMEOUT_SECONDS, NO_PARAMETERS, RunQuery


@dataclass(frozen=True)
class Database:
    """Transactions and the inserts whose spelling differs between the two."""

    engine: sql.Engine

    @contextmanager
    def failures(self, verb: str) -> Iterator[None]:
        """Turn what the driver raises into a MachineFailure that names the database without its password."""
        try:
            yield
        except sql.exc.DatabaseError as error:
            raise MachineFailure(
                f"the ledger cannot be {verb}: {error.orig}",
                where=self.engine.url.render_as_string(),
                hint=LEDGER_HINT,
            ) from error

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction: all or nothing."""
        with self.failures("used"), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[RunQuery]:
        """Questions in SQL, in one transaction."""
        with self.begin() as connection:
            yield query_runner(connection)

    def insert(self, table: sql.Table) -> postgresql.Insert | sqlite.Insert:
        """An insert that knows `on_conflict_...`."""
        return postgresql.insert(table) if self.engine.dialect.name == "postgresql" else sqlite.insert(table)

    def upsert(self, connection: Connection, table: sql.Table, values: Mapping[str, Any]) -> None:
        """Write a row over the one with the same key, in one statement: two runs may share a ledger."""
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        connection.execute(self.insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest))

    def make_tables(self, metadata: sql.MetaData) -> None:
        """Make the tables that are not there, one transaction each, for two runs may open a new ledger at once."""
        for table in metadata.sorted_tables:
            try:
                self._make_table(table)
            except (sql.exc.IntegrityError, sql.exc.ProgrammingError):
                # PostgreSQL tells the loser of that race of a duplicate in its catalogue; by now the table is there.
                self._make_table(table)

    def _make_table(self, table: sql.Table) -> None:
        with self.engine.begin() as connection:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda one: str(one.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))


def query_runner(connection: Connection) -> RunQuery:
    """Questions in SQL within a transaction that is open."""

    def ask(query: str, values: Mapping[str, Any] = NO_PARAMETERS, /) -> Iterable[Sequence[Any]]:
        return connection.execute(sql.text(query), dict(values))

    return ask


def open_database(url: str) -> Database:
    """Raises Misuse for a URL that cannot be read or has no driver here; it is not repeated, it may hold a password."""
    hint = "e.g. sqlite:///ledger.db, or postgresql+psycopg://user@host/name with the extra tunesmith[postgresql]"
    waits = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}} if url.startswith("sqlite") else {}
    try:
        engine = sql.create_engine(url, **waits)
    except (sql.exc.ArgumentError, ModuleNotFoundError) as error:
        raise Misuse("the database URL cannot be used", where="--database", hint=hint) from error
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise Misuse(f"the ledger cannot be kept in {engine.dialect.name}", where="--database", hint=hint)
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _enable_secure_delete)
    return Database(engine)


def _enable_secure_delete(connection: Any, record: Any) -> None:
    """What is deleted is overwritten with zeros in the file: an erased salt must not be found among its free pages."""
    connection.execute("PRAGMA secure_delete = ON")
