"""Remote files: fetched once, stored under their digest, and only when allowed. S3 is a local moto server."""

import hashlib
import logging
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tunesmith import process
from tunesmith.data import remote
from tunesmith.data.examples import read_examples
from tunesmith.data.files import DataFile, find_files
from tunesmith.errors import DataError, MachineFailure

ROW = b'{"text": "a"}\n'
DIGEST = hashlib.sha256(ROW).hexdigest()
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def fetch(tmp_path: Path) -> Any:
    return partial(find_files, roots=[tmp_path], cache=tmp_path / "cache", network=True)


def texts(files: list[DataFile]) -> list[str | None]:
    return [one[1].text for file in files for one in read_examples(file.path, file.name) if isinstance(one, tuple)]


def test_a_fetched_file_is_stored_under_its_digest_and_keeps_its_name(memory: MemoryFileSystem, tmp_path: Path) -> None:
    memory.pipe_file("/sets/a.jsonl", ROW)
    (file,) = find_files("memory://sets/a.jsonl", roots=[tmp_path], cache=tmp_path / "cache")
    assert (file.name, file.digest) == ("memory://sets/a.jsonl", f"sha256:{DIGEST}")
    assert file.path == tmp_path / "cache" / DIGEST
    assert texts([file]) == ["a"]
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_file()] == [DIGEST]


def test_patterns_and_folders(memory: MemoryFileSystem, fetch: Any) -> None:
    for name in ("b/2.jsonl", "b/1.jsonl", "b/README.md", "c/train.jsonl", "c/test.jsonl"):
        memory.pipe_file(f"/{name}", ROW + name.encode())
    assert [file.name for file in fetch("memory://b/*.jsonl")] == ["memory://b/1.jsonl", "memory://b/2.jsonl"]
    assert [file.name for file in fetch("memory://b")] == ["memory://b/1.jsonl", "memory://b/2.jsonl"]
    with pytest.raises(DataError, match="memory://c: the folder holds 2 splits"):
        fetch("memory://c")
    with pytest.raises(DataError, match=r"memory://c/\*\.csv: no file matches"):
        fetch("memory://c/*.csv")
    with pytest.raises(DataError, match=r"memory://c/gone\.jsonl: no such file"):
        fetch("memory://c/gone.jsonl")


def test_a_file_is_fetched_again_only_when_it_has_changed(
    memory: MemoryFileSystem, fetch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    download = remote._download
    monkeypatch.setattr(remote, "_download", lambda *given: (fetched.append(given[1]), download(*given))[1])
    memory.pipe_file("/a.jsonl", ROW)
    first = fetch("memory://a.jsonl")[0].digest
    assert fetch("memory://a.jsonl")[0].digest == first
    assert len(fetched) == 1
    memory.pipe_file("/a.jsonl", ROW + ROW)
    assert fetch("memory://a.jsonl")[0].digest == f"sha256:{hashlib.sha256(ROW + ROW).hexdigest()}"
    assert len(fetched) == 2


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/a.jsonl",
        "gs://bucket/a.jsonl",
        "https://u:pw@example.org/a.jsonl?key=1",
        f"hub://datasets/o/n@{COMMIT}",
    ],
)
def test_the_network_is_used_only_when_allowed(url: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the recipe does not allow the network\nhint: set `network: true`") as caught:
        find_files(url, roots=[tmp_path], cache=tmp_path)
    assert caught.value.where == url.replace("u:pw@", "").replace("?key=1", "")


@pytest.mark.parametrize("url", ["zip://a.jsonl::s3://b/c.zip", "ftp://host/a.jsonl", "simplecache::s3://b/a.jsonl"])
def test_an_unsupported_scheme(url: str, fetch: Any) -> None:
    with pytest.raises(DataError, match=r"is not supported\nhint: supported: s3://, gs://"):
        fetch(url)


@pytest.mark.parametrize(
    ("url", "module", "extra"), [("gs://b/a.jsonl", "gcsfs", "gs"), ("az://b/a.jsonl", "adlfs", "azure")]
)
def test_a_missing_driver(url: str, module: str, extra: str, fetch: Any, monkeypatch: Any) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr("tunesmith.data.remote.importlib.import_module", missing)
    with pytest.raises(DataError, match=rf"needs the package {module}\nhint: pip install 'tunesmith\[{extra}\]'"):
        fetch(url)


@pytest.mark.parametrize("name", ["datasets/o/n", "datasets/o/n@main", f"models/o/n@{COMMIT}", f"datasets/n@{COMMIT}"])
def test_a_hub_id_has_owner_name_and_commit(name: str, fetch: Any) -> None:
    with pytest.raises(DataError, match="a Hub data set needs owner, name and commit"):
        fetch(f"hub://{name}")


def test_a_hub_commit_is_listed_once(memory: MemoryFileSystem, fetch: Any, monkeypatch: Any) -> None:
    """A file system in memory stands in for the Hub."""
    asked = []
    monkeypatch.setattr(process, "allow_network", lambda: asked.append("leave"))
    monkeypatch.setattr(fsspec, "filesystem", lambda scheme: (asked.append(scheme), memory)[1])
    base = f"datasets/o/n@{COMMIT}"
    for name in ("README.md", "data/train-00000-of-00001.jsonl", "more.jsonl"):
        memory.pipe_file(f"/{base}/{name}", ROW + name.encode())
    whole, part = f"hub://{base}", f"hub://{base}/more.jsonl"
    assert [file.name for file in fetch(whole)] == [f"{whole}/data/train-00000-of-00001.jsonl", part]
    assert [file.name for file in fetch(part)] == [part]
    assert asked == ["leave", "hf"] * 2
    memory.store.clear()
    assert texts(fetch(part)) == ["a"]
    assert len(fetch(whole)) == 2
    assert len(asked) == 4


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server_module = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = fsspec.filesystem("s3")
    system.mkdir("rows")
    yield system
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_s3(bucket: Any, fetch: Any) -> None:
    bucket.pipe_file("rows/set/a.jsonl", ROW)
    bucket.pipe_file("rows/set/b.jsonl", ROW.replace(b"a", b"b", 1))
    assert [file.name for file in fetch("s3://rows/set/*.jsonl")] == ["s3://rows/set/a.jsonl", "s3://rows/set/b.jsonl"]
    (file,) = fetch("s3://rows/set/a.jsonl")
    assert (file.digest, texts([file])) == (f"sha256:{DIGEST}", ["a"])
    with pytest.raises(DataError, match=r"s3://rows/gone\.jsonl: no such file"):
        fetch("s3://rows/gone.jsonl")
    with pytest.raises(DataError, match=r"s3://gone/\*\.jsonl: no "):
        fetch("s3://gone/*.jsonl")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return None


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.jsonl").write_bytes(ROW)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_web(site: str, fetch: Any) -> None:
    (file,) = fetch(f"{site}/a.jsonl?signature=secret#x")
    assert (file.name, file.digest, texts([file])) == (f"{site}/a.jsonl", f"sha256:{DIGEST}", ["a"])
    with pytest.raises(DataError, match="no such file"):
        fetch(f"{site}/gone.jsonl")


def test_a_server_that_does_not_answer(fetch: Any) -> None:
    with pytest.raises(MachineFailure, match=r"http://127\.0\.0\.1:1/a\.jsonl: the file cannot be fetched: ClientConn"):
        fetch("http://127.0.0.1:1/a.jsonl")
