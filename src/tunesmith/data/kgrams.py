"""Index of k-grams: where runs of k words stand in reference texts, and the longest runs that other texts share with them.

Rolling numbers of 64 bits (see `tunesmith.data.ngrams`), sorted, asked by binary search behind a sieve of bits; a hit is
compared word by word and widened to the whole run. Memory: 20 bytes a word of the reference, 16 MB for the sieve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.data.ngrams import Numbers, Places, Words, rolled, words_in

SIEVE_BITS: Final = 24
"""One run in 2^24 has a given sieve number: an index of a million runs lets one strange run in seventeen through."""
ASKED: Final = 1 << 18
"""Words that are asked about in one go, which bounds the memory that a question takes."""
FEW: Final = 2
"""A run that stands in so few texts is never taken for a common one."""

Flags = npt.NDArray[numpy.bool_]


@dataclass(frozen=True)
class Runs:
    """Runs of words: line and place in the line, reference text and place in it, and length in words; sorted in that order."""

    lines: Places
    places: Places
    texts: Places
    ats: Places
    lengths: Places

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        columns = (self.lines, self.places, self.texts, self.ats, self.lengths)
        return zip(*(column.tolist() for column in columns), strict=True)


@dataclass(frozen=True)
class KgramIndex:
    """Every run of `length` words of reference texts, once for each text. Two are the same when digest and length are.

    `common` has where runs begin that stand in so many of the texts that they are passed over. With `whole`, only runs count
    that are the whole of a reference text.
    """

    digest: str
    length: int
    whole: bool = False
    words: Words = field(compare=False, repr=False, default=Words(numpy.zeros(0, numpy.uint64), numpy.zeros(1, int)))
    numbers: Numbers = field(compare=False, repr=False, default_factory=lambda: numpy.zeros(0, numpy.uint64))
    firsts: npt.NDArray[numpy.uint32] = field(
        compare=False, repr=False, default_factory=lambda: numpy.zeros(0, numpy.uint32)
    )
    sieve: Flags = field(compare=False, repr=False, default_factory=lambda: numpy.zeros(1 << SIEVE_BITS, dtype=bool))
    common: tuple[int, ...] = field(compare=False, repr=False, default=())

    def runs(self, words: Words) -> Runs:
        """The longest runs of at least `length` words that lines have in common with reference texts."""
        asked = len(words.numbers) if len(self.numbers) else 0
        pairs = [self._meeting(words, first) for first in range(0, asked, ASKED)]
        mine, theirs = (numpy.concatenate([pair[side] for pair in pairs] or [numpy.zeros(0, int)]) for side in (0, 1))
        lines, texts = _text_of(words, mine), _text_of(self.words, theirs)
        mine, theirs, lengths = _joined(mine, theirs, lines, texts, length=self.length)
        mine, theirs, lengths = _widened((words, mine), (self.words, theirs), lengths)
        lines, texts = _text_of(words, mine), _text_of(self.words, theirs)
        places, ats = mine - words.starts[lines], theirs - self.words.starts[texts]
        made = numpy.unique(numpy.stack([lines, places, texts, ats, lengths], axis=1), axis=0)
        if self.whole:
            made = made[made[:, 4] == numpy.diff(self.words.starts)[made[:, 2]]]
        return Runs(*(made[:, column] for column in range(5)))

    def common_places(self) -> list[tuple[int, int]]:
        """(text, first word) of one place of every run that is passed over."""
        places = numpy.array(self.common, dtype=numpy.int64)
        texts = _text_of(self.words, places)
        return list(zip(texts.tolist(), (places - self.words.starts[texts]).tolist(), strict=True))

    def _meeting(self, words: Words, first: int) -> tuple[Places, Places]:
        """(word of the lines, word of the reference) where the same run of `length` words begins."""
        found = rolled(words.numbers[first : first + ASKED + self.length - 1], self.length)
        mine = numpy.flatnonzero(
            self.sieve.take((found >> numpy.uint64(64 - SIEVE_BITS)).view(numpy.int64), mode="clip")
        )
        low = numpy.searchsorted(self.numbers, found[mine], side="left")
        counts = numpy.searchsorted(self.numbers, found[mine], side="right") - low
        places = numpy.repeat(low, counts) + _within(counts)
        mine, theirs = numpy.repeat(mine + first, counts), self.firsts[places].astype(numpy.int64)
        true = mine + self.length <= words.starts[_text_of(words, mine) + 1]
        for step in range(self.length):
            true &= (
                words.numbers[numpy.minimum(mine + step, len(words.numbers) - 1)] == self.words.numbers[theirs + step]
            )
        return mine[true], theirs[true]


def index_of(
    texts: pa.Array,
    length: int,
    *,
    digest: str,
    common_share: float = 1.0,
    between: tuple[int, int] | None = None,
    whole: bool = False,
) -> KgramIndex:
    """Index of texts (as they stand), of those of `between` (least, most) words alone when it is given.

    Runs in more than FEW texts and more than `common_share` of them are left out. `digest` must change when the texts do.
    """
    words = words_in(texts)
    if len(words.numbers) >= 1 << 32:
        raise ValueError("more than 4 billion words")
    numbers, firsts = _grams(words, length, between)
    counts = numpy.diff(numpy.flatnonzero(numpy.concatenate([[True], numbers[1:] != numbers[:-1], [True]])))
    counts = counts if len(numbers) else numpy.zeros(0, int)
    often = counts > max(FEW, common_share * len(texts))
    heads = numpy.cumsum(counts) - counts
    kept = ~numpy.repeat(often, counts)
    sieve = numpy.zeros(1 << SIEVE_BITS, dtype=bool)
    sieve[numbers[kept] >> numpy.uint64(64 - SIEVE_BITS)] = True
    common = tuple(firsts[heads[often]].tolist())
    return KgramIndex(digest, length, whole, words, numbers[kept], firsts[kept], sieve, common)


def runs_in(texts: pa.Array, indexes: Sequence[KgramIndex]) -> list[Runs]:
    """For each index, the runs that the texts share with its reference."""
    words = words_in(texts)
    return [index.runs(words) for index in indexes]


def _grams(words: Words, length: int, between: tuple[int, int] | None) -> tuple[Numbers, npt.NDArray[numpy.uint32]]:
    """Number and first word of every run, the first of equal ones in each text, sorted by number and place."""
    sizes = numpy.diff(words.starts)
    least, most = between or (length, int(sizes.max(initial=0)))
    taken = (sizes >= max(length, least)) & (sizes <= most)
    counts = numpy.where(taken, sizes - length + 1, 0)
    places = numpy.repeat(words.starts[:-1], counts) + _within(counts)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    numbers = rolled(words.numbers, length)[places]
    order = numpy.argsort(numbers, kind="stable")
    numbers, places, texts = numbers[order], places[order], texts[order]
    repeated = numpy.zeros(len(numbers), dtype=bool)
    repeated[1:] = (numbers[1:] == numbers[:-1]) & (texts[1:] == texts[:-1])
    return numbers[~repeated], places[~repeated].astype(numpy.uint32)


def _within(counts: Places) -> Places:
    """0, 1, ... for each group of the given sizes."""
    return numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)


def _text_of(words: Words, places: Places) -> Places:
    return numpy.searchsorted(words.starts, places, side="right") - 1


def _joined(
    mine: Places, theirs: Places, lines: Places, texts: Places, *, length: int
) -> tuple[Places, Places, Places]:
    """Hits that follow one another word by word as one run: (first word, first word of the reference, words)."""
    order = numpy.lexsort((mine, mine - theirs, texts, lines))
    mine, theirs, lines, texts = mine[order], theirs[order], lines[order], texts[order]
    begins = numpy.ones(len(mine), dtype=bool)
    same = (lines[1:] == lines[:-1]) & (texts[1:] == texts[:-1])
    begins[1:] = ~(same & (mine[1:] == mine[:-1] + 1) & (theirs[1:] == theirs[:-1] + 1))
    heads = numpy.flatnonzero(begins)
    counts = numpy.diff(numpy.append(heads, len(mine)))
    return mine[heads], theirs[heads], counts + length - 1


def _widened(ours: tuple[Words, Places], other: tuple[Words, Places], lengths: Places) -> tuple[Places, Places, Places]:
    """Runs made as long as the words agree on either side: the index may lack runs that are common or stand there twice."""
    (words, mine), (reference, theirs) = ours, other
    before = _agreeing(ours, other, step=-1, limits=(words.starts[_text_of(words, mine)], _starts(reference, theirs)))
    ends = words.starts[_text_of(words, mine) + 1], reference.starts[_text_of(reference, theirs) + 1]
    after = _agreeing((words, mine + lengths - 1), (reference, theirs + lengths - 1), step=1, limits=ends)
    return mine - before, theirs - before, lengths + before + after


def _starts(words: Words, places: Places) -> Places:
    return words.starts[_text_of(words, places)]


def _agreeing(
    ours: tuple[Words, Places], other: tuple[Words, Places], *, step: int, limits: tuple[Places, Places]
) -> Places:
    """How many words beyond a place agree, going forward (limits: ends) or backward (limits: starts)."""
    (words, mine), (reference, theirs) = ours, other
    made = numpy.zeros(len(mine), dtype=numpy.int64)
    active, distance = numpy.arange(len(mine)), step
    while len(active):
        here, there = mine[active] + distance, theirs[active] + distance
        inside = (here >= limits[0][active]) & (there >= limits[1][active])
        if step > 0:
            inside = (here < limits[0][active]) & (there < limits[1][active])
        active, here, there = active[inside], here[inside], there[inside]
        active = active[words.numbers[here] == reference.numbers[there]]
        made[active] += 1
        distance += step
    return made
