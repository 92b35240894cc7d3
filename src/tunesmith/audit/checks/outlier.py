"""Outlier: a row unlike the rest of its file, or of the rows with its label.

What it finds: in files of at least `rows` rows, prompts and completions whose length is far from the usual (modified z-score of
the logarithm above `score`, and at least `times` as long or as short as the median); rows whose make-up of letters, digits,
signs and other scripts is far from the usual; prompts of ten words or more of which most (`own`) stand in no other prompt.
Where the task is to classify, a label with enough rows is judged by itself.
Why it matters: a row that got in by mistake (another table, a stack trace, a page of licence text) looks like this, and one very
long row decides how much memory a step needs.
Limits: form alone, no meaning: a row on another subject in the usual words passes. A rare row may be the most valuable one, so
this warns. Words are compared in normal form by 24 bits of a hash: about one in a hundred words of its own is taken for known.
Reference: Iglewicz and Hoaglin 1993, How to Detect and Handle Outliers, ASQC (modified z-score).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.detect.characters import class_counts
from tunesmith.text.ngrams import hash_normalized_words

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

SIDES: Final = ("prompt", "completion")
CHARACTER_KINDS: Final = ("digits", "signs", "beyond", "spaces")
HASH_BUCKETS: Final = 1 << 24
BATCH_TEXTS: Final = 20_000
"""Texts that are cut into words in one go, which bounds the memory."""
MIN_WORDS: Final = 10
"""Words, or ten times as many bytes, below which vocabulary and make-up say nothing."""

MIN_CHARACTER_DISTANCE: Final = 0.25
"""Share of a row's bytes that must be of another kind than usual."""


@dataclass(frozen=True)
class CharacterMix:
    """Characters of the prompt and of the completion (-1 where there is none), bytes of both, and how many are of each kind."""

    id: ClassVar[str] = "made-up"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = SIDES
    kind: ClassVar[pa.DataType] = pa.struct([(name, pa.int32()) for name in (*SIDES, "bytes", *CHARACTER_KINDS)])

    def values(self, *columns: pa.Array) -> pa.Array:
        lengths = [compute.fill_null(compute.utf8_length(texts), -1).cast(pa.int32()) for texts in columns]
        size = sum(np.asarray(compute.fill_null(compute.binary_length(texts), 0)).astype(np.int32) for texts in columns)
        counts = [class_counts(texts, CHARACTER_KINDS) for texts in columns]
        kinds = [pa.array(sum(count[name] for count in counts), type=pa.int32()) for name in CHARACTER_KINDS]
        return pa.StructArray.from_arrays([*lengths, pa.array(size, type=pa.int32()), *kinds], fields=list(self.kind))


