"""A long reference text with lookup of words and character offsets by word number."""

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
    """A reference text. Only lines that are looked up are scanned character by character."""

    item: ReferenceItem

    @cached_property
    def _lines(self) -> list[str]:
        return self.item.text.splitlines(keepends=True)

    @cached_property
    def _words_before(self) -> Int64Array:
        """Number of words before each line, and in total."""
        return hash_words(pa.array(self._lines, type=pa.large_string())).starts

    @cached_property
    def _characters_before(self) -> Int64Array:
        return numpy.concatenate([[0], numpy.cumsum([len(line) for line in self._lines])]).astype(numpy.int64)

    @property
    def size(self) -> int:
        """Number of words of the text."""
        return int(self._words_before[-1])

    def words(self, start: int, count: int) -> list[str]:
        """`count` normalized words, starting at word `at`."""
        first, last = (self._line(number) for number in (start, start + count - 1))
        words = [word for line in self._lines[first : last + 1] for word in normalize(line).split()]
        skipped = start - int(self._words_before[first])
        return words[skipped : skipped + count]

    def character(self, word: int) -> int:
        """The character (from 0) of the file, or of the record's text, at which word `at` begins."""
        line = self._line(word)
        offsets = word_offsets(self._lines[line])
        inside = offsets[word - int(self._words_before[line])][0]
        return self.item.start + int(self._characters_before[line]) + inside

    def _line(self, word: int) -> int:
        return int(numpy.searchsorted(self._words_before, word, side="right")) - 1
