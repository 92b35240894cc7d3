"""Where words of the normal form stand, against the normal form of what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.normal import normal
from tunesmith.data.wordplaces import word_places


@given(st.text(alphabet="aB é'’.,-\n7日本\u200bﬁ", max_size=40))
def test_every_place_holds_its_word(text: str) -> None:
    words, places = normal(text).split(), word_places(text)
    assert len(places) == len(words)
    for word, (start, end) in zip(words, places, strict=True):
        assert normal(text[start:end]) == word


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Don't  stop.", [(0, 5), (7, 11)]),
        ("日本", [(0, 1), (1, 2)]),
        ("re-do", [(0, 2), (3, 5)]),
        ("…", []),
    ],
)
def test_places(text: str, places: list[tuple[int, int]]) -> None:
    assert word_places(text) == places


def test_marks_that_combine_across_characters_give_the_whole_text() -> None:
    text = "\u1100\u1161 x"
    words = normal(text).split()
    assert len(word_places(text)) == len(words)
