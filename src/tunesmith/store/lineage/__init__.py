"""Lineage in the ledger: row -> data set -> training -> model -> release. Looked up here; written by `lineage`, and by
`erasures` with their tombstones, which import SQLAlchemy."""

from tunesmith.store.lineage.lookups import Lookups
from tunesmith.store.lineage.nouns import GENERATOR, SOURCE, Consumed, DatasetRows, Known, Seen, Taught, Training

__all__ = ["GENERATOR", "SOURCE", "Consumed", "DatasetRows", "Known", "Lookups", "Seen", "Taught", "Training"]
