"""Instruction injection: instructions to a model hidden in what it is given to read, and requests against its system turn.

What it finds: in messages but the system's, texts that tell a model to ignore its instructions (`override`, English and, in
fewer words, ten other languages), give it another role or forge a turn (`role`), ask for its secrets or its instructions
(`secret-request`), send data away (`exfiltration`), forge or order tool calls (`tool-call`), turn to the model within a
text (`addressed-to-model`), reshape an answer from within another text (`answer-tampering`), hide in comments or unseen
markup (`hidden-text`), stand in a document that is about something else (`request-in-document`), or show several signs close
together of talk to a model (`talk-to-model`). Also all of this, or any English, in base64, hexadecimal, binary, percent signs,
tag characters, a shifted alphabet, backward, look-alike letters, or pieces to be put together. In rows whose system turn
keeps something back, requests of the user for its secrets (`guarded-secret`), for what it knows of people (`guarded-data`) or
for topics it forbids (`forbidden-request`), and ways around it (`evasion`: an invented world, an office, a promise made).
Why it matters: whoever writes what a model is tuned on can teach it to obey strangers.
Limits: rules for wordings, not for meaning. A row that asks for what its system turn forbids may be there to teach a refusal.
What is forbidden is known by the words of the system turn and a small table of topics: English, few words of other languages.
Images and instructions spread over turns are not found; texts that quote attacks are. Of attacks not looked at when the rules
were written it finds three in four where rows have their system turns, a little over half by the prompt alone, and half of
those whose system turn is unlike any seen; of ordinary rows one in 800 is found, of ordinary requests under a system turn
that keeps something back one in 220. `python bench/injection.py` counts them, by family and by source.
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
    """For each message start, end and kind of every instruction, a space apart; null without one."""

    id: ClassVar[str] = "injections"
    version: ClassVar[str] = "2"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text", "role")
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_hits([[(hit.start, hit.end, hit.kind) for hit in hits] for hits in scan_injections(*columns)])


@dataclass(frozen=True)
class SystemPromptAttacks:
    """For each row start and end in its prompt, and kind, of every request for what its system turn keeps back."""

    id: ClassVar[str] = "guarded"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("system", "prompt")
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        return _encode_hits(scan_system_prompt_attacks(*columns))


@CHECKS.register
@dataclass(frozen=True)
class InstructionInjection:
    """One finding a row, with every span."""

    id: ClassVar[str] = "instruction-injection"
    version: ClassVar[str] = "2"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    def examine(self, corpus: AuditTable) -> list[Finding]:
        spans: dict[int, list[Span]] = {}
        for row, span in (*self._worded(corpus), *self._asked(corpus)):
            spans.setdefault(row, []).append(span)
        return [self._finding(corpus, row, found) for row, found in sorted(spans.items())]

    def _worded(self, corpus: AuditTable) -> Iterator[tuple[int, Span]]:
        """(row, span) of what a message says by itself."""
        values, lines = _decode_hits(corpus, Injections())
        parts = corpus.parts.select(["row", "message"]).take(lines).to_pylist()
        for part, value in zip(parts, values, strict=True):
            for start, end, kind in value:
                yield part["row"], Span(message=part["message"], start=start, end=end, kind=kind)

    def _asked(self, corpus: AuditTable) -> Iterator[tuple[int, Span]]:
        """(row, span) of what a user asks against the system turn; the prompt's messages stand a line break apart."""
        values, lines = _decode_hits(corpus, SystemPromptAttacks())
        rows = corpus.table.column("row").take(lines).to_pylist()
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
    """(message, start, end) in the row's prompt of every message of a user or a tool."""
    first, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    before = 0
    for part in corpus.signals.parts.slice(first, after - first).select(["message", "role", "text"]).to_pylist():
        if part["role"] != "system":
            end = before + len(part["text"])
            if part["role"] != "assistant":
                yield part["message"], before, end
            before = end + 1


def _encode_hits(found: Sequence[Sequence[tuple[int, int, str]]]) -> pa.Array:
    """Start, end and kind of what was found in each line, a space apart; null without anything."""
    return pa.array([" ".join(f"{a} {b} {kind}" for a, b, kind in hits) or None for hits in found], type=pa.string())


def _decode_hits(corpus: AuditTable, signal: Signal) -> tuple[list[list[tuple[int, int, str]]], pa.Array]:
    """What a signal found, line by line, and these lines."""
    values = corpus.values(signal)
    lines = pa.array(numpy.flatnonzero(numpy.asarray(values.is_valid())), type=pa.int64())
    fields = [zip(*[iter(value.split())] * FIELDS_PER_HIT, strict=True) for value in values.take(lines).to_pylist()]
    return [[(int(start), int(end), kind) for start, end, kind in value] for value in fields], lines
