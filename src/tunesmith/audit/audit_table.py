"""Corpus: the rows as a check sees them, in columns, with signals that several checks share."""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any, ClassVar, Final, Literal, Protocol

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith import tables
from tunesmith.artifacts import Action, Finding, Place, Severity, Span
from tunesmith.audit.signal_cache import NoSignalCache, SignalCache
from tunesmith.data.invalid_rows import InvalidRows
from tunesmith.detect.patterns import HITS_TYPE, PERSONAL, SECRETS, Hit, scan_column
from tunesmith.registry import signature

_VALUE_COLUMN: Final = "__value__"
MAX_SHARDS_PER_CALL: Final = 32
"""Shards that the engine is given at once: it copies their texts, which would double the memory of a large corpus."""
MAX_HIT_MESSAGES: Final = 20_000
"""Messages with personal data or secrets whose hits are made into objects at once."""
MAX_EXCERPT_CHARACTERS: Final = 100
"""Characters of an excerpt at most."""


class FindingSource(Protocol):
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
class PatternHits:
    """Personal data and secrets in a message: both packs, one pass."""

    id: ClassVar[str] = "hits"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = HITS_TYPE

    def values(self, *columns: pa.Array) -> pa.Array:
        return scan_column(columns[0], PERSONAL, SECRETS)


@dataclass(frozen=True)
class Signals:
    """What is worked out once for all rows, when first asked for. `numbers` has the number of every row that was found,
    `misfits` those that could not be read."""

    table: pa.Table
    parts: pa.Table
    shelf: SignalCache = field(default_factory=NoSignalCache)
    numbers: dict[str, int] = field(default_factory=dict)
    misfits: InvalidRows = field(default_factory=InvalidRows)
    _values: dict[Signal, pa.ChunkedArray] = field(default_factory=dict)

    def place(self, row: int) -> Place:
        """Where a row was read."""
        row_id, file, line = (self.table.column(name)[row].as_py() for name in ("row_id", "file", "line"))
        return Place(row_id=row_id, file=file, line=line)

    def values(self, signal: Signal) -> pa.ChunkedArray:
        """One value for each line of the whole `table` or `parts`; what the shelf knows is not worked out again."""
        if signal not in self._values:
            table = self.table if signal.of == "rows" else self.parts
            name, columns = signature(signal), [table.column(column) for column in signal.columns]
            shards = [[column.chunk(number) for column in columns] for number in range(columns[0].num_chunks)]
            known = [self.shelf.get(name, shard) for shard in shards]
            missing = [number for number, values in enumerate(known) if values is None]
            for first in range(0, len(missing), MAX_SHARDS_PER_CALL):
                some = missing[first : first + MAX_SHARDS_PER_CALL]
                for number, values in zip(some, self._worked_out(signal, [shards[one] for one in some]), strict=True):
                    self.shelf.put(name, shards[number], values)
                    known[number] = values
            self._values[signal] = pa.chunked_array(known, type=signal.kind)
        return self._values[signal]

    def _worked_out(self, signal: Signal, shards: list[list[pa.Array]]) -> list[pa.Array]:
        """The signal's values shard by shard, worked out by the engine in one go."""
        if not shards:
            return []
        columns = [pa.chunked_array(chunks) for chunks in zip(*shards, strict=True)]
        table = pa.table(columns, names=list(signal.columns))
        made = tables.map_batches(table, signal.values, columns=signal.columns, name=_VALUE_COLUMN, kind=signal.kind)
        values, start, parts = made.column(_VALUE_COLUMN).combine_chunks(), 0, []
        for shard in shards:
            parts.append(values.slice(start, len(shard[0])))
            start += len(shard[0])
        return parts

    @cached_property
    def bands(self) -> tables.MinHashBands:
        """MinHash band keys of the normal prompts that are not empty."""
        return tables.minhash_bands(self.table, column="normal", row="row")

    @cached_property
    def first_parts(self) -> npt.NDArray[numpy.int64]:
        """Number of each row's first part; its messages follow one another."""
        rows = numpy.asarray(self.parts.column("row"))
        return numpy.searchsorted(rows, numpy.arange(self.table.num_rows + 1)).astype(numpy.int64)

    def part_of(self, row: int, message: int) -> int | None:
        """Number of the part that holds a message of a row, None when it has fewer."""
        first, after = (int(self.first_parts[at]) for at in (row, row + 1))
        return first + message if first + message < after else None


