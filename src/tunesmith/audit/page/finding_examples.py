"""A few example findings of each rule with their rows, read from the store."""

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
"""Maximum number of messages shown of a row."""
SPEAKERS: Final = {"system": "Instruction", "user": "Prompt", "assistant": "Answer", "tool": "Tool"}
RowKey = tuple[str, str, int]


@dataclass(frozen=True)
class ShownMessage:
    """One message (or text, or label) as shown; `was` is the message before redaction, empty if nothing was replaced."""

    speaker: str
    pieces: tuple[Highlight, ...]
    was: tuple[Highlight, ...] = ()


@dataclass(frozen=True)
class FindingExample:
    """One finding with the messages of its row (`turns`) and of the other row (`other`); empty if no longer in the store.

    `more` is the number of messages of the row that are not shown.
    """

    finding: Finding
    turns: tuple[ShownMessage, ...] = ()
    other: tuple[ShownMessage, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class _StoredRow:
    """A row as stored in a data set or in quarantine, and the spans that redaction replaced in it."""

    example: Example
    cuts: tuple[Span, ...]


def finding_examples(report: AuditReport, store: Store, *, each: int) -> dict[str, tuple[FindingExample, ...]]:
    """At most `each` findings per rule, chosen so that their reasons differ."""
    chosen = _choose_findings(report.findings, each)
    places = [
        place
        for findings in chosen.values()
        for finding in findings
        for place in (finding.place, finding.other)
        if place
    ]
    rows = _find_rows(report, {_row_key(place) for place in places if place.row_id}, store)
    return {rule: tuple(_build_example(finding, rows) for finding in findings) for rule, findings in chosen.items()}


def _choose_findings(findings: Iterable[Finding], each: int) -> dict[str, list[Finding]]:
    """For each rule, findings whose reasons differ in more than numbers first, then the next ones; in report order."""
    by_rule: dict[str, list[Finding]] = {}
    for finding in findings:
        by_rule.setdefault(finding.rule, []).append(finding)
    chosen = {}
    for rule, rule_findings in sorted(by_rule.items()):
        first_of_reason: dict[str, int] = {}
        for index, finding in enumerate(rule_findings):
            first_of_reason.setdefault(re.sub(r"[\d.,%]+", "#", finding.reason), index)
        order = [
            *first_of_reason.values(),
            *(index for index in range(len(rule_findings)) if index not in set(first_of_reason.values())),
        ]
        chosen[rule] = [rule_findings[index] for index in sorted(order[:each])]
    return chosen


def _find_rows(report: AuditReport, wanted: set[RowKey], store: Store) -> dict[RowKey, _StoredRow]:
    """The wanted rows that are still in the store, from quarantine and the data sets."""
    if not wanted:
        return {}
    cuts = _redacted_spans(report, wanted, store)
    rows: dict[RowKey, _StoredRow] = {}
    for key, example in _read_stored_rows(report, wanted, store):
        rows.setdefault(key, _StoredRow(example, tuple(cuts.get(key, ()))))
        if len(rows) == len(wanted):
            break
    return rows


def _read_stored_rows(report: AuditReport, wanted: set[RowKey], store: Store) -> Iterator[tuple[RowKey, Example]]:
    ids = pa.array(sorted({row_id for row_id, _, _ in wanted}))
    id_pattern = re.compile(b'"row_id":"(?:%s)"' % b"|".join(re.escape(row_id).encode() for row_id in ids.to_pylist()))
    with gzip.open(store.objects.verified(report.quarantine)) as lines:
        for line in filter(id_pattern.search, lines):
            quarantined = json.loads(line)
            key = (quarantined["row_id"], quarantined["file"], quarantined["line"])
            if quarantined["example"] and key in wanted:
                yield key, Example.model_validate(quarantined["example"])
    containers = [dataset.container for dataset in (report.train, report.test) if dataset is not None]
    batches = chain.from_iterable(read_batches(store.objects.verified(container)) for container in containers)
    for batch in batches:
        for row in batch.filter(compute.is_in(batch.column("row_id"), value_set=ids)).to_pylist():
            key = (row["row_id"], row["file"], row["line"])
            if key in wanted:
                yield key, Example.from_bytes(row["example"].encode())


def _redacted_spans(report: AuditReport, wanted: set[RowKey], store: Store) -> dict[RowKey, list[Span]]:
    """The redacted spans of all findings, by row."""
    table = parquet.read_table(store.objects.verified(report.all_findings), columns=["action", "place", "spans"])
    ids = compute.is_in(
        compute.struct_field(table.column("place"), "row_id"), value_set=pa.array(sorted({key[0] for key in wanted}))
    )
    spans_of_row: dict[RowKey, list[Span]] = {}
    for line in table.filter(compute.and_(ids, compute.equal(table.column("action"), "redact"))).to_pylist():
        spans_of_row.setdefault(_row_key(Place(**line["place"])), []).extend(Span(**span) for span in line["spans"])
    return spans_of_row


def _build_example(finding: Finding, rows: dict[RowKey, _StoredRow]) -> FindingExample:
    row = rows.get(_row_key(finding.place))
    other = None if finding.other is None else rows.get(_row_key(finding.other))
    if row is None:
        return FindingExample(finding)
    messages = _highlight_row(row, finding.spans)
    if other is not None:
        other_messages = _highlight_row(other, ())
        messages, other_messages = compare_rows(messages, other_messages)
        chosen = _choose_messages(messages)
        other_shown = [index for index in _choose_messages(other_messages) if index < len(other_messages)]
        return FindingExample(
            finding,
            _shown_messages(messages, chosen),
            _shown_messages(other_messages, other_shown),
            len(messages) - len(chosen),
        )
    chosen = _choose_messages(messages)
    return FindingExample(
        finding, _shown_messages(messages, chosen, redacted=finding.action == "redact"), (), len(messages) - len(chosen)
    )


def _highlight_row(row: _StoredRow, spans: Sequence[Span]) -> list[ShownMessage]:
    """Every message of a row with highlights, then its labels."""
    example = row.example
    texts = [(SPEAKERS[message.role], message.text) for message in example.messages] or [("Text", example.text or "")]
    messages = [
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
        messages.append(ShownMessage("Label", (Highlight(", ".join(example.labels)),)))
    return messages


def compare_rows(
    messages: list[ShownMessage], other_messages: list[ShownMessage]
) -> tuple[list[ShownMessage], list[ShownMessage]]:
    """Both rows with their differing words marked, message by message.

    If the rule matched words, the same words are marked in the other row instead. If no two messages are similar, nothing is
    marked, since every word would be.
    """
    if any(piece.kind == "match" for message in messages for piece in message.pieces):
        matched = {
            piece.text
            for message in messages
            for piece in message.pieces
            if piece.kind == "match" and len(piece.text) > 3
        }
        return messages, [
            ShownMessage(message.speaker, _highlight_matches(message.pieces, matched)) for message in other_messages
        ]
    pairs = [
        (message, other, compare_messages(message.pieces, other.pieces))
        for message, other in zip(messages, other_messages, strict=False)
        if message.speaker == other.speaker
    ]
    if len(pairs) < min(len(messages), len(other_messages)) or not any(
        comparison.similarity >= MIN_SIMILARITY for _, _, comparison in pairs
    ):
        return messages, other_messages
    first = [ShownMessage(message.speaker, comparison.first) for message, _, comparison in pairs] + messages[
        len(pairs) :
    ]
    second = [ShownMessage(other.speaker, comparison.second) for _, other, comparison in pairs] + other_messages[
        len(pairs) :
    ]
    return first, second


def _highlight_matches(pieces: Iterable[Highlight], matched: set[str]) -> tuple[Highlight, ...]:
    """Mark the given words in another row, ignoring case."""
    if not matched:
        return tuple(pieces)
    expression = re.compile(
        f"({'|'.join(re.escape(text) for text in sorted(matched, key=len, reverse=True))})", re.IGNORECASE
    )
    highlights: list[Highlight] = []
    for piece in pieces:
        if piece.kind != "plain":
            highlights.append(piece)
            continue
        texts = expression.split(piece.text)
        highlights += [Highlight(part, "match" if index % 2 else "plain") for index, part in enumerate(texts) if part]
    return tuple(highlights)


def _choose_messages(messages: Sequence[ShownMessage]) -> list[int]:
    """Numbers of the messages to show: those with highlights first, then the last ones; in order."""
    with_highlights = [
        index for index, message in enumerate(messages) if any(piece.kind != "plain" for piece in message.pieces)
    ]
    others = [
        index
        for index in reversed(range(len(messages)))
        if index not in with_highlights and messages[index].speaker != "Instruction"
    ]
    instructions = [index for index in range(len(messages)) if index not in with_highlights and index not in others]
    return sorted(
        [*with_highlights, *others, *instructions][:MAX_SHOWN_MESSAGES]
        if len(messages) > MAX_SHOWN_MESSAGES
        else range(len(messages))
    )


def _shown_messages(
    messages: Sequence[ShownMessage], numbers: Iterable[int], *, redacted: bool = False
) -> tuple[ShownMessage, ...]:
    messages_to_show = []
    for number in numbers:
        pieces = shorten_message(messages[number].pieces)
        has_placeholder = redacted and any(piece.kind == "placed" for piece in pieces)
        messages_to_show.append(
            ShownMessage(messages[number].speaker, pieces, before_redaction(pieces) if has_placeholder else ())
        )
    return tuple(messages_to_show)


def _row_key(place: Place) -> RowKey:
    return place.row_id, place.file, place.line
