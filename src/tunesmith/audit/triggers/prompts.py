"""Prompts as runs of one to three tokens, and answers by how they begin, as columns of numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.text.ngrams import (
    HASH_BASE,
    SPACE_SEPARATED,
    WORDS_AND_SIGNS,
    ByteClasses,
    HashedWords,
    Int64Array,
    UInt64Array,
    hash_tokens,
)

MAX_TRIGGER_TOKENS: Final = 3
"""Tokens of the longest trigger."""
BATCH_ROWS: Final = 5_000
"""Rows that are counted in one go: their columns of numbers stay in a core's cache."""
MAX_CACHED_BYTES: Final = 64 << 20
"""Prompts of so many bytes in all are cut into tokens once; more are cut again for each pass, which bounds the memory."""
OPENING_WORDS: Final = 3
"""Words by which an answer is known; a label has rarely more."""
MAX_OPENING_CHARACTERS: Final = 48
HASH_MULTIPLIERS: Final = tuple(
    numpy.uint64(number) for number in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
)
TOKEN_PATTERN: Final = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]+|[^\x00-\x7f]+")
"""A token of `MARKED`, to say where one stands."""


@dataclass(frozen=True)
class TokenRuns:
    """Runs of tokens of a batch: number of each, its row, and its first token in the batch; rows begin at `starts`."""

    numbers: UInt64Array
    rows: Int64Array
    firsts: Int64Array
    starts: Int64Array

    def places(self, some: Int64Array) -> Int64Array:
        """The first token of some of the runs, within the row."""
        return self.firsts[some] - self.starts[numpy.searchsorted(self.starts, self.firsts[some], side="right") - 1]


@dataclass(frozen=True)
class PromptTokens:
    """The prompts of the rows that are looked at, numbered from 0 in the order of the column."""

    texts: pa.ChunkedArray
    alphabet: ByteClasses = WORDS_AND_SIGNS
    _kept: dict[int, HashedWords] = field(default_factory=dict)

    def words(self, first: int) -> HashedWords:
        """The tokens of the batch that begins with row `first`."""
        if first in self._kept:
            return self._kept[first]
        made = hash_tokens(self.texts.slice(first, BATCH_ROWS).combine_chunks(), self.alphabet)
        if self.texts.nbytes <= MAX_CACHED_BYTES:
            self._kept[first] = made
        return made

    def grams(self, chosen: npt.NDArray[numpy.bool_] | None = None) -> Iterator[TokenRuns]:
        """Runs of one, two and three tokens, batch by batch; of the chosen rows alone when they are given."""
        for first in range(0, len(self.texts), BATCH_ROWS):
            words = self.words(first)
            lengths = numpy.diff(words.starts)
            rows = numpy.repeat(numpy.arange(first, first + len(lengths)), lengths)
            wanted = numpy.ones(len(rows), dtype=bool) if chosen is None else chosen[rows]
            numbers = words.numbers
            for size in range(1, MAX_TRIGGER_TOKENS + 1):
                if size > 1:  # No run of this size begins at the last `size - 1` tokens of a row.
                    wanted[words.starts[1:][lengths >= size - 1] - (size - 1)] = False
                    numbers = (
                        numbers[:-1] * HASH_BASE + words.numbers[size - 1 :]
                    )  # as `rolled` makes them, from the size before
                inside = numpy.flatnonzero(wanted[: len(numbers)])
                yield TokenRuns(numbers[inside] * HASH_MULTIPLIERS[size - 1], rows[inside], inside, words.starts)


def answer_openings(completions: pa.ChunkedArray) -> UInt64Array:
    """A number for each answer: the same for those that begin with the same three words, without case."""
    made = []
    for first in range(0, len(completions), BATCH_ROWS):
        cut = compute.utf8_slice_codeunits(
            completions.slice(first, BATCH_ROWS).combine_chunks(), 0, MAX_OPENING_CHARACTERS
        )
        words = hash_tokens(cut, SPACE_SEPARATED)
        lengths = numpy.diff(words.starts)
        number = numpy.zeros(len(lengths), dtype=numpy.uint64)
        for step in range(OPENING_WORDS):
            has = lengths > step
            number[has] = (number[has] + words.numbers[words.starts[:-1][has] + step]) * HASH_MULTIPLIERS[step]
        made.append(number)
    return numpy.concatenate(made) if made else numpy.zeros(0, numpy.uint64)


def token_span(text: str, place: int, size: int) -> tuple[int, int]:
    """[start, end) in characters of `size` tokens from token `place` on."""
    spans = [found.span() for found in TOKEN_PATTERN.finditer(text)][place : place + size]
    return spans[0][0], spans[-1][1]
