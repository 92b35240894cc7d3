import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.errors import IntegrityBroken
from tunesmith.trust.strict_json import decode_base64, encode_base64, parse_object, require_field


def test_an_object_is_read() -> None:
    assert parse_object(b'{"a": [1, null, "x"]}', where="f") == {"a": [1, None, "x"]}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"1",
        b"{",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b"\xff\xfe{}",
        b"\xef\xbb\xbf{}",
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_not_one_plain_object_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityBroken) as caught:
        parse_object(data, where="evidence/x.json")
    assert caught.value.where == "evidence/x.json"


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(data: bytes) -> None:
    try:
        assert isinstance(parse_object(data, where="f"), dict)
    except IntegrityBroken as error:
        assert error.where == "f"


@given(st.binary(max_size=100))
def test_base64_returns(data: bytes) -> None:
    assert decode_base64(encode_base64(data), where="f") == data


@pytest.mark.parametrize("text", ["AA", "AA=", "A A=", "AB==", "AAAA\n", "_-==", "é"])
def test_base64_with_a_second_spelling_is_refused(text: str) -> None:
    with pytest.raises(IntegrityBroken):
        decode_base64(text, where="f")


def test_a_field_has_exactly_its_type() -> None:
    assert require_field({"n": 1}, "n", int, where="f") == 1
    wrong: list[object] = [{}, {"n": True}, {"n": 1.0}, {"n": None}, [], None]
    for value in wrong:
        with pytest.raises(IntegrityBroken, match="'n'"):
            require_field(value, "n", int, where="f")
