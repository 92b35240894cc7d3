"""JSON values: the fast parser compared with the strict one of the standard library, on valid and invalid rows."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.containers.json_values import MAX_JSON_DEPTH, parse_json, parse_json_at
from tunesmith.errors import DataError

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12) | st.sampled_from(
    ['"a":', '" :', ":", '\\":', "{"]
)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUE, st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : "), ("\n,", "\t:\n")]), st.booleans())
def test_a_value_round_trips(value: Any, separators: tuple[str, str], ascii_only: bool) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    assert parse_json(text) == value
    assert repr(parse_json(text)) == repr(json.loads(text))


@given(st.lists(st.tuples(TEXT, VALUE), min_size=1, max_size=4), st.sampled_from([":", ": ", " :", "\t :", "  \r\n:"]))
def test_duplicate_keys_are_an_error_at_any_depth(pairs: list[tuple[str, Any]], colon: str) -> None:
    twice = [*pairs, (pairs[0][0], 1)]
    written = "{" + ",".join(f"{json.dumps(key)}{colon}{json.dumps(value)}" for key, value in twice) + "}"
    for text in (written, f'{{"a": [1, {{"b":{written}}}]}}', f"[[{written}]]"):
        with pytest.raises(DataError, match="stands twice in one object"):
            parse_json(text)


@given(st.text(st.sampled_from('{}[]":,\\u0d8ea1.-+eE tnf \n\t'), max_size=20))
def test_the_fast_parser_rejects_what_the_strict_one_rejects(text: str) -> None:
    try:
        strict: Any = ("value", parse_json_at(text, 0, whole=True)[0])
    except DataError as error:
        strict = ("refused", error.what)
    try:
        fast: Any = ("value", parse_json(text))
    except DataError as error:
        fast = ("refused", error.what)
    assert repr(fast) == repr(strict)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ('{"a": [-1E400]}', "the number -1E400 is too large"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": -Infinity}', "-Infinity is not JSON"),
        ('{"a": "\\ud83d"}', "half of a surrogate pair"),
        ('{"a": "\\ude00\\ud83d"}', "half of a surrogate pair"),
        ('{"a": 1} {', "Extra data"),
        ('{"a": "b\tc"}', "Invalid control character"),
        ("[" * (MAX_JSON_DEPTH + 1) + "]" * (MAX_JSON_DEPTH + 1), "nested too deep"),
        ('{"a":' * (MAX_JSON_DEPTH + 1) + "1" + "}" * (MAX_JSON_DEPTH + 1), "nested too deep"),
    ],
)
def test_invalid_json(text: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        parse_json(text)


def test_json_at_the_limits() -> None:
    assert parse_json("[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH) == json.loads(
        "[" * MAX_JSON_DEPTH + "]" * MAX_JSON_DEPTH
    )
    assert parse_json('{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert parse_json('{"a": 1.7976931348623157e308}') == {"a": 1.7976931348623157e308}
