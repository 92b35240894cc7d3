"""Offsets of normalised words, against the normal form of the text between them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text.normalize import normalize
from tunesmith.text.word_offsets import word_offsets


@given(st.text(alphabet="aB é'’.,-\n7日本\u200bﬁ", max_size=40))
def test_the_text_at_each_offset_is_its_word(text: str) -> None:
    words, offsets = normalize(text).split(), word_offsets(text)
    assert len(offsets) == len(words)
    for word, (start, end) in zip(words, offsets, strict=True):
        assert normalize(text[start:end]) == word


@pytest.mark.parametrize(
    ("text", "offsets"),
    [
        ("Don't  stop.", [(0, 5), (7, 11)]),
        ("日本", [(0, 1), (1, 2)]),
        ("re-do", [(0, 2), (3, 5)]),
        ("…", []),
    ],
)
def test_offsets(text: str, offsets: list[tuple[int, int]]) -> None:
    assert word_offsets(text) == offsets


def test_combining_marks_that_change_the_word_count_give_the_whole_text() -> None:
    text = "\u1100\u1161 x"
    words = normalize(text).split()
    assert len(word_offsets(text)) == len(words)
