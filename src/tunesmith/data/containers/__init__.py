"""Containers: files as numbered records. JSON lines, JSON, CSV, TSV, CoNLL and text, plain or packed; Parquet and Arrow."""

from tunesmith.data.containers.gauge import Course, Gauge
from tunesmith.data.containers.json_files import Item
from tunesmith.data.containers.reading import read_records, scan
from tunesmith.data.containers.stream import refuse_missing

__all__ = ["Course", "Gauge", "Item", "read_records", "refuse_missing", "scan"]
