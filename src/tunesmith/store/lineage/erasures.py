"""Erasures: a journal from which an interrupted erasure is finished, tombstones, and the transaction that changes the ledger.

States: `begun` (plan and marks are written, nothing is deleted), `switched` (the ledger no longer has the erased rows),
`finished` (objects are deleted and the record is signed; the plan and the key of the new ids are deleted too).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy
import sqlalchemy as sql
from sqlalchemy import Connection

from tunesmith.store.database import Database, query_runner
from tunesmith.store.lineage import posting_writer, postings
from tunesmith.store.lineage.blocks import position_keys
from tunesmith.store.lineage.lineage import record_dataset
from tunesmith.store.lineage.records import Counts, DatasetRows, Ids
from tunesmith.store.schema import (
    DATASETS,
    ERASED_MARKS,
    ERASURES,
    REFS,
    SALTS,
    STAGES,
    TOMBSTONES,
    TRAININGS,
)


@dataclass(frozen=True)
class Erasure:
    """An erasure in the journal. `plan` is opaque to the ledger: the caller's bytes."""

    erasure: str
    state: str
    started: str
    reason: str
    rekey: bytes | None
    plan: bytes | None
    record: str | None


@dataclass(frozen=True)
class Tombstone:
    """The record of a deleted object: its digest, its kind, when and why it was deleted. No content."""

    digest: str
    kind: str
    erasure: str
    erased: str
    reason: str


@dataclass(frozen=True)
class DatasetReplacement:
    """A data set to be replaced: its number and name, the positions to erase, and the object that replaces it.

    `container` is None when no row is left.
    """

    number: int
    name: str
    positions: tuple[int, ...]
    container: str | None
    rows_digest: str


@dataclass(frozen=True)
class LedgerSwitch:
    """All changes of an erasure to the ledger, made in one transaction.

    `reports` maps report objects to their replacements: refs are moved, and stages with the old reports count as unfinished.
    `salts` names the data sets whose salts are deleted.
    """

    datasets: tuple[DatasetReplacement, ...]
    reports: Mapping[str, str] = field(default_factory=dict)
    tombstones: tuple[Tombstone, ...] = ()
    salts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Erasures:
    """Writes and reads erasures in the ledger's database."""

    database: Database

    def begin(self, erasure: Erasure, marks: Iterable[bytes]) -> None:
        """Write the journal entry, and the marks by which erased rows are refused from now on, in one transaction."""
        values = {name: getattr(erasure, name) for name in _column_names(ERASURES)}
        with self.database.transaction() as connection:
            connection.execute(ERASURES.insert().values(**values))
            for mark in sorted(set(marks)):
                insert = self.database.insert(ERASED_MARKS).values(mark=mark, erasure=erasure.erasure)
                connection.execute(insert.on_conflict_do_nothing())

    def unfinished(self) -> Erasure | None:
        """The erasure that was interrupted, or None."""
        query = sql.select(ERASURES).where(ERASURES.c.state != "finished").order_by(ERASURES.c.started).limit(1)
        with self.database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Erasure(**row._mapping)

    def find(self, erasure: str) -> Erasure | None:
        with self.database.transaction() as connection:
            row = connection.execute(sql.select(ERASURES).where(ERASURES.c.erasure == erasure)).one_or_none()
        return None if row is None else Erasure(**row._mapping)

    def switch(self, erasure: str, switch: LedgerSwitch, *, plan: bytes, new_ids: Callable[[Ids], Ids]) -> None:
        """Delete rows, give the remaining ones new ids, replace data sets and reports, delete salts, in one transaction.

        `plan` replaces the plan that lists the erased rows.
        """
        with self.database.transaction() as connection:
            for replaced in switch.datasets:
                _replace_dataset(connection, erasure, replaced, new_ids)
            for old, new in switch.reports.items():
                connection.execute(STAGES.delete().where(STAGES.c.report == old))
                connection.execute(REFS.update().where(REFS.c.digest == old).values(digest=new))
            for tombstone in switch.tombstones:
                values = {name: getattr(tombstone, name) for name in _column_names(TOMBSTONES)}
                connection.execute(self.database.insert(TOMBSTONES).values(**values).on_conflict_do_nothing())
            connection.execute(SALTS.delete().where(SALTS.c.dataset.in_(switch.salts)))
            state = ERASURES.update().where(ERASURES.c.erasure == erasure)
            connection.execute(state.values(state="switched", plan=plan, rekey=None))

    def finish(self, erasure: str, record: str) -> None:
        """Mark the erasure as finished, and delete its plan, which lists the erased rows."""
        with self.database.transaction() as connection:
            entry = ERASURES.update().where(ERASURES.c.erasure == erasure)
            connection.execute(entry.values(state="finished", plan=None, rekey=None, record=record))

    def tombstones(self, erasure: str | None = None) -> list[Tombstone]:
        query = sql.select(TOMBSTONES).order_by(TOMBSTONES.c.digest)
        with self.database.transaction() as connection:
            rows = connection.execute(query if erasure is None else query.where(TOMBSTONES.c.erasure == erasure))
            return [Tombstone(**row._mapping) for row in rows]

    def tombstone(self, digest: str) -> Tombstone | None:
        """The tombstone of an object, or None."""
        with self.database.transaction() as connection:
            row = connection.execute(sql.select(TOMBSTONES).where(TOMBSTONES.c.digest == digest)).one_or_none()
        return None if row is None else Tombstone(**row._mapping)

    def marks(self) -> frozenset[bytes]:
        """The marks of all erased rows: HMACs under a key of the store."""
        with self.database.transaction() as connection:
            return frozenset(bytes(mark) for mark in connection.execute(sql.select(ERASED_MARKS.c.mark)).scalars())


