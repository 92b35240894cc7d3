"""Trace a text: rows that share a run of words with it, and who saw them."""

from tunesmith.artifacts.lineage import Trace
from tunesmith.errors import Misuse
from tunesmith.lineage.sightings import Sightings, find_row_sightings
from tunesmith.lineage.text_ngrams import MIN_SHARED_WORDS, normal_words
from tunesmith.lineage.text_search import TextHit, search_text
from tunesmith.lineage.trace import make_trace
from tunesmith.store.lineage import RecordedRow
from tunesmith.store.read_only import ReadableStore


def trace_text(text: str, store: ReadableStore) -> Trace:
    """Rows that share a run of words with a text, and who saw them: certain where a row has all of the words in a row.

    Raises Misuse for a text without words, when there is no data set, and when one has no text index yet
    (`text_index.build_missing` makes them).
    """
    words = normal_words(text)
    live = [one for one in store.lookups.datasets() if store.objects.has(one.container)]
    hits = {one.number: search_text(one.container, text, store) for one in live}
    if not live:
        raise Misuse("the ledger knows no data set", hint="run the recipe first")
    spans = {hit.row_id: hit.spans for found in hits.values() for hit in found}
    longest = {hit.row_id: hit.words for found in hits.values() for hit in found}
    whole, parts = _matching_rows(hits, len(words), store)
    first, second = (
        find_row_sightings(whole, store),
        find_row_sightings(parts, store, doubt=f"its rows share {MIN_SHARED_WORDS} words or more, not all"),
    )
    rows = sorted({*whole, *parts}, key=lambda row: (-longest[row.row_id], row.dataset, row.position))
    taken = {(one.model, one.training) for one in first.sightings}
    both = (*first.sightings, *(one for one in second.sightings if (one.model, one.training) not in taken))
    spared = tuple(one for one in {*first.spared, *second.spared} if all(one != seen.training for seen in both))
    return make_trace("a text", rows, Sightings(both, tuple(sorted(spared))), store=store, spans=spans)


def _matching_rows(
    hits: dict[int, tuple[TextHit, ...]], words: int, store: ReadableStore
) -> tuple[list[RecordedRow], list[RecordedRow]]:
    """Rows with all of the words in a row, and the others."""
    whole: list[RecordedRow] = []
    parts: list[RecordedRow] = []
    for dataset, found in hits.items():
        full = {hit.position for hit in found if hit.words == words}
        for row in store.lookups.rows_at(dataset, [hit.position for hit in found]):
            (whole if row.position in full else parts).append(row)
    ids = {row.row_id for row in whole}
    return whole, [row for row in parts if row.row_id not in ids]
