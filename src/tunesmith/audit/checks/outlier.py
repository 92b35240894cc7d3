"""Outlier: a row unlike the rest of its file, or unlike the rows with its label.

What it finds: in files of at least `rows` rows, prompts and completions of unusual length (modified z-score of the log length
above `score`, and at least `times` longer or shorter than the median); rows with an unusual mix of letters, digits, punctuation
and other scripts; prompts of ten words or more in which most words (`own`) appear in no other prompt. For classification
tasks, each label with enough rows is judged separately.
Why it matters: rows included by mistake (another table, a stack trace, a licence text) look like this, and one very long row
decides how much memory a training step needs.
Limits: form only, no meaning: a row on another subject in common words passes. A rare row may be the most valuable one, so
this check only warns. Normalized words are compared by 24 bits of a hash, so about one unique word in a hundred is missed.
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
"""Texts tokenized at a time, which bounds the memory."""
MIN_WORDS: Final = 10
"""Minimum number of words (and a tenth of the minimum number of bytes) to judge vocabulary and character mix."""

MIN_CHARACTER_DISTANCE: Final = 0.25
"""Minimum share of a row's bytes that differ in kind from the median row."""


@dataclass(frozen=True)
class CharacterMix:
    """Characters of prompt and completion (-1 if there is none), bytes of both, and bytes of each kind."""

    id: ClassVar[str] = "made-up"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
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
    """One finding per row, with everything unusual about it."""

    id: ClassVar[str] = "outlier"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    rows: Annotated[int, Field(ge=10)] = 50
    score: Annotated[float, Field(gt=0)] = 6.0
    times: Annotated[float, Field(ge=1)] = 8.0
    own: Annotated[float, Field(gt=0, le=1)] = 0.6
    task: str = "text"
    labels_are: str = "single"

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.rows.num_rows < self.rows:
            return []
        mix = _combine_chunks(corpus.values(CharacterMix()))
        columns = {field.name: np.asarray(mix.field(field.name)).astype(np.float64) for field in mix.type}
        unique, words = _unique_words(corpus.rows.column("normal"))
        reasons: dict[int, list[str]] = {}
        for lines in self._groups(corpus.rows):
            for line, reason in self._unusual(lines, {name: values[lines] for name, values in columns.items()}):
                reasons.setdefault(line, []).append(reason)
            for line, reason in self._vocabulary(lines, unique[lines], words[lines]):
                reasons.setdefault(line, []).append(reason)
        rows = corpus.rows.column("row")
        return [corpus.finding(self, rows[line].as_py(), "; ".join(reasons[line])) for line in sorted(reasons)]

    def _groups(self, table: pa.Table) -> list[Numbers]:
        """Groups of lines that are judged together: a file, or a label within a file."""
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
        """(line, reason) for unusual lengths, then for unusual character mixes."""
        for side in SIDES:
            present = np.flatnonzero(columns[side] >= 0)
            if len(present) >= self.rows:
                yield from self._lengths(lines[present], columns[side][present], side)
        yield from self._character_mix(lines, columns)

    def _lengths(self, lines: Numbers, lengths: Floats, side: str) -> Iterator[tuple[int, str]]:
        scores = modified_z_scores(np.log1p(lengths))
        median = float(np.median(lengths))
        ratio = (1 + lengths) / (1 + median)
        unusual = (np.abs(scores) > self.score) & (np.maximum(ratio, 1 / ratio) >= self.times)
        for index in np.flatnonzero(unusual).tolist():
            detail = (
                f"{lengths[index]:.0f} characters, the median is {median:.0f} (modified z-score {scores[index]:.1f})"
            )
            yield int(lines[index]), f"the {side} has {detail}"

    def _character_mix(self, lines: Numbers, columns: dict[str, Floats]) -> Iterator[tuple[int, str]]:
        shares = np.stack([columns[name] / np.maximum(1, columns["bytes"]) for name in CHARACTER_KINDS], axis=1)
        shares = np.column_stack((shares, 1 - shares.sum(axis=1)))
        median = np.median(shares, axis=0)
        distance = np.abs(shares - median).sum(axis=1) / 2
        scores = modified_z_scores(distance)
        unusual = (scores > self.score) & (distance >= MIN_CHARACTER_DISTANCE) & (columns["bytes"] >= 10 * MIN_WORDS)
        for index in np.flatnonzero(unusual).tolist():
            kind = int(np.argmax(shares[index] - median))
            name = ("digits", "signs", "bytes beyond ASCII", "spaces", "letters")[kind]
            detail = (
                f"{shares[index, kind]:.0%} {name}, usual is {median[kind]:.0%} (modified z-score {scores[index]:.1f})"
            )
            yield int(lines[index]), f"made of other characters: {detail}"

    def _vocabulary(self, lines: Numbers, unique: Numbers, words: Numbers) -> Iterator[tuple[int, str]]:
        share = unique / np.maximum(1, words)
        unusual = (share >= self.own) & (words >= MIN_WORDS) & (modified_z_scores(share) > self.score)
        for index in np.flatnonzero(unusual).tolist():
            yield (
                int(lines[index]),
                f"{share[index]:.0%} of the {words[index]} words of its prompt stand in no other prompt",
            )


def modified_z_scores(values: Floats) -> Floats:
    """0.6745 (x - median) / MAD; where the MAD is 0, (x - median) / (1.253314 mean absolute deviation), else 0."""
    deviations = values - np.median(values)
    spread = float(np.median(np.abs(deviations))) / 0.6745 or float(np.abs(deviations).mean()) * 1.253314
    return deviations / spread if spread > 0 else np.zeros_like(deviations)


def _unique_words(normals: pa.ChunkedArray) -> tuple[Numbers, Numbers]:
    """(words found in no other text, all words) of each text."""
    last, first = np.empty(HASH_BUCKETS, dtype=np.int32), np.empty(HASH_BUCKETS, dtype=np.int32)
    parts: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], Numbers]] = []
    for start in range(0, len(normals), BATCH_TEXTS):
        words = hash_normalized_words(_combine_chunks(normals.slice(start, BATCH_TEXTS)))
        texts = np.arange(start, start + len(words.starts) - 1, dtype=np.int32)
        parts.append(((words.numbers & np.uint64(HASH_BUCKETS - 1)).astype(np.int32), texts, words.starts))
    for buckets, texts, starts in parts:
        last[buckets] = np.repeat(texts, np.diff(starts))
    for buckets, texts, starts in reversed(parts):
        first[buckets[::-1]] = np.repeat(texts, np.diff(starts))[::-1]
    unique = [np.zeros(0, np.int64)]
    for buckets, _, starts in parts:
        unique_before = np.concatenate(([0], np.cumsum(first[buckets] == last[buckets], dtype=np.int64)))
        unique.append(unique_before[starts[1:]] - unique_before[starts[:-1]])
    return np.concatenate(unique), np.concatenate([np.zeros(0, np.int64), *(np.diff(starts) for _, _, starts in parts)])


def _group_by_code(codes: Numbers) -> list[Numbers]:
    """Positions of each code, ordered by code."""
    order = np.argsort(codes, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)


def _combine_chunks(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
