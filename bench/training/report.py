"""From runs to a table: medians over repeats, the ratio against the fastest equal arm, losses beside each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from training.cases import CASES

AGREE = 1e-4
"""Largest difference of two losses, in nats a token, at which fp32 arms count as equal."""

HEADINGS = (
    "arm",
    "rows/s",
    "real tokens/s",
    "supervised tokens/s",
    "s a step",
    "CPU s a step",
    "peak above state, MiB",
    "ours is",
    "largest loss difference",
)
NOT_EQUAL = "other steps"


@dataclass(frozen=True)
class Line:
    """One arm of one case: medians over its repeats. `spread` is the lowest and highest rows per second.

    `by_settings`: TRL as its settings make it, with no code of the user's in its place.
    """

    arm: str
    says: str
    side: str
    equal: bool
    by_settings: bool
    repeats: int
    failed: str = ""
    rows_per_second: float = 0.0
    spread: tuple[float, float] = (0.0, 0.0)
    tokens_per_second: float = 0.0
    supervised_per_second: float = 0.0
    seconds_per_step: float = 0.0
    processor_per_step: float = 0.0
    working_bytes: float = 0.0
    matrix_share: float | None = None
    loss_difference: float | None = None
    losses: tuple[float, ...] = ()
    rates: tuple[float, ...] = ()

    @property
    def counts(self) -> bool:
        """Whether the ratio may count against it."""
        return self.side == "trl" and self.equal and not self.failed


@dataclass(frozen=True)
class Group:
    """All arms of one model, method and case. `exact`: fp32, where equal arms must show equal losses; bf16 only shows them."""

    model: str
    method: str
    case: str
    exact: bool
    lines: tuple[Line, ...]

    @property
    def ours(self) -> Line | None:
        return next((line for line in self.lines if line.arm == "ours" and not line.failed), None)

    @property
    def fastest(self) -> Line | None:
        """TRL's fastest arm with the same rows in each step."""
        return max((line for line in self.lines if line.counts), key=lambda line: line.rows_per_second, default=None)

    @property
    def fastest_by_settings(self) -> Line | None:
        """The same without arms in which the user's code replaces TRL's."""
        lines = [line for line in self.lines if line.counts and line.by_settings]
        return max(lines, key=lambda line: line.rows_per_second, default=None)

    @property
    def leanest(self) -> Line | None:
        """TRL's arm with the same rows in each step and the least memory."""
        return min((line for line in self.lines if line.counts), key=lambda line: line.working_bytes, default=None)

    @property
    def disagreeing(self) -> list[str]:
        """Equal arms whose losses are not ours."""
        return [line.arm for line in self.lines if line.loss_difference is not None and line.loss_difference > AGREE]


def group_runs(runs: Sequence[dict[str, Any]]) -> list[Group]:
    """Runs as they were recorded, summed up."""
    keys = dict.fromkeys((run["job"]["model"], run["job"]["method"], run["job"]["case"]) for run in runs)
    groups = []
    for key in keys:
        mine = [run for run in runs if (run["job"]["model"], run["job"]["method"], run["job"]["case"]) == key]
        ours = next((run for run in mine if run["job"]["arm"]["name"] == "ours" and "result" in run), None)
        names = dict.fromkeys(run["job"]["arm"]["name"] for run in mine)
        lines = [_line([run for run in mine if run["job"]["arm"]["name"] == name], ours) for name in names]
        exact = all(run["job"]["precision"] == "fp32" for run in mine)
        groups.append(Group(*key, exact=exact, lines=tuple(lines)))
    return groups


def _line(runs: Sequence[dict[str, Any]], ours: dict[str, Any] | None) -> Line:
    arm = runs[0]["job"]["arm"]
    named = {"arm": arm["name"], "says": arm["says"], "side": arm["side"], "equal": arm["equal"]}
    named["by_settings"] = not arm["plain_loss"]
    results = [run["result"] for run in runs if "result" in run]
    if failed := [run["failed"] for run in runs if "failed" in run]:
        return Line(**named, repeats=len(results), failed=failed[0])
    rates = [sum(result["rows"]) / sum(result["seconds"]) for result in results]
    shares = [share for result in results if (share := result.get("matrix_share")) is not None]
    return Line(
        **named,
        repeats=len(results),
        rows_per_second=median(rates),
        spread=(min(rates), max(rates)),
        tokens_per_second=_rate(results, "tokens"),
        supervised_per_second=_rate(results, "supervised"),
        seconds_per_step=median(sum(result["seconds"]) / len(result["seconds"]) for result in results),
        processor_per_step=median(result["processor_seconds"] / len(result["seconds"]) for result in results),
        working_bytes=median(result["working_bytes"] for result in results),
        matrix_share=median(shares) if shares else None,
        loss_difference=_difference(results, ours) if arm["equal"] and ours and arm["name"] != "ours" else None,
        losses=tuple(results[0]["losses"]),
        rates=tuple(rates),
    )


