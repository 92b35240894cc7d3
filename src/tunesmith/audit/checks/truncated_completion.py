"""Truncated completion: an answer that was cut off.

What it finds: completions that end inside a code fence or a bracket, or in a comma, a hyphen or a word that requires another
("and", "the"), unless a tenth (`habit`) of the file's completions do; sentences without end punctuation in files where at least
`share` of the answers have it; invalid JSON in files where at least `share` of what looks like JSON is valid; and reasoning that
starts with `<think>` and is never closed by `</think>`, regardless of other rows.
Why it matters: the model learns to stop in the middle, and answers cut off by a token limit teach it that limit.
Limits: an answer cut off after a complete sentence looks complete. Labels and other texts of fewer than six words, lines of
code, lists, tables, verse, titles, numbers and addresses are not judged, nor are rows without a completion. Files with fewer
than 20 answers that can be judged have no baseline, so only unclosed constructs are found there. Words that require another
are English, German, French and Spanish.
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
"""Minimum number of judged answers for a file to have a baseline."""

MAX_TAIL_CHARACTERS: Final = 40
"""Maximum length of the span at the end that a finding marks, in characters."""


OPEN_END_REASONS: Final = {
    "thought": "its thoughts are not closed: </think> is missing",
    "fence": "a code fence is not closed",
    "bracket": "ends inside a bracket",
    "hanging": "ends in",
}
"""Reasons for endings that leave something open."""


@dataclass(frozen=True)
class CompletionEnding:
    """How a row's completion ends: an index into `ENDINGS`."""

    id: ClassVar[str] = "ended"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("completion",)
    kind: ClassVar[pa.DataType] = pa.uint8()

    def values(self, *columns: pa.Array) -> pa.Array:
        return classify_endings(columns[0])


@CHECKS.register
@dataclass(frozen=True)
class TruncatedCompletion:
    """One finding per row; missing end punctuation is judged against the file's other answers."""

    id: ClassVar[str] = "truncated-completion"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    share: Annotated[float, Field(gt=0.5, le=1)] = 0.95
    habit: Annotated[float, Field(gt=0, le=1)] = 0.1

    def examine(self, corpus: AuditTable) -> list[Finding]:
        if corpus.rows.num_rows == 0:
            return []
        kinds = np.asarray(corpus.values(CompletionEnding()))
        codes = corpus.rows.column("file").combine_chunks().dictionary_encode()
        files = np.asarray(codes.indices)
        counts = np.zeros((len(codes.dictionary), len(TEXT_ENDINGS)), dtype=np.int64)
        np.add.at(counts, (files, kinds), 1)
        findings = []
        for line, reason in self._truncated(kinds, files, counts):
            findings.append(_finding(self, corpus, line, reason))
        return findings

    def _truncated(
        self, kinds: npt.NDArray[np.uint8], files: npt.NDArray[np.int32], counts: npt.NDArray[np.int64]
    ) -> Iterator[tuple[int, str]]:
        """(line, reason) for every line with a truncated ending, in order."""
        reasons = [[self._reason(TEXT_ENDINGS[kind], row) for kind in range(len(TEXT_ENDINGS))] for row in counts]
        is_cut = np.array([[bool(text) for text in row] for row in reasons])[files, kinds]
        for line in np.flatnonzero(is_cut).tolist():
            yield line, reasons[files[line]][kinds[line]]

    def _reason(self, kind: str, counts: npt.NDArray[np.int64]) -> str:
        """Why an ending counts as truncated in a file with these counts of endings; empty if it does not."""
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
                marked_share = count["marked"] / max(1, sentences)
                unusual = sentences >= MIN_HABIT_ANSWERS and marked_share >= self.share
                return f"ends without a mark, which {marked_share:.0%} of the file's answers have: " if unusual else ""
            case "broken-json":
                documents = count["json"] + count["broken-json"]
                parsed = count["json"] / max(1, documents)
                unusual = documents >= MIN_HABIT_ANSWERS and parsed >= self.share
                return f"JSON that does not parse, as {parsed:.0%} of the file's answers do: " if unusual else ""
        return ""


def _finding(check: TruncatedCompletion, corpus: AuditTable, line: int, reason: str) -> Finding:
    """The finding, with the end of the completion as its span if the completion is a message."""
    row = corpus.rows.column("row")[line].as_py()
    text = corpus.rows.column("completion")[line].as_py()
    return corpus.finding(check, row, reason + _reason_detail(text.strip(), reason), spans=_end_span(corpus, row, text))


def _reason_detail(text: str, reason: str) -> str:
    last = text.rsplit(maxsplit=1)[-1][-MAX_TAIL_CHARACTERS:]
    if reason.startswith("JSON"):
        return _parse_error(text)
    if reason.endswith("bracket"):
        return f": {unclosed_bracket(text.rpartition(chr(10))[2])!r} is not closed"
    return f" {last!r}" if reason.endswith("in") else repr(last) if reason.endswith(": ") else ""


def _parse_error(text: str) -> str:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return f"{error.msg} at character {error.pos} of {len(text)}"
    return ""


def _end_span(corpus: AuditTable, row: int, text: str) -> tuple[Span, ...]:
    """The last characters of the last message, if the completion is that message."""
    first, end_message = corpus.signals.message_range(row)
    parts = corpus.signals.messages
    if (
        parts.column("role")[end_message - 1].as_py() != "assistant"
        or parts.column("text")[end_message - 1].as_py() != text
    ):
        return ()
    stop = len(text.rstrip())
    return (Span(message=end_message - 1 - first, start=max(0, stop - MAX_TAIL_CHARACTERS), end=stop, kind="end"),)
