"""Prefilter for pairs of texts: an upper bound on the share of common word triples, computed column by column."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

MIN_TRIPLE_TEXT_WORDS: Final = 5
"""A text of fewer words counts as a single shingle, so it is similar only to an equal text."""
MAX_SLICE_BYTES: Final = 1 << 21
"""Bytes of text processed in one block."""
MAX_SINGLE_READS_PER_CHUNK: Final = 20
"""Rows per chunk up to which values are read one by one, which is faster than `take` for few rows."""
MIN_SLOTS_PER_TRIPLE: Final = 16
"""Slots per triple of the longest text, so that few triples collide."""
MAX_SLOTS: Final = 1 << 20
"""Slots in use at once, one byte each, few enough for the CPU cache unless one pair of texts needs more."""
HASH_BASE: Final = 0x9E3779B1
"""Odd, so that its powers have inverses modulo 2^32."""
HASH_MIX: Final = numpy.uint32(0x85EBCA6B)
ONE: Final = numpy.uint64(1)
SPACE_BYTE: Final = 32
LOW_BITS: Final = numpy.uint64(0x0101010101010101)
"""The lowest bit of each of eight slots. Bit 0 of a slot is set by the first text of a pair, bit 1 by the second."""

Int64Array = npt.NDArray[numpy.int64]
UInt32Array = npt.NDArray[numpy.uint32]
BoolArray = npt.NDArray[numpy.bool_]


@dataclass(frozen=True)
class WordTriples:
    """A column of texts, to be compared by their word triples; a line is a row of the column.

    Words must be separated by one space; `form` normalises texts where they are not. Null counts as empty. `starts` (chunks
    + 1,) has the first line of each chunk and the number of lines, `sizes` (lines,) the bytes of each text.
    """

    column: pa.ChunkedArray
    form: Callable[[str], str] | None
    starts: Int64Array
    sizes: npt.NDArray[numpy.int32]

    @classmethod
    def of(cls, column: pa.ChunkedArray, form: Callable[[str], str] | None = None) -> "WordTriples":
        """The triples of a column of strings."""
        lengths = compute.fill_null(compute.binary_length(column), 0)
        starts = numpy.cumsum([0, *(len(chunk) for chunk in column.chunks)], dtype=numpy.int64)
        return cls(column, form, starts, numpy.asarray(lengths, dtype=numpy.int32))

    def may_share(self, lines: Int64Array, others: Int64Array, share: float) -> BoolArray:
        """Which pairs of lines may have a Jaccard similarity of at least `share`: all that have it, and few others."""
        sizes = self.sizes[lines].astype(numpy.int64) + self.sizes[others] + 1
        order = numpy.argsort(sizes, kind="stable")
        ends = numpy.cumsum(sizes[order])
        cuts = numpy.searchsorted(ends, numpy.arange(MAX_SLICE_BYTES, ends[-1] if len(ends) else 0, MAX_SLICE_BYTES))
        candidates = numpy.zeros(len(lines), dtype=numpy.bool_)
        # Pairs are grouped by length, because the longest text of a block sets its number of slots.
        for block in numpy.split(order, numpy.unique(cuts)):
            if len(block):
                candidates[block] = self._may_share(lines[block], others[block], share)
        return candidates

    def _may_share(self, lines: Int64Array, others: Int64Array, share: float) -> BoolArray:
        distinct, places = numpy.unique(numpy.concatenate([lines, others]), return_inverse=True)
        counts, hashes = hash_triples(self.texts(distinct))
        first, second = places[: len(lines)], places[len(lines) :]
        mine, theirs, shared = _count_slots(counts, hashes, first, second)
        # Triples that collide in a slot count once, so up to `lost` more triples may be shared: an upper bound.
        lost = numpy.minimum(counts[first] - mine, counts[second] - theirs)
        reached: BoolArray = shared + lost >= share * (mine + theirs - shared)
        return reached

    def texts(self, lines: Int64Array) -> pa.Array:
        """The texts of the given lines, which must be in ascending order."""
        texts = compute.fill_null(self._take(lines), "")
        if self.form is None:
            return texts
        encoded = texts.dictionary_encode()
        return pa.array([self.form(text) for text in encoded.dictionary.to_pylist()], texts.type).take(encoded.indices)

    def _take(self, lines: Int64Array) -> pa.Array:
        if len(lines) < MAX_SINGLE_READS_PER_CHUNK * self.column.num_chunks:
            return pa.array([self.column[line].as_py() for line in lines.tolist()], self.column.type)
        cuts = numpy.searchsorted(lines, self.starts).tolist()
        chunks = zip(self.column.chunks, self.starts.tolist(), cuts, cuts[1:], strict=False)
        return pa.concat_arrays(
            [chunk.take(pa.array(lines[at:end] - start)) for chunk, start, at, end in chunks if end > at]
        )


def hash_triples(texts: pa.Array) -> tuple[Int64Array, UInt32Array]:
    """(texts,) number of word triples of each text, and (triples,) a hash of each, text after text, repeats included.

    The hash is a polynomial in the bytes of the triple (Karp and Rabin 1987), taken from cumulative sums over the whole
    column. A text of fewer than MIN_TRIPLE_TEXT_WORDS words is hashed as one.
    """
    texts = texts.cast(pa.large_string())
    _, offset_buffer, values = texts.buffers()
    offsets = numpy.frombuffer(offset_buffer, dtype=numpy.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = numpy.frombuffer(values or b"", dtype=numpy.uint8)[offsets[0] : offsets[-1]]
    starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    powers, inverses = _base_powers(max(len(data), 1).bit_length())
    sums = numpy.zeros(len(data) + 1, dtype=numpy.uint32)
    numpy.cumsum(data * powers[: len(data)], dtype=numpy.uint32, out=sums[1:])
    words, begins, stops = _word_bounds(data, starts, ends)
    counts = numpy.where(words >= MIN_TRIPLE_TEXT_WORDS, words - 2, 1)
    text = numpy.repeat(numpy.arange(len(texts)), counts)
    begin, stop = starts[text], ends[text]
    long = words[text] >= MIN_TRIPLE_TEXT_WORDS
    word = (_positions_in_groups(counts) + numpy.repeat(numpy.cumsum(words) - words, counts))[long]
    begin[long], stop[long] = begins[word], stops[word + 2]
    hashes = (sums[stop] - sums[begin]) * inverses[begin]
    return counts, (hashes ^ (hashes >> numpy.uint32(15))) * HASH_MIX


def _word_bounds(
    data: npt.NDArray[numpy.uint8], starts: Int64Array, ends: Int64Array
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Number of words of each text (texts,); first byte of each word, and the byte after its last (words,)."""
    spaces = numpy.flatnonzero(data == SPACE_BYTE)
    filled = ends > starts
    words = numpy.searchsorted(spaces, ends) - numpy.searchsorted(spaces, starts) + filled
    last = numpy.cumsum(words)[filled] - 1
    first = last - words[filled] + 1
    begins, stops = (numpy.empty(int(words.sum()), dtype=numpy.int64) for _ in range(2))
    for bounds, at, edge, inner in ((begins, first, starts, spaces + 1), (stops, last, ends, spaces)):
        inside = numpy.ones(len(bounds), dtype=numpy.bool_)
        inside[at] = False
        bounds[at], bounds[inside] = edge[filled], inner
    return words, begins, stops


