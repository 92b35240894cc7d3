"""Synthetic share: how much of the data was written by a model.

What it finds: files in which more than `most` of the remaining rows are synthetic (`source_class: synthetic`, or a `generator`
is named); for information, files with rows that name a generator while their source class is missing or different, and files in
which at least `hints` rows without either contain phrases such as "as an AI language model". One finding each, at line 0.
Why it matters: models tuned mostly on model output lose rare content and repeat common content, and the data card must say so.
Limits: only declarations are counted. Chat-model phrases are merely a hint: people quote them, and most synthetic text has none.
Reference: Shumailov et al. 2024, AI models collapse when trained on recursively generated data, Nature 631:755-759.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final, Literal

import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Place, Severity
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import CHECKS, FINAL_PHASE

CHAT_MODEL_PHRASES: Final = (
    r"(?i)\b(?:as an? (?:ai|artificial intelligence)(?: language)?(?: model| assistant)?,? i|"
    r"i am an? (?:ai|large)? ?language model|"
    r"i'm an? (?:ai|large)? ?language model|(?:as of )?my (?:last |knowledge )(?:knowledge )?(?:update|cut-?off)|"
    r"i (?:do not|don't) have personal (?:opinions|beliefs|feelings|experiences)|regenerate response)\b"
)


@dataclass(frozen=True)
class ChatModelPhrases:
    """Whether a completion contains phrases typical of a chat model."""

    id: ClassVar[str] = "tell-tale"
    version: ClassVar[str] = "1"
    of: ClassVar[Literal["rows", "messages"]] = "rows"
    columns: ClassVar[tuple[str, ...]] = ("completion",)
    kind: ClassVar[pa.DataType] = pa.bool_()

    def values(self, *columns: pa.Array) -> pa.Array:
        return compute.match_substring_regex(compute.fill_null(columns[0], ""), CHAT_MODEL_PHRASES)


@CHECKS.register
@dataclass(frozen=True)
class SyntheticShare:
    """Runs in the final phase and counts each file separately."""

    id: ClassVar[str] = "synthetic-share"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    most: Annotated[float, Field(ge=0, lt=1)] = 0.5
    hints: Annotated[int, Field(ge=1)] = 3

    def examine(self, corpus: AuditTable) -> list[Finding]:
        table = corpus.rows
        declared = compute.fill_null(compute.equal(table.column("source_class"), "synthetic"), False)
        has_generator = compute.fill_null(compute.greater(compute.utf8_length(table.column("generator")), 0), False)
        hinted = compute.and_(corpus.values(ChatModelPhrases()), compute.invert(compute.or_(declared, has_generator)))
        by_file = pa.table(
            {
                "file": table.column("file"),
                "made": compute.or_(declared, has_generator).cast(pa.int64()),
                "unclassed": compute.and_(has_generator, compute.invert(declared)).cast(pa.int64()),
                "hinted": hinted.cast(pa.int64()),
            }
        ).group_by("file", use_threads=False)
        files = by_file.aggregate([("made", "count"), ("made", "sum"), ("unclassed", "sum"), ("hinted", "sum")])
        return [finding for line in files.to_pylist() for finding in self._file_findings(line)]

    def _file_findings(self, line: dict[str, int]) -> Iterator[Finding]:
        rows, synthetic = line["made_count"], line["made_sum"]
        if synthetic > self.most * rows:
            share = f"{synthetic} of {rows} rows ({synthetic / rows:.0%}) are synthetic"
            reason = f"{share}; more than {self.most:.0%} was not expected"
            yield self._finding(line, reason, "warning")
        if line["unclassed_sum"]:
            reason = f"{line['unclassed_sum']} of {rows} rows name a generator, and their source class is not synthetic"
            yield self._finding(line, reason, "info")
        if line["hinted_sum"] >= self.hints:
            reason = f"{line['hinted_sum']} of {rows} rows sound like a chat model, and no generator is named: a hint, no proof"
            yield self._finding(line, reason, "info")

    def _finding(self, line: dict[str, int], reason: str, severity: Severity) -> Finding:
        place = Place(row_id="", file=str(line["file"]), line=0)
        return Finding(rule=self.id, severity=severity, action=self.default_action, place=place, reason=reason)
