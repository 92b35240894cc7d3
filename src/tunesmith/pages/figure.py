"""Figure: a chart with title, reading aid and, optionally, its numbers as a table."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """`headers` and `rows` are the chart as a table for screen readers; empty if the page has that table elsewhere."""

    title: str
    reading: str
    chart: Markup
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
