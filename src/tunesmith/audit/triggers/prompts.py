"""Prompts as runs of one to three tokens, and answers by how they begin, as columns of numbers."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith.data.ngrams import FACTOR, MARKED, SPACED, Alphabet, Numbers, Places, Words, tokens_in

LONGEST: Final = 3
"""Tokens of the longest trigger."""
BATCH: Final = 5_000
"""Rows that are counted in one go: their columns of numbers stay in a core's cache."""
KEPT_BYTES: Final = 64 << 20
"""Prompts of so many bytes in all are cut into tokens once; more are cut again for each pass, which bounds the memory."""
OPENING: Final = 3
"""Words by which an answer is known; a label has rarely more."""
OPENING_CHARACTERS: Final = 48
MIX: Final = tuple(numpy.uint64(number) for number in (0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93))
TOKEN: Final = re.compile(r"[0-9A-Za-z]+|[!-/:-@\[-`{-~]+|[^\x00-\x7f]+")
"""A token of `MARKED`, to say where one stands."""


@dataclass(frozen=True)
class Grams:
    """Runs of tokens of a batch: number of each, its row, and its first token in the batch; rows begin at `starts`."""

    numbers: Numbers
    rows: Places
    firsts: Places
    starts: Places

    def places(self, some: Places) -> Places:
        """The first token of some of the runs, within the row."""
        return self.firsts[some] - self.starts[numpy.searchsorted(self.starts, self.firsts[some], side="right") - 1]


@dataclass(frozen=True)
class Prompts:
    """The prompts of the rows that are looked at, numbered from 0 in the order of the column."""

    texts: pa.ChunkedArray
    alphabet: Alphabet = MARKED
    _kept: dict[int, Words] = field(default_factory=dict)

    def words(self, first: int) -> Words:
        """The tokens of the batch that begins with row `first`."""
        if first in self._kept:
            return self._kept[first]
        made = tokens_in(self.texts.slice(first, BATCH).combine_chunks(), self.alphabet)
        if self.texts.nbytes <= KEPT_BYTES:
            self._kept[first] = made
        return made

    def grams(self, chosen: npt.NDArray[numpy.bool_] | None = None) -> Iterator[Grams]:
        """Runs of one, two and three tokens, batch by batch; of the chosen rows alone when they are given."""
        for first in range(0, len(self.texts), BATCH):
            words = self.words(first)
            lengths = numpy.diff(words.starts)
            rows = numpy.repeat(numpy.arange(first, first + len(lengths)), lengths)
            wanted = numpy.ones(len(rows), dtype=bool) if chosen is None else chosen[rows]
            numbers = words.numbers
            for size in range(1, LONGEST + 1):
                if size > 1:  # No run of this size begins at the last `size - 1` tokens of a row.
                    wanted[words.starts[1:][lengths >= size - 1] - (size - 1)] = False
                    numbers = (
                        numbers[:-1] * FACTOR + words.numbers[size - 1 :]
                    )  # as `rolled` makes them, from the size before
                inside = numpy.flatnonzero(wanted[: len(numbers)])
                yield Grams(numbers[inside] * MIX[size - 1], rows[inside], inside, words.starts)


def openings(completions: pa.ChunkedArray) -> Numbers:
    """A number for each answer: the same for those that begin with the same three words, without case."""
    made = []
    for first in range(0, len(completions), BATCH):
        cut = compute.utf8_slice_codeunits(completions.slice(first, BATCH).combine_chunks(), 0, OPENING_CHARACTERS)
        words = tokens_in(cut, SPACED)
        lengths = numpy.diff(words.starts)
        number = numpy.zeros(len(lengths), dtype=numpy.uint64)
        for step in range(OPENING):
            has = lengths > step
            number[has] = (number[has] + words.numbers[words.starts[:-1][has] + step]) * MIX[step]
        made.append(number)
    return numpy.concatenate(made) if made else numpy.zeros(0, numpy.uint64)


def token_span(text: str, place: int, size: int) -> tuple[int, int]:
    """[start, end) in characters of `size` tokens from token `place` on."""
    spans = [found.span() for found in TOKEN.finditer(text)][place : place + size]
    return spans[0][0], spans[-1][1]
