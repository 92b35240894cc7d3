"""MinHash signatures of a text column, and the band keys (locality-sensitive hashing) that similar texts share.

Broder 1997 (MinHash), Leskovec et al., Mining of Massive Datasets, ch. 3 (banding); hashing by Daft 0.7 `minhash` with
xxHash. With 32 bands of 4 rows two texts of Jaccard similarity s share a key with probability 1 - (1 - s^4)^32:
0.87 at 0.5, 0.99 at 0.6, 0.9999 at 0.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import daft
import numpy
import numpy.typing as npt
import pyarrow as pa
from daft import col
from daft import functions as engine
from pyarrow import compute

BANDS: Final = 32
HASHES_PER_BAND: Final = 4
SHINGLE_WORDS: Final = 3
"""Number of bands, hashes per band, and words per shingle. With Daft's version they determine the signature."""
MAX_SIGNATURE_ROWS: Final = 50_000
"""Rows whose signatures (512 bytes each, in several copies) are in memory at once."""
KEY_MIX: Final = numpy.uint64(0x9E3779B97F4A7C15)
TOLERATED_DEVIATIONS: Final = 4
"""Standard deviations by which an estimate may fall below the threshold before a pair is skipped. Of 100,000 pairs exactly at
a threshold of 0.5, three are lost."""
PREFILTER_BITS: Final = 20
"""High bits of a key that address the prefilter, which skips most keys that the two sides do not share."""
MAX_COMPARED_PAIRS: Final = 8_192
"""Pairs of signatures compared in one block, few enough for the CPU cache."""
BYTE_SUM_FACTOR: Final = numpy.uint64(0x0101010101010101)
"""A multiplication by it sums the eight bytes of a number into the highest byte."""
KEY_BITS: Final = numpy.uint64(32)
"""Bits of a key, and of the position packed next to it."""

Int64Array = npt.NDArray[numpy.int64]


def minhash_signatures(table: pa.Table, *, column: str, row: str) -> pa.Table:
    """Columns `row` and `signature` (128 unsigned 32-bit values) for every row whose text is not empty, sorted by `row`.

    A text of fewer words than a shingle gives one shingle. Texts must be normalised: a double space changes the signature.
    """
    filled = table.select([row, column]).filter(compute.greater(compute.binary_length(table.column(column)), 0))
    if filled.num_rows == 0:
        empty = pa.array([], type=pa.list_(pa.uint32(), BANDS * HASHES_PER_BAND))
        return pa.table({row: filled.column(row), "signature": empty})
    frame = daft.from_arrow(filled)
    signature = engine.minhash(
        col(column), num_hashes=BANDS * HASHES_PER_BAND, ngram_size=SHINGLE_WORDS, hash_function="xxhash"
    )
    return frame.select(col(row), signature.alias("signature")).sort(row).to_arrow()


