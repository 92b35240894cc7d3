"""Corpus: the rows as a check sees them, in columns, with signals that several checks share."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Final, Literal, Protocol

import pyarrow as pa
from pyarrow import compute

from tunesmith import tables
from tunesmith.artifacts import Action, Finding, Place, Rights, Row, Severity, Span
from tunesmith.data.normal import normal, without_frames
from tunesmith.data.patterns import PERSONAL, SECRETS, Hit, Pattern, find, gate

EXCERPT: Final = 100
"""Characters of an excerpt at most."""


class Named(Protocol):
    """What a finding takes from its check."""

    @property
    def id(self) -> str: ...
    @property
    def default_action(self) -> Action: ...


class Signal(Protocol):
    """What is worked out for each row or message from its own columns alone, batch by batch, whatever runs the engine.

    A frozen dataclass whose fields are its settings. A value depends on nothing but its line's `columns`, the settings and
    `version`, by which results are kept; another version must follow when the values change.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    of: ClassVar[Literal["rows", "parts"]]
    columns: ClassVar[tuple[str, ...]]
    kind: ClassVar[pa.DataType]

    def values(self, *columns: pa.Array) -> pa.Array:
        """One value of `kind` for each line of the columns."""
        ...


@dataclass(frozen=True)
class Signals:
    """What is worked out once for all rows, when first asked for. Position in `places` is the number of the row."""

    table: pa.Table
    parts: pa.Table
    places: tuple[Place, ...]
    _hits: dict[tuple[Pattern, ...], dict[int, list[Hit]]] = field(default_factory=dict)
    _values: dict[Signal, pa.Array] = field(default_factory=dict)

    def values(self, signal: Signal) -> pa.Array:
        """One value for each line of the whole `table` or `parts`."""
        if signal not in self._values:
            table = self.table if signal.of == "rows" else self.parts
            made = tables.map_batches(table, signal.values, columns=signal.columns, name="value", kind=signal.kind)
            self._values[signal] = made.column("value")
        return self._values[signal]

    @cached_property
    def bands(self) -> pa.Table:
        """Columns row, band, high, low: MinHash band keys of the normal prompts."""
        return tables.band_keys(tables.minhash(self.table, column="normal", row="row"), row="row")

    def hits(self, patterns: tuple[Pattern, ...]) -> dict[int, list[Hit]]:
        """Hits by number of the part; the native gates choose which texts the exact expressions look at."""
        if patterns not in self._hits:
            gates = {str(number): gate(pattern) for number, pattern in enumerate(patterns)}
            matches = tables.matching(self.parts, column="text", gates=gates, row="part")
            wanted: dict[int, list[Pattern]] = {}
            for number, pattern in enumerate(patterns):
                for part in matches[str(number)]:
                    wanted.setdefault(part, []).append(pattern)
            texts = self.parts.column("text")
            found = {part: find(texts[part].as_py(), wanted[part]) for part in sorted(wanted)}
            self._hits[patterns] = {part: hits for part, hits in found.items() if hits}
        return self._hits[patterns]

    @cached_property
    def parts_of(self) -> dict[tuple[int, int], int]:
        """Number of the part by (row, message)."""
        rows, messages = self.parts.column("row").to_pylist(), self.parts.column("message").to_pylist()
        return {place: part for part, place in enumerate(zip(rows, messages, strict=True))}


@dataclass(frozen=True)
class Corpus:
    """`table` has one line a row: row (number from 0; training rows first), row_id, split ("train" or "test"), file, line,
    system, prompt, completion (null where the format has none), normal (see `normal`), digest (of the example's canonical
    bytes), and the row's `Rights` by name: license, source, origin, basis ... `parts` has one line a message: part (number
    from 0), row, message, role (null where the row is a text), text.
    """

    table: pa.Table
    parts: pa.Table
    signals: Signals

    def split(self, name: str) -> pa.Table:
        """The lines of `table` of one split."""
        return self.table.filter(compute.equal(self.table.column("split"), name))

    def without(self, rows: AbstractSet[int]) -> "Corpus":
        """This corpus less some rows; signals stay as they are."""
        if not rows:
            return self
        gone = pa.array(sorted(rows), type=pa.int64())

        def kept(table: pa.Table) -> pa.Table:
            return table.filter(compute.invert(compute.is_in(table.column("row"), value_set=gone)))

        return Corpus(kept(self.table), kept(self.parts), self.signals)

    def bands(self, table: pa.Table) -> pa.Table:
        """MinHash band keys of the rows of `table`; rows whose normal prompt is empty have none."""
        keys = self.signals.bands
        return keys.filter(compute.is_in(keys.column("row"), value_set=table.column("row").combine_chunks()))

    def values(self, signal: Signal) -> pa.Array:
        """The signal's value for each line of `table` (a signal of rows) or of `parts` (a signal of messages)."""
        lines = self.table.column("row") if signal.of == "rows" else self.parts.column("part")
        return self.signals.values(signal).take(lines)

    def hits(self, patterns: tuple[Pattern, ...]) -> dict[int, list[tuple[int, Hit]]]:
        """(message, hit) by row, in order."""
        found = self.signals.hits(patterns)
        columns = (self.parts.column(name).to_pylist() for name in ("part", "row", "message"))
        result: dict[int, list[tuple[int, Hit]]] = {}
        for part, row, message in zip(*columns, strict=True):
            for hit in found.get(part, ()):
                result.setdefault(row, []).append((message, hit))
        return result

    def map_batches(
        self,
        table: pa.Table,
        function: Callable[..., pa.Array],
        *,
        columns: Sequence[str],
        name: str,
        kind: pa.DataType,
    ) -> pa.Table:
        """`table` with a column more, worked out by the engine batch by batch (see `tables.map_batches`)."""
        return tables.map_batches(table, function, columns=columns, name=name, kind=kind)

    def finding(self, check: Named, row: int, reason: str, **more: Any) -> Finding:
        """A finding about a row. `more`: severity, spans, other (a row number), similarity."""
        severity: Severity = more.get("severity", "warning")
        other: int | None = more.get("other")
        spans: tuple[Span, ...] = more.get("spans", ())
        return Finding(
            rule=check.id,
            severity=severity,
            action=check.default_action,
            place=self.signals.places[row],
            reason=reason,
            spans=spans,
            other=None if other is None else self.signals.places[other],
            similarity=more.get("similarity"),
            excerpt=self.excerpt(row, spans[0] if spans else None),
        )

    def excerpt(self, row: int, span: Span | None = None) -> str:
        """Some words of a row, around a span or from its first message that is no instruction.

        Personal data and secrets are masked, whatever the recipe says of them.
        """
        systems = self.signals.table.column("systems")[row].as_py()
        message = span.message if span is not None else systems
        part = self.signals.parts_of.get((row, message), self.signals.parts_of.get((row, 0)))
        if part is None:
            return ""
        text = self.signals.parts.column("text")[part].as_py()
        hits = [hit for pack in (PERSONAL, SECRETS) for hit in self.signals.hits(pack).get(part, ())]
        masked, focus = _masked(text, hits, 0 if span is None else span.start)
        return _cut(masked, focus)


