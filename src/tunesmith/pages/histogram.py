"""Histogram as inline SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

from tunesmith.pages.charts import CHART_WIDTH

COLUMN_AREA_HEIGHT: Final = 132
TOP_MARGIN: Final = 18
COLUMN_GAP: Final = 3.0


@dataclass(frozen=True)
class HistogramColumn:
    """One bin: lowest value, highest value (inclusive) and count."""

    low: int
    high: int
    count: int


def histogram_chart(items: Sequence[HistogramColumn], *, label: str, marked: tuple[float, str] | None = None) -> Markup:
    """Histogram on the scale 0 to the largest count. `marked` is a value to mark, with its name, e.g. the median.

    Columns with a nonzero count have a minimum height, so that rare values stay visible.
    """
    top = max((item.count for item in items), default=0)
    step = CHART_WIDTH / max(len(items), 1)
    parts = [_histogram_column(item, place * step, step, top) for place, item in enumerate(items)]
    base = TOP_MARGIN + COLUMN_AREA_HEIGHT
    parts.append(Markup('<path class="grid" d="M0 {}H{}"/>').format(f"{base:.1f}", CHART_WIDTH))
    if items:
        parts.append(_text(0, base + 15, f"{items[0].low:,}", "tick"))
        parts.append(_text(CHART_WIDTH, base + 15, f"{items[-1].high:,}", "tick end"))
    if items and marked is not None:
        parts.append(_value_marker(items, *marked))
    return Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        CHART_WIDTH, base + 20, label, Markup("").join(parts)
    )


def _histogram_column(item: HistogramColumn, x: float, step: float, top: int) -> Markup:
    height = max(item.count / top * COLUMN_AREA_HEIGHT, 1.2) if item.count else 0.0
    shape = Markup('<rect class="bar strong" x="{}" y="{}" width="{}" height="{}" rx="1.5"><title>{}</title></rect>')
    tooltip = f"{item.low:,} to {item.high:,}: {item.count:,}"
    place = (
        f"{x + COLUMN_GAP / 2:.1f}",
        f"{TOP_MARGIN + COLUMN_AREA_HEIGHT - height:.1f}",
        f"{step - COLUMN_GAP:.1f}",
        f"{height:.1f}",
    )
    return shape.format(*place, tooltip)


def _value_marker(items: Sequence[HistogramColumn], value: float, name: str) -> Markup:
    first, after = items[0].low, items[-1].high + 1
    x = min(max((value - first + 0.5) / (after - first), 0.0), 1.0) * CHART_WIDTH
    kind = "tick end" if x > CHART_WIDTH / 2 else "tick"
    line = Markup('<path class="whisker" d="M{} {}V{}"/>').format(
        f"{x:.1f}", TOP_MARGIN - 4, TOP_MARGIN + COLUMN_AREA_HEIGHT
    )
    return line + _text(x + (-5 if kind == "tick end" else 5), TOP_MARGIN - 5, name, kind)


def _text(x: float, y: float, text: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{}">{}</text>').format(kind, f"{x:.1f}", f"{y:.1f}", escape(text))
