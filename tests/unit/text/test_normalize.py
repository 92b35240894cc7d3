"""The normal form, and templates that are taken off."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text.normalize import _CHARACTER_TABLE, normalize, strip_shared_affixes


def stripped(texts: list[str], files: list[str]) -> list[str]:
    """In chunks, as large tables come."""
    chunks = [pa.array(part, type=pa.string()) for part in (texts[:7], texts[7:])]
    made: list[str] = strip_shared_affixes(pa.chunked_array(chunks), pa.chunked_array([pa.array(files)])).to_pylist()
    return made


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,   WORLD!\n", "hello world"),
        ("don't — won’t", "dont wont"),
        ("e-mail snake_case", "e mail snake case"),
        ("ﬁx the Ｆｕｌｌ width ²", "fix the full width 2"),
        ("a\u200bb\ufeff c", "ab c"),
        ("東京 2024", "東 京 2024"),
        ("नमस्ते", "नमस्ते"),
        ("👍!?", ""),
        ("Straße", "strasse"),
    ],
)
def test_normal(text: str, expected: str) -> None:
    assert normalize(text) == expected
    assert normalize(expected) == expected


def test_a_template_of_a_whole_file_is_taken_off_in_every_file() -> None:
    framed = [f"sort this message of a customer {n} {n * n} answer with one word only" for n in range(25)]
    other = ["sort this message of a customer 7 49 answer with one word only", "sort this other thing"]
    made = stripped([*framed, *other], ["a"] * 25 + ["b"] * 2)
    assert made == [*(f"{n} {n * n}" for n in range(25)), "7 49", "sort this other thing"]


def test_few_rows_short_beginnings_and_pure_frames_stay() -> None:
    few = [f"sort this message of a customer {n}" for n in range(19)]
    assert stripped(few, ["a"] * 19) == few
    short = [f"please tell me {n}" for n in range(30)]
    assert stripped(short, ["a"] * 30) == short
    same = ["all rows say the same thing"] * 30
    assert stripped(same, ["a"] * 30) == same


@given(st.text(st.characters(max_codepoint=127)))
def test_the_short_way_for_ascii_is_the_long_way(text: str) -> None:
    assert normalize(text) == " ".join(text.casefold().translate(_CHARACTER_TABLE).split())
