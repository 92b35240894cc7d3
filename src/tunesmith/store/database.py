"""The ledger's SQL database: a SQLite file, or PostgreSQL by URL. Both use the same code path."""

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
    """Transactions, and the insert statements that differ between SQLite and PostgreSQL."""

    engine: sql.Engine

    @contextmanager
    def driver_errors(self, verb: str) -> Iterator[None]:
        """Turn errors of the driver into MachineFailure, which names the database without its password."""
        try:
            yield
        except sql.exc.DatabaseError as error:
            raise MachineFailure(
                f"the ledger cannot be {verb}: {error.orig}",
                where=self.engine.url.render_as_string(),
                hint=LEDGER_HINT,
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: committed at the end of the block, rolled back on an error."""
        with self.driver_errors("used"), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read_transaction(self) -> Iterator[RunQuery]:
        """Queries in SQL text, in one transaction."""
        with self.transaction() as connection:
            yield query_runner(connection)

    def insert(self, table: sql.Table) -> postgresql.Insert | sqlite.Insert:
        """An insert statement with `on_conflict_...` clauses."""
        return postgresql.insert(table) if self.engine.dialect.name == "postgresql" else sqlite.insert(table)

    def upsert(self, connection: Connection, table: sql.Table, values: Mapping[str, Any]) -> None:
        """Insert a row, or replace the one with the same key, in one statement: two runs may share a ledger."""
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        connection.execute(self.insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest))

    def create_tables(self, metadata: sql.MetaData) -> None:
        """Create missing tables, each in a transaction of its own: two runs may open a new ledger at the same time."""
        for table in metadata.sorted_tables:
            try:
                self._create_table(table)
            except (sql.exc.IntegrityError, sql.exc.ProgrammingError):
                # In PostgreSQL the loser of that race gets a duplicate-key error from the catalog; the table exists by now.
                self._create_table(table)

    def _create_table(self, table: sql.Table) -> None:
        with self.engine.begin() as connection:
            connection.execute(CreateTable(table, if_not_exists=True))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(CreateIndex(index, if_not_exists=True))


def query_runner(connection: Connection) -> RunQuery:
    """A function that runs queries in SQL text in the open transaction."""

    def run_query(query: str, values: Mapping[str, Any] = NO_PARAMETERS, /) -> Iterable[Sequence[Any]]:
        return connection.execute(sql.text(query), dict(values))

    return run_query


def open_database(url: str) -> Database:
    """Raises Misuse for an invalid URL or a missing driver. The message leaves the URL out, since it may hold a password."""
    hint = "e.g. sqlite:///ledger.db, or postgresql+psycopg://user@host/name with the extra tunesmith[postgresql]"
    options = {"connect_args": {"timeout": LOCK_TIMEOUT_SECONDS}} if url.startswith("sqlite") else {}
    try:
        engine = sql.create_engine(url, **options)
    except (sql.exc.ArgumentError, ModuleNotFoundError) as error:
        raise Misuse("the database URL cannot be used", where="--database", hint=hint) from error
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise Misuse(f"the ledger cannot be kept in {engine.dialect.name}", where="--database", hint=hint)
    if engine.dialect.name == "sqlite":
        sql.event.listen(engine, "connect", _enable_secure_delete)
    return Database(engine)


def _enable_secure_delete(connection: Any, record: Any) -> None:
    """Overwrite deleted content with zeros: an erased salt must not remain in the free pages of the file."""
    connection.execute("PRAGMA secure_delete = ON")
