"""The normal form, and templates that are taken off."""

import pytest

from tunesmith.data.normal import normal, without_frames


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
    assert normal(text) == expected
    assert normal(expected) == expected


def test_a_template_of_a_whole_file_is_taken_off_in_every_file() -> None:
    framed = [f"sort this message of a customer {n} {n * n} answer with one word only" for n in range(25)]
    other = ["sort this message of a customer 7 49 answer with one word only", "sort this other thing"]
    made = without_frames([*framed, *other], ["a"] * 25 + ["b"] * 2)
    assert made == [*(f"{n} {n * n}" for n in range(25)), "7 49", "sort this other thing"]


def test_few_rows_short_beginnings_and_pure_frames_stay() -> None:
    few = [f"sort this message of a customer {n}" for n in range(19)]
    assert without_frames(few, ["a"] * 19) == few
    short = [f"please tell me {n}" for n in range(30)]
    assert without_frames(short, ["a"] * 30) == short
    same = ["all rows say the same thing"] * 30
    assert without_frames(same, ["a"] * 30) == same
