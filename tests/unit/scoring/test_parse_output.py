"""Reading outputs: what counts, what is None, and that nothing raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.scoring.parse_output import read_fields, read_json, read_label, read_reply, write_label


@pytest.mark.parametrize(
    ("text", "key", "label"),
    [
        (" refund \n", None, "refund"),
        ("", None, None),
        ("   ", None, None),
        ('{"queue": " refund "}', "queue", "refund"),
        ('{"queue": 7}', "queue", "7"),
        ('{"queue": true}', "queue", "true"),
        ('{"queue": null}', "queue", None),
        ('{"queue": ["refund"]}', "queue", None),
        ('{"other": "refund"}', "queue", None),
        ('["queue"]', "queue", None),
        ('"queue"', "queue", None),
        ('{"queue": "refund"} and more', "queue", None),
        ('{"queue": "ref', "queue", None),
        ("refund", "queue", None),
    ],
)
def test_labels_are_parsed(text: str, key: str | None, label: str | None) -> None:
    assert read_label(text, key) == label


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', "", "{", "1", '"a"', "null", "[" * 100_000])
def test_json_must_be_an_object_or_array(text: str) -> None:
    assert read_json(text) is None


def test_a_reply_is_text_or_none() -> None:
    assert read_reply(" Hello. ", None) == " Hello. "
    assert read_reply('{"reply": "Hello."}', "reply") == "Hello."
    assert read_reply('{"reply": ""}', "reply") == ""
    assert read_reply('{"reply": 3}', "reply") is None
    assert read_reply("Hello.", "reply") is None


@pytest.mark.parametrize(
    ("text", "keys", "fields"),
    [
        ('{"fields": {"order": " A1 ", "date": null}}', ("fields",), {"fields.order": "A1", "fields.date": ""}),
        ('{"order": "A1", "date": 3, "x": 1}', ("order", "date"), {"order": "A1", "date": "3"}),
        ('{"fields": {"tags": ["b", {"z": 1, "a": 2}]}}', ("fields",), {"fields.tags": '["b", {"a": 2, "z": 1}]'}),
        ('{"order": "A1"}', ("order", "date"), {"order": "A1"}),
        ('{"order": "A1"}', ("fields",), None),
        ('{"fields": {}}', ("fields",), None),
        ("[]", ("fields",), None),
        ("order A1", ("fields",), None),
    ],
)
def test_fields_are_parsed(text: str, keys: tuple[str, ...], fields: dict[str, str] | None) -> None:
    assert read_fields(text, keys) == fields


@given(st.text(), st.sampled_from([None, "queue"]))
def test_no_output_raises_an_error(text: str, key: str | None) -> None:
    read_label(text, key)
    read_reply(text, key)
    read_fields(text, ("queue", "fields"))


@given(st.text(min_size=1).map(str.strip).filter(bool), st.sampled_from([None, "queue"]))
def test_a_written_label_is_read_back(label: str, key: str | None) -> None:
    assert read_label(write_label(label, key), key) == label
