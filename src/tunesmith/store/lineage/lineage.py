"""Records the lineage of rows, data sets, trainings, models and releases; see `lookups` for reading it.

Every record is written in one transaction under its own digest, so recording is idempotent.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sql
from sqlalchemy import Connection

from tunesmith.store.database import Database
from tunesmith.store.lineage import posting_writer
from tunesmith.store.lineage.records import ConsumedRows, DatasetRows, Training
from tunesmith.store.schema import DATASETS, LINEAGE_RELEASES, PARENTS, TRAININGS, WEIGHTS


@dataclass(frozen=True)
class Lineage:
    """Writes lineage to the ledger's database."""

    database: Database

    def record_dataset(self, container: str, rows: DatasetRows, *, name: str, rows_digest: str) -> int:
        """Record a data set, identified by its container digest, with its rows. Returns its number; skips an existing one."""
        with self.database.transaction() as connection:
            return record_dataset(connection, container, rows, name=name, rows_digest=rows_digest)

    def record_training(
        self, training: Training, *, dataset: int, consumed: ConsumedRows | None, origins: Mapping[tuple[str, str], int]
    ) -> int:
        """Record a training, identified by its report's digest. Returns its number; does nothing when it exists.

        `consumed` is None when the training has no consumption record.
        """
        with self.database.transaction() as connection:
            query = sql.select(TRAININGS.c.number).where(TRAININGS.c.report_digest == training.report_digest)
            existing = connection.execute(query).scalar()
            if existing is not None:
                return int(existing)
            number = _insert_numbered(connection, TRAININGS, _training_values(training, dataset, consumed is not None))
            if consumed is not None:
                posting_writer.write_consumed(connection, number, consumed)
            posting_writer.write_origins(connection, "training", number, origins=dict(origins))
            self._add_parents(connection, training.model, {training.base: training.how})
            return number

    def record_merge(self, model: str, parents: Sequence[str]) -> None:
        """Record a model that was merged from the weights of several."""
        with self.database.transaction() as connection:
            self._add_parents(connection, model, dict.fromkeys(parents, "merged"))

    def record_weights(self, model: str, digests: Iterable[str]) -> None:
        """Record the digests of a model's weight files, in its own tree or rounded in a release; they identify the model."""
        with self.database.transaction() as connection:
            for digest in sorted(set(digests)):
                insert = self.database.insert(WEIGHTS).values(digest=digest, model=model)
                connection.execute(insert.on_conflict_do_nothing())

    def record_release(self, name: str, version: int, *, model: str) -> None:
        with self.database.transaction() as connection:
            self.database.upsert(connection, LINEAGE_RELEASES, {"name": name, "version": version, "model": model})

    def _add_parents(self, connection: Connection, child: str, parents: Mapping[str, str]) -> None:
        for parent, how in sorted(parents.items()):
            insert = self.database.insert(PARENTS).values(child=child, parent=parent, how=how)
            connection.execute(insert.on_conflict_do_nothing())


def record_dataset(connection: Connection, container: str, rows: DatasetRows, *, name: str, rows_digest: str) -> int:
    """`Lineage.record_dataset` in an open transaction."""
    existing = connection.execute(sql.select(DATASETS.c.number).where(DATASETS.c.container == container)).scalar()
    if existing is not None:
        return int(existing)
    names = json.dumps({key: list(value) for key, value in rows.names.items()}, sort_keys=True)
    values = {"container": container, "rows_digest": rows_digest, "name": name, "rows": len(rows.ids), "names": names}
    number = _insert_numbered(connection, DATASETS, values)
    posting_writer.write_rows(connection, number, rows)
    return number


def _insert_numbered(connection: Connection, table: sql.Table, values: Mapping[str, object]) -> int:
    key = connection.execute(table.insert().values(**values)).inserted_primary_key
    assert key is not None
    return int(key[0])


def _training_values(training: Training, dataset: int, recorded: bool) -> dict[str, object]:
    return {
        "report_digest": training.report_digest,
        "run_id": training.run_id,
        "dataset": dataset,
        "model": training.model,
        "recorded": recorded,
        "steps": training.steps,
        "tokens": training.tokens,
        "seconds": training.seconds,
    }