@CHECKS.register
@dataclass(frozen=True)
class Outlier:
    """One finding a row, with everything that is unusual about it."""

    id: ClassVar[str] = "outlier"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = FINAL_PHASE

    rows: Annotated[int, Field(ge=10)] = 50
    score: Annotated[float, Field(gt=0)] = 6.0
    times: Annotated[float, Field(ge=1)] = 8.0
    own: Annotated[float, Field(gt=0, le=1)] = 0.6
    task: str = "text"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.table.num_rows < self.rows:
            return []
        made = _combine_chunks(corpus.values(CharacterMix()))
        columns = {field.name: np.asarray(made.field(field.name)).astype(np.float64) for field in made.type}
        own, words = _unique_words(corpus.table.column("normal"))
        reasons: dict[int, list[str]] = {}
        for lines in self._groups(corpus.table):
            for line, why in self._unusual(lines, {name: values[lines] for name, values in columns.items()}):
                reasons.setdefault(line, []).append(why)
            for line, why in self._strange(lines, own[lines], words[lines]):
                reasons.setdefault(line, []).append(why)
        rows = corpus.table.column("row")
        return [corpus.finding(self, rows[line].as_py(), "; ".join(reasons[line])) for line in sorted(reasons)]

    def _groups(self, table: pa.Table) -> list[Numbers]:
        """Lines that are judged together: of a file, or of a label in it."""
        files = np.asarray(_combine_chunks(table.column("file")).dictionary_encode().indices).astype(np.int64)
        if self.task != "classify" or self.labels_are == "score":
            return [lines for lines in _group_by_code(files) if len(lines) >= self.rows]
        labels = np.asarray(
            _combine_chunks(compute.fill_null(table.column("completion"), "")).dictionary_encode().indices
        )
        pairs = [
            lines
            for file in _group_by_code(files)
            for lines in (file[group] for group in _group_by_code(labels[file].astype(np.int64)))
        ]
        return [lines for lines in pairs if len(lines) >= self.rows]

    def _unusual(self, lines: Numbers, columns: dict[str, Floats]) -> Iterator[tuple[int, str]]:
        """(line, why) for lengths, then for make-up."""
        for side in SIDES:
            there = np.flatnonzero(columns[side] >= 0)
            if len(there) >= self.rows:
                yield from self._lengths(lines[there], columns[side][there], side)
        yield from self._make_up(lines, columns)

    def _lengths(self, lines: Numbers, lengths: Floats, side: str) -> Iterator[tuple[int, str]]:
        scores = modified_z_scores(np.log1p(lengths))
        usual = float(np.median(lengths))
        ratio = (1 + lengths) / (1 + usual)
        far = (np.abs(scores) > self.score) & (np.maximum(ratio, 1 / ratio) >= self.times)
        for at in np.flatnonzero(far).tolist():
            told = f"{lengths[at]:.0f} characters, the median is {usual:.0f} (modified z-score {scores[at]:.1f})"
            yield int(lines[at]), f"the {side} has {told}"

    def _make_up(self, lines: Numbers, columns: dict[str, Floats]) -> Iterator[tuple[int, str]]:
        shares = np.stack([columns[name] / np.maximum(1, columns["bytes"]) for name in CHARACTER_KINDS], axis=1)
        shares = np.column_stack((shares, 1 - shares.sum(axis=1)))
        usual = np.median(shares, axis=0)
        distance = np.abs(shares - usual).sum(axis=1) / 2
        scores = modified_z_scores(distance)
        far = (scores > self.score) & (distance >= MIN_CHARACTER_DISTANCE) & (columns["bytes"] >= 10 * MIN_WORDS)
        for at in np.flatnonzero(far).tolist():
            most = int(np.argmax(shares[at] - usual))
            name = ("digits", "signs", "bytes beyond ASCII", "spaces", "letters")[most]
            told = f"{shares[at, most]:.0%} {name}, usual is {usual[most]:.0%} (modified z-score {scores[at]:.1f})"
            yield int(lines[at]), f"made of other characters: {told}"

    def _strange(self, lines: Numbers, own: Numbers, words: Numbers) -> Iterator[tuple[int, str]]:
        share = own / np.maximum(1, words)
        far = (share >= self.own) & (words >= MIN_WORDS) & (modified_z_scores(share) > self.score)
        for at in np.flatnonzero(far).tolist():
            yield int(lines[at]), f"{share[at]:.0%} of the {words[at]} words of its prompt stand in no other prompt"


def modified_z_scores(values: Floats) -> Floats:
    """0.6745 (x - median) / MAD; where the MAD is 0, (x - median) / (1.253314 mean absolute deviation), else 0."""
    away = values - np.median(values)
    spread = float(np.median(np.abs(away))) / 0.6745 or float(np.abs(away).mean()) * 1.253314
    return away / spread if spread > 0 else np.zeros_like(away)


def _unique_words(normals: pa.ChunkedArray) -> tuple[Numbers, Numbers]:
    """For each text (words that stand in no other one, words)."""
    last, first = np.empty(HASH_BUCKETS, dtype=np.int32), np.empty(HASH_BUCKETS, dtype=np.int32)
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Numbers]] = []
    for start in range(0, len(normals), BATCH_TEXTS):
        words = hash_normalized_words(_combine_chunks(normals.slice(start, BATCH_TEXTS)))
        texts = np.arange(start, start + len(words.starts) - 1, dtype=np.int32)
        parts.append(((words.numbers & np.uint64(HASH_BUCKETS - 1)).astype(np.int32), texts, words.starts))
    for places, texts, starts in parts:
        last[places] = np.repeat(texts, np.diff(starts))
    for places, texts, starts in reversed(parts):
        first[places[::-1]] = np.repeat(texts, np.diff(starts))[::-1]
    own = [np.zeros(0, np.int64)]
    for places, _, starts in parts:
        alone = np.concatenate(([0], np.cumsum(first[places] == last[places], dtype=np.int64)))
        own.append(alone[starts[1:]] - alone[starts[:-1]])
    return np.concatenate(own), np.concatenate([np.zeros(0, np.int64), *(np.diff(starts) for _, _, starts in parts)])


def _group_by_code(codes: Numbers) -> list[Numbers]:
    """Places of each code, in order of the codes."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _combine_chunks(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
