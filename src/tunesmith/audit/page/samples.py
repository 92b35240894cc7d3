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
from tunesmith.audit.page.pieces import ALIKE, Piece, before, compared, marked, shown
from tunesmith.data.rows import read_batches
from tunesmith.store import Store

TURNS: Final = 4
"""Messages of a row that are shown at most."""
SPEAKERS: Final = {"system": "Instruction", "user": "Prompt", "assistant": "Answer", "tool": "Tool"}
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Turn:
    """One message (or text, or label) as it is shown; `was` is the same before redaction, empty where nothing was replaced."""

    speaker: str
    pieces: tuple[Piece, ...]
    was: tuple[Piece, ...] = ()


@dataclass(frozen=True)
class Sample:
    """One finding; `turns` of its row and `other`, those of the other row, are empty where the store has them no longer.

    `more` turns of the row are left out.
    """

    finding: Finding
    turns: tuple[Turn, ...] = ()
    other: tuple[Turn, ...] = ()
    more: int = 0


@dataclass(frozen=True)
class _Kept:
    """A row as it was kept or put aside, and the spans that redaction replaced in it."""

    example: Example
    cuts: tuple[Span, ...]


def samples(report: AuditReport, store: Store, *, each: int) -> dict[str, tuple[Sample, ...]]:
    """At most `each` findings of every rule, by rule, as unlike each other as their reasons are."""
    chosen = _chosen(report.findings, each)
    places = [place for found in chosen.values() for one in found for place in (one.place, one.other) if place]
    rows = _rows(report, {_key(place) for place in places if place.row_id}, store)
    return {rule: tuple(_sample(finding, rows) for finding in found) for rule, found in chosen.items()}


def _chosen(findings: Iterable[Finding], each: int) -> dict[str, list[Finding]]:
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


def _rows(report: AuditReport, wanted: set[Key], store: Store) -> dict[Key, _Kept]:
    """The wanted rows that the store still has, from the data sets and from quarantine."""
    if not wanted:
        return {}
    cuts = _cuts(report, wanted, store)
    found: dict[Key, _Kept] = {}
    for key, example in _stored(report, wanted, store):
        found.setdefault(key, _Kept(example, tuple(cuts.get(key, ()))))
        if len(found) == len(wanted):
            break
    return found


def _stored(report: AuditReport, wanted: set[Key], store: Store) -> Iterator[tuple[Key, Example]]:
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


def _cuts(report: AuditReport, wanted: set[Key], store: Store) -> dict[Key, list[Span]]:
    """The spans of all findings that were redacted, by row."""
    table = parquet.read_table(store.objects.verified(report.all_findings), columns=["action", "place", "spans"])
    ids = compute.is_in(
        compute.struct_field(table.column("place"), "row_id"), value_set=pa.array(sorted({key[0] for key in wanted}))
    )
    cuts: dict[Key, list[Span]] = {}
    for line in table.filter(compute.and_(ids, compute.equal(table.column("action"), "redact"))).to_pylist():
        cuts.setdefault(_key(Place(**line["place"])), []).extend(Span(**span) for span in line["spans"])
    return cuts


def _sample(finding: Finding, rows: dict[Key, _Kept]) -> Sample:
    row = rows.get(_key(finding.place))
    other = None if finding.other is None else rows.get(_key(finding.other))
    if row is None:
        return Sample(finding)
    turns = _marked(row, finding.spans)
    if other is not None:
        theirs = _marked(other, ())
        turns, theirs = against(turns, theirs)
        wanted = _wanted(turns)
        also = [place for place in _wanted(theirs) if place < len(theirs)]
        return Sample(finding, _told(turns, wanted), _told(theirs, also), len(turns) - len(wanted))
    wanted = _wanted(turns)
    return Sample(finding, _told(turns, wanted, redacted=finding.action == "redact"), (), len(turns) - len(wanted))


def _marked(row: _Kept, spans: Sequence[Span]) -> list[Turn]:
    """Every message of a row, then its labels."""
    example = row.example
    texts = [(SPEAKERS[turn.role], turn.text) for turn in example.messages] or [("Text", example.text or "")]
    turns = [
        Turn(
            speaker,
            marked(
                text,
                [cut for cut in row.cuts if cut.message == number],
                [span for span in spans if span.message == number],
            ),
        )
        for number, (speaker, text) in enumerate(texts)
    ]
    if example.labels is not None:
        turns.append(Turn("Label", (Piece(", ".join(example.labels)),)))
    return turns


def against(turns: list[Turn], theirs: list[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Both rows with their differing words marked, message by message.

    Not so where the rule has marked words itself: then the other row has the same ones marked; nor where no message of the
    two is like the other's, since then every word would be.
    """
    if any(piece.kind == "match" for turn in turns for piece in turn.pieces):
        said = {piece.text for turn in turns for piece in turn.pieces if piece.kind == "match" and len(piece.text) > 3}
        return turns, [Turn(turn.speaker, _repeated(turn.pieces, said)) for turn in theirs]
    pairs = [
        (mine, other, compared(mine.pieces, other.pieces))
        for mine, other in zip(turns, theirs, strict=False)
        if mine.speaker == other.speaker
    ]
    if len(pairs) < min(len(turns), len(theirs)) or not any(both.alike >= ALIKE for _, _, both in pairs):
        return turns, theirs
    left = [Turn(mine.speaker, both.one) for mine, _, both in pairs] + turns[len(pairs) :]
    right = [Turn(other.speaker, both.other) for _, other, both in pairs] + theirs[len(pairs) :]
    return left, right


def _repeated(pieces: Iterable[Piece], said: set[str]) -> tuple[Piece, ...]:
    """The same words marked where the other row says them as well, letter for letter but for case."""
    if not said:
        return tuple(pieces)
    expression = re.compile(
        f"({'|'.join(re.escape(text) for text in sorted(said, key=len, reverse=True))})", re.IGNORECASE
    )
    made: list[Piece] = []
    for piece in pieces:
        if piece.kind != "plain":
            made.append(piece)
            continue
        parts = expression.split(piece.text)
        made += [Piece(part, "match" if place % 2 else "plain") for place, part in enumerate(parts) if part]
    return tuple(made)


def _wanted(turns: Sequence[Turn]) -> list[int]:
    """Which messages are shown: those with something marked first, then the last ones, in order."""
    telling = [place for place, turn in enumerate(turns) if any(piece.kind != "plain" for piece in turn.pieces)]
    others = [
        place for place in reversed(range(len(turns))) if place not in telling and turns[place].speaker != "Instruction"
    ]
    rest = [place for place in range(len(turns)) if place not in telling and place not in others]
    return sorted([*telling, *others, *rest][:TURNS] if len(turns) > TURNS else range(len(turns)))


def _told(turns: Sequence[Turn], wanted: Iterable[int], *, redacted: bool = False) -> tuple[Turn, ...]:
    told = []
    for place in wanted:
        pieces = shown(turns[place].pieces)
        placed = redacted and any(piece.kind == "placed" for piece in pieces)
        told.append(Turn(turns[place].speaker, pieces, before(pieces) if placed else ()))
    return tuple(told)


def _key(place: Place) -> Key:
    return place.row_id, place.file, place.line
