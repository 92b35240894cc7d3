"""What an erasure would do, found without changing anything: the rows, who saw them, what retraining would take."""

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
"""From here on the search meets all but one pair in ten thousand, and rows of others that follow the same pattern are rare."""


@dataclass(frozen=True)
class EraseRequest:
    """What is to be erased: rows, and their near-duplicates unless these are to stay.

    `threshold` is the Jaccard similarity of word triples from which a row is a near-duplicate. `keep_out` also keeps a
    mark of the person, so that later rows of theirs are known.
    """

    subject: str | None = None
    rows: tuple[str, ...] = ()
    with_near_duplicates: bool = True
    threshold: float = DEFAULT_THRESHOLD
    reason: str = DEFAULT_REASON
    keep_out: bool = False


class EraseTarget(Artifact):
    """Positions to erase in a data set, by its number in the ledger; none where rows only get new ids."""

    dataset: int
    positions: tuple[int, ...]


class ErasePlan(Artifact):
    """All that a killed erasure is finished from. It says which rows they were, so it goes as soon as they have."""

    record: ErasureRecord
    targets: tuple[EraseTarget, ...]
    rows: tuple[ErasedRow, ...]
    near: tuple[ErasedRow, ...]
    subject: str | None
    keep_out: bool


def check_request(request: EraseRequest) -> None:
    """Raises Misuse when nothing is asked for, or when the reason, which is signed and kept, names somebody."""
    if request.subject is None and not request.rows:
        raise Misuse("nothing to erase", hint="give --subject VALUE or --row ID")
    if request.subject is not None and not request.subject.strip():
        raise Misuse(
            "the subject is empty", where="--subject", hint="give what the subject column holds, e.g. an e-mail address"
        )
    if not 0 < request.threshold <= 1:
        raise Misuse(f"{request.threshold} is no similarity", where="--threshold", hint="above 0, at most 1")
    named = request.subject is not None and request.subject.strip().casefold() in request.reason.casefold()
    if named or find_hits(request.reason, PERSONAL):
        hint = "the reason stays in the signed record; name a case number instead"
        raise Misuse("the reason names a person", where="--reason", hint=hint)
    if not request.reason.strip():
        raise Misuse("the reason is empty", where="--reason", hint="say why in a few words, or leave it out")


def make_erase_plan(request: EraseRequest, store: Store, *, erasure: str, date: str, progress: Progress) -> ErasePlan:
    """Find the rows and what depends on them. Raises Misuse for a bad request and for a row that is not there.

    Data sets of the store that the ledger does not know yet are recorded; nothing else is written.
    """
    check_request(request)
    for document in stored_documents(store):
        for dataset in stored_datasets(document):
            if store.objects.has(dataset.container):
                record_dataset(dataset, store)
    mark = None if request.subject is None else subject_pseudonym(store.ledger.salt(SUBJECT_SALT), request.subject)
    asked = find_rows(request.rows, store) if request.rows else []
    own = [] if request.subject is None else subject_rows(request.subject, store)
    found = list(dict.fromkeys([*own, *asked]))
    near = _near_duplicates(found, request, store, progress)
    taken = [row for row, _, _ in near] if request.with_near_duplicates else []
    everything = list(dict.fromkeys([*found, *store.lookups.rows_with_ids({row.row_id for row in taken})]))
    sightings = find_row_sightings(everything, store).sightings
    listed = _erased_rows([(row, None, None) for row in found])
    close = tuple(row for row in _erased_rows(near) if row.row_id not in {one.row_id for one in listed})
    record = ErasureRecord(
        erasure=erasure,
        date=date,
        reason=request.reason.strip(),
        rows=len(listed),
        near_duplicates=len(close) if request.with_near_duplicates else 0,
        threshold=request.threshold if request.with_near_duplicates else None,
        datasets=(),
        tombstones=(),
        reports_rewritten=0,
        salts_replaced=(),
        models=tuple(sorted({one.model for one in sightings})),
        releases=_affected_releases(sightings),
        retraining=_retraining(sightings, store),
        source_lines=len({(row.file, row.line) for row in everything}),
    )
    return ErasePlan(
        record=record,
        targets=_targets(everything, store),
        rows=(*listed, *close) if request.with_near_duplicates else listed,
        near=() if request.with_near_duplicates else close,
        subject=mark,
        keep_out=request.keep_out,
    )


