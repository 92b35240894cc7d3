"""MinHash signatures of a text column, and the band keys under which near texts meet.

Broder 1997 (MinHash), Leskovec et al., Mining of Massive Datasets, ch. 3 (banding); hashing by Daft 0.7 `minhash` with
xxHash. With 32 bands of 4 rows two texts of Jaccard similarity s share a key with probability 1 - (1 - s^4)^32:
0.87 at 0.5, 0.99 at 0.6, 0.9999 at 0.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy
import numpy.typing as npt
import pyarrow as pa
from pyarrow import compute

from tunesmith import process

process.prepare()

import daft  # noqa: E402
from daft import col  # noqa: E402
from daft import functions as engine  # noqa: E402

BANDS: Final = 32
ROWS: Final = 4
WORDS: Final = 3
"""Bands, hashes in a band, and words in a shingle. They and Daft's version decide the signature."""
SIGNED: Final = 200_000
"""Rows whose signatures (512 bytes each) are held at once."""
LINES: Final = 8_000_000
"""Keys that are grouped at once, about a gigabyte with the engine's own copies."""
MIX: Final = numpy.uint64(0x9E3779B97F4A7C15)


def minhash(table: pa.Table, *, column: str, row: str) -> pa.Table:
    """Columns `row` and `signature` (128 unsigned 32-bit values) for every row whose text is not empty, sorted by `row`.

    A text of fewer words than a shingle gives one shingle. Texts must be normalised: a double space changes the signature.
    """
    filled = table.select([row, column]).filter(compute.greater(compute.binary_length(table.column(column)), 0))
    if filled.num_rows == 0:
        empty = pa.array([], type=pa.list_(pa.uint32(), BANDS * ROWS))
        return pa.table({row: filled.column(row), "signature": empty})
    frame = daft.from_arrow(filled)
    hashed = engine.minhash(col(column), num_hashes=BANDS * ROWS, ngram_size=WORDS, hash_function="xxhash")
    return frame.select(col(row), hashed.alias("signature")).sort(row).to_arrow()


@dataclass(frozen=True)
class Bands:
    """Band keys of rows: `keys[n, b]` is that of row `rows[n]` in band b, its four hashes mixed into 64 bits.

    Rows of unlike bands share a key by chance with a probability of 2^-64; who meets is compared anyway.
    """

    rows: npt.NDArray[numpy.int64]
    keys: npt.NDArray[numpy.uint64]

    def of(self, rows: pa.ChunkedArray) -> "Bands":
        """Those of some rows alone."""
        kept = numpy.isin(self.rows, numpy.asarray(rows))
        return Bands(self.rows[kept], self.keys[kept])

    def passes(self, lines: int = LINES) -> Iterator[range]:
        """Bands to look at together, so that about `lines` keys are held at once."""
        step = max(1, min(BANDS, lines // max(1, len(self.rows))))
        for first in range(0, BANDS, step):
            yield range(first, min(first + step, BANDS))

    def table(self, bands: range) -> pa.Table:
        """Columns row, band and key of some bands."""
        return pa.table(
            {
                "row": numpy.tile(self.rows, len(bands)),
                "band": numpy.repeat(numpy.arange(bands.start, bands.stop, dtype=numpy.int16), len(self.rows)),
                "key": self.keys[:, bands.start : bands.stop].T.ravel(),
            }
        )


def band_keys(signatures: pa.Table, *, row: str) -> Bands:
    """The band keys of signatures."""
    count = signatures.num_rows
    column = signatures.column("signature").combine_chunks()
    values = numpy.asarray(column.flatten(), dtype=numpy.uint32).reshape(count, BANDS, ROWS)
    pairs = numpy.ascontiguousarray(values).view(numpy.uint64).reshape(count, BANDS, 2)
    mixed = (pairs[:, :, 0] * MIX) ^ (pairs[:, :, 1] + (pairs[:, :, 0] >> numpy.uint64(29)))
    mixed *= MIX
    return Bands(numpy.asarray(signatures.column(row), dtype=numpy.int64), mixed ^ (mixed >> numpy.uint64(32)))


def bands_of(table: pa.Table, *, column: str, row: str) -> Bands:
    """The band keys of every row whose text is not empty; signatures are made and mixed some rows at a time."""
    parts = [
        band_keys(minhash(table.slice(first, SIGNED), column=column, row=row), row=row)
        for first in range(0, max(table.num_rows, 1), SIGNED)
    ]
    return Bands(numpy.concatenate([part.rows for part in parts]), numpy.concatenate([part.keys for part in parts]))
