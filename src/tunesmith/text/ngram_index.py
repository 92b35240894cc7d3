"""Index of k-grams: where runs of k words stand in reference texts, and the longest runs that other texts share with them.

Rolling numbers of 64 bits (see `tunesmith.text.ngrams`), sorted, asked by binary search behind a sieve of bits; a hit is
compared word by word and widened to the whole run. Memory: 20 bytes a word of the reference, 16 MB for the sieve.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.text.ngrams import HashedWords, Int64Array, UInt64Array, hash_words, rolling_hashes

PREFILTER_BITS: Final = 24
"""One run in 2^24 has a given sieve number: an index of a million runs lets one strange run in seventeen through."""
MAX_QUERY_WORDS: Final = 1 << 18
"""Words that are asked about in one go, which bounds the memory that a question takes."""
MAX_RARE_TEXTS: Final = 2
"""A run that stands in so few texts is never taken for a common one."""

BoolArray = npt.NDArray[numpy.bool_]


@dataclass(frozen=True)
class NgramMatches:
    """Runs of words: line and place in the line, reference text and place in it, and length in words; sorted in that order."""

    lines: Int64Array
    places: Int64Array
    texts: Int64Array
    ats: Int64Array
    lengths: Int64Array

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        columns = (self.lines, self.places, self.texts, self.ats, self.lengths)
        return zip(*(column.tolist() for column in columns), strict=True)


@dataclass(frozen=True)
class NgramIndex:
    """Every run of `length` words of reference texts, once for each text. Two are the same when digest and length are.

    `common` has where runs begin that stand in so many of the texts that they are passed over. With `whole`, only runs count
    that are the whole of a reference text.
    """

    digest: str
    length: int
    whole: bool = False
    words: HashedWords = field(
        compare=False, repr=False, default=HashedWords(numpy.zeros(0, numpy.uint64), numpy.zeros(1, int))
    )
    numbers: UInt64Array = field(compare=False, repr=False, default_factory=lambda: numpy.zeros(0, numpy.uint64))
    firsts: npt.NDArray[numpy.uint32] = field(
        compare=False, repr=False, default_factory=lambda: numpy.zeros(0, numpy.uint32)
    )
    sieve: BoolArray = field(
        compare=False, repr=False, default_factory=lambda: numpy.zeros(1 << PREFILTER_BITS, dtype=bool)
    )
    common: tuple[int, ...] = field(compare=False, repr=False, default=())

    def runs(self, words: HashedWords) -> NgramMatches:
        """The longest runs of at least `length` words that lines have in common with reference texts."""
        asked = len(words.numbers) if len(self.numbers) else 0
        pairs = [self._meeting(words, first) for first in range(0, asked, MAX_QUERY_WORDS)]
        mine, theirs = (numpy.concatenate([pair[side] for pair in pairs] or [numpy.zeros(0, int)]) for side in (0, 1))
        lines, texts = _containing_text(words, mine), _containing_text(self.words, theirs)
        mine, theirs, lengths = _merge_adjacent(mine, theirs, lines, texts, length=self.length)
        mine, theirs, lengths = _extend_matches((words, mine), (self.words, theirs), lengths)
        lines, texts = _containing_text(words, mine), _containing_text(self.words, theirs)
        places, ats = mine - words.starts[lines], theirs - self.words.starts[texts]
        made = numpy.unique(numpy.stack([lines, places, texts, ats, lengths], axis=1), axis=0)
        if self.whole:
            made = made[made[:, 4] == numpy.diff(self.words.starts)[made[:, 2]]]
        return NgramMatches(*(made[:, column] for column in range(5)))

    def common_places(self) -> list[tuple[int, int]]:
        """(text, first word) of one place of every run that is passed over."""
        places = numpy.array(self.common, dtype=numpy.int64)
        texts = _containing_text(self.words, places)
        return list(zip(texts.tolist(), (places - self.words.starts[texts]).tolist(), strict=True))

    def _meeting(self, words: HashedWords, first: int) -> tuple[Int64Array, Int64Array]:
        """(word of the lines, word of the reference) where the same run of `length` words begins."""
        found = rolling_hashes(words.numbers[first : first + MAX_QUERY_WORDS + self.length - 1], self.length)
        mine = numpy.flatnonzero(
            self.sieve.take((found >> numpy.uint64(64 - PREFILTER_BITS)).view(numpy.int64), mode="clip")
        )
        low = numpy.searchsorted(self.numbers, found[mine], side="left")
        counts = numpy.searchsorted(self.numbers, found[mine], side="right") - low
        places = numpy.repeat(low, counts) + _positions_in_groups(counts)
        mine, theirs = numpy.repeat(mine + first, counts), self.firsts[places].astype(numpy.int64)
        true = mine + self.length <= words.starts[_containing_text(words, mine) + 1]
        for step in range(self.length):
            true &= (
                words.numbers[numpy.minimum(mine + step, len(words.numbers) - 1)] == self.words.numbers[theirs + step]
            )
        return mine[true], theirs[true]


def build_index(
    texts: pa.Array,
    length: int,
    *,
    digest: str,
    common_share: float = 1.0,
    between: tuple[int, int] | None = None,
    whole: bool = False,
) -> NgramIndex:
    """Index of texts (as they stand), of those of `between` (least, most) words alone when it is given.

    Runs in more than FEW texts and more than `common_share` of them are left out. `digest` must change when the texts do.
    """
    words = hash_words(texts)
    if len(words.numbers) >= 1 << 32:
        raise ValueError("more than 4 billion words")
    numbers, firsts = _sorted_ngrams(words, length, between)
    counts = numpy.diff(numpy.flatnonzero(numpy.concatenate([[True], numbers[1:] != numbers[:-1], [True]])))
    counts = counts if len(numbers) else numpy.zeros(0, int)
    often = counts > max(MAX_RARE_TEXTS, common_share * len(texts))
    heads = numpy.cumsum(counts) - counts
    kept = ~numpy.repeat(often, counts)
    sieve = numpy.zeros(1 << PREFILTER_BITS, dtype=bool)
    sieve[numbers[kept] >> numpy.uint64(64 - PREFILTER_BITS)] = True
    common = tuple(firsts[heads[often]].tolist())
    return NgramIndex(digest, length, whole, words, numbers[kept], firsts[kept], sieve, common)


def find_matches(texts: pa.Array, indexes: Sequence[NgramIndex]) -> list[NgramMatches]:
    """For each index, the runs that the texts share with its reference."""
    words = hash_words(texts)
    return [index.runs(words) for index in indexes]


def _sorted_ngrams(
    words: HashedWords, length: int, between: tuple[int, int] | None
) -> tuple[UInt64Array, npt.NDArray[numpy.uint32]]:
    """Number and first word of every run, the first of equal ones in each text, sorted by number and place."""
    sizes = numpy.diff(words.starts)
    least, most = between or (length, int(sizes.max(initial=0)))
    taken = (sizes >= max(length, least)) & (sizes <= most)
    counts = numpy.where(taken, sizes - length + 1, 0)
    places = numpy.repeat(words.starts[:-1], counts) + _positions_in_groups(counts)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    numbers = rolling_hashes(words.numbers, length)[places]
    order = numpy.argsort(numbers, kind="stable")
    numbers, places, texts = numbers[order], places[order], texts[order]
    repeated = numpy.zeros(len(numbers), dtype=bool)
    repeated[1:] = (numbers[1:] == numbers[:-1]) & (texts[1:] == texts[:-1])
    return numbers[~repeated], places[~repeated].astype(numpy.uint32)


def _positions_in_groups(counts: Int64Array) -> Int64Array:
    """0, 1, ... for each group of the given sizes."""
    return numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)


def _containing_text(words: HashedWords, places: Int64Array) -> Int64Array:
    return numpy.searchsorted(words.starts, places, side="right") - 1


def _merge_adjacent(
    mine: Int64Array, theirs: Int64Array, lines: Int64Array, texts: Int64Array, *, length: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Hits that follow one another word by word as one run: (first word, first word of the reference, words)."""
    order = numpy.lexsort((mine, mine - theirs, texts, lines))
    mine, theirs, lines, texts = mine[order], theirs[order], lines[order], texts[order]
    begins = numpy.ones(len(mine), dtype=bool)
    same = (lines[1:] == lines[:-1]) & (texts[1:] == texts[:-1])
    begins[1:] = ~(same & (mine[1:] == mine[:-1] + 1) & (theirs[1:] == theirs[:-1] + 1))
    heads = numpy.flatnonzero(begins)
    counts = numpy.diff(numpy.append(heads, len(mine)))
    return mine[heads], theirs[heads], counts + length - 1


def _extend_matches(
    ours: tuple[HashedWords, Int64Array], other: tuple[HashedWords, Int64Array], lengths: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Runs made as long as the words agree on either side: the index may lack runs that are common or stand there twice."""
    (words, mine), (reference, theirs) = ours, other
    before = _count_equal_words(
        ours, other, step=-1, limits=(words.starts[_containing_text(words, mine)], _text_starts(reference, theirs))
    )
    ends = words.starts[_containing_text(words, mine) + 1], reference.starts[_containing_text(reference, theirs) + 1]
    after = _count_equal_words((words, mine + lengths - 1), (reference, theirs + lengths - 1), step=1, limits=ends)
    return mine - before, theirs - before, lengths + before + after


def _text_starts(words: HashedWords, places: Int64Array) -> Int64Array:
    return words.starts[_containing_text(words, places)]


def _count_equal_words(
    ours: tuple[HashedWords, Int64Array],
    other: tuple[HashedWords, Int64Array],
    *,
    step: int,
    limits: tuple[Int64Array, Int64Array],
) -> Int64Array:
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
