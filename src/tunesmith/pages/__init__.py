"""Building blocks of HTML reports: self-contained files with inline style and SVG charts, no scripts, all values escaped."""

from tunesmith.pages.banner import Headline, Tile
from tunesmith.pages.charts import (
    LEGEND_HEIGHT,
    MAX_DRAWN_POINTS,
    MEAN_LINE,
    STEP_LINE,
    VALIDATION_LINE,
    ChartBar,
    LineSeries,
    bar_chart,
    line_chart,
    round_ticks,
)
from tunesmith.pages.document import page_style, template_environment
from tunesmith.pages.figure import Figure
from tunesmith.pages.histogram import HistogramColumn, histogram_chart

__all__ = [
    "Headline",
    "Tile",
    "STEP_LINE",
    "VALIDATION_LINE",
    "LEGEND_HEIGHT",
    "MEAN_LINE",
    "MAX_DRAWN_POINTS",
    "ChartBar",
    "HistogramColumn",
    "LineSeries",
    "Figure",
    "bar_chart",
    "histogram_chart",
    "line_chart",
    "template_environment",
    "round_ticks",
    "page_style",
]
