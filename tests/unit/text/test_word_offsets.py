"""Where words of the normal form stand, against the normal form of what stands there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text.normalize import normalize
from tunesmith.text.word_offsets import word_offsets


@given(st.text(alphabet="aB é'’.,-\n7日本\u200bﬁ", max_size=40))
def test_every_place_holds_its_word(text: str) -> None:
    words, places = normalize(text).split(), word_offsets(text)
    assert len(places) == len(words)
    for word, (start, end) in zip(words, places, strict=True):
        assert normalize(text[start:end]) == word


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
    assert word_offsets(text) == places


def test_marks_that_combine_across_characters_give_the_whole_text() -> None:
    text = "\u1100\u1161 x"
    words = normalize(text).split()
    assert len(word_offsets(text)) == len(words)
