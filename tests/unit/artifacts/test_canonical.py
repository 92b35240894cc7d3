"""Same value, same bytes: RFC 8785's own example, refusals, and a round trip for every kind of value an artifact holds."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tunesmith.artifacts import Example, Media, Message, Text, canonical_bytes, digest_of, message
from tunesmith.errors import IntegrityBroken

RFC_8785_INPUT = {
    "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
    "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"/",
    "literals": [None, True, False],
}
RFC_8785_OUTPUT = (
    b'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    b'"string":"\xe2\x82\xac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
)
"""The example of RFC 8785, section 3.2.2 and its canonical form in section 3.2.3."""

EXAMPLE = Example(messages=(message("user", "Grüße"), message("assistant", "ok")))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abé€", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def test_the_example_of_the_rfc() -> None:
    assert canonical_bytes(RFC_8785_INPUT) == RFC_8785_OUTPUT


@given(JSON_VALUES)
def test_canonical_bytes_are_a_fixed_point(value: object) -> None:
    data = canonical_bytes(value)
    assert json.loads(data) == value
    assert canonical_bytes(json.loads(data)) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, {"deep": [-(2**53)]}])
def test_what_json_cannot_say_exactly_is_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canonical_bytes(value)


def test_the_digest_is_sha256_over_the_bytes() -> None:
    assert digest_of(b"abc") == "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert EXAMPLE.digest() == f"sha256:{hashlib.sha256(EXAMPLE.canonical()).hexdigest()}"


def test_an_artifact_has_one_byte_form() -> None:
    assert (
        EXAMPLE.canonical()
        == (
            '{"labels":null,"messages":[{"content":[{"text":"Grüße","type":"text"}],"role":"user"},'
            '{"content":[{"text":"ok","type":"text"}],"role":"assistant"}],"text":null}'
        ).encode()
    )
    assert Example.from_bytes(EXAMPLE.canonical()) == EXAMPLE


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"[]", b'{"text": NaN}', b'{"text": "a", "added_later": 1}', b'{"labels": [1]}'],
    ids=["empty", "not-utf8", "list", "nan", "newer", "wrong-type"],
)
def test_bytes_that_are_no_artifact_are_broken_integrity(data: bytes) -> None:
    with pytest.raises(IntegrityBroken, match="cannot read this Example") as caught:
        Example.from_bytes(data)
    assert caught.value.hint == "it may come from a newer version: upgrade tunesmith, or run the stage again"


def test_an_artifact_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        EXAMPLE.text = "other"  # type: ignore[misc]


def test_parts_of_a_message() -> None:
    picture = Media(media_type="image/png", sha256="0" * 64)
    turn = Message(role="user", content=(Text(text="look "), picture, Text(text="here")))
    assert turn.text == "look here"
    assert Message.from_bytes(turn.canonical()) == turn
    with pytest.raises(ValidationError):
        Message(role="robot", content=())  # type: ignore[arg-type]


def test_prompt_and_completion_of_the_three_forms() -> None:
    chat = Example(messages=(message("system", "s"), message("user", "u"), message("assistant", "a")))
    asked = Example(messages=(message("user", "u"),))
    labelled = Example(text="t", labels=("x", "y"))
    assert (chat.prompt_text, chat.completion) == ("s\nu", "a")
    assert (asked.prompt_text, asked.completion, asked.prompt) == ("u", "", asked.messages)
    assert (labelled.prompt_text, labelled.completion) == ("t", "x, y")
    assert (Example(text="t").completion, Example().prompt_text) == ("", "")
