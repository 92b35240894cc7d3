"""Sign a finished release folder. The signature is written last: a folder without it is not a release.

Files -> release statement over exactly these files -> log entry and proof -> evidence/ -> OMS signature over all of it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from tunesmith.errors import Misuse
from tunesmith.ports import Signer
from tunesmith.store.objects import write_atomic
from tunesmith.trust.envelope import sign_statement
from tunesmith.trust.files import digest_files, list_files
from tunesmith.trust.log import Log
from tunesmith.trust.oms import reject_uncovered, sign_folder
from tunesmith.trust.release_layout import (
    CHECKPOINT_FILE,
    ENVELOPE_SUFFIX,
    EVIDENCE_FOLDER,
    INCLUSION_FILE,
    PUBLIC_KEY_FILE,
    RELEASE_NAME,
    SIGNATURE_FILE,
    is_evidence,
)
from tunesmith.trust.statement import Statement, release_statement

_STATEMENT_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def sign_release(
    folder: Path, signer: Signer, *, name: str, version: int, statements: Mapping[str, Statement], log_folder: Path
) -> dict[str, str]:
    """Write `release.pub`, `evidence/` and `model.sig`. Returns {path: SHA-256 hex} of the signed files.

    `statements` are written to `evidence/<key>.dsse.json`; keys are lower-case words joined by `-`. Leftovers of a killed call
    in `evidence/` are replaced. The same files, key and log give the same bytes. Raises Misuse when the folder is already
    signed, is empty, or contains something that cannot be signed.
    """
    _check_release_folder(folder, version, statements, log_folder)
    _remove_unfinished_evidence(folder)
    if not set(list_files(folder, error=Misuse)) - {PUBLIC_KEY_FILE}:
        raise Misuse("no file to release", where=str(folder))
    write_atomic(folder / PUBLIC_KEY_FILE, signer.public_pem())
    release = sign_statement(release_statement(_release_subjects(folder), name=name, version=version), signer)
    envelopes = {RELEASE_NAME: release} | {
        key: sign_statement(statement, signer) for key, statement in statements.items()
    }
    log = Log(log_folder, signer)
    proof, checkpoint = log.prove(log.append(release))
    for key, envelope in envelopes.items():
        write_atomic(folder / EVIDENCE_FOLDER / f"{key}{ENVELOPE_SUFFIX}", envelope)
    write_atomic(folder / INCLUSION_FILE, proof.to_bytes())
    write_atomic(folder / CHECKPOINT_FILE, checkpoint)
    return sign_folder(folder, signer, name=f"{name}-{version}")


def _release_subjects(folder: Path) -> dict[str, str]:
    digests = digest_files(folder, skip=frozenset({SIGNATURE_FILE}), error=Misuse)
    return {path: digest for path, digest in digests.items() if not is_evidence(path)}


def _check_release_folder(folder: Path, version: int, statements: Mapping[str, Statement], log_folder: Path) -> None:
    if not folder.is_dir():
        raise Misuse("release folder not found", where=str(folder))
    if (folder / SIGNATURE_FILE).exists():
        raise Misuse("the release is already signed", where=str(folder), hint="release changed files as a new version")
    if log_folder.resolve().is_relative_to(folder.resolve()):
        raise Misuse(
            "the log folder is inside the release", where=str(log_folder), hint="put the log next to the releases"
        )
    reject_uncovered(folder, Misuse)
    if version < 1:
        raise Misuse(f"invalid version {version}", where=str(folder), hint="versions start at 1")
    invalid_names = [key for key in statements if key == RELEASE_NAME or not _STATEMENT_NAME.fullmatch(key)]
    if invalid_names:
        raise Misuse(
            f"invalid statement names: {', '.join(map(repr, invalid_names))}", hint="use lower-case words joined by `-`"
        )


def _remove_unfinished_evidence(folder: Path) -> None:
    """Remove what a killed call left: evidence about an older set of files, and temporary files."""
    names = list_files(folder, error=Misuse)
    evidence_files = [
        name for name in names if name.endswith(ENVELOPE_SUFFIX) or name in (INCLUSION_FILE, CHECKPOINT_FILE)
    ]
    leftovers = [name for name in evidence_files if is_evidence(name)]
    leftovers += [name for name in names if name.startswith((".tmp-", f"{EVIDENCE_FOLDER}/.tmp-"))]
    for name in leftovers:
        (folder / name).unlink()
