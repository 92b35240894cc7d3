"""Tables: two verbs over an embedded engine, a signature it computes at native speed, and pairs compared in columns.

Arrow tables go in and come out, sorted by the column that identifies a row, so that no answer depends on the engine's order.
"""

from tunesmith.tables.overlap import SHORT, Triples
from tunesmith.tables.runner import use_runner
from tunesmith.tables.signatures import Bands, band_keys, bands_of, minhash
from tunesmith.tables.verbs import group_min_count, map_batches

__all__ = [
    "SHORT",
    "Bands",
    "Triples",
    "band_keys",
    "bands_of",
    "group_min_count",
    "map_batches",
    "minhash",
    "use_runner",
]
