"""Words of a work by number, against the words of the whole text."""

from pathlib import Path

import pytest

from tunesmith.data.normal import normal
from tunesmith.data.references import Item, Reference
from tunesmith.data.worktext import WorkText

TEXT = "The ferry — grey, and late —\n\n  left at SIX; nobody’s hat\nwas dry.\r\nIt rained: on, on."


@pytest.fixture
def work() -> WorkText:
    return WorkText(Item(Reference("ferry.txt", "sha256:0", Path("ferry.txt")), 1, 1, 100, TEXT))


def test_size(work: WorkText) -> None:
    assert work.size == len(normal(TEXT).split()) == 16


@pytest.mark.parametrize("count", [1, 3, 7])
def test_words_are_those_of_the_whole_text(work: WorkText, count: int) -> None:
    words = normal(TEXT).split()
    for at in range(len(words) - count + 1):
        assert work.words(at, count) == words[at : at + count]


def test_characters_are_counted_from_the_start_of_the_file(work: WorkText) -> None:
    words = normal(TEXT).split()
    for at, word in enumerate(words):
        start = work.character(at) - 100
        assert normal(TEXT[start:]).split()[0] == word
    assert work.character(words.index("six")) == 100 + TEXT.index("SIX")
