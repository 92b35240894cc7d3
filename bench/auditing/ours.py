"""Tunesmith's arms: `ours.py WHICH ROWS ANSWER`, where WHICH is `all`, `again`, or checks joined by commas.

With checks named, the rows are read first and the checks alone are measured; `all` measures the whole audit as the command
line runs it, reading and writing included, and `again` a second one of the same rows.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from auditing.meter import measured, reply
from tunesmith.audit.check import CHECKS, check_class, check_ids
from tunesmith.audit.columns import Columns
from tunesmith.audit.run import audit_files
from tunesmith.context import Context
from tunesmith.data.rows import batches, canonical
from tunesmith.data.sources import stream_sources
from tunesmith.recipe import SourceSettings
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
    """The audit of a file with all checks but those that train a model."""
    checks = [name for name in check_ids() if name not in WITHOUT]
    answer: dict[str, Any] = {}
    if again:
        audit_files([Path(rows)], checks, context)
    with measured(answer):
        report = audit_files([Path(rows)], checks, context)
    return answer | {"rows": report.rows_read, "found": dict(report.found), "checks": checks}


def alone(which: str, rows: str, context: Context) -> dict[str, Any]:
    """Checks by themselves, over rows that are in columns already."""
    for name in which.split(","):
        check_class(name)
    columns = Columns()
    for batch in batches(stream_sources([SourceSettings(path=rows)], split="train", context=context)):
        columns.add(batch, "train", examples=[canonical(row.example) for row in batch])
    corpus, answer, found = columns.corpus(), {}, []
    with measured(answer):
        for name in which.split(","):
            found += CHECKS.build(name).examine(corpus)
    pairs = [(one.place.line - 1, one.other.line - 1) for one in found if one.other is not None]
    kinds = [(one.place.line - 1, sorted({span.kind for span in one.spans})) for one in found if one.spans]
    return answer | {"rows": columns.rows, "pairs": pairs, "kinds": kinds}


if __name__ == "__main__":
    main()