def _replace_dataset(
    connection: Connection, erasure: str, replaced: DatasetReplacement, new_ids: Callable[[Ids], Ids]
) -> None:
    """Erase rows of a data set and record its replacement. The old entry keeps the remaining rows, under new ids, because
    trainings consumed them."""
    rows = postings.read_rows(query_runner(connection), replaced.number)
    erased = numpy.array(replaced.positions, dtype=numpy.uint32)
    remaining = rows.where(~numpy.isin(rows.positions, erased))
    remaining = _with_ids(remaining, new_ids(remaining.ids))
    posting_writer.write_rows(connection, replaced.number, remaining)
    old = DATASETS.update().where(DATASETS.c.number == replaced.number, DATASETS.c.erased_by.is_(None))
    connection.execute(old.values(erased_by=erasure))
    trainings = sql.select(TRAININGS.c.number).where(TRAININGS.c.dataset == replaced.number)
    for training in connection.execute(trainings).scalars().all():
        _forget_consumed(connection, training, erased, remaining)
    if replaced.container is not None:
        renumbered = _with_new_positions(remaining)
        record_dataset(connection, replaced.container, renumbered, name=replaced.name, rows_digest=replaced.rows_digest)


def _forget_consumed(connection: Connection, training: int, erased: Counts, remaining: DatasetRows) -> None:
    """Delete what a training consumed of the erased rows."""
    keys, payload = postings.read_postings(query_runner(connection), "consumed", training)
    keep = ~numpy.isin(keys, position_keys(erased))
    posting_writer.write_postings(connection, "consumed", training, keys=keys[keep], payload=payload[keep])
    consumed = numpy.isin(position_keys(remaining.positions), keys) if len(keys) else None
    posting_writer.write_origins(connection, "training", training, origins=remaining.origins(consumed))


def _column_names(table: sql.Table) -> list[str]:
    return [column.name for column in table.columns]


def _with_ids(rows: DatasetRows, ids: Ids) -> DatasetRows:
    return DatasetRows(**{**_row_columns(rows), "ids": ids})


def _with_new_positions(rows: DatasetRows) -> DatasetRows:
    return DatasetRows(**{**_row_columns(rows), "positions": numpy.arange(len(rows.ids), dtype=numpy.uint32)})


def _row_columns(rows: DatasetRows) -> dict[str, Any]:
    return {name: getattr(rows, name) for name in DatasetRows.__dataclass_fields__}
