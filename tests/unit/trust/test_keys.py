import hashlib
import os
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from tunesmith.errors import Misuse
from tunesmith.ports import Signer
from tunesmith.trust import FileSigner, PublicKey, key_id, load_public_pem, load_signer, make_key


def test_key_file_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_key(tmp_path / "keys" / "release.pem")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "keys" / "release.pem").stat().st_mode) == 0o600


def test_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "release.pem"
    make_key(path)
    before = path.read_bytes()
    with pytest.raises(Misuse, match="already exists") as caught:
        make_key(path)
    assert caught.value.where == str(path)
    assert path.read_bytes() == before


def test_a_dangling_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "release.pem").symlink_to(tmp_path / "elsewhere.pem")
    with pytest.raises(Misuse, match="already exists"):
        make_key(tmp_path / "release.pem")
    assert not (tmp_path / "elsewhere.pem").exists()


def test_load_gives_the_key_that_was_made(tmp_path: Path) -> None:
    key: Signer = make_key(tmp_path / "release.pem")
    loaded = load_signer(tmp_path / "release.pem")
    assert loaded.public_pem() == key.public_pem()
    assert loaded.public.verifies(key.sign(b"message"), b"message")


def test_public_key_from_public_and_from_private_file(tmp_path: Path, signer: FileSigner) -> None:
    key = make_key(tmp_path / "release.pem")
    (tmp_path / "release.pub").write_bytes(key.public_pem())
    assert load_public_pem(tmp_path / "release.pub") == key.public_pem()
    assert load_public_pem(tmp_path / "release.pem") == key.public_pem()
    assert key.public_pem() != signer.public_pem()


def test_key_id_is_the_digest_of_the_spki(signer: FileSigner) -> None:
    der = signer.key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key_id(signer.public_pem()) == hashlib.sha256(der).hexdigest()


def test_signing_twice_gives_the_same_bytes(signer: FileSigner) -> None:
    assert signer.sign(b"message") == signer.sign(b"message")
    assert signer.sign(b"message") != signer.sign(b"another")


def test_a_signature_holds_for_its_message_and_key_only(signer: FileSigner, stranger: FileSigner) -> None:
    signature = signer.sign(b"message")
    assert signer.public.verifies(signature, b"message")
    assert not signer.public.verifies(signature, b"messagf")
    assert not stranger.public.verifies(signature, b"message")
    assert not signer.public.verifies(b"", b"message")


def test_the_private_key_is_not_shown(signer: FileSigner) -> None:
    assert repr(signer) == "FileSigner()"


@pytest.mark.parametrize(
    "name", ["absent.pem", "garbage.pem", "p384.pem", "ed25519.pem", "encrypted.pem", "public.pem"]
)
def test_unusable_private_keys_are_misuse(tmp_path: Path, name: str, signer: FileSigner) -> None:
    def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, password: bytes = b"") -> bytes:
        lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)

    contents = {
        "garbage.pem": b"not a key",
        "p384.pem": pem(ec.generate_private_key(ec.SECP384R1())),
        "ed25519.pem": pem(ed25519.Ed25519PrivateKey.generate()),
        "encrypted.pem": pem(ec.generate_private_key(ec.SECP256R1()), b"secret"),
        "public.pem": signer.public_pem(),
    }
    if name in contents:
        (tmp_path / name).write_bytes(contents[name])
    with pytest.raises(Misuse) as caught:
        load_signer(tmp_path / name)
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"])
def test_unusable_public_keys_are_misuse(pem: bytes) -> None:
    with pytest.raises(Misuse, match="not a public key"):
        PublicKey.from_pem(pem)


def test_public_key_of_another_curve_is_misuse() -> None:
    pem = (
        ec.generate_private_key(ec.SECP384R1())
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(Misuse, match="not a P-256 key"):
        PublicKey.from_pem(pem)
