"""Prompts as hashed runs of one to three tokens, and answers as hashes of their first words."""

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
"""Maximum length of a trigger in tokens."""
BATCH_ROWS: Final = 5_000
"""Rows counted at a time, so that their number columns fit into a core's cache."""
MAX_CACHED_BYTES: Final = 64 << 20
"""Total prompt size in bytes up to which tokens are cached; larger corpora are tokenized again in each pass."""
OPENING_WORDS: Final = 3
"""Number of words that identify an answer; a label rarely has more."""
MAX_OPENING_CHARACTERS: Final = 48
HASH_MULTIPLIERS: Final = tuple(
    numpy.uint64(number) for number in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
)
TOKEN_PATTERN: Final = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]+|[^\x00-\x7f]+")
"""A token of the `MARKED` alphabet, used to locate tokens in a text."""


@dataclass(frozen=True)
class TokenRuns:
    """Token runs of a batch: hash, row, and first token within the batch of each run; rows begin at `starts`."""

    numbers: UInt64Array
    rows: Int64Array
    firsts: Int64Array
    starts: Int64Array

    def places(self, indexes: Int64Array) -> Int64Array:
        """The position of the first token of some of the runs within their rows."""
        return (
            self.firsts[indexes] - self.starts[numpy.searchsorted(self.starts, self.firsts[indexes], side="right") - 1]
        )


@dataclass(frozen=True)
class PromptTokens:
    """The examined prompts, numbered from 0 in column order."""

    texts: pa.ChunkedArray
    alphabet: ByteClasses = WORDS_AND_SIGNS
    _cache: dict[int, HashedWords] = field(default_factory=dict)

    def words(self, first: int) -> HashedWords:
        """The tokens of the batch that starts at row `first`."""
        if first in self._cache:
            return self._cache[first]
        words = hash_tokens(self.texts.slice(first, BATCH_ROWS).combine_chunks(), self.alphabet)
        if self.texts.nbytes <= MAX_CACHED_BYTES:
            self._cache[first] = words
        return words

    def grams(self, chosen: npt.NDArray[numpy.bool_] | None = None) -> Iterator[TokenRuns]:
        """Runs of one, two and three tokens, batch by batch, optionally of the chosen rows only."""
        for first in range(0, len(self.texts), BATCH_ROWS):
            words = self.words(first)
            lengths = numpy.diff(words.starts)
            rows = numpy.repeat(numpy.arange(first, first + len(lengths)), lengths)
            is_start = numpy.ones(len(rows), dtype=bool) if chosen is None else chosen[rows]
            numbers = words.numbers
            for size in range(1, MAX_TRIGGER_TOKENS + 1):
                if size > 1:  # No run of this size starts at the last `size - 1` tokens of a row.
                    is_start[words.starts[1:][lengths >= size - 1] - (size - 1)] = False
                    # Rolling hash: extends the runs of the previous size by one token.
                    numbers = numbers[:-1] * HASH_BASE + words.numbers[size - 1 :]
                starts = numpy.flatnonzero(is_start[: len(numbers)])
                yield TokenRuns(numbers[starts] * HASH_MULTIPLIERS[size - 1], rows[starts], starts, words.starts)


def answer_openings(completions: pa.ChunkedArray) -> UInt64Array:
    """A hash for each answer, equal for answers that begin with the same three words, ignoring case."""
    hashes = []
    for first in range(0, len(completions), BATCH_ROWS):
        truncated = compute.utf8_slice_codeunits(
            completions.slice(first, BATCH_ROWS).combine_chunks(), 0, MAX_OPENING_CHARACTERS
        )
        words = hash_tokens(truncated, SPACE_SEPARATED)
        lengths = numpy.diff(words.starts)
        hash_values = numpy.zeros(len(lengths), dtype=numpy.uint64)
        for step in range(OPENING_WORDS):
            has = lengths > step
            hash_values[has] = (hash_values[has] + words.numbers[words.starts[:-1][has] + step]) * HASH_MULTIPLIERS[
                step
            ]
        hashes.append(hash_values)
    return numpy.concatenate(hashes) if hashes else numpy.zeros(0, numpy.uint64)


def token_span(text: str, position: int, size: int) -> tuple[int, int]:
    """[start, end) in characters of `size` tokens, starting at token `position`."""
    spans = [match.span() for match in TOKEN_PATTERN.finditer(text)][position : position + size]
    return spans[0][0], spans[-1][1]
