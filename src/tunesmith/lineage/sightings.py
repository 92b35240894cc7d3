"""Find the models trained on rows: by training records, then through bases, adapters, merges, copies and generated rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tunesmith.artifacts.lineage import Certainty, ReleaseName, Sighting, TokenSpan
from tunesmith.store.lineage import Lookups, RecordedRow, RecordedTraining
from tunesmith.store.read_only import ReadableStore

RECORDED_REASON: Final = "its training record has {rows}"
UNRECORDED_REASON: Final = "in the data set of its training, which has no record of these rows"
DERIVATIONS: Final[Mapping[str, tuple[str, bool]]] = {
    "base": ("trained on from a model that saw it", True),
    "adapter": ("an adapter on a model that saw it", True),
    "same": ("has the weights of a model that saw it", True),
    "merged": ("merged from a model that saw it", False),
}
"""By the way a model derives from another: the reason in words, and whether the other's certainty carries over."""

GENERATED_REASON: Final = "trained on rows that a model wrote which saw it"
SAME_ROWS_REASON: Final = "it was trained on the same rows under other names"
MAX_SPANS: Final = 8
"""Token spans of a row that a sighting lists."""


@dataclass(frozen=True)
class Sightings:
    """The models trained on the rows; `spared` are trainings on the same data sets whose record has none of the rows."""

    sightings: tuple[Sighting, ...]
    spared: tuple[str, ...]


def find_row_sightings(rows: Sequence[RecordedRow], store: ReadableStore, *, doubt: str | None = None) -> Sightings:
    """The models trained on these rows. With `doubt`, a reason, all sightings have certainty "possible"."""
    lineage = store.lookups
    equal = _equal_datasets(lineage)
    positions_by_dataset: dict[int, set[int]] = {}
    for row in rows:
        for dataset in equal[row.dataset]:
            positions_by_dataset.setdefault(dataset, set()).add(row.position)
    direct: list[Sighting] = []
    spared: list[str] = []
    for training in lineage.trainings(positions_by_dataset):
        positions = positions_by_dataset[training.dataset]
        spans = lineage.consumed_spans(training.number, positions) if training.recorded else {}
        if training.recorded and not spans:
            spared.append(training.report_digest)
            continue
        rows_seen = len(spans) if training.recorded else len(positions)
        direct.append(_direct_sighting(training, rows_seen, spans, doubt))
    return Sightings(_propagate(direct, lineage), tuple(spared))


def find_origin_sightings(kind: str, name: str, store: ReadableStore) -> Sightings:
    """The models trained on rows of a source or a generator (`kind`)."""
    counts = store.lookups.origin_counts(kind, name)
    direct: list[Sighting] = []
    spared: list[str] = []
    equal = _equal_datasets(store.lookups)
    copies = {copy: number for number in counts["dataset"] for copy in equal[number] if copy not in counts["dataset"]}
    for training in store.lookups.trainings({*counts["dataset"], *copies}):
        if training.dataset in copies:
            direct.append(_direct_sighting(training, counts["dataset"][copies[training.dataset]], {}, SAME_ROWS_REASON))
            continue
        rows = counts["training"].get(training.number, 0) if training.recorded else counts["dataset"][training.dataset]
        if rows:
            direct.append(_direct_sighting(training, rows, {}, None))
        else:
            spared.append(training.report_digest)
    return Sightings(_propagate(direct, store.lookups), tuple(spared))


def _equal_datasets(lineage: Lookups) -> dict[int, list[int]]:
    """For each data set, all data sets with the same rows in the same order, itself included; row ids may differ."""
    by_rows: dict[str, list[int]] = {}
    datasets = lineage.datasets()
    for dataset in datasets:
        by_rows.setdefault(dataset.rows_digest, []).append(dataset.number)
    return {dataset.number: by_rows[dataset.rows_digest] for dataset in datasets}


