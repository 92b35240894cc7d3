"""Artifacts, trees, work folders and the lock of a store."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tunesmith.artifacts import Example, canonical_bytes, digest_of, message
from tunesmith.errors import IntegrityBroken, MachineFailure, Misuse, StoreLocked
from tunesmith.store import Store, open_store

EXAMPLE = Example(messages=(message("user", "a"), message("assistant", "b")))
HOLDER = """
import sys, time
from pathlib import Path
from tunesmith.store import RunLock
with RunLock(Path(sys.argv[1]), "held-run"):
    print("held", flush=True)
    time.sleep(60)
"""


def model_folder(folder: Path) -> Path:
    (folder / "deep").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "deep" / "weights").write_bytes(b"\0\1")
    return folder


def test_an_artifact_is_stored_as_canonical_bytes(store: Store) -> None:
    digest = store.put(EXAMPLE)
    assert digest == EXAMPLE.digest() == store.put(EXAMPLE)
    assert store.objects.get(digest) == EXAMPLE.canonical()
    assert store.get(Example, digest) == EXAMPLE


def test_a_tree_manifest_names_every_file(store: Store, tmp_path: Path) -> None:
    digest = store.put_tree(model_folder(tmp_path / "model"))
    manifest = {"config.json": digest_of(b"{}"), "deep/weights": digest_of(b"\0\1")}
    assert store.tree(digest) == manifest
    assert digest == digest_of(canonical_bytes(manifest))


def test_a_tree_is_checked_out_once_and_verified(store: Store, tmp_path: Path) -> None:
    digest = store.put_tree(model_folder(tmp_path / "model"))
    folder = store.checkout(digest)
    assert (folder / "config.json").read_bytes() == b"{}"
    assert (folder / "deep" / "weights").read_bytes() == b"\0\1"
    before = (folder / "config.json").stat().st_mtime_ns
    assert store.checkout(digest) == folder
    assert (folder / "config.json").stat().st_mtime_ns == before


def test_an_incomplete_checkout_is_completed(store: Store, tmp_path: Path) -> None:
    digest = store.put_tree(model_folder(tmp_path / "model"))
    folder = store.checkout(digest)
    (folder / ".complete").unlink()
    (folder / "config.json").write_bytes(b"half")
    assert (store.checkout(digest) / "config.json").read_bytes() == b"{}"


def test_a_tree_with_an_altered_file_is_refused(store: Store, tmp_path: Path) -> None:
    digest = store.put_tree(model_folder(tmp_path / "model"))
    store.objects.path(digest_of(b"\0\1")).write_bytes(b"\0\2")
    with pytest.raises(IntegrityBroken, match="altered"):
        store.checkout(digest)
    assert not (store.folder / "trees" / digest[7:] / ".complete").exists()


@pytest.mark.parametrize("data", [b"[]", b"no json", b"\xff"])
def test_an_object_that_is_not_a_tree_is_refused(store: Store, data: bytes) -> None:
    digest = store.objects.put(data)
    with pytest.raises(IntegrityBroken, match="is not a tree manifest") as caught:
        store.tree(digest)
    assert caught.value.where == digest


def test_a_symbolic_link_in_a_model_folder_is_refused(store: Store, tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "model")
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(Misuse, match="symbolic link") as caught:
        store.put_tree(folder)
    assert caught.value.where == str(folder / "link")


def test_work_folders_are_by_content_key(store: Store) -> None:
    key = digest_of(b"abc")
    assert store.work(key) == store.folder / "work" / key[7:31]
    assert store.work(key).is_dir()
    assert store.work(digest_of(b"abd")) != store.work(key)


def test_end_work_deletes_only_its_own_folder(store: Store) -> None:
    done, other = (store.work(digest_of(name)) for name in (b"abc", b"abd"))
    (done / "step-1").mkdir()
    for name in (b"abc", b"abc", b"never begun"):
        store.end_work(digest_of(name))
    assert not done.exists()
    assert other.is_dir()


def test_a_file_in_place_of_the_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("")
    with pytest.raises(MachineFailure, match="cannot write") as caught:
        open_store(tmp_path / "store")
    assert caught.value.where == str(tmp_path / "store")


def test_a_database_given_by_url(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store", database=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    store.ledger.set_ref("a", "sha256:1")
    store.ledger.close()
    assert (tmp_path / "elsewhere.db").is_file()
    assert not (tmp_path / "store" / "ledger.db").exists()


def test_a_store_held_by_another_process_names_it(store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(store.folder)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked) as caught, store.lock("mine"):
            pytest.fail("two runs hold the store")
        holder.send_signal(signal.SIGKILL)
    assert caught.value.what == f"the store is in use by run held-run (process {holder.pid})"
    assert caught.value.where == str(store.folder)
    assert caught.value.hint == "wait until that run ends, or give this run its own folder with --store"
    with store.lock("after a killed one"):
        text = (store.folder / "run.lock").read_text()
        assert text == f"run after a killed one (process {os.getpid()})"
    assert (store.folder / "run.lock").read_text() == ""


def test_the_lock_is_released_when_a_run_fails(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.lock("one"):
        raise ZeroDivisionError
    with store.lock("two"):
        assert json.dumps((store.folder / "run.lock").read_text()).startswith('"run two')
