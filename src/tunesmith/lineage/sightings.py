"""From rows to models: trainings by their records, then on through bases, adapters, merges, copies and rows that models wrote."""

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
"""How a model comes from another: in words, and whether what the other saw is certain for it too."""

GENERATED_REASON: Final = "trained on rows that a model wrote which saw it"
SAME_ROWS_REASON: Final = "it was trained on the same rows under other names"
MAX_SPANS: Final = 8


@dataclass(frozen=True)
class Sightings:
    """Who saw the rows; and trainings on their data sets whose record has none of them."""

    sightings: tuple[Sighting, ...]
    spared: tuple[str, ...]


def find_row_sightings(rows: Sequence[RecordedRow], store: ReadableStore, *, doubt: str | None = None) -> Sightings:
    """Who saw these rows. With `doubt`, a reason, every sighting is possible at best."""
    lineage = store.lookups
    alike = _equal_datasets(lineage)
    places: dict[int, set[int]] = {}
    for row in rows:
        for dataset in alike[row.dataset]:
            places.setdefault(dataset, set()).add(row.position)
    direct: list[Sighting] = []
    spared: list[str] = []
    for training in lineage.trainings(places):
        positions = places[training.dataset]
        spans = lineage.consumed_spans(training.number, positions) if training.recorded else {}
        if training.recorded and not spans:
            spared.append(training.report_digest)
            continue
        seen = _direct_sighting(training, len(spans) if training.recorded else len(positions), spans, doubt)
        direct.append(seen)
    return Sightings(_propagate(direct, lineage), tuple(spared))


def find_origin_sightings(kind: str, name: str, store: ReadableStore) -> Sightings:
    """Who saw rows of a source or a generator."""
    counts = store.lookups.origin_counts(kind, name)
    direct: list[Sighting] = []
    spared: list[str] = []
    alike = _equal_datasets(store.lookups)
    others = {
        other: number for number in counts["dataset"] for other in alike[number] if other not in counts["dataset"]
    }
    for training in store.lookups.trainings({*counts["dataset"], *others}):
        if training.dataset in others:
            direct.append(_direct_sighting(training, counts["dataset"][others[training.dataset]], {}, SAME_ROWS_REASON))
            continue
        rows = counts["training"].get(training.number, 0) if training.recorded else counts["dataset"][training.dataset]
        if rows:
            direct.append(_direct_sighting(training, rows, {}, None))
        else:
            spared.append(training.report_digest)
    return Sightings(_propagate(direct, store.lookups), tuple(spared))


def _equal_datasets(lineage: Lookups) -> dict[int, list[int]]:
    """For each data set those with the same rows in the same order, itself among them; their ids may differ."""
    by_rows: dict[str, list[int]] = {}
    known = lineage.datasets()
    for one in known:
        by_rows.setdefault(one.rows_digest, []).append(one.number)
    return {one.number: by_rows[one.rows_digest] for one in known}


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
    """The direct sightings and all that follow, what is certain first; a model is passed on from once for each certainty."""
    found: dict[tuple[str, str | None], Sighting] = {}
    done: dict[str, Certainty] = {}
    queue = sorted(direct, key=_sort_key)
    while queue:
        sighting = queue.pop(0)
        known = found.get((sighting.model, sighting.training))
        if known is not None and _sort_key(known) <= _sort_key(sighting):
            continue
        if sighting.through is None or not _already_covered(done.get(sighting.model), sighting.certainty):
            found[sighting.model, sighting.training] = sighting
        if _already_covered(done.get(sighting.model), sighting.certainty):
            continue
        done[sighting.model] = sighting.certainty
        queue = sorted([*queue, *_derived_sightings(sighting, lineage)], key=_sort_key)
    named = [one.model_copy(update={"releases": _release_names(one.model, lineage)}) for one in found.values()]
    return tuple(sorted(named, key=lambda one: (_sort_key(one), one.model, one.training or "")))


def _sort_key(sighting: Sighting) -> tuple[bool, bool]:
    return sighting.certainty == "possible", sighting.through is not None


def _already_covered(known: Certainty | None, new: Certainty) -> bool:
    """Whether what is known of a model already covers a new sighting of it."""
    return known in ("certain", new)


def _derived_sightings(sighting: Sighting, lineage: Lookups) -> Iterator[Sighting]:
    for model, how in lineage.children(sighting.model):
        because, passes = DERIVATIONS[how]
        certainty: Certainty = sighting.certainty if passes else "possible"
        yield Sighting(model=model, certainty=certainty, because=because, rows=sighting.rows, through=sighting.model)
    yield from _generated_row_sightings(sighting, lineage)


def _generated_row_sightings(sighting: Sighting, lineage: Lookups) -> Iterator[Sighting]:
    """Models that were trained on rows whose generator is this model."""
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
    """What a row's `generator` may call a model: the digest of its tree, or a release with or without its version."""
    names = {model, model.removeprefix("sha256:")}
    for name, version in releases:
        names |= {name, *(f"{name}{sign}{version}" for sign in "/@: ")}
    return frozenset(name.casefold() for name in names)


def _release_names(model: str, lineage: Lookups) -> tuple[ReleaseName, ...]:
    return tuple(ReleaseName(name=name, version=version) for name, version, _ in lineage.releases(model))