def _direct_sighting(
    training: RecordedTraining, rows: int, spans: Mapping[int, Sequence[tuple[int, ...]]], doubt: str | None
) -> Sighting:
    first = spans[min(spans)] if spans else ()
    because = (
        RECORDED_REASON.format(rows="the row" if rows == 1 else f"{rows:,} rows")
        if training.recorded
        else UNRECORDED_REASON
    )
    return Sighting(
        model=training.model,
        certainty="certain" if training.recorded and doubt is None else "possible",
        because=because if doubt is None else f"{because}; {doubt}",
        rows=rows,
        training=training.report_digest,
        run=training.run_id,
        recipe=training.recipe,
        started=training.started,
        spans=tuple(_token_span(span) for span in sorted(first)[:MAX_SPANS]),
    )


def _token_span(span: tuple[int, ...]) -> TokenSpan:
    first, tokens, supervised, times, begun, ended = span
    return TokenSpan(first=first, tokens=tokens, supervised=supervised, times=times, first_step=begun, last_step=ended)


def _propagate(direct: Sequence[Sighting], lineage: Lookups) -> tuple[Sighting, ...]:
    """The direct sightings and those of derived models, certain ones first; a model is expanded once per certainty."""
    sightings: dict[tuple[str, str | None], Sighting] = {}
    expanded: dict[str, Certainty] = {}
    queue = sorted(direct, key=_sort_key)
    while queue:
        sighting = queue.pop(0)
        earlier = sightings.get((sighting.model, sighting.training))
        if earlier is not None and _sort_key(earlier) <= _sort_key(sighting):
            continue
        if sighting.through is None or not _already_covered(expanded.get(sighting.model), sighting.certainty):
            sightings[sighting.model, sighting.training] = sighting
        if _already_covered(expanded.get(sighting.model), sighting.certainty):
            continue
        expanded[sighting.model] = sighting.certainty
        queue = sorted([*queue, *_derived_sightings(sighting, lineage)], key=_sort_key)
    with_releases = [
        sighting.model_copy(update={"releases": _release_names(sighting.model, lineage)})
        for sighting in sightings.values()
    ]
    return tuple(sorted(with_releases, key=lambda item: (_sort_key(item), item.model, item.training or "")))


def _sort_key(sighting: Sighting) -> tuple[bool, bool]:
    return sighting.certainty == "possible", sighting.through is not None


def _already_covered(earlier: Certainty | None, new: Certainty) -> bool:
    """Whether an earlier sighting of a model is at least as certain as a new one."""
    return earlier in ("certain", new)


def _derived_sightings(sighting: Sighting, lineage: Lookups) -> Iterator[Sighting]:
    for model, how in lineage.children(sighting.model):
        because, carries_over = DERIVATIONS[how]
        certainty: Certainty = sighting.certainty if carries_over else "possible"
        yield Sighting(model=model, certainty=certainty, because=because, rows=sighting.rows, through=sighting.model)
    yield from _generated_row_sightings(sighting, lineage)


def _generated_row_sightings(sighting: Sighting, lineage: Lookups) -> Iterator[Sighting]:
    """Sightings of models trained on rows that this model generated."""
    names = generator_names(sighting.model, [(name, version) for name, version, _ in lineage.releases(sighting.model)])
    for generator in lineage.origin_names("generator"):
        if generator.casefold() not in names:
            continue
        counts = lineage.origin_counts("generator", generator)
        for training in lineage.trainings(counts["dataset"]):
            rows = counts["training"].get(training.number, 0)
            if rows or not training.recorded:
                yield _direct_sighting(training, rows or counts["dataset"][training.dataset], {}, None).model_copy(
                    update={"certainty": "possible", "because": GENERATED_REASON, "through": sighting.model}
                )


def generator_names(model: str, releases: Iterable[tuple[str, int]]) -> frozenset[str]:
    """Names by which a row's `generator` may refer to a model: its tree digest, or a release with or without its version."""
    names = {model, model.removeprefix("sha256:")}
    for name, version in releases:
        names |= {name, *(f"{name}{sign}{version}" for sign in "/@: ")}
    return frozenset(name.casefold() for name in names)


def _release_names(model: str, lineage: Lookups) -> tuple[ReleaseName, ...]:
    return tuple(ReleaseName(name=name, version=version) for name, version, _ in lineage.releases(model))
