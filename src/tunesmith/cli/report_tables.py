"""Reports as tables for the terminal."""

import os.path
import shlex
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tunesmith.artifacts import (
    ACTION_WORDING,
    Action,
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
from tunesmith.cli.output import print_heading
from tunesmith.cli.progress import format_duration

OUTCOME_STYLES = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def show_reports_as_tables(reports: dict[str, Report], console: Console) -> None:
    """Print every report, in stage order."""
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
                print_heading(console, f"Release {report.name} {report.version}: {display_path(Path(report.folder))}")


def show_audit(report: AuditReport, console: Console) -> None:
    """Print row counts and, per rule, the action taken with its first finding."""
    test = "no test rows" if report.test is None else f"{report.test.rows:,} for testing"
    dropped = report.rows_read - report.train.rows - (0 if report.test is None else report.test.rows)
    print_heading(
        console,
        f"Audit: {report.rows_read:,} rows read, {report.train.rows:,} for training, {test}, {dropped:,} quarantined",
    )
    first_findings: dict[tuple[str, Action], Finding] = {}
    for finding in report.findings:
        first_findings.setdefault((finding.rule, finding.action), finding)
    if not first_findings:
        print_heading(console, "  no findings")
        return
    table = _make_table("rule", "rows", "first finding", "reason", unwrapped=2)
    for rule, action in sorted(first_findings):
        first = first_findings[rule, action]
        count = f"{report.found[rule]:,} {ACTION_WORDING[action]}"
        _add_row(table, (rule, count, format_place(first.place), finding_reason(first)))
    console.print(table)


def show_training(report: TrainReport, console: Console) -> None:
    """Print base, method, trainable parameters, rows, steps and loss."""
    loss = f", loss {report.curve[0].loss:.3f} to {report.curve[-1].loss:.3f}" if report.curve else ""
    print_heading(
        console,
        f"Training: {report.base.name}, {report.method}, {report.trainable_parameters:,} of {report.base.parameters:,} "
        f"parameters, {report.rows:,} rows, {report.steps:,} steps{loss}",
    )


def show_evaluation(report: EvaluationReport, console: Console) -> None:
    """Print systems by metrics with intervals, then the paired comparison of the tuned model with each reference."""
    print_heading(console, f"Evaluation: {report.test.rows:,} test rows")
    metrics = list(dict.fromkeys(estimate.metric for system in report.systems for estimate in system.estimates))
    scores = _make_table("system", *metrics, "method")
    for system in report.systems:
        by_metric = {estimate.metric: estimate for estimate in system.estimates}
        cells = [format_evidence(by_metric[metric]) if metric in by_metric else "-" for metric in metrics]
        _add_row(scores, (system.system, *cells, system.how))
    console.print(scores)
    if report.comparisons:
        differences = _make_table(
            "tuned minus", "metric", "difference", "better / worse / tied", "p", "minimum detectable"
        )
        for comparison in report.comparisons:
            _add_row(differences, _comparison_cells(comparison))
        console.print(differences)


def _format_p_value(p_value: float | None) -> str:
    """p-value with two digits, or the bound below the range of doubles."""
    if p_value is None:
        return "-"
    return "<1e-300" if p_value < 1e-300 else f"{p_value:.2g}"


def show_verdicts(report: GateReport, console: Console) -> None:
    """Print the outcome of every gate requirement."""
    print_heading(console, f"Gate: {report.outcome}", style=OUTCOME_STYLES.get(report.outcome, ""))
    if not report.verdicts:
        print_heading(console, "  the policy is empty; an empty policy never passes")
        return
    table = _make_table("requirement", "outcome", "reason")
    for verdict in report.verdicts:
        needed = verdict.more_examples
        more = "" if needed is None else f"; about {needed:,} more examples would settle it"
        outcome = Text(verdict.outcome, style=OUTCOME_STYLES[verdict.outcome])
        table.add_row(Text(verdict.requirement), outcome, Text(verdict.reason + more))
    console.print(table)


def show_stage_times(seconds: dict[str, float], reused: tuple[str, ...], console: Console) -> None:
    """Print the time per stage."""
    parts = [f"{name} {'cached' if name in reused else format_duration(value)}" for name, value in seconds.items()]
    print_heading(console, f"Time: {', '.join(parts)}; {format_duration(sum(seconds.values()))} total")


def show_page_path(page: Path | None, console: Console) -> None:
    """Print the path of the HTML report."""
    if page is not None:
        print_heading(console, f"Full report: {display_path(page)}")


def show_release(report: ReleaseReport, key: Path, console: Console) -> None:
    """Print the release folder and the next commands. `key` is the private key; the public key is expected next to it."""
    folder = display_path(Path(report.folder))
    if "report.html" in report.files:
        print_heading(console, f"Release: {folder} (report: report.html)")
    public = key.with_suffix(".pub")
    key_argument = shlex.quote(display_path(public if public.is_file() else key))
    print_heading(console, "Next:")
    for verb in ("verify", "chat", "serve"):
        console.print(Text(f"  tunesmith {verb} {shlex.quote(folder)} --key {key_argument}"), soft_wrap=True)


def format_evidence(evidence: Evidence) -> str:
    """E.g. `0.912 [0.880, 0.938] n=300`, or the reason why there is no estimate."""
    if isinstance(evidence, Estimate):
        return f"{evidence.value:.3f} [{evidence.low:.3f}, {evidence.high:.3f}] n={evidence.n:,}"
    return f"insufficient: {evidence.reason}"


def format_place(place: Place) -> str:
    """E.g. `tickets.jsonl:12`. A finding about a whole source has no line number."""
    return f"{place.file}:{place.line}" if place.line else place.file


def finding_reason(finding: Finding) -> str:
    """Reason of a finding, with the location of the other row if there is one."""
    return finding.reason if finding.other is None else f"{finding.reason} ({format_place(finding.other)})"


def display_path(path: Path) -> str:
    """Path relative to the working directory, or unchanged when it lies outside it."""
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


def _make_table(*headers: str, unwrapped: int = 1) -> Table:
    """Table whose first `unwrapped` columns are never wrapped."""
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for index, header in enumerate(headers):
        table.add_column(Text(header), no_wrap=index < unwrapped, overflow="fold")
    return table


def _add_row(table: Table, cells: Iterable[str]) -> None:
    """Add a row of plain text: brackets are not interpreted as markup."""
    table.add_row(*[Text(cell) for cell in cells])
