"""Signals for runs of words that rows share with reference texts, and their character offsets in the rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, NamedTuple

import numpy
import pyarrow as pa
from pyarrow import compute

from tunesmith.artifacts import Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.text.ngram_index import NgramIndex, NgramMatches, find_matches
from tunesmith.text.word_offsets import word_offsets

RUNS_TYPE: Final = pa.list_(pa.int64())
VALUES_PER_RUN: Final = 4


class NgramMatch(NamedTuple):
    """A shared run: `words` words, starting at word `place` of the line and at word `at` of reference text number `text`."""

    place: int
    text: int
    at: int
    words: int


@dataclass(frozen=True)
class SharedRuns:
    """The runs that each message shares with the texts of an index, encoded as integers (see `decode_runs`)."""

    id: ClassVar[str] = "shared-runs"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = RUNS_TYPE

    indexes: tuple[NgramIndex, ...]

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_runs(find_matches(columns[0], self.indexes), len(columns[0]))


@dataclass(frozen=True)
class SharedPromptRuns:
    """The runs that each row's normalized prompt shares with the texts of an index."""

    id: ClassVar[str] = "shared-prompt-runs"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("normal",)
    kind: ClassVar[pa.DataType] = RUNS_TYPE

    indexes: tuple[NgramIndex, ...]

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_runs(find_matches(columns[0], self.indexes), len(columns[0]))


def decode_runs(value: Sequence[int]) -> list[NgramMatch]:
    """The runs of one line, ordered by position."""
    return [NgramMatch(*value[first : first + VALUES_PER_RUN]) for first in range(0, len(value), VALUES_PER_RUN)]


def _encode_runs(runs: Sequence[NgramMatches], lines: int) -> pa.Array:
    """For each line, the four integers of each of its runs, concatenated."""
    columns = ("lines", "positions", "texts", "text_positions", "lengths")
    arrays = [numpy.concatenate([getattr(batch, name) for batch in runs]) for name in columns]
    order = numpy.lexsort(arrays[::-1])
    counts = numpy.bincount(arrays[0], minlength=lines)
    offsets = numpy.concatenate([[0], numpy.cumsum(counts) * VALUES_PER_RUN]).astype(numpy.int32)
    values = numpy.stack([column[order] for column in arrays[1:]], axis=1).reshape(-1)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, type=pa.int64()))


def messages_with_shared_runs(
    corpus: AuditTable, indexes: tuple[NgramIndex, ...]
) -> Iterator[tuple[int, int, str, list[NgramMatch]]]:
    """(row, message, text, runs) of every message of a training row that shares a run with an indexed text."""
    values = corpus.values(SharedRuns(indexes))
    rows = corpus.split("train").column("row").combine_chunks()
    mask = compute.and_(
        compute.greater(compute.list_value_length(values), 0),
        compute.is_in(corpus.messages.column("row"), value_set=rows),
    )
    table = corpus.messages.append_column("runs", values).filter(mask)
    for batch in table.select(["row", "message", "text", "runs"]).to_batches():
        for row, message, text, value in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield row, message, text, decode_runs(value)


def covered_words(runs: Sequence[NgramMatch]) -> int:
    """Number of words of the reference text covered by at least one run."""
    count, end = 0, 0
    for at, words in sorted((run.at, run.words) for run in runs):
        count += max(0, at + words - max(at, end))
        end = max(end, at + words)
    return count


def run_spans(corpus: AuditTable, row: int, runs: Sequence[tuple[int, NgramMatch]], *, kind: str) -> tuple[Span, ...]:
    """Character spans of (message, run) pairs of a row, in order, with overlapping ones merged."""
    spans: list[tuple[int, int, int]] = []
    first, _ = corpus.signals.message_range(row)
    texts = corpus.signals.messages.column("text")
    offsets = {
        message: word_offsets(texts[first + message].as_py()) for message in sorted({number for number, _ in runs})
    }
    for message, run in sorted(runs, key=lambda pair: (pair[0], pair[1].place, -pair[1].words)):
        start, end = offsets[message][run.place][0], offsets[message][run.place + run.words - 1][1]
        if spans and spans[-1][0] == message and start <= spans[-1][2]:
            spans[-1] = (message, spans[-1][1], max(end, spans[-1][2]))
        else:
            spans.append((message, start, end))
    return tuple(Span(message=message, start=start, end=end, kind=kind) for message, start, end in spans)