def _rate(results: Sequence[dict[str, Any]], name: str) -> float:
    return median(sum(result[name]) / sum(result["seconds"]) for result in results)


def _difference(results: Sequence[dict[str, Any]], ours: dict[str, Any]) -> float:
    """The largest over all steps, warm-up too, and all repeats."""
    return max(
        abs(theirs - mine)
        for result in results
        for theirs, mine in zip(result["losses"], ours["result"]["losses"], strict=True)
    )


def show(groups: Iterable[Group], console: Console) -> None:
    """Tables for whoever waits."""
    for group in groups:
        table = Table(title=title_of(group), caption=verdict(group), title_justify="left", caption_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, justify="left" if heading == "arm" else "right")
        for line in group.lines:
            table.add_row(*_cells(line, group.ours))
        console.print(table)


def markdown(groups: Iterable[Group], setting: Sequence[str]) -> str:
    """A block for docs/benchmarks.md."""
    parts = ["\n".join(f"- {line}" for line in setting)]
    for group in groups:
        rule = "|".join(["---", *["---:"] * (len(HEADINGS) - 1)])
        rows = ["| " + " | ".join(_cells(line, group.ours)) + " |" for line in group.lines]
        table = "\n".join(["| " + " | ".join(HEADINGS) + " |", f"|{rule}|", *rows])
        parts += [f"### {title_of(group)}", table, verdict(group), _losses(group)]
    return "\n\n".join(part for part in parts if part) + "\n"


def title_of(group: Group) -> str:
    """Case, model and method."""
    return f"{CASES[group.case].title} ({group.model}, {group.method})"


def verdict(group: Group) -> str:
    """What the ratio is, and against what."""
    ours, fastest, leanest = group.ours, group.fastest, group.leanest
    if ours is None or fastest is None or leanest is None:
        return "No ratio: our arm or every equal TRL arm is missing or failed."
    told = [
        f"Ours is {_times(ours, fastest)} times {fastest.arm}, the fastest TRL arm with the same rows in each step.",
        f"Peak memory above weights and optimiser state is {ours.working_bytes / fastest.working_bytes:.2f} of that arm's "
        f"and {ours.working_bytes / leanest.working_bytes:.2f} of that of {leanest.arm}, TRL's leanest.",
    ]
    if (plain := group.fastest_by_settings) not in (None, fastest):
        told.append(
            f"It is {_times(ours, plain)} times {plain.arm}, TRL's fastest by settings alone, "
            f"with {ours.working_bytes / plain.working_bytes:.2f} of its memory."
        )
    others = [line for line in group.lines if line.side == "trl" and not line.equal and not line.failed]
    if others:
        best = max(others, key=lambda line: line.rows_per_second)
        told.append(
            f"It is {ours.rows_per_second / best.rows_per_second:.2f} times {best.arm}, which forms other steps."
        )
    if group.disagreeing:
        told.append(f"LOSSES DIFFER by more than {AGREE:g}: {', '.join(group.disagreeing)}.")
    return " ".join(told)


def _times(ours: Line, theirs: Line) -> str:
    """The median of the ratios of runs that followed each other, with the lowest and the highest where there are several."""
    ratios = [mine / other for mine, other in zip(ours.rates, theirs.rates, strict=False)]
    told = f"{median(ratios):.2f}"
    return told if len(ratios) == 1 else f"{told} ({min(ratios):.2f} to {max(ratios):.2f}, {len(ratios)} runs)"


def _cells(line: Line, ours: Line | None) -> list[str]:
    if line.failed:
        return [line.arm, f"failed: {line.failed}", *[""] * (len(HEADINGS) - 2)]
    ratio = "" if ours is None or line.arm == "ours" else f"{ours.rows_per_second / line.rows_per_second:.2f}x"
    low, high = line.spread
    speed = (
        f"{line.rows_per_second:,.2f} ({low:,.2f} to {high:,.2f})"
        if line.repeats > 1
        else f"{line.rows_per_second:,.2f}"
    )
    share = "" if line.matrix_share is None else f", {line.matrix_share:.0%} of the matrix peak"
    return [
        line.arm,
        speed + share,
        f"{line.tokens_per_second:,.0f}",
        f"{line.supervised_per_second:,.0f}",
        f"{line.seconds_per_step:,.3f}",
        f"{line.processor_per_step:,.3f}",
        f"{line.working_bytes / 2**20:,.0f}",
        ratio,
        NOT_EQUAL if not line.equal else "" if line.loss_difference is None else f"{line.loss_difference:.1e}",
    ]


def _losses(group: Group) -> str:
    """Losses of every step, ours and the fastest equal arm's."""
    if group.ours is None or group.fastest is None:
        return ""
    head = ["| step |" + "".join(f" {step} |" for step in range(1, len(group.ours.losses) + 1))]
    head.append("|---|" + "---:|" * len(group.ours.losses))
    return "\n".join(
        head
        + [f"| {one.arm} |" + "".join(f" {loss:.5f} |" for loss in one.losses) for one in (group.ours, group.fastest)]
    )
