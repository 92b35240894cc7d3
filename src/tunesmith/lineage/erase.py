"""Erase: a person's rows go from the store, what is left gets new ids, and a signed record says so.

Order of the writes; killed after any of them, `finish` goes on from there, and the store is whole at every moment:

1. the journal's entry with the plan, the key of the new ids, and the marks by which an audit knows the rows again;
2. new objects beside the old ones: data sets, quarantines and reports without the rows;
3. the switch, one transaction: rows, what was consumed of them and the salts go from the ledger, data sets and refs point at
   the new objects, stages with old reports are no longer done, tombstones are written, the plan and the key are gone;
4. old objects, text indexes and pages are deleted;
5. the record is signed, logged and stored; 6. the journal's entry is finished.
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
"""Folders of the store that hold what was worked out from rows and can be again; they go whole, as do those of killed runs."""

SOURCE_FILES_NOTE: Final = (
    "source files outside of the store are their owner's to edit: the lines are listed here and kept nowhere"
)


UNFINISHED_NOTE: Final = "an earlier erasure was interrupted; the next that is done finishes it first"


@dataclass(frozen=True)
class RecordSigner:
    """Who signs the record, and the folder of the log that it is entered in."""

    signer: Signer
    log_folder: Path


def preview_erasure(request: EraseRequest, context: Context) -> ErasureResult:
    """What would be erased and what that would touch; a dry run."""
    plan = _new_plan(request, context)
    waiting = context.store.ledger.erasures.unfinished() is not None
    notes = (SOURCE_FILES_NOTE, UNFINISHED_NOTE) if waiting else (SOURCE_FILES_NOTE,)
    return ErasureResult(record=plan.record, rows=plan.rows, near=plan.near, dry_run=True, notes=notes)


def erase_rows(request: EraseRequest, context: Context, seal: RecordSigner) -> ErasureResult:
    """Erase and sign. Call `finish` first: it completes an erasure that was killed.

    When there is no such row nothing is written and the record has no rows. The caller holds the store.
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
    return _complete(entry, context, seal)


def finish_erasure(context: Context, seal: RecordSigner) -> ErasureResult | None:
    """Finish an erasure that was killed; None when there is none."""
    entry = context.store.ledger.erasures.unfinished()
    return None if entry is None else _complete(entry, context, seal)


def _new_plan(request: EraseRequest, context: Context) -> ErasePlan:
    date = context.clock.now().isoformat(timespec="seconds")
    return make_erase_plan(request, context.store, erasure=secrets.token_hex(8), date=date, progress=context.progress)


def _complete(entry: Erasure, context: Context, seal: RecordSigner) -> ErasureResult:
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
    envelope = sign_statement(record_statement(record), seal.signer)
    digest = store.objects.put(envelope)
    log = Log(seal.log_folder, seal.signer)
    index = log.append(envelope)
    write_proof(record_folder(record.erasure, store), envelope, log=log, index=index)
    store.ledger.erasures.finish(record.erasure, digest)
    rows, near = (plan.rows, plan.near) if plan is not None else ((), ())
    return ErasureResult(
        record=record, rows=rows, near=near, dry_run=False, envelope=digest, log_index=index, notes=(SOURCE_FILES_NOTE,)
    )


def _tombstone_marks(plan: ErasePlan, store: Store) -> list[bytes]:
    """By content and by place, of every row that goes; of the person where that is asked for."""
    key = store.ledger.salt(tombstones.ERASED_SALT)
    known = {one.number: one for one in store.lookups.datasets()}
    files = _source_digests(store)
    marks = [tombstones.person_mark(key, plan.subject)] if plan.keep_out and plan.subject is not None else []
    for target in plan.targets:
        one = known[target.dataset]
        for row in target_rows(target, store, one):
            marks.append(tombstones.content_mark(key, row.example.digest()))
            sources = files.get(one.container, ())
            marks += [tombstones.place_mark(key, sha256, row.line) for name, sha256 in sources if name == row.file]
    return marks


def _source_digests(store: Store) -> dict[str, set[tuple[str, str]]]:
    """(name, digest) of the files that each data set was read from, by container, as the audit reports say."""
    found: dict[str, set[tuple[str, str]]] = {}
    for document in stored_documents(store):
        sources = document.get("sources")
        if not isinstance(sources, list):
            continue
        for split in ("train", "test"):
            dataset = document.get(split)
            if isinstance(dataset, dict):
                named = {(one["path"], one["sha256"]) for one in sources if one["split"] == split}
                found.setdefault(str(dataset.get("container")), set()).update(named)
    return found


def _switch_objects(plan: ErasePlan, rekey: bytes, store: Store) -> ErasureRecord:
    """Steps 2 and 3; the record, complete."""
    made = rewrite_objects(plan, row_id_renamer(rekey), store)
    date, erasure, reason = plan.record.date, plan.record.erasure, plan.record.reason
    stones = [Tombstone(digest, kind, erasure, date, reason) for digest, kind in sorted(made.gone.items())]
    record = plan.record.model_copy(
        update={
            "datasets": made.datasets,
            "tombstones": tuple(ErasedObject(object=stone.digest, kind=stone.kind) for stone in stones),
            "reports_rewritten": sum(kind == "report" for kind in made.gone.values()),
            "salts_replaced": made.salts,
        }
    )
    switch = LedgerSwitch(datasets=made.replaced, reports=made.reports, tombstones=tuple(stones), salts=made.salts)
    store.ledger.erasures.switch(
        erasure, switch, plan=record.canonical(), new_ids=lambda ids: rename_row_ids(ids, row_id_renamer(rekey))
    )
    return record


def row_id_renamer(rekey: bytes) -> Callable[[str], str]:
    """The new id of an id: HMAC-SHA256 under a key that is thrown away, so that nobody can tell which became which."""

    def renamed(row_id: str) -> str:
        return hmac.digest(rekey, row_id.encode(), hashlib.sha256).hex()[:16]

    return renamed


def rename_row_ids(ids: Any, renamed: Callable[[str], str]) -> Any:
    """The same for ids as numbers."""
    data = "".join(renamed(f"{one:016x}") for one in ids.tolist())
    return numpy.frombuffer(bytes.fromhex(data), dtype=">u8").astype(numpy.uint64)


def _delete_old_objects(record: ErasureRecord, store: Store) -> None:
    """Step 4. What is gone already is fine."""
    for stone in record.tombstones:
        store.objects.delete(stone.object)
        shutil.rmtree(index_folder(stone.object, store), ignore_errors=True)
    for place in _leftovers(store) if record.tombstones else ():
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _leftovers(store: Store) -> list[Path]:
    """Pages, caches, and what killed runs left half written."""
    killed = [*store.folder.glob(".tmp-*"), *store.objects.folder.glob("??/.tmp-*")]
    return [*(store.folder / name for name in (PAGES_FOLDER, *CACHE_FOLDERS)), *killed]
