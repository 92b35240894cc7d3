"""Plain-text tables with aligned columns. Output is the same on a terminal and in a file; cells are never truncated."""

from collections.abc import Sequence


def format_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A header line and one line per row, indented by two spaces, columns two spaces apart."""
    widths = [max(len(line[place]) for line in (headers, *rows)) for place in range(len(headers))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (headers, *rows)
    ]
    return [f"  {line.rstrip()}" for line in lines]
