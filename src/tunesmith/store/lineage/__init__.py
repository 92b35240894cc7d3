"""Lineage in the ledger: row -> data set -> training -> model -> release. This package exports look-ups; the modules `lineage`
and `erasures` write, and import SQLAlchemy."""

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
