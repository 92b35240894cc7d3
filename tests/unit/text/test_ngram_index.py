"""The n-gram index against a word-by-word comparison."""

import numpy
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text.ngram_index import NgramIndex, build_index, find_matches
from tunesmith.text.ngrams import hash_words
from tunesmith.text.normalize import normalize

TEXTS = st.lists(st.lists(st.sampled_from("a b c D, é".split()), max_size=14).map(" ".join), min_size=1, max_size=5)


def by_hand(lines: list[str], texts: list[str], length: int) -> set[tuple[int, int, int, int, int]]:
    """Every pair of equal word spans that cannot be extended and have at least `length` words."""
    found = set()
    for line, one in enumerate(normalize(text).split() for text in lines):
        for text, other in enumerate(normalize(text).split() for text in texts):
            for place in range(len(one)):
                for at in range(len(other)):
                    if place and at and one[place - 1] == other[at - 1]:
                        continue
                    size = 0
                    while place + size < len(one) and at + size < len(other) and one[place + size] == other[at + size]:
                        size += 1
                    if size >= length:
                        found.add((line, place, text, at, size))
    return found


def ngrams_are_unique(texts: list[str], length: int) -> bool:
    """Whether no text repeats an n-gram: the index holds the first occurrence in each text only."""
    for words in (normalize(text).split() for text in texts):
        grams = [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]
        if len(set(grams)) < len(grams):
            return False
    return True


@given(TEXTS, TEXTS, st.integers(1, 5))
def test_matches_equal_those_of_a_word_by_word_comparison(lines: list[str], texts: list[str], length: int) -> None:
    index = build_index(pa.array(texts), length, digest="x")
    (runs,) = find_matches(pa.array(lines), [index])
    found, expected = set(runs), by_hand(lines, texts, length)
    assert found <= expected
    if ngrams_are_unique(texts, length):
        assert found == expected


@given(TEXTS, TEXTS)
def test_repeated_ngrams_still_match_every_line_that_has_one(lines: list[str], texts: list[str]) -> None:
    (runs,) = find_matches(pa.array(lines), [build_index(pa.array(texts), 2, digest="x")])
    assert {(line, text) for line, _, text, _, _ in runs} == {(one[0], one[2]) for one in by_hand(lines, texts, 2)}


def test_only_whole_texts_of_given_sizes() -> None:
    texts = ["one two three", "two three four five six", "a b c d e f g h"]
    index = build_index(pa.array(texts), 3, digest="x", between=(3, 5), whole=True)
    lines = ["zero one two three", "one two three four five six", "two three four five", "a b c d e f g h"]
    (runs,) = find_matches(pa.array(lines), [index])
    assert list(runs) == [(0, 1, 0, 0, 3), (1, 0, 0, 0, 3), (1, 1, 1, 0, 5)]


def test_common_ngrams_are_left_out_and_listed() -> None:
    frame = "this is how every question of the set begins"
    texts = [f"{frame} {word}" for word in ("red", "blue", "green", "grey")]
    index = build_index(pa.array(texts), 5, digest="x", common_share=0.5)
    words = hash_words(pa.array(texts))
    assert sorted(numpy.array(index.common) - words.starts[0]) == [0, 1, 2, 3, 4]
    (runs,) = find_matches(pa.array([f"{frame} yellow", f"{frame} blue"]), [index])
    assert [(line, text, size) for line, _, text, _, size in runs] == [(1, 1, 10)]


def test_indexes_with_equal_digests_are_equal() -> None:
    one, two = (build_index(pa.array([text]), 2, digest=text) for text in ("a b c", "a b d"))
    assert one != two and one == build_index(pa.array(["a b c"]), 2, digest="a b c")
    assert hash(one) == hash(build_index(pa.array(["a b c"]), 2, digest="a b c"))
    assert repr(one) == "NgramIndex(digest='a b c', length=2, whole=False)"


@pytest.mark.parametrize("texts", [[], [""], ["", None, "one"]])
def test_nothing_to_compare(texts: list[str | None]) -> None:
    lines = pa.array(texts, type=pa.string())
    full, empty = build_index(pa.array(["one two three"]), 2, digest="f"), build_index(lines, 2, digest="e")
    assert [list(runs) for runs in find_matches(lines, [full, empty])] == [[], []]
    assert list(find_matches(pa.array(["one two three"]), [empty])[0]) == []
    assert isinstance(empty, NgramIndex)
