"""Table operations on an embedded engine (Daft), MinHash signatures, and pairs of texts compared column by column.

Functions take and return Arrow tables, sorted by the row column, so that no result depends on the engine's order.
"""

from tunesmith.tables.operations import group_min_count, map_batches
from tunesmith.tables.overlap import MIN_TRIPLE_TEXT_WORDS, WordTriples
from tunesmith.tables.runner import use_runner
from tunesmith.tables.signatures import MinHashBands, band_keys, minhash_bands, minhash_signatures

__all__ = [
    "MIN_TRIPLE_TEXT_WORDS",
    "MinHashBands",
    "WordTriples",
    "band_keys",
    "minhash_bands",
    "group_min_count",
    "map_batches",
    "minhash_signatures",
    "use_runner",
]
