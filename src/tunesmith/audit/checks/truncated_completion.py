"""Truncated completion: an answer that was cut off.

What it finds: completions that end inside a code fence or a bracket, or in a comma, a hyphen or a word that wants another
("and", "the"), unless a tenth (`habit`) of the file's do; sentences without an end mark in files of which at least `share` of the
answers have one; JSON that does not parse in files of which at least `share` of what looks like JSON does; thoughts that
`<think>` opens at the start and no `</think>` closes, whatever other rows do.
Why it matters: a model learns to stop in the middle, and an answer cut off by a token limit teaches where the limit was.
Limits: an answer that was cut behind the end of a sentence looks whole. Labels and other texts of fewer than six words, lines
of code, lists, tables, verse, titles, numbers and addresses are not judged, nor are texts without a completion. Files with
fewer than 20 answers that can be judged have no habit, so only what is left open is found there. Words that want another are
English, German, French and Spanish.
Reference: none needed; JSON is that of RFC 8259.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.detect.truncation import TEXT_ENDINGS, classify_endings, unclosed_bracket

MIN_HABIT_ANSWERS: Final = 20
"""Answers from which on a file has a habit."""

MAX_TAIL_CHARACTERS: Final = 40
"""Characters at the end that a finding points at."""


OPEN_END_REASONS: Final = {
    "thought": "its thoughts are not closed: </think> is missing",
    "fence": "a code fence is not closed",
    "bracket": "ends inside a bracket",
    "hanging": "ends in",
}
"""What is said of endings that leave something open."""


@dataclass(frozen=True)
class CompletionEnding:
    """How the completion of a row ends: a place in `ENDINGS`."""

    id: ClassVar[str] = "ended"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "parts"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("completion",)
    kind: ClassVar[pa.DataType] = pa.uint8()

    def values(self, *columns: pa.Array) -> pa.Array:
        return classify_endings(columns[0])


@CHECKS.register
@dataclass(frozen=True)
class TruncatedCompletion:
    """One finding a row; what the file's other answers do decides where a mark is missing."""

    id: ClassVar[str] = "truncated-completion"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    share: Annotated[float, Field(gt=0.5, le=1)] = 0.95
    habit: Annotated[float, Field(gt=0, le=1)] = 0.1

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.table.num_rows == 0:
            return []
        kinds = np.asarray(corpus.values(CompletionEnding()))
        codes = corpus.table.column("file").combine_chunks().dictionary_encode()
        files = np.asarray(codes.indices)
        counts = np.zeros((len(codes.dictionary), len(TEXT_ENDINGS)), dtype=np.int64)
        np.add.at(counts, (files, kinds), 1)
        findings = []
        for line, why in self._cut(kinds, files, counts):
            findings.append(_finding(self, corpus, line, why))
        return findings

    def _cut(
        self, kinds: npt.NDArray[np.uint8], files: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, str]]:
        """(line, why) for every line whose ending is not its file's habit, in order."""
        why = [[self._why(TEXT_ENDINGS[kind], row) for kind in range(len(TEXT_ENDINGS))] for row in counts]
        cut = np.array([[bool(text) for text in row] for row in why])[files, kinds]
        for line in np.flatnonzero(cut).tolist():
            yield line, why[files[line]][kinds[line]]

    def _why(self, kind: str, counts: npt.NDArray[np.int64]) -> str:
        """Why an ending is wrong in a file with these counts of endings; empty when it is not."""
        count = dict(zip(TEXT_ENDINGS, counts.tolist(), strict=True))
        answers = sum(count.values()) - count["unjudged"]
        rare = answers < MIN_HABIT_ANSWERS or count[kind] < self.habit * answers
        match kind:
            case "thought":
                return OPEN_END_REASONS[kind]
            case "fence" | "bracket" | "hanging":
                return OPEN_END_REASONS[kind] if rare else ""
            case "unmarked":
                sentences = count["marked"] + count["unmarked"]
                usual = count["marked"] / max(1, sentences)
                told = sentences >= MIN_HABIT_ANSWERS and usual >= self.share
                return f"ends without a mark, which {usual:.0%} of the file's answers have: " if told else ""
            case "broken-json":
                documents = count["json"] + count["broken-json"]
                parsed = count["json"] / max(1, documents)
                told = documents >= MIN_HABIT_ANSWERS and parsed >= self.share
                return f"JSON that does not parse, as {parsed:.0%} of the file's answers do: " if told else ""
        return ""


def _finding(check: TruncatedCompletion, corpus: AuditTable, line: int, why: str) -> Finding:
    """The finding, with the end of the completion as its place where that is a message."""
    row = corpus.table.column("row")[line].as_py()
    text = corpus.table.column("completion")[line].as_py()
    return corpus.finding(check, row, why + _reason_detail(text.strip(), why), spans=_end_span(corpus, row, text))


def _reason_detail(text: str, why: str) -> str:
    last = text.rsplit(maxsplit=1)[-1][-MAX_TAIL_CHARACTERS:]
    if why.startswith("JSON"):
        return _parse_error(text)
    if why.endswith("bracket"):
        return f": {unclosed_bracket(text.rpartition(chr(10))[2])!r} is not closed"
    return f" {last!r}" if why.endswith("in") else repr(last) if why.endswith(": ") else ""


def _parse_error(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"{error.msg} at character {error.pos} of {len(text)}"
    return ""


def _end_span(corpus: AuditTable, row: int, text: str) -> tuple[Span, ...]:
    """The last characters of the last message, where the completion is that message."""
    first, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    parts = corpus.signals.parts
    if parts.column("role")[after - 1].as_py() != "assistant" or parts.column("text")[after - 1].as_py() != text:
        return ()
    stop = len(text.rstrip())
    return (Span(message=after - 1 - first, start=max(0, stop - MAX_TAIL_CHARACTERS), end=stop, kind="end"),)
