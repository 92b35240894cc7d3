"""From runs to a table: rows a second, memory, and which of the planted copies each tool found."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from auditing.twins import CHANGES, Row, jaccard

HEADINGS = ("arm", "rows", "seconds", "processor s", "rows/s", "peak, MiB", "copies found", "missed", "precision")
ALIKE = 0.5
"""Share of word triples from which two rows are near duplicates."""
Truth = Sequence[Row]


def show(record: dict[str, Any], truth: Truth, console: Console) -> None:
    """The table, in the terminal."""
    table = Table(*HEADINGS)
    for cells in lines(record, truth):
        table.add_row(*cells)
    console.print(table)


def markdown(record: dict[str, Any], truth: Truth) -> str:
    """The block for docs/benchmarks.md."""
    head = [f"{record['began']}; {record['rows']:,} rows; one core.", "", row(HEADINGS), row(["---"] * len(HEADINGS))]
    return "\n".join([*head, *(row(cells) for cells in lines(record, truth))]) + "\n"


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def lines(record: dict[str, Any], truth: Truth) -> Iterator[tuple[str, ...]]:
    """The cells of each arm: medians of its repeats."""
    alike = {row for one in record["runs"] for pair in one.get("pairs", ()) for row in pair}
    for arm in dict.fromkeys(one["arm"] for one in record["runs"]):
        runs = [one for one in record["runs"] if one["arm"] == arm]
        failed = [one["failed"] for one in runs if "failed" in one]
        if failed:
            yield arm, "", "", "", "", "", f"not run: {failed[0]}", "", ""
            continue
        seconds, processor, peak = (
            median(one[name] for one in runs) for name in ("seconds", "processor_seconds", "peak_bytes")
        )
        count = runs[0]["rows"]
        yield (
            arm,
            f"{count:,}",
            f"{seconds:.1f}",
            f"{processor:.1f}",
            f"{count / seconds:,.0f}",
            f"{peak / 2**20:,.0f}",
            *found(runs[0], truth, alike=alike),
        )


def found(run: dict[str, Any], truth: Truth, *, alike: set[int]) -> tuple[str, str, str]:
    """(planted copies found of all, what was missed, share of what was found that is alike by exact count).

    A copy is found when it and its original are in one group of pairs, or not both kept by a tool that tells no pairs.
    Of what such a tool removed, a row is right when it is a copy, has one, or is in a pair (`alike`) that was counted exactly.
    """
    if not run.get("pairs") and "kept" not in run:
        return "", "", ""
    planted = {number: row.original for number, row in enumerate(truth) if row.change}
    if "kept" in run:
        gone = set(range(len(truth))) - set(run["kept"])
        hit = {copy for copy, original in planted.items() if copy in gone or original in gone}
        right = len(gone & (alike | set(planted) | set(planted.values())))
        precision = right / len(gone) if gone else 0.0
    else:
        group = together(run["pairs"])
        hit = {copy for copy, original in planted.items() if group.get(copy, copy) == group.get(original, original)}
        alike = sum(1 for one, other in run["pairs"] if jaccard(truth[one].text, truth[other].text) >= ALIKE)
        precision = alike / len(run["pairs"])
    missed = Counter(truth[copy].change for copy in planted if copy not in hit)
    said = ", ".join(f"{change} {missed[change]}" for change in CHANGES if missed[change]) or "none"
    return f"{len(hit):,} of {len(planted):,}", said, f"{precision:.4f}"


def together(pairs: Iterable[tuple[int, int]]) -> dict[int, int]:
    """The number of the group of each row that is in a pair: rows that pairs join are one group."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        while parent.setdefault(number, number) != number:
            number = parent[number]
        return number

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return {number: root(number) for number in parent}
