"""Reports that lie in a store: the latest of a recipe, or one by digest."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tunesmith import process
from tunesmith.artifacts import AuditReport, EvaluationReport, GateReport, ReleaseReport, Report, TrainReport
from tunesmith.cli.options import Locations
from tunesmith.errors import Misuse
from tunesmith.ports import Progress

if TYPE_CHECKING:
    from tunesmith.context import Context
    from tunesmith.store import Store
    from tunesmith.store.read_only import ReadableStore

REPORT_TYPES: Final[dict[str, type[Report]]] = {
    "audit": AuditReport,
    "train": TrainReport,
    "evaluate": EvaluationReport,
    "gate": GateReport,
    "release": ReleaseReport,
}
DIGEST_PATTERN: Final = re.compile(r"(sha256:)?[0-9a-f]{64}")


def store_folder(given: Path | None, *, home: Path) -> Path:
    """Where the store lies: as given, as TUNESMITH_STORE says, or `.tunesmith` in a folder."""
    named = process.environment("TUNESMITH_STORE")
    return given or (Path(named) if named else home / ".tunesmith")


def existing_store(places: Locations, *, home: Path) -> "Store":
    """The store that is there already. Raises Misuse when there is none: looking must not make one."""
    from tunesmith.store import open_store

    return open_store(_existing_folder(places, home=home), database=places.database)


def readable_store(places: Locations, *, home: Path) -> "ReadableStore":
    """The store that is there already, to look things up; its own SQLite ledger is read without SQLAlchemy."""
    from tunesmith.store.read_only import open_read_only

    found = open_read_only(_existing_folder(places, home=home)) if places.database is None else None
    return existing_store(places, home=home) if found is None else found


def _existing_folder(places: Locations, *, home: Path) -> Path:
    folder = store_folder(places.store, home=home)
    if not folder.is_dir():
        raise Misuse(
            "there is no store", where=str(folder), hint="run the recipe first, or name the store with --store"
        )
    return folder


def new_context(home: Path, *, places: Locations, progress: Progress) -> "Context":
    """A context for work in a folder, without a recipe's history."""
    from tunesmith.context import Context
    from tunesmith.store import open_store

    store = open_store(store_folder(places.store, home=home), database=places.database)
    return Context(store=store, data_root=(places.data_root or home).resolve(), home=home.resolve(), progress=progress)


def latest_reports(name: str, store: "Store") -> dict[str, Report]:
    """The latest report of each stage of a recipe, in the order of the stages."""
    digests = {stage: store.ledger.ref(f"{name}/{stage}") for stage in REPORT_TYPES}
    return {stage: store.get(REPORT_TYPES[stage], digest) for stage, digest in digests.items() if digest is not None}


def reports_behind_refusal(name: str, store: "Store") -> dict[str, Report]:
    """The reports behind a refusal that has just been raised: the audit's when it blocks, else all up to the gate's."""
    reports = latest_reports(name, store)
    audit = reports.get("audit")
    blocks = isinstance(audit, AuditReport) and any(finding.action == "block" for finding in audit.findings)
    wanted = ("audit",) if blocks else ("audit", "train", "evaluate", "gate")
    return {stage: report for stage, report in reports.items() if stage in wanted}


def report_by_digest(text: str, store: "Store") -> bytes:
    """The stored bytes of a report, by its own digest or by that of the stored object. Raises Misuse when unknown."""
    digest = text if text.startswith("sha256:") else f"sha256:{text}"
    found = store.ledger.report_of(digest) or digest
    if not store.objects.has(found):
        raise Misuse("the store has no such report", where=digest, hint="`tunesmith show RECIPE` lists the latest ones")
    return store.objects.get(found)
