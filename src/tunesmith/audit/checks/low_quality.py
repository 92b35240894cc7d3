"""Low quality: text with nothing to learn: loops, keyboard noise, web page boilerplate, broken characters.

What it finds: messages and texts in which half of the words are in repeated 5-grams (`repetition`) or 30% of the characters
are in repeated lines (`lines`); one character 16 times in a row (`run`); half of the characters are punctuation or symbols
(`signs`); 40% of the words in Latin letters have hardly a vowel (`gibberish`); page furniture, cookie banners, filler text,
"as an AI language model" (`boilerplate`); text decoded with the wrong encoding, or U+FFFD (`mojibake`); three or more HTML tags
or character references (`markup`). Each finding names the rule and its value.
Why it matters: small models repeat what they see often, and loops and page furniture are learned fastest.
Limits: rules look at form, not sense: fluent nonsense passes. Loops in texts of fewer than `words` words, and in scripts
without spaces, are not counted. Gibberish is judged in unaccented Latin letters only. Code, tables and formulas are skipped;
markup is allowed in rows that mention markup, and "as an AI language model" in user messages.
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
    """The flaws of each message, null for most."""

    id: ClassVar[str] = "flawed"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "messages"
    columns: ClassVar[tuple[str, ...]] = ("text",)
    kind: ClassVar[pa.DataType] = pa.list_(
        pa.struct([("rule", pa.string()), ("reason", pa.string()), ("start", pa.int32()), ("end", pa.int32())])
    )

    thresholds: QualityThresholds

    def values(self, *columns: pa.Array) -> pa.Array:
        (texts,) = columns
        flaws_of_message: list[list[dict[str, str | int]] | None] = [None] * len(texts)
        kinds = suspect_texts(texts, self.thresholds)
        numbers = np.flatnonzero(kinds)
        for number, text in zip(numbers.tolist(), texts.take(pa.array(numbers)).to_pylist(), strict=True):
            rules = QUALITY_RULES if kinds[number] == 2 else SHARE_RULES
            flaws_of_message[number] = [
                flaw._asdict() for flaw in find_flaws(text, self.thresholds, rules=rules)
            ] or None
        return pa.array(flaws_of_message, type=self.kind)


@CHECKS.register
@dataclass(frozen=True)
class LowQuality:
    """One finding per row, with all flaws of its messages; `rules` selects the rules."""

    id: ClassVar[str] = "low-quality"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = ROW_PHASE

    rules: tuple[QualityRule, ...] = QUALITY_RULES
    repetition: Annotated[float, Field(gt=0, le=1)] = 0.5
    lines: Annotated[float, Field(gt=0, le=1)] = 0.3
    signs: Annotated[float, Field(gt=0, le=1)] = 0.5
    gibberish: Annotated[float, Field(gt=0, le=1)] = 0.4
    markup: Annotated[int, Field(ge=1)] = 3
    words: Annotated[int, Field(ge=5)] = 50

    def examine(self, corpus: AuditTable) -> list[Finding]:
        flaws_by_row: dict[int, list[tuple[int, Flaw]]] = {}
        for row, message, flaw in self._flaws(corpus):
            flaws_by_row.setdefault(row, []).append((message, flaw))
        return [self._finding(corpus, row, row_flaws) for row, row_flaws in flaws_by_row.items()]

    def _flaws(self, corpus: AuditTable) -> Iterator[tuple[int, int, Flaw]]:
        """(row, message, flaw) of the selected rules, without flaws that are legitimate where they occur."""
        thresholds = QualityThresholds(self.repetition, self.lines, self.signs, self.gibberish, self.markup, self.words)
        values = corpus.values(MessageFlaws(thresholds))
        lines = corpus.messages.append_column("flaws", values).filter(compute.is_valid(values))
        for line in lines.to_pylist():
            for flaw in (Flaw(**fields) for fields in line["flaws"]):
                if flaw.rule in self.rules and not self._is_legitimate(corpus, line["row"], line["role"], flaw):
                    yield line["row"], line["message"], flaw

    def _is_legitimate(self, corpus: AuditTable, row: int, role: str | None, flaw: Flaw) -> bool:
        """Whether a flaw is legitimate where it occurs."""
        if flaw.rule == "boilerplate" and role in ("system", "user"):
            return flaw.reason.startswith("words of a model")
        if flaw.rule != "markup":
            return False
        table = corpus.signals.rows
        return any(MARKUP_TOPIC.search(table.column(name)[row].as_py() or "") for name in ("system", "prompt"))

    def _finding(self, corpus: AuditTable, row: int, row_flaws: list[tuple[int, Flaw]]) -> Finding:
        spans = tuple(
            Span(message=message, start=flaw.start, end=flaw.end, kind=flaw.rule)
            for message, flaw in row_flaws
            if flaw.end
        )
        reasons = dict.fromkeys(f"{flaw.rule}: {flaw.reason}" for _, flaw in row_flaws)
        return corpus.finding(self, row, "; ".join(reasons), spans=spans)
