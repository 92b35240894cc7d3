"""Signals of the runs of words that rows share with reference texts, and where those runs stand in a row's characters."""

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


class NgramRun(NamedTuple):
    """`words` words from the word `place` of a line on are those of a reference text from its word `at` on."""

    place: int
    text: int
    at: int
    words: int


@dataclass(frozen=True)
class SharedRuns:
    """Of each message: the runs that it shares with the texts of an index, as numbers (see `runs_from`)."""

    id: ClassVar[str] = "shared-runs"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = RUNS_TYPE

    indexes: tuple[NgramIndex, ...]

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_runs(find_matches(columns[0], self.indexes), len(columns[0]))


@dataclass(frozen=True)
class SharedPromptRuns:
    """Of each row: the runs that its normal prompt shares with the texts of an index."""

    id: ClassVar[str] = "shared-prompt-runs"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("normal",)
    kind: ClassVar[pa.DataType] = RUNS_TYPE

    indexes: tuple[NgramIndex, ...]

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_runs(find_matches(columns[0], self.indexes), len(columns[0]))


def decode_runs(value: Sequence[int]) -> list[NgramRun]:
    """The runs of one line, in order of place."""
    return [NgramRun(*value[first : first + VALUES_PER_RUN]) for first in range(0, len(value), VALUES_PER_RUN)]


def _encode_runs(found: Sequence[NgramMatches], lines: int) -> pa.Array:
    """For each line the four numbers of each of its runs, one after the other."""
    columns = ("lines", "positions", "texts", "text_positions", "lengths")
    joined = [numpy.concatenate([getattr(runs, name) for runs in found]) for name in columns]
    order = numpy.lexsort(joined[::-1])
    counts = numpy.bincount(joined[0], minlength=lines)
    offsets = numpy.concatenate([[0], numpy.cumsum(counts) * VALUES_PER_RUN]).astype(numpy.int32)
    values = numpy.stack([column[order] for column in joined[1:]], axis=1).reshape(-1)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, type=pa.int64()))


def messages_with_shared_runs(
    corpus: AuditTable, indexes: tuple[NgramIndex, ...]
) -> Iterator[tuple[int, int, str, list[NgramRun]]]:
    """(row, message, its text, its runs) of every message of a training row that shares one with an indexed text."""
    values = corpus.values(SharedRuns(indexes))
    rows = corpus.split("train").column("row").combine_chunks()
    wanted = compute.and_(
        compute.greater(compute.list_value_length(values), 0), compute.is_in(corpus.parts.column("row"), value_set=rows)
    )
    table = corpus.parts.append_column("runs", values).filter(wanted)
    for batch in table.select(["row", "message", "text", "runs"]).to_batches():
        for row, message, text, value in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield row, message, text, decode_runs(value)


def covered_words(runs: Sequence[NgramRun]) -> int:
    """Words of the reference text that at least one run covers."""
    count, end = 0, 0
    for at, words in sorted((run.at, run.words) for run in runs):
        count += max(0, at + words - max(at, end))
        end = max(end, at + words)
    return count


def run_spans(corpus: AuditTable, row: int, runs: Sequence[tuple[int, NgramRun]], *, kind: str) -> tuple[Span, ...]:
    """Where (message, run) stand in a row's characters, in order, those that overlap as one."""
    spans: list[tuple[int, int, int]] = []
    first = int(corpus.signals.first_parts[row])
    texts = corpus.signals.parts.column("text")
    places = {message: word_offsets(texts[first + message].as_py()) for message in sorted({one for one, _ in runs})}
    for message, run in sorted(runs, key=lambda one: (one[0], one[1].place, -one[1].words)):
        start, end = places[message][run.place][0], places[message][run.place + run.words - 1][1]
        if spans and spans[-1][0] == message and start <= spans[-1][2]:
            spans[-1] = (message, spans[-1][1], max(end, spans[-1][2]))
        else:
            spans.append((message, start, end))
    return tuple(Span(message=message, start=start, end=end, kind=kind) for message, start, end in spans)
