"""Erase rows from the store, give the remaining rows new ids, and sign a record of the erasure.

Order of the writes. The store is consistent after each of them, and `finish_erasure` continues after a kill:

1. The journal entry: the plan, the key of the new ids, and the tombstone marks by which a later audit recognizes the rows.
2. New objects beside the old ones: data sets, quarantines and reports without the rows.
3. The switch, one transaction: the ledger drops the rows, their consumption and the salts; data sets and refs point to the new
   objects; stages with old reports become undone; tombstones are written; the plan and the key are deleted.
4. Old objects, text indexes and pages are deleted.
5. The record is signed, logged and stored.
6. The journal entry is finished.
"""

import hashlib
import hmac
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy

from tunesmith.artifacts.lineage import ErasedObject, ErasureRecord, ErasureResult
from tunesmith.context import Context
from tunesmith.lineage import tombstones
from tunesmith.lineage.erase_plan import ErasePlan, EraseRequest, make_erase_plan, target_rows
from tunesmith.lineage.proof import record_folder, record_statement, write_proof
from tunesmith.lineage.rewrite import rewrite_objects
from tunesmith.lineage.scrub import stored_documents
from tunesmith.lineage.text_ngrams import index_folder
from tunesmith.ports import Signer
from tunesmith.store import Store
from tunesmith.store.lineage.erasures import Erasure, LedgerSwitch, Tombstone
from tunesmith.trust.envelope import sign_statement
from tunesmith.trust.log import Log

PAGES_FOLDER: Final = "reports"
CACHE_FOLDERS: Final = ("signals",)
"""Folders of the store with data computed from rows; they are deleted as a whole and recomputed later."""

SOURCE_FILES_NOTE: Final = (
    "source files outside of the store are their owner's to edit: the lines are listed here and kept nowhere"
)


UNFINISHED_NOTE: Final = "an earlier erasure was interrupted; the next that is done finishes it first"


@dataclass(frozen=True)
class RecordSigner:
    """The signer of the erasure record, and the folder of the transparency log that it is added to."""

    signer: Signer
    log_folder: Path


def preview_erasure(request: EraseRequest, context: Context) -> ErasureResult:
    """What an erasure would erase and affect; a dry run."""
    plan = _new_plan(request, context)
    interrupted = context.store.ledger.erasures.unfinished() is not None
    notes = (SOURCE_FILES_NOTE, UNFINISHED_NOTE) if interrupted else (SOURCE_FILES_NOTE,)
    return ErasureResult(record=plan.record, rows=plan.rows, near=plan.near, dry_run=True, notes=notes)


def erase_rows(request: EraseRequest, context: Context, signer: RecordSigner) -> ErasureResult:
    """Erase rows and sign the record. Call `finish_erasure` first: it completes an erasure that was killed.

    When no stored row matches, nothing is written and the record has no rows. The caller holds the lock of the store.
    """
    plan = _new_plan(request, context)
    store = context.store
    if not plan.targets and not request.keep_out and not rewrite_objects(plan, str, store).gone:
        return ErasureResult(record=plan.record, rows=(), near=(), dry_run=False, notes=("no stored row was found",))
    entry = Erasure(
        erasure=plan.record.erasure,
        state="begun",
        started=plan.record.date,
        reason=plan.record.reason,
        rekey=secrets.token_bytes(32),
        plan=plan.canonical(),
        record=None,
    )
    store.ledger.erasures.begin(entry, _tombstone_marks(plan, store))
    return _complete(entry, context, signer)


def finish_erasure(context: Context, signer: RecordSigner) -> ErasureResult | None:
    """Complete an erasure that was killed; None when there is none."""
    entry = context.store.ledger.erasures.unfinished()
    return None if entry is None else _complete(entry, context, signer)


def _new_plan(request: EraseRequest, context: Context) -> ErasePlan:
    date = context.clock.now().isoformat(timespec="seconds")
    return make_erase_plan(request, context.store, erasure=secrets.token_hex(8), date=date, progress=context.progress)


