"""What a run came to, for a person at a terminal: tables of what the reports say, and nothing that they do not say."""

import os.path
import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.artifacts import (
    AuditReport,
    Comparison,
    Estimate,
    EvaluationReport,
    Evidence,
    Finding,
    GateReport,
    Place,
    ReleaseReport,
    Report,
    TrainReport,
)
from tunesmith.cli.progress import format_duration

OUTCOME_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}
ACTION_WORDS = {"drop": "quarantined", "redact": "redacted", "warn": "reported", "block": "blocks the run"}


def show_reports_as_tables(reports: dict[str, Report], console: Console) -> None:
    """Every report that is there, in the order of the stages."""
    for report in reports.values():
        match report:
            case AuditReport():
                show_audit(report, console)
            case TrainReport():
                show_training(report, console)
            case EvaluationReport():
                show_evaluation(report, console)
            case GateReport():
                show_verdicts(report, console)
            case ReleaseReport():
                _print_heading(console, f"Release {report.name} {report.version}: {display_path(Path(report.folder))}")


def show_audit(report: AuditReport, console: Console) -> None:
    """How many rows went where, and per rule what was done, with the first case of each."""
    test = "no held-out rows" if report.test is None else f"{report.test.rows:,} held out"
    dropped = report.rows_read - report.train.rows - (0 if report.test is None else report.test.rows)
    _print_heading(
        console,
        f"Audit: {report.rows_read:,} rows read, {report.train.rows:,} kept for training, {test}, {dropped:,} quarantined",
    )
    cases: dict[tuple[str, str], list[Finding]] = {}
    for finding in report.findings:
        cases.setdefault((finding.rule, finding.action), []).append(finding)
    if not cases:
        _print_heading(console, "  no findings")
        return
    table = _table("rule", "rows", "first case", "why", whole=2)
    for (rule, action), found in sorted(cases.items()):
        first = found[0]
        _row(
            table,
            (rule, f"{report.found[rule]:,} {ACTION_WORDS[action]}", format_place(first.place), finding_reason(first)),
        )
    console.print(table)


def show_training(report: TrainReport, console: Console) -> None:
    """What was tuned and how far."""
    loss = f", loss {report.curve[0].loss:.3f} to {report.curve[-1].loss:.3f}" if report.curve else ""
    _print_heading(
        console,
        f"Training: {report.base.name}, {report.method}, {report.trainable_parameters:,} of {report.base.parameters:,} "
        f"parameters, {report.rows:,} rows, {report.steps:,} steps{loss}",
    )


def show_evaluation(report: EvaluationReport, console: Console) -> None:
    """Systems by metrics with intervals, then tuned against each reference on the same rows."""
    _print_heading(console, f"Evaluation: {report.test.rows:,} held-out rows")
    metrics = list(dict.fromkeys(found.metric for system in report.systems for found in system.estimates))
    scores = _table("system", *metrics, "how")
    for system in report.systems:
        found = {estimate.metric: estimate for estimate in system.estimates}
        cells = [format_evidence(found[metric]) if metric in found else "-" for metric in metrics]
        _row(scores, (system.system, *cells, system.how))
    console.print(scores)
    if report.comparisons:
        differences = _table("tuned minus", "metric", "difference", "better / worse / same", "p", "smallest detectable")
        for comparison in report.comparisons:
            _row(differences, _comparison_cells(comparison))
        console.print(differences)


def _format_p_value(p_value: float | None) -> str:
    """Two digits; below what doubles hold, the bound."""
    if p_value is None:
        return "-"
    return "<1e-300" if p_value < 1e-300 else f"{p_value:.2g}"


def show_verdicts(report: GateReport, console: Console) -> None:
    """Every requirement of the policy and what it came to."""
    _print_heading(console, f"Gate: {report.outcome}", style=OUTCOME_STYLES.get(report.outcome, ""))
    if not report.verdicts:
        _print_heading(console, "  the policy is empty, and an empty policy passes nothing")
        return
    table = _table("requirement", "verdict", "why")
    for verdict in report.verdicts:
        more = (
            "" if verdict.more_examples is None else f"; about {verdict.more_examples:,} more examples would settle it"
        )
        outcome = Text(verdict.outcome, style=OUTCOME_STYLES[verdict.outcome])
        table.add_row(Text(verdict.requirement), outcome, Text(verdict.reason + more))
    console.print(table)


def show_stage_times(seconds: dict[str, float], reused: tuple[str, ...], console: Console) -> None:
    """Where the time went, stage by stage."""
    parts = [
        f"{name} {'done already' if name in reused else format_duration(value)}" for name, value in seconds.items()
    ]
    _print_heading(console, f"Time: {', '.join(parts)}; {format_duration(sum(seconds.values()))} in all")


def show_page_path(page: Path | None, console: Console) -> None:
    """Where everything that was measured can be read."""
    if page is not None:
        _print_heading(console, f"All tables, findings and samples: {display_path(page)}")


def show_release(report: ReleaseReport, key: Path, console: Console) -> None:
    """The release's own report and the next commands. `key` is the private key; its public half lies beside it."""
    folder = display_path(Path(report.folder))
    if "report.html" in report.files:
        _print_heading(console, f"Release: {folder} (its report: report.html)")
    public = key.with_suffix(".pub")
    known = shlex.quote(display_path(public if public.is_file() else key))
    _print_heading(console, "Next:")
    for verb in ("verify", "chat", "serve"):
        console.print(Text(f"  tunesmith {verb} {shlex.quote(folder)} --key {known}"), soft_wrap=True)


def format_evidence(found: Evidence) -> str:
    """`0.912 [0.880, 0.938] n=300`, or why there is no number."""
    if isinstance(found, Estimate):
        return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}] n={found.n:,}"
    return f"insufficient: {found.reason}"


def format_place(place: Place) -> str:
    """`tickets.jsonl:12`; a whole source has no line."""
    return f"{place.file}:{place.line}" if place.line else place.file


def finding_reason(finding: Finding) -> str:
    """The reason, with the other row when there is one."""
    return finding.reason if finding.other is None else f"{finding.reason} ({format_place(finding.other)})"


def display_path(path: Path) -> str:
    """The path from here, when that is not a way up and down."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def _comparison_cells(comparison: Comparison) -> tuple[str, ...]:
    return (
        comparison.reference,
        comparison.metric,
        format_evidence(comparison.difference),
        f"{comparison.won:,} / {comparison.lost:,} / {comparison.tied:,}",
        _format_p_value(comparison.p_value),
        "-" if comparison.minimum_detectable is None else f"{comparison.minimum_detectable:.3f}",
    )


def _table(*headers: str, whole: int = 1) -> Table:
    """A table whose first `whole` columns are never wrapped and never cut."""
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for place, header in enumerate(headers):
        table.add_column(Text(header), no_wrap=place < whole, overflow="fold")
    return table


def _row(table: Table, cells: Iterable[str]) -> None:
    """Cells are plain text: a bracket in them is no markup."""
    table.add_row(*[Text(cell) for cell in cells])


def _print_heading(console: Console, line: str, *, style: str = "bold") -> None:
    console.print()
    console.print(Text(line, style=style), soft_wrap=True)
