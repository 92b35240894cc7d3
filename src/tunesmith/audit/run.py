"""The audit stage: read the rows, look for defects, redact, quarantine, keep what is clean.

Rows are read once into a container on disk and into the columns that checks see; at the end the container is read again,
batch by batch, and what is clean is written to the data sets. No row is held as an object for longer than its batch.
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
"""Rule of the finding that blocks when every training row was dropped."""
ERASED_ROW = "erased-row"
"""Rule of the findings that name rows that were erased from the store and are still in a source file."""
CONTRADICTED_RIGHTS = "contradicted-rights"
"""Rule of the findings that tell where a Croissant file speaks against the recipe."""
LEFT_OUT_COLUMN = "left-out-column"
"""Rule of the findings, for information, that tell what of a file is no part of its rows."""


def run(
    sources: DataSettings,
    settings: AuditSettings,
    context: Context,
    *,
    task: TaskSettings,
    again: bool = False,
    reader: Reader | None = None,
) -> AuditReport:
    """The report, complete also when a finding blocks: see `blocked`. Raises DataError when a file cannot be used.

    With `again` nothing is taken over from earlier audits of the same rows. `reader` is the base's (see
    `models.reader.open_reader`); without one nothing is said of tokens.
    """
    started = context.clock.seconds()
    tables.use_runner(settings.runner)
    today = context.clock.now().date()
    planned = plan_checks(settings, task, today=today, reader=reader, context=context)
    compared = check_references(settings, context)
    context.store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.store.folder, prefix=".tmp-audit-") as folder:
        misfits = None if Schema.id in settings.off else InvalidRows()
        erased = load_tombstones(context.store, lambda: fingerprint(sources, context))
        taken = SplitReader(Path(folder), context, misfits, erased).take(sources)
        files, columns = taken.files, taken.columns
        _reject_plain_text(files, task, misfits)
        corpus = columns.corpus(FolderSignalCache(context.store, again=again), misfits=misfits)
        book = _run_checks(corpus, planned, context)
        _add_rights_findings(files, book)
        _add_erased_findings(erased, book)
        _add_left_out_findings(taken.notes, book)
        findings = book.table()
        outcome = ActionApplier(book.dropped, book.spans(findings), findings, context.store)
        kept = outcome.keep("train", taken.train.container, first=0)
        held_out = outcome.keep("test", taken.test.container, first=taken.train.rows) if taken.test.rows else None
    seconds = context.clock.seconds() - started
    return AuditReport(
        provenance=_provenance(files, compared, context, data=sources, audit=settings, task=task),
        measured={"seconds": seconds, "rows_per_second": columns.rows / seconds if seconds > 0 else 0.0},
        train=kept,
        test=held_out,
        sources=files,
        findings=report_findings(findings, corpus),
        found=book.counted(),
        all_findings=outcome.keep_findings(),
        dropped=outcome.dropped() | ({Schema.id: len(misfits)} if misfits else {}),
        redacted=book.rows_redacted(findings),
        warned=book.counted("warn"),
        blocking=book.counted("block"),
        quarantine=outcome.keep_quarantine(Schema.id),
        profile=build_profile(corpus, findings, prompt_languages(corpus, settings.off)),
        rows_read=columns.rows + (len(misfits) if misfits else 0),
        checks={
            **{one.check.id: f"{signature(one.check)}|action={one.action}" for one in planned},
            **dict.fromkeys(settings.off, "off"),
        },
        split=taken.split,
        good_until=None if ExpiredRights.id in settings.off else last_valid_day(corpus, today),
    )


def _provenance(
    files: Sequence[SourceSummary], compared: References, context: Context, **settings: Settings
) -> Provenance:
    inputs = {f"{file.split}:{file.path}": file.sha256 for file in files}
    inputs |= {f"reference:{file.name}": file.sha256 for file in compared}
    values = {name: one.model_dump(mode="json") for name, one in settings.items()}
    return context.provenance("audit", inputs=inputs, settings=values)


def blocking_findings(report: AuditReport) -> list[Finding]:
    """The findings that stop the run, none when it may go on."""
    return [finding for finding in report.findings if finding.action == "block"]


def audit_files(paths: Sequence[Path], checks: Sequence[str], context: Context) -> AuditReport:
    """Audit files as training rows with some checks alone (all, when none is named), each with its default action.

    But for rows without a licence: nobody can state one here, so they are reported and looked at by the other checks too.
    """
    for name in checks:
        check_class(name)
    off = tuple(name for name in check_ids() if checks and name not in checks)
    warn = () if UnlicensedSource.id in off else (UnlicensedSource.id,)
    sources = DataSettings(train=tuple(SourceSettings(path=str(path)) for path in paths))
    return run(sources, AuditSettings(off=off, warn=warn), context, task=TaskSettings(type="text"))


def _run_checks(corpus: AuditTable, planned: Sequence[PlannedCheck], context: Context) -> FindingsTable:
    """Turn by turn: a check sees the rows that earlier turns left; within a turn all see the same.

    Where no row could be read there is nothing to see but why.
    """
    book, numbers = FindingsTable(), corpus.signals.numbers
    left, turn = corpus, -1
    looking = planned if corpus.table.num_rows else [one for one in planned if one.check.id == Schema.id]
    for one in track_steps(looking, context, label="audit", rows=corpus.table.num_rows):
        if one.check.turn != turn:
            left, turn = corpus.without(book.dropped.keys()), one.check.turn
        for finding in one.check.examine(left):
            taken = finding.model_copy(update={"action": "warn" if finding.severity == "info" else one.action})
            book.add(taken, numbers.get(taken.place.row_id))
    told = not corpus.table.num_rows and book.counted("block")
    if not told and not corpus.without(book.dropped.keys()).split("train").num_rows:
        book.add(_no_rows_finding(corpus), None)
    return book


def _add_erased_findings(erased: Tombstones, book: FindingsTable) -> None:
    """A finding for each row that was erased and is still in its source: it was passed over, and its content kept nowhere."""
    for file, line, why in erased.met:
        place = Place(row_id="", file=file, line=line)
        book.add(Finding(rule=ERASED_ROW, severity="warning", action="drop", place=place, reason=why), None)


def _add_left_out_findings(notes: Sequence[tuple[str, str]], book: FindingsTable) -> None:
    for file, note in notes:
        place = Place(row_id="", file=file, line=0)
        book.add(Finding(rule=LEFT_OUT_COLUMN, severity="info", action="warn", place=place, reason=note), None)


def _add_rights_findings(files: Sequence[SourceSummary], book: FindingsTable) -> None:
    """A finding for each file of which the recipe says something else than the Croissant file that describes it."""
    for file in files:
        for key, said in file.contradicts.items():
            reason = f"{key}: the Croissant file says {said[:80]!r}, the recipe {str(getattr(file, key))[:80]!r}"
            place = Place(row_id="", file=file.path, line=0)
            book.add(
                Finding(rule=CONTRADICTED_RIGHTS, severity="warning", action="warn", place=place, reason=reason), None
            )


def _no_rows_finding(corpus: AuditTable) -> Finding:
    misfits = corpus.signals.misfits.rows
    file = corpus.signals.place(0).file if corpus.table.num_rows else misfits[0].file if misfits else ""
    return Finding(
        rule=NO_TRAINING_ROWS,
        severity="error",
        action="block",
        place=Place(row_id="", file=file, line=0),
        reason="no training row is left after the audit",
    )


def _reject_plain_text(files: Sequence[SourceSummary], task: TaskSettings, misfits: InvalidRows | None) -> None:
    faults = FileErrors()
    for file in files:
        with faults.collect():
            if file.format == "text" and task.type != "text":
                raise DataError(
                    f"the rows have a text and no completion, which the task {task.type!r} needs",
                    where=file.path,
                    hint="write `task: text`, or name the column of the answer with `columns:`",
                )
    faults.raise_any(misfits)
