"""Pages: what HTML reports share. One file each, style and charts inside, no script, nothing fetched; text stays text."""

from tunesmith.pages.banner import Headline, Tile
from tunesmith.pages.charts import EACH, HELD, KEYS, MEAN, POINTS, Bar, Curve, bars, curve, round_ticks
from tunesmith.pages.columns import Column, columns
from tunesmith.pages.document import environment, style
from tunesmith.pages.figure import Figure

__all__ = [
    "Headline",
    "Tile",
    "EACH",
    "HELD",
    "KEYS",
    "MEAN",
    "POINTS",
    "Bar",
    "Column",
    "Curve",
    "Figure",
    "bars",
    "columns",
    "curve",
    "environment",
    "round_ticks",
    "style",
]
