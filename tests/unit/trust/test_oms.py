import json
from pathlib import Path
from typing import Any

import pytest

from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.trust import FileSigner
from tunesmith.trust.envelope import make_envelope
from tunesmith.trust.oms import NEVER_COVERED, sign_folder, uncovered_files, verify_folder
from tunesmith.trust.statement import statement_bytes
from tunesmith.trust.strict_json import decode_base64


@pytest.fixture
def model(tmp_path: Path, signer: FileSigner) -> Path:
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"a")
    (folder / "sub" / "b.bin").write_bytes(b"b")
    sign_folder(folder, signer, name="model")
    return folder


def rewrite(model: Path, signer: FileSigner, **predicate: Any) -> None:
    """Sign again, with predicate changes that an honest signer never makes."""
    bundle = json.loads((model / "model.sig").read_bytes())
    statement = json.loads(decode_base64(bundle["dsseEnvelope"]["payload"], where="f"))
    statement["predicate"] |= predicate
    bundle["dsseEnvelope"] = make_envelope(statement_bytes(statement), signer, keyid="")
    (model / "model.sig").write_text(json.dumps(bundle))


def serialization(**change: Any) -> dict[str, Any]:
    return {"method": "files", "hash_type": "sha256", "allow_symlinks": False, "ignore_paths": []} | change


def test_it_covers_every_file_but_itself(model: Path, signer: FileSigner) -> None:
    assert sorted(verify_folder(model, signer.public, exact=True)) == ["a.bin", "sub/b.bin"]


def test_a_signature_may_lie_elsewhere(model: Path, tmp_path: Path, signer: FileSigner) -> None:
    (model / "model.sig").rename(tmp_path / "other.sig")
    result = verify_folder(model, signer.public, signature=tmp_path / "other.sig", exact=False)
    assert sorted(result) == ["a.bin", "sub/b.bin"]


def test_a_renamed_folder_still_verifies(model: Path, signer: FileSigner) -> None:
    moved = model.rename(model.parent / "moved")
    assert len(verify_folder(moved, signer.public)) == 2


@pytest.mark.parametrize("name", NEVER_COVERED)
def test_names_that_are_never_covered_are_refused(model: Path, signer: FileSigner, name: str) -> None:
    path = model / name / "hook.sh" if name in (".git", ".github") else model / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"#!/bin/sh\n")
    relative = path.relative_to(model).as_posix()
    assert uncovered_files(model) == [relative]
    with pytest.raises(IntegrityBroken, match="an OMS signature cannot cover these files") as caught:
        verify_folder(model, signer.public)
    assert relative in str(caught.value)
    with pytest.raises(Misuse) as misuse:
        sign_folder(model, signer, name="model")
    assert relative in str(misuse.value)


def test_such_a_name_below_the_root_is_an_added_file_like_any_other(model: Path, signer: FileSigner) -> None:
    (model / "sub" / ".gitignore").write_bytes(b"")
    with pytest.raises(IntegrityBroken, match=r"added sub/\.gitignore"):
        verify_folder(model, signer.public)


@pytest.mark.parametrize("path", ["a.bin", "./model.sig", "sub", "*", ".gitmodules", 1, None])
def test_a_signature_cannot_exempt_files(model: Path, signer: FileSigner, path: object) -> None:
    rewrite(model, signer, serialization=serialization(ignore_paths=[".git", path]))
    with pytest.raises(IntegrityBroken, match="exempts files") as caught:
        verify_folder(model, signer.public)
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"method": "shards"},
        {"hash_type": "blake3"},
        {"allow_symlinks": True},
        {"allow_symlinks": "false"},
        {"ignore_paths": None},
    ],
)
def test_other_serializations_are_refused(model: Path, signer: FileSigner, change: dict[str, Any]) -> None:
    rewrite(model, signer, serialization=serialization(**change))
    with pytest.raises(IntegrityBroken):
        verify_folder(model, signer.public)


@pytest.mark.parametrize("digest", ["", "zz" * 32, "AB" * 32])
def test_a_file_without_a_sha256_is_refused(model: Path, signer: FileSigner, digest: str) -> None:
    rewrite(model, signer, resources=[{"name": "a.bin", "algorithm": "sha256", "digest": digest}])
    with pytest.raises(IntegrityBroken, match=r"a\.bin"):
        verify_folder(model, signer.public)


def test_a_signature_that_contradicts_itself_is_refused(model: Path, signer: FileSigner) -> None:
    rewrite(model, signer, resources=[{"name": "a.bin", "algorithm": "sha256", "digest": "ab" * 32}])
    with pytest.raises(IntegrityBroken, match="is inconsistent"):
        verify_folder(model, signer.public)


@pytest.mark.parametrize("media_type", [None, "application/vnd.dev.sigstore.bundle.v0.4+json"])
def test_another_bundle_type_is_refused(model: Path, signer: FileSigner, media_type: str | None) -> None:
    bundle = json.loads((model / "model.sig").read_bytes())
    (model / "model.sig").write_text(json.dumps(bundle | {"mediaType": media_type}))
    with pytest.raises(IntegrityBroken, match="not a bundle of type"):
        verify_folder(model, signer.public)


def test_another_statement_of_the_same_key_is_no_model_signature(model: Path, signer: FileSigner) -> None:
    bundle = json.loads((model / "model.sig").read_bytes())
    statement = json.loads(decode_base64(bundle["dsseEnvelope"]["payload"], where="f"))
    statement["predicateType"] = "https://model_signing/Digests/v0.1"
    bundle["dsseEnvelope"] = make_envelope(statement_bytes(statement), signer, keyid="")
    (model / "model.sig").write_text(json.dumps(bundle))
    with pytest.raises(IntegrityBroken, match=r"not an OMS v1\.0 signature"):
        verify_folder(model, signer.public)


@pytest.mark.parametrize("count", [0, 2])
def test_a_model_signature_has_one_signer(model: Path, signer: FileSigner, count: int) -> None:
    bundle = json.loads((model / "model.sig").read_bytes())
    good = bundle["dsseEnvelope"]["signatures"][0]
    bundle["dsseEnvelope"]["signatures"] = [good, good | {"keyid": "other"}][:count]
    (model / "model.sig").write_text(json.dumps(bundle))
    with pytest.raises(IntegrityBroken, match="exactly one signer"):
        verify_folder(model, signer.public)


def test_exact_refuses_another_spelling_of_the_same_signature(model: Path, signer: FileSigner) -> None:
    path = model / "model.sig"
    path.write_text(json.dumps(json.loads(path.read_bytes()), indent=1))
    assert len(verify_folder(model, signer.public)) == 2
    with pytest.raises(IntegrityBroken, match="was rewritten") as caught:
        verify_folder(model, signer.public, exact=True)
    assert caught.value.where == str(path)


def test_an_exempted_name_is_still_looked_at(model: Path, tmp_path: Path, signer: FileSigner) -> None:
    """The signature exempts itself, `model.sig`. If it is stored elsewhere, a file of that name counts as added."""
    (model / "model.sig").rename(tmp_path / "other.sig")
    (model / "model.sig").write_bytes(b"not the signature")
    with pytest.raises(IntegrityBroken, match=r"added model\.sig"):
        verify_folder(model, signer.public, signature=tmp_path / "other.sig")


def test_nothing_to_sign_is_misuse(tmp_path: Path, signer: FileSigner) -> None:
    with pytest.raises(Misuse, match="no file to sign"):
        sign_folder(tmp_path, signer, name="model")
