"""The rows and messages of a corpus as Arrow tables, as checks see them, with signals shared between checks."""

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
"""Shards passed to the engine per call. It copies their texts, which would double the memory of a large corpus."""
MAX_HIT_MESSAGES: Final = 20_000
"""Messages whose personal data and secret hits are converted to Python objects at a time."""
MAX_EXCERPT_CHARACTERS: Final = 100
"""Maximum length of an excerpt, in characters."""


class FindingSource(Protocol):
    """The attributes of a check that a finding copies."""

    @property
    def id(self) -> str: ...
    @property
    def default_action(self) -> Action: ...


class Signal(Protocol):
    """A value computed for each row or message from its own columns, batch by batch, on any engine.

    A frozen dataclass whose fields are its settings. A value may depend only on its line's `columns`, the settings and
    `version`, which form the cache key; raise `version` whenever the values change.
    """

    id: ClassVar[str]
    version: ClassVar[str]
    of: ClassVar[Literal["rows", "messages"]]
    columns: ClassVar[tuple[str, ...]]
    kind: ClassVar[pa.DataType]

    def values(self, *columns: pa.Array) -> pa.Array:
        """One value of type `kind` for each line of the columns."""
        ...


@dataclass(frozen=True)
class PatternHits:
    """Personal data and secrets in each message: both pattern packs in one pass."""

    id: ClassVar[str] = "hits"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = HITS_TYPE

    def values(self, *columns: pa.Array) -> pa.Array:
        return scan_column(columns[0], PERSONAL, SECRETS)


@dataclass(frozen=True)
class Signals:
    """Signals of all rows, computed on first use. `numbers` maps the id of each row with a finding to its number;
    `invalid_rows` are those that could not be read."""

    rows: pa.Table
    messages: pa.Table
    cache: SignalCache = field(default_factory=NoSignalCache)
    numbers: dict[str, int] = field(default_factory=dict)
    invalid_rows: InvalidRows = field(default_factory=InvalidRows)
    _values: dict[Signal, pa.ChunkedArray] = field(default_factory=dict)

    def place(self, row: int) -> Place:
        """File and line that a row was read from."""
        row_id, file, line = (self.rows.column(name)[row].as_py() for name in ("row_id", "file", "line"))
        return Place(row_id=row_id, file=file, line=line)

    def values(self, signal: Signal) -> pa.ChunkedArray:
        """One value for each line of all rows or all messages; shards in the cache are not recomputed."""
        if signal not in self._values:
            table = self.rows if signal.of == "rows" else self.messages
            name, columns = signature(signal), [table.column(column) for column in signal.columns]
            shards = [[column.chunk(number) for column in columns] for number in range(columns[0].num_chunks)]
            results = [self.cache.get(name, shard) for shard in shards]
            missing = [number for number, values in enumerate(results) if values is None]
            for first in range(0, len(missing), MAX_SHARDS_PER_CALL):
                batch = missing[first : first + MAX_SHARDS_PER_CALL]
                computed = self._compute(signal, [shards[number] for number in batch])
                for number, values in zip(batch, computed, strict=True):
                    self.cache.put(name, shards[number], values)
                    results[number] = values
            self._values[signal] = pa.chunked_array(results, type=signal.kind)
        return self._values[signal]

    def _compute(self, signal: Signal, shards: list[list[pa.Array]]) -> list[pa.Array]:
        """The signal's values by shard, computed in one engine call."""
        if not shards:
            return []
        columns = [pa.chunked_array(chunks) for chunks in zip(*shards, strict=True)]
        table = pa.table(columns, names=list(signal.columns))
        table = tables.map_batches(table, signal.values, columns=signal.columns, name=_VALUE_COLUMN, kind=signal.kind)
        values, start, by_shard = table.column(_VALUE_COLUMN).combine_chunks(), 0, []
        for shard in shards:
            by_shard.append(values.slice(start, len(shard[0])))
            start += len(shard[0])
        return by_shard

    @cached_property
    def bands(self) -> tables.MinHashBands:
        """MinHash band keys of the normalized prompts that are not empty."""
        return tables.minhash_bands(self.rows, column="normal", row="row")

    @cached_property
    def first_messages(self) -> npt.NDArray[numpy.int64]:
        """Number of each row's first message; the messages of a row are consecutive."""
        rows = numpy.asarray(self.messages.column("row"))
        return numpy.searchsorted(rows, numpy.arange(self.rows.num_rows + 1)).astype(numpy.int64)

    def message_number(self, row: int, message: int) -> int | None:
        """Number, among all messages, of message `message` of a row; None when the row has fewer messages."""
        start, end = self.message_range(row)
        return start + message if start + message < end else None

    def message_range(self, row: int) -> tuple[int, int]:
        """[start, end) of a row's messages among all messages."""
        return int(self.first_messages[row]), int(self.first_messages[row + 1])