def target_rows(target: EraseTarget, store: Store, known: RecordedDataset) -> list[Row]:
    """The rows to erase in a data set, with their content; none when its object is gone already."""
    if not target.positions or not store.objects.has(known.container):
        return []
    found = rows_at(known.container, target.positions, store)
    return [found[position] for position in sorted(found)]


def _near_duplicates(
    rows: Sequence[RecordedRow], request: EraseRequest, store: Store, progress: Progress
) -> list[tuple[RecordedRow, str | None, float | None]]:
    """Near-duplicates in all data sets that are there, each with the row it is nearest to."""
    known = {one.number: one for one in store.lookups.datasets() if store.objects.has(one.container)}
    texts: dict[str, str] = {}
    for number in sorted({row.dataset for row in rows} & set(known)):
        here = {row.position: row.row_id for row in rows if row.dataset == number}
        for position, row in rows_at(known[number].container, here, store).items():
            if text := comparable_text(row.example.model_dump(mode="json")):
                texts.setdefault(text, here[position])
    ids, own = list(texts.values()), {row.row_id for row in rows}
    found: list[tuple[RecordedRow, str | None, float | None]] = []
    live = list(known.values()) if texts else []
    for one in progress.track(live, label="look for near-duplicates", total=len(live)):
        for near in find_near_duplicate_rows(one.container, list(texts), store, threshold=request.threshold):
            if near.row_id not in own:
                [seen] = store.lookups.rows_at(one.number, [near.position])
                found.append((seen, ids[near.text], round(near.similarity, 4)))
    return found


def _erased_rows(rows: Sequence[tuple[RecordedRow, str | None, float | None]]) -> tuple[ErasedRow, ...]:
    """Each row once, by file and line."""
    made = {
        row.row_id: ErasedRow(row_id=row.row_id, file=row.file, line=row.line, like=like, similarity=similarity)
        for row, like, similarity in rows
    }
    return tuple(sorted(made.values(), key=lambda row: (row.file, row.line, row.row_id)))


def _targets(rows: Sequence[RecordedRow], store: Store) -> tuple[EraseTarget, ...]:
    """The data sets that have the rows, and those that share other rows with them: one row keeps one id everywhere."""
    positions: dict[int, set[int]] = {}
    for row in rows:
        positions.setdefault(row.dataset, set()).add(row.position)
    lookups = store.lookups
    others = {one.number: lookups.dataset_rows(one.number).ids for one in lookups.datasets()} if rows else {}
    joined = {number: others.pop(number) for number in sorted(positions)}
    queue = list(joined.values())
    while queue:
        ids = queue.pop()
        for number in [number for number, theirs in others.items() if numpy.isin(theirs, ids).any()]:
            joined[number] = others.pop(number)
            queue.append(joined[number])
    return tuple(
        EraseTarget(dataset=number, positions=tuple(sorted(positions.get(number, ())))) for number in sorted(joined)
    )


def _affected_releases(sightings: Sequence[Sighting]) -> tuple[AffectedRelease, ...]:
    found: dict[tuple[str, int], AffectedRelease] = {}
    for sighting in sightings:
        for release in sighting.releases:
            made = AffectedRelease(
                name=release.name, version=release.version, model=sighting.model, certainty=sighting.certainty
            )
            found.setdefault((release.name, release.version), made)
    return tuple(found[key] for key in sorted(found))


def _retraining(sightings: Sequence[Sighting], store: Store) -> tuple[Retraining, ...]:
    trainings = {one.report_digest: one for one in store.lookups.trainings()}
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
