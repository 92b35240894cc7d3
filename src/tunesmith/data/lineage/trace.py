"""Trace: which models and releases saw a row, a person's rows, a source or a text; certain or possible."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from tunesmith.artifacts.lineage import TextSpan, Trace, TracedRow
from tunesmith.data.lineage.follow import Followed, follow_origin, follow_rows
from tunesmith.data.lineage.text_index import LEAST, TextHit, normal_words, search
from tunesmith.data.sources import SUBJECTS, subject_mark
from tunesmith.errors import Misuse
from tunesmith.ports import Progress
from tunesmith.store import Store
from tunesmith.store.lineage import SOURCE, Seen

LISTED: Final = 50
"""Rows that an answer lists; it says how many there are."""

ROW_ID: Final = re.compile(r"[0-9a-f]{16}")
ALL_OF_IT: Final = "rows that hold all of its words in a row"


def trace_row(row_id: str, store: Store) -> Trace:
    """Raises Misuse when the id is none, or when no data set has it."""
    rows = known_rows([row_id], store)
    return _answer(f"row {row_id}", rows, follow_rows(rows, store), store)


def known_rows(row_ids: Sequence[str], store: Store) -> list[Seen]:
    """Rows by id, in every data set. Raises Misuse for the first that is no id or is not there."""
    for row_id in row_ids:
        if not ROW_ID.fullmatch(row_id):
            raise Misuse(
                f"{row_id[:40]!r} is not a row id", where="--row", hint="16 hex digits, as in an audit's findings"
            )
    found = store.ledger.lineage.with_ids(row_ids)
    for row_id in row_ids:
        if all(row.row_id != row_id for row in found):
            raise Misuse(
                "no such row",
                where=row_id,
                hint="an erasure gives the rows that stay new ids; audit findings list them",
            )
    return found


def rows_of_subject(value: str, store: Store) -> list[Seen]:
    """Rows of a person in every data set, none when there are none. Raises Misuse when the value is empty."""
    if not value.strip():
        raise Misuse(
            "the subject is empty", where="--subject", hint="give what the subject column holds, e.g. an e-mail address"
        )
    return store.ledger.lineage.with_subject(subject_mark(store.ledger.salt(SUBJECTS), value))


def trace_subject(value: str, store: Store) -> Trace:
    """Who saw a person's rows; the value is in no answer. That there are none is an answer too."""
    rows = rows_of_subject(value, store)
    return _answer("the rows of a person", rows, follow_rows(rows, store), store)


def trace_source(name: str, store: Store) -> Trace:
    """Who saw rows of a source. Raises Misuse with the nearest name when there is no such source."""
    counts = store.ledger.lineage.origin(SOURCE, name)["dataset"]
    if not counts:
        known = store.ledger.lineage.origin_names(SOURCE)
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known[:10]) or 'none'}"
        raise Misuse(f"no row comes from a source called {name!r}", where="--source", hint=hint)
    followed = follow_origin(SOURCE, name, store)
    note = "rows are counted once for each data set that has them"
    return Trace(
        question=f"the source {name!r}",
        found=sum(counts.values()),
        rows=(),
        sightings=followed.sightings,
        spared=followed.spared,
        notes=(note,),
    )


def trace_text(text: str, store: Store, *, progress: Progress) -> Trace:
    """Rows that share a run of words with a text, and who saw them: certain where a row has all of the words in a row.

    Indexes that are missing are made, which takes some seconds per 100,000 rows, once for each data set.
    """
    words = normal_words(text)
    live = [one for one in store.ledger.lineage.datasets() if store.objects.has(one.container)]
    hits: dict[int, tuple[TextHit, ...]] = {}
    for one in progress.track(live, label="look for the text", total=len(live)):
        hits[one.number] = search(one.container, text, store)
    if not live:
        raise Misuse("the ledger knows no data set", hint="run the recipe first")
    spans = {hit.row_id: hit.spans for found in hits.values() for hit in found}
    longest = {hit.row_id: hit.words for found in hits.values() for hit in found}
    whole, parts = _seen(hits, len(words), store)
    first, second = (
        follow_rows(whole, store),
        follow_rows(parts, store, doubt=f"its rows share {LEAST} words or more, not all"),
    )
    rows = sorted({*whole, *parts}, key=lambda row: (-longest[row.row_id], row.dataset, row.position))
    taken = {(one.model, one.training) for one in first.sightings}
    both = (*first.sightings, *(one for one in second.sightings if (one.model, one.training) not in taken))
    spared = tuple(one for one in {*first.spared, *second.spared} if all(one != seen.training for seen in both))
    return _answer("a text", rows, Followed(both, tuple(sorted(spared))), store, spans=spans)


def _seen(hits: dict[int, tuple[TextHit, ...]], words: int, store: Store) -> tuple[list[Seen], list[Seen]]:
    """Rows with all of the words in a row, and the others."""
    whole: list[Seen] = []
    parts: list[Seen] = []
    for dataset, found in hits.items():
        full = {hit.position for hit in found if hit.words == words}
        for row in store.ledger.lineage.at(dataset, [hit.position for hit in found]):
            (whole if row.position in full else parts).append(row)
    ids = {row.row_id for row in whole}
    return whole, [row for row in parts if row.row_id not in ids]


def _answer(
    question: str,
    rows: Sequence[Seen],
    followed: Followed,
    store: Store,
    *,
    spans: dict[str, tuple[TextSpan, ...]] | None = None,
) -> Trace:
    containers = {one.number: one.container for one in store.ledger.lineage.datasets()} if rows else {}
    datasets: dict[str, list[str]] = {}
    for row in rows:
        datasets.setdefault(row.row_id, []).append(containers[row.dataset])
    listed = {row.row_id: row for row in reversed(rows)}
    order = list(dict.fromkeys(row.row_id for row in rows))
    return Trace(
        question=question,
        found=len(order),
        rows=tuple(
            TracedRow(
                row_id=row_id,
                file=listed[row_id].file,
                line=listed[row_id].line,
                datasets=tuple(datasets[row_id]),
                spans=(spans or {}).get(row_id, ()),
            )
            for row_id in order[:LISTED]
        ),
        sightings=followed.sightings,
        spared=followed.spared,
    )
