"""The Hub over the network, played by a server on this machine; the command line fetches in a process of its own."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tunesmith import process
from tunesmith.errors import RecipeError
from tunesmith.models.bases.catalogue import HubSource, find_entry
from tunesmith.models.bases.hub import snapshot_files

NAME = "smollm2-360m-instruct"
(SOURCE,) = find_entry(NAME).sources
assert isinstance(SOURCE, HubSource)


class PlayedHub(ThreadingHTTPServer):
    """Serves the files of a folder as one model at one commit. `asked` has every path; `refuses` a status for all of them; with
    `breaks` the connection ends in the middle of every file."""

    files: Path
    asked: list[str]
    refuses: tuple[int, str] | None = None
    breaks: bool = False


class Answers(BaseHTTPRequestHandler):
    server: PlayedHub

    def do_GET(self) -> None:
        self.answer(body=True)

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def answer(self, *, body: bool) -> None:
        self.server.asked.append(self.path)
        commit = {"X-Repo-Commit": str(SOURCE.revision)}
        if self.server.refuses is not None:
            status, code = self.server.refuses
            self.send(status, b"{}", {"X-Error-Code": code, **commit}, body=body)
        elif self.path.startswith(f"/api/models/{SOURCE.repo}/revision/{SOURCE.revision}"):
            siblings = [{"rfilename": path.name} for path in sorted(self.server.files.iterdir())]
            known = {
                "id": SOURCE.repo,
                "modelId": SOURCE.repo,
                "sha": SOURCE.revision,
                "siblings": siblings,
                "tags": [],
            }
            self.send(200, json.dumps(known).encode(), commit, body=body)
        elif self.path.startswith(f"/api/models/{SOURCE.repo}/tree/{SOURCE.revision}"):
            listed = [
                {"type": "file", "path": path.name, "size": path.stat().st_size, "oid": "0" * 40}
                for path in sorted(self.server.files.iterdir())
            ]
            self.send(200, json.dumps(listed).encode(), commit, body=body)
        elif self.path.startswith(f"/{SOURCE.repo}/resolve/{SOURCE.revision}/"):
            data = (self.server.files / self.path.rsplit("/", 1)[1]).read_bytes()
            self.send(200, data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', **commit}, body=body)
        else:
            self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body=body)

    def send(self, status: int, data: bytes, headers: dict[str, str], *, body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), "Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if body and self.server.breaks and "ETag" in headers:
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        elif body:
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""


@pytest.fixture
def hub(tiny_gguf: Any, tmp_path: Path) -> Iterator[PlayedHub]:
    files = tmp_path / "files"
    tiny_gguf.model().save_pretrained(files)
    tiny_gguf.tokenizer().save_pretrained(files)
    (files / "pytorch_model.bin").write_bytes(b"a pickle")
    (files / "README.md").write_text("license: apache-2.0")
    server = PlayedHub(("127.0.0.1", 0), Answers)
    server.files, server.asked = files, []
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def get(hub: PlayedHub, tmp_path: Path, *options: str, port: int | None = None) -> subprocess.CompletedProcess[str]:
    place = f"http://127.0.0.1:{port or hub.server_address[1]}"
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in process.SWITCHES and "proxy" not in name.lower()
    }
    more = {
        "HF_ENDPOINT": place,
        "HF_HOME": str(tmp_path / "hf"),
        "TUNESMITH_CACHE": str(tmp_path / "cache"),
        "HF_TOKEN": "",
    }
    command = [sys.executable, "-m", "tunesmith.cli", "base", "get", NAME, *options]
    return subprocess.run(command, env={**kept, **more}, capture_output=True, text=True, check=False, timeout=120)


def test_a_base_comes_from_the_hub_when_that_is_allowed(hub: PlayedHub, tmp_path: Path) -> None:
    refused = get(hub, tmp_path)
    assert (refused.returncode, hub.asked) == (2, [])
    assert "network access is not allowed" in refused.stderr
    done = get(hub, tmp_path, "--network")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        0,
        f"downloading {SOURCE.repo} at {str(SOURCE.revision)[:12]} from the Hub",
    )
    found = sorted(path.name for path in Path(done.stdout.strip()).iterdir())
    assert found == sorted(path.name for path in hub.files.iterdir() if path.name != "pytorch_model.bin")
    assert not [path for path in hub.asked if path.endswith(".bin")]
    asked = len(hub.asked)
    again = get(hub, tmp_path)
    assert (again.stdout, again.stderr, len(hub.asked)) == (done.stdout, "", asked)


@pytest.mark.parametrize(
    ("refuses", "code", "message", "hint"),
    [
        ((403, "GatedRepo"), 2, "the model is gated: its publisher requires an agreement", "hf auth login"),
        ((404, "RepoNotFound"), 2, "the Hub rejected the request: ", "check the id and the revision"),
    ],
)
def test_what_the_hub_refuses_is_one_clear_error(
    hub: PlayedHub, tmp_path: Path, refuses: tuple[int, str], code: int, message: str, hint: str
) -> None:
    hub.refuses = refuses
    done = get(hub, tmp_path, "--network")
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr and hint in done.stderr and "Traceback" not in done.stderr
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_a_hub_that_is_not_there_is_one_clear_error(hub: PlayedHub, tmp_path: Path) -> None:
    done = get(hub, tmp_path, "--network", port=1)
    assert done.returncode == 5, done.stderr
    assert "error: the Hub cannot be reached" in done.stderr


def test_a_connection_that_breaks_is_one_clear_error(hub: PlayedHub, tmp_path: Path) -> None:
    hub.breaks = True
    done = get(hub, tmp_path, "--network")
    assert (done.returncode, done.stdout) == (5, "")
    assert "error: the download from the Hub broke off" in done.stderr and "Traceback" not in done.stderr


def test_a_model_without_safetensors_is_refused(hub: PlayedHub, tmp_path: Path) -> None:
    (hub.files / "model.safetensors").unlink()
    done = get(hub, tmp_path, "--network")
    assert done.returncode == 2
    assert "the snapshot has no *.safetensors" in done.stderr


@pytest.mark.parametrize("repo", ["a--b/c", "../c", "owner/.."])
def test_what_is_no_id_of_the_hub_is_refused(repo: str) -> None:
    with pytest.raises(RecipeError, match="is not a Hub id"):
        snapshot_files(repo, "0" * 40, network=False)
