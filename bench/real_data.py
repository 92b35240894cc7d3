"""Audit public data sets and say what was found: `python bench/real_data.py --shared FOLDER`.

Every check but those that are off by nature (they want a setting). For each set a line a rule: how many rows, and some of
them. What was found on one day stands in docs/log.
"""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from auditing.real import SETS, Files, Turned, load

from tunesmith.artifacts import AuditReport
from tunesmith.audit.run import run
from tunesmith.context import Context
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings
from tunesmith.store import open_store

SHARED: Final = Path(__file__).resolve().parents[2] / "shared" / "data"


def main() -> int:
    """Audit each set that is there, print as it goes."""
    parser = argparse.ArgumentParser(prog="real_data.py", description="what the audit finds in public data sets")
    parser.add_argument("--shared", type=Path, default=SHARED, help="the folder with the data sets")
    parser.add_argument("--set", action="append", choices=sorted(SETS), help="only this; may be given more than once")
    parser.add_argument("--examples", type=int, default=2, help="findings shown of each rule")
    parser.add_argument("--off", action="append", default=[], help="a check to leave out")
    options = parser.parse_args()
    if not options.shared.is_dir():
        print(f"{options.shared} is not there; name the folder with --shared")
        return 1
    for name in options.set or SETS:
        with TemporaryDirectory() as folder:
            show(name, audited(name, options, Path(folder)), options.examples)
    return 0


def audited(name: str, options: argparse.Namespace, folder: Path) -> AuditReport:
    """The report of one set."""
    chosen = SETS[name]
    data = _settings(chosen, options.shared) if isinstance(chosen, Files) else _turned(chosen, options.shared, folder)
    context = Context(store=open_store(folder / "store"), data_root=folder, home=folder)
    return run(data, AuditSettings(off=tuple(options.off)), context, task=TaskSettings(type=chosen.task))


def _settings(chosen: Files, shared: Path) -> DataSettings:
    def sources(names: tuple[str, ...]) -> tuple[SourceSettings, ...]:
        return tuple(
            SourceSettings(path=str(shared / name), columns=chosen.columns, license=chosen.license, origin="public")
            for name in names
        )

    return DataSettings(train=sources(chosen.train), test=sources(chosen.test))


def _turned(chosen: Turned, shared: Path, folder: Path) -> DataSettings:
    path = folder / "rows.jsonl"
    with open(path, "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps(row) + "\n" for row in chosen.rows(load(shared / chosen.path)))
    return DataSettings(train=(SourceSettings(path=str(path), license=chosen.license, origin="public"),))


def show(name: str, report: AuditReport, examples: int) -> None:
    """What was found, rule by rule."""
    found = Counter(report.found)
    seconds = report.measured["seconds"]
    print(f"\n{name}: {report.rows_read:,} rows, {sum(found.values()):,} findings, {seconds:.1f} s")
    for rule, count in found.most_common():
        print(f"  {rule}: {count:,} ({count / report.rows_read:.2%} of rows)")
        for finding in [one for one in report.findings if one.rule == rule][:examples]:
            other = f" ~ line {finding.other.line}" if finding.other else ""
            print(f"    {finding.place.file}:{finding.place.line}{other}: {finding.reason}")
            if finding.excerpt:
                print(f"      {finding.excerpt}")


if __name__ == "__main__":
    sys.exit(main())
