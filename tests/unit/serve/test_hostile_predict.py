"""What a stranger may send to /v1/tag and /v1/classify: an answer or a refusal in the API's shape; the loop stays free."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tunesmith.context import Context
from tunesmith.errors import DataError
from tunesmith.models.backends.encoder import open_encoder
from tunesmith.models.tasks.classify import ClassifyTask
from tunesmith.models.tasks.tag import TagTask
from tunesmith.recipe import TaskSettings
from tunesmith.serve.app import build_app
from tunesmith.serve.body_limit import MAX_BODY_BYTES
from tunesmith.serve.chat_session import ChatSession
from tunesmith.serve.loaded_release import EncoderRelease
from tunesmith.store import open_store

SPEC = spec_from_file_location("fixtures_encoders", Path(__file__).parents[2] / "fixtures_encoders.py")
fixtures = module_from_spec(SPEC)
SPEC.loader.exec_module(fixtures)

TASKS: dict[str, Callable[[], Any]] = {
    "tag": lambda: TagTask(TaskSettings(type="tag"), ("B-x", "I-x", "O")),
    "classify": lambda: ClassifyTask(TaskSettings(type="classify"), ("a", "b")),
}


@pytest.fixture(scope="module", params=["tag", "classify"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Any, Any]]:
    """The route's name, a client that turns no crash into an exception of the test, and the release."""
    folder = tmp_path_factory.mktemp("served")
    task = TASKS[request.param]()
    model = open_encoder(fixtures.make_encoder(folder / "base"), task.head, digest="", seed=0)
    released = EncoderRelease(id="x:1", name="x", task=task, model=model, created=0)
    context = Context(store=open_store(folder / "store"), data_root=folder, home=folder)
    with TestClient(build_app(released, context=context), raise_server_exceptions=False) as client:
        yield request.param, client, released


INPUTS = {
    "an empty text": [""],
    "an empty word": [["Anna", ""]],
    "no words": [[]],
    "white space": ["  \t\n "],
    "white space as a word": [[" ", "\n"]],
    "200,000 characters": ["a " * 100_000],
    "more than 200,000 characters": ["a" * 200_001],
    "a long word": [["a" * 200_000]],
    "control characters": ["\x00\x01\x1b[2J\x7f\u0085\u202e"],
    "control characters as words": [["\x00", "\x1b[31m", "\u2028"]],
    "a lone surrogate": ["\ud800"],
    "a lone surrogate in a word": [["Anna", "\udfff"]],
    "10,000 words": [["Anna"] * 10_000],
    "10,000 words of nothing": [["\u200b"] * 10_000],
    "special tokens": ["[CLS] [SEP] [MASK] [PAD]"],
    "257 texts": ["a"] * 257,
    "a number": 5,
    "null": None,
    "true": True,
    "a number among texts": ["a", 5],
    "null among words": [["a", None]],
    "an object": {"text": "a"},
    "lists in lists": [[["a"]]],
    "deep nesting": json.loads("[" * 500 + "]" * 500),
    "emoji": ["👩‍👩‍👧 \U0010ffff"],
}


def post(client: Any, route: str, content: Any) -> Any:
    return client.post(f"/v1/{route}", content=content, headers={"content-type": "application/json"})


def told(response: Any) -> None:
    """An answer, or a refusal in OpenAI's shape."""
    assert response.status_code in (200, 400, 404, 413), response.text[:300]
    if response.status_code != 200:
        error = response.json()["error"]
        assert set(error) == {"message", "type", "param", "code"} and error["type"] == "invalid_request_error"
        assert len(error["message"]) < 1000


@pytest.mark.parametrize("name", INPUTS)
def test_hostile_inputs_are_answered_or_refused(served: tuple[str, Any, Any], name: str) -> None:
    route, client, _ = served
    told(post(client, route, json.dumps({"model": "x", "input": INPUTS[name]}).encode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"model": "x"}',
        b'{"input": ["a"]}',
        b'{"model": 5, "input": ["a"]}',
        b'{"model": "\\ud800", "input": ["a"]}',
        b'{"model": "x", "input": ["a"], "\\ud800": 1}',
        b'{"model": "x", "input": ["a"], "temperature": 1}',
        b'{"model": "x", "input": ["a"], "top": 1e999}',
        b'{"model": "x", "input": NaN}',
        b"[" * 100_000,
        b'{"model": "x", "input": ["a"], "n": ' + b"9" * 10_000 + b"}",
    ],
)
def test_hostile_bodies_are_refused(served: tuple[str, Any, Any], body: bytes) -> None:
    route, client, _ = served
    response = post(client, route, body)
    told(response)
    assert response.status_code in (400, 404)


