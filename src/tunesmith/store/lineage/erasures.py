"""Erasures: a journal that a killed one is finished from, tombstones without content, and the one transaction that switches.

States: `begun` (plan and marks are written, nothing is gone), `switched` (the ledger no longer knows what goes), `finished`
(objects are gone, the record is signed; plan and key of the new ids are gone with them).
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
    """An erasure as the journal has it. `plan` is the caller's own bytes."""

    erasure: str
    state: str
    started: str
    reason: str
    rekey: bytes | None
    plan: bytes | None
    record: str | None


@dataclass(frozen=True)
class Tombstone:
    """What stands where an object was: its digest, what it was, when and why it went. No content."""

    digest: str
    kind: str
    erasure: str
    erased: str
    reason: str


@dataclass(frozen=True)
class DatasetReplacement:
    """A data set that goes, by number and name, the positions to erase in it, and the object without them that takes its place.

    `container` is None when no row is left.
    """

    number: int
    name: str
    positions: tuple[int, ...]
    container: str | None
    rows_digest: str


@dataclass(frozen=True)
class LedgerSwitch:
    """All that changes in the ledger at once.

    `reports` maps objects that refs may point at to what takes their place; stages with these reports are no longer done.
    """

    datasets: tuple[DatasetReplacement, ...]
    reports: Mapping[str, str] = field(default_factory=dict)
    tombstones: tuple[Tombstone, ...] = ()
    salts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Erasures:
    """The verbs of erasure over the ledger's database."""

    database: Database

    def begin(self, erasure: Erasure, marks: Iterable[bytes]) -> None:
        """Write the journal's entry and the marks that keep the rows out, in one transaction."""
        values = {name: getattr(erasure, name) for name in _column_names(ERASURES)}
        with self.database.begin() as connection:
            connection.execute(ERASURES.insert().values(**values))
            for mark in sorted(set(marks)):
                line = self.database.insert(ERASED_MARKS).values(mark=mark, erasure=erasure.erasure)
                connection.execute(line.on_conflict_do_nothing())

    def unfinished(self) -> Erasure | None:
        """The erasure that was killed, or None."""
        query = sql.select(ERASURES).where(ERASURES.c.state != "finished").order_by(ERASURES.c.started).limit(1)
        with self.database.begin() as connection:
            line = connection.execute(query).one_or_none()
        return None if line is None else Erasure(**line._mapping)

    def find(self, erasure: str) -> Erasure | None:
        with self.database.begin() as connection:
            line = connection.execute(sql.select(ERASURES).where(ERASURES.c.erasure == erasure)).one_or_none()
        return None if line is None else Erasure(**line._mapping)

    def switch(self, erasure: str, switch: LedgerSwitch, *, plan: bytes, new_ids: Callable[[Ids], Ids]) -> None:
        """Rows go, the others get new ids, data sets and reports are replaced, salts go: all of it, or nothing.

        `plan` takes the place of the one that said which rows they were.
        """
        with self.database.begin() as connection:
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
        """The last write: the plan, which says which rows they were, goes."""
        with self.database.begin() as connection:
            done = ERASURES.update().where(ERASURES.c.erasure == erasure)
            connection.execute(done.values(state="finished", plan=None, rekey=None, record=record))

    def tombstones(self, erasure: str | None = None) -> list[Tombstone]:
        query = sql.select(TOMBSTONES).order_by(TOMBSTONES.c.digest)
        with self.database.begin() as connection:
            lines = connection.execute(query if erasure is None else query.where(TOMBSTONES.c.erasure == erasure))
            return [Tombstone(**line._mapping) for line in lines]

    def tombstone(self, digest: str) -> Tombstone | None:
        """The tombstone of an object, or None."""
        with self.database.begin() as connection:
            line = connection.execute(sql.select(TOMBSTONES).where(TOMBSTONES.c.digest == digest)).one_or_none()
        return None if line is None else Tombstone(**line._mapping)

    def marks(self) -> frozenset[bytes]:
        """What the rows that were erased are known by: HMACs under a key of the store."""
        with self.database.begin() as connection:
            return frozenset(bytes(mark) for mark in connection.execute(sql.select(ERASED_MARKS.c.mark)).scalars())


def _replace_dataset(
    connection: Connection, erasure: str, replaced: DatasetReplacement, new_ids: Callable[[Ids], Ids]
) -> None:
    """The old data set keeps positions and new ids of what is left, for what was consumed from it; the new one is recorded."""
    rows = postings.read_rows(query_runner(connection), replaced.number)
    gone = numpy.array(replaced.positions, dtype=numpy.uint32)
    left = rows.where(~numpy.isin(rows.positions, gone))
    left = _with_ids(left, new_ids(left.ids))
    posting_writer.write_rows(connection, replaced.number, left)
    old = DATASETS.update().where(DATASETS.c.number == replaced.number, DATASETS.c.erased_by.is_(None))
    connection.execute(old.values(erased_by=erasure))
    of_it = sql.select(TRAININGS.c.number).where(TRAININGS.c.dataset == replaced.number)
    for training in connection.execute(of_it).scalars().all():
        _forget_consumed(connection, training, gone, left)
    if replaced.container is not None:
        made = _with_new_positions(left)
        record_dataset(connection, replaced.container, made, name=replaced.name, rows_digest=replaced.rows_digest)


def _forget_consumed(connection: Connection, training: int, gone: Counts, left: DatasetRows) -> None:
    """A training without what it consumed of the rows that go."""
    keys, payload = postings.read_postings(query_runner(connection), "consumed", training)
    keep = ~numpy.isin(keys, position_keys(gone))
    posting_writer.write_postings(connection, "consumed", training, keys=keys[keep], payload=payload[keep])
    seen = numpy.isin(position_keys(left.positions), keys) if len(keys) else None
    posting_writer.write_origins(connection, "training", training, origins=left.origins(seen))


def _column_names(table: sql.Table) -> list[str]:
    return [column.name for column in table.columns]


def _with_ids(rows: DatasetRows, ids: Ids) -> DatasetRows:
    return DatasetRows(**{**_row_columns(rows), "ids": ids})


def _with_new_positions(rows: DatasetRows) -> DatasetRows:
    return DatasetRows(**{**_row_columns(rows), "positions": numpy.arange(len(rows.ids), dtype=numpy.uint32)})


def _row_columns(rows: DatasetRows) -> dict[str, Any]:
    return {name: getattr(rows, name) for name in DatasetRows.__dataclass_fields__}
