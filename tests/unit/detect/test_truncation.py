"""The ending of each kind of text."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.detect.truncation import CODE_SIGNS, CODE_SYNTAX, TEXT_ENDINGS, classify_endings, unclosed_bracket

KNOWN = [
    ("It left on Monday and will be with you by Friday.", "marked"),
    ("It left on Monday and will be with you, won't it?", "marked"),
    ("It left on Monday and will be with you by Friday 🙂", "marked"),
    ("Es ist am Montag abgeschickt worden und kommt „am Freitag“", "marked"),
    ("荷物は倉庫を出ました。月曜日にお届けする予定です。それまでお待ちください。", "marked"),
    ("It left on Monday and will be with you by Friday", "unmarked"),
    ("First it was lost. Then it left on Monday and will be with you", "unmarked"),
    ("It left on Monday and will be with the", "hanging"),
    ("It left on Monday, it went over the hill to the sea,", "hanging"),
    ("Es ist am Montag abgeschickt worden und", "hanging"),
    ("荷物は倉庫を出ました。月曜日にお届けする予定ですがそれまでの間はどうかお待ち、", "hanging"),
    ("It left on Monday and will be with you (if the road is free", "bracket"),
    ("Look at this:\n\n```python\nprint('hello there my friend')", "fence"),
    ("Look at this:\n\n```python\nprint('hello', 'there', 'my', 'good', 'friend')\n```", "marked"),
    ('{"queue": "delivery"}', "json"),
    ('{"queue": "delivery", "item": "ha', "broken-json"),
    ("[1, 2, 3", "broken-json"),
    ("delivery", "unjudged"),
    ("forty-two hats and seven coats", "unjudged"),
    ("You need all of these:\n- a hammer and some nails and a board", "unjudged"),
    ("    return sorted(rows, key=lambda row: row.name) if rows else", "unjudged"),
    ("You find all of that on the page https://shop.example.org/hats", "unjudged"),
    ("From the floor to its top the whole shelf is 180 cm", "unjudged"),
    ("The Long Way Home From The Old House By The River", "unjudged"),
    ("red, green, blue, yellow, black, white and brown", "unjudged"),
    (
        "the sea is wide, the sea is deep\nand all the boats are fast asleep\nthe moon is out and low the wind",
        "unjudged",
    ),
    ("", "unjudged"),
    (None, "unjudged"),
]


@pytest.mark.parametrize(("text", "expected"), KNOWN)
def test_known_endings(text: str | None, expected: str) -> None:
    (place,) = classify_endings(pa.array([text], type=pa.string())).to_pylist()
    assert TEXT_ENDINGS[place] == expected


def test_a_column_equals_its_texts_and_surrounding_white_space_is_ignored() -> None:
    texts = [text for text, _ in KNOWN]
    spaced = [None if text is None else f"{text}\n \n" for text in texts]
    assert classify_endings(pa.array(spaced)).to_pylist() == [TEXT_ENDINGS.index(expected) for _, expected in KNOWN]


@given(st.text(" ab1(){};:=<>!-_$@~|^/*+\\\n", max_size=20))
def test_code_always_has_a_code_sign(line: str) -> None:
    assert CODE_SIGNS.search(line) is not None or CODE_SYNTAX.search(line) is None or "->" in line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a (b", "("),
        ("a (b)", ""),
        ("a [b (c)", "["),
        ("(a [b", "["),
        ("well :( he said", ""),
        ("a) b", ""),
        ("「漢字", "「"),
    ],
)
def test_unclosed_bracket(line: str, expected: str) -> None:
    assert unclosed_bracket(line) == expected