@dataclass(frozen=True)
class AuditTable:
    """`table` has one line a row: row (number from 0; training rows first), row_id, split ("train" or "test"), file, line,
    system, prompt, completion (null where the format has none), label (the first; null where it has none), normal (see
    `normal`), digest (of the example's canonical bytes), and the row's `Rights` by name: license, source, origin, basis ...
    `parts` has one line a message: part (number from 0), row, message, role (null where the row is a text), text.
    """

    table: pa.Table
    parts: pa.Table
    signals: Signals

    def split(self, name: str) -> pa.Table:
        """The lines of `table` of one split."""
        return filter_rows(self.table, compute.equal(self.table.column("split"), name))

    def without(self, rows: AbstractSet[int]) -> "AuditTable":
        """This corpus less some rows; signals stay as they are."""
        if not rows:
            return self
        gone = pa.array(sorted(rows), type=pa.int64())

        def kept(table: pa.Table) -> pa.Table:
            return filter_rows(table, compute.invert(compute.is_in(table.column("row"), value_set=gone)))

        return AuditTable(kept(self.table), kept(self.parts), self.signals)

    def bands(self, table: pa.Table) -> tables.MinHashBands:
        """MinHash band keys of the rows of `table`; rows whose normal prompt is empty have none."""
        return self.signals.bands.of(table.column("row"))

    def values(self, signal: Signal) -> pa.ChunkedArray:
        """The signal's value for each line of `table` (a signal of rows) or of `parts` (a signal of messages)."""
        whole, values = (self.table is self.signals.table), self.signals.values(signal)
        if whole:
            return values
        return values.take(self.table.column("row") if signal.of == "rows" else self.parts.column("part"))

    def hits(self) -> Iterator[tuple[int, list[tuple[int, Hit]]]]:
        """(row, its (message, hit)s) of each row with personal data or secrets, in order."""
        for row, lines in groupby(self._hits(), key=itemgetter(0)):
            yield row, [(message, hit) for _, message, hit in lines]

    def _hits(self) -> Iterator[tuple[int, int, Hit]]:
        """(row, message, hit) in order, worked out for some messages at a time: every one may have hits."""
        found = self.values(PatternHits())
        where = compute.indices_nonzero(compute.list_value_length(found))
        for first in range(0, len(where), MAX_HIT_MESSAGES):
            some = where.slice(first, MAX_HIT_MESSAGES)
            lists = pa.concat_arrays(found.take(some).chunks)
            sizes = numpy.asarray(compute.list_value_length(lists))
            places = (numpy.asarray(self.parts.column(name).take(some)) for name in ("row", "message"))
            columns = (lists.flatten().field(name).to_pylist() for name in ("start", "end", "kind"))
            yield from zip(*(numpy.repeat(one, sizes).tolist() for one in places), map(Hit, *columns), strict=True)

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

    def finding(self, check: FindingSource, row: int, reason: str, **more: Any) -> Finding:
        """A finding about a row. `more`: severity, spans, other (a row number), similarity."""
        severity: Severity = more.get("severity", "warning")
        other: int | None = more.get("other")
        spans: tuple[Span, ...] = more.get("spans", ())
        place = self.signals.place(row)
        self.signals.numbers[place.row_id] = row
        return Finding(
            rule=check.id,
            severity=severity,
            action=check.default_action,
            place=place,
            reason=reason,
            spans=spans,
            other=None if other is None else self.signals.place(other),
            similarity=more.get("similarity"),
        )

    def excerpt(self, row: int, span: Span | None = None) -> str:
        """Some words of a row, around a span or from its first message that is no instruction.

        Personal data and secrets are masked, whatever the recipe says of them.
        """
        systems = self.signals.table.column("systems")[row].as_py()
        message = span.message if span is not None else systems
        part = self.signals.part_of(row, message)
        part = self.signals.part_of(row, 0) if part is None else part
        if part is None:
            return ""
        text = self.signals.parts.column("text")[part].as_py()
        hits = [Hit(**hit) for hit in self.signals.values(PatternHits())[part].as_py() or ()]
        masked, focus = _mask_hits(text, hits, 0 if span is None else span.start)
        return _cut_excerpt(masked, focus)


def filter_rows(table: pa.Table, wanted: pa.ChunkedArray) -> pa.Table:
    """The lines of a table that are wanted; the table itself, without a copy of its texts, when they all are."""
    return table if compute.all(wanted, skip_nulls=False).as_py() else table.filter(wanted)


def _mask_hits(text: str, hits: list[Hit], focus: int) -> tuple[str, int]:
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


def _cut_excerpt(text: str, focus: int) -> str:
    """At most EXCERPT characters around `focus`, on one line, hidden characters spelled out."""
    start = max(0, min(focus - MAX_EXCERPT_CHARACTERS // 3, len(text) - MAX_EXCERPT_CHARACTERS))
    piece = text[start : start + MAX_EXCERPT_CHARACTERS]
    shown = "".join(c if c.isprintable() else " " if c.isspace() else f"\\u{ord(c):04x}" for c in piece)
    return f"{'…' if start else ''}{shown.strip()}{'…' if start + MAX_EXCERPT_CHARACTERS < len(text) else ''}"
