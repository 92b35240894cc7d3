"""Aligned columns as plain lines: the same bytes on a terminal and in a file, and nothing is cut."""

from collections.abc import Sequence


def format_columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A line of headers and one for each row, two spaces apart, indented by two."""
    widths = [max(len(line[place]) for line in (headers, *rows)) for place in range(len(headers))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (headers, *rows)
    ]
    return [f"  {line.rstrip()}" for line in lines]
