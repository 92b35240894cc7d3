"""What a run came to, on one screen: a few sentences, one small table, three rows with their answers. The long tables are in the
HTML report and behind `tunesmith show RECIPE`."""

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
"""What the names of the systems begin with that are the base, asked in one way or another."""

MAX_NAMED_RULES: Final = 3
MAX_SAMPLE_ROWS: Final = 3
MAX_PROMPT_CHARACTERS: Final = 200
MAX_ANSWER_CHARACTERS: Final = 320
R = TypeVar("R", bound=Report)


def show_run_summary(reports: Mapping[str, Report], console: Console) -> None:
    """The reports of a run's stages, by the stage's name; what a stage has not made is left out."""
    for sentence in summary_sentences(reports):
        console.print(Text(sentence))
    evaluation = _report_of_type(reports, "evaluate", EvaluationReport)
    if evaluation is not None:
        headline = headline_metric(evaluation)
        console.print()
        console.print(_metric_table(evaluation, headline))
        _show_samples(evaluation, best_base(evaluation, headline) or _first_base(evaluation), console)


def summary_sentences(reports: Mapping[str, Report]) -> list[str]:
    """What was kept, what was trained, how the tuned model stands by the first metric, what the gate says; in words."""
    audit, train = _report_of_type(reports, "audit", AuditReport), _report_of_type(reports, "train", TrainReport)
    evaluation, gate = (
        _report_of_type(reports, "evaluate", EvaluationReport),
        _report_of_type(reports, "gate", GateReport),
    )
    release = _report_of_type(reports, "release", ReleaseReport)
    found = []
    if audit is not None:
        found.append(_audit_sentence(audit))
    if train is not None:
        found.append(_training_sentence(train))
    if evaluation is not None:
        found.append(_comparison_sentence(evaluation, headline_metric(evaluation)))
    if gate is not None:
        found.append(_gate_sentence(gate, release))
    return found


def headline_metric(report: EvaluationReport) -> str:
    """The metric that sentences speak of: the first that the evaluation has."""
    return next(estimate.metric for system in report.systems for estimate in system.estimates)


def best_base(report: EvaluationReport, metric: str) -> str | None:
    """The way of asking the base that does best by a metric; the last of those that do alike."""
    return _best_system(report, metric, [one.system for one in report.systems if one.system.startswith(BASE_PREFIX)])


def _first_base(report: EvaluationReport) -> str | None:
    """A way of asking the base, where none has a number: what it writes says why."""
    return next((one.system for one in report.systems if one.system.startswith(BASE_PREFIX)), None)


def best_baseline(report: EvaluationReport, metric: str) -> str | None:
    """The system that is neither tuned nor the base and does best by a metric."""
    others = [one.system for one in report.systems if one.system != TUNED and not one.system.startswith(BASE_PREFIX)]
    return _best_system(report, metric, others)


def _best_system(report: EvaluationReport, metric: str, names: Sequence[str]) -> str | None:
    values = {name: _metric_value(report, name, metric) for name in reversed(names)}
    sign = 1.0 if metric_class(metric).higher_is_better else -1.0
    known = {name: sign * value for name, value in values.items() if value is not None}
    return max(known, key=lambda name: known[name]) if known else None


def _report_of_type(reports: Mapping[str, Report], stage: str, kind: type[R]) -> R | None:
    found = reports.get(stage)
    return found if isinstance(found, kind) else None


def _metric_value(report: EvaluationReport, system: str, metric: str) -> float | None:
    found = _metric_estimate(report, system, metric)
    return None if found is None else found.value


def _metric_estimate(report: EvaluationReport, system: str, metric: str) -> Estimate | None:
    estimates = next((one.estimates for one in report.systems if one.system == system), ())
    found = next((one for one in estimates if one.metric == metric), None)
    return found if isinstance(found, Estimate) else None