@dataclass(frozen=True)
class AuditTable:
    """A corpus as two tables.

    `rows` has one line per row: row (number from 0, training rows first), row_id, split ("train" or "test"), file, line,
    system, prompt, completion (null if the format has none), label (the first one, null if there is none), normal (the
    normalized prompt), digest (of the example's canonical bytes), and the row's `Rights`: license, source, origin, basis ...
    `messages` has one line per message: part (number from 0), row, message (number within the row), role (null for plain text),
    text.
    """

    rows: pa.Table
    messages: pa.Table
    signals: Signals

    def split(self, name: str) -> pa.Table:
        """The rows of one split."""
        return filter_rows(self.rows, compute.equal(self.rows.column("split"), name))

    def without(self, rows: AbstractSet[int]) -> "AuditTable":
        """This corpus without some rows; signals are shared with it."""
        if not rows:
            return self
        excluded = pa.array(sorted(rows), type=pa.int64())

        def remaining(table: pa.Table) -> pa.Table:
            return filter_rows(table, compute.invert(compute.is_in(table.column("row"), value_set=excluded)))

        return AuditTable(remaining(self.rows), remaining(self.messages), self.signals)

    def bands(self, table: pa.Table) -> tables.MinHashBands:
        """MinHash band keys of the rows of `table`; rows with an empty normalized prompt have none."""
        return self.signals.bands.of(table.column("row"))

    def values(self, signal: Signal) -> pa.ChunkedArray:
        """The signal's value for each line of `rows` or of `messages`, as its `of` says."""
        values = self.signals.values(signal)
        if self.rows is self.signals.rows:
            return values
        return values.take(self.rows.column("row") if signal.of == "rows" else self.messages.column("part"))

    def hits(self) -> Iterator[tuple[int, list[tuple[int, Hit]]]]:
        """(row, list of (message, hit)) for each row with personal data or secrets, in order."""
        for row, lines in groupby(self._hits(), key=itemgetter(0)):
            yield row, [(message, hit) for _, message, hit in lines]

    def _hits(self) -> Iterator[tuple[int, int, Hit]]:
        """(row, message, hit) in order, converted in batches since every message may have hits."""
        values = self.values(PatternHits())
        with_hits = compute.indices_nonzero(compute.list_value_length(values))
        for first in range(0, len(with_hits), MAX_HIT_MESSAGES):
            batch = with_hits.slice(first, MAX_HIT_MESSAGES)
            lists = pa.concat_arrays(values.take(batch).chunks)
            counts = numpy.asarray(compute.list_value_length(lists))
            rows, messages = (
                numpy.repeat(numpy.asarray(self.messages.column(name).take(batch)), counts).tolist()
                for name in ("row", "message")
            )
            columns = (lists.flatten().field(name).to_pylist() for name in ("start", "end", "kind"))
            yield from zip(rows, messages, map(Hit, *columns), strict=True)

    def map_batches(
        self,
        table: pa.Table,
        function: Callable[..., pa.Array],
        *,
        columns: Sequence[str],
        name: str,
        kind: pa.DataType,
    ) -> pa.Table:
        """`table` with one more column, computed by the engine batch by batch (see `tables.map_batches`)."""
        return tables.map_batches(table, function, columns=columns, name=name, kind=kind)

    def finding(self, check: FindingSource, row: int, reason: str, **details: Any) -> Finding:
        """A finding about a row. `details`: severity, spans, other (a row number), similarity."""
        severity: Severity = details.get("severity", "warning")
        other: int | None = details.get("other")
        spans: tuple[Span, ...] = details.get("spans", ())
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
            similarity=details.get("similarity"),
        )

    def excerpt(self, row: int, span: Span | None = None) -> str:
        """A short excerpt of a row, around a span or from its first message that is not a system turn.

        Personal data and secrets are always masked, even kinds that the recipe exempts.
        """
        systems = self.signals.rows.column("systems")[row].as_py()
        message = span.message if span is not None else systems
        number = self.signals.message_number(row, message)
        number = self.signals.message_number(row, 0) if number is None else number
        if number is None:
            return ""
        text = self.signals.messages.column("text")[number].as_py()
        hits = [Hit(**hit) for hit in self.signals.values(PatternHits())[number].as_py() or ()]
        masked, focus = _mask_hits(text, hits, 0 if span is None else span.start)
        return _cut_excerpt(masked, focus)


def filter_rows(table: pa.Table, mask: pa.ChunkedArray) -> pa.Table:
    """The lines of a table where `mask` is true; the table itself, without copying texts, when all are."""
    return table if compute.all(mask, skip_nulls=False).as_py() else table.filter(mask)


def _mask_hits(text: str, hits: list[Hit], focus: int) -> tuple[str, int]:
    """The text with hits replaced by their kinds, and the new position of character `focus`."""
    masked, position, new_focus = "", 0, 0
    for hit in sorted(hits):
        if hit.end <= position:
            continue
        masked += text[position : max(position, hit.start)]
        if hit.start <= focus:
            new_focus = len(masked)
        masked += f"[{hit.kind}]"
        position = hit.end
    if focus >= position:
        new_focus = len(masked) + focus - position
    return masked + text[position:], new_focus


def _cut_excerpt(text: str, focus: int) -> str:
    """At most MAX_EXCERPT_CHARACTERS characters around `focus`, on one line, with non-printable characters escaped."""
    start = max(0, min(focus - MAX_EXCERPT_CHARACTERS // 3, len(text) - MAX_EXCERPT_CHARACTERS))
    window = text[start : start + MAX_EXCERPT_CHARACTERS]
    printable = "".join(c if c.isprintable() else " " if c.isspace() else f"\\u{ord(c):04x}" for c in window)
    return f"{'…' if start else ''}{printable.strip()}{'…' if start + MAX_EXCERPT_CHARACTERS < len(text) else ''}"
