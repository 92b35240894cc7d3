"""OpenSSF Model Signing (OMS) v1.0: one signature over all files of a folder, in a Sigstore bundle.

Implements the OMS v1.0 specification (ossf/model-signing-spec); bundles are interchangeable with model_signing 1.1.1. Stricter
than that tool in two ways: a signature cannot exempt files through its own `ignore_paths`, and the names that OMS never covers
(`.git` and similar at the root) must not exist. The OMS root digest does not include file names, so it is checked but never
used to identify a release.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tunesmith.artifacts import canonical_bytes
from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.ports import Signer
from tunesmith.store.objects import write_atomic
from tunesmith.trust.envelope import make_envelope, verified_payload
from tunesmith.trust.files import compare_digests, digest_files, list_files
from tunesmith.trust.keys import PublicKey
from tunesmith.trust.release_layout import SIGNATURE_FILE
from tunesmith.trust.statement import make_statement, parse_statement, statement_bytes, statement_subjects
from tunesmith.trust.strict_json import parse_object, require_field

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
NEVER_COVERED: Final = (".git", ".gitattributes", ".github", ".gitignore")

_SHA256 = re.compile(r"[0-9a-f]{64}")


def sign_folder(folder: Path, signer: Signer, *, name: str) -> dict[str, str]:
    """Sign all files below `folder` and write `model.sig`. Returns {path: SHA-256 hex} of the signed files.

    `name` is informative. Raises Misuse when the folder is empty or contains something a signature cannot cover.
    """
    reject_uncovered(folder, Misuse)
    digests = digest_files(folder, skip=frozenset({SIGNATURE_FILE}), error=Misuse)
    if not digests:
        raise Misuse("no file to sign", where=str(folder))
    public = PublicKey.from_pem(signer.public_pem())
    envelope = make_envelope(statement_bytes(_signature_statement(digests, name)), signer, keyid="")
    write_atomic(folder / SIGNATURE_FILE, _bundle_bytes(envelope, public))
    return digests


def verify_folder(
    folder: Path, public: PublicKey, *, signature: Path | None = None, exact: bool = False
) -> dict[str, str]:
    """Verify that the files are exactly those signed by `public`. Returns {path: SHA-256 hex}. Raises IntegrityBroken.

    `signature` defaults to `model.sig` in the folder. With `exact`, the bundle must also have the exact bytes that
    `sign_folder` writes, so that no byte of it can be changed.
    """
    path = folder / SIGNATURE_FILE if signature is None else signature
    if not path.is_file():
        raise IntegrityBroken("signature file not found", where=str(path))
    bundle = path.read_bytes()
    resources = _open_bundle(bundle, public, path=path)
    if exact and _bundle_bytes(parse_object(bundle, where=str(path))["dsseEnvelope"], public) != bundle:
        raise IntegrityBroken("the signature file was rewritten", where=str(path))
    reject_uncovered(folder, IntegrityBroken)
    signature_itself = frozenset({path.name}) if path.parent.resolve() == folder.resolve() else frozenset()
    file_digests = digest_files(folder, skip=signature_itself, error=IntegrityBroken)
    compare_digests(resources, file_digests, where=folder, by=path.name)
    return file_digests


def uncovered_files(folder: Path) -> list[str]:
    """Files below a folder that an OMS signature never covers."""
    return [name for name in list_files(folder, error=IntegrityBroken) if name.split("/")[0] in NEVER_COVERED]


def reject_uncovered(folder: Path, error: type[Misuse] | type[IntegrityBroken]) -> None:
    """Raise `error`, listing the files, when the folder contains names that OMS never covers."""
    names = sorted(name for name in NEVER_COVERED if (folder / name).exists())
    if names:
        raise error(
            f"an OMS signature cannot cover these files: {', '.join(uncovered_files(folder) or names)}",
            where=str(folder / names[0]),
            hint="remove them; changes to them would go undetected",
        )


def _signature_statement(digests: Mapping[str, str], name: str) -> dict[str, Any]:
    resources = [{"name": path, "algorithm": "sha256", "digest": digest} for path, digest in digests.items()]
    serialization = {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": sorted([*NEVER_COVERED, SIGNATURE_FILE]),
    }
    return make_statement(
        {name: _root_digest(digests)},
        predicate_type=PREDICATE_TYPE,
        predicate={"serialization": serialization, "resources": resources},
    )


def _root_digest(digests: Mapping[str, str]) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests.values())).hexdigest()


def _bundle_bytes(envelope: dict[str, Any], public: PublicKey) -> bytes:
    """`hint` is the SHA-256 of the key's PEM text, as in model_signing 1.1.1."""
    signatures = [{"keyid": "", "sig": entry["sig"]} for entry in envelope["signatures"]]
    hint = hashlib.sha256(public.pem).hexdigest()
    return canonical_bytes(
        {
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": envelope["payload"],
                "payloadType": envelope["payloadType"],
                "signatures": signatures,
            },
        }
    )


def _open_bundle(data: bytes, public: PublicKey, *, path: Path) -> dict[str, str]:
    """Verify the signature and return the signed {path: SHA-256 hex}."""
    where = str(path)
    bundle = parse_object(data, where=where)
    if bundle.get("mediaType") != MEDIA_TYPE:
        raise IntegrityBroken(f"not a bundle of type {MEDIA_TYPE}", where=where)
    envelope: dict[str, Any] = require_field(bundle, "dsseEnvelope", dict, where=where)
    if len(require_field(envelope, "signatures", list, where=where)) != 1:
        raise IntegrityBroken("a model signature must have exactly one signer", where=where)
    statement = parse_statement(verified_payload(envelope, public, where=where), where=where)
    if statement["predicateType"] != PREDICATE_TYPE:
        raise IntegrityBroken("not an OMS v1.0 signature", where=where)
    _check_serialization(statement["predicate"], path)
    resources = _signed_files(statement["predicate"], where)
    if list(statement_subjects(statement, where=where).values()) != [_root_digest(resources)]:
        raise IntegrityBroken("the signature is inconsistent: its root digest does not match its files", where=where)
    return resources


def _check_serialization(predicate: dict[str, Any], path: Path) -> None:
    serialization = require_field(predicate, "serialization", dict, where=str(path))
    expected = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    for name, value in expected.items():
        if serialization.get(name) != value:
            raise IntegrityBroken(
                f"unsupported {name} {serialization.get(name)!r} in the signature, expected {value!r}", where=str(path)
            )
    ignored = require_field({"ignore_paths": [], **serialization}, "ignore_paths", list, where=str(path))
    exempted = [entry for entry in ignored if entry not in (*NEVER_COVERED, SIGNATURE_FILE, path.name)]
    if exempted:
        raise IntegrityBroken(
            f"the signature exempts files: {', '.join(map(repr, exempted))}",
            where=str(path),
            hint="an exempted file can be replaced undetected; ask the publisher for a signature over all files",
        )


def _signed_files(predicate: dict[str, Any], where: str) -> dict[str, str]:
    resources: dict[str, str] = {}
    for entry in require_field(predicate, "resources", list, where=where):
        name = require_field(entry, "name", str, where=where)
        digest = require_field(entry, "digest", str, where=where)
        if name in resources or entry.get("algorithm") != "sha256" or not _SHA256.fullmatch(digest):
            raise IntegrityBroken(f"file {name!r} is listed twice or without SHA-256", where=where)
        resources[name] = digest
    return resources
