"""Terminal view of the learning-rate range test (`--find-rate`): suggested rate, text plot and table."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from tunesmith.cli.output import print_heading, print_indented

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.artifacts import RateSearch

PLOT_ROWS, PLOT_COLUMNS = 12, 60
MAX_TABLE_ROWS: Final = 12


def print_rate_search(search: "RateSearch", console: "Console") -> None:
    """Print the suggested rate, the loss curve and a table of some of its points."""
    from rich.table import Table

    print_heading(
        console, f"Learning rates for {search.base.name}, {search.method}, {search.optimizer}; nothing was trained"
    )
    for line in rate_lines(search):
        print_indented(console, line)
    console.print()
    for line in rate_plot(search):
        print_indented(console, line)
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    for name in ("rate", "loss", "smoothed"):
        table.add_column(name, justify="right", no_wrap=True)
    stride = math.ceil(len(search.points) / MAX_TABLE_ROWS)
    for point in search.points[::stride]:
        table.add_row(f"{point.rate:.2e}", f"{point.loss:.4f}", f"{point.smoothed:.4f}")
    console.print()
    console.print(table)


def rate_lines(search: "RateSearch") -> Iterator[str]:
    """Suggested rate, largest safe rate, the rate of the recipe, and notes on the curve."""
    if search.steepest is not None:
        yield f"suggested rate: {search.steepest:.2e} (the loss falls fastest here)"
    if search.diverged is not None and search.largest_safe is not None:
        why = "became NaN or infinite" if search.stopped == "not-finite" else "diverged"
        yield f"largest safe rate: {search.largest_safe:.2e}, a tenth of {search.diverged:.2e}, where the loss {why}"
    yield f"rate in the recipe: {search.learning_rate:.2e}"
    yield from search.notes


def rate_plot(search: "RateSearch") -> list[str]:
    """Text plot of the smoothed loss over the logarithm of the rate. ^ marks the steepest descent."""
    points = search.points
    low, high = (bound(point.smoothed for point in points) for bound in (min, max))
    first, last = math.log(points[0].rate), math.log(points[-1].rate)
    grid = [[" "] * PLOT_COLUMNS for _ in range(PLOT_ROWS)]
    marks = [" "] * PLOT_COLUMNS
    for point in points:
        column = _plot_cell((math.log(point.rate) - first) / ((last - first) or 1.0), PLOT_COLUMNS)
        grid[_plot_cell((high - point.smoothed) / ((high - low) or 1.0), PLOT_ROWS)][column] = "*"
        marks[column] = "^" if point.rate == search.steepest else marks[column]
    labels = {0: f"{high:.3f}", PLOT_ROWS - 1: f"{low:.3f}"}
    body = [f"{labels.get(index, ''):>9} |{''.join(row)}".rstrip() for index, row in enumerate(grid)]
    ends = f"{points[0].rate:.1e}", f"{points[-1].rate:.1e}"
    axis = [f"{'':>9} +{'-' * PLOT_COLUMNS}", f"{'':>11}{ends[0]}{ends[1]:>{PLOT_COLUMNS - len(ends[0])}}"]
    return [*body, f"{'':>11}{''.join(marks)}".rstrip(), *axis]


def _plot_cell(share: float, steps: int) -> int:
    return min(steps - 1, round(share * (steps - 1)))
