"""Charts as inline SVG: bars with intervals, and line charts. Styled by the classes of the page, without scripts.

A chart is 320 units wide; its text is readable at 280 to 420 pixels. Wide screens show charts side by side.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

CHART_WIDTH: Final = 320
BAR_ROW_HEIGHT: Final = 44
STEP_LINE, MEAN_LINE, VALIDATION_LINE = "line faint", "line", "line held"
"""CSS classes of strokes: noisy values, line or running mean, joined dots."""

Projection = Callable[[float, float], tuple[float, float]]
LEGEND_HEIGHT: Final = 24
LEGEND_X_POSITIONS: Final = (0, 88, 203)
"""Height of the legend below a chart, and the x positions of its entries in units."""

MAX_DRAWN_POINTS: Final = 160
"""Longer lines are averaged over equal runs of points."""


@dataclass(frozen=True)
class ChartBar:
    """One bar from 0 to `value`. `low` and `high` draw the interval; `strong` highlights the bar."""

    name: str
    value: float
    text: str
    low: float | None = None
    high: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class LineSeries:
    """Points (x, y) with increasing x. `dots`, e.g. validation losses, are drawn over them. `noisy` adds the running mean.

    `keys` are the legend entries (stroke class, name); empty for a chart with one line.
    """

    points: tuple[tuple[float, float], ...]
    dots: tuple[tuple[float, float], ...] = ()
    noisy: bool = False
    keys: tuple[tuple[str, str], ...] = ()


def bar_chart(items: Sequence[ChartBar], *, top: float, label: str) -> Markup:
    """Horizontal bars on the scale 0 to `top`, each with name and value above it."""
    rows = [_bar_row(item, index * BAR_ROW_HEIGHT, top) for index, item in enumerate(items)]
    return _svg(len(items) * BAR_ROW_HEIGHT, label, Markup("").join(rows))


def line_chart(data: LineSeries, *, label: str, from_zero: bool) -> Markup:
    """Line over steps with ticks at round numbers. Noisy lines are drawn light, with a strong running mean."""
    height, left, right, above, below = 200, 46, 8, 10, 24
    points = _downsample(data.points)
    heights = [y for _, y in (*points, *data.dots)]
    low, high = (0.0 if from_zero else min(heights)), max(heights)
    ticks = round_ticks(low, high)
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def project(x: float, y: float) -> tuple[float, float]:
        across = left + (x - first) / (last - first) * (CHART_WIDTH - left - right)
        return across, above + (high - y) / (high - low) * (height - above - below)

    parts = [_tick(value, project(first, value)[1], left, right) for value in ticks]
    if data.noisy:
        parts.append(_path(points, STEP_LINE, project))
    parts.append(_path(_running_mean(points) if data.noisy else points, MEAN_LINE, project))
    if len(data.dots) > 1:
        parts.append(_path(data.dots, VALIDATION_LINE, project))
    parts += [_dot(*project(x, y)) for x, y in data.dots]
    base = height - 6
    parts.append(_text(left, base, f"step {first:g}", "tick"))
    parts.append(_text(CHART_WIDTH - right, base, f"step {points[-1][0]:g}", "tick end"))
    parts += [_legend_entry(x, height + 16, *key) for x, key in zip(LEGEND_X_POSITIONS, data.keys, strict=False)]
    return _svg(height + (LEGEND_HEIGHT if data.keys else 0), label, Markup("").join(parts))


def round_ticks(low: float, high: float, steps: int = 4) -> list[float]:
    """Round numbers (1, 2, 2.5 or 5 times a power of ten) that enclose `low` to `high`, about `steps` steps apart."""
    if high <= low:
        high = low + (abs(low) or 1.0)
    rough = (high - low) / steps
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _svg(height: float, label: str, content: Markup) -> Markup:
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        CHART_WIDTH, f"{height:g}", label, content
    )


def _bar_row(item: ChartBar, y: float, top: float) -> Markup:
    def scale(value: float) -> float:
        return max(0.0, min(value / top if top > 0 else 0.0, 1.0)) * CHART_WIDTH

    kind = "bar strong" if item.strong else "bar"
    parts = [
        _text(0, y + 13, item.name, "label strong" if item.strong else "label"),
        _text(CHART_WIDTH, y + 13, item.text, "value strong" if item.strong else "value"),
        _rectangle(0, y + 20, CHART_WIDTH, "track"),
        _rectangle(0, y + 20, scale(item.value), kind),
    ]
    if item.low is not None and item.high is not None:
        parts.append(_interval_mark(scale(item.low), scale(item.high), y + 25))
    return Markup("").join(parts)


def _rectangle(x: float, y: float, width: float, kind: str) -> Markup:
    shape = '<rect class="{}" x="{}" y="{}" width="{}" height="10" rx="2"/>'
    return Markup(shape).format(kind, f"{x:.1f}", f"{y:.1f}", f"{width:.1f}")


def _interval_mark(low: float, high: float, y: float) -> Markup:
    low, high = max(low, 0.8), min(high, CHART_WIDTH - 0.8)
    caps = "".join(f"M{x:.1f} {y - 5:.1f}V{y + 5:.1f}" for x in (low, high))
    return Markup('<path class="whisker" d="M{} {}H{}{}"/>').format(f"{low:.1f}", f"{y:.1f}", f"{high:.1f}", caps)


def _tick(value: float, y: float, left: float, right: float) -> Markup:
    grid = Markup('<path class="grid" d="M{} {}H{}"/>').format(f"{left:g}", f"{y:.1f}", f"{CHART_WIDTH - right:g}")
    return grid + _text(left - 6, y + 4, f"{value:g}", "tick end")


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, f"{x:.1f}", f"{y:.1f}", escape(text))


def _path(points: Sequence[tuple[float, float]], kind: str, project: Projection) -> Markup:
    places = [project(x, y) for x, y in points]
    drawn = "".join(f"{'L' if index else 'M'}{x:.1f} {y:.1f}" for index, (x, y) in enumerate(places))
    return Markup('<path class="{}" d="{}"/>').format(kind, drawn)


def _dot(x: float, y: float) -> Markup:
    return Markup('<circle class="dot" cx="{}" cy="{}" r="3.5"/>').format(f"{x:.1f}", f"{y:.1f}")


def _legend_entry(x: float, y: float, kind: str, name: str) -> Markup:
    stroke = Markup('<path class="{}" d="M{} {}H{}"/>').format(kind, f"{x:.1f}", f"{y - 4:.1f}", f"{x + 16:.1f}")
    dot = _dot(x + 8, y - 4) if kind == VALIDATION_LINE else Markup("")
    return stroke + dot + _text(x + 22, y, name, "tick")


def _downsample(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Average runs of points down to at most `MAX_DRAWN_POINTS`. Each run takes the x of its last point."""
    size = math.ceil(len(points) / MAX_DRAWN_POINTS)
    runs = [points[start : start + size] for start in range(0, len(points), size)]
    return [(run[-1][0] if size > 1 else run[0][0], sum(y for _, y in run) / len(run)) for run in runs]


def _running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Centred running mean over a tenth of the curve. Curves under 20 points are unchanged."""
    reach = len(points) // 20
    windows = [points[max(0, i - reach) : i + reach + 1] for i in range(len(points))]
    return [(point[0], sum(y for _, y in window) / len(window)) for point, window in zip(points, windows, strict=True)]
