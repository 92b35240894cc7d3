"""Plan an erasure without changing anything: the rows, the models and releases trained on them, the cost of retraining."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy

from tunesmith.artifacts import Artifact, Row
from tunesmith.artifacts.lineage import (
    AffectedRelease,
    Certainty,
    ErasedRow,
    ErasureRecord,
    Retraining,
    Sighting,
)
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.detect.patterns import PERSONAL, find_hits
from tunesmith.errors import Misuse
from tunesmith.lineage.near_duplicates import comparable_text, find_near_duplicate_rows
from tunesmith.lineage.record import record_dataset
from tunesmith.lineage.scrub import stored_datasets, stored_documents
from tunesmith.lineage.sightings import find_row_sightings
from tunesmith.lineage.stored_rows import rows_at
from tunesmith.lineage.trace import find_rows, subject_rows
from tunesmith.ports import Progress
from tunesmith.store import Store
from tunesmith.store.lineage import RecordedDataset, RecordedRow

RETRAINED_STAGES: Final = ("audit", "train", "evaluate", "gate", "release")
DEFAULT_REASON: Final = "request of the data subject"
DEFAULT_THRESHOLD: Final = 0.7
"""At this similarity the search misses one pair in ten thousand, and few rows of other persons follow the same pattern."""


@dataclass(frozen=True)
class EraseRequest:
    """The rows to erase: those of a subject, or by id, with their near-duplicates unless `with_near_duplicates` is off.

    `threshold` is the Jaccard similarity of word trigrams from which a row is a near-duplicate. `keep_out` also stores a mark of
    the person, so that later audits recognize new rows of theirs.
    """

    subject: str | None = None
    rows: tuple[str, ...] = ()
    with_near_duplicates: bool = True
    threshold: float = DEFAULT_THRESHOLD
    reason: str = DEFAULT_REASON
    keep_out: bool = False


class EraseTarget(Artifact):
    """Positions to erase in a data set, given by its number in the ledger; empty where rows only get new ids."""

    dataset: int
    positions: tuple[int, ...]


class ErasePlan(Artifact):
    """All that is needed to finish a killed erasure. It identifies the rows, so it is deleted as soon as they are."""

    record: ErasureRecord
    targets: tuple[EraseTarget, ...]
    rows: tuple[ErasedRow, ...]
    near: tuple[ErasedRow, ...]
    subject: str | None
    keep_out: bool


def check_request(request: EraseRequest) -> None:
    """Raises Misuse for an empty request, and for a reason that names a person, since the reason is signed and kept."""
    if request.subject is None and not request.rows:
        raise Misuse("nothing to erase", hint="give --subject VALUE or --row ID")
    if request.subject is not None and not request.subject.strip():
        raise Misuse(
            "the subject is empty", where="--subject", hint="give what the subject column holds, e.g. an e-mail address"
        )
    if not 0 < request.threshold <= 1:
        raise Misuse(f"{request.threshold} is no similarity", where="--threshold", hint="above 0, at most 1")
    names_subject = request.subject is not None and request.subject.strip().casefold() in request.reason.casefold()
    if names_subject or find_hits(request.reason, PERSONAL):
        hint = "the reason stays in the signed record; name a case number instead"
        raise Misuse("the reason names a person", where="--reason", hint=hint)
    if not request.reason.strip():
        raise Misuse("the reason is empty", where="--reason", hint="say why in a few words, or leave it out")


def make_erase_plan(request: EraseRequest, store: Store, *, erasure: str, date: str, progress: Progress) -> ErasePlan:
    """Find the rows and all that depends on them. Raises Misuse for an invalid request and for an unknown row id.

    Stored data sets that are missing from the ledger are recorded; nothing else is written.
    """
    check_request(request)
    for document in stored_documents(store):
        for dataset in stored_datasets(document):
            if store.objects.has(dataset.container):
                record_dataset(dataset, store)
    mark = None if request.subject is None else subject_pseudonym(store.ledger.salt(SUBJECT_SALT), request.subject)
    by_id = find_rows(request.rows, store) if request.rows else []
    of_subject = [] if request.subject is None else subject_rows(request.subject, store)
    rows = list(dict.fromkeys([*of_subject, *by_id]))
    near = _near_duplicates(rows, request, store, progress)
    near_ids = {row.row_id for row, _, _ in near} if request.with_near_duplicates else set()
    erased = list(dict.fromkeys([*rows, *store.lookups.rows_with_ids(near_ids)]))
    sightings = find_row_sightings(erased, store).sightings
    listed = _erased_rows([(row, None, None) for row in rows])
    listed_ids = {row.row_id for row in listed}
    listed_near = tuple(row for row in _erased_rows(near) if row.row_id not in listed_ids)
    record = ErasureRecord(
        erasure=erasure,
        date=date,
        reason=request.reason.strip(),
        rows=len(listed),
        near_duplicates=len(listed_near) if request.with_near_duplicates else 0,
        threshold=request.threshold if request.with_near_duplicates else None,
        datasets=(),
        tombstones=(),
        reports_rewritten=0,
        salts_replaced=(),
        models=tuple(sorted({sighting.model for sighting in sightings})),
        releases=_affected_releases(sightings),
        retraining=_retraining(sightings, store),
        source_lines=len({(row.file, row.line) for row in erased}),
    )
    return ErasePlan(
        record=record,
        targets=_targets(erased, store),
        rows=(*listed, *listed_near) if request.with_near_duplicates else listed,
        near=() if request.with_near_duplicates else listed_near,
        subject=mark,
        keep_out=request.keep_out,
    )


def target_rows(target: EraseTarget, store: Store, dataset: RecordedDataset) -> list[Row]:
    """The rows to erase in a data set, with their content; empty when its object was already deleted."""
    if not target.positions or not store.objects.has(dataset.container):
        return []
    rows = rows_at(dataset.container, target.positions, store)
    return [rows[position] for position in sorted(rows)]


def _near_duplicates(
    rows: Sequence[RecordedRow], request: EraseRequest, store: Store, progress: Progress
) -> list[tuple[RecordedRow, str | None, float | None]]:
    """(row, id of the nearest row, similarity) of the near-duplicates in all stored data sets."""
    datasets = {dataset.number: dataset for dataset in store.lookups.datasets() if store.objects.has(dataset.container)}
    texts: dict[str, str] = {}
    for number in sorted({row.dataset for row in rows} & set(datasets)):
        ids_here = {row.position: row.row_id for row in rows if row.dataset == number}
        for position, row in rows_at(datasets[number].container, ids_here, store).items():
            if text := comparable_text(row.example.model_dump(mode="json")):
                texts.setdefault(text, ids_here[position])
    ids, own_ids = list(texts.values()), {row.row_id for row in rows}
    duplicates: list[tuple[RecordedRow, str | None, float | None]] = []
    searched = list(datasets.values()) if texts else []
    for dataset in progress.track(searched, label="look for near-duplicates", total=len(searched)):
        for near in find_near_duplicate_rows(dataset.container, list(texts), store, threshold=request.threshold):
            if near.row_id not in own_ids:
                [duplicate] = store.lookups.rows_at(dataset.number, [near.position])
                duplicates.append((duplicate, ids[near.text], round(near.similarity, 4)))
    return duplicates


def _erased_rows(rows: Sequence[tuple[RecordedRow, str | None, float | None]]) -> tuple[ErasedRow, ...]:
    """Each row once, sorted by file and line."""
    by_id = {
        row.row_id: ErasedRow(row_id=row.row_id, file=row.file, line=row.line, like=like, similarity=similarity)
        for row, like, similarity in rows
    }
    return tuple(sorted(by_id.values(), key=lambda row: (row.file, row.line, row.row_id)))


def _targets(rows: Sequence[RecordedRow], store: Store) -> tuple[EraseTarget, ...]:
    """The data sets that hold the rows, and those that share other rows with them: a row has the same id in all of them."""
    positions: dict[int, set[int]] = {}
    for row in rows:
        positions.setdefault(row.dataset, set()).add(row.position)
    lookups = store.lookups
    others = (
        {dataset.number: lookups.dataset_rows(dataset.number).ids for dataset in lookups.datasets()} if rows else {}
    )
    affected = {number: others.pop(number) for number in sorted(positions)}
    queue = list(affected.values())
    while queue:
        ids = queue.pop()
        for number in [number for number, other_ids in others.items() if numpy.isin(other_ids, ids).any()]:
            affected[number] = others.pop(number)
            queue.append(affected[number])
    return tuple(
        EraseTarget(dataset=number, positions=tuple(sorted(positions.get(number, ())))) for number in sorted(affected)
    )


def _affected_releases(sightings: Sequence[Sighting]) -> tuple[AffectedRelease, ...]:
    releases: dict[tuple[str, int], AffectedRelease] = {}
    for sighting in sightings:
        for release in sighting.releases:
            affected = AffectedRelease(
                name=release.name, version=release.version, model=sighting.model, certainty=sighting.certainty
            )
            releases.setdefault((release.name, release.version), affected)
    return tuple(releases[key] for key in sorted(releases))


def _retraining(sightings: Sequence[Sighting], store: Store) -> tuple[Retraining, ...]:
    trainings = {training.report_digest: training for training in store.lookups.trainings()}
    certainty: dict[str, Certainty] = {}
    for sighting in sightings:
        if sighting.training is not None:
            certainty.setdefault(sighting.training, sighting.certainty)
    return tuple(
        Retraining(
            training=digest,
            recipe=trainings[digest].recipe,
            model=trainings[digest].model,
            certainty=certainty[digest],
            steps=trainings[digest].steps,
            tokens=trainings[digest].tokens,
            seconds=trainings[digest].seconds,
            stages=RETRAINED_STAGES,
        )
        for digest in sorted(certainty)
    )
