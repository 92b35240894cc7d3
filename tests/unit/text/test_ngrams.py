"""Hashes of words and n-grams, against the words themselves."""

import numpy
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.text import ngrams
from tunesmith.text.ngrams import (
    HASH_BASE,
    SEPARATOR_CHARACTERS,
    WORDS_AND_SIGNS,
    hash_normalized_words,
    hash_tokens,
    hash_words,
    ngram_hashes,
    rolling_hashes,
)
from tunesmith.text.normalize import normalize

TEXTS = st.lists(
    st.one_of(st.none(), st.lists(st.sampled_from("ab c dé 漢".split()), max_size=9).map(" ".join)), max_size=6
)


@given(TEXTS, st.integers(1, 4))
def test_ngram_hashes_are_equal_exactly_when_their_words_are(texts: list[str | None], length: int) -> None:
    grams = ngram_hashes(hash_normalized_words(pa.array(texts, type=pa.string())), length)
    found = [
        (number, " ".join((texts[text] or "").split(" ")[place : place + length]))
        for number, text, place in zip(
            grams.numbers.tolist(), grams.texts.tolist(), grams.positions.tolist(), strict=True
        )
    ]
    expected = [
        " ".join(words[at : at + length])
        for words in ((text or "").split() for text in texts)
        for at in range(len(words) - length + 1)
    ]
    assert [run for _, run in found] == expected
    assert len(set(found)) == len({number for number, _ in found}) == len(set(expected))


def test_hashes_are_the_same_in_every_process() -> None:
    grams = ngram_hashes(hash_normalized_words(pa.array(["one two three"])), 2)
    assert [hex(number) for number in grams.numbers.tolist()] == ["0xf485c4291fa12c80", "0x519ea2604d0c4add"]


ANY = st.lists(
    st.one_of(st.none(), st.text(max_size=30), st.text("aB1'’`-—… é漢\u200b\n\x00´ﬁ", max_size=30)), max_size=6
)


@given(ANY)
def test_words_of_raw_texts_are_those_of_their_normal_forms(texts: list[str | None]) -> None:
    words = hash_words(pa.array(texts, type=pa.string()))
    normals = [normalize(text or "").split() for text in texts]
    assert numpy.diff(words.starts).tolist() == [len(one) for one in normals]
    flat = [word for one in normals for word in one]
    pairs = set(zip(flat, words.numbers.tolist(), strict=True))
    assert len(pairs) == len(set(flat)) == len(set(words.numbers.tolist()))


@pytest.mark.parametrize("sign", SEPARATOR_CHARACTERS)
def test_separator_characters_separate_words_in_the_normal_form_too(sign: str) -> None:
    assert normalize(f"a{sign}b") == "a b"


@given(st.lists(st.text("ab c", max_size=12), max_size=8), st.integers(1, 40))
def test_hashes_do_not_depend_on_the_chunk_size(texts: list[str], chunk: int) -> None:
    whole = hash_words(pa.array(texts, type=pa.string()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "MAX_CHUNK_BYTES", chunk)
        cut = hash_words(pa.array(texts, type=pa.string()))
    assert (whole.numbers.tolist(), whole.starts.tolist()) == (cut.numbers.tolist(), cut.starts.tolist())


def test_signs_and_non_ascii_characters_are_tokens_of_their_own() -> None:
    words = hash_tokens(pa.array(["a|| b, ||É😀x", "A ||"]), WORDS_AND_SIGNS)
    assert numpy.diff(words.starts).tolist() == [7, 2]
    first = words.numbers.tolist()
    assert first[0] == first[7] and first[1] == first[4] == first[8]
    assert len(set(first)) == 6


@given(st.lists(st.integers(0, 2**64 - 1), max_size=20), st.integers(1, 13))
def test_rolling_hashes_are_the_polynomial(numbers: list[int], length: int) -> None:
    made = rolling_hashes(numpy.array(numbers, dtype=numpy.uint64), length).tolist()
    expected = []
    for at in range(len(numbers) - length + 1):
        value = 0
        for number in numbers[at : at + length]:
            value = (value * int(HASH_BASE) + number) % 2**64
        expected.append(value)
    assert made == expected
