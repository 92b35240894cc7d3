"""Tables: six verbs over an embedded engine, and two signals it computes at native speed.

Arrow tables go in and come out, sorted by the column that identifies a row, so that no answer depends on the engine's order.
"""

from tunesmith.tables.matches import matching
from tunesmith.tables.runner import use_runner
from tunesmith.tables.signatures import Bands, band_keys, bands_of, minhash
from tunesmith.tables.verbs import distinct, group_min_count, map_batches, read, semi_join, write

__all__ = [
    "Bands",
    "band_keys",
    "bands_of",
    "distinct",
    "group_min_count",
    "map_batches",
    "matching",
    "minhash",
    "read",
    "semi_join",
    "use_runner",
    "write",
]
