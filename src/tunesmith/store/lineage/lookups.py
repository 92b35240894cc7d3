"""Look-ups that trace: what the ledger has of rows, data sets, trainings, models and releases. Nothing is written."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy

from tunesmith.store.lineage import postings
from tunesmith.store.lineage.blocks import position_keys
from tunesmith.store.lineage.records import DatasetRows, RecordedDataset, RecordedRow, RecordedTraining
from tunesmith.store.queries import QueryableDatabase, RunQuery, in_condition

ConsumedSpan = tuple[int, int, int, int, int, int]


@dataclass(frozen=True)
class Lookups:
    """The questions of lineage to the ledger's database, open or as a file."""

    reads: QueryableDatabase

    def salt(self, dataset: str) -> bytes | None:
        """The data set's salt, or None when none was ever made."""
        with self.reads.reading() as ask:
            return next(
                (bytes(salt) for (salt,) in ask("SELECT salt FROM salts WHERE dataset = :d", {"d": dataset})), None
            )

    def datasets(self) -> list[RecordedDataset]:
        """Every data set, also those whose object was erased."""
        query = "SELECT number, container, name, rows, rows_digest, erased_by FROM lineage_datasets ORDER BY number"
        with self.reads.reading() as ask:
            return [RecordedDataset(*line) for line in ask(query)]

    def rows_of(self, dataset: int) -> DatasetRows:
        """All rows that lineage has of a data set."""
        with self.reads.reading() as ask:
            return postings.read_rows(ask, dataset)

    def with_ids(self, ids: Iterable[str]) -> list[RecordedRow]:
        """Rows by id (16 hex digits), in every data set that has them."""
        return self._seen("row", [bytes.fromhex(one) for one in ids])

    def with_subject(self, mark: str) -> list[RecordedRow]:
        """Rows of a person, by mark (32 hex digits)."""
        return self._seen("subject", [bytes.fromhex(mark)])

    def at(self, dataset: int, positions: Iterable[int]) -> list[RecordedRow]:
        """Rows of a data set by position; those that were erased are not there."""
        with self.reads.reading() as ask:
            return _rows_at(ask, dataset, positions)

    def _seen(self, kind: str, keys: list[bytes]) -> list[RecordedRow]:
        if not keys:
            return []
        with self.reads.reading() as ask:
            found: dict[int, list[int]] = {}
            for owner, _, payload in postings.look_up(ask, kind, keys):
                found.setdefault(owner, []).extend(payload["position"].tolist())
            return [seen for owner in sorted(found) for seen in _rows_at(ask, owner, found[owner])]

    def origin(self, kind: str, name: str) -> dict[str, dict[int, int]]:
        """Rows of a source or generator by number of the data set that has them and of the training that consumed them."""
        query = "SELECT owner_kind, owner, rows FROM lineage_origins WHERE kind = :kind AND name = :name"
        found: dict[str, dict[int, int]] = {"dataset": {}, "training": {}}
        with self.reads.reading() as ask:
            for owner_kind, owner, rows in ask(query, {"kind": kind, "name": name}):
                found[owner_kind][owner] = rows
        return found

    def origin_names(self, kind: str) -> list[str]:
        """Every source or generator that a row was said to come from."""
        query = "SELECT DISTINCT name FROM lineage_origins WHERE kind = :kind ORDER BY name"
        with self.reads.reading() as ask:
            return [str(name) for (name,) in ask(query, {"kind": kind})]

    def training(self, report_digest: str) -> int | None:
        """The number of a training by its report's digest, or None."""
        query = "SELECT number FROM lineage_trainings WHERE report_digest = :digest"
        with self.reads.reading() as ask:
            return next((int(number) for (number,) in ask(query, {"digest": report_digest})), None)

    def trainings(self, datasets: Iterable[int] | None = None) -> list[RecordedTraining]:
        """Trainings on these data sets, or all, in the order they were recorded, with the recipe and time of their run."""
        names = ("number", "report_digest", "run_id", "dataset", "model", "recorded", "steps", "tokens", "seconds")
        columns = ", ".join(f"t.{name}" for name in names)
        where, values = ("1 = 1", {}) if datasets is None else in_condition("dataset", datasets)
        query = f"""SELECT {columns}, r.recipe, r.started FROM lineage_trainings t
            LEFT OUTER JOIN runs r ON r.run_id = t.run_id WHERE {where} ORDER BY t.number"""
        with self.reads.reading() as ask:
            lines = (dict(zip((*names, "recipe", "started"), line, strict=True)) for line in ask(query, values))
            # SQLite has no truth values; its driver gives 0 and 1.
            return [RecordedTraining(**{**line, "recorded": bool(line["recorded"])}) for line in lines]

    def consumed(self, training: int, positions: Iterable[int]) -> dict[int, list[ConsumedSpan]]:
        """Per position the spans: (first token, tokens, supervised, times, first step, last step)."""
        keys = [position.to_bytes(4, "big") for position in positions]
        found: dict[int, list[ConsumedSpan]] = {}
        if not keys:
            return found
        with self.reads.reading() as ask:
            for _, places, payload in postings.look_up(ask, "consumed", keys, owner=training):
                for place, span in zip(places.view(">u4").tolist(), payload.tolist(), strict=True):
                    found.setdefault(place, []).append(span)
        return found

    def children(self, model: str) -> list[tuple[str, str]]:
        """(model, how) of the models made from one: `base`, `adapter`, `merged`, or `same` when they share its weights."""
        made = "SELECT child, how FROM lineage_parents WHERE parent = :model"
        same = """SELECT DISTINCT model FROM lineage_weights WHERE model <> :model
            AND digest IN (SELECT digest FROM lineage_weights WHERE model = :model)"""
        with self.reads.reading() as ask:
            found = {(str(child), str(how)) for child, how in ask(made, {"model": model})}
            return sorted(found | {(str(other), "same") for (other,) in ask(same, {"model": model})})

    def releases(self, model: str | None = None) -> list[tuple[str, int, str]]:
        """(name, version, model) of a model's releases, or of all."""
        where = "" if model is None else "WHERE model = :model"
        query = f"SELECT name, version, model FROM lineage_releases {where} ORDER BY name, version"
        with self.reads.reading() as ask:
            return [
                (name, version, its) for name, version, its in ask(query, {} if model is None else {"model": model})
            ]


def _rows_at(ask: RunQuery, dataset: int, positions: Iterable[int]) -> list[RecordedRow]:
    wanted = position_keys(numpy.array(sorted(set(positions)), dtype=numpy.uint32))
    [[text]] = ask("SELECT names FROM lineage_datasets WHERE number = :dataset", {"dataset": dataset})
    names = json.loads(text)
    keys = [wanted[place : place + 1].tobytes() for place in range(len(wanted))]
    return [
        RecordedRow(
            dataset, int(position), f"{int(line['id']):016x}", names["file"][int(line["file"])], int(line["line"])
        )
        for _, found, payload in postings.look_up(ask, "place", keys, owner=dataset)
        for position, line in zip(found.view(">u4").tolist(), payload, strict=True)
    ]
