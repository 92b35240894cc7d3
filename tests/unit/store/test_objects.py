"""Content-addressed objects: stored bytes are read back; missing and altered objects and failed writes are reported."""

import ctypes
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.artifacts import digest_of
from tunesmith.errors import IntegrityBroken, MachineFailure
from tunesmith.store import FolderObjects
from tunesmith.store.objects import write_atomic

ABC = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
DETACH = 2


@pytest.fixture
def objects(tmp_path: Path) -> FolderObjects:
    return FolderObjects(tmp_path / "objects")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte, where this process may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    done = subprocess.run([mount, *options], capture_output=True, check=False) if mount else None
    if done is None or done.returncode:
        pytest.skip("needs the right to mount a small disk; the same failure is tested without one below")
    yield folder
    ctypes.CDLL(None).umount2(str(folder).encode(), DETACH)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_put_and_get(objects: FolderObjects) -> None:
    assert objects.put(b"abc") == ABC
    assert objects.path(ABC) == objects.folder / ABC[7:9] / ABC[9:]
    assert objects.get(ABC) == b"abc"
    assert objects.has(ABC)
    assert not objects.has(digest_of(b"abd"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_back(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    objects = FolderObjects(tmp_path_factory.getbasetemp() / "any")
    digest = objects.put(data)
    assert (digest, objects.get(digest)) == (digest_of(data), data)


def test_put_twice_writes_once(objects: FolderObjects) -> None:
    objects.put(b"abc")
    before = objects.path(ABC).stat()
    objects.put(b"abc")
    after = objects.path(ABC).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files(objects.folder) == [objects.path(ABC)]


def test_a_file_is_stored_under_the_digest_of_its_bytes(objects: FolderObjects, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abc")
    assert objects.put_file(source) == objects.put_file(source) == ABC
    assert objects.get(ABC) == b"abc"
    assert files(objects.folder) == [objects.path(ABC)]


def test_an_altered_object_is_refused_and_named(objects: FolderObjects) -> None:
    objects.put(b"abc")
    objects.path(ABC).write_bytes(b"abd")
    with pytest.raises(IntegrityBroken, match="an object was altered in the store") as caught:
        objects.get(ABC)
    assert caught.value.where == str(objects.path(ABC))
    assert caught.value.hint == "delete it and run the stage again"


def test_a_missing_object_is_refused_and_named(objects: FolderObjects) -> None:
    with pytest.raises(IntegrityBroken, match="an object is missing from the store") as caught:
        objects.get(ABC)
    assert caught.value.where == ABC


def test_deleting_twice_is_fine(objects: FolderObjects) -> None:
    objects.put(b"abc")
    objects.delete(ABC)
    objects.delete(ABC)
    assert not objects.has(ABC)


@pytest.mark.parametrize("digest", ["", "abc", f"sha256:{'A' * 64}", f"sha512:{'a' * 64}", f"sha256:../../{'a' * 58}"])
def test_an_invalid_digest_never_becomes_a_path(objects: FolderObjects, digest: str) -> None:
    with pytest.raises(IntegrityBroken, match="is not a SHA-256 digest"):
        objects.get(digest)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pointer"
    write_atomic(path, b"old")

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert files(tmp_path) == [path]


def test_a_full_disk_is_reported_and_leaves_no_partial_file(small_disk: Path) -> None:
    objects = FolderObjects(small_disk / "objects")
    digest = objects.put(b"small")
    big = os.urandom(2_000_000)
    with pytest.raises(MachineFailure, match="the disk is full") as caught:
        objects.put(big)
    assert caught.value.where == str(objects.path(digest_of(big)))
    assert caught.value.hint == "free some space and run again; finished stages are kept"
    assert files(small_disk) == [objects.path(digest)]
    assert objects.get(digest) == b"small"


def test_a_file_too_large_for_the_disk_leaves_no_partial_file(small_disk: Path, tmp_path: Path) -> None:
    objects = FolderObjects(small_disk / "objects")
    (tmp_path / "big").write_bytes(os.urandom(2_000_000))
    with pytest.raises(MachineFailure, match="the disk is full"):
        objects.put_file(tmp_path / "big")
    assert files(small_disk) == []


@pytest.mark.parametrize(
    ("number", "what"),
    [(errno.ENOSPC, "the disk is full"), (errno.EDQUOT, "the disk is full"), (errno.EROFS, "cannot write: ")],
)
def test_disk_errors_while_flushing_are_reported(
    objects: FolderObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, what: str
) -> None:
    (tmp_path / "source").write_bytes(b"abc")

    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(MachineFailure, match=what) as caught:
        objects.put(b"abc")
    assert caught.value.where == str(objects.path(ABC))
    with pytest.raises(MachineFailure, match=what):
        objects.put_file(tmp_path / "source")
    assert files(objects.folder) == []


def test_a_file_in_place_of_the_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("not a folder")
    with pytest.raises(MachineFailure, match="cannot write"):
        FolderObjects(tmp_path / "objects").put(b"abc")
