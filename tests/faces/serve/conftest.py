"""Signed releases of the tiny model, each behind a real server on a free port of 127.0.0.1."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread

import openai
import pytest

SPEC = spec_from_file_location("fixtures_models", Path(__file__).parents[2] / "fixtures_models.py")
fixtures_models = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures_models)

from tunesmith.context import Context
from tunesmith.serve.app import build_app
from tunesmith.serve.loaded_release import DecoderRelease, open_release
from tunesmith.serve.run import bind_socket, build_server, listener_url
from tunesmith.store import open_store
from tunesmith.trust import FileSigner, make_key, sign_release

LABELS = ["card arrival", "exchange rate", "lost or stolen card", "pending transfer"]
INSTRUCTION = "You are the clerk of a small shop. Name the queue of the message."


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("serve")


@pytest.fixture(scope="session")
def signer(work: Path) -> FileSigner:
    return make_key(work / "release.pem")


@pytest.fixture(scope="session")
def context(work: Path) -> Context:
    return Context(store=open_store(work / "store"), data_root=work, home=work)


@pytest.fixture(scope="session")
def make_release(work: Path, signer: FileSigner) -> Callable[..., Path]:
    """A folder with the tiny model and `tunesmith.json`, signed."""
    model = fixtures_models.make_folder(work / "model")

    def make(name: str, **card: object) -> Path:
        folder = work / "releases" / name / "1"
        shutil.copytree(model, folder)
        value = {
            "format": 1,
            "name": name,
            "version": 1,
            "task": "chat",
            "instruction": INSTRUCTION,
            "labels": None,
            **card,
        }
        (folder / "tunesmith.json").write_text(json.dumps(value), encoding="utf-8")
        sign_release(folder, signer, name=name, version=1, statements={}, log_folder=work / "log")
        return folder

    return make


@dataclass(frozen=True)
class Served:
    """A running server and the official client for it."""

    released: DecoderRelease
    url: str
    client: openai.OpenAI


@contextmanager
def running(released: DecoderRelease, context: Context) -> Iterator[Served]:
    with bind_socket("127.0.0.1", 0) as listener:
        server = build_server(build_app(released, context=context))
        thread = Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        url = listener_url(listener)
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            yield Served(released, url, client)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def chat(make_release: Callable[..., Path], signer: FileSigner, context: Context) -> Iterator[Served]:
    released = open_release(make_release("support-desk"), signer.public_pem(), context=context)
    with running(released, context) as served:
        yield served


@pytest.fixture(scope="session")
def classifier(make_release: Callable[..., Path], signer: FileSigner, context: Context) -> Iterator[Served]:
    folder = make_release("queues", task="classify", labels=LABELS)
    with running(open_release(folder, signer.public_pem(), context=context), context) as served:
        yield served