def _audit_sentence(report: AuditReport) -> str:
    test = 0 if report.test is None else report.test.rows
    out = report.rows_read - report.train.rows - test
    rules = sorted(report.dropped.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{rule} {count:,}" for rule, count in rules[:MAX_NAMED_RULES] if count)
    why = f" ({named}{', and others' if len(rules) > MAX_NAMED_RULES else ''})" if named else ""
    held = f"{test:,} are held out" if test else "none are held out"
    return f"The audit read {report.rows_read:,} rows: {report.train.rows:,} are trained on, {held}, {out:,} were taken out{why}."


def _training_sentence(report: TrainReport) -> str:
    loss = f"; its loss went from {report.curve[0].loss:.2f} to {report.curve[-1].loss:.2f}" if report.curve else ""
    saved = ""
    if report.distinct_tokens and report.tokens > 1.1 * report.distinct_tokens:
        saved = f"; shared prefixes saved {1 - report.distinct_tokens / report.tokens:.0%} of the tokens"
    return f"{report.base.name} was tuned by {report.method} for {epochs_in_words(report.epochs)}{loss}{saved}."


def epochs_in_words(epochs: float) -> str:
    """`1 epoch`, `0.33 epochs`."""
    return f"{epochs:g} epoch{'' if epochs == 1 else 's'}"


def _comparison_sentence(report: EvaluationReport, metric: str) -> str:
    tuned = _metric_estimate(report, TUNED, metric)
    if tuned is None:
        return f"{metric} of the tuned model could not be measured{_missing_estimate_reason(report, metric)}."
    base, other = best_base(report, metric), best_baseline(report, metric)
    said = f"On {tuned.n:,} held-out rows, {metric} is {tuned.value:.3f} for the tuned model"
    parts = [
        _difference_clause(report, name, metric, words)
        for name, words in ((base, "its base"), (other, "the best baseline"))
    ]
    return f"{said}{''.join(parts)}."


def _missing_estimate_reason(report: EvaluationReport, metric: str) -> str:
    """Why the tuned model has no number, and what was noted of its answers, e.g. `: no spread; 40 of 40 answers are empty`."""
    tuned = next((one for one in report.systems if one.system == TUNED), None)
    if tuned is None:
        return ""
    reasons = [one.reason for one in tuned.estimates if one.metric == metric and isinstance(one, Insufficient)]
    return "".join([*(f": {reason}" for reason in reasons), *(f"; {note}" for note in tuned.how.split("; ")[1:])])


def _difference_clause(report: EvaluationReport, system: str | None, metric: str, words: str) -> str:
    """`; its base has 0.032: 0.809 more [0.764, 0.851]`, or nothing where there is no such system."""
    value = None if system is None else _metric_value(report, system, metric)
    pair = next((one for one in report.comparisons if one.metric == metric and one.reference == system), None)
    if value is None or pair is None or not isinstance(pair.difference, Estimate):
        return ""
    return f"; {words} ({system}) has {value:.3f}: {difference_in_words(pair.difference)}"


def difference_in_words(difference: Estimate) -> str:
    """`0.809 more [0.764, 0.851]`; a difference whose interval has zero in it is called not settled."""
    size, way = abs(difference.value), "more" if difference.value >= 0 else "less"
    open_question = difference.low <= 0 <= difference.high
    settled = ", not settled by these rows" if open_question else ""
    return f"{size:.3f} {way} [{difference.low:+.3f}, {difference.high:+.3f}]{settled}"


def _gate_sentence(gate: GateReport, release: ReleaseReport | None) -> str:
    if not gate.verdicts:
        return "Nothing is released: the policy is empty, and an empty policy passes nothing."
    passed = sum(verdict.outcome == "pass" for verdict in gate.verdicts)
    count = f"{passed} of {len(gate.verdicts)} requirements of the policy pass"
    if release is not None:
        return f"{count}, and release {release.version} of {release.name} is signed."
    unmet = [f"\n  {one.outcome}: {one.requirement}" for one in gate.verdicts if one.outcome != "pass"]
    return f"{count}; the gate says {gate.outcome}.{''.join(unmet)}"


def _metric_table(report: EvaluationReport, headline: str) -> Table:
    """Metrics by tuned, base and best baseline, and tuned minus base."""
    base, other = best_base(report, headline), best_baseline(report, headline)
    systems = [name for name in (TUNED, base, other) if name is not None]
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    last = () if base is None else ("tuned - base",)
    for place, header in enumerate(("metric", *systems, *last)):
        table.add_column(Text(header), overflow="fold", no_wrap=place == 0)
    pairs = {(pair.metric, pair.reference): pair for pair in report.comparisons}
    for metric in dict.fromkeys(one.metric for system in report.systems for one in system.estimates):
        cells = [_format_estimate(_metric_estimate(report, name, metric)) for name in systems]
        against = [] if base is None else [Text(_format_difference(pairs.get((metric, base))))]
        table.add_row(Text(metric), *map(Text, cells), *against)
    return table


def _format_estimate(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _format_difference(pair: Comparison | None) -> str:
    if pair is None or not isinstance(pair.difference, Estimate):
        return "-"
    found = pair.difference
    return f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"


def _show_samples(report: EvaluationReport, base: str | None, console: Console) -> None:
    """The first held-out rows, as they come: what was asked, what the base says, what the tuned model says."""
    told = [sample for sample in report.samples if TUNED in sample][:MAX_SAMPLE_ROWS]
    if not told:
        return
    console.print()
    console.print(Text(f"The first {len(told)} held-out rows:"))
    for sample in told:
        console.print()
        console.print(
            Text(f"{sample.get('place', '')}  {shorten_line(sample.get('prompt', ''), MAX_PROMPT_CHARACTERS)}")
        )
        for name in filter(None, (base, TUNED)):
            answer = shorten_line(sample.get(name, ""), MAX_ANSWER_CHARACTERS) or "(nothing)"
            line = Text.assemble((f"{name}: ", "bold"), answer)
            console.print(Padding(line, (0, 0, 0, 2)))


def shorten_line(text: str, limit: int) -> str:
    """One line without control characters, cut at `limit` characters with an ellipsis."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(plain.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
