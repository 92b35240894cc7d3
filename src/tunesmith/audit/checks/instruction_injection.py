"""Instruction injection: instructions to a model hidden in what it is given to read.

What it finds: in messages but the system's, texts that tell a model to ignore its instructions (`override`, English and, in
fewer words, ten other languages), give it another role or forge a turn (`role`), ask for its secrets or its instructions
(`secret-request`), send data away (`exfiltration`), forge or order tool calls (`tool-call`), turn to the model within a
text (`addressed-to-model`), reshape an answer from within another text (`answer-tampering`), hide in comments or unseen
markup (`hidden-text`), or stand in a document that is about something else (`request-in-document`). Also all of this, or
any English, in base64, hexadecimal, binary, percent signs, tag characters, a shifted alphabet, backward, or look-alike letters.
Why it matters: whoever writes what a model is tuned on can teach it to obey strangers.
Limits: rules for wordings, not for meaning. A request that only a system turn forbids looks like any other and is not
found, nor are other languages' rarer wordings, images, or instructions spread over turns. Texts about prompt injection are
found. Of attacks not looked at when the rules were written it finds about half (BIPIA: three quarters), with one false alarm in
1,000 ordinary rows; `python bench/injection.py` counts both, by family and by source.
Reference: Greshake et al. 2023, arXiv:2302.12173; Yi et al. 2023 (BIPIA), arXiv:2312.14197; Bhatt et al. 2024 (CyberSecEval 2),
arXiv:2404.13161.
"""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy
import pyarrow as pa

from tunesmith.artifacts import Action, Finding, Severity, Span
from tunesmith.audit.check import CHECKS, ROWS
from tunesmith.audit.corpus import Corpus
from tunesmith.data.injection import GRAVE, scan

FIELDS: Final = 3


@dataclass(frozen=True)
class Injections:
    """For each message start, end and kind of every instruction, a space apart; null without one."""

    id: ClassVar[str] = "injections"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text", "role")
    kind: ClassVar[pa.DataType] = pa.string()

    def values(self, *columns: pa.Array) -> pa.Array:
        found = scan(columns[0], columns[1])
        return pa.array(
            [" ".join(f"{h.start} {h.end} {h.kind}" for h in hits) or None for hits in found], type=self.kind
        )


@CHECKS.register
@dataclass(frozen=True)
class InstructionInjection:
    """One finding a row, with every span."""

    id: ClassVar[str] = "instruction-injection"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROWS

    def examine(self, corpus: Corpus) -> list[Finding]:
        values = corpus.values(Injections())
        lines = pa.array(numpy.flatnonzero(numpy.asarray(values.is_valid())), type=pa.int64())
        parts = corpus.parts.select(["row", "message"]).take(lines).to_pylist()
        spans: dict[int, list[Span]] = {}
        for part, value in zip(parts, values.take(lines).to_pylist(), strict=True):
            for start, end, kind in zip(*[iter(value.split())] * FIELDS, strict=True):
                span = Span(message=part["message"], start=int(start), end=int(end), kind=kind)
                spans.setdefault(part["row"], []).append(span)
        return [self._finding(corpus, row, found) for row, found in spans.items()]

    def _finding(self, corpus: Corpus, row: int, spans: list[Span]) -> Finding:
        counts = Counter(span.kind for span in spans)
        severity: Severity = "error" if any(kind in GRAVE for kind in counts) else "warning"
        kinds = ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
        return corpus.finding(self, row, f"instructions to a model: {kinds}", severity=severity, spans=tuple(spans))
