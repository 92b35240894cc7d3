"""Erasure: the rows removed and kept, kills before and after every write, and the signed record."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tunesmith.artifacts import AuditReport, TrainReport
from tunesmith.cli import erase as face
from tunesmith.context import SilentProgress
from tunesmith.data.rows import load_rows
from tunesmith.data.subjects import SUBJECT_SALT, subject_pseudonym
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.lineage import erase as module
from tunesmith.lineage import erase_plan, proof, tombstones
from tunesmith.lineage.erase import erase_rows, finish_erasure, preview_erasure
from tunesmith.lineage.erase_plan import EraseRequest
from tunesmith.lineage.proof import record_folder, verify_record
from tunesmith.lineage.text_index import build_missing_indexes
from tunesmith.lineage.trace import trace_row, trace_subject
from tunesmith.lineage.trace_text import trace_text
from tunesmith.store.lineage.erasures import Erasures
from tunesmith.store.objects import FolderObjects
from tunesmith.trust.log import Log

WRITES = (
    *((FolderObjects, name) for name in ("put", "put_file", "delete")),
    *((Erasures, name) for name in ("begin", "switch", "finish")),
    (Log, "append"),
    (module, "write_proof"),
)
"""All functions through which an erasure writes."""


class Killed(BaseException):
    """Simulates a kill: an exception that nothing catches."""


def wish(scripted: Any, **others: Any) -> EraseRequest:
    return EraseRequest(subject=scripted.ANN, threshold=0.5, **others)


def state(made: Any, scripted: Any) -> Any:
    """The content and answers of the store without its random parts: ids, salts and keys."""
    store = made[1].store
    lineage = store.lookups
    digests = {one.rows_digest for one in lineage.datasets()}
    build_missing_indexes(store, SilentProgress())
    gone = trace_subject(scripted.ANN, store).found, trace_text(scripted.TEXTS[0], store).found
    [other] = trace_subject(scripted.BOB, store).rows
    sightings = [(one.model, one.certainty, one.rows) for one in trace_row(other.row_id, store).sightings]
    kinds = sorted(stone.kind for stone in store.ledger.erasures.tombstones())
    objects = len(list(store.objects.folder.glob("??/*")))
    unfinished = store.ledger.erasures.unfinished()
    return (
        digests,
        gone,
        other.line,
        sightings,
        kinds,
        objects,
        unfinished,
        len(list((store.folder / proof.ERASURES_FOLDER).iterdir())),
    )


def test_only_the_erased_rows_are_removed(fresh: Any, scripted: Any) -> None:
    history, context, seal = fresh()
    outcome = erase_rows(wish(scripted), context, seal)
    store, record = context.store, outcome.record
    assert (record.rows, record.near_duplicates, record.source_lines) == (2, 1, 3)
    assert [(row.file, row.line, row.similarity) for row in outcome.rows] == [
        ("tickets.jsonl", 1, None),
        ("tickets.jsonl", 4, None),
        (
            "made.jsonl",
            2,
            round(14 / 26, 4),
        ),  # of 20 word triples each, six differ: three for a street, three for a number
    ]
    assert [(one.name, one.old_rows, one.new_rows) for one in record.datasets] == [("train", 6, 4), ("train", 2, 1)]
    audit = store.get(AuditReport, store.ledger.ref("desk/audit") or "")
    assert audit.train is not None
    texts = [row.example.messages[0].text for row in load_rows(audit.train, store)]
    assert texts == [text for number, text in enumerate(scripted.TEXTS) if number not in (0, 3)]
    assert [(found.place.line, found.other) for found in audit.findings] == [(5, None), (6, None)]
    assert all(not store.objects.has(stone.object) for stone in record.tombstones)
    trained = store.get(TrainReport, store.ledger.ref("made/train") or "")
    assert (trained.mask_sample, trained.model) == (("[erased]",), history.taught.model)
    assert store.objects.has(history.first.model.tree)


def test_trace_works_with_the_new_ids(fresh: Any, scripted: Any) -> None:
    history, context, seal = fresh()
    erase_rows(wish(scripted), context, seal)
    with pytest.raises(Misuse, match="no such row"):
        trace_row(history.ids[1], context.store)
    [bob] = trace_subject(scripted.BOB, context.store).rows
    assert bob.row_id != history.ids[1] and len(bob.datasets) == 2
    sighting = trace_row(bob.row_id, context.store).sightings[0]
    assert (sighting.model, sighting.certainty) == (history.first.model.tree, "certain")


def test_releases_and_retraining_are_named(fresh: Any, scripted: Any) -> None:
    history, context, seal = fresh()
    dry = preview_erasure(wish(scripted, with_near_duplicates=False), context)
    assert [(one.name, one.version, one.certainty) for one in dry.record.releases] == [
        ("desk", 1, "certain"),
        ("desk-merged", 1, "possible"),
    ]
    needs = {
        one.training: (one.recipe, one.certainty, one.steps, one.tokens, one.seconds) for one in dry.record.retraining
    }
    assert needs == {
        history.first.digest(): ("desk", "certain", 2, 36, 96.4),
        history.unrecorded.digest(): ("desk", "possible", 2, 0, 96.4),
        history.taught.digest(): ("made", "possible", 1, 24, 96.4),
    }
    assert [row.file for row in dry.near] == ["made.jsonl"]
    assert all(
        row.file == "tickets.jsonl"
        for row in erase_rows(wish(scripted, with_near_duplicates=False), context, seal).rows
    )


def test_a_dry_run_writes_nothing(fresh: Any, scripted: Any) -> None:
    _, context, _ = fresh()
    before = sorted(context.store.objects.folder.glob("??/*"))
    preview_erasure(wish(scripted), context)
    assert sorted(context.store.objects.folder.glob("??/*")) == before
    assert context.store.ledger.erasures.unfinished() is None
    assert trace_subject(scripted.ANN, context.store).found == 2


def test_an_erasure_killed_at_any_write_is_finished_by_the_next_call(
    fresh: Callable[[], Any], scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fresh()
    erase_rows(wish(scripted), whole[1], whole[2])
    expected = state(whole, scripted)
    calls = 0
    while True:
        calls += 1
        made = fresh()
        with monkeypatch.context() as patch:
            _kill(patch, at=calls)
            try:
                erase_rows(wish(scripted), made[1], made[2])
            except Killed:
                killed = True
            else:
                killed = False
        if not killed:
            break
        if finish_erasure(made[1], made[2]) is None and trace_subject(scripted.ANN, made[1].store).found:
            erase_rows(wish(scripted), made[1], made[2])
        assert state(made, scripted) == expected, f"killed at write {calls}"
        [folder] = (made[1].store.folder / proof.ERASURES_FOLDER).iterdir()
        assert verify_record(folder, made[2].signer.public_pem()).rows == 2
    assert calls > 40


def _kill(patch: pytest.MonkeyPatch, *, at: int) -> None:
    """Odd numbers kill before a write, even numbers after it."""
    count = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal count
            count += 2
            if count == at + 1:
                raise Killed
            made = real(*arguments, **named)
            if count == at:
                raise Killed
            return made

        return call

    for owner, name in WRITES:
        patch.setattr(owner, name, dying(getattr(owner, name)))


def test_the_record_holds_no_personal_data_and_verifies(fresh: Any, scripted: Any, tmp_path: Any) -> None:
    history, context, seal = fresh()
    outcome = erase_rows(wish(scripted, reason="case 17"), context, seal)
    folder = record_folder(outcome.record.erasure, context.store)
    record = verify_record(folder, seal.signer.public_pem())
    assert record == outcome.record
    envelope = json.loads((folder / proof.RECORD_FILE).read_text())
    payload = proof.open_envelope((folder / proof.RECORD_FILE).read_bytes(), _public(seal), where="")
    told = json.dumps([envelope, payload]).lower()
    mark = subject_pseudonym(context.store.ledger.salt(SUBJECT_SALT), scripted.ANN)
    for secret in (
        scripted.ANN.lower(),
        mark,
        "tickets.jsonl",
        "kettle",
        *history.ids,
        *(row.row_id for row in outcome.rows),
    ):
        assert secret not in told
    spoiled = bytearray((folder / proof.RECORD_FILE).read_bytes())
    spoiled[40] ^= 1
    (folder / proof.RECORD_FILE).write_bytes(bytes(spoiled))
    with pytest.raises(IntegrityBroken):
        verify_record(folder, seal.signer.public_pem())


def _public(seal: Any) -> Any:
    return proof.PublicKey.from_pem(seal.signer.public_pem())


def test_erased_rows_are_recognized_when_they_return(fresh: Any, scripted: Any) -> None:
    history, context, seal = fresh()
    rows = load_rows(history.train, context.store)
    erase_rows(wish(scripted, with_near_duplicates=False, keep_out=True), context, seal)
    found = tombstones.load_tombstones(context.store, lambda: {"train/tickets.jsonl": scripted.FILE})
    mark = subject_pseudonym(context.store.ledger.salt(SUBJECT_SALT), scripted.ANN)
    digest, other = rows[0].example.digest(), rows[1].example.digest()
    assert found.match_reason(digest, "other.jsonl", line=9, subject=None) == tombstones.CONTENT_REASON
    assert found.match_reason(other, "tickets.jsonl", line=4, subject=None) == tombstones.PLACE_REASON
    assert found.match_reason(other, "tickets.jsonl", line=5, subject=None) is None
    assert found.match_reason(other, "other.jsonl", line=4, subject=None) is None
    assert found.match_reason(other, "other.jsonl", line=1, subject=mark) == tombstones.PERSON_REASON


def test_without_an_erasure_no_file_is_hashed(fresh: Any) -> None:
    _, context, _ = fresh()
    found = tombstones.load_tombstones(context.store, lambda: pytest.fail("the files were read"))
    assert not found.marks


def test_an_unknown_subject_erases_nothing(fresh: Any) -> None:
    _, context, seal = fresh()
    outcome = erase_rows(EraseRequest(subject="nobody@example.org"), context, seal)
    assert (outcome.record.rows, outcome.envelope, outcome.notes) == (0, None, ("no stored row was found",))
    assert (
        context.store.ledger.erasures.unfinished() is None
        and not (context.store.folder / proof.ERASURES_FOLDER).exists()
    )


def test_rows_by_id(fresh: Any) -> None:
    history, context, seal = fresh()
    outcome = erase_rows(EraseRequest(rows=(history.ids[4], history.ids[5])), context, seal)
    assert [row.line for row in outcome.rows] == [5, 6]
    assert [(one.old_rows, one.new_rows) for one in outcome.record.datasets] == [(6, 4)]


def test_caches_and_pages_are_deleted_with_the_rows(fresh: Any, scripted: Any) -> None:
    _, context, seal = fresh()
    store = context.store
    build_missing_indexes(store, SilentProgress())
    leftovers = [
        store.folder / "signals" / "x" / "y",
        store.folder / "reports" / "desk.html",
        store.folder / ".tmp-audit-1" / "train.parquet",
        store.objects.folder / "ab" / ".tmp-1",
    ]
    for place in leftovers:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"x")
    erase_rows(wish(scripted), context, seal)
    assert [place for place in leftovers if place.exists()] == []
    assert list((store.folder / "lineage" / "text").iterdir()) == []


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (EraseRequest(), "nothing to erase"),
        (EraseRequest(subject=" "), "the subject is empty"),
        (EraseRequest(subject="Ann", reason="ann asked"), "the reason names a person"),
        (EraseRequest(subject="Ann", reason="mail from bob@example.org"), "the reason names a person"),
        (EraseRequest(subject="Ann", reason=" "), "the reason is empty"),
        (EraseRequest(subject="Ann", threshold=0.0), "is no similarity"),
        (EraseRequest(subject="Ann", threshold=float("nan")), "is no similarity"),
        (EraseRequest(rows=("1" * 16,)), "no such row"),
    ],
)
def test_misuse(fresh: Any, request_: EraseRequest, what: str) -> None:
    _, context, seal = fresh()
    with pytest.raises(Misuse, match=what):
        erase_rows(request_, context, seal)


def test_the_faces_defaults_are_the_requests() -> None:
    parameters = face.command.__kwdefaults__
    assert (parameters["threshold"], parameters["reason"]) == (erase_plan.DEFAULT_THRESHOLD, erase_plan.DEFAULT_REASON)
    assert (
        replace(EraseRequest(), threshold=erase_plan.DEFAULT_THRESHOLD, reason=erase_plan.DEFAULT_REASON)
        == EraseRequest()
    )
