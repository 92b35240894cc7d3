"""Record lineage in the ledger: data sets when they are stored, trainings when they end, releases when they are made."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute, parquet

from tunesmith.artifacts import Dataset, ReleaseReport, TrainReport
from tunesmith.errors import IntegrityBroken
from tunesmith.lineage.stored_rows import stored_batches
from tunesmith.store import Store
from tunesmith.store.lineage import ConsumedRows, DatasetRows, Training

INDEXED_NAMES: Final = ("file", "source", "generator")
WEIGHTS_SUFFIX: Final = ".safetensors"
UInt32Array = npt.NDArray[numpy.uint32]


def record_dataset(dataset: Dataset, store: Store) -> int:
    """The number of a data set in the ledger; a new one is recorded in one transaction."""
    numbers = {recorded.container: recorded.number for recorded in store.lookups.datasets()}
    if dataset.container in numbers:
        return numbers[dataset.container]
    rows = dataset_rows(stored_batches(dataset.container, store))
    if len(rows.ids) != dataset.rows:
        what = f"{dataset.name!r} states {dataset.rows} rows; its container has {len(rows.ids)}"
        raise IntegrityBroken(what, where=dataset.container)
    return store.ledger.lineage.record_dataset(
        dataset.container, rows, name=dataset.name, rows_digest=dataset.rows_digest
    )


def dataset_rows(parts: Iterable[pa.Table]) -> DatasetRows:
    """Stored rows as the numeric columns of the lineage database. `names` maps each number back to its text."""
    names: dict[str, dict[str, int]] = {name: {"": 0} for name in INDEXED_NAMES}
    columns: dict[str, list[Any]] = {name: [] for name in ("ids", "lines", "subjects", *INDEXED_NAMES)}
    for part in parts:
        batch = part.combine_chunks()
        columns["ids"].append(_row_ids_as_integers(batch.column("row_id")))
        columns["lines"].append(numpy.asarray(batch.column("line")).astype(numpy.uint32))
        columns["file"].append(_name_numbers(batch.column("file"), names["file"]))
        rights = _single_array(batch.column("rights")).dictionary_encode()
        values = [json.loads(text) for text in rights.dictionary.to_pylist()]
        indices = numpy.asarray(rights.indices)
        for name in ("source", "generator"):
            numbers = [_number_for_name(value.get(name), names[name]) for value in values]
            columns[name].append(numpy.array(numbers, dtype=numpy.uint32)[indices])
        subjects = [bytes.fromhex(value.get("subject") or "") for value in values]
        columns["subjects"].append(numpy.array(subjects, dtype="S16")[indices])
    whole = {name: numpy.concatenate(chunks) if chunks else _empty_column(name) for name, chunks in columns.items()}
    return DatasetRows(
        positions=numpy.arange(len(whole["ids"]), dtype=numpy.uint32),
        ids=whole["ids"],
        files=whole["file"],
        lines=whole["lines"],
        sources=whole["source"],
        generators=whole["generator"],
        subjects=whole["subjects"],
        names={name: tuple(texts) for name, texts in names.items()},
    )


def record_training(report: TrainReport, dataset: Dataset, store: Store, *, run_id: str) -> int:
    """The number of a training in the ledger; recorded with its data set, consumption record, base and weights.

    When the store has no consumption record, or one with other row ids (the same rows read earlier from another place), every row
    of the data set counts as possibly seen.
    """
    lineage = store.ledger.lineage
    recorded = store.lookups.training(report.digest())
    if recorded is not None:
        return recorded
    number = record_dataset(dataset, store)
    rows = store.lookups.dataset_rows(number)
    consumed = read_consumption(report.consumption, rows, store) if store.objects.has(report.consumption) else None
    seen = None if consumed is None else numpy.isin(rows.positions, consumed.positions)
    for model in (report.model, report.base):
        lineage.record_weights(model.tree, weight_digests(_tree_files(model.tree, store)))
    return lineage.record_training(
        Training(
            report_digest=report.digest(),
            run_id=run_id,
            model=report.model.tree,
            base=report.base.tree,
            how="adapter" if report.model.kind == "adapter" else "base",
            steps=report.steps,
            tokens=report.tokens,
            seconds=report.measured.get("seconds"),
        ),
        dataset=number,
        consumed=consumed,
        origins=rows.origins(seen),
    )


def record_release(report: ReleaseReport, store: Store) -> None:
    """Record a release of a model. Its weights may be rounded, so their digests are recorded for the model too."""
    store.ledger.lineage.record_weights(report.model_tree, weight_digests(report.files))
    store.ledger.lineage.record_release(report.name, report.version, model=report.model_tree)


def record_merge(model: str, parents: Sequence[str], store: Store) -> None:
    """Record a model, by the digest of its tree, that was merged from `parents`."""
    store.ledger.lineage.record_weights(model, weight_digests(_tree_files(model, store)))
    store.ledger.lineage.record_merge(model, parents)


def read_consumption(record: str, rows: DatasetRows, store: Store) -> ConsumedRows | None:
    """The consumption of a data set's rows: one entry per token span, with its count and its first and last step.

    None when the record names a row that is not in the data set.
    """
    table = parquet.read_table(pa.BufferReader(store.objects.get(record)))
    steps, first, tokens, supervised = (
        numpy.asarray(table.column(name)).astype(numpy.uint32)
        for name in ("step", "first_token", "tokens", "supervised")
    )
    positions = _row_positions(_row_ids_as_integers(table.column("row_id").combine_chunks()), rows)
    if positions is None:
        return None
    # Sort by row, span, step: the entries of a span are consecutive.
    order = numpy.lexsort((steps, first, positions))
    starts = _span_starts(positions[order], first[order])
    ends = numpy.append(starts[1:], len(order)) - 1 if len(order) else starts
    chosen, last = order[starts], order[ends]
    return ConsumedRows(
        positions=positions[chosen],
        first=first[chosen],
        tokens=tokens[chosen],
        supervised=supervised[chosen],
        times=(ends - starts + 1).astype(numpy.uint32),
        first_step=steps[chosen],
        last_step=steps[last],
    )


def weight_digests(files: Mapping[str, str]) -> list[str]:
    """Digests (`sha256:<hex>`) of the weight files among {path: digest}."""
    return [
        f"sha256:{digest.removeprefix('sha256:')}" for name, digest in files.items() if name.endswith(WEIGHTS_SUFFIX)
    ]


def _row_positions(ids: npt.NDArray[numpy.uint64], rows: DatasetRows) -> UInt32Array | None:
    order = numpy.argsort(rows.ids, kind="stable")
    sorted_ids = rows.ids[order]
    at = numpy.searchsorted(sorted_ids, ids)
    unknown = numpy.ones(len(ids), dtype=bool)
    inside = at < len(sorted_ids)
    unknown[inside] = sorted_ids[at[inside]] != ids[inside]
    if unknown.any():
        return None
    positions: UInt32Array = rows.positions[order[at]]
    return positions


def _span_starts(positions: UInt32Array, first: UInt32Array) -> npt.NDArray[numpy.int64]:
    """Indices at which a new span begins in sorted entries."""
    changes = (positions[1:] != positions[:-1]) | (first[1:] != first[:-1])
    return (
        numpy.flatnonzero(numpy.concatenate([[len(positions) > 0], changes])) if len(positions) else numpy.zeros(0, int)
    )


def _tree_files(tree: str, store: Store) -> dict[str, str]:
    return store.tree(tree) if store.objects.has(tree) else {}


def _row_ids_as_integers(texts: pa.Array) -> npt.NDArray[numpy.uint64]:
    """Row ids of 16 hex digits as uint64."""
    data = "".join(texts.to_pylist())
    if len(data) != 16 * len(texts):
        raise IntegrityBroken("a row id is not 16 hex digits", hint="run the audit again")
    return numpy.frombuffer(bytes.fromhex(data), dtype=">u8").astype(numpy.uint64)


def _name_numbers(texts: pa.Array, names: dict[str, int]) -> UInt32Array:
    encoded = _single_array(compute.fill_null(texts, "")).dictionary_encode()
    numbers = [_number_for_name(text, names) for text in encoded.dictionary.to_pylist()]
    column: UInt32Array = numpy.array(numbers, dtype=numpy.uint32)[numpy.asarray(encoded.indices)]
    return column


def _single_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _number_for_name(text: str | None, names: dict[str, int]) -> int:
    return names.setdefault(text or "", len(names))


def _empty_column(name: str) -> npt.NDArray[Any]:
    return numpy.zeros(0, dtype={"ids": "u8", "subjects": "S16"}.get(name, "u4"))
