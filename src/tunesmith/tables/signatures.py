"""MinHash signatures of a text column, and the band keys under which near texts meet.

Broder 1997 (MinHash), Leskovec et al., Mining of Massive Datasets, ch. 3 (banding); hashing by Daft 0.7 `minhash` with
xxHash. With 32 bands of 4 rows two texts of Jaccard similarity s share a key with probability 1 - (1 - s^4)^32:
0.87 at 0.5, 0.99 at 0.6, 0.9999 at 0.7.
"""

from typing import Final

import numpy
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


def band_keys(signatures: pa.Table, *, row: str) -> pa.Table:
    """32 lines a row: `row`, `band` and the band's four hashes as `high` and `low` (64 bits each, so nothing is hashed twice)."""
    count = signatures.num_rows
    column = signatures.column("signature").combine_chunks()
    values = numpy.asarray(column.flatten(), dtype=numpy.uint32).reshape(count, BANDS, ROWS)
    pairs = numpy.ascontiguousarray(values).view(numpy.uint64).reshape(count * BANDS, 2)
    rows = numpy.repeat(numpy.asarray(signatures.column(row)), BANDS)
    return pa.table(
        {
            row: pa.array(rows),
            "band": pa.array(numpy.tile(numpy.arange(BANDS, dtype=numpy.int64), count)),
            "high": pa.array(pairs[:, 0]),
            "low": pa.array(pairs[:, 1]),
        }
    )
