"""Figure: a chart with its title, a line that says how to read it, and the same numbers as a table."""

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """`headers` and `rows` are the chart as a table, for whoever cannot see it; a chart whose page has one elsewhere has none."""

    title: str
    reading: str
    chart: Markup
    headers: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