def _count_slots(counts: Int64Array, hashes: UInt32Array, first: Int64Array, second: Int64Array) -> Int64Array:
    """(3, pairs): slots that the triples of the first text of each pair occupy, of the second, and of both."""
    bits = max(int(counts.max() * MIN_SLOTS_PER_TRIPLE - 1).bit_length(), 3)
    starts = numpy.cumsum(counts) - counts
    occupied = numpy.empty((3, len(first)), dtype=numpy.int64)
    slots = numpy.empty(max(MAX_SLOTS >> bits, 1) << bits, dtype=numpy.uint8)
    for start in range(0, len(first), len(slots) >> bits):
        block = slice(start, start + (len(slots) >> bits))
        slots[:] = 0
        for texts, mark in ((first[block], 1), (second[block], 2)):
            sizes = counts[texts]
            places = hashes[_positions_in_groups(sizes) + numpy.repeat(starts[texts], sizes)] >> numpy.uint32(32 - bits)
            slots[numpy.repeat(numpy.arange(len(texts)) << bits, sizes) + places] |= numpy.uint8(mark)
        # (pairs in the block, slots / 8): eight slots are counted in one 64-bit number
        eight = slots.view(numpy.uint64).reshape(-1, 1 << (bits - 3))[: len(texts)]
        for line, bit in enumerate((eight, eight >> ONE, eight & (eight >> ONE))):
            occupied[line, block] = numpy.bitwise_count(bit & LOW_BITS).sum(axis=1, dtype=numpy.int64)
    return occupied


def _positions_in_groups(sizes: Int64Array) -> Int64Array:
    """0, 1, ... size - 1 for each of the sizes, concatenated."""
    ends = numpy.cumsum(sizes)
    return numpy.arange(ends[-1] if len(ends) else 0) - numpy.repeat(ends - sizes, sizes)


@lru_cache(maxsize=4)
def _base_powers(bits: int) -> tuple[UInt32Array, UInt32Array]:
    """The first 2^bits powers of BASE modulo 2^32, and their inverses."""
    inverse = pow(HASH_BASE, -1, 1 << 32)
    powers, inverses = (
        numpy.cumprod(numpy.full(1 << bits, base, dtype=numpy.uint32), dtype=numpy.uint32)
        for base in (HASH_BASE, inverse)
    )
    return powers, inverses
