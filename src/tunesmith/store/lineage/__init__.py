"""Lineage in the ledger: row -> data set -> training -> model -> release. Looked up here; written by `lineage`, and by
`erasures` with their tombstones, which import SQLAlchemy."""

from tunesmith.store.lineage.lookups import Lookups
from tunesmith.store.lineage.records import (
    GENERATOR,
    SOURCE,
    ConsumedRows,
    DatasetRows,
    RecordedDataset,
    RecordedRow,
    RecordedTraining,
    Training,
)

__all__ = [
    "GENERATOR",
    "SOURCE",
    "ConsumedRows",
    "DatasetRows",
    "RecordedDataset",
    "Lookups",
    "RecordedRow",
    "RecordedTraining",
    "Training",
]
