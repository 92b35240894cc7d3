"""Tables: two verbs over an embedded engine, a signature it computes at native speed, and pairs compared in columns.

Arrow tables go in and come out, sorted by the column that identifies a row, so that no answer depends on the engine's order.
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
