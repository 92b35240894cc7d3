"""Release key: ECDSA on P-256 with SHA-256 and deterministic nonces (RFC 6979), stored as a PEM file with mode 0600."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tunesmith.errors import Misuse
from tunesmith.store.objects import disk_errors

KEY_HINT = "create a key with `tunesmith init --key release.pem`"


@dataclass(frozen=True)
class PublicKey:
    """P-256 public key. Equal keys have equal PEM, DER and id."""

    key: ec.EllipticCurvePublicKey = field(repr=False)

    @classmethod
    def from_pem(cls, pem: bytes, *, where: str = "public key") -> "PublicKey":
        """Read SubjectPublicKeyInfo in PEM. Raises Misuse when it is not a P-256 public key."""
        try:
            key = serialization.load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise Misuse("not a public key in PEM form", where=where, hint=KEY_HINT) from error
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise Misuse("not a P-256 key", where=where, hint=KEY_HINT)
        return cls(key)

    @property
    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM, in one canonical form."""
        return self._spki(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        return self._spki(serialization.Encoding.DER)

    @property
    def key_id(self) -> str:
        """SHA-256 of the DER, 64 hex digits."""
        return hashlib.sha256(self.der).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` (DER-encoded ECDSA over SHA-256) of `message` is valid for this key."""
        try:
            self.key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature:
            return False
        return True

    def _spki(self, encoding: serialization.Encoding) -> bytes:
        return self.key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class FileSigner:
    """Signer with a private key read from a file. `repr` does not show the key."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """ECDSA over SHA-256, DER encoded; the same key and message give the same bytes (RFC 6979)."""
        return self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))

    def public_pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM."""
        return self.public.pem


def make_key(path: Path) -> FileSigner:
    """Create a P-256 key and write it as PKCS #8 PEM with mode 0600. Raises Misuse when `path` exists."""
    signer = FileSigner(ec.generate_private_key(ec.SECP256R1()))
    pem = signer.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private_key(path, pem)
    return signer


def load_signer(path: Path) -> FileSigner:
    """Read a private key from an unencrypted PEM file. Raises Misuse when it is missing or not a P-256 private key."""
    pem = _read_key_file(path)
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misuse("not an unencrypted private key in PEM form", where=str(path), hint=KEY_HINT) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Misuse("not a P-256 key", where=str(path), hint=KEY_HINT)
    return FileSigner(key)


def load_public_pem(path: Path) -> bytes:
    """Public key (PEM) from a PEM file that holds a public or a private key. Raises Misuse."""
    pem = _read_key_file(path)
    if b"PRIVATE KEY-----" in pem:
        return load_signer(path).public_pem()
    return PublicKey.from_pem(pem, where=str(path)).pem


def key_id(public_pem: bytes) -> str:
    """SHA-256 over the DER form of the key (SubjectPublicKeyInfo), 64 hex digits."""
    return PublicKey.from_pem(public_pem).key_id


def _read_key_file(path: Path) -> bytes:
    if not path.is_file():
        raise Misuse("key file not found", where=str(path), hint=KEY_HINT)
    return path.read_bytes()


def _write_private_key(path: Path, data: bytes) -> None:
    """Write a new file with mode 0600. O_EXCL ensures that an existing file is never replaced, also under races."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        hint = "keys are never overwritten, since their signatures would become unverifiable; choose another path"
        raise Misuse("key file already exists", where=str(path), hint=hint) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
