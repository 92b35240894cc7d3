"""Samples: a few findings of each rule with the rows themselves, read back from what the audit stored."""

import gzip
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import pyarrow as pa
from pyarrow import compute, parquet

from tunesmith.artifacts import AuditReport, Example, Finding, Place, Span
from tunesmith.audit.page.highlights import (
    MIN_SIMILARITY,
    Highlight,
    before_redaction,
    compare_messages,
    highlight_message,
    shorten_message,
)
from tunesmith.data.rows import read_batches
from tunesmith.store import Store

MAX_SHOWN_MESSAGES: Final = 4
"""Messages of a row that are shown at most."""
SPEAKERS: Final = {"system": "Instruction", "user": "Prompt", "assistant": "Answer", "tool": "Tool"}
RowKey = tuple[str, str, int]


@dataclass(frozen=True)
class ShownMessage:
    """One message (or text, or label) as it is shown; `was` is the same before redaction, empty where nothing was replaced."""

    speaker: str
    pieces: tuple[Highlight, ...]
    was: tuple[Highlight, ...] = ()


@dataclass(frozen=True)
class FindingExample:
    """One finding; `turns` of its row and `other`, those of the other row, are empty where the store has them no longer.

    `more` turns of the row are left out.
    """

    finding: Finding
    turns: tuple[ShownMessage, ...] = ()
    other: tuple[ShownMessage, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class _StoredRow:
    """A row as it was kept or put aside, and the spans that redaction replaced in it."""

    example: Example
    cuts: tuple[Span, ...]


def finding_examples(report: AuditReport, store: Store, *, each: int) -> dict[str, tuple[FindingExample, ...]]:
    """At most `each` findings of every rule, by rule, as unlike each other as their reasons are."""
    chosen = _choose_findings(report.findings, each)
    places = [place for found in chosen.values() for one in found for place in (one.place, one.other) if place]
    rows = _find_rows(report, {_row_key(place) for place in places if place.row_id}, store)
    return {rule: tuple(_build_example(finding, rows) for finding in found) for rule, found in chosen.items()}


def _choose_findings(findings: Iterable[Finding], each: int) -> dict[str, list[Finding]]:
    """Of each rule those whose reasons differ by more than numbers first, then the next ones; in the report's order."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    chosen = {}
    for rule, found in sorted(by_rule.items()):
        kinds: dict[str, int] = {}
        for place, finding in enumerate(found):
            kinds.setdefault(re.sub(r"[\d.,%]+", "#", finding.reason), place)
        order = [*kinds.values(), *(place for place in range(len(found)) if place not in set(kinds.values()))]
        chosen[rule] = [found[place] for place in sorted(order[:each])]
    return chosen


def _find_rows(report: AuditReport, wanted: set[RowKey], store: Store) -> dict[RowKey, _StoredRow]:
    """The wanted rows that the store still has, from the data sets and from quarantine."""
    if not wanted:
        return {}
    cuts = _redacted_spans(report, wanted, store)
    found: dict[RowKey, _StoredRow] = {}
    for key, example in _read_stored_rows(report, wanted, store):
        found.setdefault(key, _StoredRow(example, tuple(cuts.get(key, ()))))
        if len(found) == len(wanted):
            break
    return found


def _read_stored_rows(report: AuditReport, wanted: set[RowKey], store: Store) -> Iterator[tuple[RowKey, Example]]:
    ids = pa.array(sorted({row_id for row_id, _, _ in wanted}))
    told = re.compile(b'"row_id":"(?:%s)"' % b"|".join(re.escape(row_id).encode() for row_id in ids.to_pylist()))
    with gzip.open(store.objects.verified(report.quarantine)) as lines:
        for line in filter(told.search, lines):
            put_aside = json.loads(line)
            key = (put_aside["row_id"], put_aside["file"], put_aside["line"])
            if put_aside["example"] and key in wanted:
                yield key, Example.model_validate(put_aside["example"])
    containers = [dataset.container for dataset in (report.train, report.test) if dataset is not None]
    batches = chain.from_iterable(read_batches(store.objects.verified(container)) for container in containers)
    for batch in batches:
        for row in batch.filter(compute.is_in(batch.column("row_id"), value_set=ids)).to_pylist():
            key = (row["row_id"], row["file"], row["line"])
            if key in wanted:
                yield key, Example.from_bytes(row["example"].encode())


def _redacted_spans(report: AuditReport, wanted: set[RowKey], store: Store) -> dict[RowKey, list[Span]]:
    """The spans of all findings that were redacted, by row."""
    table = parquet.read_table(store.objects.verified(report.all_findings), columns=["action", "place", "spans"])
    ids = compute.is_in(
        compute.struct_field(table.column("place"), "row_id"), value_set=pa.array(sorted({key[0] for key in wanted}))
    )
    cuts: dict[RowKey, list[Span]] = {}
    for line in table.filter(compute.and_(ids, compute.equal(table.column("action"), "redact"))).to_pylist():
        cuts.setdefault(_row_key(Place(**line["place"])), []).extend(Span(**span) for span in line["spans"])
    return cuts


def _build_example(finding: Finding, rows: dict[RowKey, _StoredRow]) -> FindingExample:
    row = rows.get(_row_key(finding.place))
    other = None if finding.other is None else rows.get(_row_key(finding.other))
    if row is None:
        return FindingExample(finding)
    turns = _highlight_row(row, finding.spans)
    if other is not None:
        theirs = _highlight_row(other, ())
        turns, theirs = compare_rows(turns, theirs)
        wanted = _choose_messages(turns)
        also = [place for place in _choose_messages(theirs) if place < len(theirs)]
        return FindingExample(
            finding, _shown_messages(turns, wanted), _shown_messages(theirs, also), len(turns) - len(wanted)
        )
    wanted = _choose_messages(turns)
    return FindingExample(
        finding, _shown_messages(turns, wanted, redacted=finding.action == "redact"), (), len(turns) - len(wanted)
    )


def _highlight_row(row: _StoredRow, spans: Sequence[Span]) -> list[ShownMessage]:
    """Every message of a row, then its labels."""
    example = row.example
    texts = [(SPEAKERS[turn.role], turn.text) for turn in example.messages] or [("Text", example.text or "")]
    turns = [
        ShownMessage(
            speaker,
            highlight_message(
                text,
                [cut for cut in row.cuts if cut.message == number],
                [span for span in spans if span.message == number],
            ),
        )
        for number, (speaker, text) in enumerate(texts)
    ]
    if example.labels is not None:
        turns.append(ShownMessage("Label", (Highlight(", ".join(example.labels)),)))
    return turns


def compare_rows(
    turns: list[ShownMessage], theirs: list[ShownMessage]
) -> tuple[list[ShownMessage], list[ShownMessage]]:
    """Both rows with their differing words marked, message by message.

    Not so where the rule has marked words itself: then the other row has the same ones marked; nor where no message of the
    two is like the other's, since then every word would be.
    """
    if any(piece.kind == "match" for turn in turns for piece in turn.pieces):
        said = {piece.text for turn in turns for piece in turn.pieces if piece.kind == "match" and len(piece.text) > 3}
        return turns, [ShownMessage(turn.speaker, _highlight_matches(turn.pieces, said)) for turn in theirs]
    pairs = [
        (mine, other, compare_messages(mine.pieces, other.pieces))
        for mine, other in zip(turns, theirs, strict=False)
        if mine.speaker == other.speaker
    ]
    if len(pairs) < min(len(turns), len(theirs)) or not any(both.alike >= MIN_SIMILARITY for _, _, both in pairs):
        return turns, theirs
    left = [ShownMessage(mine.speaker, both.one) for mine, _, both in pairs] + turns[len(pairs) :]
    right = [ShownMessage(other.speaker, both.other) for _, other, both in pairs] + theirs[len(pairs) :]
    return left, right


def _highlight_matches(pieces: Iterable[Highlight], said: set[str]) -> tuple[Highlight, ...]:
    """The same words marked where the other row says them as well, letter for letter but for case."""
    if not said:
        return tuple(pieces)
    expression = re.compile(
        f"({'|'.join(re.escape(text) for text in sorted(said, key=len, reverse=True))})", re.IGNORECASE
    )
    made: list[Highlight] = []
    for piece in pieces:
        if piece.kind != "plain":
            made.append(piece)
            continue
        parts = expression.split(piece.text)
        made += [Highlight(part, "match" if place % 2 else "plain") for place, part in enumerate(parts) if part]
    return tuple(made)


def _choose_messages(turns: Sequence[ShownMessage]) -> list[int]:
    """Which messages are shown: those with something marked first, then the last ones, in order."""
    telling = [place for place, turn in enumerate(turns) if any(piece.kind != "plain" for piece in turn.pieces)]
    others = [
        place for place in reversed(range(len(turns))) if place not in telling and turns[place].speaker != "Instruction"
    ]
    rest = [place for place in range(len(turns)) if place not in telling and place not in others]
    return sorted(
        [*telling, *others, *rest][:MAX_SHOWN_MESSAGES] if len(turns) > MAX_SHOWN_MESSAGES else range(len(turns))
    )


def _shown_messages(
    turns: Sequence[ShownMessage], wanted: Iterable[int], *, redacted: bool = False
) -> tuple[ShownMessage, ...]:
    told = []
    for place in wanted:
        pieces = shorten_message(turns[place].pieces)
        placed = redacted and any(piece.kind == "placed" for piece in pieces)
        told.append(ShownMessage(turns[place].speaker, pieces, before_redaction(pieces) if placed else ()))
    return tuple(told)


def _row_key(place: Place) -> RowKey:
    return place.row_id, place.file, place.line
