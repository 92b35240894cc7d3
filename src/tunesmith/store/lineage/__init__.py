"""Lineage in the ledger: row -> data set -> training -> model -> release; and erasures with their tombstones."""

from tunesmith.store.lineage.erasures import Erasure, Erasures, Replaced, Switch, Tombstone
from tunesmith.store.lineage.lineage import Lineage
from tunesmith.store.lineage.nouns import GENERATOR, SOURCE, Consumed, DatasetRows, Known, Seen, Taught, Training

__all__ = [
    "GENERATOR",
    "SOURCE",
    "Consumed",
    "DatasetRows",
    "Erasure",
    "Erasures",
    "Known",
    "Lineage",
    "Replaced",
    "Seen",
    "Switch",
    "Taught",
    "Tombstone",
    "Training",
]
