"""New objects beside the old ones: data sets without the rows and with new ids, quarantines, scores and reports that agree."""

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
    """What changes hands at the switch: `gone` maps objects to what they were, `reports` old reports to new ones."""

    replaced: tuple[DatasetReplacement, ...]
    datasets: tuple[ReplacedDataset, ...]
    reports: Mapping[str, str]
    gone: Mapping[str, str]
    salts: tuple[str, ...]


@dataclass(frozen=True)
class _RewrittenDataset:
    """One data set, old and new, and the rows that go."""

    replaced: DatasetReplacement
    told: ReplacedDataset
    new: Dataset | None
    erased: tuple[Row, ...]


def rewrite_objects(plan: ErasePlan, renamed: RowIdRenamer, store: Store) -> RewrittenObjects:
    """Write the new objects. The same plan and key give the same objects, however often it is done."""
    known = {one.number: one for one in store.lookups.datasets()}
    made = [_rewrite_dataset(target, known[target.dataset], renamed, store) for target in plan.targets]
    wanted = _scrub_targets(plan, made, known, renamed=renamed, store=store)
    reports: dict[str, str] = {}
    gone = {one.told.old: "data set" for one in made if one.new is not None}
    skip = {one.container for one in known.values()} | {one.new.container for one in made if one.new is not None}
    for lines in (True, False):
        changed = dict(_rewrite_documents(wanted, skip | set(gone), lines=lines, store=store))
        gone |= dict.fromkeys(changed, "rows" if lines else "report")
        reports |= changed
        wanted = replace(wanted, replaced={**wanted.replaced, **changed})
    return RewrittenObjects(
        replaced=tuple(one.replaced for one in made),
        datasets=tuple(one.told for one in made),
        reports=reports,
        gone=gone,
        salts=tuple(sorted({one.replaced.name for one in made})),
    )


def _rewrite_dataset(
    target: EraseTarget, known: RecordedDataset, renamed: RowIdRenamer, store: Store
) -> _RewrittenDataset:
    """The data set without the target's rows, with new ids; nothing to write when its object is gone already."""
    told = {"name": known.name, "old": known.container, "old_rows": known.rows}
    if not store.objects.has(known.container):
        gone = DatasetReplacement(known.number, known.name, target.positions, None, "")
        return _RewrittenDataset(gone, ReplacedDataset(**told, new=None, new_rows=0), None, ())
    old = Dataset(name=known.name, rows=known.rows, rows_digest=known.rows_digest, container=known.container)
    positions = set(target.positions)
    erased: list[Row] = []

    def kept() -> Iterator[Row]:
        for place, row in enumerate(iterate_rows(old, store)):
            if place in positions:
                erased.append(row)
            else:
                yield row.model_copy(update={"row_id": renamed(row.row_id)})

    new = store_dataset(known.name, kept(), store)
    return _RewrittenDataset(
        replaced=DatasetReplacement(known.number, known.name, target.positions, new.container, new.rows_digest),
        told=ReplacedDataset(**told, new=new.container, new_rows=new.rows),
        new=new,
        erased=tuple(erased),
    )


def _scrub_targets(
    plan: ErasePlan,
    made: Sequence[_RewrittenDataset],
    known: Mapping[int, RecordedDataset],
    *,
    renamed: RowIdRenamer,
    store: Store,
) -> ScrubTargets:
    erased = [row for one in made for row in one.erased]
    numbers = [store.lookups.dataset_rows(target.dataset).ids for target in plan.targets]
    ids = numpy.unique(numpy.concatenate(numbers)) if numbers else numpy.zeros(0, dtype=numpy.uint64)

    def new_id(row_id: str) -> str:
        number = numpy.uint64(int(row_id, 16)) if len(row_id) == 16 else numpy.uint64(0)
        place = int(numpy.searchsorted(ids, number))
        return renamed(row_id) if place < len(ids) and ids[place] == number and len(row_id) == 16 else row_id

    return ScrubTargets(
        ids=frozenset(row.row_id for row in plan.rows),
        contents=frozenset(row.example.digest() for row in erased),
        runs=word_runs(_row_texts(erased)),
        subject=plan.subject,
        renamed=new_id,
        datasets={one.told.old: one.new for one in made if one.new is not None},
        rows_digests=frozenset(known[target.dataset].rows_digest for target in plan.targets if target.positions),
    )


def _row_texts(rows: Sequence[Row]) -> Iterator[str]:
    """What the rows say, without the system messages that others share."""
    for row in rows:
        yield row.example.text or ""
        yield from (turn.text for turn in row.example.messages if turn.role != "system")


def _rewrite_documents(wanted: ScrubTargets, skip: set[str], *, lines: bool, store: Store) -> Iterator[tuple[str, str]]:
    """(old, new) of the objects that speak of the rows: those of many rows first, then the reports that name them."""
    for digest in readable_objects(store):
        if digest in skip:
            continue
        data = store.objects.get(digest)
        if lines is (data.startswith(b"{") and not data.endswith(b"\n")):
            continue
        made = scrub_bytes(data, wanted)
        if made != data:
            yield digest, store.objects.put(made)
