"""One-screen summary of a run: a few sentences, item small table and three sample rows.

The full tables are in the HTML report and in the output of `tunesmith show RECIPE`.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeVar

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tunesmith.artifacts import (
    AuditReport,
    Comparison,
    Estimate,
    EvaluationReport,
    GateReport,
    Insufficient,
    ReleaseReport,
    Report,
    TrainReport,
)
from tunesmith.scoring.catalogue import metric_class

TUNED: Final = "tuned"
BASE_PREFIX: Final = "base-"
"""Prefix of the system names that stand for the base under different prompts."""

MAX_NAMED_RULES: Final = 3
MAX_SAMPLE_ROWS: Final = 3
MAX_PROMPT_CHARACTERS: Final = 200
MAX_ANSWER_CHARACTERS: Final = 320
R = TypeVar("R", bound=Report)


def show_run_summary(reports: Mapping[str, Report], console: Console) -> None:
    """Print the summary of {stage: report}. Stages without a report are omitted."""
    for sentence in summary_sentences(reports):
        console.print(Text(sentence))
    evaluation = _report_of_type(reports, "evaluate", EvaluationReport)
    if evaluation is not None:
        headline = headline_metric(evaluation)
        console.print()
        console.print(_metric_table(evaluation, headline))
        _show_samples(evaluation, best_base(evaluation, headline) or _first_base(evaluation), console)


def summary_sentences(reports: Mapping[str, Report]) -> list[str]:
    """One sentence per stage: rows kept, training, first metric of the tuned model, gate outcome."""
    audit, train = _report_of_type(reports, "audit", AuditReport), _report_of_type(reports, "train", TrainReport)
    evaluation, gate = (
        _report_of_type(reports, "evaluate", EvaluationReport),
        _report_of_type(reports, "gate", GateReport),
    )
    release = _report_of_type(reports, "release", ReleaseReport)
    sentences = []
    if audit is not None:
        sentences.append(_audit_sentence(audit))
    if train is not None:
        sentences.append(_training_sentence(train))
    if evaluation is not None:
        sentences.append(_comparison_sentence(evaluation, headline_metric(evaluation)))
    if gate is not None:
        sentences.append(_gate_sentence(gate, release))
    return sentences


def headline_metric(report: EvaluationReport) -> str:
    """The metric used in the sentences: the first of the evaluation."""
    return next(estimate.metric for system in report.systems for estimate in system.estimates)


def best_base(report: EvaluationReport, metric: str) -> str | None:
    """The base system with the best value of a metric; the last one on a tie."""
    return _best_system(report, metric, [item.system for item in report.systems if item.system.startswith(BASE_PREFIX)])


def _first_base(report: EvaluationReport) -> str | None:
    """The first base system, used for sample rows when none has an estimate: its output shows why."""
    return next((item.system for item in report.systems if item.system.startswith(BASE_PREFIX)), None)


def best_baseline(report: EvaluationReport, metric: str) -> str | None:
    """The best system by a metric that is neither the tuned model nor the base."""
    others = [
        item.system for item in report.systems if item.system != TUNED and not item.system.startswith(BASE_PREFIX)
    ]
    return _best_system(report, metric, others)


def _best_system(report: EvaluationReport, metric: str, names: Sequence[str]) -> str | None:
    values = {name: _metric_value(report, name, metric) for name in reversed(names)}
    sign = 1.0 if metric_class(metric).higher_is_better else -1.0
    scores = {name: sign * value for name, value in values.items() if value is not None}
    return max(scores, key=lambda name: scores[name]) if scores else None


def _report_of_type(reports: Mapping[str, Report], stage: str, kind: type[R]) -> R | None:
    report = reports.get(stage)
    return report if isinstance(report, kind) else None


def _metric_value(report: EvaluationReport, system: str, metric: str) -> float | None:
    estimate = _metric_estimate(report, system, metric)
    return None if estimate is None else estimate.value


def _metric_estimate(report: EvaluationReport, system: str, metric: str) -> Estimate | None:
    estimates = next((item.estimates for item in report.systems if item.system == system), ())
    estimate = next((item for item in estimates if item.metric == metric), None)
    return estimate if isinstance(estimate, Estimate) else None


def _audit_sentence(report: AuditReport) -> str:
    test = 0 if report.test is None else report.test.rows
    removed = report.rows_read - report.train.rows - test
    rules = sorted(report.dropped.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{rule} {count:,}" for rule, count in rules[:MAX_NAMED_RULES] if count)
    why = f" ({named}{', and others' if len(rules) > MAX_NAMED_RULES else ''})" if named else ""
    for_testing = f"{test:,} are for testing" if test else "none are for testing"
    return (
        f"The audit read {report.rows_read:,} rows: {report.train.rows:,} are for training, {for_testing}, "
        f"{removed:,} were removed{why}."
    )


def _training_sentence(report: TrainReport) -> str:
    loss = (
        f"; training loss went from {report.curve[0].loss:.2f} to {report.curve[-1].loss:.2f}" if report.curve else ""
    )
    saved = ""
    if report.distinct_tokens and report.tokens > 1.1 * report.distinct_tokens:
        saved = f"; prefix sharing saved {1 - report.distinct_tokens / report.tokens:.0%} of the tokens"
    return f"{report.base.name} was tuned with {report.method} for {epochs_in_words(report.epochs)}{loss}{saved}."


def epochs_in_words(epochs: float) -> str:
    """`1 epoch`, `0.33 epochs`."""
    return f"{epochs:g} epoch{'' if epochs == 1 else 's'}"


def _comparison_sentence(report: EvaluationReport, metric: str) -> str:
    tuned = _metric_estimate(report, TUNED, metric)
    if tuned is None:
        return f"{metric} of the tuned model could not be measured{_missing_estimate_reason(report, metric)}."
    base, other = best_base(report, metric), best_baseline(report, metric)
    result = f"On {tuned.n:,} test rows, {metric} is {tuned.value:.3f} for the tuned model"
    parts = [
        _difference_clause(report, name, metric, words)
        for name, words in ((base, "its base"), (other, "the best baseline"))
    ]
    return f"{result}{''.join(parts)}."


def _missing_estimate_reason(report: EvaluationReport, metric: str) -> str:
    """Why the tuned model has no estimate, with notes on its answers, e.g. `: no spread; 40 of 40 answers are empty`."""
    tuned = next((item for item in report.systems if item.system == TUNED), None)
    if tuned is None:
        return ""
    reasons = [item.reason for item in tuned.estimates if item.metric == metric and isinstance(item, Insufficient)]
    return "".join([*(f": {reason}" for reason in reasons), *(f"; {note}" for note in tuned.how.split("; ")[1:])])


def _difference_clause(report: EvaluationReport, system: str | None, metric: str, words: str) -> str:
    """E.g. `; its base (base-plain) has 0.032, a difference of +0.809 [+0.764, +0.851]`, or empty without such a system."""
    value = None if system is None else _metric_value(report, system, metric)
    pair = next((item for item in report.comparisons if item.metric == metric and item.reference == system), None)
    if value is None or pair is None or not isinstance(pair.difference, Estimate):
        return ""
    return f"; {words} ({system}) has {value:.3f}, a difference of {difference_in_words(pair.difference)}"


def difference_in_words(difference: Estimate) -> str:
    """E.g. `+0.809 [+0.764, +0.851]`. An interval that contains zero is marked as not significant."""
    note = ", not significant" if difference.low <= 0 <= difference.high else ""
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]{note}"


def _gate_sentence(gate: GateReport, release: ReleaseReport | None) -> str:
    if not gate.verdicts:
        return "Not released: the gate policy is empty, and an empty policy never passes."
    passed = sum(verdict.outcome == "pass" for verdict in gate.verdicts)
    count = f"{passed} of {len(gate.verdicts)} gate requirements passed"
    if release is not None:
        return f"{count}; release {release.name} {release.version} was signed."
    unmet = [f"\n  {item.outcome}: {item.requirement}" for item in gate.verdicts if item.outcome != "pass"]
    return f"{count}; gate outcome: {gate.outcome}.{''.join(unmet)}"


def _metric_table(report: EvaluationReport, headline: str) -> Table:
    """Table of metrics for the tuned model, its base and the best baseline, with the difference tuned - base."""
    base, other = best_base(report, headline), best_baseline(report, headline)
    systems = [name for name in (TUNED, base, other) if name is not None]
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    last = () if base is None else ("tuned - base",)
    for index, header in enumerate(("metric", *systems, *last)):
        table.add_column(Text(header), overflow="fold", no_wrap=index == 0)
    pairs = {(pair.metric, pair.reference): pair for pair in report.comparisons}
    for metric in dict.fromkeys(item.metric for system in report.systems for item in system.estimates):
        cells = [_format_estimate(_metric_estimate(report, name, metric)) for name in systems]
        against = [] if base is None else [Text(_format_difference(pairs.get((metric, base))))]
        table.add_row(Text(metric), *map(Text, cells), *against)
    return table


def _format_estimate(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _format_difference(pair: Comparison | None) -> str:
    if pair is None or not isinstance(pair.difference, Estimate):
        return "-"
    difference = pair.difference
    return f"{difference.value:+.3f} [{difference.low:+.3f}, {difference.high:+.3f}]"


def _show_samples(report: EvaluationReport, base: str | None, console: Console) -> None:
    """Print the first test rows: prompt, answer of the base, answer of the tuned model."""
    samples = [sample for sample in report.samples if TUNED in sample][:MAX_SAMPLE_ROWS]
    if not samples:
        return
    console.print()
    console.print(Text(f"First {len(samples)} test rows:"))
    for sample in samples:
        console.print()
        console.print(
            Text(f"{sample.get('place', '')}  {shorten_line(sample.get('prompt', ''), MAX_PROMPT_CHARACTERS)}")
        )
        for name in filter(None, (base, TUNED)):
            answer = shorten_line(sample.get(name, ""), MAX_ANSWER_CHARACTERS) or "(empty)"
            line = Text.assemble((f"{name}: ", "bold"), answer)
            console.print(Padding(line, (0, 0, 0, 2)))


def shorten_line(text: str, limit: int) -> str:
    """One line without control characters, truncated to `limit` characters with an ellipsis."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(plain.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
