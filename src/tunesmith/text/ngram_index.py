"""Index of word n-grams of reference texts, and the longest word spans that other texts share with them.

N-grams are 64-bit rolling hashes (see `tunesmith.text.ngrams`), kept sorted. A lookup is a binary search behind a bitmap
prefilter; every hit is compared word by word and extended to the longest shared span. Memory: 20 bytes per reference word
and 16 MB for the prefilter.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa

from tunesmith.text.ngrams import HashedWords, Int64Array, UInt64Array, hash_words, rolling_hashes

PREFILTER_BITS: Final = 24
"""High hash bits that address the prefilter. With a million n-grams indexed, about one unrelated n-gram in seventeen passes."""
MAX_QUERY_WORDS: Final = 1 << 18
"""Words looked up in one block, which bounds the memory of a query."""
MAX_RARE_TEXTS: Final = 2
"""An n-gram found in at most this many texts is never treated as common."""

BoolArray = npt.NDArray[numpy.bool_]


@dataclass(frozen=True)
class NgramMatches:
    """Word spans shared by query texts and reference texts, as equally long columns sorted from left to right.

    `lines` is the query text and `positions` the first word in it; `texts` is the reference text and `text_positions` the
    first word in it; `lengths` counts words.
    """

    lines: Int64Array
    positions: Int64Array
    texts: Int64Array
    text_positions: Int64Array
    lengths: Int64Array

    def __iter__(self) -> Iterator[tuple[int, int, int, int, int]]:
        columns = (self.lines, self.positions, self.texts, self.text_positions, self.lengths)
        return zip(*(column.tolist() for column in columns), strict=True)


@dataclass(frozen=True)
class NgramIndex:
    """Every n-gram of `length` words of the reference texts, once per text. Equality compares `digest`, `length` and `whole`.

    `numbers` are the sorted hashes and `firsts` the first word of each n-gram in `words`. `common` holds the first words of
    n-grams that occur in too many texts and are left out of the index. With `whole`, only matches that cover a complete
    reference text count.
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
    prefilter: BoolArray = field(
        compare=False, repr=False, default_factory=lambda: numpy.zeros(1 << PREFILTER_BITS, dtype=bool)
    )
    common: tuple[int, ...] = field(compare=False, repr=False, default=())

    def find(self, words: HashedWords) -> NgramMatches:
        """The longest spans of at least `length` words that the query texts share with reference texts."""
        count = len(words.numbers) if len(self.numbers) else 0
        hits = [self._hits(words, first) for first in range(0, count, MAX_QUERY_WORDS)]
        mine, theirs = (numpy.concatenate([hit[side] for hit in hits] or [numpy.zeros(0, int)]) for side in (0, 1))
        lines, texts = _containing_text(words, mine), _containing_text(self.words, theirs)
        mine, theirs, lengths = _merge_adjacent(mine, theirs, lines, texts, length=self.length)
        mine, theirs, lengths = _extend_matches((words, mine), (self.words, theirs), lengths)
        lines, texts = _containing_text(words, mine), _containing_text(self.words, theirs)
        positions, text_positions = mine - words.starts[lines], theirs - self.words.starts[texts]
        # (matches, 5): extended spans may coincide, so duplicates are removed
        table = numpy.unique(numpy.stack([lines, positions, texts, text_positions, lengths], axis=1), axis=0)
        if self.whole:
            table = table[table[:, 4] == numpy.diff(self.words.starts)[table[:, 2]]]
        return NgramMatches(*(table[:, column] for column in range(5)))

    def common_ngrams(self) -> list[tuple[int, int]]:
        """(text, first word) of one occurrence of each n-gram that is left out as too common."""
        positions = numpy.array(self.common, dtype=numpy.int64)
        texts = _containing_text(self.words, positions)
        return list(zip(texts.tolist(), (positions - self.words.starts[texts]).tolist(), strict=True))

    def _hits(self, words: HashedWords, first: int) -> tuple[Int64Array, Int64Array]:
        """(query word, reference word) pairs at which the same n-gram begins, for one block of the query."""
        hashes = rolling_hashes(words.numbers[first : first + MAX_QUERY_WORDS + self.length - 1], self.length)
        mine = numpy.flatnonzero(
            self.prefilter.take((hashes >> numpy.uint64(64 - PREFILTER_BITS)).view(numpy.int64), mode="clip")
        )
        low = numpy.searchsorted(self.numbers, hashes[mine], side="left")
        counts = numpy.searchsorted(self.numbers, hashes[mine], side="right") - low
        places = numpy.repeat(low, counts) + _positions_in_groups(counts)
        mine, theirs = numpy.repeat(mine + first, counts), self.firsts[places].astype(numpy.int64)
        # Equal hashes are only candidates: the n-gram must lie within one text, and every word must be equal.
        equal = mine + self.length <= words.starts[_containing_text(words, mine) + 1]
        for step in range(self.length):
            equal &= (
                words.numbers[numpy.minimum(mine + step, len(words.numbers) - 1)] == self.words.numbers[theirs + step]
            )
        return mine[equal], theirs[equal]