def _complete(entry: Erasure, context: Context, signer: RecordSigner) -> ErasureResult:
    store = context.store
    plan = None
    assert entry.plan is not None
    if entry.state == "begun":
        assert entry.rekey is not None
        plan = ErasePlan.from_bytes(entry.plan)
        record = _switch_objects(plan, entry.rekey, store)
    else:
        record = ErasureRecord.from_bytes(entry.plan)
    _delete_old_objects(record, store)
    envelope = sign_statement(record_statement(record), signer.signer)
    digest = store.objects.put(envelope)
    log = Log(signer.log_folder, signer.signer)
    index = log.append(envelope)
    write_proof(record_folder(record.erasure, store), envelope, log=log, index=index)
    store.ledger.erasures.finish(record.erasure, digest)
    rows, near = (plan.rows, plan.near) if plan is not None else ((), ())
    return ErasureResult(
        record=record, rows=rows, near=near, dry_run=False, envelope=digest, log_index=index, notes=(SOURCE_FILES_NOTE,)
    )


def _tombstone_marks(plan: ErasePlan, store: Store) -> list[bytes]:
    """Marks by content and by place of every erased row; with `keep_out`, also the mark of the person."""
    key = store.ledger.salt(tombstones.ERASED_SALT)
    datasets = {dataset.number: dataset for dataset in store.lookups.datasets()}
    files = _source_digests(store)
    marks = [tombstones.person_mark(key, plan.subject)] if plan.keep_out and plan.subject is not None else []
    for target in plan.targets:
        dataset = datasets[target.dataset]
        for row in target_rows(target, store, dataset):
            marks.append(tombstones.content_mark(key, row.example.digest()))
            sources = files.get(dataset.container, ())
            marks += [tombstones.place_mark(key, sha256, row.line) for name, sha256 in sources if name == row.file]
    return marks


def _source_digests(store: Store) -> dict[str, set[tuple[str, str]]]:
    """{container: {(name, digest)}}: the files that each data set was read from, from the stored audit reports."""
    files: dict[str, set[tuple[str, str]]] = {}
    for document in stored_documents(store):
        sources = document.get("sources")
        if not isinstance(sources, list):
            continue
        for split in ("train", "test"):
            dataset = document.get(split)
            if isinstance(dataset, dict):
                of_split = {(source["path"], source["sha256"]) for source in sources if source["split"] == split}
                files.setdefault(str(dataset.get("container")), set()).update(of_split)
    return files


def _switch_objects(plan: ErasePlan, rekey: bytes, store: Store) -> ErasureRecord:
    """Steps 2 and 3 of the erasure. Returns the complete record."""
    rewritten = rewrite_objects(plan, row_id_renamer(rekey), store)
    date, erasure, reason = plan.record.date, plan.record.erasure, plan.record.reason
    erased_objects = sorted(rewritten.gone.items())
    record = plan.record.model_copy(
        update={
            "datasets": rewritten.datasets,
            "tombstones": tuple(ErasedObject(object=digest, kind=kind) for digest, kind in erased_objects),
            "reports_rewritten": sum(kind == "report" for kind in rewritten.gone.values()),
            "salts_replaced": rewritten.salts,
        }
    )
    switch = LedgerSwitch(
        datasets=rewritten.replaced,
        reports=rewritten.reports,
        tombstones=tuple(Tombstone(digest, kind, erasure, date, reason) for digest, kind in erased_objects),
        salts=rewritten.salts,
    )
    store.ledger.erasures.switch(
        erasure, switch, plan=record.canonical(), new_ids=lambda ids: rename_row_ids(ids, row_id_renamer(rekey))
    )
    return record


def row_id_renamer(rekey: bytes) -> Callable[[str], str]:
    """A function from old to new row ids: HMAC-SHA256 under a key that is deleted afterwards, so ids cannot be linked."""

    def new_id(row_id: str) -> str:
        return hmac.digest(rekey, row_id.encode(), hashlib.sha256).hex()[:16]

    return new_id


def rename_row_ids(ids: Any, new_id: Callable[[str], str]) -> Any:
    """New ids for an array of ids as uint64."""
    data = "".join(new_id(f"{row_id:016x}") for row_id in ids.tolist())
    return numpy.frombuffer(bytes.fromhex(data), dtype=">u8").astype(numpy.uint64)


def _delete_old_objects(record: ErasureRecord, store: Store) -> None:
    """Step 4 of the erasure. Objects that are already deleted are skipped."""
    for erased in record.tombstones:
        store.objects.delete(erased.object)
        shutil.rmtree(index_folder(erased.object, store), ignore_errors=True)
    for path in _derived_data(store) if record.tombstones else ():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _derived_data(store: Store) -> list[Path]:
    """Pages, caches, and temporary files of killed runs."""
    temporary = [*store.folder.glob(".tmp-*"), *store.objects.folder.glob("??/.tmp-*")]
    return [*(store.folder / name for name in (PAGES_FOLDER, *CACHE_FOLDERS)), *temporary]
