"""Lineage: what was recorded of rows, data sets, trainings, models and releases, and the look-ups that trace them.

Everything is recorded in one transaction and under its own digest, so that what is recorded again changes nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy
import sqlalchemy as sql
from sqlalchemy import Connection

from tunesmith.store.database import Database
from tunesmith.store.lineage import postings
from tunesmith.store.lineage.blocks import position_keys
from tunesmith.store.lineage.nouns import Consumed, DatasetRows, Known, Seen, Taught, Training
from tunesmith.store.schema import (
    DATASETS,
    ORIGINS,
    PARENTS,
    RELEASED,
    RUNS,
    TRAININGS,
    WEIGHTS,
)

Span = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Lineage:
    """The verbs of lineage over the ledger's database."""

    database: Database

    def record_dataset(self, container: str, rows: DatasetRows, *, name: str, rows_digest: str) -> int:
        """The number of a data set, known by its container; its rows are written when it is new."""
        with self.database.begin() as connection:
            return record_dataset(connection, container, rows, name=name, rows_digest=rows_digest)

    def record_training(
        self, training: Training, *, dataset: int, consumed: Consumed | None, origins: Mapping[tuple[str, str], int]
    ) -> int:
        """The number of a training, known by its report's digest. `consumed` is None when there is no record of it."""
        with self.database.begin() as connection:
            known = sql.select(TRAININGS.c.number).where(TRAININGS.c.report_digest == training.report_digest)
            found = connection.execute(known).scalar()
            if found is not None:
                return int(found)
            number = _added(connection, TRAININGS, _training(training, dataset, consumed is not None))
            if consumed is not None:
                postings.write_consumed(connection, number, consumed)
            postings.write_origins(connection, "training", number, origins=dict(origins))
            self._add_parents(connection, training.model, {training.base: training.how})
            return number

    def training(self, report_digest: str) -> int | None:
        """The number of a training by its report's digest, or None."""
        query = sql.select(TRAININGS.c.number).where(TRAININGS.c.report_digest == report_digest)
        with self.database.begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def record_merge(self, model: str, parents: Sequence[str]) -> None:
        """A model that was made from the weights of several."""
        with self.database.begin() as connection:
            self._add_parents(connection, model, dict.fromkeys(parents, "merged"))

    def record_weights(self, model: str, digests: Iterable[str]) -> None:
        """Files of weights that are this model's, in its own tree or rounded in a release: whoever has them has the model."""
        with self.database.begin() as connection:
            for digest in sorted(set(digests)):
                line = self.database.insert(WEIGHTS).values(digest=digest, model=model)
                connection.execute(line.on_conflict_do_nothing())

    def record_release(self, name: str, version: int, *, model: str) -> None:
        with self.database.begin() as connection:
            self.database.upsert(connection, RELEASED, {"name": name, "version": version, "model": model})

    def _add_parents(self, connection: Connection, child: str, parents: Mapping[str, str]) -> None:
        for parent, how in sorted(parents.items()):
            line = self.database.insert(PARENTS).values(child=child, parent=parent, how=how)
            connection.execute(line.on_conflict_do_nothing())

    def datasets(self) -> list[Known]:
        """Every data set, also those whose object was erased."""
        columns = [DATASETS.c[name] for name in ("number", "container", "name", "rows", "rows_digest", "erased_by")]
        with self.database.begin() as connection:
            return [Known(*line) for line in connection.execute(sql.select(*columns).order_by(DATASETS.c.number))]

    def rows_of(self, dataset: int) -> DatasetRows:
        """All rows that lineage has of a data set."""
        with self.database.begin() as connection:
            return read_rows(connection, dataset)

    def with_ids(self, ids: Iterable[str]) -> list[Seen]:
        """Rows by id (16 hex digits), in every data set that has them."""
        return self._seen("row", [bytes.fromhex(one) for one in ids])

    def with_subject(self, mark: str) -> list[Seen]:
        """Rows of a person, by mark (32 hex digits)."""
        return self._seen("subject", [bytes.fromhex(mark)])

    def at(self, dataset: int, positions: Iterable[int]) -> list[Seen]:
        """Rows of a data set by position; those that were erased are not there."""
        with self.database.begin() as connection:
            return _at(connection, dataset, positions)

    def _seen(self, kind: str, keys: list[bytes]) -> list[Seen]:
        if not keys:
            return []
        with self.database.begin() as connection:
            found: dict[int, list[int]] = {}
            for owner, _, payload in postings.look_up(connection, kind, keys):
                found.setdefault(owner, []).extend(payload["position"].tolist())
            return [seen for owner in sorted(found) for seen in _at(connection, owner, found[owner])]

    def origin(self, kind: str, name: str) -> dict[str, dict[int, int]]:
        """Rows of a source or generator by number of the data set that has them and of the training that consumed them."""
        query = sql.select(ORIGINS.c.owner_kind, ORIGINS.c.owner, ORIGINS.c.rows)
        found: dict[str, dict[int, int]] = {"dataset": {}, "training": {}}
        with self.database.begin() as connection:
            for line in connection.execute(query.where(ORIGINS.c.kind == kind, ORIGINS.c.name == name)):
                found[line.owner_kind][line.owner] = line.rows
        return found

    def origin_names(self, kind: str) -> list[str]:
        """Every source or generator that a row was said to come from."""
        query = sql.select(ORIGINS.c.name).where(ORIGINS.c.kind == kind).distinct().order_by(ORIGINS.c.name)
        with self.database.begin() as connection:
            return [str(name) for name in connection.execute(query).scalars()]

    def trainings(self, datasets: Iterable[int] | None = None) -> list[Taught]:
        """Trainings on these data sets, or all, in the order they were recorded, with the recipe and time of their run."""
        names = ("number", "report_digest", "run_id", "dataset", "model", "recorded", "steps", "tokens", "seconds")
        columns = [TRAININGS.c[name] for name in names]
        joined = TRAININGS.outerjoin(RUNS, RUNS.c.run_id == TRAININGS.c.run_id)
        query = sql.select(*columns, RUNS.c.recipe, RUNS.c.started).select_from(joined)
        if datasets is not None:
            query = query.where(TRAININGS.c.dataset.in_(sorted(set(datasets))))
        with self.database.begin() as connection:
            return [Taught(**line._mapping) for line in connection.execute(query.order_by(TRAININGS.c.number))]

    def consumed(self, training: int, positions: Iterable[int]) -> dict[int, list[Span]]:
        """Per position the spans: (first token, tokens, supervised, times, first step, last step)."""
        keys = [position.to_bytes(4, "big") for position in positions]
        found: dict[int, list[Span]] = {}
        if not keys:
            return found
        with self.database.begin() as connection:
            for _, places, payload in postings.look_up(connection, "consumed", keys, owner=training):
                for place, span in zip(places.view(">u4").tolist(), payload.tolist(), strict=True):
                    found.setdefault(place, []).append(span)
        return found

    def children(self, model: str) -> list[tuple[str, str]]:
        """(model, how) of the models made from one: `base`, `adapter`, `merged`, or `same` when they share its weights."""
        made = sql.select(PARENTS.c.child, PARENTS.c.how).where(PARENTS.c.parent == model)
        mine = sql.select(WEIGHTS.c.digest).where(WEIGHTS.c.model == model)
        same = sql.select(WEIGHTS.c.model).where(WEIGHTS.c.digest.in_(mine), WEIGHTS.c.model != model).distinct()
        with self.database.begin() as connection:
            found = [(str(child), str(how)) for child, how in connection.execute(made)]
            return sorted({*found, *((str(other), "same") for other in connection.execute(same).scalars())})

    def releases(self, model: str | None = None) -> list[tuple[str, int, str]]:
        """(name, version, model) of a model's releases, or of all."""
        query = sql.select(RELEASED.c.name, RELEASED.c.version, RELEASED.c.model)
        if model is not None:
            query = query.where(RELEASED.c.model == model)
        with self.database.begin() as connection:
            lines = connection.execute(query.order_by(RELEASED.c.name, RELEASED.c.version))
            return [(line.name, line.version, line.model) for line in lines]


