"""Instruction injection: instructions to a model hidden in its input, and requests that go against the system prompt.

What it finds: in all messages except the system's, texts that tell a model to ignore its instructions (`override`; English and,
with fewer phrases, ten other languages), assign it another role or forge a turn (`role`), ask for its secrets or instructions
(`secret-request`), send data away (`exfiltration`), forge or request tool calls (`tool-call`), address the model from within a
text (`addressed-to-model`), change an answer from within another text (`answer-tampering`), hide in comments or invisible
markup (`hidden-text`), appear in a document about something else (`request-in-document`), or combine several weaker signs of
talk to a model (`talk-to-model`). Also all of this, or any English, encoded in base64, hexadecimal, binary, percent encoding,
tag characters, a shifted alphabet, reversed text, look-alike letters, or pieces to be joined. In rows whose system prompt
restricts something, user requests for its secrets (`guarded-secret`), for personal data it holds (`guarded-data`) or for
topics it forbids (`forbidden-request`), and attempts to get around it (`evasion`: fiction, claimed authority, a promise).
Why it matters: anyone who can write part of the training data can teach the model to obey strangers.
Limits: rules match wording, not meaning. A row that asks for something its system prompt forbids may be there to teach a
refusal. Forbidden topics are recognized by the words of the system prompt and a small topic table: English, with few words of
other languages. Images, and instructions spread over several turns, are not found; texts that quote attacks are. On attacks
not seen while the rules were written it finds three in four where rows include their system prompt, a little over half by the
user prompt alone, and half of those whose system prompt resembles none that was seen. It flags one in 800 ordinary rows, and
one in 220 ordinary requests under a restrictive system prompt. `python bench/injection.py` measures this by family and source.
Reference: Greshake et al. 2023, arXiv:2302.12173; Yi et al. 2023 (BIPIA), arXiv:2312.14197; Bhatt et al. 2024 (CyberSecEval 2),
arXiv:2404.13161.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy
import pyarrow as pa

from tunesmith.artifacts import Action, Finding, Severity, Span
from tunesmith.audit.audit_table import AuditTable, Signal
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.detect.injection import SEVERE_KINDS, scan_injections, scan_system_prompt_attacks

FIELDS_PER_HIT: Final = 3


@dataclass(frozen=True)
class Injections:
    """Start, end and kind of every injected instruction of a message, separated by spaces; null without any."""

    id: ClassVar[str] = "injections"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text", "role")
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_hits([[(hit.start, hit.end, hit.kind) for hit in hits] for hits in scan_injections(*columns)])


@dataclass(frozen=True)
class SystemPromptAttacks:
    """Start and end in the prompt, and kind, of every request against the row's system prompt; null without any."""

    id: ClassVar[str] = "guarded"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("system", "prompt")
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_hits(scan_system_prompt_attacks(*columns))


@CHECKS.register
@dataclass(frozen=True)
class InstructionInjection:
    """One finding per row, with all spans."""

    id: ClassVar[str] = "instruction-injection"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans: dict[int, list[Span]] = {}
        for row, span in (*self._message_hits(corpus), *self._system_prompt_hits(corpus)):
            spans.setdefault(row, []).append(span)
        return [self._finding(corpus, row, row_spans) for row, row_spans in sorted(spans.items())]

    def _message_hits(self, corpus: AuditTable) -> Iterator[tuple[int, Span]]:
        """(row, span) of instructions found in a message by itself."""
        values, lines = _decode_hits(corpus, Injections())
        parts = corpus.messages.select(["row", "message"]).take(lines).to_pylist()
        for part, value in zip(parts, values, strict=True):
            for start, end, kind in value:
                yield part["row"], Span(message=part["message"], start=start, end=end, kind=kind)

    def _system_prompt_hits(self, corpus: AuditTable) -> Iterator[tuple[int, Span]]:
        """(row, span) of user requests against the system prompt. The prompt joins its messages by line breaks."""
        values, lines = _decode_hits(corpus, SystemPromptAttacks())
        rows = corpus.rows.column("row").take(lines).to_pylist()
        for row, value in zip(rows, values, strict=True):
            for message, before, after in _prompt_positions(corpus, row):
                inside = [hit for hit in value if before <= hit[0] and hit[1] <= after]
                for start, end, kind in inside:
                    yield row, Span(message=message, start=start - before, end=end - before, kind=kind)

    def _finding(self, corpus: AuditTable, row: int, spans: list[Span]) -> Finding:
        counts = Counter(span.kind for span in spans)
        severity: Severity = "error" if any(kind in SEVERE_KINDS for kind in counts) else "warning"
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        return corpus.finding(self, row, f"instructions to a model: {kinds}", severity=severity, spans=tuple(spans))


def _prompt_positions(corpus: AuditTable, row: int) -> Iterator[tuple[int, int, int]]:
    """(message, start, end) of every user and tool message within the row's prompt."""
    first, end_message = corpus.signals.message_range(row)
    start = 0
    for message in (
        corpus.signals.messages.slice(first, end_message - first).select(["message", "role", "text"]).to_pylist()
    ):
        if message["role"] != "system":
            end = start + len(message["text"])
            if message["role"] != "assistant":
                yield message["message"], start, end
            start = end + 1


def _encode_hits(lines: Sequence[Sequence[tuple[int, int, str]]]) -> pa.Array:
    """Encode the hits of each line as start, end and kind, separated by spaces; null for lines without hits."""
    return pa.array([" ".join(f"{a} {b} {kind}" for a, b, kind in hits) or None for hits in lines], type=pa.string())


def _decode_hits(corpus: AuditTable, signal: Signal) -> tuple[list[list[tuple[int, int, str]]], pa.Array]:
    """The hits of each line with any, decoded from a signal, and the positions of those lines."""
    values = corpus.values(signal)
    lines = pa.array(numpy.flatnonzero(numpy.asarray(values.is_valid())), type=pa.int64())
    fields = [zip(*[iter(value.split())] * FIELDS_PER_HIT, strict=True) for value in values.take(lines).to_pylist()]
    return [[(int(start), int(end), kind) for start, end, kind in value] for value in fields], lines
