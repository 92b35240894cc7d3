"""Sign a release, then tamper with it: every change is refused, and the message names the path."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunesmith.errors import IntegrityBroken, Misuse
from tunesmith.trust import FileSigner, make_statement, sign_release, verify_release
from tunesmith.trust.envelope import sign_statement, verified_payload
from tunesmith.trust.log import Log
from tunesmith.trust.oms import sign_folder
from tunesmith.trust.statement import release_statement, statement_subjects

Sealing = Callable[[Path, FileSigner, Path], dict[str, str]]
Filling = Callable[[Path], Path]


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def sign_again(release: Path, signer: FileSigner) -> None:
    """An attack only the key owner can mount: a valid model.sig over invalid evidence."""
    (release / "model.sig").unlink()
    sign_folder(release, signer, name="support-desk-3")


def refused(release: Path, signer: FileSigner, path: str) -> IntegrityBroken:
    with pytest.raises(IntegrityBroken) as caught:
        verify_release(release, signer.public_pem())
    assert path in str(caught.value)
    assert caught.value.exit_code == 4
    return caught.value


def test_a_good_release(release: Path, signer: FileSigner) -> None:
    verified = verify_release(release, signer.public_pem())
    assert (verified.name, verified.version, verified.files) == ("support-desk", 3, 12)
    assert [statement.name for statement in verified.statements] == ["audit", "evaluate"]
    assert verified.statements[0].predicate_type == "https://example.test/audit/v1"
    assert verified.statements[0].statement["predicate"] == {"rows": 17}
    with pytest.raises(dataclasses.FrozenInstanceError):
        verified.version = 4  # type: ignore[misc]


def test_what_is_on_disk(release: Path) -> None:
    assert sorted(tree(release)) == sorted(
        [
            "README.md",
            "adapter/adapter.safetensors",
            "adapter/adapter_config.json",
            "bom.cdx.json",
            "empty.txt",
            "evidence/audit.dsse.json",
            "evidence/checkpoint.txt",
            "evidence/evaluate.dsse.json",
            "evidence/inclusion.json",
            "evidence/release.dsse.json",
            "model.safetensors",
            "model.sig",
            "release.pub",
        ]
    )


def test_the_digests_given_back_are_those_covered(unsigned: Path, signer: FileSigner, sealing: Sealing) -> None:
    digests = sealing(unsigned, signer, unsigned.parent / "log")
    assert set(digests) == set(tree(unsigned)) - {"model.sig"}


def test_same_files_key_and_log_give_the_same_bytes(
    release: Path, tmp_path: Path, signer: FileSigner, sealing: Sealing, filling: Filling
) -> None:
    again = filling(tmp_path / "elsewhere")
    sealing(again, signer, tmp_path / "log")
    assert tree(again) == tree(release)


def test_checking_changes_nothing(release: Path, signer: FileSigner) -> None:
    before = tree(release)
    verify_release(release, signer.public_pem())
    assert tree(release) == before


def test_any_changed_byte_of_any_file(master: Path, tmp_path: Path, signer: FileSigner) -> None:
    release = Path(shutil.copytree(master, tmp_path / "release"))
    contents = {name: data for name, data in tree(release).items() if data}

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(sorted(contents)), st.data())
    def check(name: str, data: st.DataObject) -> None:
        changed = bytearray(contents[name])
        changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        (release / name).write_bytes(changed)
        try:
            refused(release, signer, name)
        finally:
            (release / name).write_bytes(contents[name])

    check()
    assert verify_release(release, signer.public_pem()).files == 12


def test_any_changed_byte_of_the_signature(release: Path, signer: FileSigner) -> None:
    """Flip one bit in every tenth byte of model.sig, chosen so that most bytes stay printable."""
    path = release / "model.sig"
    data = path.read_bytes()
    for place in range(0, len(data), 10):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        refused(release, signer, "model.sig")


@pytest.mark.parametrize("tail", [b"\n", b" ", b"\0"])
def test_a_longer_signature_file(release: Path, signer: FileSigner, tail: bytes) -> None:
    path = release / "model.sig"
    path.write_bytes(path.read_bytes() + tail)
    refused(release, signer, "model.sig")


def test_a_truncated_and_an_emptied_file(release: Path, signer: FileSigner) -> None:
    for name, data in tree(release).items():
        for shorter in {data[:-1], b""} - {data}:
            (release / name).write_bytes(shorter)
            refused(release, signer, name)
        (release / name).write_bytes(data)


def test_a_removed_file(release: Path, signer: FileSigner) -> None:
    for name, data in tree(release).items():
        (release / name).unlink()
        refused(release, signer, name)
        (release / name).write_bytes(data)


@pytest.mark.parametrize(
    "name", ["new.bin", "adapter/new.bin", "evidence/new.dsse.json", "deep/er/new", ".hidden", "model.sig.bak", " "]
)
def test_an_added_file(release: Path, signer: FileSigner, name: str) -> None:
    (release / name).parent.mkdir(parents=True, exist_ok=True)
    (release / name).write_bytes(b"")
    refused(release, signer, f"added {name}")


@pytest.mark.parametrize("name", [".git/config", ".github/run.yml", ".gitignore", ".gitattributes"])
def test_an_added_file_that_oms_would_not_see(release: Path, signer: FileSigner, name: str) -> None:
    (release / name).parent.mkdir(exist_ok=True)
    (release / name).write_bytes(b"x")
    refused(release, signer, name)


def test_a_renamed_file(release: Path, signer: FileSigner) -> None:
    (release / "README.md").rename(release / "readme.md")
    error = refused(release, signer, "missing README.md")
    assert "added readme.md" in str(error)


def test_swapped_files(release: Path, signer: FileSigner) -> None:
    """The OMS root digest does not cover file names; the file list does."""
    one, two = release / "README.md", release / "bom.cdx.json"
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    error = refused(release, signer, "changed README.md")
    assert "changed bom.cdx.json" in str(error)


def test_a_file_replaced_by_a_link_to_the_same_bytes(release: Path, tmp_path: Path, signer: FileSigner) -> None:
    for name in ("README.md", "model.sig", "evidence/checkpoint.txt"):
        (release / name).rename(tmp_path / "outside")
        (release / name).symlink_to(tmp_path / "outside")
        refused(release, signer, name)
        (tmp_path / "outside").replace(release / name)


def test_a_linked_folder(release: Path, tmp_path: Path, signer: FileSigner) -> None:
    (release / "adapter").rename(tmp_path / "outside")
    (release / "adapter").symlink_to(tmp_path / "outside", target_is_directory=True)
    refused(release, signer, "adapter")


def test_the_signature_of_another_release(release: Path, tmp_path: Path, signer: FileSigner, filling: Filling) -> None:
    other = filling(tmp_path / "other")
    (other / "README.md").write_bytes(b"another card")
    sign_release(other, signer, name="support-desk", version=4, statements={}, log_folder=tmp_path / "log")
    shutil.copy(other / "model.sig", release / "model.sig")
    refused(release, signer, "README.md")


def test_a_wrong_key(release: Path, stranger: FileSigner) -> None:
    assert "not signed by the given key" in refused(release, stranger, "model.sig").what


def test_the_key_in_the_folder_is_never_used(
    tmp_path: Path, signer: FileSigner, stranger: FileSigner, sealing: Sealing, filling: Filling
) -> None:
    """A completely forged release with its own key verifies with that key and is refused with the real one."""
    forged = filling(tmp_path / "forged")
    sealing(forged, stranger, tmp_path / "log")
    assert verify_release(forged, stranger.public_pem()).name == "support-desk"
    refused(forged, signer, "model.sig")


def test_a_key_swapped_in_the_folder_is_a_changed_file(release: Path, signer: FileSigner, stranger: FileSigner) -> None:
    (release / "release.pub").write_bytes(stranger.public_pem())
    refused(release, signer, "changed release.pub")
    refused(release, stranger, "model.sig")


def test_a_bad_key_or_folder_is_misuse(release: Path, tmp_path: Path, signer: FileSigner) -> None:
    with pytest.raises(Misuse, match="not a public key"):
        verify_release(release, b"garbage")
    with pytest.raises(Misuse, match="release folder not found"):
        verify_release(tmp_path / "absent", signer.public_pem())


# From here on the signature over the folder is good, and only the evidence below it is not.


def test_a_file_that_the_release_statement_does_not_list(release: Path, signer: FileSigner) -> None:
    (release / "new.bin").write_bytes(b"new")
    sign_again(release, signer)
    error = refused(release, signer, "added new.bin")
    assert "evidence/release.dsse.json" in str(error)


def test_a_file_that_the_release_statement_lists_otherwise(release: Path, signer: FileSigner) -> None:
    (release / "README.md").write_bytes(b"new card")
    sign_again(release, signer)
    refused(release, signer, "changed README.md")
    (release / "README.md").unlink()
    sign_again(release, signer)
    refused(release, signer, "missing README.md")


@pytest.mark.parametrize("name", ["release.dsse.json", "inclusion.json", "checkpoint.txt"])
def test_missing_evidence(release: Path, signer: FileSigner, name: str) -> None:
    (release / "evidence" / name).unlink()
    sign_again(release, signer)
    refused(release, signer, f"evidence/{name}")


@pytest.mark.parametrize("name", ["release", "audit"])
def test_a_statement_by_another_key(release: Path, signer: FileSigner, stranger: FileSigner, name: str) -> None:
    statement = make_statement({}, predicate_type="https://example.test/x", predicate={})
    (release / "evidence" / f"{name}.dsse.json").write_bytes(sign_statement(statement, stranger))
    sign_again(release, signer)
    refused(release, signer, f"evidence/{name}.dsse.json")


def test_a_statement_deeper_in_the_evidence_is_checked_too(release: Path, signer: FileSigner) -> None:
    (release / "evidence" / "more").mkdir()
    (release / "evidence" / "more" / "x.dsse.json").write_bytes(b"{}")
    sign_again(release, signer)
    refused(release, signer, "evidence/more/x.dsse.json")


def test_another_kind_of_statement_is_no_release(release: Path, signer: FileSigner) -> None:
    envelope = release / "evidence" / "release.dsse.json"
    audit = make_statement(_subjects(release, signer), predicate_type="https://example.test/x", predicate={})
    envelope.write_bytes(sign_statement(audit, signer))
    sign_again(release, signer)
    assert "not a release statement" in refused(release, signer, "evidence/release.dsse.json").what


def test_a_release_missing_from_the_log(release: Path, signer: FileSigner) -> None:
    statement = release_statement(_subjects(release, signer), name="support-desk", version=9)
    (release / "evidence" / "release.dsse.json").write_bytes(sign_statement(statement, signer))
    sign_again(release, signer)
    assert "another release" in refused(release, signer, "evidence/inclusion.json").what


def test_the_log_of_another_key(release: Path, tmp_path: Path, signer: FileSigner, stranger: FileSigner) -> None:
    log = Log(tmp_path / "log", stranger)
    log.append((release / "evidence" / "release.dsse.json").read_bytes())
    (release / "evidence" / "checkpoint.txt").write_bytes(log.prove(0)[1])
    sign_again(release, signer)
    refused(release, signer, "evidence/checkpoint.txt")


def test_a_checkpoint_of_another_size_or_another_log(release: Path, tmp_path: Path, signer: FileSigner) -> None:
    log = Log(tmp_path / "log", signer)
    log.append(b"something else")
    (release / "evidence" / "checkpoint.txt").write_bytes(log.prove(0)[1])
    sign_again(release, signer)
    assert "does not match the root" in refused(release, signer, "evidence/inclusion.json").what
    log.append(b"and more")
    (release / "evidence" / "checkpoint.txt").write_bytes(log.prove(0)[1])
    sign_again(release, signer)
    assert "does not match the checkpoint" in refused(release, signer, "evidence/inclusion.json").what


@pytest.mark.parametrize(
    "change", [{"index": 1}, {"index": -1}, {"hashes": ["AA=="]}, {"leaf": ""}, {"size": 2}, {"size": 0}]
)
def test_a_changed_inclusion_proof(release: Path, signer: FileSigner, change: dict[str, object]) -> None:
    path = release / "evidence" / "inclusion.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    sign_again(release, signer)
    refused(release, signer, "evidence/inclusion.json")


def _subjects(release: Path, signer: FileSigner) -> dict[str, str]:
    envelope = json.loads((release / "evidence" / "release.dsse.json").read_bytes())
    return statement_subjects(json.loads(verified_payload(envelope, signer.public, where="f")), where="f")


# Signing.


def test_releases_of_one_log_follow_each_other(tmp_path: Path, signer: FileSigner, filling: Filling) -> None:
    for version in range(1, 6):
        folder = filling(tmp_path / str(version))
        sign_release(folder, signer, name="desk", version=version, statements={}, log_folder=tmp_path / "log")
        proof = json.loads((folder / "evidence" / "inclusion.json").read_bytes())
        assert (proof["index"], proof["size"]) == (version - 1, version)
    for version in range(1, 6):
        assert verify_release(tmp_path / str(version), signer.public_pem()).version == version


@pytest.mark.parametrize("last", ["release.pub", "release.dsse.json", "audit.dsse.json", "checkpoint.txt", "model.sig"])
def test_killed_while_signing_then_signed_again(
    release: Path,
    tmp_path: Path,
    signer: FileSigner,
    sealing: Sealing,
    filling: Filling,
    monkeypatch: pytest.MonkeyPatch,
    last: str,
) -> None:
    folder = filling(tmp_path / "again")
    replace = os.replace

    def killed(source: str, target: Path) -> None:
        if Path(target).name == last and folder in Path(target).parents:
            Path(target).with_name(".tmp-left-behind").write_bytes(b"half")
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        sealing(folder, signer, tmp_path / "log")
    with pytest.raises(IntegrityBroken):
        verify_release(folder, signer.public_pem())
    sealing(folder, signer, tmp_path / "log")
    assert tree(folder) == tree(release)
    assert Log(tmp_path / "log", signer).size == 1


def test_a_signed_release_is_not_signed_again(
    release: Path, tmp_path: Path, signer: FileSigner, sealing: Sealing
) -> None:
    before = tree(release)
    with pytest.raises(Misuse, match="already signed"):
        sealing(release, signer, tmp_path / "log")
    assert tree(release) == before


@pytest.mark.parametrize(
    "problem", ["absent", "nothing", "only a key", "log inside", "git", "link", "version", "name", "statement"]
)
def test_a_failed_signing_leaves_no_log_entry(unsigned: Path, tmp_path: Path, signer: FileSigner, problem: str) -> None:
    folder, log_folder, version, statements = unsigned, tmp_path / "log", 3, {}
    good = make_statement({}, predicate_type="t", predicate={})
    match problem:
        case "absent":
            folder = tmp_path / "absent"
        case "nothing" | "only a key":
            folder = tmp_path / "nothing"
            folder.mkdir()
            if problem == "only a key":
                (folder / "release.pub").write_bytes(signer.public_pem())
        case "log inside":
            log_folder = unsigned / "log"
        case "git":
            (unsigned / ".gitignore").write_bytes(b"")
        case "link":
            (unsigned / "link").symlink_to(unsigned / "README.md")
        case "version":
            version = 0
        case "name":
            statements = {"release": good}
        case "statement":
            statements = {"../escape": good}
    with pytest.raises(Misuse):
        sign_release(folder, signer, name="desk", version=version, statements=statements, log_folder=log_folder)
    assert not (log_folder / "checkpoint.txt").exists()
    assert not (folder / "model.sig").exists()