def corpus_of(train: Sequence[Row], test: Sequence[Row]) -> Corpus:
    """Rows of both splits in columns; numbers run on from the training rows to the held-out rows."""
    rows = [*train, *test]
    texts = [_prompt(row) for row in rows]
    table = pa.table(
        {
            "row": pa.array(range(len(rows)), type=pa.int64()),
            "row_id": _strings(row.row_id for row in rows),
            "split": _strings(["train"] * len(train) + ["test"] * len(test)),
            "file": _strings(row.file for row in rows),
            "line": pa.array([row.line for row in rows], type=pa.int64()),
            "system": _strings(system for system, _ in texts),
            "systems": pa.array([_systems(row) for row in rows], type=pa.int64()),
            "prompt": _strings(prompt for _, prompt in texts),
            "completion": _strings(_completion(row) for row in rows),
            "digest": _strings(row.example.digest() for row in rows),
            **{key: _strings(getattr(row.rights, key) for row in rows) for key in Rights.model_fields},
        }
    )
    plain = tables.map_batches(table, _normals, columns=["prompt"], name="plain", kind=pa.string())
    normals = without_frames(plain.column("plain").to_pylist(), table.column("file").to_pylist())
    table = table.append_column("normal", _strings(normals))
    parts = _parts(rows)
    places = tuple(Place(row_id=row.row_id, file=row.file, line=row.line) for row in rows)
    return Corpus(table, parts, Signals(table, parts, places))


def _strings(values: Any) -> pa.Array:
    return pa.array(list(values), type=pa.string())


def _normals(prompts: pa.Array) -> pa.Array:
    return pa.array([normal(prompt) for prompt in prompts.to_pylist()], type=pa.string())


def _prompt(row: Row) -> tuple[str, str]:
    """(system turns, the rest of the prompt)."""
    if not row.example.messages:
        return "", row.example.text or ""
    turns = row.example.prompt
    system = "\n".join(turn.text for turn in turns if turn.role == "system")
    return system, "\n".join(turn.text for turn in turns if turn.role != "system")


def _systems(row: Row) -> int:
    """How many system turns come first; the message after them is the one to show."""
    roles = [turn.role for turn in row.example.messages]
    return next((number for number, role in enumerate(roles) if role != "system"), 0)


def _completion(row: Row) -> str | None:
    return None if not row.example.messages and row.example.labels is None else row.example.completion


def _parts(rows: Sequence[Row]) -> pa.Table:
    lines = []
    for number, row in enumerate(rows):
        texts = [turn.text for turn in row.example.messages] or [row.example.text or ""]
        roles: list[str | None] = [turn.role for turn in row.example.messages] or [None]
        lines += [(number, message, text, role) for message, (text, role) in enumerate(zip(texts, roles, strict=True))]
    return pa.table(
        {
            "part": pa.array(range(len(lines)), type=pa.int64()),
            "row": pa.array([line[0] for line in lines], type=pa.int64()),
            "message": pa.array([line[1] for line in lines], type=pa.int64()),
            "text": _strings(line[2] for line in lines),
            "role": _strings(line[3] for line in lines),
        }
    )


def _masked(text: str, hits: list[Hit], focus: int) -> tuple[str, int]:
    """The text with hits replaced by their kinds, and where the character `focus` has gone."""
    made, position, moved = "", 0, 0
    for hit in sorted(hits):
        if hit.end <= position:
            continue
        made += text[position : max(position, hit.start)]
        if hit.start <= focus:
            moved = len(made)
        made += f"[{hit.kind}]"
        position = hit.end
    if focus >= position:
        moved = len(made) + focus - position
    return made + text[position:], moved


def _cut(text: str, focus: int) -> str:
    """At most EXCERPT characters around `focus`, on one line, hidden characters spelled out."""
    start = max(0, min(focus - EXCERPT // 3, len(text) - EXCERPT))
    piece = text[start : start + EXCERPT]
    shown = "".join(c if c.isprintable() else " " if c.isspace() else f"\\u{ord(c):04x}" for c in piece)
    return f"{'…' if start else ''}{shown.strip()}{'…' if start + EXCERPT < len(text) else ''}"
