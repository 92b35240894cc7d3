"""Rewrite stored objects without the erased rows: data sets with new row ids, and matching quarantines, scores and reports."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy

from tunesmith.artifacts import Dataset, Row
from tunesmith.artifacts.lineage import ReplacedDataset
from tunesmith.data.rows import iterate_rows, store_dataset
from tunesmith.lineage.erase_plan import ErasePlan, EraseTarget
from tunesmith.lineage.scrub import ScrubTargets, readable_objects, scrub_bytes, word_runs
from tunesmith.store import Store
from tunesmith.store.lineage import RecordedDataset
from tunesmith.store.lineage.erasures import DatasetReplacement

RowIdRenamer = Callable[[str], str]


@dataclass(frozen=True)
class RewrittenObjects:
    """What the switch replaces. `gone` maps deleted objects to their kind, `reports` maps old reports to new ones."""

    replaced: tuple[DatasetReplacement, ...]
    datasets: tuple[ReplacedDataset, ...]
    reports: Mapping[str, str]
    gone: Mapping[str, str]
    salts: tuple[str, ...]


@dataclass(frozen=True)
class _RewrittenDataset:
    """One data set before and after, with the erased rows; `summary` is its entry in the erasure record."""

    replaced: DatasetReplacement
    summary: ReplacedDataset
    new: Dataset | None
    erased: tuple[Row, ...]


def rewrite_objects(plan: ErasePlan, rename: RowIdRenamer, store: Store) -> RewrittenObjects:
    """Write the new objects. Repeatable: the same plan and key give the same objects."""
    datasets = {dataset.number: dataset for dataset in store.lookups.datasets()}
    rewritten = [_rewrite_dataset(target, datasets[target.dataset], rename, store) for target in plan.targets]
    targets = _scrub_targets(plan, rewritten, datasets, rename=rename, store=store)
    reports: dict[str, str] = {}
    gone = {item.summary.old: "data set" for item in rewritten if item.new is not None}
    skip = {dataset.container for dataset in datasets.values()}
    skip |= {item.new.container for item in rewritten if item.new is not None}
    # Objects of many rows first: reports name their digests.
    for lines in (True, False):
        changed = dict(_rewrite_documents(targets, skip | set(gone), lines=lines, store=store))
        gone |= dict.fromkeys(changed, "rows" if lines else "report")
        reports |= changed
        targets = replace(targets, replaced={**targets.replaced, **changed})
    return RewrittenObjects(
        replaced=tuple(item.replaced for item in rewritten),
        datasets=tuple(item.summary for item in rewritten),
        reports=reports,
        gone=gone,
        salts=tuple(sorted({item.replaced.name for item in rewritten})),
    )


def _rewrite_dataset(
    target: EraseTarget, dataset: RecordedDataset, rename: RowIdRenamer, store: Store
) -> _RewrittenDataset:
    """Write the data set without the target's rows and with new ids; nothing is written when its object was already deleted."""
    before = {"name": dataset.name, "old": dataset.container, "old_rows": dataset.rows}
    if not store.objects.has(dataset.container):
        gone = DatasetReplacement(dataset.number, dataset.name, target.positions, None, "")
        return _RewrittenDataset(gone, ReplacedDataset(**before, new=None, new_rows=0), None, ())
    old = Dataset(name=dataset.name, rows=dataset.rows, rows_digest=dataset.rows_digest, container=dataset.container)
    positions = set(target.positions)
    erased: list[Row] = []

    def remaining_rows() -> Iterator[Row]:
        for position, row in enumerate(iterate_rows(old, store)):
            if position in positions:
                erased.append(row)
            else:
                yield row.model_copy(update={"row_id": rename(row.row_id)})

    new = store_dataset(dataset.name, remaining_rows(), store)
    return _RewrittenDataset(
        replaced=DatasetReplacement(dataset.number, dataset.name, target.positions, new.container, new.rows_digest),
        summary=ReplacedDataset(**before, new=new.container, new_rows=new.rows),
        new=new,
        erased=tuple(erased),
    )


def _scrub_targets(
    plan: ErasePlan,
    rewritten: Sequence[_RewrittenDataset],
    datasets: Mapping[int, RecordedDataset],
    *,
    rename: RowIdRenamer,
    store: Store,
) -> ScrubTargets:
    erased = [row for item in rewritten for row in item.erased]
    ids_by_dataset = [store.lookups.dataset_rows(target.dataset).ids for target in plan.targets]
    ids = numpy.unique(numpy.concatenate(ids_by_dataset)) if ids_by_dataset else numpy.zeros(0, dtype=numpy.uint64)

    def new_id(row_id: str) -> str:
        number = numpy.uint64(int(row_id, 16)) if len(row_id) == 16 else numpy.uint64(0)
        place = int(numpy.searchsorted(ids, number))
        return rename(row_id) if place < len(ids) and ids[place] == number and len(row_id) == 16 else row_id

    return ScrubTargets(
        ids=frozenset(row.row_id for row in plan.rows),
        contents=frozenset(row.example.digest() for row in erased),
        runs=word_runs(_row_texts(erased)),
        subject=plan.subject,
        new_id=new_id,
        datasets={item.summary.old: item.new for item in rewritten if item.new is not None},
        rows_digests=frozenset(datasets[target.dataset].rows_digest for target in plan.targets if target.positions),
    )


def _row_texts(rows: Sequence[Row]) -> Iterator[str]:
    """The texts of the rows, without system messages, which other rows share."""
    for row in rows:
        yield row.example.text or ""
        yield from (turn.text for turn in row.example.messages if turn.role != "system")


def _rewrite_documents(
    targets: ScrubTargets, skip: set[str], *, lines: bool, store: Store
) -> Iterator[tuple[str, str]]:
    """(old, new) digest of the objects that mention the rows: with `lines` those of many rows, without it reports."""
    for digest in readable_objects(store):
        if digest in skip:
            continue
        data = store.objects.get(digest)
        if lines is (data.startswith(b"{") and not data.endswith(b"\n")):
            continue
        scrubbed = scrub_bytes(data, targets)
        if scrubbed != data:
            yield digest, store.objects.put(scrubbed)
