"""The audit stage: read the rows, run the checks, redact, quarantine and keep the clean rows.

Rows are read once into a container on disk and into the columns that checks see. At the end the container is read again batch
by batch and clean rows are written to the data sets. No row is kept as a Python object longer than its batch.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tunesmith import tables
from tunesmith.artifacts import AuditReport, Finding, Place, Provenance, SourceSummary
from tunesmith.audit.apply_actions import ActionApplier
from tunesmith.audit.audit_table import AuditTable
from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.check_plan import PlannedCheck, check_references, plan_checks
from tunesmith.audit.checks.expired_rights import ExpiredRights, last_valid_day
from tunesmith.audit.checks.schema import Schema
from tunesmith.audit.checks.unlicensed_source import UnlicensedSource
from tunesmith.audit.findings_table import FindingsTable, report_findings
from tunesmith.audit.profile import build_profile
from tunesmith.audit.read_splits import SplitReader
from tunesmith.audit.references import References
from tunesmith.audit.row_language import prompt_languages
from tunesmith.audit.signal_cache import FolderSignalCache
from tunesmith.audit.throughput import track_steps
from tunesmith.context import Context
from tunesmith.data.invalid_rows import FileErrors, InvalidRows
from tunesmith.data.sources import fingerprint
from tunesmith.errors import DataError
from tunesmith.lineage.tombstones import Tombstones, load_tombstones
from tunesmith.models.reader_protocol import Reader
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings
from tunesmith.recipe.base import Settings
from tunesmith.registry import signature

NO_TRAINING_ROWS = "no-training-rows"
"""Rule of the blocking finding that reports that every training row was dropped."""
ERASED_ROW = "erased-row"
"""Rule of the findings for rows that were erased from the store but are still in a source file."""
CONTRADICTED_RIGHTS = "contradicted-rights"
"""Rule of the findings for rights on which a Croissant file and the recipe disagree."""
LEFT_OUT_COLUMN = "left-out-column"
"""Rule of the informational findings for contents of a file that are not part of its rows."""


def run(
    sources: DataSettings,
    settings: AuditSettings,
    context: Context,
    *,
    task: TaskSettings,
    again: bool = False,
    reader: Reader | None = None,
) -> AuditReport:
    """Run the audit. The report is complete even when a finding blocks (see `blocking_findings`).

    `again` ignores cached signals of earlier audits. `reader` tokenizes rows as the base does (see
    `models.reader.open_reader`); without it, checks about tokens find nothing. Raises DataError when a file cannot be used.
    """
    started = context.clock.seconds()
    tables.use_runner(settings.runner)
    today = context.clock.now().date()
    planned = plan_checks(settings, task, today=today, reader=reader, context=context)
    references = check_references(settings, context)
    context.store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.store.folder, prefix=".tmp-audit-") as folder:
        invalid_rows = None if Schema.id in settings.off else InvalidRows()
        erased = load_tombstones(context.store, lambda: fingerprint(sources, context))
        splits = SplitReader(Path(folder), context, invalid_rows, erased).read(sources)
        files, builder = splits.files, splits.builder
        _reject_plain_text(files, task, invalid_rows)
        corpus = builder.build(FolderSignalCache(context.store, again=again), invalid_rows=invalid_rows)
        findings = _run_checks(corpus, planned, context)
        _add_rights_findings(files, findings)
        _add_erased_findings(erased, findings)
        _add_left_out_findings(splits.notes, findings)
        table = findings.to_arrow()
        actions = ActionApplier(findings.dropped, findings.spans(table), table, context.store)
        train = actions.write_clean("train", splits.train.container, first=0)
        test = actions.write_clean("test", splits.test.container, first=splits.train.rows) if splits.test.rows else None
    seconds = context.clock.seconds() - started
    return AuditReport(
        provenance=_provenance(files, references, context, data=sources, audit=settings, task=task),
        measured={"seconds": seconds, "rows_per_second": builder.row_count / seconds if seconds > 0 else 0.0},
        train=train,
        test=test,
        sources=files,
        findings=report_findings(table, corpus),
        found=findings.count_by_rule(),
        all_findings=actions.store_findings(),
        dropped=actions.dropped_by_rule() | ({Schema.id: len(invalid_rows)} if invalid_rows else {}),
        redacted=findings.redacted_by_rule(table),
        warned=findings.count_by_rule("warn"),
        blocking=findings.count_by_rule("block"),
        quarantine=actions.store_quarantine(Schema.id),
        profile=build_profile(corpus, table, prompt_languages(corpus, settings.off)),
        rows_read=builder.row_count + (len(invalid_rows) if invalid_rows else 0),
        checks={
            **{item.check.id: f"{signature(item.check)}|action={item.action}" for item in planned},
            **dict.fromkeys(settings.off, "off"),
        },
        split=splits.split,
        good_until=None if ExpiredRights.id in settings.off else last_valid_day(corpus, today),
    )


def _provenance(
    files: Sequence[SourceSummary], references: References, context: Context, **settings: Settings
) -> Provenance:
    inputs = {f"{file.split}:{file.path}": file.sha256 for file in files}
    inputs |= {f"reference:{file.name}": file.sha256 for file in references}
    values = {name: value.model_dump(mode="json") for name, value in settings.items()}
    return context.provenance("audit", inputs=inputs, settings=values)


def blocking_findings(report: AuditReport) -> list[Finding]:
    """The findings that block the run; empty when it may continue."""
    return [finding for finding in report.findings if finding.action == "block"]


def audit_files(paths: Sequence[Path], checks: Sequence[str], context: Context) -> AuditReport:
    """Audit files as training rows with the named checks (all if none is named), each with its default action.

    Exception: rows without a licence are only reported and not dropped, since no licence can be declared here.
    """
    for name in checks:
        check_class(name)
    off = tuple(name for name in check_ids() if checks and name not in checks)
    warn = () if UnlicensedSource.id in off else (UnlicensedSource.id,)
    sources = DataSettings(train=tuple(SourceSettings(path=str(path)) for path in paths))
    return run(sources, AuditSettings(off=off, warn=warn), context, task=TaskSettings(type="text"))


def _run_checks(corpus: AuditTable, planned: Sequence[PlannedCheck], context: Context) -> FindingsTable:
    """Run the checks phase by phase. A check sees the rows that earlier phases kept; within a phase all see the same rows.

    When no row could be read, only the schema check runs.
    """
    findings, row_numbers = FindingsTable(), corpus.signals.numbers
    remaining, phase = corpus, -1
    to_run = planned if corpus.rows.num_rows else [item for item in planned if item.check.id == Schema.id]
    for item in track_steps(to_run, context, label="audit", rows=corpus.rows.num_rows):
        if item.check.phase != phase:
            remaining, phase = corpus.without(findings.dropped.keys()), item.check.phase
        for finding in item.check.examine(remaining):
            action = "warn" if finding.severity == "info" else item.action
            findings.add(finding.model_copy(update={"action": action}), row_numbers.get(finding.place.row_id))
    already_blocked = not corpus.rows.num_rows and findings.count_by_rule("block")
    if not already_blocked and not corpus.without(findings.dropped.keys()).split("train").num_rows:
        findings.add(_no_rows_finding(corpus), None)
    return findings


def _add_erased_findings(erased: Tombstones, findings: FindingsTable) -> None:
    """One finding per erased row that is still in its source file. The row was skipped and its content is stored nowhere."""
    for file, line, reason in erased.matches:
        place = Place(row_id="", file=file, line=line)
        findings.add(Finding(rule=ERASED_ROW, severity="warning", action="drop", place=place, reason=reason), None)


def _add_left_out_findings(notes: Sequence[tuple[str, str]], findings: FindingsTable) -> None:
    for file, note in notes:
        place = Place(row_id="", file=file, line=0)
        findings.add(Finding(rule=LEFT_OUT_COLUMN, severity="info", action="warn", place=place, reason=note), None)


def _add_rights_findings(files: Sequence[SourceSummary], findings: FindingsTable) -> None:
    """One finding per right on which the recipe and the Croissant file that describes a file disagree."""
    for file in files:
        for key, described in file.contradicts.items():
            reason = f"{key}: the Croissant file says {described[:80]!r}, the recipe {str(getattr(file, key))[:80]!r}"
            place = Place(row_id="", file=file.path, line=0)
            findings.add(
                Finding(rule=CONTRADICTED_RIGHTS, severity="warning", action="warn", place=place, reason=reason), None
            )


def _no_rows_finding(corpus: AuditTable) -> Finding:
    invalid_rows = corpus.signals.invalid_rows.rows
    file = corpus.signals.place(0).file if corpus.rows.num_rows else invalid_rows[0].file if invalid_rows else ""
    return Finding(
        rule=NO_TRAINING_ROWS,
        severity="error",
        action="block",
        place=Place(row_id="", file=file, line=0),
        reason="no training row is left after the audit",
    )


def _reject_plain_text(files: Sequence[SourceSummary], task: TaskSettings, invalid_rows: InvalidRows | None) -> None:
    errors = FileErrors()
    for file in files:
        with errors.collect():
            if file.format == "text" and task.type != "text":
                raise DataError(
                    f"the rows have a text but no completion, which the task {task.type!r} requires",
                    where=file.path,
                    hint="set `task: text`, or name the answer column: `columns: {completion: NAME}`",
                )
    errors.raise_any(invalid_rows)
