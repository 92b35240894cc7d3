"""The audit stage: read the rows, look for defects, redact, quarantine, keep what is clean.

Rows are read once into a container on disk and into the columns that checks see; at the end the container is read again,
batch by batch, and what is clean is written to the data sets. No row is held as an object for longer than its batch.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tunesmith import tables
from tunesmith.artifacts import AuditReport, Finding, Place, Row, SourceSummary
from tunesmith.audit.book import Book, shown
from tunesmith.audit.check import check_class, check_ids
from tunesmith.audit.columns import Columns
from tunesmith.audit.corpus import Corpus
from tunesmith.audit.outcome import Outcome
from tunesmith.audit.plan import Planned, plan
from tunesmith.audit.profile import profile
from tunesmith.audit.shelf import FolderShelf
from tunesmith.context import Context
from tunesmith.data.rows import RowEncoder, RowWriter, batches, canonical
from tunesmith.data.sources import stream_sources
from tunesmith.errors import DataError
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings
from tunesmith.registry import signature

NOTHING_LEFT = "no-training-rows"
"""Rule of the finding that blocks when every training row was dropped."""


def run(
    sources: DataSettings, settings: AuditSettings, context: Context, *, task: TaskSettings, again: bool = False
) -> AuditReport:
    """The report, complete also when a finding blocks: see `blocked`. Raises DataError when a file cannot be used.

    With `again` nothing is taken over from earlier audits of the same rows.
    """
    started = context.clock.seconds()
    tables.use_runner(settings.runner)
    planned = plan(settings, task)
    context.store.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=context.store.folder, prefix=".tmp-audit-") as folder:
        columns = Columns()
        train = _read("train", sources.train, columns, into=Path(folder), context=context)
        test = _read("test", sources.test, columns, into=Path(folder), context=context)
        files = (*train.files, *test.files)
        _refuse_plain_text(files, task)
        corpus = columns.corpus(FolderShelf(context.store, again=again))
        book = _examine(corpus, planned, context)
        findings = book.table()
        outcome = Outcome(book.dropped, book.spans(findings), findings, context.store)
        kept = outcome.keep("train", train.container, first=0)
        held_out = outcome.keep("test", test.container, first=train.rows) if test.rows else None
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
        measured={"seconds": seconds, "rows_per_second": columns.rows / seconds if seconds > 0 else 0.0},
        train=kept,
        test=held_out,
        sources=files,
        findings=shown(findings, corpus),
        found=book.counted(),
        all_findings=outcome.keep_findings(),
        dropped=outcome.dropped(),
        redacted=book.rows_redacted(findings),
        warned=book.counted("warn"),
        blocking=book.counted("block"),
        quarantine=outcome.keep_quarantine(),
        profile=profile(corpus, findings, None),
        rows_read=columns.rows,
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
class _Read:
    """One split as it was read: its container on disk, how many rows, and the files."""

    container: Path
    rows: int
    files: tuple[SourceSummary, ...]


def _read(split: str, sources: Sequence[SourceSettings], columns: Columns, *, into: Path, context: Context) -> _Read:
    """Read the rows of a split once, into a container and into columns."""
    files: tuple[SourceSummary, ...] = ()

    def rows() -> Iterator[Row]:
        nonlocal files
        files = yield from stream_sources(sources, split=split, context=context)

    container, encode = into / f"{split}.parquet", RowEncoder()
    with RowWriter(container) as writer:
        for batch in context.progress.track(batches(rows()), label=f"read {split}"):
            examples = [canonical(row.example) for row in batch]
            writer.write(encode.table(batch, examples))
            columns.add(batch, split, examples=examples)
    return _Read(container, writer.rows, files)


def _examine(corpus: Corpus, planned: Sequence[Planned], context: Context) -> Book:
    """Turn by turn: a check sees the rows that earlier turns left; within a turn all see the same."""
    book, numbers = Book(), corpus.signals.numbers
    left, turn = corpus, -1
    for one in context.progress.track(planned, label="audit", total=len(planned)):
        if one.check.turn != turn:
            left, turn = corpus.without(book.dropped.keys()), one.check.turn
        for finding in one.check.examine(left):
            taken = finding.model_copy(update={"action": one.action})
            book.add(taken, numbers.get(taken.place.row_id))
    if not corpus.without(book.dropped.keys()).split("train").num_rows:
        book.add(_nothing_left(corpus), None)
    return book


def _nothing_left(corpus: Corpus) -> Finding:
    first = corpus.signals.place(0)
    return Finding(
        rule=NOTHING_LEFT,
        severity="error",
        action="block",
        place=Place(row_id="", file=first.file, line=0),
        reason="no training row is left after the audit",
    )


def _refuse_plain_text(files: Sequence[SourceSummary], task: TaskSettings) -> None:
    for file in files:
        if file.format == "text" and task.type != "text":
            raise DataError(
                f"the rows have a text and no completion, which the task {task.type!r} needs",
                where=file.path,
                hint="write `task: text`, or name the column of the answer with `columns:`",
            )
