"""Lineage look-ups: rows, data sets, trainings, models and releases in the ledger. Read-only."""

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
    """Reads lineage from the ledger's database, which is an open Database or a SqliteFile."""

    database: QueryableDatabase

    def salt(self, dataset: str) -> bytes | None:
        """The data set's salt, or None when it has none."""
        with self.database.read_transaction() as run_query:
            return next(
                (bytes(salt) for (salt,) in run_query("SELECT salt FROM salts WHERE dataset = :d", {"d": dataset})),
                None,
            )

    def datasets(self) -> list[RecordedDataset]:
        """All data sets, including those whose object was erased."""
        query = "SELECT number, container, name, rows, rows_digest, erased_by FROM lineage_datasets ORDER BY number"
        with self.database.read_transaction() as run_query:
            return [RecordedDataset(*line) for line in run_query(query)]

    def dataset_rows(self, dataset: int) -> DatasetRows:
        """All recorded rows of a data set."""
        with self.database.read_transaction() as run_query:
            return postings.read_rows(run_query, dataset)

    def rows_with_ids(self, ids: Iterable[str]) -> list[RecordedRow]:
        """Rows by id (16 hex digits), from every data set that has them."""
        return self._find_rows("row", [bytes.fromhex(row_id) for row_id in ids])

    def rows_with_subject(self, mark: str) -> list[RecordedRow]:
        """Rows about a person, by the person's pseudonym (32 hex digits)."""
        return self._find_rows("subject", [bytes.fromhex(mark)])

    def rows_at(self, dataset: int, positions: Iterable[int]) -> list[RecordedRow]:
        """Rows of a data set by position; erased rows are missing."""
        with self.database.read_transaction() as run_query:
            return _rows_at(run_query, dataset, positions)

    def _find_rows(self, kind: str, keys: list[bytes]) -> list[RecordedRow]:
        if not keys:
            return []
        with self.database.read_transaction() as run_query:
            positions: dict[int, list[int]] = {}
            for owner, _, payload in postings.look_up(run_query, kind, keys):
                positions.setdefault(owner, []).extend(payload["position"].tolist())
            return [row for owner in sorted(positions) for row in _rows_at(run_query, owner, positions[owner])]

    def origin_counts(self, kind: str, name: str) -> dict[str, dict[int, int]]:
        """How many rows of a source or generator each data set has, and each training consumed, by their numbers."""
        query = "SELECT owner_kind, owner, rows FROM lineage_origins WHERE kind = :kind AND name = :name"
        counts: dict[str, dict[int, int]] = {"dataset": {}, "training": {}}
        with self.database.read_transaction() as run_query:
            for owner_kind, owner, rows in run_query(query, {"kind": kind, "name": name}):
                counts[owner_kind][owner] = rows
        return counts

    def origin_names(self, kind: str) -> list[str]:
        """All sources or generators of recorded rows, sorted."""
        query = "SELECT DISTINCT name FROM lineage_origins WHERE kind = :kind ORDER BY name"
        with self.database.read_transaction() as run_query:
            return [str(name) for (name,) in run_query(query, {"kind": kind})]

    def training(self, report_digest: str) -> int | None:
        """The number of a training by its report's digest, or None."""
        query = "SELECT number FROM lineage_trainings WHERE report_digest = :digest"
        with self.database.read_transaction() as run_query:
            return next((int(number) for (number,) in run_query(query, {"digest": report_digest})), None)

    def trainings(self, datasets: Iterable[int] | None = None) -> list[RecordedTraining]:
        """Trainings on these data sets, or all, in the order of recording, with the recipe and start time of their run."""
        names = ("number", "report_digest", "run_id", "dataset", "model", "recorded", "steps", "tokens", "seconds")
        columns = ", ".join(f"t.{name}" for name in names)
        where, values = ("1 = 1", {}) if datasets is None else in_condition("dataset", datasets)
        query = f"""SELECT {columns}, r.recipe, r.started FROM lineage_trainings t
            LEFT OUTER JOIN runs r ON r.run_id = t.run_id WHERE {where} ORDER BY t.number"""
        with self.database.read_transaction() as run_query:
            lines = (dict(zip((*names, "recipe", "started"), line, strict=True)) for line in run_query(query, values))
            # SQLite has no booleans; its driver returns 0 and 1.
            return [RecordedTraining(**{**line, "recorded": bool(line["recorded"])}) for line in lines]

    def consumed_spans(self, training: int, positions: Iterable[int]) -> dict[int, list[ConsumedSpan]]:
        """What a training consumed of rows, by position: (first token, tokens, supervised, times, first step, last step)."""
        keys = [position.to_bytes(4, "big") for position in positions]
        spans: dict[int, list[ConsumedSpan]] = {}
        if not keys:
            return spans
        with self.database.read_transaction() as run_query:
            for _, position_bytes, payload in postings.look_up(run_query, "consumed", keys, owner=training):
                for position, span in zip(position_bytes.view(">u4").tolist(), payload.tolist(), strict=True):
                    spans.setdefault(position, []).append(span)
        return spans

    def children(self, model: str) -> list[tuple[str, str]]:
        """(model, how) of the models made from this one: `base`, `adapter`, `merged`, or `same` for models with equal weights."""
        derived = "SELECT child, how FROM lineage_parents WHERE parent = :model"
        same = """SELECT DISTINCT model FROM lineage_weights WHERE model <> :model
            AND digest IN (SELECT digest FROM lineage_weights WHERE model = :model)"""
        with self.database.read_transaction() as run_query:
            children = {(str(child), str(how)) for child, how in run_query(derived, {"model": model})}
            return sorted(children | {(str(other), "same") for (other,) in run_query(same, {"model": model})})

    def releases(self, model: str | None = None) -> list[tuple[str, int, str]]:
        """(name, version, model) of a model's releases, or of all releases."""
        where = "" if model is None else "WHERE model = :model"
        query = f"SELECT name, version, model FROM lineage_releases {where} ORDER BY name, version"
        with self.database.read_transaction() as run_query:
            return [
                (name, version, released)
                for name, version, released in run_query(query, {} if model is None else {"model": model})
            ]


def _rows_at(run_query: RunQuery, dataset: int, positions: Iterable[int]) -> list[RecordedRow]:
    """Rows of a data set by position."""
    wanted = position_keys(numpy.array(sorted(set(positions)), dtype=numpy.uint32))
    [[text]] = run_query("SELECT names FROM lineage_datasets WHERE number = :dataset", {"dataset": dataset})
    names = json.loads(text)
    keys = [wanted[index : index + 1].tobytes() for index in range(len(wanted))]
    return [
        RecordedRow(
            dataset, int(position), f"{int(line['id']):016x}", names["file"][int(line["file"])], int(line["line"])
        )
        for _, position_bytes, payload in postings.look_up(run_query, "place", keys, owner=dataset)
        for position, line in zip(position_bytes.view(">u4").tolist(), payload, strict=True)
    ]
