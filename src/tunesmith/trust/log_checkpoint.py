"""Log checkpoint: origin, size and root in a signed note (C2SP tlog-checkpoint over C2SP signed-note).

    tunesmith/log/<key id>
    <size>
    <root, base64>

    — tunesmith/log/<key id> <base64 of key hash (4 bytes) and signature>

The log is signed by the release key, with note signature type 0x02 (ECDSA over SHA-256 of the text, DER encoded). For that
type C2SP signed-note defines the key hash as the first 4 bytes of SHA-256 over the key as SubjectPublicKeyInfo in DER;
transparency-dev's tools do the same. The hash only selects the key to try and provides no security.

Using one key for statements and log is safe because the signed messages cannot be confused: DSSE bytes begin with `DSSEv1 `,
a checkpoint with its origin.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from tunesmith.errors import IntegrityBroken
from tunesmith.ports import Signer
from tunesmith.trust.keys import PublicKey
from tunesmith.trust.strict_json import decode_base64, encode_base64

SIGNATURE_DASH: Final = "\u2014"

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True)
class Checkpoint:
    """State of a log: `size` entries with Merkle root `root` (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three signed lines."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def log_origin(public: PublicKey) -> str:
    """Name of the log of a key. It is derived from the key, so a verifier needs nothing else."""
    return f"tunesmith/log/{public.key_id}"


def sign_checkpoint(size: int, root: bytes, signer: Signer) -> bytes:
    """Checkpoint as a signed note, UTF-8."""
    public = PublicKey.from_pem(signer.public_pem())
    checkpoint = Checkpoint(log_origin(public), size, root)
    signature = key_hash(public) + signer.sign(checkpoint.text.encode("utf-8"))
    return f"{checkpoint.text}\n{SIGNATURE_DASH} {checkpoint.origin} {encode_base64(signature)}\n".encode()


def open_checkpoint(note: bytes, public: PublicKey, *, where: str) -> Checkpoint:
    """Verify a signed note and return its checkpoint. Signatures of other keys are ignored, as the format requires.

    Raises IntegrityBroken when the note is malformed, is not signed by `public`, or belongs to another log.
    """
    text, signatures = _split_note(note, where)
    own_signatures = [signature for signature in _signatures_of_key(signatures, public, where) if signature is not None]
    if not own_signatures or not all(public.verifies(signature, text.encode("utf-8")) for signature in own_signatures):
        raise IntegrityBroken("the log's checkpoint is not signed by the given key", where=where)
    return _parse_checkpoint(text, public, where)


def key_hash(public: PublicKey) -> bytes:
    """The 4 bytes before a signature that identify its key."""
    return hashlib.sha256(public.der).digest()[:4]


def _split_note(note: bytes, where: str) -> tuple[str, list[str]]:
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IntegrityBroken("the log's checkpoint is not UTF-8", where=where) from error
    text, separator, signatures = whole.rpartition("\n\n")
    if not separator or not signatures.endswith("\n") or any(c < " " and c != "\n" for c in whole):
        raise IntegrityBroken("the log's checkpoint is not a signed note", where=where)
    return f"{text}\n", signatures[:-1].split("\n")


def _signatures_of_key(lines: list[str], public: PublicKey, where: str) -> list[bytes | None]:
    """One entry per line: the signature if it is from this key, else None."""
    signatures_of_key: list[bytes | None] = []
    for line in lines:
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != SIGNATURE_DASH or not parts[1]:
            raise IntegrityBroken("a signature line of the log's checkpoint is malformed", where=where)
        data = decode_base64(parts[2], where=where)
        is_own = parts[1] == log_origin(public) and data[:4] == key_hash(public)
        signatures_of_key.append(data[4:] if is_own else None)
    return signatures_of_key


def _parse_checkpoint(text: str, public: PublicKey, where: str) -> Checkpoint:
    lines = text.split("\n")
    if len(lines) != 4 or lines[0] != log_origin(public) or not _SIZE.fullmatch(lines[1]):
        raise IntegrityBroken("not a checkpoint of this key's log", where=where)
    root = decode_base64(lines[2], where=where)
    if len(root) != 32:
        raise IntegrityBroken("the root in the log's checkpoint is not 32 bytes", where=where)
    return Checkpoint(lines[0], int(lines[1]), root)
