"""The normal form, and the removal of shared prefixes and suffixes."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text.normalize import _CHARACTER_TABLE, normalize, strip_shared_affixes


def stripped(texts: list[str], files: list[str]) -> list[str]:
    """The texts without affixes, given in chunks as large tables are."""
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
def test_normalize(text: str, expected: str) -> None:
    assert normalize(text) == expected
    assert normalize(expected) == expected


def test_a_template_of_a_whole_file_is_stripped_in_every_file() -> None:
    framed = [f"sort this message of a customer {n} {n * n} answer with one word only" for n in range(25)]
    other = ["sort this message of a customer 7 49 answer with one word only", "sort this other thing"]
    made = stripped([*framed, *other], ["a"] * 25 + ["b"] * 2)
    assert made == [*(f"{n} {n * n}" for n in range(25)), "7 49", "sort this other thing"]


def test_affixes_of_few_rows_or_few_words_and_whole_texts_are_kept() -> None:
    few = [f"sort this message of a customer {n}" for n in range(19)]
    assert stripped(few, ["a"] * 19) == few
    short = [f"please tell me {n}" for n in range(30)]
    assert stripped(short, ["a"] * 30) == short
    same = ["all rows say the same thing"] * 30
    assert stripped(same, ["a"] * 30) == same


@given(st.text(st.characters(max_codepoint=127)))
def test_the_fast_path_for_ascii_gives_the_same_result(text: str) -> None:
    assert normalize(text) == " ".join(text.casefold().translate(_CHARACTER_TABLE).split())
