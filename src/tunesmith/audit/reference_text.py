"""A long text whose words are looked up by number: which they are, and at which character they stand."""

from dataclasses import dataclass
from functools import cached_property

import numpy
import pyarrow as pa

from tunesmith.audit.references import ReferenceItem
from tunesmith.text.ngrams import Int64Array, hash_words
from tunesmith.text.normalize import normalize
from tunesmith.text.word_offsets import word_offsets


@dataclass(frozen=True)
class ReferenceText:
    """A text of a reference. Only lines that are asked for are looked at character by character."""

    item: ReferenceItem

    @cached_property
    def _lines(self) -> list[str]:
        return self.item.text.splitlines(keepends=True)

    @cached_property
    def _words_before(self) -> Int64Array:
        """How many words come before each line, and in all."""
        return hash_words(pa.array(self._lines, type=pa.large_string())).starts

    @cached_property
    def _characters_before(self) -> Int64Array:
        return numpy.concatenate([[0], numpy.cumsum([len(line) for line in self._lines])]).astype(numpy.int64)

    @property
    def size(self) -> int:
        """Words of the text."""
        return int(self._words_before[-1])

    def words(self, at: int, count: int) -> list[str]:
        """`count` words from word `at` on, in normal form."""
        first, last = (self._line(place) for place in (at, at + count - 1))
        found = [word for line in self._lines[first : last + 1] for word in normalize(line).split()]
        skipped = at - int(self._words_before[first])
        return found[skipped : skipped + count]

    def character(self, at: int) -> int:
        """The character of the file (in a record: of its text) with which word `at` begins, from 0."""
        line = self._line(at)
        places = word_offsets(self._lines[line])
        inside = places[at - int(self._words_before[line])][0]
        return self.item.start + int(self._characters_before[line]) + inside

    def _line(self, at: int) -> int:
        return int(numpy.searchsorted(self._words_before, at, side="right")) - 1
