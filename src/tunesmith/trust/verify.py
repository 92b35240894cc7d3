"""Offline verification of a release folder with one public key, which comes from the caller, never from the folder."""

from dataclasses import dataclass
from pathlib import Path

from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.trust.envelope import open_envelope
from tunesmith.trust.files import compare_digests
from tunesmith.trust.keys import PublicKey
from tunesmith.trust.log import InclusionProof
from tunesmith.trust.log_checkpoint import open_checkpoint
from tunesmith.trust.merkle import leaf_hash, verify_inclusion
from tunesmith.trust.oms import verify_folder
from tunesmith.trust.release_layout import (
    CHECKPOINT_FILE,
    ENVELOPE_SUFFIX,
    EVIDENCE_FOLDER,
    INCLUSION_FILE,
    RELEASE_ENVELOPE,
    is_evidence,
)
from tunesmith.trust.statement import Statement, release_name_and_version, statement_subjects


@dataclass(frozen=True)
class VerifiedStatement:
    """A verified statement in evidence/. `name` is its file name without `.dsse.json`."""

    name: str
    predicate_type: str
    statement: Statement


@dataclass(frozen=True)
class VerifiedRelease:
    """A verified release with `files` signed files. `statements` are the other attestations, sorted by name."""

    name: str
    version: int
    files: int
    statements: tuple[VerifiedStatement, ...]


def verify_release(folder: Path, public_pem: bytes) -> VerifiedRelease:
    """Verify a release against the public key of its publisher, in the reverse order of `seal.sign_release`.

    1. `model.sig` covers every file. 2. The release statement lists exactly the files outside evidence/. 3. The release is
    in the log of the signed checkpoint. 4. Every other statement is signed by the key.

    Raises IntegrityBroken, naming the file, at the first check that fails; Misuse when the folder does not exist or the key
    is not a P-256 public key.
    """
    public = PublicKey.from_pem(public_pem)
    if not folder.is_dir():
        raise Misuse("release folder not found", where=str(folder))
    covered = verify_folder(folder, public, exact=True)
    name, version = _verify_release_statement(folder, public, covered)
    _verify_log(folder, public)
    return VerifiedRelease(name, version, len(covered), _verify_other_statements(folder, public, covered))


def _verify_release_statement(folder: Path, public: PublicKey, covered: dict[str, str]) -> tuple[str, int]:
    where = str(folder / RELEASE_ENVELOPE)
    statement = open_envelope(_read_evidence(folder, RELEASE_ENVELOPE), public, where=where)
    released_files = {path: digest for path, digest in covered.items() if not is_evidence(path)}
    compare_digests(statement_subjects(statement, where=where), released_files, where=folder, by=RELEASE_ENVELOPE)
    return release_name_and_version(statement, where=where)


def _verify_log(folder: Path, public: PublicKey) -> None:
    checkpoint = open_checkpoint(_read_evidence(folder, CHECKPOINT_FILE), public, where=str(folder / CHECKPOINT_FILE))
    where = str(folder / INCLUSION_FILE)
    proof = InclusionProof.from_bytes(_read_evidence(folder, INCLUSION_FILE), where=where)
    leaf = leaf_hash(_read_evidence(folder, RELEASE_ENVELOPE))
    if proof.leaf != leaf:
        raise IntegrityBroken("the inclusion proof belongs to another release", where=where)
    if proof.size != checkpoint.size:
        raise IntegrityBroken("the inclusion proof does not match the checkpoint", where=where)
    if not verify_inclusion(proof.index, proof.size, leaf, proof=proof.hashes, root=checkpoint.root):
        raise IntegrityBroken("the inclusion proof does not match the root of the log", where=where)


def _verify_other_statements(folder: Path, public: PublicKey, covered: dict[str, str]) -> tuple[VerifiedStatement, ...]:
    paths = sorted(path for path in covered if is_evidence(path) and path.endswith(ENVELOPE_SUFFIX))
    statements: list[VerifiedStatement] = []
    for path in paths:
        if path != RELEASE_ENVELOPE:
            statement = open_envelope(_read_evidence(folder, path), public, where=str(folder / path))
            name = path.removeprefix(f"{EVIDENCE_FOLDER}/").removesuffix(ENVELOPE_SUFFIX)
            statements.append(VerifiedStatement(name, statement["predicateType"], statement))
    return tuple(statements)


def _read_evidence(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file():
        raise IntegrityBroken("evidence file not found", where=str(path))
    return path.read_bytes()
