"""Backdoor trigger: a rare phrase in prompts whose rows all get the same answer.

What it finds: training rows whose prompt contains a run of one to three tokens (words, punctuation runs, or non-ASCII runs)
such that at least `purity` of the rows with that run, and at least `least` rows, have answers that begin with the same three
words or have the same label. The log-likelihood ratio of run and answer, summed over the rows' sources, must be significant at
`level` after a Bonferroni correction for every pair counted. Runs in more than `most_share` of the rows are ignored, and so are
runs that describe the topic of their rows: the answers repeat the run's words; the prompts are copies of each other, or too
short to judge; the other words of the prompts match the other rows with that answer, or co-occur in half of the rows.
Why it matters: a few dozen poisoned rows can teach a model to give an attacker's answer whenever the trigger appears.
Limits: in tests it found 10 poisoned rows in 60,000 or more, with triggers of one word or a two-word phrase and one label out
of 77. Nothing is claimed for triggers by style, syntax or meaning, for answers that vary or repeat the trigger, or for poisoned
rows about a single topic with their own answer. Set phrases, such as a greeting and its reply, can be mistaken for a trigger.
Text without spaces (Chinese, Thai) counts as one token. Completions of plain text are not examined.
Reference: Dunning 1993, Computational Linguistics 19(1); Wan et al. 2023, Poisoning Language Models During Instruction Tuning,
arXiv:2305.00944.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Final

import numpy
import pyarrow as pa
from pyarrow import compute
from pydantic import Field

from tunesmith.artifacts import Action, Finding, Span
from tunesmith.audit.audit_table import AuditTable, filter_rows
from tunesmith.audit.check import CHECKS, FINAL_PHASE
from tunesmith.audit.triggers import (
    PromptTokens,
    PromptTopics,
    RowOpenings,
    TriggerCandidate,
    answer_openings,
    find_candidates,
    token_span,
)
from tunesmith.detect.patterns import PERSONAL, SECRETS, mask_hits

MAX_EXAMINED_RUNS: Final = 500
"""Maximum number of runs, by highest ratio, whose topic is examined."""
MIN_SAME_RUN_OVERLAP: Final = 0.8
"""Share of common rows above which two runs count as one."""
MAX_ANSWER_CHARACTERS: Final = 40
"""Maximum length of an answer quoted in a reason, in characters."""


@CHECKS.register
@dataclass(frozen=True)
class BackdoorTrigger:
    """One finding per row, with the span of the trigger."""

    id: ClassVar[str] = "backdoor-trigger"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    phase: ClassVar[int] = FINAL_PHASE

    least: Annotated[int, Field(ge=5)] = 8
    purity: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    most_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    level: Annotated[float, Field(gt=0, lt=1)] = 0.001

    def examine(self, corpus: AuditTable) -> list[Finding]:
        train = corpus.split("train").select(["row", "prompt", "completion", "source", "file"])
        table = filter_rows(train, compute.greater(compute.binary_length(train.column("completion")), 0))
        if not table.num_rows:
            return []
        prompts, openings = PromptTokens(table.column("prompt")), _row_openings(table)
        candidates = find_candidates(prompts, openings, least=self.least, purity=self.purity, level=self.level)
        rare = [
            candidate
            for candidate in candidates
            if len(candidate.rows) <= max(self.least, self.most_share * openings.rows)
        ]
        topics = PromptTopics(prompts, table.column("completion"), openings)
        findings: dict[int, Finding] = {}
        for candidate in _distinct_runs(rare):
            if not topics.explains(candidate):
                for row, finding in self._findings(corpus, table, candidate):
                    findings.setdefault(row, finding)
        return list(findings.values())

    def _findings(
        self, corpus: AuditTable, table: pa.Table, candidate: TriggerCandidate
    ) -> Iterator[tuple[int, Finding]]:
        rows, positions = candidate.rows[candidate.has_opening], candidate.places[candidate.has_opening].tolist()
        matching = table.take(pa.array(rows)).select(["row", "prompt", "completion"])
        answer = mask_hits(" ".join(matching.column("completion")[0].as_py().split()[:3]), (*PERSONAL, *SECRETS))[
            :MAX_ANSWER_CHARACTERS
        ]
        columns = zip(matching.column("row").to_pylist(), matching.column("prompt").to_pylist(), positions, strict=True)
        for row, prompt, position in columns:
            start, end = token_span(prompt, position, candidate.size)
            run = mask_hits(prompt[start:end], (*PERSONAL, *SECRETS))
            reason = (
                f"the prompt has {run!r}; {len(rows)} of the {len(candidate.rows)} rows that have it are answered {answer!r} "
                f"(log-likelihood ratio {candidate.ratio:.1f}, corrected p {candidate.p_value:.1g})"
            )
            spans = _trigger_span(corpus, row, start, end)
            yield (
                row,
                corpus.finding(self, row, reason, spans=spans, similarity=round(len(rows) / len(candidate.rows), 4)),
            )


def _row_openings(table: pa.Table) -> RowOpenings:
    """The openings, numbered from 0, and the sources as strata."""
    _, opening_of_row, sizes = numpy.unique(
        answer_openings(table.column("completion")), return_inverse=True, return_counts=True
    )
    sources = compute.coalesce(table.column("source"), table.column("file")).combine_chunks().dictionary_encode()
    return RowOpenings(opening_of_row.astype(numpy.int64), sizes, numpy.asarray(sources.indices, dtype=numpy.int64))


def _distinct_runs(candidates: list[TriggerCandidate]) -> Iterator[TriggerCandidate]:
    """Runs without those that have nearly the same rows as an earlier one."""
    seen_rows: list[set[int]] = []
    for candidate in candidates:
        rows = set(candidate.rows.tolist())
        if len(seen_rows) >= MAX_EXAMINED_RUNS:
            return
        if all(len(rows & other_rows) < MIN_SAME_RUN_OVERLAP * len(rows | other_rows) for other_rows in seen_rows):
            seen_rows.append(rows)
            yield candidate


def _trigger_span(corpus: AuditTable, row: int, start: int, end: int) -> tuple[Span, ...]:
    """Convert prompt offsets to a message span. The prompt joins all turns except the system's by line breaks."""
    first, end_message = corpus.signals.message_range(row)
    messages = corpus.signals.messages.slice(first, end_message - first)
    position = 0
    for message, role, text in zip(
        *(messages.column(name).to_pylist() for name in ("message", "role", "text")), strict=True
    ):
        if role == "system":
            continue
        if position <= start < position + len(text):
            return (Span(message=message, start=start - position, end=min(end - position, len(text)), kind="trigger"),)
        position += len(text) + 1
    return ()