def build_index(
    texts: pa.Array,
    length: int,
    *,
    digest: str,
    common_share: float = 1.0,
    between: tuple[int, int] | None = None,
    whole: bool = False,
) -> NgramIndex:
    """Index of the n-grams of texts; with `between` (minimum, maximum), only of texts with that many words.

    N-grams in more than `common_share` of the texts, and in more than MAX_RARE_TEXTS of them, are left out. `digest` must
    change whenever the texts do. Raises ValueError for 2^32 words or more.
    """
    words = hash_words(texts)
    if len(words.numbers) >= 1 << 32:
        raise ValueError("more than 4 billion words")
    numbers, firsts = _sorted_ngrams(words, length, between)
    counts = numpy.diff(numpy.flatnonzero(numpy.concatenate([[True], numbers[1:] != numbers[:-1], [True]])))
    counts = counts if len(numbers) else numpy.zeros(0, int)
    is_common = counts > max(MAX_RARE_TEXTS, common_share * len(texts))
    heads = numpy.cumsum(counts) - counts
    indexed = ~numpy.repeat(is_common, counts)
    prefilter = numpy.zeros(1 << PREFILTER_BITS, dtype=bool)
    prefilter[numbers[indexed] >> numpy.uint64(64 - PREFILTER_BITS)] = True
    common = tuple(firsts[heads[is_common]].tolist())
    return NgramIndex(digest, length, whole, words, numbers[indexed], firsts[indexed], prefilter, common)


def find_matches(texts: pa.Array, indexes: Sequence[NgramIndex]) -> list[NgramMatches]:
    """For each index, the word spans that the texts share with its reference texts."""
    words = hash_words(texts)
    return [index.find(words) for index in indexes]


def _sorted_ngrams(
    words: HashedWords, length: int, between: tuple[int, int] | None
) -> tuple[UInt64Array, npt.NDArray[numpy.uint32]]:
    """Hash and first word of every n-gram, the first occurrence in each text, sorted by hash and position."""
    sizes = numpy.diff(words.starts)
    minimum, maximum = between or (length, int(sizes.max(initial=0)))
    selected = (sizes >= max(length, minimum)) & (sizes <= maximum)
    counts = numpy.where(selected, sizes - length + 1, 0)
    positions = numpy.repeat(words.starts[:-1], counts) + _positions_in_groups(counts)
    texts = numpy.repeat(numpy.arange(len(counts)), counts)
    numbers = rolling_hashes(words.numbers, length)[positions]
    order = numpy.argsort(numbers, kind="stable")
    numbers, positions, texts = numbers[order], positions[order], texts[order]
    repeated = numpy.zeros(len(numbers), dtype=bool)
    repeated[1:] = (numbers[1:] == numbers[:-1]) & (texts[1:] == texts[:-1])
    return numbers[~repeated], positions[~repeated].astype(numpy.uint32)


def _positions_in_groups(counts: Int64Array) -> Int64Array:
    """0, 1, ... within each group of the given sizes."""
    return numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)


def _containing_text(words: HashedWords, positions: Int64Array) -> Int64Array:
    return numpy.searchsorted(words.starts, positions, side="right") - 1


def _merge_adjacent(
    mine: Int64Array, theirs: Int64Array, lines: Int64Array, texts: Int64Array, *, length: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Hits at consecutive words merged into spans: (first query word, first reference word, length in words)."""
    order = numpy.lexsort((mine, mine - theirs, texts, lines))
    mine, theirs, lines, texts = mine[order], theirs[order], lines[order], texts[order]
    begins = numpy.ones(len(mine), dtype=bool)
    same = (lines[1:] == lines[:-1]) & (texts[1:] == texts[:-1])
    begins[1:] = ~(same & (mine[1:] == mine[:-1] + 1) & (theirs[1:] == theirs[:-1] + 1))
    heads = numpy.flatnonzero(begins)
    counts = numpy.diff(numpy.append(heads, len(mine)))
    return mine[heads], theirs[heads], counts + length - 1


def _extend_matches(
    query: tuple[HashedWords, Int64Array], reference: tuple[HashedWords, Int64Array], lengths: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Spans extended on both sides while the words agree: the index lacks common n-grams and repeats within a text."""
    (words, mine), (reference_words, theirs) = query, reference
    mine_text, their_text = _containing_text(words, mine), _containing_text(reference_words, theirs)
    starts = words.starts[mine_text], reference_words.starts[their_text]
    ends = words.starts[mine_text + 1], reference_words.starts[their_text + 1]
    before = _count_equal_words(query, reference, step=-1, limits=starts)
    last = (words, mine + lengths - 1), (reference_words, theirs + lengths - 1)
    after = _count_equal_words(*last, step=1, limits=ends)
    return mine - before, theirs - before, lengths + before + after


def _count_equal_words(
    query: tuple[HashedWords, Int64Array],
    reference: tuple[HashedWords, Int64Array],
    *,
    step: int,
    limits: tuple[Int64Array, Int64Array],
) -> Int64Array:
    """Number of equal words beyond each position, forward (`limits` are text ends) or backward (`limits` are text starts)."""
    (words, mine), (reference_words, theirs) = query, reference
    counts = numpy.zeros(len(mine), dtype=numpy.int64)
    active, distance = numpy.arange(len(mine)), step
    while len(active):
        here, there = mine[active] + distance, theirs[active] + distance
        inside = (here >= limits[0][active]) & (there >= limits[1][active])
        if step > 0:
            inside = (here < limits[0][active]) & (there < limits[1][active])
        active, here, there = active[inside], here[inside], there[inside]
        active = active[words.numbers[here] == reference_words.numbers[there]]
        counts[active] += 1
        distance += step
    return counts
