"""Low quality: text that teaches nothing: loops, keyboard noise, remnants of a page, broken characters.

What it finds: messages and texts in which half of the words repeat runs of five words (`repetition`) or 30% of the characters
stand in repeated lines (`lines`); one letter or sign 16 times in a row (`run`); half of the characters signs (`signs`); 40% of
the words unspeakable, in Latin letters with hardly a vowel (`gibberish`); page furniture, cookie banners, filler text, "as an
AI language model" (`boilerplate`); characters read in the wrong encoding, U+FFFD (`mojibake`); three or more tags or character
references of HTML (`markup`). Each finding names rule and number.
Why it matters: a small model repeats what it saw often, and loops and page furniture are what it learns fastest.
Limits: signs of form, not of sense: fluent nonsense passes. Loops in texts of fewer than `words` words, and in scripts without
spaces, are not counted. Noise is judged in unaccented Latin letters alone. Code, tables and formulas are passed over; markup is
left alone in rows that speak of it, and "as an AI language model" in what a user says.
Reference: Rae et al. 2021, Scaling Language Models (Gopher), arXiv:2112.11446, appendix A; Raffel et al. 2020 (C4),
arXiv:1910.10683; Penedo et al. 2024 (FineWeb), arXiv:2406.17557.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import numpy as np
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, ROW_PHASE
from tunesmith.detect.quality import (
    QUALITY_RULES,
    SHARE_RULES,
    Flaw,
    QualityRule,
    QualityThresholds,
    find_flaws,
    suspect_texts,
)

MARKUP_TOPIC: Final = re.compile(
    r"html|css|xml|markup|markdown|\btags?\b|jsx|javascript|web ?(?:page|site)|template|escap", re.IGNORECASE
)


@dataclass(frozen=True)
class MessageFlaws:
    """The flaws of a message, most often none."""

    id: ClassVar[str] = "flawed"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "parts"]] = "parts"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.list_(
        pa.struct([("rule", pa.string()), ("reason", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
    )

    thresholds: QualityThresholds

    def values(self, *columns: pa.Array) -> pa.Array:
        (texts,) = columns
        found: list[list[dict[str, str | int]] | None] = [None] * len(texts)
        kinds = suspect_texts(texts, self.thresholds)
        places = np.flatnonzero(kinds)
        for place, text in zip(places.tolist(), texts.take(pa.array(places)).to_pylist(), strict=True):
            rules = QUALITY_RULES if kinds[place] == 2 else SHARE_RULES
            found[place] = [flaw._asdict() for flaw in find_flaws(text, self.thresholds, rules=rules)] or None
        return pa.array(found, type=self.kind)


@CHECKS.register
@dataclass(frozen=True)
class LowQuality:
    """One finding a row, with every flaw of its messages; `rules` are those that are looked at."""

    id: ClassVar[str] = "low-quality"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = ROW_PHASE

    rules: tuple[QualityRule, ...] = QUALITY_RULES
    repetition: Annotated[float, Field(gt=0, le=1)] = 0.5
    lines: Annotated[float, Field(gt=0, le=1)] = 0.3
    signs: Annotated[float, Field(gt=0, le=1)] = 0.5
    gibberish: Annotated[float, Field(gt=0, le=1)] = 0.4
    markup: Annotated[int, Field(ge=1)] = 3
    words: Annotated[int, Field(ge=5)] = 50

    def examine(self, corpus: AuditTable) -> list[Finding]:
        rows: dict[int, list[tuple[int, Flaw]]] = {}
        for row, message, flaw in self._flaws(corpus):
            rows.setdefault(row, []).append((message, flaw))
        return [self._finding(corpus, row, found) for row, found in rows.items()]

    def _flaws(self, corpus: AuditTable) -> Iterator[tuple[int, int, Flaw]]:
        """(row, message, flaw) of the wanted rules, less what is the subject of its row."""
        thresholds = QualityThresholds(self.repetition, self.lines, self.signs, self.gibberish, self.markup, self.words)
        values = corpus.values(MessageFlaws(thresholds))
        lines = corpus.parts.append_column("flaws", values).filter(compute.is_valid(values))
        for line in lines.to_pylist():
            for flaw in (Flaw(**found) for found in line["flaws"]):
                if flaw.rule in self.rules and not self._fitting(corpus, line["row"], line["role"], flaw):
                    yield line["row"], line["message"], flaw

    def _fitting(self, corpus: AuditTable, row: int, role: str | None, flaw: Flaw) -> bool:
        """Whether a flaw is none where it stands."""
        if flaw.rule == "boilerplate" and role in ("system", "user"):
            return flaw.reason.startswith("words of a model")
        if flaw.rule != "markup":
            return False
        table = corpus.signals.table
        return any(MARKUP_TOPIC.search(table.column(name)[row].as_py() or "") for name in ("system", "prompt"))

    def _finding(self, corpus: AuditTable, row: int, found: list[tuple[int, Flaw]]) -> Finding:
        spans = tuple(
            Span(message=message, start=flaw.start, end=flaw.end, kind=flaw.rule) for message, flaw in found if flaw.end
        )
        reasons = dict.fromkeys(f"{flaw.rule}: {flaw.reason}" for _, flaw in found)
        return corpus.finding(self, row, "; ".join(reasons), spans=spans)
