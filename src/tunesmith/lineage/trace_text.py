"""Trace a text: the rows that share a run of words with it, and the models trained on them."""

from tunesmith.artifacts.lineage import Trace
from tunesmith.errors import Misuse
from tunesmith.lineage.sightings import Sightings, find_row_sightings
from tunesmith.lineage.text_ngrams import MIN_SHARED_WORDS, normal_words
from tunesmith.lineage.text_search import TextHit, search_text
from tunesmith.lineage.trace import make_trace
from tunesmith.store.lineage import RecordedRow
from tunesmith.store.read_only import ReadableStore


def trace_text(text: str, store: ReadableStore) -> Trace:
    """Rows that share a run of words with a text, and the models trained on them; certain where a row has the whole text.

    Raises Misuse for a text without words, for a store without data sets, and for a data set without a text index
    (`text_index.build_missing_indexes` builds it).
    """
    words = normal_words(text)
    datasets = [dataset for dataset in store.lookups.datasets() if store.objects.has(dataset.container)]
    if not datasets:
        raise Misuse("the ledger has no data set", hint="run a recipe first: `tunesmith run recipe.yaml`")
    hits = {dataset.number: search_text(dataset.container, text, store) for dataset in datasets}
    spans = {hit.row_id: hit.spans for in_dataset in hits.values() for hit in in_dataset}
    longest = {hit.row_id: hit.words for in_dataset in hits.values() for hit in in_dataset}
    whole, parts = _matching_rows(hits, len(words), store)
    doubt = f"its rows share {MIN_SHARED_WORDS} words or more, not all"
    of_whole, of_parts = find_row_sightings(whole, store), find_row_sightings(parts, store, doubt=doubt)
    rows = sorted({*whole, *parts}, key=lambda row: (-longest[row.row_id], row.dataset, row.position))
    certain = {(sighting.model, sighting.training) for sighting in of_whole.sightings}
    only_in_parts = (s for s in of_parts.sightings if (s.model, s.training) not in certain)
    sightings = (*of_whole.sightings, *only_in_parts)
    spared = {*of_whole.spared, *of_parts.spared} - {sighting.training for sighting in sightings}
    return make_trace("a text", rows, Sightings(sightings, tuple(sorted(spared))), store=store, spans=spans)


def _matching_rows(
    hits: dict[int, tuple[TextHit, ...]], words: int, store: ReadableStore
) -> tuple[list[RecordedRow], list[RecordedRow]]:
    """Rows that hold all the words as one run, and the other rows."""
    whole: list[RecordedRow] = []
    parts: list[RecordedRow] = []
    for dataset, in_dataset in hits.items():
        full = {hit.position for hit in in_dataset if hit.words == words}
        for row in store.lookups.rows_at(dataset, [hit.position for hit in in_dataset]):
            (whole if row.position in full else parts).append(row)
    ids = {row.row_id for row in whole}
    return whole, [row for row in parts if row.row_id not in ids]
