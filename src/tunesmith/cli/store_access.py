"""Access to a store: opening it, the latest reports of a recipe, or one report by digest."""

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


def store_folder(folder: Path | None, *, home: Path) -> Path:
    """Store folder: the given folder, else `$TUNESMITH_STORE`, else `.tunesmith` in `home`."""
    default = process.environment("TUNESMITH_STORE")
    return folder or (Path(default) if default else home / ".tunesmith")


def existing_store(locations: Locations, *, home: Path) -> "Store":
    """Open an existing store. Raises Misuse when there is none, since a lookup must not create one."""
    from tunesmith.store import open_store

    return open_store(_existing_folder(locations, home=home), database=locations.database)


def readable_store(locations: Locations, *, home: Path) -> "ReadableStore":
    """Open an existing store for reading. Its own SQLite ledger is read without importing SQLAlchemy."""
    from tunesmith.store.read_only import open_read_only

    store = open_read_only(_existing_folder(locations, home=home)) if locations.database is None else None
    return existing_store(locations, home=home) if store is None else store


def _existing_folder(locations: Locations, *, home: Path) -> Path:
    folder = store_folder(locations.store, home=home)
    if not folder.is_dir():
        raise Misuse("store not found", where=str(folder), hint="run the recipe first, or pass the folder with --store")
    return folder


def new_context(home: Path, *, locations: Locations, progress: Progress) -> "Context":
    """Context for a folder, independent of any recipe."""
    from tunesmith.context import Context
    from tunesmith.store import open_store

    store = open_store(store_folder(locations.store, home=home), database=locations.database)
    return Context(
        store=store, data_root=(locations.data_root or home).resolve(), home=home.resolve(), progress=progress
    )


def latest_reports(name: str, store: "Store") -> dict[str, Report]:
    """{stage: latest report} of a recipe, in stage order."""
    digests = {stage: store.ledger.ref(f"{name}/{stage}") for stage in REPORT_TYPES}
    return {stage: store.get(REPORT_TYPES[stage], digest) for stage, digest in digests.items() if digest is not None}


def reports_behind_refusal(name: str, store: "Store") -> dict[str, Report]:
    """Reports that explain a refusal just raised: the audit report if it blocks, else all up to the gate."""
    reports = latest_reports(name, store)
    audit = reports.get("audit")
    audit_blocks = isinstance(audit, AuditReport) and any(finding.action == "block" for finding in audit.findings)
    wanted = ("audit",) if audit_blocks else ("audit", "train", "evaluate", "gate")
    return {stage: report for stage, report in reports.items() if stage in wanted}


def report_by_digest(text: str, store: "Store") -> bytes:
    """Stored bytes of a report, by report digest or object digest. Raises Misuse when the digest is unknown."""
    digest = text if text.startswith("sha256:") else f"sha256:{text}"
    object_digest = store.ledger.report_of(digest) or digest
    if not store.objects.has(object_digest):
        raise Misuse(
            "no report with this digest in the store",
            where=digest,
            hint="list reports with `tunesmith show RECIPE`",
        )
    return store.objects.get(object_digest)
