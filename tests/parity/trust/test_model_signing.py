"""Interoperability with the library and command line of model_signing 1.1.1, the reference tool for OMS v1.0."""

import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.errors import IntegrityBroken
from tunesmith.trust import FileSigner, load_signer, make_key, make_statement, sign_release, verify_release
from tunesmith.trust.oms import sign_folder, verify_folder

hashing = pytest.importorskip("model_signing.hashing", exc_type=ImportError)
signing = pytest.importorskip("model_signing.signing", exc_type=ImportError)
verifying = pytest.importorskip("model_signing.verifying", exc_type=ImportError)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    signer = make_key(folder / "release.pem")
    (folder / "release.pub").write_bytes(signer.public_pem())
    return folder / "release.pem"


@pytest.fixture(scope="module")
def signer(key: Path) -> FileSigner:
    return load_signer(key)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    for name in ("a-b", "a/b", "a/c/d.bin", "Z.txt", "modèle.json", ".hidden"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 1000)
    return folder


def theirs_verifies(model: Path, key: Path) -> None:
    config = verifying.Config().use_elliptic_key_verifier(public_key=key.with_suffix(".pub"))
    config.verify(model, model / "model.sig")


def test_ours_is_accepted(model: Path, key: Path, signer: FileSigner) -> None:
    sign_folder(model, signer, name="model")
    theirs_verifies(model, key)


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_their_tool_and_ours_refuse_the_same(model: Path, key: Path, signer: FileSigner, change: str) -> None:
    sign_folder(model, signer, name="model")
    match change:
        case "changed":
            (model / "a" / "b").write_bytes(b"x")
        case "added":
            (model / "new").write_bytes(b"x")
        case "removed":
            (model / "a" / "b").unlink()
    with pytest.raises(ValueError, match="Signature mismatch"):
        theirs_verifies(model, key)
    with pytest.raises(IntegrityBroken):
        verify_folder(model, signer.public)


def test_theirs_is_accepted(model: Path, tmp_path: Path, key: Path, signer: FileSigner) -> None:
    signing.Config().use_elliptic_key_signer(private_key=key).sign(model, tmp_path / "their.sig")
    result = verify_folder(model, signer.public, signature=tmp_path / "their.sig")
    assert sorted(result) == [".hidden", "Z.txt", "a-b", "a/b", "a/c/d.bin", "modèle.json"]
    (model / "a" / "b").write_bytes(b"x")
    with pytest.raises(IntegrityBroken, match="changed a/b"):
        verify_folder(model, signer.public, signature=tmp_path / "their.sig")


def test_a_file_that_their_signer_exempted_is_refused(
    model: Path, tmp_path: Path, key: Path, signer: FileSigner
) -> None:
    """Their verifier accepts a replaced exempted file; ours does not."""
    config = hashing.Config().set_ignored_paths(paths=["a-b"])
    signing.Config().use_elliptic_key_signer(private_key=key).set_hashing_config(config).sign(
        model, tmp_path / "their.sig"
    )
    (model / "a-b").write_bytes(b"replaced")
    public = key.with_suffix(".pub")
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, tmp_path / "their.sig")
    with pytest.raises(IntegrityBroken, match="exempts files: 'a-b'"):
        verify_folder(model, signer.public, signature=tmp_path / "their.sig")


def test_a_release_is_accepted_by_their_command(model: Path, tmp_path: Path, key: Path, signer: FileSigner) -> None:
    statement = make_statement({}, predicate_type="https://example.test/x", predicate={})
    sign_release(
        model, signer, name="support-desk", version=1, statements={"audit": statement}, log_folder=tmp_path / "log"
    )
    assert verify_release(model, signer.public_pem()).files == 11
    done = _command("verify", "key", model, "--signature", model / "model.sig", "--public_key", key.with_suffix(".pub"))
    assert done.returncode == 0, done.stderr
    (model / "evidence" / "checkpoint.txt").write_bytes(b"x")
    done = _command("verify", "key", model, "--signature", model / "model.sig", "--public_key", key.with_suffix(".pub"))
    assert done.returncode != 0


def test_their_command_signs_inside_the_folder(model: Path, key: Path, signer: FileSigner) -> None:
    done = _command("sign", "key", model, "--signature", model / "model.sig", "--private_key", key)
    assert done.returncode == 0, done.stderr
    assert len(verify_folder(model, signer.public)) == 6


def _command(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_signing", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)
