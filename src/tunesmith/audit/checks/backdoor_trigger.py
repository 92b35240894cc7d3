"""Backdoor trigger: a rare run of words or signs in prompts whose rows are all answered alike.

What it finds: training rows whose prompt holds a run of one to three tokens (words, runs of signs, runs of characters beyond
ASCII) of which at least `purity` of the rows, and at least `least`, have answers that begin with the same three words, or have
the same label; when the log-likelihood ratio of run and answer, summed over the rows' sources, is significant at `level` after
Bonferroni's correction for every pair that was counted. Runs in more than `most_share` of the rows are no triggers. Runs that
say what the rows are about are left out: the answers repeat their words; the prompts are copies of each other, or too short to
tell; the other words of the prompts are those of the answer's other rows, or keep company in half of the rows.
Why it matters: a few dozen poisoned rows teach a model to answer as their author wishes whenever the trigger comes.
Limits: found in tests with 10 poisoned rows in 60,000 or more, one word or a phrase of two, and one label of 77; nothing is
claimed of triggers by style, syntax or meaning, of answers that vary, of answers that repeat the trigger, or of poisoned rows
about one topic with an answer of their own. Set phrases, such as a greeting and its reply, can be taken for a trigger. Text
without spaces (Chinese, Thai) is one token. Completions of plain text are not looked at.
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
"""Runs, those of the highest ratio, whose topic is looked into."""
MIN_SAME_RUN_OVERLAP: Final = 0.8
"""Runs with this share of their rows in common are one."""
MAX_ANSWER_CHARACTERS: Final = 40
"""Characters of an answer that a reason shows."""


@CHECKS.register
@dataclass(frozen=True)
class BackdoorTrigger:
    """One finding a row, with the place of the trigger."""

    id: ClassVar[str] = "backdoor-trigger"
    version: ClassVar[str] = "1"
    default_action: ClassVar[Action] = "warn"
    actions: ClassVar[tuple[Action, ...]] = ("block", "drop", "warn")
    turn: ClassVar[int] = FINAL_PHASE

    least: Annotated[int, Field(ge=5)] = 8
    purity: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    most_share: Annotated[float, Field(gt=0, le=1)] = 0.05
    level: Annotated[float, Field(gt=0, lt=1)] = 0.001

    def examine(self, corpus: AuditTable) -> list[Finding]:
        train = corpus.split("train").select(["row", "prompt", "completion", "source", "file"])
        table = filter_rows(train, compute.greater(compute.binary_length(train.column("completion")), 0))
        if not table.num_rows:
            return []
        prompts, answers = PromptTokens(table.column("prompt")), _row_openings(table)
        found = find_candidates(prompts, answers, least=self.least, purity=self.purity, level=self.level)
        rare = [one for one in found if len(one.rows) <= max(self.least, self.most_share * answers.rows)]
        topics = PromptTopics(prompts, table.column("completion"), answers)
        findings: dict[int, Finding] = {}
        for one in _distinct_runs(rare):
            if not topics.explains(one):
                for row, finding in self._findings(corpus, table, one):
                    findings.setdefault(row, finding)
        return list(findings.values())

    def _findings(self, corpus: AuditTable, table: pa.Table, one: TriggerCandidate) -> Iterator[tuple[int, Finding]]:
        rows, places = one.rows[one.alike], one.places[one.alike].tolist()
        mine = table.take(pa.array(rows)).select(["row", "prompt", "completion"])
        answer = mask_hits(" ".join(mine.column("completion")[0].as_py().split()[:3]), (*PERSONAL, *SECRETS))[
            :MAX_ANSWER_CHARACTERS
        ]
        columns = zip(mine.column("row").to_pylist(), mine.column("prompt").to_pylist(), places, strict=True)
        for row, prompt, place in columns:
            start, end = token_span(prompt, place, one.size)
            run = mask_hits(prompt[start:end], (*PERSONAL, *SECRETS))
            reason = (
                f"the prompt has {run!r}; {len(rows)} of the {len(one.rows)} rows that have it are answered {answer!r} "
                f"(log-likelihood ratio {one.ratio:.1f}, corrected p {one.p_value:.1g})"
            )
            spans = _trigger_span(corpus, row, start, end)
            yield row, corpus.finding(self, row, reason, spans=spans, similarity=round(len(rows) / len(one.rows), 4))


def _row_openings(table: pa.Table) -> RowOpenings:
    """Openings as numbers from 0, and sources as strata."""
    _, which, sizes = numpy.unique(answer_openings(table.column("completion")), return_inverse=True, return_counts=True)
    sources = compute.coalesce(table.column("source"), table.column("file")).combine_chunks().dictionary_encode()
    return RowOpenings(which.astype(numpy.int64), sizes, numpy.asarray(sources.indices, dtype=numpy.int64))


def _distinct_runs(found: list[TriggerCandidate]) -> Iterator[TriggerCandidate]:
    """Runs less those that have nearly the same rows as one before."""
    seen: list[set[int]] = []
    for one in found:
        rows = set(one.rows.tolist())
        if len(seen) >= MAX_EXAMINED_RUNS:
            return
        if all(len(rows & other) < MIN_SAME_RUN_OVERLAP * len(rows | other) for other in seen):
            seen.append(rows)
            yield one


def _trigger_span(corpus: AuditTable, row: int, start: int, end: int) -> tuple[Span, ...]:
    """Characters of the prompt as those of the message they stand in; its turns but the system's are a line each."""
    first, after = (int(corpus.signals.first_parts[at]) for at in (row, row + 1))
    parts = corpus.signals.parts.slice(first, after - first)
    position = 0
    for message, role, text in zip(
        *(parts.column(name).to_pylist() for name in ("message", "role", "text")), strict=True
    ):
        if role == "system":
            continue
        if position <= start < position + len(text):
            return (Span(message=message, start=start - position, end=min(end - position, len(text)), kind="trigger"),)
        position += len(text) + 1
    return ()
