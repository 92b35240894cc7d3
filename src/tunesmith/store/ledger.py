"""The ledger: runs, salts of data sets, finished stages, releases and refs; lineage and erasures have classes of their own."""

import secrets
from dataclasses import asdict, dataclass

import sqlalchemy as sql

from tunesmith.store.database import open_database
from tunesmith.store.lineage import Lookups
from tunesmith.store.lineage.erasures import Erasures
from tunesmith.store.lineage.lineage import Lineage
from tunesmith.store.schema import METADATA, REFS, RELEASES, RUNS, SALTS, STAGES


@dataclass(frozen=True)
class StageRow:
    """A finished stage: `report` is the digest of the stored object, `report_digest` the report's own digest."""

    stage: str
    run_id: str
    report: str
    report_digest: str


class Ledger:
    """Reads and writes the ledger's SQL tables. `url` is an SQLAlchemy URL. Raises MachineFailure when the database fails."""

    def __init__(self, url: str) -> None:
        self._database = open_database(url)
        with self._database.driver_errors("opened"):
            self._database.create_tables(METADATA)
        self._transaction = self._database.transaction
        self.lineage = Lineage(self._database)
        self.lookups = Lookups(self._database)
        self.erasures = Erasures(self._database)

    def close(self) -> None:
        """Close all connections."""
        self._database.engine.dispose()

    def start_run(self, run_id: str, *, recipe: str, started: str) -> None:
        """Record a new run with its start time."""
        with self._transaction() as connection:
            connection.execute(RUNS.insert().values(run_id=run_id, recipe=recipe, started=started))

    def finish_run(self, run_id: str, *, finished: str, outcome: str) -> None:
        with self._transaction() as connection:
            connection.execute(RUNS.update().where(RUNS.c.run_id == run_id).values(finished=finished, outcome=outcome))

    def salt(self, dataset: str) -> bytes:
        """The data set's salt, 32 random bytes, created on first use. Without it, row ids cannot be linked to rows."""
        with self._transaction() as connection:
            query = sql.select(SALTS.c.salt).where(SALTS.c.dataset == dataset)
            salt = connection.execute(query).scalar()
            if salt is None:
                # Another run may insert a salt in between, so the stored one is read back.
                insert = self._database.insert(SALTS).values(dataset=dataset, salt=secrets.token_bytes(32))
                connection.execute(insert.on_conflict_do_nothing())
                salt = connection.execute(query).scalar_one()
            return bytes(salt)

    def stage(self, content_key: str) -> StageRow | None:
        """The finished stage with this content key, or None."""
        with self._transaction() as connection:
            row = connection.execute(sql.select(STAGES).where(STAGES.c.content_key == content_key)).one_or_none()
        return None if row is None else StageRow(row.stage, row.run_id, row.report, row.report_digest)

    def report_of(self, report_digest: str) -> str | None:
        """The digest of the stored object of a report, by the report's own digest; or None."""
        with self._transaction() as connection:
            query = sql.select(STAGES.c.report).where(STAGES.c.report_digest == report_digest).limit(1)
            report = connection.execute(query).scalar()
        return None if report is None else str(report)

    def finish_stage(self, content_key: str, *, row: StageRow) -> None:
        """Record a finished stage; the last step of every stage."""
        with self._transaction() as connection:
            self._database.upsert(connection, STAGES, {"content_key": content_key, **asdict(row)})

    def release_of(self, content_key: str) -> tuple[int, str] | None:
        """(version, folder) of the release with this content key, or None."""
        with self._transaction() as connection:
            query = sql.select(RELEASES.c.version, RELEASES.c.folder).where(RELEASES.c.content_key == content_key)
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.version, row.folder)

    def next_version(self, name: str) -> int:
        """The next free version of a release name, counted from 1."""
        with self._transaction() as connection:
            query = sql.select(sql.func.max(RELEASES.c.version)).where(RELEASES.c.name == name)
            return int(connection.execute(query).scalar() or 0) + 1

    def record_release(self, name: str, version: int, *, content_key: str, folder: str, created: str) -> None:
        """Record a release. A content key recorded again replaces its entry. Raises MachineFailure when the version is taken."""
        values = {"name": name, "version": version, "content_key": content_key, "folder": folder, "created": created}
        with self._transaction() as connection:
            connection.execute(RELEASES.delete().where(RELEASES.c.content_key == content_key))
            connection.execute(RELEASES.insert().values(**values))

    def set_ref(self, name: str, digest: str) -> None:
        """Point a name at a digest."""
        with self._transaction() as connection:
            self._database.upsert(connection, REFS, {"name": name, "digest": digest})

    def ref(self, name: str) -> str | None:
        with self._transaction() as connection:
            digest = connection.execute(sql.select(REFS.c.digest).where(REFS.c.name == name)).scalar()
        return None if digest is None else str(digest)
