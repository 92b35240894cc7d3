"""The signed record of an erasure, in a folder that anyone can verify with the public key and without a network.

erasures/<erasure>/record.dsse.json   the signed record
erasures/<erasure>/inclusion.json     the proof that the transparency log of the key includes it
erasures/<erasure>/checkpoint.txt     the signed size and root of the log at that time
"""

from pathlib import Path
from typing import Any, Final

from tunesmith.artifacts.lineage import ErasureRecord
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.store import Store
from tunesmith.store.objects import write_atomic
from tunesmith.trust import PublicKey, Statement, make_statement
from tunesmith.trust.envelope import open_envelope
from tunesmith.trust.log import InclusionProof, Log
from tunesmith.trust.log_checkpoint import open_checkpoint
from tunesmith.trust.merkle import leaf_hash, verify_inclusion

PREDICATE_TYPE: Final = "urn:tunesmith:erasure:v1"
RECORD_FILE: Final = "record.dsse.json"
INCLUSION_FILE: Final = "inclusion.json"
CHECKPOINT_FILE: Final = "checkpoint.txt"
ERASURES_FOLDER: Final = "erasures"


def record_folder(erasure: str, store: Store) -> Path:
    return store.folder / ERASURES_FOLDER / erasure


def write_proof(folder: Path, envelope: bytes, *, log: Log, index: int) -> None:
    """Write the three files, the record last: when it exists, the others do too."""
    proof, checkpoint = log.prove(index)
    for name, data in ((INCLUSION_FILE, proof.to_bytes()), (CHECKPOINT_FILE, checkpoint), (RECORD_FILE, envelope)):
        write_atomic(folder / name, data)


def record_statement(record: ErasureRecord) -> Statement:
    """The record as an in-toto statement about the deleted objects. Floats are strings: JSON readers parse them differently."""
    subjects = {f"{erased.kind}/{erased.object[7:19]}": erased.object for erased in record.tombstones}
    return make_statement(
        subjects, predicate_type=PREDICATE_TYPE, predicate=_floats_as_text(record.model_dump(mode="json"))
    )


def verify_record(folder: Path, public_pem: bytes) -> ErasureRecord:
    """The record, verified: the key signed it and the log of the key includes it.

    Raises IntegrityBroken at the first check that fails; Misuse when the folder has no record.
    """
    if not (folder / RECORD_FILE).is_file():
        hint = f"give a folder of {ERASURES_FOLDER}/ in the store that holds {RECORD_FILE}"
        raise Misuse("no erasure record in this folder", where=str(folder), hint=hint)
    public, envelope = PublicKey.from_pem(public_pem), (folder / RECORD_FILE).read_bytes()
    statement = open_envelope(envelope, public, where=str(folder / RECORD_FILE))
    if statement["predicateType"] != PREDICATE_TYPE:
        raise IntegrityBroken("the statement is not an erasure record", where=str(folder / RECORD_FILE))
    checkpoint = open_checkpoint(_read_evidence(folder / CHECKPOINT_FILE), public, where=str(folder / CHECKPOINT_FILE))
    proof = InclusionProof.from_bytes(_read_evidence(folder / INCLUSION_FILE), where=str(folder / INCLUSION_FILE))
    leaf = leaf_hash(envelope)
    same_entry = proof.leaf == leaf and proof.size == checkpoint.size
    if not same_entry or not verify_inclusion(proof.index, proof.size, leaf, proof=proof.hashes, root=checkpoint.root):
        raise IntegrityBroken("the log does not include this record", where=str(folder / INCLUSION_FILE))
    return ErasureRecord.model_validate(_floats_from_text(statement["predicate"]))


def _read_evidence(path: Path) -> bytes:
    if not path.is_file():
        raise IntegrityBroken("a file of the erasure record is missing", where=str(path))
    return path.read_bytes()


def _floats_as_text(value: Any) -> Any:
    match value:
        case dict():
            return {key: _floats_as_text(item) for key, item in value.items()}
        case list():
            return [_floats_as_text(item) for item in value]
        case float():
            return repr(value)
        case _:
            return value


def _floats_from_text(predicate: dict[str, Any]) -> dict[str, Any]:
    """The predicate with its floats parsed."""
    retraining = [{**item, "seconds": _optional_float(item["seconds"])} for item in predicate["retraining"]]
    return {**predicate, "retraining": retraining, "threshold": _optional_float(predicate["threshold"])}


def _optional_float(text: str | None) -> float | None:
    return None if text is None else float(text)
