"""Tunesmith's audit beside text-dedup, datatrove, Presidio and detect-secrets: `python bench/audit.py`.

The same generated rows for all, one core, each arm in a process of its own, in turn, medians over repeats. A tool that is not
installed is left out with a line that says so; `--peers` names a Python that has those that ours has not (text-dedup and
datatrove want older libraries). What the columns mean and what was measured stands in docs/benchmarks.md.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from auditing.report import markdown, show
from auditing.twins import Row, with_twins
from rich.console import Console
from rows import rows

BENCH: Final = Path(__file__).resolve().parent
TWINS: Final = 0.05
"""Share of the rows that are near copies of another."""
SLOW: Final = {"presidio": 5_000, "detect-secrets": 2_000}
"""Rows that the slowest tools see, so that they end; rows a second are of these."""
OURS: Final = {
    "ours, all checks": "all",
    "ours, all checks, again": "again",
    "ours, near-duplicate": "near-duplicate",
    "ours, personal-data and secrets": "personal-data,secrets",
}
THEIRS: Final = ("text-dedup", "datatrove", "presidio", "detect-secrets")


def main() -> int:
    """Parse, write the rows, run every arm, show."""
    options = parse()
    console = Console(width=None if sys.stdout.isatty() else 200)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    record: dict[str, Any] = {
        "began": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        "rows": options.rows,
        "runs": [],
    }
    with TemporaryDirectory(dir=options.folder) as folder:
        truth = write_rows(options.rows, Path(folder))
        for repeat in range(options.repeats):
            for arm in options.arm:
                console.print(
                    f"{datetime.now(timezone.utc):%H:%M:%S} {arm}, {repeat + 1} of {options.repeats}", highlight=False
                )
                record["runs"].append({"arm": arm} | run(arm, options, Path(folder)))
        show(record, truth, console)
    if options.json is not None:
        slim = [
            {name: value for name, value in one.items() if name not in ("pairs", "kept", "kinds")}
            for one in record["runs"]
        ]
        options.json.write_text(json.dumps(record | {"runs": slim}, indent=1) + "\n")
    if options.markdown is not None:
        options.markdown.write_text(markdown(record, truth))
    return 1 if any("failed" in one for one in record["runs"] if one["arm"] in OURS) else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="audit.py", description="Tunesmith's audit beside others")
    add = parser.add_argument
    add("--rows", type=int, default=100_000)
    add("--repeats", type=int, default=3)
    add("--arm", action="append", choices=(*OURS, *THEIRS), help="only this arm; may be given more than once")
    add("--peers", default=sys.executable, help="a Python that has text-dedup and datatrove")
    add("--folder", type=Path, help="where rows and stores are written; the system's own when left out")
    add("--json", type=Path)
    add("--markdown", type=Path, help="write the block for docs/benchmarks.md here")
    options = parser.parse_args()
    if min(options.rows, options.repeats) < 1:
        parser.error("--rows and --repeats must be 1 or more")
    options.arm = options.arm or [*OURS, *THEIRS]
    return options


def write_rows(count: int, folder: Path) -> list[Row]:
    """`chat.jsonl` for whole audits and `text.jsonl` for tools and checks alone; the rows of the latter."""
    texts, truth = [], []
    with open(folder / "chat.jsonl", "w", encoding="utf-8") as chat:
        for made in rows(count, seed=1):
            chat.write(json.dumps(made.example) + "\n")
            texts.append(" ".join(made.texts))
    with open(folder / "text.jsonl", "w", encoding="utf-8") as lines:
        for number, row in enumerate(with_twins(texts, share=TWINS, seed=2)):
            lines.write(json.dumps({"number": number, "text": row.text}) + "\n")
            truth.append(row)
    for tool, most in SLOW.items():
        with open(folder / "text.jsonl", encoding="utf-8") as lines, open(folder / f"{tool}.jsonl", "w") as first:
            first.writelines(line for line, _ in zip(lines, range(most), strict=False))
    return truth


def run(arm: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What the arm answers, or why it failed."""
    answered = folder / "answer.json"
    answered.unlink(missing_ok=True)
    module, which = ("auditing.ours", OURS[arm]) if arm in OURS else ("auditing.theirs", arm)
    name = "chat" if which in ("all", "again") else arm if arm in SLOW else "text"
    python = options.peers if arm in ("text-dedup", "datatrove") else sys.executable
    threads = {"OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "HOME": str(folder)}
    ended = subprocess.run(
        [python, "-m", module, which, str(folder / f"{name}.jsonl"), str(answered)],
        cwd=BENCH,
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode or not answered.exists():
        said = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        return {"failed": (said[-1] if said else f"exit code {ended.returncode}")[:200]}
    answer: dict[str, Any] = json.loads(answered.read_text())
    return answer


if __name__ == "__main__":
    sys.exit(main())