@pytest.mark.parametrize("top", ["true", '"2"', "2.5", "[2]"])
def test_a_value_of_another_type_is_not_guessed_at(served: tuple[str, Any, Any], top: str) -> None:
    """/v1/tag has no such key and refuses any."""
    route, client, _ = served
    response = post(client, route, f'{{"model": "x", "input": ["a"], "top": {top}}}'.encode())
    assert response.status_code == 400 and response.json()["error"]["param"] == "top"


def test_a_body_that_is_no_json_is_told_where(served: tuple[str, Any, Any]) -> None:
    route, client, _ = served
    error = post(client, route, b'{"model": tru}').json()["error"]
    assert error["message"].startswith("the body is not JSON: ") and error["message"].endswith(", at character 10")
    assert error["param"] is None


@pytest.mark.parametrize("value", ["{}", "[]", '["a", []]'])
def test_a_list_is_called_a_list(served: tuple[str, Any, Any], value: str) -> None:
    """JSON has no tuples."""
    route, client, _ = served
    error = post(client, route, f'{{"model": "x", "input": {value}}}'.encode()).json()["error"]
    assert "uple" not in error["message"] and error["param"].startswith("input")


def test_in_the_terminal_every_text_is_answered(served: tuple[str, Any, Any]) -> None:
    """`tunesmith chat`: a label with its probabilities, or each word with its tag."""
    route, _, released = served
    said = "".join(ChatSession(released, 8).say("Anna met  Emil"))
    with pytest.raises(DataError, match=r"^the message( has|: )"):
        list(ChatSession(released, 8).say("Anna " * 5000))
    if route == "classify":
        assert re.fullmatch(r"[ab]  \([ab] 0\.\d{3}, [ab] 0\.\d{3}\)", said)
        return
    tag = "(B-x|I-x|O)"
    assert re.fullmatch(f"Anna/{tag} met/{tag} Emil/{tag}", said)


def test_another_route_names_those_there_are(served: tuple[str, Any, Any]) -> None:
    route, client, _ = served
    response = post(client, "chat/completions", b"{}")
    assert response.status_code == 404
    paths = ", ".join(sorted(["/healthz", f"/v1/{route}", "/v1/models", "/v1/models/{model}"]))
    assert response.json()["error"]["message"].endswith(f"; this server has {paths}")


def test_a_text_without_a_token_is_refused_at_its_place(served: tuple[str, Any, Any]) -> None:
    """A model would label it as it labels nothing at all. A word of a sentence may have none: its tag is O."""
    route, client, _ = served
    response = post(client, route, b'{"model": "x", "input": ["a", "\\u200b\\u0001"]}')
    if route == "tag":
        assert response.status_code == 200 and response.json()["data"][1]["tags"] == ["O"]
        return
    error = response.json()["error"]
    assert response.status_code == 400 and error["param"] == "input.1"
    assert error["message"] == "input 1: the tokenizer leaves nothing of the text"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused_by_its_size(served: tuple[str, Any, Any], chunked: bool) -> None:
    route, client, _ = served
    body = json.dumps({"model": "x", "input": ["a"], "pad": "a" * MAX_BODY_BYTES}).encode()
    pieces: Any = (body[at : at + 2**20] for at in range(0, len(body), 2**20)) if chunked else body
    response = post(client, route, pieces)
    told(response)
    assert response.status_code == 413 and f"{MAX_BODY_BYTES:,} bytes" in response.json()["error"]["message"]


def test_tokens_are_made_in_the_thread_of_the_model(
    served: tuple[str, Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long text takes the tokenizer seconds, in which the loop would answer nobody."""
    route, client, released = served
    seen = []
    kind = type(released.task)
    own = kind.question

    def question(self: Any, *rest: Any, **named: Any) -> Any:
        seen.append(threading.current_thread().name)
        return own(self, *rest, **named)

    monkeypatch.setattr(kind, "question", question)
    said = client.post(f"/v1/{route}", json={"model": "x", "input": ["Anna Berg", "of Acme"]}).json()
    assert len(said["data"]) == 2 and said["usage"]["prompt_tokens"] > 4
    assert len(seen) == 2 and all(name.startswith("tunesmith-model") for name in seen)
