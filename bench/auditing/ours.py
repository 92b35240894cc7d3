"""Tunesmith's arms: `ours.py WHICH ROWS ANSWER`, where WHICH is `all`, `again`, or checks joined by commas.

With checks named, the rows are read first and the checks alone are measured; `all` measures the whole audit as the command
line runs it, reading and writing included, and `again` a second one of the same rows.
"""

import json
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, Final

from rows import rows as made

from auditing.meter import measured, reply
from tunesmith.artifacts import Finding
from tunesmith.audit.check import CHECKS, check_class
from tunesmith.audit.read_splits import SplitReader
from tunesmith.audit.run import run
from tunesmith.context import Context
from tunesmith.data.sources import fingerprint
from tunesmith.lineage.tombstones import load_tombstones
from tunesmith.recipe import AuditSettings, DataSettings, SourceSettings, TaskSettings
from tunesmith.store import open_store

WITHOUT: Final = ("label-error",)


def main() -> None:
    which, rows, _ = sys.argv[1:]
    with TemporaryDirectory() as folder:
        context = Context(store=open_store(Path(folder) / "store"), data_root=Path(rows).parent, home=Path(folder))
        reply(
            whole(rows, context, again=which == "again") if which in ("all", "again") else alone(which, rows, context)
        )


def whole(rows: str, context: Context, *, again: bool) -> dict[str, Any]:
    """The audit of rows whose rights are stated, with every check at work but the one that trains a model.

    `language` has its languages named, `contamination` a benchmark of 1,000 items and `protected-work` a folder of texts.
    """
    folder = context.home
    references(folder)
    data = DataSettings(
        train=(SourceSettings(path=rows, license="CC0-1.0", origin="made by bench/rows.py", basis="contract"),)
    )
    settings = AuditSettings(
        off=WITHOUT,
        drop=(
            {"contamination": {"benchmarks": str(folder / "benchmark.jsonl")}},
            {"protected-work": {"works": str(folder / "works")}},
        ),
        warn=({"language": {"allowed": ["en"]}},),
    )
    answer: dict[str, Any] = {}
    if again:
        run(data, settings, context, task=TaskSettings(type="chat"))
    with measured(answer):
        report = run(data, settings, context, task=TaskSettings(type="chat"))
    checks = [name for name, said in report.checks.items() if said != "off"]
    return answer | {"rows": report.rows_read, "found": dict(report.found), "checks": checks}


def references(folder: Path) -> None:
    """A benchmark and the texts of an owner: rows of another seed with their words shuffled, so that no run is shared."""
    rng = Random(5)

    def shuffled(text: str) -> str:
        words = text.split()
        rng.shuffle(words)
        return " ".join(words)

    with open(folder / "benchmark.jsonl", "w", encoding="utf-8") as lines:
        lines.writelines(json.dumps({"text": shuffled(" ".join(row.texts))}) + "\n" for row in made(1_000, seed=3))
    (folder / "works").mkdir(exist_ok=True)
    for number, row in enumerate(made(100, seed=4)):
        (folder / "works" / f"{number}.txt").write_text(shuffled(" ".join(row.texts)), encoding="utf-8")


def alone(which: str, rows: str, context: Context) -> dict[str, Any]:
    """Checks by themselves, over rows that are in columns already."""
    for name in which.split(","):
        check_class(name)
    sources = DataSettings(train=(SourceSettings(path=rows),))
    erased = load_tombstones(context.store, lambda: fingerprint(sources, context))
    builder = SplitReader(context.home, context, None, erased).read(sources).builder
    corpus = builder.build()
    answer: dict[str, Any] = {}
    found: list[Finding] = []
    with measured(answer):
        for name in which.split(","):
            found += CHECKS.build(name).examine(corpus)
    pairs = [(one.place.line - 1, one.other.line - 1) for one in found if one.other is not None]
    kinds = [(one.place.line - 1, sorted({span.kind for span in one.spans})) for one in found if one.spans]
    return answer | {"rows": builder.row_count, "pairs": pairs, "kinds": kinds}


if __name__ == "__main__":
    main()