@dataclass(frozen=True)
class MinHashBands:
    """Band keys of n rows: `keys[b, i]` mixes the four hashes of row `rows[i]` in band b into 32 bits; i is its place.

    Different bands share a key by chance with a probability of 2^-32; pairs are compared afterwards anyway. `marks[i]` has
    the lowest byte of each of the row's 128 hashes: the share of equal bytes of two rows estimates their similarity (Li and
    Koenig 2010, b-bit minwise hashing). Shapes: rows (n,), keys (32, n), marks (n, 128).
    """

    rows: Int64Array
    keys: npt.NDArray[numpy.uint32]
    marks: npt.NDArray[numpy.uint8]

    def of(self, rows: pa.ChunkedArray) -> "MinHashBands":
        """The band keys of the given rows only."""
        selected = numpy.isin(self.rows, numpy.asarray(rows))
        if selected.all():
            return self
        return MinHashBands(self.rows[selected], self.keys[:, selected], self.marks[selected])

    def may_reach(
        self, places: Int64Array, others: Int64Array, threshold: float, *, among: "MinHashBands"
    ) -> npt.NDArray[numpy.bool_]:
        """Which pairs (a place here, a place in `among`) may have a Jaccard similarity of at least `threshold`."""
        hashes = BANDS * HASHES_PER_BAND
        minimum = hashes * threshold - TOLERATED_DEVIATIONS * (hashes * threshold * (1 - threshold)) ** 0.5
        reached = numpy.empty(len(places), dtype=numpy.bool_)
        for first in range(0, len(places), MAX_COMPARED_PAIRS):
            block = slice(first, first + MAX_COMPARED_PAIRS)
            same = self.marks.take(places[block], axis=0) == among.marks.take(others[block], axis=0)
            counts = (same.view(numpy.uint64).sum(axis=1, dtype=numpy.uint64) * BYTE_SUM_FACTOR) >> numpy.uint64(56)
            reached[block] = counts >= minimum
        return reached

    def shared_keys(self) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Band by band, (bucket, place) of the rows that share a key, sorted by both; buckets count from 0 in each band."""
        for band in range(BANDS):
            keys, order = self._sorted(band)
            repeated = numpy.append(False, keys[1:] == keys[:-1])[: len(keys)]
            shared = repeated | numpy.append(repeated[1:], False)[: len(keys)]
            yield numpy.cumsum(~repeated[shared]) - 1, order[shared]

    def shared_with(self, others: "MinHashBands", *, limit: int) -> Iterator[tuple[Int64Array, Int64Array]]:
        """Band by band, (place, place in `others`) of rows with equal keys, in the order of both; at most `limit` per place."""
        for band in range(BANDS):
            keys, order = others._sorted(band)
            present = numpy.zeros(1 << PREFILTER_BITS, dtype=numpy.bool_)
            present[keys >> numpy.uint32(32 - PREFILTER_BITS)] = True
            candidates = numpy.flatnonzero(present[self.keys[band] >> numpy.uint32(32 - PREFILTER_BITS)])
            first, after = (
                numpy.searchsorted(keys, self.keys[band, candidates], side=side) for side in ("left", "right")
            )
            counts = numpy.minimum(after - first, limit)
            within = numpy.arange(counts.sum()) - numpy.repeat(numpy.cumsum(counts) - counts, counts)
            yield numpy.repeat(candidates, counts), order[numpy.repeat(first, counts) + within]

    def _sorted(self, band: int) -> tuple[npt.NDArray[numpy.uint32], Int64Array]:
        """The keys of a band in order, and the place of each; equal keys by place. Key and place are sorted as one number."""
        packed = (self.keys[band].astype(numpy.uint64) << KEY_BITS) | numpy.arange(len(self.rows), dtype=numpy.uint64)
        packed.sort()
        return (packed >> KEY_BITS).astype(numpy.uint32), packed.astype(numpy.uint32).astype(numpy.int64)


def band_keys(signatures: pa.Table, *, row: str) -> MinHashBands:
    """The band keys of a table of signatures, as `minhash_signatures` returns it."""
    count = signatures.num_rows
    column = signatures.column("signature").combine_chunks()
    # (rows, bands, hashes), read as two 64-bit numbers per band
    values = numpy.asarray(column.flatten(), dtype=numpy.uint32).reshape(count, BANDS, HASHES_PER_BAND)
    pairs = numpy.ascontiguousarray(values).view(numpy.uint64).reshape(count, BANDS, 2)
    mixed = (pairs[:, :, 0] * KEY_MIX) ^ (pairs[:, :, 1] + (pairs[:, :, 0] >> numpy.uint64(29)))
    mixed *= KEY_MIX
    rows = numpy.asarray(signatures.column(row), dtype=numpy.int64)
    keys = numpy.ascontiguousarray((mixed >> KEY_BITS).astype(numpy.uint32).T)
    return MinHashBands(rows, keys, values.astype(numpy.uint8).reshape(count, BANDS * HASHES_PER_BAND))


def minhash_bands(table: pa.Table, *, column: str, row: str) -> MinHashBands:
    """The band keys of every row whose text is not empty; signatures are computed MAX_SIGNATURE_ROWS rows at a time."""
    rows = numpy.empty(table.num_rows, dtype=numpy.int64)
    keys = numpy.empty((BANDS, table.num_rows), dtype=numpy.uint32)
    marks = numpy.empty((table.num_rows, BANDS * HASHES_PER_BAND), dtype=numpy.uint8)
    end = 0
    for first in range(0, table.num_rows, MAX_SIGNATURE_ROWS):
        part = band_keys(minhash_signatures(table.slice(first, MAX_SIGNATURE_ROWS), column=column, row=row), row=row)
        start, end = end, end + len(part.rows)
        rows[start:end], keys[:, start:end], marks[start:end] = part.rows, part.keys, part.marks
    return MinHashBands(rows[:end], keys[:, :end], marks[:end])
