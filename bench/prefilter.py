"""The prefilter of the pattern packs beside `re2.Filter`: `taskset -c 0 python bench/prefilter.py [--shared FOLDER]`.

Both find the same hits on the same rows. Ours asks automata which cut expressions a text holds; `re2.Filter` looks for literals
that the expressions cannot match without, then runs the expressions (`confirmed`) or not (`potential`). It gets either our cut
expressions or the whole ones without their look-around, which RE2 does not know. Each arm runs over all rows, several times in
turn; rows per processor second are by the median. Rows are generated (`rows.py`), or those of the data sets in FOLDER. Exit code
1 when an arm finds other hits or is faster than ours. What was measured is in docs/log/2026-12-01-prefilter.md.
"""

import argparse
import csv
import gzip
import json
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import process_time

import pyarrow as pa
import re2
from rows import rows

from tunesmith.detect.patterns import PERSONAL, SECRETS, Hit, Pattern, find_hits, prefilter_regex, scan_column
from tunesmith.detect.patterns.prefilter import without_assertions

Arm = Callable[[list[str]], dict[int, list[Hit]]]
PACKS = (PERSONAL, SECRETS)
MAX_TEXT_CHARACTERS = 8000


def main() -> int:
    parser = argparse.ArgumentParser(prog="prefilter.py", description="our prefilter beside re2.Filter")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--shared", type=Path, help="a folder with data sets, read instead of generated rows")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument(
        "--potential", action="store_true", help="also the arms that do not confirm, which take minutes"
    )
    options = parser.parse_args()
    texts = list(read_texts(options.shared, options.rows)) if options.shared else generated(options.rows)
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, google-re2 {version('google-re2')}, pyarrow {version('pyarrow')}")
    print(
        f"{len(texts)} texts, {sum(map(len, texts)) / 1e6:.1f} million characters, {len(PERSONAL) + len(SECRETS)} patterns"
    )
    arms = arms_of(options.potential)
    expected = arms["ours"](texts)
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    same = True
    for _ in range(options.times):
        for name, arm in arms.items():
            started = process_time()
            hits = arm(texts)
            seconds[name].append(process_time() - started)
            same &= hits == expected
    speeds = {name: len(texts) / median(taken) for name, taken in seconds.items()}
    for name, speed in speeds.items():
        print(f"{name:40} {speed:10,.0f} rows a second")
    print(
        f"{sum(map(len, expected.values()))} hits in {len(expected)} texts; {'all arms the same' if same else 'ARMS DIFFER'}"
    )
    return int(not same or max(speeds, key=lambda name: speeds[name]) != "ours")


def arms_of(potential: bool) -> dict[str, Arm]:
    arms: dict[str, Arm] = {"ours": ours}
    for title, expression in (("cut", prefilter_regex), ("whole", lambda pattern: without_assertions(pattern.regex))):
        native = compiled([expression(pattern) for pack in PACKS for pattern in pack])
        arms[f"re2.Filter, {title} expressions, confirmed"] = by_filter(native, potential=False)
        if potential:
            arms[f"re2.Filter, {title} expressions, potential"] = by_filter(native, potential=True)
    return arms


def ours(texts: list[str]) -> dict[int, list[Hit]]:
    found = scan_column(pa.array(texts, type=pa.string()), *PACKS).to_pylist()
    return {number: [Hit(**hit) for hit in hits] for number, hits in enumerate(found) if hits}


def compiled(expressions: list[str]) -> re2.Filter:
    options = re2.Options()
    options.log_errors = False
    native = re2.Filter()
    for expression in expressions:
        native.Add(expression, options)
    native.Compile()
    return native


def by_filter(native: re2.Filter, *, potential: bool) -> Arm:
    def arm(texts: list[str]) -> dict[int, list[Hit]]:
        found = {}
        for number, text in enumerate(texts):
            matched = native.Match(text.encode(), potential)
            if matched and (hits := confirmed(text, matched)):
                found[number] = hits
        return found

    return arm


def confirmed(text: str, matched: list[int]) -> list[Hit]:
    """Hits of the matched patterns, in the order of their packs: each pack is read by itself."""
    hits, first = [], 0
    for pack in PACKS:
        likely: list[Pattern] = [
            pack[number - first] for number in sorted(matched) if first <= number < first + len(pack)
        ]
        hits += find_hits(text, likely)
        first += len(pack)
    return sorted(hits)


def generated(count: int) -> list[str]:
    return [text for row in rows(count, seed=7, planted=0.05) for text in strings(row.example)]


def read_texts(folder: Path, count: int) -> Iterator[str]:
    """Texts of the JSON lines and CSV files of a folder, at most `count` records a file."""
    for path in sorted(folder.rglob("*")):
        packed = path.suffix == ".gz"
        kind = Path(path.stem).suffix if packed else path.suffix
        if kind not in (".jsonl", ".csv"):
            continue
        with gzip.open(path, "rt", encoding="utf-8") if packed else path.open(encoding="utf-8", newline="") as file:
            records = csv.reader(file) if kind == ".csv" else map(json.loads, file)
            for _, record in zip(range(count), records, strict=False):
                yield from strings(record)


def strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value[:MAX_TEXT_CHARACTERS]
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


if __name__ == "__main__":
    sys.exit(main())
