import os
from pathlib import Path

import pytest

from tunesmith.errors import IntegrityBroken, Misuse, StoreLocked
from tunesmith.store import RunLock
from tunesmith.trust import FileSigner
from tunesmith.trust.log import InclusionProof, Log
from tunesmith.trust.log_checkpoint import open_checkpoint
from tunesmith.trust.merkle import leaf_hash, verify_consistency, verify_inclusion


def test_entries_are_numbered_proved_and_consistent(tmp_path: Path, signer: FileSigner) -> None:
    log = Log(tmp_path / "log", signer)
    roots: list[bytes] = []
    for number in range(6):
        assert log.append(b"entry %d" % number) == number
        _, note = log.prove(number)
        roots.append(open_checkpoint(note, signer.public, where="f").root)
    for number in range(6):
        proof, _ = log.prove(number)
        assert (proof.index, proof.size, proof.leaf) == (number, 6, leaf_hash(b"entry %d" % number))
        assert verify_inclusion(number, 6, proof.leaf, proof=proof.hashes, root=roots[-1])
        growth = log.prove_growth(number + 1)
        assert verify_consistency((number + 1, 6), (roots[number], roots[-1]), proof=growth)


def test_the_same_entry_keeps_its_place(tmp_path: Path, signer: FileSigner) -> None:
    log = Log(tmp_path, signer)
    assert [log.append(entry) for entry in (b"a", b"b", b"a", b"c")] == [0, 1, 0, 2]
    assert log.size == 3


def test_an_empty_log_has_no_proofs(tmp_path: Path, signer: FileSigner) -> None:
    log = Log(tmp_path / "log", signer)
    assert log.size == 0
    with pytest.raises(Misuse, match="has 0"):
        log.prove(0)
    with pytest.raises(Misuse, match="has 0"):
        log.prove_growth(1)


@pytest.mark.parametrize("kept", [0, 2])
def test_killed_between_entry_and_checkpoint(
    tmp_path: Path, signer: FileSigner, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path, signer)
    for number in range(kept):
        log.append(b"entry %d" % number)
    replace = os.replace

    def killed(source: str, target: Path) -> None:
        if Path(target).name == "checkpoint.txt" and log.folder.joinpath("entries").exists():
            raise KeyboardInterrupt
        replace(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", killed)
        log.append(b"lost")
    assert log.size == kept
    assert log.append(b"next") == kept
    assert (tmp_path / "entries" / f"{kept:012d}.dsse.json").read_bytes() == b"next"


@pytest.mark.parametrize("break_log", ["change", "remove", "swap", "rollback"])
def test_a_rewritten_log_is_never_signed_on(tmp_path: Path, signer: FileSigner, break_log: str) -> None:
    log = Log(tmp_path, signer)
    for number in range(3):
        log.append(b"entry %d" % number)
    first, second = (tmp_path / "entries" / f"{number:012d}.dsse.json" for number in (0, 1))
    match break_log:
        case "change":
            first.write_bytes(b"rewritten")
        case "remove":
            first.unlink()
        case "swap":
            first.write_bytes(b"entry 1")
            second.write_bytes(b"entry 0")
        case "rollback":
            (tmp_path / "checkpoint.txt").unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()}
    for action in (lambda: log.append(b"new"), lambda: log.prove(1), lambda: log.prove_growth(1)):
        with pytest.raises(IntegrityBroken) as caught:
            action()
        assert str(tmp_path) in str(caught.value)
    assert {path: path.read_bytes() for path in before} == before


def test_the_log_of_another_key_is_refused(tmp_path: Path, signer: FileSigner, stranger: FileSigner) -> None:
    Log(tmp_path, signer).append(b"entry")
    with pytest.raises(Misuse, match="belongs to another key"):
        Log(tmp_path, stranger).append(b"entry")


def test_two_writers_do_not_fork_the_log(tmp_path: Path, signer: FileSigner) -> None:
    with RunLock(tmp_path, "other"), pytest.raises(StoreLocked):
        Log(tmp_path, signer).append(b"entry")


def test_a_proof_returns_from_its_bytes() -> None:
    proof = InclusionProof(index=1, size=3, leaf=bytes(32), hashes=(bytes(range(32)), b"\xff" * 32))
    assert InclusionProof.from_bytes(proof.to_bytes(), where="f") == proof


@pytest.mark.parametrize(
    "data", [b"{}", b'{"index":true,"size":1,"leaf":"","hashes":[]}', b'{"index":0,"size":1,"leaf":"","hashes":[1]}']
)
def test_a_malformed_proof_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityBroken):
        InclusionProof.from_bytes(data, where="f")
