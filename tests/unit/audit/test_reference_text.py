"""Words of a reference text by number, compared with the words of the whole text."""

from pathlib import Path

import pytest

from tunesmith.audit.reference_text import ReferenceText
from tunesmith.audit.references import Reference, ReferenceItem
from tunesmith.text.normalize import normalize

TEXT = "The ferry — grey, and late —\n\n  left at SIX; nobody’s hat\nwas dry.\r\nIt rained: on, on."


@pytest.fixture
def work() -> ReferenceText:
    return ReferenceText(ReferenceItem(Reference("ferry.txt", "sha256:0", Path("ferry.txt")), 1, 1, 100, TEXT))


def test_size(work: ReferenceText) -> None:
    assert work.size == len(normalize(TEXT).split()) == 16


@pytest.mark.parametrize("count", [1, 3, 7])
def test_words_are_those_of_the_whole_text(work: ReferenceText, count: int) -> None:
    words = normalize(TEXT).split()
    for at in range(len(words) - count + 1):
        assert work.words(at, count) == words[at : at + count]


def test_characters_are_counted_from_the_start_of_the_file(work: ReferenceText) -> None:
    words = normalize(TEXT).split()
    for at, word in enumerate(words):
        start = work.character(at) - 100
        assert normalize(TEXT[start:]).split()[0] == word
    assert work.character(words.index("six")) == 100 + TEXT.index("SIX")
