"""The signed record of an erasure as a folder of its own, which anyone can check with one public key and no network.

erasures/<erasure>/record.dsse.json   the record, signed
erasures/<erasure>/inclusion.json     that the log of the key holds it
erasures/<erasure>/checkpoint.txt     the log's size and root at that time, signed
"""

from pathlib import Path
from typing import Any, Final

from tunesmith.artifacts.lineage import ErasureRecord
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.store import Store
from tunesmith.store.objects import write_atomic
from tunesmith.trust import PublicKey, Statement, make_statement
from tunesmith.trust.checkpoint import open_checkpoint
from tunesmith.trust.envelope import open_envelope
from tunesmith.trust.log import InclusionProof, Log
from tunesmith.trust.merkle import leaf_hash, verify_inclusion

STATEMENT: Final = "urn:tunesmith:erasure:v1"
RECORD: Final = "record.dsse.json"
INCLUSION: Final = "inclusion.json"
CHECKPOINT: Final = "checkpoint.txt"
FOLDER: Final = "erasures"


def record_folder(erasure: str, store: Store) -> Path:
    return store.folder / FOLDER / erasure


def write_proof(folder: Path, envelope: bytes, *, log: Log, index: int) -> None:
    """Write the three files, the record last: where it stands the others do too."""
    proof, checkpoint = log.prove(index)
    for name, data in ((INCLUSION, proof.to_bytes()), (CHECKPOINT, checkpoint), (RECORD, envelope)):
        write_atomic(folder / name, data)


def statement_of(record: ErasureRecord) -> Statement:
    """The record as an in-toto statement about the objects that are gone. Floats are strings: JSON readers differ in them."""
    subjects = {f"{one.kind}/{one.object[7:19]}": one.object for one in record.tombstones}
    return make_statement(subjects, predicate_type=STATEMENT, predicate=_spelled(record.model_dump(mode="json")))


def verify_record(folder: Path, public_pem: bytes) -> ErasureRecord:
    """The record, if the key signed it and the log of the key holds it.

    Raises IntegrityBroken at the first thing that does not hold; Misuse when there is no such folder.
    """
    if not (folder / RECORD).is_file():
        hint = f"give a folder of {FOLDER}/ in the store, with its {RECORD}"
        raise Misuse("there is no record of an erasure", where=str(folder), hint=hint)
    public, envelope = PublicKey.from_pem(public_pem), (folder / RECORD).read_bytes()
    statement = open_envelope(envelope, public, where=str(folder / RECORD))
    if statement["predicateType"] != STATEMENT:
        raise IntegrityBroken("this statement is no record of an erasure", where=str(folder / RECORD))
    checkpoint = open_checkpoint(_read(folder / CHECKPOINT), public, where=str(folder / CHECKPOINT))
    proof = InclusionProof.from_bytes(_read(folder / INCLUSION), where=str(folder / INCLUSION))
    leaf = leaf_hash(envelope)
    holds = proof.leaf == leaf and proof.size == checkpoint.size
    if not holds or not verify_inclusion(proof.index, proof.size, leaf, proof=proof.hashes, root=checkpoint.root):
        raise IntegrityBroken("the log does not hold this record", where=str(folder / INCLUSION))
    return ErasureRecord.model_validate(_read_back(statement["predicate"]))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise IntegrityBroken("a piece of evidence is missing", where=str(path))
    return path.read_bytes()


def _spelled(value: Any) -> Any:
    match value:
        case dict():
            return {key: _spelled(item) for key, item in value.items()}
        case list():
            return [_spelled(item) for item in value]
        case float():
            return repr(value)
        case _:
            return value


def _read_back(predicate: dict[str, Any]) -> dict[str, Any]:
    """The predicate with its numbers as numbers again."""
    made = {**predicate, "retraining": [{**one, "seconds": _number(one["seconds"])} for one in predicate["retraining"]]}
    return {**made, "threshold": _number(made["threshold"])}


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
