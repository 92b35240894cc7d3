"""The ledger: runs, data-set salts, stage results, releases, refs. SQLite in a file, or PostgreSQL by URL; one code path."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import sqlalchemy as sql
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateTable

from tunesmith.errors import MachineFailure, Misuse

METADATA = sql.MetaData()

RUNS = sql.Table(
    "runs",
    METADATA,
    sql.Column("run_id", sql.String(32), primary_key=True),
    sql.Column("recipe", sql.Text, nullable=False),
    sql.Column("started", sql.String(40), nullable=False),
    sql.Column("finished", sql.String(40)),
    sql.Column("outcome", sql.String(20)),
)
STAGES = sql.Table(
    "stages",
    METADATA,
    sql.Column("content_key", sql.String(80), primary_key=True),
    sql.Column("stage", sql.String(20), nullable=False),
    sql.Column("run_id", sql.String(32), nullable=False),
    sql.Column("report", sql.String(80), nullable=False),
    sql.Column("report_digest", sql.String(80), nullable=False),
)
SALTS = sql.Table(
    "salts",
    METADATA,
    sql.Column("dataset", sql.String(200), primary_key=True),
    sql.Column("salt", sql.LargeBinary, nullable=False),
)
RELEASES = sql.Table(
    "releases",
    METADATA,
    sql.Column("name", sql.String(200), primary_key=True),
    sql.Column("version", sql.Integer, primary_key=True),
    sql.Column("content_key", sql.String(80), nullable=False, unique=True),
    sql.Column("folder", sql.Text, nullable=False),
    sql.Column("created", sql.String(40), nullable=False),
)
REFS = sql.Table(
    "refs",
    METADATA,
    sql.Column("name", sql.String(200), primary_key=True),
    sql.Column("digest", sql.String(80), nullable=False),
)


@dataclass(frozen=True)
class StageRow:
    """A finished stage: where its report lies and what the report's own digest is."""

    stage: str
    run_id: str
    report: str
    report_digest: str


class Ledger:
    """SQL tables behind a few verbs. `url` is an SQLAlchemy URL."""

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        with self._failures("opened"):
            _make_tables(self._engine)

    @contextmanager
    def _failures(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sql.exc.DatabaseError as error:
            raise MachineFailure(
                f"the ledger cannot be {verb}: {error.orig}",
                where=self._engine.url.render_as_string(),
                hint="check --database, its rights and the space on its disk; finished stages are kept",
            ) from error

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self._failures("used"), self._engine.begin() as connection:
            yield connection

    def _upsert(self, connection: Connection, table: sql.Table, values: dict[str, str]) -> None:
        """Write a row over the one with the same key, in one statement: two runs may share a ledger."""
        keys = [column.name for column in table.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        connection.execute(self._insert(table).values(**values).on_conflict_do_update(index_elements=keys, set_=rest))

    def _insert(self, table: sql.Table) -> postgresql.Insert | sqlite.Insert:
        return postgresql.insert(table) if self._engine.dialect.name == "postgresql" else sqlite.insert(table)

    def close(self) -> None:
        """Give connections back."""
        self._engine.dispose()

    def start_run(self, run_id: str, *, recipe: str, started: str) -> None:
        """Record a run; its time is fixed here once."""
        with self._begin() as connection:
            connection.execute(RUNS.insert().values(run_id=run_id, recipe=recipe, started=started))

    def finish_run(self, run_id: str, *, finished: str, outcome: str) -> None:
        with self._begin() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run_id == run_id).values(finished=finished, outcome=outcome))

    def salt(self, dataset: str) -> bytes:
        """The data set's salt of 32 random bytes, made on first use. Deleting it makes its row ids meaningless."""
        with self._begin() as connection:
            query = sql.select(SALTS.c.salt).where(SALTS.c.dataset == dataset)
            found = connection.execute(query).scalar()
            if found is None:
                made = self._insert(SALTS).values(dataset=dataset, salt=secrets.token_bytes(32))
                connection.execute(made.on_conflict_do_nothing())
                found = connection.execute(query).scalar_one()
            return bytes(found)

    def stage(self, content_key: str) -> StageRow | None:
        """The finished stage of a content key, or None."""
        with self._begin() as connection:
            row = connection.execute(sql.select(STAGES).where(STAGES.c.content_key == content_key)).one_or_none()
        return None if row is None else StageRow(row.stage, row.run_id, row.report, row.report_digest)

    def report_of(self, report_digest: str) -> str | None:
        """The stored object of a report that is known by its own digest, or None."""
        with self._begin() as connection:
            query = sql.select(STAGES.c.report).where(STAGES.c.report_digest == report_digest).limit(1)
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def finish_stage(self, content_key: str, *, row: StageRow) -> None:
        """Record a finished stage; the last thing a stage does."""
        with self._begin() as connection:
            self._upsert(connection, STAGES, {"content_key": content_key, **asdict(row)})

    def release_of(self, content_key: str) -> tuple[int, str] | None:
        """(version, folder) of the release with this content key, or None."""
        with self._begin() as connection:
            query = sql.select(RELEASES.c.version, RELEASES.c.folder).where(RELEASES.c.content_key == content_key)
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.version, row.folder)

    def next_version(self, name: str) -> int:
        """The next free integer for a release name, from 1."""
        with self._begin() as connection:
            query = sql.select(sql.func.max(RELEASES.c.version)).where(RELEASES.c.name == name)
            return int(connection.execute(query).scalar() or 0) + 1

    def record_release(self, name: str, version: int, *, content_key: str, folder: str, created: str) -> None:
        """Record a release; recorded again, the same content key moves. Raises MachineFailure when the version is taken."""
        values = {"name": name, "version": version, "content_key": content_key, "folder": folder, "created": created}
        with self._begin() as connection:
            connection.execute(RELEASES.delete().where(RELEASES.c.content_key == content_key))
            connection.execute(RELEASES.insert().values(**values))

    def set_ref(self, name: str, digest: str) -> None:
        """Point a name at a digest."""
        with self._begin() as connection:
            self._upsert(connection, REFS, {"name": name, "digest": digest})

    def ref(self, name: str) -> str | None:
        with self._begin() as connection:
            found = connection.execute(sql.select(REFS.c.digest).where(REFS.c.name == name)).scalar()
        return None if found is None else str(found)


def _make_tables(engine: sql.Engine) -> None:
    """Make the tables that are not there, one transaction each, for two runs may open a new ledger at once."""
    for table in METADATA.sorted_tables:
        try:
            _make_table(engine, table)
        except (sql.exc.IntegrityError, sql.exc.ProgrammingError):
            # PostgreSQL tells the loser of that race of a duplicate in its catalogue; by now the table is there.
            _make_table(engine, table)


def _make_table(engine: sql.Engine, table: sql.Table) -> None:
    with engine.begin() as connection:
        connection.execute(CreateTable(table, if_not_exists=True))


def _engine(url: str) -> sql.Engine:
    """Raises Misuse for a URL that cannot be read or has no driver here; it is not repeated, it may hold a password."""
    hint = "e.g. sqlite:///ledger.db, or postgresql+psycopg://user@host/name with the extra tunesmith[postgresql]"
    try:
        engine = sql.create_engine(url)
    except (sql.exc.ArgumentError, ModuleNotFoundError) as error:
        raise Misuse("the database URL cannot be used", where="--database", hint=hint) from error
    if engine.dialect.name not in ("sqlite", "postgresql"):
        raise Misuse(f"the ledger cannot be kept in {engine.dialect.name}", where="--database", hint=hint)
    return engine
