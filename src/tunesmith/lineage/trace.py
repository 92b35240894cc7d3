"""Trace which models and releases were trained on a row, a person's rows or a source; certain or possible."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

from tunesmith.artifacts.lineage import TextSpan, Trace, TracedRow
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.errors import Misuse
from tunesmith.lineage.sightings import Sightings, find_origin_sightings, find_row_sightings
from tunesmith.store.lineage import SOURCE, RecordedRow
from tunesmith.store.read_only import ReadableStore

MAX_LISTED_ROWS: Final = 50
"""Rows that a trace lists; it states the number of all."""

ROW_ID: Final = re.compile(r"[0-9a-f]{16}")


def trace_row(row_id: str, store: ReadableStore) -> Trace:
    """Trace one row. Raises Misuse when the id is invalid, or when no data set has it."""
    rows = find_rows([row_id], store)
    return make_trace(f"row {row_id}", rows, find_row_sightings(rows, store), store=store)


def find_rows(row_ids: Sequence[str], store: ReadableStore) -> list[RecordedRow]:
    """Rows by id, in all data sets. Raises Misuse for the first id that is invalid or unknown."""
    for row_id in row_ids:
        if not ROW_ID.fullmatch(row_id):
            raise Misuse(
                f"{row_id[:40]!r} is not a row id", where="--row", hint="16 hex digits, as in an audit's findings"
            )
    rows = store.lookups.rows_with_ids(row_ids)
    for row_id in row_ids:
        if all(row.row_id != row_id for row in rows):
            raise Misuse(
                "no such row",
                where=row_id,
                hint="an erasure gives the remaining rows new ids; the findings of the audit list them",
            )
    return rows


def subject_rows(value: str, store: ReadableStore) -> list[RecordedRow]:
    """Rows of a person in all data sets; empty when there are none. Raises Misuse when the value is empty."""
    if not value.strip():
        raise Misuse(
            "the subject is empty", where="--subject", hint="give what the subject column holds, e.g. an e-mail address"
        )
    salt = store.lookups.salt(SUBJECT_SALT)
    return [] if salt is None else store.lookups.rows_with_subject(subject_pseudonym(salt, value))


def trace_subject(value: str, store: ReadableStore) -> Trace:
    """Trace a person's rows. The trace does not contain the value; a trace without rows is valid too."""
    rows = subject_rows(value, store)
    return make_trace("the rows of a person", rows, find_row_sightings(rows, store), store=store)


def trace_source(name: str, store: ReadableStore) -> Trace:
    """Trace the rows of a source. Raises Misuse with the nearest name when there is no such source."""
    counts = store.lookups.origin_counts(SOURCE, name)["dataset"]
    if not counts:
        sources = store.lookups.origin_names(SOURCE)
        near = get_close_matches(name, sources, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sources[:10]) or 'none'}"
        raise Misuse(f"no row comes from a source called {name!r}", where="--source", hint=hint)
    sightings = find_origin_sightings(SOURCE, name, store)
    note = "rows are counted once for each data set that has them"
    return Trace(
        question=f"the source {name!r}",
        found=sum(counts.values()),
        rows=(),
        sightings=sightings.sightings,
        spared=sightings.spared,
        notes=(note,),
    )


def make_trace(
    question: str,
    rows: Sequence[RecordedRow],
    sightings: Sightings,
    *,
    store: ReadableStore,
    spans: dict[str, tuple[TextSpan, ...]] | None = None,
) -> Trace:
    """A trace of rows and the models trained on them; `spans` has the matching text of each row, by row id."""
    containers = {dataset.number: dataset.container for dataset in store.lookups.datasets()} if rows else {}
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
            for row_id in order[:MAX_LISTED_ROWS]
        ),
        sightings=sightings.sightings,
        spared=sightings.spared,
    )
