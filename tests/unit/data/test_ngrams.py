"""Runs of words as numbers, against the runs themselves."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tunesmith.data.ngrams import grams_of, words_of

TEXTS = st.lists(
    st.one_of(st.none(), st.lists(st.sampled_from("ab c dé 漢".split()), max_size=9).map(" ".join)), max_size=6
)


@given(TEXTS, st.integers(1, 4))
def test_runs_are_equal_exactly_when_their_words_are(texts: list[str | None], length: int) -> None:
    grams = grams_of(words_of(pa.array(texts, type=pa.string())), length)
    found = [
        (number, " ".join((texts[text] or "").split(" ")[place : place + length]))
        for number, text, place in zip(grams.numbers.tolist(), grams.texts.tolist(), grams.places.tolist(), strict=True)
    ]
    expected = [
        " ".join(words[at : at + length])
        for words in ((text or "").split() for text in texts)
        for at in range(len(words) - length + 1)
    ]
    assert [run for _, run in found] == expected
    assert len(set(found)) == len({number for number, _ in found}) == len(set(expected))


def test_numbers_are_the_same_in_every_process() -> None:
    grams = grams_of(words_of(pa.array(["one two three"])), 2)
    assert [hex(number) for number in grams.numbers.tolist()] == ["0xf485c4291fa12c80", "0x519ea2604d0c4add"]
