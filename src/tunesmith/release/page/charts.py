"""Charts of a run: removed rows by rule, loss, learning rate, and each metric for every system."""

from tunesmith.artifacts import AuditReport, CurvePoint, TrainReport
from tunesmith.pages import MEAN_LINE, STEP_LINE, VALIDATION_LINE, ChartBar, Figure, LineSeries, bar_chart, line_chart
from tunesmith.release import wording
from tunesmith.release.gate import TUNED_SYSTEM
from tunesmith.release.result_lines import MetricResults


def rules_chart(audit: AuditReport) -> Figure | None:
    """Removed rows by rule, most first. None if no row was removed."""
    counts = sorted(((rule, n) for rule, n in audit.dropped.items() if n), key=lambda pair: (-pair[1], pair[0]))
    if not counts:
        return None
    description = "; ".join(f"{rule} {n}" for rule, n in counts)
    chart = bar_chart(
        [ChartBar(rule, n, wording.format_count(n)) for rule, n in counts],
        top=max(n for _, n in counts),
        label=f"Bar chart of rows taken out by rule: {description}",
    )
    return Figure("Rows taken out, by rule", "A row that breaks two rules is counted under both.", chart)


def loss_chart(train: TrainReport) -> Figure | None:
    """Training loss with its running mean, and validation losses as dots. None if no step was recorded."""
    if not train.curve:
        return None
    first, last = train.curve[0].loss, train.curve[-1].loss
    label = f"Line chart of the training loss: {first:.3f} at the first step, {last:.3f} at step {train.curve[-1].step}"
    dots = _loss_points(train.held_out)
    if dots:
        label += f"; on rows held back from training {dots[0][1]:.3f} at first, {dots[-1][1]:.3f} at last"
    keys = (
        (STEP_LINE, "each step"),
        (MEAN_LINE, "running mean"),
        *([(VALIDATION_LINE, "rows held back")] if dots else []),
    )
    chart = line_chart(LineSeries(_loss_points(train.curve), dots, noisy=True, keys=keys), label=label, from_zero=False)
    return Figure("Loss", "How surprised the model is by the answers it learns from; lower is better.", chart)


def rate_chart(train: TrainReport) -> Figure | None:
    """Learning rate over the steps. None if no step was recorded."""
    if not train.curve:
        return None
    points = tuple((float(point.step), point.learning_rate) for point in train.curve)
    label = f"Line chart of the learning rate, {max(y for _, y in points):g} at its peak"
    chart = line_chart(LineSeries(points), label=label, from_zero=True)
    return Figure("Learning rate", "How far each step moves the weights.", chart)


def metric_chart(results: MetricResults) -> Figure:
    """Value and interval of every system. Shares use the scale 0 to 100%, points 0 to 100."""
    lines = [line for line in results.systems if line.estimate is not None]
    units = {line.estimate.unit for line in lines if line.estimate}
    fixed = {"share": 1.0, "points": 100.0}
    highest = max((line.estimate.high for line in lines if line.estimate), default=1.0)
    top = fixed.get(next(iter(units)), highest) if len(units) == 1 else highest
    description = "; ".join(f"{line.name} {line.value}, interval {line.interval}" for line in lines)
    chart_bars = [
        ChartBar(
            line.name,
            line.estimate.value,
            line.value,
            line.estimate.low,
            line.estimate.high,
            strong=line.system == TUNED_SYSTEM,
        )
        for line in lines
        if line.estimate
    ]
    better = "Higher is better" if results.metric.higher_is_better else "Lower is better"
    chart = bar_chart(chart_bars, top=top, label=f"Bar chart of {results.metric.title}: {description or 'no numbers'}")
    return Figure(
        results.metric.title, f"{results.metric.meaning}. {better}." if results.metric.meaning else f"{better}.", chart
    )


def _loss_points(curve_points: tuple[CurvePoint, ...]) -> tuple[tuple[float, float], ...]:
    return tuple((float(point.step), point.loss) for point in curve_points)
