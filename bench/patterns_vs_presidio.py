"""Our pattern packs beside Presidio and detect-secrets: `taskset -c 0 python bench/patterns_vs_presidio.py`.

Speed: each arm in turn, three times over, each time on other rows, medians of processor seconds. Rows are generated (`rows.py`);
one in twenty holds a planted value and one in twenty a near miss. Ours runs both packs (every kind) over all rows, and its first
pass, which builds the automata, is shown too; the others run over the first of these rows, since they need minutes. Accuracy:
one set of rows with many planted values of the kinds that both sides know; recall by kind, and false alarms, which are hits
where nothing was planted. Needs presidio-analyzer, spacy and detect-secrets. Ends with exit code 1 when a goal of `--fast` or
`--times` is missed, or our recall of a kind is lower than theirs.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import pyarrow as pa
from patterns_theirs import KINDS, THEIR_SECRETS, Found, Scan, detect_secrets, presidio
from rich.console import Console
from rich.table import Table
from rows import Row, rows

from tunesmith.detect.patterns import PERSONAL, SECRETS, Pattern, scan_column

BATCH = 20_000
PACKAGES = ("presidio-analyzer", "spacy", "detect-secrets", "google-re2", "pyarrow")


@dataclass(frozen=True)
class Arm:
    """A tool and how many of the rows it runs over."""

    name: str
    scan: Scan
    rows: int
    seconds: list[float] = field(default_factory=list)

    @property
    def speed(self) -> float:
        """Rows per processor second, by the median."""
        return self.rows / median(self.seconds)


@dataclass(frozen=True)
class Score:
    """Of each kind: planted, found there under that name, and hits where nothing was planted."""

    planted: Counter[str]
    found: Counter[str]
    alarms: Counter[str]


def main() -> int:
    options = parse(sys.argv[1:])
    console = Console(width=None if sys.stdout.isatty() else 160)
    began = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC"
    arms = speed(options)
    scores = accuracy(options)
    for line in (began, ", ".join(f"{name} {version(name)}" for name in PACKAGES)):
        console.print(line, highlight=False)
    show_speed(arms, console)
    for title, pair in scores.items():
        show_scores(title, pair, console)
    if options.json is not None:
        options.json.write_text(json.dumps(record(began, arms, scores), indent=1) + "\n")
    return int(missed(options, arms, scores, console))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="patterns_vs_presidio.py", description="Pattern packs beside Presidio")
    add = parser.add_argument
    add("--rows", type=int, default=100_000, help="rows for ours")
    add("--their-rows", type=int, default=1_000, help="of these, for the others; a tenth for the slowest")
    add("--scored", type=int, default=1_500, help="rows on which recall and false alarms are counted, each side")
    add("--repeats", type=int, default=3)
    add("--seed", type=int, default=1)
    add("--fast", type=float, default=30_000, help="rows a second that ours must reach")
    add("--times", type=float, default=60, help="how many times as fast as Presidio ours must be")
    add("--json", type=Path, help="write the figures here")
    return parser.parse_args(arguments)


def ours(*packs: tuple[Pattern, ...]) -> Scan:
    def scan(texts: Sequence[str]) -> list[list[Found]]:
        found = scan_column(pa.array(texts, type=pa.string()), *packs)
        return [[Found(**hit) for hit in hits] for hits in found.to_pylist()]

    return scan


def columns(texts: Sequence[str]) -> list[list[Found]]:
    """Ours as the audit runs it: batches of a column, whose hits stay in a column."""
    for start in range(0, len(texts), BATCH):
        scan_column(pa.array(texts[start : start + BATCH], type=pa.string()), PERSONAL, SECRETS)
    return []


def speed(options: argparse.Namespace) -> list[Arm]:
    """Every arm in turn, then all of them again on other rows."""
    few = min(options.their_rows, options.rows)
    arms = [
        Arm("Tunesmith, both packs", columns, options.rows),
        Arm("Presidio, 17 recognisers", presidio(), few),
        Arm("detect-secrets, known forms", detect_secrets(fixed=True), few),
        Arm("detect-secrets, default", detect_secrets(fixed=False), max(few // 10, 1)),
    ]
    for repeat in range(options.repeats):
        texts = [text for row in rows(options.rows, options.seed + 100 * repeat) for text in row.texts]
        for arm in arms:
            arm.seconds.append(took(partial(arm.scan, texts[: 2 * arm.rows])))
    return arms


def took(work: Callable[[], Any]) -> float:
    """Processor seconds."""
    began = process_time()
    work()
    return process_time() - began


def accuracy(options: argparse.Namespace) -> dict[str, dict[str, Score]]:
    """Scores of both sides on rows full of what both look for."""
    personal, secret = sorted(set(KINDS.values())), sorted(THEIR_SECRETS)
    made = partial(rows, options.scored, options.seed + 1, planted=0.6, decoys=0.3)
    mine = {"Tunesmith": ours(PERSONAL, SECRETS)}
    people = mine | {"Presidio": presidio(), "Presidio from 0.4": presidio(0.4)}
    keys = mine | {"detect-secrets": detect_secrets(fixed=True)}
    return {
        "Personal data": {name: score(scan, list(made(kinds=personal))) for name, scan in people.items()},
        "Secrets": {
            name: score(scan, list(made(kinds=secret)), named=name == "Tunesmith") for name, scan in keys.items()
        },
    }


def score(scan: Scan, made: Sequence[Row], *, named: bool = True) -> Score:
    """A value counts as found when a hit overlaps it, of its kind if the tool has that name for it (`named`)."""
    found = scan([text for row in made for text in row.texts])
    result = Score(Counter(), Counter(), Counter())
    for number, row in enumerate(made):
        for message in range(2):
            hits, planted = found[2 * number + message], [one for one in row.planted if one.message == message]
            for one in planted:
                result.planted[one.kind] += 1
                same = [hit for hit in hits if not named or hit.kind == one.kind]
                result.found[one.kind] += any(hit.start < one.end and hit.end > one.start for hit in same)
            clear = [hit for hit in hits if not any(hit.start < one.end and hit.end > one.start for one in planted)]
            result.alarms.update(hit.kind for hit in clear)
    return result


def show_speed(arms: Sequence[Arm], console: Console) -> None:
    table = Table("arm", "rows", "processor s (each run)", "rows/s (median)", "ours is ... times as fast")
    for arm in arms:
        runs = ", ".join(f"{seconds:.2f}" for seconds in arm.seconds)
        table.add_row(arm.name, f"{arm.rows:,}", runs, f"{arm.speed:,.0f}", f"{arms[0].speed / arm.speed:,.0f}")
    console.print(table)
    first = arms[0].rows / arms[0].seconds[0]
    console.print(f"Ours in its first pass, automaton built on the way: {first:,.0f} rows/s", highlight=False)


def show_scores(title: str, scores: dict[str, Score], console: Console) -> None:
    table = Table(
        "kind", "planted", *(f"{name}: {what}" for name in scores for what in ("recall", "false")), title=title
    )
    planted = next(iter(scores.values())).planted
    others = sorted({kind for one in scores.values() for kind in one.alarms} - set(planted))
    for kind in (*sorted(planted), *others):
        cells = [cell for one in scores.values() for cell in (_recall(one, kind), str(one.alarms[kind]))]
        table.add_row(kind, str(planted[kind]), *cells)
    console.print(table)


def _recall(one: Score, kind: str) -> str:
    return f"{one.found[kind] / one.planted[kind]:.3f}" if one.planted[kind] else "-"


def record(began: str, arms: Sequence[Arm], scores: dict[str, dict[str, Score]]) -> dict[str, Any]:
    return {
        "began": began,
        "versions": {name: version(name) for name in PACKAGES},
        "speed": [
            {"arm": arm.name, "rows": arm.rows, "seconds": arm.seconds, "rows_a_second": arm.speed} for arm in arms
        ],
        "accuracy": {
            title: {
                name: {"planted": one.planted, "found": one.found, "alarms": one.alarms} for name, one in pair.items()
            }
            for title, pair in scores.items()
        },
    }


def missed(
    options: argparse.Namespace, arms: Sequence[Arm], scores: dict[str, dict[str, Score]], console: Console
) -> bool:
    """Whether a goal was missed; each that was is named."""
    ratio, faults = arms[0].speed / arms[1].speed, []
    if arms[0].speed < options.fast:
        faults.append(f"{arms[0].speed:,.0f} rows/s are fewer than {options.fast:,.0f}")
    if ratio < options.times:
        faults.append(f"{ratio:,.0f} times as fast as Presidio is less than {options.times:,.0f}")
    for pair in scores.values():
        mine, *theirs = pair.values()
        for kind, count in mine.planted.items():
            best = max(one.found[kind] for one in theirs)
            if mine.found[kind] < best:
                faults.append(f"{kind}: {mine.found[kind]} of {count} found, {best} by others")
    for fault in faults:
        console.print(f"missed: {fault}", highlight=False)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