def record_dataset(connection: Connection, container: str, rows: DatasetRows, *, name: str, rows_digest: str) -> int:
    """The same within a transaction that is open already."""
    found = connection.execute(sql.select(DATASETS.c.number).where(DATASETS.c.container == container)).scalar()
    if found is not None:
        return int(found)
    names = json.dumps({key: list(value) for key, value in rows.names.items()}, sort_keys=True)
    values = {"container": container, "rows_digest": rows_digest, "name": name, "rows": len(rows.ids), "names": names}
    number = _added(connection, DATASETS, values)
    postings.write_rows(connection, number, rows)
    return number


def read_rows(connection: Connection, dataset: int) -> DatasetRows:
    names = connection.execute(sql.select(DATASETS.c.names).where(DATASETS.c.number == dataset)).scalar_one()
    return postings.read_rows(connection, dataset, names)


def _added(connection: Connection, table: sql.Table, values: Mapping[str, object]) -> int:
    made = connection.execute(table.insert().values(**values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def _training(training: Training, dataset: int, recorded: bool) -> dict[str, object]:
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


def _at(connection: Connection, dataset: int, positions: Iterable[int]) -> list[Seen]:
    wanted = position_keys(numpy.array(sorted(set(positions)), dtype=numpy.uint32))
    names = json.loads(
        connection.execute(sql.select(DATASETS.c.names).where(DATASETS.c.number == dataset)).scalar_one()
    )
    keys = [wanted[place : place + 1].tobytes() for place in range(len(wanted))]
    return [
        Seen(dataset, int(position), f"{int(line['id']):016x}", names["file"][int(line["file"])], int(line["line"]))
        for _, found, payload in postings.look_up(connection, "place", keys, owner=dataset)
        for position, line in zip(found.view(">u4").tolist(), payload, strict=True)
    ]
