"""The audit stage: read the rows, look for defects, redact, quarantine, keep what is clean."""

import gzip
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith import tables
from tunesmith.artifacts import (
    AuditReport,
    Dataset,
    Finding,
    Place,
    Row,
    SourceSummary,
    Span,
    canonical_bytes,
)
from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.corpus import Corpus, corpus_of
from tunesmith.audit.plan import Planned, plan
from tunesmith.audit.redact import redact
from tunesmith.context import Context
from tunesmith.data.rows import keep_dataset
from tunesmith.data.sources import read_sources
from tunesmith.errors import DataError
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings
from tunesmith.registry import signature

NOTHING_LEFT = "no-training-rows"
"""Rule of the finding that blocks when every training row was dropped."""


def run(sources: DataSettings, settings: AuditSettings, context: Context, *, task: TaskSettings) -> AuditReport:
    """The report, complete also when a finding blocks: see `blocked`. Raises DataError when a file cannot be used."""
    started = context.clock.seconds()
    tables.use_runner(settings.runner)
    planned = plan(settings, task)
    train, train_files = read_sources(sources.train, split="train", context=context)
    test, test_files = read_sources(sources.test, split="test", context=context)
    files = (*train_files, *test_files)
    _refuse_plain_text(files, task)
    examined = _examine(corpus_of(train, test), planned, context)
    rows = redact([*train, *test], examined.spans())
    seconds = context.clock.seconds() - started
    return AuditReport(
        provenance=context.provenance(
            "audit",
            inputs={f"{file.split}:{file.path}": file.sha256 for file in files},
            settings={
                "data": sources.model_dump(mode="json"),
                "audit": settings.model_dump(mode="json"),
                "task": task.model_dump(mode="json"),
            },
        ),
        measured={"seconds": seconds, "rows_per_second": len(rows) / seconds if seconds > 0 else 0.0},
        train=_kept("train", rows[: len(train)], examined, first=0, context=context),
        test=_kept("test", rows[len(train) :], examined, first=len(train), context=context) if test else None,
        sources=files,
        findings=examined.sorted_findings(),
        dropped=dict(sorted(Counter(examined.dropped.values()).items())),
        redacted=examined.redacted(),
        warned=examined.counted("warn"),
        quarantine=_quarantine(rows, examined, context),
        rows_read=len(rows),
        checks={
            **{one.check.id: f"{signature(one.check)}|action={one.action}" for one in planned},
            **dict.fromkeys(settings.off, "off"),
        },
    )


def blocked(report: AuditReport) -> list[Finding]:
    """The findings that stop the run, none when it may go on."""
    return [finding for finding in report.findings if finding.action == "block"]


def audit_files(paths: Sequence[Path], checks: Sequence[str], context: Context) -> AuditReport:
    """Audit files as training rows with some checks alone (all, when none is named), each with its default action."""
    for name in checks:
        check_class(name)
    off = tuple(name for name in check_ids() if checks and name not in checks)
    sources = DataSettings(train=tuple(SourceSettings(path=str(path)) for path in paths))
    return run(sources, AuditSettings(off=off), context, task=TaskSettings(type="text"))


@dataclass(frozen=True)
class _Examined:
    """Findings with the number of their row (None for a whole file), and which rule dropped which row."""

    findings: tuple[tuple[int | None, Finding], ...]
    dropped: Mapping[int, str]

    def sorted_findings(self) -> tuple[Finding, ...]:
        """By file, line, rule and number of the row."""

        def order(item: tuple[int | None, Finding]) -> tuple[str, int, str, int]:
            row, finding = item
            return finding.place.file, finding.place.line, finding.rule, -1 if row is None else row

        return tuple(finding for _, finding in sorted(self.findings, key=order))

    def spans(self) -> dict[int, list[Span]]:
        """Spans to redact, by row."""
        spans: dict[int, list[Span]] = {}
        for row, finding in self.findings:
            if row is not None and finding.action == "redact":
                spans.setdefault(row, []).extend(finding.spans)
        return spans

    def redacted(self) -> dict[str, int]:
        """Rows changed, by rule; rows that were dropped as well do not count."""
        rules = [
            finding.rule for row, finding in self.findings if finding.action == "redact" and row not in self.dropped
        ]
        return dict(sorted(Counter(rules).items()))

    def counted(self, action: str) -> dict[str, int]:
        """Findings with an action, by rule."""
        return dict(sorted(Counter(finding.rule for _, finding in self.findings if finding.action == action).items()))


def _examine(corpus: Corpus, planned: Sequence[Planned], context: Context) -> _Examined:
    """Turn by turn: a check sees the rows that earlier turns left; within a turn all see the same."""
    numbers = {place.row_id: row for row, place in enumerate(corpus.signals.places)}
    findings: list[tuple[int | None, Finding]] = []
    dropped: dict[int, str] = {}
    left, turn = corpus, -1
    for one in context.progress.track(planned, label="audit", total=len(planned)):
        if one.check.turn != turn:
            left, turn = corpus.without(dropped.keys()), one.check.turn
        for found in one.check.examine(left):
            finding = found.model_copy(update={"action": one.action})
            row = numbers.get(finding.place.row_id)
            findings.append((row, finding))
            if one.action == "drop" and row is not None:
                dropped.setdefault(row, finding.rule)
    if not corpus.without(dropped.keys()).split("train").num_rows:
        findings.append((None, _nothing_left(corpus)))
    return _Examined(tuple(findings), dropped)


def _nothing_left(corpus: Corpus) -> Finding:
    first = corpus.signals.places[0]
    return Finding(
        rule=NOTHING_LEFT,
        severity="error",
        action="block",
        place=Place(row_id="", file=first.file, line=0),
        reason="no training row is left after the audit",
    )


def _kept(name: str, rows: Sequence[Row], examined: _Examined, *, first: int, context: Context) -> Dataset:
    kept = [row for number, row in enumerate(rows, first) if number not in examined.dropped]
    return keep_dataset(name, kept, context.store)


def _quarantine(rows: Sequence[Row], examined: _Examined, context: Context) -> str:
    """Digest of gzip JSON lines: every reason for which a row was dropped, with the row itself after redaction."""
    lines = []
    for row, finding in sorted(((r, f) for r, f in examined.findings if r is not None), key=lambda item: item[0]):
        if finding.action == "drop":
            line = {
                **finding.place.model_dump(mode="json"),
                "rule": finding.rule,
                "reason": finding.reason,
                "other": None if finding.other is None else finding.other.model_dump(mode="json"),
                "similarity": finding.similarity,
                "example": rows[row].example.model_dump(mode="json"),
            }
            lines.append(canonical_bytes(line) + b"\n")
    return context.store.objects.put(gzip.compress(b"".join(lines), compresslevel=6, mtime=0))


def _refuse_plain_text(files: Sequence[SourceSummary], task: TaskSettings) -> None:
    for file in files:
        if file.format == "text" and task.type != "text":
            raise DataError(
                f"the rows have a text and no completion, which the task {task.type!r} needs",
                where=file.path,
                hint="write `task: text`, or name the column of the answer with `columns:`",
            )
